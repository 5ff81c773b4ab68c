// Loops that are copied, patched or call patched code.

    .text
    .global smc_loop, smc_loop_end, smc_patch, smc_caller

    // x0 = iterations, x1 = address of the patched instruction, w2 and w3 = what is written there with bit 4 of the
    // counter clear and set, from iteration 4096 on.
smc_loop:
    mov     x9, x0
    mov     x10, #0
    mov     x0, #0
1:  cmp     x10, #1, lsl #12
    b.lo    smc_patch
    and     x11, x10, #15
    cbnz    x11, smc_patch
    tst     x10, #16
    csel    w12, w2, w3, eq
    str     w12, [x1]
    dc      cvau, x1
    dsb     ish
    ic      ivau, x1
    dsb     ish
    isb
smc_patch:
    add     x0, x0, #1
    add     x10, x10, #1
    cmp     x10, x9
    b.lo    1b
    ret
smc_loop_end:

    // x0 = function, x1 = how often; the sum of its results.
smc_caller:
    stp     x29, x30, [sp, #-48]!
    stp     x19, x20, [sp, #16]
    str     x21, [sp, #32]
    mov     x19, x0
    mov     x20, x1
    mov     x21, #0
1:  mov     x0, #0
    blr     x19
    add     x21, x21, x0
    subs    x20, x20, #1
    b.ne    1b
    mov     x0, x21
    ldr     x21, [sp, #32]
    ldp     x19, x20, [sp, #16]
    ldp     x29, x30, [sp], #48
    ret

// Entry, exception vectors, calls to EL0 and back.

#include "frame.h"

    .section .text.start, "ax"
    .global _start
_start:
    // X0: device tree, or 0 where the loader does not pass it (QEMU, for an ELF file).
    mov     x19, x0
    msr     daifset, #15
    msr     spsel, #1
    ldr     x1, =__stack_top
    mov     sp, x1
    ldr     x1, =vectors
    msr     vbar_el1, x1
    // CPACR_EL1.FPEN: no trap of FP and SIMD.
    mov     x1, #3 << 20
    msr     cpacr_el1, x1
    isb
    ldr     x1, =__bss_start
    ldr     x2, =__bss_end
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b
2:  mov     x0, x19
    bl      rom_start
    b       .
    .ltorg

    .text
    .macro vector n
    .balign 128
    sub     sp, sp, #FRAME_SIZE
    stp     x0, x1, [sp]
    mov     x0, #\n
    b       trap_entry
    .endm

    .balign 2048
    .global vectors
vectors:
    // 0-3: current EL with SP_EL0; 4-7: with SP_ELx; 8-11: AArch64 EL0; 12-15: AArch32 EL0.
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vector \n
    .endr

trap_entry:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x1, sp_el0
    stp     x30, x1, [sp, #FRAME_X30]
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    stp     x1, x2, [sp, #FRAME_ELR]
    mrs     x1, esr_el1
    mrs     x2, far_el1
    stp     x1, x2, [sp, #FRAME_ESR]
    str     x0, [sp, #FRAME_VECTOR]
    mov     x0, sp
    bl      trap
    ldp     x1, x2, [sp, #FRAME_ELR]
    msr     elr_el1, x1
    msr     spsr_el1, x2
    ldp     x30, x1, [sp, #FRAME_X30]
    msr     sp_el0, x1
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldp     x0, x1, [sp]
    add     sp, sp, #FRAME_SIZE
    eret

    // u64 el0_call(u64 (*f)(u64, u64), u64 a, u64 b): runs f(a, b) at EL0 with interrupts unmasked.
    .global el0_call
el0_call:
    stp     x29, x30, [sp, #-112]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mrs     x3, daif
    str     x3, [sp, #96]
    msr     daifset, #15
    ldr     x4, =el0_saved_sp
    mov     x5, sp
    str     x5, [x4]
    msr     elr_el1, x0
    msr     spsr_el1, xzr
    ldr     x4, =__stack_el0_top
    msr     sp_el0, x4
    mov     x0, x1
    mov     x1, x2
    ldr     x30, =el0_done
    eret
    .ltorg

    // Where f returns to, still at EL0.
    .global el0_done
el0_done:
    svc     #SVC_EL0_DONE
    b       .

    // Entered by `trap` on that SVC, with f's result in X0.
    .global el0_resume
el0_resume:
    ldr     x4, =el0_saved_sp
    ldr     x5, [x4]
    mov     sp, x5
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldr     x3, [sp, #96]
    ldp     x29, x30, [sp], #112
    msr     daif, x3
    ret
    .ltorg

    .bss
    .balign 8
el0_saved_sp:
    .skip   8

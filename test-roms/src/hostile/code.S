    .text
    .global hostile_patcher, hostile_patcher_end, hostile_counter, hostile_counter_end
    .global hostile_rounding, hostile_denormals

    // x0 = iterations, w1 = `add x0, x0, #0`. In each iteration, writes the counter into the immediate of an instruction
    // that is executed next.
hostile_patcher:
    mov     x9, x0
    mov     x10, #0
    mov     x0, #0
    adr     x11, 2f
1:  ubfiz   w12, w10, #10, #12
    orr     w12, w12, w1
    str     w12, [x11]
    dc      cvau, x11
    dsb     ish
    ic      ivau, x11
    dsb     ish
    isb
2:  add     x0, x0, #0
    add     x10, x10, #1
    cmp     x10, x9
    b.lo    1b
    ret
hostile_patcher_end:

    // x0 = iterations, x1 = a counter in memory: what it is at the end.
hostile_counter:
1:  ldr     x2, [x1]
    add     x2, x2, #1
    str     x2, [x1]
    subs    x0, x0, #1
    b.ne    1b
    mov     x0, x2
    ret
hostile_counter_end:

hostile_rounding:
    mrs     x1, fpcr
    mov     x9, #0
    mov     x10, #0
    mov     x3, #0
1:  msr     fpcr, x3
    fmov    d0, #1.0
    fmov    d1, #3.0
    fdiv    d2, d0, d1
    fmov    x4, d2
    add     x9, x9, x4
    // The next mode for the negative one.
    add     x5, x3, #1 << 22
    and     x5, x5, #3 << 22
    msr     fpcr, x5
    fmov    d0, #-1.0
    fdiv    d2, d0, d1
    fmov    x4, d2
    add     x10, x10, x4
    add     x3, x3, #1 << 22
    tbz     x3, #24, 1b
    msr     fpcr, x1
    stp     x9, x10, [x0]
    ret

hostile_denormals:
    mrs     x1, fpcr
    mov     x3, #0x0010000000000000
    fmov    d0, x3
    fmov    d1, #0.5
    msr     fpcr, xzr
    fmul    d2, d0, d1
    mov     x4, #1 << 24
    msr     fpcr, x4
    fmul    d3, d0, d1
    msr     fpcr, x1
    stp     d2, d3, [x0]
    ret

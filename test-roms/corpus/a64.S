// What compilers make, by class: each function is compiled as one region, and the host instructions are counted.

    .macro fn name
    .p2align 6
    .globl \name
    .type \name, %function
\name:
    .endm
    .macro end name, how="b out"
    \how
    .size \name, . - \name
    .endm
    // Nothing is at `out`, where functions leave to. Those of the class of calls return.

    .arch armv8.3-a
    .text

fn alu.add_chain
    add x0, x0, x1
    sub x1, x1, #12
    add x2, x0, x1, lsl #3
    sub w3, w2, w1
    add w4, w3, #1, lsl #12
    neg x5, x4
    add x6, x5, w3, sxtw
    add x0, x6, x2
end alu.add_chain

fn alu.logic
    and x0, x0, #0xff00ff00ff00ff
    orr x1, x1, x0, ror #7
    eor w2, w1, w0
    bic x3, x2, x1
    orn w4, w3, w2
    mvn x5, x4
    eon x6, x5, x0
    and w0, w6, w5, lsr #4
end alu.logic

fn alu.shift_bitfield
    lsl x0, x0, #5
    lsr w1, w0, #3
    asr x2, x1, #9
    ror x3, x2, #17
    lsl x4, x3, x1
    lsr w5, w4, w2
    ubfx x6, x5, #8, #12
    bfi x6, x0, #20, #8
    sbfx w7, w6, #4, #10
    extr x0, x7, x6, #11
end alu.shift_bitfield

fn alu.extend_count
    sxtw x0, w0
    uxtb w1, w0
    sxth x2, w1
    clz x3, x2
    rbit w4, w3
    rev x5, x4
    rev16 w6, w5
    cls w7, w6
end alu.extend_count

fn alu.constants
    mov x0, #0x1234
    movk x0, #0x5678, lsl #16
    movk x0, #0x9abc, lsl #32
    movn x1, #77
    adr x2, .
    adrp x3, .
    add x3, x3, #64
    mov w4, #0xffff0000
end alu.constants

fn flags.compare_branch
    cmp x0, x1
    b.hi 1f
    sub x0, x1, x0
1:  cmp w2, #10
    b.lt 2f
    add w2, w2, #1
2:  tst x3, #0xff
    b.eq 3f
    eor x3, x3, x0
3:  nop
end flags.compare_branch

fn flags.zero_and_bit_branch
    cbz x0, 1f
    add x1, x1, #1
1:  cbnz w1, 2f
    add x2, x2, #1
2:  tbz x2, #5, 3f
    add x3, x3, #1
3:  tbnz w3, #31, 4f
    add x4, x4, #1
4:  nop
end flags.zero_and_bit_branch

fn flags.select
    cmp x0, x1
    csel x2, x0, x1, lt
    cset w3, ge
    csinc x4, x2, x3, eq
    cmp w2, w3
    csneg w5, w4, w2, ls
    csinv x6, x5, x4, mi
    csetm x0, ne
end flags.select

fn flags.conditional_compare
    cmp x0, #4
    ccmp x1, #7, #0, ne
    ccmp w2, w3, #4, gt
    b.eq 1f
    add x0, x0, #1
1:  ccmn x0, x1, #8, ls
    cset w0, vs
end flags.conditional_compare

fn flags.carry_chain
    adds x0, x0, x4
    adcs x1, x1, x5
    adcs x2, x2, x6
    adc x3, x3, x7
    subs x0, x0, x4
    sbcs x1, x1, x5
    sbcs x2, x2, x6
    sbc x3, x3, x7
end flags.carry_chain

fn load.word
    ldr x1, [x0]
    ldr x2, [x0, #8]
    ldr w3, [x0, #16]
    ldr x4, [x1, x2, lsl #3]
    ldr w5, [x1, w3, uxtw #2]
    add x0, x4, x5
end load.word

fn load.narrow
    ldrb w1, [x0]
    ldrh w2, [x0, #2]
    ldrsb x3, [x0, #5]
    ldrsh w4, [x0, #6]
    ldrsw x5, [x0, #8]
    ldurb w6, [x0, #-1]
end load.narrow

fn load.pair_indexed
    ldp x1, x2, [x0]
    ldp w3, w4, [x0, #16]
    ldr x5, [x0, #8]!
    ldr x6, [x0], #8
    ldp x7, x8, [x0], #16
    ldpsw x9, x10, [x0]
end load.pair_indexed

fn load.chase
    ldr x0, [x0]
    ldr x0, [x0]
    ldr x0, [x0, #16]
    ldr x0, [x0, #24]
end load.chase

fn load.acquire
    ldar x1, [x0]
    ldarb w2, [x0]
    ldapr x3, [x0]
end load.acquire

fn store.word
    str x1, [x0]
    str x2, [x0, #8]
    str w3, [x0, #16]
    str x4, [x0, x5, lsl #3]
    str xzr, [x0, #32]
end store.word

fn store.narrow
    strb w1, [x0]
    strh w2, [x0, #2]
    sturb w3, [x0, #-1]
    strb wzr, [x0, x4]
end store.narrow

fn store.pair_indexed
    stp x1, x2, [x0]
    stp xzr, xzr, [x0, #16]
    str x3, [x0, #32]!
    str w4, [x0], #4
    stp x5, x6, [x0, #-32]!
end store.pair_indexed

fn store.read_modify_write
    ldr x1, [x0]
    add x1, x1, #1
    str x1, [x0]
    ldr w2, [x0, #8]
    orr w2, w2, #1
    str w2, [x0, #8]
end store.read_modify_write

fn atomic.exclusive
1:  ldaxr x1, [x0]
    add x1, x1, #1
    stlxr w2, x1, [x0]
    cbnz w2, 1b
end atomic.exclusive

fn atomic.lse

    ldadd x1, x2, [x0]
    swpal x3, x4, [x0]
    cas x5, x6, [x0]
end atomic.lse

fn call.leaf
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    bl 2f
    bl 2f
    ldp x29, x30, [sp], #16
    ret
2:  add x0, x0, #1
end call.leaf, ret

fn call.frame
    stp x29, x30, [sp, #-48]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    mov x20, x1
    mov x21, x2
    add x0, x19, x20
    add x0, x0, x21
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #48
end call.frame, ret

fn call.pointer
    str x30, [sp, #-16]!
    ldr x1, [x0, #24]
    blr x1
    ldr x30, [sp], #16
end call.pointer, ret

fn call.jump_table
    cmp w0, #7
    b.hi 1f
    adr x1, 2f
    ldrb w2, [x1, w0, uxtw]
    adr x3, 1f
    add x2, x3, w2, sxtb #2
    br x2
1:  mov w0, #0
    ret
2:  .byte 0, 0, 0, 0, 0, 0, 0, 0
end call.jump_table, ret

fn loop.sum
    mov x2, #0
1:  ldr x3, [x0], #8
    add x2, x2, x3
    subs x1, x1, #1
    b.ne 1b
    mov x0, x2
end loop.sum

fn loop.register_only
1:  eor x0, x0, x0, lsl #13
    eor x0, x0, x0, lsr #7
    eor x0, x0, x0, lsl #17
    add x2, x2, x0
    subs w1, w1, #1
    b.ne 1b
end loop.register_only

fn loop.nested
    mov w4, #0
1:  mov w5, #0
2:  ldr w6, [x0, w5, uxtw #2]
    madd w7, w6, w4, w7
    add w5, w5, #1
    cmp w5, w1
    b.lo 2b
    add w4, w4, #1
    cmp w4, w1
    b.lo 1b
    mov w0, w7
end loop.nested

fn loop.with_exit
1:  ldrb w2, [x0], #1
    cbz w2, 2f
    cmp w2, w1, uxtb
    b.ne 1b
2:  sub x0, x0, #1
end loop.with_exit

fn muldiv.multiply
    mul x2, x0, x1
    madd w3, w2, w1, w0
    msub x4, x3, x2, x1
    umulh x5, x4, x3
    smulh x6, x5, x4
    umull x7, w6, w5
    smaddl x0, w7, w6, x5
end muldiv.multiply

fn muldiv.divide
    udiv x2, x0, x1
    msub x3, x2, x1, x0
    sdiv w4, w0, w1
    msub w5, w4, w1, w0
end muldiv.divide

fn string.copy_pairs
1:  ldp x3, x4, [x1], #16
    ldp x5, x6, [x1], #16
    stp x3, x4, [x0], #16
    stp x5, x6, [x0], #16
    subs x2, x2, #32
    b.hi 1b
end string.copy_pairs

fn string.copy_vectors
1:  ldp q0, q1, [x1], #32
    stp q0, q1, [x0], #32
    subs x2, x2, #32
    b.hi 1b
end string.copy_vectors

fn string.bytes
1:  ldrb w3, [x1], #1
    strb w3, [x0], #1
    cbnz w3, 1b
end string.bytes

fn string.length
1:  ldr q0, [x0], #16
    cmeq v1.16b, v0.16b, #0
    umaxv b2, v1.16b
    fmov w1, s2
    cbz w1, 1b
end string.length

fn string.zero_lines
1:  dc zva, x0
    add x0, x0, #64
    subs x1, x1, #64
    b.hi 1b
end string.zero_lines

fn vector.integer
    add v0.4s, v0.4s, v1.4s
    sub v2.2d, v2.2d, v0.2d
    mul v3.4s, v2.4s, v1.4s
    add v4.16b, v3.16b, v2.16b
    smax v5.8h, v4.8h, v3.8h
    mla v6.4s, v5.4s, v4.4s
end vector.integer

fn vector.logic_compare
    and v0.16b, v0.16b, v1.16b
    eor v2.16b, v2.16b, v0.16b
    bsl v3.16b, v2.16b, v1.16b
    cmeq v4.4s, v3.4s, v2.4s
    cmhi v5.16b, v4.16b, v3.16b
    not v6.16b, v5.16b
end vector.logic_compare

fn vector.shift_permute
    shl v0.4s, v0.4s, #7
    ushr v1.2d, v0.2d, #9
    zip1 v2.16b, v1.16b, v0.16b
    ext v3.16b, v2.16b, v1.16b, #5
    tbl v4.16b, {v3.16b}, v2.16b
    rev64 v5.4s, v4.4s
    dup v6.4s, v5.s[2]
    uzp2 v7.8h, v6.8h, v5.8h
end vector.shift_permute

fn vector.across
    addv s0, v0.4s
    uaddlv h1, v1.8b
    umov w0, v0.s[0]
    mov x1, v1.d[1]
    ins v2.d[0], x0
    fmov x2, d2
end vector.across

fn vector.widen
    uxtl v0.8h, v1.8b
    sxtl2 v2.4s, v0.8h
    xtn v3.4h, v2.4s
    uaddl v4.4s, v3.4h, v0.4h
    umull v5.2d, v4.2s, v2.2s
end vector.widen

fn vector.memory
    ldr q0, [x0]
    ldp q1, q2, [x0, #16]
    ld1 {v3.4s}, [x1], #16
    str q0, [x2]
    stp q1, q2, [x2, #16]
    st1 {v3.16b}, [x2]
end vector.memory

fn vector.loop_add
1:  ldr q0, [x0], #16
    ldr q1, [x1], #16
    add v0.4s, v0.4s, v1.4s
    str q0, [x2], #16
    subs x3, x3, #4
    b.hi 1b
end vector.loop_add

fn fp.double
    fadd d0, d0, d1
    fsub d2, d2, d0
    fmul d3, d2, d1
    fdiv d4, d3, d2
    fmadd d5, d4, d3, d2
    fneg d6, d5
    fabs d7, d6
end fp.double

fn fp.single
    fadd s0, s0, s1
    fmul s2, s0, s1
    fmsub s3, s2, s1, s0
    fsqrt s4, s3
    fmax s5, s4, s3
    fminnm s6, s5, s4
end fp.single

fn fp.compare
    fcmp d0, d1
    b.gt 1f
    fmov d0, d1
1:  fcmp s2, #0.0
    b.mi 2f
    fmov s2, wzr
2:  fcsel d3, d0, d1, vs
end fp.compare

fn fp.convert
    scvtf d0, x0
    ucvtf s1, w1
    fcvtzs w2, d0
    fcvtzu x3, s1
    fcvt d2, s1
    fcvt s3, d2
    frintm d4, d2
    fmov x4, d4
end fp.convert

fn fp.vector
    fadd v0.2d, v0.2d, v1.2d
    fmul v2.4s, v2.4s, v3.4s
    fmla v4.2d, v0.2d, v1.2d
    fcmgt v5.4s, v2.4s, v3.4s
    scvtf v6.4s, v5.4s
end fp.vector

fn fp.loop_triad
1:  ldr d1, [x1], #8
    ldr d2, [x2], #8
    fmadd d1, d2, d0, d1
    str d1, [x0], #8
    subs x3, x3, #1
    b.ne 1b
end fp.loop_triad

fn system.thread_pointer
    mrs x0, tpidr_el0
    ldr x1, [x0, #16]
    add x1, x1, #1
    str x1, [x0, #16]
end system.thread_pointer

fn system.fp_control
    mrs x0, fpcr
    orr x1, x0, #0x400000
    msr fpcr, x1
end system.fp_control

fn system.barrier
    ldr x1, [x0]
    dmb ishld
    str x1, [x0, #8]
    dmb ish
end system.barrier

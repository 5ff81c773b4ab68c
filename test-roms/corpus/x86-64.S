// What compilers make, by class: each function is compiled as one region, and the host instructions are counted.

    .macro fn name
    .p2align 6
    .globl \name
    .type \name, @function
\name:
    .endm
    .macro end name, how="jmp out"
    \how
    .size \name, . - \name
    .endm
    // Nothing is at `out`, where functions leave to. Those of the class of calls return.

    .text

fn alu.add_chain
    add %rsi, %rdi
    sub $12, %rsi
    lea (%rdi,%rsi,8), %rdx
    sub %esi, %edx
    add $0x1000, %edx
    neg %rdx
    inc %rcx
    dec %ecx
    lea 16(%rdx,%rcx), %rax
end alu.add_chain

fn alu.logic
    and $0xff00ff, %edi
    or %rdi, %rsi
    xor %esi, %edx
    not %rdx
    and %rdx, %rcx
    xor %eax, %eax
    or $1, %eax
    xor %rcx, %rax
end alu.logic

fn alu.shift
    shl $5, %rdi
    shr $3, %edi
    sar $9, %rsi
    rol $17, %rsi
    mov %edi, %ecx
    shl %cl, %rsi
    shr %cl, %edx
    shld $7, %rsi, %rdx
    lea (%rsi,%rdx), %rax
end alu.shift

fn alu.shift_bmi
    shlx %rsi, %rdi, %rax
    shrx %esi, %edx, %edx
    andn %rdx, %rax, %rcx
    blsr %rcx, %rcx
    bzhi %rsi, %rcx, %rcx
    rorx $11, %rcx, %rax
end alu.shift_bmi

fn alu.extend_count
    movslq %edi, %rax
    movzbl %al, %ecx
    movsbl %cl, %edx
    movzwl %dx, %esi
    bswap %rsi
    bsr %rsi, %rdi
    popcnt %rdi, %rax
    tzcnt %rax, %rcx
    cltq
    cqto
end alu.extend_count

fn alu.partial
    mov $5, %al
    add %cl, %al
    mov %al, %ah
    add $3, %dx
    xor %bh, %cl
    setz %sil
    movzbl %sil, %eax
end alu.partial

fn flags.compare_branch
    cmp %rsi, %rdi
    ja 1f
    sub %rdi, %rsi
1:  cmp $10, %edx
    jl 2f
    add $1, %edx
2:  test $0xff, %cl
    je 3f
    xor %rsi, %rcx
3:  test %rax, %rax
    js 4f
    add $1, %rax
4:  nop
end flags.compare_branch

fn flags.result_branch
    sub $1, %rdi
    jc 1f
    add %rsi, %rdx
    jo 1f
    and $7, %ecx
    jnz 1f
    dec %eax
    jns 1f
    add $1, %rax
1:  nop
end flags.result_branch

fn flags.select
    cmp %rsi, %rdi
    cmovl %rdi, %rsi
    setge %al
    test %esi, %esi
    cmovne %ecx, %edx
    setp %cl
    sbb %r8, %r8
    bt $5, %rdx
    cmovc %r9, %r8
end flags.select

fn flags.carry_chain
    add %r8, %rax
    adc %r9, %rdx
    adc %r10, %rsi
    adc $0, %rdi
    sub %r8, %rax
    sbb %r9, %rdx
    sbb %r10, %rsi
    sbb $0, %rdi
end flags.carry_chain

fn load.word
    mov (%rdi), %rax
    mov 8(%rdi), %rcx
    mov 16(%rdi), %edx
    mov (%rax,%rcx,8), %rsi
    add (%rax,%rdx,4), %esi
    cmp 24(%rdi), %rsi
end load.word

fn load.narrow
    movzbl (%rdi), %eax
    movzwl 2(%rdi), %ecx
    movsbq 5(%rdi), %rdx
    movswl 6(%rdi), %esi
    movslq 8(%rdi), %r8
    mov 1(%rdi), %al
    cmpb $0, (%rdi)
end load.narrow

fn load.chase
    mov (%rdi), %rdi
    mov (%rdi), %rdi
    mov 16(%rdi), %rdi
    mov 24(%rdi), %rax
end load.chase

fn load.thread_local
    mov %fs:0, %rax
    mov %fs:40, %rcx
    mov %gs:8(%rax), %edx
end load.thread_local

fn load.pop
    pop %rax
    pop %rcx
    pop %rdx
    push %rdx
    push %rcx
    push %rax
end load.pop

fn store.word
    mov %rsi, (%rdi)
    mov %rdx, 8(%rdi)
    mov %ecx, 16(%rdi)
    mov %rax, (%rdi,%r8,8)
    movq $0, 32(%rdi)
end store.word

fn store.narrow
    mov %sil, (%rdi)
    mov %dx, 2(%rdi)
    movb $7, -1(%rdi)
    setz (%rdi,%rcx)
end store.narrow

fn store.read_modify_write
    addq $1, (%rdi)
    orl $1, 8(%rdi)
    incq 16(%rdi)
    xor %rax, 24(%rdi)
    shll $2, 32(%rdi)
end store.read_modify_write

fn atomic.locked
    lock addq $1, (%rdi)
    lock xadd %rax, (%rdi)
    xchg %rcx, (%rdi)
    lock cmpxchg %rdx, (%rdi)
    mfence
end atomic.locked

fn call.leaf
    sub $8, %rsp
    call 2f
    call 2f
    add $8, %rsp
    ret
2:  add $1, %rax
end call.leaf, ret

fn call.frame
    push %rbp
    mov %rsp, %rbp
    push %rbx
    push %r12
    sub $16, %rsp
    mov %rdi, %rbx
    mov %rsi, %r12
    lea (%rbx,%r12), %rax
    add $16, %rsp
    pop %r12
    pop %rbx
    leave
end call.frame, ret

fn call.pointer
    sub $8, %rsp
    call *24(%rdi)
    add $8, %rsp
end call.pointer, ret

fn call.jump_table
    cmp $7, %edi
    ja 1f
    mov %edi, %edi
    lea 1f(%rip), %rdx
    movslq (%rdx,%rdi,4), %rax
    add %rdx, %rax
    jmp *%rax
1:  xor %eax, %eax
end call.jump_table, ret

fn loop.sum
    xor %eax, %eax
1:  add (%rdi), %rax
    add $8, %rdi
    dec %rsi
    jne 1b
end loop.sum

fn loop.register_only
1:  mov %rdi, %rax
    shl $13, %rax
    xor %rax, %rdi
    mov %rdi, %rax
    shr $7, %rax
    xor %rax, %rdi
    mov %rdi, %rax
    shl $17, %rax
    xor %rax, %rdi
    add %rdi, %rdx
    sub $1, %esi
    jne 1b
end loop.register_only

fn loop.nested
    xor %ecx, %ecx
1:  xor %edx, %edx
2:  mov (%rdi,%rdx,4), %eax
    imul %ecx, %eax
    add %eax, %r8d
    add $1, %rdx
    cmp %rsi, %rdx
    jb 2b
    inc %ecx
    cmp %esi, %ecx
    jb 1b
    mov %r8d, %eax
end loop.nested

fn loop.with_exit
1:  movzbl (%rdi), %eax
    test %al, %al
    je 2f
    cmp %sil, %al
    je 2f
    add $1, %rdi
    jmp 1b
2:  mov %rdi, %rax
end loop.with_exit

fn muldiv.multiply
    imul %rsi, %rdi
    imul $77, %edi, %ecx
    mov %rdi, %rax
    mul %rsi
    imul %rcx
    mulx %rax, %r8, %r9
end muldiv.multiply

fn muldiv.divide
    mov %rdi, %rax
    xor %edx, %edx
    div %rsi
    mov %edi, %eax
    cltd
    idivl %ecx
end muldiv.divide

fn string.rep_movsb
    mov %rdx, %rcx
    rep movsb
end string.rep_movsb

fn string.rep_stosq
    xor %eax, %eax
    mov %esi, %ecx
    rep stosq
end string.rep_stosq

fn string.scan
    or $-1, %rcx
    xor %eax, %eax
    repne scasb
    not %rcx
end string.scan

fn string.copy_vectors
1:  movdqu (%rsi), %xmm0
    movdqu 16(%rsi), %xmm1
    movaps %xmm0, (%rdi)
    movaps %xmm1, 16(%rdi)
    add $32, %rsi
    add $32, %rdi
    sub $32, %rdx
    ja 1b
end string.copy_vectors

fn string.bytes
1:  movzbl (%rsi), %eax
    mov %al, (%rdi)
    inc %rsi
    inc %rdi
    test %al, %al
    jne 1b
end string.bytes

fn string.length
    pxor %xmm0, %xmm0
1:  movdqa (%rdi), %xmm1
    pcmpeqb %xmm0, %xmm1
    pmovmskb %xmm1, %eax
    add $16, %rdi
    test %eax, %eax
    je 1b
    bsf %eax, %eax
end string.length

fn vector.integer
    paddd %xmm1, %xmm0
    psubq %xmm0, %xmm2
    pmulld %xmm1, %xmm3
    paddb %xmm2, %xmm4
    pmaxsw %xmm3, %xmm5
    pmuludq %xmm4, %xmm6
    pmaddwd %xmm5, %xmm7
end vector.integer

fn vector.logic_compare
    pand %xmm1, %xmm0
    pxor %xmm0, %xmm2
    pandn %xmm1, %xmm3
    pcmpeqd %xmm2, %xmm4
    pcmpgtb %xmm3, %xmm5
    ptest %xmm5, %xmm4
    pblendvb %xmm0, %xmm1, %xmm2
end vector.logic_compare

fn vector.shift_permute
    pslld $7, %xmm0
    psrlq $9, %xmm1
    punpcklbw %xmm1, %xmm2
    palignr $5, %xmm1, %xmm3
    pshufb %xmm2, %xmm4
    pshufd $0x1b, %xmm4, %xmm5
    psrldq $4, %xmm6
    packuswb %xmm5, %xmm7
end vector.shift_permute

fn vector.moves
    movd %edi, %xmm0
    movq %rsi, %xmm1
    pinsrq $1, %rdx, %xmm0
    movq %xmm0, %rax
    pextrd $2, %xmm1, %ecx
    movdqa %xmm0, %xmm2
    pmovzxbw %xmm2, %xmm3
end vector.moves

fn vector.memory
    movdqu (%rdi), %xmm0
    movaps 16(%rdi), %xmm1
    movq 32(%rdi), %xmm2
    paddd 48(%rdi), %xmm0
    movdqu %xmm0, (%rsi)
    movaps %xmm1, 16(%rsi)
    movq %xmm2, 32(%rsi)
end vector.memory

fn vector.avx2
    vpaddd %ymm1, %ymm0, %ymm2
    vpxor %ymm2, %ymm1, %ymm3
    vpcmpeqb %ymm3, %ymm2, %ymm4
    vpmovmskb %ymm4, %eax
    vmovdqu (%rdi), %ymm5
    vmovdqu %ymm5, (%rsi)
    vpbroadcastd %xmm0, %ymm6
    vzeroupper
end vector.avx2

fn vector.loop_add
1:  movdqu (%rdi), %xmm0
    movdqu (%rsi), %xmm1
    paddd %xmm1, %xmm0
    movdqu %xmm0, (%rdx)
    add $16, %rdi
    add $16, %rsi
    add $16, %rdx
    sub $4, %rcx
    ja 1b
end vector.loop_add

fn fp.double
    addsd %xmm1, %xmm0
    subsd %xmm0, %xmm2
    mulsd %xmm1, %xmm3
    divsd %xmm2, %xmm4
    sqrtsd %xmm4, %xmm5
    maxsd %xmm5, %xmm6
    xorpd %xmm7, %xmm6
end fp.double

fn fp.single
    addss %xmm1, %xmm0
    mulss %xmm0, %xmm2
    divss %xmm1, %xmm3
    minss %xmm3, %xmm4
    sqrtss %xmm4, %xmm5
end fp.single

fn fp.fma
    vfmadd231sd %xmm1, %xmm0, %xmm2
    vfnmadd213pd %ymm2, %ymm1, %ymm3
    vaddpd %ymm3, %ymm2, %ymm4
    vmulps %ymm4, %ymm3, %ymm5
end fp.fma

fn fp.compare
    ucomisd %xmm1, %xmm0
    ja 1f
    movapd %xmm1, %xmm0
1:  comiss %xmm3, %xmm2
    jp 2f
    jb 2f
    xorps %xmm2, %xmm2
2:  cmpltsd %xmm1, %xmm0
end fp.compare

fn fp.convert
    cvtsi2sd %rdi, %xmm0
    cvtsi2ss %esi, %xmm1
    cvttsd2si %xmm0, %eax
    cvttss2si %xmm1, %rcx
    cvtss2sd %xmm1, %xmm2
    cvtsd2ss %xmm2, %xmm3
    roundsd $1, %xmm2, %xmm4
end fp.convert

fn fp.vector
    addpd %xmm1, %xmm0
    mulps %xmm3, %xmm2
    divpd %xmm0, %xmm4
    cmpltps %xmm2, %xmm5
    cvtdq2ps %xmm5, %xmm6
    unpcklpd %xmm0, %xmm7
end fp.vector

fn fp.loop_triad
1:  movsd (%rsi), %xmm1
    mulsd %xmm0, %xmm1
    addsd (%rdx), %xmm1
    movsd %xmm1, (%rdi)
    add $8, %rsi
    add $8, %rdx
    add $8, %rdi
    dec %rcx
    jne 1b
end fp.loop_triad

fn fp.x87
    fldl (%rdi)
    fmull 8(%rdi)
    faddl 16(%rdi)
    fld %st(0)
    fsqrt
    fxch %st(1)
    faddp
    fstpl (%rsi)
end fp.x87

fn system.syscall_stub
    mov %rcx, %r10
    mov $39, %eax
    syscall
    cmp $-4095, %rax
    jae 1f
    ret
1:  neg %rax
end system.syscall_stub

fn system.mxcsr
    stmxcsr (%rdi)
    mov (%rdi), %eax
    or $0x40, %eax
    mov %eax, 4(%rdi)
    ldmxcsr 4(%rdi)
end system.mxcsr

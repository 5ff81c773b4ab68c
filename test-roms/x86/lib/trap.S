// Interrupt entry, and the way to CPL 3 and back.
#ifdef __x86_64__
#define PTR .quad
#else
#define PTR .long
#endif

    .text
    .macro stub n
    .balign 8
stub_\n:
    // Vectors whose error code the CPU pushes (SDM vol. 3, table 6-1).
    .if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17 || \n == 21)
    push $0
    .endif
    push $\n
    jmp common
    .section .rodata
    PTR stub_\n
    .text
    .endm

    .section .rodata
    .globl stubs
    .balign 8
stubs:
    .text
    .altmacro
    .set n, 0
    .rept 256
    stub %n
    .set n, n + 1
    .endr
    .noaltmacro

#ifdef __x86_64__
common:
    push %rax; push %rcx; push %rdx; push %rbx; push %rbp; push %rsi; push %rdi
    push %r8; push %r9; push %r10; push %r11; push %r12; push %r13; push %r14; push %r15
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call trap
    mov %rbx, %rsp
    pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8
    pop %rdi; pop %rsi; pop %rbp; pop %rbx; pop %rdx; pop %rcx; pop %rax
    add $16, %rsp
    iretq

    // (ip, cs, flags, sp, ss)
    .globl user_enter, user_abort
user_enter:
    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
    mov %rsp, user_saved
    push %r8; push %rcx; push %rdx; push %rsi; push %rdi
    xor %eax, %eax
    iretq
user_abort:
    mov user_saved, %rsp
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov caught_ax, %rax
    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
    ret
#else
common:
    push %eax; push %ecx; push %edx; push %ebx; push %ebp; push %esi; push %edi
    cld
    mov %ds, %edi
    mov %es, %esi
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %esp, %ebx
    push %esp
    call trap
    mov %ebx, %esp
    mov %edi, %ds
    mov %esi, %es
    pop %edi; pop %esi; pop %ebp; pop %ebx; pop %edx; pop %ecx; pop %eax
    add $8, %esp
    iret

    // (ip, cs, flags, sp, ss)
    .globl user_enter, user_abort
user_enter:
    push %ebx; push %ebp; push %esi; push %edi
    mov %esp, user_saved
    mov %esp, %ebp
    push 36(%ebp); push 32(%ebp); push 28(%ebp); push 24(%ebp); push 20(%ebp)
    mov 36(%ebp), %eax
    testl $0x20000, 28(%ebp)
    jnz 1f
    mov %eax, %ds
    mov %eax, %es
1:  xor %eax, %eax
    iret
user_abort:
    mov %ss:user_saved, %esp
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov caught_ax, %eax
    pop %edi; pop %esi; pop %ebp; pop %ebx
    ret
#endif
    .section .bss
    .balign 8
user_saved: .skip 8

    .section .note.GNU-stack, "", @progbits

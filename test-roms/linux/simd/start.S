/* Entry, system calls, and the way back from a signal handler. */
    .globl _start, syscall4, restore
    .section .text
#ifdef __x86_64__
_start:
    xorl %ebp, %ebp
    call main
    movl %eax, %edi
    movl $60, %eax
    syscall
syscall4:
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %r10
    syscall
    ret
restore:
    movl $15, %eax
    syscall
#else
_start:
    xorl %ebp, %ebp
    andl $-16, %esp
    call main
    movl %eax, %ebx
    movl $1, %eax
    int $0x80
syscall4:
    pushl %ebx
    pushl %esi
    movl 12(%esp), %eax
    movl 16(%esp), %ebx
    movl 20(%esp), %ecx
    movl 24(%esp), %edx
    movl 28(%esp), %esi
    int $0x80
    popl %esi
    popl %ebx
    ret
restore:
    movl $173, %eax
    int $0x80
#endif
    .section .note.GNU-stack, "", @progbits

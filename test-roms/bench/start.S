/* Entry, system calls, and the way back from a signal handler. */
    .globl _start, syscall6, restore
    .text
#ifdef __x86_64__
_start:
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-16, %rsp
    call start
    ud2
syscall6:
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %r10
    movq %r9, %r8
    movq 8(%rsp), %r9
    syscall
    ret
restore:
    movl $15, %eax
    syscall
#else
_start:
    mov x29, #0
    mov x30, #0
    mov x0, sp
    bl start
    brk #0
syscall6:
    mov x8, x0
    mov x0, x1
    mov x1, x2
    mov x2, x3
    mov x3, x4
    mov x4, x5
    mov x5, x6
    svc #0
    ret
restore:
    mov x8, #139
    svc #0
#endif
    .section .note.GNU-stack, "", %progbits

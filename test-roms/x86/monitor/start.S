// From multiboot's protected mode to real mode; interrupts and exceptions.
#define MAGIC 0x1badb002
#define STACK 0xfffc

    .section .text.start, "ax"
    .balign 4
    .long MAGIC, 2, -(MAGIC + 2)
    .globl _start
    .code32
_start:
    cli
    cld
    mov 8(%ebx), %edx
    mov $real_at, %esi
    mov $real_start, %edi
    mov $real_end, %ecx
    sub %edi, %ecx
    rep movsb
    mov $bss_end, %ecx
    sub %edi, %ecx
    xor %eax, %eax
    rep stosb
    mov %edx, upper_kib
    // By way of 16-bit segments, whose limits and sizes stay (SDM vol. 3, 9.9.2).
    lgdt gdtr
    ljmp $8, $real_mode
    .balign 8
gdt: .quad 0, 0x00009b000000ffff, 0x000093000000ffff
gdtr: .word 23
    .long gdt

    .section .text
    .code16
real_mode:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %fs
    mov %ax, %gs
    mov %ax, %ss
    mov %cr0, %eax
    and $0xfffffffe, %eax
    mov %eax, %cr0
    ljmp $0, $1f
1:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %fs
    mov %ax, %gs
    mov %ax, %ss
    mov $STACK, %esp
    lidt idtr
    // All vectors to the stubs.
    xor %di, %di
    mov $stubs, %eax
1:  mov %eax, (%di)
    add $4, %di
    add $4, %eax
    cmp $0x400, %di
    jb 1b
    calll monitor

// Back to the prompt, whatever was under way.
    .globl abandon
abandon:
    mov $STACK, %esp
    calll prompt

    .balign 4
    .globl stubs
stubs:
    .rept 256
    .balign 4
    callw interrupt
    .endr

// The stack: address behind the stub's call, IP, CS, FLAGS. A `struct frame` is made of it.
interrupt:
    pushal
    push %gs
    push %fs
    push %es
    push %ds
    push %ss
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %fs
    mov %ax, %gs
    cld
    // Code of other segments may have a stack of its own.
    mov %ss, %bx
    mov %esp, %ebp
    movzwl %bp, %ebp
    mov %ax, %ss
    mov $inner_stack_top, %esp
    cmp $0, %bx
    jne 1f
    mov %ebp, %esp
1:  push %bx
    push %bp
    mov %bp, %si
    mov $frame, %di
    mov $25, %cx
    mov %bx, %ds
    rep movsw
    mov %ax, %ds
    pushl $frame
    calll trap
    add $4, %sp
    pop %bp
    pop %bx
    // The frame may have been changed.
    mov $frame, %si
    mov %bp, %di
    mov %bx, %es
    mov $25, %cx
    rep movsw
    mov %bx, %ss
    mov %bp, %sp
    add $2, %sp
    pop %ds
    pop %es
    pop %fs
    pop %gs
    popal
    add $2, %sp
    iretw

    .section .data
    .balign 4
idtr: .word 0x3ff
    .long 0
    .globl upper_kib
upper_kib: .long 0

    .section .bss
    .balign 4
    .globl frame
frame: .skip 50
    .balign 4
    .skip 0x400
inner_stack_top:

    .section .note.GNU-stack, "", @progbits

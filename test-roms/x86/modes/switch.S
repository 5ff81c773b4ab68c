// The ways between protected, real and long mode.

#define BLOCK 0x8000            // where the 16-bit code is copied to
#define RESULTS 0x1000          // in the block's segment
#define OFF(label) (label - rm_start)

    .text
    // Calls a routine of the block in real mode. The argument is its offset.
    .globl real_call
real_call:
    push %ebx
    push %ebp
    push %esi
    push %edi
    mov 20(%esp), %ebx
    mov %esp, saved_esp
    sidt saved_idt
    lidt real_idt
    ljmp $0x20, $BLOCK + OFF(to_real)
back:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov saved_esp, %esp
    lidt saved_idt
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret

    .globl rm_start, rm_end
    .code16
    .balign 16
rm_start:
to_real:
    mov $0x28, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %ax, %gs
    // FS keeps its limit of 4 GiB.
    mov $0x10, %ax
    mov %ax, %fs
    mov %cr0, %eax
    and $~1, %eax
    mov %eax, %cr0
    ljmp $BLOCK / 16, $OFF(1f)
1:  mov %cs, %ax
    mov %ax, %ds
    mov %ax, %es
    xor %ax, %ax
    mov %ax, %ss
    mov %ax, %fs
    mov %ax, %gs
    mov $0x7ff0, %esp
    call *%bx
    cli
    cld
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $8, $back

    // Exceptions: number and IP are noted, and the address in `resume` is where it goes on.
    .macro fault n
    .globl rm_fault_\n
rm_fault_\n:
    movb $\n, %cs:RESULTS + 0x80
    jmp rm_fault
    .endm
    fault 0
    fault 6
    fault 12
    fault 13
rm_fault:
    push %bp
    push %ax
    mov %sp, %bp
    mov 4(%bp), %ax
    mov %ax, %cs:RESULTS + 0x82
    mov %cs:RESULTS + 0x84, %ax
    mov %ax, 4(%bp)
    pop %ax
    pop %bp
    iret

    .macro expect to
    movw $OFF(\to), RESULTS + 0x84
    movb $0xff, RESULTS + 0x80
    .endm
    // Stores a fault's number and how far behind `from` it was as result n.
    .macro result n, from
    movzbl RESULTS + 0x80, %eax
    shl $16, %eax
    mov RESULTS + 0x82, %ax
    sub $OFF(\from), %ax
    mov %eax, RESULTS + 4 * \n
    .endm

    .globl r_state
r_state:
    mov %cs, %ax
    mov %ax, RESULTS
    mov %sp, RESULTS + 4
    smsw %ax
    mov %ax, RESULTS + 8
    pushf
    pop %ax
    mov %ax, RESULTS + 12
    // Operands have 16 bits, with the prefix 32.
    mov $0xffffffff, %eax
    add $1, %ax
    mov %eax, RESULTS + 16
    mov $0xffffffff, %eax
    add $1, %eax
    mov %eax, RESULTS + 20
    pushl $0x12345678
    popw %ax
    popw %dx
    mov %ax, RESULTS + 24
    mov %dx, RESULTS + 28
    ret

    .globl r_int, r_handler
r_int:
    movw $OFF(r_handler), %ss:0x60 * 4
    movw $BLOCK / 16, %ss:0x60 * 4 + 2
    mov %sp, RESULTS
    stc
    sti
    int $0x60
r_int_next:
    pushf
    cli
    pop %ax
    mov %ax, RESULTS + 4
    mov %sp, RESULTS + 8
    ret
r_handler:
    pushf
    pop %ax
    mov %ax, RESULTS + 12
    mov %sp, RESULTS + 16
    mov %sp, %bp
    mov (%bp), %ax
    sub $OFF(r_int_next), %ax
    mov %ax, RESULTS + 20
    mov 2(%bp), %ax
    mov %ax, RESULTS + 24
    mov 4(%bp), %ax
    mov %ax, RESULTS + 28
    andw $~1, 4(%bp)
    iret

    .globl r_wrap
r_wrap:
    // Offsets wrap at 64 KiB, addresses do not at 1 MiB (A20 is on).
    movb $0x42, 1
    mov $0xffff, %bx
    mov $2, %si
    mov (%bx, %si), %al
    mov %al, RESULTS
    mov $0xffff, %ax
    mov %ax, %es
    mov %es:0x10, %eax
    mov %eax, RESULTS + 4
    mov %cs, %ax
    mov %ax, %es
    // The stack as well.
    mov %sp, %bp
    mov $2, %sp
    push %ss:0
    push %ax
    mov %sp, RESULTS + 8
    pop %ax
    pop %ss:0
    mov %bp, %sp
    ret

    .globl r_fault
r_fault:
    expect 2f
    xor %cx, %cx
1:  div %cx
2:  result 0, 1b
    expect 2f
1:  ud2
2:  result 1, 1b
    // Not for real mode: STR, LLDT, LTR, VERR, LAR, LSL, ARPL.
    expect 2f
1:  str %ax
2:  result 2, 1b
    expect 2f
1:  lldt %ax
2:  result 3, 1b
    expect 2f
1:  verr %ax
2:  result 4, 1b
    expect 2f
1:  lar %ax, %cx
2:  result 5, 1b
    expect 2f
1:  lsl %ax, %cx
2:  result 6, 1b
    expect 2f
1:  arpl %ax, %cx
2:  result 7, 1b
    ret

    .globl r_limits
r_limits:
    // The last byte, what reaches beyond it, and what is there.
    mov $0xffff, %ebx
    expect 2f
1:  mov (%bx), %ax
2:  result 0, 1b
    expect 2f
1:  mov (%bx), %al
2:  result 1, 1b
    inc %ebx
    expect 2f
1:  addr32 mov (%ebx), %al
2:  result 2, 1b
    // By SS it is 12.
    expect 2f
1:  addr32 mov %ss:(%ebx), %al
2:  result 3, 1b
    ret

    .globl r_unreal
r_unreal:
    mov $0x100000, %ebx
    addr32 mov %fs:(%ebx), %eax
    mov %eax, RESULTS
    // A load of the segment register changes its base only.
    mov $BLOCK / 16 - 0x10, %ax
    mov %ax, %fs
    addr32 mov %fs:-BLOCK + 0x100(%ebx), %eax
    mov %eax, RESULTS + 4
    addr32 movl $0x12345678, %fs:-BLOCK + 0x100 + 0x800000(%ebx)
    ret

    .globl r_paging
r_paging:
    // PG without PE.
    expect 2f
    mov %cr0, %eax
    or $0x80000000, %eax
1:  mov %eax, %cr0
2:  result 0, 1b
    ret

    // From real mode to long mode in one step: LME and PAE are set.
    .globl r_long
r_long:
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    ljmpl $0x18, $1f
    .code64
1:  mov $0x1122334455667788, %rax
    mov $BLOCK + RESULTS, %ebp
    mov %rax, (%rbp)
    mov $0xc0000080, %ecx
    rdmsr
    mov %eax, 8(%rbp)
    // And back: through a 16-bit segment.
    mov $1f, %eax
    ljmpl *(%rax)
    .pushsection .rodata
1:  .long BLOCK + OFF(2f)
    .word 0x20
    .popsection
    .code16
2:  mov $0x28, %ax
    mov %ax, %ss
    mov %ax, %ds
    mov %ax, %es
    mov %cr0, %eax
    and $0x7ffffffe, %eax
    mov %eax, %cr0
    ljmp $BLOCK / 16, $OFF(1f)
1:  mov %cs, %ax
    mov %ax, %ds
    mov %ax, %es
    xor %ax, %ax
    mov %ax, %ss
    movw $0x4321, RESULTS + 12
    ret
rm_end:

    .code32
    // long_call(f): f in long mode.
    .globl long_call
long_call:
    push %ebx
    push %ebp
    push %esi
    push %edi
    mov 20(%esp), %ebx
    mov %esp, saved_esp
    sidt saved_idt
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    // Compatibility mode.
    rdmsr
    mov %eax, results64
    xor %eax, %eax
    .byte 0x48                  // DEC EAX, or REX.W
    nop
    mov %eax, results64 + 8
    lidt idtr64
    ljmp $0x18, $1f
    .code64
1:  mov $results64, %ebp
    call *%rbx
    mov $1f, %eax
    ljmpl *(%rax)
    .pushsection .rodata
1:  .long 1f
    .word 8
    .popsection
    .code32
1:  mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    mov $0xc0000080, %ecx
    rdmsr
    mov %eax, results64 + 16
    and $~0x100, %eax
    wrmsr
    mov %cr4, %eax
    and $~0x20, %eax
    mov %eax, %cr4
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov saved_esp, %esp
    lidt saved_idt
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret

    .code64
    .globl l_regs, l_compat, l_int, l_faults, fault64, int64
l_regs:
    mov $0x123456789abcdef0, %r8
    lea 1(%r8, %r8), %r15
    mov %r15, 32(%rbp)
    mov $-1, %rax
    mov $1, %eax
    mov %rax, 40(%rbp)
    mov $-1, %rax
    mov $1, %ax
    mov %rax, 48(%rbp)
    movslq number(%rip), %rcx
    mov %rcx, 56(%rbp)
    mov $0x5500, %r9d
    mov $0x66, %r9b
    mov %r9, 64(%rbp)
    mov $0x77, %sil
    movzbl %sil, %eax
    mov %rax, 72(%rbp)
    pushq $-2
    mov (%rsp), %rax
    mov %rax, 80(%rbp)
    pop %rdx
    ret
l_compat:
    xor %eax, %eax
    mov $0x1122334455667788, %r12
    mov $1f, %ecx
    lcalll *(%rcx)
    mov %rax, 32(%rbp)
    mov %r12, 40(%rbp)
    mov %cs, 48(%rbp)
    ret
    .pushsection .rodata
1:  .long 1f
    .word 8
    .popsection
    .code32
1:  .byte 0x40                  // INC EAX, or REX
    nop
    int $0x60
    inc %eax
    lret
    .code64
l_int:
    mov %rsp, 40(%rbp)
    int $0x60
    mov %rsp, 48(%rbp)
    ret
int64:
    mov %cs, 56(%rbp)
    mov 8(%rsp), %rdx
    mov %rdx, 64(%rbp)
    add $0x10, %eax
    iretq
    // An exception with error code: it goes on at R15.
fault64:
    pop 24(%rbp)
    mov %r15, (%rsp)
    incl 32(%rbp)
    iretq
l_faults:
    // PG, PAE and LME may not change from 64-bit code.
    mov $1f, %r15d
    mov %cr0, %rax
    btr $31, %rax
    mov %rax, %cr0
1:  mov $1f, %r15d
    mov %cr4, %rax
    btr $5, %rax
    mov %rax, %cr4
1:  mov $1f, %r15d
    mov $0xc0000080, %ecx
    rdmsr
    btr $8, %eax
    wrmsr
1:  ret

    .code32
    // 16-bit code in protected mode: its default sizes.
    .globl far_call, code16
far_call:
    lcall *4(%esp)
    ret
    .code16
code16:
    mov $0xffffffff, %eax
    add $1, %ax
    mov %eax, %edx
    push %ax
    pop %cx
    lretl
    .code32
    // A 16-bit stack: only SP counts.
    .globl stack16
stack16:
    push %ebx
    mov %esp, %ebx
    mov $0x28, %ecx
    mov %ecx, %ss
    mov $0x12340000, %esp
    push $0x55667788
    mov %esp, %eax
    pop %edx
    mov $0x10, %ecx
    mov %ecx, %ss
    mov %ebx, %esp
    pop %ebx
    ret

    .section .rodata
real_idt:
    .word 0x3ff
    .long 0
idtr64:
    .word 0x1000 - 1
    .long idt64
number: .long 0x80000001
    .section .bss
    .globl results64, idt64
    .balign 16
saved_esp: .skip 4
saved_idt: .skip 8
results64: .skip 128
    .balign 16
idt64: .skip 4096

    .section .note.GNU-stack, "", @progbits

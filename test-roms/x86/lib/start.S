// Entry by multiboot 1: protected mode, flat segments, no paging.
#define MAGIC 0x1badb002

    .section .text.start, "ax"
    .balign 4
    .long MAGIC, 0, -MAGIC
    .globl _start
    .code32
_start:
    cli
    cld
    mov $stack_top, %esp
#ifdef __x86_64__
    // 2 MiB pages for 4 GiB; all may be used at CPL 3.
    mov $boot_pd, %edi
    mov $0x87, %eax
1:  mov %eax, (%edi)
    add $8, %edi
    add $0x200000, %eax
    jnc 1b
    movl $boot_pd + 0x0007, boot_pdpt
    movl $boot_pd + 0x1007, boot_pdpt + 8
    movl $boot_pd + 0x2007, boot_pdpt + 16
    movl $boot_pd + 0x3007, boot_pdpt + 24
    movl $boot_pdpt + 7, boot_pml4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    lgdt boot_gdtr
    ljmp $8, $1f
    .code64
1:  mov $stack_top, %esp
#else
    lgdt boot_gdtr
    ljmp $8, $1f
1:
#endif
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    call rom_start
1:  hlt
    jmp 1b

    .section .data
    .globl gdt, boot_gdtr
    .balign 8
gdt:
    .quad 0
#ifdef __x86_64__
    .quad 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
#else
    .quad 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
#endif
    .quad 0x00009b000000ffff, 0x000093000000ffff
    .quad 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
    .fill 31, 8, 0
boot_gdtr:
    .word 40 * 8 - 1
    .long gdt, 0

    .section .bss
    .balign 4096
    .globl boot_pml4, boot_pdpt, boot_pd, stack_top, trap_stack_top
#ifdef __x86_64__
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 4 * 4096
#endif
    .skip 0x4000
stack_top:
    .skip 0x4000
trap_stack_top:

    .section .note.GNU-stack, "", @progbits

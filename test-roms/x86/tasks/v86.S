// Virtual-8086 code, copied to 0x8000 (0800:0000), and the ways into it and into tasks.

    .text
    // (struct v86 *): IRET to virtual-8086 mode; an interrupt hook ends it (user_abort).
    // ip, cs, flags, sp, ss, es, ds, fs, gs, eax
    .globl v86_enter
v86_enter:
    push %ebx
    push %ebp
    push %esi
    push %edi
    mov 20(%esp), %ebx
    mov %esp, v86_saved
    pushl 32(%ebx)
    pushl 28(%ebx)
    pushl 24(%ebx)
    pushl 20(%ebx)
    pushl 16(%ebx)
    pushl 12(%ebx)
    pushl 8(%ebx)
    pushl 4(%ebx)
    pushl (%ebx)
    mov 36(%ebx), %eax
    iret
    .globl v86_leave
v86_leave:
    mov v86_saved, %esp
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret

    .globl v_start, v_end, v_state, v_int, v_handler, v_cli, v_sti, v_pushf, v_out, v_in, v_hlt, v_32, v_iret, v_popf, v_cr, v_str
    .code16
v_start:
v_state:
    mov %cs, %ax
    mov %ds, %bx
    mov %ss, %cx
    mov %sp, %dx
    shl $16, %eax
    mov %es:0, %ax
    hlt
v_int:
    stc
    int $0x60
    hlt
v_handler:
    mov %sp, %bp
    mov 4(%bp), %cx
    pushf
    pop %dx
    movw $0x1234, %ax
    andw $~1, 4(%bp)
    iret
v_cli: cli
    pushf
    pop %ax
    hlt
v_sti: sti
    pushf
    pop %ax
    hlt
v_pushf: pushf
    pop %ax
    hlt
v_popf: pushw $0x3202
    popf
    pushf
    pop %ax
    hlt
v_iret: pushf
    push %cs
    push $(1f - v_start)
    iret
1:  mov $0x77, %ax
    hlt
v_out: out %al, $0x80
    hlt
v_in: in $0x71, %al
    hlt
v_hlt: hlt
v_32:
    // Prefixes give 32 bits of operand; offsets are of 16.
    mov $0x12345678, %eax
    addr32 mov %ds:0x100(,%esi,1), %bl
    hlt
v_cr: mov %cr0, %eax
    hlt
v_str: str %ax
    hlt
v_end:

    .code32
    // ---- Tasks: each counts, and goes back as it was called.
    .globl task_code, task_jumped, task_fault
task_code:
    incl task_runs
    pushf
    pop task_flags
    mov %ss, task_ss
    mov %fs, task_fs
    mov %cr0, %eax
    mov %eax, task_cr0
    add $5, %esi
    iret
    jmp task_code
    // Reached by JMP, it jumps back.
task_jumped:
    incl task_runs
    pushf
    pop task_flags
    ljmp $0x48, $0
    jmp task_jumped
    // The handler of an exception with error code.
task_fault:
    pop task_error
    incl task_runs
    mov task_resume, %eax
    mov $tss, %ecx
    mov %eax, 32(%ecx)
    iret
    jmp task_fault

    // ---- Call gates
    .globl gate_entry, gate_entry16, gate_entry_user
    // Two parameters.
gate_entry:
    mov %cs, %eax
    shl $16, %eax
    mov 8(%esp), %ecx
    add 12(%esp), %ecx
    mov %cx, %ax
    mov %esp, gate_esp
    mov 16(%esp), %edx
    mov %edx, gate_old_esp
    lret $8

    .section .bss
    .globl task_runs, task_flags, task_ss, task_fs, task_cr0, task_error, task_resume, gate_esp, gate_old_esp
    .balign 4
v86_saved: .skip 4
task_runs: .skip 4
task_flags: .skip 4
task_ss: .skip 4
task_fs: .skip 4
task_cr0: .skip 4
task_error: .skip 4
task_resume: .skip 4
gate_esp: .skip 4
gate_old_esp: .skip 4

    .section .note.GNU-stack, "", @progbits

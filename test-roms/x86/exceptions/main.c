// Exceptions: which one, its error code, where it says it was; gates; stepping. SDM vol. 3, chapters 6 and 17.

#include "rom.h"

// Address of a label in the asm statement before.
#define AT(label)                                            \
    ({                                                       \
        extern u8 label[];                                   \
        (reg) label;                                         \
    })
// What CPL 3 code uses of memory.
static volatile u32 word;

static void divide(void)
{
    FAULTS(DE, 0, "xor %%edx, %%edx; xor %%ecx, %%ecx; de_1: div %%ecx", ::: "eax", "ecx", "edx", "memory");
    EQ(caught.ip, AT(de_1));
    EQ(caught.cs, SEL_CODE);
    // A quotient too large.
    FAULTS(DE, 0, "mov $0x8000, %%eax; mov $0x80, %%cl; div %%cl", ::: "eax", "ecx", "memory");
    FAULTS(DE, 0, "mov $0x80000000, %%eax; cltd; mov $-1, %%ecx; idiv %%ecx", ::: "eax", "ecx", "edx", "memory");
#if !LONG
    FAULTS(DE, 0, "mov $5, %%eax; .byte 0xd4, 0", ::: "eax", "memory");
#endif
}

static void software(void)
{
    FAULTS(BP, 0, "int3; bp_1:", ::: "memory");
    EQ(caught.ip, AT(bp_1));
    FAULTS(BP, 0, ".byte 0xcd, 3; bp_2:", ::: "memory");
    EQ(caught.ip, AT(bp_2));
    FAULTS(0x55, 0, "int $0x55; int_1:", ::: "memory");
    EQ(caught.ip, AT(int_1));
    // INT n pushes no error code, whatever the vector.
    static bool seen;
    bool hook(struct frame *f)
    {
        // The stub of vector 13 takes the IP for an error code.
        seen = f->error == AT(int_2);
        reg *words = &f->error;
        // Shift what the CPU pushed to where the stub's IRET finds it.
        for (int i = LONG ? 5 : 3; i > 0; i--)
            words[i] = words[i - 1];
        return true;
    }
    seen = false;
    hooks[GP] = hook;
#if LONG
    // The CPU aligned the stack: the frame's last word is the first above what it pushed.
    asm volatile("sub $64, %%rsp; int $13; int_2: add $64, %%rsp" ::: "memory");
#else
    asm volatile("sub $64, %%esp; push $0; int $13; int_2: add $64, %%esp" ::: "memory");
#endif
    hooks[GP] = NULL;
    EQ(seen, true);
}

#if !LONG
static void bounds(void)
{
    static s32 range[2] = {-5, 10};
    FAULTS(OF, 0, "mov $0x7f, %%al; inc %%al; into; of_1:", ::: "eax", "memory");
    EQ(caught.ip, AT(of_1));
    FINE("xor %%eax, %%eax; into", ::: "eax", "memory");
    FINE("mov $-5, %%eax; bound %%eax, %0; mov $10, %%eax; bound %%eax, %0", ::"m"(range) : "eax", "memory");
    FAULTS(BR, 0, "mov $11, %%eax; br_1: bound %%eax, %0", ::"m"(range) : "eax", "memory");
    EQ(caught.ip, AT(br_1));
    FAULTS(BR, 0, "mov $-6, %%eax; bound %%eax, %0", ::"m"(range) : "eax", "memory");
}
#endif

static void undefined(void)
{
    FAULTS(UD, 0, "ud_1: ud2", ::: "memory");
    EQ(caught.ip, AT(ud_1));
    FAULTS(UD, 0, ".byte 0x0f, 0xb9, 0xc0", ::: "memory");
    FAULTS(UD, 0, ".byte 0x0f, 0xff, 0xc0", ::: "memory");
    // LOCK with a register destination; LEA and a register; MOV CS; 16-byte loads from registers.
    FAULTS(UD, 0, ".byte 0xf0, 0x01, 0xc0", ::: "eax", "memory");
    FAULTS(UD, 0, ".byte 0x8d, 0xc0", ::: "eax", "memory");
    FAULTS(UD, 0, ".byte 0x8e, 0xc8", ::: "memory");
    FAULTS(UD, 0, ".byte 0x0f, 0xc7, 0xc8", ::: "memory");
    // CR1, CR5.
    FAULTS(UD, 0, ".byte 0x0f, 0x20, 0xc8", ::: "eax", "memory");
    FAULTS(UD, 0, ".byte 0x0f, 0x20, 0xe8", ::: "eax", "memory");
#if LONG
    // Gone in 64-bit mode: AAA, DAA, PUSH ES, POPA, INTO, BOUND's byte as EVEX without its rest, LES as VEX of nothing.
    FAULTS(UD, 0, ".byte 0x37", ::: "memory");
    FAULTS(UD, 0, ".byte 0x27", ::: "memory");
    FAULTS(UD, 0, ".byte 0x06", ::: "memory");
    FAULTS(UD, 0, ".byte 0x61", ::: "memory");
    FAULTS(UD, 0, ".byte 0xce", ::: "memory");
    FAULTS(UD, 0, ".byte 0x9a, 0, 0, 0, 0, 0, 0", ::: "memory");
    FAULTS(UD, 0, ".byte 0xd4, 10", ::: "memory");
    FAULTS(UD, 0, ".byte 0x82, 0xc0, 0", ::: "memory");
#endif
}

static void locked(void)
{
    FAULTS(UD, 0, ".byte 0xf0, 0x01, 0xc0", ::: "eax", "memory");
    FAULTS(UD, 0, ".byte 0xf0, 0x90", ::: "memory");
    // CMP, MOV, SHL, BT only read or are not on the list (SDM vol. 2, LOCK).
    qemu_lacks("does not refuse it with CMP, MOV and shifts");
    FAULTS(UD, 0, "lea word, %%" R("ax") "; .byte 0xf0, 0x39, 0x00", ::: "eax", "memory");
    FAULTS(UD, 0, "lea word, %%" R("ax") "; .byte 0xf0, 0x0f, 0xa3, 0x00", ::: "eax", "memory");
    FAULTS(UD, 0, "lea word, %%" R("ax") "; .byte 0xf0, 0x89, 0x00", ::: "eax", "memory");
    FAULTS(UD, 0, "lea word, %%" R("ax") "; .byte 0xf0, 0xd1, 0x20", ::: "eax", "memory");
}

static void too_long(void)
{
    // 15 bytes are the most an instruction has.
    FINE(".fill 14, 1, 0x66; nop", ::: "memory");
    FAULTS(GP, 0, ".fill 15, 1, 0x66; nop", ::: "memory");
}

#if LONG
static void stray_branches(void)
{
    if (on_tcg) {
        test_skip("does not check where branches go");
        return;
    }
    reg far = 1ull << 47, sp = 0;
    // Often enough for a translator to find them hot.
    for (unsigned i = 0; i < 300; i++) {
        FAULTS(GP, 0, "sb_1: jmp *%0", ::"r"(far) : "memory");
        EQ(caught.ip, AT(sb_1));
        FAULTS(GP, 0, "mov %%rsp, %0; sb_2: call *%1", : "=m"(sp) : "r"(far) : "memory");
        EQ(caught.ip, AT(sb_2));
        EQ(caught.sp, sp);
        FAULTS(GP, 0, "sb_3: jmp *%0", ::"m"(far) : "memory");
        EQ(caught.ip, AT(sb_3));
    }
}
#endif

static void coprocessor(void)
{
    reg cr0 = READ_REG("cr0");
    WRITE_REG("cr0", (cr0 | CR0_TS | CR0_MP) & ~(reg)CR0_EM);
    FAULTS(NM, 0, "nm_1: fnop", ::: "memory");
    EQ(caught.ip, AT(nm_1));
    FAULTS(NM, 0, "fwait", ::: "memory");
    WRITE_REG("cr0", (cr0 | CR0_TS) & ~(reg)(CR0_EM | CR0_MP));
    FINE("fwait", ::: "memory");
    FAULTS(NM, 0, "fld1", ::: "memory");
    FINE("clts; fnop", ::: "memory");
    WRITE_REG("cr0", (cr0 | CR0_EM) & ~(reg)CR0_TS);
    FAULTS(NM, 0, "fld1", ::: "memory");
    WRITE_REG("cr4", READ_REG("cr4") | CR4_OSFXSR);
    FAULTS(UD, 0, "xorps %%xmm0, %%xmm0", ::: "memory");
    WRITE_REG("cr0", (cr0 & ~(reg)CR0_EM) | CR0_TS | CR0_MP);
    FAULTS(NM, 0, "xorps %%xmm0, %%xmm0", ::: "memory");
    WRITE_REG("cr0", (cr0 & ~(reg)(CR0_EM | CR0_TS)) | CR0_MP);
    FINE("xorps %%xmm0, %%xmm0", ::: "memory");
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_OSFXSR);
    FAULTS(UD, 0, "xorps %%xmm0, %%xmm0", ::: "memory");
}

static void segments(void)
{
    u16 absent = set_slot(0, descriptor(0, 0xfffff, ACC_DATA & 0x7f, G | D));
    u16 code = set_slot(1, descriptor(0, 0xfffff, 0x98, G | D));
    u16 absent_code = set_slot(2, descriptor(0, 0xfffff, 0x18, G | D));
    FAULTS(NP, absent, "np_1: mov %0, %%fs", ::"r"((u32)absent) : "memory");
    EQ(caught.ip, AT(np_1));
    FAULTS(SS, absent, "mov %0, %%ss", ::"r"((u32)absent) : "memory");
    // Beyond the table; RPL is not part of the error code; TI is.
    asm volatile("lldt %w0" ::"r"(0));
    FAULTS(GP, GDT_SLOTS * 8, "mov %0, %%fs", ::"r"(GDT_SLOTS * 8 + 2) : "memory");
    FAULTS(GP, 0x14, "mov %0, %%fs", ::"r"(0x14) : "memory");
    // Execute-only code, a TSS, a stack that is code, of another privilege.
    FAULTS(GP, code, "mov %0, %%fs", ::"r"((u32)code) : "memory");
    FAULTS(GP, SEL_TSS, "mov %0, %%fs", ::"r"(SEL_TSS) : "memory");
    FAULTS(GP, SEL_CODE, "mov %0, %%ss", ::"r"(SEL_CODE) : "memory");
    FAULTS(GP, SEL_UDATA & ~3, "mov %0, %%ss", ::"r"(SEL_UDATA) : "memory");
    if (!LONG)
        FAULTS(GP, 0, "mov %0, %%ss", ::"r"(0) : "memory");
    FINE("mov %0, %%fs", ::"r"(3) : "memory");
    // Far jumps.
    struct {
        u32 to;
        u16 sel;
    } __attribute__((packed)) far = {0x1000, 0};
    FAULTS(GP, 0, "ljmp *%0", ::"m"(far) : "memory");
    far.sel = SEL_DATA;
    FAULTS(GP, SEL_DATA, "ljmp *%0", ::"m"(far) : "memory");
    far.sel = absent_code;
    FAULTS(NP, absent_code, "ljmp *%0", ::"m"(far) : "memory");
    far.sel = SEL_UCODE;
    FAULTS(GP, SEL_UCODE & ~3, "ljmp *%0", ::"m"(far) : "memory");
    // LTR of what is no TSS, of nothing, of a busy one; LLDT.
    FAULTS(GP, SEL_DATA, "ltr %w0", ::"r"(SEL_DATA) : "memory");
    FAULTS(GP, SEL_TSS, "ltr %w0", ::"r"(SEL_TSS) : "memory");
    FAULTS(GP, SEL_DATA, "lldt %w0", ::"r"(SEL_DATA) : "memory");
    u16 ldt = set_slot(4, descriptor(0, 0xff, ACC_LDT & 0x7f, 0));
    gdt[SEL_TEST / 8 + 5] = 0;
    FAULTS(NP, ldt, "lldt %w0", ::"r"((u32)ldt) : "memory");
}

static void null_task(void)
{
    qemu_lacks("loads TR with null");
    FAULTS(GP, 0, "ltr %w0", ::"r"(0) : "memory");
    gdt[SEL_TSS / 8] = descriptor((u32)(reg)&tss, sizeof tss - 1, ACC_TSS, 0);
    asm volatile("ltr %w0" ::"r"(SEL_TSS) : "memory");
}

static void interrupt_table(void)
{
    struct gate old = idt[0x60];
    if (LONG)
        qemu_lacks("counts the IDT's entries twice in error codes");
    idt[0x60].access &= 0x7f;
    FAULTS(NP, 0x60 * 8 + 2, "int $0x60", ::: "memory");
    // No gate at all.
    idt[0x60].access = 0x80 | 9;
    FAULTS(GP, 0x60 * 8 + 2, "int $0x60", ::: "memory");
    // To data, to nothing, to an absent segment.
    idt[0x60] = gate((void *)0x1000, SEL_DATA, GATE_INT, 0, 0);
    FAULTS(GP, SEL_DATA, "int $0x60", ::: "memory");
    idt[0x60] = gate((void *)0x1000, 0, GATE_INT, 0, 0);
    FAULTS(GP, 0, "int $0x60", ::: "memory");
    u16 absent = set_slot(0, descriptor(0, 0xfffff, 0x1a, LONG ? G | L : G | D));
    idt[0x60] = gate((void *)0x1000, absent, GATE_INT, 0, 0);
    FAULTS(NP, absent, "int $0x60", ::: "memory");
    idt[0x60] = old;
    // Beyond the limit.
    struct table idtr = {0x60 * sizeof(struct gate) - 1, (reg)idt};
    asm volatile("lidt %0" ::"m"(idtr));
    FAULTS(GP, 0x60 * 8 + 2, "int $0x60", ::: "memory");
    idtr.limit = sizeof idt - 1;
    asm volatile("lidt %0" ::"m"(idtr));
}

static void double_fault(void)
{
    struct gate np = idt[NP], gp = idt[GP], de = idt[DE], ud = idt[UD];
    // #GP whose gate is absent: #NP while delivering a contributory exception.
    idt[GP].access &= 0x7f;
    FAULTS(DF, 0, "mov %0, %%fs", ::"r"(SEL_TSS) : "memory");
    // #DE is contributory as well.
    idt[GP] = gp;
    idt[DE].access &= 0x7f;
    FAULTS(DF, 0, "xor %%ecx, %%ecx; div %%ecx", ::: "eax", "ecx", "edx", "memory");
    idt[DE] = de;
    // #UD is benign: what follows is delivered, with EXT set (SDM vol. 3, 6.13).
    qemu_lacks("no EXT in the error code");
    idt[UD].access &= 0x7f;
    FAULTS(NP, UD * 8 + 3, "ud2", ::: "memory");
    idt[UD] = ud;
    idt[NP] = np;
}

// ---- CPL 3

#define USER(name, code) \
    extern const u8 name[]; \
    asm(".pushsection .text\n" #name ": " code "\nint $0x80\n.popsection\n")

USER(u_sum, "mov $40, %eax; add $2, %eax; mov %cs, %ecx; shl $16, %ecx; or %ecx, %eax");
USER(u_hlt, "hlt");
USER(u_cli, "cli");
USER(u_in, "in $0x71, %al");
USER(u_cr0, "mov %cr0, %" R("ax"));
USER(u_int, "int $0x21");
USER(u_int3, "int3");
USER(u_icebp, ".byte 0xf1");
USER(u_lgdt, "lgdt boot_gdtr");
USER(u_rdmsr, "mov $0x10, %ecx; rdmsr");
USER(u_ss, "xor %eax, %eax; mov %eax, %ss");
USER(u_kernel_data, "mov $0x10, %eax; mov %eax, %ds");
USER(u_str, "str %ax");
USER(u_smsw, "smsw %ax");
USER(u_sidt, "push %" R("ax") "; push %" R("ax") "; sidt (%" R("sp") ")");
USER(u_popf, "push $0x3202; popf; pushf; pop %" R("ax"));
USER(u_align, "pushf; orl $0x40000, (%" R("sp") "); popf; mov word + 1, %eax");
USER(u_sti, "sti; pushf; pop %" R("ax"));

#define USER_FAULT(code, vec, err)       \
    do {                                 \
        user_run(code, USER_SP);         \
        EQ(caught.vector, vec);          \
        EQ(caught.error, err);           \
    } while (0)

static void privilege(void)
{
    EQ(user_run(u_sum, USER_SP), SEL_UCODE << 16 | 42);
    EQ(caught.vector, 0x80);
    EQ(caught.cs, SEL_UCODE);
    EQ(caught.ss, SEL_UDATA);
    EQ(caught.sp, (reg)USER_SP);
    USER_FAULT(u_hlt, GP, 0);
    EQ(caught.ip, (reg)u_hlt);
    USER_FAULT(u_cli, GP, 0);
    USER_FAULT(u_in, GP, 0);
    USER_FAULT(u_cr0, GP, 0);
    USER_FAULT(u_lgdt, GP, 0);
    USER_FAULT(u_rdmsr, GP, 0);
    USER_FAULT(u_ss, GP, 0);
    USER_FAULT(u_kernel_data, GP, SEL_DATA);
    USER_FAULT(u_int3, BP, 0);
    EQ(caught.ip, (reg)u_int3 + 1);
    // POPF neither changes IF nor IOPL nor faults.
    EQ(user_run(u_popf, USER_SP) & 0x3200, 0);
}

static void gate_privilege(void)
{
    if (LONG)
        qemu_lacks("counts the IDT's entries twice in error codes");
    USER_FAULT(u_int, GP, 0x21 * 8 + 2);
    EQ(caught.ip, (reg)u_int);
}

static void io_privilege(void)
{
    // The bitmap lets port 0x71 through.
    tss.bitmap[0x71 / 8] &= (u8)~BIT(1);
    user_run(u_in, USER_SP);
    EQ(caught.vector, 0x80);
    tss.bitmap[0x71 / 8] = 0xff;
    USER_FAULT(u_in, GP, 0);
    // IOPL 3 lets all through, and IF change.
    EQ(user_enter((reg)u_sti, SEL_UCODE, 0x3002, (reg)USER_SP, SEL_UDATA) & 0x3200, 0x3200);
    EQ(user_enter((reg)u_popf, SEL_UCODE, 0x3002, (reg)USER_SP, SEL_UDATA) & 0x3200, 0x3200);
    user_enter((reg)u_in, SEL_UCODE, 0x3002, (reg)USER_SP, SEL_UDATA);
    EQ(caught.vector, 0x80);
    USER_FAULT(u_hlt, GP, 0);
}

static void umip(void)
{
    user_run(u_str, USER_SP);
    EQ(caught.vector, 0x80);
    EQ(caught.ax & 0xffff, SEL_TSS);
    user_run(u_smsw, USER_SP);
    EQ(caught.ax & 0xffff, READ_REG("cr0") & 0xffff);
    if (!(cpuid(7, 0).c >> 2 & 1)) {
        test_skip("no UMIP");
        return;
    }
    WRITE_REG("cr4", READ_REG("cr4") | CR4_UMIP);
    USER_FAULT(u_str, GP, 0);
    USER_FAULT(u_smsw, GP, 0);
    USER_FAULT(u_sidt, GP, 0);
    FINE("str %%eax; smsw %%eax", ::: "eax", "memory");
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_UMIP);
}

static void alignment(void)
{
    qemu_lacks("no alignment checks");
    user_run(u_align, USER_SP);
    EQ(caught.vector, 0x80);
    WRITE_REG("cr0", READ_REG("cr0") | CR0_AM);
    USER_FAULT(u_align, AC, 0);
    // Not at CPL 0.
    set_flags(2 | FL_AC);
    FINE("mov word + 1, %%eax", ::: "eax", "memory");
    set_flags(2);
    WRITE_REG("cr0", READ_REG("cr0") & ~(reg)CR0_AM);
}

// ---- Gates

static reg seen_flags, seen_sp;

static bool look(struct frame *f)
{
    (void)f;
    seen_flags = flags();
    asm volatile("mov %%" R("sp") ", %0" : "=r"(seen_sp));
    return true;
}

static void gates(void)
{
    hooks[0x90] = hooks[0x91] = look;
    idt[0x91].access = 0x8f;
    set_flags(2 | FL_IF);
    asm volatile("int $0x90" ::: "memory");
    EQ(seen_flags & FL_IF, 0);
    EQ(flags() & FL_IF, FL_IF);
    asm volatile("int $0x91" ::: "memory");
    EQ(seen_flags & FL_IF, FL_IF);
    // TF, NT and RF are cleared either way.
    set_flags(2 | FL_NT);
    asm volatile("int $0x91" ::: "memory");
    EQ(seen_flags & FL_NT, 0);
    EQ(flags() & FL_NT, FL_NT);
    set_flags(2);
    idt_default(0x91);
    hooks[0x90] = hooks[0x91] = NULL;
}

// A handler through a conforming segment runs with the privilege of what it interrupts.
asm(".pushsection .text\nconforming_handler: mov %cs, %eax\niret" 
#if LONG
    "q"
#endif
    "\n.popsection");
USER(u_conforming, "int $0x92");

static void conforming(void)
{
    extern u8 conforming_handler[];
    u16 sel = set_slot(0, descriptor(0, 0xfffff, 0x9e, LONG ? G | L : G | D));
    idt[0x92] = gate(conforming_handler, sel, GATE_INT, 3, 0);
    EQ(user_run(u_conforming, USER_SP), (u32)sel | 3);
    EQ(caught.vector, 0x80);
    idt_default(0x92);
}

#if !LONG
// 16-bit gates push words.
asm(".pushsection .text\n.code16\nhandler16: movw %sp, %ax; pushw %bp; movw %sp, %bp; movw 6(%esp), %cx; popw %bp; iretw\n.code32\n.popsection");

static void gates16(void)
{
    extern u8 handler16[];
    u16 sel = set_slot(0, descriptor((u32)handler16, 0xffff, 0x9a, 0));
    // What is interrupted has an IP of 16 bits only.
    set_slot(1, descriptor(0x100000, 0xffff, ACC_CODE, D));
    for (unsigned type = GATE_INT16; type <= GATE_TRAP16; type++) {
        idt[0x93] = gate(NULL, sel, type, 0, 0);
        u32 ax, cx, sp, after;
        asm volatile("push %%ebx; mov %%esp, %%ebx; ljmp $0x60, $1f - 0x100000; 1: stc; int $0x93; ljmp $8, $1f; 1: "
                     "mov %%ebx, %2; mov %%esp, %3; pop %%ebx"
                     : "=&a"(ax), "=&c"(cx), "=&S"(sp), "=&D"(after)::"memory");
        // FLAGS, CS and IP as words.
        EQ((u16)ax, (u16)(sp - 6));
        EQ(after, sp);
        EQ(cx & (FL_CF | FL_IF), FL_CF);
    }
    idt_default(0x93);
}
#else
static bool ist_hook(struct frame *f)
{
    seen_sp = (reg)&f->ss + 8;
    return true;
}

static void ist(void)
{
    static u8 stacks[3][0x1000] ALIGNED(16);
    for (unsigned n = 0; n < 3; n++) {
        tss.t.ist[n] = (reg)stacks[n] + 0x1000;
        idt[0x94].count = (u8)(n + 1);
        hooks[0x94] = ist_hook;
        asm volatile("int $0x94" ::: "memory");
        EQ(seen_sp, (reg)stacks[n] + 0x1000);
    }
    // Aligned to 16 bytes, with and without.
    tss.t.ist[0] = (reg)stacks[0] + 0xff3;
    idt[0x94].count = 1;
    asm volatile("int $0x94" ::: "memory");
    EQ(seen_sp, (reg)stacks[0] + 0xff0);
    idt[0x94].count = 0;
    reg before;
    asm volatile("mov %%rsp, %0; sub $0x103, %%rsp; int $0x94; add $0x103, %%rsp" : "=&r"(before)::"memory");
    EQ(seen_sp, (before - 0x103) & ~15ul);
    hooks[0x94] = NULL;
    // A double fault's own stack saves it where the stack is no address.
    tss.t.ist[1] = (reg)stacks[1] + 0x1000;
    idt[DF].count = 2;
    FAULTS(DF, 0, "mov %%rsp, %%rbx; mov $0x8000000000000000, %%rsp; push %%rax; 77: mov %%rbx, %%rsp; mov $0, %%eax",
           ::: "rax", "rbx", "memory");
    idt[DF].count = 0;
}

static void canonical(void)
{
    FAULTS(GP, 0, "mov $0x800000000000, %%rax; gp_1: mov (%%rax), %%eax", ::: "rax", "memory");
    EQ(caught.ip, AT(gp_1));
    FAULTS(GP, 0, "mov $0xffff7fffffffffff, %%rax; mov %%al, (%%rax)", ::: "rax", "memory");
    FAULTS(GP, 0, "mov $0x800000000000, %%rax; gp_2: jmp *%%rax", ::: "rax", "memory");
    qemu_lacks("jumps first, faults there; #GP for #SS");
    EQ(caught.ip, AT(gp_2));
    // By the stack's registers it is #SS.
    FAULTS(SS, 0, "mov %%rbp, %%rcx; mov $0x800000000000, %%rbp; mov (%%rbp), %%eax; 77: mov %%rcx, %%rbp; movq $0, catch_at",
           ::: "rax", "rcx", "memory");
}

static void iret64(void)
{
    // IRET in long mode loads SS and RSP always, and takes no NT.
    FAULTS(GP, 0, "pushf; orl $0x4000, (%%rsp); popf; iretq", ::: "memory");
    set_flags(2);
    reg before, after;
    asm volatile("mov %%rsp, %0; mov %%ss, %%eax; push %%rax; lea -24(%0), %%rcx; push %%rcx; pushf; mov %%cs, %%eax; "
                 "push %%rax; push $1f; iretq; 1: mov %%rsp, %1; mov %0, %%rsp"
                 : "=&r"(before), "=&r"(after)::"rax", "rcx", "memory");
    EQ(after, before - 24);
    // A null SS is fine in 64-bit mode at CPL 0.
    asm volatile("mov %%rsp, %%rdx; xor %%eax, %%eax; push %%rax; push %%rdx; pushf; mov %%cs, %%eax; push %%rax; push $1f; iretq; "
                 "1: mov %%ss, %0; mov %2, %%ss"
                 : "=&r"(before), "=&d"(after)
                 : "r"(SEL_DATA)
                 : "rax", "memory");
    EQ(before & 0xffff, 0);
}

asm(".pushsection .text\nsyscall_entry: mov %rsp, %rdx; mov %r11, %rbx; mov %rcx, %rsi; pushf; pop %rdi; mov %ss, %r8d; sysretq\n.popsection");
USER(u_syscall, "mov $0x41, %eax; stc; syscall; u_after_syscall: cmp %rdx, %rsp; jne 1f; cmp $u_after_syscall, %rsi; jne 1f; "
                "mov %edi, %eax; shl $16, %eax; mov %r8d, %eax; shl $8, %eax; mov %cs, %ecx; or %ecx, %eax; 1: ");

static void syscall(void)
{
    extern u8 syscall_entry[];
    FAULTS(UD, 0, "syscall", ::: "rcx", "r11", "memory");
    wrmsr(EFER, rdmsr(EFER) | EFER_SCE);
    // SYSCALL loads CS and SS = CS + 8; SYSRET to 64-bit code CS + 16 and SS = CS + 8, RPL 3.
    wrmsr(0xc0000081, (u64)(SEL_UCODE32) << 48 | (u64)SEL_CODE << 32);
    wrmsr(0xc0000082, (reg)syscall_entry);
    wrmsr(0xc0000084, FL_IF | FL_CF);
    EQ(user_run(u_syscall, USER_SP), SEL_DATA << 8 | SEL_UCODE64);
    EQ(caught.vector, 0x80);
    EQ(caught.flags & FL_CF, 0);
    wrmsr(EFER, rdmsr(EFER) & ~EFER_SCE);
    qemu_lacks("does not check MSRs for canonical addresses");
    FAULTS(GP, 0, "mov $0xc0000082, %%ecx; mov $0x8000, %%edx; xor %%eax, %%eax; wrmsr", ::: "rax", "rcx", "rdx", "memory");
}
#endif

static void msrs(void)
{
    qemu_lacks("knows no unknown MSRs");
    FAULTS(GP, 0, "mov $0x12345, %%ecx; rdmsr", ::: "eax", "ecx", "edx", "memory");
    // Reserved bits of EFER.
    FAULTS(GP, 0, "mov $0xc0000080, %%ecx; rdmsr; or $0x200, %%eax; wrmsr", ::: "eax", "ecx", "edx", "memory");
    FAULTS(GP, 0, "mov $0x12345, %%ecx; wrmsr", ::: "eax", "ecx", "edx", "memory");
}

static void control_registers(void)
{
    if (on_tcg) {
        test_skip("takes all bits of CR0 and CR4");
        return;
    }
    FAULTS(GP, 0, "mov %%cr4, %%" R("ax") "; bts $31, %%eax; mov %%" R("ax") ", %%cr4", ::: "eax", "memory");
    // NW without CD; PG without PE.
    FAULTS(GP, 0, "mov %%cr0, %%" R("ax") "; bts $29, %%eax; btr $30, %%eax; mov %%" R("ax") ", %%cr0", ::: "eax", "memory");
}

// ---- Debug exceptions

#define DR6_BS BIT(14)
#define DR6_BD BIT(13)

static u32 steps;
static reg step_ips[64];
static reg step_dr6;

static bool stepper(struct frame *f)
{
    if (steps < ARRAY_LEN(step_ips))
        step_ips[steps] = f->ip;
    steps++;
    step_dr6 = READ_REG("dr6");
    WRITE_REG("dr6", 0xffff0ff0);
    return true;
}

#define TF_ON "pushf; orl $0x100, (%%" R("sp") "); popf; "
#define TF_OFF "pushf; andl $~0x100, (%%" R("sp") "); popf; "

static void stepping(void)
{
    hooks[DB] = stepper;
    steps = 0;
    WRITE_REG("dr6", 0xffff0ff0);
    asm volatile(TF_ON "st_0: nop; st_1: inc %%eax; st_2: jmp st_3; nop; st_3: " TF_OFF "st_4:" ::: "eax", "memory", "cc");
    EQ(steps, 6);
    EQ(step_ips[0], AT(st_1));
    EQ(step_ips[1], AT(st_2));
    EQ(step_ips[2], AT(st_3));
    EQ(step_ips[5], AT(st_4));
    EQ(step_dr6 & (DR6_BS | 15), DR6_BS);
    // Each iteration of a string instruction is a step.
    static u8 to[8];
    steps = 0;
    asm volatile("mov $5, %%ecx; lea %0, %%" R("di") "; " TF_ON "sr_0: rep stosb; sr_1: " TF_OFF "" : "=m"(to)::"ecx", R("di"), "memory", "cc");
    EQ(steps, 5 + 3);
    EQ(step_ips[0], AT(sr_0));
    EQ(step_ips[4], AT(sr_1));
    // The handler of INT n is not stepped, the instruction behind is.
    hooks[0x90] = look;
    steps = 0;
    asm volatile(TF_ON "int $0x90; nop; si_1: " TF_OFF ::: "memory", "cc");
    EQ(seen_flags & FL_TF, 0);
    EQ(step_ips[0], AT(si_1));
    hooks[0x90] = NULL;
    hooks[DB] = NULL;
}

static void stepping_ss(void)
{
    // After MOV SS comes no trap.
    hooks[DB] = stepper;
    steps = 0;
    asm volatile("mov %%ss, %%ecx; " TF_ON "mov %%ecx, %%ss; nop; ss_1: nop; " TF_OFF ::: "ecx", "memory", "cc");
    EQ(step_ips[0], AT(ss_1));
    hooks[DB] = NULL;
}

static void icebp(void)
{
    qemu_lacks("no INT1");
    FAULTS(DB, 0, "nop; .byte 0xf1; ice_1:", ::: "memory");
    EQ(caught.ip, AT(ice_1));
    // It asks for no privilege.
    USER_FAULT(u_icebp, DB, 0);
}

static void breakpoints(void)
{
    extern u8 bk_0[], bk_1[];
    static u32 data[4];
    hooks[DB] = stepper;
    WRITE_REG("dr6", 0xffff0ff0);
    WRITE_REG("dr0", bk_0);
    WRITE_REG("dr1", &data[1]);
    WRITE_REG("dr2", &data[2]);
    // 0: execution. 1: 4 bytes written. 2: 4 bytes read or written.
    WRITE_REG("dr7", 0x400 | 0x2 | 0x8 | 0x20 | 0x0d << 20 | 0x0full << 24);
    bool resume(struct frame *f)
    {
        stepper(f);
        // A fault: RF is for the handler to set.
        if (step_dr6 & 1)
            f->flags |= FL_RF;
        return true;
    }
    hooks[DB] = resume;
    steps = 0;
    asm volatile("bk_0: nop" ::: "memory");
    EQ(steps, 1);
    EQ(step_ips[0], (reg)bk_0);
    EQ(step_dr6 & 15, 1);
    steps = 0;
    asm volatile("movl $1, %0; bk_1: nop" : "=m"(data[1])::"memory");
    EQ(steps, 1);
    // A trap.
    EQ(step_ips[0], (reg)bk_1);
    EQ(step_dr6 & 15, 2);
    u32 v;
    steps = 0;
    asm volatile("movl %1, %0" : "=r"(v) : "m"(data[1]) : "memory");
    EQ(steps, 0);
    asm volatile("movl $2, %0" : "=m"(data[0])::"memory");
    asm volatile("movl $2, %0" : "=m"(data[3])::"memory");
    EQ(steps, 0);
    // A byte in the middle.
    asm volatile("movb $2, 6+%0" : "=m"(data[0])::"memory");
    EQ(steps, 1);
    asm volatile("movb $2, 11+%0" : "=m"(data[0])::"memory");
    EQ(step_dr6 & 15, 4);
    WRITE_REG("dr7", 0x400);
    steps = 0;
    asm volatile("movl $2, %0" : "=m"(data[1])::"memory");
    EQ(steps, 0);
    hooks[DB] = NULL;
    (void)v;
}

static void breakpoint_reads(void)
{
    static u32 data;
    hooks[DB] = stepper;
    WRITE_REG("dr2", &data);
    WRITE_REG("dr7", 0x400 | 0x20 | 0x0full << 24);
    steps = 0;
    asm volatile("movl %0, %%eax" ::"m"(data) : "eax", "memory");
    EQ(steps, 1);
    EQ(step_dr6 & 15, 4);
    WRITE_REG("dr7", 0x400);
    hooks[DB] = NULL;
}

static void general_detect(void)
{
    qemu_lacks("no DR7.GD");
    WRITE_REG("dr6", 0xffff0ff0);
    WRITE_REG("dr7", 0x400 | 0x2000);
    FAULTS(DB, 0, "db_1: mov %0, %%dr0", ::"r"((reg)0) : "memory");
    EQ(caught.ip, AT(db_1));
    // The CPU clears GD for the handler.
    EQ(READ_REG("dr6") & DR6_BD, DR6_BD);
    EQ(READ_REG("dr7") & 0x2000, 0);
    WRITE_REG("dr7", 0x400);
}

static void debug_registers(void)
{
    WRITE_REG("dr6", 0xffff0ff0);
    // DR4 and DR5 are DR6 and DR7 without CR4.DE.
    WRITE_REG("dr6", 0xffff0ff0);
    EQ(READ_REG("dr4"), READ_REG("dr6"));
    EQ(READ_REG("dr5"), READ_REG("dr7"));
    WRITE_REG("cr4", READ_REG("cr4") | CR4_DE);
    FAULTS(UD, 0, "mov %%dr4, %0", ::"r"((reg)0) : "memory");
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_DE);
#if LONG
    FAULTS(GP, 0, "mov $0x100000000, %%rax; mov %%rax, %%dr7", ::: "rax", "memory");
#endif
}

void rom_main(void)
{
    TEST("divide error", divide());
    TEST("INT3 and INT n", software());
#if !LONG
    TEST("INTO and BOUND", bounds());
#endif
    TEST("undefined instructions", undefined());
    TEST("LOCK", locked());
    TEST("15 bytes", too_long());
#if LONG
    TEST("stray branches", stray_branches());
#endif
    TEST("no coprocessor", coprocessor());
    TEST("selectors", segments());
    TEST("LTR of null", null_task());
    TEST("interrupt table", interrupt_table());
    TEST("double fault", double_fault());
    TEST("privilege", privilege());
    TEST("privilege of gates", gate_privilege());
    TEST("I/O privilege", io_privilege());
    TEST("UMIP", umip());
    TEST("alignment check", alignment());
    TEST("interrupt and trap gates", gates());
    TEST("conforming handler", conforming());
#if LONG
    TEST("interrupt stacks", ist());
    TEST("canonical addresses", canonical());
    TEST("IRET in long mode", iret64());
    TEST("SYSCALL", syscall());
#else
    TEST("16-bit gates", gates16());
#endif
    TEST("MSRs", msrs());
    TEST("control registers", control_registers());
    TEST("stepping", stepping());
    TEST("stepping MOV SS", stepping_ss());
    TEST("INT1", icebp());
    TEST("breakpoints", breakpoints());
    TEST("breakpoints on reads", breakpoint_reads());
    TEST("general detect", general_detect());
    TEST("debug registers", debug_registers());
}

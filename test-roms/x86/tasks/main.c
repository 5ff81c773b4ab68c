// Task switches, task gates, call gates, virtual-8086 mode. SDM vol. 3, chapters 5.8, 7 and 20.

#include "rom.h"

extern u8 task_code[], task_jumped[], task_fault[], gate_entry[];
extern volatile u32 task_runs, task_flags, task_ss, task_fs, task_cr0, task_error, task_resume, gate_esp, gate_old_esp;
extern u8 v_start[], v_end[], v_state[], v_int[], v_handler[], v_cli[], v_sti[], v_pushf[], v_popf[], v_iret[], v_out[], v_in[],
    v_hlt[], v_32[], v_cr[], v_str[];

static struct tss other ALIGNED(16);
static u8 other_stack[0x1000] ALIGNED(16);

static u32 type_of(u16 sel)
{
    return gdt[sel / 8] >> 40 & 0x1f;
}

// A task in test slot 0.
static u16 task(const void *code)
{
    memset(&other, 0, sizeof other);
    other.eip = (u32)code;
    other.esp = (u32)other_stack + sizeof other_stack;
    other.eflags = 2;
    other.cs = SEL_CODE;
    other.ds = other.es = other.ss = other.gs = SEL_DATA;
    other.fs = SEL_UDATA;
    other.esi = 100;
    other.iomap = sizeof other;
    task_runs = 0;
    return set_slot(0, descriptor((u32)&other, sizeof other - 1, ACC_TSS, 0));
}

struct {
    u32 offset;
    u16 sel;
} __attribute__((packed)) far;

static void call_task(u16 sel)
{
    far.sel = sel;
    asm volatile("lcall *%0" ::"m"(far) : "memory", "eax", "ecx");
}

static void called(void)
{
    u16 sel = task(task_code);
    call_task(sel);
    EQ(task_runs, 1);
    // NT in the new task, back link, TS; the old one's TSS stays busy.
    EQ(task_flags & FL_NT, FL_NT);
    EQ(other.link, SEL_TSS);
    EQ(task_cr0 & CR0_TS, CR0_TS);
    EQ(task_ss, SEL_DATA);
    EQ(task_fs, SEL_UDATA);
    // Back again: its state is stored, its TSS is available, NT is clear.
    EQ(type_of(sel), 9);
    EQ(type_of(SEL_TSS), 11);
    EQ(other.esi, 105);
    EQ(other.eflags & FL_NT, 0);
    EQ(flags() & FL_NT, 0);
    u16 tr;
    asm volatile("str %0" : "=r"(tr));
    EQ(tr, SEL_TSS);
    asm volatile("clts");
    // It goes on where it was.
    for (unsigned i = 0; i < 50; i++)
        call_task(sel);
    EQ(task_runs, 51);
    EQ(other.esi, 100 + 51 * 5);
    asm volatile("clts");
}

static void jumped(void)
{
    u16 sel = task(task_jumped);
    far.sel = sel;
    for (unsigned i = 1; i <= 20; i++) {
        asm volatile("ljmp *%0" ::"m"(far) : "memory", "eax");
        EQ(task_runs, i);
    }
    // A jump sets no NT and no link.
    EQ(task_flags & FL_NT, 0);
    EQ(other.link, 0);
    EQ(type_of(sel), 9);
    EQ(type_of(SEL_TSS), 11);
    asm volatile("clts");
}

static void registers_survive(void)
{
    u16 sel = task(task_code);
    far.sel = sel;
    u32 b, si, di;
    asm volatile("mov $0x11111111, %%ebx; mov $0x22222222, %%esi; mov $0x33333333, %%edi; lcall *%3"
                 : "=b"(b), "=S"(si), "=D"(di)
                 : "m"(far)
                 : "memory", "cc", "eax", "ecx", "edx");
    EQ(b, 0x11111111);
    EQ(si, 0x22222222);
    EQ(di, 0x33333333);
    // And flags.
    qemu_lacks("loses the carry flag");
    u8 c;
    asm volatile("stc; lcall *%1; setc %0" : "=q"(c) : "m"(far) : "memory", "cc", "eax", "ecx", "edx");
    EQ(c, 1);
    asm volatile("clts");
}

static void gate_in_idt(void)
{
    u16 sel = task(task_code);
    idt[0x95] = gate(NULL, sel, GATE_TASK, 0, 0);
    asm volatile("int $0x95" ::: "memory");
    EQ(task_runs, 1);
    EQ(task_flags & FL_NT, FL_NT);
    EQ(other.link, SEL_TSS);
    // And by a far call through a task gate in the GDT.
    u16 g = set_slot(2, (u64)sel << 16 | 0x85ull << 40);
    call_task(g);
    EQ(task_runs, 2);
    idt_default(0x95);
    asm volatile("clts");
}

static void exceptions_by_task(void)
{
    // The error code is pushed on the new task's stack.
    u16 sel = task(task_fault);
    struct gate gp = idt[GP];
    idt[GP] = gate(NULL, sel, GATE_TASK, 0, 0);
    asm volatile("movl $1f, task_resume; mov %0, %%fs; 1:" ::"r"(SEL_TSS) : "memory", "eax", "ecx");
    idt[GP] = gp;
    EQ(task_runs, 1);
    EQ(task_error, SEL_TSS);
    EQ(other.esp, (u32)other_stack + sizeof other_stack);
    // A double fault of a stack that is none is what task gates are for.
    sel = task(task_fault);
    idt[DF] = gate(NULL, sel, GATE_TASK, 0, 0);
    gp = idt[GP];
    idt[GP].access &= 0x7f;
    asm volatile("movl $1f, task_resume; mov %0, %%fs; 1:" ::"r"(SEL_TSS) : "memory", "eax", "ecx");
    idt[GP] = gp;
    idt_default(DF);
    EQ(task_runs, 1);
    EQ(task_error, 0);
    asm volatile("clts");
}

static void task_faults(void)
{
    u16 sel = task(task_code);
    far.sel = sel;
    gdt[sel / 8] &= ~(0x80ull << 40);
    FAULTS(NP, sel, "lcall *%0", ::"m"(far) : "memory");
    // Busy.
    gdt[sel / 8] |= 0x82ull << 40;
    FAULTS(GP, sel, "lcall *%0", ::"m"(far) : "memory");
    FAULTS(GP, SEL_TSS, "mov %0, far + 4; lcall *far", ::"r"((u16)SEL_TSS) : "memory");
    far.sel = sel;
    // Too short.
    set_slot(0, descriptor((u32)&other, 0x66, ACC_TSS, 0));
    FAULTS(TS, sel, "lcall *%0", ::"m"(far) : "memory");
    // IRET with NT, to a task that is not busy.
    set_slot(0, descriptor((u32)&other, sizeof other - 1, ACC_TSS, 0));
    tss.t.link = sel;
    FAULTS(TS, sel, "pushf; orl $0x4000, (%%esp); popf; iret", ::: "memory");
    set_flags(2);
    tss.t.link = 0;
}

static void bad_tasks(void)
{
    // Faults while the new task is loaded are the new task's: an exception by task gate comes back to it. A bad LDT, CS
    // and SS are #TS with their selector.
    u16 sel = task(task_code);
    static struct tss handler;
    static u8 stack[0x400] ALIGNED(16);
    extern u8 ts_task[];
    memset(&handler, 0, sizeof handler);
    handler.eip = (u32)ts_task;
    handler.esp = (u32)stack + sizeof stack;
    handler.cs = SEL_CODE;
    handler.ds = handler.es = handler.ss = SEL_DATA;
    handler.eflags = 2;
    handler.iomap = sizeof handler;
    u16 h = set_slot(1, descriptor((u32)&handler, sizeof handler - 1, ACC_TSS, 0));
    idt[TS] = gate(NULL, h, GATE_TASK, 0, 0);
    static const struct {
        u16 ldt, cs, ss;
    } bad[] = {{SEL_DATA, SEL_CODE, SEL_DATA}, {0, SEL_DATA, SEL_DATA}, {0, SEL_CODE, SEL_CODE}, {0, SEL_CODE, SEL_UDATA}};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        task(task_code);
        other.ldt = bad[i].ldt;
        other.cs = bad[i].cs;
        other.ss = bad[i].ss;
        far.sel = sel;
        asm volatile("lcall *%0" ::"m"(far) : "memory", "eax", "ecx");
        EQ(task_runs, 1);
        EQ(task_error & 0xfffc, (bad[i].ldt ? bad[i].ldt : bad[i].cs != SEL_CODE ? bad[i].cs : bad[i].ss) & ~3);
        // The one that failed is the one before.
        EQ(handler.link, sel);
        gdt[SEL_TSS / 8] |= 2ull << 40;
    }
    idt_default(TS);
    asm volatile("clts");
}
// Goes back to the ROM's own task by a jump; the failed one stays busy.
asm(".pushsection .text\nts_task: pop task_error; incl task_runs; andb $~2, gdt + 0x48 + 5; ljmp $0x48, $0; jmp ts_task\n.popsection");

static void trap_bit(void)
{
    u16 sel = task(task_code);
    other.trap = 1;
    static u32 n;
    static u32 at, dr6;
    bool hook(struct frame *f)
    {
        n++;
        at = f->ip;
        dr6 = READ_REG("dr6");
        return true;
    }
    qemu_lacks("no T bit");
    WRITE_REG("dr6", 0xffff0ff0);
    hooks[DB] = hook;
    call_task(sel);
    hooks[DB] = NULL;
    EQ(n, 1);
    EQ(at, (u32)task_code);
    EQ(dr6 & BIT(15), BIT(15));
    asm volatile("clts");
}

// ---- Call gates

#define USER(name, code) \
    extern const u8 name[]; \
    asm(".pushsection .text\n" #name ": " code "\nint $0x80\n.popsection\n")

USER(u_gate, "mov %esp, u_esp; push $30; push $12; lcall $0x5b, $0; cmp %esp, u_esp; je 1f; xor %eax, %eax; 1:");
USER(u_gate_plain, "lcall $0x5b, $0");
volatile u32 u_esp;

static u64 call_gate(const void *to, u16 sel, unsigned type, unsigned dpl, unsigned count)
{
    struct gate g = gate(to, sel, type, dpl, count);
    u64 v;
    memcpy(&v, &g, 8);
    return v;
}

static void inward(void)
{
    set_slot(0, call_gate(gate_entry, SEL_CODE, GATE_CALL, 3, 2));
    EQ(user_run(u_gate, USER_SP), SEL_CODE << 16 | 42);
    EQ(caught.vector, 0x80);
    EQ(caught.cs, SEL_UCODE);
    // The stack is the TSS's: SS, ESP, two parameters, CS, EIP.
    EQ(gate_esp, (u32)trap_stack_top - 24);
    EQ(gate_old_esp, (u32)USER_SP - 8);
}

static void same_level(void)
{
    set_slot(0, call_gate(gate_entry, SEL_CODE, GATE_CALL, 0, 2));
    u32 a, b, v;
    // No stack switch and no copy.
    asm volatile("mov %%esp, %1; push $3; push $4; lcall $0x58, $0x1234; mov %%esp, %2" : "=&a"(v), "=&b"(a), "=&S"(b)::"memory", "ecx", "edx");
    EQ(v, SEL_CODE << 16 | 7);
    EQ(a, b);
    EQ(gate_esp, a - 16);
}

static void gate_faults(void)
{
    u16 sel = SEL_TEST;
    // DPL of the gate.
    set_slot(0, call_gate(gate_entry, SEL_CODE, GATE_CALL, 0, 0));
    user_run(u_gate_plain, USER_SP);
    EQ(caught.vector, GP);
    EQ(caught.error, sel);
    EQ(caught.ip, (reg)u_gate_plain);
    set_slot(0, call_gate(gate_entry, SEL_CODE, GATE_CALL, 3, 0) & ~(0x80ull << 40));
    user_run(u_gate_plain, USER_SP);
    EQ(caught.vector, NP);
    EQ(caught.error, sel);
    // To data, to nothing.
    set_slot(0, call_gate(gate_entry, SEL_DATA, GATE_CALL, 3, 0));
    user_run(u_gate_plain, USER_SP);
    EQ(caught.vector, GP);
    EQ(caught.error, SEL_DATA);
    set_slot(0, call_gate(gate_entry, 0, GATE_CALL, 3, 0));
    user_run(u_gate_plain, USER_SP);
    EQ(caught.vector, GP);
    EQ(caught.error, 0);
    // A bad stack in the TSS.
    set_slot(0, call_gate(gate_entry, SEL_CODE, GATE_CALL, 3, 0));
    u16 ss1 = set_slot(1, descriptor(0, 0xfffff, 0xb2, G | D)), cs1 = set_slot(2, descriptor(0, 0xfffff, 0xba, G | D));
    set_slot(0, call_gate(gate_entry, cs1, GATE_CALL, 3, 0));
    tss.t.ss1 = ss1;
    user_run(u_gate_plain, USER_SP);
    // RPL 0 for a stack of level 1.
    EQ(caught.vector, TS);
    EQ(caught.error, ss1);
    tss.t.ss1 = 0;
    user_run(u_gate_plain, USER_SP);
    EQ(caught.vector, TS);
    EQ(caught.error, 0);
}

// ---- Virtual-8086 mode

#define V_CS 0x800u
struct v86 {
    u32 ip, cs, flags, sp, ss, es, ds, fs, gs, eax;
};
void v86_enter(struct v86 *v);
_Noreturn void v86_leave(void);
static struct frame left;
// Interrupts 60H are reflected.
static bool reflect;
static u32 reflected;

static bool v86_gp(struct frame *f)
{
    if (!(f->flags & FL_VM))
        return false;
    const u8 *at = (u8 *)(f->cs * 16 + f->ip);
    if (reflect && at[0] == 0xcd) {
        // As a monitor does: the frame on the guest's stack, to where its table says.
        u16 *sp = (u16 *)(f->ss * 16 + (u16)(f->sp - 6));
        sp[0] = (u16)(f->ip + 2);
        sp[1] = (u16)f->cs;
        sp[2] = (u16)f->flags;
        f->sp = (u16)(f->sp - 6);
        u16 *vector = (u16 *)(at[1] * 4u);
        f->ip = vector[0];
        f->cs = vector[1];
        reflected++;
        return true;
    }
    if (reflect && at[0] == 0xcf) {
        u16 *sp = (u16 *)(f->ss * 16 + (u16)f->sp);
        f->ip = sp[0];
        f->cs = sp[1];
        f->flags = (f->flags & ~0xfffful) | sp[2];
        f->sp = (u16)(f->sp + 6);
        return true;
    }
    if (reflect && (at[0] == 0x9c || at[0] == 0x9d)) {
        u16 *sp = (u16 *)(f->ss * 16 + (u16)(f->sp - (at[0] == 0x9c ? 2 : 0)));
        if (at[0] == 0x9c)
            *sp = (u16)f->flags, f->sp -= 2;
        else
            f->sp += 2;
        f->ip++;
        return true;
    }
    left = *f;
    v86_leave();
}
static bool v86_any(struct frame *f)
{
    left = *f;
    v86_leave();
}

static void v86(const u8 *code, u32 fl)
{
    memcpy((void *)0x8000, v_start, (size_t)(v_end - v_start));
    *(u16 *)0x9000 = 0xbeef;
    reg ivt = 0x60 * 4;
    asm volatile("" : "+r"(ivt));
    *(u16 *)ivt = (u16)(v_handler - v_start);
    *(u16 *)(ivt + 2) = V_CS;
    struct v86 v = {(u32)(code - v_start), V_CS, 2 | FL_VM | fl, 0x7000, 0x100, 0x900, 0xa00, 0xb00, 0xc00, 0};
    hooks[GP] = v86_gp;
    hooks[UD] = hooks[0x60] = v86_any;
    left.vector = 255;
    v86_enter(&v);
    hooks[GP] = hooks[UD] = hooks[0x60] = NULL;
}
#define IOPL3 0x3000

static void v86_state(void)
{
    reflect = false;
    v86(v_state, 0);
    // HLT ended it.
    EQ(left.vector, GP);
    EQ(left.error, 0);
    EQ(left.ax, V_CS << 16 | 0xbeef);
    EQ(left.bx & 0xffff, 0xa00);
    EQ(left.cx & 0xffff, 0x100);
    EQ(left.dx & 0xffff, 0x7000);
    // What is pushed: VM, and all segments.
    EQ(left.flags & FL_VM, FL_VM);
    EQ(left.cs, V_CS);
    EQ(left.es & 0xffff, 0x900);
    EQ(left.ds & 0xffff, 0xa00);
    EQ(left.fs & 0xffff, 0xb00);
    EQ(left.gs & 0xffff, 0xc00);
    EQ(left.sp, 0x7000);
    EQ(left.ss & 0xffff, 0x100);
}

static void v86_privilege(void)
{
    reflect = false;
    // IOPL below 3: CLI, STI, PUSHF, POPF, INT n, IRET are #GP(0).
    static const u8 *const sensitive[] = {v_cli, v_sti, v_pushf, v_iret, v_int};
    for (unsigned i = 0; i < ARRAY_LEN(sensitive); i++) {
        v86(sensitive[i], 0);
        EQ(left.vector, GP);
        EQ(left.error, 0);
        EQ(left.ip, (u32)(sensitive[i] - v_start) + (sensitive[i] == v_int));
    }
    // With IOPL 3 they work; INT goes through the IDT, which has to let it.
    v86(v_sti, IOPL3);
    EQ(left.ax & FL_IF, FL_IF);
    v86(v_cli, IOPL3 | FL_IF);
    EQ(left.ax & FL_IF, 0);
    v86(v_pushf, IOPL3);
    EQ(left.ax & 0x3000, 0x3000);
    v86(v_popf, IOPL3);
    EQ(left.ax & 0x3200, 0x3200);
    v86(v_iret, IOPL3);
    EQ(left.ax & 0xffff, 0x77);
    v86(v_int, IOPL3);
    EQ(left.vector, GP);
    EQ(left.error, 0x60 * 8 + 2);
    idt[0x60].access |= 0x60;
    v86(v_int, IOPL3);
    EQ(left.vector, 0x60);
    EQ(left.flags & FL_VM, FL_VM);
    idt_default(0x60);
    // Always privileged.
    v86(v_cr, IOPL3);
    EQ(left.vector, GP);
    v86(v_str, IOPL3);
    EQ(left.vector, UD);
}

static void v86_ports(void)
{
    reflect = false;
    // IOPL is not asked, only the bitmap.
    v86(v_in, IOPL3);
    EQ(left.ip, (u32)(v_in - v_start));
    tss.bitmap[0x71 / 8] &= (u8)~BIT(1);
    v86(v_in, 0);
    EQ(left.ip, (u32)(v_in - v_start) + 2);
    tss.bitmap[0x71 / 8] = 0xff;
}

static void v86_reflection(void)
{
    reflect = true;
    reflected = 0;
    v86(v_int, 0);
    EQ(reflected, 1);
    EQ(left.ax & 0xffff, 0x1234);
    EQ(left.cx & FL_CF, FL_CF);
    EQ(left.flags & FL_CF, 0);
    EQ(left.sp, 0x7000);
    reflect = false;
}

static void v86_vme(void)
{
    if (!HAS_1D(1)) {
        test_skip("no VME");
        return;
    }
    WRITE_REG("cr4", READ_REG("cr4") | CR4_VME);
    reflect = false;
    // A clear bit of the redirection bitmap sends INT n to the 8086 program's own handler.
    memset(tss.redirection, 0xff, sizeof tss.redirection);
    v86(v_int, 0);
    EQ(left.vector, GP);
    tss.redirection[0x60 / 8] = 0xfe;
    v86(v_int, IOPL3);
    EQ(left.ax & 0xffff, 0x1234);
    EQ(left.ip, (u32)(v_int - v_start) + 3);
    EQ(left.flags & FL_CF, 0);
    v86(v_int, 0 | FL_VIF);
    EQ(left.ax & 0xffff, 0x1234);
    // IF is VIF, IOPL seems to be 3.
    EQ(left.cx & 0x3201, 0x3201);
    EQ(left.dx & FL_IF, 0);
    EQ(left.flags & FL_VIF, FL_VIF);
    v86(v_sti, 0);
    EQ(left.vector, GP);
    EQ(left.ax & 0x3200, 0x3200);
    EQ(left.flags & (FL_VIF | FL_IF), FL_VIF);
    v86(v_cli, FL_VIF | FL_IF);
    EQ(left.ax & FL_IF, 0);
    EQ(left.flags & (FL_VIF | FL_IF), FL_IF);
    // STI with an interrupt pending.
    v86(v_sti, FL_VIP);
    EQ(left.vector, GP);
    EQ(left.ip, (u32)(v_sti - v_start));
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_VME);
}

static void v86_offsets(void)
{
    reflect = false;
    v86(v_32, 0);
    EQ(left.vector, GP);
    EQ(left.ax, 0x12345678);
}

void rom_main(void)
{
    TEST("CALL to a task", called());
    TEST("JMP to a task", jumped());
    TEST("registers of a task", registers_survive());
    TEST("task gates", gate_in_idt());
    TEST("exceptions by task gate", exceptions_by_task());
    TEST("task switches that fault", task_faults());
    TEST("tasks with bad segments", bad_tasks());
    TEST("T bit", trap_bit());
    TEST("call gate to level 0", inward());
    TEST("call gate of the same level", same_level());
    TEST("call gates that fault", gate_faults());
    TEST("virtual-8086 mode", v86_state());
    TEST("sensitive instructions", v86_privilege());
    TEST("ports", v86_ports());
    TEST("reflected interrupts", v86_reflection());
    TEST("VME", v86_vme());
    TEST("operands of 32 bits", v86_offsets());
}

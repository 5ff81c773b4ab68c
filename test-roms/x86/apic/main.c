// Interrupts and the clocks that raise them: 8254 through 8259, local APIC, IO-APIC, HPET, RTC, and the interrupt shadow.

#include "rom.h"

#define LAPIC 0xfee00000u
#define IOAPIC 0xfec00000u
#define HPET 0xfed00000u

static volatile u32 *mmio(reg at)
{
    asm volatile("" : "+r"(at));
    return (volatile u32 *)at;
}
static u32 lapic(u32 at)
{
    return *mmio(LAPIC + at);
}
static void set_lapic(u32 at, u32 v)
{
    *mmio(LAPIC + at) = v;
}
static u32 ioapic(u32 n)
{
    *mmio(IOAPIC) = n;
    return *mmio(IOAPIC + 0x10);
}
static void set_ioapic(u32 n, u32 v)
{
    *mmio(IOAPIC) = n;
    *mmio(IOAPIC + 0x10) = v;
}
enum { ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, SVR = 0xf0, ISR = 0x100, IRR = 0x200, ICR = 0x300, ICR_HIGH = 0x310,
       LVT_TIMER = 0x320, LVT_LINT0 = 0x350, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3e0 };

static volatile u32 count[256];
static volatile u32 order[8], ordered;
static bool by_pic, by_apic;

static bool interrupt(struct frame *f)
{
    count[f->vector]++;
    if (ordered < 8)
        order[ordered++] = (u32)f->vector;
    if (by_pic) {
        if (f->vector >= 0x28)
            outb(0xa0, 0x20);
        outb(0x20, 0x20);
    } else if (by_apic) {
        set_lapic(EOI, 0);
    }
    return true;
}

static void clear(void)
{
    for (unsigned v = 0; v < 256; v++)
        count[v] = 0;
    ordered = 0;
}
// Lets interrupts in until there were n of a vector; false if the ACPI timer says that this took 2 s.
static bool await(u32 vector, u32 n)
{
    u32 start = inl(0x608);
    asm volatile("sti" ::: "memory");
    while (count[vector] < n && ((inl(0x608) - start) & 0xffffff) < 7159090) {
    }
    asm volatile("cli" ::: "memory");
    return count[vector] >= n;
}
// Waits with interrupts on.
static void wait_us(u32 us)
{
    u32 start = inl(0x608), ticks = us * 3 + us / 2;
    asm volatile("sti" ::: "memory");
    while (((inl(0x608) - start) & 0xffffff) < ticks) {
    }
    asm volatile("cli" ::: "memory");
}

static void pic_init(void)
{
    static const struct {
        u16 port;
        u8 v;
    } icw[] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 4}, {0xa1, 2}, {0x21, 1}, {0xa1, 1}};
    for (unsigned i = 0; i < ARRAY_LEN(icw); i++)
        outb(icw[i].port, icw[i].v);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

static void pit_through_pic(void)
{
    by_pic = true;
    clear();
    // 1 kHz.
    outb(0x43, 0x34);
    outb(0x40, 0xa9);
    outb(0x40, 0x04);
    wait_us(5000);
    EQ(count[0x20], 0);
    outb(0x21, 0xfe);
    EQ(await(0x20, 10), true);
    outb(0x21, 0xff);
    clear();
    wait_us(3000);
    EQ(count[0x20], 0);
    // One shot: mode 0.
    outb(0x43, 0x30);
    outb(0x21, 0xfe);
    wait_us(1500);
    clear();
    outb(0x40, 0x10);
    outb(0x40, 0);
    EQ(await(0x20, 1), true);
    wait_us(3000);
    EQ(count[0x20], 1);
    outb(0x21, 0xff);
    by_pic = false;
}

static void rtc_through_pic(void)
{
    by_pic = true;
    clear();
    // Periodic, 1024 Hz.
    outb(0x70, 0x0a);
    outb(0x71, 0x26);
    outb(0x70, 0x0b);
    outb(0x71, 0x42);
    outb(0x70, 0x0c);
    inb(0x71);
    outb(0xa1, 0xfe);
    outb(0x21, 0xfb);
    EQ(await(0x28, 1), true);
    // Not again before register C is read (one may have been under way).
    wait_us(3000);
    u32 n = count[0x28];
    wait_us(3000);
    EQ(count[0x28], n);
    for (u32 i = n + 1; i < n + 5; i++) {
        outb(0x70, 0x0c);
        EQ(inb(0x71) & 0xc0, 0xc0);
        EQ(await(0x28, i), true);
    }
    outb(0x70, 0x0b);
    outb(0x71, 2);
    outb(0x70, 0x0c);
    inb(0x71);
    outb(0xa1, 0xff);
    outb(0x21, 0xff);
    by_pic = false;
}

static void pic_registers(void)
{
    outb(0x21, 0xa5);
    EQ(inb(0x21), 0xa5);
    outb(0x21, 0xff);
    // IRR of a masked, pending input; ISR is empty.
    outb(0x43, 0x34);
    outb(0x40, 0xa9);
    outb(0x40, 0x04);
    outb(0x20, 0x0a);
    for (unsigned i = 0; i < 2000 && !(inb(0x20) & 1); i++)
        wait_us(1000);
    EQ(inb(0x20) & 1, 1);
    outb(0x20, 0x0b);
    EQ(inb(0x20), 0);
}

static void lapic_state(void)
{
    EQ(rdmsr(0x1b) & 0xfffff900, LAPIC | 0x900);
    EQ(lapic(ID), 0);
    EQ(lapic(VERSION) & 0xf0, 0x10);
    set_lapic(SVR, 0x1ff);
    EQ(lapic(SVR) & 0x1ff, 0x1ff);
    set_lapic(TPR, 0x20);
    EQ(lapic(PPR), 0x20);
#if LONG
    EQ(READ_REG("cr8"), 2);
#endif
    set_lapic(TPR, 0);
}

static void self_ipi(void)
{
    by_apic = true;
    clear();
    set_lapic(ICR_HIGH, 0);
    set_lapic(ICR, 0x40000 | 0x41);
    EQ(lapic(IRR + 0x20) & 2, 2);
    EQ(count[0x41], 0);
    EQ(await(0x41, 1), true);
    EQ(lapic(IRR + 0x20), 0);
    EQ(lapic(ISR + 0x20), 0);
    // By priority, whatever the order.
    set_lapic(ICR, 0x40000 | 0x51);
    set_lapic(ICR, 0x40000 | 0x81);
    set_lapic(ICR, 0x40000 | 0x61);
    clear();
    EQ(await(0x51, 1), true);
    EQ(order[0] << 16 | order[1] << 8 | order[2], 0x816151);
    // What the task priority keeps back.
    clear();
    set_lapic(TPR, 0x60);
    set_lapic(ICR, 0x40000 | 0x61);
    set_lapic(ICR, 0x40000 | 0x71);
    EQ(await(0x71, 1), true);
    wait_us(500);
    EQ(count[0x61], 0);
    set_lapic(TPR, 0x50);
    EQ(await(0x61, 1), true);
    set_lapic(TPR, 0);
    // By physical number.
    set_lapic(ICR_HIGH, 0);
    set_lapic(ICR, 0x42);
    EQ(await(0x42, 1), true);
}

static void shadow(void)
{
    // After STI one more instruction is done.
    clear();
    set_lapic(ICR, 0x40000 | 0x41);
    static volatile reg at;
    extern u8 sh_1[], sh_2[];
    bool hook(struct frame *f)
    {
        at = f->ip;
        set_lapic(EOI, 0);
        return true;
    }
    hooks[0x41] = hook;
    asm volatile("sti; nop; sh_1: nop; cli" ::: "memory");
    EQ(at, (reg)sh_1);
    // STI and CLI in a row let nothing in.
    at = 0;
    set_lapic(ICR, 0x40000 | 0x41);
    asm volatile("sti; cli; nop; nop" ::: "memory");
    EQ(at, 0);
    // HLT right behind STI is woken.
    asm volatile("sti; hlt; sh_2: cli" ::: "memory");
    EQ(at, (reg)sh_2);
    hooks[0x41] = interrupt;
    // POPF has no shadow.
}

static void timer(void)
{
    clear();
    set_lapic(DIVIDE, 0xb);
    // Masked, it counts all the same.
    set_lapic(LVT_TIMER, 0x10000 | 0x43);
    set_lapic(INITIAL, 0xffffffff);
    u32 a = lapic(CURRENT);
    wait_us(2000);
    u32 b = lapic(CURRENT);
    EQ(b < a, 1);
    u32 per_ms = (a - b) / 2;
    // One shot.
    set_lapic(LVT_TIMER, 0x43);
    set_lapic(INITIAL, per_ms);
    EQ(await(0x43, 1), true);
    wait_us(3000);
    EQ(count[0x43], 1);
    EQ(lapic(CURRENT), 0);
    // Periodic.
    clear();
    set_lapic(LVT_TIMER, 0x20043);
    set_lapic(INITIAL, per_ms);
    EQ(await(0x43, 10), true);
    set_lapic(LVT_TIMER, 0x10043);
    set_lapic(INITIAL, 0);
    // One that is pending already comes through.
    wait_us(100);
    clear();
    wait_us(3000);
    EQ(count[0x43], 0);
    // HLT until it fires.
    set_lapic(LVT_TIMER, 0x43);
    set_lapic(INITIAL, per_ms);
    asm volatile("sti; hlt; cli" ::: "memory");
    EQ(count[0x43], 1);
    set_lapic(LVT_TIMER, 0x10043);
}

static void deadline(void)
{
    if (!HAS_1C(24)) {
        test_skip("no TSC deadline");
        return;
    }
    clear();
    u64 t = rdtsc();
    wait_us(2000);
    // 50 ms: a busy host may stop the machine for longer than one.
    u64 later = 25 * (rdtsc() - t);
    set_lapic(LVT_TIMER, 0x40044);
    t = rdtsc() + later;
    wrmsr(0x6e0, t);
    EQ(rdmsr(0x6e0), t);
    EQ(await(0x44, 1), true);
    EQ(rdtsc() >= t, 1);
    // Disarmed when it fired.
    EQ(rdmsr(0x6e0), 0);
    // One in the past fires at once; zero disarms.
    wrmsr(0x6e0, 1);
    EQ(await(0x44, 2), true);
    wrmsr(0x6e0, rdtsc() + later);
    wrmsr(0x6e0, 0);
    wait_us(60000);
    EQ(count[0x44], 2);
    set_lapic(LVT_TIMER, 0x10044);
}

static void ioapic_routes(void)
{
    clear();
    EQ(ioapic(1) >> 16 & 0xff, 23);
    // The 8254 is at input 2.
    outb(0x43, 0x34);
    outb(0x40, 0xa9);
    outb(0x40, 0x04);
    EQ(ioapic(0x14) >> 16 & 1, 1);
    set_ioapic(0x15, 0);
    set_ioapic(0x14, 0x46);
    EQ(await(0x46, 5), true);
    set_ioapic(0x14, 0x10046);
    clear();
    wait_us(3000);
    EQ(count[0x46], 0);
    // RTC at 8.
    outb(0x70, 0x0b);
    outb(0x71, 0x42);
    outb(0x70, 0x0c);
    inb(0x71);
    set_ioapic(0x21, 0);
    set_ioapic(0x20, 0x47);
    outb(0x70, 0x0c);
    inb(0x71);
    EQ(await(0x47, 1), true);
    set_ioapic(0x20, 0x10047);
    outb(0x70, 0x0b);
    outb(0x71, 2);
    outb(0x70, 0x0c);
    inb(0x71);
    // The 8254 at rest.
    outb(0x43, 0x30);
}

static void hpet(void)
{
    volatile u32 *h = mmio(HPET);
    // Vendor, and a period below 100 ns.
    EQ(h[0] >> 16, 0x8086);
    EQ(h[1] > 0 && h[1] <= 100000000, 1);
    h[4] = 0;
    h[0xf0 / 4] = 0;
    h[0xf4 / 4] = 0;
    EQ(h[0xf0 / 4], 0);
    h[4] = 1;
    wait_us(1000);
    EQ(h[0xf0 / 4] > 0, 1);
    // Timer 0, one shot, through input 2.
    clear();
    h[4] = 0;
    EQ(h[0x104 / 4] >> 2 & 1, 1);
    set_ioapic(0x14, 0x48);
    h[0x100 / 4] = 2 << 9 | 4;
    u32 femto_ms = 1000000000u / (h[1] / 1000);
    h[0xf0 / 4] = 0;
    h[0x108 / 4] = femto_ms;
    h[0x10c / 4] = 0;
    h[4] = 1;
    EQ(await(0x48, 1), true);
    wait_us(2000);
    EQ(count[0x48], 1);
    // Periodic.
    clear();
    h[4] = 0;
    h[0xf0 / 4] = 0;
    h[0x100 / 4] = 2 << 9 | 4 | 8 | 0x40;
    h[0x108 / 4] = femto_ms;
    h[0x108 / 4] = femto_ms;
    h[4] = 1;
    EQ(await(0x48, 5), true);
    h[0x100 / 4] = 0;
    h[4] = 0;
    set_ioapic(0x14, 0x10048);
}

static void calendar(void)
{
    // The time is a time.
    u8 v[10];
    do
        outb(0x70, 0x0a);
    while (inb(0x71) & 0x80);
    for (u8 i = 0; i < 10; i++) {
        outb(0x70, i);
        v[i] = inb(0x71);
    }
    outb(0x70, 0x0d);
    EQ(inb(0x71) & 0x80, 0x80);
    EQ(v[0] < 0x60 && v[2] < 0x60 && v[4] < 0x24, 1);
    EQ(v[7] >= 1 && v[7] <= 0x31 && v[8] >= 1 && v[8] <= 0x12, 1);
    // CMOS RAM.
    outb(0x70, 0x50);
    u8 old = inb(0x71);
    outb(0x71, 0xa7);
    outb(0x70, 0x50);
    EQ(inb(0x71), 0xa7);
    outb(0x71, old);
}

static volatile reg x87_at;

static bool x87_error(struct frame *f)
{
    x87_at = f->ip;
    count[f->vector]++;
    // IGNNE#: what is pending is ignored until it is gone.
    outb(0xf0, 0);
    outb(0xa0, 0x20);
    outb(0x20, 0x20);
    return true;
}

// A division by zero, unmasked: it waits for the next instruction.
static void divide_x87(void)
{
    static const u16 unmasked = 0x37b;
    asm volatile("fnclex; fninit; fldcw %0; fld1; fldz; fdivrp" ::"m"(unmasked) : "memory");
}

static void x87_errors(void)
{
    extern const u8 xe_1[];
    if (on_tcg) {
        test_skip("fails an assertion of its own where FERR# is asserted");
        return;
    }
    reg cr0 = READ_REG("cr0");
    WRITE_REG("cr0", cr0 & ~(reg)(CR0_NE | CR0_EM | CR0_TS));
    hooks[0x2d] = x87_error;
    clear();
    outb(0x21, 0xfb);
    outb(0xa1, 0xdf);
    divide_x87();
    asm volatile("sti; fnop; nop; nop; cli" ::: "memory");
    EQ(await(0x2d, 1), true);
    // Ignored from now on.
    asm volatile("sti; fnop; fwait; nop; cli" ::: "memory");
    EQ(count[0x2d], 1);
    // The next one is not.
    divide_x87();
    asm volatile("sti; fwait; nop; nop; cli" ::: "memory");
    EQ(await(0x2d, 2), true);
    // The processor waited for the interrupt (SDM vol. 1, D.2.1), and executed the instruction behind it.
    clear();
    divide_x87();
    asm volatile("sti; nop; xe_1: fnop; cli" ::: "memory");
    EQ(x87_at, (reg)xe_1);
    EQ(count[0x2d], 1);
    asm volatile("fnclex; fninit");
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    hooks[0x2d] = interrupt;
    WRITE_REG("cr0", cr0);
}

void rom_main(void)
{
    for (unsigned v = 0x20; v < 0x90; v++)
        if (v != 0x80)
            hooks[v] = interrupt;
    pic_init();
    TEST("8259", pic_registers());
    TEST("8254 through 8259", pit_through_pic());
    TEST("RTC through 8259", rtc_through_pic());
    TEST("RTC", calendar());
    TEST("x87 errors by IRQ 13", x87_errors());
    if (!HAS_1D(9)) {
        printf("no local APIC\n");
        return;
    }
    set_lapic(LVT_LINT0, 0x10000);
    TEST("local APIC", lapic_state());
    TEST("interrupts to itself", self_ipi());
    TEST("interrupt shadow", shadow());
    TEST("local APIC's timer", timer());
    TEST("TSC deadline", deadline());
    TEST("IO-APIC", ioapic_routes());
    TEST("HPET", hpet());
}

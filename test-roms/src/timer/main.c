// The generic timer, virtual and physical. Only lower bounds on time: a host may be slow.

#include "../lib/rom.h"

struct timer {
    const char *name;
    unsigned intid;
    u64 (*count)(void), (*ctl)(void), (*cval)(void), (*tval)(void);
    void (*set_ctl)(u64), (*set_cval)(u64), (*set_tval)(u64);
};

#define TIMER(x, ct)                                                                       \
    static u64 x##_count(void) { ISB(); return MRS(ct); }                                  \
    static u64 x##_ctl(void) { ISB(); return MRS(x##_ctl_el0); }                           \
    static u64 x##_cval(void) { return MRS(x##_cval_el0); }                                \
    static u64 x##_tval(void) { ISB(); return MRS(x##_tval_el0); }                         \
    static void x##_set_ctl(u64 v) { MSR(x##_ctl_el0, v); ISB(); }                         \
    static void x##_set_cval(u64 v) { MSR(x##_cval_el0, v); ISB(); }                       \
    static void x##_set_tval(u64 v) { MSR(x##_tval_el0, v); ISB(); }
TIMER(cntv, cntvct_el0)
TIMER(cntp, cntpct_el0)
#define ROW(name, intid, x) \
    { name, intid, x##_count, x##_ctl, x##_cval, x##_tval, x##_set_ctl, x##_set_cval, x##_set_tval }
static const struct timer timers[] = { ROW("virtual", 27, cntv), ROW("physical", 30, cntp) };

enum { ENABLE = 1, IMASK = 2, ISTATUS = 4 };
#define ISR_I BIT(7)

static const struct timer *t;
static u64 hz;
static volatile u64 fired, unexpected, interval;
// How often the handler leaves the timer as it is, for the level to be seen again.
static volatile u64 refires;

static bool on_irq(struct frame *f)
{
    (void)f;
    u32 iar = gic_ack();
    if ((iar & 0x3ff) != t->intid || !(t->ctl() & ISTATUS)) {
        unexpected++;
    } else {
        fired++;
        if (refires)
            refires--;
        else if (interval)
            t->set_cval(t->cval() + interval);
        else
            t->set_ctl(ENABLE | IMASK);
    }
    gic_eoi(iar);
    return true;
}

static u64 ms(u64 n)
{
    return hz * n / 1000;
}

static void stop(void)
{
    IRQ_OFF();
    t->set_ctl(0);
    interval = fired = refires = 0;
}

// Waits for n interrupts, asleep or not; false after 20 seconds.
static bool wait(u64 n, bool sleep)
{
    u64 start = t->count();
    while (fired < n) {
        if (t->count() - start > 20 * hz)
            return false;
        if (!sleep)
            continue;
        // Asleep with interrupts masked: the last one is not to come between the look and the sleep.
        IRQ_OFF();
        if (fired < n)
            WFI();
        IRQ_ON();
    }
    return true;
}

static void counts(void)
{
    u64 last = t->count(), backwards = 0, start = last;
    for (unsigned i = 0; i < 5000; i++) {
        u64 now = t->count();
        backwards += now < last;
        last = now;
    }
    EQ(backwards, 0);
    EQ(last > start, 1);
    // No CNTVOFF_EL2: both count the same.
    u64 a = MRS(cntpct_el0);
    ISB();
    u64 b = MRS(cntvct_el0);
    ISB();
    u64 c = MRS(cntpct_el0);
    EQ(a <= b && b <= c, 1);
}

static void compare(void)
{
    t->set_ctl(ENABLE | IMASK);
    for (unsigned i = 0; i < 2000; i++) {
        t->set_cval(t->count() + 1000 * hz);
        EQ(t->ctl(), ENABLE | IMASK);
        t->set_cval(t->count() - i);
        EQ(t->ctl(), ENABLE | IMASK | ISTATUS);
    }
    EQ(t->cval() <= t->count(), 1);
    t->set_cval(~0ull);
    EQ(t->ctl() & ISTATUS, 0);
    t->set_cval(0);
    EQ(t->ctl() & ISTATUS, ISTATUS);
    stop();
}

static void timer_value(void)
{
    t->set_ctl(ENABLE | IMASK);
    for (unsigned i = 0; i < 2000; i++) {
        u64 before = t->count();
        t->set_tval(0x7000000);
        u64 after = t->count();
        EQ(t->cval() >= before + 0x7000000 && t->cval() <= after + 0x7000000, 1);
        u64 left = t->tval();
        EQ(left <= 0x7000000 && left > 0x1000, 1);
        EQ(t->ctl() & ISTATUS, 0);
        // Signed: in the past.
        t->set_tval(0xffffff00);
        EQ(t->ctl() & ISTATUS, ISTATUS);
        EQ((t->tval() & 0x80000000) != 0, 1);
        EQ(t->tval() >> 32, 0);
    }
    stop();
}

static void masks(void)
{
    gic_enable(t->intid, 0x80);
    t->set_cval(0);
    t->set_ctl(ENABLE | IMASK);
    EQ(MRS(isr_el1) & ISR_I, 0);
    t->set_ctl(ENABLE);
    EQ(MRS(isr_el1) & ISR_I, ISR_I);
    t->set_ctl(0);
    EQ(MRS(isr_el1) & ISR_I, 0);
    t->set_ctl(ENABLE);
    gic_disable(t->intid);
    DSB();
    ISB();
    EQ(MRS(isr_el1) & ISR_I, 0);
    gic_enable(t->intid, 0x80);
    stop();
}

static void wfi_wakes_masked(void)
{
    for (unsigned i = 0; i < 5; i++) {
        t->set_tval(ms(3));
        u64 deadline = t->cval();
        t->set_ctl(ENABLE);
        // WFI may end early, but not for good before the timer.
        while (!(MRS(isr_el1) & ISR_I))
            WFI();
        EQ(t->count() >= deadline, 1);
        EQ(fired, 0);
    }
    // It is taken as soon as it is unmasked.
    IRQ_ON();
    ISB();
    IRQ_OFF();
    EQ(fired, 1);
    stop();
}

static void one_shot(void)
{
    for (u64 i = 1; i <= 20; i++) {
        t->set_tval(ms(1));
        u64 deadline = t->cval();
        t->set_ctl(ENABLE);
        IRQ_ON();
        EQ(wait(i, i & 1), 1);
        IRQ_OFF();
        EQ(t->count() >= deadline, 1);
        EQ(fired, i);
    }
    stop();
}

static void level(void)
{
    // The timer's line stays up: after each EOI the interrupt comes again.
    refires = 200;
    t->set_cval(0);
    t->set_ctl(ENABLE);
    IRQ_ON();
    EQ(wait(201, false), 1);
    for (unsigned i = 0; i < 1000; i++)
        ISB();
    EQ(fired, 201);
    stop();
}

static void periodic(void)
{
    u64 start = t->count();
    interval = ms(1);
    t->set_cval(start + interval);
    t->set_ctl(ENABLE);
    IRQ_ON();
    EQ(wait(60, true), 1);
    IRQ_OFF();
    EQ(t->count() - start >= ms(60), 1);
    // None too many for the time.
    EQ(fired <= (t->count() - start) / interval, 1);
    stop();
}

static __attribute__((noinline)) u64 work(u64 n)
{
    u64 a = 1, b = 2, c = 3, d = 4;
    while (n--) {
        a = a * 5 + b;
        b ^= a >> 7;
        c += b & a;
        d = (d << 3 | d >> 61) + c;
    }
    return a ^ b ^ c ^ d;
}

static u64 work_at_el0(u64 n, u64 b)
{
    return work(n) + b;
}

// Interrupts between any two instructions of hot code change nothing.
static void interrupted_work(void)
{
    u64 want = work(400000), runs = 0, wrong = 0;
    interval = ms(1) / 4;
    t->set_cval(t->count() + interval);
    t->set_ctl(ENABLE);
    u64 start = t->count();
    while (fired < 100 && t->count() - start < 20 * hz) {
        IRQ_ON();
        wrong += work(400000) != want;
        IRQ_OFF();
        wrong += el0_call(work_at_el0, 400000, 5) != want + 5;
        runs++;
    }
    EQ(wrong, 0);
    EQ(fired >= 100, 1);
    stop();
}

static u64 spin(u64 flag, u64 want)
{
    u64 n = 0;
    while (*(volatile u64 *)flag < want)
        n++;
    return n;
}

// A loop of two instructions that only an interrupt ends.
static void ends_a_loop(void)
{
    for (u64 i = 1; i <= 20; i++) {
        t->set_tval(ms(1));
        t->set_ctl(ENABLE);
        IRQ_ON();
        spin((u64)&fired, i);
        IRQ_OFF();
    }
    EQ(fired, 20);
    stop();
}

static void wfe_does_not_hang(void)
{
    for (unsigned i = 0; i < 1000; i++)
        asm volatile("sevl; wfe; sev; wfe" ::: "memory");
}

void rom_main(void)
{
    static char name[64];
    mmu_on();
    gic_init();
    trap_hooks[TRAP_IRQ] = on_irq;
    hz = MRS(cntfrq_el0);
    TEST("frequency", EQ(hz >= 1000000 && hz <= 1000000000, 1));
    static const struct {
        const char *name;
        void (*f)(void);
    } tests[] = {
        { "counts", counts },         { "CVAL and ISTATUS", compare },     { "TVAL", timer_value },
        { "masks", masks },           { "WFI wakes, masked", wfi_wakes_masked }, { "one shot", one_shot },
        { "level", level },           { "periodic", periodic },            { "interrupted work", interrupted_work },
        { "ends a loop", ends_a_loop },
    };
    for (t = timers; t < timers + ARRAY_LEN(timers); t++) {
        for (unsigned i = 0; i < ARRAY_LEN(tests); i++) {
            size_t n = strlen(t->name);
            memcpy(name, t->name, n);
            memcpy(name + n, ": ", 2);
            memcpy(name + n + 2, tests[i].name, strlen(tests[i].name) + 1);
            TEST(name, tests[i].f());
        }
        gic_disable(t->intid);
    }
    TEST("WFE", wfe_does_not_hang());
    TEST("no other interrupt", EQ(unexpected, 0));
    tests_finish();
}

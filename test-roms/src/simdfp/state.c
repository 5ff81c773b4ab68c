// The registers over exceptions, and switching them on at first use as kernels do.

#include "simdfp.h"

static volatile u64 switched_on;

static bool enable(struct frame *f)
{
    if (EC(f->esr) != EC_FP)
        return false;
    switched_on++;
    MSR(cpacr_el1, 3 << 20);
    ISB();
    return true;
}

// The trapped instruction is executed again and does what it does.
static void lazy(void)
{
    u64 wrong = 0, v;
    trap_hooks[TRAP_SYNC] = enable;
    for (u64 i = 0; i < 3000; i++) {
        MSR(cpacr_el1, 0);
        ISB();
        asm volatile("fmov d3, %1; fadd d3, d3, d3; fmov %0, d3" : "=r"(v) : "r"((1023 + i % 512) << 52) : "v3");
        wrong += v != (1024 + i % 512) << 52 || switched_on != i + 1;
        MSR(cpacr_el1, 0);
        ISB();
        asm volatile("str q3, [%0]; ldr q3, [%0]" ::"r"(&(u64[2]){ 0 }) : "v3", "memory");
        switched_on--;
    }
    trap_hooks[TRAP_SYNC] = NULL;
    EQ(wrong, 0);
    EQ(switched_on, 3000);
}

static void over_exceptions(void)
{
    u64 wrong = 0, a, b;
    catching = true;
    for (u64 i = 0; i < 3000; i++) {
        asm volatile("fmov d5, %2; mov v5.d[1], %3; fmov d31, %3; svc #0; brk #1\n fmov %0, d31; mov %1, v5.d[1]"
                     : "=&r"(a), "=&r"(b) : "r"(i), "r"(~i) : "v5", "v31", "memory");
        wrong += a != ~i || b != ~i;
    }
    catching = false;
    EQ(wrong, 0);
}

static u64 half(u64 a, u64 b)
{
    u64 r;
    asm volatile("scvtf d0, %1; fmov d1, #0.5; fmul d0, d0, d1; fcvtzs %0, d0; add %0, %0, %2" : "=&r"(r)
                 : "r"(a), "r"(b) : "v0", "v1");
    return r;
}

static void at_el0(void)
{
    u64 wrong = 0;
    for (u64 i = 0; i < 2500; i++)
        wrong += el0_call(half, 2 * i, 3) != i + 3;
    // CPACR_EL1.FPEN 1: EL1 may, EL0 may not.
    MSR(cpacr_el1, 1 << 20);
    ISB();
    for (u64 i = 0; i < 500; i++) {
        wrong += half(2 * i, 3) != i + 3;
        wrong += CATCH(el0_call(half, 2, 3)) == 0 || caught.esr != 0x1fe00000;
    }
    MSR(cpacr_el1, 3 << 20);
    ISB();
    EQ(wrong, 0);
}

void state_tests(void)
{
    TEST("registers over exceptions", over_exceptions());
    TEST("switched on at first use", lazy());
    TEST("FP at EL0", at_el0());
}

// The CPU self-test: one line for each group, then the count.

#include "monitor.h"

static void flags_and_carry(void)
{
    u64 lo, hi, f;
    asm("adds %0, %3, %4; adc %1, %5, xzr; mrs %2, nzcv" : "=&r"(lo), "=&r"(hi), "=r"(f)
        : "r"(~0ull), "r"(2ull), "r"(5ull) : "cc");
    EQ(lo, 1);
    EQ(hi, 6);
    EQ(f, 0x20000000);
    asm("subs %0, %2, %3; mrs %1, nzcv" : "=&r"(lo), "=r"(f) : "r"(BIT(63)), "r"(1ull) : "cc");
    EQ(lo, ~0ull >> 1);
    EQ(f, 0x30000000);
    asm("cmp %1, %1; ccmp %1, %2, #4, ne; cset %0, eq" : "=r"(lo) : "r"(3ull), "r"(4ull) : "cc");
    EQ(lo, 1);
}

static void shifts_and_fields(void)
{
    u64 v = 0x0123456789abcdef, r;
    asm("ror %0, %1, #12" : "=r"(r) : "r"(v));
    EQ(r, 0xdef0123456789abc);
    asm("sbfx %0, %1, #4, #12" : "=r"(r) : "r"(v));
    EQ(r, 0xfffffffffffffcde);
    asm("mov %0, xzr; bfi %0, %1, #8, #16" : "=&r"(r) : "r"(v));
    EQ(r, 0xcdef00);
    asm("extr %0, %1, %2, #20" : "=r"(r) : "r"(v), "r"(0x1111222233334444ull));
    EQ(r, 0xbcdef11112222333);
    asm("asr %w0, %w1, #4" : "=r"(r) : "r"(v));
    EQ(r, 0xf89abcde);
}

static void multiply_divide(void)
{
    u64 r;
    asm("umulh %0, %1, %1" : "=r"(r) : "r"(~0ull));
    EQ(r, ~1ull);
    asm("smulh %0, %1, %2" : "=r"(r) : "r"(~0ull), "r"(3ull));
    EQ(r, ~0ull);
    asm("sdiv %0, %1, %2" : "=r"(r) : "r"(-7ull), "r"(2ull));
    EQ(r, -3ull);
    asm("udiv %0, %1, xzr" : "=r"(r) : "r"(7ull));
    EQ(r, 0);
    asm("sdiv %0, %1, %2" : "=r"(r) : "r"(BIT(63)), "r"(~0ull));
    EQ(r, BIT(63));
}

static void bits(void)
{
    u64 r, v = 0x00f0000000000001;
    asm("rbit %0, %1" : "=r"(r) : "r"(v));
    EQ(r, 0x8000000000000f00);
    asm("rev %0, %1" : "=r"(r) : "r"(v));
    EQ(r, 0x010000000000f000);
    asm("clz %0, %1" : "=r"(r) : "r"(v));
    EQ(r, 8);
    asm("cls %0, %1" : "=r"(r) : "r"(~1ull));
    EQ(r, 62);
}

static void crc32(void)
{
    if (FIELD(MRS(id_aa64isar0_el1), 16) == 0) {
        test_skip("no CRC32");
        return;
    }
    // The check value of CRC-32: "123456789".
    u64 c = 0xffffffff;
    asm(".arch_extension crc\ncrc32x %w0, %w0, %1\ncrc32b %w0, %w0, %w2"
        : "+r"(c) : "r"(0x3837363534333231ull), "r"('9'));
    EQ((u32)~c, 0xcbf43926);
}

static void memory(void)
{
    static u8 buffer[64] __attribute__((aligned(64)));
    for (unsigned i = 0; i < sizeof buffer; i++)
        buffer[i] = (u8)i;
    u64 a, b;
    asm volatile("ldr %0, [%1, #3]" : "=r"(a) : "r"(buffer) : "memory");
    EQ(a, 0x0a09080706050403);
    asm volatile("ldp %0, %1, [%2, #8]" : "=r"(a), "=r"(b) : "r"(buffer) : "memory");
    EQ(a, 0x0f0e0d0c0b0a0908);
    EQ(b, 0x1716151413121110);
    asm volatile("ldrsb %0, [%1]" : "=r"(a) : "r"(&(u8){ 0x80 }) : "memory");
    EQ(a, 0xffffffffffffff80);
    asm volatile("str %1, [%0, #13]" ::"r"(buffer), "r"(~0ull) : "memory");
    EQ(buffer[12], 12);
    EQ(buffer[13], 0xff);
    EQ(buffer[20], 0xff);
    EQ(buffer[21], 21);
}

static void exclusives(void)
{
    u64 cell = 7, old;
    u32 failed;
    asm volatile("ldxr %0, [%2]; add %0, %0, #1; stxr %w1, %0, [%2]" : "=&r"(old), "=&r"(failed) : "r"(&cell)
                 : "memory");
    EQ(failed, 0);
    EQ(cell, 8);
    asm volatile("clrex; stxr %w0, xzr, [%1]" : "=&r"(failed) : "r"(&cell) : "memory");
    EQ(failed, 1);
    EQ(cell, 8);
}

static void atomics(void)
{
    if (FIELD(MRS(id_aa64isar0_el1), 20) < 2) {
        test_skip("no LSE");
        return;
    }
    u64 cell = 10, old;
    asm volatile(".arch_extension lse\nldaddal %2, %0, [%1]" : "=&r"(old) : "r"(&cell), "r"(5ull) : "memory");
    EQ(old, 10);
    EQ(cell, 15);
    old = 15;
    asm volatile(".arch_extension lse\ncasal %0, %2, [%1]" : "+r"(old) : "r"(&cell), "r"(1ull) : "memory");
    EQ(old, 15);
    EQ(cell, 1);
}

static void floating_point(void)
{
    u64 r;
    // 1.5 * 2.25 + 0.125 = 3.5; sqrt(2) rounded to nearest; 1/3 in single precision.
    asm volatile("fmov d0, #1.5; fmov d1, #2.25; fmov d2, #0.125; fmadd d0, d0, d1, d2; fmov %0, d0" : "=r"(r)
                 ::"v0", "v1", "v2");
    EQ(r, 0x400c000000000000);
    asm volatile("fmov d0, #2.0; fsqrt d0, d0; fmov %0, d0" : "=r"(r)::"v0");
    EQ(r, 0x3ff6a09e667f3bcd);
    asm volatile("fmov s0, #1.0; fmov s1, #3.0; fdiv s0, s0, s1; fmov %w0, s0" : "=r"(r)::"v0", "v1");
    EQ(r, 0x3eaaaaab);
    asm volatile("fmov d0, #-2.5; fcvtns %0, d0" : "=r"(r)::"v0");
    EQ(r, -2ull);
}

static void simd(void)
{
    u64 r;
    asm volatile("movi v0.16b, #3; movi v1.16b, #5; mul v0.16b, v0.16b, v1.16b; addv b0, v0.16b; umov %w0, v0.b[0]"
                 : "=r"(r)::"v0", "v1");
    EQ(r, 240);
    asm volatile("dup v0.8b, %w1; cnt v0.8b, v0.8b; uaddlv h0, v0.8b; umov %w0, v0.h[0]" : "=r"(r) : "r"(0x5a)
                 : "v0");
    EQ(r, 32);
}

static void exceptions(void)
{
    EQ(CATCH(asm volatile("svc #0x123" ::: "memory")), 1);
    EQ(caught.esr, 0x56000123);
    EQ(CATCH(asm volatile("udf #0" ::: "memory")), 1);
    EQ(EC(caught.esr), EC_UNKNOWN);
    EQ(CATCH(asm volatile("brk #7" ::: "memory")), 1);
    EQ(caught.esr, 0xf2000007);
    // 2^39: beyond the map.
    EQ(CATCH(asm volatile("ldr xzr, [%0]" ::"r"(BIT(39)) : "memory")), 1);
    EQ(EC(caught.esr), EC_DABT);
    EQ(caught.far, BIT(39));
}

static u64 at_el0(u64 a, u64 b)
{
    u64 v;
    asm volatile("mrs %0, nzcv" : "=r"(v));
    return a * b;
}

static void user_mode(void)
{
    EQ(el0_call(at_el0, 6, 7), 42);
}

static void timer_interrupts(void)
{
    u64 ticks = timer_ticks, start = MRS(cntvct_el0), hz = MRS(cntfrq_el0);
    // Three interrupts within two seconds, asleep in between.
    while (timer_ticks < ticks + 3 && MRS(cntvct_el0) - start < 2 * hz)
        WFI();
    EQ(timer_ticks >= ticks + 3, 1);
}

static void address_translation(void)
{
    MSR(par_el1, 1);
    asm volatile("at s1e1r, %0; isb" ::"r"(__image_start) : "memory");
    EQ(MRS(par_el1) & 1, 0);
    EQ(MRS(par_el1) & 0xfffffffff000, (u64)__image_start);
    asm volatile("at s1e1w, %0; isb" ::"r"(__image_start) : "memory");
    EQ(MRS(par_el1) & 0x7f, 0x0f << 1 | 1);
}

void cmd_test(void)
{
    static const struct {
        const char *name;
        void (*f)(void);
    } tests[] = {
        { "add, subtract, flags", flags_and_carry },
        { "shifts, bit fields", shifts_and_fields },
        { "multiply, divide", multiply_divide },
        { "bit counts, reversal", bits },
        { "CRC32", crc32 },
        { "loads, stores, unaligned", memory },
        { "exclusive accesses", exclusives },
        { "atomics", atomics },
        { "floating point", floating_point },
        { "SIMD", simd },
        { "exceptions", exceptions },
        { "EL0 and back", user_mode },
        { "address translation", address_translation },
        { "timer interrupts", timer_interrupts },
    };
    tests_passed = tests_failed = tests_skipped = 0;
    for (unsigned i = 0; i < ARRAY_LEN(tests); i++)
        TEST(tests[i].name, tests[i].f());
    printf("%u passed, %u failed", tests_passed, tests_failed);
    printf(tests_skipped ? ", %u skipped\n" : "\n", tests_skipped);
}

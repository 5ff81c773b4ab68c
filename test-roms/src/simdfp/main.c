// Floating point: values known from IEEE 754 and the manual, rounding modes, exception flags.

#include "simdfp.h"

struct result {
    u64 value, flags;
};

// An instruction of two operands, run often enough to be compiled; the last result and the flags of one run.
#define OP2(name, text)                                                                                      \
    static struct result name(u64 a, u64 b, u64 fpcr)                                                        \
    {                                                                                                        \
        struct result r;                                                                                     \
        MSR(fpcr, fpcr);                                                                                     \
        for (unsigned i = 0; i < 300; i++) {                                                                 \
            MSR(fpsr, 0);                                                                                    \
            asm volatile("fmov d1, %1; fmov d2, %2; " text : "=r"(r.value) : "r"(a), "r"(b)                  \
                         : "v0", "v1", "v2", "cc");                                                          \
            r.flags = MRS(fpsr);                                                                             \
        }                                                                                                    \
        MSR(fpcr, 0);                                                                                        \
        return r;                                                                                            \
    }
OP2(add_d, "fadd d0, d1, d2; fmov %0, d0")
OP2(sub_d, "fsub d0, d1, d2; fmov %0, d0")
OP2(mul_d, "fmul d0, d1, d2; fmov %0, d0")
OP2(div_d, "fdiv d0, d1, d2; fmov %0, d0")
OP2(div_s, "fdiv s0, s1, s2; fmov %w0, s0")
OP2(mul_s, "fmul s0, s1, s2; fmov %w0, s0")
OP2(sqrt_d, "fsqrt d0, d1; fmov %0, d0")
OP2(min_d, "fmin d0, d1, d2; fmov %0, d0")
OP2(max_d, "fmax d0, d1, d2; fmov %0, d0")
OP2(maxnm_d, "fmaxnm d0, d1, d2; fmov %0, d0")
OP2(compare_d, "fcmp d1, d2; mrs %0, nzcv; lsr %0, %0, #28")
OP2(signalling_compare_d, "fcmpe d1, d2; mrs %0, nzcv; lsr %0, %0, #28")
OP2(to_single, "fcvt s0, d1; fmov %w0, s0")
OP2(single_to_double, "fcvt d0, s1; fmov %0, d0")
OP2(single_to_half, "fcvt h0, s1; umov %w0, v0.h[0]")
OP2(half_to_single, "fcvt s0, h1; fmov %w0, s0")
OP2(to_s64_zero, "fcvtzs %0, d1")
OP2(to_u32_zero, "fcvtzu %w0, d1")
OP2(to_s64_even, "fcvtns %0, d1")
OP2(to_s64_away, "fcvtas %0, d1")
OP2(to_s64_up, "fcvtps %0, d1")
OP2(to_s64_down, "fcvtms %0, d1")
OP2(round_current, "frinti d0, d1; fmov %0, d0")
OP2(round_exact, "frintx d0, d1; fmov %0, d0")
OP2(from_s64, "scvtf d0, %1; fmov %0, d0")
OP2(from_u64_single, "ucvtf s0, %1; fmov %w0, s0")
OP2(estimate, "frecpe s0, s1; fmov %w0, s0")
OP2(root_estimate, "frsqrte s0, s1; fmov %w0, s0")
OP2(square_minus, "fnmsub d0, d1, d1, d2; fmov %0, d0")

static void is(struct result r, u64 value, u64 flags)
{
    EQ(r.value, value);
    EQ(r.flags, flags);
}

#define ONE 0x3ff0000000000000
#define TWO 0x4000000000000000
#define THREE 0x4008000000000000
#define INF 0x7ff0000000000000
#define QNAN 0x7ff8000000000000
#define MAX 0x7fefffffffffffff
#define MINUS BIT(63)

static void rounding_modes(void)
{
    // Nearest, up, down, zero: 1/3 and -1/3, both widths.
    static const u64 third[4] = { 0x3fd5555555555555, 0x3fd5555555555556, 0x3fd5555555555555, 0x3fd5555555555555 };
    static const u64 minus[4] = { 0xbfd5555555555555, 0xbfd5555555555555, 0xbfd5555555555556, 0xbfd5555555555555 };
    static const u64 single[4] = { 0x3eaaaaab, 0x3eaaaaab, 0x3eaaaaaa, 0x3eaaaaaa };
    static const u64 whole[4] = { 2, 3, 2, 2 };
    for (unsigned m = 0; m < 4; m++) {
        is(div_d(ONE, THREE, FPCR_RMODE(m)), third[m], FPSR_IXC);
        is(div_d(ONE | MINUS, THREE, FPCR_RMODE(m)), minus[m], FPSR_IXC);
        is(div_s(0x3f800000, 0x40400000, FPCR_RMODE(m)), single[m], FPSR_IXC);
        // 2.5; FRINTX alone says that it was not exact.
        u64 want = whole[m] == 2 ? TWO : THREE;
        is(round_current(0x4004000000000000, 0, FPCR_RMODE(m)), want, 0);
        is(round_exact(0x4004000000000000, 0, FPCR_RMODE(m)), want, FPSR_IXC);
    }
    // x - x is +0, downwards -0.
    is(sub_d(ONE, ONE, 0), 0, 0);
    is(sub_d(ONE, ONE, FPCR_RMODE(2)), MINUS, 0);
}

static void exception_flags(void)
{
    is(add_d(ONE, ONE, 0), TWO, 0);
    is(div_d(ONE, 0, 0), INF, FPSR_DZC);
    is(div_d(0, 0, 0), QNAN, FPSR_IOC);
    is(mul_d(INF, 0, 0), QNAN, FPSR_IOC);
    is(sub_d(INF, INF, 0), QNAN, FPSR_IOC);
    is(sqrt_d(ONE | MINUS, 0, 0), QNAN, FPSR_IOC);
    is(sqrt_d(MINUS, 0, 0), MINUS, 0);
    is(sqrt_d(TWO, 0, 0), 0x3ff6a09e667f3bcd, FPSR_IXC);
    is(mul_d(MAX, TWO, 0), INF, FPSR_OFC | FPSR_IXC);
    is(mul_d(MAX, TWO, FPCR_RMODE(3)), MAX, FPSR_OFC | FPSR_IXC);
    is(mul_d(1, 0x3fe0000000000000, 0), 0, FPSR_UFC | FPSR_IXC);
    is(mul_d(1, 0x3fe0000000000000, FPCR_RMODE(1)), 1, FPSR_UFC | FPSR_IXC);
    // Exact, though subnormal: no underflow.
    is(mul_d(4, 0x3fe0000000000000, 0), 2, 0);
    is(mul_s(0x00800000, 0x3f000000, 0), 0x00400000, 0);
}

static void flush_to_zero(void)
{
    is(add_d(1, 0, FPCR_FZ), 0, FPSR_IDC);
    is(add_d(1 | MINUS, MINUS, FPCR_FZ), MINUS, FPSR_IDC);
    // A subnormal result: underflow without inexact.
    is(mul_d(0x0010000000000000, 0x3fe0000000000000, FPCR_FZ), 0, FPSR_UFC);
    is(add_d(1, ONE, 0), ONE, FPSR_IXC);
}

static void nans(void)
{
    u64 quiet = 0x7ff8000000001234, signalling = 0x7ff0000000005678;
    is(add_d(quiet, ONE, 0), quiet, 0);
    is(add_d(ONE, quiet | MINUS, 0), quiet | MINUS, 0);
    is(add_d(signalling, ONE, 0), 0x7ff8000000005678, FPSR_IOC);
    // A signalling one comes before a quiet one, else the first.
    is(add_d(quiet, signalling, 0), 0x7ff8000000005678, FPSR_IOC);
    is(add_d(quiet, quiet + 1, 0), quiet, 0);
    is(add_d(quiet, ONE, FPCR_DN), QNAN, 0);
    is(add_d(signalling, ONE, FPCR_DN), QNAN, FPSR_IOC);
    is(to_single(0x7ff4000020000000, 0, 0), 0x7fe00001, FPSR_IOC);
}

static void comparisons(void)
{
    is(compare_d(ONE, TWO, 0), 8, 0);
    is(compare_d(TWO, TWO, 0), 6, 0);
    is(compare_d(THREE, TWO, 0), 2, 0);
    is(compare_d(0, MINUS, 0), 6, 0);
    is(compare_d(QNAN, ONE, 0), 3, 0);
    is(signalling_compare_d(QNAN, ONE, 0), 3, FPSR_IOC);
    is(compare_d(0x7ff0000000000001, ONE, 0), 3, FPSR_IOC);
    is(min_d(0, MINUS, 0), MINUS, 0);
    is(max_d(MINUS, 0, 0), 0, 0);
    is(max_d(QNAN, ONE, 0), QNAN, 0);
    is(maxnm_d(QNAN, ONE, 0), ONE, 0);
}

static void conversions(void)
{
    u64 x2_5 = 0x4004000000000000;
    is(to_s64_zero(x2_5 | MINUS, 0, 0), -2ull, FPSR_IXC);
    is(to_s64_even(x2_5, 0, 0), 2, FPSR_IXC);
    is(to_s64_away(x2_5, 0, 0), 3, FPSR_IXC);
    is(to_s64_up(x2_5 | MINUS, 0, 0), -2ull, FPSR_IXC);
    is(to_s64_down(x2_5 | MINUS, 0, 0), -3ull, FPSR_IXC);
    is(to_s64_zero(QNAN, 0, 0), 0, FPSR_IOC);
    is(to_s64_zero(INF | MINUS, 0, 0), BIT(63), FPSR_IOC);
    is(to_s64_zero(0x43e0000000000000, 0, 0), BIT(63) - 1, FPSR_IOC);
    is(to_u32_zero(ONE | MINUS, 0, 0), 0, FPSR_IOC);
    is(to_u32_zero(0x41f0000000000000, 0, 0), 0xffffffff, FPSR_IOC);
    // 2^53 + 1 and 2^24 + 1 have no place for their last bit.
    is(from_s64(BIT(53) + 1, 0, 0), 0x4340000000000000, FPSR_IXC);
    is(from_s64(BIT(53) + 1, 0, FPCR_RMODE(1)), 0x4340000000000001, FPSR_IXC);
    is(from_u64_single(BIT(24) + 1, 0, 0), 0x4b800000, FPSR_IXC);
    is(from_u64_single(~0ull, 0, 0), 0x5f800000, FPSR_IXC);
    is(to_single(0x3ff0000010000000, 0, 0), 0x3f800000, FPSR_IXC);
    is(to_single(MAX, 0, 0), 0x7f800000, FPSR_OFC | FPSR_IXC);
    is(single_to_double(0x00000001, 0, 0), 0x36a0000000000000, 0);
    is(single_to_half(0x477fe000, 0, 0), 0x7bff, 0);
    is(single_to_half(0x47800000, 0, 0), 0x7c00, FPSR_OFC | FPSR_IXC);
    // FPCR.AHP: no infinities, the largest number is 131008.
    is(single_to_half(0x47ffe000, 0, BIT(26)), 0x7fff, 0);
    is(single_to_half(0x33800000, 0, 0), 0x0001, 0);
    is(half_to_single(0x3c01, 0, 0), 0x3f802000, 0);
    is(half_to_single(0x0001, 0, 0), 0x33800000, 0);
}

static void estimates(void)
{
    // The manual's tables begin with 511/512.
    is(estimate(0x3f800000, 0, 0), 0x3f7f8000, 0);
    is(root_estimate(0x3f800000, 0, 0), 0x3f7f8000, 0);
    is(estimate(0, 0, 0), 0x7f800000, FPSR_DZC);
    is(root_estimate(0xbf800000, 0, 0), 0x7fc00000, FPSR_IOC);
}

static void fused(void)
{
    // (1 + 2^-52)^2 - (1 + 2^-51) = 2^-104: the product is not rounded.
    is(square_minus(0x3ff0000000000001, 0x3ff0000000000002, 0), 0x3970000000000000, 0);
}

static void flags_accumulate(void)
{
    MSR(fpsr, 0);
    asm volatile("fmov d1, %0; fmov d2, xzr; fdiv d0, d1, d2; fdiv d0, d2, d2" ::"r"(ONE) : "v0", "v1", "v2");
    EQ(MRS(fpsr), FPSR_DZC | FPSR_IOC);
    asm volatile("fadd d0, d1, d1" ::: "v0");
    EQ(MRS(fpsr), FPSR_DZC | FPSR_IOC);
    MSR(fpsr, 0);
}

// ---- Long sums, whose results come from another language on another machine (IEEE 754 doubles, nearest)

static void long_sums(void)
{
    u64 r;
    MSR(fpcr, 0);
    // 4 (1 - 1/3 + 1/5 - ...), 300000 terms.
    asm volatile("movi d0, #0; fmov d1, #1.0; fmov d2, #1.0; fmov d3, #2.0\n"
                 "1: fdiv d4, d1, d2; fadd d0, d0, d4; fneg d1, d1; fadd d2, d2, d3\n subs %1, %1, #1; b.ne 1b\n"
                 "fmov d4, #4.0; fmul d0, d0, d4; fmov %0, d0"
                 : "=r"(r), "+r"(*&(u64){ 300000 })::"v0", "v1", "v2", "v3", "v4", "cc");
    EQ(r, 0x400921f994dfb70f);
    // sqrt(i) / (i + 0.5), i from 1 to 200000.
    asm volatile("movi d0, #0; fmov d1, #0.5; mov x9, #1\n"
                 "1: scvtf d2, x9; fsqrt d3, d2; fadd d2, d2, d1; fdiv d3, d3, d2; fadd d0, d0, d3\n"
                 "add x9, x9, #1; cmp x9, %1; b.ls 1b\n fmov %0, d0"
                 : "=r"(r) : "r"(200000ull) : "x9", "v0", "v1", "v2", "v3", "cc");
    EQ(r, 0x408bdf394ec439f3);
    // x = 3.75 x (1 - x), 200000 times from 0.3: chaotic, so that no bit may be wrong anywhere.
    asm volatile("fmov d0, %2; fmov d1, %3; fmov d2, #1.0\n"
                 "1: fmul d3, d1, d0; fsub d4, d2, d0; fmul d0, d3, d4\n subs %1, %1, #1; b.ne 1b\n fmov %0, d0"
                 : "=r"(r), "+r"(*&(u64){ 200000 }) : "r"(0x3fd3333333333333), "r"(0x400e000000000000)
                 : "v0", "v1", "v2", "v3", "v4", "cc");
    EQ(r, 0x3fdb9089d19dd6ec);
}

void rom_main(void)
{
    mmu_on();
    TEST("rounding modes", rounding_modes());
    TEST("exception flags", exception_flags());
    TEST("flush to zero", flush_to_zero());
    TEST("NaNs", nans());
    TEST("comparisons", comparisons());
    TEST("conversions", conversions());
    TEST("estimates", estimates());
    TEST("fused multiply-add", fused());
    TEST("flags accumulate", flags_accumulate());
    TEST("long sums", long_sums());
    simd_tests();
    state_tests();
    tests_finish();
}

// x87 and SSE: results that can be worked out by hand, exceptions, images of the state. SDM vol. 1, chapters 8 and 10 to 12.

#include "rom.h"

// An extended-precision number: significand, and sign and exponent.
struct ext {
    u64 m;
    u16 se;
} __attribute__((packed));
#define EXT(se, m) ((struct ext){m, se})
#define ONE EXT(0x3fff, BIT(63))
#define TWO EXT(0x4000, BIT(63))
#define THREE EXT(0x4000, 3ull << 62)
#define TEN EXT(0x4002, 0xa000000000000000)
#define INF EXT(0x7fff, BIT(63))
#define ZERO EXT(0, 0)
#define INDEFINITE EXT(0xffff, 3ull << 62)
#define PI EXT(0x4000, 0xc90fdaa22168c235)
#define MIN_NORMAL EXT(1, BIT(63))
#define MAX_NORMAL EXT(0x7ffe, ~0ull)

enum { IE = 1, DE_ = 2, ZE = 4, OE = 8, UE = 16, PE = 32, SF = 64, ES = 128, C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000 };

static u16 status;

static void control(u16 cw)
{
    asm volatile("fninit; fldcw %0" ::"m"(cw));
}

// op on ST(0) = b, ST(1) = a; the new ST(0).
#define F2(op, a, b)                                                                                       \
    ({                                                                                                     \
        struct ext a_ = (a), b_ = (b), r_;                                                                 \
        asm volatile("fnclex; fldt %2; fldt %3; " op "; fnstsw %1; fstpt %0; ffree %%st(0); fincstp"         \
                     : "=m"(r_), "=m"(status)                                                              \
                     : "m"(a_), "m"(b_)                                                                    \
                     : "memory");                                                                          \
        asm volatile("emms");                                                                              \
        r_;                                                                                                \
    })
#define F1(op, a)                                                                                          \
    ({                                                                                                     \
        struct ext a_ = (a), r_;                                                                           \
        asm volatile("fnclex; fldt %2; " op "; fnstsw %1; fstpt %0" : "=m"(r_), "=m"(status) : "m"(a_) : "memory"); \
        asm volatile("emms");                                                                              \
        r_;                                                                                                \
    })
#define SAME(got, want)                      \
    do {                                     \
        struct ext g_ = (got), w_ = (want);  \
        EQ(g_.m, w_.m);                      \
        EQ(g_.se, w_.se);                    \
    } while (0)
// Within `ulps` units in the last place of a significand.
#define NEAR(got, want, ulps)                            \
    do {                                                 \
        struct ext g_ = (got), w_ = (want);              \
        EQ(g_.se, w_.se);                                \
        EQ((u64)(g_.m - w_.m + (ulps)) <= 2 * (ulps), 1); \
    } while (0)

static void constants(void)
{
    control(0x37f);
    struct ext r;
#define CONSTANT(op, want)                                 \
    do {                                                   \
        asm volatile(op "; fstpt %0" : "=m"(r)::"memory"); \
        SAME(r, want);                                     \
    } while (0)
    CONSTANT("fld1", ONE);
    CONSTANT("fldz", ZERO);
    CONSTANT("fldpi", PI);
    CONSTANT("fldl2t", EXT(0x4000, 0xd49a784bcd1b8afe));
    CONSTANT("fldl2e", EXT(0x3fff, 0xb8aa3b295c17f0bc));
    CONSTANT("fldlg2", EXT(0x3ffd, 0x9a209a84fbcff799));
    CONSTANT("fldln2", EXT(0x3ffe, 0xb17217f7d1cf79ac));
    // Rounded as the control word says: up, and down.
    control(0xb7f);
    CONSTANT("fldl2t", EXT(0x4000, 0xd49a784bcd1b8aff));
    CONSTANT("fldpi", PI);
    control(0x77f);
    CONSTANT("fldpi", EXT(0x4000, 0xc90fdaa22168c234));
    CONSTANT("fldln2", EXT(0x3ffe, 0xb17217f7d1cf79ab));
}

static void arithmetic(void)
{
    control(0x37f);
    SAME(F2("faddp", ONE, TWO), THREE);
    EQ(status & 0x3f, 0);
    // 1/3 in four roundings and three precisions.
    static const struct {
        u16 cw;
        u64 m;
    } third[] = {
        {0x37f, 0xaaaaaaaaaaaaaaab}, {0x77f, 0xaaaaaaaaaaaaaaaa}, {0xb7f, 0xaaaaaaaaaaaaaaab}, {0xf7f, 0xaaaaaaaaaaaaaaaa},
        {0x27f, 0xaaaaaaaaaaaaa800}, {0xa7f, 0xaaaaaaaaaaaab000}, {0x07f, 0xaaaaab0000000000}, {0xc7f, 0xaaaaaa0000000000},
    };
    for (unsigned i = 0; i < ARRAY_LEN(third); i++) {
        control(third[i].cw);
        SAME(F2("fdivp %%st, %%st(1)", THREE, ONE), EXT(0x3ffd, third[i].m));
        EQ(status & 0x3f, PE);
        // C1: rounded up.
        qemu_lacks("no C1");
        EQ(!!(status & C1), (third[i].m >> 40 & 0xff) != 0xaa || (u8)third[i].m == 0xab || (u16)third[i].m == 0xb000);
    }
    control(0x37f);
    SAME(F1("fsqrt", TWO), EXT(0x3fff, 0xb504f333f9de6484));
    EQ(status & 0x3f, PE);
    SAME(F2("fmulp", THREE, TEN), EXT(0x4003, 0xf000000000000000));
    SAME(F1("fsqrt", EXT(0xbfff, BIT(63))), INDEFINITE);
    EQ(status & 0x3f, IE);
    SAME(F2("fdivp %%st, %%st(1)", ZERO, ONE), INF);
    EQ(status & 0x3f, ZE);
    SAME(F2("faddp", INF, EXT(0xffff, BIT(63))), INDEFINITE);
    EQ(status & 0x3f, IE);
    SAME(F2("fmulp", MAX_NORMAL, TWO), INF);
    EQ(status & 0x3f, OE | PE);
    SAME(F2("fmulp", MIN_NORMAL, EXT(0x3ffe, BIT(63))), EXT(0, BIT(62)));
    // Exact, so no underflow; a denormal operand.
    EQ(status & 0x3f, 0);
    SAME(F2("faddp", EXT(0, BIT(62)), EXT(0, BIT(62))), MIN_NORMAL);
    EQ(status & 0x3f, DE_);
    SAME(F2("fdivp %%st, %%st(1)", THREE, MIN_NORMAL), EXT(0, 0x2aaaaaaaaaaaaaab));
    EQ(status & 0x3f, UE | PE);
    // NaNs: a signalling one is made quiet; the larger of two.
    SAME(F2("faddp", EXT(0x7fff, 0x8000000000000123), ONE), EXT(0x7fff, 0xc000000000000123));
    EQ(status & 0x3f, IE);
    SAME(F2("faddp", EXT(0x7fff, 0xc000000000000123), EXT(0xffff, 0xc000000000000456)), EXT(0xffff, 0xc000000000000456));
    EQ(status & 0x3f, 0);
    // An unnormal is invalid.
    SAME(F2("faddp", EXT(0x4000, 1), ONE), INDEFINITE);
    EQ(status & 0x3f, IE);
}

static void special(void)
{
    control(0x37f);
    SAME(F1("fchs", ONE), EXT(0xbfff, BIT(63)));
    SAME(F1("fabs", EXT(0xbfff, BIT(63))), ONE);
    SAME(F2("fscale; fstp %%st(1); fldz; fxch", THREE, ONE), EXT(0x4002, BIT(63)));
    SAME(F1("fxtract; fstp %%st(1)", TEN), EXT(0x3fff, 0xa000000000000000));
    SAME(F1("fxtract; fstp %%st(0)", TEN), THREE);
    // FPREM truncates, FPREM1 rounds: 10 by 3, and 5 by 3.
    SAME(F2("fprem; fstp %%st(1); fldz; fxch", THREE, TEN), ONE);
    EQ(status & C2, 0);
    struct ext five = EXT(0x4001, 0xa000000000000000);
    SAME(F2("fprem", THREE, five), TWO);
    // The quotient's low bits: Q2 = C0, Q1 = C3, Q0 = C1.
    EQ(status & (C0 | C1 | C3), C1);
    qemu_lacks("does not count FPREM1's quotient");
    SAME(F2("fprem1", THREE, five), EXT(0xbfff, BIT(63)));
    EQ(status & (C0 | C1 | C3), C3);
    // Far apart it is not done at once.
    F2("fprem", THREE, EXT(0x7000, BIT(63)));
    EQ(status & C2, C2);
    SAME(F1("frndint", EXT(0x4000, 0xa000000000000000)), TWO);
    control(0xb7f);
    SAME(F1("frndint", EXT(0x4000, 0xa000000000000000)), THREE);
    control(0x37f);
    NEAR(F1("f2xm1", EXT(0x3ffe, BIT(63))), EXT(0x3ffd, 0xd413cccfe7799211), 1u);
    NEAR(F2("fyl2x", ONE, TEN), EXT(0x4000, 0xd49a784bcd1b8afe), 1u);
    NEAR(F2("fpatan", ONE, ONE), EXT(0x3ffe, 0xc90fdaa22168c235), 1u);
    NEAR(F1("fsin", ONE), EXT(0x3ffe, 0xd76aa47848677021), 1u);
    NEAR(F1("fcos", ONE), EXT(0x3ffe, 0x8a51407da8345c92), 1u);
    NEAR(F1("fptan; fstp %%st(0)", ONE), EXT(0x3fff, 0xc75922e5f71d2dc6), 1u);
    EQ(status & C2, 0);
    F1("fsin", EXT(0x403e, BIT(63)));
    EQ(status & C2, C2);
}

static void compare(void)
{
    control(0x37f);
    F2("fcom", ONE, TWO);
    EQ(status & (C0 | C2 | C3), 0);
    F2("fcom", TWO, ONE);
    EQ(status & (C0 | C2 | C3), C0);
    F2("fcom", TWO, TWO);
    EQ(status & (C0 | C2 | C3), C3);
    F2("fcom", TWO, INDEFINITE);
    EQ(status & (C0 | C2 | C3 | IE), C0 | C2 | C3 | IE);
    F2("fucom", TWO, INDEFINITE);
    EQ(status & (C0 | C2 | C3 | IE), C0 | C2 | C3);
    reg fl;
    struct ext one = ONE, two = TWO;
    asm volatile("fldt %2; fldt %1; fcomi %%st(1), %%st; pushf; pop %0; fstp %%st; fstp %%st" : "=r"(fl) : "m"(one), "m"(two) : "memory", "cc");
    EQ(fl & 0x45, 1);
    // FXAM: NaN 001, normal 010, infinity 011, zero 100, empty 101, denormal 110 (C3 C2 C0), C1 the sign.
    F1("fxam", INDEFINITE);
    EQ(status & (C0 | C1 | C2 | C3), C0 | C1);
    F1("fxam", ONE);
    EQ(status & (C0 | C1 | C2 | C3), C2);
    F1("fxam", INF);
    EQ(status & (C0 | C1 | C2 | C3), C2 | C0);
    F1("fxam", ZERO);
    EQ(status & (C0 | C1 | C2 | C3), C3);
    F1("fxam", EXT(0, 1));
    EQ(status & (C0 | C1 | C2 | C3), C3 | C2);
    F1("ffree %%st; fxam", ONE);
    EQ(status & (C0 | C2 | C3), C3 | C0);
}

static void integers(void)
{
    static const struct {
        u16 cw;
        s32 r[4];
    } modes[] = {{0x37f, {2, -2, 4, 0}}, {0x77f, {2, -3, 3, 0}}, {0xb7f, {3, -2, 4, 1}}, {0xf7f, {2, -2, 3, 0}}};
    // 2.5, -2.5, 3.5, 0.5
    static const struct ext v[] = {{0xa000000000000000, 0x4000}, {0xa000000000000000, 0xc000}, {0xe000000000000000, 0x4000}, {BIT(63), 0x3ffe}};
    for (unsigned m = 0; m < 4; m++) {
        control(modes[m].cw);
        for (unsigned i = 0; i < 4; i++) {
            s32 r;
            asm volatile("fldt %1; fistpl %0" : "=m"(r) : "m"(v[i]));
            EQ((u32)r, (u32)modes[m].r[i]);
        }
    }
    control(0x37f);
    // Too large: the indefinite integer and IE.
    u16 w;
    u32 l;
    u64 q;
    struct ext big = EXT(0x400e, BIT(63)), huge = EXT(0x403e, BIT(63));
    asm volatile("fldt %2; fistps %0; fnstsw %1" : "=m"(w), "=m"(status) : "m"(big));
    EQ(w, 0x8000);
    EQ(status & 0x3f, IE);
    asm volatile("fnclex; fldt %2; fistpl %0; fnstsw %1" : "=m"(l), "=m"(status) : "m"(big));
    EQ(l, 32768);
    EQ(status & 0x3f, 0);
    asm volatile("fldt %2; fistpll %0; fnstsw %1" : "=m"(q), "=m"(status) : "m"(huge));
    EQ(q, BIT(63));
    EQ(status & 0x3f, IE);
    asm volatile("fnclex; fldt %1; fisttpl %0" : "=m"(l) : "m"(v[2]));
    EQ(l, 3);
    // BCD.
    u8 bcd[10];
    s32 n = -1234567;
    asm volatile("fildl %1; fbstp %0" : "=m"(bcd) : "m"(n));
    static const u8 want[10] = {0x67, 0x45, 0x23, 0x01, 0, 0, 0, 0, 0, 0x80};
    EQ(memcmp(bcd, want, 10), 0);
    asm volatile("fbld %1; fistpl %0" : "=m"(l) : "m"(bcd));
    EQ(l, (u32)n);
    // Single and double precision.
    struct ext third = EXT(0x3ffd, 0xaaaaaaaaaaaaaaab);
    asm volatile("fnclex; fldt %1; fstps %0" : "=m"(l) : "m"(third));
    EQ(l, 0x3eaaaaab);
    asm volatile("fldt %1; fstpl %0" : "=m"(q) : "m"(third));
    EQ(q, 0x3fd5555555555555);
    struct ext r;
    l = 0x00000001;
    asm volatile("fnclex; flds %2; fnstsw %1; fstpt %0" : "=m"(r), "=m"(status) : "m"(l));
    SAME(r, EXT(0x3fff - 149, BIT(63)));
    qemu_lacks("no DE for denormals loaded");
    EQ(status & 0x3f, DE_);
}

static void stack(void)
{
    qemu_lacks("no stack faults");
    control(0x37f);
    u16 tags[14];
    // Eight loads fill it; the ninth overflows: C1 is 1, the indefinite is loaded.
    struct ext r;
    asm volatile("fld1; fld1; fld1; fld1; fld1; fld1; fld1; fld1; fnstsw %0" : "=m"(status));
    EQ(status & 0x3fff, 0);
    asm volatile("fldz; fnstsw %0; fstpt %1" : "=m"(status), "=m"(r));
    EQ(status & (IE | SF | C1), IE | SF | C1);
    SAME(r, INDEFINITE);
    asm volatile("fninit; fnclex; fstpt %0; fnstsw %1" : "=m"(r), "=m"(status));
    EQ(status & (IE | SF | C1), IE | SF);
    SAME(r, INDEFINITE);
    // Tags: 0 valid, 1 zero, 2 special, 3 empty.
    struct ext inf = INF;
    asm volatile("fninit; fld1; fldz; fldt %1; fnstenv %0" : "=m"(tags) : "m"(inf));
    EQ(tags[0], 0x37f);
    EQ(tags[2] >> 11 & 7, 5);
    EQ(tags[4], 0 << 14 | 1 << 12 | 2 << 10 | 0x3ff);
    // FNSTENV masks all exceptions.
    u16 cw = 0x340;
    asm volatile("fninit; fldcw %2; fnstenv %0; fnstcw %1" : "=m"(tags), "=m"(cw) : "m"(cw));
    EQ(cw, 0x37f);
}

static void unmasked(void)
{
    WRITE_REG("cr0", READ_REG("cr0") | CR0_NE);
    struct ext one = ONE, zero = ZERO;
    // The exception comes with the next instruction that waits.
    control(0x37b);
    FAULTS(MF, 0, "fldt %0; fldt %1; fdivrp; mf_1: fwait", ::"m"(one), "m"(zero) : "memory");
    extern u8 mf_1[];
    EQ(caught.ip, (reg)mf_1);
    asm volatile("fnstsw %0" : "=m"(status));
    EQ(status & (ZE | ES | 0x8000), ZE | ES | 0x8000);
    // Operands are as they were; instructions that do not wait pass.
    FINE("fnstsw %0; fnclex; fwait", ::"m"(status) : "memory");
    struct ext r;
    asm volatile("fstpt %0" : "=m"(r));
    qemu_lacks("stores the result nevertheless");
    SAME(r, ZERO);
    control(0x37f);
}

static void images(void)
{
    static u8 area[108], fx[512] ALIGNED(16);
    control(0x37f);
    asm volatile("fld1; fldpi; fnsave %0" : "=m"(area));
    EQ(*(u16 *)(area + 8), 0x0fff);
    EQ(*(u16 *)(area + 4) >> 11 & 7, 6);
    EQ(*(u64 *)(area + 28), 0xc90fdaa22168c235);
    EQ(*(u64 *)(area + 38), BIT(63));
    u16 tags[14];
    asm volatile("fnstenv %0" : "=m"(tags));
    EQ(tags[4], 0xffff);
    struct ext r;
    asm volatile("frstor %1; fstpt %0; fninit" : "=m"(r) : "m"(area));
    SAME(r, PI);
    WRITE_REG("cr4", READ_REG("cr4") | CR4_OSFXSR);
    static const u32 x[4] ALIGNED(16) = {1, 2, 3, 4};
    asm volatile("fninit; fldpi; movaps %1, %%xmm5; fxsave %0" : "=m"(fx) : "m"(x));
    EQ(*(u16 *)fx, 0x37f);
    // The abridged tags.
    EQ(fx[4], 0x80);
    EQ(*(u32 *)(fx + 24), 0x1f80);
    EQ(*(u64 *)(fx + 32), 0xc90fdaa22168c235);
    EQ(memcmp(fx + 160 + 5 * 16, x, 16), 0);
    *(u32 *)(fx + 160 + 5 * 16) = 0x77;
    u32 back[4] ALIGNED(16);
    asm volatile("fxrstor %1; movaps %%xmm5, %0" : "=m"(back) : "m"(fx));
    EQ(back[0], 0x77);
    // Not aligned to 16; reserved bits of MXCSR.
    FAULTS(GP, 0, "fxsave 8+%0", ::"m"(fx) : "memory");
    qemu_lacks("takes all bits of MXCSR");
    *(u32 *)(fx + 24) = 0xffff0000;
    FAULTS(GP, 0, "fxrstor %0", ::"m"(fx) : "memory");
    asm volatile("fninit");
}

static void mmx(void)
{
    u64 a = 0x7fff8000ffff0001, b = 0x0001ffff00010001, r;
    control(0x37f);
    asm volatile("movq %1, %%mm0; paddsw %2, %%mm0; movq %%mm0, %0" : "=m"(r) : "m"(a), "m"(b));
    EQ(r, 0x7fff800000000002);
    // MMX makes all valid, TOP 0; the register is a NaN or infinity for x87.
    u16 env[14];
    asm volatile("fnstenv %0" : "=m"(env));
    EQ(env[2] >> 11 & 7, 0);
    asm volatile("emms; fnstenv %0" : "=m"(env));
    EQ(env[4], 0xffff);
}

struct v4 {
    u32 v[4];
} ALIGNED(16);
static u32 csr;

#define SSE2OP(op, a, b)                                                                                                          \
    ({                                                                                                                            \
        struct v4 a_ = (a), b_ = (b), r_;                                                                                          \
        u32 clear_ = 0x1f80;                                                                                                      \
        asm volatile("ldmxcsr %4; movaps %2, %%xmm0; movaps %3, %%xmm1; " op " %%xmm1, %%xmm0; movaps %%xmm0, %0; stmxcsr %1" \
                     : "=m"(r_), "=m"(csr)                                                                                        \
                     : "m"(a_), "m"(b_), "m"(clear_)                                                                              \
                     : "memory");                                                                                                 \
        r_;                                                                                                                       \
    })
#define V(a, b, c, d) ((struct v4){{a, b, c, d}})
#define SAMEV(got, w0, w1, w2, w3) \
    do {                           \
        struct v4 g_ = (got);      \
        EQ(g_.v[0], w0);           \
        EQ(g_.v[1], w1);           \
        EQ(g_.v[2], w2);           \
        EQ(g_.v[3], w3);           \
    } while (0)

static void sse(void)
{
    // 1 + 2, 1.5 + 0.25, inf - inf, max + max
    SAMEV(SSE2OP("addps", V(0x3f800000, 0x3fc00000, 0x7f800000, 0x7f7fffff), V(0x40000000, 0x3e800000, 0xff800000, 0x7f7fffff)),
          0x40400000, 0x3fe00000, 0xffc00000, 0x7f800000);
    EQ(csr & 0x3f, IE | OE | PE);
    SAMEV(SSE2OP("divss", V(0x3f800000, 5, 6, 7), V(0x40400000, 1, 1, 1)), 0x3eaaaaab, 5, 6, 7);
    EQ(csr & 0x3f, PE);
    // The second operand where one is a NaN, or both are zero.
    SAMEV(SSE2OP("minps", V(0x7fc00000, 1, 0x80000000, 0x40000000), V(0x3f800000, 0x7fc00001, 0, 0x3f800000)), 0x3f800000,
          0x7fc00001, 0, 0x3f800000);
    EQ(csr & 0x3f, IE);
    // sqrt(2), in double precision; 1/0.
    SAMEV(SSE2OP("sqrtpd", V(0, 0, 0, 0), V(0, 0x40000000, 0, 0x40100000)), 0x667f3bcd, 0x3ff6a09e, 0, 0x40000000);
    SAMEV(SSE2OP("divpd", V(0, 0x3ff00000, 0, 0), V(0, 0, 0, 0)), 0, 0x7ff00000, 0, 0xfff80000);
    EQ(csr & 0x3f, IE | ZE);
    SAMEV(SSE2OP("cmpltps", V(0x3f800000, 0x40000000, 0x7fc00000, 0), V(0x40000000, 0x3f800000, 0, 0x80000000)), 0xffffffff, 0, 0, 0);
    SAMEV(SSE2OP("pmaddwd", V(0x00020001, 0x80008000, 0, 0), V(0x00040003, 0x80008000, 0, 0)), 11, 0x80000000, 0, 0);
    SAMEV(SSE2OP("pshufd $0x1b,", V(0, 0, 0, 0), V(1, 2, 3, 4)), 4, 3, 2, 1);
    SAMEV(SSE2OP("psubusb", V(0x01020304, 0, 0, 0), V(0x02010402, 0, 0, 0)), 0x00010002, 0, 0, 0);
    // Conversions: rounded, truncated, indefinite.
    u32 r;
    struct v4 d = V(0, 0x40040000, 0, 0);   // 2.5
    asm volatile("movaps %1, %%xmm0; cvtsd2si %%xmm0, %0" : "=r"(r) : "m"(d));
    EQ(r, 2);
    d = V(0x00000000, 0xc00c0000, 0, 0);    // -3.5
    asm volatile("movaps %1, %%xmm0; cvttsd2si %%xmm0, %0" : "=r"(r) : "m"(d));
    EQ(r, (u32)-3);
    d = V(0, 0x41e00000, 0, 0);             // 2^31
    asm volatile("movaps %1, %%xmm0; cvtsd2si %%xmm0, %0; stmxcsr %2" : "=r"(r) : "m"(d), "m"(csr) : "memory");
    EQ(r, 0x80000000);
    EQ(csr & IE, IE);
    reg fl;
    asm volatile("xorps %%xmm0, %%xmm0; movaps %1, %%xmm1; comisd %%xmm1, %%xmm0; pushf; pop %0" : "=r"(fl) : "m"(d) : "cc");
    EQ(fl & 0x8d5, 1);
}

static void mxcsr(void)
{
    // Rounding up; flush to zero; denormals are zeros.
    u32 up = 0x5f80, ftz = 0x9f80, daz = 0x1fc0, normal = 0x1f80, r, a = 0x3f800000, b = 0x40400000, tiny = 0x00800000, half = 0x3f000000;
    asm volatile("ldmxcsr %1; movss %2, %%xmm0; divss %3, %%xmm0; movss %%xmm0, %0" : "=m"(r) : "m"(up), "m"(a), "m"(b));
    EQ(r, 0x3eaaaaab);
    asm volatile("ldmxcsr %1; movss %2, %%xmm0; mulss %3, %%xmm0; movss %%xmm0, %0; stmxcsr %4" : "=m"(r) : "m"(normal), "m"(tiny), "m"(half), "m"(csr) : "memory");
    EQ(r, 0x00400000);
    // Exact: no underflow is flagged when it is masked.
    EQ(csr & 0x3f, 0);
    asm volatile("ldmxcsr %1; movss %2, %%xmm0; mulss %3, %%xmm0; movss %%xmm0, %0; stmxcsr %4" : "=m"(r) : "m"(ftz), "m"(tiny), "m"(half), "m"(csr) : "memory");
    EQ(r, 0);
    EQ(csr & 0x3f, UE | PE);
    u32 denormal = 0x00400000;
    asm volatile("ldmxcsr %1; movss %2, %%xmm0; addss %2, %%xmm0; movss %%xmm0, %0; stmxcsr %3" : "=m"(r) : "m"(daz), "m"(denormal), "m"(csr) : "memory");
    EQ(r, 0);
    EQ(csr & 0x3f, 0);
    asm volatile("ldmxcsr %0" ::"m"(normal));
    static u8 odd[32] ALIGNED(16);
    FINE("movaps %0, %%xmm0; movups 1+%0, %%xmm0", ::"m"(odd) : "memory");
    FAULTS(GP, 0, "movaps 8+%0, %%xmm0", ::"m"(odd) : "memory");
    FAULTS(GP, 0, "addps 1+%0, %%xmm0", ::"m"(odd) : "memory");
    qemu_lacks("takes all bits of MXCSR");
    u32 bad = 0x10000;
    FAULTS(GP, 0, "ldmxcsr %0", ::"m"(bad) : "memory");
    asm volatile("ldmxcsr %0" ::"m"(normal));
}

static void simd_exception(void)
{
    qemu_lacks("does not raise SIMD exceptions");
    WRITE_REG("cr4", READ_REG("cr4") | CR4_OSXMMEXCPT);
    u32 unmask = 0x1f80 & ~(ZE << 7), normal = 0x1f80, a = 0x3f800000, zero = 0, r;
    extern u8 xm_1[];
    FAULTS(XM, 0, "ldmxcsr %0; movss %1, %%xmm0; xm_1: divss %2, %%xmm0", ::"m"(unmask), "m"(a), "m"(zero) : "memory");
    EQ(caught.ip, (reg)xm_1);
    asm volatile("stmxcsr %0; movss %%xmm0, %1; ldmxcsr %2" : "=m"(csr), "=m"(r) : "m"(normal));
    EQ(csr & 0x3f, ZE);
    // The destination is as it was.
    EQ(r, a);
    // Without CR4.OSXMMEXCPT it is #UD.
    WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_OSXMMEXCPT);
    FAULTS(UD, 0, "ldmxcsr %0; movss %1, %%xmm0; divss %2, %%xmm0", ::"m"(unmask), "m"(a), "m"(zero) : "memory");
    asm volatile("ldmxcsr %0" ::"m"(normal));
}

static void newer(void)
{
    u32 c = cpuid(1, 0).c;
    if (c >> 9 & 1)
        SAMEV(SSE2OP("pshufb", V(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c), V(0x00010203, 0x80818283, 0x0f0f0f0f, 0x00000080)),
              0x00010203, 0, 0x0f0f0f0f, 0);
    if (c >> 19 & 1) {
        SAMEV(SSE2OP("pmulld", V(3, 0x10000, 0xffffffff, 7), V(5, 0x10001, 2, 8)), 15, 0x10000, 0xfffffffe, 56);
        SAMEV(SSE2OP("roundps $1,", V(0, 0, 0, 0), V(0x3fc00000, 0xbfc00000, 0x40000000, 0x3f000000)), 0x3f800000, 0xc0000000,
              0x40000000, 0);
    }
    if (c >> 20 & 1) {
        // CRC-32C of "123456789".
        u32 crc = ~0u;
        for (const char *s = "123456789"; *s; s++)
            asm volatile("crc32b %1, %0" : "+r"(crc) : "m"(*s));
        EQ(~crc, 0xe3069283);
        u32 n;
        asm volatile("popcnt %1, %0" : "=r"(n) : "r"(0xf0f01234));
        EQ(n, 13);
        struct v4 text = V(0x6c6c6548, 0x6f57206f, 0x21646c72, 0), set = V(0x6f, 0, 0, 0);
        asm volatile("movaps %1, %%xmm0; pcmpistri $0, %2, %%xmm0" : "=c"(n) : "m"(set), "m"(text) : "cc");
        EQ(n, 4);
    }
    if (c >> 25 & 1)
        // FIPS 197, appendix B: round 1.
        SAMEV(SSE2OP("aesenc", V(0xbee33d19, 0x2be2f4a0, 0x2a8dc69a, 0x0848f8e9),
                     V(0x17fefaa0, 0xb12c5488, 0x3939a323, 0x05766c2a)),
              0xf27f9ca4, 0x2b359f68, 0x43ea5b6b, 0x49506a02);
    if (c >> 1 & 1)
        // (x^63 + 1)(x + 1)
        SAMEV(SSE2OP("pclmulqdq $0,", V(1, 0x80000000, 0, 0), V(3, 0, 0, 0)), 3, 0x80000000, 1, 0);
}

void rom_main(void)
{
    WRITE_REG("cr0", (READ_REG("cr0") & ~(reg)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    TEST("constants", constants());
    TEST("x87 arithmetic", arithmetic());
    TEST("remainders and transcendentals", special());
    TEST("x87 comparisons", compare());
    TEST("integers and BCD", integers());
    TEST("x87 stack", stack());
    TEST("x87 exceptions", unmasked());
    if (!HAS_1D(25)) {
        printf("no SSE\n");
        return;
    }
    TEST("images of the state", images());
    TEST("MMX", mmx());
    TEST("SSE and SSE2", sse());
    TEST("MXCSR", mxcsr());
    TEST("SIMD exceptions", simd_exception());
    TEST("SSSE3 to SSE4.2, AES, PCLMULQDQ", newer());
}

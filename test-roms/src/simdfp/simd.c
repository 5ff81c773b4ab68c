// Advanced SIMD: one of each kind, with results worked out by hand.

#include "simdfp.h"

static u64 lo, hi;

// v1 = a, v2 = b, both 128 bits; v0 is the result. Often enough to be compiled.
#define SIMD(text, a1, a0, b1, b0, want1, want0)                                                           \
    do {                                                                                                   \
        for (unsigned n_ = 0; n_ < 300; n_++) {                                                            \
            asm volatile("fmov d1, %2; mov v1.d[1], %3; fmov d2, %4; mov v2.d[1], %5; movi v0.2d, #0\n"    \
                         text "\n fmov %0, d0; mov %1, v0.d[1]"                                            \
                         : "=&r"(lo), "=&r"(hi) : "r"((u64)(a0)), "r"((u64)(a1)), "r"((u64)(b0)), "r"((u64)(b1)) \
                         : "v0", "v1", "v2", "v3", "v4");                                                  \
        }                                                                                                  \
        EQ(lo, want0);                                                                                     \
        EQ(hi, want1);                                                                                     \
    } while (0)

#define BYTES_HI 0x0f0e0d0c0b0a0908
#define BYTES_LO 0x0706050403020100

static void arithmetic(void)
{
    SIMD("add v0.16b, v1.16b, v2.16b", BYTES_HI, BYTES_LO, ~0ull, 0xff00ff00ff00ff00, 0x0e0d0c0b0a090807,
         0x0606040402020000);
    SIMD("sub v0.4s, v1.4s, v2.4s", 0, 5, 1, 0x100000006, 0xffffffff, 0xffffffffffffffff);
    SIMD("mul v0.8h, v1.8h, v2.8h", 0x0003000300030003, 0x0003000300030003, 0x0001000200030004, 0x8000ffff00100100,
         0x000300060009000c, 0x8000fffd00300300);
    SIMD("umull v0.8h, v1.8b, v2.8b", 0, 0xffffffffffffffff, 0, 0x0102030405060708, 0x00ff01fe02fd03fc,
         0x04fb05fa06f907f8);
    SIMD("smull2 v0.2d, v1.4s, v2.4s", 0xffffffff00000002, 0, 0x0000000580000000, 0, 0xfffffffffffffffb,
         0xffffffff00000000);
    SIMD("addp v0.4s, v1.4s, v2.4s", 0x0000000400000003, 0x0000000200000001, 0x0000004000000030, 0x0000002000000010,
         0x0000007000000030, 0x0000000700000003);
    SIMD("uaddlv h0, v1.16b", BYTES_HI, BYTES_LO, 0, 0, 0, 120);
    SIMD("sminv b0, v1.16b", BYTES_HI, 0x0706050480020100, 0, 0, 0, 0x80);
    SIMD("cmgt v0.2d, v1.2d, v2.2d", 1, -1ull, 0, 0, ~0ull, 0);
    SIMD("abs v0.8b, v1.8b", 5, 0x80ff7f0100fe0281, 0, 0, 0, 0x80017f010002027f);
    SIMD("sabd v0.16b, v1.16b, v2.16b", 0x80, 0x01, 0x7f, 0xff, 0xff, 2);
}

static void saturation(void)
{
    MSR(fpsr, 0);
    SIMD("sqadd v0.8h, v1.8h, v2.8h", 0, 0x7fff800000010002, 0, 0x0001ffff00010001, 0, 0x7fff800000020003);
    EQ(MRS(fpsr), FPSR_QC);
    MSR(fpsr, 0);
    SIMD("uqsub v0.16b, v1.16b, v2.16b", 0, 0x0510, 0, 0x0501, 0, 0x000f);
    EQ(MRS(fpsr), 0);
    SIMD("sqxtn v0.8b, v1.8h", 0x7fff8000007fff80, 0x0080ff7f00010000, 0, 0, 0, 0x7f807f807f800100);
    EQ(MRS(fpsr), FPSR_QC);
    MSR(fpsr, 0);
    SIMD("sqdmulh v0.4s, v1.4s, v2.4s", 0, 0x8000000040000000, 0, 0x8000000040000000, 0, 0x7fffffff20000000);
    EQ(MRS(fpsr), FPSR_QC);
    MSR(fpsr, 0);
}

static void shifts(void)
{
    SIMD("shl v0.4s, v1.4s, #8", 0x1234567800000001, 0x80000000000000ff, 0, 0, 0x3456780000000100, 0x000000000000ff00);
    SIMD("sshl v0.8h, v1.8h, v2.8h", 0, 0x8000800000010001, 0, 0x0001ffff000400fc, 0, 0x0000c00000100000);
    SIMD("sshr v0.2d, v1.2d, #63", BIT(63), 1, 0, 0, ~0ull, 0);
    SIMD("mov v0.16b, v2.16b\n sli v0.2d, v1.2d, #32", 0, 0xaabbccdd, 0, 0x1111111122222222, 0, 0xaabbccdd22222222);
    SIMD("ushll v0.8h, v1.8b, #4", 0, 0xff01800000000010, 0, 0, 0x0ff0001008000000, 0x0000000000000100);
    SIMD("rshrn v0.4h, v1.4s, #16", 0x0001800000017fff, 0xffff8000fffe7fff, 0, 0, 0, 0x000200010000fffe);
}

static void permutes(void)
{
    u64 bh = 0x1f1e1d1c1b1a1918, bl = 0x1716151413121110;
    SIMD("zip1 v0.16b, v1.16b, v2.16b", BYTES_HI, BYTES_LO, bh, bl, 0x1707160615051404, 0x1303120211011000);
    SIMD("uzp2 v0.16b, v1.16b, v2.16b", BYTES_HI, BYTES_LO, bh, bl, 0x1f1d1b1917151311, 0x0f0d0b0907050301);
    SIMD("trn1 v0.8h, v1.8h, v2.8h", BYTES_HI, BYTES_LO, bh, bl, 0x1d1c0d0c19180908, 0x1514050411100100);
    SIMD("ext v0.16b, v1.16b, v2.16b, #3", BYTES_HI, BYTES_LO, bh, bl, 0x1211100f0e0d0c0b, 0x0a09080706050403);
    SIMD("rev64 v0.8h, v1.8h", BYTES_HI, BYTES_LO, 0, 0, 0x09080b0a0d0c0f0e, 0x0100030205040706);
    SIMD("tbl v0.16b, {v1.16b}, v2.16b", BYTES_HI + 0x4040404040404040, BYTES_LO, 0x00ff100f08070001, 0x0102030405060708,
         0x0000004f48070001, 0x0102030405060748);
    SIMD("dup v0.4s, v1.s[1]", 0, 0x1234567800000000, 0, 0, 0x1234567812345678, 0x1234567812345678);
    SIMD("mov v0.16b, v2.16b\n ins v0.h[5], v1.h[2]", 0, 0xabcd00000000 | 0x1111, 0, 0, 0x00000000abcd0000, 0);
    SIMD("mov v0.16b, v2.16b\n bsl v0.16b, v1.16b, v1.16b", 7, 9, 0x55, 0xaa, 7, 9);
}

static void vector_floats(void)
{
    // (1, 2, 3, 4) + (0.5, 0.5, 0.5, 0.5); the products' sum by FMLA and FADDP.
    u64 v1 = 0x4080000040400000, v0 = 0x400000003f800000, half = 0x3f0000003f000000;
    SIMD("fadd v0.4s, v1.4s, v2.4s", v1, v0, half, half, 0x4090000040600000, 0x402000003fc00000);
    SIMD("fmla v0.4s, v1.4s, v1.4s; faddp v0.4s, v0.4s, v0.4s; faddp s0, v0.2s", v1, v0, 0, 0, 0, 0x41f00000);
    SIMD("fcmge v0.4s, v1.4s, v2.4s", v1, v0, 0x407fffff40400000, 0x7fc000003f800001, ~0ull, 0);
    SIMD("fcvtzs v0.4s, v1.4s", 0xcf80000040600000, 0x7fc00000c0200000, 0, 0, 0x8000000000000003, 0x00000000fffffffe);
    SIMD("fmaxnmv s0, v1.4s", v1, 0x7fc000003f800000, 0, 0, 0, 0x40800000);
    SIMD("fcvtn v0.2s, v1.2d", 0x4010000000000000, 0x3ff8000000000000, 0, 0, 0, 0x408000003fc00000);
    MSR(fpsr, 0);
}

static void polynomials_and_crypto(void)
{
    SIMD("pmull v0.8h, v1.8b, v2.8b", 0, 0xff, 0, 0xff, 0, 0x5555);
    SIMD("pmul v0.16b, v1.16b, v2.16b", 0, 0x1303, 0, 0x0305, 0, 0x350f);
    u64 isar0 = MRS(id_aa64isar0_el1);
    if (FIELD(isar0, 4) < 2 || FIELD(isar0, 12) < 1) {
        test_skip("no AES, PMULL or SHA256");
        return;
    }
#define CRYPTO ".arch_extension crypto\n"
    // (x^63 + ... + 1)^2 has each other bit.
    SIMD(CRYPTO "pmull v0.1q, v1.1d, v2.1d", 0, ~0ull, 0, ~0ull, 0x5555555555555555, 0x5555555555555555);
    // FIPS 197, appendix B, round 1: AddRoundKey, SubBytes and ShiftRows, then MixColumns.
    SIMD(CRYPTO "mov v0.16b, v1.16b\n aese v0.16b, v2.16b", 0x340737e0a2983131, 0x8d305a88a8f64332, 0x3c4fcf098815f7ab,
         0xa6d2ae2816157e2b, 0xe598271ef11141b8, 0xae52b4e0305dbfd4);
    SIMD(CRYPTO "aesmc v0.16b, v1.16b", 0xe598271ef11141b8, 0xae52b4e0305dbfd4, 0, 0, 0x4c2606287ad3f848, 0x9a19cbe0e5816604);
    // What AESD undoes: AESE of zeros is 63 in each byte; AESD of that with a zero key is 0.
    SIMD(CRYPTO "aese v0.16b, v1.16b; aesd v0.16b, v2.16b", 0, 0, 0, 0, 0, 0);
    // SHA256SU0: element + sigma0 of the next; sigma0(1) = 0x02004000.
    SIMD(CRYPTO "sha256su0 v0.4s, v1.4s", 0, 1, 0, 0, 0x0200400000000000, 0);
}

static u8 buffer[256] __attribute__((aligned(64)));

static void structures(void)
{
    for (unsigned i = 0; i < sizeof buffer; i++)
        buffer[i] = (u8)i;
    u64 a, b, p, wrong = 0;
    for (unsigned i = 0; i < 1000; i++) {
        asm volatile("ld2 {v0.16b, v1.16b}, [%2]; fmov %0, d0; fmov %1, d1" : "=r"(a), "=r"(b) : "r"(buffer)
                     : "v0", "v1", "memory");
        wrong += a != 0x0e0c0a0806040200 || b != 0x0f0d0b0907050301;
        asm volatile("ld3 {v0.8h, v1.8h, v2.8h}, [%2]; fmov %0, d1; mov %1, v2.d[1]" : "=r"(a), "=r"(b) : "r"(buffer)
                     : "v0", "v1", "v2", "memory");
        wrong += a != 0x15140f0e09080302 || b != 0x2f2e292823221d1c;
        asm volatile("ld4 {v0.4s-v3.4s}, [%2]; fmov %0, d0; mov %1, v3.d[1]" : "=r"(a), "=r"(b) : "r"(buffer)
                     : "v0", "v1", "v2", "v3", "memory");
        wrong += a != 0x1312111003020100 || b != 0x3f3e3d3c2f2e2d2c;
        asm volatile("mov %1, %2; ld1 {v0.4s-v3.4s}, [%1], #64; fmov %0, d3" : "=r"(a), "=&r"(p) : "r"(buffer)
                     : "v0", "v1", "v2", "v3", "memory");
        wrong += a != 0x3736353433323130 || p != (u64)buffer + 64;
        asm volatile("movi v0.2d, #0; ld1 {v0.h}[3], [%1]; fmov %0, d0" : "=r"(a) : "r"(buffer + 5) : "v0", "memory");
        wrong += a != 0x0605000000000000;
        asm volatile("ld1r {v0.8h}, [%1]; mov %0, v0.d[1]" : "=r"(a) : "r"(buffer + 1) : "v0", "memory");
        wrong += a != 0x0201020102010201;
        asm volatile("ld2 {v0.2d, v1.2d}, [%0]; st2 {v0.2d, v1.2d}, [%1]; ldp q0, q1, [%0]; zip1 v2.16b, v0.16b, v1.16b\n"
                     "zip2 v3.16b, v0.16b, v1.16b; st1 {v2.16b, v3.16b}, [%2]"
                     ::"r"(buffer), "r"(buffer + 128), "r"(buffer + 160) : "v0", "v1", "v2", "v3", "memory");
        wrong += memcmp(buffer, buffer + 128, 32) != 0 || buffer[161] != 16 || buffer[190] != 15;
    }
    EQ(wrong, 0);
}

void simd_tests(void)
{
    TEST("SIMD arithmetic", arithmetic());
    TEST("saturation", saturation());
    TEST("shifts", shifts());
    TEST("permutes", permutes());
    TEST("vector floats", vector_floats());
    TEST("polynomials, crypto", polynomials_and_crypto());
    TEST("structure loads and stores", structures());
}

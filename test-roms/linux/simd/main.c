/*
 * A Linux program without libraries: SSE2, AVX, AVX2, FMA, F16C and BMI2 as user code meets them, in 32- and 64-bit code.
 * Prints what CPUID says, then a line per test with the bytes of its result, or the signal that ended it. Vector
 * registers must outlive a task switch and a signal handler, which is the kernel's XSAVE at work.
 */
/* No mm_malloc.h: it wants a C library. */
#define _MM_MALLOC_H_INCLUDED
#include <immintrin.h>

#include "linux.h"

#define SSE2 __attribute__((noinline, target("sse2")))
#define AVX2 __attribute__((noinline, target("avx2,fma,f16c,bmi2")))

/* Enough that the code of a test becomes hot. */
#define TIMES 5000

struct vector {
    unsigned char bytes[32];
} __attribute__((aligned(32)));

/* Not static: the compiler must not know what is in them. */
unsigned int a[8] __attribute__((aligned(32))) = { 0x00000001, 0x7fffffff, 0x80000000, 0xdeadbeef,
                                                   0x12345678, 0xffffffff, 0x00ff00ff, 0xcafef00d };
unsigned int b[8] __attribute__((aligned(32))) = { 0xffffffff, 0x00000001, 0x80000000, 0x01234567,
                                                   0x87654321, 0x00000003, 0x0f1e2d3c, 0x40302010 };
unsigned int order[8] __attribute__((aligned(32))) = { 7, 2, 0, 5, 1, 6, 3, 4 };
unsigned int counts[8] __attribute__((aligned(32))) = { 0, 1, 31, 32, 8, 16, 4, 0xffffffff };
unsigned int mask[8] __attribute__((aligned(32))) = { ~0u, 0, ~0u, 0, 0, ~0u, ~0u, 0 };
double x[4] __attribute__((aligned(32))) = { 1.0 / 3, 1e16, -2.5, 0x1p-1060 };
double y[4] __attribute__((aligned(32))) = { 3.0, 1.0 + 0x1p-52, 4.0, 0x1p-10 };
double z[4] __attribute__((aligned(32))) = { -1.0, -1e16, 10.0, 0x1p-1074 };
float singles[8] __attribute__((aligned(32))) = { 1.0f,     65504.0f, 65520.0f, -0x1p-24f,
                                                  0x1p-25f, 0.1f,     -3.14159f, 1e-8f };

#define INT(p) (*(const __m256i *)(p))
#define DOUBLES(p) (*(const __m256d *)(p))
#define PUT(v) (*(__m256i *)out = (v))
#define PUTD(v) (*(__m256d *)out = (v))

SSE2 static void paddd(unsigned char *out)
{
    *(__m128i *)out = _mm_add_epi32(*(const __m128i *)a, *(const __m128i *)b);
}

SSE2 static void mulpd(unsigned char *out)
{
    *(__m128d *)out = _mm_mul_pd(*(const __m128d *)x, *(const __m128d *)y);
}

AVX2 static void vpaddd(unsigned char *out) { PUT(_mm256_add_epi32(INT(a), INT(b))); }
AVX2 static void vpmulld(unsigned char *out) { PUT(_mm256_mullo_epi32(INT(a), INT(b))); }
AVX2 static void vperm2i128(unsigned char *out) { PUT(_mm256_permute2x128_si256(INT(a), INT(b), 0x21)); }
AVX2 static void vpermd(unsigned char *out) { PUT(_mm256_permutevar8x32_epi32(INT(a), INT(order))); }
AVX2 static void vpshufb(unsigned char *out) { PUT(_mm256_shuffle_epi8(INT(a), INT(b))); }
AVX2 static void vpsllvd(unsigned char *out) { PUT(_mm256_sllv_epi32(INT(a), INT(counts))); }
AVX2 static void vpsravd(unsigned char *out) { PUT(_mm256_srav_epi32(INT(a), INT(counts))); }
AVX2 static void vmpsadbw(unsigned char *out) { PUT(_mm256_mpsadbw_epu8(INT(a), INT(b), 0x2d)); }
AVX2 static void vpmovzxbw(unsigned char *out) { PUT(_mm256_cvtepu8_epi16(*(const __m128i *)(b + 4))); }
AVX2 static void vpgatherdd(unsigned char *out) { PUT(_mm256_i32gather_epi32((const int *)b, INT(order), 4)); }
AVX2 static void vpmaskmovd(unsigned char *out) { PUT(_mm256_maskload_epi32((const int *)a, INT(mask))); }
AVX2 static void vpblendvb(unsigned char *out) { PUT(_mm256_blendv_epi8(INT(a), INT(b), INT(counts))); }
AVX2 static void vpackuswb(unsigned char *out) { PUT(_mm256_packus_epi16(INT(a), INT(b))); }
AVX2 static void vfmadd(unsigned char *out) { PUTD(_mm256_fmadd_pd(DOUBLES(x), DOUBLES(y), DOUBLES(z))); }
AVX2 static void vfnmsub(unsigned char *out) { PUTD(_mm256_fnmsub_pd(DOUBLES(x), DOUBLES(y), DOUBLES(z))); }
AVX2 static void vaddsubpd(unsigned char *out) { PUTD(_mm256_addsub_pd(DOUBLES(x), DOUBLES(z))); }
AVX2 static void vdivpd(unsigned char *out) { PUTD(_mm256_div_pd(DOUBLES(y), DOUBLES(x))); }

AVX2 static void vcvtps2ph(unsigned char *out)
{
    *(__m128i *)out = _mm256_cvtps_ph(*(const __m256 *)singles, _MM_FROUND_TO_NEAREST_INT);
}

AVX2 static void vcvtph2ps(unsigned char *out)
{
    *(__m256 *)out = _mm256_cvtph_ps(*(const __m128i *)b);
}

/* An upper half is zero after VEX.128, and stays after legacy SSE. */
AVX2 static void upper_halves(unsigned char *out)
{
    asm volatile("vmovdqa %1, %%ymm0\n\tvmovdqa %1, %%ymm1\n\tvpaddd %%xmm0, %%xmm0, %%xmm0\n\t"
                 "paddd %%xmm1, %%xmm1\n\tvpxor %%ymm1, %%ymm0, %%ymm0\n\tvmovdqa %%ymm0, %0"
                 : "=m"(*(struct vector *)out)
                 : "m"(a)
                 : "xmm0", "xmm1");
}

AVX2 static void bmi2(unsigned char *out)
{
    unsigned int *w = (unsigned int *)out;
    unsigned int low, high;
    w[0] = _pdep_u32(a[3], b[6]);
    w[1] = _pext_u32(a[3], b[6]);
    asm volatile("mulx %3, %0, %1" : "=r"(low), "=r"(high) : "d"(a[4]), "r"(b[4]));
    w[2] = low;
    w[3] = high;
    asm volatile("rorx $7, %1, %0" : "=r"(w[4]) : "r"(a[3]));
    asm volatile("shlx %2, %1, %0" : "=r"(w[5]) : "r"(a[3]), "r"(b[5]));
    asm volatile("sarx %2, %1, %0" : "=r"(w[6]) : "r"(a[3]), "r"(b[5]));
    w[7] = _bzhi_u32(a[3], 13);
}

/* All eight registers that 32-bit code has, filled from `seed`, kept across a system call, and their sum. */
AVX2 static int kept(unsigned int seed, int call, long first, long second)
{
    unsigned int in[8] __attribute__((aligned(32))), sum[8] __attribute__((aligned(32)));
    long result = call;
    for (int i = 0; i < 8; i++)
        in[i] = seed * (unsigned int)(2 * i + 1);
    asm volatile("vmovdqa %1, %%ymm0\n\tvpaddd %%ymm0, %%ymm0, %%ymm1\n\tvpaddd %%ymm0, %%ymm1, %%ymm2\n\t"
                 "vpaddd %%ymm0, %%ymm2, %%ymm3\n\tvpaddd %%ymm0, %%ymm3, %%ymm4\n\tvpaddd %%ymm0, %%ymm4, %%ymm5\n\t"
                 "vpaddd %%ymm0, %%ymm5, %%ymm6\n\tvpaddd %%ymm0, %%ymm6, %%ymm7\n\t" SYSCALL "\n\t"
                 "vpaddd %%ymm1, %%ymm0, %%ymm0\n\tvpaddd %%ymm2, %%ymm0, %%ymm0\n\tvpaddd %%ymm3, %%ymm0, %%ymm0\n\t"
                 "vpaddd %%ymm4, %%ymm0, %%ymm0\n\tvpaddd %%ymm5, %%ymm0, %%ymm0\n\tvpaddd %%ymm6, %%ymm0, %%ymm0\n\t"
                 "vpaddd %%ymm7, %%ymm0, %%ymm0\n\tvmovdqa %%ymm0, %0"
                 : "=m"(sum), "+m"(in), "+a"(result)
                 : SYSCALL_ARGUMENTS(first, second)
                 : "memory", SYSCALL_CLOBBERS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    for (int i = 0; i < 8; i++)
        if (sum[i] != in[i] * 36)
            return 0;
    return result >= 0;
}

/* Two processes, each with its own registers, take turns. */
AVX2 static void task_switch(unsigned char *out)
{
    int child = (int)fork();
    unsigned int seed = child ? 0x01010101 : 0x80000003;
    int good = 1;
    for (int i = 0; i < 200; i++)
        good &= kept(seed + (unsigned int)i, SYS_SCHED_YIELD, 0, 0);
    if (!child)
        exit(good ? 7 : 8);
    out[0] = (unsigned char)good;
    out[1] = (unsigned char)(wait_for(child) >> 8);
}

static volatile int caught;

AVX2 static void handler(int signal)
{
    caught = signal;
    for (int i = 0; i < 8; i++)
        asm volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0\n\tvmovdqa %%ymm0, %%ymm1\n\tvmovdqa %%ymm0, %%ymm2\n\t"
                     "vmovdqa %%ymm0, %%ymm3\n\tvmovdqa %%ymm0, %%ymm4\n\tvmovdqa %%ymm0, %%ymm5\n\t"
                     "vmovdqa %%ymm0, %%ymm6\n\tvmovdqa %%ymm0, %%ymm7" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

AVX2 static void signal_handler(unsigned char *out)
{
    catch(SIGUSR1, handler);
    out[0] = (unsigned char)kept(0x13579bdf, SYS_KILL, getpid(), SIGUSR1);
    out[1] = (unsigned char)caught;
}

static const struct test {
    const char *name;
    void (*run)(unsigned char *out);
    int times;
} tests[] = {
    { "paddd", paddd, TIMES },           { "mulpd", mulpd, TIMES },
    { "vpaddd", vpaddd, TIMES },         { "vpmulld", vpmulld, TIMES },
    { "vperm2i128", vperm2i128, TIMES }, { "vpermd", vpermd, TIMES },
    { "vpshufb", vpshufb, TIMES },       { "vpsllvd", vpsllvd, TIMES },
    { "vpsravd", vpsravd, TIMES },       { "vmpsadbw", vmpsadbw, TIMES },
    { "vpmovzxbw", vpmovzxbw, TIMES },   { "vpgatherdd", vpgatherdd, TIMES },
    { "vpmaskmovd", vpmaskmovd, TIMES }, { "vpblendvb", vpblendvb, TIMES },
    { "vpackuswb", vpackuswb, TIMES },   { "vfmadd", vfmadd, TIMES },
    { "vfnmsub", vfnmsub, TIMES },       { "vaddsubpd", vaddsubpd, TIMES },
    { "vdivpd", vdivpd, TIMES },         { "vcvtps2ph", vcvtps2ph, TIMES },
    { "vcvtph2ps", vcvtph2ps, TIMES },   { "upper halves", upper_halves, TIMES },
    { "bmi2", bmi2, TIMES },             { "task switch", task_switch, 1 },
    { "signal handler", signal_handler, 20 },
};

static void cpuid(unsigned int leaf, unsigned int r[4])
{
    asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(0));
}

static void features(void)
{
    unsigned int max[4], one[4], seven[4] = { 0 };
    cpuid(0, max);
    cpuid(1, one);
    if (max[0] >= 7)
        cpuid(7, seven);
    print("cpuid:");
    const struct {
        const char *name;
        unsigned int there;
    } bits[] = {
        { " sse2", one[3] >> 26 },  { " fma", one[2] >> 12 },  { " osxsave", one[2] >> 27 }, { " avx", one[2] >> 28 },
        { " f16c", one[2] >> 29 }, { " avx2", seven[1] >> 5 }, { " bmi2", seven[1] >> 8 },
    };
    for (unsigned int i = 0; i < sizeof bits / sizeof *bits; i++)
        if (bits[i].there & 1)
            print(bits[i].name);
    if (one[2] >> 27 & 1) {
        unsigned int low, high;
        asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        print(low & 4 ? " xcr0.avx" : " no-xcr0.avx");
    }
    print("\n");
}

/* In a process of its own: it may get a signal. */
static void run(const struct test *test)
{
    print(test->name);
    print(":");
    int child = (int)fork();
    if (!child) {
        static struct vector first, again;
        test->run(first.bytes);
        for (int n = 1; n < test->times; n++) {
            test->run(again.bytes);
            for (int i = 0; i < 32; i++)
                if (again.bytes[i] != first.bytes[i]) {
                    print(" not the same every time");
                    exit(1);
                }
        }
        for (int i = 0; i < 32; i++) {
            if (i % 8 == 0)
                print(" ");
            print_byte(first.bytes[i]);
        }
        exit(0);
    }
    int signal = wait_for(child) & 0x7f;
    if (signal) {
        print(" signal ");
        print_byte((unsigned char)signal);
    }
    print("\n");
}

int main(void)
{
    features();
    for (unsigned int i = 0; i < sizeof tests / sizeof *tests; i++)
        run(&tests[i]);
    return 0;
}

/* Memory: the four kernels of STREAM, random access as HPC Challenge has it, and pixels in integer vectors. */
#include "bench.h"
VECTORS

/*
 * --- STREAM: arrays of 16 MB, beyond caches and a TLB's reach; no power of two, which would make them meet in one place
 * of either ---
 */

#define DOUBLES 2000000ul
#define STREAM_BYTES (DOUBLES * sizeof(double))

static double *a, *b, *c;

static void stream_setup(void)
{
    a = allocate(STREAM_BYTES);
    b = allocate(STREAM_BYTES);
    c = allocate(STREAM_BYTES);
    u64 seed = 10;
    for (u64 i = 0; i < DOUBLES; i++) {
        a[i] = 0;
        b[i] = (double)(long)(random_next(&seed) >> 12) * 0x1p-52;
        c[i] = (double)(long)(random_next(&seed) >> 12) * 0x1p-52;
    }
}

static void stream_finish(void)
{
    release(a, STREAM_BYTES);
    release(b, STREAM_BYTES);
    release(c, STREAM_BYTES);
}

static u64 stream_sum(void)
{
    u64 sum = 0;
    for (u64 i = 0; i < DOUBLES; i++) {
        u64 bits;
        __builtin_memcpy(&bits, &a[i], sizeof bits);
        sum = sum * 31 + bits;
    }
    return sum;
}

#define STREAM(name, expression)                                                                                       \
    OPAQUE static void name##_pass(double *restrict to, const double *restrict x, const double *restrict y, double f)  \
    {                                                                                                                  \
        (void)y, (void)f;                                                                                              \
        for (u64 i = 0; i < DOUBLES; i++)                                                                              \
            to[i] = expression;                                                                                        \
    }                                                                                                                  \
    static u64 name##_run(void)                                                                                        \
    {                                                                                                                  \
        name##_pass(a, b, c, 3.0);                                                                                     \
        return 0;                                                                                                      \
    }

STREAM(copy, x[i])
STREAM(scale, f * x[i])
STREAM(add, x[i] + y[i])
STREAM(triad, x[i] + f * y[i])

/* --- a copy between arrays that do meet, in a TLB that takes the page's number modulo a power of two --- */

#define APART (16ul << 20)
#define ALIASED 1000000ul

static void alias_setup(void)
{
    a = allocate(2 * APART);
    b = a + APART / sizeof *a;
    u64 seed = 12;
    for (u64 i = 0; i < ALIASED; i++) {
        a[i] = 0;
        b[i] = (double)(long)(random_next(&seed) >> 12) * 0x1p-52;
    }
}

static void alias_finish(void) { release(a, 2 * APART); }

OPAQUE static u64 alias_run(void)
{
    for (u64 i = 0; i < ALIASED; i++)
        a[i] = b[i];
    return 0;
}

static u64 alias_sum(void) { return digest(DIGEST, a, ALIASED * sizeof *a); }

/* --- random access: exclusive-or into a table of 2^22 words, at places that x^63 + x^2 + x + 1 gives --- */

#define TABLE (1u << 22)
#define UPDATES (1u << 17)
#define POLYNOMIAL 7

static u64 *table;

static void random_setup(void)
{
    table = allocate(TABLE * sizeof(u64));
    for (u64 i = 0; i < TABLE; i++)
        table[i] = i;
}

static void random_finish(void) { release(table, TABLE * sizeof(u64)); }

OPAQUE static u64 updates(u64 value)
{
    for (u32 i = 0; i < UPDATES; i++) {
        value = value << 1 ^ ((long)value < 0 ? POLYNOMIAL : 0);
        table[value & (TABLE - 1)] ^= value;
    }
    return value;
}

/* The second half takes back what the first did. */
OPAQUE static u64 random_run(void)
{
    updates(0x123456789abcdef1ul);
    return updates(0x123456789abcdef1ul);
}

static u64 random_sum(void)
{
    u64 sum = updates(0x123456789abcdef1ul);
    for (u64 i = 0; i < TABLE; i++)
        sum = sum * 31 + table[i];
    return sum;
}

/* --- pixels: bytes blended in 16 bits, as vectors of integers --- */

#define PIXELS (64u << 10)

static u8 front[PIXELS], back[PIXELS], alpha[PIXELS], blended[PIXELS];

static void blend_setup(void)
{
    u64 seed = 11;
    for (u64 i = 0; i < PIXELS; i++) {
        u64 r = random_next(&seed);
        front[i] = (u8)(r >> 56);
        back[i] = (u8)(r >> 48);
        alpha[i] = (u8)(r >> 40);
    }
}

OPAQUE static u64 blend_run(void)
{
    for (u64 i = 0; i < PIXELS; i++) {
        u16 mixed = (u16)((front[i] * alpha[i] + back[i] * (255 - alpha[i])) & 0xffff);
        blended[i] = (u8)((u16)(mixed + 128) >> 8);
    }
    return 0;
}

static u64 blend_sum(void) { return digest(DIGEST, blended, PIXELS); }

#define STREAM_ROW(name, arrays, expected, formula)                                                                             \
    { "stream-" #name, (arrays) * STREAM_BYTES * 1e-6, "MB", expected, name##_run, NULL, stream_setup, stream_finish, stream_sum, formula ", arrays of 16 MB" }

const struct kernel memory_kernels[] = {
    STREAM_ROW(copy, 2, 0x9a183616f669b932, "a = b"),
    STREAM_ROW(scale, 2, 0x8a7c25e1308d8d7d, "a = 3 b"),
    STREAM_ROW(add, 3, 0xb261aab8c681af4c, "a = b + c"),
    STREAM_ROW(triad, 3, 0x6528fd04d37fb818, "a = b + 3 c"),
    { "alias", 2 * ALIASED * sizeof(double) * 1e-6, "MB", 0x1445d274191de14a, alias_run, NULL, alias_setup, alias_finish, alias_sum, "a copy between arrays 16 MiB apart" },
    { "random", 2 * UPDATES * 1e-6, "Mupdates", 0x2c9922cf9cf97f29, random_run, NULL, random_setup, random_finish, random_sum, "updates of random words in 32 MiB" },
    { "blend", PIXELS * 1e-6, "MB", 0xba91e6fd29761ded, blend_run, NULL, blend_setup, NULL, blend_sum, "64 KiB of pixels blended, in integer vectors" },
    { 0 },
};

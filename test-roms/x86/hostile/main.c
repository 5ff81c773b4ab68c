// What a recompiler likes least: more hot code than its cache holds, code that changes all the time, pages that move
// under running code, thousands of address spaces, another rounding mode for every operation. All of it is legal.

#include "rom.h"

#define P 1ull
#define RW 2ull
#define PAGE 0x1000u
// Addresses of the tests: the second entry of the highest table.
#define VA 0x8000000000ull

extern u64 boot_pml4[512];
extern u8 __image_end[];

// Zeroed pages behind the image.
static void *pages(unsigned n)
{
    static u8 *next;
    if (!next)
        next = (u8 *)(((reg)__image_end + PAGE - 1) & ~(reg)(PAGE - 1));
    void *p = memset(next, 0, n * PAGE);
    next += n * PAGE;
    return p;
}

static u32 call(const void *f, u32 a)
{
    asm volatile("call *%1" : "+a"(a) : "r"(f) : "memory", "rcx", "rdx", "cc");
    return a;
}

static u8 *put32(u8 *at, u32 v)
{
    memcpy(at, &v, 4);
    return at + 4;
}

// add $v, %eax; ret
static void put_add(u8 *at, u32 v)
{
    *at++ = 0x05;
    *put32(at, v) = 0xc3;
    BARRIER();
}

// ---- More code than fits

#define FUNCTIONS 1500
#define FUNCTION_BYTES 160
#define ADDS 23
#define TURNS 6

// Adds its constants to EAX, TURNS times.
static u32 make_function(u8 *at, u32 function)
{
    u32 sum = 0;
    *at++ = 0xb9;   // mov $TURNS, %ecx
    at = put32(at, TURNS);
    for (u32 i = 0; i < ADDS; i++) {
        u32 v = function * 77777 + i * 1300001;
        *at++ = 0x05;
        at = put32(at, v);
        sum += v;
    }
    *at++ = 0xff;   // dec %ecx
    *at++ = 0xc9;
    *at++ = 0x75;   // jnz
    *at++ = (u8)-(5 * ADDS + 4);
    *at = 0xc3;
    BARRIER();
    return sum * TURNS;
}

static void more_code_than_fits(void)
{
    static u32 sums[FUNCTIONS];
    u8 *base = pages(FUNCTIONS * FUNCTION_BYTES / PAGE + 1);
    for (u32 f = 0; f < FUNCTIONS; f++)
        sums[f] = make_function(base + f * FUNCTION_BYTES, f);
    u32 wrong = 0;
    for (u32 round = 0; round < 60; round++)
        for (u32 f = 0; f < FUNCTIONS; f++)
            for (u32 i = 0; i < 8; i++)
                wrong += call(base + f * FUNCTION_BYTES, i) != i + sums[f];
    EQ(wrong, 0);
}

// ---- Code that changes

#define CHANGES 8000

static void changes_from_another_page(void)
{
    u8 *f = pages(1);
    u32 wrong = 0;
    for (u32 i = 0; i < CHANGES; i++) {
        put_add(f, i * 3);
        wrong += call(f, i) != i * 4;
    }
    EQ(wrong, 0);
}

// A loop that writes its counter into the operand of its next instruction.
static void changes_from_its_own_page(void)
{
    static const u8 loop[] = {
        0x31, 0xd2,                         // xor %edx, %edx
        0x89, 0x15, 1, 0, 0, 0,             // 1: mov %edx, 2f + 1(%rip)
        0x05, 0, 0, 0, 0,                   // 2: add $0, %eax
        0xff, 0xc2,                         // inc %edx
        0x39, 0xca,                         // cmp %ecx, %edx
        0x72, 0xef,                         // jb 1b
        0xc3,
    };
    u8 *f = pages(1);
    memcpy(f, loop, sizeof loop);
    u32 v = 0;
    reg c = CHANGES;
    asm volatile("call *%2" : "+a"(v), "+c"(c) : "r"(f) : "memory", "rdx", "cc");
    EQ(v, (u32)((u64)CHANGES * (CHANGES - 1) / 2));
}

// One of several functions of a page that is hot; what surrounds it stays.
static void changes_within_hot_code(void)
{
    u8 *page = pages(1);
    u32 sums[16], wrong = 0;
    for (u32 f = 0; f < 16; f++)
        sums[f] = make_function(page + f * FUNCTION_BYTES, f);
    for (u32 i = 0; i < CHANGES; i++) {
        u32 f = i & 15, victim = i / 64 & 15;
        if (i % 8 == 0)
            sums[victim] = make_function(page + victim * FUNCTION_BYTES, i);
        for (u32 k = 0; k < 4; k++)
            wrong += call(page + f * FUNCTION_BYTES, k) != k + sums[f];
    }
    EQ(wrong, 0);
}

// Data that are written all the time, in the page of the code that writes them.
static void data_among_code(void)
{
    static const u8 loop[] = {
        0x48, 0x8b, 0x02,       // 1: mov (%rdx), %rax
        0x48, 0xff, 0xc0,       // inc %rax
        0x48, 0x89, 0x02,       // mov %rax, (%rdx)
        0xff, 0xc9,             // dec %ecx
        0x75, 0xf3,             // jnz 1b
        0xc3,
    };
    u8 *f = pages(1);
    memcpy(f, loop, sizeof loop);
    u64 v;
    reg c = 200000;
    asm volatile("call *%2" : "=a"(v), "+c"(c) : "r"(f), "d"(f + 2048) : "memory", "cc");
    EQ(v, 200000);
    EQ(*(u64 *)(f + 2048), 200000);
}

// ---- Pages that move

// A page table for the addresses of the tests.
static u64 *tables(u64 *top)
{
    u64 *pdpt = pages(1), *pd = pages(1), *pt = pages(1);
    top[1] = (reg)pdpt | P | RW;
    pdpt[0] = (reg)pd | P | RW;
    pd[0] = (reg)pt | P | RW;
    return pt;
}

static u64 *leaf;

static void move(u64 va, const void *to)
{
    *(volatile u64 *)leaf = (reg)to | P | RW;
    asm volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static void remapped(u32 calls, u32 times)
{
    u8 *f[2] = {pages(1), pages(1)};
    u32 wrong = 0;
    put_add(f[0], 100);
    put_add(f[1], 101);
    for (u32 i = 0; i < times; i++) {
        move(VA, f[i & 1]);
        for (u32 k = 0; k < calls; k++)
            wrong += call((void *)VA, k) != k + 100 + (i & 1);
    }
    EQ(wrong, 0);
}

// Code that maps another page where it is itself, and goes on there.
static void remapped_by_itself(void)
{
    static const u8 code[] = {
        0x48, 0x89, 0x37,           // mov %rsi, (%rdi)
        0x0f, 0x01, 0x3a,           // invlpg (%rdx)
        0x05, 0, 0, 0, 0,           // add $n, %eax
        0xc3,
    };
    u8 *f[2] = {pages(1), pages(1)};
    for (u32 i = 0; i < 2; i++) {
        memcpy(f[i], code, sizeof code);
        f[i][7] = (u8)(1 + i);
    }
    u32 wrong = 0;
    for (u32 i = 0; i < CHANGES; i++) {
        u32 a = i;
        move(VA, f[i & 1]);
        u64 other = (reg)f[~i & 1] | P | RW;
        asm volatile("call *%1" : "+a"(a) : "r"(VA), "D"(leaf), "S"(other), "d"(VA) : "memory", "cc");
        wrong += a != i + 1 + (~i & 1);
    }
    EQ(wrong, 0);
}

// ---- Address spaces

#define SPACES 4000

static void many_spaces(void)
{
    // Each has tables of its own, and a page with a function of its own.
    static u64 roots[SPACES];
    u64 saved = READ_REG("cr3"), x = 1;
    bool pcid = HAS_1C(17);
    u32 wrong = 0;
    for (u32 i = 0; i < SPACES; i++) {
        u64 *top = pages(1);
        top[0] = boot_pml4[0];
        u64 *pt = tables(top);
        u8 *f = pages(1);
        put_add(f, i * 11);
        pt[i & 7] = (reg)f | P | RW;
        roots[i] = (reg)top | (pcid ? i + 1 : 0);
    }
    if (pcid)
        WRITE_REG("cr4", READ_REG("cr4") | CR4_PCIDE);
    for (u32 round = 0; round < 10; round++)
        for (u32 n = 0; n < SPACES; n++) {
            x = x * 6364136223846793005 + 1442695040888963407;
            u32 i = round & 1 ? (u32)(x >> 40) % SPACES : n;
            // Bit 63: what the PCID has in the TLB stays.
            WRITE_REG("cr3", roots[i] | (pcid ? BIT(63) : 0));
            for (u32 k = 0; k < 3; k++)
                wrong += call((void *)(VA + (i & 7) * PAGE), k) != k + i * 11;
        }
    WRITE_REG("cr3", saved);
    if (pcid)
        WRITE_REG("cr4", READ_REG("cr4") & ~(reg)CR4_PCIDE);
    EQ(wrong, 0);
}

// ---- Floating-point control

#define SSE_MODE(n) (0x1f80u | (n) << 13)
#define X87_MODE(n) (0x37fu | (n) << 10)

static void sse_rounding_every_time(void)
{
    static const double one = 1, minus = -1, three = 3;
    static const u32 modes[4] = {SSE_MODE(0), SSE_MODE(1), SSE_MODE(2), SSE_MODE(3)};
    u32 wrong = 0;
    for (u32 i = 0; i < 50000; i++) {
        u64 up = 0, down = 0;
        for (u32 m = 0; m < 4; m++) {
            u64 a, b;
            asm volatile("ldmxcsr %2; movsd %4, %%xmm0; divsd %6, %%xmm0; ldmxcsr %3; movsd %5, %%xmm1; divsd %6, %%xmm1;"
                         "movq %%xmm0, %0; movq %%xmm1, %1"
                         : "=r"(a), "=r"(b)
                         : "m"(modes[m]), "m"(modes[(m + 1) & 3]), "m"(one), "m"(minus), "m"(three));
            up += a;
            down += b;
        }
        wrong += up != 0x3fd5555555555555ull * 3 + 0x3fd5555555555556ull;
        wrong += down != 0xbfd5555555555555ull * 3 + 0xbfd5555555555556ull;
    }
    asm volatile("ldmxcsr %0" ::"m"(modes[0]));
    EQ(wrong, 0);
}

static void x87_rounding_every_time(void)
{
    static const double one = 1, three = 3;
    static const u16 modes[4] = {X87_MODE(0), X87_MODE(1), X87_MODE(2), X87_MODE(3)};
    u32 wrong = 0;
    for (u32 i = 0; i < 50000; i++) {
        u64 sum = 0;
        for (u32 m = 0; m < 4; m++) {
            u64 v[2] ALIGNED(16);
            asm volatile("fldcw %1; fldl %2; fdivl %3; fstpt %0" : "=m"(v) : "m"(modes[m]), "m"(one), "m"(three));
            sum += v[0];
        }
        // To nearest it is rounded up.
        wrong += sum != 0xaaaaaaaaaaaaaaabull * 2 + 0xaaaaaaaaaaaaaaaaull * 2;
    }
    asm volatile("fninit");
    EQ(wrong, 0);
}

static void denormals_now_and_then(void)
{
    static const u64 smallest = 0x0010000000000000;
    static const double half = 0.5;
    static const u32 plain = SSE_MODE(0), flushing = SSE_MODE(0) | BIT(15);
    u32 wrong = 0;
    for (u32 i = 0; i < 50000; i++) {
        u64 a, b;
        asm volatile("ldmxcsr %2; movq %4, %%xmm0; mulsd %5, %%xmm0; ldmxcsr %3; movq %4, %%xmm1; mulsd %5, %%xmm1;"
                     "movq %%xmm0, %0; movq %%xmm1, %1"
                     : "=r"(a), "=r"(b)
                     : "m"(plain), "m"(flushing), "m"(smallest), "m"(half));
        wrong += a != smallest / 2 || b != 0;
    }
    asm volatile("ldmxcsr %0" ::"m"(plain));
    EQ(wrong, 0);
}

void rom_main(void)
{
    WRITE_REG("cr4", READ_REG("cr4") | CR4_OSFXSR);
    asm volatile("fninit");
    TEST("more code than fits", more_code_than_fits());
    TEST("changes from another page", changes_from_another_page());
    TEST("changes from its own page", changes_from_its_own_page());
    TEST("changes within hot code", changes_within_hot_code());
    TEST("data among code", data_among_code());
    leaf = tables(boot_pml4);
    TEST("remapped for each call", remapped(1, CHANGES));
    TEST("remapped when hot", remapped(2000, 100));
    TEST("remapped by itself", remapped_by_itself());
    TEST("many address spaces", many_spaces());
    TEST("another SSE rounding mode each time", sse_rounding_every_time());
    TEST("another x87 rounding mode each time", x87_rounding_every_time());
    TEST("denormals now and then", denormals_now_and_then());
}

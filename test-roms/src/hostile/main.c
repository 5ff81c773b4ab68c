// What a recompiler likes least: more hot code than its cache holds, code that changes all the time, pages that move
// under running code, thousands of address spaces, another rounding mode for every operation. All of it is legal.

#include "hostile.h"

#define RET 0xd65f03c0u
#define MOVZ_X(reg, imm) (0xd2800000u | (u32)(imm) << 5 | (reg))
#define ADD_X0(imm) (0x91000000u | (u32)(imm) << 10)

typedef u64 (*code)(u64);

// Pages that may be written and executed, at an address of the tests.
static u32 *executable(u64 va, unsigned pages)
{
    u64 pa = (u64)page_alloc(pages);
    for (unsigned i = 0; i < pages; i++)
        *pte(va + i * 4096, 3) = (pa + i * 4096) | MAP_RWX | PTE_PAGE;
    tlb_flush_all();
    return (u32 *)va;
}

// ---- More code than fits

#define FUNCTIONS 1500
#define FUNCTION_WORDS 32
#define ADDS 24
#define TURNS 6

static u64 constant(u64 function, u64 i)
{
    return (function * 7 + i * 13) & 0xfff;
}

// Adds its constants to X0, TURNS times.
static u64 make_function(u32 *at, u64 function)
{
    u64 sum = 0;
    *at++ = MOVZ_X(1, TURNS);
    for (unsigned i = 0; i < ADDS; i++) {
        *at++ = ADD_X0(constant(function, i));
        sum += constant(function, i);
    }
    *at++ = 0xf1000421;                                             // subs x1, x1, #1
    *at++ = 0x54000001 | (u32)(-(ADDS + 1) & 0x7ffff) << 5;         // b.ne
    *at = RET;
    return sum * TURNS;
}

static void more_code_than_fits(void)
{
    static u64 sums[FUNCTIONS];
    u32 *base = executable(TEST_VA, FUNCTIONS * FUNCTION_WORDS / 1024 + 1);
    for (u64 f = 0; f < FUNCTIONS; f++)
        sums[f] = make_function(base + f * FUNCTION_WORDS, f);
    code_sync(base, FUNCTIONS * FUNCTION_WORDS * 4);
    u64 wrong = 0;
    for (unsigned round = 0; round < 60; round++)
        for (u64 f = 0; f < FUNCTIONS; f++)
            for (u64 i = 0; i < 8; i++)
                wrong += ((code)(base + f * FUNCTION_WORDS))(i) != i + sums[f];
    EQ(wrong, 0);
}

// ---- Code that changes

#define CHANGES 8000

static void changes_from_another_page(void)
{
    u32 *f = executable(TEST_VA + 0x200000, 1);
    u64 wrong = 0;
    f[1] = RET;
    for (u64 i = 0; i < CHANGES; i++) {
        f[0] = ADD_X0(i & 0xfff);
        code_sync(f, 8);
        wrong += ((code)f)(i) != i + (i & 0xfff);
    }
    EQ(wrong, 0);
}

static void changes_from_its_own_page(void)
{
    u64 bytes = (u64)hostile_patcher_end - (u64)hostile_patcher;
    u32 *f = executable(TEST_VA + 0x210000, 1);
    memcpy(f, hostile_patcher, bytes);
    code_sync(f, bytes);
    // The sum of what it patches in: 0 to CHANGES - 1, in 12 bits.
    u64 want = 0;
    for (u64 i = 0; i < CHANGES; i++)
        want += i & 0xfff;
    EQ(((u64(*)(u64, u32))f)(CHANGES, ADD_X0(0)), want);
}

// One of several functions of a page that is hot; what surrounds it stays.
static void changes_within_hot_code(void)
{
    u32 *page = executable(TEST_VA + 0x220000, 1);
    u64 sums[16], wrong = 0;
    for (u64 f = 0; f < 16; f++)
        sums[f] = make_function(page + f * FUNCTION_WORDS, f);
    code_sync(page, 4096);
    for (u64 i = 0; i < CHANGES; i++) {
        u64 f = i & 15, victim = i / 64 & 15;
        if (i % 8 == 0) {
            sums[victim] = make_function(page + victim * FUNCTION_WORDS, i);
            code_sync(page + victim * FUNCTION_WORDS, FUNCTION_WORDS * 4);
        }
        for (u64 k = 0; k < 4; k++)
            wrong += ((code)(page + f * FUNCTION_WORDS))(k) != k + sums[f];
    }
    EQ(wrong, 0);
}

// Data that are written all the time, in the page of the code that writes them.
static void data_among_code(void)
{
    u64 bytes = (u64)hostile_counter_end - (u64)hostile_counter;
    u32 *f = executable(TEST_VA + 0x230000, 1);
    memcpy(f, hostile_counter, bytes);
    code_sync(f, bytes);
    EQ(((u64(*)(u64, u64 *))f)(200000, (u64 *)(f + 512)), 200000);
    EQ(*(u64 *)(f + 512), 200000);
}

// ---- Pages that move

static void remapped(unsigned calls, unsigned times)
{
    u64 va = TEST_VA + 0x240000, entry[2], wrong = 0;
    for (unsigned i = 0; i < 2; i++) {
        u32 *f = page_alloc(1);
        f[0] = ADD_X0(100 + i);
        f[1] = RET;
        code_sync(f, 8);
        entry[i] = (u64)f | MAP_RWX | PTE_PAGE;
    }
    u64 *leaf = pte(va, 3);
    for (u64 i = 0; i < times; i++) {
        *(volatile u64 *)leaf = 0;
        tlbi_va(va);
        *(volatile u64 *)leaf = entry[i & 1];
        asm volatile("dsb ishst; isb" ::: "memory");
        for (u64 k = 0; k < calls; k++)
            wrong += ((code)va)(k) != k + 100 + (i & 1);
    }
    EQ(wrong, 0);
}

// ---- Address spaces

#define SPACES 4000

// The upper half: 25 bits of address, so that a table of level 2 has 16 entries.
#define UPPER 0xfffffffffe000000ull
#define TCR_T1SZ(n) ((u64)(n) << 16)
#define TCR_A1 BIT(22)
#define TCR_EPD1 BIT(23)
#define TCR_AS BIT(36)

static u64 space_sum(u64 space)
{
    return 1 + (space & 0x7ff);
}

static void many_spaces(void)
{
    if (FIELD(MRS(id_aa64mmfr0_el1), 4) < 2) {
        test_skip("ASIDs have 8 bits");
        return;
    }
    // Each has a table of its own, and a page with a function of its own.
    static u64 roots[SPACES][16] __attribute__((aligned(128)));
    u64 wrong = 0, saved = MRS(tcr_el1), x = 1;
    for (u64 i = 0; i < SPACES; i++) {
        u64 *l3 = page_alloc(1);
        u32 *f = page_alloc(1);
        f[0] = ADD_X0(space_sum(i));
        f[1] = RET;
        code_sync(f, 8);
        l3[i & 7] = (u64)f | MAP_RWX | PTE_NG | PTE_PAGE;
        roots[i][0] = (u64)l3 | PTE_TABLE;
    }
    u64 inner = 1ull << 24 | 1ull << 26 | 3ull << 28 | 2ull << 30;
    MSR(tcr_el1, (saved & ~TCR_EPD1) | TCR_T1SZ(39) | inner | TCR_A1 | TCR_AS);
    tlb_flush_all();
    for (unsigned round = 0; round < 10; round++)
        for (u64 n = 0; n < SPACES; n++) {
            x = x * 6364136223846793005 + 1442695040888963407;
            u64 i = round & 1 ? (x >> 40) % SPACES : n;
            MSR(ttbr1_el1, (u64)roots[i] | (i + 1) << 48);
            ISB();
            code f = (code)(UPPER + (i & 7) * 4096);
            for (u64 k = 0; k < 3; k++)
                wrong += f(k) != k + space_sum(i);
        }
    MSR(tcr_el1, saved);
    tlb_flush_all();
    EQ(wrong, 0);
}

// ---- Floating-point control

static void rounding_every_time(void)
{
    // 1/3 to nearest, up, down, to zero; then the sum with it rounded by the next.
    u64 bits[2] = { 0, 0 }, wrong = 0;
    for (unsigned i = 0; i < 50000; i++) {
        hostile_rounding(bits);
        wrong += bits[0] != 0x3fd5555555555555ull * 3 + 0x3fd5555555555556ull;
        wrong += bits[1] != 0xbfd5555555555555ull * 3 + 0xbfd5555555555556ull;
    }
    EQ(wrong, 0);
}

static void denormals_now_and_then(void)
{
    u64 bits[2] = { 0, 0 }, wrong = 0;
    for (unsigned i = 0; i < 50000; i++) {
        hostile_denormals(bits);
        wrong += bits[0] != 0x0008000000000000 || bits[1] != 0;
    }
    EQ(wrong, 0);
}

void rom_main(void)
{
    mmu_on();
    TEST("more code than fits", more_code_than_fits());
    TEST("changes from another page", changes_from_another_page());
    TEST("changes from its own page", changes_from_its_own_page());
    TEST("changes within hot code", changes_within_hot_code());
    TEST("data among code", data_among_code());
    TEST("remapped for each call", remapped(1, CHANGES));
    TEST("remapped when hot", remapped(2000, 100));
    TEST("many address spaces", many_spaces());
    TEST("another rounding mode each time", rounding_every_time());
    TEST("denormals now and then", denormals_now_and_then());
    tests_finish();
}

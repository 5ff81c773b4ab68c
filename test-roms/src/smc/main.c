// Self-modifying code. Each case runs often enough that the old code has been compiled.

#include "../lib/rom.h"

#define RET 0xd65f03c0u
#define MOVZ_X0(imm) (0xd2800000u | (u32)(imm) << 5)
#define ADD_X0_X0(imm) (0x91000000u | (u32)(imm) << 10)
#define NOP 0xd503201fu

#define HOT 12000

typedef u64 (*code)(u64);

static u32 *pages;

static u32 *fresh(void)
{
    static unsigned next;
    u32 *p = pages + 1024 * (next++ % 16);
    return p;
}

// x0 -> imm
static void write_return(u32 *at, unsigned imm)
{
    at[0] = MOVZ_X0(imm);
    at[1] = RET;
    code_sync(at, 8);
}

static void another_page(void)
{
    u32 *f = fresh();
    u64 wrong = 0;
    for (unsigned i = 0; i < 3000; i++) {
        write_return(f, i);
        wrong += ((code)f)(0) != i;
    }
    EQ(wrong, 0);
}

static void after_hot(void)
{
    u32 *f = fresh();
    for (unsigned v = 0; v < 6; v++) {
        u64 sum = 0;
        write_return(f, v + 1);
        for (unsigned i = 0; i < HOT; i++)
            sum += ((code)f)(0);
        EQ(sum, HOT * (v + 1));
    }
}

// A loop that patches an instruction of its own: from iteration 4096 on, when it is hot, every 16th time.
static void same_page(void)
{
    extern u32 smc_loop[], smc_loop_end[], smc_patch[];
    u32 *f = fresh();
    u64 bytes = (u64)smc_loop_end - (u64)smc_loop;
    memcpy(f, smc_loop, bytes);
    code_sync(f, bytes);
    u32 *patch = f + (smc_patch - smc_loop);
    u64 want = 0;
    for (u64 i = 0; i < HOT; i++)
        want += i < 4096 ? 1 : (i & 16) ? 2 : 3;
    u64 got = ((u64(*)(u64, u32 *, u64, u64))f)(HOT, patch, ADD_X0_X0(3), ADD_X0_X0(2));
    EQ(got, want);
}

// One instruction of a longer straight line, before and after the one being executed.
static void each_word_of_a_line(void)
{
    u32 *f = fresh();
    for (unsigned i = 0; i < 64; i++)
        f[i] = ADD_X0_X0(1);
    f[64] = RET;
    code_sync(f, 65 * 4);
    u64 want = 64, wrong = 0;
    for (unsigned i = 0; i < 3000; i++)
        wrong += ((code)f)(i) != want + i;
    for (unsigned i = 0; i < 64; i++) {
        f[i] = ADD_X0_X0(10);
        code_sync(&f[i], 4);
        want += 9;
        for (unsigned k = 0; k < 50; k++)
            wrong += ((code)f)(k) != want + k;
    }
    EQ(wrong, 0);
}

// Written at one address, executed at another of the same page.
static void alias(void)
{
    u32 *f = fresh();
    u64 va = TEST_VA + 0x5000;
    *pte(va, 3) = (u64)f | MAP_RWX | PTE_PAGE;
    tlb_flush_all();
    u64 wrong = 0;
    for (unsigned v = 0; v < 40; v++) {
        f[0] = MOVZ_X0(v + 100);
        f[1] = RET;
        // By the address of execution: caches are looked up by physical address.
        code_sync((void *)va, 8);
        for (unsigned i = 0; i < 600; i++)
            wrong += ((code)va)(0) != v + 100;
    }
    EQ(wrong, 0);
    // And the other way round.
    for (unsigned v = 0; v < 40; v++) {
        write_return((u32 *)va, v + 7);
        for (unsigned i = 0; i < 600; i++)
            wrong += ((code)f)(0) != v + 7;
    }
    EQ(wrong, 0);
}

// Data in the page of the code, stores of each width: the code stays what it is.
static void data_beside_code(void)
{
    u32 *f = fresh();
    write_return(f, 77);
    volatile u8 *data = (volatile u8 *)(f + 512);
    u64 wrong = 0;
    for (unsigned i = 0; i < HOT; i++) {
        wrong += ((code)f)(0) != 77;
        data[i % 1024] = (u8)i;
        *(volatile u64 *)(data + 8 * (i % 64)) = i;
        wrong += *(volatile u64 *)(data + 8 * (i % 64)) != i;
    }
    EQ(wrong, 0);
}

// The same page takes one function after the other, as a loader of overlays would.
static void copied_again_and_again(void)
{
    u32 *f = fresh(), image[256];
    u64 wrong = 0;
    for (unsigned v = 0; v < 400; v++) {
        for (unsigned i = 0; i < 255; i++)
            image[i] = i % 5 == v % 5 ? ADD_X0_X0(v) : NOP;
        image[255] = RET;
        memcpy(f, image, sizeof image);
        code_sync(f, sizeof image);
        for (unsigned k = 0; k < 40; k++)
            wrong += ((code)f)(k) != k + 51 * v;
    }
    EQ(wrong, 0);
}

// A function that straddles two pages; either half is patched.
static void across_pages(void)
{
    u32 *f = pages + 16 * 1024 + 1024 - 2;
    f[0] = ADD_X0_X0(1);
    f[1] = ADD_X0_X0(1);
    f[2] = ADD_X0_X0(1);
    f[3] = RET;
    code_sync(f, 16);
    u64 wrong = 0;
    for (unsigned v = 1; v < 30; v++) {
        u32 *half = &f[v & 1 ? 2 : 1];
        *half = ADD_X0_X0(v);
        code_sync(half, 4);
        u64 want = 1 + v + (v == 1 ? 1 : v - 1);
        for (unsigned i = 0; i < 500; i++)
            wrong += ((code)f)(0) != want;
    }
    EQ(wrong, 0);
}

// Patched by narrow, paired and SIMD stores, by DC ZVA and by an exclusive.
static void by_other_stores(void)
{
    u32 *f = (u32 *)((u64)fresh() + 2048);
    // Words that DC ZVA clears; a return behind them.
    u64 block = 1ull << (MRS(dczid_el0) & 15), wrong = 0, sum = 0;
    f[block] = RET;
    code_sync(&f[block], 4);
    for (unsigned round = 0; round < 300; round++) {
        write_return(f, 0x111);
        for (unsigned i = 0; i < 40; i++)
            wrong += ((code)f)(0) != 0x111;
        // The immediate starts at bit 5.
        asm volatile("strb %w1, [%0]" ::"r"(f), "r"(MOVZ_X0(0x113) & 0xff) : "memory");
        code_sync(f, 4);
        wrong += ((code)f)(0) != 0x113;
        asm volatile("strh %w1, [%0]" ::"r"(f), "r"(MOVZ_X0(0x117) & 0xffff) : "memory");
        code_sync(f, 4);
        wrong += ((code)f)(0) != 0x117;
        asm volatile("stp %w1, %w2, [%0]" ::"r"(f), "r"(MOVZ_X0(0x222)), "r"(RET) : "memory");
        code_sync(f, 8);
        wrong += ((code)f)(0) != 0x222;
        asm volatile("dup v0.4s, %w1; mov v0.s[1], %w2; str q0, [%0]" ::"r"(f), "r"(MOVZ_X0(0x333)), "r"(RET)
                     : "v0", "memory");
        code_sync(f, 16);
        wrong += ((code)f)(0) != 0x333;
        u32 failed;
        do {
            asm volatile("ldxr wzr, [%1]; stxr %w0, %w2, [%1]" : "=&r"(failed) : "r"(f), "r"(MOVZ_X0(0x444))
                         : "memory");
        } while (failed);
        code_sync(f, 4);
        sum += ((code)f)(0);
        // Zeros are UDF.
        asm volatile("dc zva, %0" ::"r"(f) : "memory");
        code_sync(f, block * 4);
        wrong += CATCH(((code)f)(0)) != block;
    }
    EQ(wrong, 0);
    EQ(sum, 300 * 0x444);
}

// A call's target changes while the caller stays hot.
static void callee_of_hot_caller(void)
{
    extern u64 smc_caller(code, u64);
    u32 *f = fresh();
    for (unsigned v = 0; v < 20; v++) {
        write_return(f, v * 3);
        EQ(smc_caller((code)f, 3000), 3000 * v * 3);
    }
}

// A branch is redirected: B to one of two returns.
static void branch_target(void)
{
    u32 *f = fresh();
    write_return(f + 16, 5);
    write_return(f + 600, 9);
    u64 wrong = 0;
    for (unsigned v = 0; v < 60; v++) {
        f[0] = 0x14000000u | (v & 1 ? 600 : 16);
        code_sync(f, 4);
        for (unsigned i = 0; i < 500; i++)
            wrong += ((code)f)(0) != (v & 1 ? 9 : 5);
    }
    EQ(wrong, 0);
}

void rom_main(void)
{
    mmu_on();
    pages = page_alloc(20);
    for (unsigned i = 0; i < 20; i++)
        *pte((u64)pages + 4096 * i, 3) = ((u64)pages + 4096 * i) | MAP_RWX | PTE_PAGE;
    tlb_flush_all();
    TEST("code in another page", another_page());
    TEST("patched when hot", after_hot());
    TEST("loop patches itself", same_page());
    TEST("each word of a line", each_word_of_a_line());
    TEST("alias", alias());
    TEST("data beside code", data_beside_code());
    TEST("copied again and again", copied_again_and_again());
    TEST("across pages", across_pages());
    TEST("by other stores", by_other_stores());
    TEST("callee of a hot caller", callee_of_hot_caller());
    TEST("branch target", branch_target());
    tests_finish();
}

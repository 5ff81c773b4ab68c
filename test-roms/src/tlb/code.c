// Translations of code that is hot.

#include "tlb.h"

#define HOT 11000

typedef u64 (*code)(void);

// A page with a function that returns n.
static u64 code_page(unsigned n)
{
    u32 *p = page_alloc(1);
    p[0] = 0xd2800000u | n << 5;
    p[1] = 0xd65f03c0u;
    code_sync(p, 8);
    return (u64)p;
}

static u64 sum(u64 va, unsigned n)
{
    u64 s = 0;
    while (n--)
        s += ((code)va)();
    return s;
}

static void remapped(void)
{
    u64 va = TEST_VA + 0x20000, one = code_page(1), two = code_page(2), *entry = pte(va, 3);
    for (unsigned i = 0; i < 8; i++) {
        set_pte(entry, (i & 1 ? two : one) | MAP_CODE | PTE_PAGE);
        EQ(sum(va, HOT), HOT * (i & 1 ? 2 : 1));
        set_pte(entry, 0);
        tlbi_va(va);
    }
    u64 wrong = 0;
    for (unsigned i = 0; i < 3000; i++) {
        set_pte(entry, (i & 1 ? two : one) | MAP_CODE | PTE_PAGE);
        wrong += ((code)va)() != (i & 1 ? 2 : 1);
        set_pte(entry, 0);
        tlbi_va(va);
        wrong += CATCH(((code)va)()) != 1 || caught.esr != 0x86000007 || caught.far != va;
    }
    EQ(wrong, 0);
}

// A function that runs over the end of its page into another that changes.
static void second_page_remapped(void)
{
    u64 va = TEST_VA + 0x22000;
    u32 *first = page_alloc(1), *a = page_alloc(1), *b = page_alloc(1);
    first[1022] = 0xd2800000u;          // mov x0, #0
    first[1023] = 0x91000400u;          // add x0, x0, #1
    a[0] = 0x91000800u;                 // add x0, x0, #2
    b[0] = 0x91001000u;                 // add x0, x0, #4
    a[1] = b[1] = 0xd65f03c0u;
    code_sync(first, 4096);
    code_sync(a, 8);
    code_sync(b, 8);
    set_pte(pte(va, 3), (u64)first | MAP_CODE | PTE_PAGE);
    u64 *entry = pte(va + 4096, 3), at = va + 1022 * 4, wrong = 0;
    for (unsigned i = 0; i < 10; i++) {
        set_pte(entry, (u64)(i & 1 ? a : b) | MAP_CODE | PTE_PAGE);
        EQ(sum(at, 3000), 3000 * (i & 1 ? 3 : 5));
        set_pte(entry, 0);
        tlbi_va(va + 4096);
        for (unsigned k = 0; k < 50; k++)
            wrong += CATCH(((code)at)()) != 1 || caught.elr != va + 4096 || caught.esr != 0x86000007;
    }
    EQ(wrong, 0);
}

static void execute_never(void)
{
    u64 va = TEST_VA + 0x24000, page = code_page(3), *entry = pte(va, 3), wrong = 0;
    for (unsigned i = 0; i < 6; i++) {
        set_pte(entry, page | MAP_CODE | PTE_PAGE);
        tlbi_va(va);
        EQ(sum(va, 4000), 12000);
        set_pte(entry, page | MAP_CODE | PTE_PXN | PTE_PAGE);
        tlbi_va(va);
        for (unsigned k = 0; k < 2000; k++)
            wrong += CATCH(((code)va)()) != 1 || caught.esr != 0x8600000f || caught.far != va;
    }
    EQ(wrong, 0);
}

static u64 el0_run(u64 va, u64 n)
{
    return sum(va, (unsigned)n);
}

// The same code at EL0 and EL1, each forbidden in turn.
static void each_level(void)
{
    u64 va = TEST_VA + 0x26000, page = code_page(4), *entry = pte(va, 3), wrong = 0;
    for (unsigned i = 0; i < 40; i++) {
        set_pte(entry, page | MAP_CODE | PTE_UXN | PTE_PAGE);
        tlbi_va(va);
        wrong += sum(va, 200) != 800;
        wrong += CATCH(el0_call(el0_run, va, 1)) != 1 || caught.esr != 0x8200000f;
        set_pte(entry, page | MAP_CODE | PTE_PXN | PTE_PAGE);
        tlbi_va(va);
        wrong += el0_call(el0_run, va, 200) != 800;
        wrong += CATCH(sum(va, 1)) != 1 || caught.esr != 0x8600000f;
    }
    EQ(wrong, 0);
}

// One address, two address spaces, two functions.
static void by_asid(void)
{
    u64 first = MRS(ttbr0_el1) & 0xfffffffffffe, va = TEST_VA + 0x28000, wrong = 0;
    u64 *copy = page_alloc(1);
    memcpy(copy, (void *)first, 4096);
    copy[TEST_VA / BIT(30)] = 0;
    MSR(ttbr0_el1, (u64)copy | 2ull << 48);
    ISB();
    *pte(va, 3) = code_page(20) | MAP_CODE | PTE_NG | PTE_PAGE;
    MSR(ttbr0_el1, first | 1ull << 48);
    ISB();
    *pte(va, 3) = code_page(10) | MAP_CODE | PTE_NG | PTE_PAGE;
    DSB();
    for (unsigned i = 0; i < 3000; i++) {
        MSR(ttbr0_el1, first | 1ull << 48);
        ISB();
        wrong += sum(va, 5) != 50;
        MSR(ttbr0_el1, (u64)copy | 2ull << 48);
        ISB();
        wrong += sum(va, 5) != 100;
    }
    MSR(ttbr0_el1, first);
    tlb_flush_all();
    EQ(wrong, 0);
}

// SCTLR_EL1.WXN: what can be written cannot be executed.
static void write_implies_xn(void)
{
    u64 va = TEST_VA + 0x2a000, page = code_page(6), sctlr = MRS(sctlr_el1);
    set_pte(pte(va, 3), page | MAP_RWX | PTE_PAGE);
    EQ(sum(va, 3000), 18000);
    MSR(sctlr_el1, sctlr | BIT(19));
    tlb_flush_all();
    EQ(CATCH(sum(va, 1)), 1);
    EQ(caught.esr, 0x8600000f);
    MSR(sctlr_el1, sctlr);
    tlb_flush_all();
    EQ(sum(va, 100), 600);
}

void code_tests(void)
{
    TEST("code remapped", remapped());
    TEST("second page remapped", second_page_remapped());
    TEST("PXN", execute_never());
    TEST("PXN and UXN", each_level());
    TEST("code by ASID", by_asid());
    TEST("WXN", write_implies_xn());
}

// Exclusives, LSE atomics, load-acquire, DC ZVA.

#include "memory.h"

static u64 cells[8] __attribute__((aligned(64)));

static void exclusive_counters(void)
{
    memset(cells, 0, sizeof cells);
    u32 failed;
    u64 v;
    for (unsigned i = 0; i < 5000; i++) {
#define COUNT(load, store, reg, cell)                                                                     \
    do {                                                                                                  \
        asm volatile(load " %" reg "0, [%2]\n add %0, %0, #1\n " store " %w1, %" reg "0, [%2]"            \
                     : "=&r"(v), "=&r"(failed) : "r"(cell) : "memory");                                   \
    } while (failed)
        COUNT("ldxrb", "stxrb", "w", &cells[0]);
        COUNT("ldaxrh", "stlxrh", "w", &cells[1]);
        COUNT("ldxr", "stlxr", "w", &cells[2]);
        COUNT("ldaxr", "stxr", "x", &cells[3]);
        do {
            asm volatile("ldxp x8, x9, [%1]\n adds x8, x8, #1\n adc x9, x9, x8\n stxp %w0, x8, x9, [%1]"
                         : "=&r"(failed) : "r"(&cells[4]) : "x8", "x9", "cc", "memory");
        } while (failed);
    }
    EQ(cells[0], 5000 & 0xff);
    EQ(cells[1], 5000);
    EQ(cells[2], 5000);
    EQ(cells[3], 5000);
    EQ(cells[4], 5000);
    EQ(cells[5], 5000 * 5001 / 2);
}

static void exclusive_failures(void)
{
    u32 s;
    cells[0] = 1;
    for (unsigned i = 0; i < 3000; i++) {
        // No reservation.
        asm volatile("clrex; stxr %w0, xzr, [%1]" : "=&r"(s) : "r"(cells) : "memory");
        EQ(s, 1);
        // Used up by the first store.
        asm volatile("ldxr x8, [%1]; stxr w9, x8, [%1]; stxr %w0, xzr, [%1]" : "=&r"(s) : "r"(cells)
                     : "x8", "x9", "memory");
        EQ(s, 1);
        // Another address, far enough for any granule.
        asm volatile("ldxr x8, [%1]; stxr %w0, xzr, [%2]" : "=&r"(s) : "r"(cells), "r"(EDGE + 0x800)
                     : "x8", "memory");
        EQ(s, 1);
        EQ(cells[0], 1);
    }
}

// An exception return ends the reservation (Arm ARM B2.12).
static void exclusives_and_exceptions(void)
{
    u32 s;
    u64 wrong = 0;
    cells[0] = 7;
    catching = true;
    for (unsigned i = 0; i < 3000; i++) {
        asm volatile("ldxr x8, [%1]; svc #0; stxr %w0, xzr, [%1]" : "=&r"(s) : "r"(cells) : "x8", "memory");
        wrong += s != 1 || cells[0] != 7;
    }
    catching = false;
    EQ(wrong, 0);
}

static void exclusive_faults(void)
{
    u32 s = 5;
    EQ(CATCH(asm volatile("ldxr x8, [%0]" ::"r"((u64)cells + 4) : "x8", "memory")), 1);
    EQ(caught.esr, 0x96000021);
    EQ(caught.far, (u64)cells + 4);
    EQ(CATCH(asm volatile("ldar w8, [%0]" ::"r"((u64)cells + 2) : "x8", "memory")), 1);
    EQ(caught.esr, 0x96000021);
    EQ(CATCH(asm volatile("stlr w8, [%0]" ::"r"((u64)cells + 2) : "x8", "memory")), 1);
    EQ(caught.esr, 0x96000061);
    // Aligned to a register, not to the pair.
    EQ(CATCH(asm volatile("ldxp x8, x9, [%0]" ::"r"((u64)cells + 8) : "x8", "x9", "memory")), 1);
    EQ(caught.esr, 0x96000021);
    // Read-only: the load works, the store does not, and the status register stays.
    u64 va = TEST_VA + 0x40000;
    set_pte(va, (u64)page_alloc(1) | MAP_DATA | PTE_RO | PTE_PAGE);
    EQ(CATCH(asm volatile("ldxr x8, [%1]; stxr %w0, x8, [%1]" : "+r"(s) : "r"(va) : "x8", "memory")), 1);
    EQ(caught.esr, 0x9600004f);
    EQ(caught.far, va);
    EQ(s, 5);
}

static bool lse(void)
{
    if (FIELD(MRS(id_aa64isar0_el1), 20) >= 2)
        return true;
    test_skip("no FEAT_LSE");
    return false;
}

#define LSE ".arch_extension lse\n"

static void lse_operations(void)
{
    if (!lse())
        return;
    u64 old, wrong = 0, *c = cells;
    for (u64 i = 0; i < 2500; i++) {
#define ATOMIC(text, before, operand, after)                                                         \
    c[0] = (before);                                                                                 \
    c[1] = 0x5555;                                                                                   \
    asm volatile(LSE text : "=&r"(old) : "r"((u64)(operand)), "r"(c) : "memory");                    \
    wrong += old != (u64)(before) || c[0] != (u64)(after) || c[1] != 0x5555
        ATOMIC("ldadd %1, %0, [%2]", i, 3, i + 3);
        ATOMIC("ldclra %1, %0, [%2]", 0xff00ff, 0xf0f0f0, 0x0f000f);
        ATOMIC("ldeorl %1, %0, [%2]", 0xff00ff, 0xf0f0f0, 0x0ff00f);
        ATOMIC("ldsetal %1, %0, [%2]", 0xff00ff, 0xf0f0f0, 0xfff0ff);
        ATOMIC("ldsmax %1, %0, [%2]", -5, 3, 3);
        ATOMIC("ldsmin %1, %0, [%2]", -5, 3, -5);
        ATOMIC("ldumax %1, %0, [%2]", -5, 3, -5);
        ATOMIC("ldumin %1, %0, [%2]", -5, 3, 3);
        ATOMIC("swpal %1, %0, [%2]", i, ~i, ~i);
#define ATOMIC_PART(text, before, operand, result, after)                                            \
    c[0] = (before);                                                                                 \
    asm volatile(LSE text : "=&r"(old) : "r"((u64)(operand)), "r"(c) : "memory");                    \
    wrong += old != (u64)(result) || c[0] != (u64)(after)
        ATOMIC_PART("ldaddb %w1, %w0, [%2]", 0x11111111111111ff, 2, 0xff, 0x1111111111111101);
        ATOMIC_PART("ldsmaxh %w1, %w0, [%2]", 0x1111111111118000, 0x7fff, 0x8000, 0x1111111111117fff);
        ATOMIC_PART("ldsminb %w1, %w0, [%2]", 0x117f, 0x180, 0x7f, 0x1180);
        ATOMIC_PART("ldumaxh %w1, %w0, [%2]", 0x118000, 0x7fff, 0x8000, 0x118000);
        ATOMIC_PART("swp %w1, %w0, [%2]", 0x1111111122222222, 0x33333333, 0x22222222, 0x1111111133333333);
        // STADD is LDADD to XZR.
        c[0] = 40;
        asm volatile(LSE "stadd %0, [%1]" ::"r"(2ull), "r"(c) : "memory");
        wrong += c[0] != 42;
    }
    EQ(wrong, 0);
}

static void compare_and_swap(void)
{
    if (!lse())
        return;
    u64 wrong = 0, *c = cells;
    for (u64 i = 0; i < 2500; i++) {
        u64 v = i;
        c[0] = i;
        asm volatile(LSE "casal %0, %1, [%2]" : "+r"(v) : "r"(~i), "r"(c) : "memory");
        wrong += v != i || c[0] != ~i;
        v = i;
        asm volatile(LSE "cas %0, %1, [%2]" : "+r"(v) : "r"(99ull), "r"(c) : "memory");
        wrong += v != ~i || c[0] != ~i;
        c[0] = 0xaabb;
        v = 0xffffffffffffffbb;
        asm volatile(LSE "casb %w0, %w1, [%2]" : "+r"(v) : "r"(0xccull), "r"(c) : "memory");
        wrong += v != 0xbb || c[0] != 0xaacc;
        register u64 lo asm("x2") = 1;
        register u64 hi asm("x3") = 2;
        register u64 nlo asm("x4") = 30 + i;
        register u64 nhi asm("x5") = 40;
        c[0] = 1;
        c[1] = i & 1 ? 2 : 3;
        asm volatile(LSE "caspal x2, x3, x4, x5, [%4]" : "+r"(lo), "+r"(hi) : "r"(nlo), "r"(nhi), "r"(c) : "memory");
        wrong += lo != 1 || hi != (i & 1 ? 2 : 3) || c[0] != (i & 1 ? 30 + i : 1) || c[1] != (i & 1 ? 40 : 3);
    }
    EQ(wrong, 0);
}

static void lse_faults(void)
{
    if (!lse())
        return;
    u64 readonly = TEST_VA + 0x40000, nothing = TEST_VA + 0x41000, old = 77, wrong = 0;
    set_pte(readonly, (u64)page_alloc(1) | MAP_DATA | PTE_RO | PTE_PAGE);
    set_pte(nothing, 0);
    for (unsigned i = 0; i < 2500; i++) {
        // ESR_EL1.WnR is 0 where a read would have faulted as well.
        wrong += CATCH(asm volatile(LSE "ldadd %0, %0, [%1]" : "+r"(old) : "r"(nothing) : "memory")) != 1;
        wrong += caught.esr != 0x96000007 || old != 77;
        wrong += CATCH(asm volatile(LSE "swpal %0, %0, [%1]" : "+r"(old) : "r"(readonly) : "memory")) != 1;
        wrong += caught.esr != 0x9600004f || old != 77 || caught.far != readonly;
        wrong += CATCH(asm volatile(LSE "ldset %0, %0, [%1]" : "+r"(old) : "r"((u64)cells + 1) : "memory")) != 1;
        wrong += FSC(caught.esr) != 0x21 || old != 77;
    }
    EQ(wrong, 0);
}

static void acquire_release(void)
{
    u64 v, wrong = 0;
    for (u64 i = 0; i < 2500; i++) {
        asm volatile("stlr %1, [%2]; ldar %0, [%2]" : "=&r"(v) : "r"(i), "r"(cells) : "memory");
        wrong += v != i;
        asm volatile("stlrh %w1, [%2]; ldarb %w0, [%2]" : "=&r"(v) : "r"(~i), "r"(cells) : "memory");
        wrong += v != (~i & 0xff);
    }
    if (FIELD(MRS(id_aa64isar1_el1), 20)) {
        for (u64 i = 0; i < 2500; i++) {
            cells[0] = i << 40;
            // LDAPR
            register u64 x0 asm("x0");
            register u64 x1 asm("x1") = (u64)cells;
            asm volatile(".inst 0xf8bfc020" : "=r"(x0) : "r"(x1) : "memory");
            wrong += x0 != i << 40;
        }
    }
    EQ(wrong, 0);
}

static void zero_block(void)
{
    u64 dczid = MRS(dczid_el0), size = 4ull << (dczid & 15), wrong = 0;
    EQ(dczid & 16, 0);
    u8 *page = page_alloc(1);
    u64 va = TEST_VA + 0x42000;
    set_pte(va, (u64)page | MAP_DATA | PTE_PAGE);
    for (unsigned i = 0; i < 300; i++) {
        memset(page, 0xee, 4096);
        u64 at = size + i % size;
        asm volatile("dc zva, %0" ::"r"(va + at) : "memory");
        for (u64 k = 0; k < 3 * size; k++)
            wrong += page[k] != (k / size == 1 ? 0 : 0xee);
    }
    EQ(wrong, 0);
    set_pte(va, (u64)page | MAP_DATA | PTE_RO | PTE_PAGE);
    EQ(CATCH(asm volatile("dc zva, %0" ::"r"(va + 8) : "memory")), 1);
    EQ(caught.esr & ~BIT(8), 0x9600004f);
    EQ(caught.far / size, va / size);
    EQ(page[0], 0xee);
}

void atomic_tests(void)
{
    TEST("exclusive counters", exclusive_counters());
    TEST("exclusives that fail", exclusive_failures());
    TEST("exclusives and exceptions", exclusives_and_exceptions());
    TEST("exclusives that fault", exclusive_faults());
    TEST("LSE operations", lse_operations());
    TEST("compare and swap", compare_and_swap());
    TEST("LSE faults", lse_faults());
    TEST("acquire and release", acquire_release());
    TEST("DC ZVA", zero_block());
}

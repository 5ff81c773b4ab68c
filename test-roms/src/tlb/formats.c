// Other granules and address sizes: each maps the low 2 GiB 1:1, then a page or block far above.

#include "tlb.h"

static u64 tcr_4k, ttbr_4k;

// 16 KiB and 64 KiB tables are larger than a page.
static u64 *table(u64 bytes)
{
    u64 p = (u64)page_alloc((unsigned)(bytes / 4096 * 2));
    return (u64 *)((p + bytes - 1) & ~(bytes - 1));
}

static u64 identity(u64 pa)
{
    return pa | (pa < board.memory_base ? MAP_DEVICE : MAP_RWX) | PTE_BLOCK;
}

// Reads, writes, remaps and unmaps the first words of a page or block at va and others `last` bytes on; `entry` is its
// descriptor, the next one is invalid.
static void exercise(u64 va, u64 size, u64 last, u64 *entry, unsigned level, u64 one, u64 two, u64 kind)
{
    u64 wrong = 0;
    for (u64 i = 0; i < 600; i++) {
        u64 pa = i & 1 ? one : two;
        set_pte(entry, pa | MAP_DATA | kind);
        write64(va + last, i);
        write64(va, ~i);
        wrong += read64(pa + last) != i || read64(pa) != ~i;
        set_pte(entry, 0);
        tlbi_va(va);
        wrong += CATCH(read64(va + last)) != 1 || caught.esr != (0x96000004 | level) || caught.far != va + last;
    }
    EQ(wrong, 0);
    set_pte(entry, one | MAP_DATA | PTE_RO | kind);
    EQ(CATCH(write64(va, 0)), 1);
    EQ(caught.esr, 0x9600004c | level);
    EQ(CATCH(read64(va + size)), 1);
    EQ(FSC(caught.esr), 0x04 | level);
    set_pte(entry, 0);
    tlbi_va(va);
}

// 64 KiB: level 2 has 512 MiB, level 3 has 64 KiB entries. 39 bits start at level 2.
static void granule_64k(void)
{
    if (FIELD(MRS(id_aa64mmfr0_el1), 24) != 0) {
        test_skip("not implemented");
        return;
    }
    u64 *l2 = table(65536), *l3 = table(65536), one = (u64)table(65536), two = (u64)table(65536);
    for (u64 i = 0; i < 4; i++)
        l2[i] = identity(i << 29);
    u64 va = TEST_VA, at = va >> 29;
    l2[at] = (u64)l3 | PTE_TABLE;
    // TG0 64 KiB.
    switch_tables(tcr_4k | 1 << 14, (u64)l2);
    exercise(va + 0x50000, 65536, 65536 - 16, &l3[5], 3, one, two, PTE_PAGE);
    // The start of RAM: the device tree has been read.
    exercise(va + BIT(30), BIT(29), 0x30000, &l2[at + 2], 2, board.memory_base, board.memory_base, PTE_BLOCK);
    switch_tables(tcr_4k, ttbr_4k);
}

// 16 KiB: level 1 has 64 GiB, level 2 has 32 MiB, level 3 has 16 KiB entries. 39 bits start at level 1.
static void granule_16k(void)
{
    unsigned tgran16 = FIELD(MRS(id_aa64mmfr0_el1), 20);
    if (tgran16 != 1 && tgran16 != 2) {
        test_skip("not implemented");
        return;
    }
    u64 *l1 = table(16384), *l2 = table(16384), *far2 = table(16384), *far3 = table(16384);
    u64 one = (u64)table(16384), two = (u64)table(16384);
    for (u64 i = 0; i < 64; i++)
        l2[i] = identity(i << 25);
    l1[0] = (u64)l2 | PTE_TABLE;
    l1[1] = (u64)far2 | PTE_TABLE;
    far2[3] = (u64)far3 | PTE_TABLE;
    // TG0 16 KiB.
    switch_tables(tcr_4k | 2 << 14, (u64)l1);
    exercise(TEST_VA + (3 << 25) + (9 << 14), 16384, 16384 - 16, &far3[9], 3, one, two, PTE_PAGE);
    exercise(TEST_VA + (6 << 25), BIT(25), 0x123458, &far2[6], 2, board.memory_base + BIT(25), board.memory_base + BIT(25), PTE_BLOCK);
    switch_tables(tcr_4k, ttbr_4k);
}

// 48 bits start at level 0.
static void four_levels(void)
{
    u64 *l0 = table(4096), *l1 = table(4096), *l2 = table(4096), *l3 = table(4096);
    u64 one = (u64)table(4096), two = (u64)table(4096), va = 0x8123ull << 32 | 0x40000000;
    l0[0] = ttbr_4k | PTE_TABLE;
    l0[va >> 39 & 511] = (u64)l1 | PTE_TABLE;
    l1[va >> 30 & 511] = (u64)l2 | PTE_TABLE;
    l2[va >> 21 & 511] = (u64)l3 | PTE_TABLE;
    switch_tables((tcr_4k & ~63ull) | 16, (u64)l0);
    exercise(va, 4096, 4096 - 16, &l3[0], 3, one, two, PTE_PAGE);
    EQ(CATCH(read64(BIT(47) - 8)), 1);
    EQ(caught.esr, 0x96000004);
    EQ(CATCH(read64(BIT(48))), 1);
    EQ(caught.esr, 0x96000004);
    switch_tables(tcr_4k, ttbr_4k);
}

// 31 bits: the first two entries of a level 1 table; above is nothing.
static void small_space(void)
{
    u64 *l1 = table(4096);
    l1[0] = identity(0);
    l1[1] = identity(BIT(30));
    // What the walker must not look at.
    l1[2] = board.memory_base | MAP_DATA | PTE_BLOCK;
    switch_tables((tcr_4k & ~63ull) | 33, (u64)l1);
    EQ(CATCH(read64(board.memory_base)), 0);
    EQ(CATCH(read64(BIT(31))), 1);
    EQ(caught.esr, 0x96000004);
    switch_tables(tcr_4k, ttbr_4k);
}

void format_tests(void)
{
    tcr_4k = MRS(tcr_el1);
    ttbr_4k = MRS(ttbr0_el1);
    TEST("64 KiB granule", granule_64k());
    TEST("16 KiB granule", granule_16k());
    TEST("48-bit addresses", four_levels());
    TEST("31-bit addresses", small_space());
}

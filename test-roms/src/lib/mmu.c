// Identity map of the low 64 GiB, 4 KiB granule, tables from level 1.

#include "rom.h"

#define GIB BIT(30)
#define MIB2 BIT(21)

void *page_alloc(unsigned pages)
{
    static u64 next;
    if (!next)
        next = (u64)__image_end;
    u64 p = next;
    next += pages * 4096ull;
    if (next > board.memory_base + board.memory_size) {
        printf("out of memory\n");
        power_off();
    }
    memset((void *)p, 0, pages * 4096ull);
    return (void *)p;
}

void tlb_flush_all(void)
{
    asm volatile("dsb ish; tlbi vmalle1; dsb ish; isb" ::: "memory");
}

u64 *pte(u64 va, unsigned level)
{
    u64 *table = (u64 *)(MRS(ttbr0_el1) & 0xfffffffff000);
    for (unsigned l = 1;; l++) {
        u64 *entry = &table[va >> (39 - 9 * l) & 511];
        if (l == level)
            return entry;
        if ((*entry & 3) != PTE_TABLE) {
            *entry = (u64)page_alloc(1) | PTE_TABLE;
            tlb_flush_all();
        }
        table = (u64 *)(*entry & 0xfffffffff000);
    }
}

void code_sync(const void *start, size_t bytes)
{
    u64 ctr = MRS(ctr_el0), d = 4ull << FIELD(ctr, 16), i = 4ull << FIELD(ctr, 0), end = (u64)start + bytes;
    for (u64 p = (u64)start & ~(d - 1); p < end; p += d)
        asm volatile("dc cvau, %0" ::"r"(p) : "memory");
    asm volatile("dsb ish" ::: "memory");
    for (u64 p = (u64)start & ~(i - 1); p < end; p += i)
        asm volatile("ic ivau, %0" ::"r"(p) : "memory");
    asm volatile("dsb ish; isb" ::: "memory");
}

void mmu_on(void)
{
    u64 *l1 = page_alloc(1), *l2 = page_alloc(1), *l3 = page_alloc(1);
    u64 image = (u64)__image_start, end = board.memory_base + board.memory_size;
    for (u64 i = 0; i < 512; i++) {
        u64 pa = i * GIB;
        bool ram = pa >= board.memory_base && pa < end;
        l1[i] = pa < TEST_VA ? pa | (ram ? MAP_DATA : MAP_DEVICE) | PTE_BLOCK : 0;
    }
    // The GiB with the image in 2 MiB blocks, the image's own 2 MiB in pages.
    l1[image / GIB] = (u64)l2 | PTE_TABLE;
    for (u64 i = 0; i < 512; i++) {
        u64 pa = image / GIB * GIB + i * MIB2;
        bool ram = pa < end;
        l2[i] = pa | (ram ? MAP_DATA : MAP_DEVICE) | PTE_BLOCK;
    }
    l2[image % GIB / MIB2] = (u64)l3 | PTE_TABLE;
    for (u64 i = 0; i < 512; i++) {
        u64 pa = image / MIB2 * MIB2 + i * 4096;
        u64 attributes = MAP_DATA;
        if (pa >= image && pa < (u64)__text_end)
            attributes = MAP_CODE;
        else if (pa >= image && pa < (u64)__rodata_end)
            attributes = MAP_DATA | PTE_RO;
        else if (pa >= (u64)__el0_start && pa < (u64)__stack_el0_top)
            attributes = MAP_DATA_EL0;
        l3[i] = pa | attributes | PTE_PAGE;
    }
    MSR(mair_el1, 0x0444ff00);
    // T0SZ 25; write-back, inner shareable walks; EPD1; IPS from the CPU, at most 48 bits.
    u64 ips = FIELD(MRS(id_aa64mmfr0_el1), 0);
    MSR(tcr_el1, 25 | 1 << 8 | 1 << 10 | 3 << 12 | BIT(23) | (ips > 5 ? 5 : ips) << 32);
    MSR(ttbr0_el1, l1);
    tlb_flush_all();
    MSR(sctlr_el1, MRS(sctlr_el1) | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_SA0 | SCTLR_I);
    ISB();
}

#pragma once

#include "../lib/rom.h"

static inline u64 read64(u64 va)
{
    return *(volatile u64 *)va;
}

static inline void write64(u64 va, u64 v)
{
    *(volatile u64 *)va = v;
}

// Page-table stores reach the walker; no TLB maintenance.
static inline void set_pte(u64 *entry, u64 desc)
{
    *(volatile u64 *)entry = desc;
    asm volatile("dsb ishst; isb" ::: "memory");
}

static inline void tlbi_va(u64 va)
{
    asm volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb" ::"r"(va >> 12 & 0xfffffffffff) : "memory");
}

// A page of RAM whose first word is `mark`.
u64 marked_page(u64 mark);

// Replaces translation tables and their format with the MMU off, for which the code has to be mapped 1:1 in both.
void switch_tables(u64 tcr, u64 ttbr0);

void code_tests(void);
void format_tests(void);

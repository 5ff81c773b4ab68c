#pragma once

#include "../lib/rom.h"

extern u32 hostile_patcher[], hostile_patcher_end[], hostile_counter[], hostile_counter_end[];

// 1/3 in each of the four rounding modes, and -1/3: the sums of their bits.
void hostile_rounding(u64 bits[2]);
// Half the smallest normal number without and with flushing to zero.
void hostile_denormals(u64 bits[2]);

static inline void tlbi_va(u64 va)
{
    asm volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb" ::"r"(va >> 12 & 0xfffffffffff) : "memory");
}

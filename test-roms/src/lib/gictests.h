// What GICv2 and GICv3 have in common, tested by software-made interrupts.
#pragma once

#include "gic.h"

// Shared peripheral interrupts that no device of the board has.
#define SPI_A 200
#define SPI_B 201
#define SPI_C 202

#define ISR_I BIT(7)
#define ISR_F BIT(6)

void gic_set_pmr(u8 priority);
void gic_set_bpr(u8 point);
void gic_set_eoimode(bool split);
void gic_deactivate(u32 intid);
u32 gic_running_priority(void);
u32 gic_highest_pending(void);
void gic_sgi_self(unsigned intid);
void gic_pend(unsigned intid);
// One interrupt's bit in a GICD_I... array of 32-bit registers.
bool gic_bit(u64 array, unsigned intid);
void gic_write_bit(u64 array, unsigned intid);
void gic_set_edge(unsigned intid, bool edge);
bool irq_pending(void);

void gic_common_tests(void);

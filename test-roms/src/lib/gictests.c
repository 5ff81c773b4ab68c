// Enabling, pending, active, priorities: the same on both architectures.

#include "gictests.h"

#define V3 (board.gic == 3)

void gic_set_pmr(u8 priority)
{
    if (V3)
        MSR(ICC_PMR_EL1, priority);
    else
        mmio_write32(board.gicc + GICC_PMR, priority);
    ISB();
}

void gic_set_bpr(u8 point)
{
    if (V3)
        MSR(ICC_BPR1_EL1, point);
    else
        mmio_write32(board.gicc + GICC_BPR, point);
    ISB();
}

void gic_set_eoimode(bool split)
{
    if (V3)
        MSR(ICC_CTLR_EL1, split ? 2 : 0);
    else
        mmio_write32(board.gicc + GICC_CTLR, split ? 0x201 : 1);
    ISB();
}

void gic_deactivate(u32 intid)
{
    if (V3)
        MSR(ICC_DIR_EL1, intid);
    else
        mmio_write32(board.gicc + GICC_DIR, intid);
    ISB();
}

u32 gic_running_priority(void)
{
    return V3 ? (u32)MRS(ICC_RPR_EL1) & 0xff : mmio_read32(board.gicc + GICC_RPR) & 0xff;
}

u32 gic_highest_pending(void)
{
    return V3 ? (u32)MRS(ICC_HPPIR1_EL1) : mmio_read32(board.gicc + GICC_HPPIR);
}

void gic_sgi_self(unsigned intid)
{
    if (V3)
        MSR(ICC_SGI1R_EL1, (u64)intid << 24 | 1);
    else
        mmio_write32(board.gicd + GICD_SGIR, 2 << 24 | intid);
    ISB();
}

bool gic_bit(u64 array, unsigned intid)
{
    return mmio_read32(gic_base(intid) + array + intid / 32 * 4) >> intid % 32 & 1;
}

void gic_write_bit(u64 array, unsigned intid)
{
    mmio_write32(gic_base(intid) + array + intid / 32 * 4, 1u << intid % 32);
}

void gic_pend(unsigned intid)
{
    gic_write_bit(GICD_ISPENDR, intid);
}

void gic_set_edge(unsigned intid, bool edge)
{
    u64 reg = gic_base(intid) + GICD_ICFGR + intid / 16 * 4;
    u32 bit = 2u << intid % 16 * 2;
    mmio_write32(reg, edge ? mmio_read32(reg) | bit : mmio_read32(reg) & ~bit);
}

bool irq_pending(void)
{
    DSB();
    ISB();
    return MRS(isr_el1) & ISR_I;
}

// ---- What the handler saw

static volatile u32 seen[32];
static volatile unsigned count;
static void (*volatile in_handler)(u32 intid);

static bool on_irq(struct frame *f)
{
    (void)f;
    u32 iar = gic_ack();
    if (count < ARRAY_LEN(seen))
        seen[count] = iar & 0x3ff;
    count++;
    if (in_handler)
        in_handler(iar & 0x3ff);
    gic_eoi(iar);
    return true;
}

static void take(void)
{
    IRQ_ON();
    ISB();
    for (volatile unsigned i = 0; i < 20; i++)
        ;
    IRQ_OFF();
}

static void fresh(void)
{
    count = 0;
    in_handler = NULL;
    for (unsigned id = SPI_A; id <= SPI_C; id++) {
        gic_disable(id);
        gic_write_bit(GICD_ICPENDR, id);
        gic_write_bit(GICD_ICACTIVER, id);
        gic_set_edge(id, true);
    }
    gic_set_pmr(0xff);
}

static void identity(void)
{
    u32 typer = mmio_read32(board.gicd + GICD_TYPER);
    EQ((typer & 31) >= 7, 1);
    EQ(gic_running_priority(), 0xff);
    EQ(gic_ack() & 0x3ff, 1023);
    EQ(irq_pending(), 0);
}

static void enable_bits(void)
{
    fresh();
    EQ(gic_bit(GICD_ISENABLER, SPI_A), 0);
    gic_enable(SPI_A, 0x80);
    EQ(gic_bit(GICD_ISENABLER, SPI_A), 1);
    EQ(gic_bit(GICD_ICENABLER, SPI_A), 1);
    EQ(gic_bit(GICD_ISENABLER, SPI_B), 0);
    gic_disable(SPI_A);
    EQ(gic_bit(GICD_ISENABLER, SPI_A), 0);
    EQ(mmio_read32(board.gicd + GICD_IPRIORITYR + SPI_A / 4 * 4) >> SPI_A % 4 * 8 & 0xff, 0x80);
}

static void pending_then_enabled(bool edge)
{
    fresh();
    gic_set_edge(SPI_A, edge);
    gic_pend(SPI_A);
    EQ(gic_bit(GICD_ISPENDR, SPI_A), 1);
    EQ(irq_pending(), 0);
    gic_enable(SPI_A, 0x80);
    EQ(irq_pending(), 1);
    EQ(gic_highest_pending() & 0x3ff, SPI_A);
    u32 iar = gic_ack();
    EQ(iar & 0x3ff, SPI_A);
    EQ(gic_bit(GICD_ISPENDR, SPI_A), 0);
    EQ(gic_bit(GICD_ISACTIVER, SPI_A), 1);
    EQ(gic_running_priority(), 0x80);
    EQ(irq_pending(), 0);
    gic_eoi(iar);
    EQ(gic_bit(GICD_ISACTIVER, SPI_A), 0);
    EQ(gic_running_priority(), 0xff);
    EQ(gic_ack() & 0x3ff, 1023);
}

static void taken(void)
{
    fresh();
    gic_enable(SPI_A, 0x80);
    for (unsigned i = 1; i <= 2500; i++) {
        gic_pend(SPI_A);
        EQ(count, i - 1);
        take();
        EQ(count, i);
    }
    EQ(seen[0], SPI_A);
    // Straight out of a store, with interrupts on.
    count = 0;
    IRQ_ON();
    for (unsigned i = 1; i <= 2500; i++) {
        gic_pend(SPI_A);
        DSB();
        ISB();
        EQ(count, i);
    }
    IRQ_OFF();
}

static void withdrawn(void)
{
    fresh();
    gic_enable(SPI_A, 0x80);
    gic_pend(SPI_A);
    EQ(irq_pending(), 1);
    gic_write_bit(GICD_ICPENDR, SPI_A);
    EQ(gic_bit(GICD_ISPENDR, SPI_A), 0);
    EQ(irq_pending(), 0);
    take();
    EQ(count, 0);
}

static void priority_order(void)
{
    fresh();
    gic_enable(SPI_A, 0xa0);
    gic_enable(SPI_B, 0x60);
    gic_enable(SPI_C, 0xa0);
    gic_pend(SPI_C);
    gic_pend(SPI_A);
    gic_pend(SPI_B);
    take();
    EQ(count, 3);
    EQ(seen[0], SPI_B);
    // Of the same priority, the lower number first.
    EQ(seen[1], SPI_A);
    EQ(seen[2], SPI_C);
}

static void priority_mask(void)
{
    fresh();
    gic_enable(SPI_A, 0x80);
    gic_set_pmr(0x80);
    gic_pend(SPI_A);
    // Strictly higher than the mask, that is, less.
    EQ(irq_pending(), 0);
    EQ(gic_ack() & 0x3ff, 1023);
    gic_set_pmr(0x88);
    EQ(irq_pending(), 1);
    gic_set_pmr(0);
    EQ(irq_pending(), 0);
    gic_set_pmr(0xff);
    take();
    EQ(count, 1);
}

static u32 nested_order[4];

static void interrupted_by_b(u32 intid)
{
    if (intid != SPI_A)
        return;
    u64 elr = MRS(elr_el1), spsr = MRS(spsr_el1);
    gic_pend(SPI_B);
    nested_order[0] = irq_pending();
    take();
    nested_order[1] = count;
    nested_order[2] = gic_running_priority();
    MSR(elr_el1, elr);
    MSR(spsr_el1, spsr);
}

static void preemption(u8 priority_a, u8 priority_b, u8 bpr, bool preempts)
{
    for (unsigned i = 0; i < 50; i++) {
        fresh();
        gic_set_bpr(bpr);
        gic_enable(SPI_A, priority_a);
        gic_enable(SPI_B, priority_b);
        in_handler = interrupted_by_b;
        gic_pend(SPI_A);
        take();
        EQ(count, 2);
        EQ(seen[0], SPI_A);
        EQ(seen[1], SPI_B);
        EQ(nested_order[0], preempts);
        EQ(nested_order[1], preempts ? 2 : 1);
        EQ(gic_running_priority(), 0xff);
    }
    gic_set_bpr(0);
}

static void pend_again(u32 intid)
{
    if (count == 1)
        gic_pend(intid);
    nested_order[3] = (u32)(gic_bit(GICD_ISPENDR, intid) | gic_bit(GICD_ISACTIVER, intid) << 1 | irq_pending() << 2);
}

static void active_and_pending(void)
{
    fresh();
    gic_enable(SPI_A, 0x80);
    in_handler = pend_again;
    gic_pend(SPI_A);
    IRQ_ON();
    ISB();
    while (count < 1)
        ;
    IRQ_OFF();
    take();
    EQ(count, 2);
    EQ(nested_order[3] & 2, 2);
    EQ(gic_bit(GICD_ISPENDR, SPI_A), 0);
}

static void active_blocks(void)
{
    fresh();
    gic_enable(SPI_A, 0x80);
    gic_write_bit(GICD_ISACTIVER, SPI_A);
    gic_pend(SPI_A);
    EQ(irq_pending(), 0);
    gic_write_bit(GICD_ICACTIVER, SPI_A);
    EQ(irq_pending(), 1);
    take();
    EQ(count, 1);
}

static void split_eoi(void)
{
    fresh();
    gic_set_eoimode(true);
    gic_enable(SPI_A, 0x80);
    gic_enable(SPI_B, 0x80);
    for (unsigned i = 0; i < 200; i++) {
        gic_pend(SPI_A);
        u32 iar = gic_ack();
        EQ(iar & 0x3ff, SPI_A);
        gic_eoi(iar);
        // The priority has dropped, the interrupt is active still.
        EQ(gic_running_priority(), 0xff);
        EQ(gic_bit(GICD_ISACTIVER, SPI_A), 1);
        gic_pend(SPI_A);
        EQ(irq_pending(), 0);
        gic_pend(SPI_B);
        u32 other = gic_ack();
        EQ(other & 0x3ff, SPI_B);
        gic_eoi(other);
        gic_deactivate(other);
        gic_deactivate(iar);
        EQ(gic_bit(GICD_ISACTIVER, SPI_A), 0);
        iar = gic_ack();
        EQ(iar & 0x3ff, SPI_A);
        gic_eoi(iar);
        gic_deactivate(iar);
    }
    gic_set_eoimode(false);
}

static void sgi(void)
{
    fresh();
    for (unsigned id = 0; id < 16; id++) {
        gic_enable(id, 0x80);
        gic_sgi_self(id);
        take();
        EQ(count, id + 1);
        EQ(seen[id], id);
    }
    count = 0;
    for (unsigned i = 1; i <= 2000; i++) {
        gic_sgi_self(i % 16);
        take();
        EQ(count, i);
    }
}

static void distributor_off(void)
{
    fresh();
    u32 ctlr = mmio_read32(board.gicd + GICD_CTLR);
    gic_enable(SPI_A, 0x80);
    gic_pend(SPI_A);
    mmio_write32(board.gicd + GICD_CTLR, ctlr & ~3u);
    EQ(irq_pending(), 0);
    mmio_write32(board.gicd + GICD_CTLR, ctlr);
    EQ(irq_pending(), 1);
    take();
    EQ(count, 1);
}

static void wfi_wakes(void)
{
    fresh();
    gic_enable(SPI_A, 0x80);
    // It does not sleep with an interrupt pending, masked or not.
    for (unsigned i = 0; i < 1000; i++) {
        gic_pend(SPI_A);
        DSB();
        WFI();
        take();
        EQ(count, i + 1);
    }
}

void gic_common_tests(void)
{
    gic_init();
    trap_hooks[TRAP_IRQ] = on_irq;
    TEST("nothing pending", identity());
    TEST("enable bits", enable_bits());
    TEST("pending, edge", pending_then_enabled(true));
    TEST("pending, level", pending_then_enabled(false));
    TEST("taken", taken());
    TEST("withdrawn", withdrawn());
    TEST("priority order", priority_order());
    TEST("priority mask", priority_mask());
    TEST("preemption by a higher priority", preemption(0x80, 0x40, 0, true));
    TEST("no preemption by the same priority", preemption(0x80, 0x80, 0, false));
    TEST("no preemption by a lower priority", preemption(0x80, 0xc0, 0, false));
    // BPR 7: no bit of the priority is the group's, in ICC_BPR1_EL1 only the uppermost.
    TEST("no preemption within a group", preemption(0xc0, 0x80, 7, false));
    TEST("active and pending", active_and_pending());
    TEST("active blocks", active_blocks());
    TEST("EOImode 1", split_eoi());
    TEST("SGI to self", sgi());
    TEST("distributor off", distributor_off());
    TEST("WFI with a pending interrupt", wfi_wakes());
    fresh();
}

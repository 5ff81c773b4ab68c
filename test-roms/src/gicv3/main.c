// GICv3: what both have, redistributor, CPU interface in system registers.

#include "../lib/gictests.h"

static volatile unsigned fiqs;

static bool on_fiq(struct frame *f)
{
    (void)f;
    u64 iar = MRS(ICC_IAR0_EL1);
    fiqs += iar == SPI_A;
    MSR(ICC_EOIR0_EL1, iar);
    return true;
}

static void identification(void)
{
    // GICD_PIDR2 and GICR_PIDR2: ArchRev.
    EQ(mmio_read32(board.gicd + 0xffe8) >> 4 & 15, 3);
    EQ(mmio_read32(board.gicr + 0xffe8) >> 4 & 15, 3);
    // GICR_TYPER: affinity 0, processor number 0, the last one.
    EQ(mmio_read32(board.gicr + GICR_TYPER) >> 8 & 0xffff, 0);
    EQ(mmio_read32(board.gicr + GICR_TYPER) >> 4 & 1, board.cpus == 1);
    EQ(mmio_read32(board.gicr + GICR_TYPER + 4), 0);
    EQ(FIELD(MRS(id_aa64pfr0_el1), 24), 1);
    EQ(MRS(ICC_SRE_EL1) & 1, 1);
    // ICC_CTLR_EL1.PRIbits: 16 levels at least.
    EQ((MRS(ICC_CTLR_EL1) >> 8 & 7) >= 3, 1);
    // GICD_CTLR.DS, ARE.
    EQ(mmio_read32(board.gicd + GICD_CTLR) & 0x50, 0x50);
}

static void routing(void)
{
    u64 router = board.gicd + GICD_IROUTER + 8 * SPI_A;
    gic_enable(SPI_A, 0x80);
    gic_pend(SPI_A);
    EQ(irq_pending(), 1);
    // A CPU that is not there.
    mmio_write32(router, 0x010203);
    EQ(irq_pending(), 0);
    EQ(mmio_read32(router), 0x010203);
    mmio_write32(router, 0);
    EQ(irq_pending(), 1);
    u32 iar = gic_ack();
    EQ(iar, SPI_A);
    gic_eoi(iar);
    gic_disable(SPI_A);
}

static void groups(void)
{
    u64 group = board.gicd + GICD_IGROUPR + SPI_A / 32 * 4;
    gic_enable(SPI_A, 0x80);
    gic_enable(SPI_B, 0x60);
    mmio_write32(group, mmio_read32(group) & ~(1u << SPI_A % 32));
    MSR(ICC_IGRPEN0_EL1, 1);
    ISB();
    trap_hooks[TRAP_FIQ] = on_fiq;
    for (unsigned i = 1; i <= 500; i++) {
        gic_pend(SPI_A);
        EQ(irq_pending(), 0);
        EQ(MRS(isr_el1) & ISR_F, ISR_F);
        // ICC_IAR1_EL1 has nothing of group 0.
        EQ(gic_ack(), 1023);
        asm volatile("msr daifclr, #1; isb; msr daifset, #1" ::: "memory");
        EQ(fiqs, i);
        gic_pend(SPI_B);
        EQ(irq_pending(), 1);
        EQ(MRS(isr_el1) & ISR_F, 0);
        EQ(MRS(ICC_IAR0_EL1), 1023);
        u32 iar = gic_ack();
        EQ(iar, SPI_B);
        gic_eoi(iar);
    }
    trap_hooks[TRAP_FIQ] = NULL;
    // ICC_SGI0R_EL1: a group 0 SGI.
    u64 sgi_group = board.gicr + GICR_SGI + GICD_IGROUPR;
    mmio_write32(sgi_group, ~(1u << 5));
    gic_enable(5, 0x80);
    MSR(S3_0_C12_C11_7, 5ull << 24 | 1);
    ISB();
    EQ(irq_pending(), 0);
    EQ(MRS(ICC_IAR0_EL1), 5);
    MSR(ICC_EOIR0_EL1, 5);
    mmio_write32(sgi_group, ~0u);
    MSR(ICC_IGRPEN0_EL1, 0);
    ISB();
    gic_disable(SPI_A);
    gic_disable(SPI_B);
}

static void group_enable(void)
{
    gic_enable(SPI_A, 0x80);
    gic_pend(SPI_A);
    EQ(irq_pending(), 1);
    MSR(ICC_IGRPEN1_EL1, 0);
    EQ(irq_pending(), 0);
    EQ(gic_ack(), 1023);
    MSR(ICC_IGRPEN1_EL1, 1);
    EQ(irq_pending(), 1);
    u32 iar = gic_ack();
    EQ(iar, SPI_A);
    gic_eoi(iar);
    gic_disable(SPI_A);
}

static void sgi_targets(void)
{
    gic_enable(7, 0x80);
    // To a cluster that is not there, to all others, to this one.
    MSR(ICC_SGI1R_EL1, 7ull << 24 | 3ull << 16 | 1);
    EQ(irq_pending(), 0);
    MSR(ICC_SGI1R_EL1, 7ull << 24 | BIT(40));
    EQ(irq_pending(), 0);
    MSR(ICC_SGI1R_EL1, 7ull << 24 | 1);
    EQ(irq_pending(), 1);
    u32 iar = gic_ack();
    EQ(iar, 7);
    gic_eoi(iar);
}

static u64 icc_at_el0(u64 a, u64 b)
{
    asm volatile("mrs x0, S3_0_C12_C12_0" ::: "x0");
    return a + b;
}

static void not_at_el0(void)
{
    EQ(CATCH(el0_call(icc_at_el0, 0, 0)), 1);
    EQ(EC(caught.esr), EC_UNKNOWN);
}

void rom_main(void)
{
    mmu_on();
    if (board.gic != 3) {
        printf("this board has no GICv3\n");
        tests_finish();
    }
    gic_common_tests();
    TEST("identification", identification());
    TEST("routing", routing());
    TEST("groups", groups());
    TEST("group enable", group_enable());
    TEST("SGI targets", sgi_targets());
    TEST("not at EL0", not_at_el0());
    tests_finish();
}

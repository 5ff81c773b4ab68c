// GICv2: what both have, and the registers of its own.

#include "../lib/gictests.h"

#define GICC_AIAR 0x020
#define GICC_AEOIR 0x024

static volatile unsigned fiqs;

static bool on_fiq(struct frame *f)
{
    (void)f;
    u32 iar = mmio_read32(board.gicc + GICC_IAR);
    fiqs += (iar & 0x3ff) == SPI_A;
    mmio_write32(board.gicc + GICC_EOIR, iar);
    return true;
}

static void identification(void)
{
    // PIDR2.ArchRev, CIDR.
    EQ(mmio_read32(board.gicd + 0xfe8) >> 4 & 15, 2);
    EQ(mmio_read32(board.gicd + 0xff0) & 0xff, 0x0d);
    EQ(mmio_read32(board.gicd + 0xffc) & 0xff, 0xb1);
    EQ(mmio_read32(board.gicd + GICD_TYPER) >> 5 & 7, 0);
}

// Group 0 as FIQ, group 1 as IRQ.
static void begin_groups(void)
{
    mmio_write32(board.gicd + GICD_CTLR, 3);
    mmio_write32(board.gicd + GICD_IGROUPR + SPI_B / 32 * 4, 1u << SPI_B % 32);
    // FIQEn, EnableGrp1, EnableGrp0.
    mmio_write32(board.gicc + GICC_CTLR, 8 | 3);
    gic_enable(SPI_A, 0x80);
    gic_enable(SPI_B, 0x60);
    trap_hooks[TRAP_FIQ] = on_fiq;
}

static void end_groups(void)
{
    trap_hooks[TRAP_FIQ] = NULL;
    gic_disable(SPI_A);
    gic_disable(SPI_B);
    gic_write_bit(GICD_ICPENDR, SPI_B);
    mmio_write32(board.gicd + GICD_IGROUPR + SPI_B / 32 * 4, 0);
    mmio_write32(board.gicc + GICC_CTLR, 1);
    mmio_write32(board.gicd + GICD_CTLR, 1);
}

static void groups(void)
{
    u64 c = board.gicc;
    begin_groups();
    for (unsigned i = 1; i <= 500; i++) {
        gic_pend(SPI_A);
        EQ(irq_pending(), 0);
        EQ(MRS(isr_el1) & ISR_F, ISR_F);
        asm volatile("msr daifclr, #1; isb; msr daifset, #1" ::: "memory");
        EQ(fiqs, i);
        gic_pend(SPI_B);
        EQ(irq_pending(), 1);
        EQ(MRS(isr_el1) & ISR_F, 0);
        // Without AckCtl, GICC_IAR does not give a group 1 interrupt away.
        EQ(mmio_read32(c + GICC_IAR), 1022);
        // FIQEn, AckCtl, EnableGrp1, EnableGrp0.
        mmio_write32(c + GICC_CTLR, 0xf);
        EQ(mmio_read32(c + GICC_IAR), SPI_B);
        mmio_write32(c + GICC_EOIR, SPI_B);
        EQ(gic_bit(GICD_ISACTIVER, SPI_B), 0);
        mmio_write32(c + GICC_CTLR, 0xb);
    }
    end_groups();
}

static void aliased_registers(void)
{
    u64 c = board.gicc;
    begin_groups();
    gic_pend(SPI_B);
    u32 iar = mmio_read32(c + GICC_AIAR);
    if (iar == 0) {
        test_skip("no GICC_AIAR (QEMU)");
    } else {
        EQ(iar, SPI_B);
        EQ(mmio_read32(c + GICC_AIAR), 1023);
        mmio_write32(c + GICC_AEOIR, SPI_B);
        EQ(gic_bit(GICD_ISACTIVER, SPI_B), 0);
    }
    end_groups();
}

static void sgi_registers(void)
{
    mmio_write32(board.gicd + GICD_ISENABLER, 1 << 3);
    // GICD_SPENDSGIR3 and GICD_CPENDSGIR3, the bit of CPU 0.
    mmio_write8(board.gicd + GICD_SPENDSGIR + 3, 1);
    EQ(irq_pending(), 1);
    mmio_write8(board.gicd + GICD_CPENDSGIR + 3, 1);
    EQ(irq_pending(), 0);
    // GICD_SGIR by target list.
    mmio_write32(board.gicd + GICD_SGIR, 1 << 16 | 3);
    u32 iar = gic_ack();
    EQ(iar, 3);
    gic_eoi(iar);
    // To all but this one: nobody here.
    mmio_write32(board.gicd + GICD_SGIR, 1 << 24 | 3);
    EQ(irq_pending(), 0);
}

void rom_main(void)
{
    mmu_on();
    if (board.gic != 2) {
        printf("this board has no GICv2\n");
        tests_finish();
    }
    gic_common_tests();
    TEST("identification", identification());
    TEST("groups", groups());
    TEST("GICC_AIAR and GICC_AEOIR", aliased_registers());
    TEST("SGI registers", sgi_registers());
    tests_finish();
}

// GICv2 (IHI 0048B) and GICv3 (IHI 0069), group as the board has it without security extensions.

#include "gic.h"

void gic_init(void)
{
    u64 d = board.gicd;
    if (board.gic == 3) {
        u64 rd = board.gicr, sgi = rd + GICR_SGI;
        MSR(S3_0_C12_C12_5, MRS(S3_0_C12_C12_5) | 1); // ICC_SRE_EL1.SRE
        ISB();
        mmio_write32(rd + GICR_WAKER, mmio_read32(rd + GICR_WAKER) & ~2u);
        while (mmio_read32(rd + GICR_WAKER) & 4)
            ;
        mmio_write32(sgi + GICD_IGROUPR, ~0u);
        mmio_write32(sgi + GICD_ICENABLER, ~0u);
        // ARE, EnableGrp1, EnableGrp0.
        mmio_write32(d + GICD_CTLR, 1 << 4 | 3);
        MSR(ICC_PMR_EL1, 0xff);
        MSR(ICC_IGRPEN1_EL1, 1);
        ISB();
    } else {
        mmio_write32(d + GICD_CTLR, 1);
        mmio_write32(board.gicc + GICC_PMR, 0xff);
        mmio_write32(board.gicc + GICC_CTLR, 1);
    }
}

// Where the registers of an interrupt are.
u64 gic_base(unsigned intid)
{
    return board.gic == 3 && intid < 32 ? board.gicr + GICR_SGI : board.gicd;
}

void gic_enable(unsigned intid, u8 priority)
{
    u64 base = gic_base(intid);
    mmio_write8(base + GICD_IPRIORITYR + intid, priority);
    if (intid >= 32) {
        if (board.gic == 3) {
            u64 group = base + GICD_IGROUPR + intid / 32 * 4;
            mmio_write32(group, mmio_read32(group) | 1u << intid % 32);
            // GICD_IROUTER<n>: this CPU, whose affinity is 0.
            mmio_write32(base + GICD_IROUTER + 8 * intid, 0);
            mmio_write32(base + GICD_IROUTER + 8 * intid + 4, 0);
        } else {
            mmio_write8(base + GICD_ITARGETSR + intid, 1);
        }
    }
    mmio_write32(base + GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

void gic_disable(unsigned intid)
{
    mmio_write32(gic_base(intid) + GICD_ICENABLER + intid / 32 * 4, 1u << intid % 32);
}

u32 gic_ack(void)
{
    return board.gic == 3 ? (u32)MRS(ICC_IAR1_EL1) : mmio_read32(board.gicc + GICC_IAR);
}

void gic_eoi(u32 iar)
{
    if (board.gic == 3)
        MSR(ICC_EOIR1_EL1, iar);
    else
        mmio_write32(board.gicc + GICC_EOIR, iar);
    ISB();
}

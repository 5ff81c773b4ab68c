//! The GICv3 redistributors' registers (IHI 0069, 12.10 and 12.11): per CPU a frame for control and one for
//! SGIs and PPIs.

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;

use super::{GicV3, GicV3State, IIDR, PRIORITY_MASK};
use crate::gic::state::BitReg;
use crate::lock;
use crate::regmap::{RegMap, Word, reg, reserved};

#[derive(Clone, Copy, Debug)]
enum Reg {
    Iidr,
    Typer,
    Waker,
    Id,
    Bits(BitReg),
    Ipriorityr,
    Icfgr,
    /// There, but without function here: CTLR (no LPIs to enable), STATUSR, the LPI tables' addresses, and
    /// what a single security state makes RES0.
    Raz,
}

const MAP: RegMap<Reg, 32> = RegMap::new(
    GicV3Redist::SIZE,
    [
        reg(Reg::Raz, 4), // CTLR
        reg(Reg::Iidr, 4),
        reg(Reg::Typer, 8),
        reg(Reg::Raz, 4), // STATUSR
        reg(Reg::Waker, 4),
        reserved(0x58),
        reg(Reg::Raz, 0x10), // PROPBASER, PENDBASER
        reserved(0xff50),
        reg(Reg::Id, 0x30),
        // SGI_base
        reserved(0x80),
        reg(Reg::Bits(BitReg::Group), 4),
        reserved(0x7c),
        reg(Reg::Bits(BitReg::SetEnable), 4),
        reserved(0x7c),
        reg(Reg::Bits(BitReg::ClearEnable), 4),
        reserved(0x7c),
        reg(Reg::Bits(BitReg::SetPending), 4),
        reserved(0x7c),
        reg(Reg::Bits(BitReg::ClearPending), 4),
        reserved(0x7c),
        reg(Reg::Bits(BitReg::SetActive), 4),
        reserved(0x7c),
        reg(Reg::Bits(BitReg::ClearActive), 4),
        reserved(0x7c),
        reg(Reg::Ipriorityr, 0x20),
        reserved(0x7e0),
        reg(Reg::Icfgr, 8),
        reserved(0xf8),
        reg(Reg::Raz, 4), // IGRPMODR0
        reserved(0xfc),
        reg(Reg::Raz, 4), // NSACR
        reserved(0xf1fc),
    ],
);

const ID: [u8; 12] = super::id(0x93);

/// `GICR_WAKER.ProcessorSleep`, which the guest writes, and `ChildrenAsleep`, which follows at once.
pub(super) const WAKER_ASLEEP: u32 = 1 << 1 | 1 << 2;
const WAKER_PROCESSOR_SLEEP: u32 = 1 << 1;

/// Low half of `GICR_TYPER`: this is the last redistributor of the region.
const TYPER_LAST: u32 = 1 << 4;
/// LPI tables, if there were any, are shared among CPUs of the same Aff3.
const TYPER_COMMON_LPI_AFF3: u32 = 1 << 24;

/// The redistributors of all CPUs.
#[derive(Clone, Debug)]
pub struct GicV3Redist {
    gic: Arc<GicV3>,
}

impl GicV3Redist {
    /// Size of one CPU's frames in bytes.
    pub const SIZE: u64 = 0x2_0000;

    pub(super) fn new(gic: Arc<GicV3>) -> GicV3Redist {
        GicV3Redist { gic }
    }

    /// Size of the register window of all CPUs in bytes.
    pub fn total_size(&self) -> u64 {
        self.gic.cpus() as u64 * GicV3Redist::SIZE
    }

    fn locate(&self, offset: u64) -> Option<(usize, u64)> {
        let cpu = offset / GicV3Redist::SIZE;
        if cpu < self.gic.cpus() as u64 {
            Some((cpu as usize, offset % GicV3Redist::SIZE))
        } else {
            self.gic.stray.note(offset);
            None
        }
    }
}

impl MmioDevice for GicV3Redist {
    fn name(&self) -> &str {
        "gicv3 redistributors"
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let Some((cpu, offset)) = self.locate(offset) else { return 0 };
        let inner = lock(&self.gic.inner);
        MAP.read(&self.gic.stray, offset, size, |reg, i| inner.state.redist_read(cpu, reg, i))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let Some((cpu, offset)) = self.locate(offset) else { return };
        let mut inner = lock(&self.gic.inner);
        MAP.write(&self.gic.stray, offset, size, value, |reg, i, word| {
            inner.state.redist_write(cpu, reg, i, word);
        });
        inner.update(cpu);
    }
}

impl GicV3State {
    fn redist_read(&self, cpu: usize, reg: Reg, i: usize) -> u32 {
        let bank = &self.irqs.private[cpu];
        match reg {
            Reg::Iidr => IIDR,
            Reg::Typer if i == 0 => {
                let last = if cpu + 1 == self.cpus.len() { TYPER_LAST } else { 0 };
                TYPER_COMMON_LPI_AFF3 | (cpu as u32) << 8 | last
            }
            Reg::Typer => self.affinity[cpu],
            Reg::Waker => self.waker[cpu],
            Reg::Id => u32::from(ID[i]),
            Reg::Bits(r) => bank.read_bits(r),
            Reg::Ipriorityr => bank.priority_word(i),
            Reg::Icfgr => bank.config_word(i),
            Reg::Raz => 0,
        }
    }

    fn redist_write(&mut self, cpu: usize, reg: Reg, i: usize, word: Word) {
        let bank = &mut self.irqs.private[cpu];
        match reg {
            Reg::Waker => {
                let sleep = word.merge(self.waker[cpu]) & WAKER_PROCESSOR_SLEEP;
                self.waker[cpu] = if sleep != 0 { WAKER_ASLEEP } else { 0 };
            }
            Reg::Bits(r) => bank.write_bits(r, word),
            Reg::Ipriorityr => bank.write_priority(i, word, PRIORITY_MASK),
            // SGIs are edge-triggered for good.
            Reg::Icfgr if i == 1 => bank.write_config(1, word),
            // Read-only, or without function.
            Reg::Icfgr | Reg::Iidr | Reg::Typer | Reg::Id | Reg::Raz => {}
        }
    }
}

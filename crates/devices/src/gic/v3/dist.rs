//! The GICv3 distributor's registers (IHI 0069, 12.9). What is banked per CPU is in the redistributors, so the
//! first word or words of each array are RAZ/WI here.

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;

use super::{GicV3, GicV3State, IIDR, PRIORITY_MASK};
use crate::gic::state::BitReg;
use crate::lock;
use crate::regmap::{RegMap, Word, reg, reserved};

#[derive(Clone, Copy, Debug)]
enum Reg {
    Ctlr,
    Typer,
    Iidr,
    Bits(BitReg),
    Ipriorityr,
    Icfgr,
    Irouter,
    Id,
    /// There, but without function here: TYPER2, STATUSR, and what affinity routing or a single security
    /// state makes RES0.
    Raz,
}

const MAP: RegMap<Reg, 25> = RegMap::new(
    GicV3Dist::SIZE,
    [
        reg(Reg::Ctlr, 4),
        reg(Reg::Typer, 4),
        reg(Reg::Iidr, 4),
        reg(Reg::Raz, 8), // TYPER2, STATUSR
        reserved(0x6c),
        reg(Reg::Bits(BitReg::Group), 0x80),
        reg(Reg::Bits(BitReg::SetEnable), 0x80),
        reg(Reg::Bits(BitReg::ClearEnable), 0x80),
        reg(Reg::Bits(BitReg::SetPending), 0x80),
        reg(Reg::Bits(BitReg::ClearPending), 0x80),
        reg(Reg::Bits(BitReg::SetActive), 0x80),
        reg(Reg::Bits(BitReg::ClearActive), 0x80),
        reg(Reg::Ipriorityr, 0x400),
        reg(Reg::Raz, 0x400), // ITARGETSR
        reg(Reg::Icfgr, 0x100),
        reg(Reg::Raz, 0x80), // IGRPMODR
        reserved(0x80),
        reg(Reg::Raz, 0x104), // NSACR, SGIR
        reserved(0xc),
        reg(Reg::Raz, 0x20), // CPENDSGIR, SPENDSGIR
        reserved(0x50d0),
        reg(Reg::Irouter, 0x2000),
        reserved(0x7000),
        reserved(0xfd0),
        reg(Reg::Id, 0x30),
    ],
);

const ID: [u8; 12] = super::id(0x92);

/// Disable Security: there is one security state. Read-only.
const CTLR_DS: u32 = 1 << 6;
/// Affinity Routing Enable. Read-only.
const CTLR_ARE: u32 = 1 << 4;

/// No 1-of-N routing, affinity level 3 valid, 16-bit INTIDs.
const TYPER: u32 = 1 << 25 | 1 << 24 | 15 << 19;

/// The distributor.
#[derive(Clone, Debug)]
pub struct GicV3Dist {
    gic: Arc<GicV3>,
}

impl GicV3Dist {
    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1_0000;

    pub(super) fn new(gic: Arc<GicV3>) -> GicV3Dist {
        GicV3Dist { gic }
    }
}

impl MmioDevice for GicV3Dist {
    fn name(&self) -> &str {
        "gicv3 distributor"
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let inner = lock(&self.gic.inner);
        MAP.read(&self.gic.stray, offset, size, |reg, i| inner.state.dist_read(reg, i))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut inner = lock(&self.gic.inner);
        MAP.write(&self.gic.stray, offset, size, value, |reg, i, word| inner.state.dist_write(reg, i, word));
        inner.update_all();
    }
}

impl GicV3State {
    fn dist_read(&self, reg: Reg, i: usize) -> u32 {
        let bank = |index: usize| self.irqs.shared.get(index.wrapping_sub(1));
        match reg {
            Reg::Ctlr => CTLR_DS | CTLR_ARE | self.groups,
            Reg::Typer => TYPER | (self.irqs.count() as u32 / 32 - 1),
            Reg::Iidr => IIDR,
            Reg::Bits(r) => bank(i).map_or(0, |b| b.read_bits(r)),
            Reg::Ipriorityr => bank(i / 8).map_or(0, |b| b.priority_word(i % 8)),
            Reg::Icfgr => bank(i / 2).map_or(0, |b| b.config_word(i % 2)),
            Reg::Irouter => {
                let route = self.irouter.get((i / 2).wrapping_sub(32)).copied().unwrap_or(0);
                (route >> (i % 2 * 32)) as u32
            }
            Reg::Id => u32::from(ID[i]),
            Reg::Raz => 0,
        }
    }

    fn dist_write(&mut self, reg: Reg, i: usize, word: Word) {
        match reg {
            Reg::Ctlr => self.groups = word.merge(self.groups) & 3,
            Reg::Bits(r) => {
                if let Some(bank) = self.irqs.shared_mut(i) {
                    bank.write_bits(r, word);
                }
            }
            Reg::Ipriorityr => {
                if let Some(bank) = self.irqs.shared_mut(i / 8) {
                    bank.write_priority(i % 8, word, PRIORITY_MASK);
                }
            }
            Reg::Icfgr => {
                if let Some(bank) = self.irqs.shared_mut(i / 2) {
                    bank.write_config(i % 2, word);
                }
            }
            Reg::Irouter => {
                let spi = (i / 2).wrapping_sub(32);
                if let Some(&old) = self.irouter.get(spi) {
                    let shift = i % 2 * 32;
                    let half = u64::from(word.merge((old >> shift) as u32));
                    self.set_route(spi, old & !(0xffff_ffff << shift) | half << shift);
                }
            }
            // Read-only, or without function.
            Reg::Typer | Reg::Iidr | Reg::Id | Reg::Raz => {}
        }
    }
}

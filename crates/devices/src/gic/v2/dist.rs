//! The GICv2 distributor's registers (IHI 0048B, 4.3).

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;

use super::{GicV2, GicV2State};
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
    Itargetsr,
    Icfgr,
    Sgir,
    Cpendsgir,
    Spendsgir,
    Id,
}

const MAP: RegMap<Reg, 21> = RegMap::new(
    GicV2Dist::SIZE,
    [
        reg(Reg::Ctlr, 4),
        reg(Reg::Typer, 4),
        reg(Reg::Iidr, 4),
        reserved(0x74),
        reg(Reg::Bits(BitReg::Group), 0x80),
        reg(Reg::Bits(BitReg::SetEnable), 0x80),
        reg(Reg::Bits(BitReg::ClearEnable), 0x80),
        reg(Reg::Bits(BitReg::SetPending), 0x80),
        reg(Reg::Bits(BitReg::ClearPending), 0x80),
        reg(Reg::Bits(BitReg::SetActive), 0x80),
        reg(Reg::Bits(BitReg::ClearActive), 0x80),
        reg(Reg::Ipriorityr, 0x400),
        reg(Reg::Itargetsr, 0x400),
        reg(Reg::Icfgr, 0x100),
        reserved(0x200),
        reg(Reg::Sgir, 4),
        reserved(0xc),
        reg(Reg::Cpendsgir, 0x10),
        reg(Reg::Spendsgir, 0x10),
        reserved(0xa0),
        reg(Reg::Id, 0x30),
    ],
);

/// `GICD_PIDR4` to `GICD_CIDR3`: an Arm GICv2.
const ID: [u8; 12] = [0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1];

/// Implementer Arm, no product or revision.
const IIDR: u32 = 0x43b;

/// A CPU's view of the distributor.
#[derive(Clone, Debug)]
pub struct GicV2Dist {
    gic: Arc<GicV2>,
    cpu: usize,
}

impl GicV2Dist {
    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1000;

    pub(super) fn new(gic: Arc<GicV2>, cpu: usize) -> GicV2Dist {
        GicV2Dist { gic, cpu }
    }
}

impl MmioDevice for GicV2Dist {
    fn name(&self) -> &str {
        "gicv2 distributor"
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let inner = lock(&self.gic.inner);
        MAP.read(&self.gic.stray, offset, size, |reg, i| inner.state.dist_read(self.cpu, reg, i))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut inner = lock(&self.gic.inner);
        MAP.write(&self.gic.stray, offset, size, value, |reg, i, word| {
            inner.state.dist_write(self.cpu, reg, i, word);
        });
        inner.update_all();
    }
}

impl GicV2State {
    fn dist_read(&self, cpu: usize, reg: Reg, i: usize) -> u32 {
        let bank = |index| self.irqs.bank(cpu, index);
        match reg {
            Reg::Ctlr => self.groups,
            Reg::Typer => (self.irqs.count() as u32 / 32 - 1) | (self.cpus.len() as u32 - 1) << 5,
            Reg::Iidr => IIDR,
            Reg::Bits(r) => bank(i).map_or(0, |b| b.read_bits(r)),
            Reg::Ipriorityr => bank(i / 8).map_or(0, |b| b.priority_word(i % 8)),
            // RAZ/WI on a uniprocessor (4.3.12).
            Reg::Itargetsr if self.cpus.len() == 1 => 0,
            // The private interrupts' read as the CPU that reads: how software learns its number.
            Reg::Itargetsr if i < 8 => 0x0101_0101 << cpu,
            Reg::Itargetsr => match self.targets.get((i - 8) * 4..(i - 8) * 4 + 4) {
                Some(t) => u32::from_le_bytes([t[0], t[1], t[2], t[3]]),
                None => 0,
            },
            Reg::Icfgr => bank(i / 2).map_or(0, |b| b.config_word(i % 2)),
            // Write-only.
            Reg::Sgir => 0,
            Reg::Cpendsgir | Reg::Spendsgir => {
                let s = &self.sgi_sources[cpu][i * 4..i * 4 + 4];
                u32::from_le_bytes([s[0], s[1], s[2], s[3]])
            }
            Reg::Id => u32::from(ID[i]),
        }
    }

    fn dist_write(&mut self, cpu: usize, reg: Reg, i: usize, mut word: Word) {
        match reg {
            Reg::Ctlr => self.groups = word.merge(self.groups) & 3,
            Reg::Bits(r) => {
                // SGIs cannot be disabled, and their pending state belongs to GICD_xPENDSGIR.
                let sgis_fixed = matches!(
                    r,
                    BitReg::SetEnable | BitReg::ClearEnable | BitReg::SetPending | BitReg::ClearPending
                );
                if i == 0 && sgis_fixed {
                    word.value &= 0xffff_0000;
                }
                if let Some(bank) = self.irqs.bank_mut(cpu, i) {
                    bank.write_bits(r, word);
                }
            }
            Reg::Ipriorityr => {
                if let Some(bank) = self.irqs.bank_mut(cpu, i / 8) {
                    bank.write_priority(i % 8, word, 0xff);
                }
            }
            Reg::Itargetsr => {
                let all = ((1u16 << self.cpus.len()) - 1) as u8;
                if self.cpus.len() > 1 && (8..self.irqs.count() / 4).contains(&i) {
                    for (n, targets) in word.bytes() {
                        self.set_target((i - 8) * 4 + n, targets & all);
                    }
                }
            }
            // SGIs are edge-triggered for good.
            Reg::Icfgr if i > 0 => {
                if let Some(bank) = self.irqs.bank_mut(cpu, i / 2) {
                    bank.write_config(i % 2, word);
                }
            }
            Reg::Sgir => self.send_sgi(cpu, word.value),
            Reg::Cpendsgir => {
                for (n, sources) in word.bytes() {
                    self.set_sgi(cpu, i * 4 + n, self.sgi_sources[cpu][i * 4 + n] & !sources);
                }
            }
            Reg::Spendsgir => {
                let all = ((1u16 << self.cpus.len()) - 1) as u8;
                for (n, sources) in word.bytes() {
                    self.set_sgi(cpu, i * 4 + n, self.sgi_sources[cpu][i * 4 + n] | sources & all);
                }
            }
            // Read-only.
            Reg::Icfgr | Reg::Typer | Reg::Iidr | Reg::Id => {}
        }
    }

    /// `GICD_SGIR` (4.3.15): NSATT has no meaning without the Security Extensions.
    fn send_sgi(&mut self, from: usize, value: u32) {
        let sgi = value as usize & 0xf;
        let list = match value >> 24 & 3 {
            0 => value >> 16 & 0xff,
            1 => 0xff & !(1 << from),
            2 => 1 << from,
            _ => 0,
        };
        for to in (0..self.cpus.len()).filter(|to| list >> to & 1 != 0) {
            self.set_sgi(to, sgi, self.sgi_sources[to][sgi] | 1 << from);
        }
    }

    /// An SGI is pending while any CPU's request for it is.
    pub(super) fn set_sgi(&mut self, cpu: usize, sgi: usize, sources: u8) {
        self.sgi_sources[cpu][sgi] = sources;
        let bank = &mut self.irqs.private[cpu];
        bank.latch = bank.latch & !(1 << sgi) | u32::from(sources != 0) << sgi;
    }
}

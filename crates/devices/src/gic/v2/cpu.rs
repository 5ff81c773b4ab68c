//! The GICv2 CPU interface's registers (IHI 0048B, 4.4).

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;

use super::{GicV2, GicV2State};
use crate::gic::SPURIOUS;
use crate::gic::state::Candidate;
use crate::lock;
use crate::regmap::{RegMap, Word, reg, reserved};

#[derive(Clone, Copy, Debug)]
enum Reg {
    Ctlr,
    Pmr,
    Bpr,
    Iar,
    Eoir,
    Rpr,
    Hppir,
    Abpr,
    Aiar,
    Aeoir,
    Ahppir,
    Apr,
    Nsapr,
    Iidr,
    Dir,
}

const MAP: RegMap<Reg, 19> = RegMap::new(
    GicV2Cpu::SIZE,
    [
        reg(Reg::Ctlr, 4),
        reg(Reg::Pmr, 4),
        reg(Reg::Bpr, 4),
        reg(Reg::Iar, 4),
        reg(Reg::Eoir, 4),
        reg(Reg::Rpr, 4),
        reg(Reg::Hppir, 4),
        reg(Reg::Abpr, 4),
        reg(Reg::Aiar, 4),
        reg(Reg::Aeoir, 4),
        reg(Reg::Ahppir, 4),
        reserved(0xa4),
        reg(Reg::Apr, 0x10),
        reg(Reg::Nsapr, 0x10),
        reserved(0xc),
        reg(Reg::Iidr, 4),
        reserved(0xf00),
        reg(Reg::Dir, 4),
        reserved(0xffc),
    ],
);

/// `GICC_CTLR.AckCtl`: reading `GICC_IAR` acknowledges group 1 interrupts too.
const CTLR_ACK_CTL: u32 = 1 << 2;
/// `GICC_CTLR.FIQEn`: group 0 interrupts are signalled as FIQ.
pub(super) const CTLR_FIQ_EN: u32 = 1 << 3;
const CTLR_CBPR: u32 = 1 << 4;
const CTLR_EOI_MODE: u32 = 1 << 9;
const CTLR_MASK: u32 = 0x21f;

/// Architecture version 2, implementer Arm.
const IIDR: u32 = 0x0002_043b;

/// What `GICC_IAR` reads when the interrupt is in group 1 and `AckCtl` is clear (3.2.5).
const GROUP1_PENDING: u32 = 1022;

/// The CPU interface of one CPU.
#[derive(Clone, Debug)]
pub struct GicV2Cpu {
    gic: Arc<GicV2>,
    cpu: usize,
}

impl GicV2Cpu {
    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x2000;

    pub(super) fn new(gic: Arc<GicV2>, cpu: usize) -> GicV2Cpu {
        GicV2Cpu { gic, cpu }
    }
}

impl MmioDevice for GicV2Cpu {
    fn name(&self) -> &str {
        "gicv2 cpu interface"
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let mut inner = lock(&self.gic.inner);
        let mut taken = None;
        let value = MAP.read(&self.gic.stray, offset, size, |reg, i| match reg {
            Reg::Iar | Reg::Aiar => {
                let id = inner.state.acknowledge(self.cpu, matches!(reg, Reg::Aiar));
                taken = Some(id & 0x3ff);
                id
            }
            _ => inner.state.cpu_read(self.cpu, reg, i),
        });
        if let Some(intid) = taken {
            inner.update_for(self.cpu, intid);
        }
        value
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut inner = lock(&self.gic.inner);
        let mut all = false;
        MAP.write(&self.gic.stray, offset, size, value, |reg, i, word| {
            all |= matches!(reg, Reg::Eoir | Reg::Aeoir | Reg::Dir);
            inner.state.cpu_write(self.cpu, reg, i, word);
        });
        // What was deactivated may be pending for another CPU.
        if all { inner.update_all() } else { inner.update(self.cpu) }
    }
}

impl GicV2State {
    fn candidate(&self, cpu: usize) -> Option<Candidate> {
        self.irqs.best(cpu, self.groups & self.cpus[cpu].groups)
    }

    /// What an `IAR` or `HPPIR` of this kind may show of the candidate, if not the interrupt itself.
    fn hidden(&self, cpu: usize, group: usize, aliased: bool) -> Option<u32> {
        match (group, aliased) {
            (0, true) => Some(SPURIOUS),
            (1, false) if self.cpu_ctlr[cpu] & CTLR_ACK_CTL == 0 => Some(GROUP1_PENDING),
            _ => None,
        }
    }

    /// INTID with, for an SGI, the number of the CPU that requests it.
    fn id_with_source(&self, cpu: usize, intid: u32) -> u32 {
        let sources = self.sgi_sources[cpu].get(intid as usize).copied().unwrap_or(0);
        intid | if sources == 0 { 0 } else { sources.trailing_zeros() << 10 }
    }

    fn acknowledge(&mut self, cpu: usize, aliased: bool) -> u32 {
        let Some(c) = self.candidate(cpu).filter(|c| self.cpus[cpu].can_preempt(c)) else {
            return SPURIOUS;
        };
        if let Some(id) = self.hidden(cpu, c.group, aliased) {
            return id;
        }
        let id = self.id_with_source(cpu, c.intid);
        self.irqs.activate(cpu, c.intid);
        self.cpus[cpu].activate(&c);
        if c.intid < 16 {
            let sgi = c.intid as usize;
            self.set_sgi(cpu, sgi, self.sgi_sources[cpu][sgi] & !(1 << (id >> 10)));
        }
        id
    }

    fn cpu_read(&self, cpu: usize, reg: Reg, i: usize) -> u32 {
        let interface = &self.cpus[cpu];
        match reg {
            Reg::Ctlr => self.cpu_ctlr[cpu],
            Reg::Pmr => u32::from(interface.pmr),
            Reg::Bpr => u32::from(interface.bpr[0]),
            Reg::Abpr => u32::from(interface.bpr[1]),
            Reg::Rpr => u32::from(interface.running_priority()),
            Reg::Hppir | Reg::Ahppir => match self.candidate(cpu) {
                None => SPURIOUS,
                Some(c) => self
                    .hidden(cpu, c.group, matches!(reg, Reg::Ahppir))
                    .unwrap_or_else(|| self.id_with_source(cpu, c.intid)),
            },
            Reg::Apr => interface.apr[0][i],
            Reg::Nsapr => interface.apr[1][i],
            Reg::Iidr => IIDR,
            // Write-only, or acknowledged by the caller.
            Reg::Iar | Reg::Aiar | Reg::Eoir | Reg::Aeoir | Reg::Dir => 0,
        }
    }

    fn cpu_write(&mut self, cpu: usize, reg: Reg, i: usize, word: Word) {
        let interface = &mut self.cpus[cpu];
        match reg {
            Reg::Ctlr => {
                let ctlr = word.merge(self.cpu_ctlr[cpu]) & CTLR_MASK;
                self.cpu_ctlr[cpu] = ctlr;
                interface.groups = ctlr & 3;
                interface.cbpr = ctlr & CTLR_CBPR != 0;
                interface.eoi_mode = ctlr & CTLR_EOI_MODE != 0;
            }
            Reg::Pmr => interface.pmr = word.merge(interface.pmr.into()) as u8,
            Reg::Bpr => interface.set_bpr(0, word.value as u8 & 7),
            Reg::Abpr => interface.set_bpr(1, word.value as u8 & 7),
            Reg::Eoir | Reg::Aeoir => self.end_of_interrupt(cpu, word.value & 0x3ff),
            Reg::Dir => {
                // Without EOImode this is UNPREDICTABLE (4.4.15): ignored.
                if interface.eoi_mode {
                    self.irqs.deactivate(cpu, word.value & 0x3ff);
                }
            }
            Reg::Apr => interface.apr[0][i] = word.merge(interface.apr[0][i]),
            Reg::Nsapr => interface.apr[1][i] = word.merge(interface.apr[1][i]),
            Reg::Iar | Reg::Aiar | Reg::Rpr | Reg::Hppir | Reg::Ahppir | Reg::Iidr => {}
        }
    }

    /// Writes of what is no interrupt, or while none is active, are ignored.
    fn end_of_interrupt(&mut self, cpu: usize, intid: u32) {
        let interface = &mut self.cpus[cpu];
        let Some(group) = interface.running_group() else { return };
        if intid as usize >= self.irqs.count() {
            return;
        }
        interface.drop_priority(group);
        if !interface.eoi_mode {
            self.irqs.deactivate(cpu, intid);
        }
    }
}

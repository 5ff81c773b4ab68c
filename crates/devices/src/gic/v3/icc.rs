//! The GICv3 CPU interface as system registers (IHI 0069, 12.2). Access checks and traps are the CPU's.

use super::{GicV3, GicV3State, PRIORITY_BITS, PRIORITY_MASK};
use crate::gic::SPURIOUS;
use crate::gic::wires::Wired;
use crate::lock;

/// A register of the CPU interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IccReg {
    /// `ICC_PMR_EL1`.
    Pmr,
    /// `ICC_IAR0_EL1`.
    Iar0,
    /// `ICC_IAR1_EL1`.
    Iar1,
    /// `ICC_EOIR0_EL1`.
    Eoir0,
    /// `ICC_EOIR1_EL1`.
    Eoir1,
    /// `ICC_HPPIR0_EL1`.
    Hppir0,
    /// `ICC_HPPIR1_EL1`.
    Hppir1,
    /// `ICC_BPR0_EL1`.
    Bpr0,
    /// `ICC_BPR1_EL1`.
    Bpr1,
    /// `ICC_AP0R<n>_EL1`; with 5 priority bits only n = 0 exists.
    Ap0r(u8),
    /// `ICC_AP1R<n>_EL1`; with 5 priority bits only n = 0 exists.
    Ap1r(u8),
    /// `ICC_DIR_EL1`.
    Dir,
    /// `ICC_RPR_EL1`.
    Rpr,
    /// `ICC_SGI1R_EL1`.
    Sgi1r,
    /// `ICC_ASGI1R_EL1`.
    Asgi1r,
    /// `ICC_SGI0R_EL1`.
    Sgi0r,
    /// `ICC_CTLR_EL1`.
    Ctlr,
    /// `ICC_CTLR_EL3`.
    CtlrEl3,
    /// `ICC_SRE_EL1`.
    Sre,
    /// `ICC_SRE_EL2`.
    SreEl2,
    /// `ICC_SRE_EL3`.
    SreEl3,
    /// `ICC_IGRPEN0_EL1`.
    Igrpen0,
    /// `ICC_IGRPEN1_EL1`.
    Igrpen1,
    /// `ICC_IGRPEN1_EL3`.
    Igrpen1El3,
}

/// Affinity level 3 valid, 24-bit INTIDs as QEMU has it, and the number of priority bits less one.
const CTLR: u64 = 1 << 15 | 1 << 11 | (PRIORITY_BITS as u64 - 1) << 8;
const CTLR_CBPR: u64 = 1 << 0;
const CTLR_EOI_MODE: u64 = 1 << 1;
/// `ICC_CTLR_EL3`: two security states are not supported.
const CTLR_EL3_NDS: u64 = 1 << 17;
const CTLR_EL3_CBPR_EL1NS: u64 = 1 << 1;
const CTLR_EL3_EOI_MODE_EL1NS: u64 = 1 << 4;

/// System register access enabled and bypass disabled, all read-only.
const SRE: u64 = 7;
/// As [`SRE`], with lower levels' access enabled.
const SRE_HIGHER: u64 = 0xf;

impl GicV3 {
    /// Reads a register of CPU `cpu`'s interface. Registers that are write-only, and those of CPUs that do not
    /// exist, read as 0.
    pub fn icc_read(&self, cpu: usize, reg: IccReg) -> u64 {
        if cpu >= self.cpus() {
            return 0;
        }
        let mut inner = lock(&self.inner);
        match reg {
            IccReg::Iar0 => inner.acknowledge(cpu, 0),
            IccReg::Iar1 => inner.acknowledge(cpu, 1),
            _ => inner.state.icc_read(cpu, reg),
        }
    }

    /// Writes a register of CPU `cpu`'s interface; the interrupt lines follow at once. Writes to read-only
    /// registers, and to CPUs that do not exist, are ignored.
    pub fn icc_write(&self, cpu: usize, reg: IccReg, value: u64) {
        if cpu >= self.cpus() {
            return;
        }
        let mut inner = lock(&self.inner);
        let others = match reg {
            // What is deactivated may be pending for another CPU, or a shared interrupt routed elsewhere.
            IccReg::Eoir0 | IccReg::Eoir1 | IccReg::Dir => value & 0xff_ffff >= 32,
            IccReg::Sgi0r | IccReg::Sgi1r | IccReg::Asgi1r => true,
            _ => false,
        };
        inner.state.icc_write(cpu, reg, value);
        if others { inner.update_all() } else { inner.update(cpu) }
    }
}

impl Wired<GicV3State> {
    fn acknowledge(&mut self, cpu: usize, group: usize) -> u64 {
        let state = &mut self.state;
        let taken = state.candidate(cpu).filter(|c| c.group == group && state.cpus[cpu].can_preempt(c));
        let Some(c) = taken else { return u64::from(SPURIOUS) };
        state.cpus[cpu].activate(&c);
        state.irqs.activate(cpu, c.intid);
        if c.intid < 32 {
            self.update(cpu)
        } else {
            self.update_all()
        }
        u64::from(c.intid)
    }
}

impl GicV3State {
    fn icc_read(&self, cpu: usize, reg: IccReg) -> u64 {
        let interface = &self.cpus[cpu];
        let flag = |condition: bool, bit: u64| if condition { bit } else { 0 };
        let highest_pending = |group: usize| {
            let c = self.candidate(cpu).filter(|c| c.group == group);
            u64::from(c.map_or(SPURIOUS, |c| c.intid))
        };
        let active = |group: usize, n: u8| interface.apr[group].get(n as usize).map_or(0, |&w| u64::from(w));
        match reg {
            IccReg::Pmr => u64::from(interface.pmr),
            IccReg::Hppir0 => highest_pending(0),
            IccReg::Hppir1 => highest_pending(1),
            IccReg::Bpr0 => u64::from(interface.bpr[0]),
            // With CBPR the common binary point, as group 1 sees it (12.2.5).
            IccReg::Bpr1 if interface.cbpr => u64::from((interface.bpr[0] + 1).min(7)),
            IccReg::Bpr1 => u64::from(interface.bpr[1]),
            IccReg::Ap0r(n) => active(0, n),
            IccReg::Ap1r(n) => active(1, n),
            IccReg::Rpr => u64::from(interface.running_priority()),
            IccReg::Ctlr => CTLR | flag(interface.cbpr, CTLR_CBPR) | flag(interface.eoi_mode, CTLR_EOI_MODE),
            IccReg::CtlrEl3 => {
                CTLR | CTLR_EL3_NDS
                    | flag(interface.cbpr, CTLR_EL3_CBPR_EL1NS)
                    | flag(interface.eoi_mode, CTLR_EL3_EOI_MODE_EL1NS)
            }
            IccReg::Sre => SRE,
            IccReg::SreEl2 | IccReg::SreEl3 => SRE_HIGHER,
            IccReg::Igrpen0 => u64::from(interface.groups & 1),
            IccReg::Igrpen1 | IccReg::Igrpen1El3 => u64::from(interface.groups >> 1 & 1),
            IccReg::Iar0
            | IccReg::Iar1
            | IccReg::Eoir0
            | IccReg::Eoir1
            | IccReg::Dir
            | IccReg::Sgi0r
            | IccReg::Sgi1r
            | IccReg::Asgi1r => 0,
        }
    }

    fn icc_write(&mut self, cpu: usize, reg: IccReg, value: u64) {
        let interface = &mut self.cpus[cpu];
        let intid = value as u32 & 0xff_ffff;
        match reg {
            IccReg::Pmr => interface.pmr = value as u8 & PRIORITY_MASK,
            IccReg::Bpr0 => interface.set_bpr(0, value as u8 & 7),
            IccReg::Bpr1 if interface.cbpr => {}
            IccReg::Bpr1 => interface.set_bpr(1, value as u8 & 7),
            IccReg::Ap0r(0) => interface.apr[0][0] = value as u32,
            IccReg::Ap1r(0) => interface.apr[1][0] = value as u32,
            IccReg::Eoir0 => self.end_of_interrupt(cpu, 0, intid),
            IccReg::Eoir1 => self.end_of_interrupt(cpu, 1, intid),
            // Without EOImode this is UNPREDICTABLE (12.2.9): ignored.
            IccReg::Dir if interface.eoi_mode => self.irqs.deactivate(cpu, intid),
            IccReg::Ctlr => {
                interface.cbpr = value & CTLR_CBPR != 0;
                interface.eoi_mode = value & CTLR_EOI_MODE != 0;
            }
            IccReg::CtlrEl3 => {
                interface.cbpr = value & CTLR_EL3_CBPR_EL1NS != 0;
                interface.eoi_mode = value & CTLR_EL3_EOI_MODE_EL1NS != 0;
            }
            IccReg::Igrpen0 => interface.groups = interface.groups & !1 | value as u32 & 1,
            IccReg::Igrpen1 | IccReg::Igrpen1El3 => {
                interface.groups = interface.groups & !2 | (value as u32 & 1) << 1;
            }
            IccReg::Sgi1r => self.send_sgi(cpu, 1, value),
            // With one security state the "other" group 1 is group 0.
            IccReg::Sgi0r | IccReg::Asgi1r => self.send_sgi(cpu, 0, value),
            // Read-only, or not implemented with 5 priority bits.
            IccReg::Ap0r(_)
            | IccReg::Ap1r(_)
            | IccReg::Dir
            | IccReg::Iar0
            | IccReg::Iar1
            | IccReg::Hppir0
            | IccReg::Hppir1
            | IccReg::Rpr
            | IccReg::Sre
            | IccReg::SreEl2
            | IccReg::SreEl3 => {}
        }
    }

    /// `EOIR` of a group. Writes of what is no interrupt, while none is active, or to the register of the
    /// group that is not running are ignored.
    fn end_of_interrupt(&mut self, cpu: usize, group: usize, intid: u32) {
        let interface = &mut self.cpus[cpu];
        if intid as usize >= self.irqs.count() || interface.running_group() != Some(group) {
            return;
        }
        interface.drop_priority(group);
        if !interface.eoi_mode {
            self.irqs.deactivate(cpu, intid);
        }
    }

    /// `ICC_SGI*R_EL1` (12.2.20): pends the SGI on the target CPUs that have it in `group`.
    fn send_sgi(&mut self, from: usize, group: u32, value: u64) {
        let sgi = 1 << (value >> 24 & 0xf);
        let all_but_self = value >> 40 & 1 != 0;
        let aff = |shift: u32| (value >> shift) as u32 & 0xff;
        let cluster = aff(48) << 24 | aff(32) << 16 | aff(16) << 8;
        for (to, bank) in self.irqs.private.iter_mut().enumerate() {
            let affinity = self.affinity[to];
            let targeted = if all_but_self {
                to != from
            } else {
                // RS is 0: the list covers Aff0 from 0 to 15 (GICD_TYPER.RSS is 0).
                let aff0 = affinity & 0xff;
                affinity & !0xff == cluster && aff0 < 16 && value >> aff0 & 1 != 0
            };
            if targeted && (bank.group & sgi != 0) == (group == 1) {
                bank.latch |= sgi;
            }
        }
    }
}

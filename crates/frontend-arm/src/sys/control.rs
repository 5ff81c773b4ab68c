//! Control, exception, thread and special-purpose registers (Arm ARM D17.2, C5.2).

use super::{Enc, Read, SysReg, SysRegs, Write, sctlr, tcr};
use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::table::Feature;
use crate::a64::word::Word;
use crate::cpu::pstate::{Pstate, spsr};
use crate::exception::ec;

/// A register that lives in [`lyrebird_isa::Core::regs`].
const fn kept(name: &'static str, enc: [u16; 5], el: u8, r: lyrebird_isa::Reg) -> SysReg {
    SysReg::new(name, enc).reg(el, r)
}

/// A register whose writes change translation, and so end the block.
const fn trans(
    name: &'static str,
    enc: [u16; 5],
    el: u8,
    read: super::Field,
    w: fn(&mut ArmCpu, u64),
) -> SysReg {
    SysReg::new(name, enc).get(el, Read::Field(read)).set(el, Write::MayFault(w)).sync()
}

/// A register of FEAT_LOR.
const fn lor(name: &'static str, op2: u16) -> SysReg {
    SysReg::new(name, [3, 0, 10, 4, op2]).when(Feature::Lor).get(1, Read::Call(|_| 0))
}

pub(super) static ROWS: &[SysReg] = &[
    // Translation and control.
    trans("SCTLR_EL1", [3, 0, 1, 0, 0], 1, |s| &mut s.sctlr[1], |c, v| c.set_sctlr_el1(v)),
    SysReg::new("ACTLR_EL1", [3, 0, 1, 0, 1]).field(1, |s| &mut s.actlr, 0),
    SysReg::new("CPACR_EL1", [3, 0, 1, 0, 2])
        .get(1, Read::Field(|s| &mut s.cpacr))
        .set(
            1,
            Write::MayFault(|c, v| {
                // FPEN only: no SVE, no trace registers.
                c.sys.cpacr = v & 3 << 20;
                c.context_changed();
            }),
        )
        .sync(),
    trans(
        "TTBR0_EL1",
        [3, 0, 2, 0, 0],
        1,
        |s| &mut s.ttbr0[1],
        |c, v| {
            c.sys.ttbr0[1] = v & !1;
            c.tables_changed();
        },
    ),
    trans(
        "TTBR1_EL1",
        [3, 0, 2, 0, 1],
        1,
        |s| &mut s.ttbr1,
        |c, v| {
            c.sys.ttbr1 = v & !1;
            c.tables_changed();
        },
    ),
    trans(
        "TCR_EL1",
        [3, 0, 2, 0, 2],
        1,
        |s| &mut s.tcr[1],
        |c, v| {
            let old = std::mem::replace(&mut c.sys.tcr[1], v & tcr::RW);
            c.tables_changed();
            // Fields may be cached in a TLB; ours drops what the old ones made.
            if old != c.sys.tcr[1] {
                c.flush_tlb();
            }
        },
    ),
    trans(
        "MAIR_EL1",
        [3, 0, 10, 2, 0],
        1,
        |s| &mut s.mair[1],
        |c, v| {
            let old = std::mem::replace(&mut c.sys.mair[1], v);
            c.tables_changed();
            if old != v {
                c.flush_tlb();
            }
        },
    ),
    SysReg::new("AMAIR_EL1", [3, 0, 10, 3, 0]).field(1, |s| &mut s.amair, 0),
    SysReg::new("CONTEXTIDR_EL1", [3, 0, 13, 0, 1]).field(1, |s| &mut s.contextidr, 0xffff_ffff),
    SysReg::new("PAR_EL1", [3, 0, 7, 4, 0]).field(1, |s| &mut s.par, u64::MAX),
    // LORegions: none are implemented, so that LORID_EL1 is 0 and the rest is RES0.
    lor("LORSA_EL1", 0).set(1, Write::Nop),
    lor("LOREA_EL1", 1).set(1, Write::Nop),
    lor("LORN_EL1", 2).set(1, Write::Nop),
    lor("LORC_EL1", 3).set(1, Write::Nop),
    lor("LORID_EL1", 7),
    // Exceptions.
    SysReg::new("VBAR_EL1", [3, 0, 12, 0, 0]).field(1, |s| &mut s.vbar[1], !0x7ff),
    kept("SPSR_EL1", [3, 0, 4, 0, 0], 1, regs::SPSR_EL1),
    kept("ELR_EL1", [3, 0, 4, 0, 1], 1, regs::ELR_EL1),
    kept("ESR_EL1", [3, 0, 5, 2, 0], 1, regs::ESR_EL1),
    kept("FAR_EL1", [3, 0, 6, 0, 0], 1, regs::FAR_EL1),
    SysReg::new("AFSR0_EL1", [3, 0, 5, 1, 0]).field(1, |s| &mut s.afsr[0], 0),
    SysReg::new("AFSR1_EL1", [3, 0, 5, 1, 1]).field(1, |s| &mut s.afsr[1], 0),
    SysReg::new("ISR_EL1", [3, 0, 12, 1, 0]).get(1, Read::Call(|c| c.isr())),
    // Threads.
    kept("TPIDR_EL0", [3, 3, 13, 0, 2], 0, regs::TPIDR_EL0),
    SysReg::new("TPIDRRO_EL0", [3, 3, 13, 0, 3])
        .get(0, Read::Reg(regs::TPIDRRO_EL0))
        .set(1, Write::Reg(regs::TPIDRRO_EL0)),
    kept("TPIDR_EL1", [3, 0, 13, 0, 4], 1, regs::TPIDR_EL1),
    // Special-purpose registers.
    kept("SP_EL0", [3, 0, 4, 1, 0], 1, regs::SP_EL0).needs_spx(),
    SysReg::new("SPSel", [3, 0, 4, 2, 0])
        .get(1, Read::SpSel)
        .set(1, Write::MayFault(|c, v| c.set_sp_sel(v & 1 != 0)))
        .sync(),
    SysReg::new("CurrentEL", [3, 0, 4, 2, 2]).get(1, Read::CurrentEl),
    SysReg::new("PAN", [3, 0, 4, 2, 3])
        .when(Feature::Pan)
        .get(1, Read::Call(|c| c.pstate.to_spsr() & spsr::PAN))
        .set(1, Write::MayFault(|c, v| c.set_pan(v & spsr::PAN != 0)))
        .sync(),
    SysReg::new("NZCV", [3, 3, 4, 2, 0]).get(0, Read::Nzcv).set(0, Write::Nzcv),
    SysReg::new("DAIF", [3, 3, 4, 2, 1])
        .get(0, Read::Reg(regs::DAIF))
        .set(0, Write::Daif)
        .sync()
        .el0(|c, _| c.sys.sctlr[1] & sctlr::UMA != 0),
    SysReg::new("SSBS", [3, 3, 4, 2, 6])
        .when(Feature::Ssbs)
        .get(0, Read::Call(|c| c.pstate.to_spsr() & spsr::SSBS))
        .set(0, Write::Call(|c, v| c.pstate.ssbs = v & spsr::SSBS != 0)),
    SysReg::new("FPCR", [3, 3, 4, 4, 0])
        .get(0, Read::Call(|c| c.fp.fpcr))
        .set(0, Write::MayFault(ArmCpu::write_fpcr))
        .fp(),
    SysReg::new("FPSR", [3, 3, 4, 4, 1])
        .get(0, Read::Call(|c| c.fpsr()))
        .set(0, Write::Call(|c, v| c.set_fpsr(v & FPSR_RW)))
        .fp(),
    // Registers of higher levels.
    kept("SP_EL1", [3, 4, 4, 1, 0], 2, regs::sp_el(1)),
    kept("SP_EL2", [3, 6, 4, 1, 0], 3, regs::sp_el(2)),
    kept("SPSR_EL2", [3, 4, 4, 0, 0], 2, regs::banked(regs::SPSR_EL1, 2)),
    kept("ELR_EL2", [3, 4, 4, 0, 1], 2, regs::banked(regs::ELR_EL1, 2)),
    kept("ESR_EL2", [3, 4, 5, 2, 0], 2, regs::banked(regs::ESR_EL1, 2)),
    kept("FAR_EL2", [3, 4, 6, 0, 0], 2, regs::banked(regs::FAR_EL1, 2)),
    kept("TPIDR_EL2", [3, 4, 13, 0, 2], 2, regs::TPIDR_EL2),
    SysReg::new("VBAR_EL2", [3, 4, 12, 0, 0]).field(2, |s| &mut s.vbar[2], !0x7ff),
    kept("SPSR_EL3", [3, 6, 4, 0, 0], 3, regs::banked(regs::SPSR_EL1, 3)),
    kept("ELR_EL3", [3, 6, 4, 0, 1], 3, regs::banked(regs::ELR_EL1, 3)),
    kept("ESR_EL3", [3, 6, 5, 2, 0], 3, regs::banked(regs::ESR_EL1, 3)),
    kept("FAR_EL3", [3, 6, 6, 0, 0], 3, regs::banked(regs::FAR_EL1, 3)),
    kept("TPIDR_EL3", [3, 6, 13, 0, 2], 3, regs::TPIDR_EL3),
    SysReg::new("VBAR_EL3", [3, 6, 12, 0, 0]).field(3, |s| &mut s.vbar[3], !0x7ff),
];

/// RMode, FZ, DN, AHP; FZ16 with half precision. The trap enables are RAZ/WI: no trapped FP exceptions.
fn fpcr_mask(c: &ArmCpu) -> u64 {
    let fz16 = if c.model.has(Feature::Fp16) { 1 << 19 } else { 0 };
    3 << 22 | 1 << 24 | 1 << 25 | 1 << 26 | fz16
}

/// QC and the cumulative exception bits. N, Z, C, V belong to AArch32.
const FPSR_RW: u64 = 1 << 27 | 0x9f;

impl ArmCpu {
    /// MSR FPCR: code is left where that changes the mode.
    fn write_fpcr(&mut self, v: u64) {
        if self.set_fpcr(v & fpcr_mask(self)) {
            self.leave_completed();
        }
    }

    fn set_sctlr_el1(&mut self, v: u64) {
        let new = SysRegs::sctlr_value(&self.model, v);
        let old = std::mem::replace(&mut self.sys.sctlr[1], new);
        self.tables_changed();
        // M and A select a translation context of their own; WXN changes permissions within one.
        if (old ^ new) & sctlr::WXN != 0 {
            self.flush_tlb();
        }
    }

    /// Writes PSTATE.SP.
    pub(crate) fn set_sp_sel(&mut self, sp_sel: bool) {
        self.set_pstate(Pstate { sp_sel, ..self.pstate });
    }

    /// Writes PSTATE.PAN.
    pub(crate) fn set_pan(&mut self, pan: bool) {
        self.set_pstate(Pstate { pan, ..self.pstate });
    }

    /// MSR (immediate) of SPSel, PAN, SSBS, and of DAIFSet and DAIFClr at EL0.
    pub(crate) fn msr_immediate(&mut self, w: Word) {
        let imm = w.bits(8, 4) as u64;
        let daif = self.core.reg(regs::DAIF);
        match (w.bits(16, 3), w.bits(5, 3)) {
            (0, 5) if self.pstate.el > 0 => self.set_sp_sel(imm & 1 != 0),
            (0, 4) if self.pstate.el > 0 => self.set_pan(imm & 1 != 0),
            (3, 1) => self.pstate.ssbs = imm & 1 != 0,
            (3, 6 | 7) => {
                if self.pstate.el == 0 && self.sys.sctlr[1] & sctlr::UMA == 0 {
                    // Trapped as an MSR with Rt 31 (Arm ARM D17.2.37, EC 0x18).
                    let enc = Enc::of(w);
                    return self.raise_ec(ec::SYSREG, enc.iss(31, false));
                }
                let set = w.bits(5, 3) == 6;
                self.core.set_reg(regs::DAIF, if set { daif | imm << 6 } else { daif & !(imm << 6) });
            }
            _ => self.raise_undefined(),
        }
    }
}

//! Exceptions: what is recorded, where it is routed, how PSTATE changes on entry and return (Arm ARM D1.3).

use lyrebird_isa::flags;

use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::table::Feature;
use crate::cpu::pstate::{Pstate, spsr};
use crate::sys::sctlr;

/// Exception classes, `ESR_ELx.EC` (Arm ARM D17.2.37).
pub mod ec {
    /// Unknown reason: undefined instructions.
    pub const UNKNOWN: u8 = 0x00;
    /// Trapped WFI or WFE.
    pub const WFX: u8 = 0x01;
    /// Access to FP or Advanced SIMD trapped by CPACR_EL1.FPEN.
    pub const FP_ACCESS: u8 = 0x07;
    /// Illegal execution state.
    pub const ILLEGAL_STATE: u8 = 0x0e;
    /// SVC from AArch64.
    pub const SVC64: u8 = 0x15;
    /// HVC from AArch64.
    pub const HVC64: u8 = 0x16;
    /// SMC from AArch64.
    pub const SMC64: u8 = 0x17;
    /// Trapped MSR, MRS or system instruction.
    pub const SYSREG: u8 = 0x18;
    /// Instruction abort from a lower exception level; the same one is one more.
    pub const INSN_ABORT: u8 = 0x20;
    /// PC alignment fault.
    pub const PC_ALIGNMENT: u8 = 0x22;
    /// Data abort from a lower exception level; the same one is one more.
    pub const DATA_ABORT: u8 = 0x24;
    /// SP alignment fault.
    pub const SP_ALIGNMENT: u8 = 0x26;
    /// SError interrupt.
    pub const SERROR: u8 = 0x2f;
    /// Breakpoint exception from a lower exception level; the same one is one more.
    pub const BREAKPOINT: u8 = 0x30;
    /// Software step exception from a lower exception level; the same one is one more.
    pub const SOFTWARE_STEP: u8 = 0x32;
    /// Watchpoint exception from a lower exception level; the same one is one more.
    pub const WATCHPOINT: u8 = 0x34;
    /// BRK instruction from AArch64.
    pub const BRK64: u8 = 0x3c;
}

/// Instruction Length bit of a syndrome: a 32-bit instruction, or a fault that does not belong to one.
pub const IL: u64 = 1 << 25;

/// ESR_ELx.ISS of a data abort: the access was a write.
pub const ISS_WNR: u32 = 1 << 6;
/// ESR_ELx.ISS of a data abort: by a cache maintenance or address translation instruction.
pub const ISS_CM: u32 = 1 << 8;

/// Which vector of the four in each quarter of the table is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Synchronous.
    Sync,
    /// IRQ.
    Irq,
    /// FIQ.
    Fiq,
    /// SError.
    SError,
}

/// A synchronous exception as an instruction records it, before it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Exception class; of a pair "lower level, same level" the former.
    pub ec: u8,
    /// Instruction-specific syndrome, bits 24 to 0.
    pub iss: u32,
    /// Faulting virtual address, where the exception writes FAR_ELx.
    pub far: Option<u64>,
    /// The preferred return address is the following instruction (SVC, HVC, SMC).
    pub after: bool,
}

impl ArmCpu {
    /// Records a synchronous exception of the instruction being executed. The engine then takes it with the
    /// instruction's address ([`lyrebird_isa::Cpu::take_fault`]).
    pub fn raise(&mut self, r: Recorded) {
        self.recorded = Some(r);
        self.core.fault = 1;
    }

    /// Leaves the code behind the instruction being executed, which is complete: it has changed the mode.
    pub(crate) fn leave_completed(&mut self) {
        self.recorded = None;
        self.core.fault = 1;
    }

    /// Records an exception without fault address whose preferred return address is the instruction itself.
    pub fn raise_ec(&mut self, ec: u8, iss: u32) {
        self.raise(Recorded { ec, iss, far: None, after: false });
    }

    /// Records the exception of an UNDEFINED instruction (EC 0).
    pub fn raise_undefined(&mut self) {
        self.raise_ec(ec::UNKNOWN, 0);
    }

    /// The exception level that takes an exception raised now. EL2 and EL3 are not implemented by any model
    /// yet; HCR_EL2 and SCR_EL3 would redirect here.
    pub fn route(&self, _kind: Kind) -> u8 {
        self.pstate.el.max(1)
    }

    /// Takes a recorded synchronous exception whose instruction stands at `pc`.
    pub(crate) fn take_sync(&mut self, r: Recorded, pc: u64) {
        let target = self.route(Kind::Sync);
        let paired = matches!(
            r.ec,
            ec::INSN_ABORT | ec::DATA_ABORT | ec::BREAKPOINT | ec::SOFTWARE_STEP | ec::WATCHPOINT
        );
        let class = r.ec + (paired && self.pstate.el == target) as u8;
        self.counters.sync[(class & 63) as usize] += 1;
        let esr = (class as u64) << 26 | IL | (r.iss & 0x1ff_ffff) as u64;
        let ret = if r.after { pc.wrapping_add(4) } else { pc };
        if r.after {
            // The instruction has been stepped over (Arm ARM, SSAdvance).
            self.pstate.ss = false;
        }
        self.core.set_reg(regs::banked(regs::ESR_EL1, target), esr);
        if let Some(far) = r.far {
            self.core.set_reg(regs::banked(regs::FAR_EL1, target), far);
        }
        self.enter(target, Kind::Sync, ret);
    }

    /// Takes an interrupt before the instruction at the current PC.
    pub(crate) fn take_interrupt(&mut self, kind: Kind) {
        let target = self.route(kind);
        match kind {
            Kind::Irq => self.counters.irq += 1,
            Kind::Fiq => self.counters.fiq += 1,
            Kind::Sync | Kind::SError => {
                self.counters.serror += 1;
                // Uncategorised, implementation-defined syndrome 0 (Arm ARM D17.2.37, ISS for SError).
                let esr = (ec::SERROR as u64) << 26 | IL;
                self.core.set_reg(regs::banked(regs::ESR_EL1, target), esr);
            }
        }
        self.enter(target, kind, self.core.pc);
    }

    /// AArch64.TakeException: saves PSTATE and the return address, and goes to the vector.
    fn enter(&mut self, target: u8, kind: Kind, ret: u64) {
        let from = self.pstate;
        let quarter = if from.el < target {
            0x400
        } else if from.sp_sel {
            0x200
        } else {
            0
        };
        let vector = match kind {
            Kind::Sync => 0,
            Kind::Irq => 0x80,
            Kind::Fiq => 0x100,
            Kind::SError => 0x180,
        };
        let saved = self.spsr_now();
        self.core.set_reg(regs::banked(regs::SPSR_EL1, target), saved);
        self.core.set_reg(regs::banked(regs::ELR_EL1, target), ret);

        let control = self.sys.sctlr[target as usize];
        let mut to = Pstate { el: target, sp_sel: true, ss: false, il: false, btype: 0, ..from };
        if self.model.has(Feature::Pan) && target == 1 && control & sctlr::SPAN == 0 {
            to.pan = true;
        }
        if self.model.has(Feature::Ssbs) {
            to.ssbs = control & sctlr::DSSBS != 0;
        }
        to.uao = false;
        self.core.set_reg(regs::DAIF, spsr::DAIF);
        self.set_pstate(to);
        self.core.pc = (self.sys.vbar[target as usize] & !0x7ff).wrapping_add(quarter + vector);
    }

    /// PSTATE in the layout of SPSR_ELx for AArch64 (Arm ARM C5.2.18).
    pub fn spsr_now(&self) -> u64 {
        self.core.nzcv() | self.core.reg(regs::DAIF) & spsr::DAIF | self.pstate.to_spsr()
    }

    /// ERET: AArch64.ExceptionReturn, illegal returns included (Arm ARM D1.3.4).
    pub fn exception_return(&mut self) {
        let el = self.pstate.el;
        let spsr = self.core.reg(regs::banked(regs::SPSR_EL1, el));
        let elr = self.core.reg(regs::banked(regs::ELR_EL1, el));
        let legal = self.legal_return(spsr);
        let mut to = self.pstate;
        to.ss = false;
        to.btype = 0;
        if legal {
            to.el = (spsr >> 2 & 3) as u8;
            to.sp_sel = spsr & 1 != 0;
            to.il = spsr & spsr::IL != 0;
            to.btype = 0;
        } else {
            // EL, SPSel and execution state stay; the next instruction takes an Illegal Execution state
            // exception.
            to.il = true;
            self.counters.illegal_returns += 1;
        }
        if self.model.has(Feature::Pan) {
            to.pan = spsr & spsr::PAN != 0;
        }
        if self.model.has(Feature::Uao) {
            to.uao = spsr & spsr::UAO != 0;
        }
        if self.model.has(Feature::Dit) {
            to.dit = spsr & spsr::DIT != 0;
        }
        if self.model.has(Feature::Ssbs) {
            to.ssbs = spsr & spsr::SSBS != 0;
        }
        if self.step_enabled_after_return(spsr, to.el) {
            to.ss = spsr & spsr::SS != 0;
        }
        self.core.set_nzcv(spsr & (flags::N | flags::Z | flags::C | flags::V));
        self.core.set_reg(regs::DAIF, spsr & spsr::DAIF);
        self.set_pstate(to);
        // The local monitor is cleared by an exception return; an event is signalled to a WFE loop.
        self.core.excl_addr = lyrebird_isa::state::TAG_NONE;
        self.event = true;
        self.core.pc = self.regime.branch_address(elr);
    }

    /// Whether an ERET with this SPSR is legal (Arm ARM D1.3.4.1).
    fn legal_return(&self, spsr: u64) -> bool {
        let to = (spsr >> 2 & 3) as u8;
        let aarch32 = spsr & 0x10 != 0;
        // No level implements AArch32.
        !aarch32
            && spsr & 2 == 0
            && to <= self.pstate.el
            && to <= self.model.top_el
            && (to == 0 || to == 1 || to == self.model.top_el)
            && (to != 0 || spsr & 1 == 0)
    }
}

#[cfg(test)]
mod tests {
    use lyrebird_isa::Cpu;
    use lyrebird_isa::lines::{FIQ, IRQ, SERROR};

    use super::*;
    use crate::CpuModel;
    use crate::cpu::pstate::daif;
    use crate::testing::{CODE, Machine, VECTORS};

    fn machine() -> Machine {
        Machine::new(CpuModel::max())
    }

    /// Arm ARM table D1-7: vector offsets from the vector base address.
    #[test]
    fn vectors() {
        let from = [(0, false, 0x400), (1, false, 0), (1, true, 0x200)];
        for (el, sp_sel, quarter) in from {
            for (line, offset) in [(0, 0), (IRQ, 0x80), (FIQ, 0x100), (SERROR, 0x180)] {
                let mut m = machine();
                m.cpu.set_pstate(Pstate { el, sp_sel, ..m.cpu.pstate });
                m.cpu.core.set_reg(regs::DAIF, 0);
                if line == 0 {
                    assert!(!m.run(0xd400_0001), "svc #0");
                } else {
                    m.cpu.platform.lines().set(line, true);
                    m.cpu.poll(0);
                }
                assert_eq!(m.cpu.core.pc, VECTORS + quarter + offset, "EL{el} SP{sp_sel} {line}");
                assert_eq!(m.cpu.core.reg(regs::DAIF), 0xf << 6);
                assert_eq!((m.cpu.pstate.el, m.cpu.pstate.sp_sel), (1, true));
                let ret = if line == 0 { CODE + 4 } else { CODE };
                assert_eq!(m.cpu.core.reg(regs::ELR_EL1), ret);
                assert_eq!(m.cpu.core.reg(regs::SPSR_EL1) & 0x1f, (el as u64) << 2 | sp_sel as u64);
            }
        }
    }

    #[test]
    fn masked_interrupts_wait_but_end_wfi() {
        for (line, mask) in [(IRQ, daif::I), (FIQ, daif::F), (SERROR, daif::A)] {
            let mut m = machine();
            m.cpu.core.set_reg(regs::DAIF, mask);
            assert!(m.run(0xd503_207f), "wfi");
            assert_eq!(m.cpu.poll(0), lyrebird_isa::cpu::Event::Idle);
            m.cpu.platform.lines().set(line, true);
            assert_eq!(m.cpu.poll(0), lyrebird_isa::cpu::Event::Run);
            assert_eq!(m.cpu.core.pc, CODE + 4, "masked");
            m.cpu.core.set_reg(regs::DAIF, 0x3c0 & !mask);
            m.cpu.poll(0);
            assert_eq!(m.cpu.core.reg(regs::ELR_EL1), CODE + 4, "taken");
        }
    }

    #[test]
    fn state_is_saved_and_restored() {
        let mut m = machine();
        m.cpu.sys.sctlr[1] &= !sctlr::SPAN;
        m.cpu.core.set_reg(regs::sp_el(0), 0x1000);
        m.cpu.core.set_reg(regs::SP, 0x2000);
        m.at_el(0);
        assert_eq!(m.cpu.core.reg(regs::SP), 0x1000, "SP_EL0");
        m.cpu.core.set_nzcv(0xa000_0000);
        m.cpu.core.set_reg(regs::DAIF, daif::F);
        assert!(!m.run(0xd401_5541), "svc #0xaaa");
        assert_eq!(m.esr(), (0x15, true, 0xaaa));
        assert_eq!(m.cpu.core.reg(regs::SPSR_EL1), 0xa000_0040);
        assert_eq!(m.cpu.core.reg(regs::SP), 0x2000, "SP_EL1");
        assert!(m.cpu.pstate.pan, "SPAN clear sets PAN");
        m.cpu.core.set_nzcv(0);
        m.cpu.core.excl_addr = 0x40;
        assert!(m.run(0xd69f_03e0), "eret");
        assert_eq!((m.cpu.pstate.el, m.cpu.core.pc), (0, CODE + 4));
        assert_eq!((m.cpu.core.nzcv(), m.cpu.core.reg(regs::DAIF)), (0xa000_0000, daif::F));
        assert_eq!(m.cpu.core.reg(regs::SP), 0x1000);
        assert!(!m.cpu.pstate.pan);
        assert_eq!(m.cpu.core.excl_addr, u64::MAX, "ERET clears the local monitor");
    }

    #[test]
    fn ssbs_on_entry_is_dsbs() {
        for on in [false, true] {
            let mut m = machine();
            m.cpu.pstate.ssbs = !on;
            m.msr("SCTLR_EL1", if on { sctlr::DSSBS } else { 0 });
            m.run(0xd400_0001);
            assert_eq!(m.cpu.pstate.ssbs, on);
            assert_eq!(m.cpu.core.reg(regs::SPSR_EL1) >> 12 & 1 != 0, !on);
        }
    }

    /// Arm ARM D1.3.4: illegal exception returns.
    #[test]
    fn illegal_returns() {
        let cases = [
            (0b0_1000, "EL2 is not implemented"),
            (0b0_1001, "EL2 is not implemented"),
            (0b0_1101, "EL3 is not implemented"),
            (0b0_0001, "EL0 with SPSel 1"),
            (0b0_0010, "M[1] is 1"),
            (0b1_0000, "AArch32"),
        ];
        for (spsr, why) in cases {
            let mut m = machine();
            m.cpu.core.set_reg(regs::SPSR_EL1, spsr | 0x9000_0000 | daif::I);
            m.cpu.core.set_reg(regs::ELR_EL1, 0x1234_5678);
            assert!(m.run(0xd69f_03e0), "eret");
            assert_eq!((m.cpu.pstate.el, m.cpu.pstate.sp_sel), (1, true), "{why}");
            assert!(m.cpu.pstate.il, "{why}");
            assert_eq!(m.cpu.core.pc, 0x1234_5678, "{why}");
            // NZCV and DAIF are reinstated all the same.
            assert_eq!((m.cpu.core.nzcv(), m.cpu.core.reg(regs::DAIF)), (0x9000_0000, daif::I));
            // The next instruction, fetched from good memory, takes the Illegal Execution state exception.
            m.cpu.core.pc = CODE;
            m.poke(CODE, 0xd503_201f);
            assert!(!m.cpu.step());
            assert_eq!(m.esr(), (0x0e, true, 0), "{why}");
            assert!(!m.cpu.pstate.il);
            assert_eq!(m.cpu.core.reg(regs::SPSR_EL1) >> 20 & 1, 1, "SPSR.IL");
        }
    }

    /// AArch64.BranchAddr: where the top byte is ignored, it does not reach the PC.
    #[test]
    fn returns_drop_tags() {
        let mut m = machine();
        m.msr("TCR_EL1", 1 << 37);
        let eret = |m: &mut Machine, to| {
            m.cpu.core.set_reg(regs::SPSR_EL1, 5);
            m.cpu.core.set_reg(regs::ELR_EL1, to);
            assert!(m.run(0xd69f_03e0), "eret");
            m.cpu.core.pc
        };
        assert_eq!(eret(&mut m, 0x5500_0000_4000_0000), 0x4000_0000);
        assert_eq!(eret(&mut m, 0x55ff_ffff_4000_0000), 0x55ff_ffff_4000_0000, "TBI1 is clear");
        m.msr("TCR_EL1", 1 << 38);
        assert_eq!(eret(&mut m, 0x55ff_ffff_4000_0000), 0xffff_ffff_4000_0000);
    }

    #[test]
    fn generated_exceptions() {
        let cases: [(u32, u8, u32, u64); 6] = [
            (0xd400_0001 | 7 << 5, 0x15, 7, 4),
            (0xd420_0000 | 0x1234 << 5, 0x3c, 0x1234, 0),
            (0xd440_0000, 0, 0, 0),
            (0xd400_0002, 0, 0, 0),
            (0xd400_0003, 0, 0, 0),
            (0xd6bf_03e0, 0, 0, 0),
        ];
        for el in [0, 1] {
            for (word, ec, iss, after) in cases {
                let mut m = machine();
                m.at_el(el);
                assert!(!m.run(word));
                assert_eq!(m.esr(), (ec, true, iss), "{word:#x}");
                assert_eq!(m.cpu.core.reg(regs::ELR_EL1), CODE + after, "{word:#x}");
            }
        }
    }

    #[test]
    fn fp_traps_by_cpacr() {
        // fpen, EL0 traps, EL1 traps.
        for (fpen, el0, el1) in [(0u64, true, true), (1, true, false), (2, true, true), (3, false, false)] {
            for (el, traps) in [(0, el0), (1, el1)] {
                let mut m = machine();
                m.msr("CPACR_EL1", fpen << 20);
                m.at_el(el);
                let done = m.run(Machine::access("FPCR", true));
                assert_eq!(done, !traps, "FPEN {fpen} EL{el}");
                if traps {
                    assert_eq!(m.esr(), (0x07, true, 0x1e0_0000));
                }
            }
        }
    }

    #[test]
    fn software_step_stops_after_one_instruction() {
        let mut m = machine();
        m.msr("OSLAR_EL1", 0);
        m.msr("MDSCR_EL1", 1);
        // Return to EL0 with SS: one instruction, then the step exception.
        m.cpu.core.set_reg(regs::SPSR_EL1, spsr::SS);
        m.cpu.core.set_reg(regs::ELR_EL1, CODE);
        assert!(m.run(0xd69f_03e0), "eret");
        m.poke(CODE, 0xd503_201f_d503_201f);
        m.cpu.step();
        assert_eq!((m.esr().0, m.esr().2), (0x32, 1 << 24 | 0x22));
        assert_eq!(m.cpu.core.reg(regs::ELR_EL1), CODE + 4);
        assert_eq!(m.cpu.core.reg(regs::SPSR_EL1) & spsr::SS, 0);
        // Return with SS clear: at once, and ISV says that nothing was stepped.
        assert!(m.run(0xd69f_03e0), "eret");
        m.cpu.step();
        assert_eq!((m.esr().0, m.esr().2), (0x32, 0x22));
        assert_eq!(m.cpu.core.reg(regs::ELR_EL1), CODE + 4);
    }

    #[test]
    fn breakpoint_on_an_address() {
        let mut m = machine();
        m.msr("OSLAR_EL1", 0);
        m.msr("DBGBVR0_EL1", CODE + 4);
        m.msr("DBGBCR0_EL1", 0x1e5);
        m.msr("MDSCR_EL1", 1 << 15);
        m.poke(CODE, 0xd503_201f_d503_201f);
        m.cpu.core.set_reg(regs::SPSR_EL1, 0);
        m.cpu.core.set_reg(regs::ELR_EL1, CODE);
        assert!(m.run(0xd69f_03e0), "eret");
        assert!(m.cpu.step());
        assert!(!m.cpu.step());
        assert_eq!((m.esr(), m.cpu.core.reg(regs::ELR_EL1)), ((0x30, true, 0x22), CODE + 4));
    }

    #[test]
    fn unmasked_debug_exceptions_are_followed() {
        // MSR DAIFClr, #8; MSR DAIF, X1 with D clear; MSR OSDLR_EL1, X1.
        for (word, dlk) in [(0xd503_48ff, 0), (0xd51b_4221, 0), (0xd510_1381_u32, 1)] {
            let mut m = machine();
            m.msr("OSLAR_EL1", 0);
            m.msr("DBGBVR0_EL1", CODE + 4);
            m.msr("DBGBCR0_EL1", 0x1e3);
            m.msr("MDSCR_EL1", 1 << 15 | 1 << 13);
            if dlk != 0 {
                m.msr("OSDLR_EL1", 1);
                m.msr("DAIF", daif::I);
            }
            m.cpu.core.pc = CODE;
            m.poke(CODE, 0xd503_201f_0000_0000 | word as u64);
            assert!(m.cpu.step(), "{word:#x}");
            m.cpu.poll(1);
            assert!(!m.cpu.step(), "{word:#x}: the breakpoint");
            assert_eq!((m.esr().0, m.cpu.core.reg(regs::ELR_EL1)), (0x31, CODE + 4), "{word:#x}");
        }
    }

    #[test]
    fn misaligned_sp_is_noticed() {
        let mut m = machine();
        m.msr("SCTLR_EL1", sctlr::SA0);
        m.cpu.core.set_reg(regs::SP_EL0, RAM_SP | 8);
        m.cpu.core.set_reg(regs::SPSR_EL1, 0);
        m.cpu.core.set_reg(regs::ELR_EL1, CODE);
        assert!(m.run(0xd69f_03e0), "eret");
        m.poke(CODE, 0xf940_03e0_9100_0000);
        assert!(m.cpu.step(), "add x0, x0, #0 does not care");
        assert!(!m.cpu.step(), "ldr x0, [sp]");
        assert_eq!((m.esr(), m.cpu.core.reg(regs::ELR_EL1)), ((0x26, true, 0), CODE + 4));
    }

    /// SCTLR_EL1.SA set, FP not trapped, X2 8, X3 SP + 8.
    fn checking_sp() -> Machine {
        let mut m = machine();
        m.msr("CPACR_EL1", 3 << 20);
        m.msr("SCTLR_EL1", sctlr::SA);
        m.cpu.core.set_reg(regs::SP, RAM_SP);
        m.cpu.core.regs[2] = 8;
        m.cpu.core.regs[3] = RAM_SP + 8;
        m.cpu.core.pc = CODE;
        m
    }

    #[test]
    fn misaligned_sp_is_noticed_by_the_next_access() {
        let cases = [
            ("sub sp, sp, #8", 0xd100_23ff),
            ("mov sp, x3", 0x9100_007f),
            ("add sp, sp, x2", 0x8b22_63ff),
            ("sub sp, sp, w2, uxtb", 0xcb22_03ff),
            ("mov wsp, w3", 0x1100_007f),
            ("orr sp, x3, #7", 0xb240_087f),
            ("and sp, x3, #-4", 0x927e_f47f),
            ("mov sp, #127", 0xb240_1bff),
            ("ldr x1, [sp], #8", 0xf840_87e1),
            ("str x1, [sp, #-24]!", 0xf81e_8fe1),
            ("ldr q1, [sp], #40", 0x3cc2_87e1),
            ("stp x1, x1, [sp, #-8]!", 0xa9bf_87e1),
            ("stp w1, w1, [sp], #4", 0x2880_87e1),
            ("ldp d0, d1, [sp], #8", 0x6cc0_87e0),
            ("st1 {v0.8b}, [sp], #8", 0x0c9f_73e0),
            ("ld1 {v0.16b}, [sp], x2", 0x4cc2_73e0),
            ("ld1 {v0.h}[2], [sp], #2", 0x0ddf_53e0),
        ];
        for (text, word) in cases {
            let mut m = checking_sp();
            // ldr x0, [sp] behind it.
            m.poke(CODE, 0xf940_03e0_0000_0000 | word);
            assert!(m.cpu.step(), "{text}");
            assert!(!m.cpu.step(), "{text}: ldr x0, [sp]");
            assert_eq!((m.esr(), m.cpu.core.reg(regs::ELR_EL1)), ((0x26, true, 0), CODE + 4), "{text}");
        }
        // Aligned again, and not checked.
        for (sctlr, words) in [(sctlr::SA, 0x9100_23ff_d100_23ff_u64), (0, 0xd503_201f_d100_23ff)] {
            let mut m = checking_sp();
            m.msr("SCTLR_EL1", sctlr);
            m.cpu.core.pc = CODE;
            m.poke(CODE, words);
            m.poke(CODE + 8, 0xf940_03e0);
            assert!(m.cpu.step() && m.cpu.step() && m.cpu.step(), "{words:#x}, SCTLR_EL1 {sctlr:#x}");
        }
    }

    #[test]
    fn accesses_through_a_misaligned_sp() {
        let cases = [
            ("ldr x0, [sp]", 0xf940_03e0, 0x26),
            ("ldadda x1, x0, [sp]", 0xf8a1_03e0, 0x26),
            ("ldapr x0, [sp]", 0xf8bf_c3e0, 0x26),
            ("ldr d0, [sp, #8]", 0xfd40_07e0, 0x26),
            ("ldxr x0, [sp]", 0xc85f_7fe0, 0x26),
            ("stp x0, x0, [sp, #-16]!", 0xa9bf_03e0, 0x26),
            ("ld1 {v0.8b}, [sp]", 0x0c40_73e0, 0x26),
            ("ldr x0, [sp, x2]", 0xf862_6be0, 0x26),
            ("prfm pldl1keep, [sp]", 0xf980_03e0, -1),
            ("prfum pldl1keep, [sp, #1]", 0xf880_13e0, -1),
            ("prfm pldl1keep, [sp, x2]", 0xf8a2_6be0, -1),
            ("ldr wzr, .+124", 0x1800_03ff, -1),
            ("mov x0, sp", 0x9100_03e0, -1),
            ("unallocated: size 11, opc 11", 0xf9c0_03e0, 0),
        ];
        for (text, word, ec) in cases {
            let mut m = checking_sp();
            // sub sp, sp, #8 before it.
            m.poke(CODE, word << 32 | 0xd100_23ff);
            assert!(m.cpu.step());
            assert_eq!(m.cpu.step(), ec < 0, "{text}");
            if ec >= 0 {
                assert_eq!(m.esr(), (ec as u8, true, 0), "{text}");
            }
        }
        let mut m = checking_sp();
        m.msr("CPACR_EL1", 0);
        m.cpu.core.pc = CODE;
        m.poke(CODE, 0xfd40_07e0_d100_23ff);
        assert!(m.cpu.step() && !m.cpu.step(), "ldr d0, [sp, #8]");
        assert_eq!(m.esr().0, 0x07, "the FP trap comes first");
    }

    const RAM_SP: u64 = crate::testing::RAM + 0x2_0000;
}

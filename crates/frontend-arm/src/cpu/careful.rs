//! Instructions that need a check each: Illegal Execution state, software step, hardware breakpoints, and
//! accesses through a misaligned stack pointer.
//!
//! All of them are rare, so blocks do without: a mode bit ([`Mode::careful`]) makes every instruction decode to
//! one helper that checks, executes through the interpreter instance, and checks again.
//!
//! SP alignment (SCTLR_ELx.SA, SA0): loads and stores do not test SP. SP is looked at whenever the CPU is
//! looked at (exception entry and return, writes of the registers behind it, every slice of guest code), and
//! while it is misaligned the careful mode tests each access. What is missed is an access through a stack
//! pointer that became misaligned a few instructions ago.

use lyrebird_isa::{Cpu, Emit, Helper, Sem, Term, Visitor};

use super::pstate::{Pstate, daif};
use super::{ArmCpu, Mode};
use crate::a64::regs;
use crate::a64::word::Word;
use crate::exception::{Recorded, ec};
use crate::sys::regs::mdscr;
use crate::sys::sctlr;

/// IFSC of a debug exception.
const DEBUG: u32 = 0b10_0010;

/// An instruction with checks around it.
#[derive(Clone, Copy, Debug)]
pub struct Careful {
    pc: u64,
    word: u32,
}

extern "C" fn careful_helper(cpu: &mut ArmCpu, word: u64, pc: u64, _: u64) -> u64 {
    cpu.execute_carefully(word as u32, pc);
    0
}

impl Sem<ArmCpu> for Careful {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.word as u64), e.imm(self.pc), e.imm(0)];
        e.call(Helper::cpu("careful", careful_helper), args)?;
        e.sync_pc();
        Ok(())
    }
}

/// Constructor for every word in a careful mode.
pub(crate) fn careful<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    v.visit(Careful { pc, word: w.0 })
}

/// Whether a word is a load or store with base SP that checks it (prefetches do not).
fn accesses_through_sp(w: Word) -> bool {
    let load_store = w.bit(27) && !w.bit(25);
    let literal = w.bits(27, 3) == 0b011 && !w.bit(24);
    let prefetch = w.bits(27, 3) == 0b111 && w.bits(22, 2) == 0b10 && w.bits(30, 2) == 0b11 && !w.bit(26);
    load_store && !literal && !prefetch && w.n() == 31
}

impl ArmCpu {
    /// Whether the current state asks for [`Mode::careful`].
    pub(crate) fn needs_care(&self) -> bool {
        self.pstate.il || self.sp_checked() || self.stepping() || self.breakpoints_armed()
    }

    /// Follows a misaligned SP that no change of context has shown yet.
    #[inline]
    pub(crate) fn notice_sp(&mut self) {
        if self.core.reg(regs::SP) & 15 != 0 && !Mode(self.mode).careful() {
            self.context_changed();
        }
    }

    /// SP is misaligned and checked.
    fn sp_checked(&self) -> bool {
        let el = self.pstate.el;
        let bit = if el == 0 { sctlr::SA0 } else { sctlr::SA };
        self.core.reg(regs::SP) & 15 != 0 && self.sys.sctlr[el.max(1) as usize & 3] & bit != 0
    }

    /// Whether debug exceptions other than BRK are taken from `el` with PSTATE.D as in `daif`
    /// (AArch64.GenerateDebugExceptionsFrom).
    pub(crate) fn debug_enabled(&self, el: u8, daif: u64) -> bool {
        if self.sys.os_lock || self.sys.osdlr & 1 != 0 {
            return false;
        }
        match el {
            0 => true,
            1 => self.sys.mdscr & mdscr::KDE != 0 && daif & daif::D == 0,
            _ => false,
        }
    }

    fn debug_enabled_here(&self) -> bool {
        self.debug_enabled(self.pstate.el, self.core.reg(regs::DAIF))
    }

    /// Software step is active (Arm ARM D2.12).
    fn stepping(&self) -> bool {
        self.sys.mdscr & mdscr::SS != 0 && self.debug_enabled_here()
    }

    /// Whether an exception return to `el` with this SPSR takes PSTATE.SS from it (DebugExceptionReturnSS).
    pub(crate) fn step_enabled_after_return(&self, spsr: u64, el: u8) -> bool {
        self.sys.mdscr & mdscr::SS != 0 && !self.debug_enabled_here() && self.debug_enabled(el, spsr)
    }

    fn breakpoints_armed(&self) -> bool {
        self.sys.mdscr & mdscr::MDE != 0
            && self.sys.dbgbcr.iter().any(|b| b & 1 != 0)
            && self.debug_enabled_here()
    }

    /// Whether a breakpoint matches the instruction at `pc`: address matches, unlinked (Arm ARM D2.8).
    fn breakpoint_hit(&mut self, pc: u64) -> bool {
        let mut hit = false;
        for i in 0..self.sys.dbgbcr.len() {
            let (control, value) = (self.sys.dbgbcr[i], self.sys.dbgbvr[i]);
            if control & 1 == 0 {
                continue;
            }
            if control >> 20 & 0xf != 0 {
                self.counters.gap("breakpoint linked or on context");
                continue;
            }
            // PMC: EL1 in bit 1, EL0 in bit 2.
            let level = match self.pstate.el {
                0 => control & 4 != 0,
                1 => control & 2 != 0,
                _ => false,
            };
            // Bits 63 to 49 of the value are a sign extension.
            hit |= level && ((value << 15) as i64 >> 15) as u64 == pc & !3;
        }
        hit
    }

    /// Executes `word` at `pc` with every check. An exception is taken, not recorded.
    pub(crate) fn execute_carefully(&mut self, word: u32, pc: u64) {
        self.core.pc = pc;
        if let Some(r) = self.check_before(Word(word), pc) {
            self.take_sync(r, pc);
        } else {
            let stepping = self.stepping();
            let done = self.execute(word);
            if stepping && done {
                self.set_pstate(Pstate { ss: false, ..self.pstate });
                // The instruction may have switched step off (MSR MDSCR_EL1).
                if self.stepping() {
                    // ISV; EX where a load-exclusive was stepped.
                    let exclusive = word & 0x3f40_0000 == 0x0840_0000;
                    let iss = 1 << 24 | (exclusive as u32) << 6 | DEBUG;
                    let r = Recorded { ec: ec::SOFTWARE_STEP, iss, far: None, after: false };
                    let pc = self.core.pc;
                    self.take_sync(r, pc);
                }
            }
        }
        if self.needs_care() != Mode(self.mode()).careful() {
            self.context_changed();
        }
    }

    /// The exception that comes before the instruction, in order of priority (Arm ARM D1.3.5).
    fn check_before(&mut self, w: Word, pc: u64) -> Option<Recorded> {
        let exception = |ec, iss| Some(Recorded { ec, iss, far: None, after: false });
        if self.stepping() && !self.pstate.ss {
            return exception(ec::SOFTWARE_STEP, DEBUG);
        }
        if self.breakpoints_armed() && self.breakpoint_hit(pc) {
            return exception(ec::BREAKPOINT, DEBUG);
        }
        if self.pstate.il {
            return exception(ec::ILLEGAL_STATE, 0);
        }
        if self.sp_checked() && accesses_through_sp(w) {
            return exception(ec::SP_ALIGNMENT, 0);
        }
        None
    }
}

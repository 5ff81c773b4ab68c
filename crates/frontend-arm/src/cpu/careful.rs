//! Instructions that need a check each: Illegal Execution state, software step, hardware breakpoints, and
//! accesses through a misaligned stack pointer.
//!
//! All of them are rare, so blocks do without: a mode bit ([`Mode::careful`]) makes every instruction decode to
//! one helper that checks, executes through the interpreter instance, and checks again.
//!
//! SP alignment (SCTLR_ELx.SA, SA0): loads and stores do not test SP. Outside the careful mode SP is aligned, or
//! not checked, and what could change that looks: exception entry and return and writes of the registers behind
//! it by [`ArmCpu::context_changed`], ADD and SUB with destination SP by [`set_sp`], and what else may misalign
//! SP ([`may_misalign_sp`]) is executed carefully itself. Compilers move SP by multiples of 16, which can not.

use std::any::TypeId;

use lyrebird_isa::{Cpu, Emit, Helper, Sem, Term, Visitor, Width};

use super::pstate::{Pstate, daif};
use super::{ArmCpu, Mode};
use crate::a64::sem::dp_imm::bitmask;
use crate::a64::sem::undefined::{FpTrap, Undefined};
use crate::a64::word::Word;
use crate::a64::{decode, regs};
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

/// Constructor for every word in a careful mode, and for those that may misalign SP in any.
pub(crate) fn careful<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    v.visit(Careful { pc, word: w.0 })
}

/// Whether a word is a load or store with base SP that checks it (prefetches do not).
fn accesses_through_sp(w: Word) -> bool {
    let load_store = w.bit(27) && !w.bit(25);
    let literal = w.bits(27, 3) == 0b011 && !w.bit(24);
    // PRFM (unsigned offset), PRFM (register), PRFUM.
    let hint = w.bit(24) || matches!((w.bit(21), w.bits(10, 2)), (true, 0b10) | (false, 0b00));
    let prefetch = w.bits(27, 3) == 0b111 && w.bits(22, 2) == 0b10 && w.bits(30, 2) == 0b11 && !w.bit(26);
    load_store && !literal && !(prefetch && hint) && w.n() == 31
}

/// Whether a word may turn an aligned SP into a misaligned one. 64-bit ADD and SUB, which do not count here,
/// look themselves.
pub(crate) fn may_misalign_sp(w: Word, pc: u64, mode: Mode) -> bool {
    moves_sp_freely(w) && decode::plain(w, pc, mode, Meaningful)
}

/// The same by its fields alone, which may be those of an unallocated encoding.
fn moves_sp_freely(w: Word) -> bool {
    match w.bits(25, 4) {
        // Data processing (immediate).
        0b1000 | 0b1001 if w.d() == 31 => match (w.bits(23, 6), w.bits(29, 2)) {
            (0b10_0010, _) => !w.bit(29) && !w.sf(),
            (0b10_0100, 0b11) => false,
            (0b10_0100, opc) => {
                let imm = bitmask::decode(Width::sf(w.sf()), w.bit(22), w.bits(16, 6), w.bits(10, 6));
                // AND, or ORR with XZR, of a multiple of 16.
                !(imm.is_some_and(|imm| imm & 15 == 0) && (opc == 0b00 || opc == 0b01 && w.n() == 31))
            }
            _ => false,
        },
        // Add/subtract (extended register).
        0b0101 | 0b1101 => w.bits(24, 5) == 0b01011 && w.bit(21) && !w.bit(29) && !w.sf() && w.d() == 31,
        // Loads and stores that write the base back.
        0b0100 | 0b0110 | 0b1100 | 0b1110 if w.n() == 31 => match w.bits(27, 3) {
            // Structures: by a register, or by what is accessed.
            0b001 if w.bit(26) => w.bit(23) && (w.m() != 31 || w.bit(24) || !w.bit(30)),
            0b101 => {
                let log2 = match (w.bit(26), w.bits(30, 2)) {
                    (true, opc) => 2 + opc,
                    (false, 0b10) => 3,
                    (false, _) => 2,
                };
                w.bit(23) && w.bits(15, 7) << log2 & 15 != 0
            }
            0b111 if !w.bit(24) && w.bit(10) => w.bit(21) || w.bits(12, 9) & 15 != 0,
            _ => false,
        },
        _ => false,
    }
}

/// Looks at the value that the instruction is about to write to SP. If accesses through it have to be checked,
/// the instruction ends here, with the CPU in the careful mode.
extern "C" fn set_sp_helper(cpu: &mut ArmCpu, sp: u64, _: u64, _: u64) -> u64 {
    if sp & 15 != 0 && cpu.sp_checked() && !Mode(cpu.mode()).careful() {
        cpu.core.set_reg(regs::SP, sp);
        cpu.context_changed();
        cpu.leave_completed();
    }
    0
}

/// Writes SP with what may not be a multiple of 16: the last thing that an instruction does.
#[inline(always)]
pub(crate) fn set_sp<E: Emit<Cpu = ArmCpu>>(e: &mut E, sp: E::Val) -> Result<(), E::Fault> {
    let z = e.imm(0);
    e.call(Helper::cpu("set_sp", set_sp_helper), [sp, z, z])?;
    e.set_reg(regs::SP, sp);
    Ok(())
}

/// Whether a word has a meaning of its own, not that of an undefined or trapped instruction.
struct Meaningful;

impl Visitor<ArmCpu> for Meaningful {
    type Out = bool;

    fn visit<S: Sem<ArmCpu>>(self, _: S) -> bool {
        let refusals =
            [TypeId::of::<Undefined<false>>(), TypeId::of::<Undefined<true>>(), TypeId::of::<FpTrap>()];
        !refusals.contains(&TypeId::of::<S>())
    }
}

impl ArmCpu {
    /// Whether the current state asks for [`Mode::careful`].
    pub(crate) fn needs_care(&self) -> bool {
        self.pstate.il || self.sp_misaligned() || self.stepping() || self.breakpoints_armed()
    }

    /// Follows PSTATE.D and OSDLR_EL1.DLK, whose writes end the slice and nothing else: debug exceptions may have
    /// become enabled.
    pub(super) fn follow_debug(&mut self) {
        let asked = self.sys.mdscr & (mdscr::SS | mdscr::MDE) != 0;
        if asked && self.needs_care() && !Mode(self.mode).careful() {
            self.context_changed();
        }
    }

    /// The alignment of SP is checked.
    fn sp_checked(&self) -> bool {
        let el = self.pstate.el;
        let bit = if el == 0 { sctlr::SA0 } else { sctlr::SA };
        self.sys.sctlr[el.max(1) as usize & 3] & bit != 0
    }

    /// SP is misaligned and checked.
    fn sp_misaligned(&self) -> bool {
        self.core.reg(regs::SP) & 15 != 0 && self.sp_checked()
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
        // After whatever else the encoding may raise.
        if self.sp_misaligned()
            && accesses_through_sp(w)
            && decode::plain(w, pc, Mode(self.mode()), Meaningful)
        {
            return exception(ec::SP_ALIGNMENT, 0);
        }
        None
    }
}

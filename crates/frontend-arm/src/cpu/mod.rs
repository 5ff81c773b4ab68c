//! [`ArmCpu`]: one ARM vCPU.

pub mod counters;
pub mod model;
pub mod pstate;
mod step;

use std::sync::Arc;

use lyrebird_isa::cpu::{CodePage, Event};
use lyrebird_isa::lines::{CpuLines, FIQ, IRQ, SERROR, STOP};
use lyrebird_isa::{Core, Cpu, MemOp, Rmw, V128, Visitor};

use crate::a64::table::{self, Feature};
use crate::a64::word::Word;
use crate::a64::{decode, regs};
use crate::exception::{Kind, Recorded, ec};
use crate::platform::Platform;
use crate::sys::SysRegs;
use counters::Counters;
use model::CpuModel;
use pstate::{Pstate, daif};

/// Bits of the CPU's state that change what an instruction word means; blocks are keyed by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u64);

impl Mode {
    /// Exception level, bits 1 to 0.
    pub fn el(self) -> u8 {
        (self.0 & 3) as u8
    }

    /// FP and SIMD instructions trap, bit 2.
    pub fn fp_trapped(self) -> bool {
        self.0 & 4 != 0
    }

    /// Whether the CPU model has a feature; mask in bits 16 and up.
    pub fn has(self, f: Feature) -> bool {
        self.0 >> 16 & 1 << f as u8 != 0
    }
}

/// Floating-point control and status.
#[derive(Clone, Copy, Debug, Default)]
pub struct FpState {
    /// FPCR.
    pub fpcr: u64,
    /// FPSR.
    pub fpsr: u64,
}

/// One ARM vCPU.
#[derive(Debug)]
#[repr(C)]
pub struct ArmCpu {
    /// JIT-visible state.
    pub core: Core,
    /// FPCR and FPSR.
    pub fp: FpState,
    /// PSTATE without NZCV and DAIF. Changed through [`ArmCpu::set_pstate`].
    pub pstate: Pstate,
    /// System registers.
    pub sys: SysRegs,
    /// What the core is.
    pub model: CpuModel,
    /// The board.
    pub platform: Box<dyn Platform>,
    /// What happened.
    pub counters: Counters,
    /// The exception that [`Core::fault`] announces.
    pub(crate) recorded: Option<Recorded>,
    /// The event register of WFE and SEV.
    pub(crate) event: bool,
    /// In WFI until an interrupt is pending.
    pub(crate) waiting: bool,
    lines: Arc<CpuLines>,
}

impl ArmCpu {
    /// A CPU in its reset state: EL1h, MMU off, all interrupts masked, PC 0.
    pub fn new(model: CpuModel, platform: Box<dyn Platform>) -> ArmCpu {
        let lines = platform.lines().clone();
        let mut cpu = ArmCpu {
            core: Core::new(),
            fp: FpState::default(),
            pstate: Pstate {
                el: model.top_el,
                sp_sel: true,
                pan: false,
                uao: false,
                dit: false,
                ssbs: false,
                btype: 0,
                il: false,
                ss: false,
            },
            sys: SysRegs::new(&model),
            model,
            platform,
            counters: Counters::new(),
            recorded: None,
            event: false,
            waiting: false,
            lines,
        };
        cpu.core.set_reg(regs::DAIF, pstate::spsr::DAIF);
        cpu
    }

    /// Changes PSTATE, switching stack pointers and translation context as needed.
    pub fn set_pstate(&mut self, to: Pstate) {
        let (old, new) = (self.pstate.sp_bank(), to.sp_bank());
        if old != new {
            let sp = self.core.reg(regs::SP);
            self.core.set_reg(regs::sp_el(old), sp);
            let sp = self.core.reg(regs::sp_el(new));
            self.core.set_reg(regs::SP, sp);
        }
        self.pstate = to;
    }

    /// Whether CPACR_EL1.FPEN traps FP and Advanced SIMD at the current level.
    pub fn fp_trapped(&self) -> bool {
        match self.sys.cpacr >> 20 & 3 {
            3 => false,
            1 => self.pstate.el == 0,
            _ => self.pstate.el < 2,
        }
    }

    /// Takes the interrupt of highest priority among the lines in `level` that PSTATE does not mask.
    fn take_pending(&mut self, level: u32) {
        let mask = self.core.reg(regs::DAIF);
        if level & SERROR != 0 && mask & daif::A == 0 {
            // An SError is an edge: once taken it is gone.
            self.lines.set(SERROR, false);
            self.take_interrupt(Kind::SError);
        } else if level & FIQ != 0 && mask & daif::F == 0 {
            self.take_interrupt(Kind::Fiq);
        } else if level & IRQ != 0 && mask & daif::I == 0 {
            self.take_interrupt(Kind::Irq);
        }
    }

    pub(crate) fn step_enabled_after_return(&self, _spsr: u64, _to: u8) -> bool {
        false
    }

    /// Records the undefined-instruction exception for `word`. `known`: the encoding has a row in the table but
    /// no semantics; it is counted by name.
    pub fn undefined_instruction(&mut self, word: u32, known: bool) {
        match table::lookup(Word(word)) {
            Some(row) if known => *self.counters.unimplemented.entry(row.name).or_insert(0) += 1,
            _ => self.counters.count_unallocated(word),
        }
        self.raise_undefined();
    }

    /// Records the FP access trap. CV is set and COND is 0b1110 from AArch64 (Arm ARM D17.2.37).
    pub fn fp_access_trap(&mut self) {
        self.raise_ec(ec::FP_ACCESS, 1 << 24 | 0xe << 20);
    }
}

// SAFETY: `repr(C)` with `core` first.
unsafe impl Cpu for ArmCpu {
    fn core(&self) -> &Core {
        &self.core
    }
    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }
    fn mode(&self) -> u64 {
        self.pstate.el as u64 | (self.fp_trapped() as u64) << 2 | self.model.features << 16
    }
    fn decode<V: Visitor<Self>>(bytes: &[u8], pc: u64, mode: u64, v: V) -> (V::Out, usize) {
        let w = match bytes.first_chunk() {
            Some(b) => Word(u32::from_le_bytes(*b)),
            None => Word(0),
        };
        (decode::decode(w, pc, Mode(mode), v), 4)
    }
    fn disassemble(bytes: &[u8], _pc: u64) -> String {
        match bytes.first_chunk() {
            Some(b) => decode::disassemble(Word(u32::from_le_bytes(*b))),
            None => String::from("(truncated)"),
        }
    }
    fn fetch(&mut self, _va: u64) -> Option<CodePage> {
        None
    }
    fn take_fault(&mut self, pc: u64) {
        self.core.fault = 0;
        if let Some(r) = self.recorded.take() {
            self.take_sync(r, pc);
        }
    }
    fn poll(&mut self, retired: u64) -> Event {
        self.counters.retired += retired;
        self.platform.advance(retired);
        let level = self.lines.level();
        if level & STOP != 0 {
            return Event::Stop;
        }
        if level & (IRQ | FIQ | SERROR) != 0 {
            // A pending interrupt ends WFI even where it is masked (Arm ARM D1.6).
            self.waiting = false;
            self.take_pending(level);
        }
        if self.waiting { Event::Idle } else { Event::Run }
    }
    fn wait(&mut self) {
        self.counters.sleeps += 1;
        self.platform.idle();
    }
    fn watch_code(&mut self, _pa: u64) {}
    fn unwatch_code(&mut self, _pa: u64) {}
    fn take_dirty_code(&mut self) -> Option<(u64, u64)> {
        None
    }
    fn load_slow(&mut self, _va: u64, _m: MemOp) -> u64 {
        0
    }
    fn store_slow(&mut self, _va: u64, _m: MemOp, _v: u64) {}
    fn load128_slow(&mut self, _va: u64, _m: MemOp) -> V128 {
        V128::default()
    }
    fn store128_slow(&mut self, _va: u64, _m: MemOp, _v: V128) {}
    fn rmw(&mut self, _op: Rmw, _va: u64, _m: MemOp, _v: u64) -> u64 {
        0
    }
    fn cas(&mut self, _va: u64, _m: MemOp, _expected: u64, _new: u64) -> u64 {
        0
    }
}

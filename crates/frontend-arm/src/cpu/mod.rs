//! [`ArmCpu`]: one ARM vCPU.

mod careful;
pub mod counters;
mod events;
pub mod model;
pub mod pstate;
mod step;

use std::sync::Arc;

use lyrebird_fp::Flags;
use lyrebird_isa::cpu::{CodePage, Event};
use lyrebird_isa::host::{Status, flag};
use lyrebird_isa::lines::CpuLines;
use lyrebird_isa::state::{PAGE_MASK, tlb_index};
use lyrebird_isa::{Core, Cpu, MemOp, Rmw, V128, Visitor, float};
use lyrebird_softmmu::walk::vmsa64::WalkFault;
use lyrebird_softmmu::{MemError, Mmu, PhysMem};

use crate::a64::table::{self, Feature};
use crate::a64::word::Word;
use crate::a64::{decode, regs};
use crate::exception::{Recorded, ec};
use crate::platform::Platform;
use crate::sys::SysRegs;
use crate::sys::address::Regime1;
pub(crate) use careful::{careful, may_misalign_sp, set_sp};
use counters::Counters;
use model::CpuModel;
use pstate::Pstate;

/// Bits of the CPU's state that change what an instruction word means; blocks are keyed by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u64);

impl Mode {
    const FP_TRAPPED: u64 = 1 << 2;
    const SP_SEL: u64 = 1 << 3;
    /// Every instruction goes through [`ArmCpu::execute_carefully`].
    const CAREFUL: u64 = 1 << 4;
    /// Floating point computes on the host's unit.
    const FP_HOST: u64 = 1 << 5;

    /// Exception level, bits 1 to 0.
    pub fn el(self) -> u8 {
        (self.0 & 3) as u8
    }

    /// FP and SIMD instructions trap, bit 2.
    pub fn fp_trapped(self) -> bool {
        self.0 & Mode::FP_TRAPPED != 0
    }

    /// PSTATE.SP, bit 3.
    pub fn sp_sel(self) -> bool {
        self.0 & Mode::SP_SEL != 0
    }

    /// Something must be checked before or after every instruction, bit 4: Illegal Execution state, software
    /// step, breakpoints, a misaligned SP.
    pub fn careful(self) -> bool {
        self.0 & Mode::CAREFUL != 0
    }

    /// FPCR is as the host's control word at rest, but for DN: nearest, nothing flushed, no alternative half precision.
    /// What FP instructions compute is then the host's to compute, bit 5.
    pub fn fp_host(self) -> bool {
        self.0 & Mode::FP_HOST != 0
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

impl FpState {
    /// FPCR.DN: NaN results are the default NaN.
    const DN: u64 = 1 << 25;
}

/// Flags of FPSR and those of the host that are the same. Of a denormal operand the host alone has a flag: FPSR.IDC is of
/// operands that were flushed.
const SAME_FLAGS: [(u64, u32); 5] = [
    (Flags::INVALID.0 as u64, flag::IE),
    (Flags::DIV_BY_ZERO.0 as u64, flag::ZE),
    (Flags::OVERFLOW.0 as u64, flag::OE),
    (Flags::UNDERFLOW.0 as u64, flag::UE),
    (Flags::INEXACT.0 as u64, flag::PE),
];

/// One ARM vCPU.
#[derive(Debug)]
#[repr(C)]
pub struct ArmCpu {
    /// JIT-visible state.
    pub core: Core,
    /// FPCR and FPSR. While guest code runs the host holds a part of FPSR ([`ArmCpu::fpsr`]).
    pub fp: FpState,
    pub(crate) status: Status,
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
    /// The exception that [`Core::fault`] announces; without one, the instruction is complete, and the mode new.
    pub(crate) recorded: Option<Recorded>,
    /// The event register of WFE and SEV.
    pub(crate) event: bool,
    /// In WFI until an interrupt is pending.
    pub(crate) waiting: bool,
    pub(crate) lines: Arc<CpuLines>,
    /// Translation and slow memory paths.
    pub mmu: Mmu,
    /// The regime of the current exception level.
    pub(crate) regime: Regime1,
    /// What stands for its address space in contexts of the MMU.
    pub(crate) space: u16,
    /// What [`Cpu::mode`] returns.
    pub(crate) mode: u64,
}

impl ArmCpu {
    /// A CPU in its reset state: the highest exception level, MMU off, all interrupts masked, PC 0. `mpidr` is
    /// the affinity in the layout of MPIDR_EL1.
    pub fn new(model: CpuModel, mpidr: u64, platform: Box<dyn Platform>, phys: Arc<PhysMem>) -> ArmCpu {
        let lines = platform.lines().clone();
        let mut core = Core::new();
        let mmu = Mmu::new(phys, &mut core);
        let cntfrq = platform.frequency();
        let mut cpu = ArmCpu {
            core,
            fp: FpState::default(),
            status: Status::default(),
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
            sys: SysRegs::new(&model, mpidr, cntfrq),
            model,
            platform,
            counters: Counters::new(),
            recorded: None,
            event: false,
            waiting: false,
            lines,
            mmu,
            regime: Regime1::OFF,
            space: 0,
            mode: 0,
        };
        cpu.core.set_reg(regs::DAIF, pstate::spsr::DAIF);
        cpu.tables_changed();
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
        let regime = self.pstate.el.max(1) != to.el.max(1);
        self.pstate = to;
        if regime {
            self.tables_changed();
        } else {
            self.context_changed();
        }
    }

    /// Whether CPACR_EL1.FPEN traps FP and Advanced SIMD at the current level.
    pub fn fp_trapped(&self) -> bool {
        match self.sys.cpacr >> 20 & 3 {
            3 => false,
            1 => self.pstate.el == 0,
            _ => self.pstate.el < 2,
        }
    }

    /// Recomputes the mode bits.
    pub(crate) fn update_mode(&mut self) {
        let mut m = self.pstate.el as u64 | self.model.features << 16;
        if self.fp_trapped() {
            m |= Mode::FP_TRAPPED;
        }
        if self.pstate.sp_sel {
            m |= Mode::SP_SEL;
        }
        if self.needs_care() {
            m |= Mode::CAREFUL;
        }
        if float::AVAILABLE && self.fp.fpcr & !FpState::DN == 0 {
            m |= Mode::FP_HOST;
        }
        self.mode = m;
    }

    /// FPSR, with what the host holds of it.
    pub fn fpsr(&mut self) -> u64 {
        self.collect_status();
        self.fp.fpsr
    }

    /// Sets FPSR.
    pub fn set_fpsr(&mut self, v: u64) {
        self.fp.fpsr = v;
        self.status.clear();
    }

    /// Sets FPCR. Whether that has changed the mode.
    pub fn set_fpcr(&mut self, v: u64) -> bool {
        self.fp.fpcr = v;
        let mode = self.mode;
        self.update_mode();
        if self.mode == mode {
            return false;
        }
        self.context_changed();
        true
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
        self.mode
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
    fn fetch(&mut self, va: u64) -> Option<CodePage> {
        // The PC of a branch to a tagged address has no tag (Arm ARM, AArch64.BranchAddr).
        let va = self.regime.branch_address(va);
        self.core.pc = va;
        if va & 3 != 0 {
            self.raise(Recorded { ec: ec::PC_ALIGNMENT, iss: 0, far: Some(va), after: false });
            return None;
        }
        match self.mmu.fetch(&mut self.core, &self.regime, va) {
            Ok(f) => Some(CodePage { pa: f.pa, host: f.host }),
            Err(e) => {
                self.memory_fault(e);
                None
            }
        }
    }
    fn take_fault(&mut self, pc: u64) {
        self.core.fault = 0;
        match self.recorded.take() {
            Some(r) => self.take_sync(r, pc),
            None => self.core.pc = pc.wrapping_add(4),
        }
    }
    fn poll(&mut self, retired: u64) -> Event {
        self.poll_events(retired)
    }
    fn after_sync(&mut self) -> bool {
        self.follow_debug();
        self.waiting || self.lines.level() != 0
    }
    fn wait(&mut self) {
        self.counters.sleeps += 1;
        self.platform.idle();
    }
    fn watch_code(&mut self, pa: u64) {
        self.mmu.watch_code(pa);
    }
    fn unwatch_code(&mut self, pa: u64) {
        self.mmu.unwatch_code(pa);
    }
    fn has_dirty_code(&self) -> bool {
        self.mmu.has_dirty_code()
    }
    fn take_dirty_code(&mut self) -> Option<(u64, u64)> {
        self.mmu.take_dirty_code()
    }
    fn enter_guest(&mut self) -> bool {
        let known = SAME_FLAGS.iter().filter(|(f, _)| self.fp.fpsr & f != 0);
        self.status.enter(known.fold(flag::DE, |m, (_, host)| m | host))
    }
    fn leave_guest(&mut self) {
        self.collect_status();
        self.status.leave();
    }
    fn collect_status(&mut self) {
        let raised = self.status.raised();
        let new = SAME_FLAGS.iter().filter(|(_, host)| raised & host != 0);
        self.fp.fpsr |= new.fold(0, |m, (f, _)| m | f);
    }
    fn aux_state(&self) -> [u64; 2] {
        [self.fp.fpcr, self.fp.fpsr]
    }
    fn set_aux_state(&mut self, v: [u64; 2]) {
        (self.fp.fpcr, self.fp.fpsr) = (v[0], v[1]);
    }
    fn load_slow(&mut self, va: u64, m: MemOp) -> u64 {
        let r = self.mmu.load(&mut self.core, &self.regime, va, m);
        self.completed(r)
    }
    fn store_slow(&mut self, va: u64, m: MemOp, v: u64) {
        let r = self.mmu.store(&mut self.core, &self.regime, va, m, v);
        self.completed(r);
    }
    fn load128_slow(&mut self, va: u64, m: MemOp) -> V128 {
        let r = self.mmu.load128(&mut self.core, &self.regime, va, m);
        self.completed(r)
    }
    fn store128_slow(&mut self, va: u64, m: MemOp, v: V128) {
        let r = self.mmu.store128(&mut self.core, &self.regime, va, m, v);
        self.completed(r);
    }
    fn rmw(&mut self, op: Rmw, va: u64, m: MemOp, v: u64) -> u64 {
        let r = self.mmu.rmw(&mut self.core, &self.regime, op, va, m, v);
        self.completed(r)
    }
    fn cas(&mut self, va: u64, m: MemOp, expected: u64, new: u64) -> u64 {
        let r = self.mmu.cas(&mut self.core, &self.regime, va, m, expected, new);
        self.completed(r)
    }
}

impl ArmCpu {
    /// The value of an access, or its fault recorded.
    #[inline]
    fn completed<T: Default>(&mut self, r: Result<T, MemError<WalkFault>>) -> T {
        match r {
            Ok(v) => v,
            Err(e) => {
                self.memory_fault(e);
                T::default()
            }
        }
    }

    /// Host address of `va` if the inline TLB allows ordinary stores to its page.
    #[inline]
    pub(crate) fn inline_write(&self, va: u64) -> Option<*mut u8> {
        // SAFETY: the MMU has pointed `Core::tlb` at a table of `TLB_ENTRIES` entries, and `tlb_index` is below.
        let e = unsafe { &*self.core.tlb.add(tlb_index(va)) };
        (e.write == va & PAGE_MASK).then(|| va.wrapping_add(e.addend) as *mut u8)
    }

    /// Atomic 16-byte compare-and-swap; the old value. On a fault sets [`Core::fault`].
    pub fn cas128(&mut self, va: u64, m: MemOp, expected: V128, new: V128) -> V128 {
        let r = self.mmu.cas128(&mut self.core, &self.regime, va, m, expected, new);
        self.completed(r)
    }
}

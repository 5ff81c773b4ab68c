//! [`X86Cpu`]: one x86 vCPU.

pub mod counters;
pub mod entry;
mod events;
mod mode;
pub mod model;
pub(crate) mod step;

use std::sync::Arc;

use lyrebird_isa::cpu::{CodePage, Event};
use lyrebird_isa::host::{Status, flag};
use lyrebird_isa::lines::{CpuLines, IRQ};
use lyrebird_isa::state::REGS;
use lyrebird_isa::{Core, Cpu, MemOp, Rmw, V128, Visitor};
use lyrebird_softmmu::{AccessKind, MemError, Mmu, PhysMem, Touches};

use crate::decode;
use crate::exception::{Recorded, Shutdown};
use crate::platform::Platform;
use crate::regs::{self, Seg, rflags};
use crate::sys::control::Control;
use crate::sys::msr::Msrs;
use crate::sys::paging::{PageFault, Paging};
use crate::sys::segment::{Segment, Table};
use counters::Counters;
pub use mode::Mode;
use mode::Modes;
use model::CpuModel;

/// x87 state (SDM Vol. 1, 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X87 {
    /// Registers R0 to R7 (not the stack): significand, then sign and exponent. MMX registers are the significands.
    pub regs: [(u64, u16); 8],
    /// Control word.
    pub cw: u16,
    /// Status word, TOP in bits 13 to 11.
    pub sw: u16,
    /// Tag word, two bits per register.
    pub tw: u16,
    /// Last opcode, 11 bits.
    pub fop: u16,
    /// Last instruction pointer, and its selector.
    pub fip: (u64, u16),
    /// Last data pointer, and its selector.
    pub fdp: (u64, u16),
}

impl X87 {
    /// After RESET or FNINIT.
    pub const fn new() -> X87 {
        X87 { regs: [(0, 0); 8], cw: 0x37f, sw: 0, tw: 0xffff, fop: 0, fip: (0, 0), fdp: (0, 0) }
    }
}

impl Default for X87 {
    fn default() -> Self {
        X87::new()
    }
}

/// One x86 vCPU.
#[derive(Debug)]
#[repr(C)]
pub struct X86Cpu {
    /// JIT-visible state. Segment bases and RFLAGS are in its registers ([`crate::regs`]).
    pub core: Core,
    /// Media control and status. While guest code runs the host holds a part of the status ([`X86Cpu::mxcsr`]).
    pub mxcsr: u32,
    pub(crate) status: Status,
    /// Current privilege level.
    pub cpl: u8,
    /// Segment registers by [`Seg`], without their bases. Changed through [`X86Cpu::set_segment`].
    pub segs: [Segment; 6],
    /// LDTR, and its base.
    pub ldtr: (Segment, u64),
    /// Task register, and its base.
    pub tr: (Segment, u64),
    /// GDTR.
    pub gdtr: Table,
    /// IDTR.
    pub idtr: Table,
    /// Control registers, XCR0 and EFER. What changes translation or decoding goes through `sys::control`.
    pub control: Control,
    /// Debug registers DR0 to DR3, DR6, DR7 at their numbers.
    pub dr: [u64; 8],
    /// Model-specific registers.
    pub msr: Msrs,
    /// x87 and MMX.
    pub x87: X87,
    /// What the core is.
    pub model: CpuModel,
    /// The board.
    pub platform: Box<dyn Platform>,
    /// What happened.
    pub counters: Counters,
    /// The exception that [`Core::fault`] announces.
    pub(crate) recorded: Option<Recorded>,
    /// In HLT until an interrupt.
    pub(crate) halted: bool,
    /// FERR# is asserted.
    pub(crate) ferr: bool,
    /// Interrupts wait for one more instruction (STI, MOV SS, POP SS).
    pub(crate) shadow: bool,
    /// A REP instruction has stopped in the middle, so that interrupts can be looked at.
    pub(crate) unfinished: bool,
    /// In careful mode, that MOV SS or POP SS comes before: the breakpoints that it holds back, as DR6 will have them.
    pub(crate) held: Option<u64>,
    /// NMIs are blocked until IRET.
    pub(crate) nmi_blocked: bool,
    /// Stores to pages with translated code go through: one instruction is being executed alone.
    pub(crate) alone: bool,
    /// The PC's page holds the end of CS ([`X86Cpu::follow_limit`]).
    pub(crate) at_limit: bool,
    /// What led to the last triple fault, for a report.
    pub shutdown: Option<Shutdown>,
    /// State of the generator behind RDRAND and RDSEED.
    pub(crate) random: u64,
    pub(crate) lines: Arc<CpuLines>,
    /// Translation and slow memory paths.
    pub mmu: Mmu,
    /// Paging in its current state.
    pub(crate) paging: Paging,
    /// What [`Cpu::mode`] returns.
    pub(crate) mode: Mode,
    pub(crate) modes: Modes,
    pub(crate) crossings: step::Crossings,
}

impl X86Cpu {
    /// A CPU in its reset state (SDM Vol. 3, 9.1.1): real mode, CS:IP F000:FFF0 with base 0xFFFF0000.
    pub fn new(model: CpuModel, platform: Box<dyn Platform>, phys: Arc<PhysMem>) -> X86Cpu {
        let lines = platform.lines().clone();
        let mut core = Core::new();
        let mmu = Mmu::new(phys, &mut core);
        let mut cpu = X86Cpu {
            core,
            // What follows is `reset`'s to fill in.
            mxcsr: 0,
            status: Status::default(),
            cpl: 0,
            segs: [Segment::NULL; 6],
            ldtr: (Segment::NULL, 0),
            tr: (Segment::NULL, 0),
            gdtr: Table::default(),
            idtr: Table::default(),
            control: Control::reset(),
            dr: [0; 8],
            msr: Msrs::reset(&model),
            x87: X87::new(),
            model,
            platform,
            counters: Counters::new(),
            recorded: None,
            halted: false,
            ferr: false,
            shadow: false,
            unfinished: false,
            held: None,
            nmi_blocked: false,
            alone: false,
            at_limit: false,
            shutdown: None,
            random: 0,
            lines,
            mmu,
            paging: Paging::OFF,
            mode: Mode(0),
            modes: Modes::default(),
            crossings: step::Crossings::new(),
        };
        cpu.reset();
        cpu
    }

    /// RESET, for a board between slices: all state as after power-up, but for counters, the random number generator and
    /// what led to the last shutdown.
    pub fn reset(&mut self) {
        self.core.regs = [0; REGS];
        self.core.vregs = [V128::default(); 32];
        self.core.set_nzcv(lyrebird_isa::flags::C | 1);
        self.core.fault = 0;
        self.recorded = None;
        self.mxcsr = 0x1f80;
        self.cpl = 0;
        self.segs = [Segment::REAL_DATA; 6];
        self.segs[Seg::Cs as usize] = Segment { selector: 0xf000, ..Segment::REAL_CODE };
        self.core.set_reg(regs::base(Seg::Cs), 0xffff_0000);
        self.ldtr = (Segment::NULL, 0);
        self.tr = (Segment::NULL, 0);
        self.gdtr = Table { base: 0, limit: 0xffff };
        self.idtr = Table { base: 0, limit: 0xffff };
        self.control = Control::reset();
        self.dr = [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400];
        self.msr = Msrs::reset(&self.model);
        self.x87 = X87::new();
        (self.halted, self.shadow, self.nmi_blocked, self.ferr) = (false, false, false, false);
        self.held = None;
        self.unfinished = false;
        self.core.set_reg(regs::FLAGS, rflags::FIXED);
        self.core.set_reg(regs::RDX, self.model.signature as u64);
        self.core.pc = 0xffff_fff0;
        // Without paging there are no PDPTEs to find fault with.
        let _ = self.paging_changed();
        self.flush_tlb();
    }

    /// The base address of a segment.
    #[inline(always)]
    pub fn base(&self, seg: Seg) -> u64 {
        self.core.reg(regs::base(seg))
    }

    /// The instruction pointer, from the linear [`Core::pc`].
    pub fn rip(&self) -> u64 {
        self.rip_of(self.core.pc)
    }

    /// The instruction pointer of a linear code address.
    #[inline]
    pub fn rip_of(&self, pc: u64) -> u64 {
        self.mode.wrap(pc.wrapping_sub(self.base(Seg::Cs)))
    }

    /// The linear address of an instruction pointer in the current code segment.
    pub fn pc_of(&self, rip: u64) -> u64 {
        self.mode.wrap(self.base(Seg::Cs).wrapping_add(rip))
    }

    /// RFLAGS.
    pub fn rflags(&self) -> u64 {
        regs::join_flags(self.core.nzcv() | self.core.aux_flags(), self.core.reg(regs::FLAGS))
    }

    /// Sets the six arithmetic flags from an image of RFLAGS.
    pub(crate) fn put_arithmetic(&mut self, v: u64) {
        use lyrebird_isa::flags::{A, C, N, V, Z};
        let bit = |f: u64, on: u64| if v & f != 0 { on } else { 0 };
        let c = if v & rflags::CF == 0 { C } else { 0 };
        let p = (v & rflags::PF == 0) as u64;
        let word = bit(rflags::SF, N) | bit(rflags::ZF, Z) | c | bit(rflags::OF, V) | bit(rflags::AF, A) | p;
        self.core.set_nzcv(word);
    }

    /// Sets RFLAGS, all of it: what may change is the caller's concern.
    pub fn set_rflags(&mut self, v: u64) {
        self.put_arithmetic(v);
        let old = self.core.reg(regs::FLAGS);
        let new = v & !rflags::ARITHMETIC | rflags::FIXED;
        self.core.set_reg(regs::FLAGS, new);
        if (old ^ new) & (rflags::TF | rflags::VM | rflags::AC | rflags::RF | rflags::IOPL) != 0 {
            self.context_changed();
        }
    }

    /// MXCSR, with what the host holds of it.
    pub fn mxcsr(&mut self) -> u32 {
        self.collect_status();
        self.mxcsr
    }

    /// Sets MXCSR. Bits that are reserved are the caller's concern.
    pub fn set_mxcsr(&mut self, v: u32) {
        let control = (self.mxcsr ^ v) & !flag::ALL;
        self.mxcsr = v;
        self.status.clear();
        if control != 0 {
            self.context_changed();
        }
    }

    /// Loads a segment register with what a descriptor says; the base beside it.
    pub fn set_segment(&mut self, seg: Seg, s: Segment, base: u64) {
        self.put_segment(seg, s, base);
        // What decoded code was told about the segment, unless it is 64-bit code and cannot be told.
        let told = (self.mode.flat(seg), self.mode.checked(seg));
        let flat = base == 0 && !matches!(seg, Seg::Fs | Seg::Gs);
        let code64 = self.mode.code64() && matches!(seg, Seg::Es | Seg::Ds | Seg::Fs | Seg::Gs);
        if matches!(seg, Seg::Cs | Seg::Ss) || (!code64 && told != (flat, !s.is_flat())) {
            self.context_changed();
        }
    }
}

// SAFETY: `repr(C)` with `core` first.
unsafe impl Cpu for X86Cpu {
    fn core(&self) -> &Core {
        &self.core
    }
    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }
    fn mode(&self) -> u64 {
        self.mode.0
    }
    fn decode<V: Visitor<Self>>(bytes: &[u8], pc: u64, mode: u64, v: V) -> (V::Out, usize) {
        decode::decode(bytes, pc, Mode(mode), v)
    }
    fn disassemble(bytes: &[u8], pc: u64) -> String {
        decode::disassemble(bytes, pc, 64)
    }
    fn fetch(&mut self, va: u64) -> Option<CodePage> {
        self.follow_limit(va);
        self.fetch_page(va)
    }
    fn take_fault(&mut self, pc: u64) {
        self.core.fault = 0;
        if let Some(r) = self.recorded.take() {
            self.take(r, pc);
        }
    }
    fn poll(&mut self, retired: u64) -> Event {
        self.poll_events(retired)
    }
    fn waits(&self) -> bool {
        self.halted
    }
    fn after_sync(&mut self) -> bool {
        // What STI holds back for an instruction does not hurry.
        let level = self.lines.level();
        let masked = if self.core.reg(regs::FLAGS) & rflags::IF == 0 { IRQ } else { 0 };
        self.halted || self.unfinished || level & !masked != 0 || self.platform.has_news()
    }
    fn fetches_anew(&self) -> bool {
        self.mode.limited(false)
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
        self.status.enter(self.mxcsr)
    }
    fn leave_guest(&mut self) {
        self.collect_status();
        self.status.leave();
    }
    fn collect_status(&mut self) {
        self.mxcsr |= self.status.raised();
    }
    fn aux_state(&self) -> [u64; 2] {
        [self.mxcsr as u64, 0]
    }
    fn set_aux_state(&mut self, v: [u64; 2]) {
        self.mxcsr = v[0] as u32;
    }
    fn load_slow(&mut self, va: u64, m: MemOp) -> u64 {
        if m.update
            && let Err(e) =
                self.mmu.check(&mut self.core, &self.paging, va, m.size.bytes(), AccessKind::Write, m.unpriv)
        {
            self.memory_fault(e);
            return 0;
        }
        let r = self.mmu.load(&mut self.core, &self.paging, va, m);
        self.completed(r)
    }
    fn store_slow(&mut self, va: u64, m: MemOp, v: u64) {
        if self.must_be_alone(va, m.size.bytes()) {
            return;
        }
        let r = self.mmu.store(&mut self.core, &self.paging, va, m, v);
        self.completed(r);
    }
    fn load128_slow(&mut self, va: u64, m: MemOp) -> V128 {
        let r = self.mmu.load128(&mut self.core, &self.paging, va, m);
        self.completed(r)
    }
    fn store128_slow(&mut self, va: u64, m: MemOp, v: V128) {
        if self.must_be_alone(va, 16) {
            return;
        }
        let r = self.mmu.store128(&mut self.core, &self.paging, va, m, v);
        self.completed(r);
    }
    fn rmw(&mut self, op: Rmw, va: u64, m: MemOp, v: u64) -> u64 {
        if self.must_be_alone(va, m.size.bytes()) {
            return 0;
        }
        let r = self.mmu.rmw(&mut self.core, &self.paging, op, va, m, v);
        self.completed(r)
    }
    fn cas(&mut self, va: u64, m: MemOp, expected: u64, new: u64) -> u64 {
        if self.must_be_alone(va, m.size.bytes()) {
            return 0;
        }
        let r = self.mmu.cas(&mut self.core, &self.paging, va, m, expected, new);
        self.completed(r)
    }
}

impl X86Cpu {
    /// Translates a code address, as [`Cpu::fetch`] does.
    pub(crate) fn fetch_page(&mut self, va: u64) -> Option<CodePage> {
        if self.code_left(va) == 0 {
            self.raise_gp(0);
            return None;
        }
        match self.mmu.fetch(&mut self.core, &self.paging, va) {
            Ok(f) => Some(CodePage { pa: f.pa, host: f.host }),
            Err(e) => {
                self.memory_fault(e);
                None
            }
        }
    }

    /// The value of an access, or its fault recorded.
    #[inline]
    pub(crate) fn completed<T: Default>(&mut self, r: Result<T, MemError<PageFault>>) -> T {
        match r {
            Ok(v) => v,
            Err(e) => {
                self.memory_fault(e);
                T::default()
            }
        }
    }

    /// Whether a store must not be made now because the instruction is to be executed alone: it would hit a page with
    /// translated code, and what follows it has to be decoded anew (SDM Vol. 3, 8.1.3); or a device which may interrupt
    /// before what follows it, such as a local APIC whose task priority is lowered.
    #[inline]
    pub(crate) fn must_be_alone(&mut self, va: u64, bytes: u64) -> bool {
        let touches = self.meets(va, bytes);
        let hit = touches != Touches::default();
        if hit {
            self.begin_alone(touches);
        }
        hit
    }

    /// What of that holds for a store; nothing while an instruction is executed alone.
    #[inline]
    pub(crate) fn meets(&mut self, va: u64, bytes: u64) -> Touches {
        if self.alone {
            return Touches::default();
        }
        self.mmu.check(&mut self.core, &self.paging, va, bytes, AccessKind::Write, false).unwrap_or_default()
    }

    /// Records that the instruction is to be begun again alone.
    pub(crate) fn begin_alone(&mut self, why: Touches) {
        self.counters.code_writes += why.code as u64;
        self.record(Recorded::Alone);
    }
}

//! The tested vCPU: a machine at EL0 with the window and the code page mapped, and the tiers to run it on.

use std::sync::Arc;
use std::time::Duration;

use lyrebird_frontend_arm::a64::{regs, table};
use lyrebird_frontend_arm::cpu::pstate::Pstate;
use lyrebird_frontend_arm::platform::{BarePlatform, CallOutcome, Conduit, Platform, Timer, TimerReg};
use lyrebird_frontend_arm::{ArmCpu, CpuModel, sys};
use lyrebird_isa::lines::{CpuLines, STOP};
use lyrebird_isa::state::TAG_NONE;
use lyrebird_isa::{Cpu, Sem, Size, Term, Visitor};
use lyrebird_jit::t1::{RegionBlock, RegionExit};
use lyrebird_jit::{Engine, EngineConfig, Tier};
use lyrebird_softmmu::PhysMem;

use super::region::Regions;
use super::state::{After, BRK, CODE, MAX_WORDS, Outcome, State, WINDOW, WINDOW_LEN, changes, window};

const RAM: u64 = 0x4000_0000;
const L1: u64 = RAM + 0x40_0000;
const L2: u64 = L1 + 0x1000;
const L3: u64 = L1 + 0x2000;
/// Exception vectors, in a block that EL0 cannot touch.
const VECTORS: u64 = RAM + 0x20_0000;
/// `HVC #0`: the way out of the engine.
const HVC: u32 = 0xd400_0002;
/// `B .`
const SPIN: u32 = 0x1400_0000;

/// A platform whose firmware call stops the vCPU.
#[derive(Debug)]
struct Stopper(BarePlatform);

impl Platform for Stopper {
    fn lines(&self) -> &Arc<CpuLines> {
        self.0.lines()
    }
    fn counter(&mut self) -> u64 {
        self.0.counter()
    }
    fn frequency(&self) -> u64 {
        self.0.frequency()
    }
    fn timer_read(&mut self, timer: Timer, reg: TimerReg) -> u64 {
        self.0.timer_read(timer, reg)
    }
    fn timer_write(&mut self, timer: Timer, reg: TimerReg, value: u64) {
        self.0.timer_write(timer, reg, value);
    }
    fn call(&mut self, _: Conduit, _: u16, _: &mut [u64; 8]) -> CallOutcome {
        self.0.lines.set(STOP, true);
        CallOutcome::Done
    }
    fn advance(&mut self, retired: u64) {
        self.0.advance(retired);
    }
    fn next_deadline(&mut self) -> Option<Duration> {
        None
    }
}

/// The target of a direct branch at `pc`.
pub fn branch_target(w: u32, pc: u64) -> Option<u64> {
    let signed = |lo: u32, len: u32| ((w as i64) << (64 - lo - len)) >> (64 - len);
    let offset = match w {
        _ if w >> 26 & 0x1f == 0b00101 => signed(0, 26),
        _ if w >> 24 == 0x54 || w >> 25 & 0x3f == 0b011010 => signed(5, 19),
        _ if w >> 25 & 0x3f == 0b011011 => signed(5, 14),
        _ => return None,
    };
    Some(pc.wrapping_add((offset * 4) as u64))
}

/// How a word ends a block.
struct TermOf;

impl Visitor<ArmCpu> for TermOf {
    type Out = Term;
    fn visit<S: Sem<ArmCpu>>(self, _: S) -> Term {
        S::TERM
    }
}

/// The vCPU with its tiers.
pub struct Guest {
    cpu: ArmCpu,
    mem: Arc<PhysMem>,
    engine: Engine<ArmCpu>,
    regions: Regions<ArmCpu>,
    pristine: Vec<u8>,
    /// Words in the code page.
    loaded: Vec<u32>,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl Guest {
    /// A machine with every extension of which a row is implemented.
    pub fn with_all_rows() -> Guest {
        let mut model = CpuModel::max();
        for row in table::all().filter(|r| r.implemented) {
            model.features |= 1 << row.feature as u8;
        }
        Guest::new(model)
    }

    /// A machine of that model, ready for tests.
    pub fn new(model: CpuModel) -> Guest {
        let mem = PhysMem::builder().ram(RAM, 8 << 20).build().expect("8 MiB of memory");
        let cpu = ArmCpu::new(model, 0, Box::new(Stopper(BarePlatform::new())), mem.clone());
        let config = EngineConfig { tier: Tier::T0, slice: 256, ..EngineConfig::default() };
        let mut guest = Guest {
            cpu,
            mem,
            engine: Engine::new(config),
            regions: Regions::new(),
            pristine: window(),
            loaded: Vec::new(),
        };
        guest.map();
        let pristine = window();
        guest.window_mut().copy_from_slice(&pristine);
        guest
    }

    /// Page tables as Linux would make them for a process, with the vectors beyond EL0's reach.
    fn map(&mut self) {
        let poke = |pa: u64, v: u64| self.mem.write(pa, Size::B8, v).expect("RAM");
        let page = |va: u64, desc: u64| poke(L3 + (va >> 12 & 511) * 8, va | desc | 3);
        // AF, nG; AP[1] lets EL0 in, AP[2] keeps it from writing.
        let user = 1 << 10 | 1 << 11 | 1 << 6 | 1 << 53;
        poke(L1 + 8, L2 | 3);
        poke(L2, L3 | 3);
        // AF, UXN.
        poke(L2 + 8, VECTORS | 1 | 1 << 10 | 1 << 54);
        page(WINDOW, user | 1 << 54);
        page(WINDOW + 0x1000, user | 1 << 54);
        page(CODE, user | 1 << 7);
        poke(VECTORS + 0x400, HVC as u64 | (SPIN as u64) << 32);
        for at in (0..0x1000).step_by(8) {
            poke(CODE + at, BRK as u64 | (BRK as u64) << 32);
        }
        self.msr("MAIR_EL1", 0xff);
        // 39-bit addresses, no walks of the upper range, the top byte ignored.
        self.msr("TCR_EL1", 25 | 1 << 23 | 2 << 32 | 1 << 37);
        self.msr("TTBR0_EL1", L1);
        self.msr("VBAR_EL1", VECTORS);
        self.msr("CPACR_EL1", 3 << 20);
        // QEMU's user mode does not check the alignment of SP, so SA0 stays clear.
        let bits = sys::sctlr::M
            | sys::sctlr::C
            | sys::sctlr::I
            | sys::sctlr::SPAN
            | sys::sctlr::DZE
            | sys::sctlr::UCT
            | sys::sctlr::UCI
            | sys::sctlr::NTWI
            | sys::sctlr::NTWE;
        self.msr("SCTLR_EL1", bits);
    }

    fn msr(&mut self, name: &str, v: u64) {
        let r = sys::all().find(|r| r.name == name).expect("a register of the table");
        self.cpu.core.regs[0] = v;
        assert!(self.cpu.execute(0xd500_0000 | (r.enc.0 as u32) << 5), "MSR {name}");
    }

    /// Nanoseconds spent compiling.
    #[allow(dead_code, reason = "used by xtask, which shares this file")]
    pub fn compiling(&self) -> u64 {
        self.regions.nanos
    }

    /// The contents of the window before every test.
    #[allow(dead_code, reason = "used by xtask, which shares this file")]
    pub fn pristine(&self) -> &[u8] {
        &self.pristine
    }

    fn window_mut(&mut self) -> &mut [u8] {
        let p = self.mem.ram_ptr(WINDOW, WINDOW_LEN as u64).expect("the window is RAM");
        // SAFETY: the window lies in RAM that lives as long as `mem`; no vCPU runs while the slice is in use.
        unsafe { std::slice::from_raw_parts_mut(p, WINDOW_LEN) }
    }

    /// Goes to EL0 with these registers.
    fn enter(&mut self, s: &State) {
        let cpu = &mut self.cpu;
        cpu.set_pstate(Pstate { el: 0, sp_sel: false, ssbs: false, il: false, ss: false, ..cpu.pstate });
        cpu.core.regs[..32].copy_from_slice(&s.x);
        cpu.core.set_nzcv(s.nzcv);
        cpu.core.vregs = s.v;
        cpu.core.pc = s.pc;
        cpu.core.excl_addr = TAG_NONE;
        cpu.core.set_reg(regs::TPIDR_EL0, 0);
        cpu.set_fpsr(s.fpsr);
        cpu.set_fpcr(s.fpcr);
    }

    /// The registers, also after an exception was taken to EL1.
    fn leave(&self) -> (Outcome, State) {
        let cpu = &self.cpu;
        let mut s = State {
            x: [0; 32],
            pc: cpu.core.pc,
            nzcv: cpu.core.nzcv(),
            fpsr: cpu.fp.fpsr,
            fpcr: cpu.fp.fpcr,
            v: cpu.core.vregs,
        };
        s.x.copy_from_slice(&cpu.core.regs[..32]);
        s.x[31] = cpu.core.reg(regs::SP_EL0);
        s.nzcv = cpu.core.reg(regs::SPSR_EL1) & 0xf000_0000;
        s.pc = cpu.core.reg(regs::ELR_EL1);
        let (esr, far) = (cpu.core.reg(regs::ESR_EL1), cpu.core.reg(regs::FAR_EL1));
        let outcome = match esr >> 26 {
            // BRK, and what the PC made of a branch out of the page.
            0x3c | 0x20 | 0x22 => Outcome::End,
            0x00 | 0x18 => Outcome::Undefined,
            0x24 if esr & 0x3f == 0x21 => Outcome::Alignment(far),
            0x24 => Outcome::Abort(far),
            ec => Outcome::Other(ec as u32),
        };
        (outcome, s)
    }

    /// What changed, with the window put back.
    fn finish(&mut self, dirty: bool) -> After {
        let (outcome, state) = self.leave();
        let mut stores = Vec::new();
        if dirty {
            let pristine = std::mem::take(&mut self.pristine);
            stores = changes(&pristine, self.window_mut());
            if !stores.is_empty() {
                self.window_mut().copy_from_slice(&pristine);
            }
            self.pristine = pristine;
        }
        After { outcome, state, stores }
    }

    /// Puts the words into the code page, BRK behind them.
    fn load(&mut self, words: &[u32]) {
        if self.loaded == words {
            return;
        }
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        for _ in words.len()..self.loaded.len().max(words.len() + 1) {
            bytes.extend(BRK.to_le_bytes());
        }
        self.mem.write_bytes(CODE, &bytes).expect("RAM");
        self.loaded = words.to_vec();
    }

    /// Runs on the interpreter instance, one instruction at a time. None if it does not end within `limit`.
    #[allow(dead_code, reason = "used by xtask, which shares this file")]
    pub fn interpret(&mut self, words: &[u32], s: &State, limit: usize) -> Option<After> {
        self.load(words);
        self.enter(s);
        let ended = self.go_on(limit);
        let after = self.finish(true);
        ended.then_some(after)
    }

    /// Steps until an exception is taken; false if none is within `limit` instructions.
    fn go_on(&mut self, limit: usize) -> bool {
        for _ in 0..limit {
            self.cpu.step();
            if self.cpu.pstate.el != 0 {
                return true;
            }
        }
        false
    }

    /// Runs on the engine's T0: decoded blocks, threaded handlers.
    pub fn t0(&mut self, words: &[u32], s: &State) -> After {
        assert!(words.len() <= MAX_WORDS);
        self.load(words);
        self.enter(s);
        self.cpu.platform.lines().set(STOP, false);
        self.engine.run(&mut self.cpu).expect("not in verify mode");
        self.finish(true)
    }

    fn term(&self, word: u32, pc: u64) -> Term {
        ArmCpu::decode(&word.to_le_bytes(), pc, self.mode(), TermOf).0
    }

    /// The mode bits of EL0.
    fn mode(&self) -> u64 {
        self.cpu.mode()
    }

    /// The blocks that start at the first word, behind terminators and at targets of branches.
    fn blocks(&self, words: &[u32]) -> Vec<RegionBlock> {
        let ends: Vec<bool> = words
            .iter()
            .enumerate()
            .map(|(i, &w)| self.term(w, CODE + 4 * i as u64) != Term::None || i + 1 == words.len())
            .collect();
        let mut leaders = vec![0];
        for (i, &w) in words.iter().enumerate() {
            if ends[i] {
                leaders.push(i + 1);
                if let Some(t) = branch_target(w, 4 * i as u64) {
                    leaders.push((t / 4) as usize);
                }
            }
        }
        leaders.retain(|&l| l < words.len());
        let mut seen = std::collections::HashSet::new();
        leaders.retain(|l| seen.insert(*l));
        let block = |&l: &usize| {
            let end = (l..words.len()).find(|&i| ends[i]).unwrap_or(words.len() - 1);
            let bytes = words[l..=end].iter().flat_map(|w| w.to_le_bytes()).collect();
            RegionBlock { pc: CODE + 4 * l as u64, bytes, targets: Vec::new() }
        };
        leaders.iter().map(block).collect()
    }

    /// Runs compiled by T1; what T1 leaves to T0 is interpreted. Err without a reason where T1 leaves everything to T0,
    /// with one where it fails.
    pub fn t1(&mut self, words: &[u32], s: &State) -> Result<After, Option<String>> {
        self.load(words);
        self.enter(s);
        let blocks = self.blocks(words);
        let exit = self.regions.run(&mut self.cpu, blocks)?;
        if exit == RegionExit::Fault {
            let pc = self.cpu.core.pc;
            self.cpu.take_fault(pc);
        }
        // An instruction that left because it has changed the mode is complete.
        if self.cpu.pstate.el == 0 && !self.go_on(8 * MAX_WORDS) {
            return Err(Some(format!("exit {exit:?} at {:#x}, and no end", self.cpu.core.pc)));
        }
        Ok(self.finish(true))
    }
}

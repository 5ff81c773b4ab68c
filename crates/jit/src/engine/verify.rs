//! Verify mode: T0 and T1 in lockstep, region by region.
//!
//! T0 goes first and does things for real, instruction by instruction, logging each memory access and the state before
//! each instruction. Then the compiled region runs from the same start, its memory accesses answered from the log.
//! After however many instructions it returns, its state has to be the one T0 had there.

use std::fmt::Write as _;

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::logged::{Access, Kind, Logged};
use lyrebird_isa::scan::Scan;
use lyrebird_isa::state::{REG_SINK, REGS};
use lyrebird_isa::{Core, Cpu, Effects, MemOp, Rmw, Sem, Term, V128, Visitor};

use super::regions::Region;
use crate::t1::{RegionExit, RegionRequest, SlowPaths};

/// T0 and T1 disagree.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The whole report: both states, the guest code and the CLIF.
    pub report: String,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for Divergence {}

/// Instructions per comparison at most.
const LIMIT: usize = 1024;
/// The longest way through a region without a back edge, in instructions (the region former's hard limit).
const ACYCLIC: usize = 240;

/// Guest-visible state.
#[derive(Clone, Debug)]
struct State {
    regs: [u64; REGS],
    pc: u64,
    flags: [u64; 3],
    vregs: [V128; 32],
    excl: [u64; 3],
    aux: [u64; 2],
}

impl State {
    fn of<C: Cpu>(cpu: &C) -> State {
        let c = cpu.core();
        State {
            regs: c.regs,
            pc: c.pc,
            flags: [c.flag_op, c.flag_a, c.flag_b],
            vregs: c.vregs,
            excl: [c.excl_addr, c.excl_val[0], c.excl_val[1]],
            aux: cpu.aux_state(),
        }
    }

    fn put<C: Cpu>(&self, cpu: &mut C) {
        let c = cpu.core_mut();
        c.regs = self.regs;
        c.pc = self.pc;
        [c.flag_op, c.flag_a, c.flag_b] = self.flags;
        c.vregs = self.vregs;
        c.excl_addr = self.excl[0];
        c.excl_val = [self.excl[1], self.excl[2]];
        cpu.set_aux_state(self.aux);
    }

    fn nzcv(&self) -> u64 {
        lyrebird_isa::flags::materialise(self.flags[0], self.flags[1], self.flags[2])
    }

    /// What differs, one line each: name, T0, T1.
    fn differences(&self, other: &State) -> Vec<String> {
        let mut out = Vec::new();
        let mut line = |name: String, a: u64, b: u64| {
            if a != b {
                out.push(format!("  {name:<8} T0 {a:#018x}  T1 {b:#018x}"));
            }
        };
        line("pc".into(), self.pc, other.pc);
        line("nzcv".into(), self.nzcv(), other.nzcv());
        for i in 0..REGS {
            if i != REG_SINK.0 as usize {
                line(format!("r{i}"), self.regs[i], other.regs[i]);
            }
        }
        for i in 0..32 {
            line(format!("v{i}.lo"), self.vregs[i].0[0], other.vregs[i].0[0]);
            line(format!("v{i}.hi"), self.vregs[i].0[1], other.vregs[i].0[1]);
        }
        for i in 0..3 {
            line(format!("excl{i}"), self.excl[i], other.excl[i]);
        }
        for i in 0..2 {
            line(format!("aux{i}"), self.aux[i], other.aux[i]);
        }
        out
    }
}

/// What the compiled code's accesses are answered from. [`Core::engine`] points at it.
#[derive(Debug)]
struct Replay {
    log: Vec<Access>,
    at: usize,
    mismatch: Option<String>,
}

impl Replay {
    fn next(
        &mut self,
        kind: Kind,
        va: u64,
        op: MemOp,
        with: [u64; 2],
        stored: Option<u128>,
    ) -> Option<Access> {
        if self.mismatch.is_some() {
            return None;
        }
        let got = self.log.get(self.at).copied();
        self.at += 1;
        let same = got.is_some_and(|a| {
            a.kind == kind
                && a.va == va
                && a.op == op
                && a.with == with
                && (a.fault || stored.is_none_or(|v| v == a.value))
        });
        if !same {
            self.mismatch = Some(format!(
                "memory access {} differs:\n  T0 {got:x?}\n  T1 {kind:?} va={va:#x} {op:?} with={with:x?} stored={stored:x?}",
                self.at - 1
            ));
            return None;
        }
        got
    }
}

/// Answers one access of compiled code.
fn answer(core: *mut Core, kind: Kind, va: u64, m: u64, with: [u64; 2], stored: Option<u128>) -> u128 {
    // SAFETY: compiled code passes the `Core` it was entered with, and `Regions::verify` has set `engine`.
    let (core, replay) = unsafe { (&mut *core, &mut *(*core).engine.cast::<Replay>()) };
    match replay.next(kind, va, MemOp::unpack(m), with, stored) {
        Some(a) if !a.fault => a.value,
        _ => {
            core.fault = 1;
            0
        }
    }
}

/// Leaves two words for compiled code.
fn put(out: *mut u64, v: [u64; 2]) {
    // SAFETY: compiled code passes room for two words.
    unsafe { out.cast::<[u64; 2]>().write_unaligned(v) };
}

fn faulted(core: *mut Core) -> bool {
    // SAFETY: as in `answer`.
    unsafe { (*core).fault != 0 }
}

fn narrow(m: u64, v: u64) -> u64 {
    MemOp::unpack(m).size.width().zext(v)
}

extern "C" fn load(core: *mut Core, va: u64, m: u64) -> u64 {
    answer(core, Kind::Load, va, m, [0; 2], None) as u64
}
extern "C" fn store(core: *mut Core, va: u64, m: u64, v: u64) {
    answer(core, Kind::Store, va, m, [0; 2], Some(narrow(m, v).into()));
}
extern "C" fn load_pair(core: *mut Core, va: u64, m: u64, out: *mut u64) {
    let lo = load(core, va, m);
    if !faulted(core) {
        let hi = load(core, va.wrapping_add(MemOp::unpack(m).size.bytes()), m);
        put(out, [lo, hi]);
    }
}
extern "C" fn store_pair(core: *mut Core, va: u64, m: u64, lo: u64, hi: u64) {
    store(core, va, m, lo);
    if !faulted(core) {
        store(core, va.wrapping_add(MemOp::unpack(m).size.bytes()), m, hi);
    }
}
extern "C" fn load128(core: *mut Core, va: u64, m: u64, out: *mut u64) {
    let v = answer(core, Kind::Load, va, m, [0; 2], None);
    put(out, [v as u64, (v >> 64) as u64]);
}
extern "C" fn store128(core: *mut Core, va: u64, m: u64, lo: u64, hi: u64) {
    answer(core, Kind::Store, va, m, [0; 2], Some(lo as u128 | (hi as u128) << 64));
}
extern "C" fn rmw(core: *mut Core, va: u64, m: u64, v: u64, op: u64) -> u64 {
    let op = Rmw::ALL.get(op as usize).copied().unwrap_or(Rmw::Swp);
    answer(core, Kind::Rmw(op), va, m, [narrow(m, v), 0], None) as u64
}
extern "C" fn cas(core: *mut Core, va: u64, m: u64, expected: u64, new: u64) -> u64 {
    answer(core, Kind::Cas, va, m, [narrow(m, expected), narrow(m, new)], None) as u64
}

/// The slow paths that answer from the log.
pub fn slow_paths() -> SlowPaths {
    SlowPaths { load, store, load_pair, store_pair, load128, store128, rmw, cas }
}

/// Executes one instruction with a log.
struct Step<'a, C: Cpu> {
    cpu: &'a mut C,
    log: &'a mut Vec<Access>,
}

/// How a step went.
enum Stepped {
    /// Left to T0 proper.
    Refused,
    Fault,
    Next(Next, u64),
}

impl<C: Cpu> Visitor<C> for Step<'_, C> {
    type Out = Stepped;

    fn visit<S: Sem<C>>(self, s: S) -> Stepped {
        let mut scan = Scan::<C>::new();
        let Ok(()) = s.sem(&mut scan);
        if S::TERM == Term::Sync || scan.seen.helper == Some(Effects::Cpu) {
            return Stepped::Refused;
        }
        let mut e = Logged { interp: Interp::new(self.cpu), log: self.log };
        match s.sem(&mut e) {
            Ok(()) => Stepped::Next(e.interp.next, e.interp.target),
            Err(_) => Stepped::Fault,
        }
    }
}

/// The bytes of a region at `pc`, to the end of their block.
fn bytes_at(request: &RegionRequest, pc: u64) -> Option<&[u8]> {
    request
        .blocks
        .iter()
        .filter_map(|b| b.bytes.get(usize::try_from(pc.wrapping_sub(b.pc)).ok()?..))
        // The end of one block is the start of the next.
        .find(|b| !b.is_empty())
}

/// What a comparison did.
#[derive(Debug)]
pub enum Verified {
    /// T0 executed so many instructions; go on at [`Core::pc`].
    Ran(u64),
    /// T0 executed so many instructions, the next one faulted: take the fault at [`Core::pc`].
    Fault(u64),
    /// They disagree.
    Diverged(String),
}

/// Runs `region` on T0 and T1 from the CPU's present state. Leaves the CPU in T0's state.
pub fn verify<C: Cpu>(cpu: &mut C, region: &Region) -> Verified {
    let start = State::of(cpu);
    let mut log = Vec::new();
    // T0's state wherever compiled code may return: behind a branch, between blocks, at the end.
    let mut states: Vec<(usize, State)> = Vec::new();
    let mut ran = 0;
    let mut branched = true;
    let mut fault = false;
    let mut pc = start.pc;
    let mut limited = false;
    while let Some(bytes) = bytes_at(&region.request, pc) {
        if ran >= LIMIT {
            limited = true;
            break;
        }
        cpu.core_mut().pc = pc;
        if branched || region.request.blocks.iter().any(|b| b.pc == pc) {
            states.push((ran, State::of(cpu)));
        }
        let (done, len) = C::decode(bytes, pc, region.request.mode, Step { cpu, log: &mut log });
        match done {
            Stepped::Refused => break,
            Stepped::Fault => {
                fault = true;
                break;
            }
            Stepped::Next(next, target) => {
                ran += 1;
                branched = next != Next::Fall;
                pc = match next {
                    Next::Taken | Next::Indirect => target,
                    _ => pc.wrapping_add(len as u64),
                };
            }
        }
    }
    cpu.core_mut().pc = pc;
    let end = State::of(cpu);
    if ran == 0 && !fault {
        return Verified::Ran(0);
    }

    // T1, from the start.
    let budget = if limited { ran.saturating_sub(ACYCLIC) } else { ran } as i64;
    let kept_fault = std::mem::take(&mut cpu.core_mut().fault);
    let kept_budget = cpu.core().budget;
    let mut replay = Replay { log, at: 0, mismatch: None };
    start.put(cpu);
    let core = cpu.core_mut();
    core.budget = budget;
    core.engine = (&raw mut replay).cast();
    // SAFETY: the region is alive, and a `Core` is the first field of its CPU.
    let exit = unsafe { region.function()((cpu as *mut C).cast::<Core>()) };
    let core = cpu.core_mut();
    core.engine = std::ptr::null_mut();
    let t1_fault = std::mem::replace(&mut core.fault, kept_fault) != 0;
    let t1_ran = (budget - std::mem::replace(&mut core.budget, kept_budget)) as usize;
    let after = State::of(cpu);

    let mut report = String::new();
    let there = states.iter().find(|(n, _)| *n == t1_ran).map(|(_, s)| s);
    match if t1_ran == ran { Some(&end) } else { there } {
        None => {
            let _ = writeln!(
                report,
                "T1 left after {t1_ran} instructions, T0 after {ran}; no block of T0's ends there"
            );
        }
        Some(want) => {
            if let Some(m) = &replay.mismatch {
                let _ = writeln!(report, "{m}");
            }
            let diff = want.differences(&after);
            if !diff.is_empty() {
                let _ = writeln!(report, "state after {t1_ran} instructions:\n{}", diff.join("\n"));
            }
            if t1_fault && replay.mismatch.is_none() && !(fault && t1_ran == ran) {
                let _ = writeln!(report, "T1 faulted after {t1_ran} instructions, T0 did not");
            }
            if !t1_fault && RegionExit::from_code(exit).is_none_or(|e| e == RegionExit::Fault) {
                let _ = writeln!(report, "T1 returned exit code {exit} without a fault");
            }
        }
    }
    if !report.is_empty() {
        let head = region.request.blocks.first().map_or(0, |b| b.pc);
        let _ = writeln!(
            report,
            "\nregion {head:#x}, mode {:#x}, entered with:\n{:x?}",
            region.request.mode, start.regs
        );
        for b in &region.request.blocks {
            let _ = writeln!(report, "block {:#x}:", b.pc);
            let mut at = 0;
            while at < b.bytes.len() {
                let pc = b.pc + at as u64;
                let _ = writeln!(report, "  {pc:#x}: {}", C::disassemble(&b.bytes[at..], pc));
                let (_, n) = C::decode(&b.bytes[at..], pc, region.request.mode, Nothing);
                at += n.max(1);
            }
        }
        return Verified::Diverged(report);
    }
    end.put(cpu);
    if fault { Verified::Fault(ran as u64) } else { Verified::Ran(ran as u64) }
}

/// Looks at nothing; for instruction lengths.
struct Nothing;

impl<C: Cpu> Visitor<C> for Nothing {
    type Out = ();
    fn visit<S: Sem<C>>(self, _s: S) {}
}

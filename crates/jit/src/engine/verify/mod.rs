//! Verify mode: T0 and T1 in lockstep, region by region.
//!
//! T0 goes first and does things for real, instruction by instruction, logging each memory access and the state before
//! each instruction. Then the compiled region runs from the same start, its memory accesses answered from the log.
//! After however many instructions it returns, its state has to be the one T0 had there.

mod replay;
mod state;
mod steps;

use std::fmt::Write as _;

use lyrebird_isa::interp::Next;
use lyrebird_isa::state::{PAGE_MASK, tlb_index};
use lyrebird_isa::{Core, Cpu, Sem, Visitor};

use super::regions::Region;
use crate::t1::{CodePage, RegionExit};
use replay::Replay;
pub use replay::slow_paths;
use state::State;
pub use steps::Steps;
use steps::{OUT, Step};

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

/// Where T0 has come to.
struct Came {
    ran: usize,
    fault: bool,
    /// Only because of [`LIMIT`].
    limited: bool,
}

/// Compares. Keeps its memory from one comparison to the next.
#[derive(Debug, Default)]
pub struct Verifier {
    replay: Replay,
    start: State,
    /// T0's states at the heads of blocks, where compiled code may return when its budget runs out, with the
    /// instructions and accesses before; the first `kept` are good.
    passed: Vec<(usize, usize, State)>,
    kept: usize,
    end: State,
    /// T1's state where it returned.
    after: State,
}

impl Verifier {
    /// Runs `region` on T0 and T1 from the CPU's present state. Leaves the CPU in T0's state.
    pub fn run<C: Cpu>(&mut self, cpu: &mut C, region: &Region<C>) -> Verified {
        let steps = region.steps();
        let vectors = steps.vectors;
        self.start.take(cpu, vectors);
        cpu.enter_guest();
        let came = self.interpret(cpu, steps);
        cpu.leave_guest();
        if came.ran == 0 && !came.fault {
            return Verified::Ran(0);
        }
        self.end.take(cpu, vectors);

        // T1, from the start.
        // Enough for the instruction that faults; without budget nothing is entered.
        let budget =
            if came.limited { came.ran.saturating_sub(ACYCLIC) } else { came.ran + usize::from(came.fault) };
        let budget = budget as i64;
        let kept_fault = std::mem::take(&mut cpu.core_mut().fault);
        let kept_budget = cpu.core().budget;
        self.start.put(cpu, vectors);
        self.replay.at = 0;
        let core = cpu.core_mut();
        core.budget = budget;
        core.engine = (&raw mut self.replay).cast();
        cpu.enter_guest();
        // SAFETY: the region is alive, and a `Core` is the first field of its CPU.
        let exit = unsafe { region.function()((cpu as *mut C).cast::<Core>()) };
        cpu.leave_guest();
        let core = cpu.core_mut();
        core.engine = std::ptr::null_mut();
        let fault = std::mem::replace(&mut core.fault, kept_fault) != 0;
        let ran = (budget - std::mem::replace(&mut core.budget, kept_budget)) as usize;
        self.after.take(cpu, vectors);

        let want = if ran == came.ran {
            Some((self.replay.log.len(), &self.end))
        } else {
            self.passed[..self.kept].iter().find(|(n, ..)| *n == ran).map(|(_, made, s)| (*made, s))
        };
        let faults_agree =
            if fault { came.fault && ran == came.ran } else { exit != RegionExit::Fault as u64 };
        let known = RegionExit::from_code(exit).is_some();
        let agree = want.is_some_and(|(made, w)| made == self.replay.at && w.same(&self.after, vectors))
            && self.replay.mismatch.is_none()
            && faults_agree
            && known;
        if !agree {
            return Verified::Diverged(self.report(region, &came, (ran, exit, fault), want));
        }
        self.end.put(cpu, vectors);
        if came.fault { Verified::Fault(came.ran as u64) } else { Verified::Ran(came.ran as u64) }
    }

    /// T0's part: instruction by instruction to where the compiled function returns.
    fn interpret<C: Cpu>(&mut self, cpu: &mut C, steps: &Steps<C>) -> Came {
        let mut came = Came { ran: 0, fault: false, limited: false };
        self.replay.log.clear();
        self.kept = 0;
        let mut at = 0;
        let mut pc = self.start.pc;
        while let Some(step @ Step { run: Some(run), .. }) = steps.list.get(at) {
            if came.ran >= LIMIT {
                came.limited = true;
                break;
            }
            // Compiled code looks where the page is when it comes there from another one.
            if let Some(page) = step.page
                && page.va != cpu.core().pc & PAGE_MASK
                && !is_mapped(cpu.core(), page)
            {
                break;
            }
            cpu.core_mut().pc = pc;
            if step.head {
                cpu.collect_status();
                self.pass(cpu, came.ran, steps.vectors);
            }
            let Ok((next, target)) = run(cpu, &step.payload, &mut self.replay.log) else {
                came.fault = true;
                break;
            };
            came.ran += 1;
            (at, pc) = match next {
                Next::Fall | Next::NotTaken => (step.next, step.end),
                Next::Taken | Next::Indirect => (step.taken(target), target),
                _ => (OUT, target),
            };
        }
        cpu.core_mut().pc = pc;
        came
    }

    /// Keeps the CPU's state.
    fn pass<C: Cpu>(&mut self, cpu: &C, ran: usize, vectors: bool) {
        if self.kept == self.passed.len() {
            self.passed.push(Default::default());
        }
        let (n, made, state) = &mut self.passed[self.kept];
        (*n, *made) = (ran, self.replay.log.len());
        state.take(cpu, vectors);
        self.kept += 1;
    }

    /// What is different, how the region was entered, and its code.
    fn report<C: Cpu>(
        &self,
        region: &Region<C>,
        came: &Came,
        (ran, exit, fault): (usize, u64, bool),
        want: Option<(usize, &State)>,
    ) -> String {
        let mut out = String::new();
        let vectors = region.steps().vectors;
        match want {
            None => {
                let _ = writeln!(
                    out,
                    "T1 left after {ran} instructions, T0 after {}; no block of T0's ends there",
                    came.ran
                );
            }
            Some((made, want)) => {
                if let Some(m) = &self.replay.mismatch {
                    let _ = writeln!(out, "{m}");
                } else if self.replay.at != made {
                    let at = self.replay.at;
                    let _ = writeln!(out, "T0 made {made} memory accesses, T1 {at}");
                }
                let diff = want.differences(&self.after, vectors);
                if !diff.is_empty() {
                    let _ = writeln!(out, "state after {ran} instructions:\n{}", diff.join("\n"));
                }
                if fault && self.replay.mismatch.is_none() && !(came.fault && ran == came.ran) {
                    let _ = writeln!(out, "T1 faulted after {ran} instructions, T0 did not");
                }
                if !fault && RegionExit::from_code(exit).is_none_or(|e| e == RegionExit::Fault) {
                    let _ = writeln!(out, "T1 returned exit code {exit} without a fault");
                }
            }
        }
        let request = &region.request;
        let head = request.blocks.first().map_or(0, |b| b.pc);
        let _ = writeln!(
            out,
            "\nregion {head:#x}, mode {:#x}, entered with:\n{:x?}",
            request.mode, self.start.regs
        );
        for b in &request.blocks {
            let _ = writeln!(out, "block {:#x}:", b.pc);
            let mut at = 0;
            while at < b.bytes.len() {
                let pc = b.pc + at as u64;
                let _ = writeln!(out, "  {pc:#x}: {}", C::disassemble(&b.bytes[at..], pc));
                let (_, n) = C::decode(&b.bytes[at..], pc, request.mode, Nothing);
                at += n.max(1);
            }
        }
        out
    }
}

/// Whether the inline TLB maps a page for execution where it was.
fn is_mapped(core: &Core, page: CodePage) -> bool {
    // SAFETY: the CPU has attached a table of `TLB_ENTRIES` entries, among which the index is.
    let entry = unsafe { *core.tlb.add(tlb_index(page.va)) };
    entry.exec == page.va && entry.addend == page.host.wrapping_sub(page.va)
}

/// Looks at nothing; for instruction lengths.
struct Nothing;

impl<C: Cpu> Visitor<C> for Nothing {
    type Out = ();
    fn visit<S: Sem<C>>(self, _s: S) {}
}

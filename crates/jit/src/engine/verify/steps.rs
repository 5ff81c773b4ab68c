//! [`Steps`]: a region decoded once for T0's part of the comparison.

use std::marker::PhantomData;

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::logged::{Access, Logged};
use lyrebird_isa::scan::{Flow, Scan};
use lyrebird_isa::state::PAGE_MASK;
use lyrebird_isa::{Cpu, Effects, GuestFault, Sem, Term, Visitor};
use rustc_hash::FxHashMap;

use crate::t1::{CodePage, RegionRequest};

/// No step: the region is left here.
pub const OUT: usize = usize::MAX;

/// Executes an instruction and logs; says how it went on, and the target of a computed branch.
type Run<C> = fn(&mut C, &[u64; 2], &mut Vec<Access>) -> Result<(Next, u64), GuestFault>;

/// One instruction.
#[derive(Debug)]
pub struct Step<C> {
    /// `None`: left to T0 proper.
    pub run: Option<Run<C>>,
    /// The `Sem`.
    pub payload: [u64; 2],
    /// The address behind it.
    pub end: u64,
    /// First of a block of the compiled function.
    pub head: bool,
    /// Where its page was, at the head of a block that is not on the page of the region's head.
    pub page: Option<CodePage>,
    /// The step at `end`, or [`OUT`].
    pub next: usize,
    /// The step at the target of a direct branch, or [`OUT`].
    pub taken: usize,
    /// The steps at the addresses that a computed branch is compared with.
    pub computed: Vec<(u64, usize)>,
}

impl<C> Step<C> {
    /// The step where a taken branch to `target` leads.
    pub fn taken(&self, target: u64) -> usize {
        let computed = self.computed.iter().find(|(pc, _)| *pc == target);
        computed.map_or(self.taken, |(_, step)| *step)
    }
}

/// The instructions of a region, head first.
#[derive(Debug)]
pub struct Steps<C> {
    pub list: Vec<Step<C>>,
    /// Vector registers are read or written.
    pub vectors: bool,
}

impl<C: Cpu> Steps<C> {
    /// Decodes as the compiler does: blocks are cut where the next one begins, edges lead to blocks' heads only.
    pub fn new(request: &RegionRequest) -> Steps<C> {
        let heads: FxHashMap<u64, ()> = request.blocks.iter().map(|b| (b.pc, ())).collect();
        let home = request.blocks.first().map_or(0, |b| b.pc & PAGE_MASK);
        let mut at_head: FxHashMap<u64, usize> = FxHashMap::default();
        let mut flows = Vec::new();
        let mut steps = Steps { list: Vec::new(), vectors: false };
        for b in &request.blocks {
            if at_head.contains_key(&b.pc) {
                continue;
            }
            at_head.insert(b.pc, steps.list.len());
            let page = request.pages.iter().find(|p| p.va == b.pc & PAGE_MASK && p.va != home).copied();
            let mut at = 0;
            while at < b.bytes.len() {
                let pc = b.pc.wrapping_add(at as u64);
                if at > 0 && heads.contains_key(&pc) {
                    break;
                }
                let (made, len) = C::decode(&b.bytes[at..], pc, request.mode, MakeStep);
                if len == 0 || len > b.bytes.len() - at {
                    break;
                }
                steps.vectors |= made.vectors;
                let ends = made.run.is_none() || made.term != Term::None;
                steps.list.push(Step {
                    run: made.run,
                    payload: made.payload,
                    end: pc.wrapping_add(len as u64),
                    head: at == 0,
                    page: page.filter(|_| at == 0),
                    next: if ends { OUT } else { steps.list.len() + 1 },
                    taken: OUT,
                    computed: Vec::new(),
                });
                flows.push((made.flow, &b.targets));
                at += len;
                if ends {
                    break;
                }
            }
            // The last one goes on at another block's head if at all.
            if let Some(last) = steps.list.last_mut() {
                last.next = OUT;
            }
        }
        for (s, (flow, targets)) in steps.list.iter_mut().zip(flows) {
            let step = |pc: u64| at_head.get(&pc).copied().unwrap_or(OUT);
            match flow {
                Flow::Branch { taken } => (s.taken, s.next) = (step(taken), step(s.end)),
                Flow::Jump { target, .. } => s.taken = step(target),
                Flow::Indirect(_) => s.computed = targets.iter().map(|&pc| (pc, step(pc))).collect(),
                Flow::Next if s.next == OUT => s.next = step(s.end),
                _ => {}
            }
        }
        steps
    }
}

/// What a builder learns about an instruction.
struct Made<C> {
    run: Option<Run<C>>,
    payload: [u64; 2],
    term: Term,
    flow: Flow,
    vectors: bool,
    _cpu: PhantomData<C>,
}

struct MakeStep;

impl<C: Cpu> Visitor<C> for MakeStep {
    type Out = Made<C>;

    fn visit<S: Sem<C>>(self, s: S) -> Made<C> {
        let mut scan = Scan::<C>::new();
        let Ok(()) = s.sem(&mut scan);
        let seen = scan.seen;
        let refused = S::TERM == Term::Sync || seen.helper == Some(Effects::Cpu);
        let mut payload = [0u64; 2];
        const {
            assert!(size_of::<S>() <= 16 && align_of::<S>() <= 8, "a Sem fits two words");
        }
        // SAFETY: by the assertion an `S` fits.
        unsafe { payload.as_mut_ptr().cast::<S>().write(s) };
        Made {
            run: (!refused).then_some(run::<C, S> as Run<C>),
            payload,
            term: S::TERM,
            flow: seen.flow,
            vectors: seen.vector_uses | seen.vector_defs != 0 || matches!(seen.helper, Some(Effects::Fp)),
            _cpu: PhantomData,
        }
    }
}

fn run<C: Cpu, S: Sem<C>>(
    cpu: &mut C,
    payload: &[u64; 2],
    log: &mut Vec<Access>,
) -> Result<(Next, u64), GuestFault> {
    // SAFETY: only `MakeStep` makes a step of this function, with an `S` in its payload, and `S` is `Copy`.
    let s = unsafe { payload.as_ptr().cast::<S>().read() };
    let mut e = Logged { interp: Interp::new(cpu), log };
    s.sem(&mut e)?;
    Ok((e.interp.next, e.interp.target))
}

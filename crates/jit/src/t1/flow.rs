//! What a region's instructions touch: decoding, edges, which registers are dirty and which are live where.

use lyrebird_isa::scan::{Flow, Scan, Summary};
use lyrebird_isa::state::{PAGE_MASK, REG_SINK, REG_ZERO};
use lyrebird_isa::{Cpu, Effects, Sem, Term, Visitor};
use rustc_hash::FxHashMap;

use super::region::{RegionBlock, RegionRequest};

/// Stands for the condition flags in a register mask; [`REG_SINK`] is never read.
pub const FLAGS: u64 = 1 << REG_SINK.0;

/// Bits of a register mask that are registers.
pub const GENERAL: u64 = !(FLAGS | 1 << REG_ZERO.0);

/// Guest instructions of one block that are compiled at most: the count must fit the word that a slow path gets.
const MAX_BLOCK: usize = 240;

/// One instruction.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    /// Offset in its block's bytes.
    pub offset: usize,
    /// Virtual address.
    pub pc: u64,
    /// What it touches.
    pub seen: Summary,
}

impl Insn {
    /// Registers and flags written.
    pub fn defs(&self) -> u64 {
        self.seen.defs | if self.seen.writes_flags { FLAGS } else { 0 }
    }

    /// Registers and flags read.
    pub fn uses(&self) -> u64 {
        self.seen.uses | if self.seen.reads_flags { FLAGS } else { 0 }
    }

    /// The guest state must stand in `Core` where it takes a slow path or faults.
    pub fn syncs(&self) -> bool {
        self.seen.faults
    }

    /// The guest state stands in `Core` before it executes, on all paths: `quick` says that it does so before whatever may
    /// fault. There are others of which that is true.
    fn stores(&self, quick: bool) -> bool {
        self.clobbers() || quick && self.syncs()
    }

    /// A helper may change any register.
    pub fn clobbers(&self) -> bool {
        self.seen.helper == Some(Effects::Cpu)
    }
}

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last instruction, or by running into the next address.
    Flow(Flow),
    /// Before an instruction that T0 executes.
    Interp,
}

/// One block with its edges and data-flow sets. Masks are of registers, plus [`FLAGS`].
#[derive(Debug)]
pub struct Block {
    /// Index in the request's blocks.
    pub source: usize,
    /// The instructions to compile.
    pub insns: Vec<Insn>,
    /// Address behind them.
    pub end_pc: u64,
    /// How it ends.
    pub end: End,
    /// Direct successors as addresses, the taken one first, or those that a computed branch is compared with; those in
    /// the region with their index.
    pub succ: Vec<(u64, Option<usize>)>,
    /// Edges from inside the region.
    pub preds: u32,
    /// The one predecessor, where it is emitted earlier: its symbolic flags are still good here.
    pub inherits: Option<usize>,
    /// May differ from `Core` at the start.
    pub dirty_in: u64,
    /// Needed at the start.
    pub live_in: u64,
    /// Registers that are handed over as SSA values at the start; other live ones are loaded from `Core` where they are
    /// read. In a loop that is what is live (unless the region is compiled quickly), elsewhere only what `Core` may not know: long live ranges cost more time
    /// to compile than they save loads.
    pub ssa_in: u64,
    /// Registers that successors in the region want as SSA values.
    pub ssa_out: u64,
}

/// A decoded region, unreachable blocks left out, head first.
#[derive(Debug)]
pub struct Region {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// Registers that an instruction has written are stored before the next that may fault, not where it does.
    quick: bool,
}

struct ScanVisitor;

impl<C: Cpu> Visitor<C> for ScanVisitor {
    type Out = (Summary, Term);

    fn visit<S: Sem<C>>(self, s: S) -> Self::Out {
        let mut scan = Scan::<C>::new();
        let Ok(()) = s.sem(&mut scan);
        (scan.seen, S::TERM)
    }
}

impl Region {
    /// Decodes and analyses a request. `None` where there is nothing to compile.
    pub fn new<C: Cpu>(request: &RegionRequest) -> Option<Region> {
        let mut heads: FxHashMap<u64, usize> = FxHashMap::default();
        for (i, b) in request.blocks.iter().enumerate() {
            heads.entry(b.pc).or_insert(i);
        }
        let mut blocks: Vec<Block> = Vec::new();
        for (i, b) in request.blocks.iter().enumerate() {
            if heads[&b.pc] == i {
                blocks.push(decode::<C>(b, i, request, &heads));
            }
        }
        let mut region = Region { blocks, quick: request.quick.is_some() };
        // A block that begins with an instruction for T0 would be entered only to be left.
        region.connect(|b| !b.insns.is_empty());
        region.prune();
        if region.blocks.first().is_none_or(|b| b.insns.is_empty()) {
            return None;
        }
        region.find_heirs();
        region.find_dirty();
        region.find_live();
        region.find_ssa();
        Some(region)
    }

    /// Guest instructions.
    pub fn insns(&self) -> usize {
        self.blocks.iter().map(|b| b.insns.len()).sum()
    }

    /// Whether any instruction accesses guest memory itself.
    pub fn has_memory(&self) -> bool {
        self.blocks.iter().flat_map(|b| &b.insns).any(|i| i.seen.memory)
    }

    fn connect(&mut self, enter: impl Fn(&Block) -> bool) {
        let index: FxHashMap<u64, usize> = self
            .blocks
            .iter()
            .enumerate()
            .filter(|(_, b)| enter(b))
            .filter_map(|(i, b)| Some((b.insns.first()?.pc, i)))
            .collect();
        let mut preds = vec![0; self.blocks.len()];
        for b in &mut self.blocks {
            for (pc, to) in &mut b.succ {
                *to = index.get(pc).copied();
                if let Some(to) = *to {
                    preds[to] += 1;
                }
            }
        }
        for (b, n) in self.blocks.iter_mut().zip(preds) {
            b.preds = n;
        }
    }

    /// Drops what the head does not reach.
    fn prune(&mut self) {
        let mut reached = vec![false; self.blocks.len()];
        let mut work = vec![0];
        while let Some(i) = work.pop() {
            if let Some(r) = reached.get_mut(i)
                && !std::mem::replace(r, true)
            {
                work.extend(self.blocks[i].succ.iter().filter_map(|&(_, to)| to));
            }
        }
        let mut i = 0;
        self.blocks.retain(|_| {
            i += 1;
            reached[i - 1]
        });
        self.connect(|b| !b.insns.is_empty());
    }

    fn find_heirs(&mut self) {
        for i in 0..self.blocks.len() {
            for s in 0..self.blocks[i].succ.len() {
                if let Some(to) = self.blocks[i].succ[s].1
                    && to > i
                    && self.blocks[to].preds == 1
                {
                    self.blocks[to].inherits = Some(i);
                }
            }
        }
    }

    /// Forward: what has been written since it was last stored. Flags are stored on every edge but those to heirs.
    fn find_dirty(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for i in 0..self.blocks.len() {
                let mut dirty = self.blocks[i].dirty_in;
                for insn in &self.blocks[i].insns {
                    dirty = if insn.stores(self.quick) { insn.defs() } else { dirty | insn.defs() };
                }
                for s in 0..self.blocks[i].succ.len() {
                    if let Some(to) = self.blocks[i].succ[s].1 {
                        let to = &mut self.blocks[to];
                        let passed = if to.inherits == Some(i) { dirty } else { dirty & !FLAGS };
                        changed |= passed & !to.dirty_in != 0;
                        to.dirty_in |= passed;
                    }
                }
            }
        }
    }

    /// Backward: what an instruction reads, a sync point stores, or an exit stores. Flags count as observed at every
    /// sync point and exit.
    fn find_live(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for i in (0..self.blocks.len()).rev() {
                let b = &self.blocks[i];
                let mut out = 0;
                for &(_, to) in &b.succ {
                    if let Some(to) = to {
                        out |= self.blocks[to].live_in;
                    }
                }
                // Dirty before each instruction, then at the end.
                let mut dirty = Vec::with_capacity(b.insns.len() + 1);
                let mut d = b.dirty_in;
                for insn in &b.insns {
                    dirty.push(d);
                    d = if insn.stores(self.quick) { insn.defs() } else { d | insn.defs() };
                }
                let computed = matches!(b.end, End::Flow(Flow::Indirect(_)));
                let may_leave = |to: usize| to <= i || self.changes_page(i, to);
                let leaves =
                    computed || b.succ.is_empty() || b.succ.iter().any(|&(_, to)| to.is_none_or(may_leave));
                let mut live = out | if leaves { d | FLAGS } else { 0 };
                for (insn, dirty) in b.insns.iter().zip(&dirty).rev() {
                    live &= !insn.defs();
                    if insn.clobbers() {
                        live = 0;
                    }
                    if insn.syncs() {
                        live |= dirty | FLAGS;
                    }
                    live |= insn.uses();
                }
                changed |= self.blocks[i].live_in != live;
                self.blocks[i].live_in = live;
            }
        }
    }

    fn find_ssa(&mut self) {
        for i in 0..self.blocks.len() {
            let loops = !self.quick && self.reaches(i, i);
            let b = &mut self.blocks[i];
            b.ssa_in = b.live_in & GENERAL & if loops { !0 } else { b.dirty_in };
        }
        for i in 0..self.blocks.len() {
            let successors = self.blocks[i].succ.iter().filter_map(|&(_, to)| to);
            self.blocks[i].ssa_out = successors.fold(0, |m, to| m | self.blocks[to].ssa_in);
        }
    }

    /// Whether an edge leads to a page that need not be mapped as it was, though the page before is: the region may have
    /// to be left there.
    pub fn changes_page(&self, from: usize, to: usize) -> bool {
        let page = |b: usize| self.blocks[b].insns.first().map_or(0, |i| i.pc & PAGE_MASK);
        page(from) != page(to) && page(to) != page(0)
    }

    /// Whether a path of at least one edge leads from one block to another.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.blocks.len()];
        let mut work = vec![from];
        while let Some(i) = work.pop() {
            for j in self.blocks[i].succ.iter().filter_map(|&(_, j)| j) {
                if j == to {
                    return true;
                }
                if !std::mem::replace(&mut seen[j], true) {
                    work.push(j);
                }
            }
        }
        false
    }
}

fn decode<C: Cpu>(
    b: &RegionBlock,
    source: usize,
    request: &RegionRequest,
    heads: &FxHashMap<u64, usize>,
) -> Block {
    let mut insns: Vec<Insn> = Vec::new();
    let mut at = 0;
    let mut end = End::Flow(Flow::Next);
    while at < b.bytes.len() {
        let pc = b.pc.wrapping_add(at as u64);
        if insns.len() == MAX_BLOCK || at > 0 && heads.contains_key(&pc) {
            break;
        }
        let ((seen, term), len) = C::decode(&b.bytes[at..], pc, request.mode, ScanVisitor);
        if len == 0 || len > b.bytes.len() - at {
            break;
        }
        // What a helper with all effects does cannot be replayed, nor can looking at the CPU.
        if request.verify && (term == Term::Sync || seen.helper == Some(Effects::Cpu)) {
            end = End::Interp;
            break;
        }
        insns.push(Insn { offset: at, pc, seen });
        at += len;
        if term != Term::None {
            end = End::Flow(seen.flow);
            break;
        }
    }
    let end_pc = b.pc.wrapping_add(at as u64);
    let succ = match end {
        End::Interp | End::Flow(Flow::SyncNext | Flow::SyncPc) => vec![],
        End::Flow(Flow::Indirect(_)) => b.targets.iter().map(|&pc| (pc, None)).collect(),
        End::Flow(Flow::Next) => vec![(end_pc, None)],
        End::Flow(Flow::Branch { taken }) => vec![(taken, None), (end_pc, None)],
        End::Flow(Flow::Jump { target, .. }) => vec![(target, None)],
    };
    Block {
        source,
        insns,
        end_pc,
        end,
        succ,
        preds: 0,
        inherits: None,
        dirty_in: 0,
        live_in: 0,
        ssa_in: 0,
        ssa_out: 0,
    }
}

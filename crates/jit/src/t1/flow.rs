//! What a region's instructions touch: decoding, edges, which registers are dirty and which are live where.

use lyrebird_isa::scan::{Flow, Scan, Summary};
use lyrebird_isa::state::{PAGE_MASK, REG_SINK, REG_ZERO, REGS};
use lyrebird_isa::{Cpu, Effects, Sem, Term, Visitor};
use rustc_hash::FxHashMap;

use super::region::{RegionBlock, RegionRequest};

/// A set of registers: general ones by their number, vector registers from [`VECTOR`] on, and [`FLAGS`].
pub type Set = u128;

/// Number of the first vector register in a [`Set`].
pub const VECTOR: usize = REGS;

/// Registers that a [`Set`] can hold.
pub const ALL_REGS: usize = VECTOR + 32;

/// Stands for the condition flags; [`REG_SINK`] is never read.
pub const FLAGS: Set = 1 << REG_SINK.0;

/// The vector registers.
pub const VECTORS: Set = 0xffff_ffff << VECTOR;

/// All registers.
pub const REGISTERS: Set = VECTORS | ((1 << VECTOR) - 1) & !(FLAGS | 1 << REG_ZERO.0);

/// The registers in a set.
pub fn members(set: Set) -> impl Iterator<Item = usize> {
    let mut left = set;
    std::iter::from_fn(move || {
        let i = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (i < ALL_REGS).then_some(i)
    })
}

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
    pub fn defs(&self) -> Set {
        let flags = if self.seen.writes_flags { FLAGS } else { 0 };
        Set::from(self.seen.defs) | Set::from(self.seen.vector_defs) << VECTOR | flags
    }

    /// Registers and flags read.
    pub fn uses(&self) -> Set {
        let flags = if self.seen.reads_flags { FLAGS } else { 0 };
        Set::from(self.seen.uses) | Set::from(self.seen.vector_uses) << VECTOR | flags
    }

    /// What must stand in `Core` where it takes a slow path, calls a helper, or faults.
    pub fn shows(&self) -> Set {
        match self.seen.helper {
            _ if self.seen.faults => !0,
            Some(Effects::Fp) => VECTORS,
            _ => 0,
        }
    }

    /// What a helper may change, and what therefore stands in `Core` before it executes, on all paths.
    pub fn clobbers(&self) -> Set {
        match self.seen.helper {
            Some(Effects::Cpu) => !0,
            _ if self.seen.vector_helper => VECTORS,
            _ => 0,
        }
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

/// One block with its edges and data-flow sets.
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
    /// A path leads from it back to it, and the region is compiled well. What it has in registers goes to `Core` where
    /// somebody looks; elsewhere see [`Block::pass`].
    pub loops: bool,
    /// May differ from `Core` at the start.
    pub dirty_in: Set,
    /// Needed at the start.
    pub live_in: Set,
    /// Registers that are handed over as SSA values at the start; other live ones are loaded from `Core` where they are
    /// read. In a loop that is what is live, elsewhere only what `Core` may not know: long live ranges cost more time
    /// to compile than they save loads.
    pub ssa_in: Set,
    /// Registers that successors in the region want as SSA values.
    pub ssa_out: Set,
    /// The flags are handed over as SSA values at the start.
    pub flags_in: bool,
}

impl Block {
    /// What may differ from `Core` behind an instruction.
    ///
    /// Where somebody may look, outside loops, that what differed when somebody might look before goes to `Core` on all
    /// paths: stores are cheap, and a second copy of them on a slow path costs more time to compile than it saves. What
    /// has been written since is stored on the slow path alone: mostly it is written again soon, flags above all.
    fn pass(&self, insn: &Insn, t: &mut Track) {
        t.dirty &= !insn.clobbers();
        if !self.loops {
            t.dirty &= !(insn.shows() & t.aged);
            t.aged |= insn.shows() & t.dirty;
        }
        t.dirty |= insn.defs();
        t.aged &= !insn.defs();
    }
}

/// What differs from `Core` at a point of a block.
#[derive(Clone, Copy, Debug)]
struct Track {
    /// What may.
    dirty: Set,
    /// What did when somebody might look last.
    aged: Set,
}

/// A decoded region, unreachable blocks left out, head first.
#[derive(Debug)]
pub struct Region {
    /// The blocks.
    pub blocks: Vec<Block>,
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
        let mut region = Region { blocks };
        // A block that begins with an instruction for T0 would be entered only to be left.
        region.connect(|b| !b.insns.is_empty());
        region.prune();
        if region.blocks.first().is_none_or(|b| b.insns.is_empty()) {
            return None;
        }
        if request.quick.is_none() {
            region.find_loops();
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

    fn find_loops(&mut self) {
        for i in 0..self.blocks.len() {
            self.blocks[i].loops = self.reaches(i, i);
        }
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

    /// Forward: what has been written since it was last stored.
    fn find_dirty(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for i in 0..self.blocks.len() {
                let mut t = Track { dirty: self.blocks[i].dirty_in, aged: 0 };
                for insn in &self.blocks[i].insns {
                    self.blocks[i].pass(insn, &mut t);
                }
                for s in 0..self.blocks[i].succ.len() {
                    if let Some(to) = self.blocks[i].succ[s].1 {
                        let to = &mut self.blocks[to];
                        changed |= t.dirty & !to.dirty_in != 0;
                        to.dirty_in |= t.dirty;
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
                let mut t = Track { dirty: b.dirty_in, aged: 0 };
                for insn in &b.insns {
                    dirty.push(t.dirty);
                    b.pass(insn, &mut t);
                }
                let computed = matches!(b.end, End::Flow(Flow::Indirect(_)));
                let may_leave = |to: usize| to <= i || self.changes_page(i, to);
                let leaves =
                    computed || b.succ.is_empty() || b.succ.iter().any(|&(_, to)| to.is_none_or(may_leave));
                let mut live = out | if leaves { t.dirty | FLAGS } else { 0 };
                for (insn, dirty) in b.insns.iter().zip(&dirty).rev() {
                    live &= !(insn.defs() | insn.clobbers());
                    live |= (dirty | FLAGS) & insn.shows() | insn.uses();
                }
                changed |= self.blocks[i].live_in != live;
                self.blocks[i].live_in = live;
            }
        }
    }

    fn find_ssa(&mut self) {
        for i in 0..self.blocks.len() {
            let b = &mut self.blocks[i];
            b.flags_in = b.live_in & b.dirty_in & FLAGS != 0 && b.inherits.is_none();
            b.ssa_in = b.live_in & REGISTERS & if b.loops { !0 } else { b.dirty_in };
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
        loops: false,
        dirty_in: 0,
        live_in: 0,
        ssa_in: 0,
        ssa_out: 0,
        flags_in: false,
    }
}

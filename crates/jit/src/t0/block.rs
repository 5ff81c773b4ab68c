//! Decoded blocks.

use std::cell::Cell;
use std::marker::PhantomData;

use lyrebird_isa::scan::Flow;
use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_isa::{Cpu, JumpKind, Term};

use super::handler::{Fallthrough, MakeOp, enter_region, enter_verify};
use super::memory::{OpMemory, Piece};
use super::op::{Link, Op, Trailer};
use crate::t1::BlockView;

/// Number of a block in its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// What a block is found by: the same bytes at another address, or in another mode, mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Physical address of the first instruction.
    pub pa: u64,
    /// Virtual address of it.
    pub pc: u64,
    /// [`Cpu::mode`].
    pub mode: u64,
}

/// What goes into every new block.
#[derive(Clone, Copy, Debug)]
pub struct HowToDecode {
    /// Executions until it counts as hot.
    pub heat: u32,
    /// Its region, once there is one, is entered through the dispatcher.
    pub verify: bool,
    /// Where compiled code goes on that comes to it.
    pub out: u64,
    /// Host address of its page.
    pub host: u64,
}

/// Guest instructions in a block at most.
pub const MAX_BLOCK: usize = 64;

/// A decoded block: straight-line guest code inside one page.
#[derive(Debug)]
pub struct Block<C> {
    /// What it is found by.
    pub key: Key,
    /// The guest bytes it was decoded from.
    pub bytes: Box<[u8]>,
    /// Offset of each instruction from the block's start, in bytes.
    pub offsets: Box<[u16]>,
    /// Where control goes at the end.
    pub flow: Flow,
    /// Blocks and slots linked to this one.
    pub incoming: Vec<(BlockId, u8)>,
    /// Blocks this one's slots are linked to.
    pub linked: [Option<BlockId>; 2],
    /// Host address of the page.
    pub host: u64,
    /// A compiled region starts here.
    pub entered: bool,
    /// Where compiled code that comes here goes on: in that region, or back to T0.
    pub code: u64,
    /// By which number of the mapping of code that region knows that it may be entered, 0 where by none: see
    /// [`lyrebird_isa::state::code_number`].
    pub stamp: u32,
    /// It was hot once before, while it was part of another block's region.
    pub deferred: bool,
    /// Operations and trailer; see [`Block::ops`].
    memory: Piece,
    ops: usize,
    _cpu: PhantomData<C>,
}

impl<C: Cpu> Block<C> {
    /// Decodes the block at `key` from `code`, which runs to the end of the page. `None` where not even one
    /// instruction fits.
    pub fn decode(
        key: Key,
        id: BlockId,
        code: &[u8],
        how: &HowToDecode,
        memory: &mut OpMemory,
    ) -> Option<Block<C>> {
        let mut made = Vec::with_capacity(16);
        let mut offsets = Vec::with_capacity(16);
        let mut at = 0usize;
        let mut flow = Flow::Next;
        while made.len() < MAX_BLOCK && at < code.len() {
            let pc = key.pc.wrapping_add(at as u64);
            let (m, len) = C::decode(&code[at..], pc, key.mode, MakeOp);
            if len == 0 || len > code.len() - at {
                break;
            }
            let ends = m.term != Term::None;
            flow = m.flow;
            made.push(m);
            offsets.push(at as u16);
            at += len;
            if ends {
                break;
            }
        }
        let guest = made.len();
        let last = made.last()?;
        let end = key.pc.wrapping_add(at as u64);
        if last.term == Term::None {
            made.push(lyrebird_isa::Visitor::<C>::visit(MakeOp, Fallthrough { target: end }));
        }
        let taken = match flow {
            Flow::Branch { taken } => taken,
            Flow::Jump { target, .. } => target,
            _ => end,
        };

        let ops = made.len();
        let memory = memory.take(ops * size_of::<Op<C>>() + size_of::<Trailer<C>>());
        let base = memory.base().cast::<Op<C>>();
        for (i, m) in made.iter().enumerate() {
            // SAFETY: the piece has room for `ops` operations and a trailer, and its alignment suffices for both.
            unsafe { base.add(i).write(Op { handler: m.handler, payload: m.payload }) };
        }
        let trailer = Trailer {
            len: guest as i64,
            heat: Cell::new(how.heat),
            block: id.0,
            link: [Link::none(), Link::none()],
            target: [taken, end],
            went: Cell::new(0),
            enter: Op {
                handler: if how.verify { enter_verify::<C> } else { enter_region::<C> },
                payload: [0, key.pc],
            },
            _cpu: PhantomData,
        };
        // SAFETY: as above.
        unsafe { base.add(ops).cast::<Trailer<C>>().write(trailer) };
        Some(Block {
            key,
            bytes: code[..at].into(),
            offsets: offsets.into(),
            flow,
            incoming: Vec::new(),
            linked: [None; 2],
            host: how.host,
            entered: false,
            stamp: 0,
            code: how.out,
            deferred: false,
            memory,
            ops,
            _cpu: PhantomData,
        })
    }

    /// The block as the region former sees it; `went` is where it went last, if it ends with a computed branch.
    pub fn view(&self, heat: u64, went: Option<u64>) -> BlockView<'_> {
        let behind = self.trailer().target[1];
        let (succ, kind) = match self.flow {
            Flow::Branch { taken } => ([Some(taken), Some(behind)], None),
            Flow::Jump { target, kind } => ([Some(target), None], Some(kind)),
            Flow::Next => ([Some(behind), None], None),
            Flow::Indirect(JumpKind::Ret) => ([None; 2], Some(JumpKind::Ret)),
            Flow::Indirect(kind) => ([went, None], Some(kind)),
            Flow::SyncNext | Flow::SyncPc => ([None; 2], None),
        };
        BlockView {
            bytes: &self.bytes,
            insns: self.len() as u32,
            heat,
            succ,
            after: (kind == Some(JumpKind::Call)).then_some(behind),
            returns: kind == Some(JumpKind::Ret),
            entered: self.entered,
        }
    }

    /// The first operation.
    pub fn ops(&self) -> *const Op<C> {
        self.memory.base().cast_const().cast()
    }

    /// The trailer.
    pub fn trailer(&self) -> &Trailer<C> {
        // SAFETY: `decode` wrote it there, and it lives as long as `memory`.
        unsafe { &*self.ops().add(self.ops).cast() }
    }

    /// Where others enter: the compiled region if there is one, else the first operation.
    pub fn entry(&self) -> *const Op<C> {
        if self.entered { &raw const self.trailer().enter } else { self.ops() }
    }

    /// Sets the first payload word of [`Trailer::enter`].
    pub fn set_enter(&mut self, word: u64) {
        let trailer: *mut Trailer<C> = self.trailer_mut();
        // SAFETY: as in `trailer`; no reference to the payload is held while guest code does not run.
        unsafe { (&raw mut (*trailer).enter.payload[0]).write(word) };
    }

    fn trailer_mut(&mut self) -> *mut Trailer<C> {
        self.memory.base().cast::<Op<C>>().wrapping_add(self.ops).cast()
    }

    /// What it has of the memory for operations, which it is given back to once the block is gone.
    pub fn into_memory(self) -> Piece {
        self.memory
    }

    /// Guest instructions.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is no instruction (never, for a block that `decode` made).
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Length of the guest code in bytes.
    pub fn byte_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Index of the operation at `op`, and its guest address.
    pub fn locate(&self, op: *const Op<C>) -> (usize, u64) {
        let i = (op.addr() - self.ops().addr()) / size_of::<Op<C>>();
        let off = self.offsets.get(i).copied().map_or(self.byte_len(), u64::from);
        (i, self.key.pc.wrapping_add(off))
    }

    /// Physical page.
    pub fn page(&self) -> u64 {
        self.key.pa & PAGE_MASK
    }

    /// Whether a store to `[pa, pa + len)` hits the block's bytes.
    pub fn hit_by(&self, pa: u64, len: u64) -> bool {
        debug_assert!(self.byte_len() <= PAGE_SIZE);
        pa < self.key.pa + self.byte_len() && self.key.pa < pa.saturating_add(len)
    }
}

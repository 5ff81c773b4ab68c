//! The blocks of one vCPU, found by address, page and operation.

use std::collections::BTreeMap;

use lyrebird_isa::Cpu;
use lyrebird_isa::state::{JumpEntry, PAGE_MASK, code_ctx_mask, jump_index};
use rustc_hash::FxHashMap;

use super::block::{Block, BlockId, HowToDecode, Key};
use super::memory::OpMemory;
use super::op::Op;

/// All decoded blocks.
#[derive(Debug)]
pub struct BlockCache<C> {
    blocks: Vec<Option<Box<Block<C>>>>,
    free: Vec<BlockId>,
    by_key: FxHashMap<Key, BlockId>,
    by_page: FxHashMap<u64, Vec<BlockId>>,
    by_op: BTreeMap<usize, BlockId>,
    /// Decoded guest instructions held.
    pub held: usize,
    memory: OpMemory,
}

impl<C: Cpu> Default for BlockCache<C> {
    fn default() -> Self {
        BlockCache {
            blocks: Vec::new(),
            free: Vec::new(),
            by_key: FxHashMap::default(),
            by_page: FxHashMap::default(),
            by_op: BTreeMap::new(),
            held: 0,
            memory: OpMemory::default(),
        }
    }
}

impl<C: Cpu> BlockCache<C> {
    /// The block at `key`.
    pub fn find(&self, key: &Key) -> Option<BlockId> {
        self.by_key.get(key).copied()
    }

    /// The block with number `id`, if it still lives.
    pub fn get(&self, id: BlockId) -> Option<&Block<C>> {
        self.blocks.get(id.0 as usize)?.as_deref()
    }

    /// The same, to change.
    pub fn get_mut(&mut self, id: BlockId) -> Option<&mut Block<C>> {
        self.blocks.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// The block that the operation at `op` belongs to.
    pub fn owner(&self, op: *const Op<C>) -> Option<BlockId> {
        self.by_op.range(..=op.addr()).next_back().map(|(_, id)| *id)
    }

    /// Decodes the block at `key` and keeps it. `None` where the page ends before the first instruction does.
    pub fn insert(&mut self, key: Key, code: &[u8], how: &HowToDecode) -> Option<BlockId> {
        let id = self.free.last().copied().unwrap_or(BlockId(self.blocks.len() as u32));
        let block = Box::new(Block::decode(key, id, code, how, &mut self.memory)?);
        if self.free.pop().is_none() {
            self.blocks.push(None);
        }
        self.held += block.len();
        self.by_key.insert(key, id);
        self.by_page.entry(block.page()).or_default().push(id);
        self.by_op.insert(block.ops().addr(), id);
        self.blocks[id.0 as usize] = Some(block);
        Some(id)
    }

    /// Makes slot `slot` of `from` lead to `to`, as long as `ctx` holds.
    pub fn link(&mut self, from: BlockId, slot: usize, to: BlockId, ctx: u64) {
        let Some(target) = self.get_mut(to) else { return };
        target.incoming.push((from, slot as u8));
        let (entry, to_pc) = (target.entry(), target.key.pc);
        let Some(source) = self.get_mut(from) else { return };
        let old = source.linked[slot].replace(to);
        let same_page = source.key.pc & PAGE_MASK == to_pc & PAGE_MASK;
        let link = &source.trailer().link[slot];
        link.op.set(entry);
        link.ctx.set(ctx);
        link.mask.set(if same_page { 0 } else { code_ctx_mask(to_pc) });
        if let Some(old) = old
            && let Some(b) = self.get_mut(old)
            && let Some(i) = b.incoming.iter().position(|x| *x == (from, slot as u8))
        {
            // One entry per link: where `old` is `to`, the one pushed above stays.
            b.incoming.swap_remove(i);
        }
    }

    /// Points all links and the jump-cache entry that lead to `id` at its present [`Block::entry`].
    pub fn redirect(&mut self, id: BlockId, jump: &mut [JumpEntry]) {
        let Some(b) = self.get(id) else { return };
        let (entry, code) = (b.entry(), b.code);
        for (from, slot) in &b.incoming {
            if let Some(f) = self.get(*from) {
                f.trailer().link[*slot as usize].op.set(entry);
            }
        }
        let j = &mut jump[jump_index(b.key.pc)];
        if j.va == b.key.pc && (j.op == b.ops().cast() || j.op == (&raw const b.trailer().enter).cast()) {
            j.op = entry.cast();
            j.code = code;
        }
    }

    /// Drops a block: nothing leads to it any more. Not to be called while guest code runs.
    pub fn remove(&mut self, id: BlockId, jump: &mut [JumpEntry]) {
        let Some(block) = self.blocks.get_mut(id.0 as usize).and_then(Option::take) else { return };
        for (from, slot) in &block.incoming {
            if let Some(f) = self.get_mut(*from) {
                f.trailer().link[*slot as usize].clear();
                f.linked[*slot as usize] = None;
            }
        }
        for (slot, to) in block.linked.iter().enumerate() {
            if let Some(t) = to.and_then(|t| self.get_mut(t)) {
                t.incoming.retain(|x| *x != (id, slot as u8));
            }
        }
        let j = &mut jump[jump_index(block.key.pc)];
        if j.va == block.key.pc {
            *j = JumpEntry::EMPTY;
        }
        self.held -= block.len();
        self.by_key.remove(&block.key);
        self.by_op.remove(&block.ops().addr());
        if let Some(v) = self.by_page.get_mut(&block.page()) {
            v.retain(|x| *x != id);
            if v.is_empty() {
                self.by_page.remove(&block.page());
            }
        }
        self.memory.give_back(block.into_memory());
        self.free.push(id);
    }

    /// Blocks on the physical page `pa`.
    pub fn on_page(&self, pa: u64) -> &[BlockId] {
        self.by_page.get(&(pa & PAGE_MASK)).map_or(&[], Vec::as_slice)
    }

    /// Physical pages that hold blocks.
    pub fn pages(&self) -> Vec<u64> {
        self.by_page.keys().copied().collect()
    }

    /// Drops everything. Not to be called while guest code runs.
    pub fn clear(&mut self) {
        *self = BlockCache::default();
    }

    /// How many blocks live.
    pub fn count(&self) -> usize {
        self.by_key.len()
    }
}

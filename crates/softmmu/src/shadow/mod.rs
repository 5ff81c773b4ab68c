//! Shadow page tables: what walks found, kept per table of the guest's and exact as long as the table stays as it is.
//!
//! A *node* mirrors one guest table at one place of an address space; its entries are empty, or lead to the next node, or
//! are a page with everything that decides its use: the flags of the way there, ANDed, give the rights of any privilege.
//! Address spaces that share tables share nodes, so a kernel is shadowed once.
//!
//! The guest's tables are write-tracked: a page with a node has no write tag in any TLB, and `Shadow::written` empties
//! exactly the entries that a store hit. Whatever was made through them leaves the inline TLB in the same moment
//! (`Shadow::take_drops`). Thus translations made through tracked tables never differ from what a walk would find, and
//! TLB maintenance has nothing to do for them.
//!
//! A page that is stored to often without being walked through (a fork or exit going through a table, a page that became
//! something else) stops being tracked together with all that was made from it, so that the stores are fast again.

mod code;
mod node;
mod refill;
mod share;
mod space;
mod track;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use self::node::{FLAGS, Kind, Link, Node, NodeKey, Slot};
use self::track::Tracked;
use crate::mmu::Translation;
use crate::phys::PhysMem;
use crate::tlb::Generations;
use crate::walk::path::Path;

pub use space::{MmuConfig, MmuMode, Root, SpaceDesc};

/// Number of an address space that has no tables.
pub(crate) const NO_SPACE: u16 = u16::MAX;

const NONE: u32 = u32::MAX;

/// Meanings of tables kept apart; a guest that makes up more begins anew.
const MEANINGS: usize = 64;

/// What a lookup found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Physical address of the byte.
    pub(crate) pa: u64,
    pub(crate) page_bits: u8,
    pub(crate) flags: u16,
}

/// Address spaces that something belongs to: a few, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owners {
    ids: [u16; 4],
    /// Beyond the array's length: all.
    len: u8,
}

impl Owners {
    const NOBODY: Owners = Owners { ids: [NO_SPACE; 4], len: 0 };
    const ALL: Owners = Owners { ids: [NO_SPACE; 4], len: 5 };

    fn one(id: u16) -> Owners {
        let mut o = Owners::NOBODY;
        o.add(id);
        o
    }

    fn all(&self) -> bool {
        usize::from(self.len) > self.ids.len()
    }

    fn add(&mut self, id: u16) {
        if self.has(id) {
            return;
        }
        match self.ids.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = id;
                self.len += 1;
            }
            None => *self = Owners::ALL,
        }
    }

    #[inline]
    pub(crate) fn has(&self, id: u16) -> bool {
        self.all() || id != NO_SPACE && self.ids.contains(&id)
    }
}

/// A range of addresses whose translations are to leave the TLB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    pub(crate) va: u64,
    /// log2 of its size.
    pub(crate) bits: u8,
    /// One page or block, rather than what a table translates.
    pub(crate) leaf: bool,
    pub(crate) owners: Owners,
    /// Code was fetched through it.
    pub(crate) fetched: bool,
}

#[derive(Debug)]
struct Space {
    desc: SpaceDesc,
    hash: u64,
    nodes: [u32; 4],
    stamp: u64,
    alive: bool,
    code: code::CodeIds,
}

/// Counters of [`Shadow`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) fills: u64,
    pub(crate) table_stores: u64,
    pub(crate) dropped: u64,
    pub(crate) untracked: u64,
    pub(crate) evicted: u64,
}

/// All shadow tables of one vCPU.
#[derive(Debug)]
pub(crate) struct Shadow {
    phys: Arc<PhysMem>,
    max_spaces: usize,
    max_entries: usize,
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    index: FxHashMap<NodeKey, u32>,
    entries: usize,
    spaces: Vec<Space>,
    free_spaces: Vec<u16>,
    /// The address spaces by the hash of their description; of several with one, the latest.
    by_hash: FxHashMap<u64, u16>,
    /// The latest entered.
    recent: [u16; 8],
    current: u16,
    clock: u64,
    meanings: Vec<[u64; 2]>,
    /// By number of the RAM page: index into `tracked`.
    pages: Vec<u32>,
    tracked: Vec<Tracked>,
    free_tracked: Vec<u32>,
    drops: Vec<Dropped>,
    /// Address spaces that are no more.
    dead: Vec<u16>,
    /// Pages that became tracked.
    fresh_tables: Vec<u64>,
    seen: u64,
    pub(crate) counts: Counts,
}

impl Shadow {
    pub(crate) fn new(phys: Arc<PhysMem>, config: &MmuConfig) -> Shadow {
        let pages = vec![NONE; phys.ram_pages()];
        let mut seen = 0;
        phys.table_writes(&mut seen);
        Shadow {
            phys,
            max_spaces: config.spaces.clamp(2, usize::from(NO_SPACE) - 1),
            max_entries: config.entries.max(1 << 16),
            nodes: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::default(),
            entries: 0,
            spaces: Vec::new(),
            free_spaces: Vec::new(),
            by_hash: FxHashMap::default(),
            recent: [NO_SPACE; 8],
            current: NO_SPACE,
            clock: 0,
            meanings: Vec::new(),
            pages,
            tracked: Vec::new(),
            free_tracked: Vec::new(),
            drops: Vec::new(),
            dead: Vec::new(),
            fresh_tables: Vec::new(),
            seen,
            counts: Counts::default(),
        }
    }

    fn node(&self, n: u32) -> Option<&Node> {
        self.nodes.get(n as usize).and_then(Option::as_ref)
    }

    fn node_mut(&mut self, n: u32) -> Option<&mut Node> {
        self.nodes.get_mut(n as usize).and_then(Option::as_mut)
    }

    /// The number of an address space, which becomes the current one; and whether it has others' upper number again, after
    /// it had lost it.
    pub(crate) fn enter(&mut self, desc: &SpaceDesc, generations: &mut Generations) -> (u16, bool) {
        self.clock += 1;
        let hash = desc.hash();
        let same = |s: &Space| s.hash == hash && s.alive && s.desc == *desc;
        let has = |id: &u16| self.spaces.get(usize::from(*id)).is_some_and(same);
        let found = Some(self.current).filter(has).or_else(|| self.by_hash.get(&hash).copied().filter(has));
        let (id, rejoined) = match found {
            Some(id) => (id, self.rejoin_code(id)),
            None => (self.new_space(desc, hash, generations), false),
        };
        if let Some(s) = self.spaces.get_mut(usize::from(id)) {
            s.stamp = self.clock;
        }
        if id != self.current {
            self.recent[self.clock as usize % self.recent.len()] = self.current;
            self.current = id;
        }
        (id, rejoined)
    }

    #[cold]
    fn new_space(&mut self, desc: &SpaceDesc, hash: u64, generations: &mut Generations) -> u16 {
        if self.free_spaces.is_empty()
            && self.spaces.len() >= self.max_spaces
            && let Some(oldest) = self.oldest()
        {
            self.release(oldest);
        }
        let space = Space {
            desc: *desc,
            hash,
            nodes: [NONE; 4],
            stamp: self.clock,
            alive: true,
            code: code::CodeIds::new(generations),
        };
        let id = match self.free_spaces.pop() {
            Some(id) => {
                self.spaces[usize::from(id)] = space;
                id
            }
            None => {
                self.spaces.push(space);
                self.spaces.len() as u16 - 1
            }
        };
        self.by_hash.insert(hash, id);
        self.inherit_code(id);
        id
    }

    fn oldest(&self) -> Option<usize> {
        let current = usize::from(self.current);
        let alive = self.spaces.iter().enumerate().filter(|(i, s)| s.alive && *i != current);
        alive.min_by_key(|(_, s)| s.stamp).map(|(i, _)| i)
    }

    /// Gives up an address space; its number is free once [`Shadow::take_dead`] has told of it.
    fn release(&mut self, id: usize) {
        self.counts.evicted += 1;
        let Some(s) = self.spaces.get_mut(id) else { return };
        s.alive = false;
        if self.by_hash.get(&s.hash) == Some(&(id as u16)) {
            self.by_hash.remove(&s.hash);
        }
        self.free_spaces.push(id as u16);
        let roots = std::mem::replace(&mut s.nodes, [NONE; 4]);
        for (which, n) in roots.into_iter().enumerate().filter(|(_, n)| *n != NONE) {
            self.unlink(n, Link::Root(id as u16, which as u8));
        }
        self.dead.push(id as u16);
    }

    /// Makes room for the nodes of one more path.
    fn make_room(&mut self) {
        // The largest tables have 2^13 entries.
        const PATH: usize = 5 << 13;
        if self.entries + PATH <= self.max_entries {
            return;
        }
        while self.entries + PATH > self.max_entries / 4 * 3 {
            let Some(id) = self.oldest() else {
                // It is the current one's.
                for id in 0..self.spaces.len() {
                    self.drop_roots(id as u16);
                }
                return;
            };
            self.release(id);
        }
    }

    fn drop_roots(&mut self, id: u16) {
        for which in 0..4 {
            self.drop_root(id, which);
        }
    }

    /// Forgets everything below one root of an address space.
    fn drop_root(&mut self, id: u16, which: u8) {
        let Some(s) = self.spaces.get_mut(usize::from(id)) else { return };
        let n = std::mem::replace(&mut s.nodes[usize::from(which & 3)], NONE);
        let Some(node) = self.node(n) else { return };
        let (key, fetched) = (node.key, node.fetched);
        self.drops.push(Dropped {
            va: key.base,
            bits: key.shift + key.bits,
            leaf: false,
            owners: Owners::one(id),
            fetched,
        });
        self.unlink(n, Link::Root(id, which));
    }

    /// What is known about an address.
    #[inline]
    pub(crate) fn lookup(&self, id: u16, va: u64) -> Option<Found> {
        let s = self.spaces.get(usize::from(id))?;
        let which = s.desc.which(va);
        let va = s.desc.roots[which].as_ref()?.canonical(va)?;
        let mut node = self.node(s.nodes[which])?;
        let mut flags = FLAGS;
        loop {
            let slot = node.slot(va);
            flags &= slot.flags();
            match slot.kind() {
                Kind::Empty => return None,
                Kind::Table(n) => node = self.node(n)?,
                Kind::Leaf => {
                    let low = (1 << node.key.shift) - 1;
                    return Some(Found {
                        pa: slot.frame() & !low | va & low,
                        page_bits: slot.page_bits(),
                        flags,
                    });
                }
            }
        }
    }

    /// Enters a path that [`Shadow::track`] found to be tracked. Whether its translation is now kept exact.
    pub(crate) fn fill(&mut self, id: u16, va: u64, path: &Path, t: &Translation) -> bool {
        let Some(s) = self.spaces.get(usize::from(id)).filter(|s| s.alive) else { return false };
        let which = s.desc.which(va);
        let Some(root) = s.desc.roots[which] else { return false };
        let Some(va) = root.canonical(va) else { return false };
        let desc_meaning = s.desc.meaning;
        let Some(meaning) = self.meaning(desc_meaning) else { return false };
        let mut link = Link::Root(id, which as u8);
        let mut steps = path.steps().iter().peekable();
        while let Some(step) = steps.next() {
            let key = NodeKey::of(step, va, meaning);
            let starts = key.table == root.table && key.shift == root.shift && key.bits == root.bits;
            if matches!(link, Link::Root(..)) && !starts {
                return false;
            }
            let Some(n) = self.reach(link, key) else { return false };
            let Some(i) = self.node(n).map(|node| node.index(va)) else { return false };
            if steps.peek().is_none() {
                let slot = Slot::leaf(t.pa & u64::MAX << step.shift, t.page_bits, step.flags);
                self.set(n, i, slot);
            } else {
                // The node below is put in by `reach`, with these flags.
                let below = steps.peek().map(|s| NodeKey::of(s, va, meaning));
                let Some(child) = below.and_then(|k| self.get_or_make(k)) else { return false };
                self.set(n, i, Slot::table(child, step.flags));
                link = Link::Entry(n, i as u16);
            }
        }
        self.counts.fills += 1;
        true
    }

    fn meaning(&mut self, m: [u64; 2]) -> Option<u32> {
        if let Some(i) = self.meanings.iter().position(|o| *o == m) {
            return Some(i as u32);
        }
        if self.meanings.len() >= MEANINGS {
            self.drop_all();
            self.meanings.clear();
            return None;
        }
        self.meanings.push(m);
        Some(self.meanings.len() as u32 - 1)
    }

    /// Forgets everything.
    fn drop_all(&mut self) {
        for id in 0..self.spaces.len() {
            self.drop_roots(id as u16);
        }
    }

    /// The node that a link leads to, which is made to be that of `key`.
    fn reach(&mut self, link: Link, key: NodeKey) -> Option<u32> {
        match link {
            Link::Entry(n, i) => match self.node(n)?.slots.get(usize::from(i))?.kind() {
                Kind::Table(child) => Some(child),
                _ => None,
            },
            Link::Root(id, which) => {
                let at = usize::from(which & 3);
                let now = self.spaces.get(usize::from(id))?.nodes[at];
                if self.node(now).is_some_and(|n| n.key == key) {
                    return Some(now);
                }
                self.drop_root(id, which);
                let n = self.get_or_make(key)?;
                self.spaces.get_mut(usize::from(id))?.nodes[at] = n;
                self.node_mut(n)?.links.push(link);
                Some(n)
            }
        }
    }

    /// The node of a table whose pages are tracked.
    fn get_or_make(&mut self, key: NodeKey) -> Option<u32> {
        if let Some(n) = self.index.get(&key) {
            return Some(*n);
        }
        // What made room for the nodes above may have ended it.
        let records = self.tracked_of(&key)?;
        let node = Node::new(key);
        self.entries += node.slots.len();
        let n = match self.free.pop() {
            Some(n) => {
                self.nodes[n as usize] = Some(node);
                n
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() as u32 - 1
            }
        };
        self.index.insert(key, n);
        for at in records {
            let others = self.tracked[at as usize].nodes.clone();
            self.tracked[at as usize].nodes.push(n);
            for o in others {
                // Whoever reads a page in another way may set flags in it that mean something here.
                if self.node(o).is_some_and(|o| o.key.size != key.size) {
                    self.drop_node(o);
                }
            }
        }
        Some(n)
    }

    /// Fills an entry.
    fn set(&mut self, n: u32, i: usize, new: Slot) {
        let Some(old) = self.node(n).and_then(|x| x.slots.get(i).copied()) else { return };
        let new = match old.grows_into(new) {
            true if old.fetched() => new.with_fetched(),
            true => new,
            false => {
                self.clear(n, i);
                if let Kind::Table(child) = new.kind()
                    && let Some(c) = self.node_mut(child)
                {
                    c.links.push(Link::Entry(n, i as u16));
                }
                new
            }
        };
        let Some(node) = self.node_mut(n) else { return };
        let Some(slot) = node.slots.get_mut(i) else { return };
        node.live += u32::from(slot.is_empty());
        *slot = new;
    }

    /// Empties an entry, and has what was made through it leave the TLB.
    fn clear(&mut self, n: u32, i: usize) {
        let Some(node) = self.node_mut(n) else { return };
        let Some(slot) = node.slots.get_mut(i).filter(|s| !s.is_empty()) else { return };
        let old = std::mem::replace(slot, Slot::EMPTY);
        node.live -= 1;
        let (va, bits) = (node.key.address(i), node.key.shift);
        let mut drop = Dropped { va, bits, leaf: true, owners: self.owners(n), fetched: old.fetched() };
        self.counts.dropped += 1;
        if let Kind::Table(child) = old.kind() {
            drop.leaf = false;
            let c = self.node(child);
            drop.fetched = c.is_some_and(|c| c.fetched);
            if drop.fetched || c.is_some_and(|c| c.live > 0) {
                self.drops.push(drop);
            }
            self.unlink(child, Link::Entry(n, i as u16));
        } else {
            self.drops.push(drop);
        }
    }

    /// The address spaces that a node belongs to.
    fn owners(&self, n: u32) -> Owners {
        let mut o = Owners::NOBODY;
        self.add_owners(n, &mut o);
        o
    }

    fn add_owners(&self, n: u32, to: &mut Owners) {
        let Some(node) = self.node(n) else { return };
        if node.links.len() > to.ids.len() {
            *to = Owners::ALL;
        }
        for link in &node.links {
            if to.all() {
                return;
            }
            match link {
                Link::Entry(above, _) => self.add_owners(*above, to),
                Link::Root(id, _) => to.add(*id),
            }
        }
    }

    /// Takes away one of the links to a node, which goes with the last. What was made through it is the caller's concern.
    fn unlink(&mut self, n: u32, link: Link) {
        let Some(node) = self.node_mut(n) else { return };
        if let Some(at) = node.links.iter().position(|l| *l == link) {
            node.links.swap_remove(at);
        }
        if !node.links.is_empty() {
            return;
        }
        let Some(node) = self.nodes.get_mut(n as usize).and_then(Option::take) else { return };
        self.free.push(n);
        self.entries -= node.slots.len();
        self.index.remove(&node.key);
        for at in self.tracked_of(&node.key).unwrap_or_default() {
            let t = &mut self.tracked[at as usize];
            t.nodes.retain(|x| *x != n);
            if t.nodes.is_empty() {
                self.untrack(at);
            }
        }
        if node.live == 0 {
            return;
        }
        for (i, slot) in node.slots.iter().enumerate() {
            if let Kind::Table(child) = slot.kind() {
                self.unlink(child, Link::Entry(n, i as u16));
            }
        }
    }

    /// Drops a node and all that was made through it.
    fn drop_node(&mut self, n: u32) {
        let Some(node) = self.node(n) else { return };
        let links = node.links.clone();
        if links.is_empty() {
            self.unlink(n, Link::Entry(NONE, 0));
        }
        for link in links {
            match link {
                Link::Entry(above, i) => self.clear(above, usize::from(i)),
                Link::Root(id, which) => self.drop_root(id, which),
            }
        }
    }

    /// What has to leave the TLB.
    #[inline]
    pub(crate) fn take_drops(&mut self) -> Option<Dropped> {
        self.drops.pop()
    }

    /// Address spaces whose contexts have to be emptied and forgotten.
    pub(crate) fn take_dead(&mut self) -> Option<u16> {
        self.dead.pop()
    }

    /// Whether any of the `take` methods has something.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        !(self.drops.is_empty() && self.dead.is_empty() && self.fresh_tables.is_empty())
    }
}

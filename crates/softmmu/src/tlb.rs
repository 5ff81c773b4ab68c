//! TLB contexts: an inline table, what is known about each of its entries, and the pool they live in.

mod leaves;
mod side;
mod table;

use lyrebird_isa::TlbEntry;
use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK, TAG_NONE, TLB_ENTRIES, UPPER_HALF, tlb_index};

use self::leaves::{Leaves, untagged};
use self::side::{DEVICE, READ, TAGGED, WRITE};
use self::table::Table;
use crate::mmu::{MemType, Translation};

pub(crate) use self::side::Side;
pub(crate) use self::table::Pool;

/// Which translations a TLB context holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextKey {
    /// Address-space identifier; 0 where the regime has none.
    pub asid: u16,
    /// Regime, privilege and whatever else changes translations or permissions without TLB maintenance; the
    /// front end's numbering, below 64.
    pub class: u8,
}

/// Numbers for code contexts: 24 bits each, never 0, and none twice as long as there are some left.
#[derive(Debug)]
pub(crate) struct Generations {
    next: u32,
    last: u32,
    spent: bool,
}

/// Bits of a number.
pub(crate) const GENERATION_BITS: u32 = 24;

impl Generations {
    pub(crate) const fn new() -> Generations {
        Generations { next: 0, last: (1 << GENERATION_BITS) - 1, spent: false }
    }

    /// A new number; [`Generations::parked`] when there is none left.
    pub(crate) fn fresh(&mut self) -> u32 {
        // The two last ones are for parking.
        if self.next + 1 >= (1 << GENERATION_BITS) - 2 {
            self.spent = true;
            return self.last;
        }
        self.next += 1;
        self.next
    }

    /// The number that stands for all while there is none left: not the one that did the time before.
    pub(crate) fn parked(&self) -> Option<u32> {
        self.spent.then_some(self.last)
    }

    /// Begins anew, when nothing is left that was found under any number.
    pub(crate) fn restart(&mut self) {
        self.next = 0;
        self.last ^= 1;
        self.spent = false;
    }

    #[cfg(test)]
    pub(crate) fn nearly_spent(&mut self) {
        self.next = (1 << GENERATION_BITS) - 6;
    }
}

/// Contexts kept per vCPU: enough for a dozen processes with user and kernel halves.
pub(crate) const CONTEXTS: usize = 32;

/// The write tags of this vCPU that point at one RAM page, so that withdrawing them rarely needs a search.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteTag {
    /// How many, up to [`WriteTag::MANY`].
    pub(crate) count: u16,
    /// Indices of the latest: of a kernel's map of all memory, and of a program.
    pub(crate) indices: [u16; 3],
}

impl WriteTag {
    /// So many or more: counted no longer until all are withdrawn.
    pub(crate) const MANY: u16 = u16::MAX;

    fn add(&mut self, index: usize) {
        self.count = self.count.saturating_add(1);
        if !self.indices.contains(&(index as u16)) {
            self.indices = [index as u16, self.indices[0], self.indices[1]];
        }
    }

    pub(crate) fn remove(&mut self, n: u16) {
        if self.count != WriteTag::MANY {
            self.count = self.count.saturating_sub(n);
        }
    }
}

/// By number of the RAM page.
pub(crate) type WriteTags = Vec<WriteTag>;

/// Pages that [`Recent`] remembers.
const RECENT: usize = 1024;

/// The pages that were entered last in a context.
#[derive(Debug)]
struct Recent {
    pages: Box<[u64; RECENT]>,
    /// How many there ever were.
    count: usize,
}

impl Recent {
    fn new() -> Recent {
        Recent { pages: Box::new([TAG_NONE; RECENT]), count: 0 }
    }

    fn push(&mut self, va: u64) {
        self.pages[self.count % RECENT] = va;
        self.count += 1;
    }

    /// The oldest first.
    fn pages(&self) -> impl Iterator<Item = u64> + '_ {
        (self.count.saturating_sub(RECENT)..self.count).map(|i| self.pages[i % RECENT])
    }

    fn clear(&mut self) {
        self.count = 0;
    }
}

/// 4 KiB pages in 2^`bits` bytes.
fn pieces(bits: u32) -> usize {
    1 << bits.saturating_sub(PAGE_BITS).min(31)
}

/// One translation context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) key: ContextKey,
    /// Code generation; see [`crate::Mmu::switch`].
    pub(crate) generation: u32,
    /// The generations of its address space for which the exec tags hold, where that has its own.
    pub(crate) fetched_under: (u32, u32),
    /// There may be translations that the shadow tables do not keep exact.
    pub(crate) loose: bool,
    /// The same of the upper half of the addresses.
    pub(crate) loose_upper: bool,
    table: Table,
    side: Box<[Side]>,
    /// Entries that may not be empty.
    used: Box<[u64; TLB_ENTRIES / 64]>,
    /// Entries that may have an exec tag.
    fetched: Box<[u64; TLB_ENTRIES / 64]>,
    /// Pages that were entered last, the next to be replaced first.
    recent: Recent,
    /// Leaves larger than a page that entries were made from.
    leaves: Leaves,
    /// Leaves that code was fetched through in this generation.
    exec: Leaves,
    /// Whether one of them was not global.
    exec_private: bool,
    /// Whether there may be global entries, or code may have been fetched through one.
    has_global: bool,
}

impl Context {
    /// A context with the table of that number.
    pub(crate) fn new(key: ContextKey, generation: u32, pool: &Pool, number: usize) -> Context {
        Context {
            key,
            generation,
            fetched_under: (0, 0),
            loose: false,
            loose_upper: false,
            table: pool.table(number),
            side: vec![Side::EMPTY; TLB_ENTRIES].into_boxed_slice(),
            used: Box::new([0; TLB_ENTRIES / 64]),
            fetched: Box::new([0; TLB_ENTRIES / 64]),
            recent: Recent::new(),
            leaves: Leaves::EMPTY,
            exec: Leaves::EMPTY,
            exec_private: false,
            has_global: false,
        }
    }

    /// For [`lyrebird_isa::Core::tlb`].
    #[inline]
    pub(crate) fn table(&self) -> *mut TlbEntry {
        self.table.pointer()
    }

    /// What is cached for the page of `va`.
    #[inline]
    pub(crate) fn lookup(&self, va: u64) -> Option<Side> {
        let s = self.at(tlb_index(va));
        (s.va == va & PAGE_MASK).then_some(s)
    }

    #[inline(always)]
    fn at(&self, i: usize) -> Side {
        self.side[i % TLB_ENTRIES]
    }

    /// Enters a translation. `host` is the page's host address where loads may go there directly, `tag_write`
    /// whether stores may. `ram_page` numbers the RAM page for `tags`.
    ///
    /// Returns whether it replaces a different translation of the same page through which code was fetched.
    pub(crate) fn fill(
        &mut self,
        va: u64,
        t: &Translation,
        host: Option<*const u8>,
        tag_write: Option<usize>,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) -> (Side, bool) {
        let i = tlb_index(va);
        let old = self.at(i);
        let mut exec = TAG_NONE;
        let mut remapped = false;
        let mut side = Side::new(va, t);
        if old.va == side.va {
            let e = self.table.get(i);
            if old.pa() == side.pa() && t.exec {
                exec = e.exec;
                if exec != TAG_NONE {
                    // The leaf may have another size or scope than when it was fetched through.
                    self.exec.insert(va, side.leaf_bits());
                    self.exec_private |= !side.global();
                }
            } else if e.exec != TAG_NONE {
                remapped = true;
            }
        }
        self.drop_entry(i, tags, ram_page);
        let mut e = TlbEntry::EMPTY;
        if let Some(p) = host {
            e.addend = (p as u64).wrapping_sub(side.va);
            e.exec = exec;
            if t.mem == MemType::Normal {
                if t.read {
                    e.read = side.va;
                }
                if let Some(n) = tag_write
                    && let Some(c) = tags.get_mut(n)
                {
                    c.add(i);
                    side.bits |= TAGGED;
                    e.write = side.va;
                }
            }
        }
        self.enter(i, side, e);
        (side, remapped)
    }

    fn enter(&mut self, i: usize, side: Side, e: TlbEntry) {
        self.table.set(i, e);
        self.side[i % TLB_ENTRIES] = side;
        self.used[i / 64 % self.used.len()] |= 1 << (i % 64);
        self.recent.push(side.va);
        self.has_global |= side.global();
        if side.leaf_bits() > PAGE_BITS {
            self.leaves.insert(side.va, side.leaf_bits());
        }
    }

    /// What was entered last, in that order: what is known, and the inline entry. Bounded, so that taking it over into
    /// another context is.
    pub(crate) fn recent(&self) -> impl Iterator<Item = (Side, TlbEntry)> + '_ {
        self.recent.pages().filter_map(|va| Some((self.lookup(va)?, self.table.get(tlb_index(va)))))
    }

    /// Enters in an empty place what another context has there; with `code`, what was fetched through in the upper half
    /// there counts as fetched through here.
    pub(crate) fn adopt(
        &mut self,
        (side, e): (Side, TlbEntry),
        code: bool,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) {
        let i = tlb_index(side.va);
        if self.at(i).va != TAG_NONE {
            return;
        }
        if side.bits & TAGGED != 0
            && let Some(c) = ram_page(side.pa()).and_then(|n| tags.get_mut(n))
        {
            c.add(i);
        }
        self.enter(i, side, TlbEntry { exec: TAG_NONE, ..e });
        if code && e.exec == side.va && side.va & UPPER_HALF != 0 {
            self.tag_exec(side.va, true);
        }
    }

    /// Adds the write tag that an entry could not have while its page was watched.
    pub(crate) fn tag_write(&mut self, va: u64, ram_page: usize, tags: &mut WriteTags) {
        let i = tlb_index(va);
        let side = &mut self.side[i % TLB_ENTRIES];
        if side.va != va & PAGE_MASK || side.bits & (READ | WRITE | DEVICE | TAGGED) != READ | WRITE {
            return;
        }
        if let Some(c) = tags.get_mut(ram_page) {
            c.add(i);
            side.bits |= TAGGED;
            let mut e = self.table.get(i);
            e.write = side.va;
            self.table.set(i, e);
        }
    }

    /// Whether a fetch through the entry of `va` was noted.
    #[inline]
    pub(crate) fn has_exec(&self, va: u64) -> bool {
        self.table.get(tlb_index(va)).exec == va & PAGE_MASK
    }

    /// Notes a fetch through the entry of `va`, and lets later ones find it inline if `inline`.
    pub(crate) fn tag_exec(&mut self, va: u64, inline: bool) {
        let i = tlb_index(va);
        let side = self.at(i);
        self.exec.insert(va, side.leaf_bits());
        self.exec_private |= !side.global();
        let mut e = self.table.get(i);
        if inline && e.exec != side.va {
            e.exec = side.va;
            self.table.set(i, e);
            self.fetched[i / 64 % self.fetched.len()] |= 1 << (i % 64);
        }
    }

    fn drop_entry(&mut self, i: usize, tags: &mut WriteTags, ram_page: impl Fn(u64) -> Option<usize>) {
        let side = self.at(i);
        if side.va == TAG_NONE {
            return;
        }
        if side.bits & TAGGED != 0
            && let Some(c) = ram_page(side.pa()).and_then(|n| tags.get_mut(n))
        {
            c.remove(1);
        }
        self.side[i % TLB_ENTRIES] = Side::EMPTY;
        self.table.set(i, TlbEntry::EMPTY);
        self.used[i / 64 % self.used.len()] &= !(1 << (i % 64));
    }

    /// Drops the entries for which `which` holds, of those that addresses from `first` on have, `pages` in number.
    fn drop_among(
        &mut self,
        (first, pages): (u64, usize),
        which: impl Fn(Side) -> bool,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) {
        let (from, words) = match pages {
            // Pages next to each other have indices next to each other.
            0..TLB_ENTRIES => {
                let from = tlb_index(first);
                (from / 64, (from % 64 + pages).div_ceil(64))
            }
            _ => (0, self.used.len()),
        };
        for w in from..from + words {
            let w = w % self.used.len();
            let mut left = self.used[w];
            while left != 0 {
                let i = w * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                if which(self.at(i)) {
                    self.drop_entry(i, tags, &ram_page);
                }
            }
        }
    }

    /// Drops the entries for which `which` holds.
    fn drop_where(
        &mut self,
        which: impl Fn(Side) -> bool,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) {
        self.drop_among((0, TLB_ENTRIES), which, tags, ram_page);
    }

    /// Empties the context. The caller gives it a new generation.
    pub(crate) fn clear(&mut self, tags: &mut WriteTags, ram_page: impl Fn(u64) -> Option<usize>) {
        self.drop_where(|_| true, tags, ram_page);
        self.fetched.fill(0);
        self.recent.clear();
        self.leaves.clear();
        self.exec.clear();
        self.exec_private = false;
        self.has_global = false;
        self.loose = false;
        self.loose_upper = false;
    }

    /// Starts a new generation in which nothing was fetched yet.
    pub(crate) fn renew(&mut self, generation: u32) {
        self.generation = generation;
        self.forget_fetches([true; 2]);
        self.exec.clear();
        self.exec_private = false;
    }

    /// Whether it has anything that shadow tables do not keep exact.
    pub(crate) fn is_loose(&self) -> bool {
        self.loose || self.loose_upper
    }

    /// Has fetches from the lower or the upper half, or both, come the slow way again.
    pub(crate) fn forget_fetches(&mut self, halves: [bool; 2]) {
        for w in 0..self.fetched.len() {
            let mut left = self.fetched[w];
            while left != 0 {
                let i = w * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let e = self.table.get(i);
                if e.exec == TAG_NONE || halves[usize::from(e.exec & UPPER_HALF != 0)] {
                    self.table.set(i, TlbEntry { exec: TAG_NONE, ..e });
                    self.fetched[w] &= !(1 << (i % 64));
                }
            }
        }
    }

    /// Drops every piece of the leaf that maps `va`; with `global_only`, only if it is global. Returns whether
    /// code may have been fetched through it.
    pub(crate) fn drop_va(
        &mut self,
        va: u64,
        global_only: bool,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) -> bool {
        if global_only && !self.has_global {
            return false;
        }
        let hit = |s: Side| {
            s.va != TAG_NONE
                && (untagged(s.va) ^ untagged(va)) >> s.leaf_bits() == 0
                && (s.global() || !global_only)
        };
        let i = tlb_index(va);
        if hit(self.at(i)) {
            self.drop_entry(i, tags, &ram_page);
        }
        if let Some(large) = self.leaves.large(va).max() {
            let first = va & (u64::MAX << large);
            self.drop_among((first, pieces(large)), hit, tags, &ram_page);
        }
        self.exec.any(va)
    }

    /// Drops all entries of a range of addresses of 2^`bits` bytes.
    pub(crate) fn drop_range(
        &mut self,
        va: u64,
        bits: u8,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) {
        let bits = u32::from(bits);
        let hit = |s: Side| bits >= 56 || (untagged(s.va) ^ untagged(va)) >> bits == 0;
        let first = if bits < 64 { va & (u64::MAX << bits) } else { 0 };
        self.drop_among((first, pieces(bits)), hit, tags, ram_page);
    }

    /// Drops what is not global. Returns whether code was fetched through something that was not.
    pub(crate) fn drop_private(
        &mut self,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) -> bool {
        self.drop_where(|s| !s.global(), tags, ram_page);
        self.exec_private
    }

    /// Withdraws the write tag at one index if it is for the physical page `pa`; returns how many that were.
    pub(crate) fn untag_at(&mut self, i: usize, pa: u64) -> u16 {
        let side = &mut self.side[i % TLB_ENTRIES];
        if side.bits & TAGGED == 0 || side.pa() != pa & PAGE_MASK {
            return 0;
        }
        side.bits &= !TAGGED;
        let mut e = self.table.get(i);
        e.write = TAG_NONE;
        self.table.set(i, e);
        1
    }

    /// Withdraws all write tags of the physical page `pa`; returns how many there were.
    pub(crate) fn untag_page(&mut self, pa: u64) -> u16 {
        let mut n = 0;
        for w in 0..self.used.len() {
            let mut left = self.used[w];
            while left != 0 {
                let i = w * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                n += self.untag_at(i, pa);
            }
        }
        n
    }
}

//! TLB contexts: an inline table, what is known about each of its entries, and the pool they live in.

use std::ptr::NonNull;

use lyrebird_isa::TlbEntry;
use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK, TAG_NONE, TLB_ENTRIES, tlb_index};

use crate::mmu::{AccessKind, MemType, Translation};

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

/// An inline table. Held by raw pointer because [`lyrebird_isa::Core::tlb`] points at it as well.
#[derive(Debug)]
struct Table(NonNull<[TlbEntry; TLB_ENTRIES]>);

// SAFETY: the table is plain data, owned by this value; the only other pointers to it are in the `Core` of the
// same vCPU, which moves between threads together with it.
unsafe impl Send for Table {}

impl Table {
    fn new() -> Table {
        Table(NonNull::from(Box::leak(Box::new([TlbEntry::EMPTY; TLB_ENTRIES]))))
    }

    fn get(&self, i: usize) -> TlbEntry {
        let p = self.0.as_ptr().cast::<TlbEntry>().wrapping_add(i % TLB_ENTRIES);
        // SAFETY: the index is in range; `Core`'s copy of the pointer is only used by the same vCPU, which is
        // here and not in guest code.
        unsafe { p.read() }
    }

    fn set(&mut self, i: usize, e: TlbEntry) {
        let p = self.0.as_ptr().cast::<TlbEntry>().wrapping_add(i % TLB_ENTRIES);
        // SAFETY: as in `get`.
        unsafe { p.write(e) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: came from `Box::leak`; the pool that owns it outlives the guest's use of it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Everything a translation said about one page, beside its inline entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// Virtual page, or [`TAG_NONE`].
    va: u64,
    /// Physical page; below it the flags, and the leaf size from bit 6.
    bits: u64,
}

const READ: u64 = 1;
const WRITE: u64 = 2;
const EXEC: u64 = 4;
const DEVICE: u64 = 8;
const GLOBAL: u64 = 16;
/// The inline entry has a write tag (counted per physical page).
const TAGGED: u64 = 32;
const LEAF_SHIFT: u32 = 6;

impl Side {
    const EMPTY: Side = Side { va: TAG_NONE, bits: 0 };

    fn new(va: u64, t: &Translation) -> Side {
        let flag = |on: bool, f: u64| if on { f } else { 0 };
        Side {
            va: va & PAGE_MASK,
            bits: t.pa & PAGE_MASK
                | flag(t.read, READ)
                | flag(t.write, WRITE)
                | flag(t.exec, EXEC)
                | flag(t.mem == MemType::Device, DEVICE)
                | flag(t.global, GLOBAL)
                | u64::from(t.page_bits.clamp(PAGE_BITS as u8, 63)) << LEAF_SHIFT,
        }
    }

    /// Virtual page.
    pub(crate) fn va(self) -> u64 {
        self.va
    }

    /// Physical page.
    #[inline]
    pub(crate) fn pa(self) -> u64 {
        self.bits & PAGE_MASK
    }

    pub(crate) fn device(self) -> bool {
        self.bits & DEVICE != 0
    }

    fn global(self) -> bool {
        self.bits & GLOBAL != 0
    }

    fn leaf_bits(self) -> u32 {
        (self.bits >> LEAF_SHIFT) as u32 & 63
    }

    #[inline]
    pub(crate) fn allows(self, kind: AccessKind) -> bool {
        let need = match kind {
            AccessKind::Read => READ,
            AccessKind::Write => WRITE,
            AccessKind::Exec => EXEC,
        };
        self.bits & need != 0
    }

    pub(crate) fn translation(self, va: u64) -> Translation {
        Translation {
            pa: self.pa() | va & !PAGE_MASK,
            page_bits: self.leaf_bits() as u8,
            read: self.bits & READ != 0,
            write: self.bits & WRITE != 0,
            exec: self.bits & EXEC != 0,
            mem: if self.device() { MemType::Device } else { MemType::Normal },
            global: self.global(),
        }
    }
}

/// The part of a virtual address that TLB maintenance looks at: a tag in the top byte is not compared, so that
/// every tagged alias goes with its page.
#[inline]
fn untagged(va: u64) -> u64 {
    va & ((1 << 56) - 1)
}

/// Bloom filter over translation leaves, and which leaf sizes are in it. Never forgets one it was told of.
#[derive(Debug)]
struct Leaves {
    sizes: u64,
    bits: [u64; 32],
}

impl Leaves {
    const EMPTY: Leaves = Leaves { sizes: 0, bits: [0; 32] };

    fn hashes(va: u64, leaf_bits: u32) -> [usize; 2] {
        let h = ((untagged(va) >> leaf_bits) << 6 | u64::from(leaf_bits)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [(h >> 53) as usize, (h >> 42) as usize & 2047]
    }

    fn insert(&mut self, va: u64, leaf_bits: u32) {
        self.sizes |= 1 << leaf_bits;
        for h in Leaves::hashes(va, leaf_bits) {
            if let Some(w) = self.bits.get_mut(h / 64) {
                *w |= 1 << (h % 64);
            }
        }
    }

    fn may_contain(&self, va: u64, leaf_bits: u32) -> bool {
        Leaves::hashes(va, leaf_bits)
            .iter()
            .all(|&h| self.bits.get(h / 64).is_some_and(|w| w & 1 << (h % 64) != 0))
    }

    /// Sizes above the TLB's page of leaves around `va` that may be in the filter, as log2.
    fn large(&self, va: u64) -> impl Iterator<Item = u32> + '_ {
        let mut left = self.sizes & !(1 << PAGE_BITS);
        std::iter::from_fn(move || {
            let b = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (b < 64).then_some(b)
        })
        .filter(move |&b| self.may_contain(va, b))
    }

    fn any(&self, va: u64) -> bool {
        self.sizes & 1 << PAGE_BITS != 0 && self.may_contain(va, PAGE_BITS) || self.large(va).next().is_some()
    }

    fn clear(&mut self) {
        if self.sizes != 0 {
            *self = Leaves::EMPTY;
        }
    }
}

/// The write tags of this vCPU that point at one RAM page, so that withdrawing them rarely needs a search.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteTag {
    /// How many; at most one per entry of the pool.
    pub(crate) count: u16,
    /// Index of the latest.
    pub(crate) index: u16,
}

/// By number of the RAM page.
pub(crate) type WriteTags = Vec<WriteTag>;

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
    table: Table,
    side: Box<[Side; TLB_ENTRIES]>,
    /// Entries that may not be empty.
    used: [u64; TLB_ENTRIES / 64],
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
    pub(crate) fn new(key: ContextKey, generation: u32) -> Context {
        Context {
            key,
            generation,
            fetched_under: (0, 0),
            loose: false,
            table: Table::new(),
            side: Box::new([Side::EMPTY; TLB_ENTRIES]),
            used: [0; TLB_ENTRIES / 64],
            leaves: Leaves::EMPTY,
            exec: Leaves::EMPTY,
            exec_private: false,
            has_global: false,
        }
    }

    /// For [`lyrebird_isa::Core::tlb`].
    #[inline]
    pub(crate) fn table(&self) -> *mut TlbEntry {
        self.table.0.as_ptr().cast()
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
                    *c = WriteTag { count: c.count + 1, index: i as u16 };
                    side.bits |= TAGGED;
                    e.write = side.va;
                }
            }
        }
        self.table.set(i, e);
        self.side[i % TLB_ENTRIES] = side;
        self.used[i / 64 % self.used.len()] |= 1 << (i % 64);
        self.has_global |= side.global();
        if side.leaf_bits() > PAGE_BITS {
            self.leaves.insert(va, side.leaf_bits());
        }
        (side, remapped)
    }

    /// The entries that there are: number, what is known, inline entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, Side, TlbEntry)> + '_ {
        self.used.iter().enumerate().flat_map(move |(w, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let i = w * 64 + left.trailing_zeros() as usize;
                (left != 0).then(|| {
                    left &= left - 1;
                    (i, self.at(i), self.table.get(i))
                })
            })
        })
    }

    /// Enters in an empty place what another context has there, not yet fetched through.
    pub(crate) fn adopt(
        &mut self,
        (i, side, e): (usize, Side, TlbEntry),
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) {
        if side.bits & TAGGED != 0
            && let Some(c) = ram_page(side.pa()).and_then(|n| tags.get_mut(n))
        {
            *c = WriteTag { count: c.count + 1, index: i as u16 };
        }
        self.table.set(i, TlbEntry { exec: TAG_NONE, ..e });
        self.side[i % TLB_ENTRIES] = side;
        self.used[i / 64 % self.used.len()] |= 1 << (i % 64);
        self.has_global |= side.global();
        if side.leaf_bits() > PAGE_BITS {
            self.leaves.insert(side.va, side.leaf_bits());
        }
    }

    /// Adds the write tag that an entry could not have while its page was watched.
    pub(crate) fn tag_write(&mut self, va: u64, ram_page: usize, tags: &mut WriteTags) {
        let i = tlb_index(va);
        let side = &mut self.side[i % TLB_ENTRIES];
        if side.va != va & PAGE_MASK || side.bits & (WRITE | DEVICE | TAGGED) != WRITE {
            return;
        }
        if let Some(c) = tags.get_mut(ram_page) {
            *c = WriteTag { count: c.count + 1, index: i as u16 };
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
        if inline {
            let mut e = self.table.get(i);
            e.exec = side.va;
            self.table.set(i, e);
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
            c.count = c.count.saturating_sub(1);
        }
        self.side[i % TLB_ENTRIES] = Side::EMPTY;
        self.table.set(i, TlbEntry::EMPTY);
        self.used[i / 64 % self.used.len()] &= !(1 << (i % 64));
    }

    /// Drops the entries for which `which` holds.
    fn drop_where(
        &mut self,
        which: impl Fn(Side) -> bool,
        tags: &mut WriteTags,
        ram_page: impl Fn(u64) -> Option<usize>,
    ) {
        for w in 0..self.used.len() {
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

    /// Empties the context. The caller gives it a new generation.
    pub(crate) fn clear(&mut self, tags: &mut WriteTags, ram_page: impl Fn(u64) -> Option<usize>) {
        self.drop_where(|_| true, tags, ram_page);
        self.leaves.clear();
        self.exec.clear();
        self.exec_private = false;
        self.has_global = false;
        self.loose = false;
    }

    /// Starts a new generation in which nothing was fetched yet.
    pub(crate) fn renew(&mut self, generation: u32) {
        self.generation = generation;
        self.forget_fetches();
    }

    /// Has all fetches come the slow way again.
    pub(crate) fn forget_fetches(&mut self) {
        self.exec.clear();
        self.exec_private = false;
        for w in 0..self.used.len() {
            let mut left = self.used[w];
            while left != 0 {
                let i = w * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let mut e = self.table.get(i);
                if e.exec != TAG_NONE {
                    e.exec = TAG_NONE;
                    self.table.set(i, e);
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
        let large = self.leaves.large(va).max().unwrap_or(PAGE_BITS);
        let pieces = 1usize << (large - PAGE_BITS).min(31);
        if large > PAGE_BITS && pieces < TLB_ENTRIES / 2 {
            let first = tlb_index(va >> large << large);
            for i in first..first + pieces {
                if hit(self.at(i % TLB_ENTRIES)) {
                    self.drop_entry(i % TLB_ENTRIES, tags, &ram_page);
                }
            }
        } else if large > PAGE_BITS {
            self.drop_where(hit, tags, &ram_page);
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
        self.drop_where(|s| bits >= 56 || (untagged(s.va) ^ untagged(va)) >> bits == 0, tags, ram_page);
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

//! [`Mmu`]: address translation and the slow memory paths of one vCPU.

use std::collections::VecDeque;
use std::sync::Arc;

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE, UPPER_HALF};
use lyrebird_isa::{Activity, Core, Work};

use crate::phys::{Page, PhysMem};
use crate::shadow::{MmuMode, NO_SPACE, Shadow, SpaceDesc};
use crate::tlb::{
    CONTEXTS, Context, ContextKey, GENERATION_BITS, Generations, Pool, Side, WriteTag, WriteTags,
};
use crate::walk::path::Path;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// Loads data.
    Read,
    /// Stores data.
    Write,
    /// Fetches instructions.
    Exec,
}

/// How memory may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemType {
    /// Any alignment, no side effects.
    Normal,
    /// Side effects: accesses are made exactly as written, and must be naturally aligned. Not for architectures
    /// that have no such rule: memory that is [`MemType::Normal`] may be a device too.
    Device,
}

/// What a regime knows about one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Physical address of the translated byte.
    pub pa: u64,
    /// log2 of the size in bytes of the translation-table leaf it comes from (at least 12): what one TLB
    /// maintenance operation by address drops together.
    pub page_bits: u8,
    /// May be read, with the privilege of the access.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub exec: bool,
    /// Memory type.
    pub mem: MemType,
    /// Holds in every address space (ASID).
    pub global: bool,
}

impl Translation {
    fn allows(&self, kind: AccessKind) -> bool {
        match kind {
            AccessKind::Read => self.read,
            AccessKind::Write => self.write,
            AccessKind::Exec => self.exec,
        }
    }
}

/// What a page may be used for with one privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// May be read.
    pub read: bool,
    /// May be written, without anything that a walk would have to do first.
    pub write: bool,
    /// May be executed.
    pub exec: bool,
    /// Memory type.
    pub mem: MemType,
    /// Holds in every address space (ASID).
    pub global: bool,
}

/// A translation regime in its current state: the front end's page tables, permissions and MMU-off behaviour.
pub trait Regime {
    /// The architecture's description of why a translation failed, aborts on table reads included.
    type Fault;

    /// Where nothing answers, reads give all ones and writes are lost, as are those to ROM: the bus of a PC.
    /// Otherwise such accesses fail with [`MemFault::External`].
    const OPEN_BUS: bool = false;

    /// Atomic accesses may be misaligned, cross pages, and go to devices, ROM and holes, and are checked as writes
    /// from the start. Those that are not naturally aligned in RAM are done under a lock, and are atomic against
    /// each other only. With [`Regime::OPEN_BUS`].
    const ATOMICS_ANYWHERE: bool = false;

    /// Translates `va` for an access of `kind`, with the current privilege, or if `unpriv` with the other that the
    /// second context of [`Mmu::switch`] is for: that of A64 `LDTR` and `STTR`, or that of x86 accesses to
    /// descriptor tables and TSS. The permissions returned are those of that privilege, for all kinds of access.
    ///
    /// `path`, which is empty, gets the way there, so that the translation can be kept for as long as the tables stay as
    /// they are; or stays empty, where it cannot.
    ///
    /// # Errors
    /// The architecture's fault; nothing is cached then.
    fn walk(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        path: &mut Path,
    ) -> Result<Translation, Self::Fault>;

    /// What the flags of a path, ANDed, allow with the privilege that [`Regime::walk`] would take: the same as it
    /// returns, but for what the walk would change in the tables for an access.
    fn rights(&self, flags: u16, unpriv: bool) -> Rights {
        let _ = (flags, unpriv);
        Rights { read: false, write: false, exec: false, mem: MemType::Device, global: false }
    }

    /// The first byte of the page behind that of `va`, where an access that crosses it goes on.
    fn next_page(&self, va: u64) -> u64 {
        (va & PAGE_MASK).wrapping_add(PAGE_SIZE)
    }
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemFault<F> {
    /// The regime refused.
    Translation(F),
    /// Misaligned where alignment is required.
    Alignment,
    /// Nothing answers at the physical address, or what does refuses the access.
    External {
        /// The physical address.
        pa: u64,
    },
}

/// A failed access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemError<F> {
    /// Virtual address that faulted: the access's, or the first byte of the second page where that page is the
    /// reason.
    pub va: u64,
    /// What was being done when it failed. An atomic access counts as a read as long as a read of the address
    /// would have failed as well.
    pub kind: AccessKind,
    /// Why.
    pub fault: MemFault<F>,
}

/// A page of code, found by [`Mmu::fetch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeFetch {
    /// Physical address of the page.
    pub pa: u64,
    /// Host address of the page, readable for [`lyrebird_isa::state::PAGE_SIZE`] bytes while the [`PhysMem`] lives.
    pub host: *const u8,
}

/// What happened in an [`Mmu`], for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MmuStats {
    /// Accesses that reached a slow path.
    pub misses: u64,
    /// Translations asked of the regime.
    pub walks: u64,
    /// Entries of the inline TLB made again from shadow page tables, without a walk.
    pub refills: u64,
    /// Entries that new contexts of the inline TLB took over from others.
    pub inherited: u64,
    /// Walks whose outcome could not be kept exact in shadow page tables.
    pub loose: u64,
    /// Walks entered in shadow page tables.
    pub shadow_fills: u64,
    /// Stores to tracked tables.
    pub table_stores: u64,
    /// Entries of shadow page tables that those emptied.
    pub table_drops: u64,
    /// Pages that were stored to so often that they were not tracked any longer.
    pub untracked: u64,
    /// Address spaces given up for others.
    pub spaces_evicted: u64,
    /// Pages of tables tracked at present.
    pub tracked: u64,
    /// Whole-TLB maintenance operations.
    pub flushes_all: u64,
    /// Maintenance operations by address.
    pub flushes_va: u64,
    /// Maintenance operations by ASID.
    pub flushes_asid: u64,
    /// Changes of the address space ([`Mmu::enter`]).
    pub space_switches: u64,
    /// Calls of [`Mmu::switch`].
    pub context_switches: u64,
    /// Contexts that had to be emptied or made for a switch.
    pub context_misses: u64,
    /// Device reads.
    pub mmio_reads: u64,
    /// Device writes.
    pub mmio_writes: u64,
    /// Stores that hit pages with translated code.
    pub code_writes: u64,
}

/// Address translation and slow memory paths of one vCPU.
///
/// Ordering ([`lyrebird_isa::MemOp::order`]) is the caller's: it puts the same fences around these paths as around inline
/// accesses. The methods that may change what guest code finds inline take the vCPU's [`Core`], always the same one.
#[derive(Debug)]
pub struct Mmu {
    pub(crate) phys: Arc<PhysMem>,
    pub(crate) contexts: Vec<Context>,
    /// The memory of their tables.
    pool: Pool,
    /// Packed keys of `contexts`, for a quick search.
    keys: [u32; CONTEXTS],
    /// When each was last switched to.
    pub(crate) stamps: [u64; CONTEXTS],
    clock: u64,
    pub(crate) cur: usize,
    unpriv: usize,
    mode: u16,
    pub(crate) generations: Generations,
    /// Code generations ran out; what was found under them is being dropped.
    sweeping: bool,
    pub(crate) mode_of_keeping: MmuMode,
    pub(crate) shadow: Option<Box<Shadow>>,
    pub(crate) entered: Option<(SpaceDesc, u16)>,
    /// [`Core::code_ctx`] is to be brought up to date.
    pub(crate) unpublished: bool,
    pub(crate) tags: WriteTags,
    pub(crate) dirty: VecDeque<(u64, u64)>,
    pub(crate) stats: MmuStats,
    /// [`Core::activity`], for accesses that do not see the core.
    pub(crate) activity: Activity,
}

/// Bits of [`Core::code_ctx`] that hold what [`Mmu::switch`] is given as the mode.
pub const MODE_BITS: u32 = 16;

const NO_KEY: u32 = u32::MAX;

fn pack(k: ContextKey) -> u32 {
    u32::from(k.asid) << 8 | u32::from(k.class)
}

impl Mmu {
    /// An MMU on `phys`, attached to `core` with the context (ASID 0, class 0) and mode 0, without shadow page tables
    /// ([`Mmu::configure`]).
    pub fn new(phys: Arc<PhysMem>, core: &mut Core) -> Mmu {
        let tags = vec![WriteTag::default(); phys.ram_pages()];
        let key = ContextKey { asid: 0, class: 0 };
        let mut keys = [NO_KEY; CONTEXTS];
        keys[0] = pack(key);
        let mut generations = Generations::new();
        let pool = Pool::new();
        let mut m = Mmu {
            phys,
            contexts: vec![Context::new(key, generations.fresh(), &pool, 0)],
            pool,
            keys,
            stamps: [0; CONTEXTS],
            clock: 0,
            cur: 0,
            unpriv: 0,
            mode: 0,
            generations,
            sweeping: false,
            mode_of_keeping: MmuMode::Walk,
            shadow: None,
            entered: None,
            unpublished: false,
            tags,
            dirty: VecDeque::new(),
            stats: MmuStats::default(),
            activity: core.activity.clone(),
        };
        m.publish(core);
        m
    }

    /// The physical address space.
    pub fn phys(&self) -> &Arc<PhysMem> {
        &self.phys
    }

    /// Counters since creation.
    pub fn stats(&self) -> MmuStats {
        let Some(shadow) = &self.shadow else { return self.stats };
        let c = &shadow.counts;
        MmuStats {
            shadow_fills: c.fills,
            table_stores: c.table_stores,
            table_drops: c.dropped,
            untracked: c.untracked,
            spaces_evicted: c.evicted,
            tracked: shadow.tracked_pages(),
            ..self.stats
        }
    }

    /// Makes `cur` the context of ordinary accesses and `unpriv` that of unprivileged ones, and points `core`
    /// at their tables. [`Core::code_ctx`] becomes the context's code generation, shifted left by [`MODE_BITS`],
    /// with `mode` below: the mode bits, or a number that the front end has given them (see
    /// [`Mmu::renew_code`]).
    ///
    /// A context gets a new generation, never 0 and never used before, whenever a translation that code was
    /// fetched through may have changed.
    #[inline]
    pub fn switch(&mut self, core: &mut Core, cur: ContextKey, unpriv: ContextKey, mode: u16) {
        self.stats.context_switches += 1;
        self.clock += 1;
        let c = self.slot(cur, usize::MAX);
        let u = if unpriv == cur { c } else { self.slot(unpriv, c) };
        self.cur = c;
        self.unpriv = u;
        self.mode = mode;
        self.publish(core);
    }

    /// Writes what `core` knows of the current contexts.
    #[inline]
    pub(crate) fn publish(&mut self, core: &mut Core) {
        self.unpublished = false;
        let c = &self.contexts[self.cur];
        core.tlb = c.table();
        core.tlb_unpriv = self.contexts[self.unpriv].table();
        let (lower, upper) = self.code_numbers();
        core.code_ctx = u64::from(upper) << (MODE_BITS + GENERATION_BITS)
            | u64::from(lower) << MODE_BITS
            | u64::from(self.mode);
    }

    /// The generations of the mapping of code in the lower and the upper half of the addresses.
    #[inline]
    fn code_numbers(&self) -> (u32, u32) {
        if let Some(n) = self.generations.parked() {
            return (n, n);
        }
        let c = &self.contexts[self.cur];
        let of_space = self.shadow.as_ref().and_then(|s| s.code_of(c.key.asid));
        of_space.unwrap_or((c.generation, c.generation))
    }

    /// Notes a fetch through the current context's entry of `va`.
    pub(crate) fn fetched(&mut self, va: u64) {
        let numbers = self.code_numbers();
        let c = &mut self.contexts[self.cur];
        if let Some(shadow) = &mut self.shadow
            && c.key.asid != NO_SPACE
        {
            if c.fetched_under != numbers {
                let old = std::mem::replace(&mut c.fetched_under, numbers);
                c.forget_fetches([old.0 != numbers.0, old.1 != numbers.1]);
            }
            if !c.has_exec(va) {
                shadow.fetched(c.key.asid, va, &mut self.generations);
            }
        }
        c.tag_exec(va, true);
    }

    /// Has everything dropped that was found under a code generation, when there are no more of them.
    pub(crate) fn sweep(&mut self) {
        if self.generations.parked().is_none() {
            return;
        }
        if !self.sweeping {
            self.sweeping = true;
            self.dirty.extend(self.phys.code_pages().into_iter().map(|pa| (pa, PAGE_SIZE)));
        } else if self.dirty.is_empty() {
            self.sweeping = false;
            self.generations.restart();
            for c in &mut self.contexts {
                c.renew(self.generations.fresh());
            }
            if let Some(shadow) = &mut self.shadow {
                shadow.renew_all_code(&mut self.generations);
            }
            self.unpublished = true;
        }
    }

    /// The pool slot of a key, taking over the least recently used one (but not `keep`) if it has none.
    #[inline]
    fn slot(&mut self, key: ContextKey, keep: usize) -> usize {
        let k = pack(key);
        // No early exit: this compiles to a few vector compares.
        let mut found = 0u32;
        for i in 0..CONTEXTS {
            found |= u32::from(self.keys[i] == k) << i;
        }
        let i = if found != 0 { found.trailing_zeros() as usize } else { self.take_over(key, keep) };
        self.stamps[i % CONTEXTS] = self.clock;
        i
    }

    #[cold]
    fn take_over(&mut self, key: ContextKey, keep: usize) -> usize {
        self.stats.context_misses += 1;
        let i = if self.contexts.len() < CONTEXTS {
            let n = self.contexts.len();
            self.contexts.push(Context::new(key, self.generations.fresh(), &self.pool, n));
            n
        } else {
            let i = (0..CONTEXTS).filter(|&i| i != keep).min_by_key(|&i| self.stamps[i]).unwrap_or(0);
            self.clear_context(i);
            self.contexts[i].key = key;
            i
        };
        self.keys[i] = pack(key);
        self.inherit(i);
        i
    }

    pub(crate) fn clear_context(&mut self, i: usize) {
        let phys = &self.phys;
        let c = &mut self.contexts[i];
        // What was fetched through what the shadow tables do not keep exact may change without their notice.
        let halves = [c.loose, c.loose_upper];
        c.clear(&mut self.tags, |pa| phys.ram_page(pa));
        c.generation = self.generations.fresh();
        if let Some(shadow) = &mut self.shadow {
            for (upper, loose) in [false, true].into_iter().zip(halves) {
                if loose {
                    shadow.renew_code_of(c.key.asid, upper, &mut self.generations);
                }
            }
        }
    }

    /// Empties a context, and leaves it to whoever needs one.
    pub(crate) fn forget_context(&mut self, i: usize) {
        self.clear_context(i);
        self.keys[i] = NO_KEY;
        self.stamps[i] = 0;
        self.contexts[i].key.asid = NO_SPACE;
    }

    /// What is cached for the page of `va`, walking if needed, with permission for `kind`.
    pub(crate) fn translate<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Side, MemError<R::Fault>> {
        if self.unpublished {
            self.publish(core);
        }
        let slot = if unpriv { self.unpriv } else { self.cur };
        if let Some(s) = self.contexts[slot].lookup(va)
            && s.allows(kind)
        {
            if kind == AccessKind::Write
                && let Some(n) = self.phys.ram_page(s.pa())
                && !self.phys.page_watched(n)
            {
                self.contexts[slot].tag_write(va, n, &mut self.tags);
            }
            return Ok(s);
        }
        let key = self.contexts[slot].key;
        if let Some(t) = self.shadowed(regime, key, va, unpriv)
            && t.allows(kind)
        {
            self.stats.refills += 1;
            return Ok(self.enter_page(core, slot, va, &t));
        }
        let (t, exact) = core
            .activity
            .during(Work::Walk, || self.walk(regime, key, va, kind, unpriv))
            .map_err(|f| MemError { va, kind, fault: MemFault::Translation(f) })?;
        if !exact {
            let c = &mut self.contexts[slot];
            c.loose |= va & UPPER_HALF == 0;
            c.loose_upper |= va & UPPER_HALF != 0;
        }
        Ok(self.enter_page(core, slot, va, &t))
    }

    /// Enters a translation in the TLB.
    fn enter_page(&mut self, core: &mut Core, slot: usize, va: u64, t: &Translation) -> Side {
        let pa = t.pa & PAGE_MASK;
        let (host, tag_write) = match self.phys.page(pa) {
            Page::Ram(p) => {
                // What may be stored to inline may be loaded from: atomic accesses look at the write tag alone.
                let writable = t.read && t.write;
                let page = self.phys.ram_page(pa).filter(|n| writable && !self.phys.page_watched(*n));
                (Some(p.cast_const()), page)
            }
            Page::Rom(p) => (Some(p), None),
            Page::Mmio | Page::None => (None, None),
        };
        let phys = &self.phys;
        let c = &mut self.contexts[slot];
        let (side, remapped) = c.fill(va, t, host, tag_write, &mut self.tags, |pa| phys.ram_page(pa));
        if remapped {
            c.renew(self.generations.fresh());
            if let Some(shadow) = &mut self.shadow {
                shadow.renew_code_of(c.key.asid, va & UPPER_HALF != 0, &mut self.generations);
            }
            self.unpublished = true;
        }
        if self.unpublished {
            self.publish(core);
        }
        side
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_generations_that_come_back_find_no_code() {
        const RAM: u64 = 0x4000_0000;
        let phys = PhysMem::builder().ram(RAM, 0x10_0000).build().expect("fits");
        let mut core = Core::new();
        let mut mmu = Mmu::new(phys, &mut core);
        let mut parked = Vec::new();
        for round in 0..3 {
            mmu.generations.nearly_spent();
            mmu.watch_code(RAM + 0x3000);
            mmu.watch_code(RAM + 0x5000);
            let mut seen = Vec::new();
            while mmu.generations.parked().is_none() {
                mmu.renew_code(&mut core);
                assert!(!seen.contains(&core.code_ctx), "{round}: {:#x}", core.code_ctx);
                seen.push(core.code_ctx);
            }
            assert_ne!(parked.last(), Some(&core.code_ctx));
            parked.push(core.code_ctx);
            // All translated code goes before a number comes back.
            assert_eq!(mmu.take_dirty_code(), Some((RAM + 0x3000, PAGE_SIZE)));
            assert_eq!(mmu.take_dirty_code(), Some((RAM + 0x5000, PAGE_SIZE)));
            assert!(mmu.generations.parked().is_some());
            assert_eq!(mmu.take_dirty_code(), None);
            assert!(mmu.generations.parked().is_none());
        }
    }
}

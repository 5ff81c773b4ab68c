//! [`Mmu`]: address translation and the slow memory paths of one vCPU.

use std::collections::VecDeque;
use std::sync::Arc;

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_isa::{Activity, Core, Work};

use crate::phys::{Page, PhysMem};
use crate::tlb::{CONTEXTS, Context, ContextKey, Side, WriteTag, WriteTags};

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
    /// # Errors
    /// The architecture's fault; nothing is cached then.
    fn translate(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Translation, Self::Fault>;

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
    /// Whole-TLB maintenance operations.
    pub flushes_all: u64,
    /// Maintenance operations by address.
    pub flushes_va: u64,
    /// Maintenance operations by ASID.
    pub flushes_asid: u64,
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
    /// Packed keys of `contexts`, for a quick search.
    keys: [u32; CONTEXTS],
    /// When each was last switched to.
    stamps: [u64; CONTEXTS],
    clock: u64,
    pub(crate) cur: usize,
    unpriv: usize,
    mode: u16,
    pub(crate) next_generation: u64,
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
    /// An MMU on `phys`, attached to `core` with the context (ASID 0, class 0) and mode 0.
    pub fn new(phys: Arc<PhysMem>, core: &mut Core) -> Mmu {
        let tags = vec![WriteTag::default(); phys.ram_pages()];
        let key = ContextKey { asid: 0, class: 0 };
        let mut keys = [NO_KEY; CONTEXTS];
        keys[0] = pack(key);
        let m = Mmu {
            phys,
            contexts: vec![Context::new(key, 1)],
            keys,
            stamps: [0; CONTEXTS],
            clock: 0,
            cur: 0,
            unpriv: 0,
            mode: 0,
            next_generation: 1,
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
    pub fn stats(&self) -> &MmuStats {
        &self.stats
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
    pub(crate) fn publish(&self, core: &mut Core) {
        let c = &self.contexts[self.cur];
        core.tlb = c.table();
        core.tlb_unpriv = self.contexts[self.unpriv].table();
        core.code_ctx = c.generation << MODE_BITS | u64::from(self.mode);
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
            self.next_generation += 1;
            self.contexts.push(Context::new(key, self.next_generation));
            self.contexts.len() - 1
        } else {
            let i = (0..CONTEXTS).filter(|&i| i != keep).min_by_key(|&i| self.stamps[i]).unwrap_or(0);
            self.clear_context(i);
            self.contexts[i].key = key;
            i
        };
        self.keys[i] = pack(key);
        i
    }

    pub(crate) fn clear_context(&mut self, i: usize) {
        let phys = &self.phys;
        let c = &mut self.contexts[i];
        c.clear(&mut self.tags, |pa| phys.ram_page(pa));
        self.next_generation += 1;
        c.generation = self.next_generation;
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
        let slot = if unpriv { self.unpriv } else { self.cur };
        if let Some(s) = self.contexts[slot].lookup(va)
            && s.allows(kind)
        {
            if kind == AccessKind::Write
                && !self.phys.is_code(s.pa())
                && let Some(n) = self.phys.ram_page(s.pa())
            {
                self.contexts[slot].tag_write(va, n, &mut self.tags);
            }
            return Ok(s);
        }
        self.stats.walks += 1;
        let t = core
            .activity
            .during(Work::Walk, || regime.translate(&self.phys, va, kind, unpriv))
            .map_err(|f| MemError { va, kind, fault: MemFault::Translation(f) })?;
        let pa = t.pa & PAGE_MASK;
        let (host, tag_write) = match self.phys.page(pa) {
            Page::Ram(p) => {
                let page = self.phys.ram_page(pa).filter(|_| t.write && !self.phys.is_code(pa));
                (Some(p.cast_const()), page)
            }
            Page::Rom(p) => (Some(p), None),
            Page::Mmio | Page::None => (None, None),
        };
        let phys = &self.phys;
        let c = &mut self.contexts[slot];
        let (side, remapped) = c.fill(va, &t, host, tag_write, &mut self.tags, |pa| phys.ram_page(pa));
        if remapped {
            self.next_generation += 1;
            c.renew(self.next_generation);
            self.publish(core);
        }
        Ok(side)
    }
}

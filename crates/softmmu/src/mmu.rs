//! [`Mmu`]: address translation and the slow memory paths of one vCPU.

use std::collections::VecDeque;
use std::sync::Arc;

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_isa::{Core, MemOp, Rmw, Size, V128};

use crate::host;
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
    /// Side effects: accesses are made exactly as written, and must be naturally aligned.
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

    /// Translates `va` for an access of `kind`, with the privilege of the least privileged level if `unpriv`.
    /// The permissions returned are those of that privilege, for all kinds of access.
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
    /// Host address of the page, readable for [`PAGE_SIZE`] bytes while the [`PhysMem`] lives.
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
/// Ordering ([`MemOp::order`]) is the caller's: it puts the same fences around these paths as around inline
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
    cur: usize,
    unpriv: usize,
    mode_bits: u8,
    pub(crate) next_generation: u64,
    pub(crate) tags: WriteTags,
    pub(crate) dirty: VecDeque<(u64, u64)>,
    pub(crate) stats: MmuStats,
}

const NO_KEY: u32 = u32::MAX;

fn pack(k: ContextKey) -> u32 {
    u32::from(k.asid) << 8 | u32::from(k.class)
}

impl Mmu {
    /// An MMU on `phys`, attached to `core` with the context (ASID 0, class 0) and mode bits 0.
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
            mode_bits: 0,
            next_generation: 1,
            tags,
            dirty: VecDeque::new(),
            stats: MmuStats::default(),
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
    /// at their tables. [`Core::code_ctx`] becomes the context's code generation, shifted left by 8, with
    /// `mode_bits` below.
    ///
    /// A context gets a new generation, never 0 and never used before, whenever a translation that code was
    /// fetched through may have changed.
    #[inline]
    pub fn switch(&mut self, core: &mut Core, cur: ContextKey, unpriv: ContextKey, mode_bits: u8) {
        self.stats.context_switches += 1;
        self.clock += 1;
        let c = self.slot(cur, usize::MAX);
        let u = if unpriv == cur { c } else { self.slot(unpriv, c) };
        self.cur = c;
        self.unpriv = u;
        self.mode_bits = mode_bits;
        self.publish(core);
    }

    /// Writes what `core` knows of the current contexts.
    #[inline]
    pub(crate) fn publish(&self, core: &mut Core) {
        let c = &self.contexts[self.cur];
        core.tlb = c.table();
        core.tlb_unpriv = self.contexts[self.unpriv].table();
        core.code_ctx = c.generation << 8 | u64::from(self.mode_bits);
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
    fn translate<R: Regime>(
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
        let t = regime.translate(&self.phys, va, kind, unpriv).map_err(|f| MemError {
            va,
            kind,
            fault: MemFault::Translation(f),
        })?;
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

    /// Translates both ends of an access: the physical address of the first byte and, if it crosses a page,
    /// that of the second page.
    fn resolve<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
        kind: AccessKind,
    ) -> Result<(u64, Option<u64>), MemError<R::Fault>> {
        let n = m.size.bytes();
        let misaligned = va & (n - 1) != 0;
        let alignment = MemError { va, kind, fault: MemFault::Alignment };
        if m.aligned && misaligned {
            return Err(alignment);
        }
        let first = self.translate(core, regime, va, kind, m.unpriv)?;
        let pa = first.pa() | va & !PAGE_MASK;
        if !misaligned {
            return Ok((pa, None));
        }
        if first.device() {
            return Err(alignment);
        }
        if (va & !PAGE_MASK) + n <= PAGE_SIZE {
            return Ok((pa, None));
        }
        let va2 = (va & PAGE_MASK).wrapping_add(PAGE_SIZE);
        let second = self.translate(core, regime, va2, kind, m.unpriv)?;
        if second.device() {
            return Err(alignment);
        }
        Ok((pa, Some(second.pa())))
    }

    /// A load of up to 8 bytes, zero-extended ([`Size::B16`] counts as 8).
    ///
    /// # Errors
    /// [`MemError`]; no device was read if the fault is not [`MemFault::External`].
    pub fn load<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
    ) -> Result<u64, MemError<R::Fault>> {
        self.stats.misses += 1;
        let m = MemOp { size: m.size.min(Size::B8), ..m };
        let v = match self.resolve(core, regime, va, m, AccessKind::Read)? {
            (pa, None) => self.bus_read(va, pa, m.size)?,
            (pa, Some(pa2)) => self.read_crossing(va, pa, pa2, m.size)? as u64,
        };
        Ok(v)
    }

    /// A 16-byte load.
    ///
    /// # Errors
    /// As [`Mmu::load`].
    pub fn load128<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
    ) -> Result<V128, MemError<R::Fault>> {
        self.stats.misses += 1;
        let m = MemOp { size: Size::B16, ..m };
        match self.resolve(core, regime, va, m, AccessKind::Read)? {
            (pa, None) => {
                let lo = self.bus_read(va, pa, Size::B8)?;
                let hi = self.bus_read(va, pa.wrapping_add(8), Size::B8)?;
                Ok(V128([lo, hi]))
            }
            (pa, Some(pa2)) => Ok(V128::from_u128(self.read_crossing(va, pa, pa2, m.size)?)),
        }
    }

    /// A store of up to 8 bytes ([`Size::B16`] counts as 8).
    ///
    /// # Errors
    /// [`MemError`]; nothing was stored.
    pub fn store<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
        v: u64,
    ) -> Result<(), MemError<R::Fault>> {
        self.stats.misses += 1;
        let m = MemOp { size: m.size.min(Size::B8), ..m };
        match self.resolve(core, regime, va, m, AccessKind::Write)? {
            (pa, None) => self.bus_write(va, pa, m.size, v)?,
            (pa, Some(pa2)) => self.write_crossing(va, pa, pa2, m.size, u128::from(v))?,
        }
        Ok(())
    }

    /// A 16-byte store.
    ///
    /// # Errors
    /// As [`Mmu::store`], but the second half of a store to a device may fail after the first was made.
    pub fn store128<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
        v: V128,
    ) -> Result<(), MemError<R::Fault>> {
        self.stats.misses += 1;
        let m = MemOp { size: Size::B16, ..m };
        match self.resolve(core, regime, va, m, AccessKind::Write)? {
            (pa, None) => {
                self.bus_write(va, pa, Size::B8, v.0[0])?;
                self.bus_write(va, pa.wrapping_add(8), Size::B8, v.0[1])?;
            }
            (pa, Some(pa2)) => self.write_crossing(va, pa, pa2, m.size, v.to_u128())?,
        }
        Ok(())
    }

    /// Host address for an atomic access, and the physical one.
    fn atomic<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
    ) -> Result<(*mut u8, u64), MemError<R::Fault>> {
        self.stats.misses += 1;
        let m = m.aligned();
        // A read fault is reported as one (Arm ARM, ESR_ELx.WnR for atomic instructions).
        self.resolve(core, regime, va, m, AccessKind::Read)?;
        let (pa, _) = self.resolve(core, regime, va, m, AccessKind::Write)?;
        match self.phys.ram_ptr(pa, m.size.bytes()) {
            Some(p) => Ok((p, pa)),
            None => Err(MemError { va, kind: AccessKind::Write, fault: MemFault::External { pa } }),
        }
    }

    /// Atomic read-modify-write of up to 8 bytes; the old value, zero-extended. Always sequentially consistent,
    /// and atomic against other vCPUs and device threads.
    ///
    /// # Errors
    /// [`MemError`]: [`MemFault::Alignment`] unless naturally aligned, [`MemFault::External`] for anything but
    /// RAM.
    pub fn rmw<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        op: Rmw,
        va: u64,
        m: MemOp,
        v: u64,
    ) -> Result<u64, MemError<R::Fault>> {
        let m = MemOp { size: m.size.min(Size::B8), ..m };
        let (p, pa) = self.atomic(core, regime, va, m)?;
        // SAFETY: RAM, valid for the size; naturally aligned because `atomic` checked it and pages are aligned.
        let old = unsafe { host::rmw(op, p, m.size, v) };
        self.stored(pa, m.size.bytes());
        Ok(old)
    }

    /// Atomic compare-and-swap of up to 8 bytes; the old value, zero-extended. Needs write permission even if
    /// it does not store.
    ///
    /// # Errors
    /// As [`Mmu::rmw`].
    pub fn cas<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
        expected: u64,
        new: u64,
    ) -> Result<u64, MemError<R::Fault>> {
        let m = MemOp { size: m.size.min(Size::B8), ..m };
        let (p, pa) = self.atomic(core, regime, va, m)?;
        // SAFETY: as in `rmw`.
        let old = unsafe { host::cas(p, m.size, expected, new) };
        if old == m.size.width().zext(expected) {
            self.stored(pa, m.size.bytes());
        }
        Ok(old)
    }

    /// Atomic 16-byte compare-and-swap; the old value. Uses the host's own where it has one; otherwise it is
    /// atomic against other 16-byte compare-and-swaps only.
    ///
    /// # Errors
    /// As [`Mmu::rmw`].
    pub fn cas128<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
        expected: V128,
        new: V128,
    ) -> Result<V128, MemError<R::Fault>> {
        let m = MemOp { size: Size::B16, ..m };
        let (p, pa) = self.atomic(core, regime, va, m)?;
        // SAFETY: as in `rmw`.
        let old = unsafe { host::cas128(p, expected.to_u128(), new.to_u128()) };
        if old == expected.to_u128() {
            self.stored(pa, 16);
        }
        Ok(V128::from_u128(old))
    }

    /// Translates for instruction fetch.
    ///
    /// # Errors
    /// [`MemError`]: [`MemFault::External`] for anything but RAM and ROM.
    pub fn fetch<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
    ) -> Result<CodeFetch, MemError<R::Fault>> {
        self.stats.misses += 1;
        let side = self.translate(core, regime, va, AccessKind::Exec, false)?;
        let pa = side.pa();
        let host = match self.phys.page(pa) {
            Page::Ram(p) => p.cast_const(),
            Page::Rom(p) => p,
            Page::Mmio | Page::None => {
                let fault = MemFault::External { pa: pa | va & !PAGE_MASK };
                return Err(MemError { va, kind: AccessKind::Exec, fault });
            }
        };
        self.contexts[self.cur].tag_exec(va, true);
        Ok(CodeFetch { pa, host })
    }

    /// Translates and checks permission without accessing anything; the result may be cached.
    ///
    /// # Errors
    /// [`MemError`] of the translation.
    pub fn probe<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Translation, MemError<R::Fault>> {
        Ok(self.translate(core, regime, va, kind, unpriv)?.translation(va))
    }

    /// Host address of `va`, good to the end of its 4 KiB page; `None` where accesses must go to a device.
    /// With [`AccessKind::Write`] the caller is taken to store: a page that holds translated code counts as
    /// written as a whole.
    ///
    /// # Errors
    /// [`MemError`]: of the translation, and [`MemFault::External`] for holes and for writes to ROM.
    pub fn host_ptr<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Option<*mut u8>, MemError<R::Fault>> {
        let side = self.translate(core, regime, va, kind, unpriv)?;
        let offset = (va & !PAGE_MASK) as usize;
        match self.phys.page(side.pa()) {
            Page::Ram(p) => {
                if kind == AccessKind::Write {
                    self.stored(side.pa(), PAGE_SIZE);
                }
                Ok(Some(p.wrapping_add(offset)))
            }
            Page::Rom(p) if kind != AccessKind::Write => Ok(Some(p.cast_mut().wrapping_add(offset))),
            Page::Mmio => Ok(None),
            Page::Rom(_) | Page::None => {
                Err(MemError { va, kind, fault: MemFault::External { pa: side.pa() | offset as u64 } })
            }
        }
    }

    fn bus_read<F>(&mut self, va: u64, pa: u64, size: Size) -> Result<u64, MemError<F>> {
        if self.phys.page(pa) == Page::Mmio {
            self.stats.mmio_reads += 1;
        }
        let external = |_| MemError { va, kind: AccessKind::Read, fault: MemFault::External { pa } };
        self.phys.read(pa, size).map_err(external)
    }

    fn bus_write<F>(&mut self, va: u64, pa: u64, size: Size, v: u64) -> Result<(), MemError<F>> {
        if let Some(p) = self.phys.ram_ptr(pa, size.bytes()) {
            // SAFETY: RAM, writable for the size.
            unsafe { host::write(p, size, v) };
            self.stored(pa, size.bytes());
            return Ok(());
        }
        if self.phys.page(pa) == Page::Mmio {
            self.stats.mmio_writes += 1;
        }
        let external = |_| MemError { va, kind: AccessKind::Write, fault: MemFault::External { pa } };
        self.phys.write(pa, size, v).map_err(external)
    }

    /// The bytes of a page-crossing access: virtual address to blame, and physical address.
    fn crossing(va: u64, pa: u64, pa2: u64, size: Size) -> impl Iterator<Item = (u64, u64)> {
        let here = PAGE_SIZE - (va & !PAGE_MASK);
        let va2 = (va & PAGE_MASK).wrapping_add(PAGE_SIZE);
        (0..size.bytes()).map(move |i| if i < here { (va, pa + i) } else { (va2, pa2 + (i - here)) })
    }

    fn read_crossing<F>(&mut self, va: u64, pa: u64, pa2: u64, size: Size) -> Result<u128, MemError<F>> {
        let mut v = 0;
        for (i, (va, pa)) in Mmu::crossing(va, pa, pa2, size).enumerate() {
            v |= u128::from(self.bus_read(va, pa, Size::B1)?) << (8 * i);
        }
        Ok(v)
    }

    fn write_crossing<F>(
        &mut self,
        va: u64,
        pa: u64,
        pa2: u64,
        size: Size,
        v: u128,
    ) -> Result<(), MemError<F>> {
        // Nothing is stored unless both pages take it.
        for (va, pa) in [(va, pa), ((va & PAGE_MASK).wrapping_add(PAGE_SIZE), pa2)] {
            if matches!(self.phys.page(pa), Page::Rom(_) | Page::None) {
                return Err(MemError { va, kind: AccessKind::Write, fault: MemFault::External { pa } });
            }
        }
        for (i, (va, pa)) in Mmu::crossing(va, pa, pa2, size).enumerate() {
            self.bus_write(va, pa, Size::B1, (v >> (8 * i)) as u64 & 0xff)?;
        }
        Ok(())
    }

    /// Queues a store to RAM if it hit a page with translated code.
    #[inline]
    fn stored(&mut self, pa: u64, len: u64) {
        let mut at = pa;
        let mut left = len;
        while left > 0 {
            let n = left.min(PAGE_SIZE - (at & !PAGE_MASK));
            if self.phys.is_code(at) {
                self.stats.code_writes += 1;
                match self.dirty.back_mut() {
                    // A run of stores to one page, such as a copy.
                    Some((p, l)) if *p & PAGE_MASK == at & PAGE_MASK && at <= *p + *l && at + n >= *p => {
                        let end = (*p + *l).max(at + n);
                        *p = (*p).min(at);
                        *l = end - *p;
                    }
                    _ => self.dirty.push_back((at, n)),
                }
            }
            at = at.wrapping_add(n);
            left -= n;
        }
    }
}

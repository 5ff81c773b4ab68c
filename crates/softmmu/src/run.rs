//! What is behind instructions that access memory themselves: single accesses by the inline TLB, and runs of bytes inside
//! a page by the host's means.

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE, TlbEntry, tlb_index};
use lyrebird_isa::{Core, MemOp};

use crate::host;
use crate::mmu::{AccessKind, MemError, MemFault, Mmu, Regime};
use crate::phys::Page;

/// What a write touches besides memory ([`Mmu::check`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// A page that holds translated code.
    pub code: bool,
    /// A page with a device in it.
    pub device: bool,
}

/// The inline TLB's entry that an address indexes.
#[inline(always)]
fn entry(core: &Core, va: u64, unpriv: bool) -> &TlbEntry {
    let table = if unpriv { core.tlb_unpriv } else { core.tlb };
    // SAFETY: `Mmu::publish` has pointed both at tables of `TLB_ENTRIES` entries, and `tlb_index` is below that.
    unsafe { &*table.add(tlb_index(va)) }
}

/// Host address of `len` bytes at `va`, if the inline TLB has them for loads, or stores: RAM, or for loads ROM, all on one
/// page, and nobody has to be told.
#[inline(always)]
fn inline_run(core: &Core, va: u64, len: u64, write: bool, unpriv: bool) -> Option<*mut u8> {
    let e = entry(core, va, unpriv);
    let tag = if write { e.write } else { e.read };
    let last = va.wrapping_add(len.wrapping_sub(1)) & PAGE_MASK;
    (tag == last && len <= PAGE_SIZE).then(|| va.wrapping_add(e.addend) as *mut u8)
}

/// Host address for an access by the inline TLB.
#[inline(always)]
pub(crate) fn inline(core: &Core, va: u64, m: MemOp, write: bool) -> Option<*mut u8> {
    if m.aligned && va & (m.align.bytes() - 1) != 0 {
        return None;
    }
    inline_run(core, va, m.size.bytes(), write, m.unpriv)
}

/// Host address for a naturally aligned access that may both load and store by the inline TLB.
#[inline(always)]
pub(crate) fn inline_aligned(core: &Core, va: u64, m: MemOp) -> Option<*mut u8> {
    if va & (m.size.bytes() - 1) != 0 {
        return None;
    }
    let e = entry(core, va, m.unpriv);
    // Only what may be loaded from has a write tag.
    (e.write == va & PAGE_MASK).then(|| va.wrapping_add(e.addend) as *mut u8)
}

impl Mmu {
    /// A load of up to 8 bytes by the inline TLB, zero-extended. `None` where that has not the page for loads.
    #[inline]
    pub fn load_inline(&self, core: &Core, va: u64, m: MemOp) -> Option<u64> {
        let p = inline(core, va, m, false)?;
        // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
        Some(unsafe { host::read(p, m.size) })
    }

    /// A store of up to 8 bytes by the inline TLB. False where that has not the page for stores.
    #[inline]
    pub fn store_inline(&self, core: &Core, va: u64, m: MemOp, v: u64) -> bool {
        let p = inline(core, va, m, true);
        if let Some(p) = p {
            // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
            unsafe { host::write(p, m.size, v) };
        }
        p.is_some()
    }

    /// Translates `len` bytes from `va` on and checks permission, so that an access in several parts can fail before
    /// the first of them. What a write touches.
    ///
    /// # Errors
    /// [`MemError`] of the first page that refuses. Holes and ROM are not looked for.
    #[inline]
    pub fn check<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        len: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Touches, MemError<R::Fault>> {
        if kind != AccessKind::Exec && inline_run(core, va, len, kind == AccessKind::Write, unpriv).is_some()
        {
            return Ok(Touches::default());
        }
        self.check_pages(core, regime, va, len, kind, unpriv)
    }

    fn check_pages<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        len: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Touches, MemError<R::Fault>> {
        let (mut at, mut left, mut touches) = (va, len, Touches::default());
        while left > 0 {
            let side = self.translate(core, regime, at, kind, unpriv)?;
            if kind == AccessKind::Write {
                touches.code |= self.phys.is_code(side.pa());
                touches.device |= matches!(self.phys.page(side.pa()), Page::Mmio);
            }
            left = left.saturating_sub(PAGE_SIZE - (at & !PAGE_MASK));
            at = regime.next_page(at);
        }
        Ok(touches)
    }

    /// Host address of `len` bytes at `va`; `None` where they are not memory, or not all on one 4 KiB page. With
    /// [`AccessKind::Write`] the caller is taken to store to all of them: those on a page that holds translated code come
    /// out of [`Mmu::take_dirty_code`].
    ///
    /// # Errors
    /// [`MemError`]: of the translation, and [`MemFault::External`] for holes and for writes to ROM; with
    /// [`Regime::OPEN_BUS`] those are `None`, as devices are.
    #[inline]
    pub fn run<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        (va, len): (u64, u64),
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Option<*mut u8>, MemError<R::Fault>> {
        if kind != AccessKind::Exec
            && let Some(p) = inline_run(core, va, len, kind == AccessKind::Write, unpriv)
        {
            return Ok(Some(p));
        }
        self.run_slow(core, regime, (va, len), kind, unpriv)
    }

    fn run_slow<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        (va, len): (u64, u64),
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Option<*mut u8>, MemError<R::Fault>> {
        self.stats.misses += 1;
        let offset = va & !PAGE_MASK;
        if len > PAGE_SIZE - offset {
            return Ok(None);
        }
        let side = self.translate(core, regime, va, kind, unpriv)?;
        let pa = side.pa() | offset;
        match self.phys.page(pa) {
            Page::Ram(p) => {
                if kind == AccessKind::Write {
                    self.stored(pa, len);
                }
                Ok(Some(p.wrapping_add(offset as usize)))
            }
            Page::Rom(p) if kind != AccessKind::Write => Ok(Some(p.cast_mut().wrapping_add(offset as usize))),
            Page::Mmio => Ok(None),
            Page::Rom(_) | Page::None if R::OPEN_BUS => Ok(None),
            Page::Rom(_) | Page::None => Err(MemError { va, kind, fault: MemFault::External { pa } }),
        }
    }
}

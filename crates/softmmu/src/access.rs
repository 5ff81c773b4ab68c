//! The slow paths of memory accesses: what misses the inline TLB, and what must never hit it.

use std::sync::{Arc, PoisonError};

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_isa::{Core, MemOp, Rmw, Size, V128, Work};

use crate::host;
use crate::mmu::{AccessKind, CodeFetch, MemError, MemFault, Mmu, Regime, Translation};
use crate::phys::{Page, coalesce};
use crate::run::{inline, inline_aligned};

/// Where an access goes: the physical address of the first byte and, if it crosses a page, the virtual and
/// physical address of the second page.
type Places = (u64, Option<(u64, u64)>);

/// Where an atomic access goes.
enum AtomicAt {
    /// To naturally aligned RAM; the physical address where the page may hold translated code.
    Ram(*mut u8, Option<u64>),
    /// Elsewhere.
    Other(Places),
}

/// What is executed where nothing answers ([`Regime::OPEN_BUS`]).
static ONES: [u8; PAGE_SIZE as usize] = [0xff; PAGE_SIZE as usize];

impl Mmu {
    /// Translates both ends of an access.
    fn resolve<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
        kind: AccessKind,
    ) -> Result<Places, MemError<R::Fault>> {
        let n = m.size.bytes();
        let misaligned = va & (m.align.bytes() - 1) != 0;
        let alignment = MemError { va, kind, fault: MemFault::Alignment };
        if m.aligned && misaligned {
            return Err(alignment);
        }
        let first = self.translate(core, regime, va, kind, m.unpriv)?;
        let pa = first.pa() | va & !PAGE_MASK;
        if misaligned && first.device() {
            return Err(alignment);
        }
        if (va & !PAGE_MASK) + n <= PAGE_SIZE {
            return Ok((pa, None));
        }
        let va2 = regime.next_page(va);
        let second = self.translate(core, regime, va2, kind, m.unpriv)?;
        if misaligned && second.device() {
            return Err(alignment);
        }
        Ok((pa, Some((va2, second.pa()))))
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
        let m = MemOp { size: m.size.min(Size::B8), ..m };
        if let Some(p) = inline(core, va, m, false) {
            // SAFETY: the TLB entry vouches for the page, and the access does not leave it.
            return Ok(unsafe { host::read(p, m.size) });
        }
        self.stats.misses += 1;
        let places = self.resolve(core, regime, va, m, AccessKind::Read)?;
        Ok(self.read_at::<R>(va, places, m)? as u64)
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
        let places = self.resolve(core, regime, va, m, AccessKind::Read)?;
        Ok(V128::from_u128(self.read_at::<R>(va, places, m)?))
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
        let m = MemOp { size: m.size.min(Size::B8), ..m };
        if self.store_inline(core, va, m, v) {
            return Ok(());
        }
        self.stats.misses += 1;
        let places = self.resolve(core, regime, va, m, AccessKind::Write)?;
        self.write_at::<R>(va, places, m, u128::from(v))
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
        let places = self.resolve(core, regime, va, m, AccessKind::Write)?;
        self.write_at::<R>(va, places, m, v.to_u128())
    }

    fn atomic<R: Regime>(
        &mut self,
        core: &mut Core,
        regime: &R,
        va: u64,
        m: MemOp,
    ) -> Result<AtomicAt, MemError<R::Fault>> {
        if let Some(p) = inline_aligned(core, va, m) {
            return Ok(AtomicAt::Ram(p, None));
        }
        self.stats.misses += 1;
        let mut m = MemOp { align: m.size, ..m };
        if !R::ATOMICS_ANYWHERE {
            m = m.aligned();
            // A read fault is reported as one (Arm ARM, ESR_ELx.WnR for atomic instructions).
            self.resolve(core, regime, va, m, AccessKind::Read)?;
        }
        let places = self.resolve(core, regime, va, m, AccessKind::Write)?;
        let (pa, n) = (places.0, m.size.bytes());
        match self.phys.ram_ptr(pa, n) {
            Some(p) if va & (n - 1) == 0 => Ok(AtomicAt::Ram(p, Some(pa))),
            _ if R::ATOMICS_ANYWHERE => Ok(AtomicAt::Other(places)),
            _ => Err(MemError { va, kind: AccessKind::Write, fault: MemFault::External { pa } }),
        }
    }

    /// Reads, and writes what `new` makes of it; the old value. Atomic against other such accesses only.
    fn locked<R: Regime>(
        &mut self,
        va: u64,
        places: Places,
        m: MemOp,
        new: impl FnOnce(u128) -> Option<u128>,
    ) -> Result<u128, MemError<R::Fault>> {
        let phys = Arc::clone(&self.phys);
        let _guard = phys.split.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.read_at::<R>(va, places, m)?;
        if let Some(v) = new(old) {
            self.write_at::<R>(va, places, m, v)?;
        }
        Ok(old)
    }

    /// Atomic read-modify-write of up to 8 bytes; the old value, zero-extended. Always sequentially consistent,
    /// and atomic against other vCPUs and device threads.
    ///
    /// # Errors
    /// [`MemError`]: [`MemFault::Alignment`] unless naturally aligned, [`MemFault::External`] for anything but
    /// RAM; these two not with [`Regime::ATOMICS_ANYWHERE`], unless the operation itself asks for alignment.
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
        match self.atomic(core, regime, va, m)? {
            AtomicAt::Ram(p, pa) => {
                // SAFETY: RAM, valid for the size; naturally aligned because `atomic` checked it and pages are.
                let old = unsafe { host::rmw(op, p, m.size, v) };
                self.stored_at(pa, m.size.bytes());
                Ok(old)
            }
            AtomicAt::Other(places) => {
                let new = |old| Some(u128::from(op.eval(m.size.width(), old as u64, v)));
                Ok(self.locked::<R>(va, places, m, new)? as u64)
            }
        }
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
        let expected = m.size.width().zext(expected);
        match self.atomic(core, regime, va, m)? {
            AtomicAt::Ram(p, pa) => {
                // SAFETY: as in `rmw`.
                let old = unsafe { host::cas(p, m.size, expected, new) };
                if old == expected {
                    self.stored_at(pa, m.size.bytes());
                }
                Ok(old)
            }
            AtomicAt::Other(places) => {
                let new = |old| (old == u128::from(expected)).then_some(u128::from(new));
                Ok(self.locked::<R>(va, places, m, new)? as u64)
            }
        }
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
        let (expected, new) = (expected.to_u128(), new.to_u128());
        let old = match self.atomic(core, regime, va, m)? {
            AtomicAt::Ram(p, pa) => {
                // SAFETY: as in `rmw`.
                let old = unsafe { host::cas128(p, expected, new) };
                if old == expected {
                    self.stored_at(pa, 16);
                }
                old
            }
            AtomicAt::Other(places) => {
                self.locked::<R>(va, places, m, |old| (old == expected).then_some(new))?
            }
        };
        Ok(V128::from_u128(old))
    }

    /// Translates for instruction fetch.
    ///
    /// # Errors
    /// [`MemError`]: [`MemFault::External`] for anything but RAM and ROM, which with [`Regime::OPEN_BUS`] gives a
    /// page of all ones instead.
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
            Page::Mmio | Page::None if R::OPEN_BUS => ONES.as_ptr(),
            Page::Mmio | Page::None => {
                let fault = MemFault::External { pa: pa | va & !PAGE_MASK };
                return Err(MemError { va, kind: AccessKind::Exec, fault });
            }
        };
        self.fetched(va);
        if self.unpublished {
            self.publish(core);
        }
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

    /// Reads at most 16 bytes.
    fn read_at<R: Regime>(&mut self, va: u64, places: Places, m: MemOp) -> Result<u128, MemError<R::Fault>> {
        match places {
            (pa, None) if m.size == Size::B16 => {
                let half = MemOp { size: Size::B8, ..m };
                let lo = self.bus_read::<R>(va, pa, half)?;
                let hi = self.bus_read::<R>(va, pa.wrapping_add(8), half)?;
                Ok(V128([lo, hi]).to_u128())
            }
            (pa, None) => Ok(u128::from(self.bus_read::<R>(va, pa, m)?)),
            (pa, Some(second)) => self.read_crossing::<R>(va, pa, second, m),
        }
    }

    /// Writes at most 16 bytes.
    fn write_at<R: Regime>(
        &mut self,
        va: u64,
        places: Places,
        m: MemOp,
        v: u128,
    ) -> Result<(), MemError<R::Fault>> {
        match places {
            (pa, None) if m.size == Size::B16 => {
                let half = MemOp { size: Size::B8, ..m };
                self.bus_write::<R>(va, pa, half, v as u64)?;
                self.bus_write::<R>(va, pa.wrapping_add(8), half, (v >> 64) as u64)
            }
            (pa, None) => self.bus_write::<R>(va, pa, m, v as u64),
            (pa, Some(second)) => self.write_crossing::<R>(va, pa, second, m, v),
        }
    }

    /// Reads at most 8 bytes inside a page. A device sees each element.
    fn bus_read<R: Regime>(&mut self, va: u64, pa: u64, m: MemOp) -> Result<u64, MemError<R::Fault>> {
        let phys = &self.phys;
        let read = |pa, size: Size| match phys.read(pa, size) {
            Ok(v) => Ok(v),
            // Some of the bytes may be a device's.
            Err(_) if R::OPEN_BUS => {
                let byte = |i| phys.read(pa + i, Size::B1).unwrap_or(0xff) << (8 * i);
                Ok((0..size.bytes()).map(byte).fold(0, |a, b| a | b))
            }
            Err(_) => Err(MemError { va, kind: AccessKind::Read, fault: MemFault::External { pa } }),
        };
        if phys.page(pa) != Page::Mmio {
            return read(pa, m.size);
        }
        let element = m.align.min(m.size);
        let mut v = 0;
        for at in (0..m.size.bytes()).step_by(element.bytes() as usize) {
            self.stats.mmio_reads += 1;
            v |= self.activity.during(Work::Device, || read(pa + at, element))? << (8 * at);
        }
        Ok(v)
    }

    /// Writes at most 8 bytes inside a page. A device sees each element.
    fn bus_write<R: Regime>(&mut self, va: u64, pa: u64, m: MemOp, v: u64) -> Result<(), MemError<R::Fault>> {
        let size = m.size;
        if let Some(p) = self.phys.ram_ptr(pa, size.bytes()) {
            // SAFETY: RAM, writable for the size.
            unsafe { host::write(p, size, v) };
            self.stored(pa, size.bytes());
            return Ok(());
        }
        let phys = &self.phys;
        let write = |pa, size: Size, v: u64| match phys.write(pa, size, v) {
            Ok(()) => Ok(()),
            Err(_) if R::OPEN_BUS => {
                for i in 0..size.bytes() {
                    let _ = phys.write(pa + i, Size::B1, v >> (8 * i));
                }
                Ok(())
            }
            Err(_) => Err(MemError { va, kind: AccessKind::Write, fault: MemFault::External { pa } }),
        };
        if phys.page(pa) != Page::Mmio {
            return write(pa, size, v);
        }
        let element = m.align.min(size);
        for at in (0..size.bytes()).step_by(element.bytes() as usize) {
            self.stats.mmio_writes += 1;
            self.activity.during(Work::Device, || write(pa + at, element, v >> (8 * at)))?;
        }
        Ok(())
    }

    /// The parts of a page-crossing access: elements, or bytes where these are misaligned. Distance from its
    /// start, virtual address to blame, and physical address.
    fn crossing(
        va: u64,
        pa: u64,
        (va2, pa2): (u64, u64),
        m: MemOp,
    ) -> (MemOp, impl Iterator<Item = (u64, u64, u64)>) {
        let misaligned = va & (m.align.bytes() - 1) != 0;
        let part = if misaligned { Size::B1 } else { m.align.min(Size::B8) };
        let here = PAGE_SIZE - (va & !PAGE_MASK);
        let place = move |i| if i < here { (i, va, pa + i) } else { (i, va2, pa2 + (i - here)) };
        (MemOp::new(part), (0..m.size.bytes()).step_by(part.bytes() as usize).map(place))
    }

    fn read_crossing<R: Regime>(
        &mut self,
        va: u64,
        pa: u64,
        second: (u64, u64),
        m: MemOp,
    ) -> Result<u128, MemError<R::Fault>> {
        let mut v = 0;
        let (part, places) = Mmu::crossing(va, pa, second, m);
        for (i, va, pa) in places {
            v |= u128::from(self.bus_read::<R>(va, pa, part)?) << (8 * i);
        }
        Ok(v)
    }

    fn write_crossing<R: Regime>(
        &mut self,
        va: u64,
        pa: u64,
        second: (u64, u64),
        m: MemOp,
        v: u128,
    ) -> Result<(), MemError<R::Fault>> {
        // Nothing is stored unless both pages take it.
        for (va, pa) in [(va, pa), second] {
            if !R::OPEN_BUS && matches!(self.phys.page(pa), Page::Rom(_) | Page::None) {
                return Err(MemError { va, kind: AccessKind::Write, fault: MemFault::External { pa } });
            }
        }
        let (part, places) = Mmu::crossing(va, pa, second, m);
        for (i, va, pa) in places {
            self.bus_write::<R>(va, pa, part, (v >> (8 * i)) as u64)?;
        }
        Ok(())
    }

    /// As [`Mmu::stored`], where the address is known.
    #[inline]
    fn stored_at(&mut self, pa: Option<u64>, len: u64) {
        if let Some(pa) = pa {
            self.stored(pa, len);
        }
    }

    /// Follows a store to RAM if it hit a page with translated code, or with translation tables.
    #[inline]
    pub(crate) fn stored(&mut self, pa: u64, len: u64) {
        let mut at = pa;
        let mut left = len;
        while left > 0 {
            let n = left.min(PAGE_SIZE - (at & !PAGE_MASK));
            if self.phys.watched(at) != 0 {
                self.stored_watched(at, n);
            }
            at = at.wrapping_add(n);
            left -= n;
        }
    }

    #[cold]
    fn stored_watched(&mut self, pa: u64, len: u64) {
        if self.phys.is_code(pa) {
            self.stats.code_writes += 1;
            // A copy into the page is one report.
            if !self.dirty.back_mut().is_some_and(|last| coalesce(last, pa, len)) {
                self.dirty.push_back((pa, len));
            }
        }
        self.table_stored(pa, len);
    }
}

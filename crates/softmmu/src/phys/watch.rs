//! Watched RAM pages: those that hold translated code, and those that hold translation tables. A byte per page says
//! whether and which; stores that a vCPU did not make itself are noted here for those who have to know.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};

use super::PhysMem;

/// The page holds translated code; below this bit the number of [`crate::Mmu`]s that keep translations made from the
/// page as from a table.
const CODE: u8 = 0x80;

/// Reports of writes kept apart before they are made into whole pages.
const DIRTY_MAX: usize = 4096;

/// Writes to tables kept for those who have not asked yet. Who is further behind takes everything as written.
const TABLES_MAX: usize = 1024;

/// State of watched pages.
#[derive(Debug)]
pub(super) struct Watch {
    pages: Box<[AtomicU8]>,
    dirty_pending: AtomicBool,
    /// Writes to code pages that did not come from a vCPU's store: (physical address, length).
    dirty: Mutex<Vec<(u64, u64)>>,
    /// How many writes to tables there ever were.
    table_writes: AtomicU64,
    /// The latest of them: (physical address, length).
    tables: Mutex<VecDeque<(u64, u64)>>,
}

impl Watch {
    pub(super) fn new(pages: usize) -> Watch {
        Watch {
            pages: (0..pages).map(|_| AtomicU8::new(0)).collect(),
            dirty_pending: AtomicBool::new(false),
            dirty: Mutex::new(Vec::new()),
            table_writes: AtomicU64::new(0),
            tables: Mutex::new(VecDeque::new()),
        }
    }

    #[inline]
    fn get(&self, page: usize) -> u8 {
        self.pages.get(page).map_or(0, |b| b.load(Ordering::Relaxed))
    }

    /// Notes a write inside the page with this number, if there is translated code on it.
    #[inline]
    pub(super) fn code_written(&self, page: usize, pa: u64, len: u64) {
        if self.get(page) & CODE != 0 {
            self.note_dirty(pa, len);
            self.dirty_pending.store(true, Ordering::Release);
        }
    }

    #[cold]
    fn note_dirty(&self, pa: u64, len: u64) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        if !dirty.last_mut().is_some_and(|last| coalesce(last, pa, len)) {
            dirty.push((pa, len));
        }
        // While no vCPU runs, devices may go on writing: whole pages, each once, bound the list.
        if dirty.len() >= DIRTY_MAX {
            for d in dirty.iter_mut() {
                *d = (d.0 & PAGE_MASK, PAGE_SIZE);
            }
            dirty.sort_unstable();
            dirty.dedup();
        }
    }

    #[cold]
    fn note_table(&self, pa: u64, len: u64) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= TABLES_MAX {
            tables.pop_front();
        }
        tables.push_back((pa, len));
        self.table_writes.fetch_add(1, Ordering::Release);
    }
}

/// What [`PhysMem::table_writes`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TableWrites {
    /// These: physical address and length in bytes, each within one page.
    These(Vec<(u64, u64)>),
    /// More than are kept.
    Lost,
}

impl PhysMem {
    fn watched_byte(&self, pa: u64) -> Option<&AtomicU8> {
        self.watch.pages.get(self.ram_page(pa)?)
    }

    /// Notes that the page around `pa` holds translated code. Pages that are no RAM cannot change and are not
    /// noted.
    ///
    /// vCPUs go through [`crate::Mmu::watch_code`], which also withdraws the write permission cached in the TLB.
    pub fn watch_code(&self, pa: u64) {
        if let Some(b) = self.watched_byte(pa) {
            b.fetch_or(CODE, Ordering::SeqCst);
        }
    }

    /// Notes that the page around `pa` holds no translated code any more.
    pub fn unwatch_code(&self, pa: u64) {
        if let Some(b) = self.watched_byte(pa) {
            b.fetch_and(!CODE, Ordering::SeqCst);
        }
    }

    /// Whether the page around `pa` holds translated code.
    #[inline]
    pub fn is_code(&self, pa: u64) -> bool {
        self.watched(pa) & CODE != 0
    }

    /// Every page of RAM that holds translated code.
    pub(crate) fn code_pages(&self) -> Vec<u64> {
        let pages = self.ram_ranges().flat_map(|(base, len)| (base..base + len).step_by(PAGE_SIZE as usize));
        pages.filter(|pa| self.is_code(*pa)).collect()
    }

    /// Not 0 if stores to the page around `pa` must be noticed.
    #[inline]
    pub(crate) fn watched(&self, pa: u64) -> u8 {
        self.ram_page(pa).map_or(0, |n| self.watch.get(n))
    }

    /// Whether stores to the RAM page with this number must be noticed.
    #[inline]
    pub(crate) fn page_watched(&self, page: usize) -> bool {
        self.watch.get(page) != 0
    }

    /// Notes that one more MMU keeps translations made from the page around `pa`. Whether there is room to note it.
    pub(crate) fn watch_table(&self, pa: u64) -> bool {
        let more = |b: u8| (b & !CODE < CODE - 1).then(|| b + 1);
        self.watched_byte(pa)
            .is_some_and(|b| b.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok())
    }

    /// Takes back one [`PhysMem::watch_table`].
    pub(crate) fn unwatch_table(&self, pa: u64) {
        let less = |b: u8| (b & !CODE > 0).then(|| b - 1);
        if let Some(b) = self.watched_byte(pa) {
            let _ = b.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        }
    }

    /// Reports that someone other than a vCPU wrote `len` bytes of RAM at `pa`; what of it lies on pages with
    /// translated code comes out of [`PhysMem::take_written_code`].
    pub fn mark_written(&self, pa: u64, len: u64) {
        let mut at = pa;
        let mut left = len;
        while left > 0 {
            let n = left.min(PAGE_SIZE - (at & !PAGE_MASK));
            if let Some(page) = self.ram_page(at) {
                self.watch.code_written(page, at, n);
                if self.watch.get(page) & !CODE != 0 {
                    self.watch.note_table(at, n);
                }
            }
            at = at.wrapping_add(n);
            left -= n;
        }
    }

    /// Tells the other MMUs of a store of a vCPU, if the page is a table of more than `own`.
    #[inline]
    pub(crate) fn tell_table_written(&self, pa: u64, len: u64, own: u8) {
        if self.watched(pa) & !CODE > own {
            self.watch.note_table(pa, len);
        }
    }

    /// Writes to tables since there were `*seen` of them.
    #[inline]
    pub(crate) fn table_writes(&self, seen: &mut u64) -> TableWrites {
        if self.watch.table_writes.load(Ordering::Acquire) == *seen {
            return TableWrites::These(Vec::new());
        }
        let tables = self.watch.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.watch.table_writes.load(Ordering::Acquire);
        let new = (now - *seen) as usize;
        *seen = now;
        match tables.len().checked_sub(new) {
            Some(old) => TableWrites::These(tables.iter().skip(old).copied().collect()),
            None => TableWrites::Lost,
        }
    }

    /// Whether [`PhysMem::take_written_code`] may have something to say.
    #[inline]
    pub fn has_written_code(&self) -> bool {
        self.watch.dirty_pending.load(Ordering::Acquire)
    }

    /// The next write reported by [`PhysMem::mark_written`] that hit translated code: physical address and
    /// length in bytes, within one page.
    #[inline]
    pub fn take_written_code(&self) -> Option<(u64, u64)> {
        if !self.watch.dirty_pending.load(Ordering::Acquire) {
            return None;
        }
        let mut dirty = self.watch.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let next = dirty.pop();
        if dirty.is_empty() {
            self.watch.dirty_pending.store(false, Ordering::Release);
        }
        next
    }
}

/// Extends the report `last` (physical address, length) by a write that touches it on the same page.
pub(crate) fn coalesce(last: &mut (u64, u64), pa: u64, len: u64) -> bool {
    if (last.0 ^ pa) & PAGE_MASK != 0 {
        return false;
    }
    // Within the page, so that nothing overflows at the top of the address space.
    let (a, b) = (last.0 & !PAGE_MASK, pa & !PAGE_MASK);
    let (a_end, b_end) = (a + last.1, b + len);
    if b > a_end || a > b_end {
        return false;
    }
    *last = (last.0.min(pa), a_end.max(b_end) - a.min(b));
    true
}

//! The inline tables, and the memory that they are in.

use lyrebird_isa::TlbEntry;
use lyrebird_isa::state::TLB_ENTRIES;

use super::CONTEXTS;
use crate::host::HostMemory;

/// Memory for the inline tables of all contexts, in one piece so that the host can back it by large pages.
#[derive(Debug)]
pub(crate) struct Pool(HostMemory);

impl Pool {
    /// # Panics
    /// If the host refuses some 32 MiB of address space.
    #[allow(clippy::expect_used, reason = "as an allocation that fails")]
    pub(crate) fn new() -> Pool {
        Pool(HostMemory::new(CONTEXTS * TLB_ENTRIES * size_of::<TlbEntry>()).expect("memory for TLB tables"))
    }

    /// The empty table with a number below [`CONTEXTS`]. To be asked for once per number.
    pub(super) fn table(&self, number: usize) -> Table {
        let base = self.0.base().cast::<TlbEntry>().wrapping_add(number % CONTEXTS * TLB_ENTRIES);
        let mut t = Table(base);
        (0..TLB_ENTRIES).for_each(|i| t.set(i, TlbEntry::EMPTY));
        t
    }
}

/// An inline table, part of a [`Pool`]. Held by raw pointer because [`lyrebird_isa::Core::tlb`] points at it as well.
#[derive(Debug)]
pub(super) struct Table(*mut TlbEntry);

// SAFETY: the table is plain data; the only other pointers to it are in the `Core` of the same vCPU, which moves between
// threads together with it.
unsafe impl Send for Table {}

impl Table {
    /// For [`lyrebird_isa::Core::tlb`].
    #[inline(always)]
    pub(super) fn pointer(&self) -> *mut TlbEntry {
        self.0
    }

    #[inline(always)]
    pub(super) fn get(&self, i: usize) -> TlbEntry {
        // SAFETY: the index is in range, and the pool is dropped after its contexts; `Core`'s copy of the pointer is only
        // used by the same vCPU, which is here and not in guest code.
        unsafe { self.0.wrapping_add(i % TLB_ENTRIES).read() }
    }

    #[inline(always)]
    pub(super) fn set(&mut self, i: usize, e: TlbEntry) {
        // SAFETY: as in `get`.
        unsafe { self.0.wrapping_add(i % TLB_ENTRIES).write(e) }
    }
}

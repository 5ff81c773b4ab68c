//! [`Activity`]: what a vCPU's thread is doing, for another thread that samples it.

use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Kinds of work of a vCPU's thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Work {
    /// Everything around guest code: interrupts, time, finding, linking and dropping code.
    #[default]
    Dispatcher,
    /// The interpreter, its helpers included.
    T0,
    /// Compiled code.
    T1,
    /// Helpers that compiled code calls, where the engine accounts for them.
    Helper,
    /// Walks of guest page tables.
    Walk,
    /// Accesses to devices.
    Device,
    /// Decoding of blocks; compilation where it is done on this thread.
    Compile,
    /// Waiting for an interrupt.
    Idle,
}

impl Work {
    /// All of them, by number.
    pub const ALL: [Work; 8] = [
        Work::Dispatcher,
        Work::T0,
        Work::T1,
        Work::Helper,
        Work::Walk,
        Work::Device,
        Work::Compile,
        Work::Idle,
    ];
}

#[derive(Debug, Default)]
#[repr(C)]
struct Cell {
    work: AtomicU8,
    region: AtomicU32,
}

/// Where a vCPU's thread notes what it does: plain stores, so cheap that they are made whether or not anyone looks.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Activity {
    /// The cell, for compiled code.
    cell: *const Cell,
    owner: Arc<Cell>,
}

// SAFETY: `cell` points into what `owner` keeps alive, which are atomics.
unsafe impl Send for Activity {}
// SAFETY: as above.
unsafe impl Sync for Activity {}

impl Default for Activity {
    fn default() -> Self {
        let owner = Arc::new(Cell::default());
        Activity { cell: Arc::as_ptr(&owner), owner }
    }
}

impl Activity {
    /// Offset of the pointer to the notes.
    pub const CELL: usize = offset_of!(Activity, cell);
    /// Offset of the [`Work`] in them: a byte.
    pub const WORK: usize = offset_of!(Cell, work);
    /// Offset of the number of the compiled region in them: 4 bytes, kept where the engine accounts for regions.
    pub const REGION: usize = offset_of!(Cell, region);

    /// Notes what is done from now on.
    #[inline(always)]
    pub fn set(&self, w: Work) {
        self.owner.work.store(w as u8, Ordering::Relaxed);
    }

    /// Notes what is done during `f`.
    #[inline(always)]
    pub fn during<T>(&self, w: Work, f: impl FnOnce() -> T) -> T {
        let before = self.owner.work.load(Ordering::Relaxed);
        self.set(w);
        let r = f();
        self.owner.work.store(before, Ordering::Relaxed);
        r
    }

    /// What was noted last, and the region that compiled code is in or was in last; 0 for none.
    pub fn get(&self) -> (Work, u32) {
        let work = self.owner.work.load(Ordering::Relaxed);
        let region = self.owner.region.load(Ordering::Relaxed);
        (Work::ALL.get(work as usize).copied().unwrap_or_default(), region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_has_its_number_and_nests() {
        for (i, w) in Work::ALL.into_iter().enumerate() {
            assert_eq!(i, w as usize);
        }
        let a = Activity::default();
        a.set(Work::T1);
        let inside = a.during(Work::Walk, || a.during(Work::Device, || a.clone().get()));
        assert_eq!((inside, a.get()), ((Work::Device, 0), (Work::T1, 0)));
    }
}

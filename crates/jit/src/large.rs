//! Memory in the host's large pages, where it has them to give: for tables that are reached at any place, whose
//! translations the host's own TLB would have to find anew each time.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::t1::host::{LARGE_PAGE, advise_large_pages};

/// Memory that begins at a large page.
#[derive(Debug)]
pub struct LargeMemory {
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns the memory behind its pointer.
unsafe impl Send for LargeMemory {}
// SAFETY: it gives nobody access to it but by a raw pointer.
unsafe impl Sync for LargeMemory {}

impl LargeMemory {
    /// `len` bytes with anything in them.
    ///
    /// # Panics
    /// If `len` is 0, or more than an address can reach.
    pub fn new(len: usize) -> LargeMemory {
        let Some(layout) = Layout::from_size_align(len, LARGE_PAGE).ok().filter(|l| l.size() > 0) else {
            panic!("memory of {len} bytes")
        };
        // SAFETY: the layout has a size.
        let Some(at) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        advise_large_pages(at, len);
        LargeMemory { at, layout }
    }

    /// Its first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.at
    }
}

impl Drop for LargeMemory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody has a pointer to it any more.
        unsafe { dealloc(self.at.as_ptr(), self.layout) };
    }
}

/// A table in such memory.
#[derive(Debug)]
pub struct LargeTable<T> {
    at: NonNull<T>,
    len: usize,
    _memory: LargeMemory,
}

// SAFETY: it owns its elements.
unsafe impl<T: Send> Send for LargeTable<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for LargeTable<T> {}

impl<T: Copy> LargeTable<T> {
    /// `len` times `value`.
    pub fn new(value: T, len: usize) -> LargeTable<T> {
        const { assert!(size_of::<T>() != 0 && align_of::<T>() <= LARGE_PAGE) };
        let memory = LargeMemory::new(len * size_of::<T>());
        let at = memory.base().cast::<T>();
        for i in 0..len {
            // SAFETY: the memory has room for that many, and begins where any of them may.
            unsafe { at.add(i).write(value) };
        }
        LargeTable { at, len, _memory: memory }
    }
}

impl<T> Deref for LargeTable<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` has initialised that many elements, which belong to this table.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for LargeTable<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_filled() {
        let mut t = LargeTable::new(7u64, 1000);
        assert_eq!(t.as_ptr().addr() % LARGE_PAGE, 0);
        t[999] = 8;
        assert_eq!((t.len(), t[0], t[998], t[999]), (1000, 7, 7, 8));
    }
}

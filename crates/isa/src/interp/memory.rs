//! What the inline TLB answers, and the order of accesses.

use std::sync::atomic::{Ordering, fence};

use super::Interp;
use crate::cpu::Cpu;
use crate::mem::{MemOp, Order, Size};
use crate::state::{PAGE_MASK, TlbEntry, tlb_index};

impl<C: Cpu, const TRY: bool> Interp<'_, C, TRY> {
    /// The TLB entry that `va` indexes, for the access's privilege.
    #[inline(always)]
    fn entry(&self, m: MemOp, va: u64) -> &TlbEntry {
        let core = self.cpu.core();
        let table = if m.unpriv { core.tlb_unpriv } else { core.tlb };
        // SAFETY: a CPU that runs has both tables attached (contract of `Core::tlb`), and `tlb_index` is below
        // their length.
        unsafe { &*table.add(tlb_index(va)) }
    }

    /// Host address for an access of `bytes` bytes, if the inline TLB allows it.
    #[inline(always)]
    pub(super) fn fast<const WRITE: bool>(&self, m: MemOp, va: u64, bytes: u64) -> Option<*mut u8> {
        if m.aligned && va & (m.align.bytes() - 1) != 0 {
            return None;
        }
        let e = self.entry(m, va);
        let tag = if WRITE { e.write } else { e.read };
        // The last byte's page is compared: an access that crosses into the next page never matches.
        if tag == va.wrapping_add(bytes - 1) & PAGE_MASK {
            Some(va.wrapping_add(e.addend) as *mut u8)
        } else {
            None
        }
    }
}

/// Reads `size` bytes of guest memory, zero-extended.
///
/// # Safety
/// `p` is readable for `size.bytes()` bytes; `size` is at most 8 bytes.
#[inline(always)]
pub(super) unsafe fn read(p: *const u8, size: Size) -> u64 {
    // SAFETY: by contract. Guest RAM is shared with other vCPUs and device threads; each access is one host
    // instruction, and the guest's own rules order them.
    unsafe {
        match size {
            Size::B1 => p.read() as u64,
            Size::B2 => u16::from_le(p.cast::<u16>().read_unaligned()) as u64,
            Size::B4 => u32::from_le(p.cast::<u32>().read_unaligned()) as u64,
            Size::B8 | Size::B16 => u64::from_le(p.cast::<u64>().read_unaligned()),
        }
    }
}

/// Writes the low `size` bytes of `v` to guest memory.
///
/// # Safety
/// `p` is writable for `size.bytes()` bytes; `size` is at most 8 bytes.
#[inline(always)]
pub(super) unsafe fn write(p: *mut u8, size: Size, v: u64) {
    // SAFETY: as for `read`.
    unsafe {
        match size {
            Size::B1 => p.write(v as u8),
            Size::B2 => p.cast::<u16>().write_unaligned((v as u16).to_le()),
            Size::B4 => p.cast::<u32>().write_unaligned((v as u32).to_le()),
            Size::B8 | Size::B16 => p.cast::<u64>().write_unaligned(v.to_le()),
        }
    }
}

#[inline(always)]
pub(super) fn before_store(o: Order) {
    if matches!(o, Order::Release | Order::AcqRel) {
        fence(Ordering::Release);
    }
}

#[inline(always)]
pub(super) fn after_store(o: Order) {
    // A store-release is not reordered with a later load-acquire (RCsc, Arm ARM B2.3.11).
    if matches!(o, Order::Release | Order::AcqRel) {
        fence(Ordering::SeqCst);
    }
}

#[inline(always)]
pub(super) fn after_load(o: Order) {
    if matches!(o, Order::Acquire | Order::AcqRel) {
        fence(Ordering::Acquire);
    }
}

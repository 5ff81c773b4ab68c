//! What the inline TLB answers, and the order of accesses.

use std::sync::atomic::{Ordering, fence};

use super::Interp;
use crate::cpu::Cpu;
use crate::mem::{MemOp, Order};
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

//! What is known about a page beside its inline entry.

use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK, TAG_NONE};

use crate::mmu::{AccessKind, MemType, Translation};

/// Everything a translation said about one page, beside its inline entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// Virtual page, or [`TAG_NONE`].
    pub(super) va: u64,
    /// Physical page; below it the flags, and the leaf size from bit 6.
    pub(super) bits: u64,
}

pub(super) const READ: u64 = 1;
pub(super) const WRITE: u64 = 2;
const EXEC: u64 = 4;
pub(super) const DEVICE: u64 = 8;
const GLOBAL: u64 = 16;
/// The inline entry has a write tag (counted per physical page).
pub(super) const TAGGED: u64 = 32;
const LEAF_SHIFT: u32 = 6;

impl Side {
    pub(super) const EMPTY: Side = Side { va: TAG_NONE, bits: 0 };

    pub(super) fn new(va: u64, t: &Translation) -> Side {
        let flag = |on: bool, f: u64| if on { f } else { 0 };
        Side {
            va: va & PAGE_MASK,
            bits: t.pa & PAGE_MASK
                | flag(t.read, READ)
                | flag(t.write, WRITE)
                | flag(t.exec, EXEC)
                | flag(t.mem == MemType::Device, DEVICE)
                | flag(t.global, GLOBAL)
                | u64::from(t.page_bits.clamp(PAGE_BITS as u8, 63)) << LEAF_SHIFT,
        }
    }

    /// Virtual page.
    pub(crate) fn va(self) -> u64 {
        self.va
    }

    /// Physical page.
    #[inline]
    pub(crate) fn pa(self) -> u64 {
        self.bits & PAGE_MASK
    }

    pub(crate) fn device(self) -> bool {
        self.bits & DEVICE != 0
    }

    pub(super) fn global(self) -> bool {
        self.bits & GLOBAL != 0
    }

    pub(super) fn leaf_bits(self) -> u32 {
        (self.bits >> LEAF_SHIFT) as u32 & 63
    }

    #[inline]
    pub(crate) fn allows(self, kind: AccessKind) -> bool {
        let need = match kind {
            AccessKind::Read => READ,
            AccessKind::Write => WRITE,
            AccessKind::Exec => EXEC,
        };
        self.bits & need != 0
    }

    pub(crate) fn translation(self, va: u64) -> Translation {
        Translation {
            pa: self.pa() | va & !PAGE_MASK,
            page_bits: self.leaf_bits() as u8,
            read: self.bits & READ != 0,
            write: self.bits & WRITE != 0,
            exec: self.bits & EXEC != 0,
            mem: if self.device() { MemType::Device } else { MemType::Normal },
            global: self.global(),
        }
    }
}

//! What a guest memory access is: size, alignment rule, ordering, privilege.

use crate::ops::Width;

/// Access size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Size {
    /// 1 byte.
    B1 = 0,
    /// 2 bytes.
    B2,
    /// 4 bytes.
    B4,
    /// 8 bytes.
    B8,
    /// 16 bytes (vector accesses and 128-bit atomics).
    B16,
}

impl Size {
    /// The size whose length is `1 << n` bytes; `n` above 4 counts as 4.
    #[inline(always)]
    pub const fn from_log2(n: u32) -> Size {
        match n {
            0 => Size::B1,
            1 => Size::B2,
            2 => Size::B4,
            3 => Size::B8,
            _ => Size::B16,
        }
    }

    /// Length in bytes.
    #[inline(always)]
    pub const fn bytes(self) -> u64 {
        1 << self as u32
    }

    /// The scalar width of the same size; 16 bytes have none and count as 64 bits.
    #[inline(always)]
    pub const fn width(self) -> Width {
        match self {
            Size::B1 => Width::W8,
            Size::B2 => Width::W16,
            Size::B4 => Width::W32,
            Size::B8 | Size::B16 => Width::W64,
        }
    }
}

/// Ordering of an access against the others of the same vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// No ordering.
    Relaxed = 0,
    /// Load-acquire (for a read-modify-write: its load).
    Acquire = 1,
    /// Store-release (for a read-modify-write: its store).
    Release = 2,
    /// Both, and sequentially consistent among themselves.
    AcqRel = 3,
}

/// One guest memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemOp {
    /// How many bytes.
    pub size: Size,
    /// What the address has to be a multiple of where alignment is checked: the size, or that of the elements
    /// of an access to several. A device sees the elements one by one.
    pub align: Size,
    /// A misaligned address raises an alignment fault whatever the memory type.
    pub aligned: bool,
    /// Checked with the privilege of the least privileged level (A64 `LDTR`/`STTR`).
    pub unpriv: bool,
    /// A load whose operand is written back by the same instruction: where that could not be done, the load already
    /// faults, as a write (x86; Intel SDM Vol. 3, 4.7).
    pub update: bool,
    /// Ordering.
    pub order: Order,
}

impl MemOp {
    /// A plain access of `size`.
    #[inline(always)]
    pub const fn new(size: Size) -> MemOp {
        MemOp { size, align: size, aligned: false, unpriv: false, update: false, order: Order::Relaxed }
    }

    /// The same with the privilege of the least privileged level.
    #[inline(always)]
    pub const fn unpriv(self) -> MemOp {
        MemOp { unpriv: true, ..self }
    }

    /// The same as an access to elements of `size`, at most its own.
    #[inline(always)]
    pub const fn elements(self, size: Size) -> MemOp {
        MemOp { align: if (size as u8) < self.size as u8 { size } else { self.size }, ..self }
    }

    /// The same with alignment required.
    #[inline(always)]
    pub const fn aligned(self) -> MemOp {
        MemOp { aligned: true, ..self }
    }

    /// The same as the load of an operand that is written back.
    #[inline(always)]
    pub const fn update(self) -> MemOp {
        MemOp { update: true, ..self }
    }

    /// The same with an ordering.
    #[inline(always)]
    pub const fn order(self, order: Order) -> MemOp {
        MemOp { order, ..self }
    }

    /// Packed into a word for helper calls from compiled code; see [`MemOp::unpack`].
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        self.size as u64
            | (self.align as u64) << 4
            | (self.aligned as u64) << 8
            | (self.unpriv as u64) << 9
            | (self.update as u64) << 10
            | (self.order as u64) << 16
    }

    /// The inverse of [`MemOp::pack`].
    #[inline(always)]
    pub const fn unpack(v: u64) -> MemOp {
        MemOp {
            size: Size::from_log2((v & 7) as u32),
            align: Size::from_log2((v >> 4 & 7) as u32),
            aligned: v & 0x100 != 0,
            unpriv: v & 0x200 != 0,
            update: v & 0x400 != 0,
            order: match (v >> 16) & 3 {
                0 => Order::Relaxed,
                1 => Order::Acquire,
                2 => Order::Release,
                _ => Order::AcqRel,
            },
        }
    }
}

/// Reads `size` bytes of guest memory, zero-extended.
///
/// # Safety
/// `p` is readable for `size.bytes()` bytes; `size` is at most 8 bytes.
#[inline(always)]
pub unsafe fn read(p: *const u8, size: Size) -> u64 {
    // SAFETY: by contract. Guest RAM is shared with other vCPUs and device threads: each access is one host instruction,
    // which if aligned is single-copy atomic on every host we run on, as the guest's architecture asks for, and a race
    // of the guest's has the guest's own outcome.
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
pub unsafe fn write(p: *mut u8, size: Size, v: u64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_round_trips() {
        for n in 0..5 {
            for order in [Order::Relaxed, Order::Acquire, Order::Release, Order::AcqRel] {
                for bits in 0..8 {
                    let (aligned, unpriv, update) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                    for align in (0..=n).map(Size::from_log2) {
                        let m = MemOp { size: Size::from_log2(n), align, aligned, unpriv, update, order };
                        assert_eq!(MemOp::unpack(m.pack()), m);
                    }
                }
            }
        }
    }
}

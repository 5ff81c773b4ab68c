//! Segment registers, and checks of accesses through them (SDM Vol. 3, 3.4 and 5.3).

use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::Seg;

/// A descriptor-table register: GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Linear base address.
    pub base: u64,
    /// Offset of the last byte.
    pub limit: u16,
}

/// A segment register's visible and hidden parts, but for the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Bits 55 to 40 of the descriptor without the limit: type, S, DPL, P in bits 7 to 0, AVL, L, D/B, G in bits 15
    /// to 12.
    pub attr: u16,
    /// Offset of the last byte, granularity applied.
    pub limit: u32,
}

/// Bits of [`Segment::attr`].
pub mod attr {
    /// Accessed.
    pub const ACCESSED: u16 = 1 << 0;
    /// Data: writable. Code: readable.
    pub const RW: u16 = 1 << 1;
    /// Data: expand-down. Code: conforming.
    pub const DC: u16 = 1 << 2;
    /// Code, not data.
    pub const CODE: u16 = 1 << 3;
    /// Code or data, not a system segment.
    pub const S: u16 = 1 << 4;
    /// Present.
    pub const P: u16 = 1 << 7;
    /// 64-bit code.
    pub const L: u16 = 1 << 13;
    /// 32-bit code, stack, or upper bound.
    pub const DB: u16 = 1 << 14;
    /// The limit counts 4 KiB.
    pub const G: u16 = 1 << 15;
}

impl Segment {
    /// A null segment register: no access is allowed.
    pub const NULL: Segment = Segment { selector: 0, attr: 0, limit: 0 };
    /// Data in real mode.
    pub const REAL_DATA: Segment =
        Segment { selector: 0, attr: attr::P | attr::S | attr::RW | attr::ACCESSED, limit: 0xffff };
    /// Code in real mode: writable in fact, which the checks know.
    pub const REAL_CODE: Segment = Segment {
        selector: 0,
        attr: attr::P | attr::S | attr::CODE | attr::RW | attr::ACCESSED,
        limit: 0xffff,
    };

    /// 64-bit code.
    #[inline]
    pub const fn long(&self) -> bool {
        self.attr & attr::L != 0
    }

    /// D/B: 32-bit code or stack.
    #[inline]
    pub const fn big(&self) -> bool {
        self.attr & attr::DB != 0
    }

    /// Descriptor privilege level.
    #[inline]
    pub const fn dpl(&self) -> u8 {
        (self.attr >> 5 & 3) as u8
    }

    /// Code, not data.
    #[inline]
    pub const fn is_code(&self) -> bool {
        self.attr & attr::CODE != 0
    }

    /// Every access at 32-bit offsets is allowed: no check is needed.
    #[inline]
    pub const fn is_flat(&self) -> bool {
        const FLAT: u16 = attr::P | attr::S | attr::RW;
        self.limit == u32::MAX && self.attr & (FLAT | attr::DC | attr::CODE) == FLAT
    }

    /// Whether an access of `bytes` bytes at `offset` is inside the limit.
    pub const fn holds(&self, offset: u64, bytes: u64) -> bool {
        let last = offset + (bytes - 1);
        let limit = self.limit as u64;
        if self.attr & (attr::CODE | attr::DC) == attr::DC {
            let top = if self.big() { 0xffff_ffff } else { 0xffff };
            offset > limit && last <= top
        } else {
            last <= limit
        }
    }
}

impl X86Cpu {
    /// The linear address of an access through a segment, with the segment's checks (SDM Vol. 3, 5.3 to 5.5).
    pub(crate) fn segmented(&self, seg: Seg, offset: u64, bytes: u64, write: bool) -> Outcome<u64> {
        let s = &self.segs[seg as usize];
        if self.mode.code64() {
            let based = matches!(seg, Seg::Fs | Seg::Gs);
            return Ok(if based { self.base(seg).wrapping_add(offset) } else { offset });
        }
        let fault = Fault::with(if seg == Seg::Ss { vector::SS } else { vector::GP }, 0);
        if self.mode.protected() && !self.mode.v8086() {
            if s.attr & attr::P == 0 {
                return Err(fault);
            }
            let code = s.is_code();
            if (write && (code || s.attr & attr::RW == 0)) || (!write && code && s.attr & attr::RW == 0) {
                return Err(fault);
            }
        }
        if !s.holds(offset, bytes) {
            return Err(fault);
        }
        Ok(self.base(seg).wrapping_add(offset) & 0xffff_ffff)
    }

    /// Whether an instruction at the linear address `pc` is inside CS's limit.
    pub(crate) fn code_limit_holds(&self, pc: u64) -> bool {
        self.mode.code64() || self.rip_of(pc) <= self.segs[Seg::Cs as usize].limit as u64
    }
}

/// Helper: the linear address of `offset` in the segment of `what`: bits 7 to 0 the segment, 15 to 8 the length of
/// the access, bit 16 whether it writes.
pub(crate) extern "C" fn check(cpu: &mut X86Cpu, offset: u64, what: u64, _: u64) -> u64 {
    let r = cpu.segmented(Seg::from_bits(what as u32), offset, what >> 8 & 0xff, what >> 16 & 1 != 0);
    cpu.settle(r)
}

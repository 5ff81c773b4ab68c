//! Segment and system descriptors (SDM Vol. 3, 3.4.5 and 3.5), and finding them by selector.

use lyrebird_isa::Size;

use super::segment::{Segment, attr};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome};

/// Types of system descriptors (SDM Vol. 3, table 3-2).
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod system {
    pub const TSS16: u16 = 1;
    pub const LDT: u16 = 2;
    pub const TSS16_BUSY: u16 = 3;
    pub const CALL16: u16 = 4;
    pub const TASK_GATE: u16 = 5;
    pub const INTERRUPT16: u16 = 6;
    pub const TRAP16: u16 = 7;
    pub const TSS32: u16 = 9;
    pub const TSS32_BUSY: u16 = 11;
    pub const CALL32: u16 = 12;
    pub const INTERRUPT32: u16 = 14;
    pub const TRAP32: u16 = 15;
    /// Bit that tells a busy TSS from an available one.
    pub const BUSY: u16 = 2;
}

/// The index and table of a selector without RPL: what error codes give.
pub(crate) const fn code_of(selector: u16) -> u32 {
    (selector & !3) as u32
}

/// Whether a selector is null, whatever its RPL.
pub(crate) const fn is_null(selector: u16) -> bool {
    selector & !3 == 0
}

/// The first eight bytes of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor(pub u64);

impl Descriptor {
    /// Base address, 32 bits.
    pub const fn base(self) -> u64 {
        self.0 >> 16 & 0xff_ffff | self.0 >> 32 & 0xff00_0000
    }

    /// Offset of the last byte, granularity applied.
    pub const fn limit(self) -> u32 {
        let raw = (self.0 & 0xffff | self.0 >> 32 & 0xf_0000) as u32;
        if self.attr() & attr::G != 0 { raw << 12 | 0xfff } else { raw }
    }

    /// [`Segment::attr`].
    pub const fn attr(self) -> u16 {
        (self.0 >> 40) as u16 & 0xf0ff
    }

    pub const fn present(self) -> bool {
        self.attr() & attr::P != 0
    }

    pub const fn dpl(self) -> u8 {
        (self.attr() >> 5 & 3) as u8
    }

    /// Code or data.
    pub const fn is_user(self) -> bool {
        self.attr() & attr::S != 0
    }

    pub const fn is_code(self) -> bool {
        self.attr() & (attr::S | attr::CODE) == attr::S | attr::CODE
    }

    pub const fn is_data(self) -> bool {
        self.attr() & (attr::S | attr::CODE) == attr::S
    }

    pub const fn is_conforming(self) -> bool {
        self.is_code() && self.attr() & attr::DC != 0
    }

    pub const fn is_writable(self) -> bool {
        self.is_data() && self.attr() & attr::RW != 0
    }

    pub const fn is_readable(self) -> bool {
        self.is_data() || self.attr() & attr::RW != 0
    }

    /// Type of a system descriptor ([`system`]); 0, which is reserved, for code and data.
    pub const fn kind(self) -> u16 {
        if self.is_user() { 0 } else { self.attr() & 15 }
    }

    /// As a segment register holds it, marked accessed.
    pub const fn segment(self, selector: u16) -> Segment {
        let accessed = if self.is_user() { attr::ACCESSED } else { 0 };
        Segment { selector, attr: self.attr() | accessed, limit: self.limit() }
    }

    /// Gates: the selector.
    pub const fn gate_selector(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Gates: bits 31 to 0 of the offset.
    pub const fn gate_offset(self) -> u64 {
        self.0 & 0xffff | self.0 >> 32 & 0xffff_0000
    }
}

impl X86Cpu {
    /// The linear address of the descriptor of a selector that is not null, `bytes` long; `fault` makes the exception
    /// of one outside its table.
    pub(crate) fn descriptor_address(
        &self,
        selector: u16,
        bytes: u64,
        fault: impl Fn(u32) -> Fault,
    ) -> Outcome<u64> {
        let (base, limit) = if selector & 4 != 0 {
            let (ldt, base) = &self.ldtr;
            if is_null(ldt.selector) || ldt.attr & attr::P == 0 {
                return Err(fault(code_of(selector)));
            }
            (*base, ldt.limit as u64)
        } else {
            (self.gdtr.base, self.gdtr.limit as u64)
        };
        let at = (selector & !7) as u64;
        if at + bytes - 1 > limit {
            return Err(fault(code_of(selector)));
        }
        Ok(base.wrapping_add(at))
    }

    /// The descriptor of a selector that is not null, and its linear address.
    pub(crate) fn descriptor(
        &mut self,
        selector: u16,
        fault: impl Fn(u32) -> Fault,
    ) -> Outcome<(Descriptor, u64)> {
        let va = self.descriptor_address(selector, 8, fault)?;
        Ok((Descriptor(self.load_implicit(va, Size::B8)?), va))
    }

    /// The second half of a 16-byte system descriptor of IA-32e mode at `va`: bits 63 to 32 of the base or offset. Its
    /// type field has to be 0 (SDM Vol. 3, 3.5.2).
    pub(crate) fn upper_half(&mut self, selector: u16, fault: impl Fn(u32) -> Fault) -> Outcome<u64> {
        let va = self.descriptor_address(selector, 16, &fault)?;
        let v = self.load_implicit(va.wrapping_add(8), Size::B8)?;
        if v >> 40 & 0x1f != 0 {
            return Err(fault(code_of(selector)));
        }
        Ok(v & 0xffff_ffff)
    }

    /// Sets a code or data descriptor's accessed flag.
    pub(crate) fn mark_accessed(&mut self, d: Descriptor, va: u64) -> Outcome<()> {
        if d.attr() & attr::ACCESSED != 0 {
            return Ok(());
        }
        self.set_bits_implicit(va.wrapping_add(5), attr::ACCESSED as u8)
    }
}

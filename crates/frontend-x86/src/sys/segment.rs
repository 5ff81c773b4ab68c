//! Segment registers, and checks of accesses through them (SDM Vol. 3, 3.4 and 5.3).

use lyrebird_isa::state::PAGE_SIZE;

use super::access::canonical;
use super::descriptor::{Descriptor, code_of, is_null};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::{self, Seg};

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

    /// Any segment in virtual-8086 mode (SDM Vol. 3, 20.1.1), but for the selector.
    pub const V8086: Segment =
        Segment { selector: 0, attr: attr::P | 3 << 5 | attr::S | attr::RW | attr::ACCESSED, limit: 0xffff };

    /// A null stack segment of 64-bit mode, at a privilege level.
    pub const fn null_stack(cpl: u8) -> Segment {
        Segment { selector: cpl as u16, attr: (cpl as u16) << 5, limit: 0 }
    }

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
            let rw = s.attr & attr::RW != 0;
            if (write && code) || (!rw && (write || code)) {
                return Err(fault);
            }
        }
        if !s.holds(offset, bytes) {
            return Err(fault);
        }
        Ok(self.base(seg).wrapping_add(offset) & 0xffff_ffff)
    }

    /// Bytes of code from the linear address `pc` up to CS's limit.
    pub(crate) fn code_left(&self, pc: u64) -> u64 {
        if self.mode.code64() {
            return u64::MAX;
        }
        (self.segs[Seg::Cs as usize].limit as u64 + 1).saturating_sub(self.rip_of(pc))
    }

    /// Whether a near branch may go to the linear address `pc`: in 64-bit code a canonical one, else one inside CS's
    /// limit (SDM Vol. 2, JMP).
    pub(crate) fn may_branch(&self, pc: u64) -> bool {
        if self.mode.code64() { canonical(pc) } else { self.code_left(pc) > 0 }
    }

    /// Decoded code does not look at CS's limit. So in the page where the segment ends, instructions are executed one by
    /// one, which does ([`X86Cpu::needs_care`]).
    #[inline]
    pub(crate) fn follow_limit(&mut self, pc: u64) {
        let limited = self.mode.limited(false);
        let at = limited && self.code_left(pc | (PAGE_SIZE - 1)) == 0;
        if at != self.at_limit {
            self.at_limit = at;
            self.context_changed();
        }
    }

    /// Puts values into a segment register; what follows from them is the caller's concern
    /// ([`X86Cpu::context_changed`]).
    pub(crate) fn put_segment(&mut self, seg: Seg, s: Segment, base: u64) {
        self.segs[seg as usize] = s;
        self.core.set_reg(regs::base(seg), base);
    }

    /// Whether segment registers hold paragraph numbers: real mode and virtual-8086 mode.
    pub(crate) fn paragraphs(&self) -> bool {
        !self.mode.protected() || self.mode.v8086()
    }

    /// A segment register other than CS with a selector in real and virtual-8086 mode. In real mode limit and type
    /// stay what they were.
    pub(crate) fn paragraph(&self, seg: Seg, selector: u16) -> (Segment, u64) {
        let of = if self.mode.v8086() { Segment::V8086 } else { self.segs[seg as usize] };
        (Segment { selector, ..of }, (selector as u64) << 4)
    }

    /// Loads DS, ES, FS, GS or SS as MOV and POP do (SDM Vol. 2, MOV).
    pub(crate) fn load_segment(&mut self, seg: Seg, selector: u16) -> Outcome<()> {
        let (s, base) = if self.paragraphs() {
            self.paragraph(seg, selector)
        } else if seg == Seg::Ss {
            self.stack_segment(selector)?
        } else {
            self.data_segment(selector)?
        };
        self.set_segment(seg, s, base);
        Ok(())
    }

    /// What SS holds after being loaded with a selector by MOV, POP or LSS.
    fn stack_segment(&mut self, selector: u16) -> Outcome<(Segment, u64)> {
        let (cpl, rpl) = (self.cpl, (selector & 3) as u8);
        if is_null(selector) {
            return if self.mode.code64() && cpl < 3 && rpl == cpl {
                Ok((Segment::null_stack(cpl), 0))
            } else {
                Err(Fault::gp(0))
            };
        }
        let (d, va) = self.descriptor(selector, Fault::gp)?;
        if rpl != cpl || !d.is_writable() || d.dpl() != cpl {
            return Err(Fault::gp(code_of(selector)));
        }
        if !d.present() {
            return Err(Fault::with(vector::SS, code_of(selector)));
        }
        self.mark_accessed(d, va)?;
        Ok((d.segment(selector), d.base()))
    }

    /// What DS, ES, FS or GS holds after being loaded with a selector.
    pub(crate) fn data_segment(&mut self, selector: u16) -> Outcome<(Segment, u64)> {
        if is_null(selector) {
            return Ok((Segment { selector, ..Segment::NULL }, 0));
        }
        let (d, va) = self.descriptor(selector, Fault::gp)?;
        if !self.may_read(d, selector) {
            return Err(Fault::gp(code_of(selector)));
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(selector)));
        }
        self.mark_accessed(d, va)?;
        Ok((d.segment(selector), d.base()))
    }

    /// Whether the current level may load a selector of this descriptor for reading (SDM Vol. 3, 5.6).
    fn may_read(&self, d: Descriptor, selector: u16) -> bool {
        let weakest = self.cpl.max((selector & 3) as u8);
        d.is_user() && d.is_readable() && (d.is_conforming() || weakest <= d.dpl())
    }

    /// VERR and VERW: whether a segment may be read or written.
    pub(crate) fn verify(&mut self, selector: u16, write: bool) -> Outcome<bool> {
        let Some(d) = self.look_up(selector)? else { return Ok(false) };
        Ok(self.may_read(d, selector) && (!write || d.is_writable()))
    }

    /// The descriptor of a selector; none where there is none.
    fn look_up(&mut self, selector: u16) -> Outcome<Option<Descriptor>> {
        if is_null(selector) {
            return Ok(None);
        }
        match self.descriptor_address(selector, 8, Fault::gp) {
            Ok(va) => Ok(Some(Descriptor(self.load_implicit(va, lyrebird_isa::Size::B8)?))),
            Err(_) => Ok(None),
        }
    }

    /// The descriptor that LAR or LSL may tell about (SDM Vol. 2, tables of LAR and LSL).
    fn told(&mut self, selector: u16, limit: bool) -> Outcome<Option<Descriptor>> {
        let Some(d) = self.look_up(selector)? else { return Ok(None) };
        let kind = match d.kind() {
            0 => d.is_user(),
            // 16-bit TSS and call gates, and task gates, are no descriptors of IA-32e mode.
            1 | 3 => !self.control.long_mode(),
            2 | 9 | 11 => true,
            4 | 5 => !limit && !self.control.long_mode(),
            12 => !limit,
            _ => false,
        };
        let weakest = self.cpl.max((selector & 3) as u8);
        Ok((kind && (d.is_conforming() || weakest <= d.dpl())).then_some(d))
    }

    /// LAR: the descriptor's bits 55 to 32 with base and limit masked out.
    pub(crate) fn access_rights(&mut self, selector: u16) -> Outcome<Option<u64>> {
        Ok(self.told(selector, false)?.map(|d| d.0 >> 32 & 0x00f0_ff00))
    }

    /// LSL: the limit in bytes.
    pub(crate) fn segment_limit(&mut self, selector: u16) -> Outcome<Option<u64>> {
        Ok(self.told(selector, true)?.map(|d| d.limit() as u64))
    }
}

/// Helper: the linear address of `offset` in the segment of `what`: bits 7 to 0 the segment, 15 to 8 the length of
/// the access, bit 16 whether it writes.
pub(crate) extern "C" fn check(cpu: &mut X86Cpu, offset: u64, what: u64, _: u64) -> u64 {
    let r = cpu.segmented(Seg::from_bits(what as u32), offset, what >> 8 & 0xff, what >> 16 & 1 != 0);
    cpu.settle(r)
}

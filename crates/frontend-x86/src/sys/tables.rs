//! GDTR, IDTR, LDTR and the task register (SDM Vol. 3, 2.4).

use lyrebird_isa::Size;

use super::access::canonical;
use super::control::cr4;
use super::descriptor::{code_of, is_null, system};
use super::segment::{Segment, Table, attr};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};

impl X86Cpu {
    /// #GP(0) unless at privilege level 0.
    pub(crate) fn privileged(&self) -> Outcome<()> {
        if self.cpl == 0 { Ok(()) } else { Err(Fault::gp(0)) }
    }

    /// #GP(0) where CR4.UMIP forbids user code to look at system state.
    pub(crate) fn may_look(&self) -> Outcome<()> {
        if self.cpl > 0 && self.control.cr4 & cr4::UMIP != 0 { Err(Fault::gp(0)) } else { Ok(()) }
    }

    /// #UD in real and virtual-8086 mode.
    pub(crate) fn segmented_mode(&self) -> Outcome<()> {
        if self.paragraphs() { Err(Fault::UD) } else { Ok(()) }
    }

    /// LGDT and LIDT from linear address `va`: `bytes` of base, of which `mask` counts.
    pub(crate) fn load_table(&mut self, idt: bool, va: u64, size: Size, mask: u64) -> Outcome<()> {
        self.privileged()?;
        let limit = self.load_at(va, Size::B2, false)? as u16;
        let base = self.load_at(va.wrapping_add(2), size, false)? & mask;
        if size == Size::B8 && !canonical(base) {
            return Err(Fault::gp(0));
        }
        *(if idt { &mut self.idtr } else { &mut self.gdtr }) = Table { base, limit };
        Ok(())
    }

    /// SGDT and SIDT to linear address `va`.
    pub(crate) fn store_table(&mut self, idt: bool, va: u64, size: Size) -> Outcome<()> {
        self.may_look()?;
        let t = if idt { self.idtr } else { self.gdtr };
        self.store_at(va, Size::B2, t.limit as u64, false)?;
        self.store_at(va.wrapping_add(2), size, t.base, false)
    }

    /// SLDT and STR.
    pub(crate) fn system_selector(&self, task: bool) -> Outcome<u64> {
        self.segmented_mode()?;
        self.may_look()?;
        Ok(if task { self.tr.0.selector } else { self.ldtr.0.selector } as u64)
    }

    /// What LDTR holds after being loaded with a selector; `fault` makes the exception of one that will not do.
    pub(crate) fn local_table(
        &mut self,
        selector: u16,
        fault: impl Fn(u32) -> Fault,
        absent: u8,
    ) -> Outcome<(Segment, u64)> {
        if is_null(selector) {
            return Ok((Segment { selector, ..Segment::NULL }, 0));
        }
        if selector & 4 != 0 {
            return Err(fault(code_of(selector)));
        }
        let (d, _) = self.descriptor(selector, &fault)?;
        if d.is_user() || d.kind() != system::LDT {
            return Err(fault(code_of(selector)));
        }
        if !d.present() {
            return Err(Fault::with(absent, code_of(selector)));
        }
        let mut base = d.base();
        if self.control.long_mode() {
            base |= self.upper_half(selector, &fault)? << 32;
            if !canonical(base) {
                return Err(fault(code_of(selector)));
            }
        }
        Ok((d.segment(selector), base))
    }

    /// LLDT.
    pub(crate) fn load_ldt(&mut self, selector: u16) -> Outcome<()> {
        self.segmented_mode()?;
        self.privileged()?;
        self.ldtr = self.local_table(selector, Fault::gp, vector::NP)?;
        Ok(())
    }

    /// LTR.
    pub(crate) fn load_task(&mut self, selector: u16) -> Outcome<()> {
        self.segmented_mode()?;
        self.privileged()?;
        if is_null(selector) {
            return Err(Fault::gp(0));
        }
        let bad = Fault::gp(code_of(selector));
        if selector & 4 != 0 {
            return Err(bad);
        }
        let (d, va) = self.descriptor(selector, Fault::gp)?;
        let long = self.control.long_mode();
        if d.is_user() || !(d.kind() == system::TSS32 || (d.kind() == system::TSS16 && !long)) {
            return Err(bad);
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(selector)));
        }
        let mut base = d.base();
        if long {
            base |= self.upper_half(selector, Fault::gp)? << 32;
            if !canonical(base) {
                return Err(bad);
            }
        }
        self.set_bits_implicit(va.wrapping_add(5), system::BUSY as u8)?;
        let s = d.segment(selector);
        self.tr = (Segment { attr: s.attr | system::BUSY | attr::P, ..s }, base);
        Ok(())
    }
}

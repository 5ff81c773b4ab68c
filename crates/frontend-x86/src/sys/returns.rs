//! IRET in all its forms (SDM Vol. 2, IRET; Vol. 3, 6.12 and 20.2.4), and what it shares with far RET.

use lyrebird_isa::Size;

use super::access::{Stack, canonical};
use super::control::cr4;
use super::descriptor::{Descriptor, code_of, is_null};
use super::segment::{Segment, attr};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::{self, Seg, rflags};

/// Flags that every IRET and POPF may change.
const COMMON: u64 = rflags::ARITHMETIC | rflags::TF | rflags::DF | rflags::NT;
/// More of them that a 32- or 64-bit image holds.
const WIDE: u64 = rflags::RF | rflags::AC | rflags::ID;

/// A stack segment and its base, and the stack pointer, to return to.
type ReturnStack = (Segment, u64, u64);

impl X86Cpu {
    /// IRET with an operand size; `next` is the linear address behind it.
    pub(crate) fn iret(&mut self, size: Size, next: u64) -> Outcome<()> {
        if self.paragraphs() {
            return self.iret_8086(size);
        }
        let flags = self.core.reg(regs::FLAGS);
        if flags & rflags::NT != 0 {
            return if self.control.long_mode() { Err(Fault::gp(0)) } else { self.task_return(next) };
        }
        let mut stack = self.stack();
        let rip = stack.pop(self, size)?;
        let cs = stack.pop(self, size)? as u16;
        let image = stack.pop(self, size)?;
        let long = self.control.long_mode();
        if size == Size::B4 && image & rflags::VM != 0 && self.cpl == 0 && !long {
            return self.iret_to_v8086(stack, rip, cs, image);
        }
        let (d, va) = self.return_code(cs)?;
        let cpl = cs as u8 & 3;
        let to = if cpl != self.cpl || self.mode.code64() {
            let sp = stack.pop(self, size)?;
            let ss = stack.pop(self, size)? as u16;
            Some(self.return_stack(ss, sp, cpl, d)?)
        } else {
            None
        };
        self.far_target(d, rip)?;
        self.mark_accessed(d, va)?;

        let mut may = COMMON | if size == Size::B2 { 0 } else { WIDE };
        if self.cpl <= iopl(flags) {
            may |= rflags::IF;
        }
        if self.cpl == 0 {
            may |= rflags::IOPL;
            if size != Size::B2 {
                may |= rflags::VIF | rflags::VIP;
            }
        }
        self.put_rflags(image, may);
        self.nmi_blocked = false;
        self.return_to(d, cs, rip, stack, to);
        Ok(())
    }

    /// The code segment of a far return, and the linear address of its descriptor.
    pub(crate) fn return_code(&mut self, cs: u16) -> Outcome<(Descriptor, u64)> {
        if is_null(cs) {
            return Err(Fault::gp(0));
        }
        let (d, va) = self.descriptor(cs, Fault::gp)?;
        let rpl = cs as u8 & 3;
        let level = if d.is_conforming() { d.dpl() <= rpl } else { d.dpl() == rpl };
        let both = self.control.long_mode() && d.attr() & (attr::L | attr::DB) == attr::L | attr::DB;
        if !d.is_code() || rpl < self.cpl || !level || both {
            return Err(Fault::gp(code_of(cs)));
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(cs)));
        }
        Ok((d, va))
    }

    /// The stack of a far return.
    pub(crate) fn return_stack(
        &mut self,
        ss: u16,
        sp: u64,
        cpl: u8,
        code: Descriptor,
    ) -> Outcome<ReturnStack> {
        if is_null(ss) {
            let code64 = self.control.long_mode() && code.attr() & attr::L != 0;
            return if code64 && cpl != 3 && ss as u8 & 3 == cpl {
                Ok((Segment { selector: ss, ..Segment::null_stack(cpl) }, 0, sp))
            } else {
                Err(Fault::gp(0))
            };
        }
        let (d, va) = self.descriptor(ss, Fault::gp)?;
        if ss as u8 & 3 != cpl || d.dpl() != cpl || !d.is_writable() {
            return Err(Fault::gp(code_of(ss)));
        }
        if !d.present() {
            return Err(Fault::with(vector::SS, code_of(ss)));
        }
        self.mark_accessed(d, va)?;
        Ok((d.segment(ss), d.base(), sp))
    }

    /// #GP(0) unless `rip` is inside a code segment that a far transfer leads to. Of a 64-bit one that leads to other code
    /// the lower half counts.
    pub(crate) fn far_target(&self, code: Descriptor, rip: u64) -> Outcome<()> {
        let code64 = self.control.long_mode() && code.attr() & attr::L != 0;
        let good = if code64 { canonical(rip) } else { rip as u32 <= code.limit() };
        if good { Ok(()) } else { Err(Fault::gp(0)) }
    }

    /// Goes where a far return leads: all checks are done. Without `to` the stack stays and only its pointer moves.
    pub(crate) fn return_to(
        &mut self,
        code: Descriptor,
        cs: u16,
        rip: u64,
        popped: Stack,
        to: Option<ReturnStack>,
    ) {
        let cpl = cs as u8 & 3;
        let outer = cpl != self.cpl;
        self.set_sp(&popped);
        self.put_segment(Seg::Cs, code.segment(cs), code.base());
        self.cpl = cpl;
        if let Some((s, base, sp)) = to {
            self.put_segment(Seg::Ss, s, base);
            if self.control.long_mode() && code.attr() & attr::L != 0 {
                self.core.set_reg(regs::RSP, sp);
            } else {
                self.set_sp(&Stack::new(s, base, sp, 0));
            }
        }
        if outer {
            self.hide_segments();
        }
        self.context_changed();
        self.core.pc = self.pc_of(rip);
    }

    /// Makes data segments unusable that the new level may not use (SDM Vol. 3, 5.8.6).
    fn hide_segments(&mut self) {
        for seg in [Seg::Es, Seg::Fs, Seg::Gs, Seg::Ds] {
            let s = self.segs[seg as usize];
            let conforming = s.attr & (attr::CODE | attr::DC) == attr::CODE | attr::DC;
            if s.attr & attr::S != 0 && !conforming && s.dpl() < self.cpl {
                self.segs[seg as usize] = Segment::NULL;
            }
        }
    }

    /// IRET in real and virtual-8086 mode.
    fn iret_8086(&mut self, size: Size) -> Outcome<()> {
        let flags = self.core.reg(regs::FLAGS);
        let v8086 = self.mode.v8086();
        let iopl3 = flags & rflags::IOPL == rflags::IOPL;
        let vme = self.control.cr4 & cr4::VME != 0 && size == Size::B2;
        if v8086 && !iopl3 && !vme {
            return Err(Fault::gp(0));
        }
        let mut stack = self.stack();
        let rip = stack.pop(self, size)?;
        let cs = stack.pop(self, size)? as u16;
        let image = stack.pop(self, size)?;
        if rip > self.segs[Seg::Cs as usize].limit as u64 {
            return Err(Fault::gp(0));
        }
        let wide = if size == Size::B2 { 0 } else { WIDE };
        if v8086 && !iopl3 {
            self.put_virtual_flags(image)?;
        } else {
            let iopl = if v8086 { 0 } else { rflags::IOPL };
            self.put_rflags(image, COMMON | rflags::IF | iopl | wide);
        }
        self.nmi_blocked = false;
        self.set_sp(&stack);
        let (s, base) = self.paragraph(Seg::Cs, cs);
        self.put_segment(Seg::Cs, s, base);
        self.context_changed();
        self.core.pc = self.pc_of(rip);
        Ok(())
    }

    /// A 16-bit flags image of virtual-8086 code with VME and IOPL below 3 (SDM Vol. 3, 20.3.3.5).
    pub(crate) fn put_virtual_flags(&mut self, image: u64) -> Outcome<()> {
        let flags = self.core.reg(regs::FLAGS);
        if image & rflags::TF != 0 || (image & rflags::IF != 0 && flags & rflags::VIP != 0) {
            return Err(Fault::gp(0));
        }
        let vif = if image & rflags::IF != 0 { rflags::VIF } else { 0 };
        self.put_rflags(image & !rflags::VIF | vif, COMMON | rflags::VIF);
        Ok(())
    }

    fn iret_to_v8086(&mut self, mut stack: Stack, rip: u64, cs: u16, image: u64) -> Outcome<()> {
        let mut next = |cpu: &mut X86Cpu| stack.pop(cpu, Size::B4);
        let sp = next(self)?;
        let ss = next(self)? as u16;
        let mut selectors =
            [(Seg::Cs, cs), (Seg::Ss, ss), (Seg::Es, 0), (Seg::Ds, 0), (Seg::Fs, 0), (Seg::Gs, 0)];
        for (_, v) in &mut selectors[2..] {
            *v = next(self)? as u16;
        }
        if rip > 0xffff {
            return Err(Fault::gp(0));
        }
        let may = COMMON | WIDE | rflags::IF | rflags::IOPL | rflags::VM | rflags::VIF | rflags::VIP;
        self.put_rflags(image, may);
        self.nmi_blocked = false;
        self.cpl = 3;
        for (seg, selector) in selectors {
            self.put_segment(seg, Segment { selector, ..Segment::V8086 }, (selector as u64) << 4);
        }
        self.core.set_reg(regs::RSP, sp);
        self.context_changed();
        self.core.pc = self.pc_of(rip);
        Ok(())
    }

    /// Sets the flags in `may` to those of `image`. The mode is the caller's concern
    /// ([`X86Cpu::context_changed`]).
    pub(crate) fn put_rflags(&mut self, image: u64, may: u64) {
        // RF lasts for one instruction and is looked at with breakpoints set only.
        let may = if self.dr[7] & 0xff == 0 { may & !rflags::RF } else { may };
        let old = self.rflags();
        let new = old & !may | image & may;
        self.put_arithmetic(new);
        self.core.set_reg(regs::FLAGS, new & !rflags::ARITHMETIC | rflags::FIXED);
    }

    /// POPF with an operand size.
    pub(crate) fn popf(&mut self, image: u64, size: Size) -> Outcome<()> {
        let flags = self.core.reg(regs::FLAGS);
        let level = iopl(flags);
        let wide = if size == Size::B2 { 0 } else { rflags::AC | rflags::ID };
        if self.mode.v8086() {
            if level == 3 {
                self.put_rflags(image, COMMON | rflags::IF | wide);
            } else if self.control.cr4 & cr4::VME != 0 && size == Size::B2 {
                self.put_virtual_flags(image)?;
            } else {
                return Err(Fault::gp(0));
            }
        } else {
            let mut may = COMMON | wide;
            if self.cpl <= level || !self.mode.protected() {
                may |= rflags::IF;
            }
            if self.cpl == 0 {
                may |= rflags::IOPL;
            }
            // With PVI, IF of code at level 3 does not change, nor does VIF (SDM Vol. 3, 20.4).
            self.put_rflags(image, may);
        }
        self.core.set_reg(regs::FLAGS, self.core.reg(regs::FLAGS) & !rflags::RF);
        self.context_changed();
        Ok(())
    }

    /// What PUSHF pushes.
    pub(crate) fn pushf(&mut self, size: Size) -> Outcome<u64> {
        let hidden = rflags::RF | rflags::VM;
        if self.mode.v8086() && iopl(self.core.reg(regs::FLAGS)) < 3 {
            return if self.control.cr4 & cr4::VME != 0 && size == Size::B2 {
                Ok(self.virtual_flags().0 & !hidden)
            } else {
                Err(Fault::gp(0))
            };
        }
        Ok(self.rflags() & !hidden)
    }
}

/// The I/O privilege level.
pub(crate) const fn iopl(flags: u64) -> u8 {
    (flags >> 12 & 3) as u8
}

//! Far JMP, CALL and RET (SDM Vol. 3, 5.8; Vol. 2, JMP, CALL, RET).

use lyrebird_isa::Size;

use super::access::{Stack, canonical};
use super::descriptor::{Descriptor, code_of, is_null, system};
use super::segment::{Segment, attr};
use super::task::Why;
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::{self, Seg};

/// A far transfer's operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Far {
    /// Selector.
    pub selector: u16,
    /// Offset, which gates ignore.
    pub offset: u64,
    /// Operand size.
    pub size: Size,
    /// CALL: linear address behind the instruction.
    pub back: Option<u64>,
}

impl X86Cpu {
    /// Far JMP or CALL; `next` is the linear address behind it.
    pub(crate) fn far(&mut self, t: Far, next: u64) -> Outcome<()> {
        if self.paragraphs() {
            return self.far_8086(t);
        }
        if is_null(t.selector) {
            return Err(Fault::gp(0));
        }
        let (d, va) = self.descriptor(t.selector, Fault::gp)?;
        if d.is_user() {
            return self.far_code(t, d, va);
        }
        use system::{CALL16, CALL32, TASK_GATE, TSS16, TSS32};
        let long = self.control.long_mode();
        let bad = Fault::gp(code_of(t.selector));
        match d.kind() {
            CALL32 => {}
            CALL16 | TASK_GATE | TSS16 | TSS32 if !long => {}
            _ => return Err(bad),
        }
        if d.dpl() < self.cpl || d.dpl() < t.selector as u8 & 3 {
            return Err(bad);
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(t.selector)));
        }
        let why = if t.back.is_some() { Why::Call } else { Why::Jump };
        match d.kind() {
            TSS16 | TSS32 => self.switch_task(t.selector, why, self.rip_of(next), None, 0),
            TASK_GATE => self.switch_task(d.gate_selector(), why, self.rip_of(next), None, 0),
            _ if long => self.call_gate_long(t, d),
            _ => self.call_gate(t, d),
        }
    }

    /// In real and virtual-8086 mode.
    fn far_8086(&mut self, t: Far) -> Outcome<()> {
        if t.offset > self.segs[Seg::Cs as usize].limit as u64 {
            return Err(Fault::gp(0));
        }
        let mut stack = self.stack();
        if let Some(back) = t.back {
            self.push_return(&mut stack, t.size, back)?;
        }
        self.set_sp(&stack);
        let (s, base) = self.paragraph(Seg::Cs, t.selector);
        self.put_segment(Seg::Cs, s, base);
        self.context_changed();
        self.core.pc = self.pc_of(t.offset);
        Ok(())
    }

    /// Pushes CS and the instruction pointer.
    fn push_return(&mut self, stack: &mut Stack, size: Size, back: u64) -> Outcome<()> {
        let cs = self.segs[Seg::Cs as usize].selector as u64;
        let rip = self.rip_of(back);
        stack.push(self, size, cs)?;
        stack.push(self, size, rip)
    }

    /// #GP if a code segment says both that it is 64-bit and 32-bit code.
    fn check_size(&self, d: Descriptor, selector: u16) -> Outcome<()> {
        const BOTH: u16 = attr::L | attr::DB;
        let both = self.control.long_mode() && d.attr() & BOTH == BOTH;
        if both { Err(Fault::gp(code_of(selector))) } else { Ok(()) }
    }

    /// To a code segment of the same level.
    fn far_code(&mut self, t: Far, d: Descriptor, va: u64) -> Outcome<()> {
        let rpl = t.selector as u8 & 3;
        let level =
            if d.is_conforming() { d.dpl() <= self.cpl } else { rpl <= self.cpl && d.dpl() == self.cpl };
        if !d.is_code() || !level {
            return Err(Fault::gp(code_of(t.selector)));
        }
        self.check_size(d, t.selector)?;
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(t.selector)));
        }
        let mut stack = self.stack();
        if let Some(back) = t.back {
            self.push_return(&mut stack, t.size, back)?;
        }
        self.far_target(d, t.offset)?;
        self.mark_accessed(d, va)?;
        self.set_sp(&stack);
        self.enter_code(d, t.selector, self.cpl, t.offset);
        Ok(())
    }

    /// Goes on in a code segment: all checks are done.
    fn enter_code(&mut self, d: Descriptor, selector: u16, cpl: u8, offset: u64) {
        self.cpl = cpl;
        self.put_segment(Seg::Cs, d.segment(selector & !3 | cpl as u16), d.base());
        self.context_changed();
        self.core.pc = self.pc_of(offset);
    }

    /// The code segment of a call gate, its descriptor's address, and the level it is entered at.
    fn gate_code(&mut self, selector: u16, jump: bool) -> Outcome<(Descriptor, u64, u8)> {
        if is_null(selector) {
            return Err(Fault::gp(0));
        }
        let (d, va) = self.descriptor(selector, Fault::gp)?;
        let level = d.dpl() <= self.cpl && (!jump || d.is_conforming() || d.dpl() == self.cpl);
        if !d.is_code() || !level {
            return Err(Fault::gp(code_of(selector)));
        }
        if self.control.long_mode() && d.attr() & (attr::L | attr::DB) != attr::L {
            return Err(Fault::gp(code_of(selector)));
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(selector)));
        }
        let cpl = if d.is_conforming() { self.cpl } else { d.dpl() };
        Ok((d, va, cpl))
    }

    fn call_gate(&mut self, t: Far, gate: Descriptor) -> Outcome<()> {
        let wide = gate.kind() == system::CALL32;
        let size = if wide { Size::B4 } else { Size::B2 };
        let offset = gate.gate_offset() & size.width().mask();
        let selector = gate.gate_selector();
        let (d, va, cpl) = self.gate_code(selector, t.back.is_none())?;
        let mut stack = self.stack();
        let mut new_ss = None;
        if let Some(back) = t.back {
            if cpl < self.cpl {
                let (ss, sp) = self.task_stack(cpl, 0)?;
                let (s, base) = self.inner_stack(ss, cpl, 0)?;
                let mut old = stack;
                // Parameters are copied in order, so that they are read from the last.
                let n = gate.0 >> 32 & 31;
                let mut parameters = [0; 31];
                for p in parameters.iter_mut().take(n as usize) {
                    *p = old.pop(self, size)?;
                }
                stack = Stack::new(s, base, sp, code_of(ss));
                let (old_ss, old_sp) = (self.segs[Seg::Ss as usize].selector, self.core.reg(regs::RSP));
                stack.push(self, size, old_ss as u64)?;
                stack.push(self, size, old_sp)?;
                for p in parameters[..n as usize].iter().rev() {
                    stack.push(self, size, *p)?;
                }
                new_ss = Some((s, base));
            }
            self.push_return(&mut stack, size, back)?;
        }
        if offset > d.limit() as u64 {
            return Err(Fault::gp(0));
        }
        self.mark_accessed(d, va)?;
        if let Some((s, base)) = new_ss {
            self.put_segment(Seg::Ss, s, base);
        }
        self.set_sp(&stack);
        self.enter_code(d, selector, cpl, offset);
        Ok(())
    }

    fn call_gate_long(&mut self, t: Far, gate: Descriptor) -> Outcome<()> {
        let upper = self.upper_half(t.selector, Fault::gp)?;
        let offset = gate.gate_offset() | upper << 32;
        let selector = gate.gate_selector();
        let (d, va, cpl) = self.gate_code(selector, t.back.is_none())?;
        if !canonical(offset) {
            return Err(Fault::gp(0));
        }
        let mut stack = self.stack();
        let inner = cpl < self.cpl;
        if let Some(back) = t.back {
            let sp = self.core.reg(regs::RSP);
            if inner {
                let top = self.task_stack_long(4 + 8 * cpl as u64, 0)?;
                stack = Stack::long(top, true);
                stack.push(self, Size::B8, self.segs[Seg::Ss as usize].selector as u64)?;
                stack.push(self, Size::B8, sp)?;
            } else {
                stack.bits = 64;
            }
            self.push_return(&mut stack, Size::B8, back)?;
        }
        self.mark_accessed(d, va)?;
        if inner && t.back.is_some() {
            self.put_segment(Seg::Ss, Segment::null_stack(cpl), 0);
        }
        self.set_sp(&stack);
        self.enter_code(d, selector, cpl, offset);
        Ok(())
    }

    /// Far RET with an operand size, releasing `release` bytes of parameters.
    pub(crate) fn far_return(&mut self, size: Size, release: u16) -> Outcome<()> {
        let mut stack = self.stack();
        let release = release as u64;
        let rip = stack.pop(self, size)?;
        let cs = stack.pop(self, size)? as u16;
        if self.paragraphs() {
            if rip > self.segs[Seg::Cs as usize].limit as u64 {
                return Err(Fault::gp(0));
            }
            stack.sp = stack.sp.wrapping_add(release);
            self.set_sp(&stack);
            let (s, base) = self.paragraph(Seg::Cs, cs);
            self.put_segment(Seg::Cs, s, base);
            self.context_changed();
            self.core.pc = self.pc_of(rip);
            return Ok(());
        }
        let (d, va) = self.return_code(cs)?;
        let cpl = cs as u8 & 3;
        stack.sp = stack.sp.wrapping_add(release);
        let to = if cpl != self.cpl {
            let sp = stack.pop(self, size)?;
            let ss = stack.pop(self, size)? as u16;
            Some(self.return_stack(ss, sp.wrapping_add(release), cpl, d)?)
        } else {
            None
        };
        self.far_target(d, rip)?;
        self.mark_accessed(d, va)?;
        self.return_to(d, cs, rip, stack, to);
        Ok(())
    }
}

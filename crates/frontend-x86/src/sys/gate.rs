//! Delivery of exceptions and interrupts through the IDT (SDM Vol. 3, 6.11 to 6.15).

use lyrebird_isa::Size;

use super::access::{Stack, canonical};
use super::control::cr4;
use super::descriptor::{Descriptor, code_of, is_null, system};
use super::segment::{Segment, attr};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, Shutdown, vector};
use crate::regs::{self, Seg, rflags};

/// What is delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Vector.
    pub vector: u8,
    /// Error code to push.
    pub error: Option<u32>,
    /// INT n, INT3 or INTO: the gate's DPL counts.
    pub soft: bool,
    /// The handler's flags image has RF set: the instruction will be executed again.
    pub rf: bool,
}

impl Event {
    /// An interrupt from outside.
    pub const fn external(vector: u8) -> Event {
        Event { vector, error: None, soft: false, rf: false }
    }

    /// INT n and its like.
    pub const fn software(vector: u8) -> Event {
        Event { vector, error: None, soft: true, rf: false }
    }

    /// A fault, or a debug trap.
    pub fn fault(f: Fault) -> Event {
        Event { vector: f.vector, error: f.error, soft: false, rf: f.vector != vector::DB }
    }

    /// The EXT bit of error codes.
    const fn ext(&self) -> u32 {
        !self.soft as u32
    }
}

/// Whether a second exception while the first is delivered makes a double fault (SDM Vol. 3, table 6-5).
fn doubles(first: u8, second: u8) -> bool {
    use vector::{DE, GP, NP, PF, SS, TS};
    let contributory = |v| matches!(v, DE | TS | NP | SS | GP);
    match first {
        PF => second == PF || contributory(second),
        v => contributory(v) && contributory(second),
    }
}

impl X86Cpu {
    /// Delivers the exception of the instruction at [`lyrebird_isa::Core::pc`]; on failure a double fault, then
    /// shutdown.
    pub(crate) fn deliver_fault(&mut self, f: Fault) {
        if self.shutdown.is_some() {
            // The engine has not noticed yet.
            return;
        }
        let rip = self.rip();
        if let Err(next) = self.try_deliver(f, rip) {
            self.deliver_further(f, next, rip);
        }
    }

    /// Delivers an exception, or says which one that raised.
    fn try_deliver(&mut self, f: Fault, rip: u64) -> Outcome<()> {
        if let Some(va) = f.cr2 {
            self.control.cr2 = va;
        }
        self.counters.exceptions[f.vector as usize % 32] += 1;
        self.deliver(Event::fault(f), rip)
    }

    /// What follows when the delivery of `f` raised `next`: that exception, a double fault, or the shutdown.
    fn deliver_further(&mut self, f: Fault, next: Fault, rip: u64) {
        let (mut f, mut chain) = (f, vec![f, next]);
        while let Some(&next) = chain.last() {
            if f.vector == vector::DF || chain.len() > 16 {
                return self.shut_down(chain, rip);
            }
            if doubles(f.vector, next.vector) {
                if let Some(va) = next.cr2 {
                    self.control.cr2 = va;
                }
                f = Fault::with(vector::DF, 0);
            } else {
                f = next;
            }
            match self.try_deliver(f, rip) {
                Ok(()) => return,
                Err(next) => chain.push(next),
            }
        }
    }

    /// Delivers an external interrupt or NMI before the instruction at [`lyrebird_isa::Core::pc`].
    pub(crate) fn interrupt(&mut self, vector: u8) {
        let rip = self.rip();
        if let Err(f) = self.deliver(Event::external(vector), rip) {
            self.deliver_fault(f);
        }
    }

    /// The shutdown state (SDM Vol. 3, 6.15, interrupt 8): nothing more is executed until the board resets the CPU.
    fn shut_down(&mut self, chain: Vec<Fault>, rip: u64) {
        self.counters.shutdowns += 1;
        self.shutdown = Some(Shutdown { chain, cs: self.segs[Seg::Cs as usize].selector, rip });
        self.halted = true;
        self.platform.shutdown();
    }

    /// Delivers an event; the handler will return to `rip`. On failure nothing has changed but that HLT is over: a
    /// debug trap behind it ends it as well as an interrupt.
    pub(crate) fn deliver(&mut self, ev: Event, rip: u64) -> Outcome<()> {
        self.shadow = false;
        self.halted = false;
        if !self.mode.protected() {
            self.deliver_real(ev.vector, rip)
        } else if self.control.long_mode() {
            self.deliver_long(ev, rip)
        } else {
            self.deliver_protected(ev, rip)
        }
    }

    /// Real mode: the vector table holds far pointers, and there are no error codes (SDM Vol. 3, 20.1.4).
    fn deliver_real(&mut self, vector: u8, rip: u64) -> Outcome<()> {
        let at = vector as u64 * 4;
        if at + 3 > self.idtr.limit as u64 {
            return Err(Fault::gp((vector as u32) << 3 | 2));
        }
        let entry = self.load_implicit(self.idtr.base.wrapping_add(at), Size::B4)?;
        self.enter_8086(entry, self.rflags(), rip, rflags::IF | rflags::TF | rflags::AC | rflags::RF)
    }

    /// Pushes FLAGS, CS and IP and goes to the far pointer `entry`, with paragraph selectors; clears flags.
    fn enter_8086(&mut self, entry: u64, image: u64, rip: u64, clear: u64) -> Outcome<()> {
        let mut stack = self.stack();
        let cs = self.segs[Seg::Cs as usize].selector;
        stack.push(self, Size::B2, image)?;
        stack.push(self, Size::B2, cs as u64)?;
        stack.push(self, Size::B2, rip)?;
        let (s, base) = self.paragraph(Seg::Cs, (entry >> 16) as u16);
        self.set_sp(&stack);
        self.put_segment(Seg::Cs, s, base);
        let flags = self.core.reg(regs::FLAGS) & !clear;
        self.core.set_reg(regs::FLAGS, flags);
        self.context_changed();
        self.core.pc = self.pc_of(entry & 0xffff);
        Ok(())
    }

    /// The flags as a handler finds them on its stack.
    fn flags_image(&self, ev: &Event) -> u64 {
        self.rflags() | if ev.rf { rflags::RF } else { 0 }
    }

    fn deliver_protected(&mut self, ev: Event, rip: u64) -> Outcome<()> {
        let ext = ev.ext();
        let in_idt = (ev.vector as u32) << 3 | 2 | ext;
        let at = ev.vector as u64 * 8;
        if at + 7 > self.idtr.limit as u64 {
            return Err(Fault::gp(in_idt));
        }
        let gate = Descriptor(self.load_implicit(self.idtr.base.wrapping_add(at), Size::B8)?);
        use system::{INTERRUPT16, INTERRUPT32, TASK_GATE, TRAP16, TRAP32};
        let kind = gate.kind();
        if !matches!(kind, TASK_GATE | INTERRUPT16 | TRAP16 | INTERRUPT32 | TRAP32) {
            return Err(Fault::gp(in_idt));
        }
        if ev.soft && gate.dpl() < self.cpl {
            return Err(Fault::gp(in_idt));
        }
        if !gate.present() {
            return Err(Fault::with(vector::NP, in_idt));
        }
        if kind == TASK_GATE {
            return self.task_gate(gate, ev, rip);
        }
        let wide = matches!(kind, INTERRUPT32 | TRAP32);
        let size = if wide { Size::B4 } else { Size::B2 };
        let offset = gate.gate_offset() & size.width().mask();
        let selector = gate.gate_selector();
        let (d, va) = self.handler_code(selector, ext)?;
        let image = self.flags_image(&ev);
        let vm = image & rflags::VM != 0;
        let (old_ss, old_sp) = (self.segs[Seg::Ss as usize].selector, self.core.reg(regs::RSP));
        let inner = !d.is_conforming() && d.dpl() < self.cpl;
        let cpl = if inner { d.dpl() } else { self.cpl };
        if vm && (!inner || cpl != 0) {
            return Err(Fault::gp(code_of(selector) | ext));
        }
        let mut stack = self.stack();
        stack.error = ext;
        let mut new_ss = None;
        if inner {
            let (ss, sp) = self.task_stack(cpl, ext)?;
            let (s, base) = self.inner_stack(ss, cpl, ext)?;
            stack = Stack::new(s, base, sp, code_of(ss) | ext);
            new_ss = Some((s, base));
            if vm {
                for seg in [Seg::Gs, Seg::Fs, Seg::Ds, Seg::Es] {
                    let v = self.segs[seg as usize].selector as u64;
                    stack.push(self, size, v)?;
                }
            }
            stack.push(self, size, old_ss as u64)?;
            stack.push(self, size, old_sp)?;
        }
        stack.push(self, size, image)?;
        stack.push(self, size, self.segs[Seg::Cs as usize].selector as u64)?;
        stack.push(self, size, rip)?;
        if let Some(e) = ev.error {
            stack.push(self, size, e as u64)?;
        }
        if offset > d.limit() as u64 {
            return Err(Fault::gp(ext));
        }
        self.mark_accessed(d, va)?;
        if let Some((s, base)) = new_ss {
            self.put_segment(Seg::Ss, s, base);
        }
        if vm {
            for seg in [Seg::Gs, Seg::Fs, Seg::Ds, Seg::Es] {
                self.put_segment(seg, Segment::NULL, 0);
            }
        }
        let masks = matches!(kind, INTERRUPT16 | INTERRUPT32);
        self.enter_handler(d, selector, cpl, masks, &stack, offset);
        Ok(())
    }

    fn deliver_long(&mut self, ev: Event, rip: u64) -> Outcome<()> {
        let ext = ev.ext();
        let in_idt = (ev.vector as u32) << 3 | 2 | ext;
        let at = ev.vector as u64 * 16;
        if at + 15 > self.idtr.limit as u64 {
            return Err(Fault::gp(in_idt));
        }
        let va = self.idtr.base.wrapping_add(at);
        let gate = Descriptor(self.load_implicit(va, Size::B8)?);
        let upper = self.load_implicit(va.wrapping_add(8), Size::B8)?;
        let kind = gate.kind();
        if !matches!(kind, system::INTERRUPT32 | system::TRAP32) || (ev.soft && gate.dpl() < self.cpl) {
            return Err(Fault::gp(in_idt));
        }
        if !gate.present() {
            return Err(Fault::with(vector::NP, in_idt));
        }
        let selector = gate.gate_selector();
        let (d, va) = self.handler_code(selector, ext)?;
        if d.attr() & (attr::L | attr::DB) != attr::L {
            return Err(Fault::gp(code_of(selector) | ext));
        }
        let offset = gate.gate_offset() | upper << 32;
        if !canonical(offset) {
            return Err(Fault::gp(ext));
        }
        let cpl = if d.is_conforming() { self.cpl } else { d.dpl() };
        let (ss, sp) = (self.segs[Seg::Ss as usize].selector, self.core.reg(regs::RSP));
        let ist = gate.0 >> 32 & 7;
        let top = if ist != 0 {
            self.task_stack_long(28 + 8 * ist, ext)?
        } else if cpl < self.cpl {
            self.task_stack_long(4 + 8 * cpl as u64, ext)?
        } else {
            sp
        };
        // The frame is aligned in any case (SDM Vol. 3, 6.14.2).
        let mut stack = Stack::long(top & !15, cpl != self.cpl);
        stack.error = ext;
        let image = self.flags_image(&ev);
        let cs = self.segs[Seg::Cs as usize].selector;
        for v in [ss as u64, sp, image, cs as u64, rip] {
            stack.push(self, Size::B8, v)?;
        }
        if let Some(e) = ev.error {
            stack.push(self, Size::B8, e as u64)?;
        }
        self.mark_accessed(d, va)?;
        if cpl != self.cpl {
            self.put_segment(Seg::Ss, Segment::null_stack(cpl), 0);
        }
        self.enter_handler(d, selector, cpl, kind == system::INTERRUPT32, &stack, offset);
        Ok(())
    }

    /// The code segment of a gate of the IDT, and the linear address of its descriptor.
    fn handler_code(&mut self, selector: u16, ext: u32) -> Outcome<(Descriptor, u64)> {
        if is_null(selector) {
            return Err(Fault::gp(ext));
        }
        let (d, va) = self.descriptor(selector, |c| Fault::gp(c | ext))?;
        if !d.is_code() || d.dpl() > self.cpl {
            return Err(Fault::gp(code_of(selector) | ext));
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(selector) | ext));
        }
        Ok((d, va))
    }

    /// The stack of an inner level as a 16- or 32-bit TSS has it.
    pub(crate) fn task_stack(&mut self, level: u8, ext: u32) -> Outcome<(u16, u64)> {
        let (tr, base) = self.tr;
        let (at, size) = if tr.attr & 8 != 0 {
            (4 + 8 * level as u64, Size::B4)
        } else {
            (2 + 4 * level as u64, Size::B2)
        };
        if at + size.bytes() + 1 > tr.limit as u64 {
            return Err(Fault::with(vector::TS, code_of(tr.selector) | ext));
        }
        let sp = self.load_implicit(base.wrapping_add(at), size)?;
        let ss = self.load_implicit(base.wrapping_add(at + size.bytes()), Size::B2)?;
        Ok((ss as u16, sp))
    }

    /// A stack pointer at an offset of a 64-bit TSS.
    pub(crate) fn task_stack_long(&mut self, at: u64, ext: u32) -> Outcome<u64> {
        let (tr, base) = self.tr;
        if at + 7 > tr.limit as u64 {
            return Err(Fault::with(vector::TS, code_of(tr.selector) | ext));
        }
        self.load_implicit(base.wrapping_add(at), Size::B8)
    }

    /// The stack segment of an inner level, from a TSS.
    pub(crate) fn inner_stack(&mut self, selector: u16, cpl: u8, ext: u32) -> Outcome<(Segment, u64)> {
        let bad = |c: u32| Fault::with(vector::TS, c | ext);
        if is_null(selector) {
            return Err(bad(0));
        }
        let (d, va) = self.descriptor(selector, bad)?;
        if selector as u8 & 3 != cpl || d.dpl() != cpl || !d.is_writable() {
            return Err(bad(code_of(selector)));
        }
        if !d.present() {
            return Err(Fault::with(vector::SS, code_of(selector) | ext));
        }
        self.mark_accessed(d, va)?;
        Ok((d.segment(selector), d.base()))
    }

    /// Goes to a handler: all checks are done.
    fn enter_handler(&mut self, d: Descriptor, cs: u16, cpl: u8, masks: bool, stack: &Stack, offset: u64) {
        self.cpl = cpl;
        self.put_segment(Seg::Cs, d.segment(cs & !3 | cpl as u16), d.base());
        self.set_sp(stack);
        let masked = if masks { rflags::IF } else { 0 };
        let clear = rflags::TF | rflags::NT | rflags::RF | rflags::VM | masked;
        let flags = self.core.reg(regs::FLAGS) & !clear;
        self.core.set_reg(regs::FLAGS, flags);
        self.context_changed();
        self.core.pc = self.pc_of(offset);
    }

    /// INT n, with the linear address behind it.
    pub(crate) fn int_n(&mut self, v: u8, next: u64) -> Outcome<()> {
        if self.mode.v8086() {
            let iopl = self.core.reg(regs::FLAGS) & rflags::IOPL;
            if self.control.cr4 & cr4::VME != 0 && self.redirected(v)? {
                return self.int_8086(v, next);
            }
            if iopl != rflags::IOPL {
                return Err(Fault::gp(0));
            }
        }
        self.trap_gate(v, next)
    }

    /// INT3, INTO, and INT n when it goes through the IDT.
    pub(crate) fn trap_gate(&mut self, v: u8, next: u64) -> Outcome<()> {
        self.deliver(Event::software(v), self.rip_of(next))?;
        self.counters.software += 1;
        Ok(())
    }

    /// INT1: as a hardware exception, with the address behind it.
    pub(crate) fn icebp(&mut self, next: u64) -> Outcome<()> {
        self.deliver(Event::external(vector::DB), self.rip_of(next))
    }

    /// Whether the TSS says that a software interrupt goes through the table at address 0 in virtual-8086 mode
    /// (SDM Vol. 3, 20.3.3).
    fn redirected(&mut self, v: u8) -> Outcome<bool> {
        let at = self.io_map()?.wrapping_sub(32).wrapping_add(v as u64 >> 3);
        Ok(self.load_map(at, Size::B1)? >> (v & 7) & 1 == 0)
    }

    /// A software interrupt of virtual-8086 mode through the table at address 0.
    fn int_8086(&mut self, v: u8, next: u64) -> Outcome<()> {
        let entry = self.load_at(v as u64 * 4, Size::B4, false)?;
        let (image, clear) = self.virtual_flags();
        self.enter_8086(entry, image, self.rip_of(next), clear | rflags::TF)
    }

    /// FLAGS as virtual-8086 code with VME sees them, and the flag that is its interrupt flag.
    pub(crate) fn virtual_flags(&self) -> (u64, u64) {
        let flags = self.rflags();
        if flags & rflags::IOPL == rflags::IOPL {
            return (flags, rflags::IF);
        }
        let vif = if flags & rflags::VIF != 0 { rflags::IF } else { 0 };
        (flags & !rflags::IF | vif | rflags::IOPL, rflags::VIF)
    }
}

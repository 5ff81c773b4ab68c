//! Hardware task switching (SDM Vol. 3, chapter 7).

use lyrebird_isa::Size;

use super::control::cr0;
use super::debug::dr6;
use super::descriptor::{Descriptor, code_of, is_null, system};
use super::gate::Event;
use super::paging::CLASSES;
use super::segment::{Segment, attr};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::{self, Seg, rflags};

/// What switches tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// JMP: the old task is no longer busy.
    Jump,
    /// CALL: the new task is nested.
    Call,
    /// An interrupt or exception: likewise.
    Interrupt,
    /// IRET with NT set.
    Return,
}

/// Where a TSS has its fields, and how wide they are (SDM Vol. 3, figures 7-2 and 7-10).
struct Layout {
    size: Size,
    /// Instruction pointer, flags, and the first of eight general registers.
    ip: u64,
    flags: u64,
    regs: u64,
    /// First of the segment registers ES, CS, SS, DS (FS, GS), and the distance between them.
    segs: u64,
    segs_step: u64,
    count: usize,
    ldt: u64,
    /// Offset of the last byte.
    limit: u32,
}

const TSS32: Layout = Layout {
    size: Size::B4,
    ip: 0x20,
    flags: 0x24,
    regs: 0x28,
    segs: 0x48,
    segs_step: 4,
    count: 6,
    ldt: 0x60,
    limit: 0x67,
};

const TSS16: Layout = Layout {
    size: Size::B2,
    ip: 0x0e,
    flags: 0x10,
    regs: 0x12,
    segs: 0x22,
    segs_step: 2,
    count: 4,
    ldt: 0x2a,
    limit: 0x2b,
};

const fn layout(kind: u16) -> &'static Layout {
    if kind & 8 != 0 { &TSS32 } else { &TSS16 }
}

/// CR3 in a 32-bit TSS.
const CR3: u64 = 0x1c;
/// The debug trap flag in a 32-bit TSS.
const TRAP: u64 = 0x64;

impl X86Cpu {
    /// An interrupt or exception through a task gate.
    pub(crate) fn task_gate(&mut self, gate: Descriptor, ev: Event, rip: u64) -> Outcome<()> {
        let image = if ev.rf { rflags::RF } else { 0 };
        let ext = !ev.soft as u32;
        self.switch_task(gate.gate_selector(), Why::Interrupt, rip, Some((ev.error, image)), ext)
    }

    /// IRET with NT set: back to the task that the current one is nested in.
    pub(crate) fn task_return(&mut self, next: u64) -> Outcome<()> {
        let link = self.load_implicit(self.tr.1, Size::B2)? as u16;
        let rip = self.rip_of(next);
        self.switch_task(link, Why::Return, rip, None, 0)?;
        self.nmi_blocked = false;
        Ok(())
    }

    /// The descriptor of a task to switch to.
    fn task(&mut self, selector: u16, why: Why, ext: u32) -> Outcome<(Descriptor, u64)> {
        let v = if why == Why::Return { vector::TS } else { vector::GP };
        let bad = |c: u32| Fault::with(v, c | ext);
        if is_null(selector) || selector & 4 != 0 {
            return Err(bad(code_of(selector)));
        }
        let (d, va) = self.descriptor(selector, bad)?;
        let busy = matches!(d.kind(), system::TSS16_BUSY | system::TSS32_BUSY);
        let free = matches!(d.kind(), system::TSS16 | system::TSS32);
        if d.is_user() || !(if why == Why::Return { busy } else { free }) {
            return Err(bad(code_of(selector)));
        }
        if !d.present() {
            return Err(Fault::with(vector::NP, code_of(selector) | ext));
        }
        if d.limit() < layout(d.kind()).limit {
            return Err(Fault::with(vector::TS, code_of(selector) | ext));
        }
        Ok((d, va))
    }

    /// Switches to the task of a TSS descriptor. The old one will go on at `rip`. For an event: its error code, and
    /// flags to add to the old task's image.
    pub(crate) fn switch_task(
        &mut self,
        selector: u16,
        why: Why,
        rip: u64,
        event: Option<(Option<u32>, u64)>,
        ext: u32,
    ) -> Outcome<()> {
        let (d, va) = self.task(selector, why, ext)?;
        let new = layout(d.kind());
        let (old_tr, old_base) = self.tr;
        let old = layout(old_tr.attr);
        let base = d.base();
        // All that may fault in paging, before anything changes.
        self.check_implicit(old_base, old.limit as u64 + 1, true)?;
        self.check_implicit(base, new.limit as u64 + 1, true)?;
        let old_va = self.descriptor_address(old_tr.selector, 8, |c| Fault::with(vector::TS, c | ext))?;
        self.check_implicit(old_va, 8, true)?;
        self.check_implicit(va, 8, true)?;

        // The new task's state.
        let at = |cpu: &mut X86Cpu, o: u64| cpu.load_implicit(base.wrapping_add(o), new.size);
        let ip = at(self, new.ip)?;
        let flags = at(self, new.flags)?;
        let mut general = [0; 8];
        for (i, r) in general.iter_mut().enumerate() {
            *r = at(self, new.regs + i as u64 * new.size.bytes())?;
        }
        let mut selectors = [0u16; 6];
        for (i, s) in selectors.iter_mut().enumerate().take(new.count) {
            *s = self.load_implicit(base.wrapping_add(new.segs + i as u64 * new.segs_step), Size::B2)? as u16;
        }
        let ldt = self.load_implicit(base.wrapping_add(new.ldt), Size::B2)? as u16;
        let wide = new.size == Size::B4;
        let cr3 = if wide { self.load_implicit(base.wrapping_add(CR3), Size::B4)? } else { 0 };
        let trap = wide && self.load_implicit(base.wrapping_add(TRAP), Size::B2)? & 1 != 0;

        // The old task's state.
        let mut image = self.rflags() | event.map_or(0, |e| e.1);
        if matches!(why, Why::Jump | Why::Return) {
            self.clear_bits_implicit(old_va.wrapping_add(5), system::BUSY as u8)?;
        }
        if why == Why::Return {
            image &= !rflags::NT;
        }
        self.store_implicit(old_base.wrapping_add(old.ip), old.size, rip)?;
        self.store_implicit(old_base.wrapping_add(old.flags), old.size, image)?;
        for i in 0..8u64 {
            let v = self.core.regs[i as usize];
            self.store_implicit(old_base.wrapping_add(old.regs + i * old.size.bytes()), old.size, v)?;
        }
        for i in 0..old.count {
            let v = self.segs[i].selector as u64;
            self.store_implicit(old_base.wrapping_add(old.segs + i as u64 * old.segs_step), Size::B2, v)?;
        }
        if matches!(why, Why::Call | Why::Interrupt) {
            self.store_implicit(base, Size::B2, old_tr.selector as u64)?;
        }
        if why != Why::Return {
            self.set_bits_implicit(va.wrapping_add(5), system::BUSY as u8)?;
        }

        // From here on exceptions are the new task's (SDM Vol. 3, 7.3).
        let s = d.segment(selector);
        self.tr = (Segment { attr: s.attr | system::BUSY, ..s }, base);
        self.control.cr0 |= cr0::TS;
        self.dr[7] &= !0x155;
        let nested = if matches!(why, Why::Call | Why::Interrupt) { rflags::NT } else { 0 };
        let known = rflags::ARITHMETIC
            | rflags::TF
            | rflags::IF
            | rflags::DF
            | rflags::IOPL
            | rflags::NT
            | if wide {
                rflags::RF | rflags::VM | rflags::AC | rflags::VIF | rflags::VIP | rflags::ID
            } else {
                0
            };
        let flags = flags & known | nested;
        self.put_arithmetic(flags);
        self.core.set_reg(regs::FLAGS, flags & !rflags::ARITHMETIC | rflags::FIXED);
        for (i, v) in general.iter().enumerate() {
            // A 16-bit TSS leaves the upper halves undefined.
            self.core.regs[i] = *v;
        }
        let vm = flags & rflags::VM != 0;
        self.cpl = if vm { 3 } else { selectors[Seg::Cs as usize] as u8 & 3 };
        for seg in Seg::ALL {
            let selector = selectors[seg as usize];
            let to = if vm {
                (Segment { selector, ..Segment::V8086 }, (selector as u64) << 4)
            } else {
                (Segment { selector, ..Segment::NULL }, 0)
            };
            self.put_segment(seg, to.0, to.1);
        }
        self.ldtr = (Segment { selector: ldt, ..Segment::NULL }, 0);
        self.core.pc = ip;
        if wide && self.control.cr0 & cr0::PG != 0 {
            self.control.cr3 = cr3;
            let r = self.paging_changed();
            let asid = self.paging.pcid();
            self.mmu.flush_asid(&mut self.core, asid, CLASSES);
            r?;
        }
        self.context_changed();
        self.core.pc = self.pc_of(ip);
        if let Err(f) = self.enter_task(&selectors, ldt, ip, vm, event.and_then(|e| e.0), wide, ext) {
            // The exception is raised in the new task, before its first instruction.
            self.deliver_fault(f);
            return Ok(());
        }
        if trap {
            self.debug_trap(dr6::BT);
        }
        Ok(())
    }

    /// Loads the new task's segments, and pushes the error code.
    #[allow(clippy::too_many_arguments, reason = "all of them are what the TSS and the event say")]
    fn enter_task(
        &mut self,
        selectors: &[u16; 6],
        ldt: u16,
        ip: u64,
        vm: bool,
        error: Option<u32>,
        wide: bool,
        ext: u32,
    ) -> Outcome<()> {
        let bad = |c: u32| Fault::with(vector::TS, c | ext);
        self.ldtr = self.local_table(ldt, bad, vector::TS)?;
        if !vm {
            self.task_code(selectors[Seg::Cs as usize], ext)?;
            let ss = selectors[Seg::Ss as usize];
            let (s, base) = self.inner_stack(ss, self.cpl, ext)?;
            self.put_segment(Seg::Ss, s, base);
            for seg in [Seg::Ds, Seg::Es, Seg::Fs, Seg::Gs] {
                let selector = selectors[seg as usize];
                let loaded = self.data_segment(selector).map_err(|f| match f.vector {
                    vector::GP => bad(code_of(selector)),
                    _ => f,
                });
                let (s, base) = loaded?;
                self.put_segment(seg, s, base);
            }
            self.context_changed();
        }
        self.core.pc = self.pc_of(ip);
        if let Some(e) = error {
            let mut stack = self.stack();
            stack.error = ext;
            stack.push(self, if wide { Size::B4 } else { Size::B2 }, e as u64)?;
            self.set_sp(&stack);
        }
        if ip > self.segs[Seg::Cs as usize].limit as u64 {
            return Err(Fault::gp(ext));
        }
        Ok(())
    }

    /// Loads the new task's CS.
    fn task_code(&mut self, cs: u16, ext: u32) -> Outcome<()> {
        let bad = |c: u32| Fault::with(vector::TS, c | ext);
        if is_null(cs) {
            return Err(bad(0));
        }
        let (d, va) = self.descriptor(cs, bad)?;
        let rpl = cs as u8 & 3;
        let level = if d.is_conforming() { d.dpl() <= rpl } else { d.dpl() == rpl };
        if !d.is_code() || !level {
            return Err(bad(code_of(cs)));
        }
        if d.attr() & attr::P == 0 {
            return Err(Fault::with(vector::NP, code_of(cs) | ext));
        }
        self.mark_accessed(d, va)?;
        self.put_segment(Seg::Cs, d.segment(cs), d.base());
        self.context_changed();
        Ok(())
    }
}

//! One instruction at a time, through the interpreter instance of the semantics: for tests and debuggers, for
//! instructions that cross a page, and for those that must be executed alone.

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE, tlb_index};
use lyrebird_isa::{Cpu, Emit, Helper, Sem, Term, Visitor};

use super::{Mode, X86Cpu};
use crate::decode;
use crate::regs::{RCX, RSP};

/// Length in bytes of the longest instruction (SDM Vol. 2, 2.3.11).
pub const LONGEST: usize = 15;

/// Executes the one `Sem` that an instruction decodes to. Out: whether it completed, and where it went if that is
/// not known to be behind it.
struct Execute<'a> {
    cpu: &'a mut X86Cpu,
    pc: u64,
}

/// How an instruction that was executed went on.
enum Went {
    Faulted,
    Behind,
    To(u64),
    There,
}

impl Visitor<X86Cpu> for Execute<'_> {
    type Out = Went;

    fn visit<S: Sem<X86Cpu>>(self, s: S) -> Went {
        let (sp, count) = (self.cpu.core.reg(RSP), self.cpu.core.reg(RCX));
        let mut e = Interp::new(self.cpu);
        let mut done = s.sem(&mut e).is_ok();
        let (next, target) = (e.next, e.target);
        let near = matches!(S::TERM, Term::Branch | Term::Indirect);
        if near && done && matches!(next, Next::Taken | Next::Indirect) && !self.cpu.may_branch(target) {
            // The fault is the branch's: CALL, RET and LOOP are undone.
            self.cpu.core.set_reg(RSP, sp);
            self.cpu.core.set_reg(RCX, count);
            self.cpu.raise_gp(0);
            done = false;
        }
        if !done {
            self.cpu.take_fault(self.pc);
            return Went::Faulted;
        }
        match next {
            Next::Fall | Next::NotTaken | Next::SyncNext => Went::Behind,
            Next::Taken | Next::Indirect => Went::To(target),
            Next::SyncPc => Went::There,
        }
    }
}

impl X86Cpu {
    /// Executes the instruction in `bytes` as if it stood at [`lyrebird_isa::Core::pc`], and moves the PC on. False if
    /// it raised an exception, which has then been taken.
    pub fn execute(&mut self, bytes: &[u8]) -> bool {
        let pc = self.core.pc;
        let mode = self.mode.plain();
        let entered = self.enter_guest();
        let (went, len) = decode::decode(bytes, pc, mode, Execute { cpu: self, pc });
        if entered {
            self.leave_guest();
        }
        self.moved_on(went, pc, len as u64, mode)
    }

    /// Fetches the bytes at the PC, up to [`LONGEST`], from one page or two. None if the first byte cannot be
    /// fetched: the fault is recorded. Where only the second page cannot be, fewer bytes are returned, and the
    /// fault is recorded where they do not make an instruction.
    pub(crate) fn fetch_bytes(&mut self) -> Option<([u8; LONGEST], usize)> {
        let pc = self.core.pc;
        let page = self.fetch_page(pc)?;
        let mut bytes = [0; LONGEST];
        let offset = pc % PAGE_SIZE;
        // What CS's limit cuts off is #GP, not an instruction.
        let all = LONGEST.min(self.code_left(pc) as usize);
        let here = all.min((PAGE_SIZE - offset) as usize);
        // SAFETY: `CodePage::host` is readable for 4 KiB, and `here` bytes at `offset` lie inside.
        unsafe { std::ptr::copy_nonoverlapping(page.host.add(offset as usize), bytes.as_mut_ptr(), here) };
        if here == LONGEST || decode::length(&bytes[..here], pc, self.mode).is_some() {
            return Some((bytes, here));
        }
        if here == all {
            self.raise_gp(0);
            return None;
        }
        let page = self.fetch_page(self.mode.wrap(pc.wrapping_add(here as u64)))?;
        // SAFETY: as above; fewer than `LONGEST` bytes at the start of the page.
        unsafe { std::ptr::copy_nonoverlapping(page.host, bytes.as_mut_ptr().add(here), all - here) };
        if all < LONGEST && decode::length(&bytes[..all], pc, self.mode).is_none() {
            self.raise_gp(0);
            return None;
        }
        Some((bytes, all))
    }

    /// Fetches and executes one instruction. False if an exception was taken instead of its completing.
    /// Interrupts are not looked at: that is [`Cpu::poll`]'s.
    pub fn step(&mut self) -> bool {
        let pc = self.core.pc;
        let Some((bytes, n)) = self.fetch_bytes() else {
            self.take_fault(pc);
            return false;
        };
        if self.mode.careful() {
            return self.execute_carefully(&bytes[..n]);
        }
        self.execute(&bytes[..n])
    }

    /// Executes one instruction whose store would hit translated code or a device, and lets it; then the interrupt that
    /// the device may have raised.
    pub(crate) fn step_alone(&mut self, pc: u64) {
        self.core.pc = pc;
        self.alone = true;
        if let Some((bytes, n)) = self.fetch_bytes() {
            self.execute(&bytes[..n]);
        } else {
            self.take_fault(pc);
        }
        self.alone = false;
        self.take_interrupts();
    }
}

/// An instruction as it was last found at an address, ready to be executed.
#[derive(Clone, Copy)]
struct Ready {
    pc: u64,
    mode: Mode,
    bytes: [u8; LONGEST],
    len: u8,
    run: fn(&mut X86Cpu, [u64; 2], u64) -> Went,
    payload: [u64; 2],
}

/// The instructions that cross pages or may stray and were executed last: decoding one takes longer than all the rest of
/// a step.
pub(crate) struct Crossings(Box<[Option<Ready>; Crossings::ENTRIES]>);

impl Crossings {
    const ENTRIES: usize = 256;

    pub(crate) fn new() -> Crossings {
        Crossings(Box::new([None; Crossings::ENTRIES]))
    }

    const fn index(pc: u64) -> usize {
        (pc ^ pc >> 6 ^ pc >> 12 ^ pc >> 18) as usize % Crossings::ENTRIES
    }
}

impl std::fmt::Debug for Crossings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crossings").finish_non_exhaustive()
    }
}

fn run_ready<S: Sem<X86Cpu>>(cpu: &mut X86Cpu, payload: [u64; 2], pc: u64) -> Went {
    const {
        assert!(size_of::<S>() <= 16 && align_of::<S>() <= 8, "a Sem fits the payload");
    }
    // SAFETY: `Prepare` wrote an `S` there, which is `Copy`, and paired it with this function.
    let s = unsafe { payload.as_ptr().cast::<S>().read() };
    Execute { cpu, pc }.visit(s)
}

/// Makes of a `Sem` what executes it later.
struct Prepare;

impl Visitor<X86Cpu> for Prepare {
    type Out = (fn(&mut X86Cpu, [u64; 2], u64) -> Went, [u64; 2]);

    fn visit<S: Sem<X86Cpu>>(self, s: S) -> Self::Out {
        let mut payload = [0u64; 2];
        // SAFETY: `run_ready` asserts at compile time that an `S` fits; `payload` is at least as aligned.
        unsafe { payload.as_mut_ptr().cast::<S>().write(s) };
        (run_ready::<S>, payload)
    }
}

impl X86Cpu {
    /// Whether the code at `pc` is still `bytes`, as far as the inline TLB knows its pages.
    fn is_code(&self, pc: u64, bytes: &[u8]) -> bool {
        let offset = (pc % PAGE_SIZE) as usize;
        let (here, behind) = bytes.split_at(bytes.len().min(PAGE_SIZE as usize - offset));
        [(pc, here), (pc.wrapping_add(here.len() as u64), behind)].into_iter().all(|(va, part)| {
            // SAFETY: the MMU has attached a table of `TLB_ENTRIES` entries, among which the index is.
            let entry = unsafe { *self.core.tlb.add(tlb_index(va)) };
            part.is_empty()
                || entry.exec == va & PAGE_MASK && {
                    let mut found = [0; LONGEST];
                    let from = va.wrapping_add(entry.addend) as *const u8;
                    // SAFETY: a page with an execute tag is readable host memory at this distance; `part` ends with it.
                    unsafe { std::ptr::copy_nonoverlapping(from, found.as_mut_ptr(), part.len()) };
                    found[..part.len()] == *part
                }
        })
    }

    /// [`X86Cpu::step`] for an instruction that crosses a page, or a branch that may stray.
    fn step_crossing(&mut self, pc: u64) {
        // In 64-bit code no limit cuts instructions off.
        if self.mode.code64()
            && let Some(r) = self.crossings.0[Crossings::index(pc)]
            && (r.pc, r.mode) == (pc, self.mode.plain())
            && self.is_code(pc, &r.bytes[..r.len.into()])
        {
            let went = (r.run)(self, r.payload, pc);
            self.moved_on(went, pc, r.len.into(), r.mode);
            return;
        }
        let Some((bytes, n)) = self.fetch_bytes() else {
            self.take_fault(pc);
            return;
        };
        let (at, mode) = (Crossings::index(pc), self.mode.plain());
        let known = self.crossings.0[at].filter(|r| r.pc == pc && r.mode == mode && r.bytes == bytes);
        let ready = known.unwrap_or_else(|| {
            let ((run, payload), len) = decode::decode(&bytes[..n], pc, mode, Prepare);
            let r = Ready { pc, mode, bytes, len: len as u8, run, payload };
            self.crossings.0[at] = Some(r);
            r
        });
        let went = (ready.run)(self, ready.payload, pc);
        self.moved_on(went, pc, ready.len.into(), mode);
    }

    /// Moves the PC on behind an executed instruction; whether it completed.
    fn moved_on(&mut self, went: Went, pc: u64, len: u64, mode: Mode) -> bool {
        match went {
            Went::Faulted => return false,
            Went::Behind => {
                self.core.pc = mode.wrap(pc.wrapping_add(len));
            }
            Went::To(target) => self.core.pc = target,
            Went::There => {}
        }
        true
    }
}

extern "C" fn step_helper(cpu: &mut X86Cpu, pc: u64, _: u64, _: u64) -> u64 {
    cpu.core.pc = pc;
    if cpu.mode.careful() {
        cpu.step();
    } else {
        cpu.step_crossing(pc);
    }
    0
}

/// An instruction that does not end in its page, or that needs checks around it or, as a branch, of its target:
/// fetched and executed at run time.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Where it stands.
    pub pc: u64,
}

impl Sem<X86Cpu> for Step {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.pc), e.imm(0), e.imm(0)];
        e.call(Helper::cpu("step", step_helper), args)?;
        e.sync_pc();
        Ok(())
    }
}

impl X86Cpu {
    /// Whether the mode must be [`Mode::careful`]: TF, an instruction or data breakpoint in DR7, alignment checks, the
    /// end of CS.
    pub(crate) fn needs_care(&self) -> bool {
        use crate::regs::{self, rflags};
        use crate::sys::control::cr0;
        let flags = self.core.reg(regs::FLAGS);
        self.at_limit
            || flags & rflags::TF != 0
            || self.dr[7] & 0xff != 0
            || (self.cpl == 3 && flags & rflags::AC != 0 && self.control.cr0 & cr0::AM != 0)
    }

    /// Executes one instruction with the checks of the careful mode around it.
    fn execute_carefully(&mut self, bytes: &[u8]) -> bool {
        crate::sys::debug::execute(self, bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Machine;

    #[test]
    fn executes_real_mode_code() {
        let mut m = Machine::real();
        assert!(m.cpu.execute(&[0xb8, 0x05, 0x80]));
        assert!(m.cpu.execute(&[0x05, 0xfb, 0x7f]));
        assert_eq!(m.cpu.core.regs[0], 0);
        assert_eq!(m.cpu.rflags() & 0x8d5, 0x55, "ZF, PF, CF, AF: 5 + 0xb carries out of bit 3");
        assert!(m.cpu.execute(&[0xb4, 0x12]) && m.cpu.execute(&[0x50]) && m.cpu.execute(&[0x5b]));
        assert_eq!((m.cpu.core.regs[3], m.cpu.core.regs[4]), (0x1200, 0xf000));
        assert_eq!(m.peek(0xeffe) as u16, 0x1200);
        assert!(m.cpu.execute(&[0x88, 0x3e, 0x34, 0x12]), "mov [0x1234], bh");
        assert_eq!(m.peek(0x1234) as u8, 0x12);
    }

    #[test]
    fn an_instruction_across_pages_is_fetched_anew_each_time() {
        use lyrebird_isa::Cpu;
        let mut m = Machine::real();
        // mov ax, 0x1234, of which one byte lies in the next page.
        let at = 0x5ffe;
        for (i, second) in [0x12u64, 0x12, 0x56].into_iter().enumerate() {
            m.mem.write_bytes(at, &[0xb8, 0x34, second as u8]).expect("RAM");
            m.cpu.core.pc = at;
            let page = m.cpu.fetch(at).expect("RAM");
            assert_eq!(page.pa, 0x5000);
            super::step_helper(&mut m.cpu, at, 0, 0);
            assert_eq!((m.cpu.core.regs[0], m.cpu.core.pc), (second << 8 | 0x34, at + 3), "round {i}");
        }
    }
}

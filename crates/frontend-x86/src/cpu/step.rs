//! One instruction at a time, through the interpreter instance of the semantics: for tests and debuggers, for
//! instructions that cross a page, and for those that must be executed alone.

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::state::PAGE_SIZE;
use lyrebird_isa::{Cpu, Emit, Helper, Sem, Term, Visitor};

use super::X86Cpu;
use crate::decode;

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
        let mut e = Interp::new(self.cpu);
        let done = s.sem(&mut e).is_ok();
        let (next, target) = (e.next, e.target);
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
        let (went, len) = decode::decode(bytes, pc, mode, Execute { cpu: self, pc });
        match went {
            Went::Faulted => return false,
            Went::Behind => {
                let next = pc.wrapping_add(len as u64);
                self.core.pc = if mode.code64() { next } else { next & 0xffff_ffff };
            }
            Went::To(target) => self.core.pc = target,
            Went::There => {}
        }
        true
    }

    /// Fetches the bytes at the PC, up to [`LONGEST`], from one page or two. None if the first byte cannot be
    /// fetched: the fault is recorded. Where only the second page cannot be, fewer bytes are returned, and the
    /// fault is recorded where they do not make an instruction.
    pub(crate) fn fetch_bytes(&mut self) -> Option<([u8; LONGEST], usize)> {
        let pc = self.core.pc;
        let page = self.fetch(pc)?;
        let mut bytes = [0; LONGEST];
        let offset = pc % PAGE_SIZE;
        let here = LONGEST.min((PAGE_SIZE - offset) as usize);
        // SAFETY: `CodePage::host` is readable for 4 KiB, and `here` bytes at `offset` lie inside.
        unsafe { std::ptr::copy_nonoverlapping(page.host.add(offset as usize), bytes.as_mut_ptr(), here) };
        if here == LONGEST || decode::length(&bytes[..here], pc, self.mode).is_some() {
            return Some((bytes, here));
        }
        let next = pc.wrapping_add(here as u64);
        let next = if self.mode.code64() { next } else { next & 0xffff_ffff };
        let page = self.fetch(next)?;
        // SAFETY: as above; fewer than `LONGEST` bytes at the start of the page.
        unsafe { std::ptr::copy_nonoverlapping(page.host, bytes.as_mut_ptr().add(here), LONGEST - here) };
        Some((bytes, LONGEST))
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

    /// Executes one instruction whose store would hit translated code, and lets it.
    pub(crate) fn step_alone(&mut self, pc: u64) {
        self.counters.code_writes += 1;
        self.core.pc = pc;
        self.alone = true;
        if let Some((bytes, n)) = self.fetch_bytes() {
            self.execute(&bytes[..n]);
        } else {
            self.take_fault(pc);
        }
        self.alone = false;
    }
}

extern "C" fn step_helper(cpu: &mut X86Cpu, pc: u64, _: u64, _: u64) -> u64 {
    cpu.core.pc = pc;
    cpu.step();
    0
}

/// An instruction that does not end in its page, or that needs checks around it: fetched and executed at run time.
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
    /// Whether the mode must be [`Mode::careful`]: TF, an instruction or data breakpoint in DR7, alignment checks.
    pub(crate) fn needs_care(&self) -> bool {
        use crate::regs::{self, rflags};
        use crate::sys::control::cr0;
        let flags = self.core.reg(regs::FLAGS);
        flags & rflags::TF != 0
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
}

//! One instruction at a time, through the interpreter instance of the semantics.
//!
//! This is the reference that tests, the engine's verify mode and debuggers hold other tiers against.

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::{Cpu, Sem, Visitor};

use super::{ArmCpu, Mode, may_misalign_sp};
use crate::a64::decode;
use crate::a64::word::Word;

/// Executes the one `Sem` that an instruction decodes to.
struct Execute<'a> {
    cpu: &'a mut ArmCpu,
    pc: u64,
}

impl Visitor<ArmCpu> for Execute<'_> {
    type Out = bool;

    fn visit<S: Sem<ArmCpu>>(self, s: S) -> bool {
        let mut e = Interp::new(self.cpu);
        let done = s.sem(&mut e).is_ok();
        let (next, target) = (e.next, e.target);
        if !done {
            let completed = self.cpu.recorded.is_none();
            self.cpu.take_fault(self.pc);
            return completed;
        }
        match next {
            Next::Fall | Next::NotTaken | Next::SyncNext => self.cpu.core.pc = self.pc.wrapping_add(4),
            Next::Taken | Next::Indirect => self.cpu.core.pc = target,
            Next::SyncPc => {}
        }
        true
    }
}

impl ArmCpu {
    /// Executes the instruction word `word` as if it stood at [`lyrebird_isa::Core::pc`], and moves the PC on.
    /// False if it raised an exception, which has then been taken.
    pub fn execute(&mut self, word: u32) -> bool {
        let pc = self.core.pc;
        let entered = self.enter_guest();
        let done = decode::plain(Word(word), pc, Mode(self.mode()), Execute { cpu: self, pc });
        if entered {
            self.leave_guest();
        }
        done
    }

    /// Fetches and executes one instruction. False if an exception was taken instead of its completing.
    /// Interrupts are not looked at: that is [`Cpu::poll`]'s.
    pub fn step(&mut self) -> bool {
        let pc = self.core.pc;
        let Some(page) = self.fetch(pc) else {
            self.take_fault(self.core.pc);
            return false;
        };
        let pc = self.core.pc;
        let offset = (pc & 0xffc) as usize;
        // SAFETY: `CodePage::host` is readable for 4 KiB, and an aligned word at `offset` lies inside.
        let word = unsafe { page.host.add(offset).cast::<u32>().read_unaligned() };
        let word = u32::from_le(word);
        if Mode(self.mode()).careful() || may_misalign_sp(Word(word), pc, Mode(self.mode())) {
            self.execute_carefully(word, pc);
            return self.core.pc == pc.wrapping_add(4);
        }
        self.execute(word)
    }
}

#[cfg(test)]
mod tests {
    use crate::CpuModel;
    use crate::a64::regs;
    use crate::testing::{CODE, Machine, VECTORS};

    #[test]
    fn executes_words_and_takes_undefined_instructions() {
        let mut m = Machine::new(CpuModel::max());
        m.cpu.core.regs[1] = 40;
        assert!(m.run(0x9100_0820), "add x0, x1, #2");
        assert_eq!((m.cpu.core.regs[0], m.cpu.core.pc), (42, CODE + 4));
        assert!(!m.run(0), "udf #0");
        assert_eq!(m.cpu.core.pc, VECTORS + 0x200, "synchronous, current level with SP_ELx");
        assert_eq!(m.cpu.core.reg(regs::ELR_EL1), CODE + 4);
        assert_eq!(m.esr(), (0, true, 0));
    }

    #[test]
    fn fetches_what_it_steps() {
        let mut m = Machine::new(CpuModel::max());
        m.poke(CODE, 0x9100_0400_d503_201f);
        assert!(m.cpu.step() && m.cpu.step(), "nop; add x0, x0, #1");
        assert_eq!((m.cpu.core.regs[0], m.cpu.core.pc), (1, CODE + 8));
        m.cpu.core.pc = CODE + 2;
        assert!(!m.cpu.step(), "PC alignment");
        assert_eq!((m.esr(), m.far()), ((0x22, true, 0), CODE + 2));
        m.cpu.core.pc = 0x1000;
        assert!(!m.cpu.step(), "nothing there");
        assert_eq!((m.esr(), m.far()), ((0x21, true, 0x10), 0x1000));
    }
}

//! One instruction at a time, through the interpreter instance of the semantics.
//!
//! This is the reference that tests, the engine's verify mode and debuggers hold other tiers against.

use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::{Cpu, Sem, Visitor};

use super::ArmCpu;

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
            self.cpu.take_fault(self.pc);
            return false;
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
        let mode = self.mode();
        let bytes = word.to_le_bytes();
        ArmCpu::decode(&bytes, pc, mode, Execute { cpu: self, pc }).0
    }

    /// Fetches and executes one instruction. False if an exception was taken instead of its completing.
    /// Interrupts are not looked at: that is [`Cpu::poll`]'s.
    pub fn step(&mut self) -> bool {
        let pc = self.core.pc;
        let Some(page) = self.fetch(pc) else {
            self.take_fault(pc);
            return false;
        };
        let offset = (pc & 0xffc) as usize;
        // SAFETY: `CodePage::host` is readable for 4 KiB, and an aligned word at `offset` lies inside.
        let word = unsafe { page.host.add(offset).cast::<u32>().read_unaligned() };
        self.execute(u32::from_le(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuModel;
    use crate::platform::BarePlatform;

    #[test]
    fn executes_words_and_takes_undefined_instructions() {
        let mut cpu = ArmCpu::new(CpuModel::max(), Box::new(BarePlatform::new()));
        cpu.core.pc = 0x1000;
        cpu.core.regs[1] = 40;
        assert!(cpu.execute(0x9100_0820), "add x0, x1, #2");
        assert_eq!((cpu.core.regs[0], cpu.core.pc), (42, 0x1004));
        assert!(!cpu.execute(0), "udf #0");
        assert_eq!(cpu.core.pc, 0x200, "synchronous, current level with SP_ELx");
        assert_eq!(cpu.core.reg(crate::a64::regs::ELR_EL1), 0x1004);
        assert_eq!(cpu.core.reg(crate::a64::regs::ESR_EL1), 1 << 25, "EC 0, IL");
    }
}

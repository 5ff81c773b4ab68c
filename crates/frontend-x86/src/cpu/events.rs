//! What reaches the CPU from outside: interrupts, and waiting for them.

use lyrebird_isa::cpu::Event;
use lyrebird_isa::lines::{IRQ, SERROR, STOP};

use super::X86Cpu;
use crate::regs::{self, rflags};

impl X86Cpu {
    /// [`lyrebird_isa::Cpu::poll`].
    pub(super) fn poll_events(&mut self, retired: u64) -> Event {
        self.counters.retired += retired;
        self.unfinished = false;
        self.platform.advance(retired);
        if self.lines.level() & STOP != 0 {
            return Event::Stop;
        }
        self.take_interrupts();
        if self.halted { Event::Idle } else { Event::Run }
    }

    /// Takes a pending interrupt if it is enabled, but after one more instruction where that comes first.
    pub(crate) fn take_interrupts(&mut self) {
        if self.shadow {
            // The instruction behind STI or MOV SS comes first (SDM Vol. 3, 6.8.3). It may be another of them: then
            // only the first counts.
            self.shadow = false;
            if self.lines.level() & (IRQ | SERROR) != 0 {
                self.step();
                self.counters.retired += 1;
                self.shadow = false;
            }
        }
        let level = self.lines.level();
        if level & SERROR != 0 && !self.nmi_blocked {
            self.platform.take_nmi();
            self.nmi_blocked = true;
            self.interrupt(2);
        } else if level & IRQ != 0
            && self.core.reg(regs::FLAGS) & rflags::IF != 0
            && let Some(vector) = self.platform.acknowledge()
        {
            self.counters.interrupts += 1;
            self.interrupt(vector);
        }
    }
}

//! What reaches the CPU from outside, or leaves it: interrupts, waiting for them, firmware calls.

use lyrebird_isa::cpu::Event;
use lyrebird_isa::lines::{FIQ, IRQ, SERROR, STOP};

use super::ArmCpu;
use super::pstate::daif;
use crate::a64::regs;
use crate::exception::{Kind, ec};
use crate::platform::{CallOutcome, Conduit};
use crate::sys::sctlr;

/// The interrupt lines.
const INTERRUPTS: u32 = IRQ | FIQ | SERROR;

impl ArmCpu {
    /// HVC and SMC.
    pub(crate) fn firmware_call(&mut self, conduit: Conduit, imm: u16) {
        let mut x = [0; 8];
        x.copy_from_slice(&self.core.regs[..8]);
        match self.platform.call(conduit, imm, &mut x) {
            CallOutcome::Undefined => self.raise_undefined(),
            CallOutcome::Done => self.core.regs[..8].copy_from_slice(&x),
            CallOutcome::Wait => {
                self.core.regs[..8].copy_from_slice(&x);
                self.waiting = true;
            }
        }
    }

    /// ISR_EL1: pending interrupts whatever the masks.
    pub(crate) fn isr(&mut self) -> u64 {
        let level = self.lines.level();
        let bit = |line: u32, n: u32| ((level & line != 0) as u64) << n;
        bit(IRQ, 7) | bit(FIQ, 6) | bit(SERROR, 8)
    }

    /// WFI and WFE, with the traps of EL0.
    pub(crate) fn wait_for(&mut self, event: bool) {
        let allow = if event { sctlr::NTWE } else { sctlr::NTWI };
        if event && std::mem::take(&mut self.event) {
            return;
        }
        if self.lines.level() & INTERRUPTS != 0 {
            return;
        }
        if self.pstate.el == 0 && self.sys.sctlr[1] & allow == 0 {
            // CV, COND 0b1110, TI (Arm ARM D17.2.37, EC 0x01).
            return self.raise_ec(ec::WFX, 1 << 24 | 0xe << 20 | event as u32);
        }
        // WFE may return at any time; it only gives up the rest of its slice.
        self.waiting = !event;
    }

    /// [`lyrebird_isa::Cpu::poll`].
    pub(super) fn poll_events(&mut self, retired: u64) -> Event {
        self.counters.retired += retired;
        self.platform.advance(retired);
        let level = self.lines.level();
        if level & STOP != 0 {
            return Event::Stop;
        }
        if level & INTERRUPTS != 0 {
            // A pending interrupt ends WFI even where it is masked (Arm ARM D1.6).
            self.waiting = false;
            self.take_pending(level);
        }
        if self.waiting {
            return Event::Idle;
        }
        self.follow_debug();
        Event::Run
    }

    /// Takes the interrupt of highest priority among the lines in `level` that PSTATE does not mask.
    fn take_pending(&mut self, level: u32) {
        let mask = self.core.reg(regs::DAIF);
        if level & SERROR != 0 && mask & daif::A == 0 {
            // An SError is an edge: once taken it is gone.
            self.lines.set(SERROR, false);
            self.take_interrupt(Kind::SError);
        } else if level & FIQ != 0 && mask & daif::F == 0 {
            self.take_interrupt(Kind::Fiq);
        } else if level & IRQ != 0 && mask & daif::I == 0 {
            self.take_interrupt(Kind::Irq);
        }
    }
}

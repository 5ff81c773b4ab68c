//! [`Platform`]: what a vCPU needs from the board around it.
//!
//! The board implements it once per vCPU. All calls come from the vCPU's own thread; what other threads want
//! goes through [`CpuLines`]: the INTR pin (from the local APIC or the 8259) is `lines::IRQ`, NMI is `lines::SERROR`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use lyrebird_isa::Size;
use lyrebird_isa::lines::{CpuLines, SERROR};

/// The board around one vCPU: time, ports, interrupt controller.
pub trait Platform: Send + Debug {
    /// The wires into this vCPU.
    fn lines(&self) -> &Arc<CpuLines>;

    /// Reads an I/O port: 1, 2 or 4 bytes. All ones where nothing answers.
    fn port_in(&mut self, port: u16, size: Size) -> u32;

    /// Writes an I/O port: 1, 2 or 4 bytes.
    fn port_out(&mut self, port: u16, size: Size, value: u32);

    /// The interrupt acknowledge cycle: the vector of the interrupt that INTR announces, now in service. None where
    /// the request has gone.
    fn acknowledge(&mut self) -> Option<u8>;

    /// The processor takes the NMI that its line announces, which is an edge: the line goes low.
    fn take_nmi(&mut self) {
        self.lines().set(SERROR, false);
    }

    /// Time stamp counter in ticks since reset (without IA32_TSC_ADJUST and what the guest wrote).
    fn tsc(&mut self) -> u64;

    /// The time stamp counter's frequency in Hz.
    fn tsc_frequency(&self) -> u64;

    /// CR8: the task priority's upper four bits.
    fn cr8(&mut self) -> u64 {
        0
    }

    /// Writes CR8.
    fn set_cr8(&mut self, value: u64) {
        let _ = value;
    }

    /// Reads IA32_APIC_BASE (0x1B), the x2APIC registers (0x800 to 0x8FF) or IA32_TSC_DEADLINE (0x6E0); None where
    /// the register is not there, which is #GP.
    fn apic_msr(&mut self, msr: u32) -> Option<u64> {
        let _ = msr;
        None
    }

    /// Writes one of them; false for #GP.
    fn set_apic_msr(&mut self, msr: u32, value: u64) -> bool {
        let _ = (msr, value);
        false
    }

    /// Physical address bit 20 is forced to 0.
    fn a20_masked(&self) -> bool {
        false
    }

    /// The processor shut down after a triple fault. The board resets or stops it (by [`lyrebird_isa::lines::STOP`]).
    fn shutdown(&mut self);

    /// FERR#: an instruction found an x87 exception pending that CR0.NE does not report as #MF. A PC raises IRQ 13. Whether
    /// the instruction goes on all the same (IGNNE#); else it waits for an interrupt.
    fn fpu_error(&mut self) -> bool {
        true
    }

    /// FERR# is negated: what was pending is gone.
    fn fpu_error_gone(&mut self) {}

    /// Whether [`Platform::advance`] has something to do at once: a register of a device was accessed, and the lines or the
    /// time of the next event may be others.
    fn has_news(&self) -> bool {
        false
    }

    /// Called between slices after `retired` more instructions: lets time pass and brings the lines up to date.
    fn advance(&mut self, retired: u64);

    /// Time until something wants attention, if anything does.
    fn next_deadline(&mut self) -> Option<Duration>;

    /// Blocks while the vCPU is idle: until a line is high, a kick, or the next deadline. Spurious returns are
    /// allowed.
    fn idle(&mut self) {
        let deadline = self.next_deadline();
        self.lines().idle(deadline);
    }
}

/// A board with nothing on it: a time stamp counter that advances one tick per retired instruction, ports that read
/// all ones, interrupts that a test queues. For tests and for stepping code outside a machine.
#[derive(Debug, Default)]
pub struct BarePlatform {
    /// The vCPU's wires.
    pub lines: Arc<CpuLines>,
    /// The time stamp counter.
    pub ticks: u64,
    /// What was written to ports: port, size, value; newest last.
    pub written: Vec<(u16, Size, u32)>,
    /// Vectors that [`Platform::acknowledge`] hands out.
    pub vectors: Vec<u8>,
    /// Times [`Platform::shutdown`] was called.
    pub shutdowns: u32,
}

impl Platform for BarePlatform {
    fn lines(&self) -> &Arc<CpuLines> {
        &self.lines
    }
    fn port_in(&mut self, _port: u16, size: Size) -> u32 {
        size.width().mask() as u32
    }
    fn port_out(&mut self, port: u16, size: Size, value: u32) {
        self.written.push((port, size, value));
    }
    fn acknowledge(&mut self) -> Option<u8> {
        let v = self.vectors.pop();
        self.lines.set(lyrebird_isa::lines::IRQ, !self.vectors.is_empty());
        v
    }
    fn tsc(&mut self) -> u64 {
        self.ticks
    }
    fn tsc_frequency(&self) -> u64 {
        1_000_000_000
    }
    fn shutdown(&mut self) {
        self.shutdowns += 1;
        self.lines.set(lyrebird_isa::lines::STOP, true);
    }
    fn advance(&mut self, retired: u64) {
        self.ticks = self.ticks.wrapping_add(retired);
    }
    fn next_deadline(&mut self) -> Option<Duration> {
        None
    }
}

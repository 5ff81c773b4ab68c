//! [`VcpuBoard`]: the board as the vCPU sees it.

use std::sync::Arc;
use std::time::Duration;

use lyrebird_devices::LocalApic;
use lyrebird_devices::lapic::{Ack, CpuEvent, EVENT};
use lyrebird_frontend_x86::Platform;
use lyrebird_isa::Size;
use lyrebird_isa::lines::{CpuLines, SERROR};
use lyrebird_softmmu::phys::PhysMem;

use super::chips::Chips;
use super::map;
use crate::power::{Outcome, Power};

/// IA32_APIC_BASE.
const APIC_BASE: u32 = 0x1b;
/// IA32_TSC_DEADLINE.
const TSC_DEADLINE: u32 = 0x6e0;

/// Everything but the CPU.
#[derive(Debug)]
pub(super) struct Shared {
    pub phys: Arc<PhysMem>,
    pub chips: Chips,
    pub power: Arc<Power>,
    pub lines: Arc<CpuLines>,
}

/// The board as the vCPU sees it: ports, interrupts and time.
#[derive(Debug)]
pub(super) struct VcpuBoard {
    shared: Arc<Shared>,
    lines: Arc<CpuLines>,
    lapic: Option<Arc<LocalApic>>,
    /// Guest time in nanoseconds at which a timer wants attention.
    deadline: Option<u64>,
}

impl VcpuBoard {
    pub fn new(shared: Arc<Shared>) -> VcpuBoard {
        let (lines, lapic) = (shared.lines.clone(), shared.chips.lapic().cloned());
        VcpuBoard { shared, lines, lapic, deadline: Some(0) }
    }

    /// Lets timers fire that are due.
    fn update(&mut self) {
        let now = self.shared.chips.now();
        if self.shared.chips.touched.take() || self.deadline.is_some_and(|d| now >= d) {
            self.deadline = self.shared.chips.update(now);
        }
        if self.lines.level() & EVENT != 0 {
            self.events();
        }
    }

    /// What is done to the processor from outside, besides interrupts.
    #[cold]
    fn events(&self) {
        while let Some(event) = self.lapic.as_ref().and_then(|l| l.take_event()) {
            match event {
                // The only processor: what starts anew is the machine.
                CpuEvent::Init => self.shared.power.request(Outcome::Reset),
                // There is no system management mode, and nothing waits for a start.
                CpuEvent::Smi | CpuEvent::Startup(_) => {}
            }
        }
    }
}

impl Platform for VcpuBoard {
    fn lines(&self) -> &Arc<CpuLines> {
        &self.lines
    }

    fn port_in(&mut self, port: u16, size: Size) -> u32 {
        self.shared.chips.touched.set();
        self.shared.chips.ports.read(port, size)
    }

    fn port_out(&mut self, port: u16, size: Size, value: u32) {
        self.shared.chips.ports.write(port, size, value);
        self.shared.chips.touched.set();
    }

    fn acknowledge(&mut self) -> Option<u8> {
        let pic = &self.shared.chips.pic;
        match &self.lapic {
            Some(lapic) => match lapic.ack()? {
                Ack::Vector(v) => Some(v),
                Ack::ExtInt => Some(pic.acknowledge()),
            },
            None => pic.has_interrupt().then(|| pic.acknowledge()),
        }
    }

    fn take_nmi(&mut self) {
        if !self.lapic.as_ref().is_some_and(|l| l.take_nmi()) {
            self.lines.set(SERROR, false);
        }
    }

    fn tsc(&mut self) -> u64 {
        // A tick is a nanosecond.
        self.shared.chips.now()
    }

    fn tsc_frequency(&self) -> u64 {
        map::TSC_HZ
    }

    fn cr8(&mut self) -> u64 {
        self.lapic.as_ref().map_or(0, |l| l.cr8())
    }

    fn set_cr8(&mut self, value: u64) {
        if let Some(lapic) = &self.lapic {
            lapic.set_cr8(value);
        }
    }

    fn apic_msr(&mut self, msr: u32) -> Option<u64> {
        let lapic = self.lapic.as_ref()?;
        match msr {
            APIC_BASE => Some(lapic.base()),
            TSC_DEADLINE => Some(lapic.tsc_deadline()),
            _ => lapic.read_msr(msr).ok(),
        }
    }

    fn set_apic_msr(&mut self, msr: u32, value: u64) -> bool {
        let Some(lapic) = &self.lapic else { return false };
        self.shared.chips.touched.set();
        match msr {
            APIC_BASE => lapic.set_base(value).is_ok(),
            TSC_DEADLINE => {
                lapic.set_tsc_deadline(value);
                true
            }
            _ => lapic.write_msr(msr, value).is_ok(),
        }
    }

    fn a20_masked(&self) -> bool {
        self.shared.chips.a20.masked()
    }

    fn fpu_error(&mut self) -> bool {
        self.shared.chips.ferr.error()
    }

    fn fpu_error_gone(&mut self) {
        self.shared.chips.ferr.gone();
    }

    fn shutdown(&mut self) {
        self.shared.power.request(Outcome::Reset);
    }

    fn has_news(&self) -> bool {
        self.shared.chips.touched.get() || self.lines.level() & EVENT != 0
    }

    fn advance(&mut self, _retired: u64) {
        self.update();
    }

    fn next_deadline(&mut self) -> Option<Duration> {
        self.update();
        let deadline = self.deadline?;
        Some(Duration::from_nanos(deadline.saturating_sub(self.shared.chips.now())))
    }
}

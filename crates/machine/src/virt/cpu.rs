//! [`VcpuBoard`]: the board as one vCPU sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lyrebird_devices::GenericTimer;
use lyrebird_devices::timer;
use lyrebird_frontend_arm::platform::{CallOutcome, Conduit, IccReg, Platform, Timer, TimerReg};
use lyrebird_isa::lines::{CpuLines, STOP};
use lyrebird_softmmu::phys::PhysMem;

use super::gic::Gic;
use crate::clock::Clock;
use crate::power::{Outcome, Power};
use crate::psci::{self, Action, Topology};

/// What the board keeps per vCPU.
#[derive(Debug)]
pub(super) struct VcpuWires {
    /// `MPIDR_EL1` affinity fields.
    pub affinity: u64,
    /// Its lines.
    pub lines: Arc<CpuLines>,
    /// Its timers.
    pub timer: GenericTimer,
    /// Powered on, in PSCI's sense.
    pub on: AtomicBool,
}

/// Everything that the vCPUs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub phys: Arc<PhysMem>,
    pub gic: Gic,
    pub clock: Clock,
    pub power: Arc<Power>,
    pub cpus: Vec<VcpuWires>,
}

impl Topology for Shared {
    fn cpu(&self, affinity: u64) -> Option<usize> {
        self.cpus.iter().position(|c| c.affinity == affinity)
    }
    fn is_on(&self, cpu: usize) -> bool {
        self.cpus.get(cpu).is_some_and(|c| c.on.load(Ordering::Acquire))
    }
    fn is_entry(&self, address: u64) -> bool {
        address & 3 == 0 && self.phys.ram_ptr(address, 4).is_some()
    }
    // A CPU that switched itself off has no thread that could start it again.
    fn can_start(&self) -> bool {
        false
    }
}

/// The board as vCPU number `index` sees it: time, interrupts and PSCI.
#[derive(Debug)]
pub(super) struct VcpuBoard {
    shared: Arc<Shared>,
    index: usize,
    lines: Arc<CpuLines>,
    /// Count at which a timer line rises next. Only this vCPU programs its timers, so it cannot become earlier
    /// behind our back.
    deadline: Option<u64>,
}

impl VcpuBoard {
    pub fn new(shared: Arc<Shared>, index: usize) -> VcpuBoard {
        let lines = shared.cpus[index].lines.clone();
        VcpuBoard { shared, index, lines, deadline: None }
    }

    fn timer(&self) -> &GenericTimer {
        &self.shared.cpus[self.index].timer
    }
}

/// The chip's name of a timer.
fn chip_timer(t: Timer) -> timer::Timer {
    match t {
        Timer::Phys => timer::Timer::Phys,
        Timer::Virt => timer::Timer::Virt,
        Timer::Hyp => timer::Timer::Hyp,
        Timer::Sec => timer::Timer::Sec,
    }
}

/// The chip's name of a timer register.
fn chip_reg(r: TimerReg) -> timer::TimerReg {
    match r {
        TimerReg::Ctl => timer::TimerReg::Ctl,
        TimerReg::Cval => timer::TimerReg::Cval,
        TimerReg::Tval => timer::TimerReg::Tval,
    }
}

impl Platform for VcpuBoard {
    fn lines(&self) -> &Arc<CpuLines> {
        &self.lines
    }

    fn counter(&mut self) -> u64 {
        self.shared.clock.now()
    }

    fn frequency(&self) -> u64 {
        Clock::FREQUENCY
    }

    fn timer_read(&mut self, timer: Timer, reg: TimerReg) -> u64 {
        let now = self.shared.clock.now();
        self.timer().read(chip_timer(timer), chip_reg(reg), now)
    }

    fn timer_write(&mut self, timer: Timer, reg: TimerReg, value: u64) {
        let now = self.shared.clock.now();
        self.timer().write(chip_timer(timer), chip_reg(reg), value, now);
        self.deadline = self.timer().next_deadline(now);
    }

    fn gic_sysregs(&self) -> bool {
        self.shared.gic.has_sysregs()
    }

    fn icc_read(&mut self, reg: IccReg) -> u64 {
        self.shared.gic.icc_read(self.index, reg)
    }

    fn icc_write(&mut self, reg: IccReg, value: u64) {
        self.shared.gic.icc_write(self.index, reg, value);
    }

    fn call(&mut self, _conduit: Conduit, _imm: u16, x: &mut [u64; 8]) -> CallOutcome {
        // The immediate is 0 by the calling convention, and ignored as firmware does.
        match psci::call([x[0], x[1], x[2], x[3]], &*self.shared) {
            Action::Return(v) => x[0] = v,
            Action::Suspend => {
                x[0] = 0;
                return CallOutcome::Wait;
            }
            Action::CpuOff => {
                self.shared.cpus[self.index].on.store(false, Ordering::Release);
                self.lines.set(STOP, true);
            }
            // Excluded by `can_start`.
            Action::CpuOn { .. } => x[0] = psci::Status::InternalFailure as i32 as u64,
            Action::SystemOff => self.shared.power.request(Outcome::PowerOff),
            Action::SystemReset => self.shared.power.request(Outcome::Reset),
        }
        CallOutcome::Done
    }

    fn advance(&mut self, _retired: u64) {
        let Some(deadline) = self.deadline else { return };
        let now = self.shared.clock.now();
        if now >= deadline {
            self.timer().update(now);
            self.deadline = self.timer().next_deadline(now);
        }
    }

    fn next_deadline(&mut self) -> Option<Duration> {
        let deadline = self.deadline?;
        // Rounded up: waking a tick early would only mean to wait again.
        Some(Clock::duration(deadline.saturating_sub(self.shared.clock.now()) + 1))
    }
}

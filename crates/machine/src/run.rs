//! Running a machine: the vCPU loop, the time limit, resets, and the closing report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lyrebird_devices::Pl031;
use lyrebird_frontend_arm::ArmCpu;
use lyrebird_jit::{Engine, EngineConfig};

use crate::error::MachineError;
use crate::power::{Outcome, Power};
use crate::stats::MachineStats;
use crate::virt::{VirtMachine, map};

/// How to run a machine.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Engine settings.
    pub engine: EngineConfig,
    /// Ends the run with [`Outcome::Timeout`].
    pub timeout: Option<Duration>,
    /// A reset by the guest ends the run with [`Outcome::Reset`] instead of starting anew.
    pub no_reboot: bool,
}

impl VirtMachine {
    /// Runs what was loaded until the guest, the user or the clock ends it.
    ///
    /// # Errors
    /// Nothing was loaded, the host gives no thread, or verify mode found the tiers to disagree.
    pub fn run(&mut self, options: &RunOptions) -> Result<(Outcome, MachineStats), MachineError> {
        let start = Instant::now();
        let _watchdog = Watchdog::start(self.power(), self.rtc(), options.timeout.map(|t| start + t))?;
        let mut stats = MachineStats::default();
        loop {
            let mut cpu = self.cpu(0)?;
            let mut engine = Engine::<ArmCpu>::new(options.engine.clone());
            let outcome = self.run_vcpu(&mut engine, &mut cpu)?;
            stats.add(&cpu, &engine.stats());
            if outcome != Outcome::Reset || options.no_reboot {
                let ram = self.phys().ram_ptr(map::RAM_BASE, 1).map(<*mut u8>::cast_const);
                stats.finish(start.elapsed(), self.phys().ram_bytes(), ram);
                return Ok((outcome, stats));
            }
            stats.resets += 1;
            self.reset()?;
            // If the user quit meanwhile, the line is still up and the next round ends at once.
            self.power().restart();
        }
    }

    fn run_vcpu(&self, engine: &mut Engine<ArmCpu>, cpu: &mut ArmCpu) -> Result<Outcome, MachineError> {
        engine.run(cpu)?;
        Ok(match self.power().outcome() {
            Some(outcome) => outcome,
            // It switched itself off. Nothing on this board can switch it on again.
            None if !self.is_on(0) => self.power().wait(None).unwrap_or(Outcome::Stopped),
            None => Outcome::Stopped,
        })
    }
}

/// The thread beside the vCPUs: ends the run when its time is up, and lets the real-time clock look at its alarm.
struct Watchdog {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How often the real-time clock, which counts seconds, is looked at.
const RTC_PERIOD: Duration = Duration::from_millis(500);

impl Watchdog {
    fn start(
        power: &Arc<Power>,
        rtc: &Arc<Pl031>,
        deadline: Option<Instant>,
    ) -> Result<Watchdog, MachineError> {
        let done = Arc::new(AtomicBool::new(false));
        let (power, rtc, flag) = (power.clone(), rtc.clone(), done.clone());
        let watch = move || {
            while !flag.load(Ordering::Acquire) {
                if deadline.is_some_and(|d| Instant::now() >= d) {
                    power.request(Outcome::Timeout);
                    return;
                }
                let tick = Instant::now() + RTC_PERIOD;
                std::thread::park_timeout(deadline.map_or(tick, |d| d.min(tick)) - Instant::now());
                rtc.update();
            }
        };
        let thread = std::thread::Builder::new()
            .name(String::from("watchdog"))
            .spawn(watch)
            .map_err(|source| MachineError::Thread { name: "watchdog", source })?;
        Ok(Watchdog { done, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in it has been reported on its own; the run's result stands.
            let _ = thread.join();
        }
    }
}

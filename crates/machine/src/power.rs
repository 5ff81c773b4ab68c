//! How a run ends: [`Power`] collects the wishes of the guest, the user and the clock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lyrebird_devices::{PowerRequest, PowerSink};
use lyrebird_isa::lines::{CpuLines, STOP};

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest switched the machine off.
    PowerOff,
    /// The guest asked for a reset.
    Reset,
    /// The time limit passed.
    Timeout,
    /// The user had enough.
    Quit,
    /// The guest ended the emulator with this exit status (isa-debug-exit).
    Exit(u32),
    /// The engine stopped: its tiers disagree (`--verify`).
    Stopped,
}

impl Outcome {
    /// A reset is given up for anything that ends the run for good; everything else stands.
    fn yields(self) -> bool {
        self == Outcome::Reset
    }
}

/// The machine's power switch, shared by vCPUs, devices and the host's user interface.
///
/// Lock order: device → this lock → [`CpuLines`].
#[derive(Debug)]
pub struct Power {
    cpus: Vec<Arc<CpuLines>>,
    outcome: Mutex<Option<Outcome>>,
    changed: Condvar,
}

impl Power {
    /// The switch of a machine with these CPUs.
    pub fn new(cpus: Vec<Arc<CpuLines>>) -> Power {
        Power { cpus, outcome: Mutex::new(None), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outcome>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run. The first reason stands, except that a reset gives way to an end.
    pub fn request(&self, why: Outcome) {
        let mut outcome = self.lock();
        if outcome.is_none_or(Outcome::yields) {
            *outcome = Some(why);
        }
        drop(outcome);
        self.changed.notify_all();
        for lines in &self.cpus {
            lines.set(STOP, true);
        }
    }

    /// Why the run is to end, if it is.
    pub fn outcome(&self) -> Option<Outcome> {
        *self.lock()
    }

    /// Forgets the reason: the machine runs again.
    pub fn clear(&self) {
        *self.lock() = None;
        for lines in &self.cpus {
            lines.set(STOP, false);
        }
    }

    /// Forgets a reset, and nothing else: what came in between still ends the run. Whether the machine goes on.
    pub fn restart(&self) -> bool {
        let mut outcome = self.lock();
        if !outcome.is_none_or(Outcome::yields) {
            return false;
        }
        *outcome = None;
        // Under the lock: a request that comes now raises the line again.
        for lines in &self.cpus {
            lines.set(STOP, false);
        }
        true
    }

    /// Blocks until there is a reason, or until `deadline`.
    pub fn wait(&self, deadline: Option<Instant>) -> Option<Outcome> {
        let mut outcome = self.lock();
        loop {
            if outcome.is_some() {
                return *outcome;
            }
            let left = match deadline {
                Some(d) => match d.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => left,
                    _ => return None,
                },
                None => Duration::from_secs(3600),
            };
            outcome = self.changed.wait_timeout(outcome, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl PowerSink for Power {
    fn request(&self, what: PowerRequest) {
        Power::request(
            self,
            match what {
                PowerRequest::Reset => Outcome::Reset,
                // No table offers a state to sleep in, and nothing would wake the machine.
                PowerRequest::PowerOff | PowerRequest::Sleep(_) => Outcome::PowerOff,
                PowerRequest::Exit(status) => Outcome::Exit(status),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stands_but_a_reset_yields() {
        let lines = Arc::new(CpuLines::new());
        let power = Power::new(vec![lines.clone()]);
        power.request(Outcome::Reset);
        assert_ne!(lines.level() & STOP, 0);
        power.request(Outcome::Timeout);
        power.request(Outcome::Quit);
        assert_eq!(power.outcome(), Some(Outcome::Timeout));
        assert!(!power.restart());
        assert_ne!(lines.level() & STOP, 0);
        power.clear();
        power.request(Outcome::Reset);
        assert!(power.restart());
        assert_eq!((power.outcome(), lines.level()), (None, 0));
    }

    #[test]
    fn waiting_ends_with_a_reason_or_the_deadline() {
        let power = Arc::new(Power::new(Vec::new()));
        assert_eq!(power.wait(Some(Instant::now())), None);
        let other = power.clone();
        let t = std::thread::spawn(move || other.wait(None));
        power.request(Outcome::PowerOff);
        assert_eq!(t.join().expect("no panic"), Some(Outcome::PowerOff));
    }
}

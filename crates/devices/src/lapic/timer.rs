//! The local APIC's timer (SDM Vol. 3, 10.5.4): one-shot, periodic and TSC-deadline.
//!
//! Nothing counts here: the count is computed from the time at which it was started.

use serde::{Deserialize, Serialize};

use crate::time::{ns_to_ticks, ticks_to_ns};

/// How fast the timer and the time-stamp counter run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Input clock of the APIC timer before the divider, in Hz.
    pub timer_hz: u64,
    /// Time-stamp counter, in Hz.
    pub tsc_hz: u64,
}

/// Bits 18:17 of the timer's LVT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    OneShot,
    Periodic,
    TscDeadline,
}

impl Mode {
    /// The mode in an LVT entry. 11b is reserved and counts as one-shot.
    pub fn of(lvt: u32) -> Mode {
        match lvt >> 17 & 3 {
            1 => Mode::Periodic,
            2 => Mode::TscDeadline,
            _ => Mode::OneShot,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Timer {
    initial: u32,
    /// Divide configuration register: bits 3, 1 and 0.
    divide: u32,
    /// The count at `started`; 0 while nothing counts. Later periods of a periodic timer count from `initial`.
    from: u32,
    /// Nanoseconds.
    started: u64,
    /// How often the count has reached zero since, as far as [`Timer::expire`] has seen.
    expired: u64,
    /// `IA32_TSC_DEADLINE`; 0 is disarmed.
    deadline: u64,
    /// Guest's TSC minus the TSC that started at 0 with the clock.
    tsc_offset: u64,
}

impl Timer {
    /// What the count is divided by (figure 10-10).
    fn divisor(&self) -> u64 {
        let code = self.divide >> 1 & 4 | self.divide & 3;
        if code == 7 { 1 } else { 2 << code }
    }

    fn elapsed(&self, now: u64, rates: &Rates) -> u64 {
        ns_to_ticks(now.saturating_sub(self.started), rates.timer_hz) / self.divisor()
    }

    fn tsc(&self, now: u64, rates: &Rates) -> u64 {
        ns_to_ticks(now, rates.tsc_hz).wrapping_add(self.tsc_offset)
    }

    /// How often the count has reached zero by `now`.
    fn expirations(&self, now: u64, mode: Mode, rates: &Rates) -> u64 {
        let past = self.elapsed(now, rates).checked_sub(u64::from(self.from));
        match (self.from, past, mode) {
            (0, ..) | (_, None, _) => 0,
            (_, Some(past), Mode::Periodic) if self.initial != 0 => 1 + past / u64::from(self.initial),
            _ => 1,
        }
    }

    /// Brings the timer up to date. Whether it has expired since the last time.
    pub fn expire(&mut self, now: u64, mode: Mode, rates: &Rates) -> bool {
        if mode == Mode::TscDeadline {
            let due = self.deadline != 0 && self.tsc(now, rates) >= self.deadline;
            if due {
                self.deadline = 0;
            }
            return due;
        }
        let expirations = self.expirations(now, mode, rates);
        let due = expirations > self.expired;
        self.expired = self.expired.max(expirations);
        due
    }

    /// The first nanosecond at which [`Timer::expire`] will say yes, if nothing is written before.
    pub fn next(&self, now: u64, mode: Mode, rates: &Rates) -> Option<u64> {
        if mode == Mode::TscDeadline {
            let left = match self.deadline {
                0 => return None,
                deadline => deadline.saturating_sub(self.tsc(now, rates)),
            };
            let ticks = ns_to_ticks(now, rates.tsc_hz).checked_add(left)?;
            return Some(ticks_to_ns(ticks, rates.tsc_hz).max(now));
        }
        let more = match (self.from, mode) {
            (0, _) => return None,
            (_, Mode::Periodic) => self.expired.saturating_mul(u64::from(self.initial)),
            _ if self.expired > 0 => return None,
            _ => 0,
        };
        let ticks = u64::from(self.from).saturating_add(more).saturating_mul(self.divisor());
        Some(self.started.saturating_add(ticks_to_ns(ticks, rates.timer_hz)))
    }

    /// The current-count register.
    pub fn count(&self, now: u64, mode: Mode, rates: &Rates) -> u32 {
        if self.from == 0 || mode == Mode::TscDeadline {
            return 0;
        }
        let elapsed = self.elapsed(now, rates);
        let from = u64::from(self.from);
        let left = match (elapsed.checked_sub(from), mode) {
            (None, _) => from - elapsed,
            (Some(past), Mode::Periodic) if self.initial != 0 => {
                let initial = u64::from(self.initial);
                initial - past % initial
            }
            _ => 0,
        };
        left as u32
    }

    fn restart(&mut self, from: u32, now: u64) {
        self.from = from;
        self.started = now;
        self.expired = 0;
    }

    pub fn initial(&self) -> u32 {
        self.initial
    }

    /// Writes the initial count, which starts the timer, or stops it with 0. Ignored in TSC-deadline mode.
    pub fn set_initial(&mut self, value: u32, now: u64, mode: Mode) {
        if mode != Mode::TscDeadline {
            self.initial = value;
            self.restart(value, now);
        }
    }

    pub fn divide(&self) -> u32 {
        self.divide
    }

    /// Writes the divide configuration: what is left of the count goes on at the new rate.
    pub fn set_divide(&mut self, value: u32, now: u64, mode: Mode, rates: &Rates) {
        let left = self.count(now, mode, rates);
        self.divide = value & 0xb;
        self.restart(left, now);
    }

    /// The mode bits of the LVT entry change. A change from or to TSC-deadline disarms the timer (10.5.4.1).
    pub fn change_mode(&mut self, old: Mode, new: Mode, now: u64, rates: &Rates) {
        if old == new {
            return;
        }
        if old == Mode::TscDeadline || new == Mode::TscDeadline {
            self.initial = 0;
            self.deadline = 0;
            self.restart(0, now);
        } else {
            let left = self.count(now, old, rates);
            self.restart(left, now);
        }
    }

    pub fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Writes `IA32_TSC_DEADLINE`: 0 disarms. Ignored in the other modes.
    pub fn set_deadline(&mut self, value: u64, mode: Mode) {
        if mode == Mode::TscDeadline {
            self.deadline = value;
        }
    }

    pub fn set_tsc_offset(&mut self, offset: u64) {
        self.tsc_offset = offset;
    }

    /// Stopped. The time-stamp counter is not the APIC's and goes on.
    pub fn reset(&mut self) {
        *self = Timer { tsc_offset: self.tsc_offset, ..Timer::default() };
    }
}

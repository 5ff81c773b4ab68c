//! The Armv8 generic timers of one PE (Arm ARM D11.2): compare values against the system counter.
//!
//! Time is passed in: every call takes `now`, the physical count (`CNTPCT_EL0`) in ticks.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;

/// The counter frequency of QEMU's boards, in Hz: a tick is 16 ns.
pub const FREQUENCY: u64 = 62_500_000;

/// One of the timers of a PE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// EL1 physical timer, `CNTP_*_EL0`; by the base system architecture PPI 30.
    Phys,
    /// EL1 virtual timer, `CNTV_*_EL0`; PPI 27.
    Virt,
    /// Non-secure EL2 physical timer, `CNTHP_*_EL2`; PPI 26.
    Hyp,
    /// Non-secure EL2 virtual timer, `CNTHV_*_EL2`; PPI 28.
    HypVirt,
    /// Secure EL1 physical timer, `CNTPS_*_EL1`; PPI 29.
    Sec,
}

impl Timer {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Timer; 5] = [Timer::Phys, Timer::Virt, Timer::Hyp, Timer::HypVirt, Timer::Sec];
}

/// A register of a [`Timer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerReg {
    /// `CTL`: ENABLE bit 0, IMASK bit 1, ISTATUS bit 2 (read-only).
    Ctl,
    /// `CVAL`: 64-bit compare value in ticks.
    Cval,
    /// `TVAL`: signed 32-bit distance from the counter to `CVAL`. Reads are zero-extended.
    Tval,
}

const CTL_ENABLE: u64 = 1 << 0;
const CTL_IMASK: u64 = 1 << 1;
const CTL_ISTATUS: u64 = 1 << 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Comparator {
    cval: u64,
    /// ENABLE and IMASK.
    ctl: u64,
}

/// The registers of all timers of one PE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerState {
    timers: [Comparator; 5],
    cntvoff: u64,
}

impl TimerState {
    /// The counter that `timer` compares with: only the EL1 virtual timer sees `CNTVOFF_EL2`.
    fn count(&self, timer: Timer, now: u64) -> u64 {
        match timer {
            Timer::Virt => now.wrapping_sub(self.cntvoff),
            Timer::Phys | Timer::Hyp | Timer::HypVirt | Timer::Sec => now,
        }
    }

    /// Whether the timer condition holds. All values are unsigned (D11.2.4): a compare value close to 2^64 may
    /// never be met.
    fn met(&self, timer: Timer, now: u64) -> bool {
        self.count(timer, now) >= self.timers[timer as usize].cval
    }

    /// The level of the timer's output.
    pub fn output(&self, timer: Timer, now: u64) -> bool {
        let ctl = self.timers[timer as usize].ctl;
        ctl & (CTL_ENABLE | CTL_IMASK) == CTL_ENABLE && self.met(timer, now)
    }

    /// Reads a register.
    pub fn read(&self, timer: Timer, reg: TimerReg, now: u64) -> u64 {
        let t = &self.timers[timer as usize];
        match reg {
            // ISTATUS is UNKNOWN while the timer is disabled; it reads 0 here.
            TimerReg::Ctl if t.ctl & CTL_ENABLE != 0 && self.met(timer, now) => t.ctl | CTL_ISTATUS,
            TimerReg::Ctl => t.ctl,
            TimerReg::Cval => t.cval,
            TimerReg::Tval => u64::from(t.cval.wrapping_sub(self.count(timer, now)) as u32),
        }
    }

    /// Writes a register.
    pub fn write(&mut self, timer: Timer, reg: TimerReg, value: u64, now: u64) {
        let count = self.count(timer, now);
        let t = &mut self.timers[timer as usize];
        match reg {
            TimerReg::Ctl => t.ctl = value & (CTL_ENABLE | CTL_IMASK),
            TimerReg::Cval => t.cval = value,
            TimerReg::Tval => t.cval = count.wrapping_add(value as i32 as i64 as u64),
        }
    }

    /// `CNTVOFF_EL2` in ticks.
    pub fn cntvoff(&self) -> u64 {
        self.cntvoff
    }

    /// Sets `CNTVOFF_EL2`.
    pub fn set_cntvoff(&mut self, offset: u64) {
        self.cntvoff = offset;
    }

    /// The physical count at which the next output goes high that is low at `now`; none if no timer is armed
    /// or the counter would have to wrap first.
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let armed = |&t: &Timer| {
            self.timers[t as usize].ctl & (CTL_ENABLE | CTL_IMASK) == CTL_ENABLE && !self.met(t, now)
        };
        let due = |t: Timer| now.checked_add(self.timers[t as usize].cval - self.count(t, now));
        Timer::ALL.into_iter().filter(armed).filter_map(due).min()
    }
}

/// The generic timers of one PE with their interrupt lines.
///
/// Lock order: the timer's lock is held while its pins are driven.
#[derive(Debug)]
pub struct GenericTimer {
    state: Mutex<TimerState>,
    pins: [IrqPin; 5],
    frequency: u64,
}

impl GenericTimer {
    const KIND: &str = "arm-generic-timer";
    const VERSION: u32 = 1;

    /// Timers at a counter of `frequency` Hz. `pins` are in the order of [`Timer::ALL`]; a timer that the PE
    /// does not have gets a disconnected one.
    pub fn new(frequency: u64, pins: [IrqPin; 5]) -> GenericTimer {
        GenericTimer { state: Mutex::default(), pins, frequency }
    }

    /// The counter's frequency in Hz, for `CNTFRQ_EL0`.
    pub fn frequency(&self) -> u64 {
        self.frequency
    }

    /// Reads a register.
    pub fn read(&self, timer: Timer, reg: TimerReg, now: u64) -> u64 {
        lock(&self.state).read(timer, reg, now)
    }

    /// Writes a register; the interrupt line follows at once.
    pub fn write(&self, timer: Timer, reg: TimerReg, value: u64, now: u64) {
        let mut state = lock(&self.state);
        state.write(timer, reg, value, now);
        self.pins[timer as usize].set(state.output(timer, now));
    }

    /// `CNTVOFF_EL2` in ticks.
    pub fn cntvoff(&self) -> u64 {
        lock(&self.state).cntvoff()
    }

    /// Sets `CNTVOFF_EL2`; the virtual timer's line follows at once.
    pub fn set_cntvoff(&self, offset: u64, now: u64) {
        let mut state = lock(&self.state);
        state.set_cntvoff(offset);
        self.pins[Timer::Virt as usize].set(state.output(Timer::Virt, now));
    }

    /// Brings all lines up to date with the time.
    pub fn update(&self, now: u64) {
        let state = lock(&self.state);
        for t in Timer::ALL {
            self.pins[t as usize].set(state.output(t, now));
        }
    }

    /// The physical count at which a line goes high next; see [`TimerState::next_deadline`].
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        lock(&self.state).next_deadline(now)
    }
}

impl Device for GenericTimer {
    fn kind(&self) -> &'static str {
        GenericTimer::KIND
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        *state = TimerState::default();
        for pin in &self.pins {
            pin.deassert();
        }
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(GenericTimer::KIND, GenericTimer::VERSION, &*lock(&self.state))
    }

    /// The lines follow at the next [`GenericTimer::update`]: the chip does not know the time.
    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut new: TimerState = snapshot.decode(GenericTimer::KIND, GenericTimer::VERSION)?;
        for t in &mut new.timers {
            t.ctl &= CTL_ENABLE | CTL_IMASK;
        }
        *lock(&self.state) = new;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irq::tests::recorded;

    fn armed(cval: u64) -> TimerState {
        let mut s = TimerState::default();
        s.write(Timer::Virt, TimerReg::Cval, cval, 0);
        s.write(Timer::Virt, TimerReg::Ctl, 1, 0);
        s
    }

    #[test]
    fn fires_when_the_count_reaches_the_compare_value() {
        let mut s = armed(1000);
        assert_eq!(s.read(Timer::Virt, TimerReg::Ctl, 999), 1);
        assert_eq!(s.next_deadline(999), Some(1000));
        assert!(!s.output(Timer::Virt, 999));
        assert_eq!(s.read(Timer::Virt, TimerReg::Ctl, 1000), 5);
        assert!(s.output(Timer::Virt, 1000));
        assert_eq!(s.next_deadline(1000), None, "it is high already");
        s.write(Timer::Virt, TimerReg::Ctl, 3, 1000);
        assert_eq!(s.read(Timer::Virt, TimerReg::Ctl, 1000), 7, "IMASK does not hide ISTATUS");
        assert!(!s.output(Timer::Virt, 1000));
        s.write(Timer::Virt, TimerReg::Ctl, 0xfffe, 1000);
        assert_eq!(s.read(Timer::Virt, TimerReg::Ctl, 1000), 2);
    }

    #[test]
    fn tval_is_a_signed_32_bit_distance() {
        let mut s = TimerState::default();
        s.write(Timer::Phys, TimerReg::Tval, 100, 5000);
        assert_eq!(s.read(Timer::Phys, TimerReg::Cval, 5000), 5100);
        assert_eq!(s.read(Timer::Phys, TimerReg::Tval, 5060), 40);
        assert_eq!(s.read(Timer::Phys, TimerReg::Tval, 5101), 0xffff_ffff, "counts on below zero");
        s.write(Timer::Phys, TimerReg::Tval, 0xffff_fff6, 5000);
        assert_eq!(s.read(Timer::Phys, TimerReg::Cval, 5000), 4990);
        s.write(Timer::Phys, TimerReg::Tval, 0xdead_beef_0000_0001, 5000);
        assert_eq!(s.read(Timer::Phys, TimerReg::Cval, 5000), 5001, "upper half is ignored");
        s.write(Timer::Phys, TimerReg::Tval, 0xffff_ffff, 0);
        assert_eq!(s.read(Timer::Phys, TimerReg::Cval, 0), u64::MAX, "below the counter's zero: unsigned");
        s.write(Timer::Phys, TimerReg::Ctl, 1, 0);
        assert!(!s.output(Timer::Phys, 0));
    }

    #[test]
    fn the_virtual_timer_sees_the_offset() {
        let mut s = armed(100);
        s.set_cntvoff(1000);
        assert!(s.output(Timer::Virt, 0), "0 - 1000 is a large unsigned count");
        assert!(!s.output(Timer::Virt, 1099));
        assert_eq!(s.next_deadline(1050), Some(1100));
        assert!(s.output(Timer::Virt, 1100));
        s.write(Timer::Virt, TimerReg::Tval, 7, 2000);
        assert_eq!(s.read(Timer::Virt, TimerReg::Cval, 2000), 1007);
        s.write(Timer::HypVirt, TimerReg::Tval, 7, 2000);
        assert_eq!(s.read(Timer::HypVirt, TimerReg::Cval, 2000), 2007, "CNTHV has no offset");
    }

    #[test]
    fn a_deadline_beyond_the_wrap_is_none() {
        let mut s = armed(u64::MAX);
        s.set_cntvoff(10);
        assert_eq!(s.next_deadline(100), None);
        assert_eq!(armed(u64::MAX).next_deadline(100), Some(u64::MAX));
        assert!(armed(u64::MAX).output(Timer::Virt, u64::MAX));
    }

    #[test]
    fn the_earliest_timer_counts() {
        let mut s = armed(1000);
        s.write(Timer::Hyp, TimerReg::Cval, 500, 0);
        assert_eq!(s.next_deadline(0), Some(1000), "not enabled");
        s.write(Timer::Hyp, TimerReg::Ctl, 1, 0);
        assert_eq!(s.next_deadline(0), Some(500));
        s.write(Timer::Hyp, TimerReg::Ctl, 3, 0);
        assert_eq!(s.next_deadline(0), Some(1000), "masked");
    }

    #[test]
    fn lines_follow_writes_time_and_restore() {
        let (sink, pin) = recorded();
        let off = IrqPin::disconnected;
        let t = GenericTimer::new(FREQUENCY, [pin, off(), off(), off(), off()]);
        t.write(Timer::Phys, TimerReg::Cval, 10, 0);
        t.write(Timer::Phys, TimerReg::Ctl, 1, 0);
        t.update(9);
        assert!(lock(&sink.0).is_empty());
        t.update(10);
        let saved = t.save().expect("saved");
        t.write(Timer::Phys, TimerReg::Tval, 10, 10);
        assert_eq!(*lock(&sink.0), [(1, true), (1, false)]);
        t.restore(&saved).expect("restored");
        t.update(10);
        t.reset();
        assert_eq!(*lock(&sink.0), [(1, true), (1, false), (1, true), (1, false)]);
        assert_eq!(t.read(Timer::Phys, TimerReg::Ctl, 99), 0);
    }
}

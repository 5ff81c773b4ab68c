//! One counter of an 8254. Time is passed in, in periods of `CLK`.

use serde::{Deserialize, Serialize};

/// Which bytes of a count are read and written (RW of the control word).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Access {
    Low,
    High,
    #[default]
    Both,
}

/// A count that replaces the one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Next {
    /// When.
    at: u64,
    /// It begins with the low half of a square wave.
    low: bool,
}

/// A counter: its control word, count register, counting element, latches and gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// 0 to 5.
    mode: u8,
    bcd: bool,
    access: Access,
    gate: bool,
    /// The count register as written.
    cr: u16,
    /// The count that the counting element was loaded with, 1 to 65536.
    n: u32,
    /// The first byte of two has been written.
    first: Option<u8>,
    /// The next byte read is the second of two.
    second: bool,
    latched: Option<u16>,
    status: Option<u8>,
    /// A count was loaded, or will be with the next `CLK`, since the control word.
    armed: bool,
    /// A count was written that waits for a trigger.
    waiting: bool,
    /// When the count was loaded.
    start: u64,
    /// Periods that had passed since when the gate stopped the counter.
    paused: Option<u64>,
    /// Level of `OUT` before `start`.
    before: bool,
    next: Option<Next>,
}

impl Counter {
    /// A counter before any control word.
    pub(super) fn new(gate: bool) -> Counter {
        Counter { gate, n: 0x1_0000, ..Counter::default() }
    }

    /// Whether a snapshot could have come from a counter.
    pub(super) fn is_valid(&self) -> bool {
        let at = self.next.map_or(0, |next| next.at);
        self.mode <= 5 && (1..=0x1_0000).contains(&self.n) && self.start.max(at) <= super::END_OF_TIME
    }

    fn modulus(&self) -> u64 {
        if self.bcd { 10_000 } else { 0x1_0000 }
    }

    /// What the count register stands for: 0 is the largest count.
    fn count(&self) -> u32 {
        let digits = |v: u16| (0..4).rev().fold(0, |n, i| n * 10 + u32::from(v >> (i * 4) & 0xf));
        let n = if self.bcd { digits(self.cr) } else { u32::from(self.cr) };
        if n == 0 { self.modulus() as u32 } else { n }
    }

    /// Periods for which a square wave is high: one more than it is low if the count is odd.
    fn high_half(&self) -> u64 {
        u64::from(self.n).div_ceil(2)
    }

    fn elapsed(&self, t: u64) -> u64 {
        self.paused.unwrap_or_else(|| t.saturating_sub(self.start))
    }

    /// Loads a new count if its time has come.
    pub(super) fn sync(&mut self, t: u64) {
        if let Some(next) = self.next
            && t >= next.at
        {
            self.apply(next);
        }
    }

    fn apply(&mut self, next: Next) {
        self.n = self.count();
        self.start = if next.low { next.at.saturating_sub(self.high_half()) } else { next.at };
        self.next = None;
    }

    /// Level of `OUT`.
    pub(super) fn out(&self, t: u64) -> bool {
        if !self.armed {
            return self.mode != 0;
        }
        if self.paused.is_none() && t < self.start {
            return self.before;
        }
        let n = u64::from(self.n);
        let elapsed = self.elapsed(t);
        match self.mode {
            0 | 1 => elapsed >= n,
            2 | 3 if self.paused.is_some() => true,
            2 => elapsed % n != n - 1,
            3 => elapsed % n < self.high_half(),
            _ => elapsed != n,
        }
    }

    /// The first time after `t` at which `OUT` rises, if nothing else happens to the counter.
    pub(super) fn next_rise(&self, t: u64) -> Option<u64> {
        if !self.armed || self.paused.is_some() {
            return None;
        }
        if let Some(next) = self.next {
            if !next.low {
                return Some(next.at);
            }
            let mut then = self.clone();
            then.apply(next);
            return then.next_rise(t);
        }
        let n = u64::from(self.n);
        let once = |at: u64| (at > t).then_some(at);
        match self.mode {
            0 | 1 => once(self.start + n),
            // A count of 1 is illegal in these modes; it gives no edges.
            2 | 3 if n == 1 => None,
            2 | 3 => Some(self.start + (t.saturating_sub(self.start) / n + 1) * n),
            _ => once(self.start + n + 1),
        }
    }

    /// The counting element, as a read shows it.
    fn value(&self, t: u64) -> u16 {
        let n = u64::from(self.n);
        let elapsed = self.elapsed(t);
        let m = self.modulus();
        let value = match self.mode {
            2 => n - elapsed % n,
            // Counts by two, an odd count from one less.
            3 => {
                let at = elapsed % n;
                let half = if at < self.high_half() { at } else { at - self.high_half() };
                (n & !1) - 2 * half
            }
            _ => (n % m + m - elapsed % m) % m,
        };
        let value = value % m;
        let bcd = || (0..4).fold(0, |v, i| v | (value / 10u64.pow(i) % 10) << (i * 4));
        (if self.bcd { bcd() } else { value }) as u16
    }

    /// A control word for this counter, other than the latch command.
    pub(super) fn control(&mut self, word: u8) {
        let mode = match word >> 1 & 7 {
            m @ 6..=7 => m - 4,
            m => m,
        };
        let access = match word >> 4 & 3 {
            1 => Access::Low,
            2 => Access::High,
            _ => Access::Both,
        };
        let Counter { gate, n, cr, .. } = *self;
        *self = Counter { gate, n, cr, mode, access, bcd: word & 1 != 0, ..Counter::default() };
    }

    /// Latches the count until it is read. Further commands until then are ignored.
    pub(super) fn latch(&mut self, t: u64) {
        if self.latched.is_none() {
            self.latched = Some(self.value(t));
        }
    }

    /// Latches the status: `OUT`, null count, RW, mode, BCD.
    pub(super) fn latch_status(&mut self, t: u64) {
        let null = !self.armed || self.waiting || self.next.is_some() || t < self.start;
        let rw = match self.access {
            Access::Low => 1,
            Access::High => 2,
            Access::Both => 3,
        };
        let status =
            u8::from(self.out(t)) << 7 | u8::from(null) << 6 | rw << 4 | self.mode << 1 | u8::from(self.bcd);
        self.status.get_or_insert(status);
    }

    /// Reads a byte: the latched status, the latched count, or the count as it is now.
    pub(super) fn read(&mut self, t: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let value = self.latched.unwrap_or_else(|| self.value(t));
        let last = self.access != Access::Both || self.second;
        let high = self.access == Access::High || self.second;
        self.second = !last;
        if last {
            self.latched = None;
        }
        value.to_le_bytes()[usize::from(high)]
    }

    /// Writes a byte of the count.
    pub(super) fn write(&mut self, value: u8, t: u64) {
        let v = u16::from(value);
        self.cr = match (self.access, self.first.take()) {
            (Access::Low, _) => v,
            (Access::High, _) => v << 8,
            (Access::Both, Some(low)) => v << 8 | u16::from(low),
            (Access::Both, None) => {
                self.first = Some(value);
                if self.mode == 0 {
                    // The first byte stops the counter, and OUT goes low.
                    self.armed = false;
                }
                return;
            }
        };
        self.written(t);
    }

    /// A count is complete.
    fn written(&mut self, t: u64) {
        match self.mode {
            1 | 5 => self.waiting = true,
            2 | 3 if self.armed && self.paused.is_some() => self.waiting = true,
            2 | 3 if self.armed && t >= self.start => {
                let n = u64::from(self.n);
                let at = (t - self.start) % n;
                let cycle = t - at;
                let high = self.high_half();
                // A square wave takes a new count at the end of the half, a rate generator at that of the cycle.
                self.next = Some(if self.mode == 3 && at < high && n > 1 {
                    Next { at: cycle + high, low: true }
                } else {
                    Next { at: cycle + n, low: false }
                });
            }
            _ => self.load(t, self.mode != 0),
        }
    }

    /// The next `CLK` loads the count register.
    fn load(&mut self, t: u64, before: bool) {
        self.n = self.count();
        self.start = t + 1;
        self.before = before;
        self.armed = true;
        self.waiting = false;
        self.next = None;
        let runs = self.gate || matches!(self.mode, 1 | 5);
        self.paused = if runs { None } else { Some(0) };
    }

    /// Period of the square wave that the counter makes, if it does.
    pub(super) fn square_wave(&self) -> Option<u32> {
        (self.mode == 3 && self.armed && self.paused.is_none()).then_some(self.n)
    }

    /// Level of the gate.
    pub(super) fn gate(&self) -> bool {
        self.gate
    }

    /// Drives the gate.
    pub(super) fn set_gate(&mut self, gate: bool, t: u64) {
        if self.gate == gate {
            return;
        }
        self.gate = gate;
        match (self.mode, gate) {
            (1, true) if self.armed || self.waiting => self.load(t, self.out(t)),
            (5, true) if self.armed || self.waiting => self.load(t, true),
            (1 | 5, _) => {}
            (2 | 3, true) if self.armed => self.load(t, true),
            (_, true) => {
                if let Some(elapsed) = self.paused.take() {
                    self.start = t.saturating_sub(elapsed);
                }
            }
            (_, false) if self.armed => {
                self.paused = Some(self.elapsed(t));
                self.waiting |= self.next.take().is_some();
            }
            (_, false) => {}
        }
    }
}

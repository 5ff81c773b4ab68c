//! The clock's registers. Time is passed in, as nanoseconds of guest time.

use serde::{Deserialize, Serialize};

use super::Mc146818;
use super::calendar::{date, days, weekday};
use crate::time::{ns_to_ticks, ticks_to_ns};

/// Frequency of the time base in Hz.
const TIME_BASE: u64 = 32_768;

const NS_PER_S: u64 = 1_000_000_000;

/// `UIP` is set this long before an update begins (t_BUC), in ns. The update itself takes no time here.
const BEFORE_UPDATE: u64 = 244_000;

const SECONDS: usize = 0;
const SECONDS_ALARM: usize = 1;
const MINUTES: usize = 2;
const MINUTES_ALARM: usize = 3;
const HOURS: usize = 4;
const HOURS_ALARM: usize = 5;
const WEEKDAY: usize = 6;
const DAY: usize = 7;
const MONTH: usize = 8;
const YEAR: usize = 9;
const A: usize = 10;
const B: usize = 11;
const C: usize = 12;
const D: usize = 13;
const CENTURY: usize = Mc146818::CENTURY as usize;

const A_UIP: u8 = 1 << 7;
const A_DV: u8 = 7 << 4;
const A_RS: u8 = 0xf;
/// The divider runs from 32.768 kHz.
const DV_32768: u8 = 2 << 4;
/// In this value of DV and the one above, the divider is held in reset.
const DV_RESET: u8 = 6 << 4;

const B_24: u8 = 1 << 1;
const B_DM: u8 = 1 << 2;
const B_SQWE: u8 = 1 << 3;
const B_UIE: u8 = 1 << 4;
const B_AIE: u8 = 1 << 5;
const B_PIE: u8 = 1 << 6;
const B_SET: u8 = 1 << 7;

/// Flags of register C, each at the place of its enable in register B.
const C_UF: u8 = B_UIE;
const C_AF: u8 = B_AIE;
const C_PF: u8 = B_PIE;
const C_IRQF: u8 = 1 << 7;

const D_VRT: u8 = 1 << 7;

/// Hours are in the afternoon, in 12-hour mode.
const PM: u8 = 1 << 7;

/// No time that is kept is later than this, in ns or s: a bound for what comes from snapshots.
const END_OF_TIME: u64 = 1 << 62;

/// The RAM, in whose first bytes the registers are, and the time behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mc146818State {
    /// In four parts: serde's arrays end at 32, and a vector could have any length.
    ram: [[u8; 32]; 4],
    index: u8,
    nmi_masked: bool,
    /// Seconds since 1970 that the clock showed at `origin`, in the guest's idea of a time zone.
    base: i64,
    /// Guest time at which a second began.
    origin: u64,
    /// Guest time at which the divider was started: periodic interrupts count from here.
    divider: u64,
    /// What the guest added to the day of the week.
    weekday_offset: u8,
    now: u64,
}

impl Default for Mc146818State {
    fn default() -> Self {
        let mut state = Mc146818State {
            ram: [[0; 32]; 4],
            index: 0,
            nmi_masked: false,
            base: 0,
            origin: 0,
            divider: 0,
            weekday_offset: 0,
            now: 0,
        };
        // What firmware leaves: 32.768 kHz, 1024 Hz, 24 hours, BCD.
        *state.at(A) = DV_32768 | 6;
        *state.at(B) = B_24;
        state
    }
}

impl Mc146818State {
    /// A byte of RAM; `index` is taken modulo 128.
    fn at(&mut self, index: usize) -> &mut u8 {
        &mut self.ram[index / 32 % 4][index % 32]
    }

    fn get(&self, index: usize) -> u8 {
        self.ram[index / 32 % 4][index % 32]
    }

    pub(super) fn is_valid(&self) -> bool {
        let times = [self.origin, self.divider, self.now, self.base.unsigned_abs()];
        times.into_iter().all(|t| t <= END_OF_TIME) && self.origin <= self.now + NS_PER_S
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn nmi_masked(&self) -> bool {
        self.nmi_masked
    }

    /// The divider counts.
    fn divider_runs(&self) -> bool {
        self.get(A) & A_DV < DV_RESET
    }

    /// Seconds are counted.
    fn runs(&self) -> bool {
        self.divider_runs() && self.get(B) & B_SET == 0
    }

    /// Whole seconds from `origin` to `t`.
    fn seconds(&self, t: u64) -> u64 {
        t.saturating_sub(self.origin) / NS_PER_S
    }

    /// What the clock shows while it runs.
    fn running_time(&self, t: u64) -> i64 {
        self.base.saturating_add_unsigned(self.seconds(t))
    }

    /// What the clock shows, as seconds since 1970.
    pub(super) fn time(&self) -> i64 {
        if self.runs() { self.running_time(self.now) } else { self.parse() }
    }

    /// Sets the clock; a second begins at `now`.
    pub(super) fn set_time(&mut self, unix: i64, now: u64) {
        // Four digits of years.
        let first = days(0, 1, 1) * 86_400;
        let last = days(10_000, 1, 1) * 86_400 - 1;
        self.now = self.now.max(now);
        self.base = unix.clamp(first, last);
        self.origin = self.now;
        self.divider = self.now;
        self.weekday_offset = 0;
        self.show(self.base);
    }

    /// A number as the data mode has it.
    fn encode(&self, n: u8) -> u8 {
        if self.get(B) & B_DM != 0 { n } else { ((n / 10 % 10) << 4) | (n % 10) }
    }

    fn decode(&self, n: u8) -> u8 {
        if self.get(B) & B_DM != 0 { n } else { (n >> 4) * 10 + (n & 0xf) }
    }

    fn encode_hour(&self, hour: u8) -> u8 {
        if self.get(B) & B_24 != 0 {
            return self.encode(hour);
        }
        let pm = if hour >= 12 { PM } else { 0 };
        self.encode((hour + 11) % 12 + 1) | pm
    }

    fn decode_hour(&self, value: u8) -> u8 {
        if self.get(B) & B_24 != 0 {
            return self.decode(value);
        }
        self.decode(value & !PM) % 12 + if value & PM != 0 { 12 } else { 0 }
    }

    /// Puts a time into the registers.
    fn show(&mut self, time: i64) {
        let day = time.div_euclid(86_400);
        let second = time.rem_euclid(86_400);
        let (year, month, of_month) = date(day);
        let of_week = (weekday(day) - 1 + self.weekday_offset) % 7 + 1;
        *self.at(SECONDS) = self.encode((second % 60) as u8);
        *self.at(MINUTES) = self.encode((second / 60 % 60) as u8);
        *self.at(HOURS) = self.encode_hour((second / 3600) as u8);
        *self.at(WEEKDAY) = self.encode(of_week);
        *self.at(DAY) = self.encode(of_month);
        *self.at(MONTH) = self.encode(month);
        *self.at(YEAR) = self.encode(year.rem_euclid(100) as u8);
        *self.at(CENTURY) = self.encode((year.div_euclid(100) % 100) as u8);
    }

    /// The day that the registers show, without the day of the week. What is no date counts as the nearest.
    fn parse_day(&self) -> i64 {
        let year = i64::from(self.decode(self.get(CENTURY)).min(99)) * 100
            + i64::from(self.decode(self.get(YEAR)).min(99));
        days(year, self.decode(self.get(MONTH)).clamp(1, 12), self.decode(self.get(DAY)).clamp(1, 31))
    }

    fn parse(&self) -> i64 {
        let hour = self.decode_hour(self.get(HOURS)).min(23);
        let minute = self.decode(self.get(MINUTES)).min(59);
        let second = self.decode(self.get(SECONDS)).min(59);
        self.parse_day() * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
    }

    /// Takes the time from the registers, leaving the phase of the second alone.
    fn take(&mut self) {
        let day = self.parse_day();
        let of_week = self.decode(self.get(WEEKDAY)).clamp(1, 7);
        self.weekday_offset = (of_week + 7 - weekday(day)) % 7;
        self.origin += self.seconds(self.now) * NS_PER_S;
        self.base = self.parse();
    }

    /// Whether an alarm register matches: two ones at the top match everything.
    fn matches(alarm: u8, value: u8) -> bool {
        alarm & 0xc0 == 0xc0 || alarm == value
    }

    /// Whether the alarm is due at second `s` of the day.
    fn hour_matches(&self, s: u32) -> bool {
        Mc146818State::matches(self.get(HOURS_ALARM), self.encode_hour((s / 3600) as u8))
    }

    fn minute_matches(&self, s: u32) -> bool {
        Mc146818State::matches(self.get(MINUTES_ALARM), self.encode((s / 60 % 60) as u8))
    }

    fn second_matches(&self, s: u32) -> bool {
        Mc146818State::matches(self.get(SECONDS_ALARM), self.encode((s % 60) as u8))
    }

    /// Seconds from `time` to the next alarm, 1 to 86400.
    fn alarm_after(&self, time: i64) -> Option<u64> {
        let from = time.rem_euclid(86_400) as u32 + 1;
        let mut s = from;
        while s <= from + 86_400 {
            let of_day = s % 86_400;
            if !self.hour_matches(of_day) {
                s += 3600 - of_day % 3600;
            } else if !self.minute_matches(of_day) {
                s += 60 - of_day % 60;
            } else if !self.second_matches(of_day) {
                s += 1;
            } else {
                return Some(u64::from(s - from) + 1).filter(|&n| n <= 86_400);
            }
        }
        None
    }

    /// Period of the periodic interrupt in ticks of the time base.
    fn period(&self) -> Option<u64> {
        let rate = match self.get(A) & A_RS {
            0 => return None,
            // 256 Hz and 128 Hz with this time base, as 8 and 9.
            r @ 1..=2 => r + 7,
            r => r,
        };
        self.divider_runs().then_some(1 << (rate - 1))
    }

    /// Guest time of the first periodic interrupt after `t`.
    fn next_period(&self, t: u64) -> Option<u64> {
        let period = self.period()?;
        let ticks = ns_to_ticks(t.saturating_sub(self.divider), TIME_BASE);
        Some(self.divider.saturating_add(ticks_to_ns((ticks / period + 1) * period, TIME_BASE)))
    }

    /// Guest time at which the second begins that is `n` after the one at `t`.
    fn second_after(&self, t: u64, n: u64) -> u64 {
        if t < self.origin {
            return self.origin.saturating_add((n - 1) * NS_PER_S);
        }
        self.origin.saturating_add((self.seconds(t) + n) * NS_PER_S)
    }

    /// Guest time of the first alarm after `t`.
    fn next_alarm(&self, t: u64) -> Option<u64> {
        let time = if t < self.origin { self.base - 1 } else { self.running_time(t) };
        Some(self.second_after(t, self.alarm_after(time)?))
    }

    /// Lets time pass.
    pub(super) fn update(&mut self, now: u64) {
        let t = self.now;
        let now = now.max(t);
        let mut flags = 0;
        if self.next_period(t).is_some_and(|at| at <= now) {
            flags |= C_PF;
        }
        if self.runs() && self.second_after(t, 1) <= now {
            flags |= C_UF;
            if self.next_alarm(t).is_some_and(|at| at <= now) {
                flags |= C_AF;
            }
        }
        *self.at(C) |= flags;
        self.now = now;
    }

    /// Level of the interrupt: `IRQF`.
    pub(super) fn interrupt(&self) -> bool {
        self.get(C) & self.get(B) & (C_PF | C_AF | C_UF) != 0
    }

    pub(super) fn next_event(&self) -> Option<u64> {
        if self.interrupt() {
            return None;
        }
        let b = self.get(B);
        let periodic = self.next_period(self.now).filter(|_| b & B_PIE != 0);
        let update = (self.runs() && b & B_UIE != 0).then(|| self.second_after(self.now, 1));
        let alarm = if self.runs() && b & B_AIE != 0 { self.next_alarm(self.now) } else { None };
        [periodic, update, alarm].into_iter().flatten().min()
    }

    /// Writes the index port.
    pub(super) fn select(&mut self, value: u8) {
        self.index = value & 0x7f;
        self.nmi_masked = value & 0x80 != 0;
    }

    fn is_time(index: usize) -> bool {
        matches!(index, SECONDS | MINUTES | HOURS | WEEKDAY..=YEAR | CENTURY)
    }

    fn update_in_progress(&self) -> bool {
        let next = self.second_after(self.now, 1);
        self.runs() && next - self.now <= BEFORE_UPDATE
    }

    /// A register as the guest sees it.
    pub(super) fn peek(&mut self, index: u8) -> u8 {
        let index = usize::from(index);
        match index {
            A if self.update_in_progress() => self.get(A) | A_UIP,
            C if self.interrupt() => self.get(C) | C_IRQF,
            D => D_VRT,
            i if Mc146818State::is_time(i) && self.runs() => {
                self.show(self.running_time(self.now));
                self.get(i)
            }
            i => self.get(i),
        }
    }

    /// Sets RAM that is no register.
    pub(super) fn poke(&mut self, index: u8, value: u8) {
        let index = usize::from(index);
        if index > D && index != CENTURY {
            *self.at(index) = value;
        }
    }

    /// Reads the data port.
    pub(super) fn read(&mut self) -> u8 {
        let value = self.peek(self.index);
        if usize::from(self.index) == C {
            // Reading register C clears it, and the interrupt with it.
            *self.at(C) = 0;
        }
        value
    }

    /// Writes the data port.
    pub(super) fn write(&mut self, value: u8) {
        let index = usize::from(self.index);
        match index {
            A => {
                let ran = self.divider_runs();
                self.freeze();
                *self.at(A) = value & !A_UIP;
                match (ran, self.divider_runs()) {
                    (false, true) => {
                        // "The first update cycle begins one-half second later."
                        self.divider = self.now;
                        self.origin = self.now.saturating_sub(NS_PER_S / 2);
                        self.thaw();
                    }
                    (true, true) => self.thaw(),
                    _ => {}
                }
            }
            B => {
                self.freeze();
                // SET inhibits updates, and clears UIE.
                *self.at(B) = if value & B_SET != 0 { value & !B_UIE } else { value };
                self.thaw();
            }
            C | D => {}
            i if Mc146818State::is_time(i) => {
                self.freeze();
                *self.at(i) = value;
                self.thaw();
            }
            i => *self.at(i) = value,
        }
    }

    /// Before a change: puts the time into the registers if the clock runs.
    fn freeze(&mut self) {
        if self.runs() {
            self.show(self.running_time(self.now));
        }
    }

    /// After a change: takes it from them if the clock runs.
    fn thaw(&mut self) {
        if self.runs() {
            self.take();
        }
    }

    /// The `RESET` pin.
    pub(super) fn reset(&mut self) {
        *self.at(B) &= !(B_PIE | B_AIE | B_UIE | B_SQWE);
        *self.at(C) = 0;
        self.index = 0;
        self.nmi_masked = false;
    }
}

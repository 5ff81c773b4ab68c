//! Expectations from the MC146818 datasheet (Motorola ADI856).

use super::*;
use crate::irq::tests::{Recorder, recorded};
use crate::time::tests::TestClock;

const S: u64 = 1_000_000_000;
/// 2024-02-28 23:59:58 UTC, a Wednesday.
const START: i64 = 1_709_164_798;

struct Rtc {
    chip: Mc146818,
    clock: Arc<TestClock>,
    sink: Arc<Recorder>,
}

impl Rtc {
    fn new() -> Rtc {
        let clock = TestClock::new();
        clock.set(5 * S);
        let (sink, pin) = recorded();
        Rtc { chip: Mc146818::new(pin, clock.clone(), START), clock, sink }
    }

    /// `ns` after the start.
    fn at(&self, ns: u64) -> &Rtc {
        self.clock.set(5 * S + ns);
        self.chip.update();
        self
    }

    fn get(&self, index: u8) -> u8 {
        self.chip.write(0, index);
        self.chip.read(1)
    }

    fn set(&self, index: u8, value: u8) {
        self.chip.write(0, index);
        self.chip.write(1, value);
    }

    /// Century, year, month, day, weekday, hours, minutes, seconds.
    fn time(&self) -> [u8; 8] {
        [0x32, 9, 8, 7, 6, 4, 2, 0].map(|i| self.get(i))
    }

    /// What C shows and how long after the start the next event is due.
    fn next(&self) -> Option<u64> {
        self.chip.next_event().map(|ns| ns - 5 * S)
    }

    fn levels(&self) -> Vec<bool> {
        lock(&self.sink.0).iter().map(|c| c.1).collect()
    }
}

#[test]
fn shows_the_time_in_bcd() {
    let r = Rtc::new();
    assert_eq!(r.time(), [0x20, 0x24, 2, 0x28, 4, 0x23, 0x59, 0x58]);
    r.at(2 * S - 1);
    assert_eq!(r.get(0), 0x59);
    r.at(2 * S);
    assert_eq!(r.time(), [0x20, 0x24, 2, 0x29, 5, 0, 0, 0], "a leap day");
    r.at((2 + 86_400) * S);
    assert_eq!(r.time()[2..5], [3, 1, 6]);
    assert_eq!(r.chip.time(), START + 2 + 86_400);
}

#[test]
fn binary_and_twelve_hours() {
    let r = Rtc::new();
    r.set(0x0b, 0x86);
    for (i, v) in [(0x32, 19), (9, 99), (8, 12), (7, 31), (6, 6), (4, 23), (2, 59), (0, 59)] {
        r.set(i, v);
    }
    r.at(10 * S + S / 2);
    assert_eq!(r.time(), [19, 99, 12, 31, 6, 23, 59, 59], "SET inhibits the update");
    assert_eq!(r.next(), None);
    r.set(0x0b, 0x06);
    assert_eq!(r.chip.time(), 946_684_799);
    r.at(11 * S);
    assert_eq!(r.time(), [20, 0, 1, 1, 7, 0, 0, 0], "SET leaves the phase of the second alone");
    r.set(0x0b, 0x84);
    r.set(4, 0x80 | 12);
    r.set(0x0b, 0x04);
    assert_eq!(r.chip.time() % 86_400, 12 * 3600);
    r.at(11 * S + 3600 * S);
    assert_eq!(r.get(4), 0x81, "one in the afternoon");
    r.at(11 * S + 12 * 3600 * S);
    assert_eq!(r.get(4), 12, "midnight");
}

#[test]
fn a_write_to_a_running_clock_takes_effect() {
    let r = Rtc::new();
    r.at(S / 4);
    r.set(4, 0x12);
    r.set(6, 1);
    assert_eq!(r.time(), [0x20, 0x24, 2, 0x28, 1, 0x12, 0x59, 0x58]);
    r.at(S);
    assert_eq!(r.get(0), 0x59);
    r.at(12 * 3600 * S);
    assert_eq!(r.get(6), 2, "the day of the week only counts on");
}

#[test]
fn reset_values_and_read_only_bits() {
    let r = Rtc::new();
    assert_eq!([0x0a, 0x0b, 0x0c, 0x0d].map(|i| r.get(i)), [0x26, 0x02, 0, 0x80]);
    r.set(0x0d, 0);
    r.set(0x0c, 0xff);
    assert_eq!((r.get(0x0c), r.get(0x0d)), (0, 0x80));
    r.set(0x0a, 0xaf);
    assert_eq!(r.get(0x0a), 0x2f, "UIP is read-only");
    assert_eq!(r.chip.read(0), 0xff, "the index is write-only");
}

#[test]
fn update_in_progress_comes_before_the_update() {
    let r = Rtc::new();
    assert_eq!(r.at(S - 244_001).get(0x0a), 0x26);
    assert_eq!(r.at(S - 244_000).get(0x0a), 0xa6);
    assert_eq!(r.at(S - 1).get(0x0a), 0xa6);
    assert_eq!(r.at(S).get(0x0a), 0x26);
    r.set(0x0b, 0x82);
    assert_eq!(r.at(2 * S - 1).get(0x0a), 0x26, "SET clears UIP");
}

#[test]
fn the_update_ended_interrupt() {
    let r = Rtc::new();
    r.set(0x0b, 0x12);
    assert_eq!(r.next(), Some(S));
    r.at(S - 1);
    assert!(r.levels().is_empty());
    r.at(S);
    assert_eq!(r.next(), None, "nothing more until register C is read");
    // The periodic flag is set as well, though its interrupt is not enabled.
    assert_eq!(r.get(0x0c), 0xd0);
    assert_eq!(r.get(0x0c), 0, "reading clears it");
    assert_eq!(r.levels(), [true, false]);
    assert_eq!(r.next(), Some(2 * S));
    r.set(0x0b, 0x92);
    assert_eq!(r.get(0x0b), 0x82, "SET clears UIE");
}

#[test]
fn the_periodic_interrupt() {
    let r = Rtc::new();
    r.set(0x0b, 0x42);
    // 1024 Hz: 976.5625 µs.
    assert_eq!(r.next(), Some(976_563));
    r.at(976_563);
    assert_eq!(r.get(0x0c), 0xc0);
    assert_eq!(r.next(), Some(1_953_125));
    let rates: Vec<Option<u64>> = [0x20, 0x21, 0x22, 0x23, 0x2f]
        .into_iter()
        .map(|a| {
            r.set(0x0a, a);
            r.next()
        })
        .collect();
    assert_eq!(
        rates,
        [None, Some(3_906_250), Some(7_812_500), Some(976_563 + 122_070), Some(500_000_000)],
        "periods of the datasheet's table, counted from when the divider began"
    );
}

#[test]
fn the_alarm_interrupt() {
    let r = Rtc::new();
    for (i, v) in [(1, 0x05), (3, 0x01), (5, 0x00)] {
        r.set(i, v);
    }
    r.set(0x0b, 0x22);
    assert_eq!(r.next(), Some(67 * S), "00:01:05");
    r.at(66 * S);
    assert!(r.levels().is_empty());
    r.at(67 * S);
    assert_eq!(r.get(0x0c) & 0xa0, 0xa0);
    assert_eq!(r.next(), Some((67 + 86_400) * S), "once a day");
    r.set(5, 0xff);
    assert_eq!(r.next(), Some((67 + 3600) * S), "don't care: once an hour");
    r.set(3, 0xc0);
    r.set(1, 0xc0);
    assert_eq!(r.next(), Some(68 * S), "every second");
    r.set(1, 0x61);
    assert_eq!(r.next(), None, "never");
}

#[test]
fn a_pm_alarm() {
    let r = Rtc::new();
    r.set(0x0b, 0x80);
    r.set(4, 0x91);
    r.set(2, 0);
    r.set(0, 0);
    for (i, v) in [(1, 0), (3, 0x30), (5, 0x91)] {
        r.set(i, v);
    }
    r.set(0x0b, 0x20);
    assert_eq!(r.chip.time() % 86_400, 23 * 3600, "11 PM");
    assert_eq!(r.next(), Some(1800 * S));
}

#[test]
fn the_divider_can_be_held_in_reset() {
    let r = Rtc::new();
    r.set(0x0b, 0x12);
    r.at(S / 10);
    r.set(0x0a, 0x66);
    assert_eq!(r.next(), None);
    r.at(10 * S);
    assert_eq!(r.get(0), 0x58);
    r.set(0x0a, 0x26);
    assert_eq!(r.next(), Some(10 * S + S / 2), "the first update is half a second later");
    r.at(10 * S + S / 2);
    assert_eq!(r.get(0), 0x59);
}

#[test]
fn ram_and_nmi_mask() {
    let r = Rtc::new();
    r.set(0x7f, 0xa5);
    r.chip.poke(0x34, 0x12);
    r.chip.poke(0x80 | 0x35, 0x13);
    r.chip.poke(0x0d, 0);
    assert_eq!([0x7f, 0x34, 0x35, 0x0d].map(|i| r.get(i)), [0xa5, 0x12, 0x13, 0x80]);
    assert!(!r.chip.nmi_masked());
    assert_eq!(r.get(0x80 | 0x34), 0x12);
    assert!(r.chip.nmi_masked());
    r.set(0x33, 1);
    assert!(!r.chip.nmi_masked());
    assert_eq!(r.chip.peek(0x7f), 0xa5);
}

#[test]
fn reset_keeps_time_and_ram() {
    let r = Rtc::new();
    r.set(0x0b, 0x7a);
    r.set(0x40, 7);
    r.at(S);
    assert_eq!(r.levels(), [true]);
    r.chip.reset();
    assert_eq!(r.levels(), [true, false]);
    assert_eq!([0x0b, 0x0c, 0x40, 0].map(|i| r.get(i)), [0x02, 0, 7, 0x59]);
}

#[test]
fn saves_and_restores() {
    let r = Rtc::new();
    r.set(0x0b, 0x12);
    r.at(S + S / 2);
    let saved = r.chip.save().expect("saved");
    r.get(0x0c);
    r.chip.set_time(0);
    assert_eq!(r.chip.restore(&saved), Ok(()));
    assert_eq!(r.levels(), [true, false, true]);
    assert_eq!((r.get(0), r.get(0x0c) & 0x90), (0x59, 0x90));
    r.at(2 * S);
    assert_eq!(r.get(0), 0);
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let r = Rtc::new();
    for step in 0..20_000u32 {
        let x = step.wrapping_mul(0x9e37_79b9) >> 6;
        r.set((x % 16) as u8, (x >> 3) as u8);
        r.set(0x32, (x >> 9) as u8);
        r.get((x >> 5) as u8);
        r.at(u64::from(step) * u64::from(x & 0xf_ffff));
        r.chip.next_event();
    }
    r.chip.set_time(i64::MAX);
    r.chip.set_time(i64::MIN);
    assert_eq!(r.time()[..4], [0, 0, 1, 1]);
}

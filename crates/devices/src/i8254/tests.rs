//! Expectations from Intel 231164 ("8254"): the figures of the modes, and the tables of gate and new counts.

use super::*;
use crate::irq::tests::{Recorder, recorded};
use crate::time::tests::TestClock;

struct Pit {
    chip: I8254,
    clock: Arc<TestClock>,
    sink: Arc<Recorder>,
    t: u64,
}

impl Pit {
    fn new() -> Pit {
        let clock = TestClock::new();
        let (sink, pin) = recorded();
        Pit { chip: I8254::new(pin, clock.clone()), clock, sink, t: 0 }
    }

    /// Goes to time `t` in periods of CLK.
    fn at(&mut self, t: u64) -> &I8254 {
        self.t = t;
        self.clock.set(ticks_to_ns(t, FREQUENCY));
        self.chip.update();
        &self.chip
    }

    fn write(&self, reg: u16, value: u8) {
        self.chip.write(reg, value);
    }

    fn count(&self, counter: u16) -> u16 {
        self.write(3, (counter << 6) as u8);
        u16::from_le_bytes([self.chip.read(counter), self.chip.read(counter)])
    }

    /// Status byte by the read-back command.
    fn status(&self, counter: u16) -> u8 {
        self.write(3, 0xe0 | 2 << counter);
        self.chip.read(counter)
    }

    fn gate2(&self, high: bool) {
        self.write(4, high.into());
    }

    /// Levels of the output of counter 2 in the periods from `from` on.
    fn wave(&mut self, from: u64, len: u64) -> String {
        (from..from + len).map(|t| if self.at(t).read(4) & 0x20 != 0 { '1' } else { '0' }).collect()
    }

    /// Times of the rising edges of counter 0's pin up to `end`, found by following [`I8254::next_event`].
    fn edges(&mut self, end: u64) -> Vec<u64> {
        let mut edges = Vec::new();
        while let Some(ns) = self.chip.next_event() {
            if ns > ticks_to_ns(end, FREQUENCY) {
                break;
            }
            self.clock.set(ns - 1);
            self.chip.update();
            lock(&self.sink.0).clear();
            self.clock.set(ns);
            self.chip.update();
            assert_eq!(lock(&self.sink.0).last(), Some(&(1, true)), "an edge, and not before {ns} ns");
            edges.push(ns_to_ticks(ns, FREQUENCY));
        }
        edges
    }
}

/// Control word for counter 2, both bytes, and a count.
fn program2(p: &Pit, mode: u8, count: u16) {
    p.write(3, 0xb0 | mode << 1);
    let [low, high] = count.to_le_bytes();
    p.write(2, low);
    p.write(2, high);
}

fn program0(p: &Pit, mode: u8, count: u16) {
    p.write(3, 0x30 | mode << 1);
    let [low, high] = count.to_le_bytes();
    p.write(0, low);
    p.write(0, high);
}

#[test]
fn mode_0_interrupt_on_terminal_count() {
    let mut p = Pit::new();
    p.gate2(true);
    p.at(10);
    program2(&p, 0, 4);
    // "OUT does not go high until N + 1 CLK pulses after the initial count is written."
    assert_eq!(p.wave(10, 8), "00000111");
    p.at(20);
    assert_eq!(p.count(2), 0xfffb, "goes on below zero: 11 - 4 = 5 periods later, 20 - 15");
    program2(&p, 0, 3);
    p.at(22);
    assert_eq!(p.count(2), 2);
    p.gate2(false);
    p.at(40);
    assert_eq!(p.count(2), 2, "GATE = 0 disables counting");
    p.gate2(true);
    assert_eq!(p.wave(40, 4), "0011");
    // "Writing the first byte disables counting. OUT is set low immediately."
    p.write(2, 2);
    assert_eq!(p.wave(44, 3), "000");
    p.write(2, 0);
    assert_eq!(p.wave(46, 5), "00011");
}

#[test]
fn mode_0_takes_a_count_while_the_gate_is_low() {
    let mut p = Pit::new();
    program2(&p, 0, 2);
    assert_eq!(p.wave(0, 5), "00000");
    p.gate2(true);
    assert_eq!(p.wave(4, 4), "0011", "it was loaded already: N pulses after the gate");
}

#[test]
fn mode_1_retriggerable_one_shot() {
    let mut p = Pit::new();
    program2(&p, 1, 3);
    assert_eq!(p.wave(0, 4), "1111");
    p.gate2(true);
    assert_eq!(p.wave(3, 6), "100011", "low for N pulses from the one after the trigger");
    p.gate2(false);
    p.gate2(true);
    assert_eq!(p.wave(8, 3), "100");
    p.gate2(false);
    p.gate2(true);
    assert_eq!(p.wave(10, 6), "000011", "retriggered");
    p.gate2(false);
    p.gate2(true);
    p.at(16);
    p.write(2, 5);
    p.write(2, 0);
    assert_eq!(p.wave(16, 4), "0001", "a new count waits for the next trigger");
    p.gate2(false);
    p.gate2(true);
    assert_eq!(p.wave(19, 8), "10000011");
}

#[test]
fn mode_2_rate_generator() {
    let mut p = Pit::new();
    p.gate2(true);
    program2(&p, 2, 3);
    assert_eq!(p.wave(0, 11), "11101101101");
    p.at(13);
    assert_eq!(p.count(2), 3);
    p.at(14);
    assert_eq!(p.count(2), 2);
    // "Writing a new count while counting does not affect the current counting sequence."
    p.write(2, 4);
    p.write(2, 0);
    assert_eq!(p.status(2) & 0x40, 0x40, "null count");
    assert_eq!(p.wave(14, 10), "1011101110");
    assert_eq!(p.status(2), 0x34, "not null, low");
    p.gate2(false);
    assert_eq!(p.wave(23, 4), "1111", "GATE low during a pulse sets OUT high");
    p.gate2(true);
    assert_eq!(p.wave(26, 6), "111101", "GATE's rise reloads");
}

#[test]
fn mode_3_square_wave() {
    let mut p = Pit::new();
    p.gate2(true);
    program2(&p, 3, 4);
    assert_eq!(p.wave(0, 10), "1110011001");
    p.at(9);
    assert_eq!(p.count(2), 4);
    p.at(10);
    assert_eq!(p.count(2), 2);
    p.at(11);
    assert_eq!(p.count(2), 4);
    program2(&p, 3, 5);
    // High for (N + 1) / 2, low for (N - 1) / 2.
    assert_eq!(p.wave(11, 12), "111100111001");
    let counts: Vec<u16> = (22..28)
        .map(|t| {
            p.at(t);
            p.count(2)
        })
        .collect();
    assert_eq!(counts, [4, 2, 0, 4, 2, 4]);
    assert_eq!(p.wave(27, 3), "111");
    p.write(2, 2);
    p.write(2, 0);
    assert_eq!(p.wave(29, 7), "1010101", "a new count counts from the end of the half");
    p.gate2(false);
    p.at(36);
    p.gate2(false);
    assert_eq!(p.wave(36, 3), "111");
}

#[test]
fn mode_4_software_strobe() {
    let mut p = Pit::new();
    p.gate2(true);
    program2(&p, 4, 3);
    // "OUT does not strobe low until N + 1 CLK pulses after the initial count is written."
    assert_eq!(p.wave(0, 8), "11110111");
    p.at(8);
    assert_eq!(p.count(2), 0xfffc);
    program2(&p, 4, 2);
    assert_eq!(p.wave(8, 3), "111");
    p.gate2(false);
    assert_eq!(p.wave(10, 5), "11111");
    p.gate2(true);
    assert_eq!(p.wave(14, 4), "1011");
}

#[test]
fn mode_5_hardware_strobe() {
    let mut p = Pit::new();
    program2(&p, 5, 3);
    assert_eq!(p.wave(0, 3), "111");
    p.gate2(true);
    assert_eq!(p.wave(2, 7), "1111011", "N + 1 pulses after the trigger");
    p.gate2(false);
    p.gate2(true);
    p.at(10);
    p.gate2(false);
    p.gate2(true);
    assert_eq!(p.wave(10, 7), "1111011", "retriggered");
}

#[test]
fn bcd_counts_four_digits() {
    let mut p = Pit::new();
    p.gate2(true);
    p.write(3, 0xb1);
    p.write(2, 0x00);
    p.write(2, 0x10);
    p.at(2);
    assert_eq!(p.count(2), 0x0999);
    p.at(1002);
    assert_eq!(p.count(2), 0x9999);
    p.write(3, 0xb5);
    p.write(2, 0);
    p.write(2, 0);
    p.at(1002 + 1 + 1);
    assert_eq!(p.count(2), 0x9999, "0 stands for 10,000");
    p.at(1002 + 1 + 10_001);
    assert_eq!(p.count(2), 0x9999);
}

#[test]
fn zero_is_the_largest_count() {
    let mut p = Pit::new();
    program0(&p, 2, 0);
    p.at(1);
    assert_eq!(p.count(0), 0);
    p.at(2);
    assert_eq!(p.count(0), 0xffff);
    assert_eq!(p.edges(3 * 65536), [65537, 131_073]);
}

#[test]
fn latches_hold_until_they_are_read() {
    let mut p = Pit::new();
    program0(&p, 2, 1000);
    p.at(11);
    p.write(3, 0x00);
    p.at(101);
    p.write(3, 0x00);
    assert_eq!((p.chip.read(0), p.chip.read(0)), (0xde, 0x03), "990, latched first");
    assert_eq!((p.chip.read(0), p.chip.read(0)), (0x84, 0x03), "900, as it is now");
    // Read-back of count and status: the status comes first.
    p.write(3, 0xc2);
    p.at(201);
    assert_eq!(p.chip.read(0), 0xb4);
    assert_eq!((p.chip.read(0), p.chip.read(0)), (0x84, 0x03));
    assert_eq!((p.chip.read(0), p.chip.read(0)), (0x20, 0x03));
}

#[test]
fn one_byte_counts() {
    let mut p = Pit::new();
    p.write(3, 0x14);
    p.write(0, 100);
    p.at(11);
    assert_eq!((p.chip.read(0), p.chip.read(0)), (90, 90));
    p.write(3, 0x24);
    p.write(0, 0x12);
    p.at(12);
    assert_eq!(p.chip.read(0), 0x12);
    assert_eq!(p.status(0), 0xa4);
    p.at(13);
    assert_eq!(p.chip.read(0), 0x11);
}

#[test]
fn the_status_shows_control_word_null_count_and_output() {
    let mut p = Pit::new();
    p.write(3, 0x31);
    assert_eq!(p.status(0), 0x71);
    p.write(3, 0x3e);
    assert_eq!(p.status(0), 0xf6, "modes 6 and 7 are 2 and 3");
    p.write(0, 10);
    assert_eq!(p.status(0), 0xf6);
    p.write(0, 0);
    assert_eq!(p.status(0), 0xf6, "loaded by the next CLK only");
    p.at(1);
    assert_eq!(p.status(0), 0xb6);
    p.at(6);
    assert_eq!(p.status(0), 0x36);
}

#[test]
fn the_interrupt_has_exact_deadlines() {
    let mut p = Pit::new();
    assert_eq!(p.chip.next_event(), None);
    program0(&p, 2, 11932);
    assert_eq!(p.edges(40_000), [11933, 23865, 35797]);
    p.at(40_000);
    program0(&p, 3, 1000);
    assert_eq!(p.edges(42_500), [41_001, 42_001]);
    p.at(42_500);
    program0(&p, 0, 300);
    assert_eq!(p.edges(u64::MAX >> 8), [42_801]);
    p.at(50_000);
    program0(&p, 4, 200);
    assert_eq!(p.edges(u64::MAX >> 8), [50_202], "the end of the strobe");
}

#[test]
fn a_late_look_still_gives_an_edge() {
    let mut p = Pit::new();
    program0(&p, 2, 100);
    p.at(1);
    lock(&p.sink.0).clear();
    p.at(1001);
    assert_eq!(*lock(&p.sink.0), [(1, false), (1, true)]);
    p.at(1050);
    assert_eq!(lock(&p.sink.0).len(), 2);
}

#[test]
fn port_61() {
    let mut p = Pit::new();
    p.write(4, 0xff);
    assert_eq!(p.chip.read(4) & 0xcf, 0x0f);
    let toggles = (0..180).map(|t| p.at(t).read(4) & 0x10).collect::<Vec<_>>();
    assert_eq!(toggles.windows(2).filter(|w| w[0] != w[1]).count(), 9, "every 15 µs");
    program2(&p, 3, 1193);
    assert_eq!(p.chip.speaker(), Some(1000));
    p.write(4, 1);
    assert_eq!(p.chip.speaker(), None);
}

#[test]
fn saves_restores_and_resets() {
    let mut p = Pit::new();
    program0(&p, 2, 100);
    p.at(31);
    let saved = p.chip.save().expect("saved");
    program0(&p, 0, 7);
    assert_eq!(p.chip.restore(&saved), Ok(()));
    p.at(41);
    assert_eq!(p.count(0), 60);
    p.chip.reset();
    assert_eq!(p.chip.next_event(), None);
    let bad = I8254State { now: u64::MAX, ..I8254State::default() };
    let bad = Snapshot::encode("i8254", 1, &bad).expect("encoded");
    assert!(p.chip.restore(&bad).is_err());
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let mut p = Pit::new();
    for step in 0..50_000u32 {
        let x = step.wrapping_mul(0x9e37_79b9) >> 6;
        p.write((x % 6) as u16, (x >> 3) as u8);
        p.chip.read((x >> 11) as u16 & 7);
        p.at(u64::from(step) * u64::from(x & 0xfff));
        p.chip.next_event();
    }
}

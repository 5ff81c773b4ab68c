//! Expectations from National Semiconductor's PC16550D datasheet.

use super::*;
use crate::chardev::MemoryChar;
use crate::irq::tests::{Recorder, recorded};
use crate::lock;
use crate::time::tests::TestClock;

const DATA: u16 = 0;
const IER: u16 = 1;
const IIR: u16 = 2;
const FCR: u16 = 2;
const LCR: u16 = 3;
const MCR: u16 = 4;
const LSR: u16 = 5;
const MSR: u16 = 6;

struct Port {
    chip: Ns16550,
    clock: Arc<TestClock>,
    host: Arc<MemoryChar>,
    sink: Arc<Recorder>,
}

impl Port {
    /// 8n1 at 115200 baud, without FIFOs.
    fn new() -> Port {
        let (clock, host) = (TestClock::new(), Arc::new(MemoryChar::new()));
        let (sink, pin) = recorded();
        let p = Port { chip: Ns16550::new(pin, host.clone(), clock.clone()), clock, host, sink };
        for (reg, value) in [(LCR, 0x83), (0, 1), (1, 0), (LCR, 0x03)] {
            p.set(reg, value);
        }
        p
    }

    fn with_fifo(fcr: u8) -> Port {
        let p = Port::new();
        p.set(FCR, fcr | 1);
        p
    }

    fn set(&self, reg: u16, value: u8) {
        self.chip.write(reg, value);
    }

    fn get(&self, reg: u16) -> u8 {
        self.chip.read(reg)
    }

    fn at(&self, ns: u64) {
        self.clock.set(ns);
        self.chip.update();
    }
}

#[test]
fn reset_values() {
    let p = Ns16550::new(IrqPin::disconnected(), Arc::new(MemoryChar::new()), TestClock::new());
    let values: Vec<u8> = (1..8).map(|r| p.read(r)).collect();
    assert_eq!(values, [0, 0x01, 0, 0, 0x60, 0xb0, 0]);
}

#[test]
fn registers_keep_what_the_datasheet_says() {
    let p = Port::new();
    for reg in [IER, LCR, MCR, 7] {
        p.set(reg, 0x7f);
    }
    assert_eq!([IER, LCR, MCR, 7].map(|r| p.get(r)), [0x0f, 0x7f, 0x1f, 0x7f]);
    p.set(LCR, 0x80);
    p.set(0, 0x34);
    p.set(1, 0x12);
    assert_eq!((p.get(0), p.get(1)), (0x34, 0x12));
    p.set(LCR, 0);
    assert_eq!(p.get(1), 0x0f, "IER again");
    assert!(p.host.output().is_empty());
}

#[test]
fn transmits() {
    let p = Port::new();
    for c in b"ok" {
        p.set(DATA, *c);
        assert_eq!(p.get(LSR), 0x60);
    }
    assert_eq!(p.host.output(), b"ok");
}

#[test]
fn the_transmitter_empty_interrupt() {
    let p = Port::new();
    p.set(IER, 0x02);
    assert_eq!(p.get(IIR), 0x02, "enabling it while empty raises it");
    assert_eq!(p.get(IIR), 0x01, "reading IIR clears it, if it was the source");
    p.set(DATA, b'x');
    assert_eq!(p.get(IIR), 0x02);
    p.set(DATA, b'y');
    p.set(IER, 0);
    assert_eq!(p.get(IIR), 0x01);
    let levels: Vec<bool> = lock(&p.sink.0).iter().map(|c| c.1).collect();
    assert_eq!(levels, [true, false, true, false, true, false]);
}

#[test]
fn receives_without_fifo() {
    let p = Port::new();
    p.set(IER, 0x01);
    assert_eq!(p.chip.receive(b"ab"), 1);
    assert!(!p.chip.can_receive());
    assert_eq!((p.get(LSR), p.get(IIR)), (0x61, 0x04));
    assert_eq!((p.get(DATA), p.get(LSR), p.get(IIR)), (b'a', 0x60, 0x01));
    assert_eq!(p.get(DATA), 0);
}

#[test]
fn the_trigger_level_raises_the_interrupt() {
    for (fcr, level) in [(0x00, 1), (0x40, 4), (0x80, 8), (0xc0, 14)] {
        let p = Port::with_fifo(fcr);
        p.set(IER, 0x01);
        assert_eq!(p.chip.receive(&vec![7; level - 1]), level - 1);
        assert_eq!(p.get(IIR), 0xc1);
        p.chip.receive(&[8]);
        assert_eq!(p.get(IIR), 0xc4, "at {level}");
        p.get(DATA);
        assert_eq!(p.get(IIR), 0xc1, "cleared below the level");
        assert_eq!(p.chip.receive(&[0; 30]), 17 - level);
        p.set(FCR, 0x03);
        assert_eq!((p.get(LSR), p.get(IIR)), (0x60, 0xc1));
    }
}

#[test]
fn the_character_timeout() {
    let p = Port::with_fifo(0x80);
    p.set(IER, 0x01);
    p.at(1_000_000);
    p.chip.receive(b"xyz");
    // Four characters of ten bits at 115200 baud.
    let timeout = 4 * 10 * 1_000_000_000 / 115_200;
    assert_eq!(p.chip.next_event(), Some(1_000_000 + timeout));
    p.at(1_000_000 + timeout - 1);
    assert_eq!(p.get(IIR), 0xc1);
    p.at(1_000_000 + timeout);
    assert_eq!(p.get(IIR), 0xcc);
    assert_eq!(p.chip.next_event(), None);
    assert_eq!(p.get(DATA), b'x');
    assert_eq!(p.get(IIR), 0xc1, "a read clears it and starts it anew");
    assert_eq!(p.chip.next_event(), Some(1_000_000 + 2 * timeout));
    p.at(1_000_000 + timeout + 10);
    p.chip.receive(b"w");
    assert_eq!(p.chip.next_event(), Some(1_000_010 + 2 * timeout), "so does a character");
    // 5 bits, parity, at 9600: 8 bits.
    for (reg, value) in [(LCR, 0x88), (0, 12), (1, 0), (LCR, 0x08)] {
        p.set(reg, value);
    }
    assert_eq!(p.chip.next_event(), Some(1_000_010 + timeout + 4 * 8 * 1_000_000_000 / 9600));
    p.set(FCR, 0);
    assert_eq!(p.chip.next_event(), None, "FIFOs only");
}

#[test]
fn the_guest_pulls_what_the_host_queued() {
    let p = Port::with_fifo(0);
    p.host.feed(b"a line that is longer than sixteen characters");
    p.chip.poll();
    let mut got = Vec::new();
    while p.get(LSR) & 1 != 0 {
        got.push(p.get(DATA));
    }
    assert_eq!(got, b"a line that is longer than sixteen characters");
    assert_eq!(p.get(LSR) & 0x02, 0, "never overrun");
}

#[test]
fn a_break_shows_at_the_head_of_the_fifo() {
    let p = Port::with_fifo(0);
    p.set(IER, 0x05);
    p.chip.receive(b"a");
    p.chip.receive_break();
    assert_eq!(p.get(LSR), 0xe1, "an error in the FIFO");
    assert_eq!(p.get(IIR), 0xc4);
    assert_eq!(p.get(DATA), b'a');
    assert_eq!(p.get(IIR), 0xc6, "line status goes first");
    assert_eq!(p.get(LSR), 0xf1);
    assert_eq!(p.get(LSR), 0x61, "read once");
    assert_eq!(p.get(IIR), 0xc4);
    assert_eq!(p.get(DATA), 0);
}

#[test]
fn loopback_connects_outputs_to_inputs() {
    let p = Port::with_fifo(0);
    p.get(MSR);
    p.set(MCR, 0x10);
    assert_eq!(p.get(MSR), 0x0b, "all inputs drop");
    for (mcr, msr) in [(0x11, 0x22), (0x12, 0x13), (0x14, 0x41), (0x18, 0x8c)] {
        p.set(MCR, mcr);
        assert_eq!(p.get(MSR), msr | if mcr == 0x12 { 0x02 } else { 0 }, "{mcr:#x}");
    }
    p.set(DATA, 0x5a);
    assert!(p.host.output().is_empty());
    assert_eq!((p.get(LSR), p.get(DATA)), (0x61, 0x5a));
    for i in 0..17 {
        p.set(DATA, i);
    }
    assert_eq!(p.get(LSR), 0x63, "overrun: the character in the shift register is lost");
    assert_eq!(p.get(LSR), 0x61);
    let got: Vec<u8> = (0..16).map(|_| p.get(DATA)).collect();
    assert_eq!(got, (0..16).collect::<Vec<u8>>());
    assert_eq!(p.chip.receive(b"x"), 0, "the line is disconnected");
    p.set(FCR, 0);
    p.set(DATA, 1);
    p.set(DATA, 2);
    assert_eq!((p.get(LSR), p.get(DATA)), (0x63, 2), "without FIFO the old one is lost");
    p.set(LCR, 0x43);
    assert_eq!((p.get(LSR), p.get(DATA)), (0x71, 0));
}

#[test]
fn the_modem_status_interrupt() {
    let p = Port::new();
    p.set(IER, 0x08);
    p.set(MCR, 0x1b);
    assert_eq!(p.get(IIR), 0x01, "the same levels as outside");
    p.set(MCR, 0x1a);
    assert_eq!(p.get(IIR), 0x00);
    assert_eq!(p.get(MSR), 0x92);
    assert_eq!(p.get(IIR), 0x01);
}

#[test]
fn saves_restores_and_resets() {
    let p = Port::with_fifo(0);
    p.set(IER, 0x01);
    p.chip.receive(b"hi");
    let saved = p.chip.save().expect("saved");
    p.chip.reset();
    assert_eq!((p.get(LSR), p.get(IER)), (0x60, 0));
    assert_eq!(p.chip.restore(&saved), Ok(()));
    assert_eq!((p.get(IIR), p.get(DATA), p.get(DATA)), (0xc4, b'h', b'i'));
    let levels: Vec<bool> = lock(&p.sink.0).iter().map(|c| c.1).collect();
    assert_eq!(levels, [true, false, true, false]);
    let rx = vec![Char { data: 0, errors: 0 }; 2].into();
    let bad = Ns16550State { rx, ..Ns16550State::default() };
    assert!(p.chip.restore(&Snapshot::encode("ns16550", 1, &bad).expect("encoded")).is_err());
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let p = Port::new();
    for step in 0..20_000u32 {
        let x = step.wrapping_mul(0x9e37_79b9) >> 6;
        p.set((x % 9) as u16, (x >> 4) as u8);
        p.get((x >> 12) as u16 % 9);
        if x & 7 == 0 {
            p.chip.receive(&[x as u8; 3]);
            p.chip.receive_break();
        }
        p.at(u64::from(step) * 100_000);
        p.chip.next_event();
    }
}

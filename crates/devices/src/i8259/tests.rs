//! Expectations from Intel 231468 ("8259A"), and 290562 for the edge/level registers.

use super::*;
use crate::irq::tests::recorded;

const M0: u16 = 0;
const M1: u16 = 1;
const S0: u16 = 2;
const S1: u16 = 3;

/// A pair initialised as PC firmware does, with `icw4` for the first chip.
fn pair_with(icw4: u8) -> I8259 {
    let p = I8259::new(IrqPin::disconnected());
    init(&p, icw4);
    p
}

fn pair() -> I8259 {
    pair_with(0x01)
}

fn init(p: &I8259, icw4: u8) {
    for (reg, value) in
        [(M0, 0x11), (S0, 0x11), (M1, 0x20), (S1, 0x28), (M1, 0x04), (S1, 0x02), (M1, icw4), (S1, 0x01)]
    {
        p.write(reg, value);
    }
}

fn raise(p: &I8259, line: u32) {
    p.set_line(line, false);
    p.set_line(line, true);
}

/// The vectors that are delivered until no more come.
fn served(p: &I8259) -> Vec<u8> {
    let mut vectors = Vec::new();
    while p.has_interrupt() {
        vectors.push(p.acknowledge());
    }
    vectors
}

fn isr(p: &I8259) -> (u8, u8) {
    p.write(M0, 0x0b);
    p.write(S0, 0x0b);
    (p.read(M0), p.read(S0))
}

fn irr(p: &I8259) -> (u8, u8) {
    p.write(M0, 0x0a);
    p.write(S0, 0x0a);
    (p.read(M0), p.read(S0))
}

#[test]
fn a_request_gives_the_vector_of_icw2() {
    let (sink, pin) = recorded();
    let p = I8259::new(pin);
    init(&p, 0x01);
    raise(&p, 4);
    assert_eq!(*lock(&sink.0), [(1, true)]);
    assert_eq!(irr(&p), (0x10, 0));
    assert_eq!(p.acknowledge(), 0x24);
    assert_eq!(*lock(&sink.0), [(1, true), (1, false)]);
    assert_eq!((irr(&p), isr(&p)), ((0, 0), (0x10, 0)));
    p.write(M0, 0x20);
    assert_eq!(isr(&p), (0, 0));
    assert!(!p.has_interrupt(), "the input stays high: one edge, one interrupt");
}

#[test]
fn lower_levels_wait_for_the_end_of_higher_ones() {
    let p = pair();
    raise(&p, 3);
    raise(&p, 5);
    assert_eq!(p.acknowledge(), 0x23);
    assert!(!p.has_interrupt());
    raise(&p, 1);
    assert_eq!(p.acknowledge(), 0x21, "a higher level nests");
    p.write(M0, 0x20);
    assert_eq!(isr(&p), (0x08, 0), "a non-specific EOI ends the highest");
    p.write(M0, 0x20);
    assert_eq!(served(&p), [0x25]);
    p.write(M0, 0x60 | 5);
    assert_eq!(isr(&p), (0, 0), "a specific EOI");
}

#[test]
fn the_second_chip_comes_in_at_level_two() {
    let p = pair();
    raise(&p, 12);
    raise(&p, 3);
    assert_eq!(irr(&p), (0x0c, 0x10));
    assert_eq!(p.acknowledge(), 0x2c);
    assert_eq!(isr(&p), (0x04, 0x10));
    raise(&p, 8);
    assert!(!p.has_interrupt(), "the master does not know that 8 is above 12");
    p.write(S0, 0x20);
    assert!(!p.has_interrupt());
    p.write(M0, 0x20);
    assert_eq!(p.acknowledge(), 0x28);
    p.write(S0, 0x20);
    p.write(M0, 0x20);
    assert_eq!(served(&p), [0x23]);
}

#[test]
fn line_two_is_not_connected() {
    let p = pair();
    raise(&p, 2);
    assert!(!p.has_interrupt());
    p.set_line(16, true);
    p.set_line(u32::MAX, true);
    p.set_line(258, true);
    assert!(!p.has_interrupt());
}

#[test]
fn the_special_fully_nested_mode_lets_the_slave_nest() {
    let p = pair_with(0x11);
    raise(&p, 12);
    assert_eq!(p.acknowledge(), 0x2c);
    raise(&p, 3);
    assert!(!p.has_interrupt(), "lower levels of the master still wait");
    raise(&p, 14);
    assert!(!p.has_interrupt());
    raise(&p, 8);
    assert_eq!(p.acknowledge(), 0x28);
    assert_eq!(isr(&p), (0x04, 0x11));
}

#[test]
fn the_mask_keeps_requests_waiting() {
    let p = pair();
    p.write(M1, 0xfb);
    p.write(S1, 0xfe);
    assert_eq!((p.read(M1), p.read(S1)), (0xfb, 0xfe));
    raise(&p, 1);
    raise(&p, 9);
    raise(&p, 8);
    assert_eq!(served(&p), [0x28]);
    assert_eq!(irr(&p), (0x02, 0x02), "IRR is not affected by IMR");
    p.write(M1, 0);
    assert_eq!(served(&p), [0x21]);
}

#[test]
fn a_request_that_goes_away_is_spurious() {
    let p = pair();
    raise(&p, 4);
    p.write(M1, 0x10);
    assert_eq!(p.acknowledge(), 0x27);
    assert_eq!(isr(&p), (0, 0), "without an in-service bit");
    p.write(M1, 0);
    assert_eq!(served(&p), [0x24]);
    p.write(M0, 0x20);
    // The slave's request goes away between the two cycles, as far as the master can see.
    raise(&p, 10);
    p.write(S1, 0x04);
    assert!(p.has_interrupt(), "the master has latched the edge");
    assert_eq!(p.acknowledge(), 0x2f);
    assert_eq!(isr(&p), (0x04, 0), "only the master needs an EOI");
}

#[test]
fn levels_follow_the_input() {
    let p = pair();
    p.write(4, 0xff);
    p.write(5, 0xff);
    assert_eq!((p.read(4), p.read(5)), (0xf8, 0xde), "0, 1, 2, 8 and 13 are always edges");
    p.set_line(5, true);
    p.set_line(5, false);
    assert!(!p.has_interrupt());
    assert_eq!(p.acknowledge(), 0x27, "spurious");
    p.set_line(11, true);
    assert_eq!(p.acknowledge(), 0x2b);
    p.write(S0, 0x20);
    p.write(M0, 0x20);
    assert_eq!(p.acknowledge(), 0x2b, "still high");
    p.set_line(11, false);
    p.write(S0, 0x20);
    p.write(M0, 0x20);
    assert!(!p.has_interrupt());
    assert_eq!(irr(&p), (0, 0));
}

#[test]
fn ltim_makes_all_inputs_level_triggered() {
    let p = I8259::new(IrqPin::disconnected());
    for (reg, value) in [(M0, 0x19), (M1, 0x40), (M1, 0x04), (M1, 0x01)] {
        p.write(reg, value);
    }
    p.set_line(0, true);
    assert_eq!(p.acknowledge(), 0x40);
    p.write(M0, 0x20);
    assert_eq!(p.acknowledge(), 0x40);
    p.write(M0, 0x20);
    p.set_line(0, false);
    assert!(!p.has_interrupt());
}

#[test]
fn automatic_end_of_interrupt() {
    let p = pair_with(0x03);
    raise(&p, 0);
    raise(&p, 6);
    assert_eq!(served(&p), [0x20, 0x26]);
    assert_eq!(isr(&p), (0, 0));
    // Rotation in AEOI mode: whoever was served goes last.
    p.write(M0, 0x80);
    for line in [0, 1, 3] {
        raise(&p, line);
    }
    assert_eq!(p.acknowledge(), 0x20);
    raise(&p, 0);
    assert_eq!(served(&p), [0x21, 0x23, 0x20]);
    p.write(M0, 0x00);
    raise(&p, 1);
    raise(&p, 5);
    assert_eq!(served(&p), [0x21, 0x25], "0 is last still, but 5 does not go last");
    raise(&p, 5);
    raise(&p, 0);
    assert_eq!(served(&p), [0x25, 0x20]);
}

#[test]
fn rotation_on_end_of_interrupt() {
    let p = pair();
    raise(&p, 4);
    raise(&p, 6);
    assert_eq!(p.acknowledge(), 0x24);
    // The datasheet's example: 4 was served and gets the lowest priority, 5 the highest.
    p.write(M0, 0xa0);
    raise(&p, 4);
    raise(&p, 0);
    assert_eq!(p.acknowledge(), 0x26);
    p.write(M0, 0x20);
    assert_eq!(p.acknowledge(), 0x20);
    p.write(M0, 0x20);
    assert_eq!(p.acknowledge(), 0x24);
    p.write(M0, 0xe0 | 4);
    assert_eq!(isr(&p), (0, 0));
    // Set priority: 5 lowest, hence 6 highest.
    p.write(M0, 0xc0 | 5);
    raise(&p, 5);
    raise(&p, 0);
    raise(&p, 6);
    assert_eq!(p.acknowledge(), 0x26);
    p.write(M0, 0x40);
    assert!(isr(&p).0 == 0x40, "010 is no operation");
}

#[test]
fn the_special_mask_mode_lets_lower_levels_in() {
    let p = pair();
    raise(&p, 3);
    assert_eq!(p.acknowledge(), 0x23);
    raise(&p, 5);
    p.write(M1, 0x08);
    assert!(!p.has_interrupt());
    p.write(M0, 0x68);
    assert_eq!(p.acknowledge(), 0x25);
    p.write(M0, 0x20);
    assert_eq!(isr(&p), (0x08, 0), "a masked level is not ended by a non-specific EOI");
    p.write(M0, 0x08);
    raise(&p, 5);
    assert!(p.has_interrupt(), "without ESMM, SMM is ignored");
    p.write(M0, 0x48);
    assert!(!p.has_interrupt());
}

#[test]
fn polling_acknowledges() {
    let p = pair();
    p.write(M0, 0x0c);
    assert_eq!(p.read(M0) & 0x80, 0);
    raise(&p, 6);
    p.write(M0, 0x0c);
    assert_eq!(p.read(M0), 0x86);
    assert_eq!(isr(&p), (0x40, 0));
    assert_eq!(p.read(M0), 0x40, "only the next read is a poll");
    raise(&p, 9);
    p.write(S0, 0x0e);
    assert_eq!(p.read(S1), 0x81, "P goes before RR, and A0 does not matter");
    assert_eq!(isr(&p), (0x40, 0x02));
}

#[test]
fn icw1_starts_anew() {
    let p = pair();
    raise(&p, 1);
    p.acknowledge();
    raise(&p, 3);
    p.write(M1, 0xff);
    p.write(M0, 0x0b);
    p.write(M0, 0xc3);
    p.write(M0, 0x11);
    assert_eq!(p.read(M0), 0, "IRR is read, and the edge is forgotten");
    assert_eq!(p.read(M1), 0, "IMR is cleared");
    p.write(M1, 0x57);
    p.write(M1, 0x04);
    p.write(M1, 0x01);
    raise(&p, 0);
    raise(&p, 7);
    assert_eq!(p.acknowledge(), 0x50, "level 7 is lowest; only T7-T3 of ICW2 count");
    p.write(M0, 0x20);
    assert_eq!(p.acknowledge(), 0x57);
}

#[test]
fn single_chips_have_no_icw3_and_may_have_no_icw4() {
    let p = I8259::new(IrqPin::disconnected());
    // MCS-80 mode, an interval of 4: the low byte of the call's address.
    for (reg, value) in [(M0, 0xb6), (M1, 0x12), (M1, 0xf0)] {
        p.write(reg, value);
    }
    assert_eq!(p.read(M1), 0xf0, "ICW2 was the last: this is OCW1");
    raise(&p, 3);
    assert_eq!(p.acknowledge(), 0xa0 | 3 << 2);
    p.write(M0, 0xd2);
    p.write(M1, 0x12);
    raise(&p, 5);
    assert_eq!(p.acknowledge(), 0xc0 | 5 << 3, "an interval of 8");
}

#[test]
fn saves_restores_and_resets() {
    let (sink, pin) = recorded();
    let p = I8259::new(pin);
    init(&p, 0x01);
    raise(&p, 9);
    let saved = p.save().expect("saved");
    assert_eq!(p.acknowledge(), 0x29);
    p.restore(&saved).expect("restored");
    assert_eq!(p.acknowledge(), 0x29);
    assert_eq!(*lock(&sink.0), [(1, true), (1, false), (1, true), (1, false)]);
    p.reset();
    init(&p, 0x01);
    p.set_line(9, true);
    assert!(!p.has_interrupt(), "it has been high before the reset");
    raise(&p, 9);
    assert!(p.has_interrupt());
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let p = pair();
    for step in 0..20_000u32 {
        let x = step.wrapping_mul(0x9e37_79b9) >> 8;
        p.write((x % 8) as u16, (x >> 3) as u8);
        p.read((x >> 11) as u16);
        p.set_line(x >> 5 & 31, x & 1 != 0);
        p.acknowledge();
    }
}

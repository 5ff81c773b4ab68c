//! Expectations from Arm DDI 0183; where QEMU differs visibly, from QEMU.

use super::*;
use crate::chardev::MemoryChar;
use crate::irq::tests::recorded;
use crate::lock;

const DR: u64 = 0x00;
const RSR: u64 = 0x04;
const FR: u64 = 0x18;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
const IFLS: u64 = 0x34;
const IMSC: u64 = 0x38;
const RIS: u64 = 0x3c;
const MIS: u64 = 0x40;
const ICR: u64 = 0x44;

const RXFE: u64 = 1 << 4;
const RXFF: u64 = 1 << 6;
const TXFE: u64 = 1 << 7;
const RX: u64 = 1 << 4;
const TX: u64 = 1 << 5;
const RT: u64 = 1 << 6;
const BE: u64 = 1 << 9;
const OE: u64 = 1 << 10;

fn port() -> (Arc<MemoryChar>, Pl011) {
    let host = Arc::new(MemoryChar::new());
    (host.clone(), Pl011::new(IrqPin::disconnected(), host))
}

fn set(p: &Pl011, at: u64, value: u64) {
    p.write(at, Size::B4, value);
}

fn get(p: &Pl011, at: u64) -> u64 {
    p.read(at, Size::B4)
}

fn with_fifo() -> (Arc<MemoryChar>, Pl011) {
    let (host, p) = port();
    set(&p, LCR_H, 0x70);
    set(&p, CR, 0x301);
    (host, p)
}

#[test]
fn reset_values() {
    let (_, p) = port();
    assert_eq!(get(&p, FR), TXFE | RXFE);
    assert_eq!(get(&p, CR), 0x300);
    assert_eq!(get(&p, IFLS), 0x12);
    for at in [RSR, LCR_H, IMSC, RIS, MIS, 0x20, 0x24, 0x28, 0x48] {
        assert_eq!(get(&p, at), 0, "{at:#x}");
    }
    assert_eq!(p.stray().count(), 0);
}

#[test]
fn identifies_as_arm_pl011() {
    let (_, p) = port();
    let id: Vec<u64> = (0..8).map(|i| get(&p, 0xfe0 + i * 4)).collect();
    assert_eq!(id, [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
}

#[test]
fn transmits_with_any_width() {
    let (host, p) = with_fifo();
    p.write(DR, Size::B4, u64::from(b'a'));
    p.write(DR, Size::B2, 0xff00 | u64::from(b'b'));
    p.write(DR, Size::B1, u64::from(b'c'));
    p.write(DR, Size::B8, u64::from(b'd'));
    p.write(DR + 1, Size::B1, u64::from(b'e'));
    assert_eq!(host.output(), b"abcd", "the second byte of UARTDR is not data");
    assert_eq!(get(&p, FR) & TXFE, TXFE);
}

#[test]
fn the_transmit_interrupt_needs_a_transition() {
    let (_, p) = with_fifo();
    set(&p, IMSC, TX);
    assert_eq!(get(&p, MIS), 0, "an empty FIFO alone does not raise it (2.8.1)");
    set(&p, DR, 0x41);
    assert_eq!(get(&p, MIS), TX);
    set(&p, ICR, TX);
    assert_eq!(get(&p, RIS), 0);
}

#[test]
fn the_fifo_holds_16() {
    let (_, p) = with_fifo();
    assert_eq!(p.receive(b"0123456789abcdefgh"), 16);
    assert!(!p.can_receive());
    assert_eq!(get(&p, FR) & (RXFF | RXFE), RXFF);
    assert_eq!(p.receive(b"x"), 0);
    assert_eq!(get(&p, RIS) & OE, 0, "what does not fit stays with the host");
    let got: Vec<u8> = (0..16).map(|_| get(&p, DR) as u8).collect();
    assert_eq!(got, b"0123456789abcdef");
    assert_eq!(get(&p, FR) & (RXFF | RXFE), RXFE);
}

#[test]
fn without_fifo_it_holds_one() {
    let (_, p) = port();
    assert_eq!(p.receive(b"xy"), 1);
    assert_eq!(get(&p, FR) & (RXFF | RXFE), RXFF);
    assert_eq!(get(&p, RIS), RX, "no timeout interrupt without FIFO");
    assert_eq!(p.read(DR, Size::B1), u64::from(b'x'));
    assert_eq!(get(&p, RIS), 0);
    assert_eq!(get(&p, FR) & (RXFF | RXFE), RXFE);
}

#[test]
fn receive_interrupts_last_until_the_fifo_is_empty() {
    let (sink, pin) = recorded();
    let p = Pl011::new(pin, Arc::new(MemoryChar::new()));
    set(&p, LCR_H, 0x10);
    set(&p, IMSC, RX | RT);
    p.receive(b"ab");
    assert_eq!(get(&p, MIS), RX | RT);
    get(&p, DR);
    assert_eq!(get(&p, MIS), RX | RT);
    get(&p, DR);
    assert_eq!(get(&p, MIS), 0);
    p.receive(b"c");
    set(&p, ICR, RX | RT);
    assert_eq!(get(&p, RIS), 0, "cleared by hand though a character waits");
    p.receive(b"d");
    assert_eq!(get(&p, RIS), RX | RT);
    set(&p, IMSC, 0);
    assert_eq!((get(&p, RIS), get(&p, MIS)), (RX | RT, 0));
    assert_eq!(
        *lock(&sink.0),
        [(1, true), (1, false), (1, true), (1, false), (1, true), (1, false)],
        "the line follows MIS"
    );
}

#[test]
fn the_guest_pulls_what_the_host_queued() {
    let (host, p) = with_fifo();
    host.feed(&[7; 40]);
    p.poll();
    let mut n = 0;
    while get(&p, FR) & RXFE == 0 {
        assert_eq!(get(&p, DR), 7);
        n += 1;
    }
    assert_eq!(n, 40);
}

#[test]
fn loopback_feeds_the_receiver_only() {
    let (host, p) = with_fifo();
    set(&p, CR, 0x381);
    set(&p, DR, 0x5a);
    assert_eq!(get(&p, DR), 0x5a);
    assert_eq!(host.output(), b"");
    host.feed(b"held back");
    p.poll();
    assert_eq!((p.receive(b"x"), get(&p, FR) & RXFE), (0, RXFE), "the line is disconnected");
    set(&p, CR, 0x301);
    assert_eq!(get(&p, DR), u64::from(b'h'), "and connected again");
}

#[test]
fn loopback_wires_modem_outputs_to_inputs() {
    let (_, p) = with_fifo();
    set(&p, CR, 1 << 7 | 1 << 10 | 1 << 11);
    assert_eq!(get(&p, FR) & 0x107, 0b011, "DTR to DSR, RTS to CTS");
    assert_eq!(get(&p, RIS), 0b1010, "both changed");
    set(&p, ICR, 0x7ff);
    set(&p, CR, 1 << 7 | 1 << 12 | 1 << 13);
    assert_eq!(get(&p, FR) & 0x107, 0x104, "Out1 to DCD, Out2 to RI");
    assert_eq!(get(&p, RIS), 0b1111);
}

#[test]
fn an_overrun_keeps_what_is_there() {
    let (_, p) = with_fifo();
    set(&p, CR, 0x381);
    for c in 0..17 {
        set(&p, DR, c);
    }
    assert_eq!(get(&p, RIS) & OE, OE);
    assert_eq!(get(&p, RSR), 8);
    assert_eq!(get(&p, DR), 1 << 11, "the first character, with OE");
    set(&p, DR, 0x55);
    assert_eq!(get(&p, DR), 1, "room again: OE is over");
    assert_eq!(get(&p, RSR), 8, "but stays in RSR");
    set(&p, RSR, 0);
    assert_eq!(get(&p, RSR), 0);
    for c in 2..16 {
        assert_eq!(get(&p, DR), c);
    }
    assert_eq!(get(&p, DR), 0x55, "number 17 is lost");
}

#[test]
fn a_break_is_a_zero_with_be() {
    let (_, p) = with_fifo();
    p.receive_break();
    p.receive(b"k");
    assert_eq!(get(&p, RIS) & BE, BE);
    assert_eq!(get(&p, DR), 1 << 10);
    assert_eq!(get(&p, RSR), 1 << 2);
    assert_eq!(get(&p, DR), u64::from(b'k'));
    assert_eq!(get(&p, RSR), 0, "status of the character just read");
    set(&p, CR, 0x381);
    set(&p, LCR_H, 0x71);
    assert_eq!(get(&p, DR), 1 << 10, "sent to itself");
}

#[test]
fn changing_the_fifo_mode_empties_it() {
    let (_, p) = with_fifo();
    p.receive(b"abc");
    set(&p, LCR_H, 0x60);
    assert_eq!(get(&p, FR) & RXFE, RXFE);
    assert_eq!(get(&p, RIS) & (RX | RT), 0);
}

#[test]
fn divisors_and_masks_have_their_widths() {
    let (_, p) = port();
    for (at, kept) in
        [(0x24, 0xffff), (0x28, 0x3f), (LCR_H, 0xff), (CR, 0xff87), (IFLS, 0x3f), (IMSC, 0x7ff), (0x48, 7)]
    {
        set(&p, at, 0xffff_ffff);
        assert_eq!(get(&p, at), kept, "{at:#x}");
    }
}

#[test]
fn saves_and_restores() {
    let (_, p) = with_fifo();
    set(&p, IMSC, RX);
    p.receive(b"abc");
    get(&p, DR);
    let saved = p.save().expect("saved");
    let (sink, pin) = recorded();
    let q = Pl011::new(pin, Arc::new(MemoryChar::new()));
    q.restore(&saved).expect("restored");
    assert_eq!(*lock(&sink.0), [(1, true)]);
    assert_eq!((get(&q, DR), get(&q, DR)), (u64::from(b'b'), u64::from(b'c')));
    q.reset();
    assert_eq!(q.line.peek(Clone::clone), Pl011State::default());
    let overfull = Pl011State { rx: vec![0; 17].into(), ..Pl011State::default() };
    let bad = Snapshot::encode("pl011", 1, &overfull).expect("encoded");
    assert!(matches!(q.restore(&bad), Err(SnapshotError::Malformed { .. })));
}

#[test]
fn input_keeps_its_order_between_threads() {
    let (host, p) = with_fifo();
    let bytes: Vec<u8> = (0..20_000u32).map(|i| (i % 251) as u8).collect();
    let mut got = Vec::new();
    std::thread::scope(|s| {
        s.spawn(|| {
            for chunk in bytes.chunks(7) {
                host.feed(chunk);
                p.poll();
            }
        });
        while got.len() < bytes.len() {
            if get(&p, FR) & RXFE == 0 {
                got.push(get(&p, DR) as u8);
            }
        }
    });
    assert_eq!(got, bytes);
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let (host, p) = port();
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        seed >> 33
    };
    for _ in 0..200_000 {
        let size = Size::from_log2(random() as u32 % 5);
        let offset = if random().is_multiple_of(8) { random() } else { random() % 0x50 };
        match random() % 4 {
            0 => drop(p.read(offset, size)),
            1 => host.feed(&[random() as u8]),
            2 => p.receive_break(),
            _ => p.write(offset, size, random() << 32 | random()),
        }
        p.line.peek(|state| assert!(state.rx.len() <= state.depth()));
    }
    assert!(p.stray().count() > 0);
}

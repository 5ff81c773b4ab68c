//! Expectations from IBM's PS/2 hardware interface technical reference.

use super::*;
use crate::irq::IrqSink;
use crate::irq::tests::Recorder;
use crate::power::tests::Requests;

const DATA: u16 = 0;
const CMD: u16 = 1;

struct Kbc {
    chip: I8042,
    power: Arc<Requests>,
    sink: Arc<Recorder>,
}

impl Kbc {
    fn new() -> Kbc {
        let power = Requests::new();
        let sink = Arc::new(Recorder::default());
        let dynamic: Arc<dyn IrqSink> = sink.clone();
        let pin = |n| IrqPin::new(Arc::downgrade(&dynamic), n);
        let chip = I8042::new(pin(1), pin(12), pin(20), power.clone());
        lock(&sink.0).clear();
        Kbc { chip, power, sink }
    }

    fn cmd(&self, command: u8) {
        self.chip.write(CMD, command);
    }

    fn arg(&self, command: u8, arg: u8) {
        self.cmd(command);
        self.chip.write(DATA, arg);
    }

    fn status(&self) -> u8 {
        self.chip.read(CMD)
    }

    /// Everything that is there to be read, with whose it is.
    fn drain(&self) -> Vec<(u8, bool)> {
        let mut got = Vec::new();
        while self.status() & 1 != 0 {
            let aux = self.status() & 0x20 != 0;
            got.push((self.chip.read(DATA), aux));
        }
        got
    }

    fn bytes(&self) -> Vec<u8> {
        self.drain().into_iter().map(|(b, _)| b).collect()
    }

    fn keyboard(&self, bytes: &[u8]) -> Vec<u8> {
        for &b in bytes {
            self.chip.write(DATA, b);
        }
        self.bytes()
    }

    fn aux(&self, bytes: &[u8]) -> Vec<u8> {
        for &b in bytes {
            self.arg(0xd4, b);
        }
        let got = self.drain();
        assert!(got.iter().all(|g| g.1), "all of it is the mouse's");
        got.into_iter().map(|(b, _)| b).collect()
    }

    fn changes(&self) -> Vec<(u32, bool)> {
        std::mem::take(&mut lock(&self.sink.0))
    }
}

#[test]
fn self_tests() {
    let k = Kbc::new();
    assert_eq!(k.status(), 0x1c);
    for (command, reply) in [(0xaa, 0x55), (0xab, 0x00), (0xa9, 0x00), (0xa4, 0xf1), (0xc0, 0x80)] {
        k.cmd(command);
        assert_eq!(k.status(), 0x1d);
        assert_eq!(k.bytes(), [reply], "{command:#x}");
    }
    k.cmd(0xb8);
    assert_eq!((k.bytes(), k.chip.stray().last_offset()), (vec![], 0xb8));
}

#[test]
fn the_command_byte() {
    let k = Kbc::new();
    k.arg(0x60, 0x47);
    k.cmd(0x20);
    assert_eq!(k.bytes(), [0x47]);
    for (command, ctr) in [(0xa7, 0x67), (0xad, 0x77), (0xa8, 0x57), (0xae, 0x47)] {
        k.cmd(command);
        k.cmd(0x20);
        assert_eq!(k.bytes(), [ctr], "{command:#x}");
    }
    k.arg(0x7f, 0xa5);
    k.cmd(0x3f);
    assert_eq!(k.bytes(), [0xa5]);
    k.arg(0x60, 0x43);
    assert_eq!(k.status() & 4, 0, "the system flag is in it");
}

#[test]
fn a_key_is_translated_to_set_1() {
    let k = Kbc::new();
    k.chip.key(0x1e, true);
    assert_eq!(k.changes(), [(1, true)]);
    k.chip.key(0x1e, false);
    k.chip.key(0xe04d, true);
    k.chip.key(0xe04d, false);
    assert_eq!(k.bytes(), [0x1e, 0x9e, 0xe0, 0x4d, 0xe0, 0xcd]);
    assert_eq!(k.changes().len(), 11, "each byte is an edge");
    k.chip.key(0xe11d, true);
    assert_eq!(k.bytes(), [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
    k.arg(0x60, 0x05);
    k.chip.key(0x41, true);
    k.chip.key(0x41, false);
    assert_eq!(k.bytes(), [0x83, 0xf0, 0x83], "set 2 as it is");
    assert_eq!(k.keyboard(&[0xf0, 1]), [0xfa, 0xfa]);
    k.chip.key(0x41, false);
    assert_eq!(k.bytes(), [0xc1]);
}

#[test]
fn interrupts_need_their_enable() {
    let k = Kbc::new();
    k.arg(0x60, 0x00);
    k.chip.key(0x1e, true);
    assert!(k.changes().is_empty());
    assert_eq!(k.bytes(), [0x1c]);
    k.arg(0x60, 0x10);
    k.chip.key(0x1e, true);
    assert_eq!(k.status() & 1, 0, "the keyboard is disabled");
    k.arg(0x60, 0x01);
    assert_eq!(k.changes(), [(1, true)]);
}

#[test]
fn keyboard_commands() {
    let k = Kbc::new();
    k.arg(0x60, 0x05);
    for (sent, got) in [
        (&[0xff][..], &[0xfa, 0xaa][..]),
        (&[0xf2], &[0xfa, 0xab, 0x83]),
        (&[0xee], &[0xee]),
        (&[0xf0, 0x00], &[0xfa, 0xfa, 0x02]),
        (&[0xf0, 0x03], &[0xfa, 0xfe]),
        (&[0xf3, 0x20], &[0xfa, 0xfa]),
        (&[0xed, 0x06], &[0xfa, 0xfa]),
        (&[0xfe], &[0xfa]),
        (&[0x05], &[0xfe]),
        (&[0xf5], &[0xfa]),
    ] {
        assert_eq!(k.keyboard(sent), got, "{sent:x?}");
    }
    assert_eq!(k.chip.leds(), 6);
    k.chip.key(0x1e, true);
    assert!(k.bytes().is_empty(), "F5 stopped it");
    assert_eq!(k.keyboard(&[0xf4]), [0xfa]);
    k.chip.key(0x1e, true);
    assert_eq!(k.bytes(), [0x1c]);
    assert_eq!(k.keyboard(&[0xed, 0xf4]), [0xfa, 0xfa], "a command instead of an argument");
    assert_eq!(k.chip.leds(), 6);
}

#[test]
fn replies_are_translated_too() {
    let k = Kbc::new();
    assert_eq!(k.keyboard(&[0xf2]), [0xfa, 0xab, 0x41]);
}

#[test]
fn a_full_buffer_is_told() {
    let k = Kbc::new();
    k.arg(0x60, 0x15);
    for _ in 0..40 {
        k.chip.key(0x1e, true);
    }
    k.arg(0x60, 0x05);
    let got = k.bytes();
    assert_eq!((got.len(), got[0], *got.last().expect("codes")), (17, 0x1c, 0x00));
    assert_eq!(got.iter().filter(|&&b| b == 0).count(), 1);
}

#[test]
fn buffers_can_be_written() {
    let k = Kbc::new();
    k.arg(0xd2, 0x12);
    k.arg(0xd3, 0x34);
    assert_eq!(k.drain(), [(0x12, false), (0x34, true)]);
}

#[test]
fn a20_and_reset() {
    let k = Kbc::new();
    k.cmd(0xd0);
    assert_eq!(k.bytes(), [0x03]);
    k.changes();
    k.arg(0xd1, 0xdd);
    assert_eq!(k.changes(), [(20, false)]);
    k.arg(0xd1, 0xdf);
    assert_eq!(k.changes(), [(20, true)]);
    k.cmd(0xdd);
    k.cmd(0xdf);
    assert_eq!(k.changes(), [(20, false), (20, true)]);
    k.cmd(0xff);
    assert!(k.power.take().is_empty());
    k.cmd(0xfe);
    assert_eq!(k.power.take(), [PowerRequest::Reset]);
    k.arg(0xd1, 0x02);
    assert_eq!(k.power.take(), [PowerRequest::Reset]);
}

#[test]
fn the_mouse_reports_movement() {
    let k = Kbc::new();
    k.arg(0x60, 0x47);
    assert_eq!(k.aux(&[0xff]), [0xfa, 0xaa, 0x00]);
    k.chip.mouse(5, 5, 0, 0);
    assert!(k.bytes().is_empty(), "not enabled");
    assert_eq!(k.aux(&[0xf4]), [0xfa]);
    k.changes();
    k.chip.mouse(3, -2, 0, 0b001);
    assert_eq!(k.changes(), [(12, true)]);
    assert_eq!(k.drain(), [(0x29, true), (3, true), (0xfe, true)]);
    k.chip.mouse(0, 0, 0, 0b001);
    assert!(k.bytes().is_empty(), "nothing has changed");
    k.chip.mouse(-300, 0, 0, 0b110);
    assert_eq!(k.bytes(), [0x1e, 0x01, 0, 0x1e, 0xd3, 0], "more than fits into one report");
    k.chip.mouse(0, 0, 0, 0);
    k.bytes();
    assert_eq!(k.aux(&[0xe7]), [0xfa]);
    k.chip.mouse(4, 10, 0, 0);
    assert_eq!(k.bytes(), [0x08, 6, 20], "scaling 2:1");
    assert_eq!(k.aux(&[0xe9]), [0xfa, 0x30, 2, 100]);
}

#[test]
fn movement_is_added_up_while_nobody_reads() {
    let k = Kbc::new();
    k.aux(&[0xf4]);
    for _ in 0..100 {
        k.chip.mouse(1, 0, 0, 0);
    }
    let total: u32 = k.bytes().chunks(3).map(|report| u32::from(report[1])).sum();
    assert_eq!(total, 100);
}

#[test]
fn wheel_and_buttons_are_switched_on_by_sample_rates() {
    let k = Kbc::new();
    k.aux(&[0xf4]);
    assert_eq!(k.aux(&[0xf2]), [0xfa, 0]);
    k.aux(&[0xf3, 200, 0xf3, 100, 0xf3, 80]);
    assert_eq!(k.aux(&[0xf2]), [0xfa, 3]);
    k.chip.mouse(0, 0, -1, 0);
    assert_eq!(k.bytes(), [0x08, 0, 0, 0xff]);
    k.aux(&[0xf3, 200, 0xf3, 200, 0xf3, 80]);
    assert_eq!(k.aux(&[0xf2]), [0xfa, 4]);
    k.chip.mouse(0, 0, 1, 0b11000);
    assert_eq!(k.bytes(), [0x08, 0, 0, 0x31]);
    k.aux(&[0xff]);
    assert_eq!(k.aux(&[0xf2]), [0xfa, 0]);
}

#[test]
fn other_modes_of_the_mouse() {
    let k = Kbc::new();
    assert_eq!(k.aux(&[0xf0, 0xf4]), [0xfa, 0xfa]);
    k.chip.mouse(1, 2, 0, 0);
    assert!(k.bytes().is_empty(), "remote mode");
    assert_eq!(k.aux(&[0xeb]), [0xfa, 0x08, 1, 2]);
    assert_eq!(k.aux(&[0xe8, 3]), [0xfa, 0xfa]);
    assert_eq!(k.aux(&[0xe8]), [0xfa]);
    assert_eq!(k.aux(&[7]), [0xfe]);
    assert_eq!(k.aux(&[0xe9]), [0xfa, 0x60, 3, 100]);
    assert_eq!(k.aux(&[0xee]), [0xfa]);
    assert_eq!(k.aux(&[0x12, 0xf4]), [0x12, 0xf4], "wrap mode");
    assert_eq!(k.aux(&[0xec]), [0xfa]);
    assert_eq!(k.aux(&[0xf6]), [0xfa]);
    assert_eq!(k.aux(&[0xe9]), [0xfa, 0x00, 2, 100]);
    assert_eq!(k.aux(&[0x01]), [0xfe]);
}

#[test]
fn saves_restores_and_resets() {
    let k = Kbc::new();
    k.chip.key(0x1e, true);
    k.chip.key(0x1f, true);
    let saved = k.chip.save().expect("saved");
    k.arg(0xd1, 0xdd);
    k.changes();
    k.chip.reset();
    assert_eq!(k.changes(), [(1, false), (20, true)]);
    assert!(k.bytes().is_empty());
    assert_eq!(k.chip.restore(&saved), Ok(()));
    assert_eq!(k.changes(), [(1, true)]);
    assert_eq!(k.bytes(), [0x1e, 0x1f]);
}

#[test]
fn nothing_that_a_guest_does_panics() {
    let k = Kbc::new();
    for step in 0..50_000u32 {
        let x = step.wrapping_mul(0x9e37_79b9) >> 6;
        k.chip.write((x % 3) as u16, (x >> 4) as u8);
        if x & 0x3000 == 0 {
            k.chip.read((x >> 14) as u16 % 3);
        }
        k.chip.key((x >> 7) as u16 & 0xe1ff, x & 1 != 0);
        k.chip.mouse(x as i32, -(x as i32), i32::MIN, x as u8);
    }
    k.power.take();
}

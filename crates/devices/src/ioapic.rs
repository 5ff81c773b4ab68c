//! I/O advanced programmable interrupt controller (Intel 82093AA; ICH and later for the EOI register).
//!
//! Inputs are the pins of devices, which say *asserted*: which voltage that is on a real board is what an entry's
//! polarity bit tells the chip. The bit is kept, but decides nothing.

use std::fmt;
use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;
use serde::{Deserialize, Serialize};

use crate::irq::{IrqPin, IrqSink};
use crate::lapic::{ApicBus, Delivery, Destination, EoiSink, Message};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Stray;

/// Number of inputs.
pub const INPUTS: usize = 24;

/// Version 0x20: has the EOI register.
const VERSION: u32 = 0x20 | (INPUTS as u32 - 1) << 16;

const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// What can be written of an entry: not the delivery status (12), which is always idle, nor remote IRR (14).
const WRITABLE: u64 = 0xff00_0000_0001_afff;

/// The registers of an IO-APIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoApicState {
    /// IOREGSEL.
    select: u8,
    /// Bits 27:24 of the ID register.
    id: u8,
    entries: [u64; INPUTS],
    /// A bit per input that is asserted.
    levels: u32,
}

impl IoApicState {
    /// After power-on: all inputs masked.
    fn new() -> IoApicState {
        IoApicState { select: 0, id: 0, entries: [MASKED; INPUTS], levels: 0 }
    }

    fn message(entry: u64) -> Option<Message> {
        let low = entry as u32;
        Some(Message {
            destination: Destination::from_field((entry >> 56) as u8, entry & 1 << 11 != 0),
            delivery: Delivery::of_message(low)?,
            vector: low as u8,
            level: entry & LEVEL != 0,
        })
    }

    /// The message of a level-triggered input that waits to be sent.
    fn sample(&mut self, input: usize) -> Option<Message> {
        let entry = self.entries[input];
        if self.levels >> input & 1 == 0 || entry & (LEVEL | MASKED | REMOTE_IRR) != LEVEL {
            return None;
        }
        let message = IoApicState::message(entry)?;
        // Only these are ended by an EOI (3.2.4: remote IRR is undefined for the others).
        if matches!(message.delivery, Delivery::Fixed | Delivery::LowestPriority) {
            self.entries[input] |= REMOTE_IRR;
        }
        Some(message)
    }

    fn set_line(&mut self, input: usize, high: bool) -> Option<Message> {
        let bit = 1 << input;
        let rises = high && self.levels & bit == 0;
        self.levels = if high { self.levels | bit } else { self.levels & !bit };
        let entry = self.entries[input];
        if entry & LEVEL != 0 {
            // SMI, NMI, INIT and ExtINT have no end to wait for: one per rise, whatever the trigger mode.
            let ends =
                matches!(IoApicState::message(entry)?.delivery, Delivery::Fixed | Delivery::LowestPriority);
            return if ends || rises { self.sample(input) } else { None };
        }
        // An edge on a masked input is lost (3.2.4, interrupt mask).
        if rises && entry & MASKED == 0 { IoApicState::message(entry) } else { None }
    }

    fn read(&self, index: u8) -> u32 {
        match index {
            0 | 2 => u32::from(self.id) << 24,
            1 => VERSION,
            0x10..0x40 => {
                let entry = self.entries[usize::from(index - 0x10) / 2];
                if index & 1 == 0 { entry as u32 } else { (entry >> 32) as u32 }
            }
            _ => 0,
        }
    }

    fn write(&mut self, index: u8, value: u32) -> Option<Message> {
        match index {
            0 => self.id = (value >> 24 & 0xf) as u8,
            0x10..0x40 => {
                let input = usize::from(index - 0x10) / 2;
                let old = self.entries[input];
                let mut new = if index & 1 == 0 {
                    old & !0xffff_ffff | u64::from(value)
                } else {
                    old & 0xffff_ffff | u64::from(value) << 32
                };
                new = new & WRITABLE | old & REMOTE_IRR;
                // Without a level there is none to end. Kernels rely on it where there is no EOI register.
                if new & LEVEL == 0 {
                    new &= !REMOTE_IRR;
                }
                self.entries[input] = new;
                return self.sample(input);
            }
            _ => {}
        }
        None
    }

    /// The interrupt `vector` was handled: level-triggered inputs that sent it may send again.
    fn eoi(&mut self, vector: u8) -> impl Iterator<Item = Message> + '_ {
        (0..INPUTS).filter_map(move |input| {
            let entry = self.entries[input];
            if entry & LEVEL == 0 || entry & REMOTE_IRR == 0 || entry as u8 != vector {
                return None;
            }
            self.entries[input] &= !REMOTE_IRR;
            self.sample(input)
        })
    }
}

/// An IO-APIC that sends to local APICs.
pub struct IoApic {
    state: Mutex<IoApicState>,
    bus: Arc<ApicBus>,
    stray: Stray,
}

/// There is no such input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no input {0} on an IO-APIC with {INPUTS}")]
pub struct NoInput(pub usize);

impl IoApic {
    const KIND: &str = "ioapic";
    const VERSION: u32 = 1;

    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1000;

    /// An IO-APIC on `bus`, which from now on tells it of the ends of interrupts.
    pub fn new(bus: Arc<ApicBus>) -> Arc<IoApic> {
        let io =
            Arc::new(IoApic { state: Mutex::new(IoApicState::new()), bus: bus.clone(), stray: Stray::new() });
        let sink: Arc<dyn EoiSink> = io.clone();
        bus.connect(Arc::downgrade(&sink));
        io
    }

    /// A pin that drives an input.
    ///
    /// # Errors
    /// There is no such input.
    pub fn input(self: &Arc<Self>, input: usize) -> Result<IrqPin, NoInput> {
        if input >= INPUTS {
            return Err(NoInput(input));
        }
        let sink: Arc<dyn IrqSink> = self.clone();
        Ok(IrqPin::new(Arc::downgrade(&sink), input as u32))
    }

    /// Accesses that no register is made for.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl IrqSink for IoApic {
    fn set_line(&self, line: u32, high: bool) {
        if line as usize >= INPUTS {
            return;
        }
        // Sent with the lock held, so that a level cannot be overtaken by its end.
        let mut state = lock(&self.state);
        if let Some(message) = state.set_line(line as usize, high) {
            self.bus.send(&message);
        }
    }
}

impl EoiSink for IoApic {
    fn eoi(&self, vector: u8) {
        let mut state = lock(&self.state);
        for message in state.eoi(vector) {
            self.bus.send(&message);
        }
    }
}

impl MmioDevice for IoApic {
    fn name(&self) -> &str {
        IoApic::KIND
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let lane = offset & 3;
        if lane + size.bytes() > 4 {
            self.stray.note(offset);
            return 0;
        }
        let state = lock(&self.state);
        let value = match offset & !3 {
            0x00 => u32::from(state.select),
            0x10 => state.read(state.select),
            _ => self.stray.note(offset),
        };
        size.width().zext(u64::from(value) >> (8 * lane))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut state = lock(&self.state);
        match (offset, size) {
            (0x00, _) => state.select = value as u8,
            // The other registers are to be accessed as words (3.0).
            (0x10, Size::B4) => {
                let index = state.select;
                if let Some(message) = state.write(index, value as u32) {
                    self.bus.send(&message);
                }
            }
            (0x40, Size::B4) => {
                for message in state.eoi(value as u8) {
                    self.bus.send(&message);
                }
            }
            _ => {
                self.stray.note(offset);
            }
        }
    }
}

impl Device for IoApic {
    fn kind(&self) -> &'static str {
        IoApic::KIND
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        *state = IoApicState { levels: state.levels, ..IoApicState::new() };
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(IoApic::KIND, IoApic::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut new: IoApicState = snapshot.decode(IoApic::KIND, IoApic::VERSION)?;
        for entry in &mut new.entries {
            *entry &= WRITABLE | REMOTE_IRR;
        }
        new.id &= 0xf;
        new.levels &= (1 << INPUTS) - 1;
        *lock(&self.state) = new;
        Ok(())
    }
}

impl fmt::Debug for IoApic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoApic").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use lyrebird_isa::lines::CpuLines;

    use super::*;
    use crate::lapic::{Ack, IRQ, NMI, Rates};
    use crate::time::tests::TestClock;

    struct Board {
        io: Arc<IoApic>,
        bus: Arc<ApicBus>,
        lines: Vec<Arc<CpuLines>>,
    }

    impl Board {
        fn get(&self, index: u64) -> u64 {
            self.io.write(0, Size::B4, index);
            self.io.read(0x10, Size::B4)
        }
        fn set(&self, index: u64, value: u64) {
            self.io.write(0, Size::B4, index);
            self.io.write(0x10, Size::B4, value);
        }
        fn entry(&self, input: u64, value: u64) {
            self.set(0x11 + input * 2, value >> 32);
            self.set(0x10 + input * 2, value & 0xffff_ffff);
        }
        fn ack(&self, cpu: usize) -> Option<Ack> {
            self.bus.cpu(cpu).and_then(|a| a.ack())
        }
        fn eoi(&self, cpu: usize) {
            self.bus.cpus()[cpu].write(0xb0, Size::B4, 0);
        }
    }

    fn board() -> Board {
        let lines: Vec<_> = (0..2).map(|_| Arc::new(CpuLines::new())).collect();
        let rates = Rates { timer_hz: 1_000_000_000, tsc_hz: 1_000_000_000 };
        let bus = ApicBus::new(lines.clone(), rates, 40, TestClock::new());
        for apic in bus.cpus() {
            apic.write(0xf0, Size::B4, 0x1ff);
        }
        Board { io: IoApic::new(bus.clone()), bus, lines }
    }

    const V: Option<Ack> = Some(Ack::Vector(0x51));

    #[test]
    fn registers_after_power_on() {
        let b = board();
        assert_eq!(b.get(0), 0);
        assert_eq!(b.get(1), 0x0017_0020, "24 entries");
        for index in 0x10..0x40 {
            assert_eq!(b.get(index), if index & 1 == 0 { 0x1_0000 } else { 0 });
        }
        b.set(0, 0xffff_ffff);
        assert_eq!((b.get(0), b.get(2)), (0x0f00_0000, 0x0f00_0000), "arbitration ID follows the ID");
        b.set(0x11, 0xffff_ffff);
        b.set(0x10, 0xffff_ffff);
        assert_eq!((b.get(0x11), b.get(0x10)), (0xff00_0000, 0x1_afff));
        assert_eq!(b.io.read(0, Size::B4), 0x10, "IOREGSEL reads back");
        assert_eq!(b.get(0x40), 0);
    }

    #[test]
    fn edges_are_sent_once_and_lost_while_masked() {
        let b = board();
        let pin = b.io.input(3).expect("input");
        pin.assert();
        b.entry(3, 1 << 56 | 0x51);
        assert_eq!(b.ack(1), None, "came while masked");
        pin.deassert();
        pin.assert();
        assert_eq!((b.ack(0), b.ack(1)), (None, V));
        b.eoi(1);
        assert_eq!(b.ack(1), None);
        pin.deassert();
        assert_eq!(b.ack(1), None, "falling");
        assert!(b.io.input(24).is_err());
    }

    #[test]
    fn levels_are_sent_again_after_their_end() {
        let b = board();
        let pin = b.io.input(9).expect("input");
        let other = pin.share();
        pin.assert();
        b.entry(9, LEVEL | 0x51);
        assert_eq!(b.get(0x22), 0xc051, "unmasking sends; remote IRR");
        assert_eq!(b.ack(0), V);
        other.assert();
        assert_eq!(b.lines[0].level(), 0);
        pin.deassert();
        b.eoi(0);
        assert_eq!(b.ack(0), V, "the other device still asks");
        other.deassert();
        b.eoi(0);
        assert_eq!((b.ack(0), b.get(0x22)), (None, 0x8051));
        // A level that goes before it is sent is none.
        b.entry(9, MASKED | LEVEL | 0x51);
        pin.pulse();
        b.entry(9, LEVEL | 0x51);
        assert_eq!(b.ack(0), None);
    }

    #[test]
    fn the_eoi_register_and_the_change_to_edge_clear_remote_irr() {
        let b = board();
        let pin = b.io.input(9).expect("input");
        b.entry(9, LEVEL | 0x51);
        pin.assert();
        pin.deassert();
        assert_eq!(b.get(0x22), 0xc051);
        b.io.write(0x40, Size::B4, 0x52);
        assert_eq!(b.get(0x22), 0xc051, "another vector");
        b.io.write(0x40, Size::B4, 0x51);
        assert_eq!(b.get(0x22), 0x8051);
        pin.assert();
        assert_eq!(b.get(0x22), 0xc051);
        b.entry(9, MASKED | 0x51);
        assert_eq!(b.get(0x22), 0x1_0051);
    }

    #[test]
    fn polarity_does_not_turn_assertion_around() {
        let b = board();
        b.entry(9, 1 << 13 | LEVEL | 0x51);
        assert_eq!(b.ack(0), None);
        let pin = b.io.input(9).expect("input");
        pin.assert();
        assert_eq!(b.ack(0), V);
    }

    #[test]
    fn delivery_modes() {
        let b = board();
        let pin = b.io.input(0).expect("input");
        b.entry(0, 0xff << 56 | 0x400);
        pin.pulse();
        assert_eq!((b.lines[0].level(), b.lines[1].level()), (NMI, NMI));
        b.entry(0, 0x700);
        pin.pulse();
        assert_eq!(b.lines[0].level(), NMI | IRQ);
        assert_eq!(b.ack(0), Some(Ack::ExtInt));
        b.entry(0, 0x300 | 0x51);
        pin.pulse();
        assert_eq!(b.ack(0), None, "reserved");
        // Lowest priority, logical.
        b.bus.cpus()[0].write(0xd0, Size::B4, 0x0100_0000);
        b.bus.cpus()[1].write(0xd0, Size::B4, 0x0200_0000);
        b.bus.cpus()[0].set_cr8(3);
        b.entry(0, 3 << 56 | 0x900 | 0x51);
        pin.pulse();
        assert_eq!((b.ack(0), b.ack(1)), (None, V));
    }

    #[test]
    fn saves_restores_and_resets() {
        let b = board();
        let pin = b.io.input(5).expect("input");
        b.entry(5, LEVEL | 0x51);
        pin.assert();
        let saved = b.io.save().expect("saved");
        b.io.reset();
        assert_eq!(b.get(0x1a), 0x1_0000);
        b.entry(5, LEVEL | 0x52);
        assert_eq!(b.ack(0), Some(Ack::Vector(0x52)), "levels survive a reset");
        b.io.restore(&saved).expect("restored");
        assert_eq!(b.get(0x1a), 0xc051);
        assert_eq!(saved.version, 1);
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let b = board();
        let pins: Vec<_> = (0..INPUTS).map(|n| b.io.input(n).expect("input")).collect();
        for value in [0, u64::MAX, 0x8051, 0x1234_5678] {
            for index in 0..0x200 {
                b.set(index, value);
                b.get(index);
            }
            for pin in &pins {
                pin.pulse();
            }
            for offset in 0..0x1010 {
                for size in [Size::B1, Size::B2, Size::B4, Size::B8, Size::B16] {
                    b.io.write(offset, size, value);
                    b.io.read(offset, size);
                }
            }
        }
        assert!(b.io.stray().count() > 0);
        b.io.set_line(99, true);
    }
}

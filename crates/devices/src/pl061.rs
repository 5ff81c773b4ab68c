//! PrimeCell GPIO PL061 (Arm DDI 0190): eight pins.

use std::sync::Mutex;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;
use serde::{Deserialize, Serialize};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::{RegMap, Stray, Word, reg, reserved};

#[derive(Clone, Copy, Debug)]
enum Reg {
    Data,
    Dir,
    Is,
    Ibe,
    Iev,
    Ie,
    Ris,
    Mis,
    Ic,
    Afsel,
    Id,
}

const MAP: RegMap<Reg, 12> = RegMap::new(
    Pl061::SIZE,
    [
        reg(Reg::Data, 0x400),
        reg(Reg::Dir, 4),
        reg(Reg::Is, 4),
        reg(Reg::Ibe, 4),
        reg(Reg::Iev, 4),
        reg(Reg::Ie, 4),
        reg(Reg::Ris, 4),
        reg(Reg::Mis, 4),
        reg(Reg::Ic, 4),
        reg(Reg::Afsel, 4),
        reserved(0xbac),
        reg(Reg::Id, 0x30),
    ],
);

/// From 0xfd0: four reserved words, then `GPIOPeriphID0` to `GPIOPCellID3`: Arm, part 0x061.
const ID: [u8; 12] = [0, 0, 0, 0, 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// The registers of a PL061. A bit per pin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pl061State {
    /// What is driven into the pins from outside.
    inputs: u8,
    /// What the chip drives where [`Pl061State::dir`] is set.
    outputs: u8,
    /// Output rather than input.
    dir: u8,
    /// Level-sensitive rather than edge-triggered.
    is: u8,
    /// Both edges trigger.
    ibe: u8,
    /// Rising edge or high level rather than falling or low.
    iev: u8,
    ie: u8,
    /// Edges seen.
    edges: u8,
    afsel: u8,
}

impl Pl061State {
    fn data(&self) -> u8 {
        self.outputs & self.dir | self.inputs & !self.dir
    }

    fn raw_interrupts(&self) -> u8 {
        let level = self.is & !self.dir & !(self.inputs ^ self.iev);
        self.edges | level
    }

    fn interrupt(&self) -> bool {
        self.raw_interrupts() & self.ie != 0
    }

    fn set_inputs(&mut self, inputs: u8) {
        let changed = (self.inputs ^ inputs) & !self.dir & !self.is;
        self.edges |= changed & (self.ibe | !(inputs ^ self.iev));
        self.inputs = inputs;
    }

    /// `GPIODATA` is masked by bits 9:2 of the address, which are the word's index (3.3.1).
    fn read(&self, reg: Reg, i: usize) -> u32 {
        let value = match reg {
            Reg::Data => self.data() & i as u8,
            Reg::Dir => self.dir,
            Reg::Is => self.is,
            Reg::Ibe => self.ibe,
            Reg::Iev => self.iev,
            Reg::Ie => self.ie,
            Reg::Ris => self.raw_interrupts(),
            Reg::Mis => self.raw_interrupts() & self.ie,
            Reg::Afsel => self.afsel,
            Reg::Id => ID[i],
            // Write-only.
            Reg::Ic => 0,
        };
        u32::from(value)
    }

    fn write(&mut self, reg: Reg, i: usize, word: Word) {
        let merge = |old: u8| word.merge(u32::from(old)) as u8;
        match reg {
            Reg::Data => {
                let mask = i as u8 & word.lanes as u8 & self.dir;
                self.outputs = self.outputs & !mask | word.value as u8 & mask;
            }
            Reg::Dir => self.dir = merge(self.dir),
            Reg::Is => {
                self.is = merge(self.is);
                self.edges &= !self.is;
            }
            Reg::Ibe => self.ibe = merge(self.ibe),
            Reg::Iev => self.iev = merge(self.iev),
            Reg::Ie => self.ie = merge(self.ie),
            // Levels cannot be cleared, only edges.
            Reg::Ic => self.edges &= !(word.value as u8),
            Reg::Afsel => self.afsel = merge(self.afsel),
            Reg::Ris | Reg::Mis | Reg::Id => {}
        }
    }
}

/// A PL061 with inputs that the board drives.
#[derive(Debug)]
pub struct Pl061 {
    state: Mutex<Pl061State>,
    irq: IrqPin,
    stray: Stray,
}

impl Pl061 {
    const KIND: &str = "pl061";
    const VERSION: u32 = 1;

    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1000;

    /// A chip after reset, all pins inputs and low.
    pub fn new(irq: IrqPin) -> Pl061 {
        Pl061 { state: Mutex::default(), irq, stray: Stray::new() }
    }

    /// Drives pin `pin` (0 to 7; others do not exist) from outside.
    pub fn set_input(&self, pin: u32, high: bool) {
        let mut state = lock(&self.state);
        let bit = 1u8.checked_shl(pin).unwrap_or(0);
        let inputs = if high { state.inputs | bit } else { state.inputs & !bit };
        state.set_inputs(inputs);
        self.irq.set(state.interrupt());
    }

    /// What the chip drives: the levels of the pins that are outputs, 0 for the others.
    pub fn outputs(&self) -> u8 {
        let state = lock(&self.state);
        state.outputs & state.dir
    }

    /// Accesses to registers that do not exist.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl MmioDevice for Pl061 {
    fn name(&self) -> &str {
        Pl061::KIND
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let state = lock(&self.state);
        MAP.read(&self.stray, offset, size, |reg, i| state.read(reg, i))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut state = lock(&self.state);
        MAP.write(&self.stray, offset, size, value, |reg, i, word| state.write(reg, i, word));
        self.irq.set(state.interrupt());
    }
}

impl Device for Pl061 {
    fn kind(&self) -> &'static str {
        Pl061::KIND
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        *state = Pl061State { inputs: state.inputs, ..Pl061State::default() };
        self.irq.deassert();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(Pl061::KIND, Pl061::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new = snapshot.decode(Pl061::KIND, Pl061::VERSION)?;
        let mut state = lock(&self.state);
        *state = new;
        self.irq.set(state.interrupt());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irq::tests::recorded;

    const DIR: u64 = 0x400;
    const IS: u64 = 0x404;
    const IBE: u64 = 0x408;
    const IEV: u64 = 0x40c;
    const IE: u64 = 0x410;
    const RIS: u64 = 0x414;
    const MIS: u64 = 0x418;
    const IC: u64 = 0x41c;

    fn chip() -> Pl061 {
        Pl061::new(IrqPin::disconnected())
    }

    fn set(c: &Pl061, at: u64, value: u64) {
        c.write(at, Size::B4, value);
    }

    fn get(c: &Pl061, at: u64) -> u64 {
        c.read(at, Size::B4)
    }

    #[test]
    fn the_address_masks_data() {
        let c = chip();
        set(&c, DIR, 0xf0);
        set(&c, 0xff << 2, 0xff);
        assert_eq!(get(&c, 0x3fc), 0xf0, "inputs are not written");
        set(&c, 0x10 << 2, 0x00);
        assert_eq!(get(&c, 0x3fc), 0xe0);
        assert_eq!(c.outputs(), 0xe0);
        set(&c, 0, 0);
        assert_eq!(get(&c, 0x3fc), 0xe0, "an empty mask writes nothing");
        c.set_input(0, true);
        c.set_input(5, false);
        assert_eq!(get(&c, 0x3fc), 0xe1);
        assert_eq!(get(&c, 0x21 << 2), 0x21);
        assert_eq!(c.read(0x3fc, Size::B1), 0xe1);
        assert_eq!(get(&c, 0), 0);
        set(&c, DIR, 0);
        assert_eq!(get(&c, 0x3fc), 0x01, "outputs that became inputs show what is driven in");
    }

    #[test]
    fn a_key_press_is_an_edge() {
        let (sink, pin) = recorded();
        let c = Pl061::new(pin);
        set(&c, IEV, 1 << 3);
        set(&c, IE, 1 << 3);
        c.set_input(3, true);
        assert_eq!((get(&c, RIS), get(&c, MIS)), (8, 8));
        set(&c, IC, 8);
        assert_eq!(get(&c, RIS), 0, "a level that stays is no edge");
        c.set_input(3, true);
        c.set_input(3, false);
        assert_eq!(get(&c, RIS), 0, "rising edges only");
        set(&c, IBE, 8);
        c.set_input(3, true);
        set(&c, IC, 8);
        c.set_input(3, false);
        assert_eq!(get(&c, RIS), 8, "both edges");
        set(&c, IE, 0);
        assert_eq!((get(&c, RIS), get(&c, MIS)), (8, 0));
        let expected = [(1, true), (1, false), (1, true), (1, false), (1, true), (1, false)];
        assert_eq!(*lock(&sink.0), expected);
    }

    #[test]
    fn a_falling_edge_where_iev_is_clear() {
        let c = chip();
        c.set_input(0, true);
        assert_eq!(get(&c, RIS), 0);
        c.set_input(0, false);
        assert_eq!(get(&c, RIS), 1);
    }

    #[test]
    fn levels_follow_the_pin() {
        let c = chip();
        set(&c, IEV, 0x02);
        set(&c, IS, 0x03);
        assert_eq!(get(&c, RIS), 1, "pin 0 is active low");
        set(&c, IC, 0xff);
        assert_eq!(get(&c, RIS), 1);
        c.set_input(0, true);
        c.set_input(1, true);
        assert_eq!(get(&c, RIS), 2);
        c.set_input(1, false);
        assert_eq!(get(&c, RIS), 0);
        set(&c, DIR, 1);
        assert_eq!(get(&c, RIS), 0, "outputs do not interrupt");
    }

    #[test]
    fn identifies_as_pl061() {
        let id: Vec<u64> = (0..8).map(|i| get(&chip(), 0xfe0 + i * 4)).collect();
        assert_eq!(id, [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
    }

    #[test]
    fn saves_restores_and_resets() {
        let (sink, pin) = recorded();
        let c = Pl061::new(pin);
        set(&c, IE, 1);
        set(&c, IS, 1);
        let saved = c.save().expect("saved");
        c.set_input(0, true);
        c.restore(&saved).expect("restored");
        assert_eq!(get(&c, MIS), 1);
        c.reset();
        assert_eq!(get(&c, MIS), 0);
        assert_eq!(*lock(&sink.0), [(1, true), (1, false), (1, true), (1, false)]);
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let c = chip();
        for offset in 0..0x1010 {
            for size in [Size::B1, Size::B2, Size::B4, Size::B8, Size::B16] {
                c.write(offset, size, !offset);
                c.read(offset, size);
            }
        }
        c.set_input(8, true);
        c.set_input(u32::MAX, true);
        assert!(c.stray().count() > 0);
    }
}

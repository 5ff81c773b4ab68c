//! ISA bridge of the Intel 82371SB (PIIX3): routes the PCI interrupts to ISA interrupts.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use super::{ConfigSpace, Identity, PciFunction};
use crate::irq::{IrqPin, IrqSink};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Word;

/// Offset of PIRQRCA, the first of four route control registers.
const PIRQRC: u8 = 0x60;
/// PIRQRC: not routed.
const DISABLED: u8 = 1 << 7;
/// Interrupts that a PIRQ can be routed to (2.2.10): not 0, 1, 2, 8 and 13.
const ROUTABLE: u16 = 0xdef8;

struct State {
    config: ConfigSpace,
    /// A bit per PIRQ that is asserted.
    levels: u8,
}

/// The ISA bridge, 8086:7000 at 01.0.
pub struct Piix3 {
    state: Mutex<State>,
    isa: [IrqPin; 16],
    pirqs: [IrqPin; 4],
}

impl Piix3 {
    const KIND: &str = "piix3";
    const VERSION: u32 = 1;

    /// A bridge that drives the ISA interrupts `isa`, by number. They are wired-OR with what else is there:
    /// share the pins.
    pub fn new(isa: [IrqPin; 16]) -> Arc<Piix3> {
        let identity = Identity {
            vendor: 0x8086,
            device: 0x7000,
            class: 0x06_0100,
            revision: 0,
            subsystem: (0x1af4, 0x1100),
        };
        let config = ConfigSpace::new(identity)
            .multi_function()
            .with(0x04, 2, 0x0007, 0x0108)
            .with(0x06, 2, 0x0200, 0)
            // IORT, XBCS.
            .with(0x4c, 1, 0x4d, 0xff)
            .with(0x4e, 2, 0x0003, 0x07ff)
            .with(PIRQRC, 4, 0x8080_8080, 0x8f8f_8f8f)
            .with(0x69, 1, 0x02, 0xfe)
            .with(0x70, 2, 0x8080, 0xefef)
            .with(0x76, 2, 0x0c0c, 0x8f8f)
            .with(0x78, 1, 0x02, 0x3f)
            .with(0x80, 1, 0, 0x7f)
            .with(0x82, 1, 0, 0x07)
            .with(0xa0, 1, 0x08, 0x1f)
            .with(0xa2, 2, 0, 0xffff)
            .with(0xa4, 4, 0, u32::MAX)
            .with(0xa8, 1, 0x0f, 0xff)
            .with(0xaa, 2, 0, 0xffff)
            .with(0xac, 1, 0, 0xff)
            .with(0xae, 1, 0, 0xff);
        Arc::new_cyclic(|this: &Weak<Piix3>| {
            let sink: Weak<dyn IrqSink> = this.clone();
            let pirqs = [0, 1, 2, 3].map(|n| IrqPin::new(sink.clone(), n));
            Piix3 { state: Mutex::new(State { config, levels: 0 }), isa, pirqs }
        })
    }

    /// Which of PIRQA to PIRQD (0 to 3) interrupt pin `pin` (0 is INTA) of a device is wired to, as on QEMU's
    /// board.
    pub const fn pirq(device: u8, pin: u8) -> u8 {
        (device.wrapping_sub(1).wrapping_add(pin)) & 3
    }

    /// A pin that drives interrupt `pin` (0 is INTA) of the device in a slot, wired-OR with those of others.
    pub fn intx(&self, device: u8, pin: u8) -> IrqPin {
        self.pirqs[usize::from(Piix3::pirq(device, pin))].share()
    }

    /// The ISA interrupt that a PIRQ (0 to 3) is routed to.
    pub fn route(&self, pirq: u8) -> Option<u8> {
        lock(&self.state).route(pirq)
    }

    /// Routes PIRQA to PIRQD as firmware does, which a board without firmware has to.
    pub fn set_routes(&self, irqs: [u8; 4]) {
        let word = Word { value: u32::from_le_bytes(irqs), lanes: u32::MAX };
        self.config_write(PIRQRC, word);
    }

    fn drive(&self, state: &State) {
        let mut high = 0u16;
        for pirq in 0..4 {
            if let Some(irq) = state.route(pirq)
                && state.levels >> pirq & 1 != 0
            {
                high |= 1 << irq;
            }
        }
        for (n, pin) in self.isa.iter().enumerate() {
            pin.set(high >> n & 1 != 0);
        }
    }
}

impl State {
    fn route(&self, pirq: u8) -> Option<u8> {
        let control = self.config.byte(PIRQRC + (pirq & 3));
        let irq = control & 0xf;
        (control & DISABLED == 0 && ROUTABLE >> irq & 1 != 0).then_some(irq)
    }
}

impl IrqSink for Piix3 {
    fn set_line(&self, line: u32, high: bool) {
        let mut state = lock(&self.state);
        let bit = 1u8.checked_shl(line).unwrap_or(0) & 0xf;
        state.levels = if high { state.levels | bit } else { state.levels & !bit };
        self.drive(&state);
    }
}

impl PciFunction for Piix3 {
    fn config_read(&self, offset: u8) -> u32 {
        lock(&self.state).config.read(offset)
    }

    fn config_write(&self, offset: u8, word: Word) {
        let mut state = lock(&self.state);
        state.config.write(offset, word);
        if offset == PIRQRC {
            self.drive(&state);
        }
    }
}

impl Device for Piix3 {
    fn kind(&self) -> &'static str {
        Piix3::KIND
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        state.config.reset();
        self.drive(&state);
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        let state = lock(&self.state);
        Snapshot::encode(Piix3::KIND, Piix3::VERSION, &(state.config.save(), state.levels))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let (config, levels): (Vec<u32>, u8) = snapshot.decode(Piix3::KIND, Piix3::VERSION)?;
        let mut state = lock(&self.state);
        state.config.restore(Piix3::KIND, &config)?;
        state.levels = levels & 0xf;
        self.drive(&state);
        Ok(())
    }
}

impl fmt::Debug for Piix3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = [0, 1, 2, 3].map(|n| self.route(n));
        f.debug_struct("Piix3").field("routes", &routes).finish_non_exhaustive()
    }
}

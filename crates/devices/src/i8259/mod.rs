//! 8259A programmable interrupt controllers (Intel 231468): the cascaded pair of a PC, with the edge/level
//! control registers of the PIIX (Intel 290562, 4.2.4).
//!
//! One thing differs from the datasheet: an edge is latched until it is acknowledged, even if its input goes low
//! before. Emulated devices pulse their lines in no time, which the datasheet would turn into spurious interrupts.

mod chip;

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::irq::{IrqPin, IrqSink};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;

pub use chip::Chip;

/// The input of the first chip that the second one drives.
const CASCADE: u8 = 2;

/// Inputs that can be level-triggered: all but 0, 1, 2 of the first chip, and 8 and 13 (290562 4.2.4).
const ELCR_MASK: [u8; 2] = [0xf8, 0xde];

/// The registers of both chips.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct I8259State {
    master: Chip,
    slave: Chip,
}

impl I8259State {
    /// Passes the second chip's output on. `edge`: it was acknowledged or told of an end in between, so that its
    /// output went low even if it is high again.
    fn cascade(&mut self, edge: bool) {
        if edge {
            self.master.set_line(CASCADE, false);
        }
        self.master.set_line(CASCADE, self.slave.pending().is_some());
    }

    /// Drives input `line`, 0 to 15.
    fn set_line(&mut self, line: u32, high: bool) {
        match u8::try_from(line).unwrap_or(u8::MAX) {
            CASCADE => {}
            n @ 0..8 => self.master.set_line(n, high),
            n @ 8..16 => {
                self.slave.set_line(n - 8, high);
                self.cascade(false);
            }
            _ => {}
        }
    }

    /// Both `INTA` cycles: what is on the bus in the second.
    fn acknowledge(&mut self) -> u8 {
        let Some(level) = self.master.pending() else {
            // The request went away: level 7, without an in-service bit.
            return self.master.vector(7);
        };
        self.master.acknowledge(level);
        if level != CASCADE || !self.master.has_slave(CASCADE) {
            return self.master.vector(level);
        }
        if self.slave.slave_id() != CASCADE {
            return 0xff;
        }
        let level = self.slave.pending();
        if let Some(level) = level {
            self.slave.acknowledge(level);
        }
        self.cascade(true);
        self.slave.vector(level.unwrap_or(7))
    }

    fn read(&mut self, reg: u16) -> u8 {
        match reg {
            0 | 1 => self.master.read(reg != 0),
            2 | 3 => {
                let before = self.slave.in_service();
                let value = self.slave.read(reg != 2);
                self.cascade(self.slave.in_service() != before);
                value
            }
            4 => self.master.elcr(),
            5 => self.slave.elcr(),
            _ => 0xff,
        }
    }

    fn write(&mut self, reg: u16, value: u8) {
        match reg {
            0 | 1 => self.master.write(reg != 0, value),
            2 | 3 => {
                let before = self.slave.in_service();
                self.slave.write(reg != 2, value);
                self.cascade(self.slave.in_service() != before);
            }
            4 => self.master.set_elcr(value & ELCR_MASK[0]),
            5 => {
                self.slave.set_elcr(value & ELCR_MASK[1]);
                self.cascade(false);
            }
            _ => {}
        }
    }

    fn interrupt(&self) -> bool {
        self.master.pending().is_some()
    }
}

/// The pair. Registers: 0 and 1 are the first chip's (ports 0x20, 0x21), 2 and 3 the second's (0xa0, 0xa1), 4
/// and 5 `ELCR1` and `ELCR2` (0x4d0, 0x4d1).
///
/// As an [`IrqSink`] it has inputs 0 to 15; 2 is the cascade and not connected.
#[derive(Debug)]
pub struct I8259 {
    state: Mutex<I8259State>,
    intr: IrqPin,
}

impl I8259 {
    const KIND: &str = "i8259";
    const VERSION: u32 = 1;

    /// Number of byte registers.
    pub const REGS: u16 = 6;

    /// A pair after power-on. `intr` is the first chip's `INT`: the CPU's `INTR`, or the local APIC's `LINT0`.
    pub fn new(intr: IrqPin) -> I8259 {
        I8259 { state: Mutex::default(), intr }
    }

    fn with<T>(&self, f: impl FnOnce(&mut I8259State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = f(&mut state);
        self.intr.set(state.interrupt());
        result
    }

    /// The CPU's interrupt acknowledge, both cycles: the vector. If no request is left it is that of level 7 (or
    /// 15), the spurious interrupt. To be called without the lock of anything that `intr` leads to.
    pub fn acknowledge(&self) -> u8 {
        self.with(I8259State::acknowledge)
    }

    /// Level of `INT`.
    pub fn has_interrupt(&self) -> bool {
        lock(&self.state).interrupt()
    }
}

impl IrqSink for I8259 {
    fn set_line(&self, line: u32, high: bool) {
        self.with(|state| state.set_line(line, high));
    }
}

impl PortDevice for I8259 {
    fn name(&self) -> &str {
        I8259::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        self.with(|state| state.read(reg))
    }

    fn write(&self, reg: u16, value: u8) {
        self.with(|state| state.write(reg, value));
    }
}

impl Device for I8259 {
    fn kind(&self) -> &'static str {
        I8259::KIND
    }

    fn reset(&self) {
        self.with(|state| {
            let I8259State { master, slave } = state;
            *state = I8259State { master: master.after_reset(), slave: slave.after_reset() };
            state.master.set_line(CASCADE, false);
        });
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(I8259::KIND, I8259::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut new: I8259State = snapshot.decode(I8259::KIND, I8259::VERSION)?;
        new.master.sanitize(ELCR_MASK[0]);
        new.slave.sanitize(ELCR_MASK[1]);
        self.with(|state| *state = new);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! 8254 programmable interval timer (Intel 231164) with a PC's wiring: counter 0 is the timer interrupt, counter
//! 1 the memory refresh, counter 2 the speaker, whose gate and output are in port 0x61 (Intel 290562, 4.5.1).

mod counter;

use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::time::{TimeSource, ns_to_ticks, ticks_to_ns};

pub use counter::Counter;

/// Frequency of `CLK` on a PC in Hz: a twelfth of 14.31818 MHz.
pub const FREQUENCY: u64 = 1_193_182;

/// Bits of port 0x61.
const TIM2_GATE: u8 = 1 << 0;
const REFRESH: u8 = 1 << 4;
const TIM2_OUT: u8 = 1 << 5;
/// Gate, speaker, and the enables of the errors that do not occur here.
const WRITABLE: u8 = 0x0f;

/// Periods of `CLK` between two refreshes, each of which toggles a bit of port 0x61: 15 µs.
const REFRESH_TICKS: u64 = 18;

/// No snapshot is of a later time: 1,900 years in periods of `CLK`.
const END_OF_TIME: u64 = 1 << 56;

/// The registers of the timer and port 0x61. Time is in periods of `CLK`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct I8254State {
    counters: [Counter; 3],
    port61: u8,
    /// When the state was last brought up to date.
    now: u64,
}

impl Default for I8254State {
    /// "Prior to initialization, the mode, count, and output of all counters is undefined": here they stand still.
    fn default() -> Self {
        let counters = [Counter::new(true), Counter::new(true), Counter::new(false)];
        I8254State { counters, port61: 0, now: 0 }
    }
}

impl I8254State {
    /// Lets time pass. Whether the output of counter 0 rose in between, even if it is low again.
    fn update(&mut self, t: u64) -> bool {
        let t = t.max(self.now);
        let rose = self.counters[0].next_rise(self.now).is_some_and(|at| at <= t);
        for c in &mut self.counters {
            c.sync(t);
        }
        self.now = t;
        rose
    }

    fn out(&self, counter: usize) -> bool {
        self.counters[counter].out(self.now)
    }

    fn read(&mut self, reg: u16) -> u8 {
        match reg {
            0..=2 => self.counters[usize::from(reg)].read(self.now),
            4 => {
                let refresh = if (self.now / REFRESH_TICKS).is_multiple_of(2) { 0 } else { REFRESH };
                let out = if self.out(2) { TIM2_OUT } else { 0 };
                self.port61 | refresh | out
            }
            // The control word cannot be read.
            _ => 0xff,
        }
    }

    fn write(&mut self, reg: u16, value: u8) {
        let t = self.now;
        match reg {
            0..=2 => self.counters[usize::from(reg)].write(value, t),
            3 => self.control(value),
            4 => {
                self.port61 = value & WRITABLE;
                self.counters[2].set_gate(value & TIM2_GATE != 0, t);
            }
            _ => {}
        }
    }

    fn control(&mut self, word: u8) {
        let t = self.now;
        match (word >> 6, word >> 4 & 3) {
            // Read-back; the bits are low for what is wanted.
            (3, _) => {
                for (i, c) in self.counters.iter_mut().enumerate() {
                    if word >> (i + 1) & 1 != 0 {
                        if word & 0x20 == 0 {
                            c.latch(t);
                        }
                        if word & 0x10 == 0 {
                            c.latch_status(t);
                        }
                    }
                }
            }
            (n, 0) => self.counters[usize::from(n)].latch(t),
            (n, _) => self.counters[usize::from(n)].control(word),
        }
    }
}

/// The timer. Registers: 0 to 2 are the counters (ports 0x40 to 0x42), 3 is the control word (0x43), 4 the NMI
/// status and control register (0x61).
///
/// The interrupt follows the time only when someone looks: [`I8254::update`] is due at [`I8254::next_event`].
pub struct I8254 {
    state: Mutex<I8254State>,
    irq: IrqPin,
    clock: Arc<dyn TimeSource>,
}

impl I8254 {
    const KIND: &str = "i8254";
    const VERSION: u32 = 1;

    /// Number of byte registers.
    pub const REGS: u16 = 5;

    /// A timer after power-on. `irq` is the output of counter 0.
    pub fn new(irq: IrqPin, clock: Arc<dyn TimeSource>) -> I8254 {
        I8254 { state: Mutex::default(), irq, clock }
    }

    fn with<T>(&self, f: impl FnOnce(&mut I8254State) -> T) -> T {
        let mut chip = lock(&self.state);
        let rose = chip.update(ns_to_ticks(self.clock.now(), FREQUENCY));
        let result = f(&mut chip);
        if rose {
            self.irq.deassert();
            self.irq.assert();
        }
        self.irq.set(chip.out(0));
        result
    }

    /// Brings the interrupt up to date with the time.
    pub fn update(&self) {
        self.with(|_| ());
    }

    /// The guest time in nanoseconds at which the interrupt's next edge is due; none while counter 0 does not run.
    /// Changes with every write.
    pub fn next_event(&self) -> Option<u64> {
        let chip = lock(&self.state);
        Some(ticks_to_ns(chip.counters[0].next_rise(chip.now)?, FREQUENCY))
    }

    /// What the speaker plays: Hz, if its gate, its data enable and a square wave are on.
    pub fn speaker(&self) -> Option<u32> {
        self.with(|chip| chip.counters[2].square_wave().filter(|_| chip.port61 & 3 == 3))
            .map(|n| FREQUENCY as u32 / n)
    }
}

impl fmt::Debug for I8254 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I8254").field("state", &self.state).field("irq", &self.irq).finish_non_exhaustive()
    }
}

impl PortDevice for I8254 {
    fn name(&self) -> &str {
        I8254::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        self.with(|chip| chip.read(reg))
    }

    fn write(&self, reg: u16, value: u8) {
        self.with(|chip| chip.write(reg, value));
    }
}

impl Device for I8254 {
    fn kind(&self) -> &'static str {
        I8254::KIND
    }

    fn reset(&self) {
        let mut chip = lock(&self.state);
        *chip = I8254State { now: chip.now, ..I8254State::default() };
        self.irq.deassert();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(I8254::KIND, I8254::VERSION, &*lock(&self.state))
    }

    /// The output is that of the time of the snapshot until the next [`I8254::update`].
    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new: I8254State = snapshot.decode(I8254::KIND, I8254::VERSION)?;
        if !new.counters.iter().all(Counter::is_valid)
            || new.now > END_OF_TIME
            || new.counters[..2].iter().any(|c| !c.gate())
        {
            return Err(SnapshotError::mismatch(I8254::KIND, "has an impossible counter"));
        }
        let mut chip = lock(&self.state);
        *chip = new;
        self.irq.set(chip.out(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests;

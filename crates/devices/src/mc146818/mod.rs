//! MC146818 real-time clock plus RAM (Motorola MC146818 datasheet) behind a PC's index and data ports.
//!
//! The clock counts guest time from a moment that the board sets, so that a machine whose clock is virtual has a
//! calendar that is as well. The time base is 32.768 kHz.

mod calendar;
mod clock;

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::time::TimeSource;

pub use clock::Mc146818State;

/// The clock and its RAM. Registers: 0 is the index with the NMI mask (port 0x70, write-only), 1 the data (0x71).
///
/// Interrupts follow the time only when someone looks: [`Mc146818::update`] is due at [`Mc146818::next_event`].
pub struct Mc146818 {
    state: Mutex<Mc146818State>,
    irq: IrqPin,
    clock: Arc<dyn TimeSource>,
}

impl Mc146818 {
    const KIND: &str = "mc146818";
    const VERSION: u32 = 1;

    /// Number of byte registers.
    pub const REGS: u16 = 2;

    /// Index of the century in the RAM, for the FADT.
    pub const CENTURY: u8 = 0x32;

    /// A clock that shows `unix` (seconds since 1970 UTC) now, with all other RAM zero. `irq` is `IRQ`, driven
    /// high for a request as on a PC.
    pub fn new(irq: IrqPin, clock: Arc<dyn TimeSource>, unix: i64) -> Mc146818 {
        let mut state = Mc146818State::default();
        state.set_time(unix, clock.now());
        Mc146818 { state: Mutex::new(state), irq, clock }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Mc146818State) -> T) -> T {
        let mut state = lock(&self.state);
        state.update(self.clock.now());
        let result = f(&mut state);
        self.irq.set(state.interrupt());
        result
    }

    /// Brings the interrupt up to date with the time.
    pub fn update(&self) {
        self.with(|_| ());
    }

    /// The guest time in nanoseconds at which the interrupt is due; none while none is enabled, or until the
    /// guest has read register C. Changes with every write.
    pub fn next_event(&self) -> Option<u64> {
        lock(&self.state).next_event()
    }

    /// Sets the clock to `unix`, seconds since 1970 UTC.
    pub fn set_time(&self, unix: i64) {
        self.with(|state| {
            let now = state.now();
            state.set_time(unix, now);
        });
    }

    /// What the clock shows, in seconds since 1970 UTC.
    pub fn time(&self) -> i64 {
        self.with(|state| state.time())
    }

    /// A byte of RAM by its index, 0 to 127 (bit 7 is ignored); the clock's registers read as the guest sees
    /// them, without effect.
    pub fn peek(&self, index: u8) -> u8 {
        self.with(|state| state.peek(index & 0x7f))
    }

    /// Sets a byte of RAM, for what firmware expects there. The clock's registers (0 to 13) cannot be set so.
    pub fn poke(&self, index: u8, value: u8) {
        self.with(|state| state.poke(index & 0x7f, value));
    }

    /// Whether bit 7 of the index port keeps NMIs from the CPU.
    pub fn nmi_masked(&self) -> bool {
        lock(&self.state).nmi_masked()
    }
}

impl fmt::Debug for Mc146818 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mc146818").field("state", &self.state).field("irq", &self.irq).finish_non_exhaustive()
    }
}

impl PortDevice for Mc146818 {
    fn name(&self) -> &str {
        Mc146818::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        match reg {
            1 => self.with(Mc146818State::read),
            _ => 0xff,
        }
    }

    fn write(&self, reg: u16, value: u8) {
        match reg {
            0 => lock(&self.state).select(value),
            1 => self.with(|state| state.write(value)),
            _ => {}
        }
    }
}

impl Device for Mc146818 {
    fn kind(&self) -> &'static str {
        Mc146818::KIND
    }

    /// The `RESET` pin: interrupts are disabled. Time and RAM have a battery.
    fn reset(&self) {
        self.with(Mc146818State::reset);
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(Mc146818::KIND, Mc146818::VERSION, &*lock(&self.state))
    }

    /// The clock goes on from the time of the snapshot.
    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new: Mc146818State = snapshot.decode(Mc146818::KIND, Mc146818::VERSION)?;
        if !new.is_valid() {
            return Err(SnapshotError::mismatch(Mc146818::KIND, "has an impossible time"));
        }
        let mut state = lock(&self.state);
        *state = new;
        self.irq.set(state.interrupt());
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! How a PC reports x87 errors where CR0.NE is clear (SDM Vol. 1, 8.7.2 and appendix D): the processor drives FERR#, which
//! raises IRQ 13, and waits; the handler writes to port 0xf0, which asserts IGNNE# and lets it go on.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;

/// FERR#, IGNNE# and the interrupt, true where asserted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pins {
    ferr: bool,
    ignne: bool,
    irq: bool,
}

/// The coprocessor error latch of the PIIX, port 0xf0, one register (Intel 290562).
#[derive(Debug)]
pub struct CoprocessorError {
    pins: Mutex<Pins>,
    irq: IrqPin,
}

impl CoprocessorError {
    const KIND: &str = "coprocessor-error";
    const VERSION: u32 = 1;

    /// No error; `irq` is IRQ 13.
    pub fn new(irq: IrqPin) -> CoprocessorError {
        CoprocessorError { pins: Mutex::new(Pins::default()), irq }
    }

    fn set(&self, f: impl FnOnce(&mut Pins)) -> Pins {
        let mut pins = lock(&self.pins);
        f(&mut pins);
        self.irq.set(pins.irq);
        *pins
    }

    /// The processor asserts FERR#. Whether IGNNE# is asserted, so that it need not wait.
    pub fn error(&self) -> bool {
        let pins = self.set(|p| {
            p.ferr = true;
            p.irq |= !p.ignne;
        });
        pins.ignne
    }

    /// The processor negates FERR#, and therefore the chip IGNNE#.
    pub fn gone(&self) {
        self.set(|p| (p.ferr, p.ignne) = (false, false));
    }
}

impl PortDevice for CoprocessorError {
    fn name(&self) -> &str {
        CoprocessorError::KIND
    }

    fn read(&self, _: u16) -> u8 {
        0xff
    }

    /// Whatever is written: the interrupt goes, and while there is an error it is ignored.
    fn write(&self, _: u16, _: u8) {
        self.set(|p| (p.irq, p.ignne) = (false, p.ferr));
    }
}

impl Device for CoprocessorError {
    fn kind(&self) -> &'static str {
        CoprocessorError::KIND
    }

    fn reset(&self) {
        self.set(|p| *p = Pins::default());
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(CoprocessorError::KIND, CoprocessorError::VERSION, &*lock(&self.pins))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let pins = snapshot.decode(CoprocessorError::KIND, CoprocessorError::VERSION)?;
        self.set(|p| *p = pins);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irq::tests::recorded;

    #[test]
    fn port_f0_acknowledges_an_error_until_it_is_gone() {
        let (sink, pin) = recorded();
        let c = CoprocessorError::new(pin);
        c.write(0, 0);
        assert!(!c.error(), "a write without an error asserts nothing");
        assert!(!c.error());
        assert_eq!(*lock(&sink.0), [(1, true)]);
        let saved = c.save().expect("saved");
        c.write(0, 0);
        assert!(c.error(), "IGNNE#");
        c.gone();
        assert!(!c.error(), "the next one");
        assert_eq!(*lock(&sink.0), [(1, true), (1, false), (1, true)]);
        c.gone();
        c.reset();
        assert_eq!(lock(&sink.0).last(), Some(&(1, false)));
        assert_eq!(c.restore(&saved), Ok(()));
        c.write(0, 0);
        assert!(c.error(), "FERR# was asserted when it was saved");
    }
}

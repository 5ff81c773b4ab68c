//! Power management function of the Intel 82371AB (PIIX4): says where the power management registers are. Those
//! are a chip of their own in the port space, `piix4_pm`.

use std::fmt;
use std::sync::Mutex;

use super::{ConfigSpace, Identity, PciFunction};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Word;

/// Power management base address (7.1.12).
const PMBA: u8 = 0x40;
/// Device activity B (7.1.18). APMC_EN is set from the start: firmware then takes system management mode, which is not
/// there, for set up already.
const DEVACTB: u8 = 0x58;
const APMC_EN: u32 = 1 << 25;
/// Bit 0: the power management registers are decoded (7.1.20).
const PMREGMISC: u8 = 0x80;

/// Told of every change of the base; `None` while nothing is decoded. Called with no lock held.
pub type PmMoved = Box<dyn Fn(Option<u16>) + Send + Sync>;

/// The power management function, 8086:7113 at 01.3.
pub struct Piix4PmFunction {
    state: Mutex<State>,
    moved: PmMoved,
}

struct State {
    config: ConfigSpace,
    /// The base that was reported last.
    base: Option<u16>,
}

impl State {
    fn base(&self) -> Option<u16> {
        let base = self.config.read(PMBA) as u16 & 0xffc0;
        (self.config.byte(PMREGMISC) & 1 != 0 && base != 0).then_some(base)
    }
}

impl Piix4PmFunction {
    const KIND: &str = "piix4-pm-function";
    const VERSION: u32 = 1;

    /// Ports of the power management registers.
    pub const PM_PORTS: u16 = 64;

    /// A function whose power management registers are at `base` (a multiple of 64) after reset: what firmware
    /// would set up on a board that has none. 0 is the chip's own reset state, nothing decoded.
    ///
    /// `moved` is called at once if there is a base, and then at every change.
    pub fn new(base: u16, moved: PmMoved) -> Piix4PmFunction {
        let base = base & 0xffc0;
        let identity = Identity {
            vendor: 0x8086,
            device: 0x7113,
            class: 0x06_8000,
            revision: 3,
            subsystem: (0x1af4, 0x1100),
        };
        let config = ConfigSpace::new(identity)
            .interrupt_pin(1)
            // The SCI is wired to IRQ 9, whatever PIRQA is.
            .with(0x3c, 1, 9, 0xff)
            .with(0x04, 2, 0x0000, 0x0005)
            .with(0x06, 2, 0x0280, 0)
            .with(PMBA, 4, u32::from(base) | 1, 0xffc0)
            .with(0x44, 4, 0, u32::MAX)
            .with(0x48, 4, 0, u32::MAX)
            .with(0x4c, 4, 0, u32::MAX)
            .with(0x50, 4, 0, u32::MAX)
            .with(0x54, 4, 0, u32::MAX)
            .with(DEVACTB, 4, APMC_EN, u32::MAX)
            .with(PMREGMISC, 1, u32::from(base != 0), 0x01)
            .with(0x90, 4, 1, 0xfff0)
            .with(0xd2, 1, 0, 0x0f);
        let pm = Piix4PmFunction { state: Mutex::new(State { config, base: None }), moved };
        pm.report();
        pm
    }

    /// Where the power management registers are.
    pub fn base(&self) -> Option<u16> {
        lock(&self.state).base()
    }

    fn report(&self) {
        let new = {
            let mut state = lock(&self.state);
            let new = state.base();
            if std::mem::replace(&mut state.base, new) == new {
                return;
            }
            new
        };
        (self.moved)(new);
    }
}

impl PciFunction for Piix4PmFunction {
    fn config_read(&self, offset: u8) -> u32 {
        lock(&self.state).config.read(offset)
    }

    fn config_write(&self, offset: u8, word: Word) {
        lock(&self.state).config.write(offset, word);
        self.report();
    }
}

impl Device for Piix4PmFunction {
    fn kind(&self) -> &'static str {
        Piix4PmFunction::KIND
    }

    fn reset(&self) {
        lock(&self.state).config.reset();
        self.report();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(Piix4PmFunction::KIND, Piix4PmFunction::VERSION, &lock(&self.state).config.save())
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let saved: Vec<u32> = snapshot.decode(Piix4PmFunction::KIND, Piix4PmFunction::VERSION)?;
        lock(&self.state).config.restore(Piix4PmFunction::KIND, &saved)?;
        self.report();
        Ok(())
    }
}

impl fmt::Debug for Piix4PmFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piix4PmFunction").field("base", &self.base()).finish_non_exhaustive()
    }
}

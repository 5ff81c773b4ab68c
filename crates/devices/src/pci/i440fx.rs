//! Host bridge of the Intel 440FX (82441FX PMC). Of its registers, only those matter here that firmware reads
//! back: memory itself is the board's.

use std::sync::Mutex;

use super::{ConfigSpace, Identity, PciFunction};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Word;

/// What the bridge does with a segment of 0xc0000 to 0xfffff (PAM, 3.2.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pam {
    /// Reads go to memory rather than to the PCI bus.
    pub read: bool,
    /// Writes go to memory.
    pub write: bool,
}

/// The host bridge, 8086:1237 at 00.0.
#[derive(Debug)]
pub struct I440fx {
    config: Mutex<ConfigSpace>,
}

impl I440fx {
    const KIND: &str = "i440fx";
    const VERSION: u32 = 1;

    /// A bridge after reset.
    pub fn new() -> I440fx {
        let identity = Identity {
            vendor: 0x8086,
            device: 0x1237,
            class: 0x06_0000,
            revision: 2,
            // QEMU's, by which some drivers know that they are in a virtual machine.
            subsystem: (0x1af4, 0x1100),
        };
        let config = ConfigSpace::new(identity)
            // Memory and bus master cannot be switched off; SERR# and parity can be on.
            .with(0x04, 2, 0x0006, 0x0140)
            .with(0x06, 2, 0x0280, 0)
            // PMCCFG, DETURBO, DBC.
            .with(0x50, 4, 0x0000_0000, 0x0300_f05f)
            // DRAM timing; PAM0 to PAM6.
            .with(0x58, 1, 0, 0x3f)
            .with(0x59, 1, 0, 0x33)
            .with(0x5a, 2, 0, 0x3333)
            .with(0x5c, 4, 0, 0x3333_3333)
            // DRAM row boundaries.
            .with(0x60, 4, 0x0101_0101, u32::MAX)
            .with(0x64, 4, 0x0101_0101, u32::MAX)
            // FDHC, MTT, SMRAM.
            .with(0x68, 1, 0, 0xc0)
            .with(0x70, 1, 0x20, 0xf8)
            .with(0x72, 1, 0x02, 0x78);
        I440fx { config: Mutex::new(config) }
    }

    /// What is done with segment `n`: 0 to 11 are 16 KiB each from 0xc0000 on, 12 is 0xf0000 to 0xfffff.
    pub fn pam(&self, n: u8) -> Option<Pam> {
        // PAM0 holds 0xf0000 in its high half; then two segments each, low half first, in address order.
        let (offset, shift) = match n {
            0..12 => (0x5a + n / 2, n % 2 * 4),
            12 => (0x59, 4),
            _ => return None,
        };
        let bits = lock(&self.config).byte(offset) >> shift;
        Some(Pam { read: bits & 1 != 0, write: bits & 2 != 0 })
    }
}

impl Default for I440fx {
    fn default() -> Self {
        I440fx::new()
    }
}

impl PciFunction for I440fx {
    fn config_read(&self, offset: u8) -> u32 {
        lock(&self.config).read(offset)
    }

    fn config_write(&self, offset: u8, word: Word) {
        lock(&self.config).write(offset, word);
    }
}

impl Device for I440fx {
    fn kind(&self) -> &'static str {
        I440fx::KIND
    }

    fn reset(&self) {
        lock(&self.config).reset();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(I440fx::KIND, I440fx::VERSION, &lock(&self.config).save())
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let saved: Vec<u32> = snapshot.decode(I440fx::KIND, I440fx::VERSION)?;
        lock(&self.config).restore(I440fx::KIND, &saved)
    }
}

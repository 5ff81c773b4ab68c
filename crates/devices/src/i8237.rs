//! 8237A DMA controllers (Intel 231466) of a PC: the register files of the pair and the page registers. Nothing
//! requests a transfer, so none ever happens: what firmware and drivers write and read back is here.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chip {
    /// Base and current registers: address and count of each channel.
    base: [u16; 8],
    current: [u16; 8],
    /// The next byte of an address or count is the high one.
    high: bool,
    command: u8,
    /// Software requests.
    request: u8,
    mask: u8,
    mode: [u8; 4],
    /// Channels that have reached terminal count.
    status: u8,
}

impl Default for Chip {
    /// After a master clear all channels are masked.
    fn default() -> Self {
        Chip {
            base: [0; 8],
            current: [0; 8],
            high: false,
            command: 0,
            request: 0,
            mask: 0xf,
            mode: [0; 4],
            status: 0,
        }
    }
}

impl Chip {
    /// The flip-flop before this access: whether it is for the high byte.
    fn flip(&mut self) -> bool {
        self.high = !self.high;
        !self.high
    }

    fn read(&mut self, reg: u16) -> u8 {
        match reg {
            0..=7 => {
                let high = self.flip();
                self.current[usize::from(reg)].to_le_bytes()[usize::from(high)]
            }
            // Reading the status clears the terminal counts.
            8 => std::mem::take(&mut self.status) & 0xf | self.request << 4,
            // 82C37A and later can read the mask.
            0xf => self.mask | 0xf0,
            // The temporary register, of memory-to-memory transfers.
            0xd => 0,
            _ => 0xff,
        }
    }

    fn write(&mut self, reg: u16, value: u8) {
        let set = |old: u8| {
            let bit = 1 << (value & 3);
            if value & 4 != 0 { old | bit } else { old & !bit }
        };
        match reg {
            0..=7 => {
                let high = self.flip();
                let i = usize::from(reg);
                let mut bytes = self.base[i].to_le_bytes();
                bytes[usize::from(high)] = value;
                self.base[i] = u16::from_le_bytes(bytes);
                self.current[i] = self.base[i];
            }
            8 => self.command = value,
            9 => self.request = set(self.request),
            0xa => self.mask = set(self.mask),
            0xb => self.mode[usize::from(value & 3)] = value & 0xfc,
            0xc => self.high = false,
            0xd => {
                *self = Chip { base: self.base, current: self.current, mode: self.mode, ..Chip::default() }
            }
            0xe => self.mask = 0,
            0xf => self.mask = value & 0xf,
            _ => {}
        }
    }
}

/// The registers of both controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct I8237State {
    chips: [Chip; 2],
    pages: [u8; 16],
}

/// The pair. Registers: 0x00 to 0x0f are the first controller's (channels 0 to 3, ports 0x00 to 0x0f); 0x10 to
/// 0x2f the second's, which decodes every other port (channels 4 to 7, ports 0xc0 to 0xdf); 0x30 to 0x3f the page
/// registers (ports 0x80 to 0x8f).
#[derive(Debug, Default)]
pub struct I8237 {
    state: Mutex<I8237State>,
}

impl I8237 {
    const KIND: &str = "i8237";
    const VERSION: u32 = 1;

    /// The first controller.
    pub const FIRST_REGS: std::ops::Range<u16> = 0..0x10;
    /// The second controller.
    pub const SECOND_REGS: std::ops::Range<u16> = 0x10..0x30;
    /// The page registers.
    pub const PAGE_REGS: std::ops::Range<u16> = 0x30..0x40;

    /// A pair after reset.
    pub fn new() -> I8237 {
        I8237::default()
    }
}

impl PortDevice for I8237 {
    fn name(&self) -> &str {
        I8237::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        let mut state = lock(&self.state);
        match reg {
            0..0x10 => state.chips[0].read(reg),
            0x10..0x30 => state.chips[1].read((reg - 0x10) / 2),
            0x30..0x40 => state.pages[usize::from(reg - 0x30)],
            _ => 0xff,
        }
    }

    fn write(&self, reg: u16, value: u8) {
        let mut state = lock(&self.state);
        match reg {
            0..0x10 => state.chips[0].write(reg, value),
            0x10..0x30 => state.chips[1].write((reg - 0x10) / 2, value),
            0x30..0x40 => state.pages[usize::from(reg - 0x30)] = value,
            _ => {}
        }
    }
}

impl Device for I8237 {
    fn kind(&self) -> &'static str {
        I8237::KIND
    }

    fn reset(&self) {
        *lock(&self.state) = I8237State::default();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(I8237::KIND, I8237::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        *lock(&self.state) = snapshot.decode(I8237::KIND, I8237::VERSION)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_counts_go_through_the_flip_flop() {
        let d = I8237::new();
        for (chip, step) in [(0, 1), (0x10, 2)] {
            for reg in 0..8 {
                d.write(chip + reg * step, 0x10 + reg as u8);
                d.write(chip + reg * step, 0x20);
            }
            d.write(chip + 4 * step, 0xee);
            // Clear byte pointer.
            d.write(chip + 0xc * step, 0);
            let got: Vec<u8> =
                (0..8).flat_map(|r| [d.read(chip + r * step), d.read(chip + r * step)]).collect();
            assert_eq!(got[..6], [0x10, 0x20, 0x11, 0x20, 0x12, 0x20]);
            assert_eq!(got[8..10], [0xee, 0x20]);
        }
    }

    #[test]
    fn masks_and_requests() {
        let d = I8237::new();
        assert_eq!(d.read(0xf), 0xff, "all masked after reset");
        d.write(0xa, 0x02);
        assert_eq!(d.read(0xf), 0xfb);
        d.write(0xe, 0);
        assert_eq!(d.read(0xf), 0xf0);
        d.write(0xf, 0x05);
        d.write(9, 0x07);
        assert_eq!((d.read(0xf), d.read(8)), (0xf5, 0x80));
        d.write(0xd, 0);
        assert_eq!((d.read(0xf), d.read(8), d.read(0xd)), (0xff, 0, 0), "master clear");
    }

    #[test]
    fn pages_are_kept() {
        let d = I8237::new();
        for reg in 0x30..0x40 {
            d.write(reg, reg as u8);
        }
        let saved = d.save().expect("saved");
        d.reset();
        assert_eq!(d.read(0x37), 0);
        assert_eq!(d.restore(&saved), Ok(()));
        assert_eq!((0x30..0x40).map(|r| d.read(r)).collect::<Vec<_>>(), (0x30..0x40).collect::<Vec<u8>>());
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let d = I8237::new();
        for reg in (0..0x50).chain([u16::MAX]) {
            for value in 0..=255 {
                d.write(reg, value);
                d.read(reg);
            }
        }
    }
}

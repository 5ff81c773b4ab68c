//! The registers that every function has (PCI 3.0, 6.1 and 6.2), with base address registers that can be sized.

use crate::lifecycle::SnapshotError;
use crate::regmap::Word;

/// Offset of the command register (16 bits).
pub const COMMAND: u8 = 0x04;
/// Offset of the status register (16 bits).
pub const STATUS: u8 = 0x06;

/// Bits of the command register.
pub mod command {
    /// Decode I/O windows.
    pub const IO: u16 = 1 << 0;
    /// Decode memory windows.
    pub const MEMORY: u16 = 1 << 1;
    /// May access memory by itself.
    pub const MASTER: u16 = 1 << 2;
    /// INTx is held back.
    pub const INTX_DISABLE: u16 = 1 << 10;
}

/// Status bits that are cleared by writing ones: errors.
const STATUS_ERRORS: u32 = 0xf900_0000;

/// What identifies a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Class code: base class, subclass, programming interface, in bits 23:0.
    pub class: u32,
    /// Revision ID.
    pub revision: u8,
    /// Vendor ID and ID of the subsystem; zeros if there is none.
    pub subsystem: (u16, u16),
}

/// A window that software places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// I/O ports. The size is a power of two, 4 to 256 bytes.
    Io {
        /// In bytes.
        size: u32,
    },
    /// Memory. The size is a power of two, at least 16 bytes.
    Memory {
        /// In bytes.
        size: u64,
        /// Reads have no side effects.
        prefetchable: bool,
        /// May be anywhere in 64 bits; takes the next register as well.
        wide: bool,
    },
}

/// Where a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarWindow {
    /// In ports rather than memory.
    pub io: bool,
    /// First address.
    pub base: u64,
    /// In bytes.
    pub size: u64,
}

/// A configuration space of 256 bytes, header type 0.
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    data: [u32; 64],
    reset: [u32; 64],
    /// Bits that software writes.
    writable: [u32; 64],
    /// Bits that software clears by writing ones.
    clear: [u32; 64],
    bars: [Option<Bar>; 6],
}

impl ConfigSpace {
    /// A function with nothing but its identity: the command register cannot be written.
    pub fn new(identity: Identity) -> ConfigSpace {
        let Identity { vendor, device, class, revision, subsystem } = identity;
        let mut reset = [0; 64];
        reset[0] = u32::from(device) << 16 | u32::from(vendor);
        reset[2] = class << 8 | u32::from(revision);
        reset[11] = u32::from(subsystem.1) << 16 | u32::from(subsystem.0);
        let mut clear = [0; 64];
        clear[1] = STATUS_ERRORS;
        let mut writable = [0; 64];
        // Cache line size, latency timer; interrupt line.
        writable[3] = 0xffff;
        writable[15] = 0xff;
        ConfigSpace { data: reset, reset, writable, clear, bars: [None; 6] }
    }

    /// Sets what `bytes` bytes at `offset` are after reset, and which of their bits can be written.
    pub fn with(mut self, offset: u8, bytes: u8, reset: u32, writable: u32) -> ConfigSpace {
        let i = usize::from(offset / 4);
        let shift = u32::from(offset % 4) * 8;
        let field = u32::MAX.checked_shr(32 - u32::from(bytes.min(4)) * 8).unwrap_or(0) << shift;
        self.reset[i] = self.reset[i] & !field | reset << shift & field;
        self.writable[i] = self.writable[i] & !field | writable << shift & field;
        self.data[i] = self.reset[i];
        self
    }

    /// Uses INTA (1) to INTD (4).
    pub fn interrupt_pin(self, pin: u8) -> ConfigSpace {
        self.with(0x3d, 1, u32::from(pin), 0)
    }

    /// One of several functions of a device.
    pub fn multi_function(self) -> ConfigSpace {
        self.with(0x0e, 1, 0x80, 0)
    }

    /// Adds a window, in base address register `index`, and lets software switch its decoding.
    ///
    /// # Panics
    /// If the size is no power of two or too small, or the register does not exist or is taken: an error in the
    /// device's source.
    pub fn bar(mut self, index: usize, bar: Bar) -> ConfigSpace {
        let i = 4 + index;
        assert!(index < 6 && self.writable[i] == 0, "base address register {index} is not free");
        let command = match bar {
            Bar::Io { size } => {
                assert!(size.is_power_of_two() && (4..=256).contains(&size), "I/O window of {size} bytes");
                self.reset[i] = 1;
                self.writable[i] = !(size - 1);
                command::IO
            }
            Bar::Memory { size, prefetchable, wide } => {
                assert!(size.is_power_of_two() && size >= 16, "memory window of {size} bytes");
                let mask = !(size - 1);
                self.reset[i] = u32::from(prefetchable) << 3 | u32::from(wide) << 2;
                self.writable[i] = mask as u32;
                if wide {
                    assert!(index < 5 && self.writable[i + 1] == 0, "no room for a 64-bit window");
                    self.writable[i + 1] = (mask >> 32) as u32;
                } else {
                    assert!(size <= 1 << 31, "memory window of {size} bytes below 4 GiB");
                }
                command::MEMORY
            }
        };
        self.data[i] = self.reset[i];
        self.writable[1] |= u32::from(command | command::MASTER | command::INTX_DISABLE);
        self.bars[index] = Some(bar);
        self
    }

    /// Reads the dword at `offset`.
    pub fn read(&self, offset: u8) -> u32 {
        self.data[usize::from(offset / 4)]
    }

    /// Reads the byte at `offset`.
    pub fn byte(&self, offset: u8) -> u8 {
        (self.read(offset) >> (offset % 4 * 8)) as u8
    }

    /// Writes bytes of the dword at `offset`, as software does.
    pub fn write(&mut self, offset: u8, word: Word) {
        let i = usize::from(offset / 4);
        let lanes = self.writable[i] & word.lanes;
        self.data[i] = self.data[i] & !lanes | word.value & lanes;
        self.data[i] &= !(self.clear[i] & word.value);
    }

    /// Sets or clears bits of the dword at `offset`, as the function itself does (the interrupt status, say).
    pub fn set_bits(&mut self, offset: u8, bits: u32, on: bool) {
        let word = &mut self.data[usize::from(offset / 4)];
        *word = if on { *word | bits } else { *word & !bits };
    }

    /// The command register.
    pub fn command(&self) -> u16 {
        self.data[1] as u16
    }

    /// Where window `index` is; `None` while its decoding is off.
    pub fn window(&self, index: usize) -> Option<BarWindow> {
        let (i, command) = (4 + index, self.command());
        match *self.bars.get(index)?.as_ref()? {
            Bar::Io { size } if command & command::IO != 0 => {
                let base = u64::from(self.data[i] & !3);
                Some(BarWindow { io: true, base, size: size.into() })
            }
            Bar::Memory { size, wide, .. } if command & command::MEMORY != 0 => {
                let high = if wide { u64::from(self.data[i + 1]) << 32 } else { 0 };
                Some(BarWindow { io: false, base: high | u64::from(self.data[i] & !0xf), size })
            }
            _ => None,
        }
    }

    /// Everything as after reset.
    pub fn reset(&mut self) {
        self.data = self.reset;
    }

    /// The registers, for a snapshot.
    pub fn save(&self) -> Vec<u32> {
        self.data.to_vec()
    }

    /// Takes over what [`ConfigSpace::save`] gave, as far as software can change it. `kind` is the device's.
    ///
    /// # Errors
    /// Not of this size, or of another function.
    pub fn restore(&mut self, kind: &'static str, saved: &[u32]) -> Result<(), SnapshotError> {
        let saved: &[u32; 64] =
            saved.try_into().map_err(|_| SnapshotError::mismatch(kind, "has no 256 bytes of registers"))?;
        if saved[0] != self.reset[0] {
            return Err(SnapshotError::mismatch(kind, "is of another PCI function"));
        }
        for (i, saved) in saved.iter().enumerate() {
            let bits = self.writable[i] | self.clear[i];
            self.data[i] = self.reset[i] & !bits | saved & bits;
        }
        Ok(())
    }
}

//! PCI (Local Bus Specification 3.0): one bus with its functions, reached by configuration mechanism #1.
//!
//! [`PciBus`] is ports 0xcf8 to 0xcff. A function is anything that is a [`PciFunction`]; most keep their registers
//! in a [`ConfigSpace`]. The chips of the i440FX chip set are [`I440fx`], [`Piix3`] and [`Piix4PmFunction`].

mod config;
mod i440fx;
mod piix3;
mod piix4;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lyrebird_isa::Size;

pub use config::{Bar, BarWindow, COMMAND, ConfigSpace, Identity, STATUS, command};
pub use i440fx::{I440fx, Pam};
pub use piix3::Piix3;
pub use piix4::{Piix4PmFunction, PmMoved};

use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::regmap::Word;

/// A function on the bus. Its [`Device::reset`] is also what the bus's reset does to it.
pub trait PciFunction: Device {
    /// Reads the dword at `offset` of the configuration space, a multiple of 4 below 256.
    fn config_read(&self, offset: u8) -> u32;

    /// Writes bytes of the dword at `offset`, a multiple of 4 below 256.
    fn config_write(&self, offset: u8, word: Word);
}

/// A place on the bus: device 0 to 31, function 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u8);

impl Slot {
    /// Device `device`, function `function`; bits that do not fit are dropped.
    pub const fn new(device: u8, function: u8) -> Slot {
        Slot((device & 0x1f) << 3 | function & 7)
    }

    /// Number of the device.
    pub const fn device(self) -> u8 {
        self.0 >> 3
    }

    /// Number of the function.
    pub const fn function(self) -> u8 {
        self.0 & 7
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}.{}", self.device(), self.function())
    }
}

/// Two functions in one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PCI {slot}: {new} and {old} in one place")]
pub struct SlotTaken {
    /// The place.
    pub slot: Slot,
    /// What was to be plugged in.
    pub new: &'static str,
    /// What is there.
    pub old: &'static str,
}

/// Bus 0 and the ports that lead to it. Registers 0 to 3 are CONFADD (0xcf8), 4 to 7 CONFDATA (0xcfc).
///
/// There are no bridges to other buses: everything that is not there reads as ones.
#[derive(Default)]
pub struct PciBus {
    functions: RwLock<BTreeMap<Slot, Arc<dyn PciFunction>>>,
    address: Mutex<u32>,
}

/// CONFADD: accesses to CONFDATA are configuration cycles.
const ENABLE: u32 = 1 << 31;
/// Bits of CONFADD that exist.
const ADDRESS_BITS: u32 = 0x80ff_fffc;

impl PciBus {
    const KIND: &str = "pci-bus";
    const VERSION: u32 = 1;

    /// A bus with nothing on it.
    pub fn new() -> PciBus {
        PciBus::default()
    }

    /// Puts a function on the bus.
    ///
    /// # Errors
    /// The place is taken.
    pub fn plug(&self, slot: Slot, function: Arc<dyn PciFunction>) -> Result<(), SlotTaken> {
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = functions.get(&slot) {
            return Err(SlotTaken { slot, new: function.kind(), old: old.kind() });
        }
        functions.insert(slot, function);
        Ok(())
    }

    /// The function in a place.
    pub fn function(&self, slot: Slot) -> Option<Arc<dyn PciFunction>> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned()
    }

    /// All functions by place, for reset and snapshots.
    pub fn functions(&self) -> Vec<(Slot, Arc<dyn PciFunction>)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.iter().map(|(slot, f)| (*slot, f.clone())).collect()
    }

    /// Reads the dword with configuration address `address` (as in CONFADD); ones where nothing is.
    pub fn config_read(&self, address: u32) -> u32 {
        self.target(address).map_or(u32::MAX, |(f, offset)| f.config_read(offset))
    }

    /// Writes bytes of the dword with configuration address `address`.
    pub fn config_write(&self, address: u32, word: Word) {
        if let Some((f, offset)) = self.target(address) {
            f.config_write(offset, word);
        }
    }

    fn target(&self, address: u32) -> Option<(Arc<dyn PciFunction>, u8)> {
        let bus = address >> 16 & 0xff;
        if address & ENABLE == 0 || bus != 0 {
            return None;
        }
        Some((self.function(Slot((address >> 8) as u8))?, address as u8 & 0xfc))
    }

    fn address(&self) -> u32 {
        *lock(&self.address)
    }

    fn data_read(&self, lane: u16) -> u32 {
        self.config_read(self.address()) >> (lane * 8)
    }

    fn data_write(&self, lane: u16, bytes: u64, value: u32) {
        let lanes = ((1u64 << (bytes * 8)) - 1) << (lane * 8);
        let value = u64::from(value) << (lane * 8) & lanes;
        self.config_write(self.address(), Word { value: value as u32, lanes: lanes as u32 });
    }
}

impl PortDevice for PciBus {
    fn name(&self) -> &str {
        PciBus::KIND
    }

    // Only a dword access reaches CONFADD (3.2.2.3.2); others go on to the bus, where nothing answers.
    fn read(&self, reg: u16) -> u8 {
        match reg {
            4..8 => self.data_read(reg - 4) as u8,
            _ => 0xff,
        }
    }

    fn write(&self, reg: u16, value: u8) {
        if let 4..8 = reg {
            self.data_write(reg - 4, 1, value.into());
        }
    }

    fn read_wide(&self, reg: u16, size: Size) -> u32 {
        match (reg, size) {
            (0, Size::B4) => self.address(),
            (4, Size::B4) => self.data_read(0),
            (4..=6, Size::B2) => self.data_read(reg - 4) & 0xffff,
            // Across the two, or across the end of a dword: bytes.
            _ => (0..size.bytes().min(4) as u16)
                .fold(0, |v, i| v | u32::from(PortDevice::read(self, reg.wrapping_add(i))) << (i * 8)),
        }
    }

    fn write_wide(&self, reg: u16, size: Size, value: u32) {
        match (reg, size) {
            (0, Size::B4) => *lock(&self.address) = value & ADDRESS_BITS,
            (4, Size::B4) => self.data_write(0, 4, value),
            (4..=6, Size::B2) => self.data_write(reg - 4, 2, value),
            _ => {
                for i in 0..size.bytes().min(4) as u16 {
                    PortDevice::write(self, reg.wrapping_add(i), (value >> (i * 8)) as u8);
                }
            }
        }
    }
}

impl Device for PciBus {
    fn kind(&self) -> &'static str {
        PciBus::KIND
    }

    /// Of the bus and everything on it.
    fn reset(&self) {
        *lock(&self.address) = 0;
        for (_, f) in self.functions() {
            f.reset();
        }
    }

    /// Of CONFADD only; functions have snapshots of their own.
    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(PciBus::KIND, PciBus::VERSION, &self.address())
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let address: u32 = snapshot.decode(PciBus::KIND, PciBus::VERSION)?;
        *lock(&self.address) = address & ADDRESS_BITS;
        Ok(())
    }
}

impl fmt::Debug for PciBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions = self.functions();
        f.debug_map().entries(functions.iter().map(|(slot, f)| (slot.to_string(), f.kind()))).finish()
    }
}

#[cfg(test)]
mod tests;

//! The x86 I/O port space: [`PortDevice`]s, and the [`PortBus`] that cuts accesses to what they decode.
//!
//! A chip numbers its registers from 0 and may own several stretches of ports; the board says which registers
//! answer where. Widths are handled here, once: as on ISA, an access wider than what is decoded is done byte by
//! byte, low byte first, and where nothing answers the bus floats high.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use lyrebird_isa::Size;

use crate::regmap::Stray;

/// A device in the port space. `reg` counts the device's own registers, in bytes.
///
/// Handlers run with no lock of the bus held; state is the device's to protect.
pub trait PortDevice: Send + Sync {
    /// Name for diagnostics.
    fn name(&self) -> &str;

    /// Reads the byte `reg`.
    fn read(&self, reg: u16) -> u8;

    /// Writes the byte `reg`.
    fn write(&self, reg: u16, value: u8);

    /// Reads 2 or 4 bytes that all belong to the device. An 8-bit device sees them one after the other.
    fn read_wide(&self, reg: u16, size: Size) -> u32 {
        (0..size.bytes().min(4) as u16).fold(0, |v, i| v | u32::from(self.read(reg + i)) << (i * 8))
    }

    /// Writes 2 or 4 bytes that all belong to the device. Bits of `value` above `size` are zero.
    fn write_wide(&self, reg: u16, size: Size, value: u32) {
        for i in 0..size.bytes().min(4) as u16 {
            self.write(reg + i, (value >> (i * 8)) as u8);
        }
    }
}

/// A stretch of ports cannot be given to a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortMapError {
    /// It is empty or does not fit into 64 KiB.
    #[error("{name}: {len} ports from {base:#x} do not fit into the port space")]
    Range {
        /// The device.
        name: String,
        /// First port.
        base: u16,
        /// Number of ports.
        len: u16,
    },
    /// Exactly these ports belong to another device.
    #[error("{name}: {len} ports from {base:#x} belong to {other}")]
    Taken {
        /// The device.
        name: String,
        /// The device that is there.
        other: String,
        /// First port.
        base: u16,
        /// Number of ports.
        len: u16,
    },
}

#[derive(Clone)]
struct Window {
    base: u16,
    /// At least 1; `base + len` is at most 65536.
    len: u16,
    /// Register at `base`.
    first: u16,
    device: Arc<dyn PortDevice>,
}

impl Window {
    /// The register at `port`, if `bytes` from there lie in the window.
    fn reg(&self, port: u16, bytes: u16) -> Option<u16> {
        let at = port.checked_sub(self.base)?;
        (u32::from(at) + u32::from(bytes) <= u32::from(self.len)).then(|| self.first + at)
    }
}

/// The port space. Of several windows that contain an access as a whole, the smallest answers: port 0xcf9 can be
/// the reset control, though a dword at 0xcf8 is the PCI host's.
#[derive(Default)]
pub struct PortBus {
    /// Smallest first.
    windows: RwLock<Vec<Window>>,
    stray: Stray,
}

impl PortBus {
    /// An empty space: everything reads as ones.
    pub fn new() -> PortBus {
        PortBus::default()
    }

    /// Lets `device` answer at the ports from `base` on, with its registers `regs`.
    pub fn map(&self, base: u16, regs: Range<u16>, device: Arc<dyn PortDevice>) -> Result<(), PortMapError> {
        let len = regs.end.saturating_sub(regs.start);
        let name = || device.name().to_owned();
        if len == 0 || u32::from(base) + u32::from(len) > 1 << 16 {
            return Err(PortMapError::Range { name: name(), base, len });
        }
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(w) = windows.iter().find(|w| w.base == base && w.len == len) {
            return Err(PortMapError::Taken { name: name(), other: w.device.name().to_owned(), base, len });
        }
        let at = windows.partition_point(|w| w.len <= len);
        windows.insert(at, Window { base, len, first: regs.start, device });
        Ok(())
    }

    /// Takes the window away that was mapped at `base` with `len` ports. Whether there was one.
    pub fn unmap(&self, base: u16, len: u16) -> bool {
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        let before = windows.len();
        windows.retain(|w| w.base != base || w.len != len);
        windows.len() != before
    }

    fn find(&self, port: u16, bytes: u16) -> Option<(Arc<dyn PortDevice>, u16)> {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        windows.iter().find_map(|w| Some((w.device.clone(), w.reg(port, bytes)?)))
    }

    /// `IN`: reads `size` bytes (at most 4) from `port` on.
    pub fn read(&self, port: u16, size: Size) -> u32 {
        let bytes = size.bytes().min(4) as u16;
        match self.find(port, bytes) {
            Some((device, reg)) if bytes == 1 => u32::from(device.read(reg)),
            Some((device, reg)) => device.read_wide(reg, size),
            None if bytes == 1 => {
                self.stray.note(port.into());
                0xff
            }
            None => (0..bytes).fold(0, |value, i| {
                let byte = port.checked_add(i).map_or(0xff, |p| self.read(p, Size::B1));
                value | byte << (i * 8)
            }),
        }
    }

    /// `OUT`: writes the low `size` bytes (at most 4) of `value` from `port` on.
    pub fn write(&self, port: u16, size: Size, value: u32) {
        let bytes = size.bytes().min(4) as u16;
        match self.find(port, bytes) {
            Some((device, reg)) if bytes == 1 => device.write(reg, value as u8),
            Some((device, reg)) if bytes == 2 => device.write_wide(reg, size, value & 0xffff),
            Some((device, reg)) => device.write_wide(reg, size, value),
            None if bytes == 1 => {
                self.stray.note(port.into());
            }
            None => {
                for i in 0..bytes {
                    if let Some(p) = port.checked_add(i) {
                        self.write(p, Size::B1, value >> (i * 8) & 0xff);
                    }
                }
            }
        }
    }

    /// Byte accesses that nothing answered, by port.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl fmt::Debug for PortBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let end = |w: &Window| u32::from(w.base) + u32::from(w.len) - 1;
        f.debug_map()
            .entries(windows.iter().map(|w| (format!("{:#x}..={:#x}", w.base, end(w)), w.device.name())))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::lock;

    /// Reads as its register numbers; writes down what is done to it.
    #[derive(Default)]
    struct Bytes(Mutex<Vec<(u16, u8)>>);

    impl PortDevice for Bytes {
        fn name(&self) -> &str {
            "bytes"
        }
        fn read(&self, reg: u16) -> u8 {
            reg as u8
        }
        fn write(&self, reg: u16, value: u8) {
            lock(&self.0).push((reg, value));
        }
    }

    /// Only has a dword register.
    struct Dword;

    impl PortDevice for Dword {
        fn name(&self) -> &str {
            "dword"
        }
        fn read(&self, _: u16) -> u8 {
            0xee
        }
        fn write(&self, _: u16, _: u8) {}
        fn read_wide(&self, reg: u16, size: Size) -> u32 {
            if (reg, size) == (0, Size::B4) { 0x1234_5678 } else { 0 }
        }
    }

    #[test]
    fn wide_accesses_are_split() {
        let bus = PortBus::new();
        let a = Arc::new(Bytes::default());
        bus.map(0x20, 0..2, a.clone()).expect("mapped");
        bus.map(0xa0, 2..4, a.clone()).expect("mapped");
        assert_eq!(bus.read(0xa0, Size::B2), 0x0302);
        assert_eq!(bus.read(0x20, Size::B4), 0xffff_0100, "what is not decoded floats high");
        assert_eq!(bus.read(0x1f, Size::B2), 0x00ff);
        assert_eq!(bus.read(0xffff, Size::B4), 0xffff_ffff);
        assert_eq!(bus.stray().count(), 4);
        bus.write(0x21, Size::B2, 0xbeef);
        bus.write(0xa0, Size::B2, 0xffff_2211);
        assert_eq!(*lock(&a.0), [(1, 0xef), (2, 0x11), (3, 0x22)]);
        assert_eq!(bus.stray().last_offset(), 0x22);
    }

    #[test]
    fn the_smallest_window_answers() {
        let bus = PortBus::new();
        bus.map(0xcf8, 0..8, Arc::new(Dword)).expect("mapped");
        bus.map(0xcf9, 7..8, Arc::new(Bytes::default())).expect("mapped");
        assert_eq!(bus.read(0xcf8, Size::B4), 0x1234_5678);
        assert_eq!(bus.read(0xcf9, Size::B1), 7);
        assert_eq!(bus.read(0xcf8, Size::B1), 0xee);
        assert!(bus.unmap(0xcf9, 1));
        assert!(!bus.unmap(0xcf9, 1));
        assert_eq!(bus.read(0xcf9, Size::B1), 0xee);
    }

    #[test]
    fn impossible_windows_are_refused() {
        let bus = PortBus::new();
        assert!(matches!(bus.map(0xffff, 0..2, Arc::new(Dword)), Err(PortMapError::Range { .. })));
        assert!(matches!(bus.map(0x10, 2..2, Arc::new(Dword)), Err(PortMapError::Range { .. })));
        bus.map(0xffff, 0..1, Arc::new(Dword)).expect("mapped");
        assert_eq!(
            bus.map(0xffff, 0..1, Arc::new(Bytes::default())).map_err(|e| e.to_string()),
            Err("bytes: 1 ports from 0xffff belong to dword".to_owned())
        );
    }
}

//! A virtio-mmio transport with no device behind it.

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;

/// An empty virtio-mmio slot (virtio 1.2, 4.2.2): drivers read DeviceID 0 and leave it alone.
#[derive(Debug)]
pub struct EmptyVirtioMmio {
    version: u32,
}

impl EmptyVirtioMmio {
    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x200;

    /// A slot that reports the legacy interface (version 1), as QEMU's board does by default.
    pub fn new() -> EmptyVirtioMmio {
        EmptyVirtioMmio { version: 1 }
    }
}

impl Default for EmptyVirtioMmio {
    fn default() -> Self {
        EmptyVirtioMmio::new()
    }
}

impl MmioDevice for EmptyVirtioMmio {
    fn name(&self) -> &str {
        "virtio-mmio (empty)"
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        if size != Size::B4 {
            return 0;
        }
        match offset {
            0x000 => u64::from(u32::from_le_bytes(*b"virt")),
            0x004 => u64::from(self.version),
            // VendorID: "QEMU", which drivers print but do not compare.
            0x00c => u64::from(u32::from_le_bytes(*b"QEMU")),
            _ => 0,
        }
    }

    // Absent device: every register but the four above is to be ignored (4.2.2.2).
    fn write(&self, _offset: u64, _size: Size, _value: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_as_empty() {
        let slot = EmptyVirtioMmio::new();
        assert_eq!(slot.read(0, Size::B4), 0x7472_6976);
        assert_eq!(slot.read(4, Size::B4), 1);
        assert_eq!(slot.read(8, Size::B4), 0);
        slot.write(0x70, Size::B4, 0xff);
        assert_eq!(slot.read(0x70, Size::B4), 0);
        assert_eq!(slot.read(u64::MAX, Size::B8), 0);
    }
}

//! What fw_cfg tells firmware and test kernels about the board (docs/specs/fw_cfg of QEMU; the keys are those of its
//! `hw/nvram/fw_cfg`).

use lyrebird_devices::FwCfgItems;
use lyrebird_devices::fw_cfg::FwCfgError;

use super::e820::{self, Entry, Kind, Ram};
use super::map;

/// Bytes of RAM, 64 bits.
const RAM_SIZE: u16 = 0x0003;
/// Whether there is no display, 16 bits.
const NO_GRAPHIC: u16 = 0x0004;
/// Processors that run from the start on, 16 bits.
const CPUS: u16 = 0x0005;
/// Processors that there can be, 16 bits.
const MAX_CPUS: u16 = 0x000f;
/// Whether the 8254 interrupts at input 2 of the IO-APIC, 32 bits.
const IRQ0_OVERRIDE: u16 = 0x8002;

/// What there is to tell about a board with this RAM.
pub(super) fn items(ram: Ram) -> Result<FwCfgItems, FwCfgError> {
    FwCfgItems::default()
        .item(RAM_SIZE, (ram.low + ram.high).to_le_bytes().as_slice())?
        .item(NO_GRAPHIC, 1u16.to_le_bytes().as_slice())?
        .item(CPUS, 1u16.to_le_bytes().as_slice())?
        .item(MAX_CPUS, 1u16.to_le_bytes().as_slice())?
        .item(IRQ0_OVERRIDE, 1u32.to_le_bytes().as_slice())?
        .file("etc/e820", e820::to_bytes(&ram_map(ram)))
}

/// RAM as it lies, of which firmware makes the memory map that it gives on.
fn ram_map(ram: Ram) -> Vec<Entry> {
    let piece = |base, size| Entry { base, size, kind: Kind::Usable };
    [piece(0, ram.low), piece(map::HIGH_BASE, ram.high)].into_iter().filter(|e| e.size > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_for_firmware_is_the_ram_alone() {
        let bases = |bytes| ram_map(Ram::split(bytes)).iter().map(|e| (e.base, e.size)).collect::<Vec<_>>();
        assert_eq!(bases(1 << 30), [(0, 1 << 30)]);
        assert_eq!(bases(4 << 30), [(0, 3 << 30), (1 << 32, 1 << 30)]);
    }
}

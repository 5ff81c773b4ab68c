//! The memory map that firmware gives to the operating system (ACPI 6.5, 15.1).

use std::ops::Range;

use super::map::HIGH_BASE;

/// RAM of a size that the board has: how it lies around the hole for PCI devices below 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ram {
    /// Bytes from address 0 on.
    pub low: u64,
    /// Bytes from 4 GiB on.
    pub high: u64,
}

impl Ram {
    /// As QEMU splits it: all below 3.5 GiB if it fits there, else 3 GiB and the rest above 4 GiB.
    pub fn split(bytes: u64) -> Ram {
        if bytes < 0xe000_0000 {
            Ram { low: bytes, high: 0 }
        } else {
            Ram { low: 0xc000_0000, high: bytes - 0xc000_0000 }
        }
    }
}

/// What an address range is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RAM that the guest may use.
    Usable = 1,
    /// Not to be touched.
    Reserved = 2,
    /// ACPI tables; may be used once they are read.
    Acpi = 3,
    /// ACPI's memory that is to be kept.
    Nvs = 4,
}

/// An entry of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First address.
    pub base: u64,
    /// Bytes, not 0.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// Bytes of an entry in the form that INT 15h gives and Linux's boot parameters take.
    pub const BYTES: usize = 20;

    /// The entry in that form.
    pub fn to_bytes(self) -> [u8; Entry::BYTES] {
        let mut bytes = [0; Entry::BYTES];
        bytes[..8].copy_from_slice(&self.base.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes
    }
}

/// Start of the extended BIOS data area, which ends at 640 KiB.
pub const EBDA: u64 = 0x9_fc00;
/// VGA memory and expansion ROMs end here, the system BIOS (and tables that are searched there) begins.
pub const BIOS: u64 = 0xf_0000;

/// The map of a board with this RAM, of which `taken` (disjoint ranges, any order) is reserved besides.
pub fn map(ram: Ram, taken: &[(Range<u64>, Kind)]) -> Vec<Entry> {
    let mut holes: Vec<(Range<u64>, Kind)> = taken.iter().filter(|(r, _)| !r.is_empty()).cloned().collect();
    holes.sort_by_key(|(r, _)| r.start);
    let mut map = Vec::new();
    let low_end = ram.low.min(HIGH_BASE);
    usable(&mut map, 0..EBDA.min(low_end), &holes);
    push(&mut map, EBDA..0xa_0000, Kind::Reserved);
    push(&mut map, BIOS..0x10_0000, Kind::Reserved);
    usable(&mut map, 0x10_0000..low_end, &holes);
    // The flash of the system BIOS.
    push(&mut map, 0xfffc_0000..HIGH_BASE, Kind::Reserved);
    usable(&mut map, HIGH_BASE..HIGH_BASE.saturating_add(ram.high), &holes);
    map
}

fn push(map: &mut Vec<Entry>, range: Range<u64>, kind: Kind) {
    if !range.is_empty() {
        map.push(Entry { base: range.start, size: range.end - range.start, kind });
    }
}

/// Adds a range of RAM, with what lies in it of `holes` (sorted) cut out and listed as what it is.
fn usable(map: &mut Vec<Entry>, range: Range<u64>, holes: &[(Range<u64>, Kind)]) {
    let mut at = range.start;
    for (hole, kind) in holes {
        let cut = hole.start.max(at)..hole.end.min(range.end);
        if cut.is_empty() {
            continue;
        }
        push(map, at..cut.start, Kind::Usable);
        at = cut.end;
        push(map, cut, *kind);
    }
    push(map, at..range.end, Kind::Usable);
}

/// The map as bytes, one entry behind the other.
pub fn to_bytes(map: &[Entry]) -> Vec<u8> {
    map.iter().flat_map(|e| e.to_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn ram_is_split_around_the_pci_hole() {
        assert_eq!(Ram::split(GIB), Ram { low: GIB, high: 0 });
        assert_eq!(Ram::split(0xdfff_f000), Ram { low: 0xdfff_f000, high: 0 });
        assert_eq!(Ram::split(0xe000_0000), Ram { low: 3 * GIB, high: GIB / 2 });
        assert_eq!(Ram::split(8 * GIB), Ram { low: 3 * GIB, high: 5 * GIB });
    }

    #[test]
    fn the_map_of_a_small_machine() {
        use Kind::{Reserved, Usable};
        let tables = 0x3fff_0000..0x4000_0000;
        let map = map(Ram::split(GIB), &[(tables, Reserved)]);
        let expected = [
            (0, 0x9_fc00, Usable),
            (0x9_fc00, 0x400, Reserved),
            (0xf_0000, 0x1_0000, Reserved),
            (0x10_0000, 0x3fef_0000, Usable),
            (0x3fff_0000, 0x1_0000, Reserved),
            (0xfffc_0000, 0x4_0000, Reserved),
        ];
        assert_eq!(map.iter().map(|e| (e.base, e.size, e.kind)).collect::<Vec<_>>(), expected);
        let bytes = to_bytes(&map[1..2]);
        assert_eq!(bytes, [0, 0xfc, 9, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn ranges_are_cut_out_where_they_overlap_ram() {
        let ram = Ram::split(8 * GIB);
        let (nvs, acpi) = (HIGH_BASE + GIB..HIGH_BASE + GIB + 0x1000, 0xbfff_f000..0xc000_1000);
        let map = map(ram, &[(nvs, Kind::Nvs), (acpi, Kind::Acpi), (5..5, Kind::Nvs)]);
        for pair in map.windows(2) {
            assert!(pair[0].base + pair[0].size <= pair[1].base, "{pair:x?}");
        }
        let of = |kind| map.iter().filter(|e| e.kind == kind).map(|e| e.size).sum::<u64>();
        assert_eq!((of(Kind::Nvs), of(Kind::Acpi)), (0x1000, 0x1000), "beyond RAM nothing is listed");
        assert_eq!(of(Kind::Usable), 8 * GIB - 0x2000 - 0x400 - 0x6_0000);
    }

    #[test]
    fn a_machine_with_hardly_any_ram() {
        for low in [0, 1, 0x1000, 0x9_fc00, 0xa_0000, 0x10_0000, 0x10_0001] {
            let map = map(Ram { low, high: 0 }, &[]);
            assert!(map.iter().all(|e| e.size > 0 && (e.kind != Kind::Usable || e.base + e.size <= low)));
        }
    }
}

//! SMBIOS tables (DMTF DSP0134, 3.x) behind a 2.8 entry point: what `dmidecode` and drivers' quirk lists read.

use super::checksum;
use super::e820::Ram;
use super::map::HIGH_BASE;
use crate::piece::Piece;

/// What the tables describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board<'a> {
    /// Number of processors.
    pub cpus: u8,
    /// Name of the processor.
    pub cpu: &'a str,
    /// Bytes of RAM, a multiple of 1 MiB.
    pub memory: u64,
    /// The machine's UUID in the order in which it is written down; zeros for none.
    pub uuid: [u8; 16],
}

const MANUFACTURER: &str = "Lyrebird";
const PRODUCT: &str = "pc (i440FX + PIIX)";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of the firmware, in the form that the specification asks for.
const RELEASE_DATE: &str = "01/01/2025";

/// Bytes of the entry point.
const ENTRY: usize = 31;
/// Handles of structures that others refer to.
const CHASSIS: u16 = 0x0300;
const ARRAY: u16 = 0x1000;

/// Builds the tables for `at` on: a multiple of 16 in 0xf0000 to 0xfffff, where kernels search for the entry point.
pub fn build(board: &Board<'_>, at: u32) -> Piece {
    let mut all = Structures::default();
    bios(&mut all);
    system(&mut all, board);
    baseboard(&mut all);
    chassis(&mut all);
    for cpu in 0..board.cpus {
        processor(&mut all, board, cpu);
    }
    memory(&mut all, board);
    // Type 32: booted without complaint.
    all.add(32, 0x2000, &[0; 7], &[]);
    all.add(127, 0x7f00, &[], &[]);

    let first = ENTRY.next_multiple_of(16);
    let mut bytes = entry_point(&all, at.wrapping_add(first as u32));
    bytes.resize(first, 0);
    bytes.extend(all.bytes);
    Piece::new(at.into(), bytes)
}

#[derive(Default)]
struct Structures {
    bytes: Vec<u8>,
    count: u16,
    largest: u16,
}

impl Structures {
    /// Adds a structure: its formatted part behind the 4 bytes of header, and its strings, numbered from 1.
    fn add(&mut self, kind: u8, handle: u16, fields: &[u8], strings: &[&str]) {
        let start = self.bytes.len();
        self.bytes.extend([kind, fields.len() as u8 + 4]);
        self.bytes.extend(handle.to_le_bytes());
        self.bytes.extend(fields);
        for s in strings {
            // An empty string would end the list; a zero byte would end the string.
            let text = s.bytes().filter(|b| *b != 0);
            let before = self.bytes.len();
            self.bytes.extend(text);
            if self.bytes.len() == before {
                self.bytes.push(b' ');
            }
            self.bytes.push(0);
        }
        if strings.is_empty() {
            self.bytes.push(0);
        }
        self.bytes.push(0);
        self.count += 1;
        self.largest = self.largest.max((self.bytes.len() - start) as u16);
    }
}

/// The 32-bit entry point (5.2.1).
fn entry_point(all: &Structures, table: u32) -> Vec<u8> {
    let mut entry = b"_SM_\0".to_vec();
    // Length, version 2.8.
    entry.extend([ENTRY as u8, 2, 8]);
    entry.extend(all.largest.to_le_bytes());
    entry.extend([0; 6]);
    let mut intermediate = b"_DMI_\0".to_vec();
    intermediate.extend((all.bytes.len() as u16).to_le_bytes());
    intermediate.extend(table.to_le_bytes());
    intermediate.extend(all.count.to_le_bytes());
    intermediate.push(0x28);
    intermediate[5] = checksum(&intermediate);
    entry.extend(intermediate);
    entry[4] = checksum(&entry);
    entry
}

fn bios(all: &mut Structures) {
    let mut fields = vec![1, 2];
    // Segment of the code; release date; 64 KiB.
    fields.extend(0xe800u16.to_le_bytes());
    fields.extend([3, 0]);
    // Characteristics are not given (bit 3); a virtual machine (bit 4 of the second extension byte).
    fields.extend(8u64.to_le_bytes());
    fields.extend([0, 1 << 4]);
    // Release 0.0, no embedded controller.
    fields.extend([0, 0, 0xff, 0xff]);
    all.add(0, 0x0000, &fields, &[MANUFACTURER, VERSION, RELEASE_DATE]);
}

fn system(all: &mut Structures, board: &Board<'_>) {
    let mut fields = vec![1, 2, 3, 0];
    // The first three groups of a UUID are little-endian (7.2.1).
    let mut uuid = board.uuid;
    uuid[..4].reverse();
    uuid[4..6].reverse();
    uuid[6..8].reverse();
    fields.extend(uuid);
    // Woken by the power switch; no SKU, no family.
    fields.extend([6, 0, 0]);
    all.add(1, 0x0100, &fields, &[MANUFACTURER, PRODUCT, VERSION]);
}

fn baseboard(all: &mut Structures) {
    let mut fields = vec![1, 2, 3, 0, 0, 0x01, 0];
    fields.extend(CHASSIS.to_le_bytes());
    // A motherboard, without contained objects.
    fields.extend([0x0a, 0]);
    all.add(2, 0x0200, &fields, &[MANUFACTURER, PRODUCT, VERSION]);
}

fn chassis(all: &mut Structures) {
    // "Other"; states are safe; no security.
    let mut fields = vec![1, 0x01, 2, 0, 0, 3, 3, 3, 2];
    fields.extend([0; 4]);
    // Height, cords, contained elements: none said.
    fields.extend([0, 0, 0, 0, 0]);
    all.add(3, CHASSIS, &fields, &[MANUFACTURER, VERSION]);
}

fn processor(all: &mut Structures, board: &Board<'_>, cpu: u8) {
    // Socket; central processor; family "other".
    let mut fields = vec![1, 3, 0x01, 2];
    fields.extend([0; 8]);
    // Version; voltage, clocks and speeds are unknown; populated and enabled; upgrade "other".
    fields.extend([3, 0]);
    fields.extend([0; 6]);
    fields.extend([0x41, 0x01]);
    // No caches, serial number, asset tag or part number.
    fields.extend([0xff; 6]);
    fields.extend([0, 0, 0]);
    // One core, enabled, one thread; characteristics unknown; family as above.
    fields.extend([1, 1, 1, 2, 0, 1, 0]);
    let socket = format!("CPU {cpu}");
    all.add(4, 0x0400 + u16::from(cpu), &fields, &[&socket, MANUFACTURER, board.cpu]);
}

/// The memory array (type 16), one device in it (type 17), and where it is mapped (type 19).
fn memory(all: &mut Structures, board: &Board<'_>) {
    let kib = board.memory >> 10;
    let mib = board.memory >> 20;
    // On the board; system memory; multi-bit correction.
    let mut array = vec![0x01, 0x03, 0x06];
    let large = kib >= 0x8000_0000;
    array.extend(if large { 0x8000_0000u32 } else { kib as u32 }.to_le_bytes());
    array.extend(0xfffeu16.to_le_bytes());
    array.extend(1u16.to_le_bytes());
    array.extend(if large { board.memory } else { 0 }.to_le_bytes());
    all.add(16, ARRAY, &array, &[]);

    let mut device = ARRAY.to_le_bytes().to_vec();
    device.extend(0xfffeu16.to_le_bytes());
    // Widths unknown.
    device.extend([0xff; 4]);
    let extended = mib >= 0x7fff;
    device.extend(if extended { 0x7fffu16 } else { mib as u16 }.to_le_bytes());
    // A DIMM of no set, RAM.
    device.extend([0x09, 0, 1, 0, 0x07]);
    device.extend(2u16.to_le_bytes());
    // Speed unknown; manufacturer; no serial number, asset tag or part; no rank.
    device.extend([0, 0, 2, 0, 0, 0, 0]);
    device.extend(if extended { mib as u32 } else { 0 }.to_le_bytes());
    device.extend([0; 8]);
    all.add(17, 0x1100, &device, &["DIMM 0", MANUFACTURER]);

    let split = Ram::split(board.memory);
    for (n, (base, size)) in (0..).zip([(0, split.low), (HIGH_BASE, split.high)]) {
        if size == 0 {
            continue;
        }
        // In KiB; all ones and extended fields in bytes beyond 4 TiB, which no board has.
        let (first, last) = (base >> 10, (base + size - 1) >> 10);
        let mut mapped = u32::try_from(first).unwrap_or(u32::MAX - 1).to_le_bytes().to_vec();
        mapped.extend(u32::try_from(last).unwrap_or(u32::MAX - 1).to_le_bytes());
        mapped.extend(ARRAY.to_le_bytes());
        mapped.push(1);
        mapped.extend([0; 16]);
        all.add(19, 0x1300 + n, &mapped, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board<'static> {
        let uuid = std::array::from_fn(|n| n as u8 * 0x11);
        Board { cpus: 2, cpu: "x86-64-v2", memory: 1 << 30, uuid }
    }

    /// Type, formatted part and strings of every structure, found as a guest finds them.
    fn structures(board: &Board<'_>) -> Vec<(u8, Vec<u8>, Vec<String>)> {
        const AT: u32 = 0xf_1000;
        let Piece { addr: address, data: bytes, .. } = build(board, AT);
        assert_eq!(address, AT.into());
        assert_eq!(&bytes[..4], b"_SM_");
        assert_eq!((bytes[5], checksum(&bytes[..31])), (31, 0));
        assert_eq!(&bytes[16..21], b"_DMI_");
        assert_eq!(checksum(&bytes[16..31]), 0);
        let number =
            |at: usize, n: usize| bytes[at..at + n].iter().rev().fold(0, |v, b| v << 8 | usize::from(*b));
        let start = number(24, 4) - AT as usize;
        let mut rest = &bytes[start..start + number(22, 2)];
        assert_eq!(start + rest.len(), bytes.len());
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (formatted, text) = rest.split_at(rest[1].into());
            let end = text.windows(2).position(|w| w == [0, 0]).expect("double zero");
            let strings = text[..end].split(|b| *b == 0).filter(|s| !s.is_empty());
            let strings = strings.map(|s| String::from_utf8_lossy(s).into_owned()).collect();
            all.push((formatted[0], formatted.to_vec(), strings));
            rest = &text[end + 2..];
        }
        assert_eq!(all.len(), number(28, 2));
        all
    }

    /// Lengths are the specification's for version 2.8 (2.x for types that did not grow).
    #[test]
    fn structures_are_complete() {
        let all = structures(&board());
        let lengths: Vec<(u8, usize)> = all.iter().map(|(kind, bytes, _)| (*kind, bytes.len())).collect();
        let expected = [
            (0, 0x18),
            (1, 0x1b),
            (2, 0x0f),
            (3, 0x16),
            (4, 0x2a),
            (4, 0x2a),
            (16, 0x17),
            (17, 0x28),
            (19, 0x1f),
            (32, 0x0b),
            (127, 4),
        ];
        assert_eq!(lengths, expected);
        let mut handles: Vec<&[u8]> = all.iter().map(|(_, bytes, _)| &bytes[2..4]).collect();
        handles.sort_unstable();
        handles.dedup();
        assert_eq!(handles.len(), all.len());
    }

    #[test]
    fn fields_are_where_they_belong() {
        let all = structures(&board());
        let (_, system, strings) = &all[1];
        assert_eq!(strings[..2], ["Lyrebird", "pc (i440FX + PIIX)"]);
        assert_eq!(system[8..16], [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
        assert_eq!(system[16..24], [0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        assert_eq!(system[0x18], 6, "wake-up type");
        let (_, cpu, strings) = &all[5];
        assert_eq!((cpu[5], cpu[0x18]), (3, 0x41), "central processor, enabled");
        assert_eq!(cpu[0x23..0x26], [1, 1, 1], "cores");
        assert_eq!(strings, &["CPU 1", "Lyrebird", "x86-64-v2"]);
        let (_, array, _) = &all[6];
        assert_eq!(array[7..11], (1u32 << 20).to_le_bytes(), "KiB");
        let (_, device, _) = &all[7];
        assert_eq!(device[0x0c..0x0e], 1024u16.to_le_bytes(), "MiB");
        assert_eq!((device[0x0e], device[0x12]), (9, 7), "DIMM, RAM");
        let (_, mapped, _) = &all[8];
        assert_eq!(mapped[4..12], [0, 0, 0, 0, 0xff, 0xff, 0x0f, 0]);
    }

    #[test]
    fn large_and_odd_boards() {
        let all = structures(&Board { cpus: 255, cpu: "", memory: 3 << 40, uuid: [0; 16] });
        let array = all.iter().find(|s| s.0 == 16).expect("array");
        assert_eq!(array.1[7..11], 0x8000_0000u32.to_le_bytes());
        assert_eq!(array.1[15..23], (3u64 << 40).to_le_bytes());
        let device = all.iter().find(|s| s.0 == 17).expect("device");
        assert_eq!(device.1[0x0c..0x0e], [0xff, 0x7f]);
        assert_eq!(device.1[0x1c..0x20], (3u32 << 20).to_le_bytes());
        assert_eq!(all.iter().filter(|s| s.0 == 4).count(), 255);
    }
}

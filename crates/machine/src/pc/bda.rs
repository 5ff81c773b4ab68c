//! The BIOS data area at 0x400, as far as systems look at it that were not started by a BIOS: hypervisors and boot
//! loaders take from it where conventional memory ends (IBM PS/2 and PC BIOS Interface Technical Reference, 3-3).

use super::{e820, map};
use crate::piece::Piece;

const BDA: u64 = 0x400;

/// One of the extended BIOS data area's first byte: its length in KiB.
const EBDA_KIB: u8 = 1;

/// Ports of the serial ports, segment of the extended BIOS data area, equipment, KiB of conventional memory; and the
/// extended area itself.
pub(super) fn build() -> [Piece; 2] {
    /// An FPU, and as many serial ports as there are.
    const EQUIPMENT: u16 = 1 << 1 | (map::PORT_COM.len() as u16) << 9;
    let mut bda = vec![0; 0x100];
    let mut word = |at: usize, v: u16| bda[at..at + 2].copy_from_slice(&v.to_le_bytes());
    for (n, port) in map::PORT_COM.into_iter().enumerate() {
        word(2 * n, port);
    }
    word(0x0e, (e820::EBDA >> 4) as u16);
    word(0x10, EQUIPMENT);
    word(0x13, (e820::EBDA >> 10) as u16);
    [Piece::new(BDA, bda), Piece::new(e820::EBDA, vec![EBDA_KIB])]
}

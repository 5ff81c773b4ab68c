//! 4-level paging (SDM 4.5): 48-bit addresses, 8-byte entries, pages of 4 KiB, 2 MiB and, where the CPU has them,
//! 1 GiB.

use lyrebird_isa::Size;

use super::{Access, Control, Format, PageFault, Tables, bits, decode_wide, walk};
use crate::mmu::Translation;

/// Translates `va`, which the caller has found canonical: bits 63 to 48 are not looked at. Of `cr3` only the
/// address counts.
///
/// # Errors
/// The page fault.
pub fn translate(
    tables: &impl Tables,
    c: &Control,
    cr3: u64,
    va: u64,
    access: Access,
) -> Result<Translation, PageFault> {
    let f = Format { root: c.frame(cr3), shift: 39, stride: 9, size: Size::B8 };
    // Bits 62:52 are software's.
    let high = bits(51, 12) & !bits(c.pa_bits() - 1, 12);
    walk(tables, c, &f, va, access, |entry, shift| decode_wide(c, entry, shift, high))
}

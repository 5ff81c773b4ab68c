//! 4-level paging (SDM 4.5): 48-bit addresses, 8-byte entries, pages of 4 KiB, 2 MiB and, where the CPU has them,
//! 1 GiB.

use lyrebird_isa::Size;

use super::{Access, Control, Format, PageFault, Root, SpaceDesc, Tables, bits, decode_wide, walk};
use crate::mmu::Translation;
use crate::walk::path::Path;

/// Translates `va`, which the caller has found canonical: bits 63 to 48 are not looked at. Of `cr3` only the
/// address counts.
///
/// The way to the page is written to `path`.
///
/// # Errors
/// The page fault.
pub fn translate(
    tables: &impl Tables,
    c: &Control,
    cr3: u64,
    va: u64,
    access: Access,
    path: &mut Path,
) -> Result<Translation, PageFault> {
    let f = Format { root: c.frame(cr3), shift: 39, stride: 9, size: Size::B8 };
    // Bits 62:52 are software's.
    let high = bits(51, 12) & !bits(c.pa_bits() - 1, 12);
    walk(tables, c, &f, va, access, path, |entry, shift| decode_wide(c, entry, shift, high))
}

/// The address space of a CR3 for shadow tables.
pub fn space(c: &Control, cr3: u64) -> SpaceDesc {
    let half = |top: u64| {
        Some(Root {
            table: c.frame(cr3),
            bits: 9,
            shift: 39,
            size: Size::B8,
            low: bits(46, 0),
            ignored: 0,
            top,
        })
    };
    SpaceDesc { meaning: c.meaning(4), split: (63, 1), roots: [half(0), half(bits(63, 47)), None, None] }
}

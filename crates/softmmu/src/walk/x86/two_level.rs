//! 32-bit paging (SDM 4.3): two levels of 4-byte entries, pages of 4 KiB and, with CR4.PSE, 4 MiB.

use lyrebird_isa::Size;

use super::{Access, Control, Entry, Format, PS, PageFault, Root, SpaceDesc, Tables, bits, walk};
use crate::mmu::Translation;
use crate::walk::path::Path;

/// Translates the low 32 bits of `va` with the page directory that `cr3` names. IA32_EFER.NXE is not looked at.
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
    // Neither has PAE paging's XD flag (SDM 4.7 on the I/D flag: CR4.PAE must be set as well).
    let c = &Control { nxe: false, ..*c };
    let f = Format { root: cr3 & bits(31, 12), shift: 22, stride: 10, size: Size::B4 };
    walk(tables, c, &f, va, access, path, |entry, shift| decode(c, entry, shift))
}

/// The address space of a CR3 for shadow tables.
pub fn space(c: &Control, cr3: u64) -> SpaceDesc {
    let table = cr3 & bits(31, 12);
    let root = Root { table, bits: 10, shift: 22, size: Size::B4, low: bits(31, 0), ignored: 0, top: 0 };
    SpaceDesc { meaning: c.meaning(2), split: (0, 0), roots: [Some(root), None, None, None] }
}

/// Nothing is reserved while CR4.PSE is clear.
fn decode(c: &Control, entry: u64, shift: u32) -> Entry {
    let no_pat = |bit: u32| if c.pat || !c.pse { 0 } else { 1u64 << bit };
    let (reserved, meaning) = if shift == 12 {
        (no_pat(7), Entry::Page(entry & bits(31, 12)))
    } else if c.pse && entry & PS != 0 {
        // PSE-36: bits 20:13 are the page's address bits 39:32, as far as there are such.
        let above = c.pa_bits().min(40) - 32;
        let pa = entry & bits(31, 22) | (entry >> 13 & ((1 << above) - 1)) << 32;
        (bits(21, 13 + above) | no_pat(12), Entry::Page(pa))
    } else {
        (0, Entry::Table(entry & bits(31, 12)))
    };
    if entry & reserved != 0 { Entry::Reserved } else { meaning }
}

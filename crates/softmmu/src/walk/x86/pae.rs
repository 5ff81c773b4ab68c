//! PAE paging (SDM 4.4): four PDPTEs in registers, two levels of 8-byte entries, pages of 4 KiB and 2 MiB.

use lyrebird_isa::Size;

use super::{
    Access, Control, Format, P, PageFault, Root, SpaceDesc, Tables, bits, decode_wide, error_code, walk,
};
use crate::mmu::Translation;
use crate::walk::path::Path;

/// The PDPTE registers, which hold what memory did when CR3 was last loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pdptes(pub [u64; 4]);

/// A reserved bit is set in a present PDPTE: what would load it raises #GP(0) and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedPdpte;

impl Pdptes {
    /// Reads the registers from the table that `cr3` names, as MOV to CR3 does, and changes of CR0 and CR4 that
    /// switch to PAE paging or change how it caches (SDM 4.4.1).
    ///
    /// # Errors
    /// [`ReservedPdpte`].
    pub fn load(tables: &impl Tables, c: &Control, cr3: u64) -> Result<Pdptes, ReservedPdpte> {
        let reserved = bits(2, 1) | bits(8, 5) | bits(63, c.pa_bits());
        let mut r = [0; 4];
        for (at, e) in (cr3 & bits(31, 5)..).step_by(8).zip(&mut r) {
            *e = tables.read(at, Size::B8);
            if *e & P != 0 && *e & reserved != 0 {
                return Err(ReservedPdpte);
            }
        }
        Ok(Pdptes(r))
    }
}

/// Translates the low 32 bits of `va`. PDPTEs have no rights and no accessed flag.
///
/// The way to the page is written to `path`.
///
/// # Errors
/// The page fault.
pub fn translate(
    tables: &impl Tables,
    c: &Control,
    pdptes: &Pdptes,
    va: u64,
    access: Access,
    path: &mut Path,
) -> Result<Translation, PageFault> {
    let pdpte = pdptes.0[(va >> 30 & 3) as usize];
    if pdpte & P == 0 {
        return Err(PageFault { code: error_code(c, access) });
    }
    let f = Format { root: c.frame(pdpte), shift: 21, stride: 9, size: Size::B8 };
    let high = bits(62, c.pa_bits());
    walk(tables, c, &f, va, access, path, |entry, shift| decode_wide(c, entry, shift, high))
}

/// The address space of PDPTE registers for shadow tables.
pub fn space(c: &Control, pdptes: &Pdptes) -> SpaceDesc {
    let mut roots = [None; 4];
    for (i, (root, e)) in roots.iter_mut().zip(pdptes.0).enumerate().filter(|(_, (_, e))| *e & P != 0) {
        let (table, top) = (c.frame(e), (i as u64) << 30);
        *root = Some(Root { table, bits: 9, shift: 21, size: Size::B8, low: bits(29, 0), ignored: 0, top });
    }
    SpaceDesc { meaning: c.meaning(3), split: (30, 3), roots }
}

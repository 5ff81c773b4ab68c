//! Advanced SIMD shift by immediate, vector and scalar (Arm ARM C4.1.95.35, C4.1.95.11).

pub mod inline;
pub mod lanewise;
pub mod length;

use crate::a64::word::Word;

/// log2 of the element length in bytes, from the highest set bit of immh; `None` where immh is 0.
fn size(w: Word) -> Option<u32> {
    w.bits(19, 4).checked_ilog2()
}

/// immh:immb.
fn imm(w: Word) -> u32 {
    w.bits(16, 7)
}

/// The amount of a right shift of lanes of `8 << size` bits, 1 to the width.
fn right(w: Word, size: u32) -> u32 {
    (16 << size) - imm(w)
}

/// The amount of a left shift of lanes of `8 << size` bits, 0 to the width less 1.
fn left(w: Word, size: u32) -> u32 {
    imm(w) - (8 << size)
}

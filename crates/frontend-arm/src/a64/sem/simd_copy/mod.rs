//! Advanced SIMD copy, extract, permute, table lookup, modified immediate (Arm ARM C4.1.95).

pub mod copy;
pub mod imm;
pub mod permute;

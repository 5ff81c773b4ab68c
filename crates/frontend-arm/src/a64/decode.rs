//! From an instruction word to its meaning.

use lyrebird_isa::Visitor;

use super::sem::undefined;
use super::table::{self, Group, Row};
use super::word::Word;
use crate::ArmCpu;
use crate::cpu::{Mode, careful, may_misalign_sp};

/// Hands the meaning of `w` at `pc` to `v`.
pub fn decode<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.careful() || may_misalign_sp(w, pc, mode) { careful(w, pc, v) } else { plain(w, pc, mode, v) }
}

/// The same without the checks of the careful mode.
pub(crate) fn plain<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    match table::lookup(w) {
        None => undefined::unallocated(w, pc, v),
        Some(row) if !mode.has(row.feature) => undefined::unallocated(w, pc, v),
        Some(row) if row.fp && mode.fp_trapped() => v.visit(undefined::FpTrap),
        Some(row) => translate(row, w, pc, mode, v),
    }
}

fn translate<V: Visitor<ArmCpu>>(row: &Row, w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let i = row.index;
    match row.group {
        Group::DpImm => table::dp_imm::translate(i, w, pc, v),
        Group::DpReg => table::dp_reg::translate(i, w, pc, v),
        Group::Branch => table::branch::translate(i, w, pc, v),
        Group::System => table::system::translate(i, w, pc, mode, v),
        Group::Ldst => table::ldst::translate(i, w, pc, v),
        Group::LdstAtomic => table::ldst_atomic::translate(i, w, pc, v),
        Group::LdstSimd => table::ldst_simd::translate(i, w, pc, v),
        Group::Fp => table::fp::translate(i, w, pc, mode, v),
        Group::SimdCopy => table::simd_copy::translate(i, w, pc, v),
        Group::SimdInt => table::simd_int::translate(i, w, pc, v),
        Group::SimdShift => table::simd_shift::translate(i, w, pc, v),
        Group::SimdFp => table::simd_fp::translate(i, w, pc, mode, v),
        Group::SimdCrypto => table::simd_crypto::translate(i, w, pc, v),
    }
}

/// `mnemonic (row name)` of a word, for dumps.
pub fn disassemble(w: Word) -> String {
    match table::lookup(w) {
        Some(r) => format!("{:08x}  {:<8} ; {} {}", w.0, r.mnemonic, r.name, fields(r, w)),
        None => format!("{:08x}  udf      ; unallocated", w.0),
    }
}

/// The variable fields of a row with their values, most significant first.
fn fields(r: &Row, w: Word) -> String {
    let b = r.bits.as_bytes();
    let mut out = String::new();
    let mut i = 0;
    while i < 32 {
        let c = b[i];
        let start = i;
        while i < 32 && b[i] == c {
            i += 1;
        }
        if c != b'0' && c != b'1' {
            let (lo, len) = (32 - i as u32, (i - start) as u32);
            out.push_str(&format!("{}={:#x} ", c as char, w.bits(lo, len)));
        }
    }
    out.trim_end().to_string()
}

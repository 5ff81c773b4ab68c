//! Shifts that change the lane width: SHRN, RSHRN, SQSHRN, UQSHRN, SQSHRUN and their rounding forms; SSHLL,
//! USHLL.

use lyrebird_isa::Visitor;

use super::{left, right, size};
use crate::ArmCpu;
use crate::a64::sem::simd_int::narrow::{self, How};
use crate::a64::sem::simd_int::packed::{self, Op};
use crate::a64::sem::simd_lane::call;
use crate::a64::sem::undefined;
use crate::a64::word::Word;

fn narrowing<V: Visitor<ArmCpu>>(how: How, w: Word, pc: u64, v: V, scalar: bool) -> V::Out {
    let Some(size) = size(w) else { return undefined::unallocated(w, pc, v) };
    let Some(helper) = narrow::helper(how, size) else { return undefined::unallocated(w, pc, v) };
    // Opcode bit 0 (bit 11) rounds.
    let imm = right(w, size) | w.bits(11, 1) << 8;
    if scalar { call(v, helper, w, 1 << size, imm) } else { call(v, helper, w, 8, imm | w.bits(30, 1) << 9) }
}

/// Constructor of SHRN.
pub fn shrn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        Some(size @ 0..=2) => packed::shift(Op::Shrn, size, right(w, size), w, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of RSHRN.
pub fn rshrn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    narrowing(How::Truncate, w, pc, v, false)
}

/// Constructor of SQSHRN, SQRSHRN, UQSHRN, UQRSHRN.
pub fn qshrn<const SCALAR: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    narrowing(if w.bit(29) { How::Unsigned } else { How::Signed }, w, pc, v, SCALAR)
}

/// Constructor of SQSHRUN, SQRSHRUN.
pub fn qshrun<const SCALAR: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    narrowing(How::SignedToUnsigned, w, pc, v, SCALAR)
}

/// Constructor of SSHLL and USHLL.
pub fn shll<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        Some(size @ 0..=2) => packed::shift(Op::Shll(!w.bit(29)), size, left(w, size), w, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

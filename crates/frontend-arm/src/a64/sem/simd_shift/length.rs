//! Shifts that change the lane width: SHRN, RSHRN, SQSHRN, UQSHRN, SQSHRUN and their rounding forms; SSHLL,
//! USHLL.

use lyrebird_isa::{Helper, Visitor};

use super::{left, right, size};
use crate::ArmCpu;
use crate::a64::sem::simd_int::narrow::{self, How};
use crate::a64::sem::simd_int::pairwise::narrow_shift;
use crate::a64::sem::simd_lane::{Int, Ops, call, get, set};
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
        Some(size @ 0..=2) => narrow_shift(w, size, right(w, size), v),
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

/// SSHLL, USHLL: bit 8 of `imm` takes the upper half of Rn.
extern "C" fn shift_long<T: Int>(cpu: &mut ArmCpu, ops: u64, imm: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let a = (get(cpu, ops.n()) >> (64 * (imm >> 8 & 1))).to_le_bytes();
    let n = imm as u32 & (T::BITS - 1);
    let mut r = [0; 16];
    for i in 0..8 / T::BYTES {
        T::get(&a, i).wide().shl(n).put(&mut r, i);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r));
    0
}

/// Constructor of SSHLL and USHLL.
pub fn shll<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(size) = size(w) else { return undefined::unallocated(w, pc, v) };
    let helper = match (w.bit(29), size) {
        (false, 0) => const { &Helper::fp("sshll", shift_long::<i8>) },
        (false, 1) => const { &Helper::fp("sshll", shift_long::<i16>) },
        (false, 2) => const { &Helper::fp("sshll", shift_long::<i32>) },
        (true, 0) => const { &Helper::fp("ushll", shift_long::<u8>) },
        (true, 1) => const { &Helper::fp("ushll", shift_long::<u16>) },
        (true, 2) => const { &Helper::fp("ushll", shift_long::<u32>) },
        _ => return undefined::unallocated(w, pc, v),
    };
    call(v, helper, w, 16, left(w, size) | w.bits(30, 1) << 8)
}

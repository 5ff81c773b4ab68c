//! Two-register miscellaneous, integer (Arm ARM C4.1.95.21): what is neither inline nor narrowing.

use lyrebird_isa::{Helper, Visitor};

use super::lanewise::{lane_ops, vector};
use super::three_same::note;
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Int, Ops, call, get, len, set, size};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

lane_ops! {
    /// CLS: leading copies of the sign bit, itself not counted.
    Cls = "cls", signed, |T, d, a, b, qc| {
        let v = a.signed();
        let magnitude = (if v < 0 { !v } else { v }) as u128;
        T::of((magnitude.leading_zeros() - (128 - T::BITS) - 1) as i128)
    };
    /// CLZ.
    Clz = "clz", signed, |T, d, a, b, qc| T::of(a.clz() as i128);
    /// RBIT.
    Rbit = "rbit", signed, |T, d, a, b, qc| T::of(a.unsigned().reverse_bits() >> (128 - T::BITS));
    /// ABS.
    Abs = "abs", signed, |T, d, a, b, qc| if a < T::of(0) { T::of(0).sub(a) } else { a };
    /// SQABS.
    Qabs = "sqabs", signed, |T, d, a, b, qc| {
        if a < T::of(0) { note(T::of(0).qsub(a), qc) } else { a }
    };
    /// SQNEG.
    Qneg = "sqneg", signed, |T, d, a, b, qc| note(T::of(0).qsub(a), qc);
    /// SUQADD: an unsigned source onto a signed accumulator.
    Suqadd = "suqadd", signed, |T, d, a, b, qc| note(T::sat(d.signed() + a.unsigned()), qc);
    /// USQADD: a signed source onto an unsigned accumulator.
    Usqadd = "usqadd", by_u, |T, d, a, b, qc| note(T::sat(d.unsigned() + a.signed()), qc);
}

/// SADDLP, UADDLP, and with `ACC` SADALP, UADALP.
extern "C" fn add_long_pairs<T: Int, const ACC: bool>(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (a, d) = (get(cpu, ops.n()).to_le_bytes(), get(cpu, ops.d()).to_le_bytes());
    let mut r = [0; 16];
    for i in 0..8 / T::BYTES {
        let sum = T::get(&a, 2 * i).wide().add(T::get(&a, 2 * i + 1).wide());
        (if ACC { sum.add(T::Wide::get(&d, i)) } else { sum }).put(&mut r, i);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r) & ops.mask());
    0
}

/// Constructor of xADDLP and xADALP.
pub fn addlp<const ACC: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let helper = match (w.bit(29), size(w)) {
        (false, 0) => const { &Helper::fp("saddlp", add_long_pairs::<i8, ACC>) },
        (false, 1) => const { &Helper::fp("saddlp", add_long_pairs::<i16, ACC>) },
        (false, 2) => const { &Helper::fp("saddlp", add_long_pairs::<i32, ACC>) },
        (true, 0) => const { &Helper::fp("uaddlp", add_long_pairs::<u8, ACC>) },
        (true, 1) => const { &Helper::fp("uaddlp", add_long_pairs::<u16, ACC>) },
        (true, 2) => const { &Helper::fp("uaddlp", add_long_pairs::<u32, ACC>) },
        _ => return undefined::unallocated(w, pc, v),
    };
    call(v, helper, w, len(w), 0)
}

/// SHLL: widens and shifts left by the width of the source lane.
extern "C" fn shift_long<T: Int>(cpu: &mut ArmCpu, ops: u64, upper: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let a = (get(cpu, ops.n()) >> (64 * (upper & 1))).to_le_bytes();
    let mut r = [0; 16];
    for i in 0..8 / T::BYTES {
        T::get(&a, i).wide().shl(T::BITS).put(&mut r, i);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r));
    0
}

/// Constructor of SHLL.
pub fn shll<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let helper = match size(w) {
        0 => const { &Helper::fp("shll", shift_long::<u8>) },
        1 => const { &Helper::fp("shll", shift_long::<u16>) },
        2 => const { &Helper::fp("shll", shift_long::<u32>) },
        _ => return undefined::unallocated(w, pc, v),
    };
    call(v, helper, w, 16, w.bits(30, 1))
}

/// Constructor of RBIT, which works on bytes although its size field, part of the opcode, is 1.
pub fn rbit<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    vector::<Rbit, 1, V>(Word(w.0 & !(3 << 22)), pc, v)
}

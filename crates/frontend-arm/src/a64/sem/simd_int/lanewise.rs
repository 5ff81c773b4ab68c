//! Helpers whose result lane depends on the same lane of the operands: the frame, and its constructors.

use lyrebird_isa::{Helper, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Int, Ops, call, call_m, get, len, set, set_qc, size, vector_ok};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// One lane of an operation.
pub trait LaneOp: 'static {
    /// Name of the helper.
    const NAME: &'static str;
    /// Whether U, bit 29, makes the lanes unsigned; else they are signed.
    const BY_U: bool;
    /// The result from the old destination and both sources. Sets `qc` where it saturates; operands of 0
    /// never do, so that lanes which do not count are made 0.
    fn op<T: Int>(d: T, a: T, b: T, qc: &mut bool) -> T;
}

/// Declares lane operations: `Name = "helper", by_u|signed, |d, a, b, qc| result`, generic in `T`.
macro_rules! lane_ops {
    ($($(#[$doc:meta])* $name:ident = $n:literal, $sign:ident,
        |$T:ident, $d:ident, $a:ident, $b:ident, $qc:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl $crate::a64::sem::simd_int::lanewise::LaneOp for $name {
            const NAME: &'static str = $n;
            const BY_U: bool = lane_ops!(@ $sign);
            #[inline(always)]
            fn op<$T: $crate::a64::sem::simd_lane::Int>($d: $T, $a: $T, $b: $T, $qc: &mut bool) -> $T {
                let _ = ($d, $b, &$qc);
                $body
            }
        }
    )* };
    (@ by_u) => { true };
    (@ signed) => { false };
}
pub(crate) use lane_ops;

/// The helper: an `imm` that is not 0 is one more than the lane of Rm that all lanes are combined with.
extern "C" fn lanes<O: LaneOp, T: Int>(cpu: &mut ArmCpu, ops: u64, imm: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let mask = ops.mask();
    let a = (get(cpu, ops.n()) & mask).to_le_bytes();
    let mut b = get(cpu, ops.m()).to_le_bytes();
    if imm != 0 {
        let x = T::get(&b, (imm as usize - 1) & (16 / T::BYTES - 1));
        for i in 0..16 / T::BYTES {
            x.put(&mut b, i);
        }
    }
    let b = (u128::from_le_bytes(b) & mask).to_le_bytes();
    let d = (get(cpu, ops.d()) & mask).to_le_bytes();
    let (mut r, mut qc) = ([0; 16], false);
    for i in 0..16 / T::BYTES {
        O::op(T::get(&d, i), T::get(&a, i), T::get(&b, i), &mut qc).put(&mut r, i);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r) & mask);
    set_qc(cpu, qc);
    0
}

fn helper<O: LaneOp>(w: Word, size: u32) -> &'static Helper<ArmCpu> {
    match (O::BY_U && w.bit(29), size) {
        (false, 0) => const { &Helper::fp(O::NAME, lanes::<O, i8>) },
        (false, 1) => const { &Helper::fp(O::NAME, lanes::<O, i16>) },
        (false, 2) => const { &Helper::fp(O::NAME, lanes::<O, i32>) },
        (false, _) => const { &Helper::fp(O::NAME, lanes::<O, i64>) },
        (true, 0) => const { &Helper::fp(O::NAME, lanes::<O, u8>) },
        (true, 1) => const { &Helper::fp(O::NAME, lanes::<O, u16>) },
        (true, 2) => const { &Helper::fp(O::NAME, lanes::<O, u32>) },
        (true, _) => const { &Helper::fp(O::NAME, lanes::<O, u64>) },
    }
}

/// Constructor of vector forms with one or two sources.
pub fn vector<O: LaneOp, const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if !vector_ok(w, SIZES) {
        return undefined::unallocated(w, pc, v);
    }
    call(v, helper::<O>(w, size(w)), w, len(w), 0)
}

/// Constructor of scalar forms with one or two sources.
pub fn scalar<O: LaneOp, const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if SIZES >> size(w) & 1 == 0 {
        return undefined::unallocated(w, pc, v);
    }
    call(v, helper::<O>(w, size(w)), w, 1 << size(w), 0)
}

/// Rm and index of a by-element form: halfwords index with H:L:M and have a 4-bit Rm, words with H:L.
/// `None` for other sizes.
pub fn by_element(w: Word) -> Option<(u32, u32)> {
    let (h, l, m) = (w.bits(11, 1), w.bits(21, 1), w.bits(20, 1));
    match size(w) {
        1 => Some((w.bits(16, 4), h << 2 | l << 1 | m)),
        2 => Some((w.m(), h << 1 | l)),
        _ => None,
    }
}

/// Constructor of vector forms by element.
pub fn vector_element<O: LaneOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((m, index)) = by_element(w) else { return undefined::unallocated(w, pc, v) };
    // U tells other things apart here: lanes are signed, or their sign does not matter.
    call_m(v, helper::<O>(Word(0), size(w)), w, m, len(w), index + 1)
}

/// Constructor of scalar forms by element.
pub fn scalar_element<O: LaneOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((m, index)) = by_element(w) else { return undefined::unallocated(w, pc, v) };
    call_m(v, helper::<O>(Word(0), size(w)), w, m, 1 << size(w), index + 1)
}

//! Long and wide forms: three registers of different types (Arm ARM C4.1.95.25) and their by-element forms,
//! whose results have twice the width of one source at least.

use lyrebird_isa::{Helper, Visitor};

use super::lanewise::by_element;
use super::three_same::note;
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Int, Ops, call, call_m, get, set, set_qc, size};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// One lane of a long operation.
pub trait LongOp: 'static {
    /// Name of the helper.
    const NAME: &'static str;
    /// Whether U, bit 29, makes the lanes unsigned.
    const BY_U: bool;
    /// The result from the old destination and both sources. Operands of 0 never set `qc`.
    fn op<T: Int>(d: T::Wide, a: T, b: T, qc: &mut bool) -> T::Wide;
}

macro_rules! long_ops {
    ($($(#[$doc:meta])* $name:ident = $n:literal, $by_u:literal,
        |$d:ident, $a:ident, $b:ident, $qc:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl LongOp for $name {
            const NAME: &'static str = $n;
            const BY_U: bool = $by_u;
            #[inline(always)]
            fn op<T: Int>($d: T::Wide, $a: T, $b: T, $qc: &mut bool) -> T::Wide {
                let _ = ($d, &$qc);
                $body
            }
        }
    )* };
}

long_ops! {
    /// SABAL, UABAL.
    Abal = "abal", true, |d, a, b, qc| d.add(a.max(b).wide().sub(a.min(b).wide()));
    /// SABDL, UABDL.
    Abdl = "abdl", true, |d, a, b, qc| a.max(b).wide().sub(a.min(b).wide());
    /// SMULL, UMULL.
    Mull = "mull", true, |d, a, b, qc| a.wide().mul(b.wide());
    /// SMLAL, UMLAL.
    Mlal = "mlal", true, |d, a, b, qc| d.add(a.wide().mul(b.wide()));
    /// SMLSL, UMLSL.
    Mlsl = "mlsl", true, |d, a, b, qc| d.sub(a.wide().mul(b.wide()));
    /// SQDMULL.
    Qdmull = "sqdmull", false, |d, a, b, qc| doubled(a, b, qc);
    /// SQDMLAL. The product saturates before the sum does.
    Qdmlal = "sqdmlal", false, |d, a, b, qc| {
        let p = doubled(a, b, qc);
        note(d.qadd(p), qc)
    };
    /// SQDMLSL.
    Qdmlsl = "sqdmlsl", false, |d, a, b, qc| {
        let p = doubled(a, b, qc);
        note(d.qsub(p), qc)
    };
    /// PMULL on bytes.
    Pmull = "pmull", false, |d, a, b, qc| {
        let (x, y) = (a.unsigned(), b.unsigned());
        T::Wide::of((0..T::BITS).fold(0, |r, i| if y >> i & 1 != 0 { r ^ x << i } else { r }))
    };
}

/// Twice the product, saturated.
#[inline(always)]
fn doubled<T: Int>(a: T, b: T, qc: &mut bool) -> T::Wide {
    let p = a.wide().mul(b.wide());
    note(p.qadd(p), qc)
}

/// The half of a register that a vector form works on, in the low half.
#[inline(always)]
fn part(v: u128, upper: bool) -> u128 {
    if upper { v >> 64 } else { v }
}

/// Bit 0 of `imm`: the upper halves are the sources. From bit 1 on: one more than the lane of Rm to use.
extern "C" fn long<O: LongOp, T: Int>(cpu: &mut ArmCpu, ops: u64, imm: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (upper, element) = (imm & 1 != 0, (imm >> 1) as usize);
    let narrow = u128::MAX >> (128 - 4 * ops.bytes());
    let a = (part(get(cpu, ops.n()), upper) & narrow).to_le_bytes();
    let m = get(cpu, ops.m());
    let mut b = part(m, upper).to_le_bytes();
    if element != 0 {
        let x = T::get(&m.to_le_bytes(), (element - 1) & (16 / T::BYTES - 1));
        for i in 0..8 / T::BYTES {
            x.put(&mut b, i);
        }
    }
    let b = (u128::from_le_bytes(b) & narrow).to_le_bytes();
    let d = (get(cpu, ops.d()) & ops.mask()).to_le_bytes();
    let (mut r, mut qc) = ([0; 16], false);
    for i in 0..8 / T::BYTES {
        O::op(T::Wide::get(&d, i), T::get(&a, i), T::get(&b, i), &mut qc).put(&mut r, i);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r) & ops.mask());
    set_qc(cpu, qc);
    0
}

fn helper<O: LongOp>(w: Word) -> &'static Helper<ArmCpu> {
    match (O::BY_U && w.bit(29), size(w)) {
        (false, 0) => const { &Helper::fp(O::NAME, long::<O, i8>) },
        (false, 1) => const { &Helper::fp(O::NAME, long::<O, i16>) },
        (false, _) => const { &Helper::fp(O::NAME, long::<O, i32>) },
        (true, 0) => const { &Helper::fp(O::NAME, long::<O, u8>) },
        (true, 1) => const { &Helper::fp(O::NAME, long::<O, u16>) },
        (true, _) => const { &Helper::fp(O::NAME, long::<O, u32>) },
    }
}

/// Constructor of vector forms; Q selects the upper halves of the sources.
pub fn vector<O: LongOp, const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if SIZES >> size(w) & 1 == 0 {
        return undefined::unallocated(w, pc, v);
    }
    call(v, helper::<O>(w), w, 16, w.bits(30, 1))
}

/// Constructor of scalar forms, halfwords and words.
pub fn scalar<O: LongOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if !matches!(size(w), 1 | 2) {
        return undefined::unallocated(w, pc, v);
    }
    call(v, helper::<O>(w), w, 2 << size(w), 0)
}

/// Constructor of vector forms by element.
pub fn vector_element<O: LongOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((m, index)) = by_element(w) else { return undefined::unallocated(w, pc, v) };
    call_m(v, helper::<O>(w), w, m, 16, w.bits(30, 1) | (index + 1) << 1)
}

/// Constructor of scalar forms by element.
pub fn scalar_element<O: LongOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((m, index)) = by_element(w) else { return undefined::unallocated(w, pc, v) };
    call_m(v, helper::<O>(w), w, m, 2 << size(w), (index + 1) << 1)
}

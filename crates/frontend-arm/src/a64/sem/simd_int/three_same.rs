//! Three registers of the same type, by helper (Arm ARM C4.1.95.26), and FEAT_RDM.

use super::lanewise::lane_ops;
use crate::a64::sem::simd_lane::Int;

lane_ops! {
    /// SHADD, UHADD.
    Hadd = "hadd", by_u, |T, d, a, b, qc| T::low(a.wide().add(b.wide()).shr(1));
    /// SRHADD, URHADD.
    Rhadd = "rhadd", by_u, |T, d, a, b, qc| T::low(a.wide().add(b.wide()).add(T::of(1).wide()).shr(1));
    /// SHSUB, UHSUB.
    Hsub = "hsub", by_u, |T, d, a, b, qc| T::low(a.wide().sub(b.wide()).shr(1));
    /// SQADD, UQADD.
    Qadd = "qadd", by_u, |T, d, a, b, qc| note(a.qadd(b), qc);
    /// SQSUB, UQSUB.
    Qsub = "qsub", by_u, |T, d, a, b, qc| note(a.qsub(b), qc);
    /// SSHL, USHL.
    Shl = "shl_reg", by_u, |T, d, a, b, qc| match amount(b) {
        n @ 0.. => a.shl_all(n as u32),
        n => a.shr_all(-n as u32),
    };
    /// SRSHL, URSHL.
    Rshl = "rshl_reg", by_u, |T, d, a, b, qc| match amount(b) {
        n @ 0.. => a.shl_all(n as u32),
        n => T::of(rounded(a, -n as u32)),
    };
    /// SQSHL, UQSHL (register).
    Qshl = "qshl_reg", by_u, |T, d, a, b, qc| match amount(b) {
        n @ 0.. => note(qshl(a, n as u32), qc),
        n => a.shr_all(-n as u32),
    };
    /// SQRSHL, UQRSHL.
    Qrshl = "qrshl_reg", by_u, |T, d, a, b, qc| match amount(b) {
        n @ 0.. => note(qshl(a, n as u32), qc),
        n => T::of(rounded(a, -n as u32)),
    };
    /// MUL.
    Mul = "mul", signed, |T, d, a, b, qc| a.mul(b);
    /// MLA.
    Mla = "mla", signed, |T, d, a, b, qc| d.add(a.mul(b));
    /// MLS.
    Mls = "mls", signed, |T, d, a, b, qc| d.sub(a.mul(b));
    /// PMUL: a product of polynomials over {0, 1}.
    Pmul = "pmul", signed, |T, d, a, b, qc| {
        let (x, y) = (a.unsigned(), b.unsigned());
        T::of((0..T::BITS).fold(0, |r, i| if y >> i & 1 != 0 { r ^ x << i } else { r }))
    };
    /// SQDMULH.
    Qdmulh = "sqdmulh", signed, |T, d, a, b, qc| note(qdmulh(a, b, false), qc);
    /// SQRDMULH.
    Qrdmulh = "sqrdmulh", signed, |T, d, a, b, qc| note(qdmulh(a, b, true), qc);
    /// SQRDMLAH.
    Qrdmlah = "sqrdmlah", signed, |T, d, a, b, qc| note(qrdmla(d, 2 * (a.i128() * b.i128())), qc);
    /// SQRDMLSH.
    Qrdmlsh = "sqrdmlsh", signed, |T, d, a, b, qc| note(qrdmla(d, -2 * (a.i128() * b.i128())), qc);
}

/// Takes the value of a saturating operation and notes whether it saturated.
#[inline(always)]
pub fn note<T>((r, saturated): (T, bool), qc: &mut bool) -> T {
    *qc |= saturated;
    r
}

/// The shift amount of a register shift: the low byte of the lane, signed.
#[inline(always)]
fn amount<T: Int>(b: T) -> i32 {
    b.i128() as i8 as i32
}

/// `a >> n`, rounded; `n` is at least 1 and may exceed the width.
#[inline(always)]
pub fn rounded<T: Int>(a: T, n: u32) -> i128 {
    // Beyond the width plus one the result no longer changes.
    let n = n.min(T::BITS + 1);
    (a.i128() + (1 << (n - 1))) >> n
}

/// `a << n`, saturated.
#[inline(always)]
pub fn qshl<T: Int>(a: T, n: u32) -> (T, bool) {
    let zero = T::of(0);
    if a == zero {
        (a, false)
    } else if n >= T::BITS {
        (if a < zero { T::MIN } else { T::MAX }, true)
    } else {
        T::sat(a.i128() << n)
    }
}

#[inline(always)]
fn qdmulh<T: Int>(a: T, b: T, round: bool) -> (T, bool) {
    if a == T::MIN && b == T::MIN {
        return (T::MAX, true);
    }
    let mut p = a.wide().mul(b.wide()).shl(1);
    if round {
        p = p.add(T::of(1).wide().shl(T::BITS - 1));
    }
    (T::low(p.shr(T::BITS)), false)
}

/// The accumulator `d`, plus `product` (doubled already) rounded down to its upper half.
#[inline(always)]
fn qrdmla<T: Int>(d: T, product: i128) -> (T, bool) {
    // Doublewords, which could overflow here, have no such instruction.
    let sum = (d.i128() << (T::BITS & 63)).wrapping_add(product).wrapping_add(1 << (T::BITS - 1));
    T::sat(sum >> T::BITS)
}

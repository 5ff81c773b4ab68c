//! Pairwise operations: ADDP, SMAXP, SMINP, UMAXP, UMINP: C7.2.5, C7.2.6, C7.2.256, C7.2.259, C7.2.366,
//! C7.2.369. String functions fold comparison results with them, so they are inline.

use std::marker::PhantomData;

use lyrebird_isa::{Bin, Emit, Lane, Sem, Visitor, Width};

use super::inline::{Add, Inline, Smax, Smin, Umax, Umin};
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{element, half, size, vector_ok};
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// Packs the low halves of the `16 << S`-bit lanes of `x` into 32 bits; what is above them in each lane is
/// dropped.
#[inline(always)]
pub fn pack<E: Emit>(e: &mut E, size: u8, x: E::Val) -> E::Val {
    // One step brings neighbours that are `gap` bits apart together.
    let step = |e: &mut E, x: E::Val, gap: u64, keep: u64| {
        let n = e.imm(gap);
        let up = e.bin(Bin::Shr, Width::W64, x, n);
        let x = e.bin(Bin::Or, Width::W64, x, up);
        let keep = e.imm(keep);
        e.bin(Bin::And, Width::W64, x, keep)
    };
    match size {
        0 => {
            let keep = e.imm(0x00ff_00ff_00ff_00ff);
            let x = e.bin(Bin::And, Width::W64, x, keep);
            let x = step(e, x, 8, 0x0000_ffff_0000_ffff);
            step(e, x, 16, 0xffff_ffff)
        }
        1 => {
            let keep = e.imm(0x0000_ffff_0000_ffff);
            let x = e.bin(Bin::And, Width::W64, x, keep);
            step(e, x, 16, 0xffff_ffff)
        }
        _ => e.zext(Width::W32, x),
    }
}

/// The low halves of the `16 << S`-bit lanes of `v`, packed into 64 bits.
#[inline(always)]
pub fn pack_vec<E: Emit>(e: &mut E, size: u8, v: E::Vec) -> E::Val {
    let (lo, hi) = (e.vec_lo(v), e.vec_hi(v));
    let (lo, hi) = (pack(e, size, lo), pack(e, size, hi));
    let n = e.imm(32);
    let hi = e.bin(Bin::Shl, Width::W64, hi, n);
    e.bin(Bin::Or, Width::W64, lo, hi)
}

/// Combines each pair of lanes of `v`; the results packed into 64 bits.
#[inline(always)]
fn fold_pairs<E: Emit, O: Inline>(e: &mut E, size: u8, v: E::Vec) -> E::Val {
    let lane = Lane::from_size(size as u32);
    if size == 3 {
        let (lo, hi, z) = (e.vec_lo(v), e.vec_hi(v), e.imm(0));
        let (lo, hi) = (e.vec(lo, z), e.vec(hi, z));
        let r = O::op(e, lane, 0, lo, hi);
        return e.vec_lo(r);
    }
    // Odd lanes moved down onto even ones; the results in odd places are dropped.
    let n = e.imm(lane.width().bits() as u64);
    let (lo, hi) = (e.vec_lo(v), e.vec_hi(v));
    let (lo, hi) = (e.bin(Bin::Shr, Width::W64, lo, n), e.bin(Bin::Shr, Width::W64, hi, n));
    let odd = e.vec(lo, hi);
    let r = O::op(e, lane, 0, v, odd);
    pack_vec(e, size, r)
}

/// A pairwise operation on lanes of `1 << S` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pairwise<O, const S: u8, const Q: bool> {
    d: u8,
    n: u8,
    m: u8,
    op: PhantomData<O>,
}

impl<O: Inline, const S: u8, const Q: bool> Sem<ArmCpu> for Pairwise<O, S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.vreg(self.n), e.vreg(self.m));
        let r = if Q {
            let (lo, hi) = (fold_pairs::<E, O>(e, S, a), fold_pairs::<E, O>(e, S, b));
            e.vec(lo, hi)
        } else {
            let (lo, hi) = (e.vec_lo(a), e.vec_lo(b));
            let both = e.vec(lo, hi);
            let (lo, z) = (fold_pairs::<E, O>(e, S, both), e.imm(0));
            e.vec(lo, z)
        };
        e.set_vreg(self.d, r);
        Ok(())
    }
}

fn pairwise<O: Inline, const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if !vector_ok(w, SIZES) {
        return undefined::unallocated(w, pc, v);
    }
    let (d, n, m, op) = (w.d() as u8, w.n() as u8, w.m() as u8, PhantomData);
    flags!(w.bit(30) => |Q| element!(size(w) => |S| v.visit(Pairwise::<O, S, Q> { d, n, m, op })))
}

/// Constructor of ADDP.
pub fn addp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    pairwise::<Add, 15, V>(w, pc, v)
}

/// Constructor of SMAXP and UMAXP.
pub fn maxp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if w.bit(29) { pairwise::<Umax, 7, V>(w, pc, v) } else { pairwise::<Smax, 7, V>(w, pc, v) }
}

/// Constructor of SMINP and UMINP.
pub fn minp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if w.bit(29) { pairwise::<Umin, 7, V>(w, pc, v) } else { pairwise::<Smin, 7, V>(w, pc, v) }
}

/// ADDP (scalar): the two doublewords of Rn.
#[derive(Clone, Copy, Debug)]
pub struct AddpScalar {
    d: u8,
    n: u8,
}

impl Sem<ArmCpu> for AddpScalar {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.vreg(self.n);
        let (lo, hi) = (e.vec_lo(a), e.vec_hi(a));
        let sum = e.add(lo, hi);
        let r = e.vec(sum, sum);
        let r = half(e, false, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Constructor of ADDP (scalar).
pub fn addp_scalar<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(AddpScalar { d: w.d() as u8, n: w.n() as u8 })
}

/// XTN, and SHRN by `shift` bits.
#[derive(Clone, Copy, Debug)]
pub struct NarrowShift<const S: u8, const Q: bool> {
    d: u8,
    n: u8,
    shift: u8,
}

impl<const S: u8, const Q: bool> Sem<ArmCpu> for NarrowShift<S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.vreg(self.n);
        // What a shift brings in from the next lane lies above the half that is kept.
        let n = e.imm(self.shift as u64);
        let (lo, hi) = (e.vec_lo(a), e.vec_hi(a));
        let (lo, hi) = (e.bin(Bin::Shr, Width::W64, lo, n), e.bin(Bin::Shr, Width::W64, hi, n));
        let a = e.vec(lo, hi);
        let x = pack_vec(e, S, a);
        let r = if Q {
            let d = e.vreg(self.d);
            let d = e.vec_lo(d);
            e.vec(d, x)
        } else {
            let z = e.imm(0);
            e.vec(x, z)
        };
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Hands over XTN (`shift` 0) or SHRN to lanes of `8 << size` bits, `size` below 3; `shift` at most that.
pub fn narrow_shift<V: Visitor<ArmCpu>>(w: Word, size: u32, shift: u32, v: V) -> V::Out {
    let (d, n, shift) = (w.d() as u8, w.n() as u8, shift as u8);
    flags!(w.bit(30) => |Q| match size {
        0 => v.visit(NarrowShift::<0, Q> { d, n, shift }),
        1 => v.visit(NarrowShift::<1, Q> { d, n, shift }),
        _ => v.visit(NarrowShift::<2, Q> { d, n, shift }),
    })
}

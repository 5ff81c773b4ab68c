//! Integer operations that are few host instructions: ADD, SUB, CMxx, xMAX, xMIN, xABD, xABA, AND, ORR, EOR,
//! BIC, ORN, BSL, BIT, BIF, NEG, NOT.

use std::marker::PhantomData;

use lyrebird_isa::{Emit, Lane, Sem, VBin, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{element, half, size, vector_ok};
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// What an inline operation computes, on all 128 bits.
pub trait Inline: Copy + Send + Sync + 'static {
    /// From the sources `a` and `b`, and register `d` where it reads its destination.
    fn op<E: Emit>(e: &mut E, lane: Lane, d: u8, a: E::Vec, b: E::Vec) -> E::Vec;
}

/// What a one-source inline operation computes.
pub trait Inline1: Copy + Send + Sync + 'static {
    /// From the source.
    fn op<E: Emit>(e: &mut E, lane: Lane, a: E::Vec) -> E::Vec;
}

macro_rules! inline {
    ($($(#[$doc:meta])* $name:ident($e:ident, $lane:ident, $d:ident, $a:ident, $b:ident) $body:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Inline for $name {
            #[inline(always)]
            fn op<E: Emit>($e: &mut E, $lane: Lane, $d: u8, $a: E::Vec, $b: E::Vec) -> E::Vec {
                let _ = $d;
                $body
            }
        }
    )* };
}

inline! {
    /// ADD.
    Add(e, l, d, a, b) e.vbin(VBin::Add, l, a, b);
    /// SUB.
    Sub(e, l, d, a, b) e.vbin(VBin::Sub, l, a, b);
    /// CMEQ.
    CmEq(e, l, d, a, b) e.vbin(VBin::CmpEq, l, a, b);
    /// CMGT.
    CmGt(e, l, d, a, b) e.vbin(VBin::CmpGt, l, a, b);
    /// CMGE.
    CmGe(e, l, d, a, b) e.vbin(VBin::CmpGe, l, a, b);
    /// CMHI.
    CmHi(e, l, d, a, b) e.vbin(VBin::CmpHi, l, a, b);
    /// CMHS.
    CmHs(e, l, d, a, b) e.vbin(VBin::CmpHs, l, a, b);
    /// CMTST.
    CmTst(e, l, d, a, b) {
        let both = e.vbin(VBin::And, l, a, b);
        let z = splat(e, 0);
        let none = e.vbin(VBin::CmpEq, l, both, z);
        not(e, none)
    };
    /// SMAX.
    Smax(e, l, d, a, b) e.vbin(VBin::Smax, l, a, b);
    /// SMIN.
    Smin(e, l, d, a, b) e.vbin(VBin::Smin, l, a, b);
    /// UMAX.
    Umax(e, l, d, a, b) e.vbin(VBin::Umax, l, a, b);
    /// UMIN.
    Umin(e, l, d, a, b) e.vbin(VBin::Umin, l, a, b);
    /// SABD.
    Sabd(e, l, d, a, b) {
        let (max, min) = (e.vbin(VBin::Smax, l, a, b), e.vbin(VBin::Smin, l, a, b));
        e.vbin(VBin::Sub, l, max, min)
    };
    /// UABD.
    Uabd(e, l, d, a, b) {
        let (max, min) = (e.vbin(VBin::Umax, l, a, b), e.vbin(VBin::Umin, l, a, b));
        e.vbin(VBin::Sub, l, max, min)
    };
    /// SABA.
    Saba(e, l, d, a, b) {
        let diff = Sabd::op(e, l, d, a, b);
        let d = e.vreg(d);
        e.vbin(VBin::Add, l, d, diff)
    };
    /// UABA.
    Uaba(e, l, d, a, b) {
        let diff = Uabd::op(e, l, d, a, b);
        let d = e.vreg(d);
        e.vbin(VBin::Add, l, d, diff)
    };
    /// AND.
    And(e, l, d, a, b) e.vbin(VBin::And, l, a, b);
    /// BIC.
    Bic(e, l, d, a, b) e.vbin(VBin::Bic, l, a, b);
    /// ORR.
    Orr(e, l, d, a, b) e.vbin(VBin::Or, l, a, b);
    /// ORN.
    Orn(e, l, d, a, b) {
        let b = not(e, b);
        e.vbin(VBin::Or, l, a, b)
    };
    /// EOR.
    Eor(e, l, d, a, b) e.vbin(VBin::Xor, l, a, b);
    /// BSL: the destination selects.
    Bsl(e, l, d, a, b) {
        let d = e.vreg(d);
        choose(e, l, d, a, b)
    };
    /// BIT: the first source goes in where the second is set.
    Bit(e, l, d, a, b) {
        let d = e.vreg(d);
        choose(e, l, b, a, d)
    };
    /// BIF: the first source goes in where the second is clear.
    Bif(e, l, d, a, b) {
        let d = e.vreg(d);
        choose(e, l, b, d, a)
    };
}

macro_rules! inline1 {
    ($($(#[$doc:meta])* $name:ident($e:ident, $lane:ident, $a:ident) $body:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Inline1 for $name {
            #[inline(always)]
            fn op<E: Emit>($e: &mut E, $lane: Lane, $a: E::Vec) -> E::Vec {
                $body
            }
        }
    )* };
}

inline1! {
    /// NEG.
    Neg(e, l, a) { let z = splat(e, 0); e.vbin(VBin::Sub, l, z, a) };
    /// NOT.
    Not(e, _l, a) not(e, a);
    /// CMEQ (zero).
    CmEq0(e, l, a) { let z = splat(e, 0); e.vbin(VBin::CmpEq, l, a, z) };
    /// CMGT (zero).
    CmGt0(e, l, a) { let z = splat(e, 0); e.vbin(VBin::CmpGt, l, a, z) };
    /// CMGE (zero).
    CmGe0(e, l, a) { let z = splat(e, 0); e.vbin(VBin::CmpGe, l, a, z) };
    /// CMLE (zero).
    CmLe0(e, l, a) { let z = splat(e, 0); e.vbin(VBin::CmpGe, l, z, a) };
    /// CMLT (zero).
    CmLt0(e, l, a) { let z = splat(e, 0); e.vbin(VBin::CmpGt, l, z, a) };
}

#[inline(always)]
fn splat<E: Emit>(e: &mut E, v: u64) -> E::Vec {
    let v = e.imm(v);
    e.vec(v, v)
}

#[inline(always)]
fn not<E: Emit>(e: &mut E, a: E::Vec) -> E::Vec {
    let ones = splat(e, u64::MAX);
    e.vbin(VBin::Xor, Lane::D, a, ones)
}

/// `a` where `mask` is set, else `b`.
#[inline(always)]
fn choose<E: Emit>(e: &mut E, l: Lane, mask: E::Vec, a: E::Vec, b: E::Vec) -> E::Vec {
    let differ = e.vbin(VBin::Xor, l, a, b);
    let take = e.vbin(VBin::And, l, differ, mask);
    e.vbin(VBin::Xor, l, b, take)
}

/// A two-source operation on lanes of `1 << S` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Binary<O, const S: u8, const Q: bool> {
    d: u8,
    n: u8,
    m: u8,
    op: PhantomData<O>,
}

impl<O: Inline, const S: u8, const Q: bool> Sem<ArmCpu> for Binary<O, S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.vreg(self.n), e.vreg(self.m));
        let r = O::op(e, Lane::from_size(S as u32), self.d, a, b);
        let r = half(e, Q, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// A one-source operation on lanes of `1 << S` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Unary<O, const S: u8, const Q: bool> {
    d: u8,
    n: u8,
    op: PhantomData<O>,
}

impl<O: Inline1, const S: u8, const Q: bool> Sem<ArmCpu> for Unary<O, S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.vreg(self.n);
        let r = O::op(e, Lane::from_size(S as u32), a);
        let r = half(e, Q, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Two sources, element size by the size field.
pub fn binary<O: Inline, const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if !vector_ok(w, SIZES) {
        return undefined::unallocated(w, pc, v);
    }
    let (d, n, m, op) = (w.d() as u8, w.n() as u8, w.m() as u8, PhantomData);
    flags!(w.bit(30) => |Q| element!(size(w) => |S| v.visit(Binary::<O, S, Q> { d, n, m, op })))
}

/// Two sources, bit by bit: the size field is part of the opcode.
pub fn logic<O: Inline, V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (d, n, m, op) = (w.d() as u8, w.n() as u8, w.m() as u8, PhantomData);
    flags!(w.bit(30) => |Q| v.visit(Binary::<O, 3, Q> { d, n, m, op }))
}

/// Two sources, scalar doublewords.
pub fn binary_d<O: Inline, V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Binary::<O, 3, false> { d: w.d() as u8, n: w.n() as u8, m: w.m() as u8, op: PhantomData })
}

/// One source, element size by the size field.
pub fn unary<O: Inline1, const SIZES: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if !vector_ok(w, SIZES) {
        return undefined::unallocated(w, pc, v);
    }
    let (d, n, op) = (w.d() as u8, w.n() as u8, PhantomData);
    flags!(w.bit(30) => |Q| element!(size(w) => |S| v.visit(Unary::<O, S, Q> { d, n, op })))
}

/// One source, bit by bit.
pub fn logic1<O: Inline1, V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (d, n, op) = (w.d() as u8, w.n() as u8, PhantomData);
    flags!(w.bit(30) => |Q| v.visit(Unary::<O, 3, Q> { d, n, op }))
}

/// One source, scalar doublewords.
pub fn unary_d<O: Inline1, V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Unary::<O, 3, false> { d: w.d() as u8, n: w.n() as u8, op: PhantomData })
}

//! Operations on the host's unit, where FPCR lets it compute: round to nearest, nothing flushed. FPCR.DN may be either,
//! since a NaN is the helper's to find.

use lyrebird_isa::ops::{Lane, VBin};
use lyrebird_isa::vector::lanes;
use lyrebird_isa::{
    Cc, Emit, FBin, FUn, Float, Helper, Part, Rounding, Sem, Sound, VShift, Visitor, Width, host,
};

use super::call::{FpCall, Operands};
use super::ops::{After, Elem, FpOp, Of, OnHost};
use crate::ArmCpu;
use crate::cpu::Mode;

/// What of the registers an operation takes.
pub mod shape {
    /// The lowest element.
    pub const LOW: u8 = 0;
    /// All 128 bits.
    pub const ALL: u8 = 1;
    /// The lower 64 bits, two elements.
    pub const HALF: u8 = 2;
    /// The two lowest elements, reduced to one.
    pub const PAIR: u8 = 3;
    /// All four elements, reduced to one.
    pub const ACROSS: u8 = 4;
}

/// A vector of zeros.
#[inline(always)]
pub fn zero<E: Emit>(e: &mut E) -> E::Vec {
    let z = e.imm(0);
    e.vsplat(Lane::D, z)
}

/// `O` on elements of `F`; its operands are those of the helper that takes what the host leaves.
#[derive(Clone, Copy, Debug)]
pub struct HostCall<F, O, const SHAPE: u8> {
    helper: &'static Helper<ArmCpu>,
    operands: u64,
    op: std::marker::PhantomData<(F, O)>,
}

impl<F: Elem, O: FpOp, const SHAPE: u8> HostCall<F, O, SHAPE> {
    const PART: Part = if SHAPE == shape::LOW { Part::Low } else { Part::All };

    /// A register, of which the upper half is zero where it does not count.
    #[inline(always)]
    fn register<E: Emit<Cpu = ArmCpu>>(e: &mut E, r: usize) -> E::Vec {
        let v = e.vreg(r as u8);
        Self::lower(e, v)
    }

    #[inline(always)]
    fn lower<E: Emit<Cpu = ArmCpu>>(e: &mut E, v: E::Vec) -> E::Vec {
        if SHAPE != shape::HALF {
            return v;
        }
        let z = zero(e);
        e.vmerge(Lane::D, z, v)
    }

    /// Vm, or its element.
    #[inline(always)]
    fn second<E: Emit<Cpu = ArmCpu>>(e: &mut E, p: Operands) -> E::Vec {
        let v = e.vreg(p.m() as u8);
        let v = match p.element_index() {
            Some(i) => e.vdup(F::FLOAT.lane(), v, i),
            None => v,
        };
        Self::lower(e, v)
    }

    /// What counts of a register, the rest zero.
    #[inline(always)]
    fn alone<E: Emit<Cpu = ArmCpu>>(e: &mut E, v: E::Vec) -> E::Vec {
        if SHAPE != shape::LOW {
            return v;
        }
        let z = zero(e);
        e.vmerge(F::FLOAT.lane(), z, v)
    }

    /// The bits `raw` in all elements.
    #[inline(always)]
    fn all<E: Emit<Cpu = ArmCpu>>(e: &mut E, raw: u64) -> E::Vec {
        let raw = e.imm(raw);
        e.vsplat(F::FLOAT.lane(), raw)
    }

    /// FCVT*S, FCVT*U: the integers, and whether they are right. Elements that do not fit saturate, which is the helper's;
    /// of integers without a sign only those are taken that fit with one.
    #[inline(always)]
    fn to_int<E: Emit<Cpu = ArmCpu>>(e: &mut E, v: E::Vec, to: Rounding, signed: bool) -> (E::Bool, E::Vec) {
        let (f, lane) = (F::FLOAT, F::FLOAT.lane());
        let v = Self::alone(e, v);
        let limit = Self::all(e, if f == Float::D { (1023 + 63) << 52 } else { (127 + 31) << 23 });
        let fits = if signed {
            let magnitude = Self::all(e, u64::MAX >> (65 - f.bits()));
            let magnitude = e.vbin(VBin::And, lane, v, magnitude);
            e.vbin(VBin::CmpGt, lane, limit, magnitude)
        } else {
            e.vbin(VBin::CmpHi, lane, limit, v)
        };
        // What the host finds invalid for want of a bit may be none. Otherwise, what does not fit is an integral value or
        // invalid on both sides.
        let mut r = if signed { v } else { e.vbin(VBin::And, lane, v, fits) };
        if to != Rounding::Zero {
            r = e.fun(FUn::Round(to, true), f, Part::All, r);
        }
        let r = match f {
            Float::S => e.fun(FUn::ToInt32, f, Part::All, r),
            Float::D => {
                let lo = e.ftruncate(f, Width::W64, r);
                let hi = if SHAPE == shape::LOW {
                    e.imm(0)
                } else {
                    let hi = e.vdup(lane, r, 1);
                    e.ftruncate(f, Width::W64, hi)
                };
                e.vec(lo, hi)
            }
        };
        let fits = e.vhigh_bits(lane, fits);
        let all = e.imm(if f == Float::D { 3 } else { 15 });
        (e.cmp(Cc::Eq, Width::W64, fits, all), r)
    }

    /// SCVTF, UCVTF: the numbers, and whether they are right, which is not to be asked where `None`.
    #[inline(always)]
    fn of_int<E: Emit<Cpu = ArmCpu>>(e: &mut E, v: E::Vec, signed: bool) -> (Option<E::Bool>, E::Vec) {
        let (f, lane) = (F::FLOAT, F::FLOAT.lane());
        if f == Float::S {
            if signed {
                return (None, Self::un(e, FUn::FromInt32, v));
            }
            if SHAPE == shape::LOW {
                let x = e.vextract(lane, v, 0);
                return (None, e.ffrom_int(f, x));
            }
            // Halves of 16 bits are exact, also the upper ones at their place; their sum is rounded.
            let (low, scale) = (Self::all(e, 0xffff), Self::all(e, (127 + 16) << 23));
            let low = e.vbin(VBin::And, lane, v, low);
            let high = e.vshift(VShift::Shr, lane, v, 16);
            let (low, high) = (Self::un(e, FUn::FromInt32, low), Self::un(e, FUn::FromInt32, high));
            let high = e.fbin(FBin::Mul, f, Part::All, high, scale);
            return (None, e.fbin(FBin::Add, f, Part::All, high, low));
        }
        let v = Self::alone(e, v);
        let lo = e.vec_lo(v);
        let mut r = e.ffrom_int(f, lo);
        if SHAPE != shape::LOW {
            let hi = e.vec_hi(v);
            let hi = e.ffrom_int(f, hi);
            r = e.vshuffle(r, hi, &lanes(lane, |i| 2 * i));
        }
        if signed {
            return (None, r);
        }
        // What is beyond signed integers raises the same.
        let (signs, none) = (e.vhigh_bits(lane, v), e.imm(0));
        (Some(e.cmp(Cc::Eq, Width::W64, signs, none)), r)
    }

    #[inline(always)]
    fn un<E: Emit<Cpu = ArmCpu>>(e: &mut E, op: FUn, v: E::Vec) -> E::Vec {
        e.fun(op, F::FLOAT, Self::PART, v)
    }
}

impl<F: Elem, O: FpOp, const SHAPE: u8> Sem<ArmCpu> for HostCall<F, O, SHAPE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (f, part, p) = (F::FLOAT, Self::PART, Operands(self.operands));
        let a = Self::register(e, p.n());
        let (r, after) = match O::HOST {
            OnHost::Bin(op, after) => {
                let b = Self::second(e, p);
                (e.fbin(op, f, part, a, b), after)
            }
            OnHost::Sqrt => (Self::un(e, FUn::Sqrt, a), After::Plain),
            OnHost::Fma(product, addend) => {
                let b = Self::second(e, p);
                let c = Self::register(e, p.c());
                let a = if product { Self::un(e, FUn::Neg, a) } else { a };
                let c = if addend { Self::un(e, FUn::Neg, c) } else { c };
                (e.fma(f, part, a, b, c), After::Plain)
            }
            OnHost::Mask(cc, of) => {
                let (x, y) = match of {
                    Of::Both => (a, Self::second(e, p)),
                    Of::Swapped => (Self::second(e, p), a),
                    Of::Magnitudes => {
                        let b = Self::second(e, p);
                        (Self::un(e, FUn::Abs, b), Self::un(e, FUn::Abs, a))
                    }
                    Of::WithZero => (a, zero(e)),
                    Of::ZeroWith => (zero(e), a),
                };
                let r = e.fcmp(cc, f, part, x, y);
                let r = Self::lower(e, r);
                e.set_vreg(p.d() as u8, r);
                return Ok(());
            }
            OnHost::FromInt(signed) => {
                let (ok, r) = Self::of_int(e, a, signed);
                let r = Self::lower(e, r);
                let Some(ok) = ok else {
                    e.set_vreg(p.d() as u8, r);
                    return Ok(());
                };
                let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
                return e.set_vreg_or(ok, p.d() as u8, r, *self.helper, args);
            }
            OnHost::ToInt(signed) => {
                let to = p.get_arg().on_host().unwrap_or(Rounding::Zero);
                let (ok, r) = Self::to_int(e, a, to, signed);
                let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
                return e.set_vreg_or(ok, p.d() as u8, r, *self.helper, args);
            }
            OnHost::Round(exact) => {
                let to = p.get_arg().on_host().unwrap_or(Rounding::Zero);
                (Self::un(e, FUn::Round(to, exact), a), After::Plain)
            }
            OnHost::No => {
                let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
                e.call(*self.helper, args)?;
                return Ok(());
            }
        };
        let ok = e.fsound(Sound::Normal, f, part, r);
        let r = match after {
            After::Plain => r,
            After::Neg => Self::un(e, FUn::Neg, r),
            After::Abs => Self::un(e, FUn::Abs, r),
        };
        let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
        e.set_vreg_or(ok, p.d() as u8, r, *self.helper, args)
    }
}

/// FCVT between single and double precision; `D`: to double.
#[derive(Clone, Copy, Debug)]
pub struct Convert<const D: bool> {
    helper: &'static Helper<ArmCpu>,
    operands: u64,
}

impl<const D: bool> Convert<D> {
    /// A conversion; the helper takes what the host leaves.
    pub fn new(helper: &'static Helper<ArmCpu>, p: Operands) -> Convert<D> {
        Convert { helper, operands: p.0 }
    }
}

impl<const D: bool> Sem<ArmCpu> for Convert<D> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (f, p) = (if D { Float::D } else { Float::S }, Operands(self.operands));
        let a = e.vreg(p.n() as u8);
        let r = e.fun(FUn::Convert, f, Part::Low, a);
        let ok = e.fsound(Sound::Normal, f, Part::Low, r);
        let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
        e.set_vreg_or(ok, p.d() as u8, r, *self.helper, args)
    }
}

/// FCVTL and FCVTN between single and double precision; `D`: to double, `UPPER`: the second forms.
#[derive(Clone, Copy, Debug)]
pub struct ConvertLanes<const D: bool, const UPPER: bool> {
    helper: &'static Helper<ArmCpu>,
    operands: u64,
}

impl<const D: bool, const UPPER: bool> ConvertLanes<D, UPPER> {
    /// A conversion; the helper takes what the host leaves.
    pub fn new(helper: &'static Helper<ArmCpu>, p: Operands) -> ConvertLanes<D, UPPER> {
        ConvertLanes { helper, operands: p.0 }
    }
}

impl<const D: bool, const UPPER: bool> Sem<ArmCpu> for ConvertLanes<D, UPPER> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (f, p) = (if D { Float::D } else { Float::S }, Operands(self.operands));
        let a = e.vreg(p.n() as u8);
        let a = if D && UPPER { e.vdup(Lane::D, a, 1) } else { a };
        let mut r = e.fun(FUn::Convert, f, Part::All, a);
        let ok = e.fsound(Sound::Normal, f, Part::All, r);
        if !D && UPPER {
            let low = e.vreg(p.d() as u8);
            r = e.vshuffle(low, r, &lanes(Lane::D, |i| 2 * i));
        }
        let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
        e.set_vreg_or(ok, p.d() as u8, r, *self.helper, args)
    }
}

/// `O` on adjacent elements of `F`: of Vm:Vn, or of Vn alone where the shape is a reduction's.
#[derive(Clone, Copy, Debug)]
pub struct HostPairs<F, O, const SHAPE: u8> {
    helper: &'static Helper<ArmCpu>,
    operands: u64,
    op: std::marker::PhantomData<(F, O)>,
}

impl<F: Elem, O: FpOp, const SHAPE: u8> Sem<ArmCpu> for HostPairs<F, O, SHAPE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (f, lane, p) = (F::FLOAT, F::FLOAT.lane(), Operands(self.operands));
        let args = [e.imm(self.operands), e.imm(0), e.imm(0)];
        let OnHost::Bin(op, After::Plain) = O::HOST else {
            e.call(*self.helper, args)?;
            return Ok(());
        };
        let pairs = |e: &mut E, a, b| {
            let even = e.vshuffle(a, b, &lanes(lane, |i| 2 * i));
            let odd = e.vshuffle(a, b, &lanes(lane, |i| 2 * i + 1));
            e.fbin(op, f, Part::All, even, odd)
        };
        let n = e.vreg(p.n() as u8);
        let (part, r) = match SHAPE {
            shape::PAIR | shape::ACROSS => {
                let v = if SHAPE == shape::ACROSS { pairs(e, n, n) } else { n };
                let second = e.vdup(lane, v, 1);
                (Part::Low, e.fbin(op, f, Part::Low, v, second))
            }
            shape::HALF => {
                let m = e.vreg(p.m() as u8);
                let v = e.vshuffle(n, m, &lanes(Lane::D, |i| 2 * i));
                let (r, z) = (pairs(e, v, v), zero(e));
                (Part::All, e.vmerge(Lane::D, z, r))
            }
            _ => {
                let m = e.vreg(p.m() as u8);
                (Part::All, pairs(e, n, m))
            }
        };
        let ok = e.fsound(Sound::Normal, f, part, r);
        e.set_vreg_or(ok, p.d() as u8, r, *self.helper, args)
    }
}

/// Hands over `O` on adjacent elements, on the host's unit or as a call of the helper.
pub fn visit_pairs<V: Visitor<ArmCpu>, F: Elem, O: FpOp, const SHAPE: u8>(
    helper: &'static Helper<ArmCpu>,
    p: Operands,
    mode: Mode,
    v: V,
) -> V::Out {
    if matches!(O::HOST, OnHost::Bin(_, After::Plain)) && mode.fp_host() {
        return v.visit(HostPairs::<F, O, SHAPE> { helper, operands: p.0, op: std::marker::PhantomData });
    }
    v.visit(FpCall::new(helper, p))
}

/// Whether the host rounds to integral values as the constant says.
fn rounds(p: Operands) -> bool {
    host::has_rounding() && p.get_arg().on_host().is_some()
}

/// Whether the host computes `O` on such operands.
fn on_host<O: FpOp, const SHAPE: u8>(p: Operands) -> bool {
    match O::HOST {
        OnHost::No => false,
        // Above two elements there would be zero by zero.
        OnHost::Bin(FBin::Div, _) => SHAPE != shape::HALF,
        OnHost::Fma(..) => host::has_fma(),
        OnHost::FromInt(_) => p.get_arg().frac() == 0,
        OnHost::ToInt(_) => p.get_arg().frac() == 0 && rounds(p),
        OnHost::Round(_) => rounds(p),
        _ => true,
    }
}

/// Hands over `O` on the host's unit, or as a call of the helper.
pub fn visit<V: Visitor<ArmCpu>, F: Elem, O: FpOp, const SHAPE: u8>(
    helper: &'static Helper<ArmCpu>,
    p: Operands,
    mode: Mode,
    v: V,
) -> V::Out {
    if O::HOST != OnHost::No && mode.fp_host() && on_host::<O, SHAPE>(p) {
        return v.visit(HostCall::<F, O, SHAPE> { helper, operands: p.0, op: std::marker::PhantomData });
    }
    v.visit(FpCall::new(helper, p))
}

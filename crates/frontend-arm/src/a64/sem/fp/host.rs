//! Operations on the host's unit, where FPCR lets it compute: round to nearest, nothing flushed. FPCR.DN may be either,
//! since a NaN is the helper's to find.

use lyrebird_isa::ops::Lane;
use lyrebird_isa::{Emit, FUn, Float, Helper, Part, Sem, Sound, Visitor, host};

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
            OnHost::FromInt32 | OnHost::No => {
                let r = e.fun(FUn::FromInt32, f, part, a);
                e.set_vreg(p.d() as u8, r);
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

/// Whether the host computes `O` on such operands.
fn on_host<F: Elem, O: FpOp, const SHAPE: u8>(p: Operands) -> bool {
    match O::HOST {
        OnHost::No => false,
        // Above two elements there would be zero by zero.
        OnHost::Bin(lyrebird_isa::FBin::Div, _) => SHAPE != shape::HALF,
        OnHost::Fma(..) => host::has_fma(),
        OnHost::FromInt32 => F::FLOAT == Float::S && p.get_arg().frac() == 0,
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
    if O::HOST != OnHost::No && mode.fp_host() && on_host::<F, O, SHAPE>(p) {
        return v.visit(HostCall::<F, O, SHAPE> { helper, operands: p.0, op: std::marker::PhantomData });
    }
    v.visit(FpCall::new(helper, p))
}

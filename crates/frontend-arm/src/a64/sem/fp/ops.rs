//! What happens in one lane: the operations, and the formats they work on.

use lyrebird_fp as fp;
use lyrebird_fp::{Env, F16, F32, F64, Format, IntType, Ordering, Round};
use lyrebird_isa::{FBin, FCc, Float, Rounding};

/// A format that fits a lane of a vector register.
pub trait Elem: Format + Send + Sync {
    /// Width in bits.
    const BITS: u32;
    /// The format as the host's unit has it; of [`F16`], which it does not have, the next one.
    const FLOAT: Float;
    /// From the low bits of a register.
    fn of(raw: u64) -> Self::Bits;
    /// Zero-extended.
    fn raw(v: Self::Bits) -> u64;
}

macro_rules! elem {
    ($($F:ty, $bits:ty, $float:ident;)*) => {
        $(impl Elem for $F {
            const BITS: u32 = <$bits>::BITS;
            const FLOAT: Float = Float::$float;
            #[inline(always)]
            fn of(raw: u64) -> $bits {
                raw as $bits
            }
            #[inline(always)]
            fn raw(v: $bits) -> u64 {
                v as u64
            }
        })*
    };
}
elem! { F16, u16, S; F32, u32, S; F64, u64, D; }

/// Operand of an operation that the instruction fixes: rounding in bits 2 to 0, fraction bits in 15 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg(pub u16);

impl Arg {
    /// None.
    pub const NONE: Arg = Arg(0);
    /// To nearest, ties to even.
    pub const NEAREST: Arg = Arg(0);
    /// Towards plus infinity.
    pub const UP: Arg = Arg(1);
    /// Towards minus infinity.
    pub const DOWN: Arg = Arg(2);
    /// Towards zero.
    pub const ZERO: Arg = Arg(3);
    /// To nearest, ties away from zero.
    pub const AWAY: Arg = Arg(4);
    /// As FPCR.RMode says.
    pub const FPCR: Arg = Arg(5);

    /// With a number of fraction bits.
    pub const fn fbits(self, n: u32) -> Arg {
        Arg(self.0 | (n as u16) << 8)
    }

    /// The rounding mode.
    #[inline(always)]
    pub fn round(self, env: &Env) -> Round {
        match self.0 & 7 {
            0 => Round::NearestEven,
            1 => Round::Up,
            2 => Round::Down,
            3 => Round::Zero,
            4 => Round::NearestAway,
            _ => env.policy.round,
        }
    }

    /// The rounding mode on the host's unit, which has no ties away from zero. As FPCR.RMode says is to nearest there.
    #[inline(always)]
    pub const fn on_host(self) -> Option<Rounding> {
        match self.0 & 7 {
            0 | 5 => Some(Rounding::Nearest),
            1 => Some(Rounding::Up),
            2 => Some(Rounding::Down),
            3 => Some(Rounding::Zero),
            _ => None,
        }
    }

    /// The number of fraction bits.
    #[inline(always)]
    pub fn frac(self) -> u32 {
        (self.0 >> 8) as u32
    }
}

/// How the host's unit computes an operation where FPCR lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHost {
    /// It does not.
    No,
    /// Two operands.
    Bin(FBin, After),
    /// Square root of the first operand.
    Sqrt,
    /// First by second operand plus the addend; whether the product and the addend change signs.
    Fma(bool, bool),
    /// A comparison.
    Mask(FCc, Of),
    /// From an integer as wide; whether it is signed.
    FromInt(bool),
    /// To an integer as wide, as [`Arg`] says; whether it is signed.
    ToInt(bool),
    /// To an integral value, as [`Arg`] says; whether it raises inexact.
    Round(bool),
}

/// What is done to the sign of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Plain,
    /// It is inverted.
    Neg,
    /// It is cleared.
    Abs,
}

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The first operand with the second.
    Both,
    /// The second operand with the first.
    Swapped,
    /// The second operand's magnitude with the first's.
    Magnitudes,
    /// The first operand with zero.
    WithZero,
    /// Zero with the first operand.
    ZeroWith,
}

/// An operation on up to three elements with a result of the same width.
pub trait FpOp: Copy + Send + Sync + 'static {
    /// For dumps and profiles.
    const NAME: &'static str;
    /// On the host's unit.
    const HOST: OnHost;
    /// `a` from Vn, `b` from Vm, `c` the addend.
    fn run<F: Elem>(env: &mut Env, a: F::Bits, b: F::Bits, c: F::Bits, arg: Arg) -> F::Bits;
}

macro_rules! ops {
    ($($(#[$doc:meta])* $Op:ident $name:literal $([$host:expr])? |$e:ident, $a:ident, $b:ident, $c:ident, $i:ident| $body:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $Op;

            impl FpOp for $Op {
                const NAME: &'static str = $name;
                #[allow(unused_mut, unused_assignments, reason = "where nothing is given, the first value stays")]
                const HOST: OnHost = {
                    let mut host = OnHost::No;
                    $(host = $host;)?
                    host
                };
                #[inline(always)]
                #[allow(unused_variables, reason = "an operation takes what it needs")]
                fn run<F: Elem>($e: &mut Env, $a: F::Bits, $b: F::Bits, $c: F::Bits, $i: Arg) -> F::Bits {
                    $body
                }
            }
        )*
    };
}

/// All ones or zero.
#[inline(always)]
fn mask<F: Elem>(c: bool) -> F::Bits {
    F::of(if c { u64::MAX } else { 0 })
}

/// The integer type of an element's width.
#[inline(always)]
fn int<F: Elem>(signed: bool) -> IntType {
    IntType { bits: F::BITS, signed }
}

ops! {
    /// FADD.
    Add "fadd" [OnHost::Bin(FBin::Add, After::Plain)] |e, a, b, c, i| fp::add::<F>(e, a, b);
    /// FSUB.
    Sub "fsub" [OnHost::Bin(FBin::Sub, After::Plain)] |e, a, b, c, i| fp::sub::<F>(e, a, b);
    /// FMUL.
    Mul "fmul" [OnHost::Bin(FBin::Mul, After::Plain)] |e, a, b, c, i| fp::mul::<F>(e, a, b);
    /// FNMUL.
    Nmul "fnmul" [OnHost::Bin(FBin::Mul, After::Neg)] |e, a, b, c, i| F::neg(fp::mul::<F>(e, a, b));
    /// FMULX.
    Mulx "fmulx" |e, a, b, c, i| fp::mulx::<F>(e, a, b);
    /// FDIV.
    Div "fdiv" [OnHost::Bin(FBin::Div, After::Plain)] |e, a, b, c, i| fp::div::<F>(e, a, b);
    /// FMAX.
    Max "fmax" [OnHost::Bin(FBin::Maximum, After::Plain)] |e, a, b, c, i| fp::max::<F>(e, a, b);
    /// FMIN.
    Min "fmin" [OnHost::Bin(FBin::Minimum, After::Plain)] |e, a, b, c, i| fp::min::<F>(e, a, b);
    /// FMAXNM.
    MaxNum "fmaxnm" [OnHost::Bin(FBin::Maximum, After::Plain)] |e, a, b, c, i| fp::max_num::<F>(e, a, b);
    /// FMINNM.
    MinNum "fminnm" [OnHost::Bin(FBin::Minimum, After::Plain)] |e, a, b, c, i| fp::min_num::<F>(e, a, b);
    /// FABD: the sign is cleared after the subtraction, also of a NaN.
    Abd "fabd" [OnHost::Bin(FBin::Sub, After::Abs)] |e, a, b, c, i| F::abs(fp::sub::<F>(e, a, b));
    /// FMADD and FMLA.
    Madd "fmadd" [OnHost::Fma(false, false)] |e, a, b, c, i| fp::fma::<F>(e, c, a, b);
    /// FMSUB and FMLS.
    Msub "fmsub" [OnHost::Fma(true, false)] |e, a, b, c, i| fp::fma::<F>(e, c, F::neg(a), b);
    /// FNMADD.
    Nmadd "fnmadd" [OnHost::Fma(true, true)] |e, a, b, c, i| fp::fma::<F>(e, F::neg(c), F::neg(a), b);
    /// FNMSUB.
    Nmsub "fnmsub" [OnHost::Fma(false, true)] |e, a, b, c, i| fp::fma::<F>(e, F::neg(c), a, b);
    /// FRECPS.
    RecipStep "frecps" |e, a, b, c, i| fp::recip_step::<F>(e, a, b);
    /// FRSQRTS.
    RsqrtStep "frsqrts" |e, a, b, c, i| fp::rsqrt_step::<F>(e, a, b);
    /// FCMEQ.
    CmpEq "fcmeq" [OnHost::Mask(FCc::Eq, Of::Both)] |e, a, b, c, i| mask::<F>(fp::eq::<F>(e, a, b));
    /// FCMGE.
    CmpGe "fcmge" [OnHost::Mask(FCc::Le, Of::Swapped)] |e, a, b, c, i| mask::<F>(fp::ge::<F>(e, a, b));
    /// FCMGT.
    CmpGt "fcmgt" [OnHost::Mask(FCc::Lt, Of::Swapped)] |e, a, b, c, i| mask::<F>(fp::gt::<F>(e, a, b));
    /// FACGE.
    AbsGe "facge" [OnHost::Mask(FCc::Le, Of::Magnitudes)] |e, a, b, c, i| mask::<F>(fp::ge::<F>(e, F::abs(a), F::abs(b)));
    /// FACGT.
    AbsGt "facgt" [OnHost::Mask(FCc::Lt, Of::Magnitudes)] |e, a, b, c, i| mask::<F>(fp::gt::<F>(e, F::abs(a), F::abs(b)));
    /// FCMEQ with zero.
    CmpEqZero "fcmeq0" [OnHost::Mask(FCc::Eq, Of::WithZero)] |e, a, b, c, i| mask::<F>(fp::eq::<F>(e, a, F::zero(false)));
    /// FCMGE with zero.
    CmpGeZero "fcmge0" [OnHost::Mask(FCc::Le, Of::ZeroWith)] |e, a, b, c, i| mask::<F>(fp::ge::<F>(e, a, F::zero(false)));
    /// FCMGT with zero.
    CmpGtZero "fcmgt0" [OnHost::Mask(FCc::Lt, Of::ZeroWith)] |e, a, b, c, i| mask::<F>(fp::gt::<F>(e, a, F::zero(false)));
    /// FCMLE with zero.
    CmpLeZero "fcmle0" [OnHost::Mask(FCc::Le, Of::WithZero)] |e, a, b, c, i| mask::<F>(fp::ge::<F>(e, F::zero(false), a));
    /// FCMLT with zero.
    CmpLtZero "fcmlt0" [OnHost::Mask(FCc::Lt, Of::WithZero)] |e, a, b, c, i| mask::<F>(fp::gt::<F>(e, F::zero(false), a));
    /// FSQRT.
    Sqrt "fsqrt" [OnHost::Sqrt] |e, a, b, c, i| fp::sqrt::<F>(e, a);
    /// FRINTN, FRINTP, FRINTM, FRINTZ, FRINTA, FRINTI.
    Rint "frint" [OnHost::Round(false)] |e, a, b, c, i| { let r = i.round(e); fp::round_int::<F>(e, a, r, false) };
    /// FRINTX.
    RintExact "frintx" [OnHost::Round(true)] |e, a, b, c, i| { let r = i.round(e); fp::round_int::<F>(e, a, r, true) };
    /// FRECPE.
    RecipEstimate "frecpe" |e, a, b, c, i| fp::recip_estimate::<F>(e, a);
    /// FRSQRTE.
    RsqrtEstimate "frsqrte" |e, a, b, c, i| fp::rsqrt_estimate::<F>(e, a);
    /// FRECPX.
    RecipExponent "frecpx" |e, a, b, c, i| fp::recip_exponent::<F>(e, a);
    /// URECPE.
    URecipEstimate "urecpe" |e, a, b, c, i| F::of(fp::u32_recip_estimate(F::raw(a) as u32) as u64);
    /// URSQRTE.
    URsqrtEstimate "ursqrte" |e, a, b, c, i| F::of(fp::u32_rsqrt_estimate(F::raw(a) as u32) as u64);
    /// FCVT{N,P,M,Z,A}S to an element of the same width.
    ToSigned "fcvts" [OnHost::ToInt(true)] |e, a, b, c, i| {
        let r = i.round(e);
        F::of(fp::to_fixed::<F>(e, a, i.frac(), int::<F>(true), r))
    };
    /// FCVT{N,P,M,Z,A}U to an element of the same width.
    ToUnsigned "fcvtu" [OnHost::ToInt(false)] |e, a, b, c, i| {
        let r = i.round(e);
        F::of(fp::to_fixed::<F>(e, a, i.frac(), int::<F>(false), r))
    };
    /// SCVTF from an element of the same width.
    FromSigned "scvtf" [OnHost::FromInt(true)] |e, a, b, c, i| {
        let r = e.policy.round;
        fp::from_fixed::<F>(e, F::raw(a), i.frac(), int::<F>(true), r)
    };
    /// UCVTF from an element of the same width.
    FromUnsigned "ucvtf" [OnHost::FromInt(false)] |e, a, b, c, i| {
        let r = e.policy.round;
        fp::from_fixed::<F>(e, F::raw(a), i.frac(), int::<F>(false), r)
    };
}

/// NZCV of a comparison, in bits 31 to 28.
#[inline(always)]
pub fn nzcv(o: Ordering) -> u64 {
    match o {
        Ordering::Less => 0x8000_0000,
        Ordering::Equal => 0x6000_0000,
        Ordering::Greater => 0x2000_0000,
        Ordering::Unordered => 0x3000_0000,
    }
}

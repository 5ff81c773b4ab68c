//! Conversion to and from integers and fixed-point numbers (`FPToFixed`, `FixedToFP`).

use crate::env::{Env, Flags, Round};
use crate::format::Format;
use crate::num::{Class, Num, unpack};
use crate::round::{round_as, rounds_up};

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntType {
    /// Width in bits, 1 to 64.
    pub bits: u32,
    /// Two's complement.
    pub signed: bool,
}

impl IntType {
    /// Mask of the type's bits.
    #[inline(always)]
    const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// Whether `v` is a value of the type.
    #[inline(always)]
    const fn holds(self, v: i64) -> bool {
        if self.signed {
            let s = 64 - self.bits;
            v << s >> s == v
        } else {
            v >= 0 && v as u64 <= self.mask()
        }
    }
}

/// Integer part and rest (as a fraction of 2^64; bit 0 may stand for further bits) of the magnitude of a
/// finite number below 2^64, scaled by `2^scale`. `None` where it is larger.
#[inline(always)]
pub(crate) fn split(x: Num, scale: i32) -> Option<(u64, u64)> {
    match x.exp + scale {
        64.. => None,
        e @ 0..64 => Some((x.sig >> (63 - e), if e == 63 { 0 } else { x.sig << (e + 1) })),
        -1 => Some((0, x.sig)),
        _ => Some((0, 1)),
    }
}

/// `a * 2^fbits` as an integer, rounded as `mode` says, saturated (which is invalid, as is a NaN, which gives
/// 0), zero-extended from the type's width.
#[inline]
pub fn to_fixed<F: Format>(env: &mut Env, a: F::Bits, fbits: u32, ty: IntType, mode: Round) -> u64 {
    if fbits == 0
        && let Some((v, exact)) = F::host_trunc(a)
        && (exact || mode == Round::Zero && env.flags.contains(Flags::INEXACT))
        && ty.holds(v)
    {
        return v as u64 & ty.mask();
    }
    to_fixed_soft::<F>(env, a, fbits, ty, mode)
}

fn to_fixed_soft<F: Format>(env: &mut Env, a: F::Bits, fbits: u32, ty: IntType, mode: Round) -> u64 {
    let x = unpack::<F>(env, a);
    let negative_limit = if ty.signed { 1 << (ty.bits - 1) } else { 0 };
    let limit = if x.sign {
        negative_limit
    } else if ty.signed {
        ty.mask() >> 1
    } else {
        ty.mask()
    };
    let (int, rest) = match x.class {
        Class::Zero => return 0,
        Class::Quiet | Class::Signalling => {
            env.raise(Flags::INVALID);
            return 0;
        }
        Class::Inf => (u128::MAX, 0),
        Class::Finite => match split(x, fbits as i32) {
            None => (u128::MAX, 0),
            Some((int, rest)) => {
                let up = rounds_up(mode, x.sign, int & 1 != 0, rest != 0, rest.cmp(&(1 << 63)));
                (int as u128 + up as u128, rest)
            }
        },
    };
    let v = if int > limit as u128 {
        env.raise(Flags::INVALID);
        limit
    } else {
        if rest != 0 {
            env.raise(Flags::INEXACT);
        }
        int as u64
    };
    (if x.sign { v.wrapping_neg() } else { v }) & ty.mask()
}

/// `v / 2^fbits`, where `v` is an integer of type `ty` in the low bits, rounded as `mode` says.
#[inline]
pub fn from_fixed<F: Format>(env: &mut Env, v: u64, fbits: u32, ty: IntType, mode: Round) -> F::Bits {
    let s = 64 - ty.bits;
    let (sign, mag) = if ty.signed {
        let v = (v << s) as i64 >> s;
        (v < 0, v.unsigned_abs())
    } else {
        (false, v & ty.mask())
    };
    if mag == 0 {
        return F::zero(false);
    }
    let nearest = mode == Round::NearestEven && env.flags.contains(Flags::INEXACT);
    if fbits == 0 && (mag >> F::PREC == 0 || nearest) {
        let r = if sign { F::host_from_i64((mag as i64).wrapping_neg()) } else { F::host_from_u64(mag) };
        if let Some(r) = r {
            return r;
        }
    }
    let lz = mag.leading_zeros();
    let exp = 63 - lz as i32 - fbits as i32;
    round_as::<F, false>(env, mode, sign, exp, (mag as u128) << (64 + lz))
}

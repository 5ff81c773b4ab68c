//! FLD, FST, FILD, FIST, FISTTP and FRNDINT.

use super::env::Env;
use super::f80::F80;
use super::fast;
use super::nan::operand;
use super::num::{denormals, unpack};
use crate::env::Round;
use crate::format::Format;
use crate::int::split;
use crate::num::{Class, Num};
use crate::round::{overflows_to_inf, rounds_up};
use crate::x86::Exceptions;
use crate::x86::sse::cut;

/// A value of format `F` (FLD). IE for a signalling NaN, DE for a denormal.
#[inline]
pub fn load<F: Format>(env: &mut Env, v: F::Bits) -> F80 {
    let r = extend::<F>(env, v);
    if unpack(r).is_some_and(|x| x.is_signalling()) {
        env.raise(Exceptions::IE);
        return F80 { sig: r.sig | F80::QUIET, ..r };
    }
    denormals(env, []);
    r
}

/// A value of format `F` as the memory operand of arithmetic or comparison, which is to follow in the same
/// environment: a signalling NaN stays one, and that it was a denormal shows in the exceptions of that
/// operation.
#[inline]
pub fn extend<F: Format>(env: &mut Env, v: F::Bits) -> F80 {
    let (sign, e, frac) = F::split(v);
    if e == F::EXP_MAX {
        return F80::new(sign, F80::EXP_MAX, F80::J | frac << (64 - F::PREC));
    }
    if e != 0 {
        let exp = e as i32 - F::BIAS + F80::BIAS;
        return F80::new(sign, exp as u16, F80::J | frac << (64 - F::PREC));
    }
    if frac == 0 {
        return F80::zero(sign);
    }
    env.denormal = true;
    let lz = frac.leading_zeros();
    let exp = F::EMIN + 64 - F::PREC as i32 - lz as i32;
    F80::new(sign, (exp + F80::BIAS) as u16, frac << lz)
}

/// `a` in format `F`, rounded as RC says (FST, FSTP). Ask [`Env::store_blocked`] before storing it.
#[inline]
pub fn store<F: Format>(env: &mut Env, a: F80) -> F::Bits {
    let r = fast::store::<F>(env, a);
    fast::or(env, r, |env| store_soft::<F>(env, a))
}

pub(super) fn store_soft<F: Format>(env: &mut Env, a: F80) -> F::Bits {
    let x = match unpack(a) {
        Some(x) => x,
        None => {
            env.raise(Exceptions::IE);
            return F::join(true, F::EXP_MAX, F::QUIET);
        }
    };
    match x.class {
        Class::Zero => F::zero(x.sign),
        Class::Inf => F::inf(x.sign),
        Class::Quiet | Class::Signalling => {
            if x.is_signalling() {
                env.raise(Exceptions::IE);
            }
            F::join(x.sign, F::EXP_MAX, x.sig << 1 >> (65 - F::PREC) | F::QUIET)
        }
        Class::Finite => narrow::<F>(env, x),
    }
}

/// Rounds a finite number to format `F`.
fn narrow<F: Format>(env: &mut Env, x: Num) -> F::Bits {
    let sig = (x.sig as u128) << 64;
    let drop = 128 - F::PREC;
    let (int, inexact, up) = cut(env.round, x.sign, sig, drop);
    let carry = int >> F::PREC != 0;
    env.up = up;
    if x.exp + (carry as i32) < F::EMIN {
        if !env.masks(Exceptions::UE) {
            // Nothing is stored or rounded.
            env.raise(Exceptions::UE);
            env.up = false;
            return F::zero(x.sign);
        }
        let drop = drop + (F::EMIN - x.exp) as u32;
        let (int, inexact, up) = cut(env.round, x.sign, sig, drop);
        env.up = up;
        if inexact {
            env.raise(Exceptions::UE);
            env.raise(Exceptions::PE);
        }
        return F::join(x.sign, (int >> (F::PREC - 1)) as u32, int & F::FRAC_MASK);
    }
    let field = x.exp + carry as i32 + F::BIAS;
    if field >= F::EXP_MAX as i32 {
        let inf = overflows_to_inf(env.round, x.sign);
        env.raise(Exceptions::OE);
        env.up = false;
        if env.masks(Exceptions::OE) {
            env.raise(Exceptions::PE);
            env.up = inf;
        }
        return if inf { F::inf(x.sign) } else { F::max_normal(x.sign) };
    }
    if inexact {
        env.raise(Exceptions::PE);
    }
    F::join(x.sign, field as u32, if carry { 0 } else { int & F::FRAC_MASK })
}

/// A signed integer (FILD). Exact.
#[inline]
pub fn from_int(v: i64) -> F80 {
    if v == 0 {
        return F80::zero(false);
    }
    let mag = v.unsigned_abs();
    let lz = mag.leading_zeros();
    F80::new(v < 0, (63 - lz as i32 + F80::BIAS) as u16, mag << lz)
}

/// Magnitude of `a` rounded to an integer, whether that is inexact, and whether it was rounded up. `None`
/// where it has none or more than 64 bits.
pub(super) fn to_mag(a: F80, mode: Round) -> Option<(u128, bool, bool)> {
    let x = unpack(a)?;
    match x.class {
        Class::Zero => Some((0, false, false)),
        Class::Finite => {
            let (int, rest) = split(x, 0)?;
            let up = rounds_up(mode, x.sign, int & 1 != 0, rest != 0, rest.cmp(&(1 << 63)));
            Some((int as u128 + up as u128, rest != 0, up))
        }
        _ => None,
    }
}

/// `a` as a signed integer of `bits` (16, 32 or 64) bits, zero-extended, rounded as `mode` says (FIST: RC,
/// FISTTP: to zero). What does not fit is invalid and gives the integer indefinite, which has the top bit
/// alone.
#[inline]
pub fn to_int(env: &mut Env, a: F80, bits: u32, mode: Round) -> u64 {
    let r = fast::to_int(env, a, bits, mode);
    fast::or(env, r, |env| to_int_soft(env, a, bits, mode))
}

pub(super) fn to_int_soft(env: &mut Env, a: F80, bits: u32, mode: Round) -> u64 {
    let top = 1u64 << (bits - 1);
    let limit = top as u128 + a.sign() as u128;
    let Some((mag, inexact, up)) = to_mag(a, mode).filter(|m| m.0 < limit) else {
        env.raise(Exceptions::IE);
        return top;
    };
    if inexact {
        env.raise(Exceptions::PE);
        env.up = up;
    }
    let v = if a.sign() { (mag as u64).wrapping_neg() } else { mag as u64 };
    v & (top | (top - 1))
}

/// `a` rounded to an integral value as RC says (FRNDINT).
pub fn round_int(env: &mut Env, a: F80) -> F80 {
    let x = match operand(env, a) {
        Ok(x) => x,
        Err(r) => return r,
    };
    if x.class != Class::Finite || x.exp >= 63 {
        return a;
    }
    denormals(env, [a]);
    let Some((int, inexact, up)) = to_mag(a, env.round) else { return a };
    if inexact {
        env.raise(Exceptions::PE);
        env.up = up;
    }
    // At most 2^63.
    match int as u64 {
        0 => F80::zero(x.sign),
        int => {
            let lz = int.leading_zeros();
            F80::new(x.sign, (63 - lz as i32 + F80::BIAS) as u16, int << lz)
        }
    }
}

//! Reciprocal estimates (`FPRecipEstimate`, `FPRSqrtEstimate`, `FPRecpX`, `UnsignedRecipEstimate`,
//! `UnsignedRSqrtEstimate`): 8 significant bits, defined exactly by the architecture.

use crate::env::{Env, Flags};
use crate::format::Format;
use crate::nan::{invalid, process_nan};
use crate::num::{Class, unpack};
use crate::round::overflows_to_inf;

/// `RecipEstimate`: `a` and the result are in 256..512, standing for 0.5..1.0 and 1.0..2.0.
fn recip(a: u32) -> u32 {
    ((1 << 19) / (a * 2 + 1)).div_ceil(2)
}

/// `RecipSqrtEstimate`: `a` is in 128..512, standing for 0.25..1.0; the result in 256..512.
fn rsqrt(a: u32) -> u32 {
    let a = if a < 256 { a * 2 + 1 } else { (a | 1) * 2 };
    // The largest b with a * b * b < 2^28.
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// Estimate of `1 / a` (FRECPE).
pub fn recip_estimate<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    let x = unpack::<F>(env, a);
    match x.class {
        Class::Quiet | Class::Signalling => return process_nan::<F>(env, x, a),
        Class::Inf => return F::zero(x.sign),
        Class::Zero => {
            env.raise(Flags::DIV_BY_ZERO);
            return F::inf(x.sign);
        }
        Class::Finite => {}
    }
    if x.exp < -(F::BIAS + 1) {
        env.raise(Flags::OVERFLOW);
        env.raise(Flags::INEXACT);
        return if overflows_to_inf(env.policy.round, x.sign) {
            F::inf(x.sign)
        } else {
            F::max_normal(x.sign)
        };
    }
    if env.policy.flushes::<F>() && x.exp >= F::BIAS - 1 {
        env.raise(Flags::UNDERFLOW);
        return F::zero(x.sign);
    }
    // Bits 63 to 55 of the significand are the scaled operand.
    let est = recip((x.sig >> 55) as u32);
    let exp = -1 - x.exp + F::BIAS;
    let frac = (est as u64 & 0xff) << (F::PREC - 1) >> 8;
    let one = 1 << (F::PREC - 1);
    match exp {
        0 => F::join(x.sign, 0, (one | frac) >> 1),
        -1 => F::join(x.sign, 0, (one | frac) >> 2),
        _ => F::join(x.sign, exp as u32, frac),
    }
}

/// Estimate of `1 / sqrt(a)` (FRSQRTE).
pub fn rsqrt_estimate<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    let x = unpack::<F>(env, a);
    match x.class {
        Class::Quiet | Class::Signalling => return process_nan::<F>(env, x, a),
        Class::Zero => {
            env.raise(Flags::DIV_BY_ZERO);
            return F::inf(x.sign);
        }
        _ if x.sign => return invalid::<F>(env),
        Class::Inf => return F::zero(false),
        Class::Finite => {}
    }
    // An even exponent field, which is an odd exponent, scales to 0.5..1.0, the other to 0.25..0.5.
    let est = rsqrt((x.sig >> (56 - (x.exp & 1))) as u32);
    let exp = (3 * F::BIAS - 1 - (x.exp + F::BIAS)) / 2;
    F::join(false, exp as u32, (est as u64 & 0xff) << (F::PREC - 1) >> 8)
}

/// Reciprocal exponent (FRECPX): the sign, the complement of the exponent field, no fraction.
pub fn recip_exponent<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    let x = unpack::<F>(env, a);
    if x.is_nan() {
        return process_nan::<F>(env, x, a);
    }
    let (sign, exp, _) = F::split(a);
    F::join(sign, if exp == 0 { F::EXP_MAX - 1 } else { !exp & F::EXP_MAX }, 0)
}

/// Estimate of the reciprocal of a number in 0.5..1.0, 32 fraction bits (URECPE).
pub fn u32_recip_estimate(a: u32) -> u32 {
    if a >> 31 == 0 { u32::MAX } else { recip(a >> 23) << 23 }
}

/// Estimate of the reciprocal square root of a number in 0.25..1.0, 32 fraction bits (URSQRTE).
pub fn u32_rsqrt_estimate(a: u32) -> u32 {
    if a >> 30 == 0 { u32::MAX } else { rsqrt(a >> 23) << 23 }
}

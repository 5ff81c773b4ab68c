//! Conversion between formats, to and from integers, and to integral values (CVT, VCVT, ROUND).

use super::env::Env;
use super::nan::propagate;
use super::num::{denormals, unpack, unpack_as};
use super::round::round_as;
use crate::env::Round;
use crate::format::Format;
use crate::int::split;
use crate::num::Class;
use crate::round::rounds_up;
use crate::round_int::integral;
use crate::x86::{Exceptions, rc};

/// `a` of format `S` in format `D`, rounded as `mode` says. To and from F16, DAZ and FTZ do not concern the
/// F16 side, and an F16 denormal raises nothing (SDM Vol. 1, 14.4.1).
#[inline]
pub fn convert<S: Format, D: Format>(env: &mut Env, a: S::Bits, mode: Round) -> D::Bits {
    let widens = D::PREC >= S::PREC && D::EXP_BITS >= S::EXP_BITS;
    if (widens || env.host && mode == Round::NearestEven)
        && let Some(v) = S::host_to_f64(a)
        && let Some(r) = D::host_from_f64(v)
    {
        return r;
    }
    convert_soft::<S, D>(env, a, mode)
}

fn convert_soft<S: Format, D: Format>(env: &mut Env, a: S::Bits, mode: Round) -> D::Bits {
    let x = unpack_as::<S>(env.daz && !S::HALF, a);
    match x.class {
        Class::Zero => D::zero(x.sign),
        Class::Inf => D::inf(x.sign),
        Class::Quiet | Class::Signalling => {
            if x.is_signalling() {
                env.raise(Exceptions::IE);
            }
            // The payload keeps its upper bits.
            let frac = x.sig << (64 - (S::PREC - 1)) >> (64 - (D::PREC - 1));
            D::join(x.sign, D::EXP_MAX, frac | D::QUIET)
        }
        Class::Finite => {
            if !S::HALF {
                denormals::<S, 1>(env, [x]);
            }
            let ftz = env.ftz && !D::HALF;
            round_as::<D>(env, mode, ftz, x.sign, x.exp, (x.sig as u128) << 64)
        }
    }
}

/// `a` as a signed integer of `bits` (32 or 64) bits, rounded as `mode` says and zero-extended. What does not
/// fit is invalid and gives the integer indefinite, which has the top bit alone.
#[inline]
pub fn to_int<F: Format>(env: &mut Env, a: F::Bits, bits: u32, mode: Round) -> u64 {
    if let Some((v, exact)) = F::host_trunc(a)
        && (exact || mode == Round::Zero && env.host)
        && (bits == 64 || v as i32 as i64 == v)
    {
        return if bits == 64 { v as u64 } else { v as u32 as u64 };
    }
    to_int_soft::<F>(env, a, bits, mode)
}

fn to_int_soft<F: Format>(env: &mut Env, a: F::Bits, bits: u32, mode: Round) -> u64 {
    let x = unpack::<F>(env, a);
    let top = 1u64 << (bits - 1);
    let parts = match x.class {
        Class::Zero => return 0,
        Class::Finite => split(x, 0),
        Class::Inf | Class::Quiet | Class::Signalling => None,
    };
    if let Some((int, rest)) = parts {
        let up = rounds_up(mode, x.sign, int & 1 != 0, rest != 0, rest.cmp(&(1 << 63)));
        let mag = int as u128 + up as u128;
        if mag < top as u128 + x.sign as u128 {
            if rest != 0 {
                env.raise(Exceptions::PE);
            }
            let v = if x.sign { (mag as u64).wrapping_neg() } else { mag as u64 };
            return v & (top | (top - 1));
        }
    }
    env.raise(Exceptions::IE);
    top
}

/// A signed integer in format `F`, rounded as MXCSR says.
#[inline]
pub fn from_int<F: Format>(env: &mut Env, v: i64) -> F::Bits {
    let mag = v.unsigned_abs();
    if (mag >> F::PREC == 0 || env.host)
        && let Some(r) = F::host_from_i64(v)
    {
        return r;
    }
    if mag == 0 {
        return F::zero(false);
    }
    let lz = mag.leading_zeros();
    round_as::<F>(env, env.round, false, v < 0, 63 - lz as i32, (mag as u128) << (64 + lz))
}

/// ROUNDSS, ROUNDSD and packed forms: an integral value. `imm` is the immediate: bits 1 and 0 the rounding
/// control, bit 2 set for that of MXCSR instead, bit 3 set to suppress PE.
#[inline]
pub fn round_int<F: Format>(env: &mut Env, a: F::Bits, imm: u8) -> F::Bits {
    let mode = if imm & 4 != 0 { env.round } else { rc(imm as u32) };
    let x = unpack::<F>(env, a);
    match x.class {
        Class::Quiet | Class::Signalling => propagate::<F, 1>(env, [(x, a)]),
        Class::Zero => F::zero(x.sign),
        Class::Inf => a,
        Class::Finite => match integral::<F>(x, mode) {
            Some(r) => {
                if imm & 8 == 0 {
                    env.raise(Exceptions::PE);
                }
                r
            }
            None => a,
        },
    }
}

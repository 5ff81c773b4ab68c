//! Conversion between formats (`FPConvert`).

use crate::env::{Env, Flags, Round};
use crate::format::Format;
use crate::num::{Class, unpack_as};
use crate::round::round_as;

/// `a` of format `S` in format `D`, rounded as `mode` says.
#[inline]
pub fn convert<S: Format, D: Format>(env: &mut Env, a: S::Bits, mode: Round) -> D::Bits {
    let widens = D::PREC >= S::PREC && D::EXP_BITS >= S::EXP_BITS;
    let nearest = mode == Round::NearestEven && env.flags.contains(Flags::INEXACT);
    if (widens || nearest)
        && let Some(v) = S::host_to_f64(a)
        && let Some(r) = D::host_from_f64(v)
    {
        return r;
    }
    convert_soft::<S, D>(env, a, mode)
}

fn convert_soft<S: Format, D: Format>(env: &mut Env, a: S::Bits, mode: Round) -> D::Bits {
    let x = unpack_as::<S, true>(env, a);
    let alt = D::HALF && env.policy.alt_half;
    match x.class {
        Class::Finite => round_as::<D, true>(env, mode, x.sign, x.exp, (x.sig as u128) << 64),
        Class::Zero => D::zero(x.sign),
        Class::Inf if alt => {
            env.raise(Flags::INVALID);
            D::join(x.sign, D::EXP_MAX, D::FRAC_MASK)
        }
        Class::Inf => D::inf(x.sign),
        Class::Quiet | Class::Signalling => {
            if alt || x.is_signalling() {
                env.raise(Flags::INVALID);
            }
            if alt {
                D::zero(x.sign)
            } else if env.policy.default_nan {
                D::default_nan()
            } else {
                // The payload keeps its upper bits.
                let frac = x.sig << (64 - (S::PREC - 1)) >> (64 - (D::PREC - 1));
                D::join(x.sign, D::EXP_MAX, frac | D::QUIET)
            }
        }
    }
}

//! Operands.

use super::env::Env;
use crate::format::Format;
use crate::num::{Class, Num};
use crate::x86::Exceptions;

/// Takes an operand apart. Denormals are zeros under DAZ; they raise nothing yet, see [`denormals`].
#[inline(always)]
pub(super) fn unpack<F: Format>(env: &Env, v: F::Bits) -> Num {
    unpack_as::<F>(env.daz, v)
}

/// As [`unpack`], with DAZ given.
#[inline(always)]
pub(super) fn unpack_as<F: Format>(daz: bool, v: F::Bits) -> Num {
    let (sign, e, frac) = F::split(v);
    let at_top = 64 - F::PREC;
    if e == F::EXP_MAX {
        let class = match frac {
            0 => Class::Inf,
            _ if frac & F::QUIET != 0 => Class::Quiet,
            _ => Class::Signalling,
        };
        return Num { class, sign, exp: 0, sig: frac };
    }
    if e != 0 {
        return Num { class: Class::Finite, sign, exp: e as i32 - F::BIAS, sig: 1 << 63 | frac << at_top };
    }
    if frac == 0 || daz {
        return Num { class: Class::Zero, sign, exp: 0, sig: 0 };
    }
    let lz = frac.leading_zeros();
    Num { class: Class::Finite, sign, exp: F::EMIN + at_top as i32 - lz as i32, sig: frac << lz }
}

/// Raises DE for denormal operands. IE, ZE and quiet NaNs come before it (SDM Vol. 1, 4.9.2): call it once
/// those are ruled out.
#[inline(always)]
pub(super) fn denormals<F: Format, const N: usize>(env: &mut Env, ops: [Num; N]) {
    if ops.iter().any(|n| n.class == Class::Finite && n.exp < F::EMIN) {
        env.raise(Exceptions::DE);
    }
}

//! Operands.

use super::env::Env;
use super::f80::F80;
use crate::num::{Class, Num};
use crate::x86::Exceptions;

/// Takes an operand apart; the `sig` of a NaN is the whole significand. `None` for what the 387 and later do
/// not support: unnormals, pseudo-NaNs and pseudo-infinities (SDM Vol. 1, 8.2.2).
#[inline(always)]
pub(super) fn unpack(v: F80) -> Option<Num> {
    let (sign, sig) = (v.sign(), v.sig);
    match v.exp() {
        0 if sig == 0 => Some(Num { class: Class::Zero, sign, exp: 0, sig: 0 }),
        0 => {
            let lz = sig.leading_zeros();
            Some(Num { class: Class::Finite, sign, exp: F80::EMIN - lz as i32, sig: sig << lz })
        }
        _ if sig & F80::J == 0 => None,
        F80::EXP_MAX => {
            let class = match sig {
                F80::J => Class::Inf,
                _ if sig & F80::QUIET != 0 => Class::Quiet,
                _ => Class::Signalling,
            };
            Some(Num { class, sign, exp: 0, sig })
        }
        e => Some(Num { class: Class::Finite, sign, exp: e as i32 - F80::BIAS, sig }),
    }
}

/// Raises DE for denormal operands, or if the memory operand is one, once IE, ZE and NaNs are ruled out (SDM
/// Vol. 1, 4.9.2).
#[inline(always)]
pub(super) fn denormals<const N: usize>(env: &mut Env, ops: [F80; N]) {
    if env.denormal || ops.iter().any(|v| v.is_denormal()) {
        env.raise(Exceptions::DE);
    }
}

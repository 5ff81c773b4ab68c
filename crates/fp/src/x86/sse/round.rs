//! Rounding an exact result to a format.

use super::env::Env;
use crate::env::Round;
use crate::format::{F32, Format};
use crate::round::{overflows_to_inf, rounds_up};
use crate::x86::Exceptions;

/// Rounds `sig * 2^(exp - 127)` as MXCSR says. Bit 127 of `sig` is set; bit 0 may stand for further non-zero
/// bits.
#[inline]
pub(super) fn round<F: Format>(env: &mut Env, sign: bool, exp: i32, sig: u128) -> F::Bits {
    round_as::<F>(env, env.round, env.ftz, sign, exp, sig)
}

/// As [`round`], in a given mode and with or without FTZ.
pub(super) fn round_as<F: Format>(
    env: &mut Env,
    mode: Round,
    ftz: bool,
    sign: bool,
    exp: i32,
    sig: u128,
) -> F::Bits {
    debug_assert!(sig >> 127 == 1);
    // As if the exponent were unbounded: that decides whether the result is tiny or huge (SDM Vol. 1,
    // 4.9.1.5).
    let (int, inexact, _) = cut(mode, sign, sig, 128 - F::PREC);
    let carry = int >> F::PREC != 0;
    if exp + (carry as i32) < F::EMIN {
        if !env.masks(Exceptions::UE) {
            // There is no result, and PE is for that with the unbounded exponent. A denormal operand of
            // VCVTPS2PH always raises it, as seen on Intel processors.
            env.raise(Exceptions::UE);
            if inexact || F::HALF && exp < F32::EMIN {
                env.raise(Exceptions::PE);
            }
            return F::zero(sign);
        }
        if ftz {
            env.raise(Exceptions::UE);
            env.raise(Exceptions::PE);
            return F::zero(sign);
        }
        let (int, inexact, _) = cut(mode, sign, sig, 128 - F::PREC + (F::EMIN - exp) as u32);
        if inexact {
            env.raise(Exceptions::UE);
            env.raise(Exceptions::PE);
        }
        // A carry makes the smallest normal number.
        return F::join(sign, (int >> (F::PREC - 1)) as u32, int & F::FRAC_MASK);
    }
    if inexact {
        env.raise(Exceptions::PE);
    }
    let field = exp + carry as i32 + F::BIAS;
    if field >= F::EXP_MAX as i32 {
        env.raise(Exceptions::OE);
        if env.masks(Exceptions::OE) {
            env.raise(Exceptions::PE);
        }
        return if overflows_to_inf(mode, sign) { F::inf(sign) } else { F::max_normal(sign) };
    }
    F::join(sign, field as u32, if carry { 0 } else { int & F::FRAC_MASK })
}

/// `sig / 2^drop` rounded to an integer, whether that is inexact, and whether it was rounded up. `drop` is at
/// least 1.
#[inline(always)]
pub(crate) fn cut(mode: Round, sign: bool, sig: u128, drop: u32) -> (u64, bool, bool) {
    let (int, rest) = match drop {
        0..128 => ((sig >> drop) as u64, sig << (128 - drop)),
        128 => (0, sig),
        _ => (0, 1),
    };
    let up = rounds_up(mode, sign, int & 1 != 0, rest != 0, rest.cmp(&(1 << 127)));
    (int + up as u64, rest != 0, up)
}

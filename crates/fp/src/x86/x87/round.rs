//! Rounding an exact result.

use super::env::Env;
use super::f80::F80;
use crate::round::{overflows_to_inf, rounds_up};
use crate::x86::Exceptions;

/// What is added to or subtracted from the exponent of a result whose underflow or overflow is unmasked (SDM
/// Vol. 1, 8.5.4 and 8.5.5).
pub(super) const BIAS_ADJUST: i32 = 24576;

/// Rounds `sig * 2^(exp - 127)` to the precision that the control word selects. Bit 127 of `sig` is set; bit
/// 0 may stand for further non-zero bits.
#[inline]
pub(super) fn round(env: &mut Env, sign: bool, exp: i32, sig: u128) -> F80 {
    round_to(env, env.precision, sign, exp, sig)
}

/// As [`round`], to `precision` bits.
pub(super) fn round_to(env: &mut Env, precision: u32, sign: bool, mut exp: i32, sig: u128) -> F80 {
    debug_assert!(sig >> 127 == 1);
    // As if the exponent were unbounded: that decides whether the result is tiny or huge (SDM Vol. 1,
    // 4.9.1.5).
    let drop = 128 - precision;
    let (int, inexact, up) = cut(env, sign, sig, drop);
    let carry = int >> precision != 0;
    let rounded = exp + carry as i32;
    if rounded < F80::EMIN {
        if env.masks(Exceptions::UE) {
            let (int, inexact, up) = cut(env, sign, sig, drop + (F80::EMIN - exp) as u32);
            env.up = up;
            if inexact {
                env.raise(Exceptions::UE);
                env.raise(Exceptions::PE);
            }
            // A carry makes the smallest normal number.
            let sig = (int << (64 - precision)) as u64;
            return F80::new(sign, (sig >> 63) as u16, sig);
        }
        env.raise(Exceptions::UE);
        exp += BIAS_ADJUST;
    } else if rounded > F80::BIAS {
        env.raise(Exceptions::OE);
        if env.masks(Exceptions::OE) {
            env.raise(Exceptions::PE);
            env.up = overflows_to_inf(env.round, sign);
            return if env.up {
                F80::inf(sign)
            } else {
                F80::new(sign, F80::EXP_MAX - 1, u64::MAX << (64 - precision))
            };
        }
        exp -= BIAS_ADJUST;
    }
    env.up = up;
    if inexact {
        env.raise(Exceptions::PE);
    }
    let sig = if carry { F80::J } else { (int << (64 - precision)) as u64 };
    F80::new(sign, (exp + carry as i32 + F80::BIAS) as u16 & F80::EXP_MAX, sig)
}

/// `sig / 2^drop` rounded to an integer, whether that is inexact, and whether it was rounded up. `drop` is at
/// least 1.
#[inline(always)]
fn cut(env: &Env, sign: bool, sig: u128, drop: u32) -> (u128, bool, bool) {
    let (int, rest) = match drop {
        0..128 => (sig >> drop, sig << (128 - drop)),
        128 => (0, sig),
        _ => (0, 1),
    };
    let up = rounds_up(env.round, sign, int & 1 != 0, rest != 0, rest.cmp(&(1 << 127)));
    (int + up as u128, rest != 0, up)
}

//! Rounding an exact result to a format.

use std::cmp::Ordering;

use crate::env::{Env, Flags, Round};
use crate::format::Format;

/// Whether a magnitude is rounded up, given whether it is odd and how the rest compares with one half
/// (`inexact`: the rest is not zero).
#[inline(always)]
pub(crate) fn rounds_up(mode: Round, sign: bool, odd: bool, inexact: bool, rest: Ordering) -> bool {
    match mode {
        Round::NearestEven => rest == Ordering::Greater || rest == Ordering::Equal && odd,
        Round::NearestAway => rest != Ordering::Less,
        Round::Up => inexact && !sign,
        Round::Down => inexact && sign,
        Round::Zero => false,
        Round::Odd => inexact && !odd,
    }
}

/// Whether overflow gives infinity, else the largest finite number.
#[inline(always)]
pub(crate) fn overflows_to_inf(mode: Round, sign: bool) -> bool {
    match mode {
        Round::NearestEven | Round::NearestAway => true,
        Round::Up => !sign,
        Round::Down => sign,
        Round::Zero | Round::Odd => false,
    }
}

/// Sign of an exact zero sum of operands with different signs.
#[inline(always)]
pub(crate) fn zero_sign(env: &Env) -> bool {
    env.policy.round == Round::Down
}

/// Rounds `sig * 2^(exp - 127)` in the policy's mode (`FPRound`). Bit 127 of `sig` is set; bit 0 may stand for
/// further non-zero bits.
#[inline]
pub(crate) fn round<F: Format>(env: &mut Env, sign: bool, exp: i32, sig: u128) -> F::Bits {
    round_as::<F, false>(env, env.policy.round, sign, exp, sig)
}

/// As [`round`] in a given mode; `CV`: as the result of a conversion between formats (`FPRoundCV`).
pub(crate) fn round_as<F: Format, const CV: bool>(
    env: &mut Env,
    mode: Round,
    sign: bool,
    exp: i32,
    sig: u128,
) -> F::Bits {
    debug_assert!(sig >> 127 == 1);
    let tiny = exp < F::EMIN;
    if tiny && env.policy.flushes::<F>() && !(CV && F::HALF) {
        env.raise(Flags::UNDERFLOW);
        return F::zero(sign);
    }
    let mut drop = 128 - F::PREC;
    if tiny {
        drop = drop.saturating_add((F::EMIN - exp) as u32);
    }
    let (int, rest) = match drop {
        0..128 => ((sig >> drop) as u64, sig << (128 - drop)),
        128 => (0, sig),
        _ => (0, 1),
    };
    let inexact = rest != 0;
    // ARM detects tininess before rounding.
    if tiny && inexact {
        env.raise(Flags::UNDERFLOW);
    }
    let up = rounds_up(mode, sign, int & 1 != 0, inexact, rest.cmp(&(1 << 127)));
    // A carry out of the fraction goes into the exponent field, also from denormal to normal. The leading one
    // of a normal number does so too, hence the field starts one lower.
    let field = if tiny { 0 } else { (exp - F::EMIN) as u64 };
    let packed = ((field as u128) << (F::PREC - 1)) + int as u128 + up as u128;
    let exp_field = (packed >> (F::PREC - 1)) as u32;
    let frac = packed as u64 & F::FRAC_MASK;
    let limit = if CV && F::HALF && env.policy.alt_half { F::EXP_MAX + 1 } else { F::EXP_MAX };
    if exp_field >= limit {
        return overflow::<F, CV>(env, mode, sign);
    }
    if inexact {
        env.raise(Flags::INEXACT);
    }
    F::join(sign, exp_field, frac)
}

#[cold]
fn overflow<F: Format, const CV: bool>(env: &mut Env, mode: Round, sign: bool) -> F::Bits {
    if CV && F::HALF && env.policy.alt_half {
        env.raise(Flags::INVALID);
        return F::join(sign, F::EXP_MAX, F::FRAC_MASK);
    }
    env.raise(Flags::OVERFLOW);
    env.raise(Flags::INEXACT);
    if overflows_to_inf(mode, sign) { F::inf(sign) } else { F::max_normal(sign) }
}

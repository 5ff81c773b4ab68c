//! Rounding to an integral value (`FPRoundInt`).

use crate::env::{Env, Flags, Round};
use crate::format::Format;
use crate::int::split;
use crate::nan::process_nan;
use crate::num::{Class, Num, unpack};
use crate::round::rounds_up;

/// `a` rounded to an integral value as `mode` says. Raises inexact only where `exact`.
#[inline]
pub fn round_int<F: Format>(env: &mut Env, a: F::Bits, mode: Round, exact: bool) -> F::Bits {
    let x = unpack::<F>(env, a);
    match x.class {
        Class::Quiet | Class::Signalling => process_nan::<F>(env, x, a),
        Class::Zero => F::zero(x.sign),
        Class::Inf => a,
        Class::Finite => match integral::<F>(x, mode) {
            Some(r) => {
                if exact {
                    env.raise(Flags::INEXACT);
                }
                r
            }
            None => a,
        },
    }
}

/// The integral value that `mode` makes of a finite number other than zero. `None` where it is one already.
#[inline(always)]
pub(crate) fn integral<F: Format>(x: Num, mode: Round) -> Option<F::Bits> {
    if x.exp >= F::PREC as i32 - 1 {
        return None;
    }
    let (int, rest) = split(x, 0).filter(|(_, rest)| *rest != 0)?;
    let int = int + rounds_up(mode, x.sign, int & 1 != 0, true, rest.cmp(&(1 << 63))) as u64;
    if int == 0 {
        return Some(F::zero(x.sign));
    }
    // At most PREC bits: exact.
    let lz = int.leading_zeros();
    let frac = int << lz << 1 >> (65 - F::PREC);
    Some(F::join(x.sign, (63 - lz as i32 + F::BIAS) as u32, frac))
}

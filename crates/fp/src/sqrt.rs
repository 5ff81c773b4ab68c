//! Square root (`FPSqrt`).

use crate::env::Env;
use crate::format::Format;
use crate::nan::{invalid, process_nan};
use crate::num::{Num, unpack};
use crate::round::round;

/// Square root of `a`.
#[inline]
pub fn sqrt<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_sqrt(a)
    {
        return r;
    }
    sqrt_soft::<F>(env, a)
}

fn sqrt_soft<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    let x = unpack::<F>(env, a);
    if x.is_nan() {
        return process_nan::<F>(env, x, a);
    }
    if x.is_zero() {
        return F::zero(x.sign);
    }
    if x.sign {
        return invalid::<F>(env);
    }
    if x.is_inf() {
        return F::inf(false);
    }
    let (exp, sig) = root::<F>(x);
    round::<F>(env, false, exp, sig)
}

/// Exponent and significand of the root of a positive finite number, as rounding takes them.
#[inline(always)]
pub(crate) fn root<F: Format>(x: Num) -> (i32, u128) {
    // The root has 64 bits, and rounding needs two more than the format has.
    const { assert!(F::PREC <= 62) };
    let n = (x.sig as u128) << (63 + (x.exp & 1));
    let root = n.isqrt();
    (x.exp >> 1, root << 64 | (root * root != n) as u128)
}

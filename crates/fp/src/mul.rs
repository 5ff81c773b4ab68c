//! Multiplication (`FPMul`, `FPMulX`).

use crate::env::Env;
use crate::format::Format;
use crate::nan::{invalid, process_nans};
use crate::num::unpack;
use crate::round::round;

/// `a * b`.
#[inline]
pub fn mul<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_mul(a, b)
    {
        return r;
    }
    mul_soft::<F, false>(env, a, b)
}

/// `a * b`, where zero times infinity is ±2.0 (FMULX).
#[inline]
pub fn mulx<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_mul(a, b)
    {
        return r;
    }
    mul_soft::<F, true>(env, a, b)
}

fn mul_soft<F: Format, const X: bool>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return process_nans::<F, 2>(env, [(x, a), (y, b)]);
    }
    let sign = x.sign != y.sign;
    if x.is_inf() || y.is_inf() {
        return match x.is_zero() || y.is_zero() {
            true if X => F::join(sign, F::BIAS as u32 + 1, 0),
            true => invalid::<F>(env),
            false => F::inf(sign),
        };
    }
    if x.is_zero() || y.is_zero() {
        return F::zero(sign);
    }
    let p = x.sig as u128 * y.sig as u128;
    let lz = p.leading_zeros();
    round::<F>(env, sign, x.exp + y.exp + 1 - lz as i32, p << lz)
}

//! Fused multiply-add and the Newton steps built on it (`FPMulAdd`, `FPRecipStepFused`, `FPRSqrtStepFused`).

use crate::add::{Wide, finish, sum};
use crate::env::{Env, Flags};
use crate::format::Format;
use crate::nan::{invalid, process_nans};
use crate::num::{Class, Num, unpack};

/// `c + a * b` with one rounding.
#[inline]
pub fn fma<F: Format>(env: &mut Env, c: F::Bits, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_fma(a, b, c)
    {
        return r;
    }
    fma_soft::<F>(env, c, a, b)
}

fn fma_soft<F: Format>(env: &mut Env, c: F::Bits, a: F::Bits, b: F::Bits) -> F::Bits {
    let (z, x, y) = (unpack::<F>(env, c), unpack::<F>(env, a), unpack::<F>(env, b));
    let zero_by_inf = x.is_inf() && y.is_zero() || x.is_zero() && y.is_inf();
    if z.is_nan() || x.is_nan() || y.is_nan() {
        let r = process_nans::<F, 3>(env, [(z, c), (x, a), (y, b)]);
        if z.class == Class::Quiet && zero_by_inf {
            env.raise(Flags::INVALID);
            return F::default_nan();
        }
        return r;
    }
    let sign = x.sign != y.sign;
    let product_inf = x.is_inf() || y.is_inf();
    if zero_by_inf || z.is_inf() && product_inf && z.sign != sign {
        return invalid::<F>(env);
    }
    if z.is_inf() || product_inf {
        return F::inf(if z.is_inf() { z.sign } else { sign });
    }
    if z.is_zero() && (x.is_zero() || y.is_zero()) && z.sign == sign {
        return F::zero(sign);
    }
    mul_add::<F>(env, z, x, y, 0)
}

/// `(z + x * y) * 2^scale`, all finite.
fn mul_add<F: Format>(env: &mut Env, z: Num, x: Num, y: Num, scale: i32) -> F::Bits {
    // The product of two 62-bit significands leaves the lowest bits free.
    const { assert!(F::PREC <= 62) };
    let mut r = sum(Wide::product(x, y), Wide::of(z));
    r.exp += scale;
    finish::<F>(env, r)
}

/// `2.0 - a * b` (FRECPS).
pub fn recip_step<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    step::<F>(env, a, b, Num::TWO, 0, F::join(false, F::BIAS as u32 + 1, 0))
}

/// `(3.0 - a * b) / 2.0` (FRSQRTS).
pub fn rsqrt_step<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    step::<F>(env, a, b, Num::THREE, -1, F::join(false, F::BIAS as u32, F::QUIET))
}

/// `(c - a * b) * 2^scale`, or `zero_by_inf` where that is the product.
fn step<F: Format>(
    env: &mut Env,
    a: F::Bits,
    b: F::Bits,
    c: Num,
    scale: i32,
    zero_by_inf: F::Bits,
) -> F::Bits {
    // The negation comes first: it shows in a NaN that is passed on.
    let a = F::neg(a);
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return process_nans::<F, 2>(env, [(x, a), (y, b)]);
    }
    if x.is_inf() || y.is_inf() {
        return if x.is_zero() || y.is_zero() { zero_by_inf } else { F::inf(x.sign != y.sign) };
    }
    mul_add::<F>(env, c, x, y, scale)
}

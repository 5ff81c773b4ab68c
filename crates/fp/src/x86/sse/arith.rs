//! ADD, SUB, MUL, DIV, SQRT, MIN and MAX.

use std::cmp::Ordering;

use super::env::Env;
use super::nan::{invalid, propagate};
use super::num::{denormals, unpack};
use super::round::round;
use crate::add::{Wide, sum};
use crate::compare::order;
use crate::format::Format;
use crate::sqrt::root;
use crate::x86::Exceptions;

/// `a + b`.
#[inline]
pub fn add<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host
        && let Some(r) = F::host_add(a, b)
    {
        return r;
    }
    add_soft::<F, false>(env, a, b)
}

/// `a - b`.
#[inline]
pub fn sub<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host
        && let Some(r) = F::host_add(a, F::neg(b))
    {
        return r;
    }
    add_soft::<F, true>(env, a, b)
}

fn add_soft<F: Format, const SUB: bool>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (x, mut y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return propagate::<F, 2>(env, [(x, a), (y, b)]);
    }
    y.sign ^= SUB;
    if x.is_inf() && y.is_inf() && x.sign != y.sign {
        return invalid::<F>(env);
    }
    denormals::<F, 2>(env, [x, y]);
    if x.is_inf() || y.is_inf() {
        return F::inf(if x.is_inf() { x.sign } else { y.sign });
    }
    if x.is_zero() && y.is_zero() && x.sign == y.sign {
        return F::zero(x.sign);
    }
    finish::<F>(env, sum(Wide::of(x), Wide::of(y)))
}

/// Rounds a sum; an exact zero is negative in the mode towards minus infinity only.
#[inline(always)]
pub(super) fn finish<F: Format>(env: &mut Env, r: Wide) -> F::Bits {
    if r.sig == 0 {
        return F::zero(env.round == crate::Round::Down);
    }
    let (exp, sig) = r.normal();
    round::<F>(env, r.sign, exp, sig)
}

/// `a * b`.
#[inline]
pub fn mul<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host
        && let Some(r) = F::host_mul(a, b)
    {
        return r;
    }
    mul_soft::<F>(env, a, b)
}

fn mul_soft<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return propagate::<F, 2>(env, [(x, a), (y, b)]);
    }
    let sign = x.sign != y.sign;
    if x.is_inf() && y.is_zero() || x.is_zero() && y.is_inf() {
        return invalid::<F>(env);
    }
    denormals::<F, 2>(env, [x, y]);
    if x.is_inf() || y.is_inf() {
        return F::inf(sign);
    }
    if x.is_zero() || y.is_zero() {
        return F::zero(sign);
    }
    let p = x.sig as u128 * y.sig as u128;
    let lz = p.leading_zeros();
    round::<F>(env, sign, x.exp + y.exp + 1 - lz as i32, p << lz)
}

/// `a / b`.
#[inline]
pub fn div<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host
        && let Some(r) = F::host_div(a, b)
    {
        return r;
    }
    div_soft::<F>(env, a, b)
}

fn div_soft<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    const { assert!(F::PREC <= 60) };
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return propagate::<F, 2>(env, [(x, a), (y, b)]);
    }
    let sign = x.sign != y.sign;
    if x.is_inf() && y.is_inf() || x.is_zero() && y.is_zero() {
        return invalid::<F>(env);
    }
    if y.is_zero() && !x.is_inf() {
        env.raise(Exceptions::ZE);
        return F::inf(sign);
    }
    denormals::<F, 2>(env, [x, y]);
    if x.is_inf() {
        return F::inf(sign);
    }
    if x.is_zero() || y.is_inf() {
        return F::zero(sign);
    }
    let (n, d) = ((x.sig as u128) << 63, y.sig as u128);
    let q = (n / d) << 64 | (n % d != 0) as u128;
    let lz = q.leading_zeros();
    // A quotient of one has its highest bit at 127.
    round::<F>(env, sign, x.exp - y.exp - lz as i32, q << lz)
}

/// Square root of `a`.
#[inline]
pub fn sqrt<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    if env.host
        && let Some(r) = F::host_sqrt(a)
    {
        return r;
    }
    sqrt_soft::<F>(env, a)
}

fn sqrt_soft<F: Format>(env: &mut Env, a: F::Bits) -> F::Bits {
    let x = unpack::<F>(env, a);
    if x.is_nan() {
        return propagate::<F, 1>(env, [(x, a)]);
    }
    if x.is_zero() {
        return F::zero(x.sign);
    }
    if x.sign {
        return invalid::<F>(env);
    }
    denormals::<F, 1>(env, [x]);
    if x.is_inf() {
        return F::inf(false);
    }
    let (exp, sig) = root::<F>(x);
    round::<F>(env, false, exp, sig)
}

/// MIN: `a` where it is less, else `b`, also where either is a NaN (which is invalid) or both are zeros.
#[inline]
pub fn min<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F>(env, a, b, Ordering::Less)
}

/// MAX: `a` where it is greater, else `b`, also where either is a NaN (which is invalid) or both are zeros.
#[inline]
pub fn max<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F>(env, a, b, Ordering::Greater)
}

#[inline(always)]
fn select<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, first: Ordering) -> F::Bits {
    match F::host_order(a, b) {
        Some(o) if o == first => a,
        Some(_) => b,
        None => select_soft::<F>(env, a, b, first),
    }
}

fn select_soft<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, first: Ordering) -> F::Bits {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    let (n, v) = if x.is_nan() || y.is_nan() {
        env.raise(Exceptions::IE);
        (y, b)
    } else {
        denormals::<F, 2>(env, [x, y]);
        if order(x, y) == first { (x, a) } else { (y, b) }
    };
    // Under DAZ it may be a zero now.
    if n.is_zero() { F::zero(n.sign) } else { v }
}

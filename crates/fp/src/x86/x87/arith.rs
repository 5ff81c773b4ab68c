//! FADD, FSUB, FMUL, FDIV and FSQRT.

use super::env::Env;
use super::f80::F80;
use super::fast;
use super::nan::{invalid, operand, operands};
use super::num::denormals;
use super::round::round;
use crate::add::{Wide, sum};
use crate::env::Round;
use crate::x86::Exceptions;

/// `a + b`.
#[inline]
pub fn add(env: &mut Env, a: F80, b: F80) -> F80 {
    let r = fast::add(env, a, b);
    fast::or(env, r, |env| add_soft::<false>(env, a, b))
}

/// `a - b`.
#[inline]
pub fn sub(env: &mut Env, a: F80, b: F80) -> F80 {
    let r = fast::add(env, a, b.neg());
    fast::or(env, r, |env| add_soft::<true>(env, a, b))
}

/// `a * b`.
#[inline]
pub fn mul(env: &mut Env, a: F80, b: F80) -> F80 {
    let r = fast::mul(env, a, b);
    fast::or(env, r, |env| mul_soft(env, a, b))
}

/// `a / b`.
#[inline]
pub fn div(env: &mut Env, a: F80, b: F80) -> F80 {
    let r = fast::div(env, a, b);
    fast::or(env, r, |env| div_soft(env, a, b))
}

/// Square root of `a`.
#[inline]
pub fn sqrt(env: &mut Env, a: F80) -> F80 {
    let r = fast::sqrt(env, a);
    fast::or(env, r, |env| sqrt_soft(env, a))
}

pub(super) fn add_soft<const SUB: bool>(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, mut y) = match operands(env, a, b) {
        Ok(ops) => ops,
        Err(r) => return r,
    };
    y.sign ^= SUB;
    if x.is_inf() && y.is_inf() && x.sign != y.sign {
        return invalid(env);
    }
    denormals(env, [a, b]);
    if x.is_inf() || y.is_inf() {
        return F80::inf(if x.is_inf() { x.sign } else { y.sign });
    }
    if x.is_zero() && y.is_zero() && x.sign == y.sign {
        return F80::zero(x.sign);
    }
    let r = sum(Wide::of(x), Wide::of(y));
    if r.sig == 0 {
        return F80::zero(env.round == Round::Down);
    }
    let (exp, sig) = r.normal();
    round(env, r.sign, exp, sig)
}

pub(super) fn mul_soft(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(ops) => ops,
        Err(r) => return r,
    };
    let sign = x.sign != y.sign;
    if x.is_inf() && y.is_zero() || x.is_zero() && y.is_inf() {
        return invalid(env);
    }
    denormals(env, [a, b]);
    if x.is_inf() || y.is_inf() {
        return F80::inf(sign);
    }
    if x.is_zero() || y.is_zero() {
        return F80::zero(sign);
    }
    let p = x.sig as u128 * y.sig as u128;
    let lz = p.leading_zeros();
    round(env, sign, x.exp + y.exp + 1 - lz as i32, p << lz)
}

pub(super) fn div_soft(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(ops) => ops,
        Err(r) => return r,
    };
    let sign = x.sign != y.sign;
    if x.is_inf() && y.is_inf() || x.is_zero() && y.is_zero() {
        return invalid(env);
    }
    if y.is_zero() && !x.is_inf() {
        env.raise(Exceptions::ZE);
        return F80::inf(sign);
    }
    denormals(env, [a, b]);
    if x.is_inf() {
        return F80::inf(sign);
    }
    if x.is_zero() || y.is_inf() {
        return F80::zero(sign);
    }
    let (n, d) = ((x.sig as u128) << 63, y.sig as u128);
    // 64 bits of quotient, then 64 more.
    let (q, rest) = (n / d, (n % d) << 64);
    let q = (q << 64) | (rest / d) | (rest % d != 0) as u128;
    let lz = q.leading_zeros();
    // A quotient of one has its highest bit at 127.
    round(env, sign, x.exp - y.exp - lz as i32, q << lz)
}

pub(super) fn sqrt_soft(env: &mut Env, a: F80) -> F80 {
    let x = match operand(env, a) {
        Ok(x) => x,
        Err(r) => return r,
    };
    if x.is_zero() {
        return a;
    }
    if x.sign {
        return invalid(env);
    }
    denormals(env, [a]);
    if x.is_inf() {
        return a;
    }
    let n = (x.sig as u128) << (63 + (x.exp & 1));
    let mut root = n.isqrt();
    let mut rest = n - root * root;
    // 64 bits of root; rounding needs two more, and whether anything is left.
    for _ in 0..2 {
        rest <<= 2;
        root <<= 1;
        if rest > root << 1 {
            rest -= root << 1 | 1;
            root |= 1;
        }
    }
    round(env, false, x.exp >> 1, root << 62 | (rest != 0) as u128)
}

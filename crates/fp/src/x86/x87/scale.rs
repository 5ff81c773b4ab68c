//! FSCALE and FXTRACT.

use super::convert::from_int;
use super::env::Env;
use super::f80::F80;
use super::nan::{invalid, operand, operands};
use super::num::denormals;
use super::round::{BIAS_ADJUST, round_to};
use crate::int::split;
use crate::x86::Exceptions;

/// `a * 2^trunc(b)` (FSCALE).
pub fn scale(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(ops) => ops,
        Err(r) => return r,
    };
    if y.is_inf() && (x.is_zero() && !y.sign || x.is_inf() && y.sign) {
        return invalid(env);
    }
    denormals(env, [a, b]);
    if x.is_inf() || x.is_zero() || y.is_zero() {
        return a.canonical();
    }
    if y.is_inf() {
        return if y.sign { F80::zero(x.sign) } else { F80::inf(x.sign) };
    }
    // Beyond this, everything over- or underflows, adjusted exponent or not.
    let n = match split(y, 0) {
        Some((n, _)) => n.min(0x1_0000) as i32,
        None => 0x1_0000,
    };
    let exp = x.exp + if y.sign { -n } else { n };
    // What is out of range even with the exponent adjusted is zero or infinite.
    if exp < F80::EMIN - BIAS_ADJUST && !env.masks(Exceptions::UE) {
        env.raise(Exceptions::UE);
        env.raise(Exceptions::PE);
        return F80::zero(x.sign);
    }
    if exp > F80::BIAS + BIAS_ADJUST && !env.masks(Exceptions::OE) {
        env.raise(Exceptions::OE);
        env.raise(Exceptions::PE);
        env.up = true;
        return F80::inf(x.sign);
    }
    round_to(env, 64, x.sign, exp, (x.sig as u128) << 64)
}

/// Exponent and significand of `a` (FXTRACT), in this order.
pub fn extract(env: &mut Env, a: F80) -> (F80, F80) {
    let x = match operand(env, a) {
        Ok(x) => x,
        Err(r) => return (r, r),
    };
    if x.is_zero() {
        env.raise(Exceptions::ZE);
        return (F80::inf(true), a);
    }
    if x.is_inf() {
        return (F80::inf(false), a);
    }
    denormals(env, [a]);
    (from_int(x.exp as i64), F80::new(x.sign, F80::BIAS as u16, x.sig))
}

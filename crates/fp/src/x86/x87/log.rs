//! F2XM1, FYL2X and FYL2XP1.

use super::env::Env;
use super::f80::F80;
use super::nan::{invalid, operand, operands};
use super::num::denormals;
use super::real::{Real, Series, evaluate, inverse_factorials, inverse_odds};
use crate::num::Num;
use crate::x86::Exceptions;

const LN_2: Real = Real::new(-1, 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af);
/// 2 / ln 2.
const TWO_LOG2_E: Real = Real::new(1, 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e89);
/// The upper bits of the square root of 2.
const SQRT_2: u128 = 0xb504_f333_f9de_6484 << 64;

/// 1/1!, 1/2!, …
const EXP: Series<33> = inverse_factorials(1, 1);
/// 1, 1/3, …
const ATANH: Series<27> = inverse_odds();

/// `2^a - 1` (F2XM1). The manual defines it for -1 to 1; beyond, `a` is the result, as on Intel's processors.
pub fn exp2_minus_1(env: &mut Env, a: F80) -> F80 {
    let x = match operand(env, a) {
        Ok(x) => x,
        Err(r) => return r,
    };
    if x.is_inf() {
        return if x.sign { F80::ONE.neg() } else { a };
    }
    denormals(env, [a]);
    if x.is_zero() {
        return a;
    }
    if x.exp >= 0 {
        // Exact, but Intel's processors do not say so.
        env.raise(Exceptions::PE);
        return if a == F80::ONE.neg() { F80::new(true, F80::BIAS as u16 - 1, F80::J) } else { a };
    }
    let t = Real::from_num(x).mul(LN_2);
    t.mul(evaluate(&EXP, t.fraction(), t.sign)).round(env)
}

/// `log2((1 + s) / (1 - s))`.
fn log2_ratio(s: Real) -> Real {
    let z = s.mul(s).fraction();
    s.mul(evaluate(&ATANH, z, false)).mul(TWO_LOG2_E)
}

/// Binary logarithm of a positive number.
fn log2(x: Real) -> Real {
    // `2^k * m`, where m is near 1.
    let high = x.sig > SQRT_2;
    let m = Real { exp: -(high as i32), ..x };
    let k = x.exp + high as i32;
    let s = m.add(Real::ONE.neg()).div(m.add(Real::ONE));
    Real::from_int(k).add(log2_ratio(s))
}

/// `y * log2(x)` (FYL2X: x in ST(0), y in ST(1)).
pub fn y_log2(env: &mut Env, x: F80, y: F80) -> F80 {
    let (a, b) = match operands(env, x, y) {
        Ok(ops) => ops,
        Err(r) => return r,
    };
    if a.is_zero() {
        if b.is_zero() {
            return invalid(env);
        }
        if !b.is_inf() {
            env.raise(Exceptions::ZE);
        }
        return F80::inf(!b.sign);
    }
    if a.sign {
        return invalid(env);
    }
    let one = !a.is_inf() && a.exp == 0 && a.sig == F80::J;
    if b.is_zero() && a.is_inf() || b.is_inf() && one {
        return invalid(env);
    }
    denormals(env, [x, y]);
    if a.is_inf() {
        return F80::inf(b.sign);
    }
    let below = a.exp < 0;
    if b.is_inf() {
        return F80::inf(b.sign != below);
    }
    if b.is_zero() || one {
        return F80::zero(b.sign != below);
    }
    let log = log2(Real::from_num(a));
    product(env, log, b, a.sig == F80::J)
}

/// `y * log2(x + 1)` (FYL2XP1: x in ST(0), y in ST(1)). The manual defines it for x from √½ - 1 to √2 - 1;
/// here it is for all x above -1.
pub fn y_log2_plus_1(env: &mut Env, x: F80, y: F80) -> F80 {
    let (a, b) = match operands(env, x, y) {
        Ok(ops) => ops,
        Err(r) => return r,
    };
    if a.is_zero() && b.is_inf() || a.is_inf() && (a.sign || b.is_zero()) {
        return invalid(env);
    }
    denormals(env, [x, y]);
    if a.is_inf() || b.is_inf() {
        return F80::inf(a.sign != b.sign);
    }
    if a.is_zero() || b.is_zero() {
        return F80::zero(a.sign != b.sign);
    }
    let r = Real::from_num(a);
    let log = if a.exp < -2 {
        log2_ratio(r.div(r.add(Real::from_int(2))))
    } else {
        let sum = r.add(Real::ONE);
        if sum.sign || sum.is_zero() {
            return invalid(env);
        }
        log2(sum)
    };
    product(env, log, b, false)
}

/// `log * y`, rounded. An exact one is inexact on Intel's processors; where the logarithm is negative, its
/// magnitude is a little too small before rounding.
fn product(env: &mut Env, log: Real, y: Num, exact: bool) -> F80 {
    let p = log.mul(Real::from_num(y));
    if !exact {
        return p.round(env);
    }
    if log.sign {
        return Real::normal(p.sign, p.exp, p.sig - 1).round(env);
    }
    let r = p.round_exact(env);
    env.raise(Exceptions::PE);
    if r.exp() == 0 {
        env.raise(Exceptions::UE);
    }
    r
}

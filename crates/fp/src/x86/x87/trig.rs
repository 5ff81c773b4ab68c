//! FSIN, FCOS, FSINCOS and FPTAN, with the π of 66 bits that Intel's processors reduce by (SDM Vol. 1,
//! 8.3.8).

use super::env::Env;
use super::f80::F80;
use super::nan::{invalid, operand};
use super::num::denormals;
use super::real::{Real, Series, evaluate, inverse_factorials};
use super::round::round_to;
use crate::num::Num;

/// π in units of 2^-64.
const PI: u128 = 0x3_243f_6a88_85a3_08d3;

/// 1/1!, 1/3!, …
const SIN: Series<17> = inverse_factorials(1, 2);
/// 1/0!, 1/2!, …
const COS: Series<18> = inverse_factorials(0, 2);

/// Sine and cosine of a number below 2^63 in magnitude, other than zero.
fn sin_cos_real(x: Num) -> (Real, Real) {
    // In units of 2^-65, π stands for π/2.
    let (quadrant, r) = match x.exp + 2 {
        shift @ 0..=64 => {
            let n = (x.sig as u128) << shift;
            let (q, r) = (n / PI, n % PI);
            if r > PI / 2 {
                (q + 1, Real::normal(!x.sign, 62, PI - r))
            } else {
                (q, Real::normal(x.sign, 62, r))
            }
        }
        _ => (0, Real::from_num(x)),
    };
    let z = r.mul(r).fraction();
    let sin = r.mul(evaluate(&SIN, z, true));
    let cos = evaluate(&COS, z, true);
    // A turn of a quarter has the direction of the operand.
    let turn = if x.sign { (4 - (quadrant & 3)) & 3 } else { quadrant & 3 };
    match turn {
        0 => (sin, cos),
        1 => (cos, sin.neg()),
        2 => (sin.neg(), cos.neg()),
        _ => (cos.neg(), sin),
    }
}

/// What there is to be done for an operand of any of them.
enum Operand {
    /// This is the result.
    Result(F80),
    /// C2: out of range, nothing is changed.
    OutOfRange,
    Zero(bool),
    Number(Num),
}

fn classify(env: &mut Env, a: F80) -> Operand {
    let x = match operand(env, a) {
        Ok(x) => x,
        Err(r) => return Operand::Result(r),
    };
    if x.is_inf() {
        return Operand::Result(invalid(env));
    }
    denormals(env, [a]);
    if x.is_zero() {
        Operand::Zero(x.sign)
    } else if x.exp >= 63 {
        Operand::OutOfRange
    } else {
        Operand::Number(x)
    }
}

/// Sine (FSIN). `None`: out of range, which sets C2 and changes nothing.
pub fn sin(env: &mut Env, a: F80) -> Option<F80> {
    match classify(env, a) {
        Operand::Result(r) => Some(r),
        Operand::OutOfRange => None,
        Operand::Zero(sign) => Some(F80::zero(sign)),
        Operand::Number(x) => Some(small(env, x, |x| sin_cos_real(x).0)),
    }
}

/// Cosine (FCOS). `None`: out of range, which sets C2 and changes nothing.
pub fn cos(env: &mut Env, a: F80) -> Option<F80> {
    match classify(env, a) {
        Operand::Result(r) => Some(r),
        Operand::OutOfRange => None,
        Operand::Zero(_) => Some(F80::ONE),
        Operand::Number(x) => Some(sin_cos_real(x).1.round(env)),
    }
}

/// Sine and cosine (FSINCOS), in this order: the cosine is pushed. `None`: out of range, which sets C2 and
/// changes nothing.
pub fn sin_cos(env: &mut Env, a: F80) -> Option<(F80, F80)> {
    match classify(env, a) {
        Operand::Result(r) => Some((r, r)),
        Operand::OutOfRange => None,
        Operand::Zero(sign) => Some((F80::zero(sign), F80::ONE)),
        Operand::Number(x) => {
            // C1 is that of the cosine.
            let sin = small(env, x, |x| sin_cos_real(x).0);
            Some((sin, sin_cos_real(x).1.round(env)))
        }
    }
}

/// Tangent, and what is pushed after it (FPTAN): 1.0, or the same NaN. `None`: out of range, which sets C2
/// and changes nothing.
pub fn tan(env: &mut Env, a: F80) -> Option<(F80, F80)> {
    match classify(env, a) {
        Operand::Result(r) => Some((r, r)),
        Operand::OutOfRange => None,
        Operand::Zero(sign) => Some((F80::zero(sign), F80::ONE)),
        Operand::Number(x) => {
            let tan = small(env, x, |x| {
                let (s, c) = sin_cos_real(x);
                s.div(c)
            });
            Some((tan, F80::ONE))
        }
    }
}

/// The result of an odd function with slope 1 at zero: near zero, the operand itself.
fn small(env: &mut Env, x: Num, f: impl Fn(Num) -> Real) -> F80 {
    if x.exp < -80 {
        return round_to(env, 64, x.sign, x.exp, (x.sig as u128) << 64 | 1);
    }
    f(x).round(env)
}

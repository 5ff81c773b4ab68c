//! FPATAN.

use super::env::Env;
use super::f80::F80;
use super::nan::operands;
use super::num::denormals;
use super::real::{Real, Series, evaluate, inverse_odds};

/// 1, 1/3, …
const ATAN: Series<17> = inverse_odds();

/// The arc tangent of 1/8, 2/8, … 8/8.
const EIGHTHS: [Real; 8] = [
    Real::new(-4, 0xfead_d4d5_617b_6e32_c897_989f_3e88_8ef8),
    Real::new(-3, 0xfadb_afc9_6406_eb15_6dc7_9ef5_f7a2_17e6),
    Real::new(-2, 0xb7b0_ca0f_26f7_8473_8aa3_2122_dcfe_4483),
    Real::new(-2, 0xed63_382b_0dda_7b45_6fe4_45ec_bc3a_8d03),
    Real::new(-1, 0x8f00_5d5e_f7f5_9f9b_5c83_5e16_65c4_3748),
    Real::new(-1, 0xa4bc_7d19_34f7_0924_19a8_7f2a_457d_ac9f),
    Real::new(-1, 0xb805_3e2b_c231_9e73_cb2d_a552_10a4_443d),
    Real::new(-1, Real::PI.sig),
];

/// The arc tangent of a number in 0 to 1.
fn atan_real(z: Real) -> Real {
    // The nearest multiple of 1/8.
    let eighth = if z.exp < -4 { 0 } else { (z.sig >> (123 - z.exp)).div_ceil(2) as usize };
    let (base, w) = match eighth.checked_sub(1) {
        None => (Real::normal(false, 0, 0), z),
        Some(i) => {
            let c = Real::normal(false, 124, eighth as u128);
            (EIGHTHS[i.min(7)], z.add(c.neg()).div(Real::ONE.add(z.mul(c))))
        }
    };
    let square = w.mul(w).fraction();
    base.add(w.mul(evaluate(&ATAN, square, true)))
}

/// The angle of the point (`x`, `y`) (FPATAN: x in ST(0), y in ST(1)), -π to π.
pub fn atan2(env: &mut Env, y: F80, x: F80) -> F80 {
    let (b, a) = match operands(env, x, y) {
        Ok((x, y)) => (y, x),
        Err(r) => return r,
    };
    denormals(env, [x, y]);
    // The ratio of the smaller to the larger magnitude, its arc tangent, and which of the two is larger.
    let (angle, steep) = if a.is_inf() && b.is_inf() {
        (EIGHTHS[7], false)
    } else if a.is_inf() || b.is_zero() {
        (Real::normal(false, 0, 0), false)
    } else if b.is_inf() || a.is_zero() {
        (Real::normal(false, 0, 0), true)
    } else {
        let (u, v) = (Real::from_num(b).abs(), Real::from_num(a).abs());
        let steep = (u.exp, u.sig) > (v.exp, v.sig);
        (atan_real(if steep { v.div(u) } else { u.div(v) }), steep)
    };
    let angle = match (steep, a.sign) {
        (false, false) => angle,
        (false, true) => Real::PI.add(angle.neg()),
        (true, false) => Real::HALF_PI.add(angle.neg()),
        (true, true) => Real::HALF_PI.add(angle),
    };
    if angle.is_zero() {
        return F80::zero(b.sign);
    }
    Real { sign: b.sign, ..angle }.round(env)
}

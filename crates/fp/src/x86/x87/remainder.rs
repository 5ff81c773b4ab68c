//! FPREM and FPREM1.

use super::env::Env;
use super::f80::F80;
use super::nan::{invalid, operands};
use super::num::denormals;
use super::round::round_to;

/// What FPREM and FPREM1 leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder {
    /// The remainder.
    pub value: F80,
    /// C0, C1, C2 and C3 in their positions in the status word. C2: the reduction is not complete; else C0,
    /// C3 and C1 are bits 2 to 0 of the quotient. C1 stands here and not in [`Env::status`].
    pub codes: u16,
}

/// The remainder of `a / b`. The quotient is truncated (FPREM) or, where `nearest`, rounded to nearest even
/// (FPREM1). Where exponents differ by 64 or more, the reduction stays incomplete.
pub fn remainder(env: &mut Env, a: F80, b: F80, nearest: bool) -> Remainder {
    const C2: u16 = 1 << 10;
    let done = |value| Remainder { value, codes: 0 };
    let (x, y) = match operands(env, a, b) {
        Ok(ops) => ops,
        Err(r) => return done(r),
    };
    if x.is_inf() || y.is_zero() {
        return done(invalid(env));
    }
    denormals(env, [a, b]);
    if x.is_zero() || y.is_inf() {
        return done(a.canonical());
    }
    let d = x.exp - y.exp;
    if d < -1 {
        let value = round_to(env, 64, x.sign, x.exp, (x.sig as u128) << 64);
        return done(value);
    }
    // Magnitudes in units of `2^(y.exp - 64)`, or larger where the reduction is partial.
    let (n, shift) = if d < 64 { (d, 0) } else { partial(d) };
    let (dividend, divisor) = ((x.sig as u128) << (n + 1), (y.sig as u128) << 1);
    let (mut q, mut r) = (dividend / divisor, dividend % divisor);
    let mut sign = x.sign;
    if nearest && d < 64 && (r > divisor - r || r == divisor - r && q & 1 != 0) {
        r = divisor - r;
        q += 1;
        sign = !sign;
    }
    let codes = if env.blocked() {
        0
    } else if d < 64 {
        let bit = |n: u32, to: u32| ((q >> n) as u16 & 1) << to;
        bit(2, 8) | bit(0, 9) | bit(1, 14)
    } else {
        C2
    };
    if r == 0 {
        return Remainder { value: F80::zero(x.sign), codes };
    }
    let lz = r.leading_zeros();
    // Exact: at most 64 bits.
    let value = round_to(env, 64, sign, y.exp + shift + 63 - lz as i32, r << lz);
    Remainder { value, codes }
}

/// How many bits of quotient a partial reduction takes off, and how many are left. The manual allows 32 to
/// 63.
fn partial(d: i32) -> (i32, i32) {
    let n = d % 32 + 32;
    (n, d - n)
}

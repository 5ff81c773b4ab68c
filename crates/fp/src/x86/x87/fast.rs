//! Operands as they mostly are: normal or zero, with a result that is so, too. Such an operation raises PE or
//! nothing, and needs no more than one word of significand and what tells how the rest compares with a half.
//!
//! Everything else gives `None`, changes nothing, and is left to the operations that this stands before.
//!
//! Words do it for all precisions. Doubles would for one of them, and not faster: error-free transforms and the
//! conversions around them take longer than the shifts and the product here. And they would leave their flags where
//! those of the guest's SSE are, in the host's MXCSR.

use std::cmp::Ordering;

use super::env::Env;
use super::f80::F80;
use crate::env::Round;
use crate::format::Format;
use crate::round::rounds_up;
use crate::x86::Exceptions;

/// One half, as the rest of a significand.
const HALF: u64 = 1 << 63;

/// The result, or what `soft` makes where there is none. That gets a copy of the environment: the address of `env`
/// stays unknown, so that it can be in registers.
#[inline(always)]
pub(super) fn or<T>(env: &mut Env, result: Option<T>, soft: impl FnOnce(&mut Env) -> T) -> T {
    result.unwrap_or_else(|| {
        let mut copy = *env;
        let r = soft(&mut copy);
        *env = copy;
        r
    })
}

/// Whether the value is normal.
#[inline(always)]
const fn is_normal(v: F80) -> bool {
    v.sig & F80::J != 0 && v.exp().wrapping_sub(1) < F80::EXP_MAX - 1
}

/// Whether what is normal, and of a normal result, can be dealt with here: rounding is to nearest, and no denormal
/// in memory has been made a normal number.
#[inline(always)]
const fn applies(env: &Env) -> bool {
    matches!(env.round, Round::NearestEven) && !env.denormal
}

/// Whether `sig`, followed by `rest`, is nearer to the next larger number of which `drop` bits are zero; what lies
/// half way goes to the even one (SDM Vol. 1, table 4-8).
#[inline(always)]
const fn goes_up(sig: u64, drop: u32, rest: u64) -> bool {
    rest > HALF - (sig >> drop & 1)
}

/// Rounds a significand, whose highest bit is set, and the rest below it, to the precision that the control word
/// selects, with `exp` the exponent field.
#[inline(always)]
fn round(env: &mut Env, sign: bool, exp: i32, sig: u64, rest: u64) -> Option<F80> {
    let drop = 64 - env.precision;
    let (int, rest) =
        if drop == 0 { (sig, rest) } else { (sig >> drop << drop, sig << (64 - drop) | (rest != 0) as u64) };
    let up = goes_up(sig, drop, rest);
    let (int, carry) = int.overflowing_add((up as u64) << drop);
    let exp = exp + carry as i32;
    // As if the exponent were unbounded: what is tiny or huge is not dealt with here.
    if exp < 1 || exp >= F80::EXP_MAX as i32 {
        return None;
    }
    env.up = up;
    if rest != 0 {
        env.raise(Exceptions::PE);
    }
    Some(F80::new(sign, exp as u16, int | (carry as u64) << 63))
}

/// `a + b`.
#[inline(always)]
pub(super) fn add(env: &mut Env, a: F80, b: F80) -> Option<F80> {
    if !(applies(env) && is_normal(a) && is_normal(b)) {
        return None;
    }
    // Which is larger and whether signs differ is chance: no branches.
    let key = |v: F80| (v.exp() as u128) << 64 | v.sig as u128;
    let (big, small) = (key(a).max(key(b)), key(a).min(key(b)));
    let sign = if key(a) >= key(b) { a.sign() } else { b.sign() };
    let exp = (big >> 64) as i32;
    let distance = exp - (small >> 64) as i32;
    if distance >= 64 {
        return None;
    }
    // Nothing is shifted out.
    let (x, y) = ((big as u64 as u128) << 63, (small as u64 as u128) << 63 >> distance);
    let minus = (((a.se ^ b.se) as i16 >> 15) as i128) as u128;
    let sum = x.wrapping_add((y ^ minus).wrapping_sub(minus));
    if sum == 0 {
        return Some(F80::zero(false));
    }
    let lz = sum.leading_zeros();
    let sum = sum << lz;
    round(env, sign, exp + 1 - lz as i32, (sum >> 64) as u64, sum as u64)
}

/// `a * b`.
#[inline(always)]
pub(super) fn mul(env: &mut Env, a: F80, b: F80) -> Option<F80> {
    if !(applies(env) && is_normal(a) && is_normal(b)) {
        return None;
    }
    let p = a.sig as u128 * b.sig as u128;
    let short = (p >> 127 == 0) as u32;
    let p = p << short;
    let exp = a.exp() as i32 + b.exp() as i32 - F80::BIAS + 1 - short as i32;
    round(env, (a.se ^ b.se) >> 15 != 0, exp, (p >> 64) as u64, p as u64)
}

/// `a / b`.
#[inline(always)]
pub(super) fn div(env: &mut Env, a: F80, b: F80) -> Option<F80> {
    if !(applies(env) && is_normal(a) && is_normal(b)) {
        return None;
    }
    let short = (a.sig < b.sig) as u32;
    let (q, rest) = divide((a.sig as u128) << 63 << short, b.sig);
    // How twice the rest compares with the divisor is how the rest of the quotient compares with a half.
    let rest = match rest.cmp(&(b.sig - rest)) {
        Ordering::Greater => HALF | 1,
        Ordering::Equal => HALF,
        Ordering::Less => (rest != 0) as u64,
    };
    let exp = a.exp() as i32 - b.exp() as i32 + F80::BIAS - short as i32;
    round(env, (a.se ^ b.se) >> 15 != 0, exp, q, rest)
}

/// Quotient and rest. The divisor has its highest bit set, and so has the quotient.
#[inline(always)]
fn divide(n: u128, d: u64) -> (u64, u64) {
    let q = (n / d as u128) as u64;
    (q, (n as u64).wrapping_sub(q.wrapping_mul(d)))
}

/// Square root of `a`.
#[inline(always)]
pub(super) fn sqrt(env: &mut Env, a: F80) -> Option<F80> {
    if !(applies(env) && is_normal(a) && !a.sign()) {
        return None;
    }
    // An exponent field that is odd stands for an even exponent.
    let odd = a.exp() as u32 & 1 ^ 1;
    let (root, rest) = root((a.sig as u128) << 63 << odd);
    // The square of a root and a half is no integer: the rest is never half way.
    let rest = if rest > root as u128 { HALF | 1 } else { (rest != 0) as u64 };
    round(env, false, (a.exp() as i32 + F80::BIAS - odd as i32) / 2, root, rest)
}

/// Square root and rest, of what has one of its two highest bits set.
#[inline(always)]
fn root(n: u128) -> (u64, u128) {
    const LOW: u64 = u32::MAX as u64;
    // 32 bits of the root, as many more by a division, and what is then too many shows (P. Zimmermann, Karatsuba
    // Square Root, INRIA RR-3805).
    let (hi, lo) = ((n >> 64) as u64, n as u64);
    let first = hi.isqrt();
    let half = (hi - first * first) << 31 | lo >> 33;
    let (q, rest) = (half / first, (half % first) << 1 | lo >> 32 & 1);
    let mut root = ((first as u128) << 32) + q as u128;
    let mut rest = ((rest as i128) << 32 | (lo & LOW) as i128) - q as i128 * q as i128;
    while rest < 0 {
        root -= 1;
        rest += 2 * root as i128 + 1;
    }
    (root as u64, rest as u128)
}

/// Order of numbers that are normal or zero.
#[inline(always)]
pub(super) fn compare(env: &Env, a: F80, b: F80) -> Option<Ordering> {
    let plain = |v: F80| is_normal(v) || v.exp() == 0 && v.sig == 0;
    if env.denormal || !(plain(a) && plain(b)) {
        return None;
    }
    let key = |v: F80| {
        let magnitude = (v.exp() as i128) << 64 | v.sig as i128;
        if v.sign() { -magnitude } else { magnitude }
    };
    Some(key(a).cmp(&key(b)))
}

/// A number in format `F`.
#[inline(always)]
pub(super) fn store<F: Format>(env: &mut Env, a: F80) -> Option<F::Bits> {
    if a.sig == 0 && a.exp() == 0 {
        return Some(F::zero(a.sign()));
    }
    let drop = 64 - F::PREC;
    let rest = a.sig << F::PREC;
    let up = goes_up(a.sig, drop, rest);
    let int = (a.sig >> drop) + up as u64;
    let carry = int >> F::PREC;
    let exp = a.exp() as i32 - F80::BIAS + F::BIAS + carry as i32;
    let fits = exp >= 1 && exp < F::EXP_MAX as i32;
    if !(matches!(env.round, Round::NearestEven) && a.sig & F80::J != 0 && fits) {
        return None;
    }
    env.up = up;
    if rest != 0 {
        env.raise(Exceptions::PE);
    }
    // A carry leaves no fraction.
    Some(F::join(a.sign(), exp as u32, int & F::FRAC_MASK))
}

/// A number as a signed integer of `bits` bits.
#[inline(always)]
pub(super) fn to_int(env: &mut Env, a: F80, bits: u32, mode: Round) -> Option<u64> {
    let exp = a.exp() as i32 - F80::BIAS;
    let (int, rest) = match exp {
        _ if a.sig & F80::J == 0 && a.exp() != 0 => return None,
        0..63 => (a.sig >> (63 - exp), a.sig << (exp + 1)),
        -1 => (0, a.sig),
        63.. => return None,
        _ => (0, (a.sig != 0) as u64),
    };
    let up = rounds_up(mode, a.sign(), int & 1 != 0, rest != 0, rest.cmp(&HALF));
    let magnitude = int + up as u64;
    let top = 1 << (bits - 1);
    if magnitude >= top + a.sign() as u64 {
        return None;
    }
    if rest != 0 {
        env.raise(Exceptions::PE);
        env.up = up;
    }
    let v = if a.sign() { magnitude.wrapping_neg() } else { magnitude };
    Some(v & (top | (top - 1)))
}

#[cfg(test)]
mod tests;

//! Comparison (`FPCompare`, `FPCompareEQ`, `FPCompareGE`, `FPCompareGT`).

use crate::env::{Env, Flags};
use crate::format::Format;
use crate::num::{Num, unpack};

/// Outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Less than.
    Less,
    /// Equal; zeros are, whatever their signs.
    Equal,
    /// Greater than.
    Greater,
    /// At least one operand is a NaN.
    Unordered,
}

/// Orders two operands that are not NaNs.
#[inline(always)]
pub(crate) fn order(x: Num, y: Num) -> std::cmp::Ordering {
    // Magnitudes order as (infinite, exponent, significand); a zero has the lowest exponent.
    let key = |n: Num| (n.is_inf(), if n.is_zero() { i32::MIN } else { n.exp }, n.sig);
    if x.is_zero() && y.is_zero() {
        return std::cmp::Ordering::Equal;
    }
    match (x.sign, y.sign) {
        (false, true) => std::cmp::Ordering::Greater,
        (true, false) => std::cmp::Ordering::Less,
        (false, false) => key(x).cmp(&key(y)),
        (true, true) => key(y).cmp(&key(x)),
    }
}

/// Compares. A quiet NaN is invalid only where `signalling`; a signalling one always is.
#[inline]
pub fn compare<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, signalling: bool) -> Ordering {
    if let Some(o) = F::host_order(a, b) {
        return outcome(o);
    }
    compare_soft::<F>(env, a, b, signalling)
}

fn compare_soft<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, signalling: bool) -> Ordering {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        if signalling || x.is_signalling() || y.is_signalling() {
            env.raise(Flags::INVALID);
        }
        return Ordering::Unordered;
    }
    outcome(order(x, y))
}

#[inline(always)]
fn outcome(o: std::cmp::Ordering) -> Ordering {
    match o {
        std::cmp::Ordering::Less => Ordering::Less,
        std::cmp::Ordering::Equal => Ordering::Equal,
        std::cmp::Ordering::Greater => Ordering::Greater,
    }
}

/// `a == b`; quiet.
#[inline]
pub fn eq<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, false) == Ordering::Equal
}

/// `a >= b`; any NaN is invalid.
#[inline]
pub fn ge<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    matches!(compare::<F>(env, a, b, true), Ordering::Equal | Ordering::Greater)
}

/// `a > b`; any NaN is invalid.
#[inline]
pub fn gt<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> bool {
    compare::<F>(env, a, b, true) == Ordering::Greater
}

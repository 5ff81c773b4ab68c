//! Maximum and minimum (`FPMax`, `FPMin`, `FPMaxNum`, `FPMinNum`).

use std::cmp::Ordering;

use crate::compare::order;
use crate::env::Env;
use crate::format::Format;
use crate::nan::process_nans;
use crate::num::{Class, unpack};

/// The larger operand; +0 counts as larger than -0, NaNs propagate.
pub fn max<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F, false, false>(env, a, b)
}

/// The smaller operand; -0 counts as smaller than +0, NaNs propagate.
pub fn min<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F, true, false>(env, a, b)
}

/// As [`max`], but a number wins over a quiet NaN (IEEE 754-2008 maxNum).
pub fn max_num<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F, false, true>(env, a, b)
}

/// As [`min`], but a number wins over a quiet NaN (IEEE 754-2008 minNum).
pub fn min_num<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    select::<F, true, true>(env, a, b)
}

#[inline(always)]
fn select<F: Format, const MIN: bool, const NUM: bool>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    match F::host_order(a, b) {
        Some(Ordering::Greater) => return if MIN { b } else { a },
        Some(Ordering::Less) => return if MIN { a } else { b },
        _ => {}
    }
    select_soft::<F, MIN, NUM>(env, a, b)
}

fn select_soft<F: Format, const MIN: bool, const NUM: bool>(
    env: &mut Env,
    a: F::Bits,
    b: F::Bits,
) -> F::Bits {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    let first = if x.is_nan() || y.is_nan() {
        match (x.class, y.class) {
            (Class::Quiet, c) if NUM && c != Class::Quiet && c != Class::Signalling => false,
            (c, Class::Quiet) if NUM && c != Class::Quiet && c != Class::Signalling => true,
            _ => return process_nans::<F, 2>(env, [(x, a), (y, b)]),
        }
    } else {
        match order(x, y) {
            Ordering::Greater => !MIN,
            Ordering::Less => MIN,
            // Equal operands differ at most in the sign of zero.
            Ordering::Equal => x.sign == MIN,
        }
    };
    let (n, v) = if first { (x, a) } else { (y, b) };
    // A flushed operand is a zero now.
    if n.is_zero() { F::zero(n.sign) } else { v }
}

//! Division (`FPDiv`).

use crate::env::{Env, Flags};
use crate::format::Format;
use crate::nan::{invalid, process_nans};
use crate::num::unpack;
use crate::round::round;

/// `a / b`.
#[inline]
pub fn div<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_div(a, b)
    {
        return r;
    }
    div_soft::<F>(env, a, b)
}

fn div_soft<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return process_nans::<F, 2>(env, [(x, a), (y, b)]);
    }
    let sign = x.sign != y.sign;
    if x.is_inf() && y.is_inf() || x.is_zero() && y.is_zero() {
        return invalid::<F>(env);
    }
    if x.is_inf() {
        return F::inf(sign);
    }
    if y.is_zero() {
        env.raise(Flags::DIV_BY_ZERO);
        return F::inf(sign);
    }
    if x.is_zero() || y.is_inf() {
        return F::zero(sign);
    }
    let n = (x.sig as u128) << 63;
    let d = y.sig as u128;
    let (q, rest) = (n / d, n % d);
    let q = if F::PREC <= 60 {
        q << 64 | (rest != 0) as u128
    } else {
        // 63 bits of quotient are too few; 64 more follow.
        let n = rest << 64;
        (q << 64) | (n / d) | (n % d != 0) as u128
    };
    let lz = q.leading_zeros();
    // A quotient of one has its highest bit at 127.
    round::<F>(env, sign, x.exp - y.exp - lz as i32, q << lz)
}

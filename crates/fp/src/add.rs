//! Addition and subtraction (`FPAdd`, `FPSub`).

use crate::env::Env;
use crate::format::Format;
use crate::nan::{invalid, process_nans};
use crate::num::{Num, unpack};
use crate::round::{round, zero_sign};

/// `a + b`.
#[inline]
pub fn add<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_add(a, b)
    {
        return r;
    }
    add_soft::<F, false>(env, a, b)
}

/// `a - b`.
#[inline]
pub fn sub<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    if env.host_rounds()
        && let Some(r) = F::host_add(a, F::neg(b))
    {
        return r;
    }
    add_soft::<F, true>(env, a, b)
}

fn add_soft<F: Format, const SUB: bool>(env: &mut Env, a: F::Bits, b: F::Bits) -> F::Bits {
    let (x, mut y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        return process_nans::<F, 2>(env, [(x, a), (y, b)]);
    }
    y.sign ^= SUB;
    if x.is_inf() || y.is_inf() {
        if x.is_inf() && y.is_inf() && x.sign != y.sign {
            return invalid::<F>(env);
        }
        return F::inf(if x.is_inf() { x.sign } else { y.sign });
    }
    if x.is_zero() && y.is_zero() {
        return F::zero(if x.sign == y.sign { x.sign } else { zero_sign(env) });
    }
    let r = sum(Wide::of(x), Wide::of(y));
    finish::<F>(env, r)
}

/// A number `sig * 2^(exp - 126)`, where a non-zero `sig` of an operand has its highest bit at 126.
#[derive(Clone, Copy)]
pub(crate) struct Wide {
    pub sign: bool,
    pub exp: i32,
    pub sig: u128,
}

impl Wide {
    /// A finite number.
    #[inline(always)]
    pub fn of(n: Num) -> Wide {
        Wide { sign: n.sign, exp: n.exp, sig: (n.sig as u128) << 63 }
    }

    /// The exact product of finite numbers, whose significands have 62 bits at most.
    #[inline(always)]
    pub fn product(x: Num, y: Num) -> Wide {
        let sign = x.sign != y.sign;
        let p = x.sig as u128 * y.sig as u128;
        if p == 0 {
            return Wide { sign, exp: 0, sig: 0 };
        }
        let lz = p.leading_zeros();
        Wide { sign, exp: x.exp + y.exp + 1 - lz as i32, sig: p << lz >> 1 }
    }

    /// Exponent and significand as rounding takes them: the highest bit at 127. Not for zero.
    #[inline(always)]
    pub fn normal(self) -> (i32, u128) {
        let lz = self.sig.leading_zeros();
        (self.exp + 1 - lz as i32, self.sig << lz)
    }
}

/// The exact sum, but for a sticky bit at the bottom. Bit 127 of the result is carry.
#[inline(always)]
pub(crate) fn sum(a: Wide, b: Wide) -> Wide {
    if a.sig == 0 {
        return b;
    }
    if b.sig == 0 {
        return a;
    }
    let (big, small) = if (a.exp, a.sig) >= (b.exp, b.sig) { (a, b) } else { (b, a) };
    let s = shift_right_jam(small.sig, (big.exp - small.exp) as u32);
    let sig = if big.sign == small.sign { big.sig + s } else { big.sig - s };
    Wide { sign: big.sign, exp: big.exp, sig }
}

/// Rounds a sum; an exact zero gets the sign that the rounding mode asks for.
#[inline(always)]
pub(crate) fn finish<F: Format>(env: &mut Env, r: Wide) -> F::Bits {
    if r.sig == 0 {
        return F::zero(zero_sign(env));
    }
    let (exp, sig) = r.normal();
    round::<F>(env, r.sign, exp, sig)
}

/// `v >> n`, with bit 0 set where a one was shifted out.
#[inline(always)]
fn shift_right_jam(v: u128, n: u32) -> u128 {
    if n == 0 {
        v
    } else if n < 128 {
        v >> n | (v << (128 - n) != 0) as u128
    } else {
        (v != 0) as u128
    }
}

//! Numbers of 128 significant bits, in which the transcendental functions are computed: their errors are some
//! units of 2^-124, so that a result rounded to 64 bits is the nearest one but for a handful in 2^58.

use super::env::Env;
use super::f80::F80;
use super::round::round_to;
use crate::num::Num;

/// `sig * 2^(exp - 127)`, bit 127 of `sig` being set; or zero, if `sig` is. Operations truncate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Real {
    pub sign: bool,
    pub exp: i32,
    pub sig: u128,
}

impl Real {
    /// 1.0.
    pub const ONE: Real = Real::new(0, 1 << 127);
    /// π.
    pub const PI: Real = Real::new(1, 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1);
    /// π/2.
    pub const HALF_PI: Real = Real::new(0, Real::PI.sig);

    /// A positive constant.
    pub const fn new(exp: i32, sig: u128) -> Real {
        Real { sign: false, exp, sig }
    }

    /// `sig * 2^(exp - 127)`, wherever the highest bit of `sig` is.
    pub fn normal(sign: bool, exp: i32, sig: u128) -> Real {
        match sig.leading_zeros() {
            128 => Real { sign, exp: 0, sig: 0 },
            lz => Real { sign, exp: exp - lz as i32, sig: sig << lz },
        }
    }

    /// A finite operand.
    pub fn from_num(x: Num) -> Real {
        Real { sign: x.sign, exp: x.exp, sig: (x.sig as u128) << 64 }
    }

    /// A small integer.
    pub fn from_int(v: i32) -> Real {
        Real::normal(v < 0, 127, v.unsigned_abs() as u128)
    }

    pub fn is_zero(self) -> bool {
        self.sig == 0
    }

    pub fn neg(self) -> Real {
        Real { sign: !self.sign, ..self }
    }

    pub fn abs(self) -> Real {
        Real { sign: false, ..self }
    }

    pub fn add(self, b: Real) -> Real {
        if self.is_zero() {
            return b;
        }
        if b.is_zero() {
            return self;
        }
        let (big, small) = if (self.exp, self.sig) >= (b.exp, b.sig) { (self, b) } else { (b, self) };
        let s = small.sig.checked_shr((big.exp - small.exp) as u32).unwrap_or(0);
        if big.sign != small.sign {
            return Real::normal(big.sign, big.exp, big.sig - s);
        }
        match big.sig.overflowing_add(s) {
            (sig, false) => Real { sig, ..big },
            (sig, true) => Real { sign: big.sign, exp: big.exp + 1, sig: sig >> 1 | 1 << 127 },
        }
    }

    pub fn mul(self, b: Real) -> Real {
        Real::normal(self.sign != b.sign, self.exp + b.exp + 1, high(self.sig, b.sig))
    }

    /// `self / b`, where `b` is not zero.
    pub fn div(self, b: Real) -> Real {
        if self.is_zero() {
            return self;
        }
        // Restoring division by digits of 32 bits: `rest < b.sig`, with its highest bit at 127.
        let (mut q, mut rest, mut carry) = (0u128, self.sig, false);
        let exp = self.exp - b.exp;
        let first = rest >= b.sig;
        if first {
            rest -= b.sig;
        }
        for _ in 0..128 {
            carry |= rest >> 127 != 0;
            rest <<= 1;
            q <<= 1;
            if carry || rest >= b.sig {
                rest = rest.wrapping_sub(b.sig);
                q |= 1;
            }
            carry = false;
        }
        let sign = self.sign != b.sign;
        if first { Real { sign, exp, sig: q >> 1 | 1 << 127 } } else { Real::normal(sign, exp - 1, q) }
    }

    /// The magnitude of a number below 1 in units of 2^-128.
    pub fn fraction(self) -> u128 {
        self.sig.checked_shr((-1 - self.exp) as u32).unwrap_or(0)
    }

    /// Rounded to an inexact result.
    pub fn round(self, env: &mut Env) -> F80 {
        round_to(env, 64, self.sign, self.exp, self.sig | 1)
    }

    /// Rounded to a result that may be exact.
    pub fn round_exact(self, env: &mut Env) -> F80 {
        round_to(env, 64, self.sign, self.exp, self.sig)
    }
}

/// The upper half of a product.
pub(super) const fn high(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (m1, m2) = (a1 * b0, a0 * b1);
    let carry = ((a0 * b0) >> 64) + (m1 & LOW) + (m2 & LOW);
    a1 * b1 + (m1 >> 64) + (m2 >> 64) + (carry >> 64)
}

/// Coefficients `1 / d` in units of 2^-127.
pub(super) type Series<const N: usize> = [u128; N];

/// `1 / first!`, `1 / (first + step)!`, …
pub(super) const fn inverse_factorials<const N: usize>(first: u32, step: u32) -> Series<N> {
    let mut s = [0; N];
    let (mut i, mut n, mut f) = (0, 1, 1u128);
    while i < N {
        while n <= first + step * i as u32 {
            f *= n as u128;
            n += 1;
        }
        s[i] = (1 << 127) / f;
        i += 1;
    }
    s
}

/// 1, 1/3, 1/5, …
pub(super) const fn inverse_odds<const N: usize>() -> Series<N> {
    let mut s = [0; N];
    let mut i = 0;
    while i < N {
        s[i] = (1 << 127) / (2 * i as u128 + 1);
        i += 1;
    }
    s
}

/// The sum of the series at `z` (a fraction of 2^128), with alternating signs or not. The first coefficient
/// is 1, and a sum other than 1 does not look like 1.
pub(super) fn evaluate<const N: usize>(s: &Series<N>, z: u128, alternating: bool) -> Real {
    let mut sum = s[N - 1];
    for &c in s[..N - 1].iter().rev() {
        let t = high(sum, z);
        sum = if alternating { c - t } else { c + t };
    }
    if alternating && sum >> 127 != 0 {
        sum -= 1;
    }
    Real::normal(false, 0, sum)
}

//! Fused multiply-add (SDM Vol. 1, 14.5).

use super::arith::finish;
use super::env::Env;
use super::nan::{invalid, propagate};
use super::num::{denormals, unpack};
use crate::add::{Wide, sum};
use crate::format::Format;

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fma {
    /// The product is negated (VFNMADD, VFNMSUB).
    pub neg_product: bool,
    /// The addend is negated (VFMSUB, VFNMSUB).
    pub neg_addend: bool,
}

impl Fma {
    /// VFMADD.
    pub const MADD: Fma = Fma { neg_product: false, neg_addend: false };
    /// VFMSUB.
    pub const MSUB: Fma = Fma { neg_product: false, neg_addend: true };
    /// VFNMADD.
    pub const NMADD: Fma = Fma { neg_product: true, neg_addend: false };
    /// VFNMSUB.
    pub const NMSUB: Fma = Fma { neg_product: true, neg_addend: true };
}

/// `±(a * b) ± c` with one rounding. The first NaN in the order `a`, `b`, `c` is the result, its sign
/// untouched: pass the operands as the mnemonic numbers them (form 132: first, third, second).
#[inline]
pub fn fma<F: Format>(env: &mut Env, kind: Fma, a: F::Bits, b: F::Bits, c: F::Bits) -> F::Bits {
    if env.host {
        let (x, z) =
            (if kind.neg_product { F::neg(a) } else { a }, if kind.neg_addend { F::neg(c) } else { c });
        if let Some(r) = F::host_fma(x, b, z) {
            return r;
        }
    }
    fma_soft::<F>(env, kind, a, b, c)
}

fn fma_soft<F: Format>(env: &mut Env, kind: Fma, a: F::Bits, b: F::Bits, c: F::Bits) -> F::Bits {
    // The product of two 62-bit significands leaves the lowest bits free.
    const { assert!(F::PREC <= 62) };
    let (x, y, mut z) = (unpack::<F>(env, a), unpack::<F>(env, b), unpack::<F>(env, c));
    if x.is_nan() || y.is_nan() || z.is_nan() {
        return propagate::<F, 3>(env, [(x, a), (y, b), (z, c)]);
    }
    z.sign ^= kind.neg_addend;
    let sign = (x.sign != y.sign) != kind.neg_product;
    let product_inf = x.is_inf() || y.is_inf();
    if product_inf && (x.is_zero() || y.is_zero() || z.is_inf() && z.sign != sign) {
        return invalid::<F>(env);
    }
    denormals::<F, 3>(env, [x, y, z]);
    if z.is_inf() || product_inf {
        return F::inf(if z.is_inf() { z.sign } else { sign });
    }
    if z.is_zero() && (x.is_zero() || y.is_zero()) && z.sign == sign {
        return F::zero(sign);
    }
    finish::<F>(env, sum(Wide { sign, ..Wide::product(x, y) }, Wide::of(z)))
}

//! Floating-point formats, and the host's arithmetic where it may stand in.
//!
//! Host arithmetic rounds to nearest even and reports no exceptions. It is used only when the guest rounds
//! the same way, the inexact flag is set already ([`crate::Env`]), the operands are zero or normal, and the
//! result lies inside the normal range by at least one binade, so that no other exception is possible and
//! neither flush-to-zero nor NaN rules matter. What is exact needs the operand conditions only.

use std::cmp::Ordering;

/// A binary interchange format, or one that differs only in how its fields are packed.
pub trait Format: Copy + 'static {
    /// The raw bit pattern.
    type Bits: Copy + Eq + std::fmt::Debug;
    /// Width of the exponent field.
    const EXP_BITS: u32;
    /// Significant bits, the leading one included; at most 64.
    const PREC: u32;
    /// Whether this is IEEE half precision, which has its own control bits on ARM.
    const HALF: bool = false;

    /// Exponent bias.
    const BIAS: i32 = (1 << (Self::EXP_BITS - 1)) - 1;
    /// Exponent of the smallest normal number.
    const EMIN: i32 = 1 - Self::BIAS;
    /// Exponent field of infinities and NaNs.
    const EXP_MAX: u32 = (1 << Self::EXP_BITS) - 1;
    /// The quiet bit in the fraction.
    const QUIET: u64 = 1 << (Self::PREC - 2);
    /// All bits of the fraction.
    const FRAC_MASK: u64 = (1 << (Self::PREC - 1)) - 1;

    /// Sign, exponent field and fraction (without the leading one).
    fn split(v: Self::Bits) -> (bool, u32, u64);
    /// The reverse of [`Format::split`].
    fn join(sign: bool, exp: u32, frac: u64) -> Self::Bits;
    /// With the sign inverted, whatever the value.
    fn neg(v: Self::Bits) -> Self::Bits;
    /// With the sign clear, whatever the value.
    fn abs(v: Self::Bits) -> Self::Bits;

    /// Zero.
    #[inline(always)]
    fn zero(sign: bool) -> Self::Bits {
        Self::join(sign, 0, 0)
    }
    /// Infinity.
    #[inline(always)]
    fn inf(sign: bool) -> Self::Bits {
        Self::join(sign, Self::EXP_MAX, 0)
    }
    /// The largest finite number.
    #[inline(always)]
    fn max_normal(sign: bool) -> Self::Bits {
        Self::join(sign, Self::EXP_MAX - 1, Self::FRAC_MASK)
    }
    /// The default NaN of ARM: positive, quiet, no payload.
    #[inline(always)]
    fn default_nan() -> Self::Bits {
        Self::join(false, Self::EXP_MAX, Self::QUIET)
    }

    /// Host sum, under the conditions above.
    #[inline(always)]
    fn host_add(_a: Self::Bits, _b: Self::Bits) -> Option<Self::Bits> {
        None
    }
    /// Host product, under the conditions above.
    #[inline(always)]
    fn host_mul(_a: Self::Bits, _b: Self::Bits) -> Option<Self::Bits> {
        None
    }
    /// Host quotient, under the conditions above.
    #[inline(always)]
    fn host_div(_a: Self::Bits, _b: Self::Bits) -> Option<Self::Bits> {
        None
    }
    /// Host square root, under the conditions above.
    #[inline(always)]
    fn host_sqrt(_a: Self::Bits) -> Option<Self::Bits> {
        None
    }
    /// Host `a * b + c` with one rounding, under the conditions above.
    #[inline(always)]
    fn host_fma(_a: Self::Bits, _b: Self::Bits, _c: Self::Bits) -> Option<Self::Bits> {
        None
    }
    /// Order of two operands that are zero, normal or infinite.
    #[inline(always)]
    fn host_order(_a: Self::Bits, _b: Self::Bits) -> Option<Ordering> {
        None
    }
    /// An operand below 2^62 truncated to an integer, and whether it was one.
    #[inline(always)]
    fn host_trunc(_a: Self::Bits) -> Option<(i64, bool)> {
        None
    }
    /// A signed integer, rounded to nearest even.
    #[inline(always)]
    fn host_from_i64(_v: i64) -> Option<Self::Bits> {
        None
    }
    /// An unsigned integer, rounded to nearest even.
    #[inline(always)]
    fn host_from_u64(_v: u64) -> Option<Self::Bits> {
        None
    }
    /// The exact value of an operand that is zero or normal.
    #[inline(always)]
    fn host_to_f64(_a: Self::Bits) -> Option<f64> {
        None
    }
    /// A number rounded to nearest even, under the conditions above.
    #[inline(always)]
    fn host_from_f64(_v: f64) -> Option<Self::Bits> {
        None
    }
}

macro_rules! fields {
    ($bits:ty, $exp:literal, $prec:literal) => {
        type Bits = $bits;
        const EXP_BITS: u32 = $exp;
        const PREC: u32 = $prec;

        #[inline(always)]
        fn split(v: $bits) -> (bool, u32, u64) {
            let exp = (v >> ($prec - 1)) as u32 & Self::EXP_MAX;
            (v >> (<$bits>::BITS - 1) != 0, exp, v as u64 & Self::FRAC_MASK)
        }
        #[inline(always)]
        fn join(sign: bool, exp: u32, frac: u64) -> $bits {
            (sign as $bits) << (<$bits>::BITS - 1) | (exp as $bits) << ($prec - 1) | frac as $bits
        }
        #[inline(always)]
        fn neg(v: $bits) -> $bits {
            v ^ 1 << (<$bits>::BITS - 1)
        }
        #[inline(always)]
        fn abs(v: $bits) -> $bits {
            v & <$bits>::MAX >> 1
        }
    };
}

macro_rules! host {
    ($float:ty, $bits:ty, $prec:literal) => {
        #[inline(always)]
        fn host_add(a: $bits, b: $bits) -> Option<$bits> {
            let r = (<$float>::from_bits(a) + <$float>::from_bits(b)).to_bits();
            // A sum of normal numbers is a multiple of the smallest denormal: a zero is exact.
            (Self::plain(a) && Self::plain(b) && (Self::inside(r) || Self::abs(r) == 0)).then_some(r)
        }
        #[inline(always)]
        fn host_mul(a: $bits, b: $bits) -> Option<$bits> {
            let r = (<$float>::from_bits(a) * <$float>::from_bits(b)).to_bits();
            let zero = Self::abs(a) == 0 || Self::abs(b) == 0;
            (Self::plain(a) && Self::plain(b) && (Self::inside(r) || zero)).then_some(r)
        }
        #[inline(always)]
        fn host_div(a: $bits, b: $bits) -> Option<$bits> {
            let r = (<$float>::from_bits(a) / <$float>::from_bits(b)).to_bits();
            // A quotient inside the normal range has a divisor that is neither zero nor infinite.
            (Self::plain(a) && Self::plain(b) && Self::inside(r)).then_some(r)
        }
        #[inline(always)]
        fn host_sqrt(a: $bits) -> Option<$bits> {
            (Self::inside(a) && a >> (<$bits>::BITS - 1) == 0)
                .then(|| <$float>::from_bits(a).sqrt().to_bits())
        }
        #[inline(always)]
        fn host_fma(a: $bits, b: $bits, c: $bits) -> Option<$bits> {
            if !(Self::plain(a) && Self::plain(b) && Self::plain(c)) {
                return None;
            }
            let r = <$float>::from_bits(a).mul_add(<$float>::from_bits(b), <$float>::from_bits(c)).to_bits();
            Self::inside(r).then_some(r)
        }
        #[inline(always)]
        fn host_order(a: $bits, b: $bits) -> Option<Ordering> {
            if !(Self::plain_or_inf(a) && Self::plain_or_inf(b)) {
                return None;
            }
            <$float>::from_bits(a).partial_cmp(&<$float>::from_bits(b))
        }
        #[inline(always)]
        fn host_trunc(a: $bits) -> Option<(i64, bool)> {
            const LIMIT: $bits = ((1u64 << 62) as $float).to_bits();
            let f = <$float>::from_bits(a);
            let i = f as i64;
            (Self::plain(a) && Self::abs(a) < LIMIT).then_some((i, i as $float == f))
        }
        #[inline(always)]
        fn host_from_i64(v: i64) -> Option<$bits> {
            Some((v as $float).to_bits())
        }
        #[inline(always)]
        fn host_from_u64(v: u64) -> Option<$bits> {
            Some((v as $float).to_bits())
        }
        #[inline(always)]
        fn host_to_f64(a: $bits) -> Option<f64> {
            Self::plain(a).then_some(<$float>::from_bits(a) as f64)
        }
        #[inline(always)]
        fn host_from_f64(v: f64) -> Option<$bits> {
            let r = (v as $float).to_bits();
            (Self::inside(r) || v == 0.0).then_some(r)
        }
    };
}

macro_rules! host_ranges {
    ($bits:ty, $prec:literal) => {
        const MIN_NORMAL: $bits = 1 << ($prec - 1);
        const INF: $bits = (<$bits>::MAX >> 1) & !(Self::MIN_NORMAL - 1);

        /// Zero or normal.
        #[inline(always)]
        fn plain(v: $bits) -> bool {
            let m = Self::abs(v);
            m == 0 || m.wrapping_sub(Self::MIN_NORMAL) < Self::INF - Self::MIN_NORMAL
        }

        /// Zero, normal or infinite.
        #[inline(always)]
        fn plain_or_inf(v: $bits) -> bool {
            let m = Self::abs(v);
            m == 0 || m.wrapping_sub(Self::MIN_NORMAL) <= Self::INF - Self::MIN_NORMAL
        }

        /// Finite, and at least twice the smallest normal number.
        #[inline(always)]
        fn inside(v: $bits) -> bool {
            Self::abs(v).wrapping_sub(2 * Self::MIN_NORMAL) < Self::INF - 2 * Self::MIN_NORMAL
        }
    };
}

/// IEEE 754 binary16.
#[derive(Clone, Copy, Debug)]
pub struct F16;

impl Format for F16 {
    const HALF: bool = true;
    fields!(u16, 5, 11);
}

/// IEEE 754 binary32.
#[derive(Clone, Copy, Debug)]
pub struct F32;

impl F32 {
    host_ranges!(u32, 24);
}

impl Format for F32 {
    fields!(u32, 8, 24);
    host!(f32, u32, 24);
}

/// IEEE 754 binary64.
#[derive(Clone, Copy, Debug)]
pub struct F64;

impl F64 {
    host_ranges!(u64, 53);
}

impl Format for F64 {
    fields!(u64, 11, 53);
    host!(f64, u64, 53);
}

//! RCPPS and RSQRTPS: 12 bits, no exceptions, denormals are zeros whatever MXCSR says.
//!
//! The manual bounds the relative error alone, by 1.5 * 2^-12. The results here are those of Intel's
//! processors, which are a rule of their own: the interval that the leading fraction bits (11; for the root,
//! 10) leave is taken at its middle, and the true result for it is rounded to 13 bits. AMD's processors have
//! other tables.

use crate::format::{F32, Format};

/// The special cases both have in common.
fn special(a: u32) -> Result<(bool, u32, u32), u32> {
    match F32::split(a) {
        (sign, 0, _) => Err(F32::inf(sign)),
        (_, F32::EXP_MAX, frac) if frac != 0 => Err(a | F32::QUIET as u32),
        (sign, exp, frac) => Ok((sign, exp, frac as u32)),
    }
}

/// `1 / a`, estimated (RCPPS). A tiny result is zero.
pub fn rcp(a: u32) -> u32 {
    let (sign, exp, frac) = match special(a) {
        Ok(parts) => parts,
        Err(r) => return r,
    };
    // 2^12 times the middle is odd; the result has 13 bits.
    let middle = 4096 + 2 * (frac >> 12) + 1;
    let r = ((1 << 26) / middle).div_ceil(2);
    match (2 * F32::BIAS as u32 - 1).checked_sub(exp) {
        None | Some(0) => F32::zero(sign),
        Some(_) if exp == F32::EXP_MAX => F32::zero(sign),
        Some(e) => F32::join(sign, e, (r as u64 & 0xfff) << 11),
    }
}

/// `1 / sqrt(a)`, estimated (RSQRTPS). Less than zero gives the indefinite.
pub fn rsqrt(a: u32) -> u32 {
    let (sign, exp, frac) = match special(a) {
        Ok(parts) => parts,
        Err(r) => return r,
    };
    if sign {
        return super::nan::indefinite::<F32>();
    }
    if exp == F32::EXP_MAX {
        return F32::zero(false);
    }
    // 2^11 times the middle; an even exponent field is an odd exponent.
    let middle = (2048 + 2 * (frac as u64 >> 13) + 1) << (!exp & 1);
    let r = ((1u64 << 39) / middle).isqrt().div_ceil(2);
    F32::join(false, (3 * F32::BIAS as u32 - 1 - exp) >> 1, (r & 0xfff) << 11)
}

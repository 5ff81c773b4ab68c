//! [`Num`]: an operand taken apart.

use crate::env::{Env, Flags};
use crate::format::Format;

/// Kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Zero,
    Finite,
    Inf,
    Quiet,
    Signalling,
}

/// An operand taken apart. A finite one is `sig * 2^(exp - 63)`, bit 63 of `sig` being set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Num {
    pub class: Class,
    pub sign: bool,
    pub exp: i32,
    pub sig: u64,
}

impl Num {
    /// 2.0.
    pub const TWO: Num = Num { class: Class::Finite, sign: false, exp: 1, sig: 1 << 63 };
    /// 3.0.
    pub const THREE: Num = Num { class: Class::Finite, sign: false, exp: 1, sig: 3 << 62 };

    #[inline(always)]
    pub fn is_nan(self) -> bool {
        matches!(self.class, Class::Quiet | Class::Signalling)
    }
    #[inline(always)]
    pub fn is_inf(self) -> bool {
        self.class == Class::Inf
    }
    #[inline(always)]
    pub fn is_zero(self) -> bool {
        self.class == Class::Zero
    }
    #[inline(always)]
    pub fn is_signalling(self) -> bool {
        self.class == Class::Signalling
    }
}

/// Takes an operand of arithmetic apart (`FPUnpack`).
#[inline(always)]
pub(crate) fn unpack<F: Format>(env: &mut Env, v: F::Bits) -> Num {
    unpack_as::<F, false>(env, v)
}

/// Takes an operand apart; `CV`: of a conversion between formats (`FPUnpackCV`), where F16 is never flushed
/// and may be in the alternative format.
#[inline(always)]
pub(crate) fn unpack_as<F: Format, const CV: bool>(env: &mut Env, v: F::Bits) -> Num {
    let (sign, e, frac) = F::split(v);
    let at_top = 64 - F::PREC;
    if e == 0 {
        if frac == 0 {
            return Num { class: Class::Zero, sign, exp: 0, sig: 0 };
        }
        if env.policy.flushes::<F>() && !(CV && F::HALF) {
            // Flushing an F16 operand is silent (Arm ARM, FPUnpackBase).
            if !F::HALF {
                env.raise(Flags::INPUT_DENORMAL);
            }
            return Num { class: Class::Zero, sign, exp: 0, sig: 0 };
        }
        let lz = frac.leading_zeros();
        let exp = F::EMIN + at_top as i32 - lz as i32;
        return Num { class: Class::Finite, sign, exp, sig: frac << lz };
    }
    if e == F::EXP_MAX && !(CV && F::HALF && env.policy.alt_half) {
        let class = if frac == 0 {
            Class::Inf
        } else if frac & F::QUIET != 0 {
            Class::Quiet
        } else {
            Class::Signalling
        };
        return Num { class, sign, exp: 0, sig: frac };
    }
    Num { class: Class::Finite, sign, exp: e as i32 - F::BIAS, sig: 1 << 63 | frac << at_top }
}

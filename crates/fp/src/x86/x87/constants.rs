//! The constants that FLDPI and its kin load, rounded as RC says (SDM Vol. 1, 8.3.8).

use super::f80::F80;
use crate::env::Round;

/// A constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// 1.0 (FLD1).
    One,
    /// 0.0 (FLDZ).
    Zero,
    /// π (FLDPI).
    Pi,
    /// log2(10) (FLDL2T).
    Log2Ten,
    /// log2(e) (FLDL2E).
    Log2E,
    /// log10(2) (FLDLG2).
    Log10Two,
    /// ln(2) (FLDLN2).
    LnTwo,
}

impl Constant {
    /// Its value in a rounding mode. No exception is raised.
    pub fn value(self, round: Round) -> F80 {
        // Truncated, and whether the nearest value is the next one.
        let (exp, sig, next) = match self {
            Constant::One => return F80::ONE,
            Constant::Zero => return F80::zero(false),
            Constant::Pi => (1, 0xc90f_daa2_2168_c234, true),
            Constant::Log2Ten => (1, 0xd49a_784b_cd1b_8afe, false),
            Constant::Log2E => (0, 0xb8aa_3b29_5c17_f0bb, true),
            Constant::Log10Two => (-2, 0x9a20_9a84_fbcf_f798, true),
            Constant::LnTwo => (-1, 0xb172_17f7_d1cf_79ab, true),
        };
        let up = match round {
            Round::Up => true,
            Round::Down | Round::Zero => false,
            _ => next,
        };
        F80::new(false, (exp + F80::BIAS) as u16, sig + up as u64)
    }
}

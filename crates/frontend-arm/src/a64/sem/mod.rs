//! What each A64 instruction means, one file per group of the Arm ARM's chapter C4.
//!
//! A constructor turns the fields of a word into a `Sem`; the `Sem`'s one method executes or compiles it.

pub mod branch;
pub mod dp_imm;
pub mod dp_reg;
pub mod fp;
pub mod ldst;
pub mod ldst_atomic;
pub mod ldst_simd;
pub mod simd_copy;
pub mod simd_crypto;
pub mod simd_fp;
pub mod simd_int;
pub mod simd_lane;
pub mod simd_shift;
pub mod sysreg;
pub mod system;
pub mod undefined;

/// Turns up to four run-time truth values into const generics: `flags!(a, b => |A, B| expr)` evaluates `expr`
/// with `A` and `B` as constants.
macro_rules! flags {
    ($a:expr => |$A:ident| $e:expr) => {
        if $a { const $A: bool = true; $e } else { const $A: bool = false; $e }
    };
    ($a:expr, $($rest:expr),+ => |$A:ident, $($R:ident),+| $e:expr) => {
        if $a {
            const $A: bool = true;
            $crate::a64::sem::flags!($($rest),+ => |$($R),+| $e)
        } else {
            const $A: bool = false;
            $crate::a64::sem::flags!($($rest),+ => |$($R),+| $e)
        }
    };
}
pub(crate) use flags;

/// Turns a run-time number into a const generic: `constants!(n, 0 1 2; 3 => |N| expr)` evaluates `expr` with `N` a
/// constant `u8`, the last one for all that is not listed.
macro_rules! constants {
    ($value:expr, $($n:literal)*; $last:literal => |$N:ident| $e:expr) => {
        match $value {
            $($n => { const $N: u8 = $n; $e })*
            _ => { const $N: u8 = $last; $e }
        }
    };
}
pub(crate) use constants;

/// The same for a condition field. 0b1110 and 0b1111 both mean "always" and share the constant 14.
macro_rules! conds {
    ($c:expr => |$C:ident| $e:expr) => {
        $crate::a64::sem::constants!($c & 15, 0 1 2 3 4 5 6 7 8 9 10 11 12 13; 14 => |$C| $e)
    };
}
pub(crate) use conds;

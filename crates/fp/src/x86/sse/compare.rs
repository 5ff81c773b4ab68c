//! COMIS, UCOMIS and CMP with its 32 predicates.

use super::env::Env;
use super::num::{denormals, unpack};
use crate::compare::{Ordering, order};
use crate::format::Format;
use crate::x86::Exceptions;

/// Compares. A quiet NaN is invalid only where `signalling` (COMIS is, UCOMIS is not).
#[inline]
pub fn compare<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, signalling: bool) -> Ordering {
    match F::host_order(a, b) {
        Some(o) => outcome(o),
        None => compare_soft::<F>(env, a, b, signalling),
    }
}

fn compare_soft<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, signalling: bool) -> Ordering {
    let (x, y) = (unpack::<F>(env, a), unpack::<F>(env, b));
    if x.is_nan() || y.is_nan() {
        if signalling || x.is_signalling() || y.is_signalling() {
            env.raise(Exceptions::IE);
        }
        return Ordering::Unordered;
    }
    denormals::<F, 2>(env, [x, y]);
    outcome(order(x, y))
}

#[inline(always)]
pub(crate) fn outcome(o: std::cmp::Ordering) -> Ordering {
    match o {
        std::cmp::Ordering::Less => Ordering::Less,
        std::cmp::Ordering::Equal => Ordering::Equal,
        std::cmp::Ordering::Greater => Ordering::Greater,
    }
}

/// Outcomes for which a predicate holds: bit 0 less, bit 1 equal, bit 2 greater, bit 3 unordered.
const HOLDS: [u8; 16] = [
    0b0010, // EQ_OQ
    0b0001, // LT_OS
    0b0011, // LE_OS
    0b1000, // UNORD_Q
    0b1101, // NEQ_UQ
    0b1110, // NLT_US
    0b1100, // NLE_US
    0b0111, // ORD_Q
    0b1010, // EQ_UQ
    0b1001, // NGE_US
    0b1011, // NGT_US
    0b0000, // FALSE_OQ
    0b0101, // NEQ_OQ
    0b0110, // GE_OS
    0b0100, // GT_OS
    0b1111, // TRUE_UQ
];

/// Whether predicate `imm` (CMPPS and its kin; bits 4 to 0 count, legacy forms have 2 to 0) holds. Predicates
/// 16 to 31 are 0 to 15 with quiet and signalling swapped.
#[inline]
pub fn cmp<F: Format>(env: &mut Env, a: F::Bits, b: F::Bits, imm: u8) -> bool {
    let signalling = matches!(imm & 3, 1 | 2) != (imm & 16 != 0);
    let bit = match compare::<F>(env, a, b, signalling) {
        Ordering::Less => 0,
        Ordering::Equal => 1,
        Ordering::Greater => 2,
        Ordering::Unordered => 3,
    };
    HOLDS[(imm & 15) as usize] >> bit & 1 != 0
}

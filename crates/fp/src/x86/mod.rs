//! Floating point as x86 defines it (Intel SDM Vol. 1, chapters 4, 8 and 11): [`sse`] for F16C,
//! SSE, AVX and FMA, [`x87`] for the FPU.
//!
//! One [`Exceptions`] set is what one instruction raises, not what has accumulated: an unmasked exception
//! faults although its status flag may be set already.

pub mod sse;
pub mod x87;

use crate::env::Round;

/// Set of exceptions, in the bit positions of MXCSR and of the x87 status word; shifted by 7 or not at all,
/// those are the positions of the masks as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceptions(pub u8);

impl Exceptions {
    /// IE: invalid operation.
    pub const IE: Exceptions = Exceptions(1 << 0);
    /// DE: denormal operand.
    pub const DE: Exceptions = Exceptions(1 << 1);
    /// ZE: division by zero.
    pub const ZE: Exceptions = Exceptions(1 << 2);
    /// OE: overflow.
    pub const OE: Exceptions = Exceptions(1 << 3);
    /// UE: underflow.
    pub const UE: Exceptions = Exceptions(1 << 4);
    /// PE: precision, that is an inexact result.
    pub const PE: Exceptions = Exceptions(1 << 5);
    /// Those found before computation: unmasked, they leave the destination alone (SDM Vol. 1, 4.9).
    pub const BEFORE: Exceptions = Exceptions(0b111);
    /// All of them.
    pub const ALL: Exceptions = Exceptions(0x3f);

    /// Whether all of `other` are in the set.
    #[inline(always)]
    pub const fn contains(self, other: Exceptions) -> bool {
        self.0 & other.0 == other.0
    }

    /// Those in both sets.
    #[inline(always)]
    pub const fn and(self, other: Exceptions) -> Exceptions {
        Exceptions(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[inline(always)]
    pub const fn without(self, other: Exceptions) -> Exceptions {
        Exceptions(self.0 & !other.0)
    }

    /// Whether there is none.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Decodes a rounding control field, whose two bits are the lowest (SDM Vol. 1, table 4-8).
#[inline(always)]
pub const fn rc(field: u32) -> Round {
    match field & 3 {
        0 => Round::NearestEven,
        1 => Round::Down,
        2 => Round::Up,
        _ => Round::Zero,
    }
}

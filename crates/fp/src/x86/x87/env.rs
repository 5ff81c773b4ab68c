//! The control word, and what goes into the status word (SDM Vol. 1, 8.1).

use crate::env::Round;
use crate::x86::Exceptions;

/// What the control word selects, and what one instruction raises.
#[derive(Clone, Copy, Debug)]
pub struct Env {
    /// RC.
    pub round: Round,
    /// PC: significant bits (24, 53 or 64) of the results of addition, subtraction, multiplication, division
    /// and square root. The reserved encoding means 64.
    pub precision: u32,
    /// Masked exceptions.
    pub masks: Exceptions,
    /// Exceptions of this instruction.
    pub raised: Exceptions,
    /// C1: the result was rounded up (away from zero).
    pub up: bool,
    /// A memory operand is a denormal.
    pub(super) denormal: bool,
}

impl Env {
    /// C1 in the status word.
    pub const C1: u16 = 1 << 9;

    /// An environment for one instruction.
    #[inline(always)]
    pub const fn new(cw: u16) -> Env {
        let precision = match cw >> 8 & 3 {
            0 => 24,
            2 => 53,
            _ => 64,
        };
        Env {
            round: crate::x86::rc(cw as u32 >> 10),
            precision,
            masks: Exceptions(cw as u8 & Exceptions::ALL.0),
            raised: Exceptions(0),
            up: false,
            denormal: false,
        }
    }

    /// Whether an unmasked exception found before computation leaves destination and stack as they were.
    #[inline(always)]
    pub const fn blocked(&self) -> bool {
        !self.raised.and(Exceptions::BEFORE).without(self.masks).is_empty()
    }

    /// As [`Env::blocked`], for a load from memory (FLD), where an unmasked DE blocks nothing.
    #[inline(always)]
    pub const fn load_blocked(&self) -> bool {
        self.raised.contains(Exceptions::IE) && !self.masks.contains(Exceptions::IE)
    }

    /// As [`Env::blocked`], for a store to memory, which an unmasked overflow or underflow leaves undone,
    /// too.
    #[inline(always)]
    pub const fn store_blocked(&self) -> bool {
        !self.raised.without(Exceptions::PE).without(self.masks).is_empty()
    }

    /// Whether an unmasked exception waits for the next waiting instruction (ES in the status word).
    #[inline(always)]
    pub const fn pending(&self) -> bool {
        !self.raised.without(self.masks).is_empty()
    }

    /// Exception flags to be set in the status word, and the value of C1.
    #[inline(always)]
    pub const fn status(&self) -> u16 {
        if self.blocked() {
            return self.raised.and(Exceptions::BEFORE).0 as u16;
        }
        self.raised.0 as u16 | if self.up { Env::C1 } else { 0 }
    }

    /// Ends the instruction: the status word with exception flags, C1, and ES and B. C0, C2 and C3 are the
    /// caller's.
    #[inline(always)]
    pub const fn retire(&self, sw: u16) -> u16 {
        const ES_B: u16 = 1 << 7 | 1 << 15;
        sw & !Env::C1 | self.status() | if self.pending() { ES_B } else { 0 }
    }

    /// Adds exceptions.
    #[inline(always)]
    pub(super) const fn raise(&mut self, e: Exceptions) {
        self.raised.0 |= e.0;
    }

    /// Whether an exception is masked.
    #[inline(always)]
    pub(super) const fn masks(&self, e: Exceptions) -> bool {
        self.masks.contains(e)
    }
}

//! MXCSR (SDM Vol. 1, 10.2.3).

use crate::env::Round;
use crate::x86::{Exceptions, rc};

/// What MXCSR selects, and the exceptions of one instruction.
#[derive(Clone, Copy, Debug)]
pub struct Env {
    /// RC.
    pub round: Round,
    /// DAZ: denormal operands are zeros, without DE.
    pub daz: bool,
    /// FTZ: where UE is masked, tiny results become zeros.
    pub ftz: bool,
    /// Masked exceptions.
    pub masks: Exceptions,
    /// Exceptions of this instruction so far.
    pub raised: Exceptions,
    /// Rounding is the host's and inexactness shows nowhere.
    pub(super) host: bool,
}

impl Env {
    /// An environment for one instruction.
    #[inline(always)]
    pub const fn new(mxcsr: u32) -> Env {
        const NEAREST_PM_PE: u32 = 1 << 12 | 1 << 5;
        Env {
            round: rc(mxcsr >> 13),
            daz: mxcsr >> 6 & 1 != 0,
            ftz: mxcsr >> 15 & 1 != 0,
            masks: Exceptions((mxcsr >> 7) as u8 & Exceptions::ALL.0),
            raised: Exceptions(0),
            host: mxcsr & (3 << 13 | NEAREST_PM_PE) == NEAREST_PM_PE,
        }
    }

    /// Ends the instruction: MXCSR with the status flags added, and whether `#XM` (or `#UD` without
    /// CR4.OSXMMEXCPT) is due, in which case the destination stays as it was. An unmasked exception that is
    /// found before computation, in any element, hides those found after it (SDM Vol. 1, 11.5.2.3 and
    /// 11.5.3.2).
    #[inline(always)]
    pub const fn retire(&self, mxcsr: u32) -> (u32, bool) {
        let before = self.raised.and(Exceptions::BEFORE);
        let raised = if before.without(self.masks).is_empty() { self.raised } else { before };
        (mxcsr | raised.0 as u32, self.blocked())
    }

    /// Whether an exception is unmasked, so that the destination stays as it was.
    #[inline(always)]
    pub const fn blocked(&self) -> bool {
        !self.raised.without(self.masks).is_empty()
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

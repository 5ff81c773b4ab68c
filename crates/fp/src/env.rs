//! What the guest's control register selects, and the exceptions that have accumulated.

use crate::format::Format;

/// Rounding mode. The first four are in the order of FPCR.RMode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// To nearest, ties to even.
    NearestEven,
    /// Towards plus infinity.
    Up,
    /// Towards minus infinity.
    Down,
    /// Towards zero.
    Zero,
    /// To nearest, ties away from zero.
    NearestAway,
    /// To odd (von Neumann rounding: an inexact result has its lowest bit set).
    Odd,
}

/// Which NaN a two- or three-operand operation returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NanRule {
    /// The first signalling NaN, quieted, else the first quiet one; the addend of a fused multiply-add counts
    /// as first (Arm ARM, `FPProcessNaNs3`).
    Arm,
}

/// Control of all operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Rounding mode of operations that do not name their own.
    pub round: Round,
    /// FPCR.FZ: denormal F32 and F64 operands are zeros, results below the normal range become zeros.
    pub flush: bool,
    /// FPCR.FZ16: the same for F16, except in conversions between formats.
    pub flush16: bool,
    /// FPCR.AHP: in conversions between formats F16 has no infinities and NaNs.
    pub alt_half: bool,
    /// FPCR.DN: every NaN result is the default NaN.
    pub default_nan: bool,
    /// Propagation of NaNs.
    pub nan: NanRule,
}

impl Policy {
    /// The state after reset: round to nearest, nothing flushed.
    pub const DEFAULT: Policy = Policy {
        round: Round::NearestEven,
        flush: false,
        flush16: false,
        alt_half: false,
        default_nan: false,
        nan: NanRule::Arm,
    };

    /// Decodes FPCR (Arm ARM C5.2.8).
    #[inline(always)]
    pub const fn from_fpcr(fpcr: u64) -> Policy {
        let round = match fpcr >> 22 & 3 {
            0 => Round::NearestEven,
            1 => Round::Up,
            2 => Round::Down,
            _ => Round::Zero,
        };
        Policy {
            round,
            flush: fpcr >> 24 & 1 != 0,
            flush16: fpcr >> 19 & 1 != 0,
            alt_half: fpcr >> 26 & 1 != 0,
            default_nan: fpcr >> 25 & 1 != 0,
            nan: NanRule::Arm,
        }
    }

    /// Whether denormals of the format are flushed.
    #[inline(always)]
    pub(crate) const fn flushes<F: Format>(&self) -> bool {
        if F::HALF { self.flush16 } else { self.flush }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::DEFAULT
    }
}

/// Set of accumulated exceptions, in the bit positions of FPSR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// IOC: invalid operation.
    pub const INVALID: Flags = Flags(1 << 0);
    /// DZC: division by zero.
    pub const DIV_BY_ZERO: Flags = Flags(1 << 1);
    /// OFC: overflow.
    pub const OVERFLOW: Flags = Flags(1 << 2);
    /// UFC: underflow.
    pub const UNDERFLOW: Flags = Flags(1 << 3);
    /// IXC: inexact.
    pub const INEXACT: Flags = Flags(1 << 4);
    /// IDC: a denormal operand was flushed.
    pub const INPUT_DENORMAL: Flags = Flags(1 << 7);
    /// All of them.
    pub const ALL: Flags = Flags(0x9f);

    /// Whether all of `other` are set.
    #[inline(always)]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Policy and accumulated exceptions: what every operation takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// Control.
    pub policy: Policy,
    /// Exceptions so far. Start from the guest's status register: host arithmetic serves only where the
    /// inexact flag is set already.
    pub flags: Flags,
}

impl Env {
    /// An environment from FPCR and FPSR.
    #[inline(always)]
    pub const fn arm(fpcr: u64, fpsr: u64) -> Env {
        Env { policy: Policy::from_fpcr(fpcr), flags: Flags(fpsr as u32 & Flags::ALL.0) }
    }

    /// Adds exceptions.
    #[inline(always)]
    pub const fn raise(&mut self, f: Flags) {
        self.flags.0 |= f.0;
    }

    /// Whether inexactness needs no detection and rounding is the host's.
    #[inline(always)]
    pub(crate) const fn host_rounds(&self) -> bool {
        matches!(self.policy.round, Round::NearestEven) && self.flags.contains(Flags::INEXACT)
    }
}

//! Floating point on the host's unit: what [`crate::Emit`] offers of it.
//!
//! Front ends use these operations where the guest's control register says what the host's does at rest: round to
//! nearest even, nothing flushed, nothing trapped ([`AVAILABLE`]). Then values are IEEE 754's on both sides, and the
//! exceptions accumulate in the host's status ([`crate::host`]). What is left to differ is in [`Sound`].

use crate::flags::{C, N, V, Z};

/// Whether the operations are the host's. Where not, front ends must not use them.
pub const AVAILABLE: bool = cfg!(target_arch = "x86_64");

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// binary32.
    S,
    /// binary64.
    D,
}

/// Lanes that an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The lowest; the rest of the result is zero.
    Low,
    /// All.
    All,
}

/// Two-operand arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FBin {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`.
    Div,
    /// `a` where `a < b`, else `b`, as x86 has it: a NaN is invalid.
    Min,
    /// `a` where `a > b`, else `b`, as x86 has it: a NaN is invalid.
    Max,
    /// The lesser, of zeros the negative one. Some NaN where one is a NaN, of which a quiet one is not invalid.
    Minimum,
    /// The greater, of zeros the positive one; of NaNs as [`FBin::Minimum`].
    Maximum,
}

/// To which integral value a number is rounded, by the numbers that x86 has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To nearest, ties to even.
    Nearest,
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
    /// Towards zero.
    Zero,
}

impl Rounding {
    /// By the number that MXCSR.RC has for it, modulo 4.
    #[inline(always)]
    pub const fn from_bits(n: u8) -> Rounding {
        match n & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::Down,
            2 => Rounding::Up,
            _ => Rounding::Zero,
        }
    }
}

/// One-operand arithmetic. The format is the result's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FUn {
    /// Square root.
    Sqrt,
    /// From the other format: the low lane, or the two low lanes. What is above the result is zero.
    Convert,
    /// From signed 32-bit integers: as many low lanes as the result has.
    FromInt32,
    /// To signed 32-bit integers towards zero; the format is the operand's. What is above the results is zero. What does
    /// not fit is invalid, and becomes the least integer.
    ToInt32,
    /// To an integral value. What is none is inexact where the truth value says so, and else raises nothing. Only where
    /// [`crate::host::has_rounding`].
    Round(Rounding, bool),
    /// The sign inverted, also that of a NaN. Raises nothing.
    Neg,
    /// The sign clear, also that of a NaN. Raises nothing.
    Abs,
}

/// What a comparison asks, in the order of the immediate of CMPPD. To those that are not quiet every NaN is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FCc {
    /// `a == b`, quiet.
    Eq,
    /// `a < b`.
    Lt,
    /// `a <= b`.
    Le,
    /// Unordered, quiet.
    Un,
    /// Not `a == b`, quiet.
    Ne,
    /// Not `a < b`.
    Nlt,
    /// Not `a <= b`.
    Nle,
    /// Ordered, quiet.
    Or,
}

impl FCc {
    /// By the number that CMPPD has for it, modulo 8.
    #[inline(always)]
    pub const fn from_bits(n: u8) -> FCc {
        match n & 7 {
            0 => FCc::Eq,
            1 => FCc::Lt,
            2 => FCc::Le,
            3 => FCc::Un,
            4 => FCc::Ne,
            5 => FCc::Nlt,
            6 => FCc::Nle,
            _ => FCc::Or,
        }
    }
}

/// Results that the host's unit is not asked twice about; others are left to a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Neither a NaN, because which one it is differs between architectures, nor a magnitude of the smallest normal
    /// number: ARM finds tininess before rounding, x86 after it, which differs where rounding leads there.
    Normal,
    /// Not a NaN.
    Number,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `a < b`.
    Less,
    /// `a == b`.
    Equal,
    /// `a > b`.
    Greater,
    /// One is a NaN.
    Unordered,
}

impl Relation {
    /// Of two numbers by their bits.
    pub const fn of(f: Float, a: u64, b: u64) -> Relation {
        let sign = 1 << (f.bits() - 1);
        let (a, b) = (a & (sign | (sign - 1)), b & (sign | (sign - 1)));
        let (x, y) = (a & !sign, b & !sign);
        if x > f.infinity() || y > f.infinity() {
            return Relation::Unordered;
        }
        let x = if a & sign != 0 { -(x as i64) } else { x as i64 };
        let y = if b & sign != 0 { -(y as i64) } else { y as i64 };
        if x < y {
            Relation::Less
        } else if x > y {
            Relation::Greater
        } else {
            Relation::Equal
        }
    }
}

/// How an architecture shows a comparison in its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagStyle {
    /// N, ZC, C and CV (Arm ARM, `FPCompare`).
    Arm,
    /// CF, ZF, none, and ZF PF CF (SDM Vol. 2, UCOMISD); CF is the complement of C.
    X86,
}

impl FlagStyle {
    /// The raw flag word.
    #[inline(always)]
    pub const fn word(self, r: Relation) -> u64 {
        match (self, r) {
            (FlagStyle::Arm, Relation::Less) => N,
            (FlagStyle::Arm, Relation::Equal) => Z | C,
            (FlagStyle::Arm, Relation::Greater) => C,
            (FlagStyle::Arm, Relation::Unordered) => C | V,
            // PF is clear where the byte has an odd number of ones.
            (FlagStyle::X86, Relation::Less) => 1,
            (FlagStyle::X86, Relation::Equal) => Z | C | 1,
            (FlagStyle::X86, Relation::Greater) => C | 1,
            (FlagStyle::X86, Relation::Unordered) => Z,
        }
    }
}

impl Float {
    /// Bits of a number.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        match self {
            Float::S => 32,
            Float::D => 64,
        }
    }

    /// The sign's bit in the lanes of `p`.
    #[inline(always)]
    pub const fn signs(self, p: Part) -> u128 {
        let low = 1 << (self.bits() - 1);
        match (p, self) {
            (Part::Low, _) => low,
            (Part::All, Float::D) => low | low << 64,
            (Part::All, Float::S) => low | low << 32 | low << 64 | low << 96,
        }
    }

    /// Bits of a number as a lane.
    #[inline(always)]
    pub const fn lane(self) -> crate::Lane {
        match self {
            Float::S => crate::Lane::S,
            Float::D => crate::Lane::D,
        }
    }

    /// The other one.
    #[inline(always)]
    pub const fn other(self) -> Float {
        match self {
            Float::S => Float::D,
            Float::D => Float::S,
        }
    }

    /// Infinity.
    #[inline(always)]
    pub const fn infinity(self) -> u64 {
        match self {
            Float::S => 0x7f80_0000,
            Float::D => 0x7ff0_0000_0000_0000,
        }
    }

    /// The smallest normal number.
    #[inline(always)]
    pub const fn min_normal(self) -> u64 {
        match self {
            Float::S => 0x0080_0000,
            Float::D => 0x0010_0000_0000_0000,
        }
    }

    /// Whether a result is sound, from its bits.
    #[inline(always)]
    pub const fn sound(self, s: Sound, raw: u64) -> bool {
        let magnitude = raw & (u64::MAX >> (65 - self.bits()));
        magnitude <= self.infinity() && (matches!(s, Sound::Number) || magnitude != self.min_normal())
    }

    /// Whether all lanes of a result are.
    #[inline(always)]
    pub const fn all_sound(self, s: Sound, p: Part, v: u128) -> bool {
        match (p, self) {
            (Part::Low, _) => self.sound(s, v as u64),
            (Part::All, Float::D) => self.sound(s, v as u64) && self.sound(s, (v >> 64) as u64),
            (Part::All, Float::S) => {
                self.sound(s, v as u64)
                    && self.sound(s, (v >> 32) as u64)
                    && self.sound(s, (v >> 64) as u64)
                    && self.sound(s, (v >> 96) as u64)
            }
        }
    }

    /// Whether the truncation of `raw` fits a signed integer of `bits` bits, by its exponent. The least integer counts
    /// as one that does not.
    #[inline(always)]
    pub const fn truncates_into(self, bits: u32, raw: u64) -> bool {
        let (shift, bias) = match self {
            Float::S => (23, 127),
            Float::D => (52, 1023),
        };
        let exp = (raw & self.infinity()) >> shift;
        exp < bias + bits as u64 - 1
    }
}

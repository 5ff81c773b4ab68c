//! [`Word`]: an A64 instruction word and its usual fields.

use lyrebird_isa::Reg;

use super::regs;

/// An instruction word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u32);

impl Word {
    /// Bits `lo + len - 1` to `lo`.
    #[inline(always)]
    pub const fn bits(self, lo: u32, len: u32) -> u32 {
        (self.0 >> lo) & ((1u64 << len) - 1) as u32
    }

    /// Bit `n` as a truth value.
    #[inline(always)]
    pub const fn bit(self, n: u32) -> bool {
        self.0 >> n & 1 != 0
    }

    /// Bits `lo + len - 1` to `lo`, sign-extended.
    #[inline(always)]
    pub const fn sbits(self, lo: u32, len: u32) -> i64 {
        ((self.bits(lo, len) as i64) << (64 - len)) >> (64 - len)
    }

    /// `sf`, bit 31.
    #[inline(always)]
    pub const fn sf(self) -> bool {
        self.bit(31)
    }

    /// Field Rd or Rt, bits 4 to 0, as a number.
    #[inline(always)]
    pub const fn d(self) -> u32 {
        self.bits(0, 5)
    }

    /// Field Rn, bits 9 to 5, as a number.
    #[inline(always)]
    pub const fn n(self) -> u32 {
        self.bits(5, 5)
    }

    /// Field Rm, bits 20 to 16, as a number.
    #[inline(always)]
    pub const fn m(self) -> u32 {
        self.bits(16, 5)
    }

    /// Field Ra or Rt2, bits 14 to 10, as a number.
    #[inline(always)]
    pub const fn a(self) -> u32 {
        self.bits(10, 5)
    }

    /// Rd as a destination, 31 meaning XZR.
    #[inline(always)]
    pub const fn rd(self) -> Reg {
        regs::x_dst(self.d())
    }

    /// Rt as a source, 31 meaning XZR.
    #[inline(always)]
    pub const fn rt_src(self) -> Reg {
        regs::x_src(self.d())
    }

    /// Rd, 31 meaning SP.
    #[inline(always)]
    pub const fn rd_sp(self) -> Reg {
        regs::x_sp(self.d())
    }

    /// Rn, 31 meaning XZR.
    #[inline(always)]
    pub const fn rn(self) -> Reg {
        regs::x_src(self.n())
    }

    /// Rn, 31 meaning SP.
    #[inline(always)]
    pub const fn rn_sp(self) -> Reg {
        regs::x_sp(self.n())
    }

    /// Rm, 31 meaning XZR.
    #[inline(always)]
    pub const fn rm(self) -> Reg {
        regs::x_src(self.m())
    }

    /// Ra, 31 meaning XZR.
    #[inline(always)]
    pub const fn ra(self) -> Reg {
        regs::x_src(self.a())
    }
}

//! The primitive operations of [`crate::Emit`]. All are total: no input traps, so that the compiler may
//! emit host instructions and the interpreter may call Rust operators with the same result.

/// Operand width in bits. A result is zero-extended to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 8 bits.
    W8,
    /// 16 bits.
    W16,
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// Twice as wide; 64 bits stay.
    #[inline(always)]
    pub const fn double(self) -> Width {
        match self {
            Width::W8 => Width::W16,
            Width::W16 => Width::W32,
            _ => Width::W64,
        }
    }

    /// `W64` where `sf` is set, else `W32` (the A64 `sf` bit, the x86 `REX.W` bit).
    #[inline(always)]
    pub const fn sf(sf: bool) -> Width {
        if sf { Width::W64 } else { Width::W32 }
    }

    /// Width in bits.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        match self {
            Width::W8 => 8,
            Width::W16 => 16,
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// All ones in the low [`Width::bits`] bits.
    #[inline(always)]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// Zero-extends the low bits of `v`.
    #[inline(always)]
    pub const fn zext(self, v: u64) -> u64 {
        v & self.mask()
    }

    /// Sign-extends the low bits of `v` to 64 bits.
    #[inline(always)]
    pub const fn sext(self, v: u64) -> u64 {
        let s = 64 - self.bits();
        (((v << s) as i64) >> s) as u64
    }
}

/// Two-operand integer operations on the low `width` bits of both operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bin {
    /// Wrapping addition.
    Add,
    /// Wrapping subtraction.
    Sub,
    /// Low half of the product.
    Mul,
    /// High half of the unsigned product (`W64` only).
    Umulh,
    /// High half of the signed product (`W64` only).
    Smulh,
    /// Unsigned quotient; 0 where the divisor is 0.
    Udiv,
    /// Signed quotient rounded towards zero; 0 where the divisor is 0, MIN for MIN / -1.
    Sdiv,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// `a & !b` (A64 `BIC`, x86 `ANDN` with swapped operands).
    Bic,
    /// Left shift; the amount is taken modulo the width.
    Shl,
    /// Logical right shift; the amount is taken modulo the width.
    Shr,
    /// Arithmetic right shift; the amount is taken modulo the width.
    Sar,
    /// Rotate right; the amount is taken modulo the width.
    Ror,
}

impl Bin {
    /// The operation on host integers.
    #[inline(always)]
    pub const fn eval(self, w: Width, a: u64, b: u64) -> u64 {
        let bits = w.bits();
        let (ua, ub) = (w.zext(a), w.zext(b));
        let n = (b as u32) & (bits - 1);
        let r = match self {
            Bin::Add => a.wrapping_add(b),
            Bin::Sub => a.wrapping_sub(b),
            Bin::Mul => a.wrapping_mul(b),
            Bin::Umulh => ((a as u128 * b as u128) >> 64) as u64,
            Bin::Smulh => ((a as i64 as i128 * b as i64 as i128) >> 64) as u64,
            Bin::Udiv => match ua.checked_div(ub) {
                Some(q) => q,
                None => 0,
            },
            Bin::Sdiv => {
                if ub == 0 {
                    0
                } else {
                    (w.sext(a) as i64).wrapping_div(w.sext(b) as i64) as u64
                }
            }
            Bin::And => a & b,
            Bin::Or => a | b,
            Bin::Xor => a ^ b,
            Bin::Bic => a & !b,
            Bin::Shl => a << n,
            Bin::Shr => ua >> n,
            Bin::Sar => ((w.sext(a) as i64) >> n) as u64,
            Bin::Ror => match w {
                Width::W64 => a.rotate_right(n),
                Width::W32 => (a as u32).rotate_right(n) as u64,
                Width::W16 => (a as u16).rotate_right(n) as u64,
                Width::W8 => (a as u8).rotate_right(n) as u64,
            },
        };
        w.zext(r)
    }
}

/// One-operand integer operations on the low `width` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Un {
    /// Bitwise complement.
    Not,
    /// Two's complement negation.
    Neg,
    /// Count of leading zeros; the width for 0.
    Clz,
    /// Count of trailing zeros; the width for 0.
    Ctz,
    /// Count of ones.
    Popcnt,
    /// Bit reversal.
    Rbit,
    /// Byte reversal.
    Bswap,
}

impl Un {
    /// The operation on host integers.
    #[inline(always)]
    pub const fn eval(self, w: Width, a: u64) -> u64 {
        let bits = w.bits();
        let z = w.zext(a);
        let r = match self {
            Un::Not => !a,
            Un::Neg => a.wrapping_neg(),
            Un::Clz => (z.leading_zeros() - (64 - bits)) as u64,
            Un::Ctz => {
                if z == 0 {
                    bits as u64
                } else {
                    z.trailing_zeros() as u64
                }
            }
            Un::Popcnt => z.count_ones() as u64,
            Un::Rbit => z.reverse_bits() >> (64 - bits),
            Un::Bswap => z.swap_bytes() >> (64 - bits),
        };
        w.zext(r)
    }
}

/// Integer comparison on the low `width` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cc {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Unsigned less than.
    Ult,
    /// Unsigned less than or equal.
    Ule,
    /// Signed less than.
    Slt,
    /// Signed less than or equal.
    Sle,
}

impl Cc {
    /// The comparison on host integers.
    #[inline(always)]
    pub const fn eval(self, w: Width, a: u64, b: u64) -> bool {
        let (ua, ub) = (w.zext(a), w.zext(b));
        let (sa, sb) = (w.sext(a) as i64, w.sext(b) as i64);
        match self {
            Cc::Eq => ua == ub,
            Cc::Ne => ua != ub,
            Cc::Ult => ua < ub,
            Cc::Ule => ua <= ub,
            Cc::Slt => sa < sb,
            Cc::Sle => sa <= sb,
        }
    }
}

/// Atomic read-modify-write operations on guest memory. Operands are `size` bytes wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rmw {
    /// Store the operand.
    Swp = 0,
    /// Add.
    Add,
    /// Clear the bits that are set in the operand.
    Clr,
    /// Exclusive or.
    Eor,
    /// Set bits.
    Set,
    /// Signed maximum.
    Smax,
    /// Signed minimum.
    Smin,
    /// Unsigned maximum.
    Umax,
    /// Unsigned minimum.
    Umin,
}

impl Rmw {
    /// All operations, in the order of their discriminants.
    pub const ALL: [Rmw; 9] =
        [Rmw::Swp, Rmw::Add, Rmw::Clr, Rmw::Eor, Rmw::Set, Rmw::Smax, Rmw::Smin, Rmw::Umax, Rmw::Umin];

    /// The new memory value from the old one and the operand; the low `w` bits count.
    #[inline]
    pub const fn eval(self, w: Width, old: u64, v: u64) -> u64 {
        let (so, sv) = (w.sext(old) as i64, w.sext(v) as i64);
        let (uo, uv) = (w.zext(old), w.zext(v));
        let r = match self {
            Rmw::Swp => v,
            Rmw::Add => old.wrapping_add(v),
            Rmw::Clr => old & !v,
            Rmw::Eor => old ^ v,
            Rmw::Set => old | v,
            Rmw::Smax => {
                if so >= sv {
                    old
                } else {
                    v
                }
            }
            Rmw::Smin => {
                if so <= sv {
                    old
                } else {
                    v
                }
            }
            Rmw::Umax => {
                if uo >= uv {
                    old
                } else {
                    v
                }
            }
            Rmw::Umin => {
                if uo <= uv {
                    old
                } else {
                    v
                }
            }
        };
        w.zext(r)
    }
}

/// Lane width of a vector operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Sixteen lanes of 8 bits.
    B,
    /// Eight lanes of 16 bits.
    H,
    /// Four lanes of 32 bits.
    S,
    /// Two lanes of 64 bits.
    D,
}

impl Lane {
    /// The lane width as a scalar width.
    #[inline(always)]
    pub const fn width(self) -> Width {
        match self {
            Lane::B => Width::W8,
            Lane::H => Width::W16,
            Lane::S => Width::W32,
            Lane::D => Width::W64,
        }
    }

    /// The lane whose width is `8 << n` bits, `n` modulo 4 (the A64 `size` field).
    #[inline(always)]
    pub const fn from_size(n: u32) -> Lane {
        match n & 3 {
            0 => Lane::B,
            1 => Lane::H,
            2 => Lane::S,
            _ => Lane::D,
        }
    }
}

/// Lane-wise integer operations on 128-bit vectors; what is not here goes through a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VBin {
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// `a & !b`.
    Bic,
    /// Wrapping addition.
    Add,
    /// Wrapping subtraction.
    Sub,
    /// All ones where equal.
    CmpEq,
    /// All ones where signed `a > b`.
    CmpGt,
    /// All ones where signed `a >= b`.
    CmpGe,
    /// All ones where unsigned `a > b`.
    CmpHi,
    /// All ones where unsigned `a >= b`.
    CmpHs,
    /// Signed maximum (lanes up to 32 bits).
    Smax,
    /// Signed minimum (lanes up to 32 bits).
    Smin,
    /// Unsigned maximum (lanes up to 32 bits).
    Umax,
    /// Unsigned minimum (lanes up to 32 bits).
    Umin,
}

impl VBin {
    /// One lane of the operation.
    #[inline(always)]
    pub const fn eval_lane(self, w: Width, a: u64, b: u64) -> u64 {
        let (sa, sb) = (w.sext(a) as i64, w.sext(b) as i64);
        let (ua, ub) = (w.zext(a), w.zext(b));
        let r = match self {
            VBin::And => a & b,
            VBin::Or => a | b,
            VBin::Xor => a ^ b,
            VBin::Bic => a & !b,
            VBin::Add => a.wrapping_add(b),
            VBin::Sub => a.wrapping_sub(b),
            VBin::CmpEq => (ua == ub) as u64 * w.mask(),
            VBin::CmpGt => (sa > sb) as u64 * w.mask(),
            VBin::CmpGe => (sa >= sb) as u64 * w.mask(),
            VBin::CmpHi => (ua > ub) as u64 * w.mask(),
            VBin::CmpHs => (ua >= ub) as u64 * w.mask(),
            VBin::Smax => {
                if sa > sb {
                    a
                } else {
                    b
                }
            }
            VBin::Smin => {
                if sa < sb {
                    a
                } else {
                    b
                }
            }
            VBin::Umax => {
                if ua > ub {
                    a
                } else {
                    b
                }
            }
            VBin::Umin => {
                if ua < ub {
                    a
                } else {
                    b
                }
            }
        };
        w.zext(r)
    }

    /// The operation on whole vectors.
    #[inline]
    pub fn eval(self, lane: Lane, a: u128, b: u128) -> u128 {
        match self {
            VBin::And => return a & b,
            VBin::Or => return a | b,
            VBin::Xor => return a ^ b,
            VBin::Bic => return a & !b,
            _ => {}
        }
        let w = lane.width();
        let bits = w.bits();
        let mut r = 0u128;
        let mut at = 0;
        while at < 128 {
            let v = self.eval_lane(w, (a >> at) as u64, (b >> at) as u64);
            r |= (v as u128) << at;
            at += bits;
        }
        r
    }
}

//! Condition flags, kept lazily: an operation records its operands, a reader evaluates what it needs.
//!
//! Every instance keeps the same three words in [`crate::Core`]: `flag_op`, `flag_a`, `flag_b`.
//! Narrow operations are recorded with both operands shifted to the top, which leaves N, Z, C and V of the
//! 64-bit operation equal to those of the narrow one, so that readers know only one width. `flag_op` holds the
//! [`FlagOp`] in its low byte and the shift in the next: x86's PF and AF sit at the bottom of the operation.
//! A logical result `r` is recorded as `r + 0` (A64: C clear) or `r - 0` (x86, whose CF is the complement of C).

use crate::float::{FlagStyle, Float, Relation};
use crate::ops::Width;

/// What `flag_a` and `flag_b` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum FlagOp {
    /// `flag_a` holds N, Z, C, V in bits 31 to 28; below them [`A`] and a byte of which [`parity`] is x86's PF.
    Raw = 0,
    /// Flags of `flag_a + flag_b`.
    Add = 1,
    /// Flags of `flag_a - flag_b`; C is "no borrow", as in ARM.
    Sub = 2,
    /// Flags of `flag_a + flag_b` with C the complement of the carry: x86's CF is the complement of C everywhere, so
    /// that one condition means the same after every operation.
    AddX86 = 3,
    /// Flags of a floating-point comparison of `flag_a` and `flag_b`, whose bits are at the bottom; see
    /// [`pack_relation`].
    Float = 4,
    /// N, Z and PF's byte of the result `flag_a`; C, V and AF as they stand in `flag_b` ([`carries`]). For operations whose
    /// carries nothing short can tell again: shifts, multiplications, additions of a third operand.
    Result = 5,
}

/// The second operand of [`FlagOp::Result`], its bits below 8: C, V and AF, 0 or 1 each.
#[inline(always)]
pub const fn carries(c: bool, v: bool, af: bool) -> u64 {
    c as u64 | (v as u64) << V_CARRY | (af as u64) << A_CARRY
}

/// Number of V's bit in [`carries`]; C's is 0.
pub const V_CARRY: u32 = 1;
/// Number of AF's bit in [`carries`].
pub const A_CARRY: u32 = 2;

/// Where a word of [`crate::Core::flag_op`] has the number of bits by which the operands are shifted up, six wide.
pub const OP_SHIFT: u32 = 8;

/// [`FlagOp`] and width as [`crate::Core::flag_op`] holds them.
#[inline(always)]
pub const fn pack_op(op: FlagOp, w: Width) -> u64 {
    op as u64 | ((64 - w.bits()) as u64) << OP_SHIFT
}

/// [`FlagOp::Float`] with the format and style as [`crate::Core::flag_op`] holds them.
#[inline(always)]
pub const fn pack_relation(f: Float, style: FlagStyle) -> u64 {
    FlagOp::Float as u64 | (style as u64) << 16 | (f as u64) << 24
}

/// The raw flag word of a recorded comparison.
#[cold]
const fn relation_word(op: u64, a: u64, b: u64) -> u64 {
    let f = if op >> 24 & 1 == Float::S as u64 { Float::S } else { Float::D };
    let style = if op >> 16 & 1 == FlagStyle::Arm as u64 { FlagStyle::Arm } else { FlagStyle::X86 };
    style.word(Relation::of(f, a, b))
}

/// Bit of N in a raw flag word (the layout of PSTATE and SPSR).
pub const N: u64 = 1 << 31;
/// Bit of Z in a raw flag word.
pub const Z: u64 = 1 << 30;
/// Bit of C in a raw flag word.
pub const C: u64 = 1 << 29;
/// Bit of V in a raw flag word.
pub const V: u64 = 1 << 28;
/// Bit of x86's AF in a raw flag word.
pub const A: u64 = 1 << 27;
/// The byte of a raw flag word whose parity is x86's PF: the low byte of the result.
pub const P_BYTE: u64 = 0xff;

/// All bits of a raw flag word that mean something.
pub const RAW: u64 = N | Z | C | V | A | P_BYTE;

/// x86's PF for the low byte of a result: 1 where it has an even number of ones.
#[inline(always)]
pub const fn parity(byte: u64) -> u64 {
    ((byte as u8).count_ones() & 1 ^ 1) as u64
}

/// Conditions, in the order of the A64 `cond` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cond {
    /// Z.
    Eq = 0,
    /// Not Z.
    Ne,
    /// C.
    Cs,
    /// Not C.
    Cc,
    /// N.
    Mi,
    /// Not N.
    Pl,
    /// V.
    Vs,
    /// Not V.
    Vc,
    /// C and not Z.
    Hi,
    /// Not C, or Z.
    Ls,
    /// N equals V.
    Ge,
    /// N differs from V.
    Lt,
    /// Not Z, and N equals V.
    Gt,
    /// Z, or N differs from V.
    Le,
    /// Always.
    Al,
    /// Always (encoding 0b1111).
    Nv,
}

impl Cond {
    /// All conditions by encoding.
    pub const ALL: [Cond; 16] = [
        Cond::Eq,
        Cond::Ne,
        Cond::Cs,
        Cond::Cc,
        Cond::Mi,
        Cond::Pl,
        Cond::Vs,
        Cond::Vc,
        Cond::Hi,
        Cond::Ls,
        Cond::Ge,
        Cond::Lt,
        Cond::Gt,
        Cond::Le,
        Cond::Al,
        Cond::Nv,
    ];

    /// The condition with encoding `n` (modulo 16).
    #[inline(always)]
    pub const fn from_bits(n: u32) -> Cond {
        Cond::ALL[(n & 15) as usize]
    }

    /// Whether the condition holds for a raw flag word.
    #[inline]
    pub const fn eval_raw(self, nzcv: u64) -> bool {
        self.eval_bits(nzcv & N != 0, nzcv & Z != 0, nzcv & C != 0, nzcv & V != 0)
    }

    /// Whether the condition holds for N, Z, C and V.
    #[inline(always)]
    const fn eval_bits(self, n: bool, z: bool, c: bool, v: bool) -> bool {
        match self {
            Cond::Eq => z,
            Cond::Ne => !z,
            Cond::Cs => c,
            Cond::Cc => !c,
            Cond::Mi => n,
            Cond::Pl => !n,
            Cond::Vs => v,
            Cond::Vc => !v,
            Cond::Hi => c && !z,
            Cond::Ls => !c || z,
            Cond::Ge => n == v,
            Cond::Lt => n != v,
            Cond::Gt => !z && n == v,
            Cond::Le => z || n != v,
            Cond::Al | Cond::Nv => true,
        }
    }

    /// Whether the condition holds after `a - b` (64 bits).
    #[inline(always)]
    pub const fn eval_sub(self, a: u64, b: u64) -> bool {
        let r = a.wrapping_sub(b);
        match self {
            Cond::Eq => a == b,
            Cond::Ne => a != b,
            Cond::Cs => a >= b,
            Cond::Cc => a < b,
            Cond::Mi => (r as i64) < 0,
            Cond::Pl => (r as i64) >= 0,
            Cond::Vs => (((a ^ b) & (a ^ r)) as i64) < 0,
            Cond::Vc => (((a ^ b) & (a ^ r)) as i64) >= 0,
            Cond::Hi => a > b,
            Cond::Ls => a <= b,
            Cond::Ge => (a as i64) >= (b as i64),
            Cond::Lt => (a as i64) < (b as i64),
            Cond::Gt => (a as i64) > (b as i64),
            Cond::Le => (a as i64) <= (b as i64),
            Cond::Al | Cond::Nv => true,
        }
    }

    /// Whether the condition holds after `a + b` (64 bits).
    #[inline(always)]
    pub const fn eval_add(self, a: u64, b: u64) -> bool {
        let r = a.wrapping_add(b);
        let n = (r as i64) < 0;
        let v = (((a ^ r) & (b ^ r)) as i64) < 0;
        match self {
            Cond::Eq => r == 0,
            Cond::Ne => r != 0,
            Cond::Cs => r < a,
            Cond::Cc => r >= a,
            Cond::Mi => n,
            Cond::Pl => !n,
            Cond::Vs => v,
            Cond::Vc => !v,
            Cond::Hi => r < a && r != 0,
            Cond::Ls => r >= a || r == 0,
            Cond::Ge => n == v,
            Cond::Lt => n != v,
            Cond::Gt => r != 0 && n == v,
            Cond::Le => r == 0 || n != v,
            Cond::Al | Cond::Nv => true,
        }
    }

    /// Whether the condition holds for recorded flags.
    #[inline(always)]
    pub const fn eval(self, full: u64, a: u64, b: u64) -> bool {
        let op = full as u8;
        if op == FlagOp::Sub as u8 {
            self.eval_sub(a, b)
        } else if op == FlagOp::Add as u8 {
            self.eval_add(a, b)
        } else if op == FlagOp::Raw as u8 {
            self.eval_raw(a)
        } else if op == FlagOp::AddX86 as u8 {
            self.eval_add_x86(a, b)
        } else if op == FlagOp::Result as u8 {
            self.eval_result(a, b >> (full >> OP_SHIFT & 63))
        } else {
            self.eval_raw(relation_word(full, a, b))
        }
    }

    /// Whether the condition holds for the result `r` (64 bits) with [`carries`] `b`.
    #[inline(always)]
    pub const fn eval_result(self, r: u64, b: u64) -> bool {
        self.eval_bits((r as i64) < 0, r == 0, b & 1 != 0, b >> V_CARRY & 1 != 0)
    }

    /// Whether the condition holds after `a + b` (64 bits), C being the complement of the carry.
    #[inline(always)]
    pub const fn eval_add_x86(self, a: u64, b: u64) -> bool {
        let r = a.wrapping_add(b);
        match self {
            Cond::Cs => r >= a,
            Cond::Cc => r < a,
            Cond::Hi => r >= a && r != 0,
            Cond::Ls => r < a || r == 0,
            _ => self.eval_add(a, b),
        }
    }
}

/// The raw flag word of recorded flags: N, Z, C, V in bits 31 to 28, the rest clear.
#[inline]
pub const fn materialise(full: u64, a: u64, b: u64) -> u64 {
    let op = full as u8;
    if op == FlagOp::Float as u8 {
        return relation_word(full, a, b) & (N | Z | C | V);
    }
    let (r, c, v) = if op == FlagOp::Sub as u8 {
        let r = a.wrapping_sub(b);
        (r, a >= b, (a ^ b) & (a ^ r))
    } else if op == FlagOp::Result as u8 {
        let b = b >> (full >> OP_SHIFT & 63);
        (a, b & 1 != 0, b << (63 - V_CARRY))
    } else if op != FlagOp::Raw as u8 {
        let r = a.wrapping_add(b);
        (r, (r < a) == (op == FlagOp::Add as u8), (a ^ r) & (b ^ r))
    } else {
        return a & (N | Z | C | V);
    };
    (r >> 63) << 31 | ((r == 0) as u64) << 30 | (c as u64) << 29 | (v >> 63) << 28
}

/// What x86 has besides N, Z, C and V, of recorded flags: [`A`] and [`P_BYTE`], the rest clear.
#[inline]
pub const fn materialise_aux(op: u64, a: u64, b: u64) -> u64 {
    if op as u8 == FlagOp::Float as u8 {
        return relation_word(op, a, b) & (A | P_BYTE);
    }
    let shift = (op >> 8) as u32 & 63;
    let op = op as u8;
    let r = if op == FlagOp::Sub as u8 {
        a.wrapping_sub(b)
    } else if op == FlagOp::Result as u8 {
        return ((b >> shift >> A_CARRY & 1) * A) | (a >> shift & P_BYTE);
    } else if op != FlagOp::Raw as u8 {
        a.wrapping_add(b)
    } else {
        return a & (A | P_BYTE);
    };
    // AF is the carry or borrow out of bit 3, which comes into bit 4.
    let half = (a ^ b ^ r) >> shift >> 4 & 1;
    (half * A) | (r >> shift & P_BYTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_agree_with_materialised_flags() {
        let vals = [0, 1, 2, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, u64::MAX, 5 << 32, 0x8000_0000];
        for &a in &vals {
            for &b in &vals {
                for op in [FlagOp::Add, FlagOp::Sub, FlagOp::Raw, FlagOp::AddX86, FlagOp::Result] {
                    let raw = materialise(op as u64, a, b);
                    for c in Cond::ALL {
                        assert_eq!(c.eval(op as u64, a, b), c.eval_raw(raw), "{op:?} {a:#x} {b:#x} {c:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn comparisons_are_recorded_by_their_operands() {
        let (one, nan) = (1f64.to_bits(), f64::NAN.to_bits());
        let neg = (-1f64).to_bits();
        let zeros = [0f64.to_bits(), (-0f64).to_bits()];
        let arm = pack_relation(Float::D, FlagStyle::Arm);
        let x86 = pack_relation(Float::D, FlagStyle::X86);
        // Arm ARM, FPCompare: 1000, 0110, 0010, 0011. SDM, UCOMISD: CF, ZF, none, ZF PF CF.
        for (a, b, nzcv, zf, pf, cf) in [
            (neg, one, N, 0, 0, 1),
            (neg, neg, Z | C, 1, 0, 0),
            (zeros[0], zeros[1], Z | C, 1, 0, 0),
            (one, zeros[1], C, 0, 0, 0),
            (neg, neg - 1, N, 0, 0, 1),
            (one, nan, C | V, 1, 1, 1),
            (nan, one, C | V, 1, 1, 1),
        ] {
            assert_eq!(materialise(arm, a, b), nzcv, "{a:#x} {b:#x}");
            assert_eq!(materialise(x86, a, b), (zf * Z) | ((1 - cf) * C), "{a:#x} {b:#x}");
            assert_eq!(parity(materialise_aux(x86, a, b)), pf);
            for c in Cond::ALL {
                assert_eq!(c.eval(arm, a, b), c.eval_raw(nzcv), "{c:?}");
            }
        }
        let single = pack_relation(Float::S, FlagStyle::Arm);
        assert_eq!(materialise(single, 2f32.to_bits() as u64, f32::INFINITY.to_bits() as u64), N);
    }

    #[test]
    fn x86_flags_of_narrow_operations() {
        // Intel SDM Vol. 1, 3.4.3.1: 0x0f + 1 carries out of bit 3; 0x10 has one bit set, so PF is clear.
        let op = pack_op(FlagOp::AddX86, Width::W8);
        let (a, b) = (0x0f << 56, 1 << 56);
        assert_eq!(materialise_aux(op, a, b), A | 0x10);
        assert_eq!(parity(0x10), 0);
        assert!(Cond::Cs.eval(op, a, b), "CF clear");
        // 0xff + 1: CF, ZF, AF, PF.
        let a = 0xff << 56;
        assert_eq!((materialise(op, a, b), materialise_aux(op, a, b)), (Z, A));
        assert_eq!(parity(0), 1);
        // 0 - 1 at 16 bits: CF, SF, AF, PF.
        let op = pack_op(FlagOp::Sub, Width::W16);
        assert_eq!((materialise(op, 0, 1 << 48), materialise_aux(op, 0, 1 << 48)), (N, A | 0xff));
        assert_eq!(parity(0xff), 1);
    }
}

//! Condition flags, kept lazily: an operation records its operands, a reader evaluates what it needs.
//!
//! Every instance keeps the same three words in [`crate::Core`]: `flag_op`, `flag_a`, `flag_b`.
//! 32-bit operations are recorded with both operands shifted left by 32, which leaves N, Z, C and V of the
//! 64-bit operation equal to those of the 32-bit one, so that readers know only one width.
//! A logical result `r` is recorded as `r + 0`: N and Z from the result, C and V clear.

/// What `flag_a` and `flag_b` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum FlagOp {
    /// `flag_a` holds N, Z, C, V in bits 31 to 28.
    Raw = 0,
    /// Flags of `flag_a + flag_b`.
    Add = 1,
    /// Flags of `flag_a - flag_b`; C is "no borrow", as in ARM.
    Sub = 2,
}

/// Bit of N in a raw flag word (the layout of PSTATE and SPSR).
pub const N: u64 = 1 << 31;
/// Bit of Z in a raw flag word.
pub const Z: u64 = 1 << 30;
/// Bit of C in a raw flag word.
pub const C: u64 = 1 << 29;
/// Bit of V in a raw flag word.
pub const V: u64 = 1 << 28;

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
        let (n, z, c, v) = (nzcv & N != 0, nzcv & Z != 0, nzcv & C != 0, nzcv & V != 0);
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
    pub const fn eval(self, op: u64, a: u64, b: u64) -> bool {
        if op == FlagOp::Sub as u64 {
            self.eval_sub(a, b)
        } else if op == FlagOp::Add as u64 {
            self.eval_add(a, b)
        } else {
            self.eval_raw(a)
        }
    }
}

/// The raw flag word of recorded flags: N, Z, C, V in bits 31 to 28, the rest clear.
#[inline]
pub const fn materialise(op: u64, a: u64, b: u64) -> u64 {
    let (r, c, v) = if op == FlagOp::Sub as u64 {
        let r = a.wrapping_sub(b);
        (r, a >= b, (a ^ b) & (a ^ r))
    } else if op == FlagOp::Add as u64 {
        let r = a.wrapping_add(b);
        (r, r < a, (a ^ r) & (b ^ r))
    } else {
        return a & (N | Z | C | V);
    };
    (r >> 63) << 31 | ((r == 0) as u64) << 30 | (c as u64) << 29 | (v >> 63) << 28
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_agree_with_materialised_flags() {
        let vals = [0, 1, 2, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, u64::MAX, 5 << 32, 0x8000_0000];
        for &a in &vals {
            for &b in &vals {
                for op in [FlagOp::Add, FlagOp::Sub, FlagOp::Raw] {
                    let raw = materialise(op as u64, a, b);
                    for c in Cond::ALL {
                        assert_eq!(c.eval(op as u64, a, b), c.eval_raw(raw), "{op:?} {a:#x} {b:#x} {c:?}");
                    }
                }
            }
        }
    }
}

//! Loads and stores of SIMD&FP registers (Arm ARM C4.1.94).
//!
//! A load reads all its memory before it writes a register, so that a fault leaves the registers alone.

pub mod multi;
pub mod pair;
pub mod reg;
pub mod single;

use lyrebird_isa::{Emit, MemOp, Reg, Size};

/// The access of `1 << log2` bytes.
#[inline(always)]
const fn access(log2: u8) -> MemOp {
    MemOp::new(Size::from_log2(log2 as u32))
}

/// Adds the post-index amount to the base: an immediate, or a register where `m` has one.
#[inline(always)]
fn post_index<E: Emit>(e: &mut E, n: Reg, base: E::Val, m: Option<Reg>, bytes: u64) {
    let step = match m {
        Some(m) => e.reg(m),
        None => e.imm(bytes),
    };
    let next = e.add(base, step);
    e.set_reg(n, next);
}

/// What follows a structure access: the base stays, or goes on by an immediate or a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Post {
    /// No write-back.
    No,
    /// By the number of bytes accessed.
    Bytes,
    /// By a register.
    By(Reg),
}

impl Post {
    /// Of a structure load or store: bit 23 is write-back, Rm 31 the immediate form.
    fn of(w: crate::a64::word::Word) -> Post {
        match (w.bit(23), w.m()) {
            (false, _) => Post::No,
            (true, 31) => Post::Bytes,
            (true, _) => Post::By(w.rm()),
        }
    }

    #[inline(always)]
    fn write_back<E: Emit>(self, e: &mut E, n: Reg, base: E::Val, bytes: u64) {
        match self {
            Post::No => {}
            Post::Bytes => post_index(e, n, base, None, bytes),
            Post::By(m) => post_index(e, n, base, Some(m), bytes),
        }
    }
}

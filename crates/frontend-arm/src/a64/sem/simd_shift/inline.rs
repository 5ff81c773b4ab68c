//! SSHR, USHR, SSRA, USRA, SHL, whose vector forms the tiers inline: C7.2.299, C7.2.302, C7.2.313, C7.2.388, C7.2.398.

use lyrebird_isa::Visitor;

use super::{left, right, size};
use crate::ArmCpu;
use crate::a64::sem::simd_int::packed::{self, Op};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// By the opcode in bits 15 to 11, and U.
fn op(w: Word) -> Op {
    match (w.bits(11, 5), w.bit(29)) {
        (0b00000, false) => Op::Sshr,
        (0b00000, true) => Op::Ushr,
        (0b00010, false) => Op::Ssra,
        (0b00010, true) => Op::Usra,
        _ => Op::Shl,
    }
}

fn visit<V: Visitor<ArmCpu>>(w: Word, size: u32, v: V) -> V::Out {
    let op = op(w);
    let n = if op == Op::Shl { left(w, size) } else { right(w, size) };
    packed::shift(op, size, n, w, v)
}

/// Constructor of the vector forms.
pub fn vector<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        Some(size) if size < 3 || w.bit(30) => visit(w, size, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of the scalar forms, doublewords.
pub fn scalar<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        // Bit 30 is set in scalar encodings, but the upper half is cleared.
        Some(3) => visit(Word(w.0 & !(1 << 30)), 3, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

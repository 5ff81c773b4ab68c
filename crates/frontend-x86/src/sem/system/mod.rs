//! System instructions (SDM Vol. 1, 5.20): thin shells around helpers in `sys/`, which do the work.

pub mod control;
pub mod far;
pub mod flags;
pub mod form;
pub mod gate;
pub mod io;
pub mod machine;
pub mod segment;

use lyrebird_isa::Visitor;

use super::Decoded;
use super::undefined::Raise;
use crate::X86Cpu;
use crate::decode::Insn;

/// An exception whatever the operands.
fn raise<V: Visitor<X86Cpu>>(vector: u8, v: V) -> V::Out {
    v.visit(Raise { vector })
}

/// Picks the `Sem` of a system instruction.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    segment::decode(x, v)
        .or_else(|v| gate::decode(x, v))
        .or_else(|v| far::decode(x, v))
        .or_else(|v| flags::decode(x, v))
        .or_else(|v| control::decode(x, v))
        .or_else(|v| machine::decode(x, v))
        .or_else(|v| io::decode(x, v))
}

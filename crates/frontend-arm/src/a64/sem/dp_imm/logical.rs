//! Logical (immediate): Arm ARM C4.1.86.5.

use lyrebird_isa::{Bin, Emit, FlagOp, Reg, Sem, Visitor, Width};

use super::{Constant, bitmask};
use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;

const AND: u8 = 0;
const ORR: u8 = 1;
const EOR: u8 = 2;
const ANDS: u8 = 3;

/// AND, ORR, EOR, ANDS (immediate). `OP` is the `opc` field.
#[derive(Clone, Copy, Debug)]
pub struct LogicalImm<const SF: bool, const OP: u8> {
    d: Reg,
    n: Reg,
    imm: u64,
}

impl<const SF: bool, const OP: u8> Sem<ArmCpu> for LogicalImm<SF, OP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let b = e.imm(self.imm);
        let op = match OP {
            ORR => Bin::Or,
            EOR => Bin::Xor,
            _ => Bin::And,
        };
        let r = e.bin(op, w, a, b);
        if OP == ANDS {
            let z = e.imm(0);
            e.set_flags(FlagOp::Add, w, r, z);
        }
        e.set_reg(self.d, r);
        Ok(())
    }
}

fn logical<const OP: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let width = Width::sf(w.sf());
    let Some(imm) = bitmask::decode(width, w.bit(22), w.bits(16, 6), w.bits(10, 6)) else {
        return unallocated(w, pc, v);
    };
    let d = if OP == ANDS { w.rd() } else { w.rd_sp() };
    if OP == ORR && w.n() == 31 {
        return v.visit(Constant { d, value: imm });
    }
    flags!(w.sf() => |SF| v.visit(LogicalImm::<SF, OP> { d, n: w.rn(), imm }))
}

/// Constructor for AND (immediate).
pub fn and<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<AND, V>(w, pc, v)
}

/// Constructor for ORR (immediate).
pub fn orr<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<ORR, V>(w, pc, v)
}

/// Constructor for EOR (immediate).
pub fn eor<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<EOR, V>(w, pc, v)
}

/// Constructor for ANDS (immediate).
pub fn ands<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<ANDS, V>(w, pc, v)
}

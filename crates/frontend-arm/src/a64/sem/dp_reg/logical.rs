//! Logical (shifted register).

use lyrebird_isa::{Bin, Emit, FlagOp, Reg, Sem, Un, Visitor, Width};

use super::{ASR, LSL, LSR, PLAIN, ROR, shift_field, shifted};
use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;

const AND: u8 = 0;
const BIC: u8 = 1;
const ORR: u8 = 2;
const ORN: u8 = 3;
const EOR: u8 = 4;
const EON: u8 = 5;
const ANDS: u8 = 6;
const BICS: u8 = 7;

/// AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS (shifted register). `OP` is `opc:N`.
#[derive(Clone, Copy, Debug)]
pub struct LogicalReg<const SF: bool, const OP: u8, const SHIFT: u8> {
    d: Reg,
    n: Reg,
    m: Reg,
    amount: u8,
}

impl<const SF: bool, const OP: u8, const SHIFT: u8> Sem<ArmCpu> for LogicalReg<SF, OP, SHIFT> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let mut b = shifted::<SF, SHIFT, E>(e, self.m, self.amount);
        if matches!(OP, ORN | EON) {
            b = e.un(Un::Not, w, b);
        }
        let op = match OP {
            BIC | BICS => Bin::Bic,
            ORR | ORN => Bin::Or,
            EOR | EON => Bin::Xor,
            _ => Bin::And,
        };
        let r = e.bin(op, w, a, b);
        if matches!(OP, ANDS | BICS) {
            let z = e.imm(0);
            e.set_flags(FlagOp::Add, w, r, z);
        }
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// MOV (register): ORR of XZR and an unshifted register.
#[derive(Clone, Copy, Debug)]
pub struct Mov<const SF: bool> {
    d: Reg,
    m: Reg,
}

impl<const SF: bool> Sem<ArmCpu> for Mov<SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let mut v = e.reg(self.m);
        if !SF {
            v = e.zext(Width::W32, v);
        }
        e.set_reg(self.d, v);
        Ok(())
    }
}

fn logical<const OP: u8, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((kind, amount)) = shift_field(w) else { return unallocated(w, pc, v) };
    let (d, n, m) = (w.rd(), w.rn(), w.rm());
    flags!(w.sf() => |SF| match kind {
        PLAIN if OP == ORR && w.n() == 31 => v.visit(Mov::<SF> { d, m }),
        PLAIN => v.visit(LogicalReg::<SF, OP, PLAIN> { d, n, m, amount }),
        LSL => v.visit(LogicalReg::<SF, OP, LSL> { d, n, m, amount }),
        LSR => v.visit(LogicalReg::<SF, OP, LSR> { d, n, m, amount }),
        ASR => v.visit(LogicalReg::<SF, OP, ASR> { d, n, m, amount }),
        _ => v.visit(LogicalReg::<SF, OP, ROR> { d, n, m, amount }),
    })
}

/// Constructor for AND (shifted register).
pub fn and<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<AND, V>(w, pc, v)
}

/// Constructor for BIC (shifted register).
pub fn bic<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<BIC, V>(w, pc, v)
}

/// Constructor for ORR (shifted register).
pub fn orr<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<ORR, V>(w, pc, v)
}

/// Constructor for ORN (shifted register).
pub fn orn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<ORN, V>(w, pc, v)
}

/// Constructor for EOR (shifted register).
pub fn eor<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<EOR, V>(w, pc, v)
}

/// Constructor for EON (shifted register).
pub fn eon<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<EON, V>(w, pc, v)
}

/// Constructor for ANDS (shifted register).
pub fn ands<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<ANDS, V>(w, pc, v)
}

/// Constructor for BICS (shifted register).
pub fn bics<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    logical::<BICS, V>(w, pc, v)
}

//! Conditional select and conditional compare.

use lyrebird_isa::{Bin, Cond, Emit, FlagOp, Reg, Sem, Un, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::{conds, flags};
use crate::a64::word::Word;

const CSEL: u8 = 0;
const CSINC: u8 = 1;
const CSINV: u8 = 2;
const CSNEG: u8 = 3;

/// CSEL, CSINC, CSINV, CSNEG.
#[derive(Clone, Copy, Debug)]
pub struct CondSelect<const SF: bool, const OP: u8, const COND: u8> {
    d: Reg,
    n: Reg,
    m: Reg,
}

impl<const SF: bool, const OP: u8, const COND: u8> Sem<ArmCpu> for CondSelect<SF, OP, COND> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let c = e.cond(Cond::from_bits(COND as u32));
        let a = e.reg(self.n);
        let m = e.reg(self.m);
        let b = match OP {
            CSINC => {
                let one = e.imm(1);
                e.bin(Bin::Add, w, m, one)
            }
            CSINV => e.un(Un::Not, w, m),
            CSNEG => e.un(Un::Neg, w, m),
            _ => m,
        };
        let mut r = e.select(c, a, b);
        if !SF {
            r = e.zext(Width::W32, r);
        }
        e.set_reg(self.d, r);
        Ok(())
    }
}

fn select<const OP: u8, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    let (d, n, m) = (w.rd(), w.rn(), w.rm());
    flags!(w.sf() => |SF| conds!(w.bits(12, 4) => |COND| v.visit(CondSelect::<SF, OP, COND> { d, n, m })))
}

/// Constructor for CSEL.
pub fn csel<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    select::<CSEL, V>(w, v)
}

/// Constructor for CSINC.
pub fn csinc<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    select::<CSINC, V>(w, v)
}

/// Constructor for CSINV.
pub fn csinv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    select::<CSINV, V>(w, v)
}

/// Constructor for CSNEG.
pub fn csneg<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    select::<CSNEG, V>(w, v)
}

/// CCMN and CCMP (register).
#[derive(Clone, Copy, Debug)]
pub struct CondCmpReg<const SF: bool, const SUB: bool, const COND: u8> {
    n: Reg,
    m: Reg,
    nzcv: u32,
}

impl<const SF: bool, const SUB: bool, const COND: u8> Sem<ArmCpu> for CondCmpReg<SF, SUB, COND> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let c = e.cond(Cond::from_bits(COND as u32));
        let (a, b) = (e.reg(self.n), e.reg(self.m));
        e.set_flags_if(c, if SUB { FlagOp::Sub } else { FlagOp::Add }, Width::sf(SF), a, b, self.nzcv);
        Ok(())
    }
}

/// Constructor for CCMN and CCMP (register).
pub fn ccmp_reg<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (n, m, nzcv) = (w.rn(), w.rm(), w.bits(0, 4) << 28);
    flags!(w.sf(), w.bit(30) => |SF, SUB| {
        conds!(w.bits(12, 4) => |COND| v.visit(CondCmpReg::<SF, SUB, COND> { n, m, nzcv }))
    })
}

/// CCMN and CCMP (immediate).
#[derive(Clone, Copy, Debug)]
pub struct CondCmpImm<const SF: bool, const SUB: bool, const COND: u8> {
    n: Reg,
    imm: u8,
    nzcv: u32,
}

impl<const SF: bool, const SUB: bool, const COND: u8> Sem<ArmCpu> for CondCmpImm<SF, SUB, COND> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let c = e.cond(Cond::from_bits(COND as u32));
        let a = e.reg(self.n);
        let b = e.imm(self.imm as u64);
        e.set_flags_if(c, if SUB { FlagOp::Sub } else { FlagOp::Add }, Width::sf(SF), a, b, self.nzcv);
        Ok(())
    }
}

/// Constructor for CCMN and CCMP (immediate).
pub fn ccmp_imm<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (n, imm, nzcv) = (w.rn(), w.m() as u8, w.bits(0, 4) << 28);
    flags!(w.sf(), w.bit(30) => |SF, SUB| {
        conds!(w.bits(12, 4) => |COND| v.visit(CondCmpImm::<SF, SUB, COND> { n, imm, nzcv }))
    })
}

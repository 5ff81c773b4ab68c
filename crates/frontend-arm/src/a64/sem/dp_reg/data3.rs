//! Data processing (3 source): multiplication.

use lyrebird_isa::{Bin, Emit, Reg, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::word::Word;

/// MADD, MSUB.
#[derive(Clone, Copy, Debug)]
pub struct MulAdd<const SF: bool, const SUB: bool> {
    d: Reg,
    n: Reg,
    m: Reg,
    a: Reg,
}

impl<const SF: bool, const SUB: bool> Sem<ArmCpu> for MulAdd<SF, SUB> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let (n, m, a) = (e.reg(self.n), e.reg(self.m), e.reg(self.a));
        let p = e.bin(Bin::Mul, w, n, m);
        let r = e.bin(if SUB { Bin::Sub } else { Bin::Add }, w, a, p);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// MUL, UMULH, SMULH. MUL is MADD with XZR.
#[derive(Clone, Copy, Debug)]
pub struct Mul<const SF: bool, const OP: u8> {
    d: Reg,
    n: Reg,
    m: Reg,
}

const MUL: u8 = 0;
const UMULH: u8 = 1;
const SMULH: u8 = 2;

impl<const SF: bool, const OP: u8> Sem<ArmCpu> for Mul<SF, OP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (n, m) = (e.reg(self.n), e.reg(self.m));
        let op = match OP {
            UMULH => Bin::Umulh,
            SMULH => Bin::Smulh,
            _ => Bin::Mul,
        };
        let r = e.bin(op, Width::sf(SF), n, m);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// SMADDL, SMSUBL, UMADDL, UMSUBL: 32 by 32 to 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct MulAddLong<const SIGNED: bool, const SUB: bool> {
    d: Reg,
    n: Reg,
    m: Reg,
    a: Reg,
}

impl<const SIGNED: bool, const SUB: bool> Sem<ArmCpu> for MulAddLong<SIGNED, SUB> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (n, m, a) = (e.reg(self.n), e.reg(self.m), e.reg(self.a));
        let (n, m) = if SIGNED {
            (e.sext(Width::W32, n), e.sext(Width::W32, m))
        } else {
            (e.zext(Width::W32, n), e.zext(Width::W32, m))
        };
        let p = e.bin(Bin::Mul, Width::W64, n, m);
        let r = e.bin(if SUB { Bin::Sub } else { Bin::Add }, Width::W64, a, p);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// Constructor for MADD.
pub fn madd<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (d, n, m, a) = (w.rd(), w.rn(), w.rm(), w.ra());
    if w.a() == 31 {
        return flags!(w.sf() => |SF| v.visit(Mul::<SF, MUL> { d, n, m }));
    }
    flags!(w.sf() => |SF| v.visit(MulAdd::<SF, false> { d, n, m, a }))
}

/// Constructor for MSUB.
pub fn msub<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (d, n, m, a) = (w.rd(), w.rn(), w.rm(), w.ra());
    flags!(w.sf() => |SF| v.visit(MulAdd::<SF, true> { d, n, m, a }))
}

fn long<const SIGNED: bool, const SUB: bool, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    v.visit(MulAddLong::<SIGNED, SUB> { d: w.rd(), n: w.rn(), m: w.rm(), a: w.ra() })
}

/// Constructor for SMADDL.
pub fn smaddl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    long::<true, false, V>(w, v)
}

/// Constructor for SMSUBL.
pub fn smsubl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    long::<true, true, V>(w, v)
}

/// Constructor for UMADDL.
pub fn umaddl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    long::<false, false, V>(w, v)
}

/// Constructor for UMSUBL.
pub fn umsubl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    long::<false, true, V>(w, v)
}

/// Constructor for SMULH. The Ra field should be ones; like most cores, QEMU's included, its value is ignored.
pub fn smulh<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Mul::<true, SMULH> { d: w.rd(), n: w.rn(), m: w.rm() })
}

/// Constructor for UMULH. The Ra field as for SMULH.
pub fn umulh<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Mul::<true, UMULH> { d: w.rd(), n: w.rn(), m: w.rm() })
}

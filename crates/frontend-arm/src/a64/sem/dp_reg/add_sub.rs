//! Add/subtract (shifted register) and (extended register).

use lyrebird_isa::{Bin, Emit, FlagOp, Reg, Sem, Visitor, Width};

use super::{ASR, LSL, LSR, PLAIN, shift_field, shifted as shifted_operand};
use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;
use crate::cpu::set_sp;

/// Writes `a + b` or `a - b` to `d`, with flags where `S`.
#[inline(always)]
fn add_sub<const SF: bool, const SUB: bool, const S: bool, E: Emit<Cpu = ArmCpu>>(
    e: &mut E,
    d: Reg,
    a: E::Val,
    b: E::Val,
) {
    let w = Width::sf(SF);
    let r = e.bin(if SUB { Bin::Sub } else { Bin::Add }, w, a, b);
    if S {
        e.set_flags(if SUB { FlagOp::Sub } else { FlagOp::Add }, w, a, b);
    }
    e.set_reg(d, r);
}

/// ADD, ADDS, SUB, SUBS (shifted register).
#[derive(Clone, Copy, Debug)]
pub struct AddSubReg<const SF: bool, const SUB: bool, const S: bool, const SHIFT: u8> {
    d: Reg,
    n: Reg,
    m: Reg,
    amount: u8,
}

impl<const SF: bool, const SUB: bool, const S: bool, const SHIFT: u8> Sem<ArmCpu>
    for AddSubReg<SF, SUB, S, SHIFT>
{
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.reg(self.n);
        let b = shifted_operand::<SF, SHIFT, E>(e, self.m, self.amount);
        add_sub::<SF, SUB, S, E>(e, self.d, a, b);
        Ok(())
    }
}

/// CMP, CMN (shifted register) without a shift: ADDS and SUBS into XZR.
#[derive(Clone, Copy, Debug)]
pub struct CmpReg<const SF: bool, const SUB: bool> {
    n: Reg,
    m: Reg,
}

impl<const SF: bool, const SUB: bool> Sem<ArmCpu> for CmpReg<SF, SUB> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.reg(self.n), e.reg(self.m));
        e.set_flags(if SUB { FlagOp::Sub } else { FlagOp::Add }, Width::sf(SF), a, b);
        Ok(())
    }
}

/// Constructor for the four rows of add/subtract (shifted register).
pub fn shifted<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((kind, amount)) = shift_field(w) else { return unallocated(w, pc, v) };
    // There is no ROR here, not even by 0.
    if w.bits(22, 2) == 3 {
        return unallocated(w, pc, v);
    }
    let (d, n, m) = (w.rd(), w.rn(), w.rm());
    if w.bit(29) && w.d() == 31 && kind == PLAIN {
        return flags!(w.sf(), w.bit(30) => |SF, SUB| v.visit(CmpReg::<SF, SUB> { n, m }));
    }
    flags!(w.sf(), w.bit(30), w.bit(29) => |SF, SUB, S| match kind {
        PLAIN => v.visit(AddSubReg::<SF, SUB, S, PLAIN> { d, n, m, amount }),
        LSL => v.visit(AddSubReg::<SF, SUB, S, LSL> { d, n, m, amount }),
        LSR => v.visit(AddSubReg::<SF, SUB, S, LSR> { d, n, m, amount }),
        _ => v.visit(AddSubReg::<SF, SUB, S, ASR> { d, n, m, amount }),
    })
}

const UXTB: u8 = 0;
const UXTH: u8 = 1;
const UXTW: u8 = 2;
const UXTX: u8 = 3;
const SXTB: u8 = 4;
const SXTH: u8 = 5;
const SXTW: u8 = 6;

/// The second operand: `m` extended to width `w` as `EXT` says, and shifted.
#[inline(always)]
fn extended_operand<const EXT: u8, E: Emit<Cpu = ArmCpu>>(e: &mut E, w: Width, m: Reg, amount: u8) -> E::Val {
    let m = e.reg(m);
    let b = match EXT {
        UXTB => e.zext(Width::W8, m),
        UXTH => e.zext(Width::W16, m),
        UXTW => e.zext(Width::W32, m),
        SXTB => e.sext(Width::W8, m),
        SXTH => e.sext(Width::W16, m),
        SXTW => e.sext(Width::W32, m),
        _ => m,
    };
    let n = e.imm(amount as u64);
    e.bin(Bin::Shl, w, b, n)
}

/// ADD, ADDS, SUB, SUBS (extended register). `EXT` is the `option` field, SXTX as UXTX.
#[derive(Clone, Copy, Debug)]
pub struct AddSubExt<const SF: bool, const SUB: bool, const S: bool, const EXT: u8> {
    d: Reg,
    n: Reg,
    m: Reg,
    amount: u8,
}

impl<const SF: bool, const SUB: bool, const S: bool, const EXT: u8> Sem<ArmCpu>
    for AddSubExt<SF, SUB, S, EXT>
{
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.reg(self.n);
        let b = extended_operand::<EXT, E>(e, Width::sf(SF), self.m, self.amount);
        add_sub::<SF, SUB, S, E>(e, self.d, a, b);
        Ok(())
    }
}

/// 64-bit ADD, SUB (extended register) into SP.
#[derive(Clone, Copy, Debug)]
pub struct AddSubExtSp<const SUB: bool, const EXT: u8> {
    n: Reg,
    m: Reg,
    amount: u8,
}

impl<const SUB: bool, const EXT: u8> Sem<ArmCpu> for AddSubExtSp<SUB, EXT> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.reg(self.n);
        let b = extended_operand::<EXT, E>(e, Width::W64, self.m, self.amount);
        let r = e.bin(if SUB { Bin::Sub } else { Bin::Add }, Width::W64, a, b);
        set_sp(e, r)
    }
}

/// Constructor for the four rows of add/subtract (extended register).
pub fn extended<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let amount = w.bits(10, 3) as u8;
    if amount > 4 {
        return unallocated(w, pc, v);
    }
    let s = w.bit(29);
    let d = if s { w.rd() } else { w.rd_sp() };
    let (n, m) = (w.rn_sp(), w.rm());
    if w.sf() && !s && w.d() == 31 {
        return flags!(w.bit(30) => |SUB| match w.bits(13, 3) as u8 {
            UXTB => v.visit(AddSubExtSp::<SUB, UXTB> { n, m, amount }),
            UXTH => v.visit(AddSubExtSp::<SUB, UXTH> { n, m, amount }),
            UXTW => v.visit(AddSubExtSp::<SUB, UXTW> { n, m, amount }),
            SXTB => v.visit(AddSubExtSp::<SUB, SXTB> { n, m, amount }),
            SXTH => v.visit(AddSubExtSp::<SUB, SXTH> { n, m, amount }),
            SXTW => v.visit(AddSubExtSp::<SUB, SXTW> { n, m, amount }),
            _ => v.visit(AddSubExtSp::<SUB, UXTX> { n, m, amount }),
        });
    }
    flags!(w.sf(), w.bit(30), s => |SF, SUB, S| match w.bits(13, 3) as u8 {
        UXTB => v.visit(AddSubExt::<SF, SUB, S, UXTB> { d, n, m, amount }),
        UXTH => v.visit(AddSubExt::<SF, SUB, S, UXTH> { d, n, m, amount }),
        SXTB => v.visit(AddSubExt::<SF, SUB, S, SXTB> { d, n, m, amount }),
        SXTH => v.visit(AddSubExt::<SF, SUB, S, SXTH> { d, n, m, amount }),
        UXTW if SF => v.visit(AddSubExt::<true, SUB, S, UXTW> { d, n, m, amount }),
        SXTW if SF => v.visit(AddSubExt::<true, SUB, S, SXTW> { d, n, m, amount }),
        // Extension to the operation's own width or beyond changes nothing.
        _ => v.visit(AddSubExt::<SF, SUB, S, UXTX> { d, n, m, amount }),
    })
}

//! Data processing, immediate (Arm ARM C4.1.86).

pub mod bitfield;
pub mod bitmask;
pub mod logical;

use lyrebird_isa::{Bin, Emit, FlagOp, Reg, Sem, Visitor, Width};

use super::flags;
use super::undefined::unallocated;
use crate::ArmCpu;
use crate::a64::word::Word;
use crate::cpu::set_sp;

/// ADD, ADDS, SUB, SUBS (immediate).
#[derive(Clone, Copy, Debug)]
pub struct AddSubImm<const SF: bool, const SUB: bool, const S: bool> {
    d: Reg,
    n: Reg,
    imm: u32,
}

impl<const SF: bool, const SUB: bool, const S: bool> Sem<ArmCpu> for AddSubImm<SF, SUB, S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let b = e.imm(self.imm as u64);
        let r = e.bin(if SUB { Bin::Sub } else { Bin::Add }, w, a, b);
        if S {
            e.set_flags(if SUB { FlagOp::Sub } else { FlagOp::Add }, w, a, b);
        }
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// ADD, SUB (immediate) into SP, with a result that may not be a multiple of 16.
#[derive(Clone, Copy, Debug)]
pub struct AddSubImmSp<const SUB: bool> {
    n: Reg,
    imm: u32,
}

impl<const SUB: bool> Sem<ArmCpu> for AddSubImmSp<SUB> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.reg(self.n), e.imm(self.imm as u64));
        let r = e.bin(if SUB { Bin::Sub } else { Bin::Add }, Width::W64, a, b);
        set_sp(e, r)
    }
}

/// CMP, CMN (immediate): ADDS and SUBS into XZR.
#[derive(Clone, Copy, Debug)]
pub struct CmpImm<const SF: bool, const SUB: bool> {
    n: Reg,
    imm: u32,
}

impl<const SF: bool, const SUB: bool> Sem<ArmCpu> for CmpImm<SF, SUB> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.reg(self.n);
        let b = e.imm(self.imm as u64);
        e.set_flags(if SUB { FlagOp::Sub } else { FlagOp::Add }, Width::sf(SF), a, b);
        Ok(())
    }
}

/// Constructor for the four rows of add/subtract (immediate).
pub fn add_sub_imm<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let n = w.rn_sp();
    let imm = w.bits(10, 12) << (12 * w.bits(22, 1));
    let s = w.bit(29);
    if s && w.d() == 31 {
        return flags!(w.sf(), w.bit(30) => |SF, SUB| v.visit(CmpImm::<SF, SUB> { n, imm }));
    }
    if w.sf() && !s && w.d() == 31 && !(w.n() == 31 && imm & 15 == 0) {
        return flags!(w.bit(30) => |SUB| v.visit(AddSubImmSp::<SUB> { n, imm }));
    }
    let d = if s { w.rd() } else { w.rd_sp() };
    flags!(w.sf(), w.bit(30), s => |SF, SUB, S| v.visit(AddSubImm::<SF, SUB, S> { d, n, imm }))
}

/// A register becomes a value known when the instruction is decoded: ADR, ADRP, MOVZ, MOVN, and ORR
/// (immediate) with XZR.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    d: Reg,
    value: u64,
}

impl Sem<ArmCpu> for Constant {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.imm(self.value);
        e.set_reg(self.d, a);
        Ok(())
    }
}

/// Constructor for ADR and ADRP.
pub fn adr<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let imm = w.sbits(5, 19) << 2 | w.bits(29, 2) as i64;
    let value =
        if w.bit(31) { (pc & !0xfff).wrapping_add((imm << 12) as u64) } else { pc.wrapping_add(imm as u64) };
    v.visit(Constant { d: w.rd(), value })
}

/// The shifted 16-bit immediate of the wide moves, or none where a 32-bit form names its upper half.
fn wide_shift(w: Word) -> Option<u32> {
    let hw = w.bits(21, 2);
    if !w.sf() && hw >= 2 { None } else { Some(16 * hw) }
}

/// Constructor for MOVZ.
pub fn movz<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match wide_shift(w) {
        Some(shift) => v.visit(Constant { d: w.rd(), value: (w.bits(5, 16) as u64) << shift }),
        None => unallocated(w, pc, v),
    }
}

/// Constructor for MOVN.
pub fn movn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match wide_shift(w) {
        Some(shift) => {
            let value = Width::sf(w.sf()).zext(!((w.bits(5, 16) as u64) << shift));
            v.visit(Constant { d: w.rd(), value })
        }
        None => unallocated(w, pc, v),
    }
}

/// MOVK. `HW` is the halfword that changes.
#[derive(Clone, Copy, Debug)]
pub struct MovK<const SF: bool, const HW: u8> {
    src: Reg,
    d: Reg,
    imm: u64,
}

impl<const SF: bool, const HW: u8> Sem<ArmCpu> for MovK<SF, HW> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let old = e.reg(self.src);
        let keep = e.imm(!(0xffff << (16 * HW as u32)));
        let kept = e.bin(Bin::And, w, old, keep);
        let imm = e.imm(self.imm);
        let r = e.bin(Bin::Or, w, kept, imm);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// Constructor for MOVK.
pub fn movk<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(shift) = wide_shift(w) else { return unallocated(w, pc, v) };
    let (src, d, imm) = (w.rt_src(), w.rd(), (w.bits(5, 16) as u64) << shift);
    flags!(w.sf() => |SF| match shift {
        0 => v.visit(MovK::<SF, 0> { src, d, imm }),
        16 => v.visit(MovK::<SF, 1> { src, d, imm }),
        32 => v.visit(MovK::<SF, 2> { src, d, imm }),
        _ => v.visit(MovK::<SF, 3> { src, d, imm }),
    })
}

/// ROR (immediate): EXTR of a register with itself.
#[derive(Clone, Copy, Debug)]
pub struct RorImm<const SF: bool> {
    d: Reg,
    n: Reg,
    lsb: u8,
}

impl<const SF: bool> Sem<ArmCpu> for RorImm<SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.reg(self.n);
        let n = e.imm(self.lsb as u64);
        let r = e.bin(Bin::Ror, Width::sf(SF), a, n);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// EXTR with a nonzero `lsb`.
#[derive(Clone, Copy, Debug)]
pub struct Extr<const SF: bool> {
    d: Reg,
    n: Reg,
    m: Reg,
    lsb: u8,
}

impl<const SF: bool> Sem<ArmCpu> for Extr<SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let (n, m) = (e.reg(self.n), e.reg(self.m));
        let right = e.imm(self.lsb as u64);
        // Shift amounts count modulo the width, so this is width - lsb; lsb is not 0 here.
        let left = e.imm((self.lsb as u64).wrapping_neg() & (w.bits() as u64 - 1));
        let lo = e.bin(Bin::Shr, w, m, right);
        let hi = e.bin(Bin::Shl, w, n, left);
        let r = e.bin(Bin::Or, w, lo, hi);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// Constructor for EXTR.
pub fn extr<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let lsb = w.bits(10, 6) as u8;
    if w.bit(22) != w.sf() || !w.sf() && lsb >= 32 {
        return unallocated(w, pc, v);
    }
    let (d, n, m) = (w.rd(), w.rn(), w.rm());
    if n == m || lsb == 0 {
        return flags!(w.sf() => |SF| v.visit(RorImm::<SF> { d, n: m, lsb }));
    }
    flags!(w.sf() => |SF| v.visit(Extr::<SF> { d, n, m, lsb }))
}

//! Branches (Arm ARM C4.1.93). Targets of direct branches are absolute: known when the instruction is decoded.

use lyrebird_isa::{Bin, Cc, Cond, Emit, JumpKind, Reg, Sem, Term, Visitor, Width};

use super::{conds, flags};
use crate::ArmCpu;
use crate::a64::word::Word;

/// The link register.
const X30: Reg = Reg(30);

fn target(pc: u64, words: i64) -> u64 {
    pc.wrapping_add((words << 2) as u64)
}

/// B, and B.AL.
#[derive(Clone, Copy, Debug)]
pub struct B {
    target: u64,
}

impl Sem<ArmCpu> for B {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        e.jump(self.target, JumpKind::Jump);
        Ok(())
    }
}

/// Constructor for B.
pub fn b<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    v.visit(B { target: target(pc, w.sbits(0, 26)) })
}

/// BL.
#[derive(Clone, Copy, Debug)]
pub struct Bl {
    target: u64,
    ret: u64,
}

impl Sem<ArmCpu> for Bl {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let ret = e.imm(self.ret);
        e.set_reg(X30, ret);
        e.jump(self.target, JumpKind::Call);
        Ok(())
    }
}

/// Constructor for BL.
pub fn bl<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    v.visit(Bl { target: target(pc, w.sbits(0, 26)), ret: pc.wrapping_add(4) })
}

/// B.cond.
#[derive(Clone, Copy, Debug)]
pub struct BCond<const COND: u8> {
    target: u64,
}

impl<const COND: u8> Sem<ArmCpu> for BCond<COND> {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let c = e.cond(Cond::from_bits(COND as u32));
        e.branch(c, self.target);
        Ok(())
    }
}

/// Constructor for B.cond.
pub fn b_cond<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let target = target(pc, w.sbits(5, 19));
    if w.bits(1, 3) == 7 {
        return v.visit(B { target });
    }
    conds!(w.bits(0, 4) => |COND| v.visit(BCond::<COND> { target }))
}

/// CBZ, CBNZ.
#[derive(Clone, Copy, Debug)]
pub struct Cbz<const SF: bool, const NZ: bool> {
    t: Reg,
    target: u64,
}

impl<const SF: bool, const NZ: bool> Sem<ArmCpu> for Cbz<SF, NZ> {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (v, z) = (e.reg(self.t), e.imm(0));
        let c = e.cmp(if NZ { Cc::Ne } else { Cc::Eq }, Width::sf(SF), v, z);
        e.branch(c, self.target);
        Ok(())
    }
}

/// Constructor for CBZ and CBNZ.
pub fn cbz<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, target) = (w.rt_src(), target(pc, w.sbits(5, 19)));
    flags!(w.sf(), w.bit(24) => |SF, NZ| v.visit(Cbz::<SF, NZ> { t, target }))
}

/// TBZ, TBNZ. Both widths are one: `bit` is below 32 where the register is a W register.
#[derive(Clone, Copy, Debug)]
pub struct Tbz<const NZ: bool> {
    t: Reg,
    bit: u8,
    target: u64,
}

impl<const NZ: bool> Sem<ArmCpu> for Tbz<NZ> {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (v, n) = (e.reg(self.t), e.imm(self.bit as u64));
        let v = e.bin(Bin::Shr, Width::W64, v, n);
        let one = e.imm(1);
        let v = e.bin(Bin::And, Width::W64, v, one);
        let z = e.imm(0);
        let c = e.cmp(if NZ { Cc::Ne } else { Cc::Eq }, Width::W64, v, z);
        e.branch(c, self.target);
        Ok(())
    }
}

/// Constructor for TBZ and TBNZ.
pub fn tbz<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let bit = (w.bits(31, 1) << 5 | w.bits(19, 5)) as u8;
    let (t, target) = (w.rt_src(), target(pc, w.sbits(5, 14)));
    flags!(w.bit(24) => |NZ| v.visit(Tbz::<NZ> { t, bit, target }))
}

/// BR and RET.
#[derive(Clone, Copy, Debug)]
pub struct Br<const RET: bool> {
    n: Reg,
}

impl<const RET: bool> Sem<ArmCpu> for Br<RET> {
    const TERM: Term = Term::Indirect;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let to = e.reg(self.n);
        e.jump_reg(to, if RET { JumpKind::Ret } else { JumpKind::Jump });
        Ok(())
    }
}

/// Constructor for BR.
pub fn br<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Br::<false> { n: w.rn() })
}

/// Constructor for RET.
pub fn ret<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Br::<true> { n: w.rn() })
}

/// BLR. The target is read before X30 is written: `BLR X30` goes to the old one.
#[derive(Clone, Copy, Debug)]
pub struct Blr {
    n: Reg,
    ret: u64,
}

impl Sem<ArmCpu> for Blr {
    const TERM: Term = Term::Indirect;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let to = e.reg(self.n);
        let ret = e.imm(self.ret);
        e.set_reg(X30, ret);
        e.jump_reg(to, JumpKind::Call);
        Ok(())
    }
}

/// Constructor for BLR.
pub fn blr<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    v.visit(Blr { n: w.rn(), ret: pc.wrapping_add(4) })
}

//! DUP, INS, SMOV, UMOV: C7.2.39, C7.2.40, C7.2.175, C7.2.176, C7.2.279, C7.2.371.

use lyrebird_isa::{Emit, Lane, Reg, Sem, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{element, extract, half, insert};
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// log2 of the element length, and the index, of field imm5; `None` where it is reserved.
fn imm5(w: Word) -> Option<(u8, u8)> {
    let imm5 = w.m();
    match imm5.trailing_zeros() {
        size @ 0..=3 => Some((size as u8, (imm5 >> (size + 1)) as u8)),
        _ => None,
    }
}

/// DUP (element), vector.
#[derive(Clone, Copy, Debug)]
pub struct DupElement<const S: u8, const Q: bool> {
    d: u8,
    n: u8,
    index: u8,
}

impl<const S: u8, const Q: bool> Sem<ArmCpu> for DupElement<S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.n);
        let x = extract(e, S, v, self.index);
        let r = e.vsplat(Lane::from_size(S as u32), x);
        let r = half(e, Q, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// DUP (element), scalar.
#[derive(Clone, Copy, Debug)]
pub struct DupScalar<const S: u8> {
    d: u8,
    n: u8,
    index: u8,
}

impl<const S: u8> Sem<ArmCpu> for DupScalar<S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.n);
        let (x, z) = (extract(e, S, v, self.index), e.imm(0));
        let r = e.vec(x, z);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// DUP (general).
#[derive(Clone, Copy, Debug)]
pub struct DupGeneral<const S: u8, const Q: bool> {
    d: u8,
    n: Reg,
}

impl<const S: u8, const Q: bool> Sem<ArmCpu> for DupGeneral<S, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let x = e.reg(self.n);
        let r = e.vsplat(Lane::from_size(S as u32), x);
        let r = half(e, Q, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// SMOV (`SIGNED`) to a register of 64 (`SF`) or 32 bits, and UMOV.
#[derive(Clone, Copy, Debug)]
pub struct MoveOut<const S: u8, const SIGNED: bool, const SF: bool> {
    d: Reg,
    n: u8,
    index: u8,
}

impl<const S: u8, const SIGNED: bool, const SF: bool> Sem<ArmCpu> for MoveOut<S, SIGNED, SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.n);
        let mut x = extract(e, S, v, self.index);
        if SIGNED {
            x = e.sext(Lane::from_size(S as u32).width(), x);
            if !SF {
                x = e.zext(lyrebird_isa::Width::W32, x);
            }
        }
        e.set_reg(self.d, x);
        Ok(())
    }
}

/// INS (general).
#[derive(Clone, Copy, Debug)]
pub struct InsertGeneral<const S: u8> {
    d: u8,
    n: Reg,
    index: u8,
}

impl<const S: u8> Sem<ArmCpu> for InsertGeneral<S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (v, x) = (e.vreg(self.d), e.reg(self.n));
        let r = insert(e, S, v, self.index, x);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// INS (element).
#[derive(Clone, Copy, Debug)]
pub struct InsertElement<const S: u8> {
    d: u8,
    n: u8,
    to: u8,
    from: u8,
}

impl<const S: u8> Sem<ArmCpu> for InsertElement<S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (v, n) = (e.vreg(self.d), e.vreg(self.n));
        let x = extract(e, S, n, self.from);
        let r = insert(e, S, v, self.to, x);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Constructor of DUP (element), vector.
pub fn dup_element<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match imm5(w) {
        Some((size, index)) if size < 3 || w.bit(30) => {
            let (d, n) = (w.d() as u8, w.n() as u8);
            flags!(w.bit(30) => |Q| element!(size => |S| v.visit(DupElement::<S, Q> { d, n, index })))
        }
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of DUP (element), scalar.
pub fn dup_scalar<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((size, index)) = imm5(w) else { return undefined::unallocated(w, pc, v) };
    let (d, n) = (w.d() as u8, w.n() as u8);
    element!(size => |S| v.visit(DupScalar::<S> { d, n, index }))
}

/// Constructor of DUP (general).
pub fn dup_general<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match imm5(w) {
        Some((size, _)) if size < 3 || w.bit(30) => {
            let (d, n) = (w.d() as u8, w.rn());
            flags!(w.bit(30) => |Q| element!(size => |S| v.visit(DupGeneral::<S, Q> { d, n })))
        }
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of SMOV.
pub fn smov<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (d, n) = (w.rd(), w.n() as u8);
    match (imm5(w), w.bit(30)) {
        (Some((0, index)), false) => v.visit(MoveOut::<0, true, false> { d, n, index }),
        (Some((1, index)), false) => v.visit(MoveOut::<1, true, false> { d, n, index }),
        (Some((0, index)), true) => v.visit(MoveOut::<0, true, true> { d, n, index }),
        (Some((1, index)), true) => v.visit(MoveOut::<1, true, true> { d, n, index }),
        (Some((2, index)), true) => v.visit(MoveOut::<2, true, true> { d, n, index }),
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of UMOV. Q is set for doublewords only.
pub fn umov<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (d, n) = (w.rd(), w.n() as u8);
    match imm5(w) {
        Some((size, index)) if (size == 3) == w.bit(30) => {
            element!(size => |S| v.visit(MoveOut::<S, false, true> { d, n, index }))
        }
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of INS (general).
pub fn ins_general<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((size, index)) = imm5(w) else { return undefined::unallocated(w, pc, v) };
    let (d, n) = (w.d() as u8, w.rn());
    element!(size => |S| v.visit(InsertGeneral::<S> { d, n, index }))
}

/// Constructor of INS (element).
pub fn ins_element<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some((size, to)) = imm5(w) else { return undefined::unallocated(w, pc, v) };
    let (d, n, from) = (w.d() as u8, w.n() as u8, (w.bits(11, 4) >> size) as u8);
    element!(size => |S| v.visit(InsertElement::<S> { d, n, to, from }))
}

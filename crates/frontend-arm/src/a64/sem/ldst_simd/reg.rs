//! LDR, STR, LDUR, STUR (SIMD&FP): C7.2.190 to C7.2.194, C7.2.330 to C7.2.334.

use lyrebird_isa::{Bin, Emit, Reg, Sem, Visitor, Width};

use super::access;
use crate::ArmCpu;
use crate::a64::sem::{constants, flags, undefined};
use crate::a64::word::Word;

/// log2 of the access length; `None` where opc and size together are reserved.
fn log2(w: Word) -> Option<u32> {
    match (w.bit(23), w.bits(30, 2)) {
        (false, size) => Some(size),
        (true, 0) => Some(4),
        _ => None,
    }
}

/// Loads or stores the low `1 << S` bytes of vector register `t`.
#[inline(always)]
fn transfer<E: Emit, const S: u8, const LOAD: bool>(e: &mut E, t: u8, va: E::Val) -> Result<(), E::Fault> {
    if LOAD {
        let v = e.vload(access(S), va)?;
        e.set_vreg(t, v);
        Ok(())
    } else {
        let v = e.vreg(t);
        e.vstore(access(S), va, v)
    }
}

/// Base plus immediate, without write-back.
#[derive(Clone, Copy, Debug)]
pub struct BaseImm<const S: u8, const LOAD: bool> {
    t: u8,
    n: Reg,
    off: i32,
}

impl<const S: u8, const LOAD: bool> Sem<ArmCpu> for BaseImm<S, LOAD> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let base = e.reg(self.n);
        let va = e.add_imm(base, self.off as i64 as u64);
        transfer::<E, S, LOAD>(e, self.t, va)
    }
}

/// Base plus immediate, with write-back before (`PRE`) or after.
#[derive(Clone, Copy, Debug)]
pub struct WriteBack<const S: u8, const LOAD: bool, const PRE: bool> {
    t: u8,
    n: Reg,
    off: i32,
}

impl<const S: u8, const LOAD: bool, const PRE: bool> Sem<ArmCpu> for WriteBack<S, LOAD, PRE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let base = e.reg(self.n);
        let next = e.add_imm(base, self.off as i64 as u64);
        transfer::<E, S, LOAD>(e, self.t, if PRE { next } else { base })?;
        e.set_reg(self.n, next);
        Ok(())
    }
}

/// Base plus index register; `WORD` extends the low half of the index, else all of it counts.
#[derive(Clone, Copy, Debug)]
pub struct BaseIndex<const S: u8, const LOAD: bool, const WORD: bool, const SIGNED: bool> {
    t: u8,
    n: Reg,
    m: Reg,
    shift: u8,
}

impl<const S: u8, const LOAD: bool, const WORD: bool, const SIGNED: bool> Sem<ArmCpu>
    for BaseIndex<S, LOAD, WORD, SIGNED>
{
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let base = e.reg(self.n);
        let mut index = e.reg(self.m);
        if WORD {
            index = if SIGNED { e.sext(Width::W32, index) } else { e.zext(Width::W32, index) };
        }
        let shift = e.imm(self.shift as u64);
        let off = e.bin(Bin::Shl, Width::W64, index, shift);
        let va = e.add(base, off);
        transfer::<E, S, LOAD>(e, self.t, va)
    }
}

/// LDR (literal).
#[derive(Clone, Copy, Debug)]
pub struct Literal<const S: u8> {
    t: u8,
    addr: u64,
}

impl<const S: u8> Sem<ArmCpu> for Literal<S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = e.imm(self.addr);
        transfer::<E, S, true>(e, self.t, va)
    }
}

/// Unsigned, scaled offset.
pub fn unsigned<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(log2) = log2(w) else { return undefined::unallocated(w, pc, v) };
    let (t, n, off) = (w.d() as u8, w.rn_sp(), (w.bits(10, 12) << log2) as i32);
    flags!(w.bit(22) => |LOAD| constants!(log2, 0 1 2 3; 4 => |S| v.visit(BaseImm::<S, LOAD> { t, n, off })))
}

/// Signed 9-bit offset: unscaled, post-indexed, pre-indexed.
pub fn signed<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(log2) = log2(w) else { return undefined::unallocated(w, pc, v) };
    let (t, n, off) = (w.d() as u8, w.rn_sp(), w.sbits(12, 9) as i32);
    if w.bits(10, 2) == 0 {
        flags!(w.bit(22) => |LOAD| constants!(log2, 0 1 2 3; 4 => |S| v.visit(BaseImm::<S, LOAD> { t, n, off })))
    } else {
        flags!(w.bit(22), w.bit(11) => |LOAD, PRE|
            constants!(log2, 0 1 2 3; 4 => |S| v.visit(WriteBack::<S, LOAD, PRE> { t, n, off })))
    }
}

/// Register offset.
pub fn offset<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(log2) = log2(w) else { return undefined::unallocated(w, pc, v) };
    let option = w.bits(13, 3);
    if option & 2 == 0 {
        return undefined::unallocated(w, pc, v);
    }
    let (t, n, m) = (w.d() as u8, w.rn_sp(), w.rm());
    let shift = if w.bit(12) { log2 as u8 } else { 0 };
    let (word, signed) = (option & 1 == 0, option == 6);
    flags!(w.bit(22), word, signed => |LOAD, WORD, SIGNED|
        constants!(log2, 0 1 2 3; 4 => |S| v.visit(BaseIndex::<S, LOAD, WORD, SIGNED> { t, n, m, shift })))
}

/// PC-relative load.
pub fn literal<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let addr = pc.wrapping_add((w.sbits(5, 19) << 2) as u64);
    let t = w.d() as u8;
    match w.bits(30, 2) {
        0 => v.visit(Literal::<2> { t, addr }),
        1 => v.visit(Literal::<3> { t, addr }),
        2 => v.visit(Literal::<4> { t, addr }),
        _ => undefined::unallocated(w, pc, v),
    }
}

//! Loads and stores of one register: every addressing mode, and the prefetches among them.
//!
//! Where Rt is also the base of a form with writeback, the architecture leaves the outcome open (CONSTRAINED
//! UNPREDICTABLE). Here a store stores the old value and after a load the base wins, as in QEMU.

use lyrebird_isa::{Bin, Emit, MemOp, Reg, Sem, Size, Visitor, Width};

use super::{access, kinds, mem_op, transfer};
use crate::ArmCpu;
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;

/// Base plus immediate: LDR, STR (unsigned offset), LDUR, STUR, and with `UNPRIV` LDTR, STTR.
#[derive(Clone, Copy, Debug)]
pub struct Offset<const KIND: u8, const UNPRIV: bool> {
    t: Reg,
    n: Reg,
    offset: i32,
}

impl<const KIND: u8, const UNPRIV: bool> Sem<ArmCpu> for Offset<KIND, UNPRIV> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = if UNPRIV { mem_op::<KIND>().unpriv() } else { mem_op::<KIND>() };
        let base = e.reg(self.n);
        let va = e.add_imm(base, self.offset as i64 as u64);
        access::<KIND, E>(e, m, self.t, va)
    }
}

/// Constructor for the forms with an unsigned offset, scaled by the size.
pub fn unsigned<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, offset) = (transfer(w), w.rn_sp(), (w.bits(10, 12) << w.bits(30, 2)) as i32);
    kinds!(w => |KIND| v.visit(Offset::<KIND, false> { t, n, offset }), else unallocated(w, pc, v))
}

/// Constructor for the forms with an unscaled offset.
pub fn unscaled<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, offset) = (transfer(w), w.rn_sp(), w.sbits(12, 9) as i32);
    kinds!(w => |KIND| v.visit(Offset::<KIND, false> { t, n, offset }), else unallocated(w, pc, v))
}

/// Constructor for the unprivileged forms.
pub fn unprivileged<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, offset) = (transfer(w), w.rn_sp(), w.sbits(12, 9) as i32);
    kinds!(w => |KIND| v.visit(Offset::<KIND, true> { t, n, offset }), else unallocated(w, pc, v))
}

/// Base plus immediate with writeback: before the access, or after it where `POST`.
#[derive(Clone, Copy, Debug)]
pub struct Indexed<const KIND: u8, const POST: bool> {
    t: Reg,
    n: Reg,
    offset: i32,
}

impl<const KIND: u8, const POST: bool> Sem<ArmCpu> for Indexed<KIND, POST> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let base = e.reg(self.n);
        let moved = e.add_imm(base, self.offset as i64 as u64);
        access::<KIND, E>(e, mem_op::<KIND>(), self.t, if POST { base } else { moved })?;
        e.set_reg(self.n, moved);
        Ok(())
    }
}

/// Constructor for the post-indexed forms.
pub fn post<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, offset) = (transfer(w), w.rn_sp(), w.sbits(12, 9) as i32);
    kinds!(w => |KIND| v.visit(Indexed::<KIND, true> { t, n, offset }), else unallocated(w, pc, v))
}

/// Constructor for the pre-indexed forms.
pub fn pre<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, offset) = (transfer(w), w.rn_sp(), w.sbits(12, 9) as i32);
    kinds!(w => |KIND| v.visit(Indexed::<KIND, false> { t, n, offset }), else unallocated(w, pc, v))
}

const UXTW: u8 = 0;
const LSL: u8 = 1;
const SXTW: u8 = 2;

/// Base plus register: `EXT` says how the register is extended (SXTX is LSL), `SCALED` that it counts elements.
#[derive(Clone, Copy, Debug)]
pub struct RegOffset<const KIND: u8, const EXT: u8, const SCALED: bool> {
    t: Reg,
    n: Reg,
    m: Reg,
}

impl<const KIND: u8, const EXT: u8, const SCALED: bool> Sem<ArmCpu> for RegOffset<KIND, EXT, SCALED> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = mem_op::<KIND>();
        let (base, index) = (e.reg(self.n), e.reg(self.m));
        let mut index = match EXT {
            UXTW => e.zext(Width::W32, index),
            SXTW => e.sext(Width::W32, index),
            _ => index,
        };
        if SCALED {
            let log2 = e.imm(m.size as u64);
            index = e.bin(Bin::Shl, Width::W64, index, log2);
        }
        let va = e.add(base, index);
        access::<KIND, E>(e, m, self.t, va)
    }
}

/// Constructor for the forms with a register offset.
pub fn offset<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, m) = (transfer(w), w.rn_sp(), w.rm());
    // A byte access has nothing to scale, whatever S says.
    let scaled = w.bit(12) && w.bits(30, 2) != 0;
    kinds!(w => |KIND| match (w.bits(13, 3), scaled) {
        (2, false) => v.visit(RegOffset::<KIND, UXTW, false> { t, n, m }),
        (2, true) => v.visit(RegOffset::<KIND, UXTW, true> { t, n, m }),
        (3 | 7, false) => v.visit(RegOffset::<KIND, LSL, false> { t, n, m }),
        (3 | 7, true) => v.visit(RegOffset::<KIND, LSL, true> { t, n, m }),
        (6, false) => v.visit(RegOffset::<KIND, SXTW, false> { t, n, m }),
        (6, true) => v.visit(RegOffset::<KIND, SXTW, true> { t, n, m }),
        _ => unallocated(w, pc, v),
    }, else unallocated(w, pc, v))
}

/// LDR and LDRSW (literal), from an address known when the instruction is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Literal<const SF: bool, const SIGNED: bool> {
    t: Reg,
    va: u64,
}

impl<const SF: bool, const SIGNED: bool> Sem<ArmCpu> for Literal<SF, SIGNED> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = e.imm(self.va);
        let mut v = e.load(MemOp::new(if SF { Size::B8 } else { Size::B4 }), va)?;
        if SIGNED {
            v = e.sext(Width::W32, v);
        }
        e.set_reg(self.t, v);
        Ok(())
    }
}

/// Constructor for the literal forms.
pub fn literal<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, va) = (w.rd(), pc.wrapping_add((w.sbits(5, 19) << 2) as u64));
    match w.bits(30, 2) {
        0 => v.visit(Literal::<false, false> { t, va }),
        1 => v.visit(Literal::<true, false> { t, va }),
        _ => v.visit(Literal::<false, true> { t, va }),
    }
}

/// PRFM, PRFUM: a hint that never faults; there is no cache here to fill.
#[derive(Clone, Copy, Debug)]
pub struct Prefetch;

impl Sem<ArmCpu> for Prefetch {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, _e: &mut E) -> Result<(), E::Fault> {
        Ok(())
    }
}

/// Constructor for PRFM (immediate, literal) and PRFUM.
pub fn prefetch<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Prefetch)
}

/// Constructor for PRFM (register), whose extension must be one of a word or doubleword.
pub fn prefetch_offset<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if w.bit(14) { v.visit(Prefetch) } else { unallocated(w, pc, v) }
}

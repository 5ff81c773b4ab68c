//! Modified immediate: MOVI, MVNI, ORR, BIC, FMOV (vector, immediate): C7.2.20, C7.2.112, C7.2.211, C7.2.213,
//! C7.2.220. The immediate is expanded when the instruction is decoded.

use lyrebird_isa::{Emit, Sem, VBin, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::half;
use crate::a64::word::Word;

/// AdvSIMDExpandImm, for the low half; the upper half is the same.
fn expand(w: Word) -> u64 {
    let imm8 = (w.bits(16, 3) << 5 | w.bits(5, 5)) as u64;
    let (op, cmode) = (w.bit(29), w.bits(12, 4));
    let words = |x: u64| x | x << 32;
    let halves = |x: u64| words(x | x << 16);
    let (sign, b, low6) = (imm8 >> 7, imm8 >> 6 & 1, imm8 & 0x3f);
    match cmode {
        0..=7 => words(imm8 << (8 * (cmode >> 1))),
        8..=11 => halves(imm8 << (8 * (cmode >> 1 & 1))),
        12 => words(imm8 << 8 | 0xff),
        13 => words(imm8 << 16 | 0xffff),
        14 if op => (0..8).map(|i| ((imm8 >> i & 1) * 0xff) << (8 * i)).sum(),
        14 => imm8 * 0x0101_0101_0101_0101,
        // VFPExpandImm: sign, NOT(b), b repeated, the rest of the fraction.
        _ if op => sign << 63 | (b ^ 1) << 62 | (b * 0xff) << 54 | low6 << 48,
        _ => words(sign << 31 | (b ^ 1) << 30 | (b * 0x1f) << 25 | low6 << 19),
    }
}

/// MOVI, MVNI, FMOV.
#[derive(Clone, Copy, Debug)]
pub struct MoveImm {
    imm: u64,
    d: u8,
    q: bool,
}

impl Sem<ArmCpu> for MoveImm {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (lo, hi) = (e.imm(self.imm), e.imm(if self.q { self.imm } else { 0 }));
        let r = e.vec(lo, hi);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// ORR, or BIC where `CLEAR`.
#[derive(Clone, Copy, Debug)]
pub struct LogicImm<const CLEAR: bool, const Q: bool> {
    imm: u64,
    d: u8,
}

impl<const CLEAR: bool, const Q: bool> Sem<ArmCpu> for LogicImm<CLEAR, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.d);
        let imm = e.imm(self.imm);
        let imm = e.vec(imm, imm);
        let r = e.vbin(if CLEAR { VBin::Bic } else { VBin::Or }, lyrebird_isa::Lane::D, v, imm);
        let r = half(e, Q, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Constructor of MOVI and FMOV.
pub fn movi<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(MoveImm { imm: expand(w), d: w.d() as u8, q: w.bit(30) })
}

/// Constructor of MVNI.
pub fn mvni<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(MoveImm { imm: !expand(w), d: w.d() as u8, q: w.bit(30) })
}

fn logic<const CLEAR: bool, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    let (imm, d) = (expand(w), w.d() as u8);
    if w.bit(30) {
        v.visit(LogicImm::<CLEAR, true> { imm, d })
    } else {
        v.visit(LogicImm::<CLEAR, false> { imm, d })
    }
}

/// Constructor of ORR (vector, immediate).
pub fn orr<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    logic::<false, V>(w, v)
}

/// Constructor of BIC (vector, immediate).
pub fn bic<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    logic::<true, V>(w, v)
}

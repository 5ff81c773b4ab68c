//! What only moves bits: FMOV, FABS, FNEG, FCSEL.

use lyrebird_isa::{Bin, Cond, Emit, Reg, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::word::Word;
use crate::cpu::Mode;

/// Writes a scalar: the rest of the register becomes zero.
#[inline(always)]
fn set_scalar<E: Emit>(e: &mut E, d: u8, v: E::Val) {
    let z = e.imm(0);
    let v = e.vec(v, z);
    e.set_vreg(d, v);
}

/// Reads a scalar of width `w`.
#[inline(always)]
fn scalar<E: Emit>(e: &mut E, w: Width, n: u8) -> E::Val {
    let v = e.vreg(n);
    let v = e.vec_lo(v);
    e.zext(w, v)
}

/// FMOV (register), FABS, FNEG (scalar): `(value & !CLEAR) ^ FLIP` at the sign: C7.2.135, C7.2.46, C7.2.140.
#[derive(Clone, Copy, Debug)]
pub struct SignScalar<const D: bool, const CLEAR: bool, const FLIP: bool> {
    d: u8,
    n: u8,
}

impl<const D: bool, const CLEAR: bool, const FLIP: bool> Sem<ArmCpu> for SignScalar<D, CLEAR, FLIP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(D);
        let mut v = scalar(e, w, self.n);
        if CLEAR || FLIP {
            let sign = e.imm(1 << (w.bits() - 1));
            v = e.bin(if CLEAR { Bin::Bic } else { Bin::Xor }, w, v, sign);
        }
        set_scalar(e, self.d, v);
        Ok(())
    }
}

/// FMOV (register).
pub fn fmov_reg<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let (d, n) = (w.d() as u8, w.n() as u8);
    flags!(w.bit(22) => |D| v.visit(SignScalar::<D, false, false> { d, n }))
}

/// FABS (scalar).
pub fn fabs<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let (d, n) = (w.d() as u8, w.n() as u8);
    flags!(w.bit(22) => |D| v.visit(SignScalar::<D, true, false> { d, n }))
}

/// FNEG (scalar).
pub fn fneg<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let (d, n) = (w.d() as u8, w.n() as u8);
    flags!(w.bit(22) => |D| v.visit(SignScalar::<D, false, true> { d, n }))
}

/// FMOV (scalar, immediate): C7.2.136. The constant is expanded when the instruction is decoded.
#[derive(Clone, Copy, Debug)]
pub struct FmovImm {
    bits: u64,
    d: u8,
}

impl Sem<ArmCpu> for FmovImm {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.imm(self.bits);
        set_scalar(e, self.d, v);
        Ok(())
    }
}

/// Constructor of [`FmovImm`].
pub fn fmov_imm<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(FmovImm { bits: expand_imm(w.bits(13, 8), w.bit(22)), d: w.d() as u8 })
}

/// `VFPExpandImm` for F64 (`d`) or F32.
const fn expand_imm(imm: u32, d: bool) -> u64 {
    let imm = imm as u64;
    let (sign, low) = (imm >> 7, imm & 0x3f);
    let exp = if imm >> 6 & 1 != 0 { 0 } else { 1 };
    if d {
        // The exponent field is NOT(b6) : b6 x 8 : b5 : b4.
        sign << 63 | exp << 62 | ((1 - exp) * (0xff << 54)) | low << 48
    } else {
        sign << 31 | exp << 30 | ((1 - exp) * (0x1f << 25)) | low << 19
    }
}

/// FCSEL: C7.2.75.
#[derive(Clone, Copy, Debug)]
pub struct Fcsel<const D: bool> {
    d: u8,
    n: u8,
    m: u8,
    cond: Cond,
}

impl<const D: bool> Sem<ArmCpu> for Fcsel<D> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(D);
        let c = e.cond(self.cond);
        let (a, b) = (scalar(e, w, self.n), scalar(e, w, self.m));
        let v = e.select(c, a, b);
        set_scalar(e, self.d, v);
        Ok(())
    }
}

/// Constructor of [`Fcsel`].
pub fn fcsel<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let (d, n, m, cond) = (w.d() as u8, w.n() as u8, w.m() as u8, Cond::from_bits(w.bits(12, 4)));
    flags!(w.bit(22) => |D| v.visit(Fcsel::<D> { d, n, m, cond }))
}

/// FMOV (general), from a SIMD&FP register; `TOP`: from Vn.D\[1\]: C7.2.137.
#[derive(Clone, Copy, Debug)]
pub struct FmovToGeneral<const SF: bool, const TOP: bool> {
    d: Reg,
    n: u8,
}

impl<const SF: bool, const TOP: bool> Sem<ArmCpu> for FmovToGeneral<SF, TOP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.n);
        let v = if TOP { e.vec_hi(v) } else { e.vec_lo(v) };
        let v = e.zext(Width::sf(SF), v);
        e.set_reg(self.d, v);
        Ok(())
    }
}

/// FMOV (general), to a SIMD&FP register; `TOP`: to Vd.D\[1\], the lower half unchanged: C7.2.137.
#[derive(Clone, Copy, Debug)]
pub struct FmovFromGeneral<const SF: bool, const TOP: bool> {
    d: u8,
    n: Reg,
}

impl<const SF: bool, const TOP: bool> Sem<ArmCpu> for FmovFromGeneral<SF, TOP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let x = e.reg(self.n);
        if TOP {
            let old = e.vreg(self.d);
            let lo = e.vec_lo(old);
            let v = e.vec(lo, x);
            e.set_vreg(self.d, v);
        } else {
            let x = e.zext(Width::sf(SF), x);
            set_scalar(e, self.d, x);
        }
        Ok(())
    }
}

/// FMOV Wd, Sn and FMOV Xd, Dn.
pub fn fmov_to_general<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let (d, n) = (w.rd(), w.n() as u8);
    flags!(w.sf() => |SF| v.visit(FmovToGeneral::<SF, false> { d, n }))
}

/// FMOV Xd, Vn.D\[1\].
pub fn fmov_top_to_general<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(FmovToGeneral::<true, true> { d: w.rd(), n: w.n() as u8 })
}

/// FMOV Sd, Wn and FMOV Dd, Xn.
pub fn fmov_from_general<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let (d, n) = (w.d() as u8, w.rn());
    flags!(w.sf() => |SF| v.visit(FmovFromGeneral::<SF, false> { d, n }))
}

/// FMOV Vd.D\[1\], Xn.
pub fn fmov_top_from_general<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(FmovFromGeneral::<true, true> { d: w.d() as u8, n: w.rn() })
}

#[cfg(test)]
mod tests {
    use super::expand_imm;

    #[test]
    fn immediates_expand_to_sixteenths() {
        for (imm, v) in [(0x70, 1.0), (0x00, 2.0), (0x40, 0.125), (0xf0, -1.0), (0x3f, 31.0), (0x78, 1.5)] {
            assert_eq!(f64::from_bits(expand_imm(imm, true)), v);
            assert_eq!(f32::from_bits(expand_imm(imm, false) as u32) as f64, v);
        }
    }
}

//! Flag manipulation, FEAT_FlagM: RMIF, SETF8, SETF16, CFINV.

use lyrebird_isa::{Bin, Cc, Emit, Reg, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::word::Word;

/// RMIF: bits 3 to 0 of the rotated register become those of N, Z, C, V that the mask names.
#[derive(Clone, Copy, Debug)]
pub struct Rmif {
    n: Reg,
    /// Right rotation that brings bit 0 of the field to bit 28.
    rotate: u8,
    /// The flags that change, in bits 31 to 28.
    mask: u32,
}

impl Sem<ArmCpu> for Rmif {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (v, old) = (e.reg(self.n), e.nzcv());
        let (rotate, mask) = (e.imm(self.rotate as u64), e.imm(self.mask as u64));
        let v = e.bin(Bin::Ror, Width::W64, v, rotate);
        let new = e.bin(Bin::And, Width::W64, v, mask);
        let kept = e.bin(Bin::Bic, Width::W64, old, mask);
        let r = e.bin(Bin::Or, Width::W64, kept, new);
        e.set_nzcv(r);
        Ok(())
    }
}

/// Constructor for RMIF.
pub fn rmif<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let rotate = (w.bits(15, 6) as u8).wrapping_sub(28) & 63;
    v.visit(Rmif { n: w.rn(), rotate, mask: w.bits(0, 4) << 28 })
}

/// SETF8, SETF16: N, Z and V of a value of `BITS` bits; V tells that it does not fit as a signed one.
#[derive(Clone, Copy, Debug)]
pub struct SetF<const BITS: u8> {
    n: Reg,
}

impl<const BITS: u8> Sem<ArmCpu> for SetF<BITS> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::W64;
        let (v, old) = (e.reg(self.n), e.nzcv());
        let narrow = if BITS == 8 { Width::W8 } else { Width::W16 };
        let bits = BITS as u64;
        let (one, zero) = (e.imm(1), e.imm(0));
        let z = e.cmp(Cc::Eq, narrow, v, zero);
        let z = e.bool_val(z);
        // N is the sign bit; V where it differs from the next bit up.
        let (at_n, at_v) = (e.imm(bits - 1), e.imm(bits));
        let sign = e.bin(Bin::Shr, w, v, at_n);
        let above = e.bin(Bin::Shr, w, v, at_v);
        let diff = e.bin(Bin::Xor, w, sign, above);
        let n = e.bin(Bin::And, w, sign, one);
        let o = e.bin(Bin::And, w, diff, one);
        let (n_bit, z_bit, v_bit, c) = (e.imm(31), e.imm(30), e.imm(28), e.imm(1 << 29));
        let n = e.bin(Bin::Shl, w, n, n_bit);
        let z = e.bin(Bin::Shl, w, z, z_bit);
        let o = e.bin(Bin::Shl, w, o, v_bit);
        let c = e.bin(Bin::And, w, old, c);
        let nz = e.bin(Bin::Or, w, n, z);
        let cv = e.bin(Bin::Or, w, c, o);
        let r = e.bin(Bin::Or, w, nz, cv);
        e.set_nzcv(r);
        Ok(())
    }
}

/// Constructor for SETF8.
pub fn setf8<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(SetF::<8> { n: w.rn() })
}

/// Constructor for SETF16.
pub fn setf16<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(SetF::<16> { n: w.rn() })
}

/// CFINV: inverts C.
#[derive(Clone, Copy, Debug)]
pub struct CfInv;

impl Sem<ArmCpu> for CfInv {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let old = e.nzcv();
        let c = e.imm(1 << 29);
        let r = e.bin(Bin::Xor, Width::W64, old, c);
        e.set_nzcv(r);
        Ok(())
    }
}

/// Constructor for CFINV.
pub fn cfinv<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(CfInv)
}

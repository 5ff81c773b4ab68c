//! Bitfield: SBFM, BFM, UBFM (Arm ARM C4.1.86.7) and the shifts and extensions that are aliases of them.

use lyrebird_isa::{Bin, Emit, Reg, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;

const LSL: u8 = 0;
const LSR: u8 = 1;
const ASR: u8 = 2;

/// LSL, LSR, ASR (immediate): UBFM and SBFM that move the whole register.
#[derive(Clone, Copy, Debug)]
pub struct ShiftImm<const SF: bool, const OP: u8> {
    d: Reg,
    n: Reg,
    amount: u8,
}

impl<const SF: bool, const OP: u8> Sem<ArmCpu> for ShiftImm<SF, OP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.reg(self.n);
        let n = e.imm(self.amount as u64);
        let op = match OP {
            LSL => Bin::Shl,
            LSR => Bin::Shr,
            _ => Bin::Sar,
        };
        let r = e.bin(op, Width::sf(SF), a, n);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// UXTB, UXTH, SXTB, SXTH, SXTW: a field of `8 << LOG2` bits that starts at bit 0.
#[derive(Clone, Copy, Debug)]
pub struct Extend<const SF: bool, const SIGNED: bool, const LOG2: u8> {
    d: Reg,
    n: Reg,
}

impl<const SF: bool, const SIGNED: bool, const LOG2: u8> Sem<ArmCpu> for Extend<SF, SIGNED, LOG2> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let from = match LOG2 {
            0 => Width::W8,
            1 => Width::W16,
            _ => Width::W32,
        };
        let a = e.reg(self.n);
        let mut r = if SIGNED { e.sext(from, a) } else { e.zext(from, a) };
        if SIGNED && !SF {
            r = e.zext(Width::W32, r);
        }
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// UBFM otherwise (UBFX, UBFIZ). The register rotated, under a mask.
#[derive(Clone, Copy, Debug)]
pub struct Ubfm<const SF: bool> {
    d: Reg,
    n: Reg,
    rotate: u8,
    mask: u64,
}

impl<const SF: bool> Sem<ArmCpu> for Ubfm<SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let n = e.imm(self.rotate as u64);
        let a = e.bin(Bin::Ror, w, a, n);
        let mask = e.imm(self.mask);
        let r = e.bin(Bin::And, w, a, mask);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// BFM (BFI, BFXIL, BFC). As [`Ubfm`], the other bits of the destination stay.
#[derive(Clone, Copy, Debug)]
pub struct Bfm<const SF: bool> {
    d: Reg,
    old: Reg,
    n: Reg,
    rotate: u8,
    mask: u64,
}

impl<const SF: bool> Sem<ArmCpu> for Bfm<SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let (a, old) = (e.reg(self.n), e.reg(self.old));
        let n = e.imm(self.rotate as u64);
        let a = e.bin(Bin::Ror, w, a, n);
        let mask = e.imm(self.mask);
        let field = e.bin(Bin::And, w, a, mask);
        let rest = e.bin(Bin::Bic, w, old, mask);
        let r = e.bin(Bin::Or, w, rest, field);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// SBFM otherwise (SBFX, SBFIZ). The field goes to the top of the register, then down to its place.
#[derive(Clone, Copy, Debug)]
pub struct Sbfm<const SF: bool> {
    d: Reg,
    n: Reg,
    up: u8,
    down: u8,
}

impl<const SF: bool> Sem<ArmCpu> for Sbfm<SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let up = e.imm(self.up as u64);
        let a = e.bin(Bin::Shl, w, a, up);
        let down = e.imm(self.down as u64);
        let r = e.bin(Bin::Sar, w, a, down);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// The fields of a bitfield instruction.
struct Fields {
    d: Reg,
    n: Reg,
    bits: u32,
    immr: u32,
    imms: u32,
}

impl Fields {
    /// None where the combination is reserved.
    fn read(w: Word) -> Option<Fields> {
        let bits = Width::sf(w.sf()).bits();
        let (immr, imms) = (w.bits(16, 6), w.bits(10, 6));
        let reserved = w.bit(22) != w.sf() || immr >= bits || imms >= bits;
        (!reserved).then_some(Fields { d: w.rd(), n: w.rn(), bits, immr, imms })
    }

    /// Where the bits of the field end up after the rotation by `immr`.
    fn mask(&self) -> u64 {
        let ones = |n: u32| u64::MAX >> (64 - n);
        if self.imms >= self.immr {
            ones(self.imms - self.immr + 1)
        } else {
            ones(self.imms + 1) << (self.bits - self.immr)
        }
    }
}

/// Constructor for UBFM.
pub fn ubfm<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(f) = Fields::read(w) else { return unallocated(w, pc, v) };
    let (d, n) = (f.d, f.n);
    flags!(w.sf() => |SF| match (f.immr, f.imms) {
        (r, s) if s + 1 == f.bits => v.visit(ShiftImm::<SF, LSR> { d, n, amount: r as u8 }),
        (r, s) if s + 1 == r => v.visit(ShiftImm::<SF, LSL> { d, n, amount: (f.bits - r) as u8 }),
        (0, 7) => v.visit(Extend::<SF, false, 0> { d, n }),
        (0, 15) => v.visit(Extend::<SF, false, 1> { d, n }),
        (0, 31) => v.visit(Extend::<SF, false, 2> { d, n }),
        (r, _) => v.visit(Ubfm::<SF> { d, n, rotate: r as u8, mask: f.mask() }),
    })
}

/// Constructor for SBFM.
pub fn sbfm<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(f) = Fields::read(w) else { return unallocated(w, pc, v) };
    let (d, n) = (f.d, f.n);
    flags!(w.sf() => |SF| match (f.immr, f.imms) {
        (r, s) if s + 1 == f.bits => v.visit(ShiftImm::<SF, ASR> { d, n, amount: r as u8 }),
        (0, 7) => v.visit(Extend::<SF, true, 0> { d, n }),
        (0, 15) => v.visit(Extend::<SF, true, 1> { d, n }),
        (0, 31) => v.visit(Extend::<SF, true, 2> { d, n }),
        (r, s) => {
            let up = f.bits - 1 - s;
            // SBFX moves the field down to bit 0, SBFIZ to bit width - immr.
            let down = if s >= r { up + r } else { up + r - f.bits };
            v.visit(Sbfm::<SF> { d, n, up: up as u8, down: down as u8 })
        }
    })
}

/// Constructor for BFM.
pub fn bfm<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let Some(f) = Fields::read(w) else { return unallocated(w, pc, v) };
    let (d, n, old) = (f.d, f.n, w.rt_src());
    flags!(w.sf() => |SF| v.visit(Bfm::<SF> { d, old, n, rotate: f.immr as u8, mask: f.mask() }))
}

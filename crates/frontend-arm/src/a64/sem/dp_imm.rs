//! Data processing, immediate (Arm ARM C4.1.86).

use lyrebird_isa::{Bin, Emit, FlagOp, Reg, Sem, Visitor, Width};

use super::flags;
use crate::ArmCpu;
use crate::a64::word::Word;

/// ADD, ADDS, SUB, SUBS (immediate): C6.2.4, C6.2.8, C6.2.398, C6.2.404.
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

/// Constructor for the four rows.
pub fn add_sub_imm<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let imm = w.bits(10, 12) << (12 * w.bits(22, 1));
    let s = w.bit(29);
    let d = if s { w.rd() } else { w.rd_sp() };
    flags!(w.sf(), w.bit(30), s => |SF, SUB, S| v.visit(AddSubImm::<SF, SUB, S> { d, n: w.rn_sp(), imm }))
}

/// ADR and ADRP: C6.2.11, C6.2.12. The address is known when the instruction is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Adr {
    d: Reg,
    addr: u64,
}

impl Sem<ArmCpu> for Adr {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.imm(self.addr);
        e.set_reg(self.d, a);
        Ok(())
    }
}

/// Constructor for ADR and ADRP.
pub fn adr<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let imm = w.sbits(5, 19) << 2 | w.bits(29, 2) as i64;
    let addr =
        if w.bit(31) { (pc & !0xfff).wrapping_add((imm << 12) as u64) } else { pc.wrapping_add(imm as u64) };
    v.visit(Adr { d: w.rd(), addr })
}

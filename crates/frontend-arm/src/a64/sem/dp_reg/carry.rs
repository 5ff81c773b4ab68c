//! Add/subtract (with carry).

use lyrebird_isa::{Bin, Cond, Emit, Reg, Sem, Un, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::word::Word;

/// ADC, ADCS, SBC, SBCS. `SBC` subtracts: `a + NOT(b) + C`.
#[derive(Clone, Copy, Debug)]
pub struct AddSubCarry<const SF: bool, const SUB: bool, const S: bool> {
    d: Reg,
    n: Reg,
    m: Reg,
}

impl<const SF: bool, const SUB: bool, const S: bool> Sem<ArmCpu> for AddSubCarry<SF, SUB, S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let mut b = e.reg(self.m);
        if SUB {
            b = e.un(Un::Not, w, b);
        }
        let carry = e.cond(Cond::Cs);
        let carry = e.bool_val(carry);
        let ab = e.bin(Bin::Add, w, a, b);
        let r = e.bin(Bin::Add, w, ab, carry);
        if S {
            let nzcv = carry_flags::<SF, E>(e, a, b, r);
            e.set_nzcv(nzcv);
        }
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// The flags of `r = a + b + carry` as a raw word. Carry and overflow out of each bit follow from the operands
/// and the result alone: the carry is the majority of `a`, `b` and `NOT(r)`.
#[inline(always)]
fn carry_flags<const SF: bool, E: Emit<Cpu = ArmCpu>>(e: &mut E, a: E::Val, b: E::Val, r: E::Val) -> E::Val {
    let w = Width::sf(SF);
    let both = e.bin(Bin::And, w, a, b);
    let any = e.bin(Bin::Or, w, a, b);
    let any_not_r = e.bin(Bin::Bic, w, any, r);
    let c = e.bin(Bin::Or, w, both, any_not_r);
    let ar = e.bin(Bin::Xor, w, a, r);
    let br = e.bin(Bin::Xor, w, b, r);
    let v = e.bin(Bin::And, w, ar, br);
    let zero = e.imm(0);
    let z = e.cmp(lyrebird_isa::Cc::Eq, w, r, zero);
    let z = e.bool_val(z);
    let n = sign::<SF, E>(e, r, 31);
    let c = sign::<SF, E>(e, c, 29);
    let v = sign::<SF, E>(e, v, 28);
    let thirty = e.imm(30);
    let z = e.bin(Bin::Shl, Width::W64, z, thirty);
    let nz = e.bin(Bin::Or, Width::W64, n, z);
    let cv = e.bin(Bin::Or, Width::W64, c, v);
    e.bin(Bin::Or, Width::W64, nz, cv)
}

/// The top bit of `v`, moved to bit `to`.
#[inline(always)]
fn sign<const SF: bool, E: Emit<Cpu = ArmCpu>>(e: &mut E, v: E::Val, to: u64) -> E::Val {
    let w = Width::sf(SF);
    let (down, up) = (e.imm(w.bits() as u64 - 1), e.imm(to));
    let bit = e.bin(Bin::Shr, w, v, down);
    e.bin(Bin::Shl, Width::W64, bit, up)
}

/// Constructor for the four rows.
pub fn add_sub_carry<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (d, n, m) = (w.rd(), w.rn(), w.rm());
    flags!(w.sf(), w.bit(30), w.bit(29) => |SF, SUB, S| v.visit(AddSubCarry::<SF, SUB, S> { d, n, m }))
}

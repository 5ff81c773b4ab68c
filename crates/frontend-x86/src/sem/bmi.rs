//! BMI1, BMI2, ADX (SDM Vol. 1, 5.1.16).

use iced_x86::Mnemonic;
use lyrebird_isa::{Bin, Cc, Cond, Emit, FlagOp, Helper, Sem, Un, Visitor, Width};

use super::{Decoded, consts, flags};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, w, width};
use crate::regs::RDX;

mod op {
    pub const ANDN: u8 = 0;
    pub const BEXTR: u8 = 1;
    pub const BLSI: u8 = 2;
    pub const BLSMSK: u8 = 3;
    pub const BLSR: u8 = 4;
    pub const BZHI: u8 = 5;
    pub const MULX: u8 = 6;
    pub const PDEP: u8 = 7;
    pub const PEXT: u8 = 8;
    pub const RORX: u8 = 9;
    pub const SARX: u8 = 10;
    pub const SHLX: u8 = 11;
    pub const SHRX: u8 = 12;
    pub const ADCX: u8 = 13;
    pub const ADOX: u8 = 14;
}

extern "C" fn pdep(_: &mut X86Cpu, a: u64, mut mask: u64, _: u64) -> u64 {
    let (mut r, mut bit) = (0, 0);
    while mask != 0 {
        let lowest = mask & mask.wrapping_neg();
        if a >> bit & 1 != 0 {
            r |= lowest;
        }
        mask ^= lowest;
        bit += 1;
    }
    r
}

extern "C" fn pext(_: &mut X86Cpu, a: u64, mut mask: u64, _: u64) -> u64 {
    let (mut r, mut bit) = (0, 0);
    while mask != 0 {
        let lowest = mask & mask.wrapping_neg();
        if a & lowest != 0 {
            r |= 1 << bit;
        }
        mask ^= lowest;
        bit += 1;
    }
    r
}

/// One of them. The destination is `m.reg`, the register or memory operand is `m` or `m.reg2`, the other register `s`.
#[derive(Clone, Copy, Debug)]
pub struct Bmi<const OP: u8, const W: u8, const MEM: bool> {
    m: Mem,
    s: Gpr,
    n: u8,
}

impl<const OP: u8, const W: u8, const MEM: bool> Sem<X86Cpu> for Bmi<OP, W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (q, width) = (Width::W64, width(W));
        let bits = width.bits() as u64;
        let a = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let s = self.s.get::<W, E>(e);
        let (zero, one) = (e.imm(0), e.imm(1));
        let empty = e.cmp(Cc::Eq, q, a, zero);
        let d = self.m.reg;
        match OP {
            op::ANDN => {
                let r = e.bin(Bin::Bic, q, a, s);
                e.set_flags(FlagOp::Sub, width, r, zero);
                d.set::<W, E>(e, r);
            }
            op::BEXTR => {
                let byte = e.imm(0xff);
                let start = e.bin(Bin::And, q, s, byte);
                let n = e.imm(8);
                let len = e.bin(Bin::Shr, q, s, n);
                let len = e.bin(Bin::And, q, len, byte);
                let limit = e.imm(64);
                let shifted = e.bin(Bin::Shr, q, a, start);
                let inside = e.cmp(Cc::Ult, q, start, limit);
                let shifted = e.select(inside, shifted, zero);
                let mask = e.bin(Bin::Shl, q, one, len);
                let mask = e.bin(Bin::Sub, q, mask, one);
                let cut = e.bin(Bin::And, q, shifted, mask);
                let short = e.cmp(Cc::Ult, q, len, limit);
                let r = e.select(short, cut, shifted);
                e.set_flags(FlagOp::Sub, width, r, zero);
                d.set::<W, E>(e, r);
            }
            op::BLSI | op::BLSMSK | op::BLSR => {
                let less = e.bin(Bin::Sub, width, a, one);
                let r = match OP {
                    op::BLSI => {
                        let n = e.un(Un::Neg, width, a);
                        e.bin(Bin::And, q, a, n)
                    }
                    op::BLSMSK => e.bin(Bin::Xor, width, a, less),
                    _ => e.bin(Bin::And, q, a, less),
                };
                let empty = e.bool_val(empty);
                let cf = if OP == op::BLSI { e.bin(Bin::Xor, q, empty, one) } else { empty };
                flags::set(e, width, r, cf, zero, zero);
                d.set::<W, E>(e, r);
            }
            op::BZHI => {
                let byte = e.imm(0xff);
                let n = e.bin(Bin::And, q, s, byte);
                let mask = e.bin(Bin::Shl, q, one, n);
                let mask = e.bin(Bin::Sub, q, mask, one);
                let cut = e.bin(Bin::And, q, a, mask);
                let limit = e.imm(bits);
                let short = e.cmp(Cc::Ult, q, n, limit);
                let r = e.select(short, cut, a);
                let short = e.bool_val(short);
                let cf = e.bin(Bin::Xor, q, short, one);
                flags::set(e, width, r, cf, zero, zero);
                d.set::<W, E>(e, r);
            }
            op::MULX => {
                let b = Gpr(RDX.0).get::<W, E>(e);
                let low = e.bin(Bin::Mul, q, a, b);
                let high = if W == w::Q {
                    e.bin(Bin::Umulh, q, a, b)
                } else {
                    let n = e.imm(32);
                    e.bin(Bin::Shr, q, low, n)
                };
                // The same register twice gets the high half.
                self.s.set::<W, E>(e, low);
                d.set::<W, E>(e, high);
            }
            op::PDEP | op::PEXT => {
                let h = if OP == op::PDEP { Helper::pure("pdep", pdep) } else { Helper::pure("pext", pext) };
                let r = e.call(h, [s, a, zero])?;
                d.set::<W, E>(e, r);
            }
            op::RORX => {
                let n = e.imm(self.n as u64);
                let r = e.bin(Bin::Ror, width, a, n);
                d.set::<W, E>(e, r);
            }
            op::SARX | op::SHLX | op::SHRX => {
                let by = match OP {
                    op::SARX => Bin::Sar,
                    op::SHLX => Bin::Shl,
                    _ => Bin::Shr,
                };
                let r = e.bin(by, width, a, s);
                d.set::<W, E>(e, r);
            }
            _ => {
                // ADCX carries in CF, ADOX in OF.
                let old = d.get::<W, E>(e);
                let carry = if OP == op::ADCX { e.cond(Cond::Cc) } else { e.cond(Cond::Vs) };
                let carry = e.bool_val(carry);
                let x = e.bin(Bin::Add, width, old, a);
                let r = e.bin(Bin::Add, width, x, carry);
                let first = e.cmp(Cc::Ult, q, x, a);
                let second = e.cmp(Cc::Ult, q, r, carry);
                let (first, second) = (e.bool_val(first), e.bool_val(second));
                let out = e.bin(Bin::Or, q, first, second);
                let word = flags::current(e);
                if OP == op::ADCX {
                    let of = e.cond(Cond::Vs);
                    let of = e.bool_val(of);
                    let word = flags::set_cf_of(e, word, out, of);
                    e.set_nzcv(word);
                } else {
                    let cf = flags::cf(e);
                    let word = flags::set_cf_of(e, word, cf, out);
                    e.set_nzcv(word);
                }
                d.set::<W, E>(e, r);
            }
        }
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    use Feature::*;
    // Operation, what it needs, and which operands are the register or memory one and the other source.
    let (op, feature, rm, other) = match x.mnemonic() {
        Mnemonic::Andn => (op::ANDN, Bmi1, 2, Some(1)),
        Mnemonic::Bextr => (op::BEXTR, Bmi1, 1, Some(2)),
        Mnemonic::Blsi => (op::BLSI, Bmi1, 1, None),
        Mnemonic::Blsmsk => (op::BLSMSK, Bmi1, 1, None),
        Mnemonic::Blsr => (op::BLSR, Bmi1, 1, None),
        Mnemonic::Bzhi => (op::BZHI, Bmi2, 1, Some(2)),
        Mnemonic::Mulx => (op::MULX, Bmi2, 2, Some(1)),
        Mnemonic::Pdep => (op::PDEP, Bmi2, 2, Some(1)),
        Mnemonic::Pext => (op::PEXT, Bmi2, 2, Some(1)),
        Mnemonic::Rorx => (op::RORX, Bmi2, 1, None),
        Mnemonic::Sarx => (op::SARX, Bmi2, 1, Some(2)),
        Mnemonic::Shlx => (op::SHLX, Bmi2, 1, Some(2)),
        Mnemonic::Shrx => (op::SHRX, Bmi2, 1, Some(2)),
        Mnemonic::Adcx => (op::ADCX, Adx, 1, None),
        Mnemonic::Adox => (op::ADOX, Adx, 1, None),
        _ => return Err(v),
    };
    if !x.mode.has(feature) || !x.is_gpr(0) {
        return Err(v);
    }
    let mem = x.is_mem(rm);
    let m = x.operand(rm).with(x.gpr(0));
    let s = other.map_or(Gpr(0), |n| x.gpr(n));
    let n = if op == op::RORX { x.imm(2) as u8 } else { 0 };
    let long = x.reg_width(0) == w::Q;
    Ok(consts!(op, [0 1 2 3 4 5 6 7 8 9 10 11 12 13] 14 => |OP| match (long, mem) {
        (false, false) => v.visit(Bmi::<OP, { w::D }, false> { m, s, n }),
        (false, true) => v.visit(Bmi::<OP, { w::D }, true> { m, s, n }),
        (true, false) => v.visit(Bmi::<OP, { w::Q }, false> { m, s, n }),
        (true, true) => v.visit(Bmi::<OP, { w::Q }, true> { m, s, n }),
    }))
}

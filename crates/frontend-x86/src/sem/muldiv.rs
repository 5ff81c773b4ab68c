//! MUL, IMUL, DIV, IDIV (SDM Vol. 1, 5.1.2), and the sign conversions CBW to CQO.

use iced_x86::{Code, Mnemonic};
use lyrebird_isa::{Bin, Cc, Emit, Helper, Sem, Visitor, Width};

use super::{Decoded, flags, wide_widths, widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::exception::{Fault, vector};
use crate::operand::{Gpr, Mem, w, width};
use crate::regs::{RAX, RDX};

const A: Gpr = Gpr(RAX.0);
const D: Gpr = Gpr(RDX.0);

/// Low and high half of the product at width `W`.
#[inline(always)]
fn product<const W: u8, const SIGNED: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    a: E::Val,
    b: E::Val,
) -> (E::Val, E::Val) {
    let (q, width) = (Width::W64, width(W));
    if W == w::Q {
        let high = if SIGNED { Bin::Smulh } else { Bin::Umulh };
        return (e.bin(Bin::Mul, q, a, b), e.bin(high, q, a, b));
    }
    let (a, b) =
        if SIGNED { (e.sext(width, a), e.sext(width, b)) } else { (e.zext(width, a), e.zext(width, b)) };
    let p = e.bin(Bin::Mul, q, a, b);
    let n = e.imm(width.bits() as u64);
    let high = e.bin(Bin::Shr, q, p, n);
    (e.zext(width, p), e.zext(width, high))
}

/// The flags: CF and OF where the low half is not the whole product; the rest, undefined, from the low half.
#[inline(always)]
fn set_flags<const W: u8, const SIGNED: bool, E: Emit<Cpu = X86Cpu>>(e: &mut E, low: E::Val, high: E::Val) {
    let width = width(W);
    let zero = e.imm(0);
    let expected = if SIGNED {
        let x = e.sext(width, low);
        let n = e.imm(63);
        let x = e.bin(Bin::Sar, Width::W64, x, n);
        e.zext(width, x)
    } else {
        zero
    };
    let more = e.cmp(Cc::Ne, Width::W64, high, expected);
    let more = e.bool_val(more);
    flags::set(e, width, low, more, more, zero);
}

/// MUL and IMUL with one operand: RDX:RAX, or AX.
#[derive(Clone, Copy, Debug)]
pub struct Mul<const W: u8, const SIGNED: bool, const MEM: bool> {
    m: Mem,
}

impl<const W: u8, const SIGNED: bool, const MEM: bool> Sem<X86Cpu> for Mul<W, SIGNED, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let a = A.get::<W, E>(e);
        let (low, high) = product::<W, SIGNED, E>(e, a, b);
        set_flags::<W, SIGNED, E>(e, low, high);
        if W == w::B {
            let n = e.imm(8);
            let high = e.bin(Bin::Shl, Width::W64, high, n);
            let ax = e.bin(Bin::Or, Width::W64, high, low);
            A.set::<{ w::W }, E>(e, ax);
        } else {
            A.set::<W, E>(e, low);
            D.set::<W, E>(e, high);
        }
        Ok(())
    }
}

/// IMUL with two or three operands.
#[derive(Clone, Copy, Debug)]
pub struct Imul<const W: u8, const MEM: bool, const IMM: bool> {
    m: Mem,
    imm: i32,
}

impl<const W: u8, const MEM: bool, const IMM: bool> Sem<X86Cpu> for Imul<W, MEM, IMM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let a = if IMM { e.imm(self.imm as i64 as u64) } else { self.m.reg.get::<W, E>(e) };
        let (low, high) = product::<W, true, E>(e, a, b);
        set_flags::<W, true, E>(e, low, high);
        self.m.reg.set::<W, E>(e, low);
        Ok(())
    }
}

/// DIV and IDIV: #DE for a zero divisor or a quotient that is too wide.
fn divide(cpu: &mut X86Cpu, w: u8, signed: bool, by: u64) -> Result<(), Fault> {
    const DE: Fault = Fault::plain(vector::DE);
    let width = width(w);
    let bits = width.bits();
    let (a, d) = (cpu.core.reg(RAX), cpu.core.reg(RDX));
    let wide =
        if w == w::B { a as u16 as u128 } else { (width.zext(d) as u128) << bits | width.zext(a) as u128 };
    let (quotient, rest) = if signed {
        let unused = 128 - 2 * bits;
        let (n, by) = ((wide << unused) as i128 >> unused, width.sext(by) as i64 as i128);
        let q = n.checked_div(by).ok_or(DE)?;
        let limit = 1i128 << (bits - 1);
        if q < -limit || q >= limit {
            return Err(DE);
        }
        (q as u64, (n % by) as u64)
    } else {
        let by = width.zext(by) as u128;
        let q = wide.checked_div(by).ok_or(DE)?;
        if q >> bits != 0 {
            return Err(DE);
        }
        (q as u64, (wide % by) as u64)
    };
    if w == w::B {
        let ax = (quotient & 0xff) | (rest & 0xff) << 8;
        cpu.core.set_reg(RAX, a & !0xffff | ax);
    } else {
        let merge = |old: u64, v: u64| if w == w::W { old & !0xffff | v & 0xffff } else { width.zext(v) };
        cpu.core.set_reg(RAX, merge(a, quotient));
        cpu.core.set_reg(RDX, merge(d, rest));
    }
    Ok(())
}

extern "C" fn divide_helper(cpu: &mut X86Cpu, by: u64, what: u64, _: u64) -> u64 {
    let r = divide(cpu, what as u8 & 3, what & 4 != 0, by);
    cpu.settle(r);
    0
}

/// DIV and IDIV.
#[derive(Clone, Copy, Debug)]
pub struct Div<const W: u8, const MEM: bool> {
    m: Mem,
    signed: bool,
}

impl<const W: u8, const MEM: bool> Sem<X86Cpu> for Div<W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let (what, zero) = (e.imm(W as u64 | (self.signed as u64) << 2), e.imm(0));
        e.call(Helper::cpu("divide", divide_helper), [b, what, zero])?;
        Ok(())
    }
}

/// CBW, CWDE, CDQE: the lower half of RAX sign-extended to width `W`.
#[derive(Clone, Copy, Debug)]
pub struct Widen<const W: u8>;

impl<const W: u8> Sem<X86Cpu> for Widen<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(RAX);
        let v = e.sext(width(W - 1), v);
        A.set::<W, E>(e, v);
        Ok(())
    }
}

/// CWD, CDQ, CQO: the sign of RAX in all of RDX.
#[derive(Clone, Copy, Debug)]
pub struct Sign<const W: u8>;

impl<const W: u8> Sem<X86Cpu> for Sign<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(RAX);
        let v = e.sext(width(W), v);
        let n = e.imm(63);
        let v = e.bin(Bin::Sar, Width::W64, v, n);
        D.set::<W, E>(e, v);
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    Ok(match x.mnemonic() {
        Mnemonic::Imul if x.i.op_count() > 1 => wide_widths!(x.reg_width(0) => |W| {
            let m = x.operand(1).with(x.gpr(0));
            let three = x.i.op_count() == 3;
            let imm = if three { x.imm(2) as i32 } else { 0 };
            match (x.is_mem(1), three) {
                (false, false) => v.visit(Imul::<W, false, false> { m, imm }),
                (false, true) => v.visit(Imul::<W, false, true> { m, imm }),
                (true, false) => v.visit(Imul::<W, true, false> { m, imm }),
                (true, true) => v.visit(Imul::<W, true, true> { m, imm }),
            }
        }),
        Mnemonic::Mul | Mnemonic::Imul => widths!(x.width(0) => |W| {
            let m = x.operand(0);
            match (x.mnemonic() == Mnemonic::Imul, x.is_mem(0)) {
                (false, false) => v.visit(Mul::<W, false, false> { m }),
                (false, true) => v.visit(Mul::<W, false, true> { m }),
                (true, false) => v.visit(Mul::<W, true, false> { m }),
                (true, true) => v.visit(Mul::<W, true, true> { m }),
            }
        }),
        Mnemonic::Div | Mnemonic::Idiv => widths!(x.width(0) => |W| {
            let m = x.operand(0);
            let signed = x.mnemonic() == Mnemonic::Idiv;
            if x.is_mem(0) { v.visit(Div::<W, true> { m, signed }) } else { v.visit(Div::<W, false> { m, signed }) }
        }),
        _ => match x.i.code() {
            Code::Cbw => v.visit(Widen::<{ w::W }>),
            Code::Cwde => v.visit(Widen::<{ w::D }>),
            Code::Cdqe => v.visit(Widen::<{ w::Q }>),
            Code::Cwd => v.visit(Sign::<{ w::W }>),
            Code::Cdq => v.visit(Sign::<{ w::D }>),
            Code::Cqo => v.visit(Sign::<{ w::Q }>),
            _ => return Err(v),
        },
    })
}

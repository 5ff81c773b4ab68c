//! Shifts and rotates (SDM Vol. 1, 5.1.5). Flags that the SDM leaves undefined are made as if the count were 1.

use iced_x86::Mnemonic;
use lyrebird_isa::{Bin, Cc, Emit, FlagOp, MemOp, Sem, Visitor, Width};

use super::{Decoded, consts, flags, widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, size, w, width};
use crate::regs::RCX;

/// Numbers as in the opcode's bits 5 to 3; 6 (another SHL) is not told apart.
mod op {
    pub const ROL: u8 = 0;
    pub const ROR: u8 = 1;
    pub const RCL: u8 = 2;
    pub const RCR: u8 = 3;
    pub const SHL: u8 = 4;
    pub const SHR: u8 = 5;
    pub const SAR: u8 = 7;
}

/// A count masked to 5 bits, in 64-bit operations to 6.
const fn masked<const W: u8>(n: u8) -> u64 {
    n as u64 & if W == w::Q { 63 } else { 31 }
}

/// Whether what an operation makes of the flags is the carries of its result; rotations leave flags, and make a raw word.
const fn has_carries(op: u8) -> bool {
    matches!(op, op::SHL | op::SHR | op::SAR)
}

/// The result, and its carries or the raw flag word, for a count `n` that is not 0.
#[inline(always)]
fn shift<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    a: E::Val,
    n: E::Val,
) -> (E::Val, E::Val) {
    let width = width(W);
    let bits = width.bits();
    let q = Width::W64;
    let one = e.imm(1);
    let before = e.bin(Bin::Sub, q, n, one);
    match OP {
        op::SHL => {
            // Shifted by one less first: the last bit out is then the top bit.
            let x = e.bin(Bin::Shl, q, a, before);
            let cf = flags::bit(e, x, bits - 1);
            let r = e.bin(Bin::Shl, q, a, n);
            let r = e.zext(width, r);
            let top = flags::bit(e, r, bits - 1);
            let of = e.bin(Bin::Xor, q, cf, top);
            let zero = e.imm(0);
            (r, flags::carries(e, cf, of, zero))
        }
        op::SHR | op::SAR => {
            let a = if OP == op::SAR { e.sext(width, a) } else { a };
            let by = if OP == op::SAR { Bin::Sar } else { Bin::Shr };
            let x = e.bin(by, q, a, before);
            let cf = e.bin(Bin::And, q, x, one);
            let r = e.bin(by, q, a, n);
            let r = e.zext(width, r);
            let zero = e.imm(0);
            let of = if OP == op::SHR { flags::bit(e, a, bits - 1) } else { zero };
            (r, flags::carries(e, cf, of, zero))
        }
        op::ROL | op::ROR => {
            let n = if OP == op::ROL { e.un(lyrebird_isa::Un::Neg, q, n) } else { n };
            let r = e.bin(Bin::Ror, width, a, n);
            let old = flags::current(e);
            let top = flags::bit(e, r, bits - 1);
            let other = if OP == op::ROL { e.bin(Bin::And, q, r, one) } else { flags::bit(e, r, bits - 2) };
            let of = e.bin(Bin::Xor, q, top, other);
            let cf = if OP == op::ROL { other } else { top };
            let word = flags::set_cf_of(e, old, cf, of);
            (r, word)
        }
        _ => rotate_through::<OP, W, E>(e, a, n),
    }
}

/// RCL and RCR: a rotation of width + 1 bits.
#[inline(always)]
fn rotate_through<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    a: E::Val,
    n: E::Val,
) -> (E::Val, E::Val) {
    let width = width(W);
    let bits = width.bits();
    let q = Width::W64;
    let old = flags::current(e);
    let cf = flags::cf(e);
    let zero = e.imm(0);
    let total = e.imm(bits as u64 + 1);
    // The count modulo width + 1; that is 0 or the count itself except at 8 and 16 bits.
    let n = if W < w::D {
        let quotient = e.bin(Bin::Udiv, q, n, total);
        let whole = e.bin(Bin::Mul, q, quotient, total);
        e.bin(Bin::Sub, q, n, whole)
    } else {
        n
    };
    // As RCR: rotating left by n is rotating right by width + 1 - n.
    let n = if OP == op::RCL {
        let back = e.bin(Bin::Sub, q, total, n);
        let none = e.cmp(Cc::Eq, q, n, zero);
        e.select(none, zero, back)
    } else {
        n
    };
    // Bits from n on come to the bottom; CF above the top, then the bits below n.
    let low = shift_full(e, Bin::Shr, a, n);
    let above = e_imm(e, bits);
    let above = e.bin(Bin::Sub, q, above, n);
    let carry = shift_full(e, Bin::Shl, cf, above);
    let up = e.add_imm(above, 1);
    let below = shift_full(e, Bin::Shl, a, up);
    let r = e.bin(Bin::Or, q, low, carry);
    let turned = e.bin(Bin::Or, q, r, below);
    let none = e.cmp(Cc::Eq, q, n, zero);
    let r = e.select(none, a, turned);
    let r = e.zext(width, r);
    let one = e.imm(1);
    let last = e.bin(Bin::Sub, q, n, one);
    let last = e.bin(Bin::Shr, q, a, last);
    let last = e.bin(Bin::And, q, last, one);
    let new_cf = e.select(none, cf, last);
    let top = flags::bit(e, r, bits - 1);
    let other = if OP == op::RCL { new_cf } else { flags::bit(e, r, bits - 2) };
    let of = e.bin(Bin::Xor, q, top, other);
    let word = flags::set_cf_of(e, old, new_cf, of);
    let word = e.select(none, old, word);
    (r, word)
}

#[inline(always)]
fn e_imm<E: Emit<Cpu = X86Cpu>>(e: &mut E, v: u32) -> E::Val {
    e.imm(v as u64)
}

/// `a` shifted by `op`, Shl or Shr, by `n` from 0 up: 0 from 64 on.
#[inline(always)]
fn shift_full<E: Emit<Cpu = X86Cpu>>(e: &mut E, op: Bin, a: E::Val, n: E::Val) -> E::Val {
    let (zero, limit) = (e.imm(0), e.imm(64));
    let r = e.bin(op, Width::W64, a, n);
    let inside = e.cmp(Cc::Ult, Width::W64, n, limit);
    e.select(inside, r, zero)
}

/// What becomes of the flags.
struct Outcome<E: Emit> {
    /// The result, and its carries or the raw flag word.
    r: E::Val,
    flags: E::Val,
    /// The count was 0, where that was not known: flags stay.
    none: Option<E::Bool>,
}

/// Result and flags for any count: 0 leaves both as they are.
#[inline(always)]
fn by<const OP: u8, const W: u8, const CL: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    a: E::Val,
    n: u8,
) -> Outcome<E> {
    if !CL {
        let n = e.imm(masked::<W>(n));
        let (r, flags) = shift::<OP, W, E>(e, a, n);
        return Outcome { r, flags, none: None };
    }
    let n = e.reg(RCX);
    let m = e.imm(masked::<W>(0xff));
    let n = e.bin(Bin::And, Width::W64, n, m);
    let zero = e.imm(0);
    let none = e.cmp(Cc::Eq, Width::W64, n, zero);
    if has_carries(OP) {
        let (r, flags) = shift::<OP, W, E>(e, a, n);
        return Outcome { r: e.select(none, a, r), flags, none: Some(none) };
    }
    let old = flags::current(e);
    let (r, word) = shift::<OP, W, E>(e, a, n);
    Outcome { r: e.select(none, a, r), flags: e.select(none, old, word), none: None }
}

#[inline(always)]
fn set_flags<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, o: &Outcome<E>) {
    match o.none {
        _ if !has_carries(OP) => e.set_nzcv(o.flags),
        None => e.set_flags(FlagOp::Result, width(W), o.r, o.flags),
        Some(none) => e.set_flags_unless(none, FlagOp::Result, width(W), o.r, o.flags),
    }
}

/// Of a register, by a constant that is not 0 or by CL.
#[derive(Clone, Copy, Debug)]
pub struct R<const OP: u8, const W: u8, const CL: bool> {
    d: Gpr,
    n: u8,
}

impl<const OP: u8, const W: u8, const CL: bool> Sem<X86Cpu> for R<OP, W, CL> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = self.d.get::<W, E>(e);
        let o = by::<OP, W, CL, E>(e, a, self.n);
        set_flags::<OP, W, E>(e, &o);
        self.d.set::<W, E>(e, o.r);
        Ok(())
    }
}

/// Of memory.
#[derive(Clone, Copy, Debug)]
pub struct M<const OP: u8, const W: u8, const CL: bool> {
    m: Mem,
    n: u8,
}

impl<const OP: u8, const W: u8, const CL: bool> Sem<X86Cpu> for M<OP, W, CL> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = MemOp::new(size(W));
        let va = self.m.linear(e, size(W).bytes(), true)?;
        let a = e.load(m.update(), va)?;
        let o = by::<OP, W, CL, E>(e, a, self.n);
        e.store(m, va, o.r)?;
        set_flags::<OP, W, E>(e, &o);
        Ok(())
    }
}

/// A register operand, unchanged but for what writing it does to its upper half: a shift by 0.
#[derive(Clone, Copy, Debug)]
pub struct Same<const W: u8> {
    d: Gpr,
}

impl<const W: u8> Sem<X86Cpu> for Same<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = self.d.get::<W, E>(e);
        self.d.set::<W, E>(e, a);
        Ok(())
    }
}

/// A memory operand read and written back: a shift by 0.
#[derive(Clone, Copy, Debug)]
pub struct SameMem<const W: u8> {
    m: Mem,
}

impl<const W: u8> Sem<X86Cpu> for SameMem<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = MemOp::new(size(W));
        let va = self.m.linear(e, size(W).bytes(), true)?;
        let a = e.load(m.update(), va)?;
        e.store(m, va, a)
    }
}

/// SHLD (`LEFT`) and SHRD. For counts above 16 at 16 bits the result is undefined.
#[derive(Clone, Copy, Debug)]
pub struct Double<const W: u8, const LEFT: bool, const MEM: bool> {
    /// Destination (in memory, or `reg2`) and source `reg`.
    m: Mem,
    n: u8,
    cl: bool,
}

impl<const W: u8, const LEFT: bool, const MEM: bool> Sem<X86Cpu> for Double<W, LEFT, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (q, width) = (Width::W64, width(W));
        let m = MemOp::new(size(W));
        let va = if MEM { self.m.linear(e, size(W).bytes(), true)? } else { e.imm(0) };
        let a = if MEM { e.load(m.update(), va)? } else { self.m.reg2.get::<W, E>(e) };
        let b = self.m.reg.get::<W, E>(e);
        let n = if self.cl {
            let n = e.reg(RCX);
            let mask = e.imm(masked::<W>(0xff));
            e.bin(Bin::And, q, n, mask)
        } else {
            e.imm(masked::<W>(self.n))
        };
        let (zero, one) = (e.imm(0), e.imm(1));
        let none = e.cmp(Cc::Eq, q, n, zero);
        let rest = e_imm(e, width.bits());
        let rest = e.bin(Bin::Sub, q, rest, n);
        let last = e.bin(Bin::Sub, q, n, one);
        let (r, cf) = if LEFT {
            let high = e.bin(Bin::Shl, q, a, n);
            let low = shift_full(e, Bin::Shr, b, rest);
            let x = e.bin(Bin::Shl, q, a, last);
            (e.bin(Bin::Or, q, high, low), flags::bit(e, x, width.bits() - 1))
        } else {
            let low = e.bin(Bin::Shr, q, a, n);
            let high = shift_full(e, Bin::Shl, b, rest);
            let x = e.bin(Bin::Shr, q, a, last);
            (e.bin(Bin::Or, q, low, high), e.bin(Bin::And, q, x, one))
        };
        let r = e.zext(width, r);
        let x = e.bin(Bin::Xor, q, a, r);
        let of = flags::bit(e, x, width.bits() - 1);
        let carries = flags::carries(e, cf, of, zero);
        let r = e.select(none, a, r);
        if MEM {
            e.store(m, va, r)?;
        }
        e.set_flags_unless(none, FlagOp::Result, width, r, carries);
        if !MEM {
            self.m.reg2.set::<W, E>(e, r);
        }
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let cl = |n: u32| x.is_gpr(n);
    let op = match x.mnemonic() {
        Mnemonic::Rol => op::ROL,
        Mnemonic::Ror => op::ROR,
        Mnemonic::Rcl => op::RCL,
        Mnemonic::Rcr => op::RCR,
        Mnemonic::Shl | Mnemonic::Sal => op::SHL,
        Mnemonic::Shr => op::SHR,
        Mnemonic::Sar => op::SAR,
        Mnemonic::Shld | Mnemonic::Shrd => {
            let left = x.mnemonic() == Mnemonic::Shld;
            let (n, cl) = if cl(2) { (0, true) } else { (x.imm(2) as u8, false) };
            return Ok(super::wide_widths!(x.width(0) => |W| {
                let m = x.operand(0).with(x.gpr(1));
                match (left, x.is_mem(0)) {
                    (true, true) => v.visit(Double::<W, true, true> { m, n, cl }),
                    (false, true) => v.visit(Double::<W, false, true> { m, n, cl }),
                    (true, false) => v.visit(Double::<W, true, false> { m, n, cl }),
                    (false, false) => v.visit(Double::<W, false, false> { m, n, cl }),
                }
            }));
        }
        _ => return Err(v),
    };
    let (n, cl) = if cl(1) { (0, true) } else { (x.imm(1) as u8, false) };
    Ok(widths!(x.width(0) => |W| {
        if !cl && masked::<W>(n) == 0 {
            return Ok(match x.is_mem(0) {
                true => v.visit(SameMem::<W> { m: x.mem() }),
                false => v.visit(Same::<W> { d: x.gpr(0) }),
            });
        }
        consts!(op, [0 1 2 3 4 5] 7 => |OP| match (x.is_mem(0), cl) {
            (false, false) => v.visit(R::<OP, W, false> { d: x.gpr(0), n }),
            (false, true) => v.visit(R::<OP, W, true> { d: x.gpr(0), n }),
            (true, false) => v.visit(M::<OP, W, false> { m: x.mem(), n }),
            (true, true) => v.visit(M::<OP, W, true> { m: x.mem(), n }),
        })
    }))
}

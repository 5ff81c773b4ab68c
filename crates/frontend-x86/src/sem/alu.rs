//! ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST (SDM Vol. 1, 5.1.2 and 5.1.4).

use iced_x86::Mnemonic;
use lyrebird_isa::{Bin, Emit, FlagOp, MemOp, Rmw, Sem, Visitor, Width};

use super::{Decoded, consts, flags, widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, size, width};

/// Operation numbers: those of the opcode's bits 5 to 3, then TEST.
mod op {
    pub const ADD: u8 = 0;
    pub const OR: u8 = 1;
    pub const ADC: u8 = 2;
    pub const SBB: u8 = 3;
    pub const AND: u8 = 4;
    pub const SUB: u8 = 5;
    pub const XOR: u8 = 6;
    pub const CMP: u8 = 7;
    pub const TEST: u8 = 8;
}

/// Whether the result is written.
const fn writes(op: u8) -> bool {
    op < op::CMP
}

/// The result at width `W`.
#[inline(always)]
fn result<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Val, b: E::Val) -> E::Val {
    let w = width(W);
    match OP {
        op::ADD => e.bin(Bin::Add, w, a, b),
        op::OR => e.bin(Bin::Or, w, a, b),
        op::ADC => {
            let c = flags::cf(e);
            let b = e.bin(Bin::Add, Width::W64, b, c);
            e.bin(Bin::Add, w, a, b)
        }
        op::SBB => {
            let c = flags::cf(e);
            let b = e.bin(Bin::Add, Width::W64, b, c);
            e.bin(Bin::Sub, w, a, b)
        }
        op::AND | op::TEST => e.bin(Bin::And, w, a, b),
        op::SUB | op::CMP => e.bin(Bin::Sub, w, a, b),
        _ => e.bin(Bin::Xor, w, a, b),
    }
}

/// Sets the flags of `r = a op b`.
#[inline(always)]
fn set_flags<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Val, b: E::Val, r: E::Val) {
    let w = width(W);
    match OP {
        op::ADD => e.set_flags(FlagOp::AddX86, w, a, b),
        op::SUB | op::CMP => e.set_flags(FlagOp::Sub, w, a, b),
        op::ADC | op::SBB => {
            // The carries out of every bit; into bit 4 for AF.
            let not_r = e.un(lyrebird_isa::Un::Not, Width::W64, r);
            let (x, y) =
                if OP == op::ADC { (a, not_r) } else { (e.un(lyrebird_isa::Un::Not, Width::W64, a), r) };
            let both = e.bin(Bin::And, Width::W64, x, b);
            let either = e.bin(Bin::Or, Width::W64, x, b);
            let passed = e.bin(Bin::And, Width::W64, either, y);
            let out = e.bin(Bin::Or, Width::W64, both, passed);
            let bit = |e: &mut E, v: E::Val, n: u32| {
                let n = e.imm(n as u64);
                let v = e.bin(Bin::Shr, Width::W64, v, n);
                let one = e.imm(1);
                e.bin(Bin::And, Width::W64, v, one)
            };
            let top = w.bits() - 1;
            let cf = bit(e, out, top);
            let below = bit(e, out, top - 1);
            let of = e.bin(Bin::Xor, Width::W64, cf, below);
            let af = bit(e, out, 3);
            flags::set(e, w, r, cf, of, af);
        }
        _ => {
            let zero = e.imm(0);
            e.set_flags(FlagOp::Sub, w, r, zero);
        }
    }
}

/// Register, register.
#[derive(Clone, Copy, Debug)]
pub struct Rr<const OP: u8, const W: u8> {
    d: Gpr,
    s: Gpr,
}

impl<const OP: u8, const W: u8> Sem<X86Cpu> for Rr<OP, W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (self.d.raw::<W, E>(e), self.s.raw::<W, E>(e));
        let r = result::<OP, W, E>(e, a, b);
        set_flags::<OP, W, E>(e, a, b, r);
        if writes(OP) {
            self.d.set::<W, E>(e, r);
        }
        Ok(())
    }
}

/// Register, immediate.
#[derive(Clone, Copy, Debug)]
pub struct Ri<const OP: u8, const W: u8> {
    imm: u64,
    d: Gpr,
}

impl<const OP: u8, const W: u8> Sem<X86Cpu> for Ri<OP, W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (self.d.raw::<W, E>(e), e.imm(self.imm));
        let r = result::<OP, W, E>(e, a, b);
        set_flags::<OP, W, E>(e, a, b, r);
        if writes(OP) {
            self.d.set::<W, E>(e, r);
        }
        Ok(())
    }
}

/// Register, memory.
#[derive(Clone, Copy, Debug)]
pub struct Rm<const OP: u8, const W: u8> {
    m: Mem,
}

impl<const OP: u8, const W: u8> Sem<X86Cpu> for Rm<OP, W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = self.m.load::<W, E>(e)?;
        let a = self.m.reg.raw::<W, E>(e);
        let r = result::<OP, W, E>(e, a, b);
        set_flags::<OP, W, E>(e, a, b, r);
        if writes(OP) {
            self.m.reg.set::<W, E>(e, r);
        }
        Ok(())
    }
}

/// Memory, register; or memory, immediate.
#[derive(Clone, Copy, Debug)]
pub struct M<const OP: u8, const W: u8, const IMM: bool> {
    m: Mem,
    imm: i32,
}

impl<const OP: u8, const W: u8, const IMM: bool> Sem<X86Cpu> for M<OP, W, IMM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, size(W).bytes(), writes(OP))?;
        let m = if writes(OP) { MemOp::new(size(W)).update() } else { MemOp::new(size(W)) };
        let a = e.load(m, va)?;
        let b = if IMM { e.imm(self.imm as i64 as u64) } else { self.m.reg.raw::<W, E>(e) };
        let r = result::<OP, W, E>(e, a, b);
        if writes(OP) {
            e.store(MemOp::new(size(W)), va, r)?;
        }
        set_flags::<OP, W, E>(e, a, b, r);
        Ok(())
    }
}

/// LOCK with a memory destination: atomic (SDM Vol. 3, 8.1.2.2).
#[derive(Clone, Copy, Debug)]
pub struct Locked<const OP: u8, const W: u8, const IMM: bool> {
    m: Mem,
    imm: i32,
}

impl<const OP: u8, const W: u8, const IMM: bool> Sem<X86Cpu> for Locked<OP, W, IMM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = MemOp::new(size(W));
        let va = self.m.linear(e, size(W).bytes(), true)?;
        let b = if IMM { e.imm(self.imm as i64 as u64) } else { self.m.reg.raw::<W, E>(e) };
        let carry = matches!(OP, op::ADC | op::SBB);
        let by = if carry {
            let c = flags::cf(e);
            e.bin(Bin::Add, Width::W64, b, c)
        } else {
            b
        };
        let (rmw, by) = match OP {
            op::ADD | op::ADC => (Rmw::Add, by),
            op::SUB | op::SBB => (Rmw::Add, e.un(lyrebird_isa::Un::Neg, Width::W64, by)),
            op::OR => (Rmw::Set, by),
            op::AND => (Rmw::Clr, e.un(lyrebird_isa::Un::Not, Width::W64, by)),
            _ => (Rmw::Eor, by),
        };
        let by = e.zext(width(W), by);
        let a = e.rmw(rmw, m, va, by)?;
        let r = result::<OP, W, E>(e, a, b);
        set_flags::<OP, W, E>(e, a, b, r);
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let op = match x.mnemonic() {
        Mnemonic::Add => op::ADD,
        Mnemonic::Or => op::OR,
        Mnemonic::Adc => op::ADC,
        Mnemonic::Sbb => op::SBB,
        Mnemonic::And => op::AND,
        Mnemonic::Sub => op::SUB,
        Mnemonic::Xor => op::XOR,
        Mnemonic::Cmp => op::CMP,
        Mnemonic::Test => op::TEST,
        _ => return Err(v),
    };
    let width = x.width(0);
    Ok(consts!(op, [0 1 2 3 4 5 6 7] 8 => |OP| widths!(width => |W| {
        if x.is_mem(0) {
            let imm = if x.is_imm(1) { x.imm(1) as i32 } else { 0 };
            let m = if x.is_imm(1) { x.mem() } else { x.mem().with(x.gpr(1)) };
            match (x.lock(), x.is_imm(1)) {
                (false, false) => v.visit(M::<OP, W, false> { m, imm }),
                (false, true) => v.visit(M::<OP, W, true> { m, imm }),
                (true, false) => v.visit(Locked::<OP, W, false> { m, imm }),
                (true, true) => v.visit(Locked::<OP, W, true> { m, imm }),
            }
        } else if x.is_mem(1) {
            v.visit(Rm::<OP, W> { m: x.mem().with(x.gpr(0)) })
        } else if x.is_imm(1) {
            v.visit(Ri::<OP, W> { imm: x.imm(1), d: x.gpr(0) })
        } else {
            v.visit(Rr::<OP, W> { d: x.gpr(0), s: x.gpr(1) })
        }
    })))
}

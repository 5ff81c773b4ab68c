//! PUSH and POP of general registers, immediates and memory (SDM Vol. 1, 6.2).

use iced_x86::Mnemonic;
use lyrebird_isa::{Bin, Emit, MemOp, Sem, Visitor, Width};

use super::{Decoded, wide_widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, linear, size, w};
use crate::regs::{RSP, Seg};

/// The stack as an instruction sees it: SS ([`crate::operand::seg_bits`]), and the number of the width of stack
/// addresses.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    seg: u8,
    address: u8,
}

impl Stack {
    /// The stack in the mode of `x`.
    pub fn of(x: &Insn<'_>) -> Stack {
        let address = match x.mode.stack_bits() {
            64 => w::Q,
            32 => w::D,
            _ => w::W,
        };
        Stack { seg: x.seg_bits(Seg::Ss), address }
    }

    /// In 8 bits, for a `Sem` that has no room for more.
    pub const fn parts(self) -> u8 {
        self.seg | self.address << 6
    }

    /// The inverse of [`Stack::parts`].
    #[inline(always)]
    pub const fn from_parts(v: u8) -> Stack {
        Stack { seg: v & 0x3f, address: v >> 6 }
    }

    /// RSP moved by `by`, cut to the stack's width.
    #[inline(always)]
    pub fn moved<E: Emit<Cpu = X86Cpu>>(self, e: &mut E, by: i64) -> E::Val {
        let sp = e.reg(RSP);
        let sp = e.add_imm(sp, by as u64);
        self.cut(e, sp)
    }

    #[inline(always)]
    fn cut<E: Emit<Cpu = X86Cpu>>(self, e: &mut E, sp: E::Val) -> E::Val {
        match self.address {
            w::Q => sp,
            w::D => e.zext(Width::W32, sp),
            _ => e.zext(Width::W16, sp),
        }
    }

    /// Sets the stack pointer, as wide as the stack is.
    #[inline(always)]
    pub fn set<E: Emit<Cpu = X86Cpu>>(self, e: &mut E, sp: E::Val) {
        match self.address {
            w::Q => e.set_reg(RSP, sp),
            w::D => Gpr(RSP.0).set::<{ w::D }, E>(e, sp),
            _ => Gpr(RSP.0).set::<{ w::W }, E>(e, sp),
        }
    }

    /// Pushes a value of width `W`.
    #[inline(always)]
    pub fn push<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E, v: E::Val) -> Result<(), E::Fault> {
        self.push_part::<W, W, E>(e, v)
    }

    /// The same, but stores only the lower part, of width `PART`.
    #[inline(always)]
    pub fn push_part<const W: u8, const PART: u8, E: Emit<Cpu = X86Cpu>>(
        self,
        e: &mut E,
        v: E::Val,
    ) -> Result<(), E::Fault> {
        let sp = self.moved(e, -(size(W).bytes() as i64));
        let va = linear(e, self.seg, sp, size(PART).bytes(), true)?;
        e.store(MemOp::new(size(PART)), va, v)?;
        self.set(e, sp);
        Ok(())
    }

    /// The value of width `W` that lies `at` bytes above the top; nothing is popped.
    #[inline(always)]
    pub fn peek<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E, at: i64) -> Result<E::Val, E::Fault> {
        let sp = self.moved(e, at);
        let va = linear(e, self.seg, sp, size(W).bytes(), false)?;
        e.load(MemOp::new(size(W)), va)
    }
}

/// PUSH of a register or an immediate.
#[derive(Clone, Copy, Debug)]
pub struct Push<const W: u8, const IMM: bool> {
    imm: u64,
    s: Gpr,
    stack: Stack,
}

impl<const W: u8, const IMM: bool> Sem<X86Cpu> for Push<W, IMM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = if IMM { e.imm(self.imm) } else { e.reg(self.s.reg()) };
        self.stack.push::<W, E>(e, v)
    }
}

/// PUSH of memory.
#[derive(Clone, Copy, Debug)]
pub struct PushMem<const W: u8> {
    m: Mem,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for PushMem<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.m.load::<W, E>(e)?;
        self.stack.push::<W, E>(e, v)
    }
}

/// POP of a register. POP SP leaves what was popped (SDM Vol. 2, POP).
#[derive(Clone, Copy, Debug)]
pub struct Pop<const W: u8> {
    d: Gpr,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Pop<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.stack.peek::<W, E>(e, 0)?;
        let sp = self.stack.moved(e, size(W).bytes() as i64);
        self.stack.set(e, sp);
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// POP to memory: an address with RSP as base counts from behind the pop (SDM Vol. 2, POP).
#[derive(Clone, Copy, Debug)]
pub struct PopMem<const W: u8> {
    m: Mem,
    stack: Stack,
    rsp_base: bool,
}

impl<const W: u8> Sem<X86Cpu> for PopMem<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.stack.peek::<W, E>(e, 0)?;
        let bytes = size(W).bytes();
        let at = e.imm(if self.rsp_base { bytes } else { 0 });
        let va = self.m.linear_at(e, at, bytes, true)?;
        e.store(MemOp::new(size(W)), va, v)?;
        let sp = self.stack.moved(e, bytes as i64);
        self.stack.set(e, sp);
        Ok(())
    }
}

/// LEAVE: RSP from RBP, then POP RBP (SDM Vol. 2, LEAVE).
#[derive(Clone, Copy, Debug)]
pub struct Leave<const W: u8> {
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Leave<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let bp = e.reg(crate::regs::RBP);
        let bp = self.stack.cut(e, bp);
        let va = linear(e, self.stack.seg, bp, size(W).bytes(), false)?;
        let v = e.load(MemOp::new(size(W)), va)?;
        let n = e.imm(size(W).bytes());
        let sp = e.bin(Bin::Add, Width::W64, bp, n);
        self.stack.set(e, sp);
        Gpr(crate::regs::RBP.0).set::<W, E>(e, v);
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let stack = Stack::of(x);
    let width = x.stack_width();
    Ok(match x.mnemonic() {
        Mnemonic::Push if x.is_gpr(0) => {
            wide_widths!(width => |W| v.visit(Push::<W, false> { imm: 0, s: x.gpr(0), stack }))
        }
        Mnemonic::Push if x.is_imm(0) => {
            wide_widths!(width => |W| v.visit(Push::<W, true> { imm: x.imm(0), s: Gpr(0), stack }))
        }
        Mnemonic::Push if x.is_mem(0) => {
            wide_widths!(width => |W| v.visit(PushMem::<W> { m: x.mem(), stack }))
        }
        Mnemonic::Pop if x.is_gpr(0) => wide_widths!(width => |W| v.visit(Pop::<W> { d: x.gpr(0), stack })),
        Mnemonic::Pop if x.is_mem(0) => {
            let rsp_base = x.i.memory_base().full_register() == iced_x86::Register::RSP;
            wide_widths!(width => |W| v.visit(PopMem::<W> { m: x.mem(), stack, rsp_base }))
        }
        Mnemonic::Leave => {
            let width = match x.i.code() {
                iced_x86::Code::Leavew => w::W,
                iced_x86::Code::Leaved => w::D,
                _ => w::Q,
            };
            wide_widths!(width => |W| v.visit(Leave::<W> { stack }))
        }
        _ => return Err(v),
    })
}

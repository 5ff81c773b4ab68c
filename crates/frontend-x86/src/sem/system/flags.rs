//! PUSHF, POPF, CLI, STI, CLAC, STAC (SDM Vol. 1, 5.1.11; Vol. 3, 2.3).

use std::marker::PhantomData;

use iced_x86::Mnemonic;
use lyrebird_isa::lines::IRQ;
use lyrebird_isa::{Bin, Emit, Helper, Sem, Size, Term, Visitor, Width};

use super::form::{End, Fixed, Op, call};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Fault, Outcome, Recorded, vector};
use crate::operand::{size, w};
use crate::regs::{self, rflags};
use crate::sem::stack::Stack;
use crate::sem::{Decoded, flags, wide_widths};
use crate::sys::control::cr4;

/// RFLAGS from the engine's flags and the rest.
extern "C" fn join(_: &mut X86Cpu, raw: u64, rest: u64, _: u64) -> u64 {
    regs::join_flags(raw, rest)
}

/// PUSHF outside virtual-8086 mode.
#[derive(Clone, Copy, Debug)]
pub struct Pushf<const W: u8> {
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Pushf<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (raw, rest, zero) = (flags::current(e), e.reg(regs::FLAGS), e.imm(0));
        let v = e.call(Helper::pure("rflags", join), [raw, rest, zero])?;
        let shown = e.imm(!(rflags::RF | rflags::VM));
        let v = e.bin(Bin::And, Width::W64, v, shown);
        self.stack.push::<W, E>(e, v)
    }
}

/// What PUSHF pushes in virtual-8086 mode.
#[derive(Clone, Copy, Debug)]
pub struct VirtualFlags;

impl Op for VirtualFlags {
    const NAME: &'static str = "pushf";

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        cpu.pushf(Size::from_log2(b as u32))
    }
}

/// PUSHF in virtual-8086 mode.
#[derive(Clone, Copy, Debug)]
pub struct PushfVirtual<const W: u8> {
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for PushfVirtual<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (zero, n) = (e.imm(0), e.imm(W as u64));
        let v = call::<VirtualFlags, E>(e, zero, n)?;
        self.stack.push::<W, E>(e, v)
    }
}

/// Sets RFLAGS from `a`, popped with an operand size of which `b` is log2.
#[derive(Clone, Copy, Debug)]
pub struct SetFlags;

impl Op for SetFlags {
    const NAME: &'static str = "popf";

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.popf(a, Size::from_log2(b as u32)).map(|()| 0)
    }
}

/// POPF.
#[derive(Clone, Copy, Debug)]
pub struct Popf<const W: u8> {
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Popf<W> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.stack.peek::<W, E>(e, 0)?;
        let sp = self.stack.moved(e, size(W).bytes() as i64);
        let n = e.imm(W as u64);
        call::<SetFlags, E>(e, v, n)?;
        self.stack.set(e, sp);
        e.sync_next();
        Ok(())
    }
}

/// CLI where it is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Cli;

impl Sem<X86Cpu> for Cli {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (old, bit) = (e.reg(regs::FLAGS), e.imm(rflags::IF));
        let new = e.bin(Bin::Bic, Width::W64, old, bit);
        e.set_reg(regs::FLAGS, new);
        Ok(())
    }
}

/// STI where it is allowed: interrupts wait for one more instruction if they were disabled. The block goes on unless
/// one is pending; `a` is the address behind the instruction.
#[derive(Clone, Copy, Debug)]
pub struct Sti;

impl Op for Sti {
    const NAME: &'static str = "sti";

    fn run(cpu: &mut X86Cpu, a: u64, _: u64) -> Outcome<u64> {
        let old = cpu.core.reg(regs::FLAGS);
        if old & rflags::IF == 0 {
            cpu.shadow = true;
            cpu.core.set_reg(regs::FLAGS, old | rflags::IF);
            if cpu.lines.level() & IRQ != 0 && !cpu.alone {
                cpu.record(Recorded::Interruptible(a));
            }
        }
        Ok(0)
    }
}

/// CLI and STI (`b` 0, 1) where only the virtual interrupt flag may be changed, if that (SDM Vol. 2, tables of CLI
/// and STI).
#[derive(Clone, Copy, Debug)]
pub struct Virtual;

impl Op for Virtual {
    const NAME: &'static str = "virtual_interrupt_flag";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        let old = cpu.core.reg(regs::FLAGS);
        let extension = if cpu.mode.v8086() { cr4::VME } else { cr4::PVI };
        if cpu.control.cr4 & extension == 0 || cpu.cpl != 3 || (b != 0 && old & rflags::VIP != 0) {
            return Err(Fault::gp(0));
        }
        let vif = if b != 0 { rflags::VIF } else { 0 };
        cpu.core.set_reg(regs::FLAGS, old & !rflags::VIF | vif);
        Ok(0)
    }
}

/// CLAC and STAC (`b` 0, 1) at level 0.
#[derive(Clone, Copy, Debug)]
pub struct Ac;

impl Op for Ac {
    const NAME: &'static str = "ac";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        if cpu.cpl > 0 {
            return Err(Fault::UD);
        }
        let old = cpu.core.reg(regs::FLAGS);
        let new = if b != 0 { old | rflags::AC } else { old & !rflags::AC };
        if new != old {
            cpu.core.set_reg(regs::FLAGS, new);
            cpu.context_changed();
        }
        Ok(0)
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let stack = Stack::of(x);
    let width = match x.mnemonic() {
        Mnemonic::Pushf | Mnemonic::Popf => w::W,
        Mnemonic::Pushfd | Mnemonic::Popfd => w::D,
        _ => w::Q,
    };
    Ok(match x.mnemonic() {
        Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq => wide_widths!(width => |W| {
            if x.mode.v8086() { v.visit(PushfVirtual::<W> { stack }) } else { v.visit(Pushf::<W> { stack }) }
        }),
        Mnemonic::Popf | Mnemonic::Popfd | Mnemonic::Popfq => {
            wide_widths!(width => |W| v.visit(Popf::<W> { stack }))
        }
        Mnemonic::Cli if x.mode.io_privileged() => v.visit(Cli),
        Mnemonic::Sti if x.mode.io_privileged() => {
            v.visit(Fixed::<Sti> { a: x.next(), b: 0, op: PhantomData })
        }
        Mnemonic::Cli => v.visit(Fixed::<Virtual> { a: 0, b: 0, op: PhantomData }),
        Mnemonic::Sti => v.visit(Fixed::<Virtual> { a: 0, b: 1, op: PhantomData }),
        Mnemonic::Clac | Mnemonic::Stac if x.mode.has(Feature::Smap) => {
            let b = (x.mnemonic() == Mnemonic::Stac) as u32;
            v.visit(Fixed::<Ac> { a: 0, b, op: PhantomData })
        }
        Mnemonic::Clac | Mnemonic::Stac => super::raise(vector::UD, v),
        _ => return Err(v),
    })
}

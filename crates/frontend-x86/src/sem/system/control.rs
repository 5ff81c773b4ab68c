//! Control and debug registers, TLB maintenance, HLT (SDM Vol. 1, 5.20; Vol. 3, 2.8).

use std::marker::PhantomData;

use iced_x86::{Mnemonic, OpKind};
use lyrebird_isa::{Emit, Sem, Term, Visitor};

use super::form::{Address, End, Fixed, Op, Source, call};
use super::raise;
use super::segment::dest;
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Outcome, vector};
use crate::operand::{Gpr, Mem, w};
use crate::regs::{RAX, RCX, RDX};
use crate::sem::Decoded;

/// MOV from a control register, or debug register (bit 8 of `b`), numbered `b`.
#[derive(Clone, Copy, Debug)]
pub struct Read;

impl Op for Read {
    const NAME: &'static str = "mov_from_control";

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        if b >> 8 != 0 { cpu.read_debug(b as u8) } else { cpu.read_control(b as u8) }
    }
}

/// MOV to them.
#[derive(Clone, Copy, Debug)]
pub struct Write;

impl Op for Write {
    const NAME: &'static str = "mov_to_control";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        if b >> 8 != 0 {
            cpu.write_debug(b as u8, a)?
        } else {
            cpu.write_control(b as u8, a)?
        }
        Ok(0)
    }
}

/// LMSW.
#[derive(Clone, Copy, Debug)]
pub struct Lmsw;

impl Op for Lmsw {
    const NAME: &'static str = "lmsw";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, _: u64) -> Outcome<u64> {
        cpu.lmsw(a as u16).map(|()| 0)
    }
}

/// SMSW.
#[derive(Clone, Copy, Debug)]
pub struct Smsw;

impl Op for Smsw {
    const NAME: &'static str = "smsw";

    fn run(cpu: &mut X86Cpu, _: u64, _: u64) -> Outcome<u64> {
        cpu.may_look()?;
        Ok(cpu.control.cr0)
    }
}

/// INVLPG.
#[derive(Clone, Copy, Debug)]
pub struct Invlpg {
    m: Mem,
}

#[derive(Clone, Copy, Debug)]
struct DropPage;

impl Op for DropPage {
    const NAME: &'static str = "invlpg";

    fn run(cpu: &mut X86Cpu, a: u64, _: u64) -> Outcome<u64> {
        cpu.invlpg(a).map(|()| 0)
    }
}

impl Sem<X86Cpu> for Invlpg {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        // The operand is an address; nothing is accessed, and no limit counts.
        let va = self.m.unchecked().linear(e, 1, false)?;
        let zero = e.imm(0);
        call::<DropPage, E>(e, va, zero)?;
        e.sync_next();
        Ok(())
    }
}

/// INVPCID with a descriptor at `a`; `b` is the register with the type, and in bit 8 whether it has 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Invpcid;

impl Op for Invpcid {
    const NAME: &'static str = "invpcid";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let kind = cpu.core.reg(Gpr(b as u8).reg());
        let kind = if b >> 8 != 0 { kind } else { kind & 0xffff_ffff };
        cpu.invpcid(kind, a).map(|()| 0)
    }
}

/// What needs level 0 and has no operand.
#[derive(Clone, Copy, Debug)]
pub struct Privileged;

/// Kinds of [`Privileged`].
mod kind {
    pub const CLTS: u32 = 0;
    pub const HLT: u32 = 1;
    /// INVD, WBINVD: no cache is modelled.
    pub const CACHE: u32 = 2;
    pub const XSETBV: u32 = 3;
}

impl Op for Privileged {
    const NAME: &'static str = "privileged";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        match b as u32 {
            kind::CLTS => cpu.clts()?,
            kind::HLT => cpu.halt()?,
            kind::XSETBV => {
                let low = |r| cpu.core.reg(r) & 0xffff_ffff;
                let (n, v) = (low(RCX) as u32, low(RDX) << 32 | low(RAX));
                cpu.xsetbv(n, v)?;
            }
            _ => cpu.privileged()?,
        }
        Ok(0)
    }
}

fn privileged<V: Visitor<X86Cpu>>(b: u32, v: V) -> V::Out {
    v.visit(Fixed::<Privileged> { a: 0, b, op: PhantomData })
}

/// MOV to or from a control or debug register: always as wide as the mode.
#[derive(Clone, Copy, Debug)]
pub struct ReadTo<const W: u8> {
    b: u32,
    d: Gpr,
}

impl<const W: u8> Sem<X86Cpu> for ReadTo<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (zero, b) = (e.imm(0), e.imm(self.b as u64));
        let v = call::<Read, E>(e, zero, b)?;
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let special = |n: u32| {
        let r = x.i.op_register(n);
        let is = x.i.op_kind(n) == OpKind::Register && (r.is_cr() || r.is_dr());
        is.then(|| x.number(n) as u32 | (r.is_dr() as u32) << 8)
    };
    Ok(match x.mnemonic() {
        Mnemonic::Mov => {
            if let Some(b) = special(0) {
                let (m, op) = (x.operand(1), PhantomData::<Write>);
                return Ok(if x.mode.code64() {
                    v.visit(Source::<Write, { w::Q }, false> { m, b, op })
                } else {
                    v.visit(Source::<Write, { w::D }, false> { m, b, op })
                });
            }
            match special(1) {
                Some(b) if x.mode.code64() => v.visit(ReadTo::<{ w::Q }> { b, d: x.gpr(0) }),
                Some(b) => v.visit(ReadTo::<{ w::D }> { b, d: x.gpr(0) }),
                None => return Err(v),
            }
        }
        Mnemonic::Lmsw => {
            let (m, op, b) = (x.operand(0), PhantomData::<Lmsw>, 0);
            if x.is_mem(0) {
                v.visit(Source::<Lmsw, { w::W }, true> { m, b, op })
            } else {
                v.visit(Source::<Lmsw, { w::W }, false> { m, b, op })
            }
        }
        Mnemonic::Smsw => dest::<V, Smsw>(x, 0, v),
        Mnemonic::Clts => privileged(kind::CLTS, v),
        Mnemonic::Hlt => privileged(kind::HLT, v),
        Mnemonic::Invd | Mnemonic::Wbinvd | Mnemonic::Wbnoinvd => privileged(kind::CACHE, v),
        Mnemonic::Xsetbv if x.mode.has(Feature::Xsave) => privileged(kind::XSETBV, v),
        Mnemonic::Invlpg => v.visit(Invlpg { m: x.mem() }),
        Mnemonic::Invpcid if x.mode.has(Feature::Invpcid) => {
            let b = x.gpr(0).0 as u32 | (x.mode.code64() as u32) << 8;
            v.visit(Address::<Invpcid, 16, false> { m: x.mem(), b, op: PhantomData })
        }
        Mnemonic::Xsetbv | Mnemonic::Invpcid => raise(vector::UD, v),
        _ => return Err(v),
    })
}

//! MOV, MOVZX, MOVSX, MOVSXD, LEA between general registers and memory (SDM Vol. 1, 5.1.1).

use iced_x86::{Mnemonic, OpKind};
use lyrebird_isa::{Emit, Sem, Visitor};

use super::{Decoded, wide_widths, widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, width};

/// Register to register.
#[derive(Clone, Copy, Debug)]
pub struct Rr<const W: u8> {
    d: Gpr,
    s: Gpr,
}

impl<const W: u8> Sem<X86Cpu> for Rr<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.s.raw::<W, E>(e);
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// Immediate to register.
#[derive(Clone, Copy, Debug)]
pub struct Ri<const W: u8> {
    imm: u64,
    d: Gpr,
}

impl<const W: u8> Sem<X86Cpu> for Ri<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.imm(self.imm);
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// Memory to register.
#[derive(Clone, Copy, Debug)]
pub struct Load<const W: u8> {
    m: Mem,
}

impl<const W: u8> Sem<X86Cpu> for Load<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.m.load::<W, E>(e)?;
        self.m.reg.set::<W, E>(e, v);
        Ok(())
    }
}

/// Register to memory.
#[derive(Clone, Copy, Debug)]
pub struct Store<const W: u8> {
    m: Mem,
}

impl<const W: u8> Sem<X86Cpu> for Store<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.m.reg.raw::<W, E>(e);
        self.m.store::<W, E>(e, v)
    }
}

/// Immediate to memory.
#[derive(Clone, Copy, Debug)]
pub struct StoreImm<const W: u8> {
    m: Mem,
    imm: i32,
}

impl<const W: u8> Sem<X86Cpu> for StoreImm<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.imm(self.imm as i64 as u64);
        self.m.store::<W, E>(e, v)
    }
}

/// MOVZX, MOVSX, MOVSXD: from width `FROM`, a register or memory.
#[derive(Clone, Copy, Debug)]
pub struct Extend<const FROM: u8, const W: u8, const SIGNED: bool, const MEM: bool> {
    m: Mem,
}

impl<const FROM: u8, const W: u8, const SIGNED: bool, const MEM: bool> Sem<X86Cpu>
    for Extend<FROM, W, SIGNED, MEM>
{
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = if MEM { self.m.load::<FROM, E>(e)? } else { self.m.reg2.get::<FROM, E>(e) };
        let v = if SIGNED { e.sext(width(FROM), v) } else { v };
        self.m.reg.set::<W, E>(e, v);
        Ok(())
    }
}

/// LEA.
#[derive(Clone, Copy, Debug)]
pub struct Lea<const W: u8> {
    m: Mem,
}

impl<const W: u8> Sem<X86Cpu> for Lea<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.m.offset(e);
        self.m.reg.set::<W, E>(e, v);
        Ok(())
    }
}

fn extend<V: Visitor<X86Cpu>, const SIGNED: bool>(x: &Insn<'_>, v: V) -> V::Out {
    let (from, to) = (x.width(1), x.reg_width(0));
    widths!(from => |FROM| wide_widths!(to => |W| {
        let m = x.operand(1).with(x.gpr(0));
        if x.is_mem(1) {
            v.visit(Extend::<FROM, W, SIGNED, true> { m })
        } else {
            v.visit(Extend::<FROM, W, SIGNED, false> { m })
        }
    }))
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    Ok(match x.mnemonic() {
        Mnemonic::Mov => {
            let other = |n: u32| x.i.op_kind(n) == OpKind::Register && !x.is_gpr(n);
            if other(0) || other(1) {
                // Segment, control and debug registers.
                return Err(v);
            }
            widths!(x.width(0) => |W| {
                if x.is_mem(0) && x.is_imm(1) {
                    v.visit(StoreImm::<W> { m: x.mem(), imm: x.imm(1) as i32 })
                } else if x.is_mem(0) {
                    v.visit(Store::<W> { m: x.mem().with(x.gpr(1)) })
                } else if x.is_mem(1) {
                    v.visit(Load::<W> { m: x.mem().with(x.gpr(0)) })
                } else if x.is_imm(1) {
                    v.visit(Ri::<W> { imm: x.imm(1), d: x.gpr(0) })
                } else {
                    v.visit(Rr::<W> { d: x.gpr(0), s: x.gpr(1) })
                }
            })
        }
        Mnemonic::Movzx => extend::<V, false>(x, v),
        Mnemonic::Movsx | Mnemonic::Movsxd => extend::<V, true>(x, v),
        Mnemonic::Lea => wide_widths!(x.reg_width(0) => |W| v.visit(Lea::<W> { m: x.mem().with(x.gpr(0)) })),
        _ => return Err(v),
    })
}

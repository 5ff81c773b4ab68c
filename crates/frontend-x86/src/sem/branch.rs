//! Near control transfers: Jcc, JMP, CALL, RET, LOOPcc, JrCXZ; SETcc and CMOVcc (SDM Vol. 1, 5.1.7, 5.1.1, 5.1.6).

use iced_x86::{ConditionCode, Mnemonic};
use lyrebird_isa::{Cc, Emit, Helper, JumpKind, Sem, Term, Visitor, Width};

use super::stack::Stack;
use super::{Decoded, consts, flags, wide_widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, w};
use crate::regs::{self, RCX, Seg};

/// Jcc.
#[derive(Clone, Copy, Debug)]
pub struct Jcc<const CC: u8> {
    target: u64,
}

impl<const CC: u8> Sem<X86Cpu> for Jcc<CC> {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let c = flags::holds::<CC, E>(e);
        e.branch(c, self.target);
        Ok(())
    }
}

/// JMP to a direct target.
#[derive(Clone, Copy, Debug)]
pub struct Jmp {
    target: u64,
}

impl Sem<X86Cpu> for Jmp {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        e.jump(self.target, JumpKind::Jump);
        Ok(())
    }
}

/// CALL of a direct target. The target is kept as a distance from the return address.
#[derive(Clone, Copy, Debug)]
pub struct Call<const W: u8> {
    next: u64,
    by: i32,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Call<W> {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let rip = rip_behind::<W, E>(e, self.next);
        self.stack.push::<W, E>(e, rip)?;
        let target = self.next.wrapping_add(self.by as i64 as u64);
        e.jump(if W == w::Q { target } else { target & 0xffff_ffff }, JumpKind::Call);
        Ok(())
    }
}

/// The offset in CS of the linear address `next`.
#[inline(always)]
fn rip_behind<const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, next: u64) -> E::Val {
    let next = e.imm(next);
    if W == w::Q {
        return next;
    }
    let base = e.reg(regs::base(Seg::Cs));
    e.bin(lyrebird_isa::Bin::Sub, Width::W32, next, base)
}

/// The linear address of an instruction pointer of width `W`.
#[inline(always)]
fn linear_of<const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, rip: E::Val) -> E::Val {
    if W == w::Q {
        return rip;
    }
    let rip = e.zext(crate::operand::width(W), rip);
    let base = e.reg(regs::base(Seg::Cs));
    e.bin(lyrebird_isa::Bin::Add, Width::W32, rip, base)
}

extern "C" fn stray(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    cpu.raise_gp(0);
    0
}

/// #GP(0) of the branch, not of its target, where a 64-bit address is not canonical (SDM Vol. 2, JMP): bits 63 to 47 are
/// not all the same. Limits of other code are [`crate::X86Cpu::may_branch`]'s.
#[inline(always)]
fn ensure_canonical<const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, pc: E::Val) -> Result<(), E::Fault> {
    if W != w::Q {
        return Ok(());
    }
    let zero = e.imm(0);
    let up = e.imm(48);
    let moved = e.add_imm(pc, 1 << 47);
    let high = e.bin(lyrebird_isa::Bin::Shr, Width::W64, moved, up);
    let ok = e.cmp(Cc::Eq, Width::W64, high, zero);
    e.ensure(ok, Helper::cpu("stray_branch", stray), [zero; 3])
}

/// JMP through a register or memory.
#[derive(Clone, Copy, Debug)]
pub struct JmpIndirect<const W: u8, const MEM: bool> {
    m: Mem,
}

impl<const W: u8, const MEM: bool> Sem<X86Cpu> for JmpIndirect<W, MEM> {
    const TERM: Term = Term::Indirect;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let rip = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let pc = linear_of::<W, E>(e, rip);
        ensure_canonical::<W, E>(e, pc)?;
        e.jump_reg(pc, JumpKind::Jump);
        Ok(())
    }
}

/// CALL through a register.
#[derive(Clone, Copy, Debug)]
pub struct CallReg<const W: u8> {
    next: u64,
    s: Gpr,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for CallReg<W> {
    const TERM: Term = Term::Indirect;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let rip = self.s.get::<W, E>(e);
        let pc = linear_of::<W, E>(e, rip);
        ensure_canonical::<W, E>(e, pc)?;
        let back = rip_behind::<W, E>(e, self.next);
        self.stack.push::<W, E>(e, back)?;
        e.jump_reg(pc, JumpKind::Call);
        Ok(())
    }
}

/// CALL through memory. An address relative to the instruction pointer counts from `next`.
#[derive(Clone, Copy, Debug)]
pub struct CallMem<const W: u8> {
    next: u64,
    disp: i32,
    /// [`Mem::parts`] in bits 21 to 0, [`Stack::parts`] in bits 29 to 22, relative to `next` in bit 30.
    how: u32,
}

impl<const W: u8> Sem<X86Cpu> for CallMem<W> {
    const TERM: Term = Term::Indirect;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let relative = self.how >> 30 & 1 != 0;
        let disp = (self.disp as i64).wrapping_add(if relative { self.next as i64 } else { 0 });
        let m = Mem::from_parts(self.how & 0x3f_ffff, disp);
        let stack = Stack::from_parts((self.how >> 22) as u8);
        let rip = m.load::<W, E>(e)?;
        let pc = linear_of::<W, E>(e, rip);
        ensure_canonical::<W, E>(e, pc)?;
        let back = rip_behind::<W, E>(e, self.next);
        stack.push::<W, E>(e, back)?;
        e.jump_reg(pc, JumpKind::Call);
        Ok(())
    }
}

/// RET, with what it releases behind the return address.
#[derive(Clone, Copy, Debug)]
pub struct Ret<const W: u8> {
    release: u16,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Ret<W> {
    const TERM: Term = Term::Indirect;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let rip = self.stack.peek::<W, E>(e, 0)?;
        let pc = linear_of::<W, E>(e, rip);
        ensure_canonical::<W, E>(e, pc)?;
        let bytes = crate::operand::size(W).bytes() + self.release as u64;
        let sp = self.stack.moved(e, bytes as i64);
        self.stack.set(e, sp);
        e.jump_reg(pc, JumpKind::Ret);
        Ok(())
    }
}

/// LOOP, LOOPE, LOOPNE (`KIND` 0, 1, 2), JCXZ and its like (3), by the count register of width `W`.
#[derive(Clone, Copy, Debug)]
pub struct Loop<const W: u8, const KIND: u8> {
    target: u64,
}

impl<const W: u8, const KIND: u8> Sem<X86Cpu> for Loop<W, KIND> {
    const TERM: Term = Term::Branch;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let c = Gpr(RCX.0);
        let mut n = c.get::<W, E>(e);
        let zero = e.imm(0);
        if KIND == 3 {
            let empty = e.cmp(Cc::Eq, Width::W64, n, zero);
            e.branch(empty, self.target);
            return Ok(());
        }
        n = e.add_imm(n, u64::MAX);
        n = e.zext(crate::operand::width(W), n);
        let more = e.cmp(Cc::Ne, Width::W64, n, zero);
        let go = if KIND == 0 {
            more
        } else {
            let z = if KIND == 1 { flags::holds::<4, E>(e) } else { flags::holds::<5, E>(e) };
            let (z, more) = (e.bool_val(z), e.bool_val(more));
            let both = e.bin(lyrebird_isa::Bin::And, Width::W64, z, more);
            e.cmp(Cc::Ne, Width::W64, both, zero)
        };
        c.set::<W, E>(e, n);
        e.branch(go, self.target);
        Ok(())
    }
}

/// SETcc.
#[derive(Clone, Copy, Debug)]
pub struct Set<const CC: u8, const MEM: bool> {
    m: Mem,
}

impl<const CC: u8, const MEM: bool> Sem<X86Cpu> for Set<CC, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let c = flags::holds::<CC, E>(e);
        let v = e.bool_val(c);
        if MEM {
            return self.m.store::<{ w::B }, E>(e, v);
        }
        self.m.reg2.set::<{ w::B }, E>(e, v);
        Ok(())
    }
}

/// CMOVcc. The source is read and a 32-bit destination zero-extended whether or not the condition holds (SDM Vol. 2,
/// CMOVcc).
#[derive(Clone, Copy, Debug)]
pub struct Cmov<const CC: u8, const W: u8, const MEM: bool> {
    m: Mem,
}

impl<const CC: u8, const W: u8, const MEM: bool> Sem<X86Cpu> for Cmov<CC, W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let new = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let old = self.m.reg.get::<W, E>(e);
        let c = flags::holds::<CC, E>(e);
        let v = e.select(c, new, old);
        self.m.reg.set::<W, E>(e, v);
        Ok(())
    }
}

/// Number of a condition as the opcode has it.
fn number(c: ConditionCode) -> Option<u8> {
    use ConditionCode as C;
    Some(match c {
        C::o => 0,
        C::no => 1,
        C::b => 2,
        C::ae => 3,
        C::e => 4,
        C::ne => 5,
        C::be => 6,
        C::a => 7,
        C::s => 8,
        C::ns => 9,
        C::p => 10,
        C::np => 11,
        C::l => 12,
        C::ge => 13,
        C::le => 14,
        C::g => 15,
        C::None => return None,
    })
}

/// Width number of the count register of LOOP and its like, by the address size, and the kind.
fn count(x: &Insn<'_>) -> (u8, u8) {
    use iced_x86::Code as C;
    let kind = match x.mnemonic() {
        Mnemonic::Loop => 0,
        Mnemonic::Loope => 1,
        Mnemonic::Loopne => 2,
        _ => 3,
    };
    let width = match x.i.code() {
        C::Jcxz_rel8_16 | C::Jcxz_rel8_32 => w::W,
        C::Loop_rel8_16_CX | C::Loop_rel8_32_CX => w::W,
        C::Loope_rel8_16_CX | C::Loope_rel8_32_CX => w::W,
        C::Loopne_rel8_16_CX | C::Loopne_rel8_32_CX => w::W,
        C::Jrcxz_rel8_16 | C::Jrcxz_rel8_64 => w::Q,
        C::Loop_rel8_16_RCX | C::Loop_rel8_64_RCX => w::Q,
        C::Loope_rel8_16_RCX | C::Loope_rel8_64_RCX => w::Q,
        C::Loopne_rel8_16_RCX | C::Loopne_rel8_64_RCX => w::Q,
        _ => w::D,
    };
    (width, kind)
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    use Mnemonic::{Loope, Loopne};
    if let Some(cc) = number(x.i.condition_code())
        && !matches!(x.mnemonic(), Loope | Loopne)
    {
        if x.i.is_jcc_short_or_near() {
            let target = x.target();
            return Ok(
                consts!(cc, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14] 15 => |CC| v.visit(Jcc::<CC> { target })),
            );
        }
        let m = if x.i.mnemonic() as u32 >= Mnemonic::Seta as u32 && x.i.op_count() == 1 {
            // SETcc.
            let m = x.operand(0);
            return Ok(consts!(cc, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14] 15 => |CC| {
                if x.is_mem(0) { v.visit(Set::<CC, true> { m }) } else { v.visit(Set::<CC, false> { m }) }
            }));
        } else if x.i.op_count() == 2 && x.is_gpr(0) {
            x.operand(1).with(x.gpr(0))
        } else {
            return Err(v);
        };
        return Ok(consts!(cc, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14] 15 => |CC| {
            wide_widths!(x.reg_width(0) => |W| {
                if x.is_mem(1) {
                    v.visit(Cmov::<CC, W, true> { m })
                } else {
                    v.visit(Cmov::<CC, W, false> { m })
                }
            })
        }));
    }
    let stack = Stack::of(x);
    Ok(match x.mnemonic() {
        Mnemonic::Jmp if x.i.is_jmp_short_or_near() => v.visit(Jmp { target: x.target() }),
        Mnemonic::Call if x.i.is_call_near() => {
            let (next, target) = (x.next(), x.target());
            let by = target.wrapping_sub(next) as i32;
            wide_widths!(x.stack_width() => |W| v.visit(Call::<W> { next, by, stack }))
        }
        Mnemonic::Jmp if x.i.is_jmp_near_indirect() => wide_widths!(x.width(0) => |W| {
            let m = x.operand(0);
            if x.is_mem(0) {
                v.visit(JmpIndirect::<W, true> { m })
            } else {
                v.visit(JmpIndirect::<W, false> { m })
            }
        }),
        Mnemonic::Call if x.i.is_call_near_indirect() && x.is_gpr(0) => {
            let (next, s) = (x.next(), x.gpr(0));
            wide_widths!(x.stack_width() => |W| v.visit(CallReg::<W> { next, s, stack }))
        }
        Mnemonic::Call if x.i.is_call_near_indirect() => {
            let next = x.next();
            let relative = x.i.is_ip_rel_memory_operand();
            let from = if relative { next } else { 0 };
            let disp = x.i.memory_displacement64().wrapping_sub(from) as i32;
            let how = x.mem().parts() | u32::from(stack.parts()) << 22 | u32::from(relative) << 30;
            wide_widths!(x.stack_width() => |W| v.visit(CallMem::<W> { next, disp, how }))
        }
        Mnemonic::Loop | Loope | Loopne | Mnemonic::Jcxz | Mnemonic::Jecxz | Mnemonic::Jrcxz => {
            let (width, kind) = count(x);
            let target = x.target();
            wide_widths!(width => |W| consts!(kind, [0 1 2] 3 => |KIND| v.visit(Loop::<W, KIND> { target })))
        }
        Mnemonic::Ret => {
            let release = if x.i.op_count() > 0 { x.i.immediate16() } else { 0 };
            let width = match x.i.code() {
                iced_x86::Code::Retnw | iced_x86::Code::Retnw_imm16 => w::W,
                iced_x86::Code::Retnd | iced_x86::Code::Retnd_imm16 => w::D,
                _ => w::Q,
            };
            wide_widths!(width => |W| v.visit(Ret::<W> { release, stack }))
        }
        _ => return Err(v),
    })
}

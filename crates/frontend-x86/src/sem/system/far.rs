//! Far JMP, CALL and RET (SDM Vol. 1, 5.1.7).

use std::marker::PhantomData;

use iced_x86::{Code, Mnemonic, OpKind};
use lyrebird_isa::{Emit, Helper, Sem, Size, Term, Visitor};

use super::form::{End, Fixed, Op};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::exception::Outcome;
use crate::operand::{Mem, w};
use crate::sem::Decoded;
use crate::sys::far::Far;

/// A far transfer: selector in bits 15 to 0 of `what`, log2 of the operand size from bit 16, whether it is a CALL in
/// bit 20; `next` is the linear address behind it.
extern "C" fn far(cpu: &mut X86Cpu, offset: u64, what: u64, next: u64) -> u64 {
    let t = Far {
        selector: what as u16,
        offset,
        size: Size::from_log2((what >> 16 & 3) as u32),
        back: (what >> 20 & 1 != 0).then_some(next),
    };
    let r = cpu.far(t, next);
    cpu.settle(r);
    0
}

/// JMP and CALL with an immediate pointer, outside 64-bit code.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    offset: u32,
    what: u32,
    next: u32,
}

impl Sem<X86Cpu> for Direct {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.offset as u64), e.imm(self.what as u64), e.imm(self.next as u64)];
        e.call(Helper::cpu("far", far), args)?;
        e.sync_pc();
        Ok(())
    }
}

/// JMP and CALL with a pointer in memory.
#[derive(Clone, Copy, Debug)]
pub struct Indirect<const W: u8> {
    next: u64,
    disp: i32,
    /// [`Mem::parts`] in bits 21 to 0, CALL in bit 22, relative to `next` in bit 30.
    how: u32,
}

impl<const W: u8> Sem<X86Cpu> for Indirect<W> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let relative = self.how >> 30 & 1 != 0;
        let disp = (self.disp as i64).wrapping_add(if relative { self.next as i64 } else { 0 });
        let m = Mem::from_parts(self.how & 0x3f_ffff, disp);
        let offset = m.load::<W, E>(e)?;
        let n = e.imm(crate::operand::size(W).bytes());
        let va = m.linear_at(e, n, 2, false)?;
        let selector = e.load(lyrebird_isa::MemOp::new(Size::B2), va)?;
        let flags = e.imm((W as u64) << 16 | (self.how as u64 >> 22 & 1) << 20);
        let what = e.bin(lyrebird_isa::Bin::Or, lyrebird_isa::Width::W64, selector, flags);
        let next = e.imm(self.next);
        e.call(Helper::cpu("far", far), [offset, what, next])?;
        e.sync_pc();
        Ok(())
    }
}

/// Far RET: `a` is what it releases, `b` log2 of the operand size.
#[derive(Clone, Copy, Debug)]
pub struct Ret;

impl Op for Ret {
    const NAME: &'static str = "retf";
    const END: End = End::Pc;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.far_return(Size::from_log2(b as u32), a as u16).map(|()| 0)
    }
}

fn indirect<V: Visitor<X86Cpu>>(x: &Insn<'_>, width: u8, v: V) -> V::Out {
    let m = x.mem();
    let call = (x.mnemonic() == Mnemonic::Call) as u32;
    let relative = x.i.is_ip_rel_memory_operand();
    let disp = m.disp().wrapping_sub(if relative { x.next() as i64 } else { 0 }) as i32;
    let how = m.parts() | call << 22 | (relative as u32) << 30;
    let next = x.next();
    match width {
        w::W => v.visit(Indirect::<{ w::W }> { next, disp, how }),
        w::D => v.visit(Indirect::<{ w::D }> { next, disp, how }),
        _ => v.visit(Indirect::<{ w::Q }> { next, disp, how }),
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let direct = |size: u8| Direct {
        offset: if x.i.op_kind(0) == OpKind::FarBranch16 {
            x.i.far_branch16() as u32
        } else {
            x.i.far_branch32()
        },
        what: x.i.far_branch_selector() as u32
            | (size as u32) << 16
            | ((x.mnemonic() == Mnemonic::Call) as u32) << 20,
        next: x.next() as u32,
    };
    let release = || if x.is_imm(0) { x.imm(0) & 0xffff } else { 0 };
    let ret = |b: u8, v: V| v.visit(Fixed::<Ret> { a: release(), b: b as u32, op: PhantomData });
    Ok(match x.i.code() {
        Code::Jmp_ptr1616 | Code::Call_ptr1616 => v.visit(direct(w::W)),
        Code::Jmp_ptr1632 | Code::Call_ptr1632 => v.visit(direct(w::D)),
        Code::Jmp_m1616 | Code::Call_m1616 => indirect(x, w::W, v),
        Code::Jmp_m1632 | Code::Call_m1632 => indirect(x, w::D, v),
        Code::Jmp_m1664 | Code::Call_m1664 => indirect(x, w::Q, v),
        Code::Retfw | Code::Retfw_imm16 if x.mnemonic() == Mnemonic::Retf => ret(w::W, v),
        Code::Retfd | Code::Retfd_imm16 => ret(w::D, v),
        Code::Retfq | Code::Retfq_imm16 => ret(w::Q, v),
        _ => return Err(v),
    })
}

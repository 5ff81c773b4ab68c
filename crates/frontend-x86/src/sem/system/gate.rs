//! Software interrupts and IRET, BOUND, UD (SDM Vol. 1, 5.1.7 and 5.1.13).

use std::marker::PhantomData;

use iced_x86::{Code, Mnemonic};
use lyrebird_isa::{Size, Visitor};

use super::form::{Address, End, Fixed, Op};
use super::raise;
use crate::X86Cpu;
use crate::decode::Insn;
use crate::exception::{Fault, Outcome, vector};
use crate::operand::Gpr;
use crate::regs::rflags;
use crate::sem::Decoded;

/// INT n: `a` is the address behind it, `b` the vector.
#[derive(Clone, Copy, Debug)]
pub struct Int;

impl Op for Int {
    const NAME: &'static str = "int_n";
    const END: End = End::Pc;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.int_n(b as u8, a).map(|()| 0)
    }
}

/// INT3, INTO and INT1: `b` is the vector.
#[derive(Clone, Copy, Debug)]
pub struct Trap;

impl Op for Trap {
    const NAME: &'static str = "int3";
    const END: End = End::Pc;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        match b as u8 {
            vector::OF if cpu.rflags() & rflags::OF == 0 => cpu.core.pc = a,
            vector::DB => cpu.icebp(a)?,
            v => cpu.trap_gate(v, a)?,
        }
        Ok(0)
    }
}

/// IRET; `a` is the address behind it, `b` is log2 of the operand size in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Iret;

impl Op for Iret {
    const NAME: &'static str = "iret";
    const END: End = End::Pc;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.iret(Size::from_log2(b as u32), a).map(|()| 0)
    }
}

/// BOUND with bounds at linear address `a`; `b` is the register, and in bit 8 whether they have 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Bound;

impl Op for Bound {
    const NAME: &'static str = "bound";

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let size = if b >> 8 != 0 { Size::B4 } else { Size::B2 };
        let low = cpu.load_at(a, size, false)?;
        let high = cpu.load_at(a.wrapping_add(size.bytes()), size, false)?;
        let v = cpu.core.reg(Gpr(b as u8).reg());
        let signed = |v: u64| if size == Size::B4 { v as i32 as i64 } else { v as i16 as i64 };
        if signed(v) < signed(low) || signed(v) > signed(high) {
            return Err(Fault::plain(vector::BR));
        }
        Ok(0)
    }
}

fn fixed<V: Visitor<X86Cpu>, O: Op>(x: &Insn<'_>, b: u32, v: V) -> V::Out {
    v.visit(Fixed::<O> { a: x.next(), b, op: PhantomData })
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    Ok(match x.mnemonic() {
        Mnemonic::Int => fixed::<V, Int>(x, x.imm(0) as u32 & 0xff, v),
        Mnemonic::Int3 => fixed::<V, Trap>(x, vector::BP as u32, v),
        Mnemonic::Into => fixed::<V, Trap>(x, vector::OF as u32, v),
        Mnemonic::Int1 => fixed::<V, Trap>(x, vector::DB as u32, v),
        Mnemonic::Iret => fixed::<V, Iret>(x, 1, v),
        Mnemonic::Iretd => fixed::<V, Iret>(x, 2, v),
        Mnemonic::Iretq => fixed::<V, Iret>(x, 3, v),
        Mnemonic::Bound => {
            let (m, op, r) = (x.mem(), PhantomData::<Bound>, x.gpr(0).0 as u32);
            if x.i.code() == Code::Bound_r16_m1616 {
                v.visit(Address::<Bound, 4, false> { m, b: r, op })
            } else {
                v.visit(Address::<Bound, 8, false> { m, b: r | 1 << 8, op })
            }
        }
        Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 => raise(vector::UD, v),
        _ => return Err(v),
    })
}

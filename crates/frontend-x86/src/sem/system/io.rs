//! IN and OUT (SDM Vol. 1, 5.1.10).

use std::marker::PhantomData;

use iced_x86::Mnemonic;
use lyrebird_isa::{Size, Visitor};

use super::form::{End, Fixed, Op};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::exception::Outcome;
use crate::operand::{Gpr, width};
use crate::regs::{RAX, RDX};
use crate::sem::Decoded;

/// Bit of the second argument: the port is in DX.
const IN_DX: u64 = 1 << 8;

/// The port and the size of an access from a helper's arguments: `a` is an immediate port, `b` log2 of the size.
fn access(cpu: &X86Cpu, a: u64, b: u64) -> (u16, Size) {
    let port = if b & IN_DX != 0 { cpu.core.reg(RDX) } else { a };
    (port as u16, Size::from_log2(b as u32 & 3))
}

/// IN. What a device did may have raised an interrupt.
#[derive(Clone, Copy, Debug)]
pub struct In;

impl Op for In {
    const NAME: &'static str = "in";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let (port, size) = access(cpu, a, b);
        let v = cpu.port_in(port, size)?;
        let old = cpu.core.reg(RAX);
        let mask = width(size as u8).mask();
        let v = if size == Size::B4 { v } else { old & !mask | v };
        cpu.core.set_reg(Gpr(0).reg(), v);
        Ok(0)
    }
}

/// OUT.
#[derive(Clone, Copy, Debug)]
pub struct Out;

impl Op for Out {
    const NAME: &'static str = "out";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let (port, size) = access(cpu, a, b);
        let v = cpu.core.reg(RAX);
        cpu.port_out(port, size, v).map(|()| 0)
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let (port, value) = match x.mnemonic() {
        Mnemonic::In => (1, 0),
        Mnemonic::Out => (0, 1),
        _ => return Err(v),
    };
    let (a, in_dx) = if x.is_imm(port) { (x.imm(port) & 0xff, 0) } else { (0, IN_DX as u32) };
    let b = x.reg_width(value) as u32 | in_dx;
    Ok(if port == 1 {
        v.visit(Fixed::<In> { a, b, op: PhantomData })
    } else {
        v.visit(Fixed::<Out> { a, b, op: PhantomData })
    })
}

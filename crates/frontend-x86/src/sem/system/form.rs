//! The shapes that system instructions have: a helper on the CPU, and how its arguments and result are fetched and
//! put.

use std::fmt::Debug;
use std::marker::PhantomData;

use lyrebird_isa::{Emit, Helper, Sem, Term};

use crate::X86Cpu;
use crate::exception::Outcome;
use crate::operand::Mem;

/// How an instruction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As any other.
    Fall,
    /// The engine looks at the CPU before the next instruction.
    Next,
    /// Execution goes on where the helper has set the PC.
    Pc,
}

/// What an instruction does that is not worth translating: a helper.
pub trait Op: Copy + Debug + Send + Sync + 'static {
    /// Name for dumps.
    const NAME: &'static str;
    /// How the instruction ends.
    const END: End = End::Fall;

    /// Does it. The arguments are the form's.
    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64>;
}

extern "C" fn run<O: Op>(cpu: &mut X86Cpu, a: u64, b: u64, _: u64) -> u64 {
    let r = O::run(cpu, a, b);
    cpu.settle(r)
}

/// Calls the helper of `O`.
#[inline(always)]
pub fn call<O: Op, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Val, b: E::Val) -> Result<E::Val, E::Fault> {
    let zero = e.imm(0);
    e.call(Helper::cpu(O::NAME, run::<O>), [a, b, zero])
}

const fn term(end: End) -> Term {
    match end {
        End::Fall => Term::None,
        End::Next | End::Pc => Term::Sync,
    }
}

#[inline(always)]
fn end<O: Op, E: Emit<Cpu = X86Cpu>>(e: &mut E) {
    match O::END {
        End::Fall => {}
        End::Next => e.sync_next(),
        End::Pc => e.sync_pc(),
    }
}

/// A helper with constants.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<O> {
    /// First argument: often the address behind the instruction.
    pub a: u64,
    /// Second argument: often a register's number.
    pub b: u32,
    /// Which.
    pub op: PhantomData<O>,
}

impl<O: Op> Sem<X86Cpu> for Fixed<O> {
    const TERM: Term = term(O::END);

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.imm(self.a), e.imm(self.b as u64));
        call::<O, E>(e, a, b)?;
        end::<O, E>(e);
        Ok(())
    }
}

/// A helper with the value of a register or memory, and a constant.
#[derive(Clone, Copy, Debug)]
pub struct Source<O, const W: u8, const MEM: bool> {
    /// The operand; the register is [`Mem::reg2`].
    pub m: Mem,
    /// Second argument.
    pub b: u32,
    /// Which.
    pub op: PhantomData<O>,
}

impl<O: Op, const W: u8, const MEM: bool> Sem<X86Cpu> for Source<O, W, MEM> {
    const TERM: Term = term(O::END);

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let b = e.imm(self.b as u64);
        call::<O, E>(e, a, b)?;
        end::<O, E>(e);
        Ok(())
    }
}

/// A helper with a constant, whose result goes to a register or memory.
#[derive(Clone, Copy, Debug)]
pub struct Dest<O, const W: u8, const MEM: bool> {
    /// The operand; the register is [`Mem::reg2`].
    pub m: Mem,
    /// Second argument.
    pub b: u32,
    /// Which.
    pub op: PhantomData<O>,
}

impl<O: Op, const W: u8, const MEM: bool> Sem<X86Cpu> for Dest<O, W, MEM> {
    const TERM: Term = term(O::END);

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.imm(0), e.imm(self.b as u64));
        let v = call::<O, E>(e, a, b)?;
        if MEM {
            self.m.store::<W, E>(e, v)?;
        } else {
            self.m.reg2.set::<W, E>(e, v);
        }
        end::<O, E>(e);
        Ok(())
    }
}

/// A helper with the linear address of `N` bytes of memory, and a constant.
#[derive(Clone, Copy, Debug)]
pub struct Address<O, const N: u64, const WRITE: bool> {
    /// The operand.
    pub m: Mem,
    /// Second argument.
    pub b: u32,
    /// Which.
    pub op: PhantomData<O>,
}

impl<O: Op, const N: u64, const WRITE: bool> Sem<X86Cpu> for Address<O, N, WRITE> {
    const TERM: Term = term(O::END);

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = self.m.linear(e, N, WRITE)?;
        let b = e.imm(self.b as u64);
        call::<O, E>(e, a, b)?;
        end::<O, E>(e);
        Ok(())
    }
}

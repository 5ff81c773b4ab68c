//! Instructions that raise an exception whatever the operands.

use iced_x86::Code;
use lyrebird_isa::{Emit, Helper, Sem, Term, Visitor};

use crate::X86Cpu;
use crate::decode::Insn;
use crate::exception::{Fault, vector};

/// #UD. `code` is the `iced-x86` code of an instruction without semantics, which is counted.
#[derive(Clone, Copy, Debug)]
pub struct Undefined {
    /// [`Code`], 0 for what is no instruction.
    pub code: u16,
}

extern "C" fn undefined(cpu: &mut X86Cpu, code: u64, _: u64, _: u64) -> u64 {
    if let Ok(c) = Code::try_from(code as usize)
        && c != Code::INVALID
    {
        *cpu.counters.unimplemented.entry(format!("{c:?}")).or_insert(0) += 1;
    }
    cpu.raise(Fault::UD);
    0
}

impl Sem<X86Cpu> for Undefined {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.code as u64), e.imm(0), e.imm(0)];
        e.call(Helper::cpu("undefined", undefined), args)?;
        e.sync_pc();
        Ok(())
    }
}

/// An exception without a cause to find out about: a vector and, for vectors that have one, error code 0.
#[derive(Clone, Copy, Debug)]
pub struct Raise {
    /// The vector.
    pub vector: u8,
}

extern "C" fn raise(cpu: &mut X86Cpu, v: u64, _: u64, _: u64) -> u64 {
    let v = v as u8;
    let error = matches!(v, vector::DF | vector::TS | vector::NP | vector::SS | vector::GP | vector::AC);
    cpu.raise(if error { Fault::with(v, 0) } else { Fault::plain(v) });
    0
}

impl Sem<X86Cpu> for Raise {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.vector as u64), e.imm(0), e.imm(0)];
        e.call(Helper::cpu("raise", raise), args)?;
        e.sync_pc();
        Ok(())
    }
}

/// More than 15 bytes: #GP (SDM Vol. 2, 2.3.11).
#[derive(Clone, Copy, Debug)]
pub struct TooLong;

impl Sem<X86Cpu> for TooLong {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        Raise { vector: vector::GP }.sem(e)
    }
}

/// For an instruction that no file knows.
pub fn unimplemented<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> V::Out {
    v.visit(Undefined { code: x.i.code() as u16 })
}

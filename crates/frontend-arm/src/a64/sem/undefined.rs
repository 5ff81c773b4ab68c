//! What has no meaning here: unallocated encodings, encodings without semantics yet, trapped FP.

use lyrebird_isa::{Emit, Helper, Sem, Term, Visitor};

use crate::ArmCpu;
use crate::a64::word::Word;

/// Raises the exception for an encoding that is unallocated (`IMPL` false) or has a row without semantics.
#[derive(Clone, Copy, Debug)]
pub struct Undefined<const IMPL: bool> {
    word: u32,
}

extern "C" fn undefined(cpu: &mut ArmCpu, word: u64, known: u64, _: u64) -> u64 {
    cpu.undefined_instruction(word as u32, known != 0);
    0
}

impl<const IMPL: bool> Sem<ArmCpu> for Undefined<IMPL> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (w, k, z) = (e.imm(self.word as u64), e.imm(IMPL as u64), e.imm(0));
        e.call(Helper::cpu("undefined", undefined), [w, k, z])?;
        e.sync_next();
        Ok(())
    }
}

/// An encoding that the architecture leaves unallocated, or that the CPU model lacks.
pub fn unallocated<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Undefined::<false> { word: w.0 })
}

/// An encoding that stands in the table without semantics. Counted by name.
pub fn unimplemented<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Undefined::<true> { word: w.0 })
}

/// Raises the FP access trap (ESR_ELx.EC 0x07).
#[derive(Clone, Copy, Debug)]
pub struct FpTrap;

extern "C" fn fp_trap(cpu: &mut ArmCpu, _: u64, _: u64, _: u64) -> u64 {
    cpu.fp_access_trap();
    0
}

impl Sem<ArmCpu> for FpTrap {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let z = e.imm(0);
        e.call(Helper::cpu("fp_trap", fp_trap), [z, z, z])?;
        e.sync_next();
        Ok(())
    }
}

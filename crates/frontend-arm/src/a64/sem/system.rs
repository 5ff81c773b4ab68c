//! Exception generation, hints, barriers, and PSTATE fields (Arm ARM C4.1.66).

use lyrebird_isa::{Bin, Emit, Helper, Sem, Term, Visitor, Width};

use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::word::Word;
use crate::cpu::Mode;
use crate::exception::{Recorded, ec};
use crate::platform::Conduit;

/// UDF, and whatever else is UNDEFINED by design and so not worth a count.
#[derive(Clone, Copy, Debug)]
pub struct Udf;

extern "C" fn udf_helper(cpu: &mut ArmCpu, _: u64, _: u64, _: u64) -> u64 {
    cpu.raise_undefined();
    0
}

impl Sem<ArmCpu> for Udf {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let z = e.imm(0);
        e.call(Helper::cpu("udf", udf_helper), [z, z, z])?;
        e.sync_next();
        Ok(())
    }
}

/// UDF.
pub fn udf<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Udf)
}

/// HLT, DCPS1 to DCPS3, DRPS: UNDEFINED where halting debug is not there (Arm ARM H2.4).
pub fn undefined_here<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Udf)
}

/// SVC and BRK: an exception class with an immediate; the return address of SVC is the next instruction.
#[derive(Clone, Copy, Debug)]
pub struct Raise {
    ec: u8,
    after: bool,
    imm: u16,
}

extern "C" fn raise_helper(cpu: &mut ArmCpu, ec: u64, imm: u64, after: u64) -> u64 {
    cpu.raise(Recorded { ec: ec as u8, iss: imm as u32, far: None, after: after != 0 });
    0
}

impl Sem<ArmCpu> for Raise {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.ec as u64), e.imm(self.imm as u64), e.imm(self.after as u64)];
        e.call(Helper::cpu("raise", raise_helper), args)?;
        e.sync_next();
        Ok(())
    }
}

/// SVC.
pub fn svc<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Raise { ec: ec::SVC64, after: true, imm: w.bits(5, 16) as u16 })
}

/// BRK.
pub fn brk<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Raise { ec: ec::BRK64, after: false, imm: w.bits(5, 16) as u16 })
}

/// HVC and SMC, served by the board's firmware interface or UNDEFINED.
#[derive(Clone, Copy, Debug)]
pub struct FirmwareCall<const SMC: bool> {
    imm: u16,
}

extern "C" fn firmware_helper(cpu: &mut ArmCpu, imm: u64, smc: u64, _: u64) -> u64 {
    cpu.firmware_call(if smc != 0 { Conduit::Smc } else { Conduit::Hvc }, imm as u16);
    0
}

impl<const SMC: bool> Sem<ArmCpu> for FirmwareCall<SMC> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.imm as u64), e.imm(SMC as u64), e.imm(0)];
        e.call(Helper::cpu("firmware_call", firmware_helper), args)?;
        e.sync_next();
        Ok(())
    }
}

/// HVC.
pub fn hvc<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.el() == 0 {
        return udf(w, pc, mode, v);
    }
    v.visit(FirmwareCall::<false> { imm: w.bits(5, 16) as u16 })
}

/// SMC.
pub fn smc<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.el() == 0 {
        return udf(w, pc, mode, v);
    }
    v.visit(FirmwareCall::<true> { imm: w.bits(5, 16) as u16 })
}

/// ERET.
#[derive(Clone, Copy, Debug)]
pub struct Eret;

extern "C" fn eret_helper(cpu: &mut ArmCpu, _: u64, _: u64, _: u64) -> u64 {
    cpu.exception_return();
    0
}

impl Sem<ArmCpu> for Eret {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let z = e.imm(0);
        e.call(Helper::cpu("eret", eret_helper), [z, z, z])?;
        e.sync_pc();
        Ok(())
    }
}

/// Constructor for ERET.
pub fn eret<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.el() == 0 {
        return udf(w, pc, mode, v);
    }
    v.visit(Eret)
}

/// NOP, and every hint whose feature is absent: those are NOPs by architecture (Arm ARM C6.2, HINT).
#[derive(Clone, Copy, Debug)]
pub struct Nop;

impl Sem<ArmCpu> for Nop {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, _e: &mut E) -> Result<(), E::Fault> {
        Ok(())
    }
}

/// Constructor for the NOP space.
pub fn nop<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Nop)
}

/// WFI and WFE.
#[derive(Clone, Copy, Debug)]
pub struct WaitFor<const EVENT: bool>;

extern "C" fn wait_helper(cpu: &mut ArmCpu, event: u64, _: u64, _: u64) -> u64 {
    cpu.wait_for(event != 0);
    0
}

impl<const EVENT: bool> Sem<ArmCpu> for WaitFor<EVENT> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(EVENT as u64), e.imm(0), e.imm(0)];
        e.call(Helper::cpu("wait_for", wait_helper), args)?;
        e.sync_next();
        Ok(())
    }
}

/// Constructor for WFI.
pub fn wfi<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(WaitFor::<false>)
}

/// Constructor for WFE.
pub fn wfe<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(WaitFor::<true>)
}

/// SEV, SEVL, CLREX: small changes to state that compiled code does not hold.
#[derive(Clone, Copy, Debug)]
pub struct Local<const CLREX: bool>;

extern "C" fn local_helper(cpu: &mut ArmCpu, clrex: u64, _: u64, _: u64) -> u64 {
    if clrex != 0 {
        cpu.core.excl_addr = lyrebird_isa::state::TAG_NONE;
    } else {
        cpu.event = true;
    }
    0
}

impl<const CLREX: bool> Sem<ArmCpu> for Local<CLREX> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(CLREX as u64), e.imm(0), e.imm(0)];
        e.call(Helper::fp("local", local_helper), args)?;
        Ok(())
    }
}

/// SEV and SEVL.
pub fn sev<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Local::<false>)
}

/// CLREX.
pub fn clrex<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Local::<true>)
}

/// DMB, DSB and SB as a full barrier.
#[derive(Clone, Copy, Debug)]
pub struct Barrier;

impl Sem<ArmCpu> for Barrier {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        e.fence();
        Ok(())
    }
}

/// DMB, DSB, SB.
pub fn barrier<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Barrier)
}

/// ISB. Instructions that follow are fetched anew: the engine drops what stores made stale.
#[derive(Clone, Copy, Debug)]
pub struct Isb;

impl Sem<ArmCpu> for Isb {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        e.fence();
        e.sync_next();
        Ok(())
    }
}

/// Constructor for ISB.
pub fn isb<V: Visitor<ArmCpu>>(_w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(Isb)
}

/// MSR DAIFSet and DAIFClr above EL0.
#[derive(Clone, Copy, Debug)]
pub struct DaifImm<const SET: bool> {
    bits: u16,
}

impl Sem<ArmCpu> for DaifImm<true> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (old, b) = (e.reg(regs::DAIF), e.imm(self.bits as u64));
        let new = e.bin(Bin::Or, Width::W64, old, b);
        e.set_reg(regs::DAIF, new);
        Ok(())
    }
}

impl Sem<ArmCpu> for DaifImm<false> {
    // An interrupt that was masked may now be taken.
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (old, b) = (e.reg(regs::DAIF), e.imm(self.bits as u64));
        let new = e.bin(Bin::Bic, Width::W64, old, b);
        e.set_reg(regs::DAIF, new);
        e.sync_next();
        Ok(())
    }
}

/// MSR DAIFSet, #imm.
pub fn daif_set<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.el() == 0 {
        return msr_imm(w, pc, mode, v);
    }
    v.visit(DaifImm::<true> { bits: (w.bits(8, 4) << 6) as u16 })
}

/// MSR DAIFClr, #imm.
pub fn daif_clr<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.el() == 0 {
        return msr_imm(w, pc, mode, v);
    }
    v.visit(DaifImm::<false> { bits: (w.bits(8, 4) << 6) as u16 })
}

/// The other PSTATE fields, and DAIF at EL0 (where SCTLR_EL1.UMA decides).
#[derive(Clone, Copy, Debug)]
pub struct MsrImm {
    word: u32,
}

extern "C" fn msr_imm_helper(cpu: &mut ArmCpu, word: u64, _: u64, _: u64) -> u64 {
    cpu.msr_immediate(Word(word as u32));
    0
}

impl Sem<ArmCpu> for MsrImm {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.word as u64), e.imm(0), e.imm(0)];
        e.call(Helper::cpu("msr_imm", msr_imm_helper), args)?;
        e.sync_next();
        Ok(())
    }
}

/// MSR (immediate).
pub fn msr_imm<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(MsrImm { word: w.0 })
}

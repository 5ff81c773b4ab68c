//! Exception generation, hints, barriers, and the access to system registers and instructions (Arm ARM
//! C4.1.66). What a register or instruction does stands in [`crate::sys`].

use lyrebird_isa::{Bin, Emit, Helper, HelperFn, Reg, Sem, Term, Visitor, Width};

use super::undefined::unallocated;
use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::word::Word;
use crate::cpu::Mode;
use crate::exception::{Recorded, ec};
use crate::platform::Conduit;
use crate::sys::{self, Read, SysReg, Write};

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

/// An access to a system register or instruction that does not exist, or not at this level.
#[derive(Clone, Copy, Debug)]
pub struct NoSuchReg {
    word: u32,
}

extern "C" fn no_such_reg_helper(cpu: &mut ArmCpu, word: u64, _: u64, _: u64) -> u64 {
    cpu.undefined_sysreg(Word(word as u32));
    0
}

impl Sem<ArmCpu> for NoSuchReg {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.word as u64), e.imm(0), e.imm(0)];
        e.call(Helper::cpu("undefined_sysreg", no_such_reg_helper), args)?;
        e.sync_next();
        Ok(())
    }
}

/// MRS of what is kept in the register file.
#[derive(Clone, Copy, Debug)]
pub struct MrsReg {
    d: Reg,
    r: Reg,
}

impl Sem<ArmCpu> for MrsReg {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(self.r);
        e.set_reg(self.d, v);
        Ok(())
    }
}

/// MRS of a constant of the mode.
#[derive(Clone, Copy, Debug)]
pub struct MrsConst {
    d: Reg,
    value: u32,
}

impl Sem<ArmCpu> for MrsConst {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.imm(self.value as u64);
        e.set_reg(self.d, v);
        Ok(())
    }
}

/// MRS Xt, NZCV.
#[derive(Clone, Copy, Debug)]
pub struct MrsNzcv {
    d: Reg,
}

impl Sem<ArmCpu> for MrsNzcv {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.nzcv();
        e.set_reg(self.d, v);
        Ok(())
    }
}

/// How an access to a system register calls its helper.
mod how {
    /// FPCR and FPSR: cannot fault at this level, and sees no general register.
    pub const FP: u8 = 0;
    /// The same for all others.
    pub const SYS: u8 = 1;
    /// May fault.
    pub const CHECKED: u8 = 2;
}

/// The helper of an access.
const fn sys_helper<const HOW: u8>(name: &'static str, f: HelperFn<ArmCpu>) -> Helper<ArmCpu> {
    match HOW {
        how::FP => Helper::fp(name, f),
        how::SYS => Helper::sys(name, f),
        _ => Helper::cpu(name, f),
    }
}

/// MRS through a helper.
#[derive(Clone, Copy, Debug)]
pub struct MrsCall<const HOW: u8> {
    d: Reg,
    id: u16,
}

extern "C" fn mrs_helper(cpu: &mut ArmCpu, id: u64, t: u64, _: u64) -> u64 {
    // Beyond 30 are the stand-ins for XZR, which is field value 31.
    sys::read(cpu, id as u16, t.min(31) as u32)
}

impl<const HOW: u8> Sem<ArmCpu> for MrsCall<HOW> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.id as u64), e.imm(self.d.0 as u64), e.imm(0)];
        let v = e.call(sys_helper::<HOW>("mrs", mrs_helper), args)?;
        e.set_reg(self.d, v);
        Ok(())
    }
}

/// MRS.
pub fn mrs<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let Some((id, r)) = sys::lookup(sys::Enc::of(w)) else {
        return v.visit(NoSuchReg { word: w.0 });
    };
    if !r.readable(mode) {
        return v.visit(NoSuchReg { word: w.0 });
    }
    if r.fp && mode.fp_trapped() {
        return v.visit(super::undefined::FpTrap);
    }
    let d = w.rd();
    if r.checked(mode) {
        return v.visit(MrsCall::<{ how::CHECKED }> { d, id });
    }
    match r.read {
        Read::Reg(r) => v.visit(MrsReg { d, r }),
        Read::Nzcv => v.visit(MrsNzcv { d }),
        Read::CurrentEl => v.visit(MrsConst { d, value: (mode.el() as u32) << 2 }),
        Read::SpSel => v.visit(MrsConst { d, value: mode.sp_sel() as u32 }),
        Read::Field(_) | Read::Call(_) if r.fp => v.visit(MrsCall::<{ how::FP }> { d, id }),
        Read::Field(_) | Read::Call(_) => v.visit(MrsCall::<{ how::SYS }> { d, id }),
        Read::MayFault(_) => v.visit(MrsCall::<{ how::CHECKED }> { d, id }),
        Read::None => unallocated(w, pc, v),
    }
}

/// MSR to what is kept in the register file.
#[derive(Clone, Copy, Debug)]
pub struct MsrReg {
    t: Reg,
    r: Reg,
}

impl Sem<ArmCpu> for MsrReg {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(self.t);
        e.set_reg(self.r, v);
        Ok(())
    }
}

/// MSR NZCV, Xt.
#[derive(Clone, Copy, Debug)]
pub struct MsrNzcv {
    t: Reg,
}

impl Sem<ArmCpu> for MsrNzcv {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(self.t);
        e.set_nzcv(v);
        Ok(())
    }
}

/// MSR DAIF, Xt above EL0.
#[derive(Clone, Copy, Debug)]
pub struct MsrDaif {
    t: Reg,
}

impl Sem<ArmCpu> for MsrDaif {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (v, m) = (e.reg(self.t), e.imm(crate::cpu::pstate::spsr::DAIF));
        let v = e.bin(Bin::And, Width::W64, v, m);
        e.set_reg(regs::DAIF, v);
        e.sync_next();
        Ok(())
    }
}

/// MSR, and system instructions that take an operand, through a helper.
#[derive(Clone, Copy, Debug)]
pub struct MsrCall<const HOW: u8> {
    t: Reg,
    id: u16,
}

extern "C" fn msr_helper(cpu: &mut ArmCpu, id: u64, value: u64, t: u64) -> u64 {
    sys::write(cpu, id as u16, value, t.min(31) as u32);
    0
}

impl<const HOW: u8> Sem<ArmCpu> for MsrCall<HOW> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.id as u64), e.reg(self.t), e.imm(self.t.0 as u64)];
        e.call(sys_helper::<HOW>("msr", msr_helper), args)?;
        Ok(())
    }
}

/// As [`MsrCall`], ending the block.
#[derive(Clone, Copy, Debug)]
pub struct MsrSync {
    t: Reg,
    id: u16,
}

impl Sem<ArmCpu> for MsrSync {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.id as u64), e.reg(self.t), e.imm(self.t.0 as u64)];
        e.call(Helper::cpu("msr_sync", msr_helper), args)?;
        e.sync_next();
        Ok(())
    }
}

fn write<V: Visitor<ArmCpu>>(w: Word, mode: Mode, v: V, found: Option<(u16, &'static SysReg)>) -> V::Out {
    let Some((id, r)) = found.filter(|(_, r)| r.writable(mode)) else {
        return v.visit(NoSuchReg { word: w.0 });
    };
    if r.fp && mode.fp_trapped() {
        return v.visit(super::undefined::FpTrap);
    }
    let t = w.rt_src();
    let checked = r.checked(mode);
    match r.write {
        Write::Reg(r) if !checked => v.visit(MsrReg { t, r }),
        Write::Nzcv => v.visit(MsrNzcv { t }),
        Write::Daif if !checked => v.visit(MsrDaif { t }),
        Write::Nop if !checked => v.visit(Nop),
        Write::Field(..) | Write::Call(_) if !r.sync && !checked => {
            if r.fp {
                v.visit(MsrCall::<{ how::FP }> { t, id })
            } else {
                v.visit(MsrCall::<{ how::SYS }> { t, id })
            }
        }
        Write::Field(..) | Write::Call(_) | Write::MayFault(_) if !r.sync => {
            v.visit(MsrCall::<{ how::CHECKED }> { t, id })
        }
        _ => v.visit(MsrSync { t, id }),
    }
}

/// MSR (register).
pub fn msr<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    write(w, mode, v, sys::lookup(sys::Enc::of(w)))
}

/// SYS. AT, DC, IC, TLBI.
pub fn sys<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    write(w, mode, v, sys::lookup(sys::Enc::of(w)))
}

/// SYSL. No system instruction with a result is defined.
pub fn sysl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(NoSuchReg { word: w.0 })
}

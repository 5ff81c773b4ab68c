//! Access to system registers and instructions: MRS, MSR (register), SYS, SYSL (Arm ARM C4.1.66). What a register or
//! instruction does stands in [`crate::sys`].

use lyrebird_isa::{Bin, Emit, Helper, HelperFn, Reg, Sem, Term, Visitor, Width};

use super::system::Nop;
use super::undefined::unallocated;
use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::word::Word;
use crate::cpu::Mode;
use crate::sys::{self, Read, SysReg, Write};

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

//! CPUID, model-specific registers, counters, random numbers, fast system calls, segment bases, PAUSE
//! (SDM Vol. 1, 5.1.15 to 5.1.17, 5.20 and 5.22).

use std::marker::PhantomData;

use iced_x86::Mnemonic;
use lyrebird_isa::{Emit, Sem, Visitor};

use super::form::{End, Fixed, Op, Source, call};
use super::raise;
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Outcome, vector};
use crate::operand::{Gpr, w};
use crate::regs::{RAX, RBX, RCX, RDX, Seg};
use crate::sem::{Decoded, wide_widths};

impl X86Cpu {
    /// EDX:EAX.
    fn set_pair(&mut self, v: u64) {
        self.core.set_reg(RAX, v & 0xffff_ffff);
        self.core.set_reg(RDX, v >> 32);
    }

    fn low(&self, r: lyrebird_isa::Reg) -> u64 {
        self.core.reg(r) & 0xffff_ffff
    }
}

/// Instructions that read and write fixed registers.
#[derive(Clone, Copy, Debug)]
pub struct Report;

/// Kinds of [`Report`].
mod kind {
    pub const CPUID: u32 = 0;
    pub const RDMSR: u32 = 1;
    pub const RDTSC: u32 = 2;
    pub const RDTSCP: u32 = 3;
    pub const RDPMC: u32 = 4;
    pub const XGETBV: u32 = 5;
    pub const SWAPGS: u32 = 6;
}

impl Op for Report {
    const NAME: &'static str = "report";

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        let n = cpu.low(RCX) as u32;
        match b as u32 {
            kind::CPUID => {
                let [a, b, c, d] = cpu.cpuid(cpu.low(RAX) as u32, n);
                for (r, v) in [(RAX, a), (RBX, b), (RCX, c), (RDX, d)] {
                    cpu.core.set_reg(r, v as u64);
                }
            }
            kind::RDMSR => {
                let v = cpu.rdmsr(n)?;
                cpu.set_pair(v);
            }
            kind::RDTSC => {
                let v = cpu.rdtsc()?;
                cpu.set_pair(v);
            }
            kind::RDTSCP => {
                let v = cpu.rdtsc()?;
                cpu.set_pair(v);
                cpu.core.set_reg(RCX, cpu.msr.tsc_aux);
            }
            kind::RDPMC => {
                let v = cpu.rdpmc()?;
                cpu.set_pair(v);
            }
            kind::XGETBV => {
                let v = cpu.xgetbv(n)?;
                cpu.set_pair(v);
            }
            _ => cpu.swapgs()?,
        }
        Ok(0)
    }
}

/// WRMSR.
#[derive(Clone, Copy, Debug)]
pub struct Wrmsr;

impl Op for Wrmsr {
    const NAME: &'static str = "wrmsr";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, _: u64, _: u64) -> Outcome<u64> {
        let v = cpu.low(RDX) << 32 | cpu.low(RAX);
        cpu.wrmsr(cpu.low(RCX) as u32, v).map(|()| 0)
    }
}

/// SYSCALL, SYSRET, SYSENTER, SYSEXIT (`b` 0 to 3, bit 8 for a 64-bit return); `a` is the address behind.
#[derive(Clone, Copy, Debug)]
pub struct Call;

impl Op for Call {
    const NAME: &'static str = "system_call";
    const END: End = End::Pc;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let wide = b >> 8 != 0;
        match b & 3 {
            0 => cpu.syscall(a)?,
            1 => cpu.sysret(wide)?,
            2 => cpu.sysenter()?,
            _ => cpu.sysexit(wide)?,
        }
        Ok(0)
    }
}

/// RDRAND and RDSEED.
#[derive(Clone, Copy, Debug)]
pub struct Random<const W: u8> {
    d: Gpr,
}

#[derive(Clone, Copy, Debug)]
struct NextRandom;

impl Op for NextRandom {
    const NAME: &'static str = "random";

    fn run(cpu: &mut X86Cpu, _: u64, _: u64) -> Outcome<u64> {
        Ok(cpu.random())
    }
}

impl<const W: u8> Sem<X86Cpu> for Random<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let zero = e.imm(0);
        let v = call::<NextRandom, E>(e, zero, zero)?;
        self.d.set::<W, E>(e, v);
        // CF, whose complement the engine keeps; every other flag is clear, PF because 1 has odd parity.
        let flags = e.imm(1);
        e.set_nzcv(flags);
        Ok(())
    }
}

/// RDFSBASE and RDGSBASE.
#[derive(Clone, Copy, Debug)]
pub struct ReadBase<const W: u8> {
    d: Gpr,
    seg: Seg,
}

#[derive(Clone, Copy, Debug)]
struct BaseOf;

impl Op for BaseOf {
    const NAME: &'static str = "rdfsbase";

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        cpu.read_base(Seg::from_bits(b as u32))
    }
}

impl<const W: u8> Sem<X86Cpu> for ReadBase<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (zero, seg) = (e.imm(0), e.imm(self.seg as u64));
        let v = call::<BaseOf, E>(e, zero, seg)?;
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// WRFSBASE and WRGSBASE.
#[derive(Clone, Copy, Debug)]
pub struct WriteBase;

impl Op for WriteBase {
    const NAME: &'static str = "wrfsbase";

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.write_base(Seg::from_bits(b as u32), a).map(|()| 0)
    }
}

/// PAUSE: nothing.
#[derive(Clone, Copy, Debug)]
pub struct Pause;

impl Sem<X86Cpu> for Pause {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, _: &mut E) -> Result<(), E::Fault> {
        Ok(())
    }
}

fn report<V: Visitor<X86Cpu>>(b: u32, v: V) -> V::Out {
    v.visit(Fixed::<Report> { a: 0, b, op: PhantomData })
}

/// The feature without which an instruction is undefined.
fn needs(m: Mnemonic) -> Option<Feature> {
    use Mnemonic::*;
    Some(match m {
        Cpuid => Feature::Cpuid,
        Rdmsr | Wrmsr => Feature::Msr,
        Rdtsc => Feature::Tsc,
        Rdtscp => Feature::Rdtscp,
        Rdpmc => Feature::Cmov,
        Xgetbv => Feature::Xsave,
        Swapgs => Feature::Lm,
        Syscall | Sysret | Sysretq => Feature::Syscall,
        Sysenter | Sysexit | Sysexitq => Feature::Sep,
        Rdrand => Feature::Rdrand,
        Rdseed => Feature::Rdseed,
        Rdfsbase | Rdgsbase | Wrfsbase | Wrgsbase => Feature::Fsgsbase,
        _ => return None,
    })
}

/// Instructions of extensions that no model has: virtual machines, SMM, protection keys, enclaves, MONITOR.
fn never(m: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        m,
        Vmcall
            | Vmlaunch
            | Vmresume
            | Vmxoff
            | Vmxon
            | Vmclear
            | Vmptrld
            | Vmptrst
            | Vmread
            | Vmwrite
            | Vmfunc
            | Invept
            | Invvpid
            | Vmrun
            | Vmmcall
            | Vmload
            | Vmsave
            | Stgi
            | Clgi
            | Skinit
            | Invlpga
            | Rsm
            | Getsec
            | Encls
            | Enclu
            | Enclv
            | Rdpkru
            | Wrpkru
            | Rdpid
            | Monitor
            | Mwait
            | Monitorx
            | Mwaitx
    )
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    use Mnemonic::*;
    let m = x.mnemonic();
    if never(m) || needs(m).is_some_and(|f| !x.mode.has(f)) {
        return Ok(raise(vector::UD, v));
    }
    let seg = if matches!(m, Rdfsbase | Wrfsbase) { Seg::Fs } else { Seg::Gs };
    let system = |b: u32, v: V| v.visit(Fixed::<self::Call> { a: x.next(), b, op: PhantomData });
    Ok(match m {
        Cpuid => report(kind::CPUID, v),
        Rdmsr => report(kind::RDMSR, v),
        Rdtsc => report(kind::RDTSC, v),
        Rdtscp => report(kind::RDTSCP, v),
        Rdpmc => report(kind::RDPMC, v),
        Xgetbv => report(kind::XGETBV, v),
        Swapgs => report(kind::SWAPGS, v),
        Wrmsr => v.visit(Fixed::<self::Wrmsr> { a: 0, b: 0, op: PhantomData }),
        Syscall => system(0, v),
        Sysret => system(1, v),
        Sysretq => system(1 | 1 << 8, v),
        Sysenter => system(2, v),
        Sysexit => system(3, v),
        Sysexitq => system(3 | 1 << 8, v),
        Rdrand | Rdseed => wide_widths!(x.reg_width(0) => |W| v.visit(Random::<W> { d: x.gpr(0) })),
        Rdfsbase | Rdgsbase => {
            wide_widths!(x.reg_width(0) => |W| v.visit(ReadBase::<W> { d: x.gpr(0), seg }))
        }
        Wrfsbase | Wrgsbase => {
            let (m, b, op) = (x.operand(0), seg as u32, PhantomData::<WriteBase>);
            if x.reg_width(0) == w::Q {
                v.visit(Source::<WriteBase, { w::Q }, false> { m, b, op })
            } else {
                v.visit(Source::<WriteBase, { w::D }, false> { m, b, op })
            }
        }
        Pause => v.visit(self::Pause),
        _ => return Err(v),
    })
}

//! FCMP, FCMPE, FCCMP, FCCMPE.

use lyrebird_fp::{F32, F64};
use lyrebird_isa::host::quiet;
use lyrebird_isa::{Cond, Emit, FlagStyle, Float, Helper, Sem, Visitor};

use super::ops::{Elem, nzcv};
use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::word::Word;
use crate::cpu::Mode;

/// NZCV of Vn compared with Vm, or with zero. `n` and `m` are in bits 4 to 0 and 12 to 8. Where `cond` is 0,
/// nothing is compared, and the result is `otherwise`.
extern "C" fn compare<F: Elem, const ZERO: bool, const SIGNALLING: bool>(
    cpu: &mut ArmCpu,
    p: u64,
    cond: u64,
    otherwise: u64,
) -> u64 {
    if cond == 0 {
        return otherwise;
    }
    let v = &cpu.core.vregs;
    let a = F::of(v[(p & 31) as usize].0[0]);
    let b = if ZERO { F::zero(false) } else { F::of(v[(p >> 8 & 31) as usize].0[0]) };
    let mut env = cpu.fp_env();
    let r = quiet(|| nzcv(lyrebird_fp::compare::<F>(&mut env, a, b, SIGNALLING)));
    cpu.fp_raise(env);
    r
}

const fn helper<F: Elem, const ZERO: bool, const SIGNALLING: bool>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(if SIGNALLING { "fcmpe" } else { "fcmp" }, compare::<F, ZERO, SIGNALLING>) }
}

/// FCMP and FCMPE: C7.2.73, C7.2.74.
#[derive(Clone, Copy, Debug)]
pub struct Fcmp {
    helper: &'static Helper<ArmCpu>,
    n: u8,
    m: u8,
}

impl Sem<ArmCpu> for Fcmp {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (p, one, z) = (e.imm(self.n as u64 | (self.m as u64) << 8), e.imm(1), e.imm(0));
        let r = e.call(*self.helper, [p, one, z])?;
        e.set_nzcv(r);
        Ok(())
    }
}

/// The same on the host's unit.
#[derive(Clone, Copy, Debug)]
pub struct FcmpHost<const D: bool, const ZERO: bool, const SIGNALLING: bool> {
    n: u8,
    m: u8,
}

impl<const D: bool, const ZERO: bool, const SIGNALLING: bool> Sem<ArmCpu> for FcmpHost<D, ZERO, SIGNALLING> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.vreg(self.n);
        let b = if ZERO { super::host::zero(e) } else { e.vreg(self.m) };
        let unordered = if SIGNALLING {
            let helper =
                if D { helper::<F64, ZERO, SIGNALLING>() } else { helper::<F32, ZERO, SIGNALLING>() };
            Some((*helper, [e.imm(self.n as u64 | (self.m as u64) << 8), e.imm(1), e.imm(0)]))
        } else {
            None
        };
        let f = if D { Float::D } else { Float::S };
        e.set_fflags(FlagStyle::Arm, f, a, b, unordered)
    }
}

/// FCCMP and FCCMPE: C7.2.59, C7.2.60.
#[derive(Clone, Copy, Debug)]
pub struct Fccmp {
    helper: &'static Helper<ArmCpu>,
    n: u8,
    m: u8,
    cond: Cond,
    nzcv: u8,
}

impl Sem<ArmCpu> for Fccmp {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let p = e.imm(self.n as u64 | (self.m as u64) << 8);
        let c = e.cond(self.cond);
        let c = e.bool_val(c);
        let otherwise = e.imm((self.nzcv as u64) << 28);
        let r = e.call(*self.helper, [p, c, otherwise])?;
        e.set_nzcv(r);
        Ok(())
    }
}

/// Constructor of [`Fcmp`]: bit 3 selects comparison with zero, bit 4 that quiet NaNs are invalid too.
pub fn fcmp<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    if mode.fp_host() {
        let (n, m) = (w.n() as u8, w.m() as u8);
        return flags!(w.bit(22), w.bit(3), w.bit(4) => |D, ZERO, SIGNALLING| {
            v.visit(FcmpHost::<D, ZERO, SIGNALLING> { n, m })
        });
    }
    let helper = flags!(w.bit(3), w.bit(4) => |ZERO, SIGNALLING| match w.bit(22) {
        true => helper::<F64, ZERO, SIGNALLING>(),
        false => helper::<F32, ZERO, SIGNALLING>(),
    });
    v.visit(Fcmp { helper, n: w.n() as u8, m: w.m() as u8 })
}

/// Constructor of [`Fccmp`].
pub fn fccmp<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    let helper = flags!(w.bit(4) => |SIGNALLING| match w.bit(22) {
        true => helper::<F64, false, SIGNALLING>(),
        false => helper::<F32, false, SIGNALLING>(),
    });
    let cond = Cond::from_bits(w.bits(12, 4));
    v.visit(Fccmp { helper, n: w.n() as u8, m: w.m() as u8, cond, nzcv: w.bits(0, 4) as u8 })
}

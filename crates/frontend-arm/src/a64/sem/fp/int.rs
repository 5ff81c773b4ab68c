//! Conversions between scalars and general registers.

use lyrebird_fp::{F32, F64, IntType};
use lyrebird_isa::host::quiet;
use lyrebird_isa::ops::{Bin, Lane};
use lyrebird_isa::{Cc, Emit, FUn, Float, Helper, Part, Reg, Rounding, Sem, V128, Visitor, Width, host};

use super::ops::{Arg, Elem};
use crate::ArmCpu;
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;
use crate::cpu::Mode;

const fn int(sf: bool, signed: bool) -> IntType {
    IntType { bits: Width::sf(sf).bits(), signed }
}

/// `n` and the constant are in bits 4 to 0 and 31 to 16.
extern "C" fn to_int<F: Elem, const SF: bool, const S: bool>(
    cpu: &mut ArmCpu,
    p: u64,
    _: u64,
    _: u64,
) -> u64 {
    let arg = Arg((p >> 16) as u16);
    let a = F::of(cpu.core.vregs[(p & 31) as usize].0[0]);
    let mut env = cpu.fp_env();
    let mode = arg.round(&env);
    let r = quiet(|| lyrebird_fp::to_fixed::<F>(&mut env, a, arg.frac(), int(SF, S), mode));
    cpu.fp_raise(env);
    r
}

/// `d` and the number of fraction bits are in bits 4 to 0 and 15 to 8 of `p`.
extern "C" fn from_int<F: Elem, const SF: bool, const S: bool>(
    cpu: &mut ArmCpu,
    p: u64,
    x: u64,
    _: u64,
) -> u64 {
    let mut env = cpu.fp_env();
    let mode = env.policy.round;
    let r = quiet(|| lyrebird_fp::from_fixed::<F>(&mut env, x, (p >> 8 & 0xff) as u32, int(SF, S), mode));
    cpu.core.vregs[(p & 31) as usize] = V128([F::raw(r), 0]);
    cpu.fp_raise(env);
    0
}

const fn to_helper<F: Elem, const SF: bool, const S: bool>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(if S { "fcvts" } else { "fcvtu" }, to_int::<F, SF, S>) }
}

const fn from_helper<F: Elem, const SF: bool, const S: bool>() -> &'static Helper<ArmCpu> {
    const { &Helper::fp(if S { "scvtf" } else { "ucvtf" }, from_int::<F, SF, S>) }
}

const fn float(double: bool) -> Float {
    if double { Float::D } else { Float::S }
}

/// FCVTZS to a general register on the host's unit. What does not fit is the helper's: it saturates.
#[derive(Clone, Copy, Debug)]
pub struct TruncateHost<const D: bool, const SF: bool> {
    d: Reg,
    n: u8,
}

impl<const D: bool, const SF: bool> Sem<ArmCpu> for TruncateHost<D, SF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.vreg(self.n);
        let fits = e.ffits(float(D), Width::sf(SF), a);
        let r = e.ftruncate(float(D), Width::sf(SF), a);
        let args = [e.imm(self.n as u64 | (Arg::ZERO.0 as u64) << 16), e.imm(0), e.imm(0)];
        let helper = if D { to_helper::<F64, SF, true>() } else { to_helper::<F32, SF, true>() };
        let r = e.val_or(fits, r, *helper, args)?;
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// The other FCVT*S and FCVT*U to a general register on the host's unit. What may not fit is the helper's, and not shown
/// to the host: what it finds inexact or invalid may be the other or neither.
#[derive(Clone, Copy, Debug)]
pub struct ConvertHost<const D: bool, const SF: bool, const S: bool> {
    d: Reg,
    n: u8,
    arg: u16,
    to: Rounding,
}

impl<const D: bool, const SF: bool, const S: bool> Sem<ArmCpu> for ConvertHost<D, SF, S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (f, w) = (float(D), Width::sf(D));
        // Numbers below two to that fit; half of them, where rounding may lead out of them.
        let bits = if SF { 63 } else { 32 - S as u64 } - (D && !SF && self.to != Rounding::Zero) as u64;
        let limit = if D { (1023 + bits) << 52 } else { (127 + bits) << 23 };
        let a = e.vreg(self.n);
        let raw = e.vec_lo(a);
        // Without a sign, negative numbers are above all others.
        let mask = e.imm(if S { u64::MAX >> (65 - w.bits()) } else { w.mask() });
        let size = e.bin(Bin::And, w, raw, mask);
        let (limit, zero) = (e.imm(limit), e.imm(0));
        let fits = e.cmp(Cc::Ult, w, size, limit);
        let raw = e.select(fits, raw, zero);
        let mut v = e.vsplat(Lane::D, raw);
        if self.to != Rounding::Zero {
            v = e.fun(FUn::Round(self.to, true), f, Part::Low, v);
        }
        let r = e.ftruncate(f, Width::sf(SF || !S), v);
        let args = [e.imm(self.n as u64 | (self.arg as u64) << 16), zero, zero];
        let helper = if D { to_helper::<F64, SF, S>() } else { to_helper::<F32, SF, S>() };
        let r = e.val_or(fits, r, *helper, args)?;
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// SCVTF, UCVTF of an integer in a general register on the host's unit. It takes signed integers of 64 bits; others are
/// the helper's, which raises the same.
#[derive(Clone, Copy, Debug)]
pub struct FromHost<const D: bool, const SF: bool, const S: bool> {
    n: Reg,
    d: u8,
}

impl<const D: bool, const SF: bool, const S: bool> Sem<ArmCpu> for FromHost<D, SF, S> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let x = e.reg(self.n);
        if SF && !S {
            let r = e.ffrom_int(float(D), x);
            let zero = e.imm(0);
            let fits = e.cmp(Cc::Sle, Width::W64, zero, x);
            let helper = if D { from_helper::<F64, SF, S>() } else { from_helper::<F32, SF, S>() };
            let d = e.imm(self.d as u64);
            return e.set_vreg_or(fits, self.d, r, *helper, [d, x, zero]);
        }
        let x = match (SF, S) {
            (true, _) => x,
            (false, true) => e.sext(Width::W32, x),
            (false, false) => e.zext(Width::W32, x),
        };
        let r = e.ffrom_int(float(D), x);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// FCVT*S, FCVT*U to a general register.
#[derive(Clone, Copy, Debug)]
pub struct ToGeneral {
    helper: &'static Helper<ArmCpu>,
    arg: u16,
    d: Reg,
    n: u8,
}

impl Sem<ArmCpu> for ToGeneral {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (p, z) = (e.imm(self.n as u64 | (self.arg as u64) << 16), e.imm(0));
        let r = e.call(*self.helper, [p, z, z])?;
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// SCVTF, UCVTF from a general register.
#[derive(Clone, Copy, Debug)]
pub struct FromGeneral {
    helper: &'static Helper<ArmCpu>,
    n: Reg,
    d: u8,
    fbits: u8,
}

impl Sem<ArmCpu> for FromGeneral {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (p, z) = (e.imm(self.d as u64 | (self.fbits as u64) << 8), e.imm(0));
        let x = e.reg(self.n);
        e.call(*self.helper, [p, x, z])?;
        Ok(())
    }
}

/// FCVT* to an integer: bit 16 selects unsigned, bits 20 to 19 the rounding, bit 18 ties away.
pub fn to_integer<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    let arg = match (w.bit(18), w.bits(19, 2)) {
        (true, _) => Arg::AWAY,
        (_, r) => Arg(r as u16),
    };
    to_general(w, arg, mode, v)
}

/// FCVTZS and FCVTZU to fixed point.
pub fn to_fixed<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    match fraction_bits(w) {
        Some(n) => to_general(w, Arg::ZERO.fbits(n), mode, v),
        None => undefined::unallocated(w, pc, v),
    }
}

/// SCVTF and UCVTF of an integer.
pub fn from_integer<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    from_general(w, 0, mode, v)
}

/// SCVTF and UCVTF of a fixed-point number.
pub fn from_fixed<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    match fraction_bits(w) {
        Some(n) => from_general(w, n, mode, v),
        None => undefined::unallocated(w, pc, v),
    }
}

/// `64 - scale`; a 32-bit register has at most 32 fraction bits.
fn fraction_bits(w: Word) -> Option<u32> {
    let n = 64 - w.bits(10, 6);
    (w.sf() || n <= 32).then_some(n)
}

fn to_general<V: Visitor<ArmCpu>>(w: Word, arg: Arg, mode: Mode, v: V) -> V::Out {
    if mode.fp_host() && arg == Arg::ZERO && !w.bit(16) {
        let (d, n) = (w.rd(), w.n() as u8);
        return flags!(w.bit(22), w.sf() => |D, SF| v.visit(TruncateHost::<D, SF> { d, n }));
    }
    if mode.fp_host()
        && host::has_rounding()
        && arg.frac() == 0
        && let Some(to) = arg.on_host()
    {
        let (d, n, arg) = (w.rd(), w.n() as u8, arg.0);
        return flags!(w.bit(22), w.sf(), !w.bit(16) => |D, SF, S| {
            v.visit(ConvertHost::<D, SF, S> { d, n, arg, to })
        });
    }
    let helper = flags!(w.sf(), !w.bit(16) => |SF, S| match w.bit(22) {
        true => to_helper::<F64, SF, S>(),
        false => to_helper::<F32, SF, S>(),
    });
    v.visit(ToGeneral { helper, arg: arg.0, d: w.rd(), n: w.n() as u8 })
}

fn from_general<V: Visitor<ArmCpu>>(w: Word, fbits: u32, mode: Mode, v: V) -> V::Out {
    if mode.fp_host() && fbits == 0 {
        let (n, d) = (w.rn(), w.d() as u8);
        return flags!(w.bit(22), w.sf(), !w.bit(16) => |D, SF, S| v.visit(FromHost::<D, SF, S> { n, d }));
    }
    let helper = flags!(w.sf(), !w.bit(16) => |SF, S| match w.bit(22) {
        true => from_helper::<F64, SF, S>(),
        false => from_helper::<F32, SF, S>(),
    });
    v.visit(FromGeneral { helper, n: w.rn(), d: w.d() as u8, fbits: fbits as u8 })
}

//! Comparisons, conversions and roundings that the host computes where MXCSR lets it, and whose rows are for what it
//! cannot: flags, general registers, integers out of range.

use iced_x86::{EncodingKind, Mnemonic};
use lyrebird_isa::{
    Bin, Cc, Emit, FCc, FUn, FlagStyle, Float, Helper, Lane, MemOp, Part, Reg, Rounding, Sem, Size, Visitor,
    Width, host,
};

use super::inline::{Reach, clear_upper};
use super::{Op, What, access, flag, place, run};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, w};
use crate::sem::Decoded;

pub(super) const fn float(double: bool) -> Float {
    if double { Float::D } else { Float::S }
}

/// Bytes of a number in memory.
const fn size(double: bool) -> Size {
    if double { Size::B8 } else { Size::B4 }
}

/// UCOMISS, UCOMISD; `SIGNALLING`: COMISS, COMISD.
#[derive(Clone, Copy, Debug)]
struct Compare<const D: bool, const SIGNALLING: bool> {
    w: What,
}

impl<const D: bool, const SIGNALLING: bool> Sem<X86Cpu> for Compare<D, SIGNALLING> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = e.vreg(self.w.b);
        compare::<D, SIGNALLING, E>(e, self.w, b)
    }
}

/// The same with the second operand in memory. The first is the memory operand's register.
#[derive(Clone, Copy, Debug)]
struct CompareMem<const D: bool, const SIGNALLING: bool> {
    m: Mem,
    op: Op,
    flags: u8,
}

impl<const D: bool, const SIGNALLING: bool> Sem<X86Cpu> for CompareMem<D, SIGNALLING> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, size(D).bytes(), false)?;
        let b = e.vload(MemOp::new(size(D)), va)?;
        let a = self.m.reg.0;
        let w = What { d: a, a, b: place::VALUE, imm: 0, flags: self.flags, op: self.op };
        compare::<D, SIGNALLING, E>(e, w, b)
    }
}

#[inline(always)]
fn compare<const D: bool, const SIGNALLING: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    w: What,
    b: E::Vec,
) -> Result<(), E::Fault> {
    let a = e.vreg(w.a);
    // A quiet NaN is for the row to find invalid.
    let unordered = if SIGNALLING {
        let args = [e.imm(w.pack()), e.vec_lo(b), e.imm(0)];
        Some((Helper::fp("media", run), args))
    } else {
        None
    };
    e.set_fflags(FlagStyle::X86, float(D), a, b, unordered)
}

/// CVTTSS2SI, CVTTSD2SI from a register; `NEAREST`: CVTSS2SI, CVTSD2SI.
#[derive(Clone, Copy, Debug)]
struct ToInt<const D: bool, const WIDE: bool, const NEAREST: bool> {
    w: What,
}

impl<const D: bool, const WIDE: bool, const NEAREST: bool> Sem<X86Cpu> for ToInt<D, WIDE, NEAREST> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = e.vreg(self.w.b);
        to_int::<D, WIDE, NEAREST, E>(e, self.w, b)
    }
}

/// The same from memory.
#[derive(Clone, Copy, Debug)]
struct ToIntMem<const D: bool, const WIDE: bool, const NEAREST: bool> {
    m: Mem,
    op: Op,
    flags: u8,
}

impl<const D: bool, const WIDE: bool, const NEAREST: bool> Sem<X86Cpu> for ToIntMem<D, WIDE, NEAREST> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, size(D).bytes(), false)?;
        let b = e.vload(MemOp::new(size(D)), va)?;
        let d = self.m.reg.0;
        let w = What { d, a: d, b: place::VALUE, imm: WIDE as u8, flags: self.flags, op: self.op };
        to_int::<D, WIDE, NEAREST, E>(e, w, b)
    }
}

#[inline(always)]
fn to_int<const D: bool, const WIDE: bool, const NEAREST: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    w: What,
    b: E::Vec,
) -> Result<(), E::Fault> {
    let width = Width::sf(WIDE);
    let (fits, v) = if NEAREST {
        let (fits, v) = within::<D, WIDE, E>(e, b);
        (fits, e.fun(FUn::Round(Rounding::Nearest, true), float(D), Part::Low, v))
    } else {
        (e.ffits(float(D), width, b), b)
    };
    let v = e.ftruncate(float(D), width, v);
    let args = [e.imm(w.pack()), e.vec_lo(b), e.imm(0)];
    let v = e.val_or(fits, v, Helper::fp("media", run), args)?;
    e.set_reg(Reg(w.d & 15), v);
    Ok(())
}

/// Whether the low lane rounded to nearest fits, and what to round: it, or zero. Of a number that does not fit the
/// rounding would be inexact, which the conversion is not.
#[inline(always)]
fn within<const D: bool, const WIDE: bool, E: Emit<Cpu = X86Cpu>>(e: &mut E, v: E::Vec) -> (E::Bool, E::Vec) {
    // A power of two: half of what fits, which the rounding does not lead out of.
    let limit = match float(D) {
        Float::S => (127 + if WIDE { 62 } else { 30 }) << 23,
        Float::D => (1023 + if WIDE { 62 } else { 30 }) << 52,
    };
    let w = Width::sf(D);
    let (magnitude, limit, zero) = (e.imm(u64::MAX >> (65 - w.bits())), e.imm(limit), e.imm(0));
    let lo = e.vec_lo(v);
    let exp = e.bin(Bin::And, w, lo, magnitude);
    let fits = e.cmp(Cc::Ult, w, exp, limit);
    let lo = e.select(fits, lo, zero);
    (fits, e.vsplat(Lane::D, lo))
}

/// CVTSI2SS, CVTSI2SD from a general register.
#[derive(Clone, Copy, Debug)]
struct FromInt<const D: bool, const WIDE: bool> {
    d: u8,
    a: u8,
    s: Gpr,
    vex: bool,
}

impl<const D: bool, const WIDE: bool> Sem<X86Cpu> for FromInt<D, WIDE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(self.s.reg());
        from_int::<D, WIDE, E>(e, self.d, self.a, v, self.vex);
        Ok(())
    }
}

/// The same from memory. Destination and first source are the memory operand's registers.
#[derive(Clone, Copy, Debug)]
struct FromIntMem<const D: bool, const WIDE: bool> {
    m: Mem,
    vex: bool,
}

impl<const D: bool, const WIDE: bool> Sem<X86Cpu> for FromIntMem<D, WIDE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, size(WIDE).bytes(), false)?;
        let v = e.load(MemOp::new(size(WIDE)), va)?;
        from_int::<D, WIDE, E>(e, self.m.reg.0, self.m.reg2.0, v, self.vex);
        Ok(())
    }
}

#[inline(always)]
fn from_int<const D: bool, const WIDE: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    d: u8,
    a: u8,
    v: E::Val,
    vex: bool,
) {
    let v = if WIDE { v } else { e.sext(Width::W32, v) };
    let r = e.ffrom_int(float(D), v);
    scalar(e, float(D), d, a, r, vex);
}

/// Writes a scalar: above it the first source stays, and VEX-encoded instructions clear what is above 128 bits.
#[inline(always)]
fn scalar<E: Emit<Cpu = X86Cpu>>(e: &mut E, f: Float, d: u8, a: u8, r: E::Vec, vex: bool) {
    let a = e.vreg(a);
    let r = e.vmerge(f.lane(), a, r);
    e.set_vreg(d, r);
    if vex {
        clear_upper(e, d);
    }
}

/// CMPPS, CMPPD, CMPSS, CMPSD with one of the first eight predicates.
#[derive(Clone, Copy, Debug)]
struct Mask<const D: bool, const SCALAR: bool> {
    d: u8,
    a: u8,
    b: u8,
    imm: u8,
    vex: bool,
}

impl<const D: bool, const SCALAR: bool> Sem<X86Cpu> for Mask<D, SCALAR> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = e.vreg(self.b);
        mask::<D, SCALAR, E>(e, [self.d, self.a], b, self.imm, self.vex);
        Ok(())
    }
}

/// The same with the second source in memory. Destination and first source are the memory operand's registers.
#[derive(Clone, Copy, Debug)]
struct MaskMem<const D: bool, const SCALAR: bool> {
    m: Mem,
    imm: u8,
    vex: bool,
}

impl<const D: bool, const SCALAR: bool> Sem<X86Cpu> for MaskMem<D, SCALAR> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let size = if SCALAR { size(D) } else { Size::B16 };
        let va = self.m.linear(e, size.bytes(), false)?;
        let b = e.vload(access(size, !SCALAR && !self.vex), va)?;
        mask::<D, SCALAR, E>(e, [self.m.reg.0, self.m.reg2.0], b, self.imm, self.vex);
        Ok(())
    }
}

#[inline(always)]
fn mask<const D: bool, const SCALAR: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    [d, a]: [u8; 2],
    b: E::Vec,
    imm: u8,
    vex: bool,
) {
    let x = e.vreg(a);
    let part = if SCALAR { Part::Low } else { Part::All };
    let r = e.fcmp(FCc::from_bits(imm), float(D), part, x, b);
    if SCALAR {
        return scalar(e, float(D), d, a, r, vex);
    }
    e.set_vreg(d, r);
    if vex {
        clear_upper(e, d);
    }
}

/// ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD.
#[derive(Clone, Copy, Debug)]
struct Round<const D: bool, const SCALAR: bool> {
    d: u8,
    a: u8,
    b: u8,
    imm: u8,
    reach: Reach,
}

impl<const D: bool, const SCALAR: bool> Sem<X86Cpu> for Round<D, SCALAR> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = e.vreg(self.b);
        let hi = (self.reach == Reach::Vex256).then(|| e.vreg(16 + self.b));
        round::<D, SCALAR, E>(e, [self.d, self.a], [Some(b), hi], self.imm, self.reach);
        Ok(())
    }
}

/// The same with the second source in memory. Destination and first source are the memory operand's registers.
#[derive(Clone, Copy, Debug)]
struct RoundMem<const D: bool, const SCALAR: bool> {
    m: Mem,
    imm: u8,
    reach: Reach,
}

impl<const D: bool, const SCALAR: bool> Sem<X86Cpu> for RoundMem<D, SCALAR> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let size = if SCALAR { size(D) } else { Size::B16 };
        let wide = self.reach == Reach::Vex256;
        let va = self.m.linear(e, if wide { 32 } else { size.bytes() }, false)?;
        let m = access(size, !SCALAR && self.reach == Reach::Legacy);
        let b = e.vload(m, va)?;
        let hi = if wide {
            let va = e.add_imm(va, 16);
            Some(e.vload(m, va)?)
        } else {
            None
        };
        round::<D, SCALAR, E>(e, [self.m.reg.0, self.m.reg2.0], [Some(b), hi], self.imm, self.reach);
        Ok(())
    }
}

#[inline(always)]
fn round<const D: bool, const SCALAR: bool, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    [d, a]: [u8; 2],
    b: [Option<E::Vec>; 2],
    imm: u8,
    reach: Reach,
) {
    // Bit 2 is for MXCSR.RC, which is to nearest here; bit 3 is for no precision exception.
    let to = if imm & 4 != 0 { Rounding::Nearest } else { Rounding::from_bits(imm) };
    let part = if SCALAR { Part::Low } else { Part::All };
    let [lo, hi] = b.map(|v| v.map(|v| e.fun(FUn::Round(to, imm & 8 == 0), float(D), part, v)));
    let vex = reach != Reach::Legacy;
    match (lo, hi) {
        (Some(r), _) if SCALAR => scalar(e, float(D), d, a, r, vex),
        (Some(lo), Some(hi)) => {
            e.set_vreg(d, lo);
            e.set_vreg(16 + d, hi);
        }
        (Some(r), None) => {
            e.set_vreg(d, r);
            if vex {
                clear_upper(e, d);
            }
        }
        _ => {}
    }
}

/// Turns two truth values into const generics.
macro_rules! flags {
    ($p:expr, $q:expr => |$P:ident, $Q:ident| $e:expr) => {
        match ($p, $q) {
            (false, false) => {
                const $P: bool = false;
                const $Q: bool = false;
                $e
            }
            (false, true) => {
                const $P: bool = false;
                const $Q: bool = true;
                $e
            }
            (true, false) => {
                const $P: bool = true;
                const $Q: bool = false;
                $e
            }
            (true, true) => {
                const $P: bool = true;
                const $Q: bool = true;
                $e
            }
        }
    };
}

pub(super) use flags;

/// Picks the `Sem` of CVTSD2SI and its kin.
fn to_ints<V: Visitor<X86Cpu>, const D: bool, const W: bool, const NEAREST: bool>(
    x: &Insn<'_>,
    op: Op,
    flags: u8,
    v: V,
) -> V::Out {
    let d = x.gpr(0);
    if x.is_mem(1) {
        return v.visit(ToIntMem::<D, W, NEAREST> { m: x.mem().with(d), op, flags });
    }
    let w = What { d: d.0, a: d.0, b: x.number(1), imm: W as u8, flags, op };
    v.visit(ToInt::<D, W, NEAREST> { w })
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, op: Op, v: V) -> Decoded<V> {
    use Mnemonic as M;
    if !x.mode.sse_host() {
        return Err(v);
    }
    let vex = x.i.encoding() == EncodingKind::VEX;
    let flags = if vex { flag::VEX } else { 0 };
    let m = x.mnemonic();
    let last = x.i.op_count() - 1;
    Ok(match m {
        M::Comiss
        | M::Vcomiss
        | M::Comisd
        | M::Vcomisd
        | M::Ucomiss
        | M::Vucomiss
        | M::Ucomisd
        | M::Vucomisd => {
            let double = matches!(m, M::Comisd | M::Vcomisd | M::Ucomisd | M::Vucomisd);
            let signalling = matches!(m, M::Comiss | M::Vcomiss | M::Comisd | M::Vcomisd);
            let a = x.number(0);
            flags!(double, signalling => |D, S| if x.is_mem(1) {
                v.visit(CompareMem::<D, S> { m: x.mem().with(Gpr(a)), op, flags })
            } else {
                v.visit(Compare::<D, S> { w: What { d: a, a, b: x.number(1), imm: 0, flags, op } })
            })
        }
        M::Cvttss2si | M::Vcvttss2si | M::Cvttsd2si | M::Vcvttsd2si => {
            let double = matches!(m, M::Cvttsd2si | M::Vcvttsd2si);
            flags!(double, x.reg_width(0) == w::Q => |D, W| to_ints::<V, D, W, false>(x, op, flags, v))
        }
        M::Cvtss2si | M::Vcvtss2si | M::Cvtsd2si | M::Vcvtsd2si if host::has_rounding() => {
            let double = matches!(m, M::Cvtsd2si | M::Vcvtsd2si);
            flags!(double, x.reg_width(0) == w::Q => |D, W| to_ints::<V, D, W, true>(x, op, flags, v))
        }
        M::Roundps
        | M::Vroundps
        | M::Roundpd
        | M::Vroundpd
        | M::Roundss
        | M::Vroundss
        | M::Roundsd
        | M::Vroundsd
            if host::has_rounding() =>
        {
            let double = matches!(m, M::Roundpd | M::Vroundpd | M::Roundsd | M::Vroundsd);
            let one = matches!(m, M::Roundss | M::Vroundss | M::Roundsd | M::Vroundsd);
            let imm = x.i.immediate8();
            let reach = match vex {
                true if x.i.op_register(0).is_ymm() => Reach::Vex256,
                true => Reach::Vex128,
                false => Reach::Legacy,
            };
            let d = x.number(0);
            let (a, b) = if last == 3 { (x.number(1), 2) } else { (d, 1) };
            flags!(double, one => |D, S| if x.is_mem(b) {
                v.visit(RoundMem::<D, S> { m: x.mem().with(Gpr(d)).with2(Gpr(a)), imm, reach })
            } else {
                v.visit(Round::<D, S> { d, a, b: x.number(b), imm, reach })
            })
        }
        M::Cvtsi2ss | M::Vcvtsi2ss | M::Cvtsi2sd | M::Vcvtsi2sd => {
            let double = matches!(m, M::Cvtsi2sd | M::Vcvtsi2sd);
            let wide = x.width(last) == w::Q;
            let d = x.number(0);
            let a = if last == 2 { x.number(1) } else { d };
            flags!(double, wide => |D, W| if x.is_mem(last) {
                v.visit(FromIntMem::<D, W> { m: x.mem().with(Gpr(d)).with2(Gpr(a)), vex })
            } else {
                v.visit(FromInt::<D, W> { d, a, s: x.gpr(last), vex })
            })
        }
        M::Cmpps | M::Vcmpps | M::Cmppd | M::Vcmppd | M::Cmpss | M::Vcmpss | M::Cmpsd | M::Vcmpsd => {
            let double = matches!(m, M::Cmppd | M::Vcmppd | M::Cmpsd | M::Vcmpsd);
            let one = matches!(m, M::Cmpss | M::Vcmpss | M::Cmpsd | M::Vcmpsd);
            let imm = x.i.immediate8();
            if vex && imm & 0x1f > 7 || x.i.op_register(0).is_ymm() {
                return Err(v);
            }
            let d = x.number(0);
            let (a, b) = if last == 3 { (x.number(1), 2) } else { (d, 1) };
            flags!(double, one => |D, S| if x.is_mem(b) {
                v.visit(MaskMem::<D, S> { m: x.mem().with(Gpr(d)).with2(Gpr(a)), imm, vex })
            } else {
                v.visit(Mask::<D, S> { d, a, b: x.number(b), imm, vex })
            })
        }
        _ => return Err(v),
    })
}

//! The frequent operations, which need no helper: of integers, and of numbers where MXCSR lets the host compute.

use iced_x86::{EncodingKind, Mnemonic, OpKind};
use lyrebird_isa::ops::{Lane, VBin};
use lyrebird_isa::vector::lanes;
use lyrebird_isa::{Emit, FBin, FUn, Float, Part, Rounding, Sem, Size, Visitor, host};

use super::access;
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem};
use crate::sem::{Decoded, consts};

/// What an operation by its number is, which `Sem`s have in const generics.
#[derive(Clone, Copy)]
enum Kind {
    /// Of integers; whether the operands change places.
    Int(VBin, Lane, bool),
    /// Of numbers, on the host's unit.
    Float(FBin, Float, Part),
    /// Of the second source alone, on the host's unit.
    Unary(FUn, Float, Part),
    /// The same, to 32-bit integers to nearest.
    Nearest,
    /// Of the even lanes with the odd ones, on the host's unit.
    Pairs(FBin, Float),
}

/// The first number of an operation on the host's unit: below are four of each [`FBin`], of scalars and vectors.
const FLOATS: u8 = 20;
/// The first number of square roots.
const ROOTS: u8 = FLOATS + 24;
/// The number of CVTTPD2DQ.
const TO_INTS: u8 = 55;
/// The number of CVTPS2DQ.
const NEAREST: u8 = 56;

const fn int(op: VBin, lane: Lane) -> Kind {
    Kind::Int(op, lane, false)
}

const fn operation(n: u8) -> Kind {
    match n {
        0 => int(VBin::And, Lane::D),
        1 => int(VBin::Or, Lane::D),
        2 => int(VBin::Xor, Lane::D),
        3 => Kind::Int(VBin::Bic, Lane::D, true),
        4 => int(VBin::Add, Lane::B),
        5 => int(VBin::Add, Lane::H),
        6 => int(VBin::Add, Lane::S),
        7 => int(VBin::Add, Lane::D),
        8 => int(VBin::Sub, Lane::B),
        9 => int(VBin::Sub, Lane::H),
        10 => int(VBin::Sub, Lane::S),
        11 => int(VBin::Sub, Lane::D),
        12 => int(VBin::CmpEq, Lane::B),
        13 => int(VBin::CmpEq, Lane::H),
        14 => int(VBin::CmpEq, Lane::S),
        15 => int(VBin::CmpGt, Lane::B),
        16 => int(VBin::CmpGt, Lane::H),
        17 => int(VBin::CmpGt, Lane::S),
        18 => int(VBin::Umin, Lane::B),
        19 => int(VBin::Umax, Lane::B),
        FLOATS..ROOTS => {
            let op = match (n - FLOATS) / 4 {
                0 => FBin::Add,
                1 => FBin::Sub,
                2 => FBin::Mul,
                3 => FBin::Div,
                4 => FBin::Min,
                _ => FBin::Max,
            };
            Kind::Float(op, format(n), part(n))
        }
        48 => Kind::Unary(FUn::Convert, Float::D, Part::Low),
        49 => Kind::Unary(FUn::Convert, Float::S, Part::Low),
        50 => Kind::Unary(FUn::Convert, Float::D, Part::All),
        51 => Kind::Unary(FUn::Convert, Float::S, Part::All),
        52 => Kind::Unary(FUn::FromInt32, Float::D, Part::All),
        53 => Kind::Unary(FUn::FromInt32, Float::S, Part::All),
        54 => Kind::Unary(FUn::ToInt32, Float::S, Part::All),
        TO_INTS => Kind::Unary(FUn::ToInt32, Float::D, Part::All),
        NEAREST => Kind::Nearest,
        57 => Kind::Pairs(FBin::Add, Float::S),
        58 => Kind::Pairs(FBin::Add, Float::D),
        59 => Kind::Pairs(FBin::Sub, Float::S),
        60 => Kind::Pairs(FBin::Sub, Float::D),
        _ => Kind::Unary(FUn::Sqrt, format(n), part(n)),
    }
}

/// Of the four forms: PS, PD, SS, SD.
const fn format(n: u8) -> Float {
    if n & 1 == 0 { Float::S } else { Float::D }
}

const fn part(n: u8) -> Part {
    if n & 2 == 0 { Part::All } else { Part::Low }
}

/// log2 of the bytes of a second source in memory.
const fn log2(n: u8) -> u32 {
    match operation(n) {
        Kind::Float(_, f, Part::Low) | Kind::Unary(FUn::Sqrt, f, Part::Low) => f.bits().trailing_zeros() - 3,
        Kind::Unary(FUn::Convert, f, Part::Low) => f.other().bits().trailing_zeros() - 3,
        // Two elements become wider.
        Kind::Unary(FUn::Convert | FUn::FromInt32, Float::D, Part::All) => 3,
        _ => 4,
    }
}

/// Operations on the host's unit.
fn float(m: Mnemonic) -> Option<u8> {
    use Mnemonic as M;
    Some(match m {
        M::Addps | M::Vaddps => FLOATS,
        M::Addpd | M::Vaddpd => FLOATS + 1,
        M::Addss | M::Vaddss => FLOATS + 2,
        M::Addsd | M::Vaddsd => FLOATS + 3,
        M::Subps | M::Vsubps => FLOATS + 4,
        M::Subpd | M::Vsubpd => FLOATS + 5,
        M::Subss | M::Vsubss => FLOATS + 6,
        M::Subsd | M::Vsubsd => FLOATS + 7,
        M::Mulps | M::Vmulps => FLOATS + 8,
        M::Mulpd | M::Vmulpd => FLOATS + 9,
        M::Mulss | M::Vmulss => FLOATS + 10,
        M::Mulsd | M::Vmulsd => FLOATS + 11,
        M::Divps | M::Vdivps => FLOATS + 12,
        M::Divpd | M::Vdivpd => FLOATS + 13,
        M::Divss | M::Vdivss => FLOATS + 14,
        M::Divsd | M::Vdivsd => FLOATS + 15,
        M::Minps | M::Vminps => FLOATS + 16,
        M::Minpd | M::Vminpd => FLOATS + 17,
        M::Minss | M::Vminss => FLOATS + 18,
        M::Minsd | M::Vminsd => FLOATS + 19,
        M::Maxps | M::Vmaxps => FLOATS + 20,
        M::Maxpd | M::Vmaxpd => FLOATS + 21,
        M::Maxss | M::Vmaxss => FLOATS + 22,
        M::Maxsd | M::Vmaxsd => FLOATS + 23,
        M::Sqrtps | M::Vsqrtps => ROOTS,
        M::Sqrtpd | M::Vsqrtpd => ROOTS + 1,
        M::Sqrtss | M::Vsqrtss => ROOTS + 2,
        M::Sqrtsd | M::Vsqrtsd => ROOTS + 3,
        M::Cvtss2sd | M::Vcvtss2sd => 48,
        M::Cvtsd2ss | M::Vcvtsd2ss => 49,
        M::Cvtps2pd | M::Vcvtps2pd => 50,
        M::Cvtpd2ps | M::Vcvtpd2ps => 51,
        M::Cvtdq2pd | M::Vcvtdq2pd => 52,
        M::Cvtdq2ps | M::Vcvtdq2ps => 53,
        M::Cvttps2dq | M::Vcvttps2dq => 54,
        M::Cvttpd2dq | M::Vcvttpd2dq => TO_INTS,
        M::Cvtps2dq | M::Vcvtps2dq if host::has_rounding() => NEAREST,
        M::Haddps | M::Vhaddps => 57,
        M::Haddpd | M::Vhaddpd => 58,
        M::Hsubps | M::Vhsubps => 59,
        M::Hsubpd | M::Vhsubpd => 60,
        _ => return None,
    })
}

fn number(m: Mnemonic) -> Option<u8> {
    use Mnemonic as M;
    Some(match m {
        M::Pand | M::Vpand | M::Andps | M::Vandps | M::Andpd | M::Vandpd => 0,
        M::Por | M::Vpor | M::Orps | M::Vorps | M::Orpd | M::Vorpd => 1,
        M::Pxor | M::Vpxor | M::Xorps | M::Vxorps | M::Xorpd | M::Vxorpd => 2,
        M::Pandn | M::Vpandn | M::Andnps | M::Vandnps | M::Andnpd | M::Vandnpd => 3,
        M::Paddb | M::Vpaddb => 4,
        M::Paddw | M::Vpaddw => 5,
        M::Paddd | M::Vpaddd => 6,
        M::Paddq | M::Vpaddq => 7,
        M::Psubb | M::Vpsubb => 8,
        M::Psubw | M::Vpsubw => 9,
        M::Psubd | M::Vpsubd => 10,
        M::Psubq | M::Vpsubq => 11,
        M::Pcmpeqb | M::Vpcmpeqb => 12,
        M::Pcmpeqw | M::Vpcmpeqw => 13,
        M::Pcmpeqd | M::Vpcmpeqd => 14,
        M::Pcmpgtb | M::Vpcmpgtb => 15,
        M::Pcmpgtw | M::Vpcmpgtw => 16,
        M::Pcmpgtd | M::Vpcmpgtd => 17,
        M::Pminub | M::Vpminub => 18,
        M::Pmaxub | M::Vpmaxub => 19,
        _ => return None,
    })
}

/// How far a result reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// 128 bits; the upper half stays.
    Legacy,
    /// 128 bits; the upper half is cleared.
    Vex128,
    /// 256 bits.
    Vex256,
}

#[inline(always)]
fn apply<const N: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Vec, b: E::Vec) -> E::Vec {
    let (r, f, p) = match operation(N) {
        Kind::Int(op, lane, true) => return e.vbin(op, lane, b, a),
        Kind::Int(op, lane, false) => return e.vbin(op, lane, a, b),
        Kind::Float(op, f, p) => (e.fbin(op, f, p, a, b), f, p),
        Kind::Unary(op, f, p) => (e.fun(op, f, p, b), f, p),
        Kind::Nearest => {
            // What does not fit is an integral value or a NaN: the rounding raises nothing that is not raised here.
            let r = e.fun(FUn::Round(Rounding::Nearest, true), Float::S, Part::All, b);
            return e.fun(FUn::ToInt32, Float::S, Part::All, r);
        }
        Kind::Pairs(op, f) => {
            let even = e.vshuffle(a, b, &lanes(f.lane(), |i| 2 * i));
            let odd = e.vshuffle(a, b, &lanes(f.lane(), |i| 2 * i + 1));
            return e.fbin(op, f, Part::All, even, odd);
        }
    };
    // Above a scalar the first source stays.
    if p == Part::Low { e.vmerge(f.lane(), a, r) } else { r }
}

#[inline(always)]
pub(super) fn clear_upper<E: Emit<Cpu = X86Cpu>>(e: &mut E, d: u8) {
    let zero = e.imm(0);
    let zero = e.vsplat(Lane::D, zero);
    e.set_vreg(16 + d, zero);
}

/// All operands in registers.
#[derive(Clone, Copy, Debug)]
struct Regs<const N: u8> {
    d: u8,
    a: u8,
    b: u8,
    reach: Reach,
}

impl<const N: u8> Sem<X86Cpu> for Regs<N> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.vreg(self.a), e.vreg(self.b));
        let lo = apply::<N, E>(e, a, b);
        match self.reach {
            Reach::Legacy => e.set_vreg(self.d, lo),
            Reach::Vex128 => {
                e.set_vreg(self.d, lo);
                clear_upper(e, self.d);
            }
            Reach::Vex256 => {
                let (a, b) = (e.vreg(16 + self.a), e.vreg(16 + self.b));
                let hi = apply::<N, E>(e, a, b);
                e.set_vreg(self.d, lo);
                e.set_vreg(16 + self.d, hi);
            }
        }
        Ok(())
    }
}

/// The second source in memory; the destination and the first source are its register operands.
#[derive(Clone, Copy, Debug)]
struct FromMemory<const N: u8> {
    m: Mem,
    reach: Reach,
}

impl<const N: u8> Sem<X86Cpu> for FromMemory<N> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (d, a) = (self.m.reg.0, self.m.reg2.0);
        let wide = self.reach == Reach::Vex256;
        let bytes = 1 << log2(N);
        let va = self.m.linear(e, if wide { 32 } else { bytes }, false)?;
        let m = access(Size::from_log2(log2(N)), self.reach == Reach::Legacy && bytes == 16);
        let b = e.vload(m, va)?;
        let lo = e.vreg(a);
        let lo = apply::<N, E>(e, lo, b);
        match self.reach {
            Reach::Legacy => e.set_vreg(d, lo),
            Reach::Vex128 => {
                e.set_vreg(d, lo);
                clear_upper(e, d);
            }
            Reach::Vex256 => {
                let va = e.add_imm(va, 16);
                let b = e.vload(m, va)?;
                let hi = e.vreg(16 + a);
                let hi = apply::<N, E>(e, hi, b);
                e.set_vreg(d, lo);
                e.set_vreg(16 + d, hi);
            }
        }
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let host = x.mode.sse_host();
    let n = number(x.mnemonic()).or_else(|| if host { float(x.mnemonic()) } else { None });
    let (Some(n), OpKind::Register) = (n, x.i.op_kind(0)) else { return Err(v) };
    let r = x.i.op_register(0);
    let reach = match x.i.encoding() {
        _ if r.is_mm() => return Err(v),
        EncodingKind::VEX if r.is_ymm() => Reach::Vex256,
        EncodingKind::VEX => Reach::Vex128,
        _ => Reach::Legacy,
    };
    let d = x.number(0);
    // Halves are on their own, but where elements change their width.
    if reach == Reach::Vex256 && (50..=52).contains(&n)
        || (n == 51 || n == TO_INTS) && (x.i.op_register(1).is_ymm() || x.i.memory_size().size() == 32)
    {
        return Err(v);
    }
    let second = x.i.op_count() - 1;
    let a = if reach == Reach::Legacy || second == 1 { d } else { x.number(1) };
    Ok(consts!(n, [
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
        40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59
    ] 60 => |N| {
        if x.is_mem(second) {
            v.visit(FromMemory::<N> { m: x.mem().with(Gpr(d)).with2(Gpr(a)), reach })
        } else {
            v.visit(Regs::<N> { d, a, b: x.number(second), reach })
        }
    }))
}

//! The frequent integer operations, which need no helper.

use iced_x86::{EncodingKind, Mnemonic, OpKind};
use lyrebird_isa::ops::{Lane, VBin};
use lyrebird_isa::{Emit, Sem, Size, Visitor};

use super::access;
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem};
use crate::sem::{Decoded, consts};

/// Operation and lanes by the number that `Sem`s have it in const generics; whether the operands change places.
const fn operation(n: u8) -> (VBin, Lane, bool) {
    match n {
        0 => (VBin::And, Lane::D, false),
        1 => (VBin::Or, Lane::D, false),
        2 => (VBin::Xor, Lane::D, false),
        3 => (VBin::Bic, Lane::D, true),
        4 => (VBin::Add, Lane::B, false),
        5 => (VBin::Add, Lane::H, false),
        6 => (VBin::Add, Lane::S, false),
        7 => (VBin::Add, Lane::D, false),
        8 => (VBin::Sub, Lane::B, false),
        9 => (VBin::Sub, Lane::H, false),
        10 => (VBin::Sub, Lane::S, false),
        11 => (VBin::Sub, Lane::D, false),
        12 => (VBin::CmpEq, Lane::B, false),
        13 => (VBin::CmpEq, Lane::H, false),
        14 => (VBin::CmpEq, Lane::S, false),
        15 => (VBin::CmpGt, Lane::B, false),
        16 => (VBin::CmpGt, Lane::H, false),
        17 => (VBin::CmpGt, Lane::S, false),
        18 => (VBin::Umin, Lane::B, false),
        _ => (VBin::Umax, Lane::B, false),
    }
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
enum Reach {
    /// 128 bits; the upper half stays.
    Legacy,
    /// 128 bits; the upper half is cleared.
    Vex128,
    /// 256 bits.
    Vex256,
}

#[inline(always)]
fn apply<const N: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Vec, b: E::Vec) -> E::Vec {
    let (op, lane, swap) = operation(N);
    if swap { e.vbin(op, lane, b, a) } else { e.vbin(op, lane, a, b) }
}

#[inline(always)]
fn clear_upper<E: Emit<Cpu = X86Cpu>>(e: &mut E, d: u8) {
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
        let va = self.m.linear(e, if wide { 32 } else { 16 }, false)?;
        let m = access(Size::B16, self.reach == Reach::Legacy);
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
    let (Some(n), OpKind::Register) = (number(x.mnemonic()), x.i.op_kind(0)) else { return Err(v) };
    let r = x.i.op_register(0);
    let reach = match x.i.encoding() {
        _ if r.is_mm() => return Err(v),
        EncodingKind::VEX if r.is_ymm() => Reach::Vex256,
        EncodingKind::VEX => Reach::Vex128,
        _ => Reach::Legacy,
    };
    let d = x.number(0);
    let (a, second) = if reach == Reach::Legacy { (d, 1) } else { (x.number(1), 2) };
    Ok(consts!(n, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18] 19 => |N| {
        if x.is_mem(second) {
            v.visit(FromMemory::<N> { m: x.mem().with(Gpr(d)).with2(Gpr(a)), reach })
        } else {
            v.visit(Regs::<N> { d, a, b: x.number(second), reach })
        }
    }))
}

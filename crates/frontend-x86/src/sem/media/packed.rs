//! Integer operations and permutations that are inlined by what a table says of them: they are too many for a type each,
//! and tier 0, which looks at the table each time, runs them seldom.

use iced_x86::{EncodingKind, Mnemonic, OpKind};
use lyrebird_isa::ops::{Lane, VBin};
use lyrebird_isa::vector::{Bytes, lanes};
use lyrebird_isa::{Bin, Cc, Emit, MemOp, Reg, Sem, Size, VPair, VShift, VUn, Visitor, Width, flags};

use super::access;
use super::inline::{Reach, clear_upper};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem};
use crate::sem::Decoded;

/// What an operation does with its sources `a` and `b` and the immediate.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Bin(VBin, Lane),
    Pair(VPair, Lane),
    /// [`VPair`] of the even lanes.
    Even(VPair),
    /// Of `b`.
    Un(VUn, Lane),
    /// Of `a`, by the immediate.
    Shift(VShift, Lane),
    /// Of all bytes of `a`, by the immediate.
    Bytes(VShift),
    Shuffle(Permutation),
    /// PSHUFB.
    Lookup,
    /// The low lane of `b`, the rest of `a`.
    Merge(Lane),
}

/// Permutations. Those of one source are of `b`.
#[derive(Clone, Copy, Debug)]
enum Permutation {
    UnpackLow(Lane),
    UnpackHigh(Lane),
    /// PSHUFD.
    Doublewords,
    /// PSHUFLW.
    LowWords,
    /// PSHUFHW.
    HighWords,
    /// SHUFPS.
    Singles,
    /// SHUFPD.
    Doubles,
    /// PALIGNR.
    Align,
    /// PBLENDW, BLENDPS, BLENDPD.
    Blend(Lane),
    /// MOVHLPS.
    HighToLow,
    /// MOVLHPS, MOVHPS.
    LowToHigh,
    /// MOVDDUP.
    Low,
    /// MOVSHDUP.
    OddTwice,
    /// MOVSLDUP.
    EvenTwice,
}

impl Permutation {
    /// Its permutation, where the first vector is `a` and the second `b`.
    fn bytes(self, imm: u8) -> Bytes {
        let pair = |i: u8| imm >> (2 * (i & 3)) & 3;
        match self {
            Permutation::UnpackLow(l) => lanes(l, |i| i / 2 + (i & 1) * (16 / bytes(l))),
            Permutation::UnpackHigh(l) => lanes(l, |i| (8 / bytes(l)) + i / 2 + (i & 1) * (16 / bytes(l))),
            Permutation::Doublewords => lanes(Lane::S, |i| 4 + pair(i)),
            Permutation::LowWords => lanes(Lane::H, |i| 8 + if i < 4 { pair(i) } else { i }),
            Permutation::HighWords => lanes(Lane::H, |i| 8 + if i < 4 { i } else { 4 + pair(i) }),
            Permutation::Singles => lanes(Lane::S, |i| pair(i) + if i < 2 { 0 } else { 4 }),
            Permutation::Doubles => lanes(Lane::D, |i| (imm >> i & 1) + 2 * i),
            Permutation::Align => std::array::from_fn(|i| (16 + i as u8 + imm) & 31),
            Permutation::Blend(l) => lanes(l, |i| i + (imm >> i & 1) * (16 / bytes(l))),
            Permutation::HighToLow => lanes(Lane::D, |i| if i == 0 { 3 } else { 1 }),
            Permutation::LowToHigh => lanes(Lane::D, |i| if i == 0 { 0 } else { 2 }),
            Permutation::Low => lanes(Lane::D, |_| 2),
            Permutation::OddTwice => lanes(Lane::S, |i| 4 + (i | 1)),
            Permutation::EvenTwice => lanes(Lane::S, |i| 4 + (i & !1)),
        }
    }
}

const fn bytes(l: Lane) -> u8 {
    l.width().bits() as u8 / 8
}

/// Operations of one meaning.
struct Row {
    legacy: Mnemonic,
    vex: Mnemonic,
    kind: Kind,
    /// log2 of the bytes of `b` in memory.
    log2: u8,
    /// The halves of 256 bits are on their own, with the same immediate.
    halves: bool,
}

macro_rules! rows {
    ($($legacy:ident $vex:ident $log2:literal $halves:literal $kind:expr;)*) => {
        &[$(Row {
            legacy: Mnemonic::$legacy,
            vex: Mnemonic::$vex,
            kind: {
                #[allow(unused_imports, reason = "not every row names one of each")]
                use {Kind::*, Lane::*, Permutation::*};
                $kind
            },
            log2: $log2,
            halves: $halves,
        }),*]
    };
}

static ROWS: &[Row] = rows! {
    Pmullw Vpmullw 4 true Pair(VPair::Mul, H);
    Pmulld Vpmulld 4 true Pair(VPair::Mul, S);
    Pmulhw Vpmulhw 4 true Pair(VPair::MulHighS, H);
    Pmulhuw Vpmulhuw 4 true Pair(VPair::MulHighU, H);
    Pmuludq Vpmuludq 4 true Even(VPair::MulLongU);
    Pmuldq Vpmuldq 4 true Even(VPair::MulLongS);
    Pmaddwd Vpmaddwd 4 true Pair(VPair::DotS, H);
    Paddsb Vpaddsb 4 true Pair(VPair::AddSatS, B);
    Paddsw Vpaddsw 4 true Pair(VPair::AddSatS, H);
    Paddusb Vpaddusb 4 true Pair(VPair::AddSatU, B);
    Paddusw Vpaddusw 4 true Pair(VPair::AddSatU, H);
    Psubsb Vpsubsb 4 true Pair(VPair::SubSatS, B);
    Psubsw Vpsubsw 4 true Pair(VPair::SubSatS, H);
    Psubusb Vpsubusb 4 true Pair(VPair::SubSatU, B);
    Psubusw Vpsubusw 4 true Pair(VPair::SubSatU, H);
    Pavgb Vpavgb 4 true Pair(VPair::Avg, B);
    Pavgw Vpavgw 4 true Pair(VPair::Avg, H);
    Packsswb Vpacksswb 4 true Pair(VPair::NarrowS, H);
    Packssdw Vpackssdw 4 true Pair(VPair::NarrowS, S);
    Packuswb Vpackuswb 4 true Pair(VPair::NarrowU, H);
    Packusdw Vpackusdw 4 true Pair(VPair::NarrowU, S);
    Pcmpeqq Vpcmpeqq 4 true Bin(VBin::CmpEq, D);
    Pcmpgtq Vpcmpgtq 4 true Bin(VBin::CmpGt, D);
    Pminuw Vpminuw 4 true Bin(VBin::Umin, H);
    Pminud Vpminud 4 true Bin(VBin::Umin, S);
    Pminsb Vpminsb 4 true Bin(VBin::Smin, B);
    Pminsw Vpminsw 4 true Bin(VBin::Smin, H);
    Pminsd Vpminsd 4 true Bin(VBin::Smin, S);
    Pmaxuw Vpmaxuw 4 true Bin(VBin::Umax, H);
    Pmaxud Vpmaxud 4 true Bin(VBin::Umax, S);
    Pmaxsb Vpmaxsb 4 true Bin(VBin::Smax, B);
    Pmaxsw Vpmaxsw 4 true Bin(VBin::Smax, H);
    Pmaxsd Vpmaxsd 4 true Bin(VBin::Smax, S);
    Pabsb Vpabsb 4 true Un(VUn::Abs, B);
    Pabsw Vpabsw 4 true Un(VUn::Abs, H);
    Pabsd Vpabsd 4 true Un(VUn::Abs, S);
    Pmovsxbw Vpmovsxbw 3 false Un(VUn::WidenS, B);
    Pmovsxwd Vpmovsxwd 3 false Un(VUn::WidenS, H);
    Pmovsxdq Vpmovsxdq 3 false Un(VUn::WidenS, S);
    Pmovzxbw Vpmovzxbw 3 false Un(VUn::WidenU, B);
    Pmovzxwd Vpmovzxwd 3 false Un(VUn::WidenU, H);
    Pmovzxdq Vpmovzxdq 3 false Un(VUn::WidenU, S);
    Psllw Vpsllw 4 true Shift(VShift::Shl, H);
    Pslld Vpslld 4 true Shift(VShift::Shl, S);
    Psllq Vpsllq 4 true Shift(VShift::Shl, D);
    Psrlw Vpsrlw 4 true Shift(VShift::Shr, H);
    Psrld Vpsrld 4 true Shift(VShift::Shr, S);
    Psrlq Vpsrlq 4 true Shift(VShift::Shr, D);
    Psraw Vpsraw 4 true Shift(VShift::Sar, H);
    Psrad Vpsrad 4 true Shift(VShift::Sar, S);
    Pslldq Vpslldq 4 true Bytes(VShift::Shl);
    Psrldq Vpsrldq 4 true Bytes(VShift::Shr);
    Punpcklbw Vpunpcklbw 4 true Shuffle(UnpackLow(B));
    Punpcklwd Vpunpcklwd 4 true Shuffle(UnpackLow(H));
    Punpckldq Vpunpckldq 4 true Shuffle(UnpackLow(S));
    Punpcklqdq Vpunpcklqdq 4 true Shuffle(UnpackLow(D));
    Punpckhbw Vpunpckhbw 4 true Shuffle(UnpackHigh(B));
    Punpckhwd Vpunpckhwd 4 true Shuffle(UnpackHigh(H));
    Punpckhdq Vpunpckhdq 4 true Shuffle(UnpackHigh(S));
    Punpckhqdq Vpunpckhqdq 4 true Shuffle(UnpackHigh(D));
    Unpcklps Vunpcklps 4 true Shuffle(UnpackLow(S));
    Unpcklpd Vunpcklpd 4 true Shuffle(UnpackLow(D));
    Unpckhps Vunpckhps 4 true Shuffle(UnpackHigh(S));
    Unpckhpd Vunpckhpd 4 true Shuffle(UnpackHigh(D));
    Pshufd Vpshufd 4 true Shuffle(Doublewords);
    Pshuflw Vpshuflw 4 true Shuffle(LowWords);
    Pshufhw Vpshufhw 4 true Shuffle(HighWords);
    Shufps Vshufps 4 true Shuffle(Singles);
    Shufpd Vshufpd 4 false Shuffle(Doubles);
    Palignr Vpalignr 4 true Shuffle(Align);
    Pblendw Vpblendw 4 true Shuffle(Blend(H));
    Blendps Vblendps 4 false Shuffle(Blend(S));
    Blendpd Vblendpd 4 false Shuffle(Blend(D));
    INVALID Vpblendd 4 false Shuffle(Blend(S));
    Movhlps Vmovhlps 4 false Shuffle(HighToLow);
    Movlhps Vmovlhps 4 false Shuffle(LowToHigh);
    Movhps Vmovhps 3 false Shuffle(LowToHigh);
    Movhpd Vmovhpd 3 false Shuffle(LowToHigh);
    Movddup Vmovddup 3 false Shuffle(Low);
    Movshdup Vmovshdup 4 true Shuffle(OddTwice);
    Movsldup Vmovsldup 4 true Shuffle(EvenTwice);
    Pshufb Vpshufb 4 true Lookup;
    Movss Vmovss 2 false Merge(S);
    Movsd Vmovsd 3 false Merge(D);
    Movlps Vmovlps 3 false Merge(D);
    Movlpd Vmovlpd 3 false Merge(D);
};

/// No row.
const NONE: u8 = 0xff;

/// Rows by mnemonic.
static INDEX: [u8; 2048] = {
    let mut index = [NONE; 2048];
    let mut r = 0;
    while r < ROWS.len() {
        index[ROWS[r].legacy as usize] = r as u8;
        index[ROWS[r].vex as usize] = r as u8;
        r += 1;
    }
    index[Mnemonic::INVALID as usize] = NONE;
    index
};

fn apply<E: Emit<Cpu = X86Cpu>>(e: &mut E, kind: Kind, imm: u8, a: E::Vec, b: E::Vec) -> E::Vec {
    match kind {
        Kind::Bin(op, lane) => e.vbin(op, lane, a, b),
        Kind::Pair(op, lane) => e.vpair(op, lane, a, b),
        Kind::Even(op) => {
            let even = lanes(Lane::S, |i| 2 * (i & 1));
            let (a, b) = (e.vshuffle(a, a, &even), e.vshuffle(b, b, &even));
            e.vpair(op, Lane::S, a, b)
        }
        Kind::Un(op, lane) => e.vun(op, lane, b),
        Kind::Shift(op, lane) => {
            let bits = lane.width().bits() as u8;
            match op {
                VShift::Sar => e.vshift(op, lane, a, imm.min(bits - 1)),
                _ if imm >= bits => nothing(e),
                _ => e.vshift(op, lane, a, imm),
            }
        }
        Kind::Bytes(op) => {
            let (n, zero) = (imm.min(16), nothing(e));
            // Where the other vector comes in there are zeros.
            let p = std::array::from_fn(|i| match op {
                VShift::Shl => 16 + i as u8 - n,
                _ => i as u8 + n,
            });
            match op {
                VShift::Shl => e.vshuffle(zero, a, &p),
                _ => e.vshuffle(a, zero, &p),
            }
        }
        Kind::Shuffle(Permutation::Align) if imm > 16 => {
            let zero = nothing(e);
            let n = imm.min(32) - 16;
            e.vshuffle(a, zero, &std::array::from_fn(|i| i as u8 + n))
        }
        Kind::Shuffle(s) => e.vshuffle(a, b, &s.bytes(imm)),
        Kind::Lookup => e.vlookup(a, b),
        Kind::Merge(lane) => e.vmerge(lane, a, b),
    }
}

fn nothing<E: Emit<Cpu = X86Cpu>>(e: &mut E) -> E::Vec {
    let zero = e.imm(0);
    e.vsplat(Lane::D, zero)
}

/// All operands in registers.
#[derive(Clone, Copy, Debug)]
struct Regs {
    row: u8,
    d: u8,
    a: u8,
    b: u8,
    imm: u8,
    reach: Reach,
}

impl Sem<X86Cpu> for Regs {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let kind = ROWS[self.row as usize].kind;
        let (a, b) = (e.vreg(self.a), e.vreg(self.b));
        let lo = apply(e, kind, self.imm, a, b);
        if self.reach == Reach::Vex256 {
            let (a, b) = (e.vreg(16 + self.a), e.vreg(16 + self.b));
            let hi = apply(e, kind, self.imm, a, b);
            e.set_vreg(16 + self.d, hi);
        }
        e.set_vreg(self.d, lo);
        if self.reach == Reach::Vex128 {
            clear_upper(e, self.d);
        }
        Ok(())
    }
}

/// The second source in memory; the destination and the first source are its register operands.
#[derive(Clone, Copy, Debug)]
struct FromMemory {
    m: Mem,
    row: u8,
    imm: u8,
    reach: Reach,
}

impl Sem<X86Cpu> for FromMemory {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let row = &ROWS[self.row as usize];
        let (d, a) = (self.m.reg.0, self.m.reg2.0);
        let wide = self.reach == Reach::Vex256;
        let va = self.m.linear(e, if wide { 32 } else { 1 << row.log2 }, false)?;
        let m = access(Size::from_log2(row.log2.into()), self.reach == Reach::Legacy && row.log2 == 4);
        let b = e.vload(m, va)?;
        let lo = e.vreg(a);
        let lo = apply(e, row.kind, self.imm, lo, b);
        if wide {
            let va = e.add_imm(va, 16);
            let b = e.vload(m, va)?;
            let hi = e.vreg(16 + a);
            let hi = apply(e, row.kind, self.imm, hi, b);
            e.set_vreg(16 + d, hi);
        }
        e.set_vreg(d, lo);
        if self.reach == Reach::Vex128 {
            clear_upper(e, d);
        }
        Ok(())
    }
}

/// PMOVMSKB, MOVMSKPS, MOVMSKPD; PEXTRB, PEXTRW, PEXTRD, PEXTRQ where `index` is not [`NONE`].
#[derive(Clone, Copy, Debug)]
struct ToGpr {
    d: Gpr,
    s: u8,
    lane: Lane,
    index: u8,
}

impl Sem<X86Cpu> for ToGpr {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.s);
        let v = if self.index == NONE {
            e.vhigh_bits(self.lane, v)
        } else {
            e.vextract(self.lane, v, self.index)
        };
        e.set_reg(Reg(self.d.0 & 15), v);
        Ok(())
    }
}

/// PINSRB, PINSRW, PINSRD, PINSRQ from a general register.
#[derive(Clone, Copy, Debug)]
struct Insert {
    d: u8,
    a: u8,
    s: Gpr,
    lane: Lane,
    index: u8,
    vex: bool,
}

impl Sem<X86Cpu> for Insert {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let x = e.reg(self.s.reg());
        let a = e.vreg(self.a);
        let r = e.vinsert(self.lane, a, self.index, x);
        e.set_vreg(self.d, r);
        if self.vex {
            clear_upper(e, self.d);
        }
        Ok(())
    }
}

/// The same from memory; the destination and the first source are the memory operand's registers.
#[derive(Clone, Copy, Debug)]
struct InsertMem {
    m: Mem,
    lane: Lane,
    index: u8,
    vex: bool,
}

impl Sem<X86Cpu> for InsertMem {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let n = bytes(self.lane);
        let va = self.m.linear(e, n.into(), false)?;
        let x = e.load(MemOp::new(Size::from_log2(n.trailing_zeros())), va)?;
        let (d, a) = (self.m.reg.0, e.vreg(self.m.reg2.0));
        let r = e.vinsert(self.lane, a, self.index, x);
        e.set_vreg(d, r);
        if self.vex {
            clear_upper(e, d);
        }
        Ok(())
    }
}

/// PTEST.
#[derive(Clone, Copy, Debug)]
struct Test {
    a: u8,
    b: u8,
    wide: bool,
}

impl Sem<X86Cpu> for Test {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = e.vreg(self.b);
        let hi = self.wide.then(|| e.vreg(16 + self.b));
        test(e, self.a, b, hi);
        Ok(())
    }
}

/// The same with the second source in memory. The first is the memory operand's register.
#[derive(Clone, Copy, Debug)]
struct TestMem {
    m: Mem,
    wide: bool,
    vex: bool,
}

impl Sem<X86Cpu> for TestMem {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, if self.wide { 32 } else { 16 }, false)?;
        let m = access(Size::B16, !self.vex);
        let b = e.vload(m, va)?;
        let hi = if self.wide {
            let va = e.add_imm(va, 16);
            Some(e.vload(m, va)?)
        } else {
            None
        };
        test(e, self.m.reg.0, b, hi);
        Ok(())
    }
}

/// ZF where no bit of `a` and `b` is common, CF where `a` has all of `b`; the other flags are clear.
fn test<E: Emit<Cpu = X86Cpu>>(e: &mut E, a: u8, b: E::Vec, hi: Option<E::Vec>) {
    let lo = e.vreg(a);
    let hi = hi.map(|b| (e.vreg(16 + a), b));
    let mut any = |first: bool| {
        let one = |e: &mut E, (a, b)| match first {
            true => e.vbin(VBin::And, Lane::D, a, b),
            false => e.vbin(VBin::Bic, Lane::D, b, a),
        };
        let mut r = one(e, (lo, b));
        if let Some(hi) = hi {
            let s = one(e, hi);
            r = e.vbin(VBin::Or, Lane::D, r, s);
        }
        let (lo, hi, zero) = (e.vec_lo(r), e.vec_hi(r), e.imm(0));
        let r = e.bin(Bin::Or, Width::W64, lo, hi);
        e.cmp(Cc::Ne, Width::W64, r, zero)
    };
    let (common, more) = (any(true), any(false));
    // Flag words have CF's complement, and PF is clear where the byte has an odd number of ones.
    let (z, c, one, zero) = (e.imm(flags::Z | 1), e.imm(flags::C), e.imm(1), e.imm(0));
    let z = e.select(common, one, z);
    let c = e.select(more, c, zero);
    let word = e.bin(Bin::Or, Width::W64, z, c);
    e.set_nzcv(word);
}

/// Lanes of insertions, extractions and masks.
fn lane_of(m: Mnemonic) -> Option<Lane> {
    use Mnemonic as M;
    Some(match m {
        M::Pmovmskb | M::Vpmovmskb | M::Pextrb | M::Vpextrb | M::Pinsrb | M::Vpinsrb => Lane::B,
        M::Pextrw | M::Vpextrw | M::Pinsrw | M::Vpinsrw => Lane::H,
        M::Movmskps | M::Vmovmskps | M::Pextrd | M::Vpextrd | M::Pinsrd | M::Vpinsrd => Lane::S,
        M::Movmskpd | M::Vmovmskpd | M::Pextrq | M::Vpextrq | M::Pinsrq | M::Vpinsrq => Lane::D,
        _ => return None,
    })
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let i = x.i;
    let m = x.mnemonic();
    let is = |n: u32| i.op_kind(n) == OpKind::Register;
    if (0..i.op_count()).any(|n| is(n) && i.op_register(n).is_mm()) || !is(0) {
        return Err(v);
    }
    let vex = i.encoding() == EncodingKind::VEX;
    let last = i.op_count() - 1;
    let imm = if x.is_imm(last) { i.immediate8() } else { 0 };
    if matches!(m, Mnemonic::Ptest | Mnemonic::Vptest) {
        let (a, wide) = (x.number(0), i.op_register(0).is_ymm());
        return Ok(if x.is_mem(1) {
            v.visit(TestMem { m: x.mem().with(Gpr(a)), wide, vex })
        } else {
            v.visit(Test { a, b: x.number(1), wide })
        });
    }
    if let Some(lane) = lane_of(m) {
        let index = imm & (16 / bytes(lane) - 1);
        return match (x.is_gpr(0), x.is_imm(last)) {
            (true, false) if !i.op_register(1).is_ymm() => {
                Ok(v.visit(ToGpr { d: x.gpr(0), s: x.number(1), lane, index: NONE }))
            }
            (true, true) => Ok(v.visit(ToGpr { d: x.gpr(0), s: x.number(1), lane, index })),
            (false, true) => {
                let d = x.number(0);
                let a = if last == 3 { x.number(1) } else { d };
                Ok(if x.is_mem(last - 1) {
                    v.visit(InsertMem { m: x.mem().with(Gpr(d)).with2(Gpr(a)), lane, index, vex })
                } else {
                    v.visit(Insert { d, a, s: x.gpr(last - 1), lane, index, vex })
                })
            }
            _ => Err(v),
        };
    }
    let row = INDEX.get(m as usize).copied().unwrap_or(NONE);
    let Some(r) = ROWS.get(row as usize) else { return Err(v) };
    let reach = match (vex, i.op_register(0).is_ymm()) {
        (true, true) if r.halves => Reach::Vex256,
        (true, true) => return Err(v),
        (true, false) => Reach::Vex128,
        _ => Reach::Legacy,
    };
    // Registers and memory, without the immediate.
    let n = if x.is_imm(last) { last } else { last + 1 };
    let d = x.number(0);
    let counted = matches!(r.kind, Kind::Shift(..) | Kind::Bytes(_));
    if counted && (n > last || !is(n - 1)) {
        // By a register or memory.
        return Err(v);
    }
    if counted {
        let a = x.number(n - 1);
        return Ok(v.visit(Regs { row, d, a, b: a, imm, reach }));
    }
    let a = if n >= 3 { x.number(1) } else { d };
    if x.is_mem(n - 1) {
        return Ok(v.visit(FromMemory { m: x.mem().with(Gpr(d)).with2(Gpr(a)), row, imm, reach }));
    }
    Ok(v.visit(Regs { row, d, a, b: x.number(n - 1), imm, reach }))
}

const _: () = assert!(ROWS.len() < NONE as usize);

//! Shuffles, packs, unpacks, blends, insertion and extraction, and moves of parts of registers.

use lyrebird_isa::V128;

use super::lanes::{Elem, lane, make, map, with, zip};
use super::{Half, Row, Whole, rows};

pub(super) const ROWS: &[Row] = rows! {
    Pshufd Vpshufd Half |x| make::<u32>(|i| lane(x.b, (x.imm >> (2 * i)) as usize & 3));
    Pshuflw Vpshuflw Half shuffle_low;
    Pshufw INVALID Half shuffle_low;
    Pshufhw Vpshufhw Half |x| {
        make::<u16>(|i| lane(x.b, if i < 4 { i } else { 4 + ((x.imm >> (2 * (i - 4))) as usize & 3) }))
    };
    Shufps Vshufps Half |x| {
        make::<u32>(|i| lane(if i < 2 { x.a } else { x.b }, (x.imm >> (2 * i)) as usize & 3))
    };
    Shufpd Vshufpd Half |x| {
        let imm = x.imm >> (2 * x.half);
        V128([x.a.0[imm as usize & 1], x.b.0[imm as usize >> 1 & 1]])
    };
    Pshufb Vpshufb Half |x| {
        map::<u8>(x.b, |n| if n & 0x80 != 0 { 0 } else { lane(x.a, n as usize & (x.bytes - 1)) })
    };
    Palignr Vpalignr Half |x| {
        make::<u8>(|i| match i + x.imm as usize {
            _ if i >= x.bytes => 0,
            n if n < x.bytes => lane(x.b, n),
            n if n < 2 * x.bytes => lane(x.a, n - x.bytes),
            _ => 0,
        })
    };
    Punpcklbw Vpunpcklbw Half interleave::<u8, false>;
    Punpcklwd Vpunpcklwd Half interleave::<u16, false>;
    Punpckldq Vpunpckldq Half interleave::<u32, false>;
    Punpcklqdq Vpunpcklqdq Half interleave::<u64, false>;
    Punpckhbw Vpunpckhbw Half interleave::<u8, true>;
    Punpckhwd Vpunpckhwd Half interleave::<u16, true>;
    Punpckhdq Vpunpckhdq Half interleave::<u32, true>;
    Punpckhqdq Vpunpckhqdq Half interleave::<u64, true>;
    Unpcklps Vunpcklps Half interleave::<u32, false>;
    Unpcklpd Vunpcklpd Half interleave::<u64, false>;
    Unpckhps Vunpckhps Half interleave::<u32, true>;
    Unpckhpd Vunpckhpd Half interleave::<u64, true>;
    Packsswb Vpacksswb Half |x| pack::<i16, i8>(x, |v| v.clamp(-0x80, 0x7f) as i8);
    Packuswb Vpackuswb Half |x| pack::<i16, u8>(x, |v| v.clamp(0, 0xff) as u8);
    Packssdw Vpackssdw Half |x| pack::<i32, i16>(x, |v| v.clamp(-0x8000, 0x7fff) as i16);
    Packusdw Vpackusdw Half |x| pack::<i32, u16>(x, |v| v.clamp(0, 0xffff) as u16);
    Blendps Vblendps Half |x| blend::<u32>(x, x.imm >> (4 * x.half));
    Blendpd Vblendpd Half |x| blend::<u64>(x, x.imm >> (2 * x.half));
    Pblendw Vpblendw Half |x| blend::<u16>(x, x.imm);
    INVALID Vpblendd Half |x| blend::<u32>(x, x.imm >> (4 * x.half));
    Pblendvb Vpblendvb Half |x| choose::<u8>(x, |m| m >> 7 != 0);
    Blendvps Vblendvps Half |x| choose::<u32>(x, |m| m >> 31 != 0);
    Blendvpd Vblendvpd Half |x| choose::<u64>(x, |m| m >> 63 != 0);
    Pmovsxbw Vpmovsxbw Whole |x| extend::<i8, i16>(x, |v| v as i16);
    Pmovsxbd Vpmovsxbd Whole |x| extend::<i8, i32>(x, |v| v as i32);
    Pmovsxbq Vpmovsxbq Whole |x| extend::<i8, i64>(x, |v| v as i64);
    Pmovsxwd Vpmovsxwd Whole |x| extend::<i16, i32>(x, |v| v as i32);
    Pmovsxwq Vpmovsxwq Whole |x| extend::<i16, i64>(x, |v| v as i64);
    Pmovsxdq Vpmovsxdq Whole |x| extend::<i32, i64>(x, |v| v as i64);
    Pmovzxbw Vpmovzxbw Whole |x| extend::<u8, u16>(x, |v| v as u16);
    Pmovzxbd Vpmovzxbd Whole |x| extend::<u8, u32>(x, |v| v as u32);
    Pmovzxbq Vpmovzxbq Whole |x| extend::<u8, u64>(x, |v| v as u64);
    Pmovzxwd Vpmovzxwd Whole |x| extend::<u16, u32>(x, |v| v as u32);
    Pmovzxwq Vpmovzxwq Whole |x| extend::<u16, u64>(x, |v| v as u64);
    Pmovzxdq Vpmovzxdq Whole |x| extend::<u32, u64>(x, |v| v as u64);
    Insertps Vinsertps Half |x| {
        let v = with::<u32>(x.a, x.imm as usize >> 4 & 3, lane(x.b, x.imm as usize >> 6));
        make::<u32>(|i| if x.imm >> i & 1 != 0 { 0 } else { lane(v, i) })
    };
    Pinsrb Vpinsrb Half |x| with::<u8>(x.a, x.imm as usize, x.low as u8);
    Pinsrw Vpinsrw Half |x| with::<u16>(x.a, x.imm as usize & (x.bytes / 2 - 1), x.low as u16);
    Pinsrd Vpinsrd Half |x| with::<u32>(x.a, x.imm as usize, x.low as u32);
    Pinsrq Vpinsrq Half |x| with::<u64>(x.a, x.imm as usize, x.low);
    Pextrb Vpextrb Value |x| lane::<u8>(x.b[0], x.imm as usize).into();
    Pextrw Vpextrw Value |x| lane::<u16>(x.b[0], x.imm as usize & (x.bytes / 2 - 1)).into();
    Pextrd Vpextrd Value |x| lane::<u32>(x.b[0], x.imm as usize).into();
    Pextrq Vpextrq Value |x| lane::<u64>(x.b[0], x.imm as usize);
    Extractps Vextractps Value |x| lane::<u32>(x.b[0], x.imm as usize).into();
    Pmovmskb Vpmovmskb Value |x| {
        let m = |v: V128| u8::get(v).iter().rev().fold(0, |m, b| m << 1 | (b >> 7) as u64);
        m(x.b[0]) | if x.wide { m(x.b[1]) << 16 } else { 0 }
    };
    Movmskps Vmovmskps Value |x| {
        let m = |v: V128| u32::get(v).iter().rev().fold(0, |m, b| m << 1 | (b >> 31) as u64);
        m(x.b[0]) | if x.wide { m(x.b[1]) << 4 } else { 0 }
    };
    Movmskpd Vmovmskpd Value |x| {
        let m = |v: V128| v.0[0] >> 63 | v.0[1] >> 63 << 1;
        m(x.b[0]) | if x.wide { m(x.b[1]) << 2 } else { 0 }
    };
    Movddup Vmovddup Half |x| V128([x.b.0[0]; 2]);
    Movshdup Vmovshdup Half |x| make::<u32>(|i| lane(x.b, i | 1));
    Movsldup Vmovsldup Half |x| make::<u32>(|i| lane(x.b, i & !1));
    Movhlps Vmovhlps Half |x| V128([x.b.0[1], x.a.0[1]]);
    Movlhps Vmovlhps Half |x| V128([x.a.0[0], x.b.0[0]]);
    Movlps Vmovlps Half |x| V128([x.b.0[0], x.a.0[1]]);
    Movlpd Vmovlpd Half |x| V128([x.b.0[0], x.a.0[1]]);
    Movhps Vmovhps Half |x| V128([x.a.0[0], x.b.0[0]]);
    Movhpd Vmovhpd Half |x| V128([x.a.0[0], x.b.0[0]]);
    Movss Vmovss Half |x| with::<u32>(x.a, 0, lane(x.b, 0));
    Movsd Vmovsd Half |x| V128([x.b.0[0], x.a.0[1]]);
    // The lower half alone: also MOVQ of MMX registers. The row behind it is that of MOVD.
    Movq2dq INVALID Half |x| V128([x.b.0[0], 0]);
    Movdq2q INVALID Half |x| V128([x.b.0[0], 0]);
    INVALID INVALID Half |x| V128([x.b.0[0] as u32 as u64, 0]);
    // The same as a value: to MOVNTQ, MOVQ and MOVD from MMX registers.
    Movntq INVALID Value |x| x.b[0].0[0];
    INVALID INVALID Value |x| x.b[0].0[0] as u32 as u64;
};

fn shuffle_low(x: &Half) -> V128 {
    make::<u16>(|i| lane(x.b, if i < 4 { (x.imm >> (2 * i)) as usize & 3 } else { i }))
}

fn interleave<T: Elem, const HIGH: bool>(x: &Half) -> V128 {
    let half = x.bytes / T::BYTES / 2;
    let from = if HIGH { half } else { 0 };
    make::<T>(|i| lane(if i & 1 == 0 { x.a } else { x.b }, from + i / 2))
}

fn pack<S: Elem, D: Elem>(x: &Half, f: impl Fn(S) -> D) -> V128 {
    let n = x.bytes / S::BYTES;
    make::<D>(|i| if i < n { f(lane(x.a, i)) } else { f(lane(x.b, i - n)) })
}

fn blend<T: Elem>(x: &Half, mask: u8) -> V128 {
    make::<T>(|i| lane(if mask >> i & 1 != 0 { x.b } else { x.a }, i))
}

fn choose<T: Elem>(x: &Half, set: impl Fn(T) -> bool) -> V128 {
    let from_b = zip::<T>(x.b, x.c, |b, m| if set(m) { b } else { T::default() });
    let from_a = zip::<T>(x.a, x.c, |a, m| if set(m) { T::default() } else { a });
    V128::from_u128(from_a.to_u128() | from_b.to_u128())
}

fn extend<S: Elem, D: Elem>(x: &Whole, f: impl Fn(S) -> D) -> [V128; 2] {
    let n = 16 / D::BYTES;
    [0, 1].map(|h| make::<D>(|i| f(lane(x.b[0], h * n + i))))
}

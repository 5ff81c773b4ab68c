//! Integer arithmetic, comparison, logic and shifts.

use lyrebird_isa::V128;

use super::lanes::{Elem, lane, make, map, zip};
use super::{Half, Row, flag_word, rows};

pub(super) const ROWS: &[Row] = rows! {
    Paddb Vpaddb Half |x| zip::<u8>(x.a, x.b, u8::wrapping_add);
    Paddw Vpaddw Half |x| zip::<u16>(x.a, x.b, u16::wrapping_add);
    Paddd Vpaddd Half |x| zip::<u32>(x.a, x.b, u32::wrapping_add);
    Paddq Vpaddq Half |x| zip::<u64>(x.a, x.b, u64::wrapping_add);
    Psubb Vpsubb Half |x| zip::<u8>(x.a, x.b, u8::wrapping_sub);
    Psubw Vpsubw Half |x| zip::<u16>(x.a, x.b, u16::wrapping_sub);
    Psubd Vpsubd Half |x| zip::<u32>(x.a, x.b, u32::wrapping_sub);
    Psubq Vpsubq Half |x| zip::<u64>(x.a, x.b, u64::wrapping_sub);
    Paddsb Vpaddsb Half |x| zip::<i8>(x.a, x.b, i8::saturating_add);
    Paddsw Vpaddsw Half |x| zip::<i16>(x.a, x.b, i16::saturating_add);
    Paddusb Vpaddusb Half |x| zip::<u8>(x.a, x.b, u8::saturating_add);
    Paddusw Vpaddusw Half |x| zip::<u16>(x.a, x.b, u16::saturating_add);
    Psubsb Vpsubsb Half |x| zip::<i8>(x.a, x.b, i8::saturating_sub);
    Psubsw Vpsubsw Half |x| zip::<i16>(x.a, x.b, i16::saturating_sub);
    Psubusb Vpsubusb Half |x| zip::<u8>(x.a, x.b, u8::saturating_sub);
    Psubusw Vpsubusw Half |x| zip::<u16>(x.a, x.b, u16::saturating_sub);
    Pmullw Vpmullw Half |x| zip::<i16>(x.a, x.b, i16::wrapping_mul);
    Pmulld Vpmulld Half |x| zip::<i32>(x.a, x.b, i32::wrapping_mul);
    Pmulhw Vpmulhw Half |x| zip::<i16>(x.a, x.b, |a, b| ((a as i32 * b as i32) >> 16) as i16);
    Pmulhuw Vpmulhuw Half |x| zip::<u16>(x.a, x.b, |a, b| ((a as u32 * b as u32) >> 16) as u16);
    Pmulhrsw Vpmulhrsw Half |x| zip::<i16>(x.a, x.b, |a, b| ((((a as i32 * b as i32) >> 14) + 1) >> 1) as i16);
    Pmuludq Vpmuludq Half |x| zip::<u64>(x.a, x.b, |a, b| (a as u32 as u64) * (b as u32 as u64));
    Pmuldq Vpmuldq Half |x| zip::<i64>(x.a, x.b, |a, b| (a as i32 as i64) * (b as i32 as i64));
    Pmaddwd Vpmaddwd Half madd_words;
    Pmaddubsw Vpmaddubsw Half madd_bytes;
    Psadbw Vpsadbw Half sum_of_differences;
    Pavgb Vpavgb Half |x| zip::<u8>(x.a, x.b, |a, b| ((a as u16 + b as u16 + 1) >> 1) as u8);
    Pavgw Vpavgw Half |x| zip::<u16>(x.a, x.b, |a, b| ((a as u32 + b as u32 + 1) >> 1) as u16);
    Pminub Vpminub Half |x| zip::<u8>(x.a, x.b, Ord::min);
    Pminuw Vpminuw Half |x| zip::<u16>(x.a, x.b, Ord::min);
    Pminud Vpminud Half |x| zip::<u32>(x.a, x.b, Ord::min);
    Pminsb Vpminsb Half |x| zip::<i8>(x.a, x.b, Ord::min);
    Pminsw Vpminsw Half |x| zip::<i16>(x.a, x.b, Ord::min);
    Pminsd Vpminsd Half |x| zip::<i32>(x.a, x.b, Ord::min);
    Pmaxub Vpmaxub Half |x| zip::<u8>(x.a, x.b, Ord::max);
    Pmaxuw Vpmaxuw Half |x| zip::<u16>(x.a, x.b, Ord::max);
    Pmaxud Vpmaxud Half |x| zip::<u32>(x.a, x.b, Ord::max);
    Pmaxsb Vpmaxsb Half |x| zip::<i8>(x.a, x.b, Ord::max);
    Pmaxsw Vpmaxsw Half |x| zip::<i16>(x.a, x.b, Ord::max);
    Pmaxsd Vpmaxsd Half |x| zip::<i32>(x.a, x.b, Ord::max);
    Pcmpeqb Vpcmpeqb Half |x| zip::<u8>(x.a, x.b, |a, b| if a == b { !0 } else { 0 });
    Pcmpeqw Vpcmpeqw Half |x| zip::<u16>(x.a, x.b, |a, b| if a == b { !0 } else { 0 });
    Pcmpeqd Vpcmpeqd Half |x| zip::<u32>(x.a, x.b, |a, b| if a == b { !0 } else { 0 });
    Pcmpeqq Vpcmpeqq Half |x| zip::<u64>(x.a, x.b, |a, b| if a == b { !0 } else { 0 });
    Pcmpgtb Vpcmpgtb Half |x| zip::<i8>(x.a, x.b, |a, b| if a > b { -1 } else { 0 });
    Pcmpgtw Vpcmpgtw Half |x| zip::<i16>(x.a, x.b, |a, b| if a > b { -1 } else { 0 });
    Pcmpgtd Vpcmpgtd Half |x| zip::<i32>(x.a, x.b, |a, b| if a > b { -1 } else { 0 });
    Pcmpgtq Vpcmpgtq Half |x| zip::<i64>(x.a, x.b, |a, b| if a > b { -1 } else { 0 });
    Pand Vpand Half and;
    Andps Vandps Half and;
    Andpd Vandpd Half and;
    Pandn Vpandn Half and_not;
    Andnps Vandnps Half and_not;
    Andnpd Vandnpd Half and_not;
    Por Vpor Half or;
    Orps Vorps Half or;
    Orpd Vorpd Half or;
    Pxor Vpxor Half xor;
    Xorps Vxorps Half xor;
    Xorpd Vxorpd Half xor;
    Psllw Vpsllw Half |x| map::<u16>(x.a, |v| if x.low > 15 { 0 } else { v << x.low });
    Pslld Vpslld Half |x| map::<u32>(x.a, |v| if x.low > 31 { 0 } else { v << x.low });
    Psllq Vpsllq Half |x| map::<u64>(x.a, |v| if x.low > 63 { 0 } else { v << x.low });
    Psrlw Vpsrlw Half |x| map::<u16>(x.a, |v| if x.low > 15 { 0 } else { v >> x.low });
    Psrld Vpsrld Half |x| map::<u32>(x.a, |v| if x.low > 31 { 0 } else { v >> x.low });
    Psrlq Vpsrlq Half |x| map::<u64>(x.a, |v| if x.low > 63 { 0 } else { v >> x.low });
    Psraw Vpsraw Half |x| map::<i16>(x.a, |v| v >> x.low.min(15));
    Psrad Vpsrad Half |x| map::<i32>(x.a, |v| v >> x.low.min(31));
    Pslldq Vpslldq Half |x| V128::from_u128(if x.low > 15 { 0 } else { x.a.to_u128() << (8 * x.low) });
    Psrldq Vpsrldq Half |x| V128::from_u128(if x.low > 15 { 0 } else { x.a.to_u128() >> (8 * x.low) });
    INVALID Vpsllvd Half |x| zip::<u32>(x.a, x.b, |v, n| if n > 31 { 0 } else { v << n });
    INVALID Vpsllvq Half |x| zip::<u64>(x.a, x.b, |v, n| if n > 63 { 0 } else { v << n });
    INVALID Vpsrlvd Half |x| zip::<u32>(x.a, x.b, |v, n| if n > 31 { 0 } else { v >> n });
    INVALID Vpsrlvq Half |x| zip::<u64>(x.a, x.b, |v, n| if n > 63 { 0 } else { v >> n });
    INVALID Vpsravd Half |x| zip::<u32>(x.a, x.b, |v, n| ((v as i32) >> n.min(31)) as u32);
    Psignb Vpsignb Half |x| zip::<i8>(x.a, x.b, |a, b| a.wrapping_mul(b.signum()));
    Psignw Vpsignw Half |x| zip::<i16>(x.a, x.b, |a, b| a.wrapping_mul(b.signum()));
    Psignd Vpsignd Half |x| zip::<i32>(x.a, x.b, |a, b| a.wrapping_mul(b.signum()));
    Pabsb Vpabsb Half |x| map::<i8>(x.b, i8::wrapping_abs);
    Pabsw Vpabsw Half |x| map::<i16>(x.b, i16::wrapping_abs);
    Pabsd Vpabsd Half |x| map::<i32>(x.b, i32::wrapping_abs);
    Phaddw Vphaddw Half |x| pairs::<u16>(x, u16::wrapping_add);
    Phaddd Vphaddd Half |x| pairs::<u32>(x, u32::wrapping_add);
    Phaddsw Vphaddsw Half |x| pairs::<i16>(x, i16::saturating_add);
    Phsubw Vphsubw Half |x| pairs::<u16>(x, u16::wrapping_sub);
    Phsubd Vphsubd Half |x| pairs::<u32>(x, u32::wrapping_sub);
    Phsubsw Vphsubsw Half |x| pairs::<i16>(x, i16::saturating_sub);
    Mpsadbw Vmpsadbw Half multiple_sums;
    Phminposuw Vphminposuw Half least_word;
    Pclmulqdq Vpclmulqdq Half |x| carry_less(x.a.0[x.imm as usize & 1], x.b.0[x.imm as usize >> 4 & 1]);
    Ptest Vptest Flags |x| {
        let n = if x.wide { 2 } else { 1 };
        let none = |f: fn(u128, u128) -> u128| (0..n).all(|i| f(x.a[i].to_u128(), x.b[i].to_u128()) == 0);
        flag_word(none(|a, b| a & b), false, none(|a, b| !a & b))
    };
    INVALID Vtestps Flags test_signs::<0x8000_0000_8000_0000>;
    INVALID Vtestpd Flags test_signs::<0x8000_0000_0000_0000>;
};

fn and(x: &Half) -> V128 {
    V128::from_u128(x.a.to_u128() & x.b.to_u128())
}

fn and_not(x: &Half) -> V128 {
    V128::from_u128(!x.a.to_u128() & x.b.to_u128())
}

fn or(x: &Half) -> V128 {
    V128::from_u128(x.a.to_u128() | x.b.to_u128())
}

fn xor(x: &Half) -> V128 {
    V128::from_u128(x.a.to_u128() ^ x.b.to_u128())
}

fn madd_words(x: &Half) -> V128 {
    let (a, b) = (i16::get(x.a), i16::get(x.b));
    let p = |i: usize| a[i] as i32 * b[i] as i32;
    make::<i32>(|i| p(2 * i).wrapping_add(p(2 * i + 1)))
}

/// Unsigned bytes by signed ones.
fn madd_bytes(x: &Half) -> V128 {
    let (a, b) = (u8::get(x.a), i8::get(x.b));
    let p = |i: usize| a[i] as i32 * b[i] as i32;
    make::<i16>(|i| (p(2 * i) + p(2 * i + 1)).clamp(i16::MIN as i32, i16::MAX as i32) as i16)
}

fn sum_of_differences(x: &Half) -> V128 {
    let (a, b) = (u8::get(x.a), u8::get(x.b));
    make::<u64>(|i| (8 * i..8 * i + 8).map(|k| a[k].abs_diff(b[k]) as u64).sum())
}

/// Adjacent elements of the first source, then of the second.
fn pairs<T: Elem>(x: &Half, f: impl Fn(T, T) -> T) -> V128 {
    let half = x.bytes / T::BYTES / 2;
    make::<T>(|i| {
        let (v, at) = if i < half { (x.a, 2 * i) } else { (x.b, 2 * (i - half)) };
        if i < 2 * half { f(lane(v, at), lane(v, at + 1)) } else { T::default() }
    })
}

fn multiple_sums(x: &Half) -> V128 {
    let (a, b) = (u8::get(x.a), u8::get(x.b));
    let imm = x.imm >> (3 * x.half);
    let (at_a, at_b) = ((imm >> 2 & 1) as usize * 4, (imm & 3) as usize * 4);
    make::<u16>(|i| (0..4).map(|k| a[at_a + i + k].abs_diff(b[at_b + k]) as u16).sum())
}

/// The least word and where it first is.
fn least_word(x: &Half) -> V128 {
    let (at, v) = u16::get(x.b).into_iter().enumerate().min_by_key(|&(i, v)| (v, i)).unwrap_or((0, 0));
    V128([v as u64 | (at as u64) << 16, 0])
}

fn carry_less(a: u64, b: u64) -> V128 {
    let mut r = 0u128;
    for i in 0..64 {
        if b >> i & 1 != 0 {
            r ^= (a as u128) << i;
        }
    }
    V128::from_u128(r)
}

fn test_signs<const SIGNS: u64>(x: &super::Whole) -> u64 {
    let n = if x.wide { 2 } else { 1 };
    let none =
        |f: fn(u64, u64) -> u64| (0..n).all(|i| (0..2).all(|k| f(x.a[i].0[k], x.b[i].0[k]) & SIGNS == 0));
    flag_word(none(|a, b| a & b), false, none(|a, b| !a & b))
}

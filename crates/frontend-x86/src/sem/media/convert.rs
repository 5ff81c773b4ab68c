//! Conversions between floating-point formats and integers.

use lyrebird_fp::x86::rc;
use lyrebird_fp::x86::sse::{self, Env};
use lyrebird_fp::{F16, F32, F64, Round};
use lyrebird_isa::V128;

use super::lanes::{lane, make, map, with};
use super::{Half, Row, Whole, rows};

pub(super) const ROWS: &[Row] = rows! {
    Cvtdq2ps Vcvtdq2ps FpHalf |e, x| map::<u32>(x.b, |v| sse::from_int::<F32>(e, v as i32 as i64));
    Cvtps2dq Vcvtps2dq FpHalf |e, x| ints(e, x, |e| e.round);
    Cvttps2dq Vcvttps2dq FpHalf |e, x| ints(e, x, |_| Round::Zero);
    Cvtdq2pd Vcvtdq2pd FpWhole |e, x| {
        widen(x, |i| sse::from_int::<F64>(e, lane::<u32>(x.b[0], i) as i32 as i64))
    };
    Cvtps2pd Vcvtps2pd FpWhole |e, x| {
        widen(x, |i| {
            let mode = e.round;
            sse::convert::<F32, F64>(e, lane(x.b[0], i), mode)
        })
    };
    Cvtpd2ps Vcvtpd2ps FpWhole |e, x| {
        narrow(x, |v| {
            let mode = e.round;
            sse::convert::<F64, F32>(e, v, mode)
        })
    };
    Cvtpd2dq Vcvtpd2dq FpWhole |e, x| {
        narrow(x, |v| {
            let mode = e.round;
            sse::to_int::<F64>(e, v, 32, mode) as u32
        })
    };
    Cvttpd2dq Vcvttpd2dq FpWhole |e, x| narrow(x, |v| sse::to_int::<F64>(e, v, 32, Round::Zero) as u32);
    Cvtss2sd Vcvtss2sd FpHalf |e, x| {
        let mode = e.round;
        with::<u64>(x.a, 0, sse::convert::<F32, F64>(e, lane(x.b, 0), mode))
    };
    Cvtsd2ss Vcvtsd2ss FpHalf |e, x| {
        let mode = e.round;
        with::<u32>(x.a, 0, sse::convert::<F64, F32>(e, x.b.0[0], mode))
    };
    Cvtsi2ss Vcvtsi2ss FpHalf |e, x| with::<u32>(x.a, 0, sse::from_int::<F32>(e, integer(x)));
    Cvtsi2sd Vcvtsi2sd FpHalf |e, x| with::<u64>(x.a, 0, sse::from_int::<F64>(e, integer(x)));
    Cvtss2si Vcvtss2si FpValue |e, x| {
        let mode = e.round;
        sse::to_int::<F32>(e, lane(x.b[0], 0), bits(x), mode)
    };
    Cvtsd2si Vcvtsd2si FpValue |e, x| {
        let mode = e.round;
        sse::to_int::<F64>(e, x.b[0].0[0], bits(x), mode)
    };
    Cvttss2si Vcvttss2si FpValue |e, x| sse::to_int::<F32>(e, lane(x.b[0], 0), bits(x), Round::Zero);
    Cvttsd2si Vcvttsd2si FpValue |e, x| sse::to_int::<F64>(e, x.b[0].0[0], bits(x), Round::Zero);
    Cvtpi2ps INVALID FpHalf |e, x| {
        let v = |e: &mut Env, i: usize| sse::from_int::<F32>(e, lane::<u32>(x.b, i) as i32 as i64);
        with::<u32>(with::<u32>(x.a, 0, v(e, 0)), 1, v(e, 1))
    };
    Cvtpi2pd INVALID FpHalf |e, x| {
        make::<u64>(|i| sse::from_int::<F64>(e, lane::<u32>(x.b, i) as i32 as i64))
    };
    Cvtps2pi INVALID FpHalf |e, x| pair(|i| {
        let mode = e.round;
        sse::to_int::<F32>(e, lane(x.b, i), 32, mode)
    });
    Cvttps2pi INVALID FpHalf |e, x| pair(|i| sse::to_int::<F32>(e, lane(x.b, i), 32, Round::Zero));
    Cvtpd2pi INVALID FpHalf |e, x| pair(|i| {
        let mode = e.round;
        sse::to_int::<F64>(e, x.b.0[i], 32, mode)
    });
    Cvttpd2pi INVALID FpHalf |e, x| pair(|i| sse::to_int::<F64>(e, x.b.0[i], 32, Round::Zero));
    INVALID Vcvtph2ps FpWhole |e, x| {
        let mut half = |h: usize| {
            make::<u32>(|i| {
                let mode = e.round;
                sse::convert::<F16, F32>(e, lane(x.b[0], 4 * h + i), mode)
            })
        };
        [half(0), if x.wide { half(1) } else { V128::default() }]
    };
    INVALID Vcvtps2ph FpWhole |e, x| [halves(e, x.b, x.imm, x.wide), V128::default()];
};

/// VCVTPS2PH.
pub fn halves(e: &mut Env, b: [V128; 2], imm: u8, wide: bool) -> V128 {
    let mode = if imm & 4 != 0 { e.round } else { rc(imm as u32) };
    make::<u16>(|i| if i < 4 || wide { sse::convert::<F32, F16>(e, lane(b[i / 4], i), mode) } else { 0 })
}

fn ints(e: &mut Env, x: &Half, mode: impl Fn(&Env) -> Round) -> V128 {
    let mode = mode(e);
    map::<u32>(x.b, |v| sse::to_int::<F32>(e, v, 32, mode) as u32)
}

/// Two elements, or four.
fn widen(x: &Whole, mut f: impl FnMut(usize) -> u64) -> [V128; 2] {
    let lo = make::<u64>(&mut f);
    [lo, if x.wide { make::<u64>(|i| f(2 + i)) } else { V128::default() }]
}

fn narrow(x: &Whole, mut f: impl FnMut(u64) -> u32) -> [V128; 2] {
    let n = if x.wide { 4 } else { 2 };
    [make::<u32>(|i| if i < n { f(x.b[i / 2].0[i & 1]) } else { 0 }), V128::default()]
}

/// Two integers in an MMX register.
fn pair(mut f: impl FnMut(usize) -> u64) -> V128 {
    let lo = f(0);
    V128([lo | f(1) << 32, 0])
}

/// The integer operand; the immediate says how wide it is.
fn integer(x: &Half) -> i64 {
    if x.imm != 0 { x.low as i64 } else { x.low as i32 as i64 }
}

fn bits(x: &Whole) -> u32 {
    if x.imm != 0 { 64 } else { 32 }
}

//! Every operation against `rustc_apfloat`: values and exceptions in all rounding modes. NaN payloads follow
//! other rules there, and are left to `tests/golden.rs`.

mod common;

use common::Rng;
use lyrebird_fp as fp;
use lyrebird_fp::{Env, F16, F32, F64, Flags, Format, IntType, Policy, Round};
use rustc_apfloat::ieee::{Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round as ApRound, Status, StatusAnd};

const MODES: [(Round, ApRound); 5] = [
    (Round::NearestEven, ApRound::NearestTiesToEven),
    (Round::Up, ApRound::TowardPositive),
    (Round::Down, ApRound::TowardNegative),
    (Round::Zero, ApRound::TowardZero),
    (Round::NearestAway, ApRound::NearestTiesToAway),
];

fn flags(s: Status) -> u32 {
    let mut f = 0;
    for (bit, flag) in [
        (Status::INVALID_OP, Flags::INVALID),
        (Status::DIV_BY_ZERO, Flags::DIV_BY_ZERO),
        (Status::OVERFLOW, Flags::OVERFLOW),
        (Status::UNDERFLOW, Flags::UNDERFLOW),
        (Status::INEXACT, Flags::INEXACT),
    ] {
        if s.contains(bit) {
            f |= flag.0;
        }
    }
    f
}

/// Runs `f` in `mode`, and again with the inexact flag set, where host arithmetic may take over.
fn both<T: PartialEq + std::fmt::Debug>(mode: Round, f: impl Fn(&mut Env) -> T) -> (T, Env) {
    let (mut e, mut fast) = (env(mode, Flags(0)), env(mode, Flags::INEXACT));
    let (got, again) = (f(&mut e), f(&mut fast));
    assert_eq!(got, again, "{mode:?}: host arithmetic differs");
    assert_eq!(fast.flags.0, e.flags.0 | Flags::INEXACT.0, "{mode:?}: flags of host arithmetic differ");
    (got, e)
}

fn env(round: Round, flags: Flags) -> Env {
    Env { policy: Policy { round, ..Policy::DEFAULT }, flags }
}

macro_rules! format_tests {
    ($name:ident, $F:ty, $bits:ty, $Ap:ty, $exp:literal, $frac:literal) => {
        mod $name {
            use super::*;

            fn ap(v: $bits) -> $Ap {
                <$Ap>::from_bits(v as u128)
            }

            fn check(what: &str, ops: &[$bits], e: Env, got: $bits, want: StatusAnd<$Ap>) {
                let w = want.value.to_bits() as $bits;
                let signalling = ops.iter().any(|&o| ap(o).is_signaling());
                if want.value.is_nan() {
                    assert!(ap(got).is_nan(), "{what} {ops:x?} {:?}: {got:x}, want NaN", e.policy.round);
                } else {
                    assert_eq!(got, w, "{what} {ops:x?} {:?}: {got:x}, want {w:x}", e.policy.round);
                }
                let mut wf = flags(want.status);
                if signalling {
                    wf |= Flags::INVALID.0;
                }
                let mut gf = e.flags.0;
                // There, overflow to the largest finite number is no overflow.
                if w & <$bits>::MAX >> 1 == <$F>::max_normal(false) {
                    gf &= !Flags::OVERFLOW.0;
                    wf &= !Flags::OVERFLOW.0;
                }
                // There, tininess is detected after rounding.
                if w & <$bits>::MAX >> 1 == 1 << $frac && gf & Flags::INEXACT.0 != 0 {
                    gf &= !Flags::UNDERFLOW.0;
                    wf &= !Flags::UNDERFLOW.0;
                }
                assert_eq!(gf, wf, "{what} {ops:x?} {:?}: flags", e.policy.round);
            }

            /// Runs `f` in every mode, then once more with the inexact flag set, where host arithmetic may
            /// take over.
            fn all(
                what: &str,
                ops: &[$bits],
                f: impl Fn(&mut Env) -> $bits,
                want: impl Fn(ApRound) -> StatusAnd<$Ap>,
            ) {
                for (r, a) in MODES {
                    let mut e = env(r, Flags(0));
                    let got = f(&mut e);
                    check(what, ops, e, got, want(a));
                    let mut fast = env(r, Flags::INEXACT);
                    assert_eq!(f(&mut fast), got, "{what} {ops:x?} {r:?}: host arithmetic differs");
                    assert_eq!(fast.flags.0, e.flags.0 | Flags::INEXACT.0, "{what} {ops:x?} {r:?}");
                }
            }

            #[test]
            fn arithmetic() {
                let mut g = Rng(1);
                for _ in 0..60_000 {
                    let [a, b, c] = [0; 3].map(|_: u8| g.float($exp, $frac) as $bits);
                    all("add", &[a, b], |e| fp::add::<$F>(e, a, b), |r| ap(a).add_r(ap(b), r));
                    all("sub", &[a, b], |e| fp::sub::<$F>(e, a, b), |r| ap(a).sub_r(ap(b), r));
                    all("mul", &[a, b], |e| fp::mul::<$F>(e, a, b), |r| ap(a).mul_r(ap(b), r));
                    all("div", &[a, b], |e| fp::div::<$F>(e, a, b), |r| ap(a).div_r(ap(b), r));
                    // ARM calls inf * 0 + NaN invalid.
                    let nan = ap(c).is_nan();
                    if !nan {
                        all(
                            "fma",
                            &[a, b, c],
                            |e| fp::fma::<$F>(e, c, a, b),
                            |r| ap(a).mul_add_r(ap(b), ap(c), r),
                        );
                    }
                }
            }

            #[test]
            fn integral() {
                let mut g = Rng(2);
                for _ in 0..60_000 {
                    let a = g.float($exp, $frac) as $bits;
                    for (r, m) in MODES {
                        let mut e = env(Round::NearestEven, Flags(0));
                        let got = fp::round_int::<$F>(&mut e, a, r, true);
                        let want = ap(a).round_to_integral(m);
                        e.policy.round = r;
                        check("round_int", &[a], e, got, want);
                        let mut e = env(Round::NearestEven, Flags(0));
                        assert_eq!(fp::round_int::<$F>(&mut e, a, r, false), got);
                        assert!(!e.flags.contains(Flags::INEXACT));
                    }
                }
            }

            #[test]
            fn integers() {
                let mut g = Rng(3);
                for _ in 0..60_000 {
                    let a = g.float($exp, $frac) as $bits;
                    let n = g.next() as i64 >> (g.next() & 63);
                    for (r, m) in MODES {
                        for bits in [16, 32, 64] {
                            let mut exact = false;
                            let want = ap(a).to_u128_r(bits, m, &mut exact);
                            let (got, e) = both(Round::NearestEven, |e| {
                                fp::to_fixed::<$F>(e, a, 0, IntType { bits: bits as u32, signed: false }, r)
                            });
                            assert_eq!(got as u128, want.value, "to u{bits} {a:x} {r:?}");
                            assert_eq!(e.flags.0, flags(want.status), "to u{bits} {a:x} {r:?}");

                            let want = ap(a).to_i128_r(bits, m, &mut exact);
                            let (got, e) = both(Round::NearestEven, |e| {
                                fp::to_fixed::<$F>(e, a, 0, IntType { bits: bits as u32, signed: true }, r)
                            });
                            let got = (got << (64 - bits)) as i64 >> (64 - bits);
                            assert_eq!(got as i128, want.value, "to i{bits} {a:x} {r:?}");
                            assert_eq!(e.flags.0, flags(want.status), "to i{bits} {a:x} {r:?}");
                        }
                        let (got, e) = both(r, |e| {
                            fp::from_fixed::<$F>(e, n as u64, 0, IntType { bits: 64, signed: true }, r)
                        });
                        check("from i64", &[], e, got, <$Ap>::from_i128_r(n as i128, m));
                        let (got, e) = both(r, |e| {
                            fp::from_fixed::<$F>(e, n as u64, 0, IntType { bits: 32, signed: false }, r)
                        });
                        check("from u32", &[], e, got, <$Ap>::from_u128_r(n as u32 as u128, m));
                    }
                }
            }

            #[test]
            fn comparison() {
                let mut g = Rng(4);
                for _ in 0..60_000 {
                    let (a, b) = (g.float($exp, $frac) as $bits, g.float($exp, $frac) as $bits);
                    for b in [a, a ^ 1 << ($exp + $frac), b] {
                        let want = match ap(a).partial_cmp(&ap(b)) {
                            Some(std::cmp::Ordering::Less) => fp::Ordering::Less,
                            Some(std::cmp::Ordering::Equal) => fp::Ordering::Equal,
                            Some(std::cmp::Ordering::Greater) => fp::Ordering::Greater,
                            None => fp::Ordering::Unordered,
                        };
                        for signalling in [false, true] {
                            let mut e = Env::default();
                            assert_eq!(fp::compare::<$F>(&mut e, a, b, signalling), want, "{a:x} {b:x}");
                            let invalid = want == fp::Ordering::Unordered
                                && (signalling || ap(a).is_signaling() || ap(b).is_signaling());
                            assert_eq!(
                                e.flags,
                                if invalid { Flags::INVALID } else { Flags(0) },
                                "{a:x} {b:x}"
                            );
                        }
                        if want != fp::Ordering::Unordered && ap(a) != ap(b) {
                            let mut e = Env::default();
                            let (lo, hi) = if want == fp::Ordering::Less { (a, b) } else { (b, a) };
                            assert_eq!(fp::max::<$F>(&mut e, a, b), hi);
                            assert_eq!(fp::min::<$F>(&mut e, a, b), lo);
                            assert_eq!(fp::max_num::<$F>(&mut e, a, b), hi);
                            assert_eq!(fp::min_num::<$F>(&mut e, a, b), lo);
                            assert_eq!(e.flags, Flags(0));
                        }
                    }
                }
            }
        }
    };
}

format_tests!(half, F16, u16, Half, 5, 10);
format_tests!(single, F32, u32, Single, 8, 23);
format_tests!(double, F64, u64, Double, 11, 52);

macro_rules! conversion {
    ($name:ident, $S:ty, $s:ty, $sap:ty, $exp:literal, $frac:literal => $D:ty, $d:ty, $dap:ty, $dfrac:literal) => {
        #[test]
        fn $name() {
            let mut g = Rng(5);
            for _ in 0..60_000 {
                let a = g.float($exp, $frac) as $s;
                let x = <$sap>::from_bits(a as u128);
                for (r, m) in MODES {
                    let mut lost = false;
                    let want: StatusAnd<$dap> = x.convert_r(m, &mut lost);
                    let w = want.value.to_bits() as $d;
                    let (got, e) = both(Round::NearestEven, |e| fp::convert::<$S, $D>(e, a, r));
                    assert_eq!(got, w, "{a:x} {r:?}");
                    let mask = match w & <$d>::MAX >> 1 {
                        m if m == 1 << $dfrac => !Flags::UNDERFLOW.0,
                        m if m == <$D>::max_normal(false) => !Flags::OVERFLOW.0,
                        _ => !0,
                    };
                    assert_eq!(e.flags.0 & mask, flags(want.status) & mask, "{a:x} {r:?}: flags");
                }
            }
        }
    };
}

conversion!(double_to_single, F64, u64, Double, 11, 52 => F32, u32, Single, 23);
conversion!(double_to_half, F64, u64, Double, 11, 52 => F16, u16, Half, 10);
conversion!(single_to_half, F32, u32, Single, 8, 23 => F16, u16, Half, 10);
conversion!(single_to_double, F32, u32, Single, 8, 23 => F64, u64, Double, 52);
conversion!(half_to_single, F16, u16, Half, 5, 10 => F32, u32, Single, 23);
conversion!(half_to_double, F16, u16, Half, 5, 10 => F64, u64, Double, 52);

/// The host's square root is correctly rounded to nearest; directed modes are its neighbours.
#[test]
fn square_root() {
    let mut g = Rng(6);
    for _ in 0..200_000 {
        let a = g.float(11, 52);
        let want = f64::from_bits(a).sqrt();
        for flags in [Flags(0), Flags::INEXACT] {
            let mut e = env(Round::NearestEven, flags);
            let got = fp::sqrt::<F64>(&mut e, a);
            if want.is_nan() {
                assert!(f64::from_bits(got).is_nan());
                continue;
            }
            assert_eq!(got, want.to_bits(), "{a:x}");
        }
        if !want.is_nan() && want.is_normal() {
            // The rest is exact in a fused multiply-add, unless it underflows.
            let rest = (-want).mul_add(want, f64::from_bits(a));
            if f64::from_bits(a) > 1e-200 {
                let (up, down) = match rest.partial_cmp(&0.0) {
                    Some(std::cmp::Ordering::Greater) => (want.next_up(), want),
                    Some(std::cmp::Ordering::Less) => (want, want.next_down()),
                    _ => (want, want),
                };
                let mut e = env(Round::Up, Flags(0));
                assert_eq!(fp::sqrt::<F64>(&mut e, a), up.to_bits(), "{a:x}");
                assert_eq!(e.flags.contains(Flags::INEXACT), rest != 0.0, "{a:x}");
                let mut e = env(Round::Down, Flags(0));
                assert_eq!(fp::sqrt::<F64>(&mut e, a), down.to_bits(), "{a:x}");
            }
        }
        let b = g.float(8, 23) as u32;
        let want = f32::from_bits(b).sqrt();
        let mut e = env(Round::NearestEven, Flags(0));
        let got = fp::sqrt::<F32>(&mut e, b);
        assert!(want.is_nan() && f32::from_bits(got).is_nan() || got == want.to_bits(), "{b:x}");
    }
}

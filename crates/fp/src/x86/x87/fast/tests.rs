//! Operations on normal numbers against those on all, which `tests/x86_x87` holds against the host CPU.

use super::super::arith::{add_soft, div_soft, mul_soft, sqrt_soft};
use super::super::compare::compare_soft;
use super::super::convert::{extend, store_soft, to_int_soft};
use super::*;
use crate::x86::sse::outcome;
use crate::{F32, F64};

/// A small generator (splitmix64), so that failures repeat.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A significand: powers of two and their neighbours, halves of the last place in each precision and their
    /// neighbours, short ones, any.
    fn sig(&mut self) -> u64 {
        let r = self.next();
        let at = r >> 8 & 63;
        let near = (r >> 16) % 3;
        let v = match r & 7 {
            0 => near.wrapping_sub(1),
            1 => near.wrapping_sub(1) << at,
            2 => ((1 << [40, 39, 11, 10][(at & 3) as usize]) - 1 + near) | self.next() << 41,
            3 => u64::MAX << [40, 39, 11, 10][(at & 3) as usize] | (near == 0) as u64,
            4 => self.next() & u64::MAX << at,
            5 => self.next() << 11,
            6 => (self.next() >> 11) << 12 | near << 10,
            _ => self.next(),
        };
        v | F80::J
    }

    /// A number, for the most part with an exponent near `exp`.
    fn f80(&mut self, exp: i32) -> F80 {
        let r = self.next();
        let exp = match r & 31 {
            0 => (r >> 8) as i32 & 0x7fff,
            // Ends of the range, of that of doubles, and of that of single numbers.
            1 => (r >> 8) as i32 & 3,
            2 => 0x7ffc + ((r >> 8) as i32 & 3),
            3 => F80::BIAS - 1075 + ((r >> 8) as i32 & 63),
            4 => F80::BIAS + 1021 + ((r >> 8) as i32 & 3),
            5 => F80::BIAS - 151 + ((r >> 8) as i32 & 31),
            6 => F80::BIAS + 125 + ((r >> 8) as i32 & 3),
            7..12 => exp,
            12..20 => exp - 2 + (r >> 8) as i32 % 5,
            _ => exp - 68 + (r >> 8) as i32 % 137,
        };
        let v = F80::new(r >> 63 != 0, exp as u16 & F80::EXP_MAX, self.sig());
        match r >> 40 & 127 {
            0 => F80::zero(v.sign()),
            1 => F80 { sig: v.sig ^ F80::J, ..v },
            _ => v,
        }
    }

    /// Two numbers: any, one near the other, or such that products and quotients come near the ends of the range.
    fn pair(&mut self) -> (F80, F80) {
        let r = self.next();
        let a = self.f80(F80::BIAS);
        let b = match r & 15 {
            0 => a,
            1 => a.neg(),
            2 => F80 { sig: a.sig ^ 1, ..a },
            3 => F80 { sig: a.sig.wrapping_sub((r >> 8) % 5) | F80::J, ..a.neg() },
            4 => self.f80((F80::BIAS - a.exp() as i32).abs()),
            5 => self.f80((a.exp() as i32 + F80::BIAS) & 0x7fff),
            6 => self.f80((3 * F80::BIAS - a.exp() as i32).min(0x7ffe)),
            7 => self.f80(F80::BIAS),
            _ => self.f80(a.exp().into()),
        };
        (a, b)
    }

    /// A control word: of Linux, of other systems, any.
    fn cw(&mut self) -> u16 {
        let r = self.next();
        match r & 7 {
            0..3 => 0x37f,
            3..5 => 0x27f,
            5 => 0x07f,
            _ => (r >> 8) as u16,
        }
    }
}

/// How many pairs of each operation: some seconds in all where nothing is optimized.
const N: u32 = if cfg!(debug_assertions) { 20_000 } else { 400_000 };

/// Runs both ways on the same operands; the share of what the way of this file took, in percent.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    fast: impl Fn(&mut Env, F80, F80) -> Option<T>,
    soft: impl Fn(&mut Env, F80, F80) -> T,
) -> u32 {
    let mut g = Rng(u64::from(what.len() as u32) << 32 | u64::from(what.as_bytes()[1]));
    let mut taken = 0;
    for _ in 0..N {
        let ((a, b), cw) = (g.pair(), g.cw());
        let (mut x, mut y) = (Env::new(cw), Env::new(cw));
        x.denormal = g.next() & 63 == 0;
        y.denormal = x.denormal;
        let got = fast(&mut x, a, b);
        let case = || format!("{what} {a:x?} {b:x?} cw {cw:x}");
        let Some(got) = got else {
            assert_eq!((x.raised, x.up), (Exceptions(0), false), "{}: changed", case());
            continue;
        };
        taken += 1;
        let want = soft(&mut y, a, b);
        assert_eq!((got, x.raised, x.up), (want, y.raised, y.up), "{}", case());
    }
    taken / (N / 100)
}

#[test]
fn normal_numbers_go_the_short_way_to_the_same_result() {
    let taken = [
        same("add", add, add_soft::<false>),
        same("sub", |e, a, b| add(e, a, b.neg()), add_soft::<true>),
        same("mul", mul, mul_soft),
        same("div", div, div_soft),
        same("sqrt", |e, a, _| sqrt(e, a), |e, a, _| sqrt_soft(e, a)),
        same("compare", |e, a, b| compare(e, a, b).map(outcome), |e, a, b| compare_soft(e, a, b, true)),
        same("store single", |e, a, _| store::<F32>(e, a), |e, a, _| store_soft::<F32>(e, a)),
        same("store double", |e, a, _| store::<F64>(e, a), |e, a, _| store_soft::<F64>(e, a)),
    ];
    assert!(taken.iter().all(|&t| t > 25), "percent: {taken:?}");
    for bits in [16, 32, 64] {
        for mode in [Round::NearestEven, Round::Down, Round::Up, Round::Zero] {
            let what = format!("int{bits} {mode:?}");
            let to = |e: &mut Env, a, _| to_int(e, a, bits, mode);
            assert!(same(&what, to, |e, a, _| to_int_soft(e, a, bits, mode)) > 25, "{what}");
        }
    }
}

#[test]
fn roots_are_exact() {
    let mut g = Rng(8);
    for i in 0..N {
        // Squares, what is beside them, and any.
        let n = match i % 4 {
            0 => (g.sig() as u128).pow(2) - 1,
            1 => (g.sig() as u128).pow(2),
            2 => (g.sig() as u128).pow(2) + 1,
            _ => (g.next() as u128) << 64 | g.next() as u128,
        };
        let n = n.max(1 << 126);
        let want = n.isqrt();
        assert_eq!(root(n), (want as u64, n - want * want), "{n:x}");
    }
    for n in [1 << 126, u128::MAX, (u64::MAX as u128).pow(2), (u64::MAX as u128).pow(2) - 1, 1 << 127] {
        assert_eq!(root(n).0 as u128, n.isqrt(), "{n:x}");
    }
}

#[test]
fn denormals_in_memory_go_the_long_way() {
    let mut env = Env::new(0x37f);
    let v = extend::<F64>(&mut env, 1);
    assert_eq!((add(&mut env, F80::ONE, v), mul(&mut env, F80::ONE, v)), (None, None));
    assert_eq!((div(&mut env, F80::ONE, v), compare(&env, F80::ONE, v)), (None, None));
}

//! Transcendental functions, if the host CPU is Intel's: within one unit in the last place, special values
//! and exceptions exactly. C1 is not compared: nearly all of it agrees, but it depends on the last bit.

use lyrebird_fp::x86::Exceptions;
use lyrebird_fp::x86::x87::{self, Env, F80};

use crate::common::Rng;
use crate::host::{Io, is_intel, on_host};

/// A value of any class whose magnitude is for the most part in 2^lo to 2^hi.
fn f80(g: &mut Rng, lo: i32, hi: i32) -> F80 {
    let r = g.next();
    let exp = match r & 31 {
        0 => 0,
        1 => [1, 2, 0x7ffe, 0x7fff, 0x7fff, 0x3fff][(r >> 16) as usize % 6],
        2 => g.next() as u16 & 0x7fff,
        _ => (0x3fff + lo + ((r >> 16) as u32 % (hi - lo + 1) as u32) as i32) as u16,
    };
    let frac = match r >> 5 & 7 {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX << (r >> 8 & 63),
        3 => 1 << (r >> 8 & 63),
        _ => g.next(),
    };
    let j = (exp != 0) != (r >> 40 & 63 == 0);
    F80::new(r >> 63 != 0, exp, frac & !F80::J | (j as u64) << 63)
}

/// Whether two results differ by at most one unit in the last place.
fn close(a: F80, b: F80) -> bool {
    // Significands of neighbours across a binade differ by one only after a shift.
    let key = |v: F80| {
        let m = ((v.exp().max(1) as i128) << 63)
            + (v.sig & !F80::J) as i128
            + ((v.sig >> 63) as i128) * (1 << 63);
        if v.sign() { -m } else { m }
    };
    let finite = |v: F80| v.exp() != F80::EXP_MAX;
    a == b || finite(a) && finite(b) && a.sign() == b.sign() && (key(a) - key(b)).abs() <= 1
}

#[derive(Default)]
struct Tally {
    cases: u32,
    same: u32,
}

fn check(what: &str, io: &Io, e: &Env, got: F80, host: F80, tally: &mut Tally) {
    let [a, b] = io.operands();
    let at = || format!("{what} {a:x?} {b:x?} cw {:x}: got {got:x?}, host {host:x?}", io.cw);
    assert_eq!(e.status() & 0x3f, io.sw() & 0x3f, "{}: exceptions", at());
    assert!(close(got, host), "{}", at());
    tally.cases += 1;
    tally.same += (got == host) as u32;
    let special = a.exp() == F80::EXP_MAX || b.exp() == F80::EXP_MAX || a.sig == 0;
    assert!(got == host || !special, "{}", at());
}

const N: u32 = 100_000;

fn cw(g: &mut Rng) -> u16 {
    let r = g.next() as u16;
    let masks = if g.next() & 7 != 0 { 0x3f } else { r & 0x3f };
    0x340 | masks | if g.next() & 1 == 0 { 0 } else { g.next() as u16 & 0xc00 }
}

#[test]
fn one_operand() {
    if !is_intel() {
        return;
    }
    let mut g = Rng(1);
    macro_rules! unary {
        ($insn:expr, $lo:expr, $hi:expr, $ours:expr) => {
            let mut tally = Tally::default();
            for _ in 0..N {
                let (cw, a) = (cw(&mut g), f80(&mut g, $lo, $hi));
                let mut io = Io::new(cw, a, F80::ONE);
                on_host!(io, $insn);
                let mut e = Env::new(cw);
                let r: Option<(F80, Option<F80>)> = $ours(&mut e, a);
                let c2 = io.sw() & 0x400 != 0;
                assert_eq!(r.is_none(), c2, "{} {a:x?}: C2", $insn);
                match r {
                    _ if e.blocked() => assert_eq!((io.st(0), io.popped()), (a, 0), "{}", $insn),
                    None => assert_eq!(io.st(0), a),
                    Some((r, None)) => check($insn, &io, &e, r, io.st(0), &mut tally),
                    Some((r, Some(pushed))) => {
                        assert_eq!(io.popped(), -1);
                        check($insn, &io, &e, r, io.st(1), &mut tally);
                        check($insn, &io, &e, pushed, io.st(0), &mut tally);
                    }
                }
            }
            eprintln!("{}: {} of {} to the bit", $insn, tally.same, tally.cases);
        };
    }
    unary!("f2xm1", -70, -1, |e: &mut Env, a| Some((x87::exp2_minus_1(e, a), None)));
    unary!("fsin", -40, 65, |e: &mut Env, a| Some((x87::sin(e, a)?, None)));
    unary!("fcos", -40, 65, |e: &mut Env, a| Some((x87::cos(e, a)?, None)));
    unary!("fsincos", -40, 65, |e: &mut Env, a| x87::sin_cos(e, a).map(|(s, c)| (s, Some(c))));
    unary!("fptan", -40, 65, |e: &mut Env, a| x87::tan(e, a).map(|(t, one)| (t, Some(one))));
}

#[test]
fn two_operands() {
    if !is_intel() {
        return;
    }
    let mut g = Rng(2);
    macro_rules! binary {
        ($insn:expr, $lo:expr, $hi:expr, $defined:expr, $ours:expr) => {
            let mut tally = Tally::default();
            for _ in 0..N {
                let (cw, a) = (cw(&mut g), f80(&mut g, $lo, $hi));
                let b = f80(&mut g, -100, 100);
                if !$defined(a) {
                    continue;
                }
                let mut io = Io::new(cw, a, b);
                on_host!(io, $insn);
                let mut e = Env::new(cw);
                let r = $ours(&mut e, a, b);
                if e.blocked() {
                    assert_eq!((io.st(0), io.popped()), (a, 0), "{}", $insn);
                    continue;
                }
                assert_eq!(io.popped(), 1);
                check($insn, &io, &e, r, io.st(0), &mut tally);
            }
            eprintln!("{}: {} of {} to the bit", $insn, tally.same, tally.cases);
        };
    }
    binary!("fpatan", -100, 100, |_| true, |e: &mut Env, x, y| x87::atan2(e, y, x));
    binary!("fyl2x", -100, 100, |_| true, |e: &mut Env, x, y| x87::y_log2(e, x, y));
    binary!("fyl2x", -2, 1, |_| true, |e: &mut Env, x, y| x87::y_log2(e, x, y));
    // Within the range that the manual gives, and its special values.
    let defined =
        |x: F80| x.exp() < 0x3ffd || x.exp() == F80::EXP_MAX && x != F80::inf(true) || x.sig & F80::J == 0;
    binary!("fyl2xp1", -70, -2, defined, |e: &mut Env, x, y| x87::y_log2_plus_1(e, x, y));
}

/// Against true values that the manual or arithmetic gives.
#[test]
fn known_values() {
    let cw = 0x37f;
    let mut e = Env::new(cw);
    let pi = F80::new(false, 0x4000, 0xc90f_daa2_2168_c235);
    assert_eq!(x87::atan2(&mut e, F80::zero(false), F80::ONE.neg()), pi);
    assert!(e.raised.contains(Exceptions::PE));
    let mut e = Env::new(cw);
    assert_eq!(x87::y_log2(&mut e, x87::from_int(8), x87::from_int(5)), x87::from_int(15));
}

//! What the manual leaves to the processor, as an Intel Xeon (family 6, model 167) gave it: for hosts with
//! another CPU.
//!
//! `data/x87-intel.txt`: a line with an instruction, then its cases, all numbers hexadecimal: control word,
//! sign and exponent and significand of ST(0) and ST(1), `=`, status word (C0 to C3, TOP, exceptions; TOP was
//! 6), ST(0) and ST(1).

use lyrebird_fp::x86::sse;
use lyrebird_fp::x86::x87::{self, Env, F80};

/// Results in ST(0) and, where one is pushed, ST(1); `None` where C2 is set instead.
fn run(op: &str, e: &mut Env, a: F80, b: F80) -> Option<(F80, Option<F80>)> {
    let pushed = |(first, pushed)| (pushed, Some(first));
    Some(match op {
        "fprem" => (x87::remainder(e, a, b, false).value, None),
        "fprem1" => (x87::remainder(e, a, b, true).value, None),
        "fscale" => (x87::scale(e, a, b), None),
        "f2xm1" => (x87::exp2_minus_1(e, a), None),
        "fsin" => (x87::sin(e, a)?, None),
        "fcos" => (x87::cos(e, a)?, None),
        "fsincos" => pushed(x87::sin_cos(e, a)?),
        "fptan" => pushed(x87::tan(e, a)?),
        "fpatan" => (x87::atan2(e, b, a), None),
        "fyl2x" => (x87::y_log2(e, a, b), None),
        "fyl2xp1" => (x87::y_log2_plus_1(e, a, b), None),
        _ => panic!("unknown instruction {op}"),
    })
}

/// Whether two results are equal or neighbours.
fn close(a: F80, b: F80) -> bool {
    let key = |v: F80| ((v.exp().max(1) as i128) << 63) + v.sig as i128;
    a == b || a.sign() == b.sign() && (key(a) - key(b)).abs() <= 1
}

#[test]
fn fpu_results_are_those_of_intel() {
    const C1: u64 = 0x0200;
    const C2: u64 = 0x0400;
    let hex = |s: &str| u64::from_str_radix(s, 16).expect("a hexadecimal number");
    let (mut op, mut cases) = ("", 0);
    for line in include_str!("data/x87-intel.txt").lines() {
        if !line.starts_with(' ') {
            op = line;
            continue;
        }
        let n: Vec<u64> = line.split_whitespace().filter(|s| *s != "=").map(hex).collect();
        let f80 = |i: usize| F80 { se: n[i] as u16, sig: n[i + 1] };
        let (a, b, sw) = (f80(1), f80(3), n[5]);
        let mut e = Env::new(n[0] as u16);
        let result = run(op, &mut e, a, b);
        assert_eq!(e.status() as u64 & 0x3f, sw & 0x3f, "{op}{line}: exceptions");
        // The remainder and FSCALE are exact, so are their codes.
        let exact = matches!(op, "fprem" | "fprem1" | "fscale");
        match result {
            _ if e.blocked() => assert_eq!((a, b), (f80(6), f80(8)), "{op}{line}: changed"),
            None => assert!(sw & C2 != 0 && f80(6) == a, "{op}{line}: C2"),
            Some((first, second)) => {
                assert!(close(first, f80(6)), "{op}{line}: {first:x?}");
                assert!(first == f80(6) || !exact, "{op}{line}: {first:x?}");
                assert!(second.is_none_or(|s| close(s, f80(8))), "{op}{line}: {second:x?}");
            }
        }
        if exact {
            let codes = if op == "fscale" {
                e.status()
            } else {
                x87::remainder(&mut Env::new(n[0] as u16), a, b, op == "fprem1").codes
            };
            assert_eq!(codes as u64 & (C1 | C2 | 0x4100), sw & (C1 | C2 | 0x4100), "{op}{line}: codes");
        }
        cases += 1;
    }
    assert!(cases > 900, "{cases} cases");
}

#[test]
fn estimates_are_those_of_intel() {
    for (a, r, s) in [
        (0x0000_0001, 0x7f80_0000, 0x7f80_0000),
        (0x807f_ffff, 0xff80_0000, 0xff80_0000),
        (0x0080_0000, 0x7e7f_f000, 0x5eff_f000),
        (0x00ff_ffff, 0x7e00_0800, 0x5eb5_0800),
        (0x3f80_0000, 0x3f7f_f000, 0x3f7f_f000),
        (0x4000_0000, 0x3eff_f000, 0x3f34_f800),
        (0x7e7f_ffff, 0x0080_0800, 0x2000_0800),
        (0x7e80_0000, 0x0000_0000, 0x1fff_f000),
        (0x7f7f_ffff, 0x0000_0000, 0x1f80_0800),
        (0xff80_0000, 0x8000_0000, 0xffc0_0000),
        (0xff81_2345, 0xffc1_2345, 0xffc1_2345),
    ] {
        assert_eq!((sse::rcp(a), sse::rsqrt(a)), (r, s), "{a:x}");
    }
}

//! Results and exceptions of A64 instructions as `qemu-aarch64-static` 7.2 gives them: NaN propagation, flushing,
//! estimates, conversions with FPCR.{AHP,DN,FZ,RMode}.
//!
//! `data/aarch64.txt`: a line with an instruction and its formats, then its cases, all numbers hexadecimal:
//! FPCR bits 26 to 22, operands, `=`, result (NZCV of a comparison), FPSR.

use lyrebird_fp::{self as fp, Env, F16, F32, F64, Flags, Format, IntType, Ordering, Round};

const W: IntType = IntType { bits: 32, signed: true };
const UW: IntType = IntType { bits: 32, signed: false };

fn nzcv(o: Ordering) -> u64 {
    match o {
        Ordering::Less => 0b1000,
        Ordering::Equal => 0b0110,
        Ordering::Greater => 0b0010,
        Ordering::Unordered => 0b0011,
    }
}

/// An operation in one format.
fn run<F: Format>(op: &str, e: &mut Env, [a, b, c]: [F::Bits; 3]) -> Result<F::Bits, u64> {
    let mode = e.policy.round;
    Ok(match op {
        "fadd" => fp::add::<F>(e, a, b),
        "fsub" => fp::sub::<F>(e, a, b),
        "fmul" => fp::mul::<F>(e, a, b),
        "fdiv" => fp::div::<F>(e, a, b),
        "fmax" => fp::max::<F>(e, a, b),
        "fmin" => fp::min::<F>(e, a, b),
        "fmaxnm" => fp::max_num::<F>(e, a, b),
        "fminnm" => fp::min_num::<F>(e, a, b),
        "fmulx" => fp::mulx::<F>(e, a, b),
        "frecps" => fp::recip_step::<F>(e, a, b),
        "frsqrts" => fp::rsqrt_step::<F>(e, a, b),
        "fmadd" => fp::fma::<F>(e, c, a, b),
        "fsqrt" => fp::sqrt::<F>(e, a),
        "frecpe" => fp::recip_estimate::<F>(e, a),
        "frsqrte" => fp::rsqrt_estimate::<F>(e, a),
        "frecpx" => fp::recip_exponent::<F>(e, a),
        "frintx" => fp::round_int::<F>(e, a, mode, true),
        "fcmp" => return Err(nzcv(fp::compare::<F>(e, a, b, false))),
        "fcmpe" => return Err(nzcv(fp::compare::<F>(e, a, b, true))),
        "fcvtas" => return Err(fp::to_fixed::<F>(e, a, 0, W, Round::NearestAway)),
        "fcvtzu" => return Err(fp::to_fixed::<F>(e, a, 7, UW, Round::Zero)),
        _ => panic!("unknown operation {op}"),
    })
}

fn case(name: &str, e: &mut Env, ops: [u64; 3]) -> u64 {
    let (op, formats) = name.split_once('.').expect("a format");
    let (a, mode) = (ops[0], e.policy.round);
    match formats {
        "s" => run::<F32>(op, e, ops.map(|v| v as u32)).map_or_else(|v| v, u64::from),
        "d" => run::<F64>(op, e, ops).unwrap_or_else(|v| v),
        "ds" if op == "fcvtxn" => fp::convert::<F64, F32>(e, a, Round::Odd) as u64,
        "sd" => fp::convert::<F32, F64>(e, a as u32, mode),
        "sh" => fp::convert::<F32, F16>(e, a as u32, mode) as u64,
        "ds" => fp::convert::<F64, F32>(e, a, mode) as u64,
        "dh" => fp::convert::<F64, F16>(e, a, mode) as u64,
        "hs" => fp::convert::<F16, F32>(e, a as u16, mode) as u64,
        "hd" => fp::convert::<F16, F64>(e, a as u16, mode),
        _ => panic!("unknown formats in {name}"),
    }
}

#[test]
fn results_are_those_of_an_aarch64() {
    let hex = |s: &str| u64::from_str_radix(s, 16).expect("a hexadecimal number");
    let (mut name, mut cases) = ("", 0);
    for line in include_str!("data/aarch64.txt").lines() {
        if !line.starts_with(' ') {
            name = line;
            continue;
        }
        let (input, output) = line.split_once('=').expect("a result");
        let input: Vec<u64> = input.split_whitespace().map(hex).collect();
        let output: Vec<u64> = output.split_whitespace().map(hex).collect();
        let mut ops = [0; 3];
        ops[..input.len() - 1].copy_from_slice(&input[1..]);
        // Once as it is, once with the inexact flag set, which lets host arithmetic in.
        for before in [Flags(0), Flags::INEXACT] {
            let mut e = Env::arm(input[0] << 22, before.0 as u64);
            let got = case(name, &mut e, ops);
            assert_eq!(got, output[0], "{name}{line}: got {got:x}");
            let want = output[1] as u32 | before.0;
            assert_eq!(e.flags.0, want, "{name}{line}: got flags {:x}", e.flags.0);
        }
        cases += 1;
    }
    assert!(cases > 1000, "{cases} cases");
}

/// Every operand of the integer estimates with a different leading part, against the definition in real numbers:
/// the estimate is within 1/256 of the reciprocal (Arm ARM, `UnsignedRecipEstimate`).
#[test]
fn integer_estimates_are_close() {
    for top in 0..512u32 {
        let a = top << 23;
        let x = (a as f64 + (1 << 22) as f64) / 2f64.powi(32);
        let scaled = |r: u32| r as f64 / 2f64.powi(31);
        if top < 256 {
            assert_eq!(fp::u32_recip_estimate(a), u32::MAX);
        } else {
            assert!((scaled(fp::u32_recip_estimate(a)) - 1.0 / x).abs() < 1.0 / 256.0, "{a:x}");
        }
        if top < 128 {
            assert_eq!(fp::u32_rsqrt_estimate(a), u32::MAX);
        } else {
            assert!((scaled(fp::u32_rsqrt_estimate(a)) - 1.0 / x.sqrt()).abs() < 1.0 / 256.0, "{a:x}");
        }
    }
}

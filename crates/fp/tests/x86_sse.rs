//! SSE, F16C and FMA against the host CPU: results and exceptions, in every rounding mode, with DAZ and FTZ,
//! masked and unmasked.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::arch::asm;
use std::ffi::c_int;
use std::sync::Once;

use common::Rng;
use lyrebird_fp::x86::sse::{self, Env, Fma};
use lyrebird_fp::{F16, F32, F64, Ordering};

/// What goes in and out of an instruction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Io {
    /// xmm0, xmm1, xmm2.
    ops: [[u64; 2]; 3],
    /// xmm0, or rax, afterwards.
    out: [u64; 2],
    rax: u64,
    mxcsr: u32,
    mxcsr_out: u32,
    saved: u32,
    /// Whether it faulted.
    fault: u32,
}

/// The part of glibc's `struct sigaction` that matters.
#[repr(C)]
struct SigAction {
    handler: usize,
    mask: [u64; 16],
    flags: c_int,
    restorer: usize,
}

unsafe extern "C" {
    fn sigaction(signal: c_int, new: *const SigAction, old: *mut SigAction) -> c_int;
}

/// Leaves the instruction that faulted, with everything masked, for the address in rdx; says so in r8.
///
/// # Safety
/// Called by the kernel, for a fault in [`on_host`].
unsafe extern "C" fn on_fault(_signal: c_int, _info: *const u8, context: *mut u8) {
    // `ucontext_t`: gregs at 40, of which r8 is 0, rdx 12, rip 16; fpregs at 224, in which MXCSR is at 24.
    // SAFETY: the kernel's layout.
    unsafe {
        let gregs = context.add(40).cast::<u64>();
        *gregs = 1;
        *gregs.add(16) = *gregs.add(12);
        let fpregs = *context.add(224).cast::<*mut u8>();
        *fpregs.add(24).cast::<u32>() |= 0x1f80;
    }
}

fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: SA_SIGINFO, and the handler takes that signature. SIGFPE is 8.
    ONCE.call_once(|| unsafe {
        let handler = on_fault as unsafe extern "C" fn(c_int, *const u8, *mut u8);
        let new = SigAction { handler: handler as usize, mask: [0; 16], flags: 4, restorer: 0 };
        assert_eq!(sigaction(8, &new, std::ptr::null_mut()), 0);
    });
}

/// Runs an instruction on xmm0, xmm1 and xmm2.
macro_rules! on_host {
    ($io:ident, $insn:expr) => {
        // SAFETY: all that changes is declared; a fault comes back to label 2.
        unsafe {
            asm!(
                "stmxcsr [rdi + 80]",
                "movups xmm0, [rdi]",
                "movups xmm1, [rdi + 16]",
                "movups xmm2, [rdi + 32]",
                "lea rdx, [rip + 2f]",
                "xor r8d, r8d",
                "xor eax, eax",
                "ldmxcsr [rdi + 72]",
                $insn,
                "2:",
                "stmxcsr [rdi + 76]",
                "movups [rdi + 48], xmm0",
                "mov [rdi + 64], rax",
                "mov [rdi + 84], r8d",
                "ldmxcsr [rdi + 80]",
                in("rdi") &mut $io,
                out("xmm0") _, out("xmm1") _, out("xmm2") _,
                out("rdx") _, out("r8") _, out("rax") _,
                options(nostack),
            );
        }
    };
}

/// A random MXCSR: masked for the most part, status flags empty or full.
fn mxcsr(g: &mut Rng) -> u32 {
    let r = g.next() as u32;
    let masks = if r & 0x3f0000 != 0 { 0x1f80 } else { r & 0x1f80 };
    let sticky = if r & 1 << 22 != 0 { 0x3f } else { 0 };
    r & 0xe040 | masks | sticky
}

fn check<T: PartialEq + std::fmt::LowerHex>(what: &str, io: &Io, e: &Env, got: T, want: T) {
    let (m, fault) = e.retire(io.mxcsr);
    let at = || format!("{what} {:x?} mxcsr {:x}", io.ops.map(|v| v[0]), io.mxcsr);
    assert_eq!(fault, io.fault != 0, "{}: fault; host mxcsr {:x}, ours {m:x}", at(), io.mxcsr_out);
    assert_eq!(m & 0x3f, io.mxcsr_out & 0x3f, "{}: flags; got {got:x}, host {want:x}", at());
    if !fault {
        assert!(got == want, "{}: got {got:x}, host {want:x}", at());
    }
}

/// One instruction on random operands of a format, whose result is in xmm0 or rax.
macro_rules! case {
    ($g:ident, $n:expr, $insn:expr, $bits:ty, $exp:literal, $frac:literal, $field:ident => $out:ty, $ours:expr) => {{
        let ours = $ours;
        for _ in 0..$n {
            let [a, b, c] = [0; 3].map(|_: u8| $g.float($exp, $frac));
            // Equal operands and neighbours, too.
            let b = match $g.next() & 15 {
                0 => a,
                1 => a ^ 1 << ($exp + $frac),
                2 => a ^ 1,
                _ => b,
            };
            let mut io = Io { ops: [[a, 0], [b, 0], [c, 0]], mxcsr: mxcsr(&mut $g), ..Io::default() };
            on_host!(io, $insn);
            let mut e = Env::new(io.mxcsr);
            let got: $out = ours(&mut e, a as $bits, b as $bits, c as $bits);
            check($insn, &io, &e, got, case!(@ $field io) as $out);
        }
    }};
    (@ xmm $io:ident) => { $io.out[0] };
    (@ rax $io:ident) => { $io.rax };
}

/// A macro for each immediate.
macro_rules! each {
    ($m:ident: $($imm:literal)*) => { $( $m!($imm); )* };
}

const N: u32 = 40_000;

macro_rules! format_tests {
    ($name:ident, $F:ty, $bits:ty, $exp:literal, $frac:literal, $s:literal) => {
        mod $name {
            use super::*;

            macro_rules! op {
                ($g:ident, $insn:expr, $ours:expr) => {
                    case!($g, N, $insn, $bits, $exp, $frac, xmm => $bits, $ours)
                };
            }

            #[test]
            fn arithmetic() {
                install();
                let mut g = Rng(1);
                op!(g, concat!("adds", $s, " xmm0, xmm1"), |e: &mut Env, a, b, _| sse::add::<$F>(e, a, b));
                op!(g, concat!("subs", $s, " xmm0, xmm1"), |e: &mut Env, a, b, _| sse::sub::<$F>(e, a, b));
                op!(g, concat!("muls", $s, " xmm0, xmm1"), |e: &mut Env, a, b, _| sse::mul::<$F>(e, a, b));
                op!(g, concat!("divs", $s, " xmm0, xmm1"), |e: &mut Env, a, b, _| sse::div::<$F>(e, a, b));
                op!(g, concat!("mins", $s, " xmm0, xmm1"), |e: &mut Env, a, b, _| sse::min::<$F>(e, a, b));
                op!(g, concat!("maxs", $s, " xmm0, xmm1"), |e: &mut Env, a, b, _| sse::max::<$F>(e, a, b));
                op!(g, concat!("sqrts", $s, " xmm0, xmm1"), |e: &mut Env, _, b, _| sse::sqrt::<$F>(e, b));
            }

            #[test]
            fn fused() {
                if !std::is_x86_feature_detected!("fma") {
                    eprintln!("skipped: the host has no FMA");
                    return;
                }
                install();
                let mut g = Rng(2);
                macro_rules! fma {
                    ($kind:expr, $op:literal) => {
                        op!(g, concat!($op, "132s", $s, " xmm0, xmm1, xmm2"), |e: &mut Env, a, b, c| {
                            sse::fma::<$F>(e, $kind, a, c, b)
                        });
                        op!(g, concat!($op, "213s", $s, " xmm0, xmm1, xmm2"), |e: &mut Env, a, b, c| {
                            sse::fma::<$F>(e, $kind, b, a, c)
                        });
                        op!(g, concat!($op, "231s", $s, " xmm0, xmm1, xmm2"), |e: &mut Env, a, b, c| {
                            sse::fma::<$F>(e, $kind, b, c, a)
                        });
                    };
                }
                fma!(Fma::MADD, "vfmadd");
                fma!(Fma::MSUB, "vfmsub");
                fma!(Fma::NMADD, "vfnmadd");
                fma!(Fma::NMSUB, "vfnmsub");
            }

            #[test]
            fn comparison() {
                install();
                let mut g = Rng(3);
                // ZF, PF, CF: bits 6, 2, 0.
                let eflags = |o| match o {
                    Ordering::Less => 0x01u32,
                    Ordering::Equal => 0x40,
                    Ordering::Greater => 0,
                    Ordering::Unordered => 0x45,
                };
                case!(g, N, concat!("xor eax, eax; ucomis", $s, " xmm0, xmm1; lahf; shr eax, 8; and eax, 0x45"),
                    $bits, $exp, $frac, rax => u32,
                    |e: &mut Env, a, b, _| eflags(sse::compare::<$F>(e, a, b, false)));
                case!(g, N, concat!("xor eax, eax; comis", $s, " xmm0, xmm1; lahf; shr eax, 8; and eax, 0x45"),
                    $bits, $exp, $frac, rax => u32,
                    |e: &mut Env, a, b, _| eflags(sse::compare::<$F>(e, a, b, true)));
                if !std::is_x86_feature_detected!("avx") {
                    eprintln!("skipped in part: the host has no AVX");
                    return;
                }
                macro_rules! cmp {
                    ($imm:literal) => {
                        op!(g, concat!("vcmps", $s, " xmm0, xmm0, xmm1, ", $imm), |e: &mut Env, a, b, _| {
                            if sse::cmp::<$F>(e, a, b, $imm) { <$bits>::MAX } else { 0 }
                        })
                    };
                }
                each!(cmp: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                each!(cmp: 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
            }

            #[test]
            fn integers() {
                install();
                let mut g = Rng(4);
                use lyrebird_fp::Round::Zero;
                case!(g, N, concat!("cvts", $s, "2si eax, xmm0"), $bits, $exp, $frac, rax => u64,
                    |e: &mut Env, a, _, _| { let m = e.round; sse::to_int::<$F>(e, a, 32, m) });
                case!(g, N, concat!("cvts", $s, "2si rax, xmm0"), $bits, $exp, $frac, rax => u64,
                    |e: &mut Env, a, _, _| { let m = e.round; sse::to_int::<$F>(e, a, 64, m) });
                case!(g, N, concat!("cvtts", $s, "2si eax, xmm0"), $bits, $exp, $frac, rax => u64,
                    |e: &mut Env, a, _, _| sse::to_int::<$F>(e, a, 32, Zero));
                case!(g, N, concat!("cvtts", $s, "2si rax, xmm0"), $bits, $exp, $frac, rax => u64,
                    |e: &mut Env, a, _, _| sse::to_int::<$F>(e, a, 64, Zero));
                for _ in 0..N {
                    let v = (g.next() as i64 >> (g.next() & 63)) ^ (g.next() & 1) as i64;
                    let mut io = Io { ops: [[0; 2], [v as u64, 0], [0; 2]], mxcsr: mxcsr(&mut g), ..Io::default() };
                    on_host!(io, concat!("movq rax, xmm1; cvtsi2s", $s, " xmm0, rax"));
                    let mut e = Env::new(io.mxcsr);
                    let got = sse::from_int::<$F>(&mut e, v);
                    check("cvtsi2s", &io, &e, got, io.out[0] as $bits);
                    io = Io { mxcsr: io.mxcsr, ops: io.ops, ..Io::default() };
                    on_host!(io, concat!("movq rax, xmm1; cvtsi2s", $s, " xmm0, eax"));
                    let mut e = Env::new(io.mxcsr);
                    let got = sse::from_int::<$F>(&mut e, v as i32 as i64);
                    check("cvtsi2s 32", &io, &e, got, io.out[0] as $bits);
                }
                macro_rules! round {
                    ($imm:literal) => {
                        op!(g, concat!("rounds", $s, " xmm0, xmm1, ", $imm), |e: &mut Env, _, b, _| {
                            sse::round_int::<$F>(e, b, $imm)
                        })
                    };
                }
                each!(round: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            }
        }
    };
}

format_tests!(single, F32, u32, 8, 23, "s");
format_tests!(double, F64, u64, 11, 52, "d");

#[test]
fn formats() {
    install();
    let mut g = Rng(5);
    let n = 4 * N;
    case!(g, n, "cvtss2sd xmm0, xmm1", u32, 8, 23, xmm => u64,
        |e: &mut Env, _, b, _| { let m = e.round; sse::convert::<F32, F64>(e, b, m) });
    case!(g, n, "cvtsd2ss xmm0, xmm1", u64, 11, 52, xmm => u32,
        |e: &mut Env, _, b, _| { let m = e.round; sse::convert::<F64, F32>(e, b, m) });
    if !std::is_x86_feature_detected!("f16c") {
        eprintln!("skipped in part: the host has no F16C");
        return;
    }
    case!(g, n, "vcvtph2ps xmm0, xmm1", u16, 5, 10, xmm => u32,
        |e: &mut Env, _, b, _| { let m = e.round; sse::convert::<F16, F32>(e, b, m) });
    use lyrebird_fp::Round;
    // Upper elements are zeros.
    case!(g, n, "vcvtps2ph xmm0, xmm1, 4", u32, 8, 23, xmm => u16,
        |e: &mut Env, _, b, _| { let m = e.round; sse::convert::<F32, F16>(e, b, m) });
    case!(g, n, "vcvtps2ph xmm0, xmm1, 2", u32, 8, 23, xmm => u16,
        |e: &mut Env, _, b, _| sse::convert::<F32, F16>(e, b, Round::Up));
}

/// Two elements: exceptions found before computation, unmasked, hide those of other elements found after it.
#[test]
fn packed() {
    install();
    let mut g = Rng(6);
    macro_rules! two {
        ($insn:expr, $op:path) => {
            for _ in 0..N {
                let [a, b, c, d] = [0; 4].map(|_: u8| g.float(11, 52));
                let m = mxcsr(&mut g) & !0x1f80 | g.next() as u32 & 0x1f80;
                let mut io = Io { ops: [[a, b], [c, d], [0; 2]], mxcsr: m, ..Io::default() };
                on_host!(io, $insn);
                let mut e = Env::new(m);
                let got = [$op(&mut e, a, c), $op(&mut e, b, d)];
                check($insn, &io, &e, got[0], io.out[0]);
                check(
                    $insn,
                    &io,
                    &e,
                    if io.fault == 0 { got[1] } else { 0 },
                    if io.fault == 0 { io.out[1] } else { 0 },
                );
            }
        };
    }
    two!("addpd xmm0, xmm1", sse::add::<F64>);
    two!("mulpd xmm0, xmm1", sse::mul::<F64>);
    two!("divpd xmm0, xmm1", sse::div::<F64>);
    fn round(e: &mut Env, _: u64, b: u64) -> u64 {
        sse::round_int::<F64>(e, b, 4)
    }
    two!("roundpd xmm0, xmm1, 4", round);
}

/// RCPPS and RSQRTPS are tables of the vendor.
#[test]
fn estimates() {
    let mut g = Rng(7);
    // SAFETY: CPUID exists.
    let intel = std::arch::x86_64::__cpuid(0).ecx == u32::from_le_bytes(*b"ntel");
    let test = |a: u32| {
        let mut io = Io { ops: [[0; 2], [a as u64, 0], [0; 2]], mxcsr: 0x1f80, ..Io::default() };
        on_host!(io, "rcpss xmm0, xmm1");
        let (r, host) = (sse::rcp(a), io.out[0] as u32);
        assert!(r == host || !intel, "rcp {a:x}: {r:x}, host {host:x}");
        on_host!(io, "rsqrtss xmm0, xmm1");
        let (s, host) = (sse::rsqrt(a), io.out[0] as u32);
        assert!(s == host || !intel, "rsqrt {a:x}: {s:x}, host {host:x}");
        // The documented error.
        let x = f32::from_bits(a) as f64;
        if f32::from_bits(a).is_normal() && x.abs() < 2f64.powi(126) {
            assert!((f32::from_bits(r) as f64 * x - 1.0).abs() <= 1.5 / 4096.0, "{a:x}");
            if x > 0.0 {
                assert!((f32::from_bits(s) as f64 * x.sqrt() - 1.0).abs() <= 1.5 / 4096.0, "{a:x}");
            }
        }
    };
    for i in 0..1 << 16 {
        test(i << 16 | g.next() as u32 & 0xffff);
        test(g.float(8, 23) as u32);
        test(0x3f80_0000 + (i << 9));
    }
}

//! What is not transcendental: to the bit.

use lyrebird_fp::x86::x87::{self, Constant, Env, F80};
use lyrebird_fp::{F32, F64, Ordering, Round};

use crate::common::Rng;
use crate::host::{CODES, Io, is_intel, on_host};

/// A random value: every class and every edge, exponents often near that of `near` or of another format's
/// limits.
fn f80(g: &mut Rng, near: u16) -> F80 {
    let r = g.next();
    let frac = match r & 7 {
        0 => 0,
        1 => u64::MAX >> 1,
        2 => 1 << (r >> 8 & 63) >> 1,
        3 => u64::MAX << (r >> 8 & 63),
        4 => u64::MAX << 40 | 1 << 39 | (r >> 8 & 1),
        5 => g.next() & u64::MAX << (r >> 8 & 63),
        _ => g.next(),
    };
    let around = |m: u16| m.wrapping_add((r >> 16) as u16 % 131).wrapping_sub(65) & 0x7fff;
    let exp = match r >> 3 & 15 {
        0 => 0,
        1 => [1, 2, 0x7ffe, 0x7fff, 0x7fff, 0x3fff][(r >> 16) as usize % 6],
        2..6 => 0x3fff - 4 + (r >> 16) as u16 % 9,
        6..8 => around(near),
        8 => around(0x3fff + 64),
        9 => around(0x3fff),
        10 => around(0x3fff - 150 + 300 * (r >> 40 & 1) as u16),
        11 => around(0x3fff - 1050 + 2080 * (r >> 40 & 1) as u16),
        12 => around(0x1fff),
        13 => around(0x7fff_u16.wrapping_mul((r >> 40) as u16 & 1)),
        _ => g.next() as u16 & 0x7fff,
    };
    // One in 32 is unsupported or pseudo-denormal.
    let j = (exp != 0) != (r >> 32 & 31 == 0);
    F80::new(r >> 63 != 0, exp, frac & !F80::J | (j as u64) << 63)
}

/// A random control word: masked for the most part.
fn cw(g: &mut Rng) -> u16 {
    let r = g.next() as u16;
    let masks = if g.next() & 3 != 0 { 0x3f } else { r & 0x3f };
    r & 0xf00 | 0x40 | masks
}

fn pair(g: &mut Rng) -> (u16, F80, F80) {
    let a = f80(g, 0x3fff);
    let b = match g.next() & 31 {
        0 => a,
        1 => a.neg(),
        2 => F80 { sig: a.sig ^ 1, ..a },
        _ => f80(g, a.exp()),
    };
    (cw(g), a, b)
}

fn check(what: &str, io: &Io, e: &Env, got: F80, codes: u16) {
    let [a, b] = io.operands();
    let at = || format!("{what} {a:x?} {b:x?} mem {:x} cw {:x}", io.mem(), io.cw);
    let want = io.st(0);
    let (sw, host) = (e.retire(0) | codes, io.sw() & (0x80bf | Env::C1 | CODES));
    assert_eq!(sw, host, "{}: status word {sw:x}, host {host:x}; got {got:x?}, host {want:x?}", at());
    if !e.blocked() {
        assert_eq!(got, want, "{}: got {got:x?}, host {want:x?}", at());
    } else {
        assert_eq!(a, want, "{}: ST(0) changed: {want:x?}, ours {got:x?}", at());
    }
}

macro_rules! binary {
    ($g:ident, $n:expr, $insn:expr, $ours:expr) => {
        for _ in 0..$n {
            let (cw, a, b) = pair(&mut $g);
            let mut io = Io::new(cw, a, b);
            on_host!(io, $insn);
            let mut e = Env::new(cw);
            let got = $ours(&mut e, a, b);
            check($insn, &io, &e, got, 0);
        }
    };
}

const N: u32 = 100_000;

#[test]
fn arithmetic() {
    let mut g = Rng(1);
    binary!(g, N, "fadd st, st(1)", x87::add);
    binary!(g, N, "fsub st, st(1)", x87::sub);
    binary!(g, N, "fmul st, st(1)", x87::mul);
    binary!(g, N, "fdiv st, st(1)", x87::div);
    binary!(g, N, "fdivr st, st(1)", |e: &mut Env, a, b| x87::div(e, b, a));
    binary!(g, N, "fsqrt", |e: &mut Env, a, _| x87::sqrt(e, a));
}

#[test]
fn scaling() {
    let mut g = Rng(2);
    binary!(g, N, "frndint", |e: &mut Env, a, _| x87::round_int(e, a));
    binary!(g, N, "fscale", x87::scale);
    binary!(g, N, "fabs", |_: &mut Env, a: F80, _| a.abs());
    binary!(g, N, "fchs", |_: &mut Env, a: F80, _| a.neg());
    for _ in 0..N {
        let (cw, a, b) = pair(&mut g);
        let mut io = Io::new(cw, a, b);
        on_host!(io, "fxtract");
        let mut e = Env::new(cw);
        let (exp, sig) = x87::extract(&mut e, a);
        check("fxtract", &io, &e, sig, 0);
        if !e.blocked() {
            assert_eq!((io.popped(), io.st(1)), (-1, exp), "fxtract {a:x?}");
        }
    }
}

#[test]
fn remainders() {
    if !is_intel() {
        return;
    }
    let mut g = Rng(3);
    for i in 0..2 * N {
        let (cw, a, b) = pair(&mut g);
        let mut io = Io::new(cw, a, b);
        if i & 1 == 0 {
            on_host!(io, "fprem");
        } else {
            on_host!(io, "fprem1");
        }
        let mut e = Env::new(cw);
        let r = x87::remainder(&mut e, a, b, i & 1 != 0);
        check(if i & 1 == 0 { "fprem" } else { "fprem1" }, &io, &e, r.value, r.codes);
    }
}

#[test]
fn comparison() {
    let mut g = Rng(4);
    let codes = |o| match o {
        Ordering::Less => 0x0100,
        Ordering::Equal => 0x4000,
        Ordering::Greater => 0,
        Ordering::Unordered => 0x4500,
    };
    macro_rules! compare {
        ($insn:expr, $ours:expr) => {
            for _ in 0..N {
                let (cw, a, b) = pair(&mut g);
                let mut io = Io::new(cw, a, b);
                on_host!(io, $insn);
                let mut e = Env::new(cw);
                let o: Ordering = $ours(&mut e, a, b);
                check($insn, &io, &e, a, codes(o));
            }
        };
    }
    compare!("fcom st(1)", |e: &mut Env, a, b| x87::compare(e, a, b, true));
    compare!("fucom st(1)", |e: &mut Env, a, b| x87::compare(e, a, b, false));
    compare!("ftst", |e: &mut Env, a, _| x87::compare(e, a, F80::zero(false), true));
    for _ in 0..N {
        let (cw, a, b) = pair(&mut g);
        let mut io = Io::new(cw, a, b);
        on_host!(io, "fxam");
        check("fxam", &io, &Env::new(cw), a, x87::examine(a));
    }
}

/// Loads, and memory operands of arithmetic and comparison.
#[test]
fn memory_operands() {
    let mut g = Rng(5);
    macro_rules! memory {
        ($insn:expr, $exp:literal, $frac:literal, $bits:ty, $ours:expr) => {
            for _ in 0..N {
                let (cw, a, b) = pair(&mut g);
                let mut io = Io::new(cw, a, b);
                let m = g.float($exp, $frac);
                io.mem[..8].copy_from_slice(&m.to_le_bytes());
                on_host!(io, $insn);
                let mut e = Env::new(cw);
                let got: F80 = $ours(&mut e, a, m as $bits);
                check($insn, &io, &e, got, 0);
            }
        };
    }
    memory!("fadd dword ptr [rdi + 32]", 8, 23, u32, |e: &mut Env, a, m| {
        let m = x87::extend::<F32>(e, m);
        x87::add(e, a, m)
    });
    memory!("fdiv qword ptr [rdi + 32]", 11, 52, u64, |e: &mut Env, a, m| {
        let m = x87::extend::<F64>(e, m);
        x87::div(e, a, m)
    });
    memory!("fidiv word ptr [rdi + 32]", 11, 52, u16, |e: &mut Env, a, m| x87::div(
        e,
        a,
        x87::from_int(m as i16 as i64)
    ));
    for _ in 0..N {
        let (cw, a, b) = pair(&mut g);
        let mut io = Io::new(cw, a, b);
        let v = (g.next() as i64) >> (g.next() & 63);
        io.mem[..8].copy_from_slice(&v.to_le_bytes());
        on_host!(io, "fild qword ptr [rdi + 32]");
        check("fild", &io, &Env::new(cw), x87::from_int(v), 0);
        let mut bcd = [0u8; 10];
        for d in &mut bcd[..9] {
            let r = g.next();
            *d = ((r % 10) | (((r >> 8) % 10) << 4)) as u8 & ((r >> 16 & 1) as u8).wrapping_neg();
        }
        bcd[9] = g.next() as u8;
        io = Io::new(cw, a, b);
        io.mem[..10].copy_from_slice(&bcd);
        on_host!(io, "fbld tbyte ptr [rdi + 32]");
        check("fbld", &io, &Env::new(cw), x87::from_bcd(bcd), 0);
    }
}

/// Loads push, unless an unmasked exception keeps them from it.
#[test]
fn loads() {
    let mut g = Rng(7);
    macro_rules! load {
        ($insn:expr, $exp:literal, $frac:literal, $ours:expr) => {
            for _ in 0..N {
                let (cw, a, b) = pair(&mut g);
                let mut io = Io::new(cw, a, b);
                let m = g.float($exp, $frac);
                io.mem[..8].copy_from_slice(&m.to_le_bytes());
                on_host!(io, $insn);
                let mut e = Env::new(cw);
                let got: F80 = $ours(&mut e, m);
                let what =
                    || format!("{} {m:x} cw {cw:x}: {got:x?}, host {:x?} sw {:x}", $insn, io.st(0), io.sw());
                assert_eq!(e.load_blocked(), io.popped() == 0, "{}: blocked", what());
                assert_eq!(e.retire(0), io.sw() & (0x80bf | Env::C1), "{}", what());
                if !e.load_blocked() {
                    assert_eq!(got, io.st(0), "{}", what());
                }
            }
        };
    }
    load!("fld dword ptr [rdi + 32]", 8, 23, |e: &mut Env, m| x87::load::<F32>(e, m as u32));
    load!("fld qword ptr [rdi + 32]", 11, 52, |e: &mut Env, m| x87::load::<F64>(e, m));
}

/// Stores, which pop where they store.
#[test]
fn stores() {
    let mut g = Rng(6);
    macro_rules! store {
        ($insn:expr, $size:literal, $ours:expr) => {
            for _ in 0..N {
                let (cw, a, b) = pair(&mut g);
                let mut io = Io::new(cw, a, b);
                io.mem = [0xa5; 16];
                on_host!(io, $insn);
                let mut e = Env::new(cw);
                let got: [u8; 16] = $ours(&mut e, a);
                let (sw, host) = (e.retire(0), io.sw() & (0x80bf | Env::C1));
                let what = || format!("{} {a:x?} cw {cw:x}: got {got:x?}, host {:x?}", $insn, io.mem);
                assert_eq!(e.store_blocked(), io.popped() == 0, "{}: blocked", what());
                assert_eq!(sw, host, "{}: status word {sw:x}, host {host:x}", what());
                if !e.store_blocked() {
                    assert_eq!(got[..$size], io.mem[..$size], "{}", what());
                }
            }
        };
    }
    let wide = |v: u64| {
        let mut b = [0; 16];
        b[..8].copy_from_slice(&v.to_le_bytes());
        b
    };
    store!("fstp dword ptr [rdi + 32]", 4, |e: &mut Env, a| wide(x87::store::<F32>(e, a) as u64));
    store!("fstp qword ptr [rdi + 32]", 8, |e: &mut Env, a| wide(x87::store::<F64>(e, a)));
    macro_rules! int {
        ($insn:expr, $bits:literal, $size:literal, $mode:expr) => {
            store!($insn, $size, |e: &mut Env, a| {
                let mode = $mode.unwrap_or(e.round);
                wide(x87::to_int(e, a, $bits, mode))
            })
        };
    }
    int!("fistp word ptr [rdi + 32]", 16, 2, None);
    int!("fistp dword ptr [rdi + 32]", 32, 4, None);
    int!("fistp qword ptr [rdi + 32]", 64, 8, None);
    int!("fisttp word ptr [rdi + 32]", 16, 2, Some(Round::Zero));
    int!("fisttp dword ptr [rdi + 32]", 32, 4, Some(Round::Zero));
    int!("fisttp qword ptr [rdi + 32]", 64, 8, Some(Round::Zero));
    store!("fbstp tbyte ptr [rdi + 32]", 10, |e: &mut Env, a| {
        let mut b = [0; 16];
        b[..10].copy_from_slice(&x87::to_bcd(e, a));
        b
    });
}

#[test]
fn constants() {
    macro_rules! constant {
        ($insn:expr, $c:expr) => {
            for rc in 0..4 {
                let cw = 0x37f & !0xc00 | rc << 10;
                let mut io = Io::new(cw, F80::ONE, F80::ONE);
                on_host!(io, $insn);
                check($insn, &io, &Env::new(cw), $c.value(Env::new(cw).round), 0);
            }
        };
    }
    constant!("fld1", Constant::One);
    constant!("fldz", Constant::Zero);
    constant!("fldpi", Constant::Pi);
    constant!("fldl2t", Constant::Log2Ten);
    constant!("fldl2e", Constant::Log2E);
    constant!("fldlg2", Constant::Log10Two);
    constant!("fldln2", Constant::LnTwo);
}

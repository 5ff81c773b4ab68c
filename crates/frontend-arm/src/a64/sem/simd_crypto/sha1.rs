//! SHA1C, SHA1P, SHA1M, SHA1H, SHA1SU0, SHA1SU1: C7.2.284 to C7.2.289 (FIPS 180-4).

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Ops, get, set};

/// The four words of a register, least significant first.
pub fn words(v: u128) -> [u32; 4] {
    [v as u32, (v >> 32) as u32, (v >> 64) as u32, (v >> 96) as u32]
}

/// The register of four words.
pub fn vector(w: [u32; 4]) -> u128 {
    w[0] as u128 | (w[1] as u128) << 32 | (w[2] as u128) << 64 | (w[3] as u128) << 96
}

fn choose(b: u32, c: u32, d: u32) -> u32 {
    (b & (c ^ d)) ^ d
}

fn parity(b: u32, c: u32, d: u32) -> u32 {
    b ^ c ^ d
}

fn majority(b: u32, c: u32, d: u32) -> u32 {
    b & c | (b | c) & d
}

/// Four rounds: a to d in Rd, e in Rn, the scheduled words in Rm.
#[inline(always)]
fn rounds(cpu: &mut ArmCpu, ops: u64, f: fn(u32, u32, u32) -> u32) -> u64 {
    let ops = Ops(ops);
    let [mut a, mut b, mut c, mut d] = words(get(cpu, ops.d()));
    let mut e = get(cpu, ops.n()) as u32;
    for w in words(get(cpu, ops.m())) {
        let t = a.rotate_left(5).wrapping_add(f(b, c, d)).wrapping_add(e).wrapping_add(w);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, t);
    }
    set(cpu, ops.d(), vector([a, b, c, d]));
    0
}

extern "C" fn rounds_c(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    rounds(cpu, ops, choose)
}

extern "C" fn rounds_p(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    rounds(cpu, ops, parity)
}

extern "C" fn rounds_m(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    rounds(cpu, ops, majority)
}

extern "C" fn fixed_rotate(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let r = (get(cpu, ops.n()) as u32).rotate_left(30);
    set(cpu, ops.d(), r as u128);
    0
}

extern "C" fn schedule_0(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (d, n, m) = (get(cpu, ops.d()), get(cpu, ops.n()), get(cpu, ops.m()));
    set(cpu, ops.d(), (d >> 64 | n << 64) ^ d ^ m);
    0
}

extern "C" fn schedule_1(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let mut t = words(get(cpu, ops.d()) ^ get(cpu, ops.n()) >> 32).map(|w| w.rotate_left(1));
    // The last word depends on the first of this very schedule.
    t[3] ^= t[0].rotate_left(1);
    set(cpu, ops.d(), vector(t));
    0
}

super::constructors! {
    /// Constructor of SHA1C.
    sha1c = "sha1c", rounds_c;
    /// Constructor of SHA1P.
    sha1p = "sha1p", rounds_p;
    /// Constructor of SHA1M.
    sha1m = "sha1m", rounds_m;
    /// Constructor of SHA1H.
    sha1h = "sha1h", fixed_rotate;
    /// Constructor of SHA1SU0.
    sha1su0 = "sha1su0", schedule_0;
    /// Constructor of SHA1SU1.
    sha1su1 = "sha1su1", schedule_1;
}

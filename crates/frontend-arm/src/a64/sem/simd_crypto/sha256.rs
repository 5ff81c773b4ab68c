//! SHA256H, SHA256H2, SHA256SU0, SHA256SU1: C7.2.290 to C7.2.293 (FIPS 180-4).

use super::sha1::{vector, words};
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Ops, get, set};

/// Four rounds on `abcd` and `efgh`; both after them.
fn rounds(abcd: u128, efgh: u128, w: u128) -> (u128, u128) {
    let [mut a, mut b, mut c, mut d] = words(abcd);
    let [mut e, mut f, mut g, mut h] = words(efgh);
    for w in words(w) {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let t1 = h.wrapping_add(s1).wrapping_add((e & f) ^ (!e & g)).wrapping_add(w);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t2 = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        (h, g, f, e) = (g, f, e, d.wrapping_add(t1));
        (d, c, b, a) = (c, b, a, t1.wrapping_add(t2));
    }
    (vector([a, b, c, d]), vector([e, f, g, h]))
}

extern "C" fn hash(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (abcd, _) = rounds(get(cpu, ops.d()), get(cpu, ops.n()), get(cpu, ops.m()));
    set(cpu, ops.d(), abcd);
    0
}

/// The second part has the halves of the state the other way round.
extern "C" fn hash_2(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (_, efgh) = rounds(get(cpu, ops.n()), get(cpu, ops.d()), get(cpu, ops.m()));
    set(cpu, ops.d(), efgh);
    0
}

extern "C" fn schedule_0(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (d, n) = (words(get(cpu, ops.d())), words(get(cpu, ops.n())));
    let next = [d[1], d[2], d[3], n[0]];
    let mut r = d;
    for (r, x) in r.iter_mut().zip(next) {
        *r = r.wrapping_add(x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3);
    }
    set(cpu, ops.d(), vector(r));
    0
}

extern "C" fn schedule_1(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (d, n, m) = (words(get(cpu, ops.d())), words(get(cpu, ops.n())), words(get(cpu, ops.m())));
    let add = [n[1], n[2], n[3], m[0]];
    let mut r = [0u32; 4];
    for i in 0..4 {
        // The last two words build on the first two of this very schedule.
        let x = if i < 2 { m[i + 2] } else { r[i - 2] };
        let s1 = x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
        r[i] = d[i].wrapping_add(add[i]).wrapping_add(s1);
    }
    set(cpu, ops.d(), vector(r));
    0
}

super::constructors! {
    /// Constructor of SHA256H.
    sha256h = "sha256h", hash;
    /// Constructor of SHA256H2.
    sha256h2 = "sha256h2", hash_2;
    /// Constructor of SHA256SU0.
    sha256su0 = "sha256su0", schedule_0;
    /// Constructor of SHA256SU1.
    sha256su1 = "sha256su1", schedule_1;
}

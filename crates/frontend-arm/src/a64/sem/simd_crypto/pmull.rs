//! PMULL, PMULL2 (64 bits): C7.2.222. The bytes form belongs to the base.

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Ops, get, set};

/// The product of polynomials over {0, 1}.
fn carryless(a: u64, b: u64) -> u128 {
    let (mut r, mut b) = (0, b);
    while b != 0 {
        r ^= (a as u128) << b.trailing_zeros();
        b &= b - 1;
    }
    r
}

extern "C" fn pmull64(cpu: &mut ArmCpu, ops: u64, upper: u64, _: u64) -> u64 {
    let (ops, n) = (Ops(ops), 64 * (upper & 1));
    let (a, b) = (get(cpu, ops.n()) >> n, get(cpu, ops.m()) >> n);
    set(cpu, ops.d(), carryless(a as u64, b as u64));
    0
}

super::constructors! {
    /// Constructor; Q selects the upper halves.
    pmull = "pmull_64", pmull64;
}

//! AESE, AESD, AESMC, AESIMC: C7.2.7 to C7.2.10. The register holds the state column by column (FIPS 197).

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Ops, get, set};

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
const fn gf_mul(a: u8, b: u8) -> u8 {
    let (mut r, mut a, mut b) = (0, a, b);
    while b != 0 {
        if b & 1 != 0 {
            r ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
        b >>= 1;
    }
    r
}

/// The S-box: the inverse in GF(2^8) (its 254th power), then the affine transformation.
const SBOX: [u8; 256] = {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut x, mut n) = (1, 0);
        while n < 254 {
            x = gf_mul(x, i as u8);
            n += 1;
        }
        t[i] = x ^ x.rotate_left(1) ^ x.rotate_left(2) ^ x.rotate_left(3) ^ x.rotate_left(4) ^ 0x63;
        i += 1;
    }
    t
};

/// The inverse S-box.
const INV_SBOX: [u8; 256] = {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        t[SBOX[i] as usize] = i as u8;
        i += 1;
    }
    t
};

/// Multiples by a constant.
const fn multiples(k: u8) -> [u8; 256] {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        t[i] = gf_mul(i as u8, k);
        i += 1;
    }
    t
}

static SUB: [u8; 256] = SBOX;
static INV_SUB: [u8; 256] = INV_SBOX;
static BY_2: [u8; 256] = multiples(2);
static BY_3: [u8; 256] = multiples(3);
static BY_9: [u8; 256] = multiples(9);
static BY_11: [u8; 256] = multiples(11);
static BY_13: [u8; 256] = multiples(13);
static BY_14: [u8; 256] = multiples(14);

/// AddRoundKey, then ShiftRows and SubBytes or their inverses.
extern "C" fn round<const INV: bool>(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let state = (get(cpu, ops.d()) ^ get(cpu, ops.n())).to_le_bytes();
    let table = if INV { &INV_SUB } else { &SUB };
    let mut r = [0; 16];
    for (i, r) in r.iter_mut().enumerate() {
        // Row i mod 4 moves by as many columns.
        let from = if INV { i + 12 * (i % 4) } else { i + 4 * (i % 4) };
        *r = table[state[from & 15] as usize];
    }
    set(cpu, ops.d(), u128::from_le_bytes(r));
    0
}

/// MixColumns or its inverse.
extern "C" fn mix<const INV: bool>(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let state = get(cpu, ops.n()).to_le_bytes();
    let mut r = [0; 16];
    for (i, r) in r.iter_mut().enumerate() {
        let at = |k: usize| state[i & 12 | (i + k) & 3] as usize;
        *r = if INV {
            BY_14[at(0)] ^ BY_11[at(1)] ^ BY_13[at(2)] ^ BY_9[at(3)]
        } else {
            BY_2[at(0)] ^ BY_3[at(1)] ^ at(2) as u8 ^ at(3) as u8
        };
    }
    set(cpu, ops.d(), u128::from_le_bytes(r));
    0
}

super::constructors! {
    /// Constructor of AESE.
    aese = "aese", round::<false>;
    /// Constructor of AESD.
    aesd = "aesd", round::<true>;
    /// Constructor of AESMC.
    aesmc = "aesmc", mix::<false>;
    /// Constructor of AESIMC.
    aesimc = "aesimc", mix::<true>;
}

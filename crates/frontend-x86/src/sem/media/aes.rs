//! AES (FIPS 197; SDM Vol. 1, 12.13).

use lyrebird_isa::V128;

use super::lanes::{Elem, lane, make, map};
use super::{Row, rows};

pub(super) const ROWS: &[Row] = rows! {
    Aesenc Vaesenc Half |x| xor(mix(sub_bytes(shift_rows(x.a)), FORWARD), x.b);
    Aesenclast Vaesenclast Half |x| xor(sub_bytes(shift_rows(x.a)), x.b);
    Aesdec Vaesdec Half |x| xor(mix(inv_sub_bytes(inv_shift_rows(x.a)), BACKWARD), x.b);
    Aesdeclast Vaesdeclast Half |x| xor(inv_sub_bytes(inv_shift_rows(x.a)), x.b);
    Aesimc Vaesimc Half |x| mix(x.b, BACKWARD);
    Aeskeygenassist Vaeskeygenassist Half |x| {
        let s = sub_bytes(x.b);
        let word = |i: usize| lane::<u32>(s, i);
        u32::put([
            word(1),
            word(1).rotate_right(8) ^ x.imm as u32,
            word(3),
            word(3).rotate_right(8) ^ x.imm as u32,
        ])
    };
};

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
const fn product(mut a: u8, mut b: u8) -> u8 {
    let mut r = 0;
    while b != 0 {
        if b & 1 != 0 {
            r ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
        b >>= 1;
    }
    r
}

/// The S-box: the inverse, then an affine map (FIPS 197, 5.1.1).
const SBOX: [u8; 256] = {
    // Powers of the generator 3, and of its inverse 0xf6.
    let mut s = [0; 256];
    s[0] = 0x63;
    let (mut p, mut q, mut n) = (1u8, 1u8, 0);
    while n < 255 {
        s[p as usize] = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        p = product(p, 3);
        q = product(q, 0xf6);
        n += 1;
    }
    s
};

const INV_SBOX: [u8; 256] = {
    let (mut s, mut i) = ([0; 256], 0);
    while i < 256 {
        s[SBOX[i] as usize] = i as u8;
        i += 1;
    }
    s
};

/// What MixColumns multiplies a column by; row `r` is this rotated right by `r`.
const FORWARD: [u8; 4] = [2, 3, 1, 1];
const BACKWARD: [u8; 4] = [0xe, 0xb, 0xd, 0x9];

fn xor(a: V128, b: V128) -> V128 {
    V128::from_u128(a.to_u128() ^ b.to_u128())
}

fn sub_bytes(v: V128) -> V128 {
    map::<u8>(v, |b| SBOX[b as usize])
}

fn inv_sub_bytes(v: V128) -> V128 {
    map::<u8>(v, |b| INV_SBOX[b as usize])
}

/// Byte `i` is row `i % 4` of column `i / 4`.
fn shift_rows(v: V128) -> V128 {
    make::<u8>(|i| lane(v, 5 * i))
}

fn inv_shift_rows(v: V128) -> V128 {
    make::<u8>(|i| lane(v, 13 * i))
}

fn mix(v: V128, by: [u8; 4]) -> V128 {
    let b = u8::get(v);
    make::<u8>(|i| (0..4).fold(0, |s, k| s ^ product(b[i & !3 | k], by[(4 + k - (i & 3)) & 3])))
}

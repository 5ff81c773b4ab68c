//! SHA-1 and SHA-256 (SDM Vol. 1, 5.17; FIPS 180-4).

use lyrebird_isa::V128;

use super::lanes::Elem;
use super::{Half, Row, rows};

pub(super) const ROWS: &[Row] = rows! {
    Sha1rnds4 INVALID Half sha1_rounds;
    Sha1nexte INVALID Half |x| {
        let (a, mut b) = (u32::get(x.a), u32::get(x.b));
        b[3] = b[3].wrapping_add(a[3].rotate_left(30));
        u32::put(b)
    };
    Sha1msg1 INVALID Half |x| {
        let (a, b) = (u32::get(x.a), u32::get(x.b));
        u32::put([b[2] ^ a[0], b[3] ^ a[1], a[0] ^ a[2], a[1] ^ a[3]])
    };
    Sha1msg2 INVALID Half |x| {
        let (a, b) = (u32::get(x.a), u32::get(x.b));
        let w16 = (a[3] ^ b[2]).rotate_left(1);
        let w17 = (a[2] ^ b[1]).rotate_left(1);
        let w18 = (a[1] ^ b[0]).rotate_left(1);
        u32::put([(a[0] ^ w16).rotate_left(1), w18, w17, w16])
    };
    Sha256rnds2 INVALID Half sha256_rounds;
    Sha256msg1 INVALID Half |x| {
        let (a, b) = (u32::get(x.a), u32::get(x.b));
        let w = [a[0], a[1], a[2], a[3], b[0]];
        u32::put(std::array::from_fn(|i| w[i].wrapping_add(small_sigma(w[i + 1], 7, 18, 3))))
    };
    Sha256msg2 INVALID Half |x| {
        let (a, b) = (u32::get(x.a), u32::get(x.b));
        let w16 = a[0].wrapping_add(small_sigma(b[2], 17, 19, 10));
        let w17 = a[1].wrapping_add(small_sigma(b[3], 17, 19, 10));
        let w18 = a[2].wrapping_add(small_sigma(w16, 17, 19, 10));
        let w19 = a[3].wrapping_add(small_sigma(w17, 17, 19, 10));
        u32::put([w16, w17, w18, w19])
    };
};

fn small_sigma(v: u32, r1: u32, r2: u32, s: u32) -> u32 {
    v.rotate_right(r1) ^ v.rotate_right(r2) ^ v >> s
}

fn choose(b: u32, c: u32, d: u32) -> u32 {
    b & c ^ !b & d
}

fn majority(b: u32, c: u32, d: u32) -> u32 {
    b & c ^ b & d ^ c & d
}

/// Four rounds. The words of a vector run from the most significant.
fn sha1_rounds(x: &Half) -> V128 {
    let (k, f): (u32, fn(u32, u32, u32) -> u32) = match x.imm & 3 {
        0 => (0x5a82_7999, choose),
        1 => (0x6ed9_eba1, |b, c, d| b ^ c ^ d),
        2 => (0x8f1b_bcdc, majority),
        _ => (0xca62_c1d6, |b, c, d| b ^ c ^ d),
    };
    let [mut d, mut c, mut b, mut a] = u32::get(x.a);
    let w = u32::get(x.b);
    // E is already in the first word.
    let mut e = 0u32;
    for i in 0..4 {
        let t =
            f(b, c, d).wrapping_add(a.rotate_left(5)).wrapping_add(w[3 - i]).wrapping_add(e).wrapping_add(k);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, t);
    }
    u32::put([d, c, b, a])
}

/// Two rounds: the first source has C, D, G, H, the second A, B, E, F, XMM0 the words with their constants.
fn sha256_rounds(x: &Half) -> V128 {
    let [mut h, mut g, mut d, mut c] = u32::get(x.a);
    let [mut f, mut e, mut b, mut a] = u32::get(x.b);
    let wk = u32::get(x.c);
    for &w in &wk[..2] {
        let big1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let big0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t = h.wrapping_add(big1).wrapping_add(choose(e, f, g)).wrapping_add(w);
        let t2 = big0.wrapping_add(majority(a, b, c));
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t), c, b, a, t.wrapping_add(t2));
    }
    u32::put([f, e, b, a])
}

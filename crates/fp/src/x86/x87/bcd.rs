//! Packed BCD: 18 digits and a sign (SDM Vol. 1, 4.7).

use super::convert::{from_int, to_mag};
use super::env::Env;
use super::f80::F80;
use crate::x86::Exceptions;

/// The packed BCD indefinite.
const INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];

/// Loads packed BCD (FBLD). Exact; what digits above 9 give is undefined, here they count as what they are.
pub fn from_bcd(b: [u8; 10]) -> F80 {
    let v = b[..9].iter().rev().fold(0i64, |v, d| v * 100 + (d >> 4) as i64 * 10 + (d & 15) as i64);
    let r = from_int(v);
    if b[9] >> 7 != 0 { r.neg() } else { r }
}

/// Stores as packed BCD, rounded as RC says (FBSTP).
pub fn to_bcd(env: &mut Env, a: F80) -> [u8; 10] {
    let Some((mag, inexact, up)) = to_mag(a, env.round).filter(|m| m.0 < 10u128.pow(18)) else {
        env.raise(Exceptions::IE);
        return INDEFINITE;
    };
    if inexact {
        env.raise(Exceptions::PE);
        env.up = up;
    }
    let (mut b, mut v) = ([0; 10], mag as u64);
    for d in &mut b[..9] {
        *d = (((v / 10 % 10) << 4) | (v % 10)) as u8;
        v /= 100;
    }
    b[9] = (a.sign() as u8) << 7;
    b
}

//! Vector operations beyond [`crate::ops::VBin`]'s lane by lane: shifts, widening, what crosses lanes.

use crate::ops::{Lane, Width};

/// Shifts by a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VShift {
    /// Left.
    Shl,
    /// Right, zeros from above.
    Shr,
    /// Right, the sign from above.
    Sar,
}

/// Operations on one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VUn {
    /// Absolute value; the least integer stays.
    Abs,
    /// Ones in each byte (lanes of 8 bits).
    Popcnt,
    /// The lanes of the lower half to lanes twice as wide, with their signs.
    WidenS,
    /// The same with zeros. Lanes up to 32 bits.
    WidenU,
}

/// Operations on two vectors whose lanes are not on their own, or of some widths only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VPair {
    /// Products' lower halves (lanes of 16 and 32 bits).
    Mul,
    /// Signed products' upper halves (lanes of 16 bits).
    MulHighS,
    /// Unsigned products' upper halves (lanes of 16 bits).
    MulHighU,
    /// Signed products of the lower halves' lanes, twice as wide.
    MulLongS,
    /// Unsigned products of the lower halves' lanes, twice as wide.
    MulLongU,
    /// Sums of two adjacent signed products of 16-bit lanes, twice as wide (PMADDWD).
    DotS,
    /// Signed saturating addition (lanes of 8 and 16 bits, as all that follows).
    AddSatS,
    /// Unsigned saturating addition.
    AddSatU,
    /// Signed saturating subtraction.
    SubSatS,
    /// Unsigned saturating subtraction.
    SubSatU,
    /// Unsigned average, rounded up.
    Avg,
    /// Signed lanes of 16 or 32 bits to signed ones half as wide, saturating: `a` below, `b` above.
    NarrowS,
    /// The same to unsigned ones.
    NarrowU,
}

/// The bytes of a permutation of two vectors: byte `i` of the result is byte `p[i]`, from 0 to 31, of the first and,
/// above, the second.
pub type Bytes = [u8; 16];

/// A permutation of lanes.
pub fn lanes(lane: Lane, index: impl Fn(u8) -> u8) -> Bytes {
    let n = lane.width().bits() as u8 / 8;
    std::array::from_fn(|i| index(i as u8 / n) * n + i as u8 % n)
}

fn map(w: Width, a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    let mut r = 0;
    for at in (0..128).step_by(w.bits() as usize) {
        r |= u128::from(w.zext(f(w.zext((a >> at) as u64), w.zext((b >> at) as u64)))) << at;
    }
    r
}

impl VShift {
    /// The operation on whole vectors, `n` below the lane's width.
    #[inline]
    pub fn eval(self, lane: Lane, v: u128, n: u32) -> u128 {
        let w = lane.width();
        map(w, v, 0, |v, _| match self {
            VShift::Shl => v << n,
            VShift::Shr => v >> n,
            VShift::Sar => ((w.sext(v) as i64) >> n) as u64,
        })
    }
}

impl VUn {
    /// The operation on a whole vector.
    #[inline]
    pub fn eval(self, lane: Lane, v: u128) -> u128 {
        let w = lane.width();
        match self {
            VUn::Abs => map(w, v, 0, |v, _| (w.sext(v) as i64).wrapping_abs() as u64),
            VUn::Popcnt => map(Width::W8, v, 0, |v, _| v.count_ones().into()),
            VUn::WidenS | VUn::WidenU => {
                let n = w.bits();
                let mut r = 0;
                for i in 0..64 / n {
                    let v = (v >> (i * n)) as u64;
                    let v = if self == VUn::WidenS { w.sext(v) } else { w.zext(v) };
                    let v = u128::from(v) & (u128::MAX >> (128 - 2 * n));
                    r |= v << (2 * i * n);
                }
                r
            }
        }
    }
}

impl VPair {
    /// The operation on whole vectors.
    #[inline]
    pub fn eval(self, lane: Lane, a: u128, b: u128) -> u128 {
        let w = lane.width();
        let s = |v: u64| w.sext(v) as i64;
        let (min, max) = (-1i64 << (w.bits() - 1), (w.mask() >> 1) as i64);
        match self {
            VPair::Mul => map(w, a, b, u64::wrapping_mul),
            VPair::MulHighS => map(w, a, b, |a, b| (s(a).wrapping_mul(s(b)) >> w.bits()) as u64),
            VPair::MulHighU => map(w, a, b, |a, b| a.wrapping_mul(b) >> w.bits()),
            VPair::MulLongS | VPair::MulLongU => {
                let op = if self == VPair::MulLongS { VUn::WidenS } else { VUn::WidenU };
                map(w.double(), op.eval(lane, a), op.eval(lane, b), u64::wrapping_mul)
            }
            VPair::DotS => map(w.double(), a, b, |a, b| {
                let high = |v: u64| s(v >> w.bits());
                s(a).wrapping_mul(s(b)).wrapping_add(high(a).wrapping_mul(high(b))) as u64
            }),
            VPair::AddSatS => map(w, a, b, |a, b| (s(a) + s(b)).clamp(min, max) as u64),
            VPair::AddSatU => map(w, a, b, |a, b| (a + b).min(w.mask())),
            VPair::SubSatS => map(w, a, b, |a, b| (s(a) - s(b)).clamp(min, max) as u64),
            VPair::SubSatU => map(w, a, b, u64::saturating_sub),
            VPair::Avg => map(w, a, b, |a, b| (a + b + 1) >> 1),
            VPair::NarrowS | VPair::NarrowU => {
                let n = w.bits() / 2;
                let (lo, hi) = match self {
                    VPair::NarrowS => (-1i64 << (n - 1), (1i64 << (n - 1)) - 1),
                    _ => (0, (1i64 << n) - 1),
                };
                let half = |v: u128| {
                    (0..128 / w.bits()).fold(0u128, |r, i| {
                        let v = s((v >> (i * w.bits())) as u64).clamp(lo, hi) as u64;
                        r | u128::from(v & (w.mask() >> n)) << (i * n)
                    })
                };
                half(a) | half(b) << 64
            }
        }
    }
}

/// The permutation of bytes.
#[inline]
pub fn shuffle(a: u128, b: u128, p: &Bytes) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&a.to_le_bytes());
    bytes[16..].copy_from_slice(&b.to_le_bytes());
    u128::from_le_bytes(p.map(|i| bytes[i as usize & 31]))
}

/// Bytes of `table` at the indices in the low four bits of `index`'s bytes, zero where bit 7 is set.
#[inline]
pub fn lookup(table: u128, index: u128) -> u128 {
    let t = table.to_le_bytes();
    u128::from_le_bytes(index.to_le_bytes().map(|i| if i & 0x80 != 0 { 0 } else { t[i as usize & 15] }))
}

/// The highest bits of the lanes, that of the lowest lane in bit 0.
#[inline]
pub fn high_bits(lane: Lane, v: u128) -> u64 {
    let n = lane.width().bits();
    (0..128 / n).fold(0, |m, i| m | ((v >> (i * n + n - 1)) as u64 & 1) << i)
}

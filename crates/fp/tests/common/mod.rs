//! Operands for the tests: special values, and random ones that meet the interesting cases often.

/// A small generator (splitmix64), so that failures repeat.
#[derive(Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A bit pattern of a format with `exp` exponent and `frac` fraction bits: boundary fields as often as
    /// random ones, exponents often near each other.
    pub fn float(&mut self, exp: u32, frac: u32) -> u64 {
        let r = self.next();
        let mask = (1u64 << frac) - 1;
        let f = match r & 7 {
            0 => 0,
            1 => mask,
            2 => 1,
            3 => 1 << (frac - 1),
            4 => mask & !0 << (r >> 8 & 31),
            5 => 1 << ((r >> 8) % frac as u64),
            _ => self.next() & mask,
        };
        let top = (1u64 << exp) - 1;
        let bias = top >> 1;
        let e = match r >> 3 & 7 {
            0 => 0,
            1 => [1, 2, top, top - 1, top - 2, top][(r >> 16) as usize % 6],
            2 | 3 => bias + (r >> 16) % 9 - 4,
            4 => bias / 2 + (r >> 16) % 5,
            5 => bias + (frac as u64 + (r >> 16) % 7 - 3).min(bias),
            _ => self.next() & top,
        };
        (r >> 63) << (exp + frac) | e << frac | f
    }
}

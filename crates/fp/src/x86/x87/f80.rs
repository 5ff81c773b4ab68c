//! The double extended format.

/// A value in the double extended format: 1 sign, 15 exponent and 64 significand bits, the leading one
/// explicit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct F80 {
    /// Sign (bit 15) and exponent field.
    pub se: u16,
    /// Significand, with its integer bit J (bit 63).
    pub sig: u64,
}

impl F80 {
    /// Exponent bias.
    pub const BIAS: i32 = 16383;
    /// Exponent field of infinities and NaNs.
    pub const EXP_MAX: u16 = 0x7fff;
    /// The integer bit J.
    pub const J: u64 = 1 << 63;
    /// The quiet bit.
    pub const QUIET: u64 = 1 << 62;
    /// The QNaN floating-point indefinite.
    pub const INDEFINITE: F80 = F80 { se: 0xffff, sig: F80::J | F80::QUIET };
    /// 1.0.
    pub const ONE: F80 = F80 { se: 0x3fff, sig: F80::J };

    /// Exponent of the smallest normal number.
    pub(super) const EMIN: i32 = 1 - F80::BIAS;

    /// From sign, exponent field and significand.
    #[inline(always)]
    pub const fn new(sign: bool, exp: u16, sig: u64) -> F80 {
        F80 { se: (sign as u16) << 15 | exp, sig }
    }

    /// Zero.
    #[inline(always)]
    pub const fn zero(sign: bool) -> F80 {
        F80::new(sign, 0, 0)
    }

    /// Infinity.
    #[inline(always)]
    pub const fn inf(sign: bool) -> F80 {
        F80::new(sign, F80::EXP_MAX, F80::J)
    }

    /// The image in memory.
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; 10] {
        let mut b = [0; 10];
        b[..8].copy_from_slice(&self.sig.to_le_bytes());
        b[8..].copy_from_slice(&self.se.to_le_bytes());
        b
    }

    /// From the image in memory.
    #[inline(always)]
    pub fn from_bytes(b: [u8; 10]) -> F80 {
        let [s @ .., e0, e1] = b;
        F80 { se: u16::from_le_bytes([e0, e1]), sig: u64::from_le_bytes(s) }
    }

    /// Whether the sign is set.
    #[inline(always)]
    pub const fn sign(self) -> bool {
        self.se >> 15 != 0
    }

    /// The exponent field.
    #[inline(always)]
    pub const fn exp(self) -> u16 {
        self.se & F80::EXP_MAX
    }

    /// With the sign inverted, whatever the value (FCHS).
    #[inline(always)]
    pub const fn neg(self) -> F80 {
        F80 { se: self.se ^ 1 << 15, sig: self.sig }
    }

    /// With the sign clear, whatever the value (FABS).
    #[inline(always)]
    pub const fn abs(self) -> F80 {
        F80 { se: self.exp(), sig: self.sig }
    }

    /// A pseudo-denormal as the normal number that it stands for.
    #[inline(always)]
    pub(super) const fn canonical(self) -> F80 {
        let pseudo = self.exp() == 0 && self.sig & F80::J != 0;
        F80 { se: self.se | pseudo as u16, sig: self.sig }
    }

    /// Whether this is a denormal or pseudo-denormal.
    #[inline(always)]
    pub(super) const fn is_denormal(self) -> bool {
        self.exp() == 0 && self.sig != 0
    }
}

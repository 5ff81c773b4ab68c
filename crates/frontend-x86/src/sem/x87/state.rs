//! The register stack, tags, status, and images of the state.

use lyrebird_fp::x86::x87::{Env, F80};

use crate::cpu::X87;

/// Bits of the status word (SDM Vol. 1, 8.1.3).
pub mod sw {
    /// Invalid operation.
    pub const IE: u16 = 1 << 0;
    /// Stack fault.
    pub const SF: u16 = 1 << 6;
    /// Error summary: an unmasked exception is pending.
    pub const ES: u16 = 1 << 7;
    /// Condition code 0.
    pub const C0: u16 = 1 << 8;
    /// Condition code 1: rounded up, or of a stack fault, overflow.
    pub const C1: u16 = 1 << 9;
    /// Condition code 2.
    pub const C2: u16 = 1 << 10;
    /// Condition code 3.
    pub const C3: u16 = 1 << 14;
    /// Busy: the same as ES since the 387.
    pub const B: u16 = 1 << 15;
    /// C0, C2 and C3.
    pub const CODES: u16 = C0 | C2 | C3;
}

/// Bits of the control word that are reserved: bit 6 reads as 1, the others as 0.
const CW_MASK: u16 = 0x1f3f;
const CW_ONE: u16 = 1 << 6;

impl X87 {
    /// The stack's top.
    #[inline(always)]
    pub fn top(&self) -> u16 {
        self.sw >> 11 & 7
    }

    /// Moves the top by `n` registers, modulo 8.
    #[inline(always)]
    pub fn turn(&mut self, n: i16) {
        let top = self.top().wrapping_add_signed(n) & 7;
        self.sw = self.sw & !(7 << 11) | top << 11;
    }

    #[inline(always)]
    fn number(&self, i: u8) -> usize {
        usize::from((self.top() + u16::from(i)) & 7)
    }

    /// Whether ST(i) is empty.
    #[inline(always)]
    pub fn is_empty(&self, i: u8) -> bool {
        self.tw >> (2 * self.number(i)) & 3 == 3
    }

    /// ST(i), whatever its tag.
    #[inline(always)]
    pub fn st(&self, i: u8) -> F80 {
        let (sig, se) = self.regs[self.number(i)];
        F80 { se, sig }
    }

    /// Writes ST(i), which is then not empty.
    #[inline(always)]
    pub fn set_st(&mut self, i: u8, v: F80) {
        let n = self.number(i);
        self.regs[n] = (v.sig, v.se);
        self.tw &= !(3 << (2 * n));
    }

    /// Marks ST(i) empty.
    #[inline(always)]
    pub fn free(&mut self, i: u8) {
        self.tw |= 3 << (2 * self.number(i));
    }

    /// Frees ST(0) and moves the top up.
    #[inline(always)]
    pub fn pop(&mut self) {
        self.free(0);
        self.turn(1);
    }

    /// Moves the top down and writes it.
    #[inline(always)]
    pub fn push(&mut self, v: F80) {
        self.turn(-1);
        self.set_st(0, v);
    }

    /// A stack fault: overflow, or an empty source. Whether it is masked, so that the indefinite is the result.
    pub fn stack_fault(&mut self, overflow: bool) -> bool {
        self.sw = self.sw & !sw::C1 | sw::IE | sw::SF | if overflow { sw::C1 } else { 0 };
        self.summarise();
        self.cw & sw::IE != 0
    }

    /// Recomputes ES and B.
    pub fn summarise(&mut self) {
        let pending = self.sw & !self.cw & 0x3f != 0;
        self.sw = self.sw & !(sw::ES | sw::B) | if pending { sw::ES | sw::B } else { 0 };
    }

    /// Ends an instruction: exception flags and C1.
    #[inline(always)]
    pub fn retire(&mut self, env: &Env) {
        self.sw = env.retire(self.sw);
    }

    /// Sets C0, C2 and C3 to those of `codes`.
    #[inline(always)]
    pub fn set_codes(&mut self, codes: u16) {
        self.sw = self.sw & !sw::CODES | codes & sw::CODES;
    }

    /// Loads the control word.
    pub fn set_cw(&mut self, v: u16) {
        self.cw = v & CW_MASK | CW_ONE;
        self.summarise();
    }

    /// The tag word as FNSTENV shows it: 0 valid, 1 zero, 2 special, 3 empty (SDM Vol. 1, 8.1.7).
    pub fn tags(&self) -> u16 {
        (0..8).fold(0, |tags, n| {
            let (sig, se) = self.regs[n];
            let tag = match se & 0x7fff {
                _ if self.tw >> (2 * n) & 3 == 3 => 3,
                0 if sig == 0 => 1,
                0 | 0x7fff => 2,
                _ if sig >> 63 == 0 => 2,
                _ => 0,
            };
            tags | tag << (2 * n)
        })
    }

    /// Loads the tag word: of it, only which registers are empty counts.
    pub fn set_tags(&mut self, v: u16) {
        let empty = v & v >> 1 & 0x5555;
        self.tw = empty | empty << 1;
    }

    /// The first 160 bytes of an FXSAVE image, without MXCSR (SDM Vol. 1, table 10-2).
    pub fn fx_image(&self, long: bool) -> [u8; 160] {
        let mut b = [0; 160];
        b[0..2].copy_from_slice(&self.cw.to_le_bytes());
        b[2..4].copy_from_slice(&self.sw.to_le_bytes());
        b[4] = (0..8).fold(0, |t, n| t | u8::from(self.tw >> (2 * n) & 3 != 3) << n);
        b[6..8].copy_from_slice(&self.fop.to_le_bytes());
        for (at, (offset, selector)) in [(8, self.fip), (16, self.fdp)] {
            if long {
                b[at..at + 8].copy_from_slice(&offset.to_le_bytes());
            } else {
                b[at..at + 4].copy_from_slice(&(offset as u32).to_le_bytes());
                b[at + 4..at + 6].copy_from_slice(&selector.to_le_bytes());
            }
        }
        for i in 0..8 {
            b[32 + 16 * usize::from(i)..][..10].copy_from_slice(&self.st(i).to_bytes());
        }
        b
    }

    /// The inverse.
    pub fn set_fx_image(&mut self, b: &[u8; 160], long: bool) {
        let half = |at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        self.cw = half(0) & CW_MASK | CW_ONE;
        self.sw = half(2);
        self.tw = (0..8).fold(0, |t, n| t | if b[4] >> n & 1 != 0 { 0 } else { 3 << (2 * n) });
        self.fop = half(6) & 0x7ff;
        let pointer = |at: usize| match long {
            true => (u64::from(word(at)) | u64::from(word(at + 4)) << 32, 0),
            false => (u64::from(word(at)), half(at + 4)),
        };
        (self.fip, self.fdp) = (pointer(8), pointer(16));
        for i in 0..8 {
            let n = self.number(i);
            let at = 32 + 16 * usize::from(i);
            let mut r = [0; 10];
            r.copy_from_slice(&b[at..at + 10]);
            let v = F80::from_bytes(r);
            self.regs[n] = (v.sig, v.se);
        }
        self.summarise();
    }
}

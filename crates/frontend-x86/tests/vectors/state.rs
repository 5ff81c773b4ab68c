//! The state around a tested instruction, and where things are in memory.

/// Two pages that tested instructions load from and store to.
pub const WINDOW: u64 = 0x4010_8000;
/// Bytes in the window.
pub const WINDOW_LEN: usize = 0x2000;
/// A page of INT3 with the tested instructions [`BEFORE`] bytes into it.
pub const CODE: u64 = 0x4010_0000;
/// Bytes of the code page.
pub const CODE_LEN: usize = 0x1000;
/// Bytes of it that tests may change.
pub const CODE_BYTES: usize = 0x400;
/// Where the tested instructions stand in it.
pub const BEFORE: usize = 0x200;

#[path = "../../../frontend-arm/tests/vectors/state.rs"]
#[allow(dead_code, reason = "of the state of A64 tests, the random numbers and the window are used here")]
mod arm;
pub use arm::{Rng, changes, window};

/// What a test left behind.
#[derive(Clone, Debug)]
pub struct After {
    /// The registers, with the RIP that the exception saved: behind an INT3, at a fault.
    pub state: State,
    /// The words of the window that changed: index of the quadword and its value.
    pub stores: Vec<(u16, u64)>,
}

/// Registers before or after a test.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct State {
    /// General registers by their numbers.
    pub gpr: [u64; 16],
    /// Instruction pointer.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// Vector of the exception that ended the test.
    pub vector: u64,
    /// Its error code.
    pub error: u64,
    /// CR2, of page faults.
    pub cr2: u64,
    /// The registers' part of an FXSAVE image: x87 in bytes 0 to 159, MXCSR in 24 to 27, XMM from 160 on.
    pub fx: [u8; 416],
    /// Upper halves of YMM0 to YMM15.
    pub ymm_high: [u128; 16],
}

impl Default for State {
    fn default() -> State {
        let mut s = State {
            gpr: [0; 16],
            rip: 0,
            rflags: 0x202,
            vector: 0,
            error: 0,
            cr2: 0,
            fx: [0; 416],
            ymm_high: [0; 16],
        };
        s.fx[0..2].copy_from_slice(&0x37fu16.to_le_bytes());
        s.fx[24..28].copy_from_slice(&0x1f80u32.to_le_bytes());
        s
    }
}

impl State {
    /// MXCSR.
    pub fn mxcsr(&self) -> u32 {
        u32::from_le_bytes([self.fx[24], self.fx[25], self.fx[26], self.fx[27]])
    }

    /// Lower half of YMM register `i`.
    pub fn xmm(&self, i: usize) -> u128 {
        let mut b = [0; 16];
        b.copy_from_slice(&self.fx[160 + 16 * i..][..16]);
        u128::from_le_bytes(b)
    }

    /// Sets the lower half of YMM register `i`.
    pub fn set_xmm(&mut self, i: usize, v: u128) {
        self.fx[160 + 16 * i..][..16].copy_from_slice(&v.to_le_bytes());
    }

    /// Stack register ST(i): ten bytes.
    pub fn st(&self, i: usize) -> [u8; 10] {
        let mut b = [0; 10];
        b.copy_from_slice(&self.fx[32 + 16 * i..][..10]);
        b
    }

    /// Control, status, and abridged tag word.
    pub fn x87(&self) -> (u16, u16, u8) {
        let word = |at: usize| u16::from_le_bytes([self.fx[at], self.fx[at + 1]]);
        (word(0), word(2), self.fx[4])
    }

    /// A random state for code of that many bits, in which RSP, RBP, RSI, RDI, RBX and R8 to R11 point into the window.
    pub fn random(seed: u32, bits: u32) -> State {
        let rng = &mut Rng(seed as u64 | 0x5eed << 32);
        let mut s = State::default();
        let floats = rng.below(3);
        for r in &mut s.gpr {
            *r = match (floats, rng.below(4)) {
                (1, 0) => rng.float(11, 52),
                (2, 0) => rng.float(8, 23),
                _ => {
                    let bits = rng.pick(&[8, 16, 32, 64, 64]);
                    rng.int(bits)
                }
            };
        }
        for i in [3, 4, 5, 6, 7, 8, 9, 10, 11] {
            s.gpr[i] = WINDOW + 0x600 + (rng.below(0x1400) & !15);
        }
        // CF, PF, AF, ZF, SF, OF, and now and then DF.
        s.rflags = 0x202 | rng.next() & 0x8d5 | if rng.one_in(16) { 0x400 } else { 0 };
        for i in 0..16 {
            s.set_xmm(i, rng.vector().to_u128());
            s.ymm_high[i] = rng.vector().to_u128();
        }
        // Rounding, FTZ, DAZ, flags that are already set; exceptions masked but for one test in 16.
        let mut mxcsr = 0x1f80u32;
        if rng.one_in(2) {
            mxcsr |= rng.next() as u32 & 0xe07f;
        }
        if rng.one_in(16) {
            mxcsr &= !(rng.next() as u32 & 0x1f80);
            mxcsr &= !0x3f;
        }
        s.fx[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        s.random_x87(rng);
        if bits == 32 {
            s.gpr = s.gpr.map(|r| r & 0xffff_ffff);
        }
        s
    }

    fn random_x87(&mut self, rng: &mut Rng) {
        let cw = if rng.one_in(2) { 0x37f } else { 0x7f | (rng.below(16) as u16) << 8 };
        // Precision 1 is reserved.
        let cw = if cw >> 8 & 3 == 1 { cw | 0x300 } else { cw };
        let top = rng.below(8) as u16;
        let mut sw = top << 11 | (rng.next() as u16 & 0x4700);
        // Exceptions masked but for one test in 8, flags that are already set in one of 4; where both meet, one is
        // pending.
        let cw = if rng.one_in(8) { cw & !(rng.next() as u16 & 0x3f) } else { cw };
        if rng.one_in(4) {
            sw |= rng.next() as u16 & 0x7f;
            sw |= if sw & !cw & 0x3f != 0 { 0x8080 } else { 0 };
        }
        self.fx[0..2].copy_from_slice(&cw.to_le_bytes());
        self.fx[2..4].copy_from_slice(&sw.to_le_bytes());
        self.fx[4] = if rng.one_in(3) { rng.next() as u8 } else { 0xff };
        for i in 0..8 {
            let (m, se) = extended(rng);
            self.fx[32 + 16 * i..][..8].copy_from_slice(&m.to_le_bytes());
            self.fx[40 + 16 * i..][..2].copy_from_slice(&se.to_le_bytes());
        }
    }
}

/// A number in double extended precision: significand, sign and exponent.
fn extended(rng: &mut Rng) -> (u64, u16) {
    let sign = (rng.below(2) as u16) << 15;
    let (m, e) = match rng.below(12) {
        0 => (0, 0),
        1 => (1 << 63, 0x7fff),
        2 => (3 << 62 | rng.next() >> 2, 0x7fff),
        3 => (1 << 63 | (rng.next() >> 2).max(1), 0x7fff),
        4 => (rng.next() >> 1, 0),
        // Unsupported: unnormals, pseudo-infinities and the like.
        5 if rng.one_in(4) => (rng.next() >> 1, rng.next() as u16 & 0x7fff),
        6 => (1 << 63 | rng.next() << rng.below(63), 0x3fff + rng.below(66) as u16),
        7 => (1 << 63 | rng.next(), 0x3fff - 8 + rng.below(16) as u16),
        8 => (1 << 63, 0x3fff + rng.below(64) as u16),
        9 => (1 << 63 | rng.next(), rng.pick(&[1, 2, 0x7ffe, 0x7ffd, 0x3c00, 0x43fe, 0x3f80, 0x407e])),
        _ => (1 << 63 | rng.next(), rng.next() as u16 & 0x7fff),
    };
    // A biased exponent other than 0 has its integer bit.
    (m, sign | e)
}

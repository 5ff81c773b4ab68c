//! The state around a tested instruction: registers before and after, and where things are in memory.

use lyrebird_isa::V128;

/// Two pages that tested instructions load from and store to, readable and writable at EL0.
pub const WINDOW: u64 = 0x4010_8000;
/// Bytes in the window.
pub const WINDOW_LEN: usize = 0x2000;
/// Where tested instructions stand, in a page that EL0 may execute and not write. The rest of the page holds BRK.
pub const CODE: u64 = 0x4010_0000;
/// Instructions of a test at most.
pub const MAX_WORDS: usize = 47;
/// What surrounds the tested instructions: `BRK #0`.
pub const BRK: u32 = 0xd420_0000;

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An integer of `bits` bits, extremes and small numbers favoured.
    pub fn int(&mut self, bits: u32) -> u64 {
        let (ones, top) = (u64::MAX >> (64 - bits), 1u64 << (bits - 1));
        let v = match self.below(8) {
            0 => self.pick(&[0, 1, 2, top - 1, top, top + 1, ones, ones - 1, top >> 1, ones >> 2]),
            1 => self.below(65),
            2 => self.below(65).wrapping_neg(),
            3 => 1u64 << self.below(bits as u64),
            4 => (1u64 << self.below(bits as u64)).wrapping_sub(1 + self.below(2)),
            5 => self.next() >> self.below(64),
            _ => self.next(),
        };
        v & ones
    }

    /// A floating-point number with `exp` exponent and `frac` fraction bits: zeros, denormals, infinities, NaNs of
    /// both kinds, the largest and smallest, integers near the limits of integer formats, and numbers of like size.
    pub fn float(&mut self, exp: u32, frac: u32) -> u64 {
        let (emax, fmask) = ((1u64 << exp) - 1, (1u64 << frac) - 1);
        let bias = emax >> 1;
        let pattern = match self.below(4) {
            0 => 0,
            1 => fmask,
            2 => 1u64 << self.below(frac as u64),
            _ => self.next() & fmask,
        };
        let magnitude = match self.below(12) {
            0 => 0,
            1 => emax << frac,
            2 => emax << frac | 1 << (frac - 1) | pattern,
            3 => emax << frac | (pattern & (fmask >> 1)).max(1),
            4 => pattern.max(1),
            5 => self.pick(&[1, fmask, 1 << frac, (emax << frac) - 1, bias << frac, (bias << frac) + 1]),
            // Around the limits of 32-bit and 64-bit integers, and around fractions that round to integers.
            6 => {
                (bias + self.pick(&[0, 1, 14, 15, 16, 30, 31, 32, 62, 63, 64])).min(emax - 1) << frac
                    | pattern
            }
            7 => (bias - 2 + self.below(6)) << frac | pattern,
            // Near overflow and underflow.
            8 => (emax - 1 - self.below(3)) << frac | pattern,
            9 => self.below(frac as u64 / 2 + 2) << frac | pattern,
            10 => (bias - 8 + self.below(16)) << frac | (self.next() & fmask),
            _ => self.next() & (emax << frac | fmask),
        };
        magnitude | (self.next() & 1) << (exp + frac)
    }

    /// The contents of a vector register.
    pub fn vector(&mut self) -> V128 {
        let style = self.below(10);
        let mut lanes = |bits: u32, f: &mut dyn FnMut(&mut Rng) -> u64| {
            let (mut v, repeat) = (0u128, self.one_in(6));
            let first = f(self);
            for at in (0..128).step_by(bits as usize) {
                let lane = if repeat { first } else { f(self) };
                v |= (lane as u128) << at;
            }
            V128::from_u128(v)
        };
        match style {
            0 => lanes(64, &mut |r| r.next()),
            1 => lanes(8, &mut |r| r.int(8)),
            2 => lanes(16, &mut |r| r.int(16)),
            3 => lanes(32, &mut |r| r.int(32)),
            4 => lanes(64, &mut |r| r.int(64)),
            5 => lanes(16, &mut |r| r.float(5, 10)),
            6 | 7 => lanes(32, &mut |r| r.float(8, 23)),
            _ => lanes(64, &mut |r| r.float(11, 52)),
        }
    }
}

/// What the window holds before every test.
pub fn window() -> Vec<u8> {
    let mut rng = Rng(0x6c79_7265);
    let mut bytes = Vec::with_capacity(WINDOW_LEN);
    while bytes.len() < WINDOW_LEN {
        let v = if rng.one_in(2) { rng.vector() } else { V128([rng.int(64), rng.next()]) };
        bytes.extend(v.to_bytes());
    }
    bytes
}

/// The registers that user code sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// X0 to X30, SP.
    pub x: [u64; 32],
    /// Program counter.
    pub pc: u64,
    /// N, Z, C, V in bits 31 to 28.
    pub nzcv: u64,
    /// FPSR.
    pub fpsr: u64,
    /// FPCR.
    pub fpcr: u64,
    /// V0 to V31.
    pub v: [V128; 32],
}

impl State {
    /// A random state in which X14 to X27 and SP point into the window.
    pub fn random(seed: u32) -> State {
        let mut r = Rng(seed as u64 | 0x5eed << 32);
        let mut s = State {
            x: [0; 32],
            pc: CODE,
            nzcv: r.below(16) << 28,
            fpsr: if r.one_in(2) { 0 } else { r.next() & 0x0800_009f },
            // Half of all tests with the defaults, else RMode, FZ, DN, AHP as they fall.
            fpcr: if r.one_in(2) { 0 } else { r.next() & 0x07c0_0000 },
            v: [V128::default(); 32],
        };
        let floats = r.below(3);
        for x in &mut s.x {
            *x = match (floats, r.below(4)) {
                (1, 0) => r.float(11, 52),
                (2, 0) => r.float(8, 23) | r.next() << 32,
                _ => {
                    let bits = r.pick(&[32, 64, 64]);
                    r.int(bits)
                }
            };
        }
        for i in (14..28).chain([31]) {
            s.x[i] = WINDOW + 0x500 + (r.below(0x1600) & !15);
        }
        for v in &mut s.v {
            *v = r.vector();
        }
        s
    }
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached a BRK or left the code page.
    End,
    /// The instruction at the PC is UNDEFINED or trapped.
    Undefined,
    /// The instruction at the PC faulted on this address.
    Abort(u64),
    /// The instruction at the PC required an alignment that this address has not.
    Alignment(u64),
    /// Anything else, with a number for the report.
    Other(u32),
}

/// What a test left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// How it ended; the PC is in the state.
    pub outcome: Outcome,
    /// The registers.
    pub state: State,
    /// The words of the window that changed: index of the doubleword and its value.
    pub stores: Vec<(u16, u64)>,
}

/// The doublewords in which `now` differs from `before`.
pub fn changes(before: &[u8], now: &[u8]) -> Vec<(u16, u64)> {
    if before == now {
        return Vec::new();
    }
    let words = before.chunks_exact(8).zip(now.chunks_exact(8)).enumerate();
    words
        .filter(|(_, (a, b))| a != b)
        .map(|(i, (_, b))| (i as u16, b.iter().rev().fold(0, |v, &x| v << 8 | x as u64)))
        .collect()
}

//! The golden vectors' file format.
//!
//! A vector is an instruction, the seed of [`State::random`], the registers that differ from that state before the
//! instruction, the exception that ended it (3: that of the INT3 behind it), and the registers and quadwords that it
//! changed. Flags that the manual leaves undefined count as unchanged. Numbers are LEB128.

use iced_x86::{Decoder, DecoderOptions, Instruction};

use super::bytes::{Reader, put, put_list, put_stores};
use super::compare::{defined_error, defined_flags};
use super::state::{After, BEFORE, CODE, State};

/// Indices of locations: general registers, then these, then significands and exponents of ST(0) to ST(7) from [`ST`],
/// then the quarters of YMM0 to YMM15 from [`YMM`].
const RIP: u8 = 16;
const RFLAGS: u8 = 17;
const MXCSR: u8 = 18;
/// Control, status and tags.
const X87: u8 = 19;
const ST: u8 = 24;
const YMM: u8 = 64;
const LOCATIONS: u8 = YMM + 64;

/// Where a number of `len` bytes is in the FXSAVE image.
fn in_image(at: u8) -> Option<(usize, usize)> {
    Some(match at {
        MXCSR => (24, 4),
        X87 => (0, 2),
        20 => (2, 2),
        21 => (4, 1),
        ST..40 if at & 1 == 0 => (32 + 8 * (at - ST) as usize, 8),
        ST..40 => (32 + 8 * (at - ST) as usize, 2),
        _ => return None,
    })
}

fn get(s: &State, at: u8) -> u64 {
    match at {
        0..RIP => s.gpr[at as usize],
        RIP => s.rip,
        RFLAGS => s.rflags,
        YMM..LOCATIONS => {
            let (n, q) = ((at - YMM) as usize / 4, at & 3);
            let half = if q < 2 { s.xmm(n) } else { s.ymm_high[n] };
            (half >> (64 * (q & 1))) as u64
        }
        _ => in_image(at)
            .map_or(0, |(from, len)| s.fx[from..][..len].iter().rev().fold(0, |v, &b| v << 8 | b as u64)),
    }
}

fn set(s: &mut State, at: u8, v: u64) {
    match at {
        0..RIP => s.gpr[at as usize] = v,
        RIP => s.rip = v,
        RFLAGS => s.rflags = v,
        YMM..LOCATIONS => {
            let (n, q) = ((at - YMM) as usize / 4, at & 3);
            let shift = 64 * (q & 1) as u32;
            let with = |half: u128| half & !((u64::MAX as u128) << shift) | (v as u128) << shift;
            if q < 2 {
                s.set_xmm(n, with(s.xmm(n)));
            } else {
                s.ymm_high[n] = with(s.ymm_high[n]);
            }
        }
        _ => {
            if let Some((to, len)) = in_image(at) {
                s.fx[to..][..len].copy_from_slice(&v.to_le_bytes()[..len]);
            }
        }
    }
}

fn differing(a: &State, b: &State) -> Vec<(u8, u64)> {
    (0..LOCATIONS).filter(|&i| get(a, i) != get(b, i)).map(|i| (i, get(b, i))).collect()
}

/// A recorded test of one instruction.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Bits of the code: 32 or 64.
    pub bits: u32,
    /// The instruction.
    pub code: Vec<u8>,
    seed: u32,
    given: Vec<(u8, u64)>,
    /// Vector, error code, CR2.
    exception: [u64; 3],
    changed: Vec<(u8, u64)>,
    stores: Vec<(u16, u64)>,
}

/// The instruction in `code` where tests have it.
pub fn decode(code: &[u8], bits: u32) -> Instruction {
    Decoder::with_ip(bits, code, CODE + BEFORE as u64, DecoderOptions::NONE).decode()
}

impl Vector {
    /// From a test that began in the state `before`, made from that of `seed`.
    #[allow(dead_code, reason = "only the recorder makes vectors")]
    pub fn new(bits: u32, code: &[u8], seed: u32, before: &State, after: &After) -> Vector {
        let i = decode(code, bits);
        let mut before = *before;
        before.rip = behind(code);
        let mut s = after.state;
        let flags = defined_flags(&i, s.vector);
        s.rflags = before.rflags & !flags | s.rflags & flags;
        Vector {
            bits,
            code: code.to_vec(),
            seed,
            given: differing(&State { rip: before.rip, ..State::random(seed, bits) }, &before),
            exception: [s.vector, s.error & defined_error(s.vector), s.cr2],
            changed: differing(&before, &s),
            stores: after.stores.clone(),
        }
    }

    /// The state before, and what the host's CPU left.
    #[allow(dead_code, reason = "the recorder does not replay")]
    pub fn expand(&self) -> (State, After) {
        let mut before = State { rip: behind(&self.code), ..State::random(self.seed, self.bits) };
        self.given.iter().for_each(|&(at, v)| set(&mut before, at, v));
        let mut state = before;
        self.changed.iter().for_each(|&(at, v)| set(&mut state, at, v));
        [state.vector, state.error, state.cr2] = self.exception;
        (before, After { state, stores: self.stores.clone() })
    }
}

/// RIP behind the INT3 that follows the code.
fn behind(code: &[u8]) -> u64 {
    CODE + (BEFORE + code.len() + 1) as u64
}

/// All vectors as a file.
#[allow(dead_code, reason = "only the recorder writes")]
pub fn write(vectors: &[Vector]) -> Vec<u8> {
    let mut out = Vec::new();
    for v in vectors {
        out.push(v.code.len() as u8 | if v.bits == 64 { 0x80 } else { 0 });
        out.extend(&v.code);
        out.extend(v.seed.to_le_bytes());
        put_list(&mut out, &v.given);
        v.exception.iter().for_each(|&x| put(&mut out, x));
        put_list(&mut out, &v.changed);
        put_stores(&mut out, &v.stores);
    }
    out
}

/// The vectors of a file.
#[allow(dead_code, reason = "the recorder does not read")]
pub fn read(bytes: &[u8]) -> Vec<Vector> {
    let mut r = Reader(bytes);
    let mut out = Vec::new();
    while !r.0.is_empty() {
        let head = r.byte();
        out.push(Vector {
            bits: if head & 0x80 != 0 { 64 } else { 32 },
            code: r.take((head & 0x7f) as usize).to_vec(),
            seed: r.word(),
            given: r.list(),
            exception: [r.number(), r.number(), r.number()],
            changed: r.list(),
            stores: r.stores(),
        });
    }
    out
}

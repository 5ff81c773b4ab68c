//! The golden vectors' file format.
//!
//! A vector is an instruction word, the seed of [`State::random`], the registers that differ from that state
//! before the instruction, how it ended, and the registers and doublewords that it changed. Numbers are LEB128.

use lyrebird_isa::V128;

use super::bytes::{Reader, put, put_list, put_stores};
use super::state::{After, Outcome, State};

/// Indices of locations: X0 to X30 and SP, then these, then the halves of V0 to V31 from [`V`].
const PC: u8 = 32;
const NZCV: u8 = 33;
const FPSR: u8 = 34;
const FPCR: u8 = 35;
const V: u8 = 64;
const LOCATIONS: u8 = V + 64;

fn get(s: &State, at: u8) -> u64 {
    match at {
        0..PC => s.x[at as usize],
        PC => s.pc,
        NZCV => s.nzcv,
        FPSR => s.fpsr,
        FPCR => s.fpcr,
        V..LOCATIONS => s.v[(at - V) as usize / 2].0[at as usize & 1],
        _ => 0,
    }
}

fn set(s: &mut State, at: u8, v: u64) {
    match at {
        0..PC => s.x[at as usize] = v,
        PC => s.pc = v,
        NZCV => s.nzcv = v,
        FPSR => s.fpsr = v,
        FPCR => s.fpcr = v,
        V..LOCATIONS => {
            let V128(halves) = &mut s.v[(at - V) as usize / 2];
            halves[at as usize & 1] = v;
        }
        _ => {}
    }
}

fn differing(a: &State, b: &State) -> Vec<(u8, u64)> {
    (0..LOCATIONS).filter(|&i| get(a, i) != get(b, i)).map(|i| (i, get(b, i))).collect()
}

/// A recorded test of one instruction.
#[derive(Clone, Debug)]
pub struct Vector {
    /// The instruction.
    pub word: u32,
    seed: u32,
    given: Vec<(u8, u64)>,
    outcome: Outcome,
    changed: Vec<(u8, u64)>,
    stores: Vec<(u16, u64)>,
}

impl Vector {
    /// From a test whose state `before` was made from `seeded`, the state of `seed`.
    #[allow(dead_code, reason = "only the recorder makes vectors")]
    pub fn new(word: u32, seed: u32, seeded: &State, before: &State, after: After) -> Vector {
        Vector {
            word,
            seed,
            given: differing(seeded, before),
            outcome: after.outcome,
            changed: differing(before, &after.state),
            stores: after.stores,
        }
    }

    /// The state before, and what the oracle left.
    #[allow(dead_code, reason = "the recorder does not replay")]
    pub fn expand(&self) -> (State, After) {
        let mut before = State::random(self.seed);
        self.given.iter().for_each(|&(at, v)| set(&mut before, at, v));
        let mut state = before.clone();
        self.changed.iter().for_each(|&(at, v)| set(&mut state, at, v));
        (before, After { outcome: self.outcome, state, stores: self.stores.clone() })
    }
}

/// All vectors as a file.
#[allow(dead_code, reason = "only the recorder writes")]
pub fn write(vectors: &[Vector]) -> Vec<u8> {
    let mut out = Vec::new();
    for v in vectors {
        out.extend(v.word.to_le_bytes());
        out.extend(v.seed.to_le_bytes());
        let (kind, detail) = match v.outcome {
            Outcome::End => (0, 0),
            Outcome::Undefined => (1, 0),
            Outcome::Abort(at) => (2, at),
            Outcome::Alignment(at) => (3, at),
            Outcome::Other(n) => (4, n as u64),
        };
        put(&mut out, kind);
        put(&mut out, detail);
        put_list(&mut out, &v.given);
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
        let (word, seed) = (r.word(), r.word());
        let outcome = match (r.number(), r.number()) {
            (0, _) => Outcome::End,
            (1, _) => Outcome::Undefined,
            (2, at) => Outcome::Abort(at),
            (3, at) => Outcome::Alignment(at),
            (_, n) => Outcome::Other(n as u32),
        };
        let (given, changed, stores) = (r.list(), r.list(), r.stores());
        out.push(Vector { word, seed, given, outcome, changed, stores });
    }
    out
}

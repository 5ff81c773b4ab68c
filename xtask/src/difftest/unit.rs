//! Tests: one instruction, or a sequence of them.

use lyrebird_frontend_arm::a64::table::{Group, Row};
use lyrebird_frontend_arm::a64::word::Word;

use crate::generate::{Shape, operands};
use crate::guest::Guest;
use crate::oracle::Question;
use crate::report::Report;
use crate::skip;
use crate::state::{CODE, MAX_WORDS, Outcome, Rng, State};

/// A test.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The row, of a test of one instruction.
    pub row: Option<&'static Row>,
    /// What the oracle is asked.
    pub question: Question,
    /// Seed of the state it was made from.
    pub seed: u32,
}

/// Instructions that a test may execute.
const STEPS: usize = 4 * MAX_WORDS;

/// One instruction of a row. None where its word is to be skipped, which is counted.
pub fn single(rng: &mut Rng, shape: &Shape, pristine: &[u8], report: &mut Report) -> Option<Unit> {
    let word = shape.word(rng, CODE);
    if let Some(why) = skip::word(shape.row, word) {
        report.skip_word(shape.row, why);
        return None;
    }
    if loops(word) {
        return None;
    }
    let seed = rng.next() as u32;
    let mut state = State::random(seed);
    operands(rng, shape.row, word, &mut state, pristine);
    let question = Question { words: vec![word.0], state, stores: shape.memory() };
    Some(Unit { row: Some(shape.row), question, seed })
}

/// A direct branch to itself.
fn loops(w: Word) -> bool {
    target(w.0, 0) == Some(0)
}

/// The target of a direct branch at `pc`.
pub fn target(w: u32, pc: u64) -> Option<u64> {
    crate::guest::branch_target(w, pc)
}

/// A sequence that the interpreter gets through, its last instruction perhaps excepted.
pub fn sequence(rng: &mut Rng, shapes: &[Shape], guest: &mut Guest) -> Option<Unit> {
    let seed = rng.next() as u32;
    let state = State::random(seed);
    let goal = 2 + rng.below(22) as usize;
    let mut words: Vec<u32> = Vec::new();
    let mut stores = false;
    // A store-exclusive to come, and after how many instructions.
    let mut exclusive: Option<(usize, u32)> = None;
    let mut misses = 0;
    while words.len() < goal && misses < 20 {
        let pc = CODE + 4 * words.len() as u64;
        let (word, memory) = match exclusive {
            Some((0, w)) => {
                exclusive = None;
                (Word(w), true)
            }
            _ => {
                let shape = &shapes[rng.below(shapes.len() as u64) as usize];
                if shape.row.group == Group::System && rng.below(4) != 0 {
                    continue;
                }
                // A store-exclusive of another size than its load-exclusive is CONSTRAINED UNPREDICTABLE; QEMU's may
                // store and say it has not. Pairs are made below.
                let exclusives = shape.row.name.contains("X") && shape.row.group == Group::LdstAtomic;
                if exclusives && (shape.row.name.starts_with("ST") || exclusive.is_some()) {
                    continue;
                }
                // QEMU leaves its loop on YIELD and its like, and the exclusive monitor is lost.
                if shape.row.group == Group::System && exclusive.is_some() {
                    continue;
                }
                let word = shape.word(rng, pc);
                let word = near(rng, shape.row, word);
                if skip::word(shape.row, word).is_some() || skip::in_sequence(shape.row, word) {
                    continue;
                }
                (word, shape.memory())
            }
        };
        words.push(word.0);
        let far = CODE + 4 * (words.len() as u64 + 3);
        match guest.interpret(&words, &state, STEPS) {
            Some(a)
                if a.outcome == Outcome::End
                    && (CODE + 4 * words.len() as u64..=far).contains(&a.state.pc) =>
            {
                stores |= memory;
                exclusive = match exclusive {
                    Some((n, w)) => Some((n - 1, w)),
                    None => follow(rng, word.0),
                };
            }
            Some(_) if words.len() > 2 && rng.one_in(30) => {
                stores |= memory;
                break;
            }
            _ => {
                words.pop();
                misses += 1;
            }
        }
    }
    if words.is_empty() {
        return None;
    }
    Some(Unit { row: None, question: Question { words, state, stores }, seed })
}

/// Shortens direct branches to the vicinity.
fn near(rng: &mut Rng, row: &Row, w: Word) -> Word {
    if row.group != Group::Branch {
        return w;
    }
    let by = (if rng.one_in(4) { rng.below(4).wrapping_neg() } else { 1 + rng.below(3) }) as u32;
    match row.name {
        "B" | "BL" => Word(w.0 & 0xfc00_0000 | by & 0x3ff_ffff),
        "B_cond" | "CBZ" | "CBNZ" => Word(w.0 & !(0x7_ffff << 5) | (by & 0x7_ffff) << 5),
        "TBZ" | "TBNZ" => Word(w.0 & !(0x3fff << 5) | (by & 0x3fff) << 5),
        _ => w,
    }
}

/// The store-exclusive that belongs to a load-exclusive, mostly to the same address.
fn follow(rng: &mut Rng, w: u32) -> Option<(usize, u32)> {
    let load_exclusive = w & 0x3fc0_0000 == 0x0840_0000 || w & 0xbfe0_0000 == 0x8860_0000;
    if !load_exclusive || rng.one_in(4) {
        return None;
    }
    let (rs, rt) = (rng.below(14) as u32, rng.below(14) as u32);
    let rs = if rs == rt || rs == (w >> 10 & 31) { 28 } else { rs };
    let store = w & !(1 << 22) & !(31 << 16) & !31 | rs << 16 | rt;
    Some((rng.below(3) as usize, store))
}

//! What was tested, what was left out, and what differs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use lyrebird_frontend_arm::a64::decode::disassemble;
use lyrebird_frontend_arm::a64::table::Row;
use lyrebird_frontend_arm::a64::word::Word;

use crate::generate::Shape;
use crate::guest::Guest;
use crate::oracle::{Oracle, Question};
use crate::skip;
use crate::state::{After, CODE, Outcome};
use crate::unit::Unit;

/// Differences printed per row.
const SHOWN: u64 = 2;

/// Counts of one row's tests.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    tests: u64,
    undefined: u64,
    faults: u64,
    differences: u64,
    t0_only: u64,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Tests run.
    pub tests: u64,
    instructions: u64,
    sequences: u64,
    rows: BTreeMap<&'static str, Counts>,
    skipped_rows: Vec<(&'static str, &'static str)>,
    skipped_words: BTreeMap<(&'static str, &'static str), u64>,
    explained: BTreeMap<&'static str, u64>,
    failed: Vec<Unit>,
    texts: Vec<String>,
    /// Nanoseconds spent compiling.
    pub compiling: u64,
}

const SEQUENCE: &str = "(sequences)";

impl Report {
    /// One that lists all rows.
    pub fn new(shapes: &[Shape], skipped: &[(&'static Row, &'static str)]) -> Report {
        Report {
            rows: shapes.iter().map(|s| (s.row.name, Counts::default())).collect(),
            skipped_rows: skipped.iter().map(|(r, why)| (r.name, *why)).collect(),
            ..Report::default()
        }
    }

    /// Counts a word that was left out.
    pub fn skip_word(&mut self, row: &'static Row, why: &'static str) {
        *self.skipped_words.entry((row.name, why)).or_default() += 1;
    }

    /// Tests with a difference.
    pub fn differences(&self) -> u64 {
        self.rows.values().map(|c| c.differences).sum()
    }

    /// Runs a test on both tiers and compares.
    pub fn check(&mut self, unit: &Unit, want: &After, guest: &mut Guest) {
        let q = &unit.question;
        let name = unit.row.map_or(SEQUENCE, |r| r.name);
        self.tests += 1;
        self.instructions += q.words.len() as u64;
        self.sequences += unit.row.is_none() as u64;
        let t0 = guest.t0(&q.words, &q.state);
        let t1 = guest.t1(&q.words, &q.state);
        let mut found = self.difference(q, &t0, want).map(|d| ("T0", d));
        let t0_only = matches!(t1, Err(None));
        match t1 {
            Ok(t1) => found = found.or_else(|| self.difference(q, &t1, want).map(|d| ("T1", d))),
            Err(Some(why)) => found = found.or(Some(("T1", why))),
            Err(None) => {}
        }
        let counts = self.rows.entry(name).or_default();
        counts.tests += 1;
        counts.t0_only += t0_only as u64;
        match want.outcome {
            Outcome::Undefined => counts.undefined += 1,
            Outcome::Abort(_) | Outcome::Alignment(_) => counts.faults += 1,
            Outcome::End | Outcome::Other(_) => {}
        }
        let Some((tier, text)) = found else { return };
        if unit.row.is_none() && self.failed.len() < 8 {
            self.failed.push(unit.clone());
        }
        counts.differences += 1;
        if counts.differences <= SHOWN {
            self.texts.push(describe(tier, name, unit, &text));
        }
    }

    /// What differs, unless there is an explanation, which is counted.
    fn difference(&mut self, q: &Question, got: &After, want: &After) -> Option<String> {
        let text = compare(got, want)?;
        let at = got.state.pc.wrapping_sub(CODE) / 4;
        let word = q.words.get(usize::try_from(at).ok()?).copied();
        if let Some(why) = word.and_then(|w| skip::explained(w, got, want)) {
            *self.explained.entry(why).or_default() += 1;
            return None;
        }
        Some(text)
    }

    /// Finds for each failed sequence the first instruction after which a difference shows.
    pub fn narrow(&mut self, guest: &mut Guest, oracle: &mut Oracle) -> Result<()> {
        for unit in std::mem::take(&mut self.failed) {
            for n in 1..=unit.question.words.len() {
                let mut q = unit.question.clone();
                q.words.truncate(n);
                oracle.ask(std::slice::from_ref(&q));
                let want = oracle.answer(&q)?;
                let t0 = guest.t0(&q.words, &q.state);
                let t0 = self.difference(&q, &t0, &want);
                let t1 = guest.t1(&q.words, &q.state).ok();
                let t1 = t1.and_then(|t| self.difference(&q, &t, &want));
                if t0.is_none() && t1.is_none() {
                    continue;
                }
                let last = disassemble(Word(q.words[n - 1]));
                let text = format!(
                    "sequence of seed {:#x} differs from instruction {n} on: {last}\n  T0\n{}  T1\n{}",
                    unit.seed,
                    t0.unwrap_or_default(),
                    t1.unwrap_or_default()
                );
                self.texts.push(text);
                break;
            }
        }
        Ok(())
    }

    /// Adds another run's.
    pub fn add(&mut self, other: Report) {
        self.tests += other.tests;
        self.instructions += other.instructions;
        self.sequences += other.sequences;
        self.compiling += other.compiling;
        for (name, c) in other.rows {
            let all = self.rows.entry(name).or_default();
            all.tests += c.tests;
            all.undefined += c.undefined;
            all.faults += c.faults;
            all.differences += c.differences;
            all.t0_only += c.t0_only;
        }
        for (k, n) in other.skipped_words {
            *self.skipped_words.entry(k).or_default() += n;
        }
        for (k, n) in other.explained {
            *self.explained.entry(k).or_default() += n;
        }
        self.texts.extend(other.texts);
    }

    /// Prints it.
    pub fn print(&self, rows: bool, took: Duration) {
        for t in &self.texts {
            println!("{t}");
        }
        if rows {
            println!("row                     tests  undefined  faults  t0 only  differ");
            for (name, c) in &self.rows {
                println!(
                    "{name:<22} {:>6}  {:>9}  {:>6}  {:>7}  {:>6}",
                    c.tests, c.undefined, c.faults, c.t0_only, c.differences
                );
            }
        } else {
            for (name, c) in self.rows.iter().filter(|(_, c)| c.differences > 0) {
                println!("{name:<22} {:>6} of {:>6} differ", c.differences, c.tests);
            }
        }
        let idle = self.rows.iter().filter(|(_, c)| c.tests == 0).map(|(n, _)| *n).collect::<Vec<_>>();
        if !idle.is_empty() {
            println!("rows without a test: {}", idle.join(" "));
        }
        println!("left out:");
        for (name, why) in &self.skipped_rows {
            println!("  {name}: {why}");
        }
        for ((name, why), n) in &self.skipped_words {
            println!("  {name}, {n} words: {why}");
        }
        if !self.explained.is_empty() {
            println!("explained differences:");
        }
        for (why, n) in &self.explained {
            println!("  {n}: {why}");
        }
        let t0_only: u64 = self.rows.values().map(|c| c.t0_only).sum();
        println!(
            "{} instructions of {} rows in {} tests ({} of them sequences, {} left to T0 by T1's design)",
            self.instructions,
            self.rows.keys().filter(|n| **n != SEQUENCE).count(),
            self.tests,
            self.sequences,
            t0_only,
        );
        println!(
            "{} differences, {:.1} s, of which {:.1} s of compiling over all threads",
            self.differences(),
            took.as_secs_f64(),
            self.compiling as f64 / 1e9,
        );
    }
}

/// What differs, a line each; None if nothing does.
pub fn compare(got: &After, want: &After) -> Option<String> {
    if got == want {
        return None;
    }
    let mut s = String::new();
    let mut line = |what: String, got: String, want: String| {
        if got != want {
            let _ = writeln!(s, "    {what:<8} {got}, oracle {want}");
        }
    };
    line("outcome".into(), format!("{:x?}", got.outcome), format!("{:x?}", want.outcome));
    let (g, w) = (&got.state, &want.state);
    for i in 0..32 {
        line(format!("x{i}"), format!("{:016x}", g.x[i]), format!("{:016x}", w.x[i]));
    }
    line("pc".into(), format!("{:x}", g.pc), format!("{:x}", w.pc));
    line("nzcv".into(), format!("{:x}", g.nzcv >> 28), format!("{:x}", w.nzcv >> 28));
    line("fpsr".into(), format!("{:08x}", g.fpsr), format!("{:08x}", w.fpsr));
    line("fpcr".into(), format!("{:08x}", g.fpcr), format!("{:08x}", w.fpcr));
    for i in 0..32 {
        line(format!("v{i}"), format!("{:032x}", g.v[i].to_u128()), format!("{:032x}", w.v[i].to_u128()));
    }
    line("memory".into(), format!("{:x?}", got.stores), format!("{:x?}", want.stores));
    Some(s)
}

fn describe(tier: &str, name: &str, unit: &Unit, text: &str) -> String {
    let q = &unit.question;
    let mut s = format!("{tier} differs, {name}\n");
    for w in &q.words {
        let _ = writeln!(s, "  {}", disassemble(Word(*w)));
    }
    if let [w] = q.words[..] {
        let w = Word(w);
        let _ = writeln!(
            s,
            "    nzcv {:x} fpcr {:08x} fpsr {:08x}",
            q.state.nzcv >> 28,
            q.state.fpcr,
            q.state.fpsr
        );
        for r in [w.d(), w.n(), w.m(), w.a()] {
            let r = r as usize;
            let _ =
                writeln!(s, "    before: x{r} {:016x} v{r} {:032x}", q.state.x[r], q.state.v[r].to_u128());
        }
    } else {
        let _ = writeln!(s, "    state seed {:#x}", unit.seed);
    }
    s.push_str(text);
    s
}

//! Records the golden vectors that the ordinary test run replays without an oracle.

use std::path::Path;

use anyhow::{Context, Result};

use crate::generate;
use crate::guest::Guest;
use crate::oracle::{Oracle, Question};
use crate::record::{Vector, write};
use crate::report::Report;
use crate::state::{Rng, State};
use crate::{ORACLE_CPU, Options, skip, unit};

/// Vectors per row.
const PER_ROW: usize = 8;

/// Records vectors of every tested row.
pub fn update(options: &Options) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/frontend-arm/tests/golden/a64.bin");
    let (shapes, _) = generate::rows(None);
    let mut guest = Guest::with_all_rows();
    let mut oracle = Oracle::start(&options.oracle, ORACLE_CPU, guest.pristine(), 0)?;
    let mut rng = Rng(options.seed);
    let mut report = Report::default();
    let mut vectors = Vec::new();
    for shape in &shapes {
        let mut seen = 0;
        for _ in 0..100 * PER_ROW {
            let Some(u) = unit::single(&mut rng, shape, guest.pristine(), &mut report) else { continue };
            let q: Question = u.question;
            oracle.ask(std::slice::from_ref(&q));
            let after = oracle.answer(&q)?;
            // Few of the UNDEFINED ones: they say little each.
            if after.outcome == crate::state::Outcome::Undefined && seen > 1 {
                continue;
            }
            // What the oracle gets wrong, for reasons that stand in a table, is no vector.
            let got = guest.interpret(&q.words, &q.state, 8);
            if got.is_none_or(|g| skip::explained(q.words[0], &g, &after).is_some()) {
                continue;
            }
            vectors.push(Vector::new(q.words[0], u.seed, &State::random(u.seed), &q.state, after));
            seen += 1;
            if seen == PER_ROW {
                break;
            }
        }
    }
    let bytes = write(&vectors);
    std::fs::write(&file, &bytes).with_context(|| file.display().to_string())?;
    println!("{}: {} vectors of {} rows, {} bytes", file.display(), vectors.len(), shapes.len(), bytes.len());
    Ok(())
}

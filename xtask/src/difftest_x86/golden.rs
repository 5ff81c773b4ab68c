//! Records the golden vectors that the ordinary test run replays without an oracle.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::generate::Generator;
use crate::native::Oracle;
use crate::record::{Vector, write};
use crate::skip;

/// Vectors per form.
const PER_FORM: u32 = 5;
/// Tests of which the vectors are taken, for either code size.
const TESTS: u64 = 250_000;

/// Records vectors of every tested form.
pub fn update(seed: u64) -> Result<()> {
    let lacking = skip::lacking();
    if !lacking.is_empty() {
        bail!("this host's CPU has no {lacking:?}, and would record no vectors of them");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/frontend-x86/tests/golden/x86.bin");
    let mut oracle = Oracle::start()?;
    let mut vectors = Vec::new();
    let mut forms = 0;
    for bits in [64, 32] {
        let mut generator = Generator::new(seed ^ u64::from(bits) << 40, bits, None);
        let mut recorded: BTreeMap<u16, u32> = BTreeMap::new();
        for _ in 0..TESTS {
            let unit = generator.next();
            let (q, i) = (&unit.question, &unit.instruction);
            let n = recorded.entry(i.code() as u16).or_default();
            if *n == PER_FORM || skip::undefined(i, &q.state).is_some() {
                continue;
            }
            oracle.ask(std::iter::once(q));
            let after = oracle.answer(q)?;
            // What lies beyond the user's half, or where masked stores fault, is the host's own; and one fault of a
            // form's says what the next one says.
            let faulted = after.state.vector == 14 || after.state.vector == 13;
            if skip::explained(i, &after, &after).is_some() || faulted && *n > 0 {
                continue;
            }
            *n += 1;
            vectors.push(Vector::new(bits, q.code(), unit.seed, &q.state, &after));
        }
        forms += recorded.values().filter(|&&n| n > 0).count();
    }
    let bytes = write(&vectors);
    std::fs::write(&file, &bytes).with_context(|| file.display().to_string())?;
    println!("{}: {} vectors of {forms} forms, {} bytes", file.display(), vectors.len(), bytes.len());
    Ok(())
}

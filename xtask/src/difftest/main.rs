//! `cargo xtask difftest a64`: random A64 instructions on T0, on T1, and on QEMU's user mode.

mod generate;
mod golden;
mod oracle;
mod program;
mod report;
mod skip;
mod sweep;
mod unit;

#[path = "../../../crates/frontend-arm/tests/vectors/bytes.rs"]
mod bytes;
#[path = "../../../crates/frontend-arm/tests/vectors/guest.rs"]
mod guest;
#[path = "../oracle_process.rs"]
mod process;
#[path = "../../../crates/frontend-arm/tests/vectors/record.rs"]
mod record;
#[path = "../../../crates/jit/tests/shared/region.rs"]
mod region;
#[path = "../../../crates/frontend-arm/tests/vectors/state.rs"]
mod state;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;

use generate::Shape;
use guest::Guest;
use oracle::{Oracle, Question};
use report::Report;
use state::Rng;
use unit::Unit;

/// Options of `cargo xtask difftest`.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask difftest", about = "Compares random instructions with QEMU's user mode")]
struct Options {
    /// The instruction set: a64.
    #[arg(value_parser = ["a64"])]
    set: String,
    /// Instructions to run, in single tests and in sequences.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// Where the random numbers start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only rows whose name contains this.
    #[arg(long)]
    row: Option<String>,
    /// The oracle.
    #[arg(long, default_value = "qemu-aarch64-static")]
    oracle: PathBuf,
    /// Threads; each has an oracle process of its own.
    #[arg(long)]
    jobs: Option<usize>,
    /// Print every row with its number of tests.
    #[arg(long)]
    coverage: bool,
    /// Record the golden vectors of the test suite anew.
    #[arg(long)]
    update_golden: bool,
    /// Instead of testing, look for words that are allocated on one side only, against a Cortex-A57.
    #[arg(long)]
    sweep: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.update_golden {
        return golden::update(&options);
    }
    if options.sweep {
        return sweep::run(&options);
    }
    let (shapes, skipped) = generate::rows(options.row.as_deref());
    if shapes.is_empty() {
        bail!("no implemented row has {:?} in its name", options.row.as_deref().unwrap_or(""));
    }
    let jobs =
        options.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get())).max(1);
    let start = Instant::now();
    let report = Mutex::new(Report::new(&shapes, &skipped));
    let done = AtomicU64::new(0);
    let outcome: Result<Vec<()>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|id| {
                let (options, shapes, report, done) = (&options, &shapes, &report, &done);
                scope.spawn(move || work(options, shapes, report, done, id))
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap_or_else(|_| bail!("a worker panicked"))).collect()
    });
    outcome?;
    let report = report.into_inner().unwrap_or_else(|e| e.into_inner());
    report.print(options.coverage, start.elapsed());
    if report.differences() > 0 {
        bail!("{} of {} tests differ", report.differences(), report.tests);
    }
    Ok(())
}

/// Everything QEMU has, but for pointer authentication, whose hints are NOPs to us.
const ORACLE_CPU: &str = "max,pauth=off";

/// Units that are in the oracle's hands at a time.
const BATCH: usize = 128;

fn work(
    options: &Options,
    shapes: &[Shape],
    report: &Mutex<Report>,
    done: &AtomicU64,
    id: usize,
) -> Result<()> {
    let mut guest = Guest::with_all_rows();
    let mut oracle = Oracle::start(&options.oracle, ORACLE_CPU, guest.pristine(), id)?;
    let mut rng = Rng(options.seed ^ (id as u64) << 56);
    let mut next = rng.below(shapes.len() as u64) as usize;
    let mut local = Report::default();
    let mut flying: Vec<Unit> = Vec::new();
    loop {
        let mut batch = Vec::new();
        while batch.len() < BATCH && done.load(Ordering::Relaxed) < options.count {
            // One sequence for twelve single tests makes about as many instructions in either.
            let unit = if batch.len() % 13 == 12 {
                unit::sequence(&mut rng, shapes, &mut guest)
            } else {
                next = (next + 1) % shapes.len();
                unit::single(&mut rng, &shapes[next], guest.pristine(), &mut local)
            };
            let Some(unit) = unit else { continue };
            done.fetch_add(unit.question.words.len() as u64, Ordering::Relaxed);
            batch.push(unit);
        }
        let questions: Vec<Question> = batch.iter().map(|u| u.question.clone()).collect();
        oracle.ask(&questions);
        for unit in std::mem::replace(&mut flying, batch) {
            let want = oracle.answer(&unit.question)?;
            local.check(&unit, &want, &mut guest);
        }
        if flying.is_empty() {
            break;
        }
    }
    local.narrow(&mut guest, &mut oracle)?;
    local.compiling = guest.compiling();
    report.lock().unwrap_or_else(|e| e.into_inner()).add(local);
    Ok(())
}

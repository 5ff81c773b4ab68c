//! `cargo xtask difftest x86`: random x86 instructions on T0, on T1, and on this host's CPU.

mod generate;
mod golden;
mod native;
mod skip;

#[path = "../../../crates/frontend-arm/tests/vectors/bytes.rs"]
mod bytes;
#[path = "../../../crates/frontend-x86/tests/vectors/compare.rs"]
mod compare;
#[path = "../x86_features.rs"]
mod features;
#[path = "../../../crates/frontend-x86/tests/vectors/forms.rs"]
#[allow(dead_code, reason = "whether a form is implemented, the tests find out")]
mod forms;
#[path = "../../../crates/frontend-x86/tests/vectors/guest.rs"]
mod guest;
#[path = "../oracle_process.rs"]
mod process;
#[path = "../../../crates/frontend-x86/tests/vectors/record.rs"]
mod record;
#[path = "../../../crates/jit/tests/shared/region.rs"]
mod region;
#[path = "../../../crates/frontend-x86/tests/vectors/state.rs"]
mod state;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use iced_x86::{Formatter, Instruction, IntelFormatter, OpKind};

use compare::compare;
use generate::{Generator, Unit};
use guest::Guest;
use native::Oracle;
use state::After;

/// Options of `cargo xtask difftest x86`.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask difftest x86", about = "Compares random instructions with this host's CPU")]
struct Options {
    /// Instructions to run, half of them in 64-bit code, half in 32-bit code.
    #[arg(long, default_value_t = 2_000_000)]
    count: u64,
    /// Where the random numbers start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only forms whose `iced-x86` code name contains this.
    #[arg(long)]
    form: Option<String>,
    /// Only code of that many bits.
    #[arg(long)]
    bits: Option<u32>,
    /// Not on T1.
    #[arg(long)]
    t0: bool,
    /// Differences shown per form.
    #[arg(long, default_value_t = 1)]
    show: u64,
    /// Print every form with its number of tests.
    #[arg(long)]
    coverage: bool,
    /// Record the golden vectors of the test suite anew.
    #[arg(long)]
    update_golden: bool,
}

/// Units that are in the oracle's hands at a time.
const BATCH: usize = 128;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(native::CHILD) {
        return native::child();
    }
    let options = Options::parse();
    if options.update_golden {
        return golden::update(options.seed);
    }
    let lacking = skip::lacking();
    if !lacking.is_empty() {
        println!("not tested, since this host's CPU does not have them: {lacking:?}");
    }
    let bits = options.bits.map_or(vec![64, 32], |b| vec![b]);
    let reports: Result<Vec<Report>> = std::thread::scope(|scope| {
        let workers: Vec<_> = bits
            .iter()
            .map(|&b| (b, &options))
            .map(|(b, o)| scope.spawn(move || run(o, b, o.count / 2)))
            .collect();
        workers.into_iter().map(|w| w.join().unwrap_or_else(|_| bail!("a worker panicked"))).collect()
    });
    let differences: u64 = reports?.iter().map(|r| r.print(&options)).sum();
    if differences > 0 {
        bail!("{differences} differences");
    }
    Ok(())
}

/// What was found in code of one size.
#[derive(Debug, Default)]
struct Report {
    bits: u32,
    tests: u64,
    t0_only: u64,
    different: BTreeMap<u16, u64>,
    undefined: BTreeMap<u16, u64>,
    explained: BTreeMap<&'static str, u64>,
    made: BTreeMap<u16, u64>,
    skipped: BTreeMap<&'static str, u64>,
    texts: Vec<String>,
    seconds: f64,
    compiling: f64,
}

fn run(options: &Options, bits: u32, count: u64) -> Result<Report> {
    let start = Instant::now();
    let mut guest = Guest::new(bits);
    let mut oracle = Oracle::start()?;
    let mut generator = Generator::new(options.seed ^ u64::from(bits) << 40, bits, options.form.clone());
    let mut report = Report { bits, ..Report::default() };
    let mut flying: Vec<Unit> = Vec::new();
    let mut left = count;
    loop {
        let n = left.min(BATCH as u64);
        left -= n;
        let batch: Vec<Unit> = (0..n).map(|_| generator.next()).collect();
        oracle.ask(batch.iter().map(|u| &u.question));
        for unit in std::mem::replace(&mut flying, batch) {
            let want = oracle.answer(&unit.question)?;
            report.check(options, &unit, &want, &mut guest);
        }
        if flying.is_empty() {
            break;
        }
    }
    report.made = generator.made;
    report.skipped = generator.skipped;
    report.seconds = start.elapsed().as_secs_f64();
    report.compiling = guest.compiling() as f64 / 1e9;
    Ok(report)
}

impl Report {
    fn check(&mut self, options: &Options, unit: &Unit, want: &After, guest: &mut Guest) {
        self.tests += 1;
        let (q, i) = (&unit.question, &unit.instruction);
        if let Some(why) = skip::undefined(i, &q.state) {
            *self.explained.entry(why).or_default() += 1;
            return;
        }
        let got = guest.t0(q.code(), &q.state);
        if got.state.vector == 6 && want.state.vector != 6 {
            *self.undefined.entry(i.code() as u16).or_default() += 1;
            return;
        }
        let mut found = self.differ(i, &got, want).map(|text| ("T0", text));
        if !options.t0 {
            match guest.t1(q.code(), &q.state) {
                Ok(got) => found = found.or_else(|| self.differ(i, &got, want).map(|text| ("T1", text))),
                Err(Some(why)) => found = found.or(Some(("T1", why))),
                Err(None) => self.t0_only += 1,
            }
        }
        if let Some((tier, text)) = found {
            self.different(options, unit, tier, &text);
        }
    }

    /// What differs and is not explained.
    fn differ(&mut self, i: &Instruction, got: &After, want: &After) -> Option<String> {
        let text = compare(i, got, want)?;
        let Some((why, same)) = skip::explained(i, got, want) else { return Some(text) };
        let text = compare(i, &same, want);
        if text.is_none() {
            *self.explained.entry(why).or_default() += 1;
        }
        text
    }

    fn different(&mut self, options: &Options, unit: &Unit, tier: &str, text: &str) {
        let (q, i) = (&unit.question, &unit.instruction);
        let n = self.different.entry(i.code() as u16).or_default();
        *n += 1;
        if *n > options.show {
            return;
        }
        let mut name = String::new();
        IntelFormatter::new().format(i, &mut name);
        let mut before = String::new();
        for (i, v) in q.state.gpr.iter().enumerate() {
            let _ = write!(before, " r{i}={v:x}");
        }
        let (flags, mxcsr, x87) = (q.state.rflags, q.state.mxcsr(), q.state.x87());
        let _ = write!(before, " rflags={flags:x} mxcsr={mxcsr:x} x87={x87:x?}");
        for n in (0..i.op_count()).filter(|&n| i.op_kind(n) == OpKind::Register) {
            let r = i.op_register(n);
            let k = r.number();
            if r.is_vector_register() {
                let _ = write!(before, "\n   {r:?}={:032x}:{:032x}", q.state.ymm_high[k], q.state.xmm(k));
            } else if r.is_st() {
                let b = q.state.st(k);
                let _ = write!(before, "\n   {r:?}={:02x?}", b.iter().rev().collect::<Vec<_>>());
            }
        }
        let code = q.code();
        self.texts.push(format!("{tier} differs: {name} ({:?}) {code:02x?}\n  {before}\n{text}", i.code()));
    }

    fn print(&self, options: &Options) -> u64 {
        for t in &self.texts {
            println!("{t}");
        }
        println!("== {}-bit code", self.bits);
        let of = |code: &u16| self.made.get(code).copied().unwrap_or(0);
        for (code, n) in &self.different {
            println!("  {:<40} {n} of {} differ", generate::name(*code), of(code));
        }
        for (code, n) in &self.undefined {
            println!("  {:<40} {n} of {} not implemented", generate::name(*code), of(code));
        }
        if options.coverage {
            for (code, n) in &self.made {
                println!("  {:<40} {n}", generate::name(*code));
            }
        }
        println!("left out (of what chance made):");
        for (why, n) in &self.skipped {
            println!("  {n}: {why}");
        }
        for (why, n) in &self.explained {
            println!("explained, {n}: {why}");
        }
        let differences: u64 = self.different.values().sum();
        let undefined: u64 = self.undefined.values().sum();
        println!(
            "{} instructions of {} forms, {} left to T0; {differences} differences in {} forms, {undefined} of {} forms not implemented; {:.1} s, {:.1} s of it compiling",
            self.tests,
            self.made.len(),
            self.t0_only,
            self.different.len(),
            self.undefined.len(),
            self.seconds,
            self.compiling,
        );
        differences + undefined
    }
}

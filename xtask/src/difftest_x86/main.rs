//! `cargo xtask difftest x86`: random x86 instructions on T0, on T1, and on this host's CPU.

mod generate;
mod guest;
mod native;
mod skip;
mod state;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use iced_x86::{Formatter, IntelFormatter, RflagsBits};

use generate::{Generator, Unit};
use guest::Guest;
use native::{Answer, Oracle};

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
}

/// Units that are in the oracle's hands at a time.
const BATCH: usize = 128;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(native::CHILD) {
        return native::child();
    }
    let options = Options::parse();
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
    report.compiling = guest.compiling as f64 / 1e9;
    Ok(report)
}

impl Report {
    fn check(&mut self, options: &Options, unit: &Unit, want: &Answer, guest: &mut Guest) {
        self.tests += 1;
        let code = unit.instruction.code() as u16;
        let got = guest.t0(&unit.question);
        if got.state.vector == 6 && want.state.vector != 6 {
            *self.undefined.entry(code).or_default() += 1;
            return;
        }
        let mut found = compare(unit, &got, want).map(|d| ("T0", d));
        if !options.t0 {
            match guest.t1(&unit.question) {
                Ok(got) => found = found.or_else(|| compare(unit, &got, want).map(|d| ("T1", d))),
                Err(Some(why)) => found = found.or(Some(("T1", why))),
                Err(None) => self.t0_only += 1,
            }
        }
        let Some((tier, text)) = found else { return };
        if let Some(why) = explained(unit, &got, want) {
            *self.explained.entry(why).or_default() += 1;
            return;
        }
        let n = self.different.entry(code).or_default();
        *n += 1;
        if *n <= options.show {
            let mut name = String::new();
            IntelFormatter::new().format(&unit.instruction, &mut name);
            let q = &unit.question;
            let bytes = &q.code[..q.len as usize];
            let mut before = String::new();
            for (i, v) in q.state.gpr.iter().enumerate() {
                let _ = write!(before, " r{i}={v:x}");
            }
            let _ = write!(
                before,
                " rflags={:x} mxcsr={:x} x87={:x?}",
                q.state.rflags,
                q.state.mxcsr(),
                q.state.x87()
            );
            for n in 0..unit.instruction.op_count() {
                if unit.instruction.op_kind(n) == iced_x86::OpKind::Register {
                    let r = unit.instruction.op_register(n);
                    if r.is_vector_register() {
                        let k = r.number();
                        let _ =
                            write!(before, "\n   {r:?}={:032x}:{:032x}", q.state.ymm_high[k], q.state.xmm(k));
                    }
                    if r.is_st() {
                        let b = q.state.st(r.number());
                        let _ = write!(before, "\n   {r:?}={:02x?}", b.iter().rev().collect::<Vec<_>>());
                    }
                }
            }
            self.texts.push(format!(
                "{tier} differs: {name} ({:?}) {bytes:02x?}\n  {before}\n{text}",
                unit.instruction.code()
            ));
        }
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

/// Bits of RFLAGS that are compared: the arithmetic ones and DF.
const FLAGS: u64 = 0xcd5;

/// The RFLAGS bits that the manual leaves undefined after the instruction.
fn undefined_flags(unit: &Unit) -> u64 {
    let u = unit.instruction.rflags_undefined();
    let mut m = 0;
    for (bit, f) in [
        (RflagsBits::CF, 0x1),
        (RflagsBits::PF, 0x4),
        (RflagsBits::AF, 0x10),
        (RflagsBits::ZF, 0x40),
        (RflagsBits::SF, 0x80),
        (RflagsBits::OF, 0x800),
    ] {
        if u & bit != 0 {
            m |= f;
        }
    }
    m
}

/// What differs, a line each; None if nothing does.
fn compare(unit: &Unit, got: &Answer, want: &Answer) -> Option<String> {
    let mut s = String::new();
    let mut line = |what: String, got: String, want: String| {
        if got != want {
            let _ = writeln!(s, "    {what:<8} {got}, host {want}");
        }
    };
    let (g, w) = (&got.state, &want.state);
    line("vector".into(), g.vector.to_string(), w.vector.to_string());
    if g.vector == w.vector && w.vector != 3 {
        // The host's own mappings decide whether a page is present.
        let mask = if w.vector == 14 { !1 } else { !0 };
        line("error".into(), format!("{:x}", g.error & mask), format!("{:x}", w.error & mask));
        if w.vector == 14 {
            line("cr2".into(), format!("{:x}", g.cr2), format!("{:x}", w.cr2));
        }
    }
    line("rip".into(), format!("{:x}", g.rip), format!("{:x}", w.rip));
    for i in 0..16 {
        line(format!("r{i}"), format!("{:016x}", g.gpr[i]), format!("{:016x}", w.gpr[i]));
        line(
            format!("ymm{i}"),
            format!("{:032x}:{:032x}", g.ymm_high[i], g.xmm(i)),
            format!("{:032x}:{:032x}", w.ymm_high[i], w.xmm(i)),
        );
    }
    let mask = if w.vector == 3 { FLAGS & !undefined_flags(unit) } else { FLAGS };
    line("rflags".into(), format!("{:x}", g.rflags & mask), format!("{:x}", w.rflags & mask));
    line("mxcsr".into(), format!("{:x}", g.mxcsr()), format!("{:x}", w.mxcsr()));
    for i in 0..8 {
        let show = |b: [u8; 10]| b.iter().rev().fold(String::new(), |s, b| format!("{s}{b:02x}"));
        line(format!("st{i}"), show(g.st(i)), show(w.st(i)));
    }
    line("x87".into(), format!("{:x?}", g.x87()), format!("{:x?}", w.x87()));
    line("memory".into(), format!("{:x?}", got.stores), format!("{:x?}", want.stores));
    (!s.is_empty()).then_some(s)
}

/// Why a difference is none of ours.
fn explained(unit: &Unit, got: &Answer, want: &Answer) -> Option<&'static str> {
    use iced_x86::Mnemonic::{Maskmovdqu, Maskmovq, Vmaskmovdqu};
    if matches!(unit.instruction.mnemonic(), Maskmovdqu | Maskmovq | Vmaskmovdqu) {
        let mut same = got.clone();
        same.state.cr2 = want.state.cr2;
        if got.state.cr2 & !31 == want.state.cr2 & !31 && compare(unit, &same, want).is_none() {
            return Some("which bytes of a masked store fault first is not defined");
        }
    }
    use iced_x86::Mnemonic::{Shld, Shrd};
    let i = &unit.instruction;
    if matches!(i.mnemonic(), Shld | Shrd) && i.op_register(1).size() == 2 {
        let q = &unit.question;
        let n = if i.op_count() == 3 && i.op_kind(2) == iced_x86::OpKind::Register {
            q.state.gpr[1] as u8
        } else {
            i.immediate8()
        };
        if n & 31 > 16 {
            return Some("SHLD and SHRD of 16 bits by more: undefined (SDM Vol. 2)");
        }
    }
    if want.state.vector == 14 && got.state.vector == 14 && want.state.cr2 >> 47 != 0 {
        return Some("the host's kernel has pages of its own there");
    }
    None
}

//! `cargo xtask boot-bench`: the Debian cloud kernel to a marker and power-off, Lyrebird beside QEMU's TCG on the same
//! images, alternating; medians and ratios.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

const MARKER: &str = "BOOT-BENCH-MARKER";
/// The shell of the guest's initramfs, started in place of its init script.
const APPEND: &str = "console=ttyAMA0 panic=-1 rdinit=/bin/busybox -- \
     sh -c \"/bin/busybox echo BOOT-BENCH-MARKER; /bin/busybox poweroff -f\"";

const USAGE: &str = "usage: cargo xtask boot-bench [--runs N] [--guest NAME] [--gic 2|3] [--program FILE] [--only TEXT]
Boots a ready-made guest N times (default 5) under Lyrebird's tiers and CPU models and under qemu-system-aarch64
-accel tcg -M virt (Debian package qemu-system-arm), in turn, and prints medians. --program takes a built lyrebird
instead of building one; --only keeps the contestants with TEXT in their names, beside QEMU's cortex-a57.";

/// One contestant.
struct Runner {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    seconds: Vec<f64>,
    /// What it said on standard error in its last run.
    report: String,
}

fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|s| (*s).to_string()).collect()
}

impl Runner {
    fn run(&mut self) -> Result<()> {
        let start = Instant::now();
        let out = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {}", self.program.display()))?;
        let seconds = start.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&out.stdout);
        let errors = String::from_utf8_lossy(&out.stderr);
        // The kernel prints its command line, which holds the marker too: the guest's own line has it alone.
        if !text.lines().any(|l| l.trim() == MARKER) || !out.status.success() {
            let tail: Vec<&str> = text.lines().rev().take(5).collect();
            bail!("{}: no marker or {}; last lines: {tail:#?}\n{errors}", self.name, out.status);
        }
        self.seconds.push(seconds);
        self.report = errors.into_owned();
        Ok(())
    }

    fn median(&self) -> f64 {
        let mut s = self.seconds.clone();
        s.sort_by(f64::total_cmp);
        // With an even number of runs, between the two in the middle.
        let at = |n: usize| s.get(n).copied().unwrap_or(f64::NAN);
        (at(s.len() / 2) + at(s.len().saturating_sub(1) / 2)) / 2.0
    }

    /// A line of the counters of `--stats`, without its name.
    fn counter(&self, name: &str) -> Option<&str> {
        self.report.lines().find_map(|l| l.strip_prefix(name)).map(str::trim)
    }

    /// MiB of host memory beside guest RAM in use.
    fn memory(&self) -> Option<&str> {
        let (_, rest) = self.counter("peak memory")?.split_once("guest RAM in use, ")?;
        rest.split_whitespace().next()
    }

    fn spread(&self) -> (f64, f64) {
        self.seconds.iter().fold((f64::MAX, 0f64), |(lo, hi), s| (lo.min(*s), hi.max(*s)))
    }
}

fn lyrebird() -> Result<PathBuf> {
    let status =
        Command::new(env!("CARGO")).args(["build", "--release", "--package", "lyrebird"]).status()?;
    if !status.success() {
        bail!("cargo build --release --package lyrebird: {status}");
    }
    // This program was built into the same directory.
    let here = std::env::current_exe().context("path of this program")?;
    Ok(here.with_file_name(format!("lyrebird{}", std::env::consts::EXE_SUFFIX)))
}

fn guest_files(lyrebird: &Path, guest: &str) -> Result<(String, String)> {
    let status = Command::new(lyrebird).args(["guests", "fetch", guest]).status()?;
    if !status.success() {
        bail!("lyrebird guests fetch {guest}: {status}");
    }
    let out = Command::new(lyrebird).args(["guests", "path", guest]).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let file = |ending: &str| {
        text.split_whitespace()
            .find(|w| w.ends_with(ending))
            .map(str::to_string)
            .with_context(|| format!("lyrebird guests path {guest} names no {ending}:\n{text}"))
    };
    Ok((file("vmlinuz")?, file("initrd.gz")?))
}

/// Lyrebird with a CPU model on one of its tiers.
fn own(program: &Path, tier: &str, cpu: &str, gic: &str, (kernel, initrd): (&str, &str)) -> Runner {
    Runner {
        name: format!("Lyrebird {tier} {cpu}"),
        program: program.into(),
        args: strings(&[
            "run",
            "--machine",
            "virt",
            "--memory",
            "1G",
            "--gic",
            gic,
            "--cpu",
            cpu,
            "--tier",
            tier,
            "--stats",
            "--timeout",
            "600",
            "--kernel",
            kernel,
            "--initrd",
            initrd,
            "--append",
            APPEND,
        ]),
        seconds: Vec::new(),
        report: String::new(),
    }
}

/// QEMU with a CPU model.
fn qemu(cpu: &str, gic: &str, (kernel, initrd): (&str, &str)) -> Runner {
    Runner {
        name: format!("QEMU {cpu}"),
        program: "qemu-system-aarch64".into(),
        args: strings(&[
            "-accel",
            "tcg",
            "-M",
            &format!("virt,gic-version={gic}"),
            "-cpu",
            cpu,
            "-m",
            "1024",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-monitor",
            "none",
            "-no-reboot",
            "-kernel",
            kernel,
            "-initrd",
            initrd,
            "-append",
            APPEND,
        ]),
        seconds: Vec::new(),
        report: String::new(),
    }
}

/// Runs the command.
pub fn main(args: &[String]) -> Result<()> {
    let (mut runs, mut guest, mut gic) = (5usize, String::from("debian-arm64"), String::from("3"));
    let (mut program, mut only) = (None, String::new());
    let mut rest = args.iter();
    while let Some(a) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{a} needs a value\n{USAGE}"));
        match a.as_str() {
            "--runs" => runs = value()?.parse().with_context(|| format!("--runs\n{USAGE}"))?,
            "--guest" => guest = value()?.clone(),
            "--gic" => gic = value()?.clone(),
            "--program" => program = Some(PathBuf::from(value()?)),
            "--only" => only = value()?.clone(),
            _ => bail!("{USAGE}"),
        }
    }
    if runs == 0 {
        bail!("--runs 0 measures nothing\n{USAGE}");
    }
    let program = program.map_or_else(lyrebird, Ok)?;
    let (kernel, initrd) = guest_files(&program, &guest)?;
    let files = (kernel.as_str(), initrd.as_str());
    let mut all = vec![
        qemu("cortex-a57", &gic, files),
        own(&program, "auto", "cortex-a57", &gic, files),
        own(&program, "auto", "max", &gic, files),
        qemu("max", &gic, files),
        own(&program, "t0", "max", &gic, files),
        own(&program, "t1", "max", &gic, files),
    ];
    let mut first = true;
    all.retain(|r| std::mem::take(&mut first) || r.name.contains(&only));
    for n in 0..runs {
        for r in &mut all {
            r.run()?;
            eprintln!("run {} of {runs}: {:<24} {:6.2} s", n + 1, r.name, r.seconds[n]);
        }
    }
    let base = all[0].median();
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>10} {:>6} {:>11}",
        "", "median", "min", "max", "/ QEMU a57", "MIPS", "memory"
    );
    for r in &all {
        let (lo, hi) = r.spread();
        let mips = r.counter("guest MIPS").unwrap_or("-");
        let memory = r.memory().map_or_else(|| String::from("-"), |m| format!("{m} MiB"));
        let median = r.median();
        println!(
            "{:<24} {median:>7.2}s {lo:>7.2}s {hi:>7.2}s {:>9.2}x {mips:>6} {memory:>11}",
            r.name,
            median / base
        );
    }
    println!(
        "MIPS: guest instructions by wall time. memory: the host's beside the guest RAM in use, at its peak."
    );
    for r in all.iter().filter(|r| !r.report.trim().is_empty()) {
        println!("\n{} (last run)\n{}", r.name, r.report.trim_end());
    }
    Ok(())
}

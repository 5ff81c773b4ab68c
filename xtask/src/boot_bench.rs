//! `cargo xtask boot-bench`: a Debian kernel to a marker and power-off, Lyrebird beside QEMU's TCG on the same images,
//! alternating; medians and ratios.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

const MARKER: &str = "BOOT-BENCH-MARKER";
/// The shell of the guest's initramfs, started in place of its init script.
const APPEND: &str = "panic=-1 rdinit=/bin/busybox -- \
     sh -c \"/bin/busybox echo BOOT-BENCH-MARKER; /bin/busybox poweroff -f\"";

const USAGE: &str = "usage: cargo xtask boot-bench [--runs N] [--guest NAME] [--gic 2|3] [--program FILE] [--only TEXT]
Boots a ready-made guest N times (default 5) under Lyrebird's tiers and CPU models and under QEMU with -accel tcg,
in turn, and prints medians: debian-arm64 beside qemu-system-aarch64 -M virt (Debian package qemu-system-arm),
debian-amd64 and debian-i386 beside qemu-system-x86_64 and -i386 -M pc (qemu-system-x86). --program takes a built
lyrebird instead of building one; --only keeps the contestants with TEXT in their names, beside the first of QEMU.";

/// What a guest is measured on.
struct Bench {
    /// Names of guests begin with this.
    guest: &'static str,
    machine: &'static str,
    console: &'static str,
    qemu: &'static str,
    /// QEMU's CPU models; the first is what all is compared with.
    qemu_cpus: &'static [&'static str],
    /// Lyrebird's tiers and CPU models.
    own: &'static [(&'static str, &'static str)],
}

const BENCHES: &[Bench] = &[
    Bench {
        guest: "debian-arm64",
        machine: "virt",
        console: "ttyAMA0",
        qemu: "qemu-system-aarch64",
        qemu_cpus: &["cortex-a57", "max"],
        own: &[("auto", "cortex-a57"), ("auto", "max"), ("t0", "max"), ("t1", "max")],
    },
    Bench {
        guest: "debian-amd64",
        machine: "pc",
        console: "ttyS0",
        qemu: "qemu-system-x86_64",
        // With five levels of page tables, QEMU 7.2 does not boot it.
        qemu_cpus: &["max,la57=off"],
        own: &[("auto", "x86-64-v2"), ("auto", "x86-64-v3"), ("t0", "x86-64-v2")],
    },
    Bench {
        guest: "debian-i386",
        machine: "pc",
        console: "ttyS0",
        qemu: "qemu-system-i386",
        qemu_cpus: &["max", "pentium3"],
        own: &[("auto", "x86-64-v2"), ("auto", "i686"), ("t0", "i686")],
    },
];

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
    fn new(name: String, program: PathBuf, args: Vec<String>) -> Runner {
        Runner { name, program, args, seconds: Vec::new(), report: String::new() }
    }

    /// Runs it. QEMU 7.2 loses Debian's 6.12 for amd64 every other time, early: it may try again.
    fn run(&mut self) -> Result<()> {
        const TRIES: usize = 10;
        for _ in 1..TRIES {
            match self.once() {
                Err(e) if self.name.starts_with("QEMU") => eprintln!("again: {e:#}"),
                done => return done,
            }
        }
        self.once()
    }

    fn once(&mut self) -> Result<()> {
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

/// Builds `lyrebird` beside this program. The whole workspace is named, so that nothing is built anew for the features
/// of one package.
pub fn lyrebird() -> Result<PathBuf> {
    let args = ["build", "--release", "--workspace", "--bin", "lyrebird"];
    let status = Command::new(env!("CARGO")).args(args).status()?;
    if !status.success() {
        bail!("cargo {}: {status}", args.join(" "));
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

impl Bench {
    fn append(&self) -> String {
        format!("console={} {APPEND}", self.console)
    }

    /// Lyrebird with a CPU model on one of its tiers.
    fn lyrebird(&self, program: &Path, (tier, cpu): (&str, &str), gic: &str, files: (&str, &str)) -> Runner {
        let mut args = strings(&["run", "--machine", self.machine, "--memory", "1G", "--cpu", cpu]);
        if self.machine == "virt" {
            args.extend(strings(&["--gic", gic]));
        }
        args.extend(strings(&["--tier", tier, "--stats", "--timeout", "600", "--append", &self.append()]));
        args.extend(strings(&["--kernel", files.0, "--initrd", files.1]));
        Runner::new(format!("Lyrebird {tier} {cpu}"), program.into(), args)
    }

    /// QEMU with a CPU model.
    fn qemu(&self, cpu: &str, gic: &str, files: (&str, &str)) -> Runner {
        let machine = match self.machine {
            "virt" => format!("virt,gic-version={gic}"),
            other => String::from(other),
        };
        let mut args =
            strings(&["-accel", "tcg", "-M", &machine, "-cpu", cpu, "-m", "1024", "-display", "none"]);
        if self.machine == "pc" {
            // No network and display, as here.
            args.push(String::from("-nodefaults"));
        }
        args.extend(strings(&["-serial", "stdio", "-monitor", "none", "-no-reboot"]));
        args.extend(strings(&["-kernel", files.0, "-initrd", files.1, "-append", &self.append()]));
        Runner::new(format!("QEMU {cpu}"), self.qemu.into(), args)
    }

    /// All that take part, the one to compare with first.
    fn runners(&self, program: &Path, gic: &str, files: (&str, &str)) -> Vec<Runner> {
        let mut qemu = self.qemu_cpus.iter().map(|cpu| self.qemu(cpu, gic, files));
        let mut own = self.own.iter().map(|o| self.lyrebird(program, *o, gic, files));
        // Those of QEMU apart, so that a busy moment does not hit all.
        let mut all: Vec<Runner> = qemu.by_ref().take(1).chain(own.by_ref().take(2)).collect();
        all.extend(qemu.chain(own));
        all
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
    let bench = BENCHES
        .iter()
        .find(|b| guest.strip_prefix(b.guest).is_some_and(|rest| rest.is_empty() || rest == "-full"))
        .with_context(|| format!("--guest {guest} is none that can be measured\n{USAGE}"))?;
    let program = program.map_or_else(lyrebird, Ok)?;
    let (kernel, initrd) = guest_files(&program, &guest)?;
    let files = (kernel.as_str(), initrd.as_str());
    let mut all = bench.runners(&program, &gic, files);
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
        "{:<24} {:>8} {:>8} {:>8} {:>11} {:>6} {:>11}",
        guest, "median", "min", "max", "/ the first", "MIPS", "memory"
    );
    for r in &all {
        let (lo, hi) = r.spread();
        let mips = r.counter("guest MIPS").unwrap_or("-");
        let memory = r.memory().map_or_else(|| String::from("-"), |m| format!("{m} MiB"));
        let median = r.median();
        println!(
            "{:<24} {median:>7.2}s {lo:>7.2}s {hi:>7.2}s {:>10.2}x {mips:>6} {memory:>11}",
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

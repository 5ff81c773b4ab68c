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

const USAGE: &str = "usage: cargo xtask boot-bench [--runs N] [--guest NAME] [--gic 2|3]
Boots a ready-made guest N times (default 5) under Lyrebird's tiers and under qemu-system-aarch64 -M virt
-cpu cortex-a57 (Debian package qemu-system-arm), in turn.";

/// One contestant.
struct Runner {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    seconds: Vec<f64>,
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
        s.get(s.len() / 2).copied().unwrap_or(f64::NAN)
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

/// Runs the command.
pub fn main(args: &[String]) -> Result<()> {
    let (mut runs, mut guest, mut gic) = (5usize, String::from("debian-arm64"), String::from("3"));
    let mut rest = args.iter();
    while let Some(a) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{a} needs a value\n{USAGE}"));
        match a.as_str() {
            "--runs" => runs = value()?.parse().with_context(|| format!("--runs\n{USAGE}"))?,
            "--guest" => guest = value()?.clone(),
            "--gic" => gic = value()?.clone(),
            _ => bail!("{USAGE}"),
        }
    }
    let lyrebird = lyrebird()?;
    let (kernel, initrd) = guest_files(&lyrebird, &guest)?;
    let own = |name, tier: &str| Runner {
        name,
        program: lyrebird.clone(),
        args: strings(&[
            "run",
            "--machine",
            "virt",
            "--memory",
            "1G",
            "--gic",
            &gic,
            "--tier",
            tier,
            "--stats",
            "--timeout",
            "600",
            "--kernel",
            &kernel,
            "--initrd",
            &initrd,
            "--append",
            APPEND,
        ]),
        seconds: Vec::new(),
        report: String::new(),
    };
    let qemu = Runner {
        name: "QEMU TCG",
        program: "qemu-system-aarch64".into(),
        args: strings(&[
            "-accel",
            "tcg",
            "-M",
            &format!("virt,gic-version={gic}"),
            "-cpu",
            "cortex-a57",
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
            &kernel,
            "-initrd",
            &initrd,
            "-append",
            APPEND,
        ]),
        seconds: Vec::new(),
        report: String::new(),
    };
    let mut all = [qemu, own("Lyrebird auto", "auto"), own("Lyrebird t0", "t0"), own("Lyrebird t1", "t1")];
    for n in 0..runs {
        for r in &mut all {
            r.run()?;
            eprintln!("run {} of {runs}: {:<14} {:6.2} s", n + 1, r.name, r.seconds[n]);
        }
    }
    let base = all[0].median();
    println!("{:<14} {:>8} {:>8} {:>8} {:>9}", "", "median", "min", "max", "/ QEMU");
    for r in &all {
        let (lo, hi) = r.spread();
        println!("{:<14} {:>7.2}s {:>7.2}s {:>7.2}s {:>8.2}x", r.name, r.median(), lo, hi, r.median() / base);
    }
    for r in all.iter().filter(|r| !r.report.is_empty()) {
        println!("\n{} (last run)\n{}", r.name, r.report.trim_end());
    }
    Ok(())
}

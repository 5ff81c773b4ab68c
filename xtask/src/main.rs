//! Developer commands: `cargo xtask COMMAND`.

mod bench;
mod boot_bench;
mod boot_test;
mod coverage;
#[path = "x86_features.rs"]
mod features;
#[path = "../../crates/frontend-x86/tests/vectors/forms.rs"]
mod forms;
mod roms;

use std::process::Command;

use anyhow::{Result, bail};

const COMMANDS: &str = "usage: cargo xtask COMMAND
  bench       run a part of `lyrebird bench` with both guests; fails where a result is wrong
  boot-bench  time the Debian boot beside QEMU
  boot-test   boot Debian kernels and talk with their shells; arguments go to `lyrebird run`
  coverage    print how much of the A64 table and of iced-x86's codes is implemented
  difftest    compare random instructions with QEMU's user mode (a64), with this host's CPU (x86)
  roms        build, check or run the bare-metal test ROMs";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("bench") => bench::main(&args[1..]),
        Some("boot-bench") => boot_bench::main(&args[1..]),
        Some("boot-test") => boot_test::main(&args[1..]),
        Some("coverage") => coverage::main(&args[1..]),
        Some("difftest") => difftest(&args[1..]),
        Some("roms") => roms::main(&args[1..]),
        Some(other) => bail!("no command {other}\n{COMMANDS}"),
        None => bail!("{COMMANDS}"),
    }
}

/// Runs the difftest program, which is one of its own because it contains every instruction three times and so takes
/// minutes to build.
fn difftest(args: &[String]) -> Result<()> {
    let (bin, args) = match args.first().map(String::as_str) {
        Some("x86") => ("difftest-x86", &args[1..]),
        _ => ("difftest", args),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--release", "--quiet", "--package", "xtask", "--bin", bin, "--"])
        .args(args)
        .status()?;
    std::process::exit(status.code().unwrap_or(1));
}

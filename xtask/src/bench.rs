//! `cargo xtask bench`: the suite of `lyrebird bench` with both guests, whole or a part of a few minutes for CI.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::boot_bench::lyrebird;

const GUESTS: [&str; 2] = ["debian-amd64", "debian-arm64"];
/// One of each kind of work; none that is long in the interpreter alone.
const SMOKE: &str =
    "core,sort,pack,unpack,linpack200,stream-triad,blend,syscall,signal,pipe,exec,fault,shell,boot";

const USAGE: &str = "usage: cargo xtask bench [--smoke] [OPTION]...
Runs `lyrebird bench` for debian-amd64 and debian-arm64; OPTIONs go to it. --smoke: once, shortly, a part of the suite,
in about 3 minutes. Reports speeds and never fails because of one; fails where a program's result is wrong or Lyrebird
does not come to its end.";

/// Runs the command.
pub fn main(args: &[String]) -> Result<()> {
    if args.iter().any(|a| a == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let smoke = args.iter().any(|a| a == "--smoke");
    let program = lyrebird()?;
    let mut failed = Vec::new();
    let start = Instant::now();
    for guest in GUESTS {
        let mut command = Command::new(&program);
        command.args(["bench", "--guest", guest]);
        if smoke {
            command.args(["--runs", "1", "--seconds", "0.2", "--tier", "auto", "--only", SMOKE]);
        }
        command.args(args.iter().filter(|a| *a != "--smoke"));
        if !command.status()?.success() {
            failed.push(guest);
        }
    }
    println!("bench: {:.0} s", start.elapsed().as_secs_f64());
    if !failed.is_empty() {
        bail!("bench: {} failed, see above\n{USAGE}", failed.join(", "));
    }
    Ok(())
}

//! Developer commands: `cargo xtask COMMAND`.

mod boot_bench;
mod boot_test;
mod roms;

use anyhow::{Result, bail};

const COMMANDS: &str = "usage: cargo xtask COMMAND
  boot-bench  time the Debian boot beside QEMU
  boot-test   boot Debian kernels and talk with their shells; arguments go to `lyrebird run`
  roms        build, check or run the bare-metal test ROMs";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("boot-bench") => boot_bench::main(&args[1..]),
        Some("boot-test") => boot_test::main(&args[1..]),
        Some("roms") => roms::main(&args[1..]),
        Some(other) => bail!("no command {other}\n{COMMANDS}"),
        None => bail!("{COMMANDS}"),
    }
}

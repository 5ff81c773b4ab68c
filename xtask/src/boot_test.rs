//! `cargo xtask boot-test`: the end-to-end test `crates/cli/tests/debian.rs`.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs the test, a guest at a time; `args` are added to the command line of each.
pub fn main(args: &[String]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        // With the whole workspace's features, so that nothing is built anew after `cargo test --workspace`.
        .args(["test", "--release", "--workspace", "--test", "debian", "--"])
        .args(["--test-threads=1", "--nocapture"])
        .env("LYREBIRD_BOOT_TEST", "1")
        .env("LYREBIRD_BOOT_ARGS", args.join(" "))
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("the boot test failed");
    }
    Ok(())
}

//! `cargo xtask coverage`: how much of the instruction sets is implemented.

mod a64;
mod x86;

use anyhow::{Result, bail};

/// Implemented, and all.
#[derive(Clone, Copy, Default)]
struct Share(usize, usize);

impl Share {
    fn count(&mut self, implemented: bool) {
        self.0 += implemented as usize;
        self.1 += 1;
    }

    fn line(self, name: &str) {
        let percent = 100.0 * self.0 as f64 / self.1.max(1) as f64;
        println!("  {name:<12} {:>4} / {:>4}  {percent:>5.1} %", self.0, self.1);
    }
}

/// Runs the command.
pub fn main(args: &[String]) -> Result<()> {
    match args {
        [] => {
            a64::print();
            x86::print();
        }
        [one] if one == "a64" => a64::print(),
        [one] if one == "x86" => x86::print(),
        _ => bail!("coverage takes a64, x86 or nothing, not {}", args.join(" ")),
    }
    Ok(())
}

//! `cargo xtask coverage`: how much of the A64 table is implemented.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use lyrebird_frontend_arm::a64::table::{self, Row};

/// Implemented rows and all rows.
#[derive(Clone, Copy, Default)]
struct Share(usize, usize);

impl Share {
    fn count(&mut self, r: &Row) {
        self.0 += r.implemented as usize;
        self.1 += 1;
    }
    fn line(self, name: &str) {
        println!(
            "  {name:<12} {:>4} / {:>4}  {:>5.1} %",
            self.0,
            self.1,
            100.0 * self.0 as f64 / self.1 as f64
        );
    }
}

/// Runs the command.
pub fn main(args: &[String]) -> Result<()> {
    if let Some(a) = args.first() {
        bail!("coverage takes no argument, not {a}");
    }
    let mut total = Share::default();
    let mut groups: BTreeMap<String, Share> = BTreeMap::new();
    let mut features: BTreeMap<String, Share> = BTreeMap::new();
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for r in table::all() {
        total.count(r);
        groups.entry(format!("{:?}", r.group)).or_default().count(r);
        features.entry(format!("{:?}", r.feature)).or_default().count(r);
        if !r.implemented {
            missing.entry(format!("{:?}", r.feature)).or_default().push(r.name);
        }
    }
    println!("A64 rows implemented");
    total.line("all");
    println!("by group");
    groups.iter().for_each(|(name, s)| s.line(name));
    println!("by feature");
    features.iter().for_each(|(name, s)| s.line(name));
    println!("not implemented");
    for (feature, rows) in missing {
        println!("  {feature}: {}", rows.join(" "));
    }
    Ok(())
}

//! A64: rows of the table.

use std::collections::BTreeMap;

use lyrebird_frontend_arm::a64::table;

use super::Share;

/// Prints the rows implemented, and the names of the others.
pub fn print() {
    let mut total = Share::default();
    let mut groups: BTreeMap<String, Share> = BTreeMap::new();
    let mut features: BTreeMap<String, Share> = BTreeMap::new();
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for r in table::all() {
        total.count(r.implemented);
        groups.entry(format!("{:?}", r.group)).or_default().count(r.implemented);
        features.entry(format!("{:?}", r.feature)).or_default().count(r.implemented);
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
}

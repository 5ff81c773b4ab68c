//! The table on the terminal.

use std::fmt::Write as _;

use super::{departure, times, troubles, value};
use crate::bench::suite::Group;
use crate::bench::table::Table;

/// The table, the departures from native, the means, and what went wrong.
pub fn terminal(table: &Table) -> String {
    let rivals = table.rivals();
    let mut head = vec![String::new(), String::from("unit")];
    head.extend(table.contestants.iter().map(|c| c.name.clone()));
    if let Some((own, to)) = rivals {
        head.push(format!("{} ÷ {}", table.contestants[own].name, table.contestants[to].name));
    }
    let mut rows = vec![head];
    for row in &table.rows {
        let mut line = vec![row.workload.name.to_string(), row.workload.unit.to_string()];
        line.extend(row.cells.iter().map(value));
        line.extend(rivals.map(|(own, to)| times(row.ratio(own, to))));
        rows.push(line);
    }
    // Writing to a string does not fail.
    let mut text = String::new();
    let _ = writeln!(text, "{}, {}", table.setting.guest, table.setting.date);
    for (name, fact) in &table.setting.facts {
        let _ = writeln!(text, "{name}: {fact}");
    }
    for who in &table.contestants {
        let _ = writeln!(text, "{}: {}", who.name, who.about);
    }
    text.push('\n');
    text += &aligned(&rows);
    if let Some(native) = table.native().filter(|_| table.contestants.len() > 1) {
        let others: Vec<usize> = (0..table.contestants.len()).filter(|n| *n != native).collect();
        let mut head = vec![String::from("departure from native")];
        head.extend(others.iter().map(|n| table.contestants[*n].name.clone()));
        let mut rows = vec![head];
        for row in &table.rows {
            let mut line = vec![row.workload.name.to_string()];
            line.extend(others.iter().map(|n| departure(row, *n, native)));
            rows.push(line);
        }
        text.push('\n');
        text += &aligned(&rows);
    }
    if let Some((own, to)) = rivals {
        text.push('\n');
        for group in Group::ALL {
            if let Some(mean) = table.mean(group, own, to) {
                let (own, to) = (&table.contestants[own].name, &table.contestants[to].name);
                let _ =
                    writeln!(text, "{}: {own} ÷ {to} {}, geometric mean", group.name(), times(Some(mean)));
            }
        }
    }
    for line in troubles(table) {
        let _ = writeln!(text, "! {line}");
    }
    text
}

/// Columns of the width of their widest cell; the first two to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| rows.iter().filter_map(|r| r.get(n)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match n {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text += &line;
        text.push('\n');
    }
    text
}

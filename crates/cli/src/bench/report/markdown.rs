//! The report as Markdown.

use std::fmt::Write as _;

use super::{departure, times, troubles, value};
use crate::bench::suite::Group;
use crate::bench::table::Table;

/// A row of a table.
fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A head with the columns' alignment: `left` of them to the left.
fn head(cells: &[String], left: usize) -> String {
    let rule: Vec<&str> = (0..cells.len()).map(|n| if n < left { "---" } else { "---:" }).collect();
    format!("{}|{}|\n", row(cells), rule.join("|"))
}

/// The whole report.
pub fn markdown(table: &Table) -> String {
    let (setting, who) = (&table.setting, &table.contestants);
    let mut text = format!("# {}, {}\n\n", setting.guest, setting.date);
    // Writing to a string does not fail.
    for (name, fact) in &setting.facts {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    for w in who {
        let _ = writeln!(text, "- {}: {}", w.name, w.about);
    }
    text += "\nMedians; ± is half the distance between the least and the greatest run. `lyrebird bench --list` tells what the \
             workloads are.\n";
    let rivals = table.rivals();
    for group in Group::ALL {
        let rows: Vec<_> = table.rows.iter().filter(|r| r.workload.group == group).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {}\n", group.name());
        let mut cells = vec![String::from("Workload"), String::new()];
        cells.extend(who.iter().map(|w| w.name.clone()));
        if let Some((own, to)) = rivals {
            cells.push(format!("{} ÷ {}", who[own].name, who[to].name));
        }
        text += &head(&cells, 2);
        for r in rows {
            let mut cells = vec![r.workload.name.to_string(), r.workload.unit.to_string()];
            cells.extend(r.cells.iter().map(value));
            cells.extend(rivals.map(|(own, to)| format!("**{}**", times(r.ratio(own, to)))));
            text += &row(&cells);
        }
        if let Some(mean) = rivals.and_then(|(own, to)| table.mean(group, own, to)) {
            let _ = writeln!(text, "\nGeometric mean: **{}**", times(Some(mean)));
        }
    }
    if let Some(native) = table.native().filter(|_| who.len() > 1) {
        text += "\n## Departure from native\n\n";
        let others: Vec<usize> = (0..who.len()).filter(|n| *n != native).collect();
        let mut cells = vec![String::from("Workload")];
        cells.extend(others.iter().map(|n| who[*n].name.clone()));
        text += &head(&cells, 1);
        for r in &table.rows {
            let mut cells = vec![r.workload.name.to_string()];
            cells.extend(others.iter().map(|n| departure(r, *n, native)));
            text += &row(&cells);
        }
    }
    let troubles = troubles(table);
    if !troubles.is_empty() {
        text += "\n## Notes\n\n";
        for line in troubles {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

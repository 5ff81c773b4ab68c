//! All samples as JSON.

use std::fmt::Write as _;

use crate::bench::suite::Better;
use crate::bench::table::{Row, Table};

/// A string with its quotes.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            c if (c as u32) < 0x20 => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn object(items: impl Iterator<Item = (String, String)>) -> String {
    let items: Vec<String> = items.map(|(key, value)| format!("{}: {value}", string(&key))).collect();
    format!("{{{}}}", items.join(", "))
}

fn pair(key: &str, value: String) -> (String, String) {
    (key.to_string(), value)
}

fn result(table: &Table, row: &Row) -> String {
    let w = row.workload;
    let cells = row.cells.iter().zip(&table.contestants).map(|(cell, who)| {
        let median = cell.median().map_or_else(|| String::from("null"), |m| m.to_string());
        let value = object(
            [
                pair("median", median),
                pair("samples", list(cell.samples.iter().map(f64::to_string))),
                pair("troubles", list(cell.troubles.iter().map(|t| string(t)))),
            ]
            .into_iter(),
        );
        (who.name.clone(), value)
    });
    object(
        [
            pair("workload", string(w.name)),
            pair("group", string(w.group.name())),
            pair("unit", string(w.unit)),
            pair("better", string(if w.better == Better::More { "more" } else { "less" })),
            pair("checksum", row.checksum.as_deref().map_or_else(|| String::from("null"), string)),
            pair("results", object(cells)),
        ]
        .into_iter(),
    )
}

/// The whole report.
pub fn json(table: &Table) -> String {
    let setting = &table.setting;
    let facts = object(setting.facts.iter().map(|(k, v)| pair(k, string(v))));
    let who = list(table.contestants.iter().map(|w| {
        object(
            [
                pair("name", string(&w.name)),
                pair("about", string(&w.about)),
                pair("retries", w.retries.to_string()),
            ]
            .into_iter(),
        )
    }));
    let rows: Vec<String> = table.rows.iter().map(|r| format!("    {}", result(table, r))).collect();
    format!(
        "{{\n  \"date\": {},\n  \"guest\": {},\n  \"setting\": {facts},\n  \"contestants\": {who},\n  \
         \"notes\": {},\n  \"rows\": [\n{}\n  ]\n}}\n",
        string(&setting.date),
        string(&setting.guest),
        list(table.notes.iter().map(|n| string(n))),
        rows.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(string("a\"b\\c\nd\u{1b}é"), "\"a\\\"b\\\\c\\nd\\u001bé\"");
    }
}

//! The results in words, as Markdown, JSON and a page of HTML.

mod html;
mod json;
mod markdown;
mod terminal;

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::table::{Cell, Row, Table};
use crate::args::BenchArgs;
use crate::guests::cache::write_whole;
pub use terminal::terminal;

/// Puts a table into words.
type Writer = fn(&Table) -> String;

/// The files that were asked for.
#[derive(Debug)]
pub struct Reports(Vec<(PathBuf, Writer)>);

impl Reports {
    /// Of the command line. That a file can be written is found out before hours of measuring.
    pub fn new(args: &BenchArgs) -> Result<Reports> {
        let files: [(&Option<PathBuf>, Writer); 3] =
            [(&args.markdown, markdown::markdown), (&args.json, json::json), (&args.html, html::html)];
        let reports: Vec<(PathBuf, Writer)> =
            files.into_iter().filter_map(|(path, write)| Some((path.clone()?, write))).collect();
        for (path, _) in &reports {
            let dir = path.parent().filter(|d| !d.as_os_str().is_empty());
            if path.is_dir() || dir.is_some_and(|d| !d.is_dir()) {
                bail!("report {}: give a file in a directory that exists", path.display());
            }
        }
        Ok(Reports(reports))
    }

    /// Writes them all with what there is.
    pub fn write(&self, table: &Table) -> Result<()> {
        self.0.iter().try_for_each(|(path, write)| write_whole(path, write(table).as_bytes()))
    }

    /// What was written, a line each.
    pub fn written(&self) -> Vec<String> {
        self.0.iter().map(|(path, _)| format!("wrote {}", path.display())).collect()
    }
}

/// A value with three or four digits that count, thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut out = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// A cell's median and spread.
fn value(cell: &Cell) -> String {
    let Some(median) = cell.median() else {
        return String::from(if cell.troubles.is_empty() { "–" } else { "failed" });
    };
    let mark = if cell.troubles.is_empty() { "" } else { " !" };
    match super::statistics::spread(&cell.samples) {
        Some(s) if cell.samples.len() > 1 => format!("{} ±{:.0}%{mark}", number(median), s * 50.0),
        _ => format!("{}{mark}", number(median)),
    }
}

/// How far a column is from another, in percent of it: −80 % is a fifth of its speed.
fn departure(row: &Row, of: usize, from: usize) -> String {
    match row.ratio(of, from) {
        Some(r) if r >= 2.0 => format!("{}×", number(r)),
        Some(r) => format!("{:+.1} %", (r - 1.0) * 100.0).replace('-', "−"),
        None => String::from("–"),
    }
}

/// A ratio.
fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| String::from("–"), |r| format!("{r:.2}×"))
}

/// What went wrong, a line each.
fn troubles(table: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &table.rows {
        for (cell, who) in row.cells.iter().zip(&table.contestants) {
            lines.extend(cell.troubles.iter().map(|t| format!("{}, {}: {t}", row.workload.name, who.name)));
        }
    }
    for who in table.contestants.iter().filter(|w| w.retries > 0) {
        lines.push(format!("{}: the guest had to be started again {} times", who.name, who.retries));
    }
    lines.extend(table.notes.iter().cloned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::table::tests::example;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0.000"),
            (0.1234, "0.123"),
            (9.876, "9.88"),
            (98.76, "98.8"),
            (987.6, "988"),
            (12345.6, "12,346"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn cells_say_median_and_spread() {
        let cell = |samples: &[f64], troubles: &[&str]| Cell {
            samples: samples.to_vec(),
            troubles: troubles.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(value(&cell(&[90.0, 100.0, 110.0], &[])), "100 ±10%");
        assert_eq!(value(&cell(&[1.0], &[])), "1.00");
        assert_eq!(value(&cell(&[1.0], &["hung"])), "1.00 !");
        assert_eq!(value(&cell(&[], &["hung"])), "failed");
        assert_eq!(value(&cell(&[], &[])), "–");
    }

    #[test]
    fn departures_are_signed() {
        let table = example();
        assert_eq!(departure(&table.rows[0], 1, 0), "−87.5 %");
        assert_eq!(departure(&table.rows[2], 3, 0), "2.00×");
        assert_eq!(departure(&table.rows[1], 1, 0), "–");
    }

    #[test]
    fn markdown_has_every_value() {
        let text = markdown::markdown(&example());
        for part in [
            "| core | iterations/s | 8,000 ±1% | 1,000 ±10% | 200 ! | 2,500 ±20% | **2.50×** |",
            "| boot | s | 4.00 | 3.00 | 20.0 | 2.00 | **1.50×** |",
            "| core | −87.5 % | −97.5 % | −68.8 % |",
            "core, Lyrebird t0: ended with <signal> 11",
            "KVM is left out: a|b",
        ] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
        // Every row of a table has as many columns as its head.
        let mut columns = 0;
        for line in text.lines() {
            let n = line.matches('|').count();
            if line.starts_with('|') && columns > 0 {
                assert_eq!(n, columns, "{line}");
            }
            columns = if line.starts_with('|') { n } else { 0 };
        }
    }

    #[test]
    fn json_is_whole() {
        let text = json::json(&example());
        for part in [
            r#""guest": "debian-amd64""#,
            r#""Host": "a <fast> & \"big\" one""#,
            r#""samples": [8000, 8100, 7900]"#,
            r#""troubles": ["ended with <signal> 11"]"#,
            r#""better": "less""#,
        ] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
        balanced(&text);
    }

    /// Brackets and quotes come in pairs, and no comma is left over.
    fn balanced(text: &str) {
        let (mut open, mut inside, mut escaped, mut last) = (Vec::new(), false, false, ' ');
        for c in text.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if inside => escaped = true,
                '"' => inside = !inside,
                '{' | '[' if !inside => open.push(c),
                '}' | ']' if !inside => {
                    assert_eq!(open.pop(), Some(if c == '}' { '{' } else { '[' }));
                    assert_ne!(last, ',', "a comma before a bracket");
                }
                _ => {}
            }
            if !c.is_whitespace() {
                last = c;
            }
        }
        assert!(open.is_empty() && !inside);
    }

    #[test]
    fn the_page_is_self_contained_and_escaped() {
        let text = html::html(&example());
        assert!(text.contains("a &lt;fast&gt; &amp; &quot;big&quot; one"), "{text}");
        assert!(!text.contains("<fast>") && !text.contains("<signal>"));
        assert!(!text.contains("http") && !text.contains("src=") && !text.contains("NaN"));
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
        assert!(text.matches("<rect").count() >= 6, "{text}");
        for tag in ["table", "tr", "td", "th", "h1", "h2", "ul", "li", "p", "body", "html"] {
            let opened =
                text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn the_terminal_s_table_is_aligned() {
        let text = terminal(&example());
        let core = text.lines().find(|l| l.trim_start().starts_with("core")).unwrap();
        assert!(core.contains("2,500 ±20%") && core.contains("2.50×"), "{text}");
        let head = text.lines().find(|l| l.contains("unit")).unwrap();
        assert_eq!(head.chars().count(), core.chars().count(), "{text}");
    }
}

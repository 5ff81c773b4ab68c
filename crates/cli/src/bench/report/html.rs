//! The report as one page: tables, and bars of the speed beside QEMU's on a logarithmic scale.

use std::fmt::Write as _;

use super::{departure, number, times, troubles, value};
use crate::bench::suite::Group;
use crate::bench::table::{Row, Table};

const STYLE: &str = "
:root { --ink: #1c1e21; --dim: #667; --paper: #fff; --line: #d8dae0; --s0: #9aa0a8; --s1: #c98a2b; --s2: #b3423a; --s3: #7aa7d9; --s4: #2261b0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --dim: #9aa0ac; --paper: #16181c; --line: #363a42; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.dim, svg text.dim { color: var(--dim); fill: var(--dim); }
.good { font-weight: 600; }
.bad { font-weight: 600; color: var(--s2); }
svg { max-width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 1em; border-radius: 2px; }
";

/// The number of colours.
const COLOURS: usize = 5;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table; the first row is its head.
fn html_table(rows: &[Vec<String>]) -> String {
    let mut text = String::from("<table>\n");
    for (n, row) in rows.iter().enumerate() {
        let tag = if n == 0 { "th" } else { "td" };
        let cells: String = row.iter().map(|c| format!("<{tag}>{c}</{tag}>")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    text + "</table>\n"
}

/// A ratio, coloured by whether it is a victory.
fn verdict(ratio: Option<f64>) -> String {
    let class = if ratio.is_some_and(|r| r < 1.0) { "bad" } else { "good" };
    format!("<span class=\"{class}\">{}</span>", times(ratio))
}

/// Bars of a group's rows: each contestant's speed as a multiple of column `base`.
fn chart(table: &Table, rows: &[&Row], base: usize) -> String {
    const LEFT: f64 = 110.0;
    const WIDTH: f64 = 620.0;
    const BAR: f64 = 9.0;
    const GAP: f64 = 10.0;
    let columns: Vec<usize> = (0..table.contestants.len()).collect();
    let ratios: Vec<f64> = rows
        .iter()
        .flat_map(|r| columns.iter().filter_map(|c| r.ratio(*c, base)))
        .filter(|r| *r > 0.0)
        .collect();
    let Some(least) = ratios.iter().copied().reduce(f64::min) else { return String::new() };
    let most = ratios.iter().copied().fold(least, f64::max);
    // Whole decades, with the base within.
    let (low, high) = (least.min(0.9).log10().floor(), most.max(1.1).log10().ceil());
    let x = |ratio: f64| LEFT + WIDTH * (ratio.log10() - low) / (high - low);
    let step = BAR * columns.len() as f64 + GAP;
    let height = step * rows.len() as f64 + 30.0;
    let mut text = format!(
        "<svg viewBox=\"0 0 {:.0} {height:.0}\" width=\"{:.0}\" role=\"img\" aria-label=\"speed as a multiple of {}\">\n",
        LEFT + WIDTH + 60.0,
        LEFT + WIDTH + 60.0,
        escape(&table.contestants[base].name)
    );
    // Writing to a string does not fail.
    let mut decade = low;
    while decade <= high {
        let at = x(10f64.powf(decade));
        let _ = writeln!(
            text,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{:.1}\" stroke=\"var(--line)\"/>\
             <text class=\"dim\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}×</text>",
            height - 22.0,
            height - 8.0,
            10f64.powf(decade)
        );
        decade += 1.0;
    }
    for (n, row) in rows.iter().enumerate() {
        let top = step * n as f64 + 4.0;
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            top + (step - GAP) / 2.0 + 4.0,
            escape(row.workload.name)
        );
        for (k, column) in columns.iter().enumerate() {
            let Some(ratio) = row.ratio(*column, base).filter(|r| *r > 0.0) else { continue };
            let (from, to) = (x(1.0).min(x(ratio)), x(1.0).max(x(ratio)));
            let y = top + BAR * k as f64;
            let _ = writeln!(
                text,
                "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--s{})\"><title>{}, {}: {}×</title></rect>",
                (to - from).max(1.0),
                BAR - 1.0,
                column % COLOURS,
                escape(row.workload.name),
                escape(&table.contestants[*column].name),
                number(ratio)
            );
        }
    }
    text + "</svg>\n"
}

/// The whole page.
pub fn html(table: &Table) -> String {
    let (setting, who) = (&table.setting, &table.contestants);
    let title = escape(&format!("Lyrebird bench: {}, {}", setting.guest, setting.date));
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<body>\n<h1>{title}</h1>\n<ul>\n"
    );
    // Writing to a string does not fail.
    for (name, fact) in &setting.facts {
        let _ = writeln!(text, "<li>{}: {}</li>", escape(name), escape(fact));
    }
    for w in who {
        let _ = writeln!(text, "<li>{}: {}</li>", escape(&w.name), escape(&w.about));
    }
    text += "</ul>\n";
    let rivals = table.rivals();
    let base = rivals.map(|(_, to)| to).or(table.native());
    if let Some(base) = base {
        let keys: String = who
            .iter()
            .enumerate()
            .map(|(n, w)| {
                format!(
                    "<span class=\"key\" style=\"background: var(--s{})\"></span>{}",
                    n % COLOURS,
                    escape(&w.name)
                )
            })
            .collect();
        let _ = writeln!(
            text,
            "<p>Bars: speed as a multiple of that of {}, logarithmic; to the right is faster.{keys}</p>",
            escape(&who[base].name)
        );
    }
    for group in Group::ALL {
        let rows: Vec<&Row> = table.rows.iter().filter(|r| r.workload.group == group).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(text, "<h2>{}</h2>", group.name());
        if let Some(base) = base {
            text += &chart(table, &rows, base);
        }
        let mut head = vec![String::from("Workload"), String::from("unit")];
        head.extend(who.iter().map(|w| escape(&w.name)));
        if let Some((own, to)) = rivals {
            head.push(escape(&format!("{} ÷ {}", who[own].name, who[to].name)));
        }
        let mut cells = vec![head];
        for row in &rows {
            let mut line = vec![
                row.workload.name.to_string(),
                format!("<span class=\"dim\">{}</span>", row.workload.unit),
            ];
            line.extend(row.cells.iter().map(value));
            line.extend(rivals.map(|(own, to)| verdict(row.ratio(own, to))));
            cells.push(line);
        }
        text += &html_table(&cells);
        if let Some(mean) = rivals.and_then(|(own, to)| table.mean(group, own, to)) {
            let _ = writeln!(text, "<p>Geometric mean: {}</p>", verdict(Some(mean)));
        }
    }
    if let Some(native) = table.native().filter(|_| who.len() > 1) {
        text += "<h2>Departure from native</h2>\n";
        let others: Vec<usize> = (0..who.len()).filter(|n| *n != native).collect();
        let mut head = vec![String::from("Workload")];
        head.extend(others.iter().map(|n| escape(&who[*n].name)));
        let mut cells = vec![head];
        for row in &table.rows {
            let mut line = vec![row.workload.name.to_string()];
            line.extend(others.iter().map(|n| departure(row, *n, native)));
            cells.push(line);
        }
        text += &html_table(&cells);
    }
    let troubles = troubles(table);
    if !troubles.is_empty() {
        text += "<h2>Notes</h2>\n<ul>\n";
        for line in troubles {
            let _ = writeln!(text, "<li>{}</li>", escape(&line));
        }
        text += "</ul>\n";
    }
    text + "</body>\n</html>\n"
}

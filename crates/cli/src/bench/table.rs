//! The results.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::contestant::Contestant;
use super::line::Line;
use super::statistics::{geometric_mean, median};
use super::suite::{Better, Group, Kind, Workload};
use crate::args::BenchArgs;
use crate::guests::Guest;
use crate::message::note;

/// What a contestant got with a workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// A value for each run.
    pub samples: Vec<f64>,
    /// What went wrong.
    pub troubles: Vec<String>,
}

impl Cell {
    /// The value that counts.
    pub fn median(&self) -> Option<f64> {
        median(&self.samples)
    }
}

/// A workload's results.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub workload: &'static Workload,
    /// By contestant.
    pub cells: Vec<Cell>,
    /// The checksum of whoever was first; all others must have the same.
    pub checksum: Option<String>,
}

/// What was measured, where and how: names and values.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Day, in UTC.
    pub date: String,
    /// The guest's name.
    pub guest: String,
    /// Everything else.
    pub facts: Vec<(&'static str, String)>,
}

impl Setting {
    /// Of this machine, now.
    pub fn new(guest: &Guest, args: &BenchArgs, versions: &str, packages: &[String]) -> Setting {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let model = first("/proc/cpuinfo")
            .lines()
            .find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, m)| m.trim().to_string()))
            .unwrap_or_else(|| String::from(std::env::consts::ARCH));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kernel = first("/proc/sys/kernel/osrelease");
        let host = format!("{model}, {cores} cores, {} {}", std::env::consts::OS, kernel.trim());
        let recipe = |l: &&str| !l.starts_with(crate::guests::initramfs::RECIPE);
        let mut versions: Vec<&str> = versions.lines().filter(recipe).collect();
        versions.extend(packages.iter().map(String::as_str));
        let seconds = args.seconds.as_secs_f64();
        Setting {
            date: date(now),
            guest: String::from(guest.name),
            facts: vec![
                ("Host", host.trim().to_string()),
                ("Guest", format!("{}, 1 CPU, 1 GiB: {}", guest.name, versions.join(", "))),
                ("Method", format!("{} runs in turn, {seconds} s per kernel; medians", args.runs)),
            ],
        }
    }
}

/// `2026-11-22`, of seconds since 1970 (days to civil years of 400-year cycles that begin in March).
fn date(since: Duration) -> String {
    let days = since.as_secs() / 86_400 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * cycle + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{of_month:02}")
}

/// One that took part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// For headings.
    pub name: String,
    /// Version and CPU model.
    pub about: String,
    /// How often the guest did not come up and was started anew.
    pub retries: u32,
}

/// All results.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where and how.
    pub setting: Setting,
    /// Columns.
    pub contestants: Vec<Who>,
    /// Rows.
    pub rows: Vec<Row>,
    /// What a reader must know.
    pub notes: Vec<String>,
    wrong: bool,
}

impl Table {
    /// An empty one.
    pub fn new(setting: Setting, workloads: &[&'static Workload]) -> Table {
        let row = |w: &&'static Workload| Row { workload: w, cells: Vec::new(), checksum: None };
        Table {
            setting,
            contestants: Vec::new(),
            rows: workloads.iter().map(row).collect(),
            notes: Vec::new(),
            wrong: false,
        }
    }

    /// Makes a column for each.
    pub fn set_contestants(&mut self, contestants: &[Contestant]) {
        let who = |c: &Contestant| Who { name: c.name.clone(), about: c.about.clone(), retries: 0 };
        self.contestants = contestants.iter().map(who).collect();
        for row in &mut self.rows {
            row.cells = vec![Cell::default(); contestants.len()];
        }
    }

    /// What there is to measure.
    pub fn workloads(&self) -> Vec<&'static Workload> {
        self.rows.iter().map(|r| r.workload).collect()
    }

    /// Adds a note.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Whether a result was wrong, or Lyrebird failed.
    pub fn wrong(&self) -> bool {
        self.wrong
    }

    fn column(&self, contestant: &str) -> Option<usize> {
        self.contestants.iter().position(|c| c.name == contestant)
    }

    fn cell(&mut self, workload: &str, contestant: &str) -> Option<&mut Cell> {
        let column = self.column(contestant)?;
        self.rows.iter_mut().find(|r| r.workload.name == workload)?.cells.get_mut(column)
    }

    /// A value that needs no check.
    pub fn sample(&mut self, workload: &Workload, contestant: &Contestant, value: f64) {
        if let Some(cell) = self.cell(workload.name, &contestant.name) {
            cell.samples.push(value);
        }
    }

    /// A line that a contestant's program printed. A wrong result is trouble and no sample.
    pub fn line(&mut self, contestant: &Contestant, line: &Line) {
        let Some(row) = self.rows.iter_mut().find(|r| r.workload.name == line.name) else {
            return self.note(format!("{}: unknown result {:?}", contestant.name, line.name));
        };
        let workload = row.workload;
        // Not of a wrong one: it would make the others wrong.
        let known = match &row.checksum {
            None if line.right => row.checksum.insert(line.checksum.clone()).clone(),
            None => String::new(),
            Some(known) => known.clone(),
        };
        let trouble = match () {
            () if !line.right && workload.kind == Kind::Kernel => format!("wrong result {}", line.checksum),
            () if !line.right => String::from("the program failed"),
            () if known != line.checksum => format!("result {} differs from {known}", line.checksum),
            () => return self.sample(workload, contestant, line.value),
        };
        self.wrong = true;
        self.trouble(workload, contestant, trouble);
    }

    /// What kept a contestant from a result.
    pub fn trouble(&mut self, workload: &Workload, contestant: &Contestant, text: String) {
        self.wrong |= contestant.own();
        note(&format!("{}, {}: {text}", contestant.name, workload.name));
        if let Some(cell) = self.cell(workload.name, &contestant.name) {
            cell.troubles.push(text);
        }
    }

    /// A contestant that does not boot the guest.
    pub fn lost(&mut self, contestant: &Contestant, text: String) {
        self.wrong |= contestant.own();
        note(&text);
        self.note(text);
    }

    /// A boot that had to be tried again.
    pub fn retried(&mut self, contestant: &Contestant) {
        if let Some(n) = self.column(&contestant.name) {
            self.contestants[n].retries += 1;
        }
    }

    /// The column that departures are counted from.
    pub fn native(&self) -> Option<usize> {
        self.column("native")
    }

    /// The columns whose ratio says most: the last of Lyrebird, and QEMU.
    pub fn rivals(&self) -> Option<(usize, usize)> {
        let own = self.contestants.iter().rposition(|c| c.name.starts_with("Lyrebird"))?;
        let own = self.column("Lyrebird auto").unwrap_or(own);
        Some((own, self.column("QEMU TCG")?))
    }

    /// The ratios of a group's rows that both have.
    pub fn ratios(&self, group: Group, of: usize, to: usize) -> Vec<f64> {
        self.rows.iter().filter(|r| r.workload.group == group).filter_map(|r| r.ratio(of, to)).collect()
    }

    /// The geometric mean of them.
    pub fn mean(&self, group: Group, of: usize, to: usize) -> Option<f64> {
        geometric_mean(&self.ratios(group, of, to))
    }
}

impl Row {
    /// How many times faster column `of` is than column `to`.
    pub fn ratio(&self, of: usize, to: usize) -> Option<f64> {
        let (a, b) = (self.cells.get(of)?.median()?, self.cells.get(to)?.median()?);
        let ratio = match self.workload.better {
            Better::More => a / b,
            Better::Less => b / a,
        };
        ratio.is_finite().then_some(ratio)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::bench::suite;

    /// A table of three workloads and four contestants, with trouble.
    pub fn example() -> Table {
        let setting = Setting {
            date: String::from("2026-11-22"),
            guest: String::from("debian-amd64"),
            facts: vec![("Host", String::from("a <fast> & \"big\" one"))],
        };
        let workloads = suite::choose(&["core", "stream-copy", "boot"].map(String::from)).unwrap();
        let mut table = Table::new(setting, &workloads);
        let who = |name: &str| Who { name: name.into(), about: format!("{name} 1.0"), retries: 0 };
        table.contestants = ["native", "QEMU TCG", "Lyrebird t0", "Lyrebird auto"].map(who).to_vec();
        for row in &mut table.rows {
            row.cells = vec![Cell::default(); 4];
        }
        let values: [[&[f64]; 4]; 3] = [
            [&[8000.0, 8100.0, 7900.0], &[1000.0, 900.0, 1100.0], &[200.0], &[2500.0, 2000.0, 3000.0]],
            [&[], &[3.0, 6.0, 2.0], &[1.0, 1.0, 1.0], &[30.5, 40.0, 20.0]],
            [&[4.0], &[3.0], &[20.0], &[2.0]],
        ];
        for (row, values) in table.rows.iter_mut().zip(values) {
            for (cell, samples) in row.cells.iter_mut().zip(values) {
                cell.samples = samples.to_vec();
            }
        }
        table.rows[0].cells[2].troubles.push(String::from("ended with <signal> 11"));
        table.notes.push(String::from("KVM is left out: a|b"));
        table
    }

    #[test]
    fn ratios_know_what_is_better() {
        let table = example();
        let (own, qemu) = table.rivals().unwrap();
        // Suite order: core, stream-copy, boot.
        assert_eq!(table.rows[0].ratio(own, qemu), Some(2.5));
        assert_eq!(table.rows[2].ratio(own, qemu), Some(1.5));
        assert_eq!(table.rows[1].ratio(0, qemu), None);
        assert_eq!(table.mean(Group::Integer, own, qemu), Some(2.5));
        assert_eq!(table.mean(Group::System, own, qemu), None);
    }

    #[test]
    fn dates() {
        let at = |days: u64| date(Duration::from_secs(days * 86_400 + 86_399));
        assert_eq!(at(0), "1970-01-01");
        assert_eq!(at(11_016), "2000-02-29");
        assert_eq!(at(20_779), "2026-11-22");
        assert_eq!(at(20_819), "2027-01-01");
    }
}

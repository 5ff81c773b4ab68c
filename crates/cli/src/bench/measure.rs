//! All contestants in turn, run after run.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::contestant::{Contestant, Contestants};
use super::image::Files;
use super::report::Reports;
use super::session::{self, End, Heard, Limits};
use super::suite::{Group, Kind, Workload};
use super::table::Table;
use crate::args::BenchArgs;
use crate::guests::Guest;
use crate::message::note;

/// What is to be done, and with what.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The command line.
    pub args: &'a BenchArgs,
    /// The guest.
    pub guest: &'a Guest,
    /// What it boots.
    pub files: &'a Files,
    /// Set when the user wants to stop.
    pub stop: &'a AtomicBool,
}

impl Plan<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Where it is, on a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new(steps: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        if let Ok(style) =
            ProgressStyle::with_template("[{bar:20}] {percent}% {elapsed} of {duration}  {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress(bar)
    }

    /// Elsewhere a line for each turn.
    fn turn(&self, text: String) {
        if self.0.is_hidden() {
            note(&text);
        }
        self.0.set_message(text);
    }
}

/// Runs everything. What was measured is in the table however it ends.
pub fn all(plan: &Plan<'_>, contestants: Contestants, table: &mut Table, reports: &Reports) -> Result<()> {
    let mut contestants = contestants.0;
    table.set_contestants(&contestants);
    let workloads = table.workloads();
    let steps = workloads.len() * contestants.len() * usize::from(plan.args.runs);
    let progress = Progress::new(steps as u64);
    for run in 1..=plan.args.runs {
        // What is compared is measured close together: a group at a time. Who is first changes.
        for group in Group::ALL {
            let of_group: Vec<&Workload> = workloads.iter().copied().filter(|w| w.group == group).collect();
            let mut lost = Vec::new();
            for contestant in contestants.iter().filter(|_| !of_group.is_empty()) {
                if plan.stopped() {
                    break;
                }
                let runs = plan.args.runs;
                progress.turn(format!("run {run} of {runs}: {}, {}", contestant.name, group.name()));
                let mut turn = Turn { plan, contestant, table, progress: &progress };
                if !turn.take(&of_group)? {
                    lost.push(contestant.name.clone());
                }
            }
            // Who does not boot is not waited for again.
            contestants.retain(|c| !lost.contains(&c.name));
            reports.write(table)?;
            if plan.stopped() {
                table.note(format!("stopped by the user in run {run} of {}", plan.args.runs));
                return Ok(());
            }
        }
        if contestants.is_empty() {
            break;
        }
        contestants.rotate_left(1);
    }
    progress.0.finish_and_clear();
    Ok(())
}

/// A contestant's turn with a few workloads.
struct Turn<'a> {
    plan: &'a Plan<'a>,
    contestant: &'a Contestant,
    table: &'a mut Table,
    progress: &'a Progress,
}

impl Turn<'_> {
    /// Runs them; whether the contestant may go on.
    fn take(&mut self, workloads: &[&Workload]) -> Result<bool> {
        if self.contestant.native() {
            for w in workloads.iter().filter(|w| w.kind != Kind::Boot) {
                let heard = self.run(self.plan.files.native(w, self.plan.args.seconds))?;
                if !self.plan.stopped() && !heard.lines.iter().any(|l| l.name == w.name) {
                    self.trouble(w, &heard);
                }
            }
            return Ok(true);
        }
        let mut left: Vec<&Workload> = workloads.iter().copied().filter(|w| w.kind != Kind::Boot).collect();
        while !left.is_empty() {
            let Some(heard) = self.boot(&left)? else { return Ok(self.plan.stopped()) };
            left.retain(|w| heard.lines.iter().all(|l| l.name != w.name));
            if self.plan.stopped() {
                return Ok(true);
            }
            // The first that is left is where it ended, or what printed nothing; the rest gets another chance.
            if let Some(first) = left.first().copied() {
                self.trouble(first, &heard);
                left.remove(0);
            }
        }
        for w in workloads.iter().filter(|w| w.kind == Kind::Boot) {
            let Some(heard) = self.boot(&[])? else { return Ok(self.plan.stopped()) };
            if heard.done && matches!(heard.end, End::Exit(s) if s.success()) {
                self.table.sample(w, self.contestant, heard.wall.as_secs_f64());
                self.progress.0.inc(1);
            } else if !self.plan.stopped() {
                self.trouble(w, &heard);
            }
        }
        Ok(true)
    }

    /// Boots the guest with these workloads; nothing, and a note, if the programs were never started.
    fn boot(&mut self, workloads: &[&Workload]) -> Result<Option<Heard>> {
        let (tries, _) = self.contestant.tries(self.plan.args.limit);
        for attempt in 1..=tries {
            let Some(command) = self.contestant.command(self.plan, workloads) else { break };
            let heard = self.run(command)?;
            if heard.begun {
                return Ok(Some(heard));
            }
            if self.plan.stopped() {
                break;
            }
            let text =
                format!("{}: the guest did not start its programs: {}", self.contestant.name, why(&heard));
            if attempt == tries {
                self.table.lost(self.contestant, text);
                break;
            }
            note(&format!("{text}; again"));
            self.table.retried(self.contestant);
        }
        Ok(None)
    }

    fn run(&mut self, command: std::process::Command) -> Result<Heard> {
        let Turn { plan, contestant, table, progress } = self;
        let result = plan.args.limit;
        let (_, boot) = contestant.tries(result);
        session::run(command, Limits { boot, result }, plan.stop, &mut |line| {
            table.line(contestant, line);
            progress.0.inc(1);
        })
    }

    fn trouble(&mut self, workload: &Workload, heard: &Heard) {
        self.table.trouble(workload, self.contestant, why(heard));
        self.progress.0.inc(1);
    }
}

/// How a session ended that should not have.
fn why(heard: &Heard) -> String {
    let end = match heard.end {
        End::Hung => format!("hung, ended after {:.0} s", heard.wall.as_secs_f64()),
        End::Exit(_) if heard.done => String::from("no result"),
        End::Exit(status) => format!("ended with {status}"),
        End::Stopped => String::from("stopped"),
    };
    let last: Vec<String> =
        heard.tail.iter().map(|l| l.chars().filter(|c| !c.is_control()).collect()).collect();
    if last.is_empty() { end } else { format!("{end}; last: {}", last.join(" / ")) }
}

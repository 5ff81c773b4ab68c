//! `lyrebird bench`: a suite of programs inside a guest, under Lyrebird and what there is beside it.
//!
//! [`suite`] names what is measured, [`contestant`] what runs it, [`image`] is what the guest boots, [`session`] runs one
//! process and reads its lines, [`measure`] puts all in turn, [`table`] has the results and [`report`] writes them.

mod contestant;
mod image;
mod line;
mod measure;
mod report;
mod session;
mod statistics;
mod suite;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::args::BenchArgs;
use crate::guests::{self, command, initramfs};
use crate::message::note;
use crate::run::{FAILURE, SUCCESS};
use crate::terminal::signals;
use contestant::Contestants;
use image::Files;
use measure::Plan;
use report::Reports;
use table::{Setting, Table};

/// `lyrebird bench`.
pub fn bench(args: &BenchArgs) -> Result<u8> {
    if args.list {
        command::print(&suite::list())?;
        return Ok(SUCCESS);
    }
    let guest = guests::named(&args.guest)?;
    let Some(program) = image::program(guest.arch) else {
        bail!("no benchmark programs for {}; there are for amd64 and arm64", guest.name);
    };
    let mut chosen = suite::choose(&args.only)?;
    let reports = Reports::new(args)?;
    let source = args.source.source(guest, args.kernel.clone());
    let ready = guests::debian::ready(guest, &source)?;
    let busybox = initramfs::busybox_of(&ready.initrd)?;
    let packages = image::packages(guest, &source, &chosen);
    if !packages.missing.is_empty() {
        chosen.retain(|w| w.kind.packages().is_empty());
    }
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let signals = signals::Watch::start(move || flag.store(true, Ordering::Release))?;
    let files = Files::write(&ready.kernel, &busybox, program, &packages.files)?;

    let mut table = Table::new(Setting::new(guest, args, &ready.versions, &packages.versions), &chosen);
    for reason in &packages.missing {
        table.note(reason.clone());
    }
    let plan = Plan { args, guest, files: &files, stop: &stop };
    let contestants = Contestants::find(&plan, &mut table)?;
    let finished = measure::all(&plan, contestants, &mut table, &reports);
    reports.write(&table)?;
    command::print(&report::terminal(&table))?;
    for text in reports.written() {
        note(&text);
    }
    // A signal ends the process here.
    drop(files);
    signals.obey();
    finished.context("measure")?;
    Ok(if table.wrong() { FAILURE } else { SUCCESS })
}

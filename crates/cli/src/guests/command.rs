//! `lyrebird guests`: list, fetch, remove, path.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{GUESTS, Guest, cache, debian, named};
use crate::args::{CacheArgs, GuestsAction, GuestsArgs};
use crate::message::{note, size};

/// `lyrebird guests`.
pub fn guests(args: &GuestsArgs) -> Result<()> {
    match &args.action {
        None => list(&CacheArgs::default()),
        Some(GuestsAction::List(cache)) => list(cache),
        Some(GuestsAction::Fetch { name, kernel, source }) => {
            let guest = named(name)?;
            let files = debian::fetch_guest(guest, &source.source(guest, kernel.clone()))?;
            // Where the guest is looked for unless told.
            let mut start = format!("lyrebird run {name}");
            start += &option(guest, source.suite.of(guest));
            if let Some(dir) = &source.cache.cache {
                start += &format!(" --cache {}", dir.display());
            }
            note(&format!("{name} is in {}; start it with: {start}", files.dir.display()));
            Ok(())
        }
        Some(GuestsAction::Remove { name, cache }) => remove(name, cache),
        Some(GuestsAction::Path { name, cache, suite }) => {
            let root = cache::root(cache.cache.as_deref())?;
            let guest = named(name)?;
            let suite = suite.of(guest);
            let files = cache::files(&root, guest.name, suite);
            if !files.complete() {
                let option = option(guest, suite);
                bail!(
                    "{name} of suite {suite} is not here; fetch it with: lyrebird guests fetch {name}{option}"
                );
            }
            debian::refresh(guest, &files)?;
            let lines = [&files.kernel, &files.initrd, &files.versions].map(|p| p.display().to_string());
            print(&(lines.join("\n") + "\n"))
        }
    }
}

/// The option that names `suite`, where the guest is not taken from it anyway.
fn option(guest: &Guest, suite: &str) -> String {
    if suite == guest.suite { String::new() } else { format!(" --suite {suite}") }
}

fn list(args: &CacheArgs) -> Result<()> {
    let root = cache::root(args.cache.as_deref())?;
    let width = GUESTS.iter().map(|g| g.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for guest in GUESTS {
        text += &format!("{:width$}  {}\n", guest.name, guest.about);
        let mut suites = suites(&cache::home(&root, guest.name));
        suites.retain(|s| cache::files(&root, guest.name, s).complete());
        for suite in &suites {
            let files = cache::files(&root, guest.name, suite);
            let bytes: u64 = [&files.kernel, &files.initrd]
                .iter()
                .filter_map(|p| p.metadata().ok())
                .map(|m| m.len())
                .sum();
            let versions = std::fs::read_to_string(&files.versions).unwrap_or_default();
            text += &format!("{:width$}  fetched from {suite}, {}\n", "", size(bytes));
            for line in versions.lines() {
                text += &format!("{:width$}    {line}\n", "");
            }
        }
        if suites.is_empty() {
            text += &format!("{:width$}  not fetched; `lyrebird run {}` does\n", "", guest.name);
        }
    }
    print(&text)
}

/// The suites of which a guest may be here, sorted.
fn suites(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn remove(name: &str, args: &CacheArgs) -> Result<()> {
    let root = cache::root(args.cache.as_deref())?;
    let home = cache::home(&root, named(name)?.name);
    match std::fs::remove_dir_all(&home) {
        Ok(()) => {
            note(&format!("removed {}", home.display()));
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => bail!("{name} is not here; nothing to remove"),
        Err(e) => Err(e).with_context(|| format!("remove {}", home.display())),
    }
}

/// Prints to standard output. A reader that went away has read enough.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e).context("standard output"),
        _ => Ok(()),
    }
}

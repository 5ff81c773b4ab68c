//! One process of a contestant: its lines as they come, with a limit of time for each.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::line::{BEGIN, END, Line};

/// How often the wish to stop is looked for.
const TICK: Duration = Duration::from_millis(100);
/// What is kept of a console, in lines.
const TAIL: usize = 6;
/// What is kept of a console's line, in bytes; a guest may never end one.
const LONGEST: u64 = 4096;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exit(ExitStatus),
    /// Nothing came for the limit of time.
    Hung,
    /// The user wants to stop.
    Stopped,
}

/// What a process said and how long it took.
#[derive(Debug)]
pub struct Heard {
    /// Its results.
    pub lines: Vec<Line>,
    /// Whether the programs were started.
    pub begun: bool,
    /// Whether they came to their end.
    pub done: bool,
    /// How it ended.
    pub end: End,
    /// From its start to its end.
    pub wall: Duration,
    /// The last it said.
    pub tail: Vec<String>,
}

/// A child that does not outlive us.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lines of a pipe, through a channel, so that one can wait for them no longer than one likes.
fn lines_of(pipe: impl Read + Send + 'static) -> Result<(Receiver<String>, JoinHandle<()>)> {
    let (to, from) = channel();
    let thread = std::thread::Builder::new()
        .name(String::from("console"))
        .spawn(move || {
            let mut reader = BufReader::new(pipe);
            loop {
                let mut bytes = Vec::new();
                match reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes) {
                    Ok(1..) => {
                        let text = String::from_utf8_lossy(&bytes).trim().to_string();
                        if to.send(text).is_err() {
                            return;
                        }
                    }
                    _ => return,
                }
            }
        })
        .context("start the thread that reads a console")?;
    Ok((from, thread))
}

/// How long to wait for something new.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the first program starts.
    pub boot: Duration,
    /// For every result.
    pub result: Duration,
}

/// Runs `command` until it ends, nothing new comes within the limits, or `stop` is set; `each` is told every result.
pub fn run(
    mut command: Command,
    limits: Limits,
    stop: &AtomicBool,
    each: &mut dyn FnMut(&Line),
) -> Result<Heard> {
    let start = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C is for us, who then end it: its own end must not look like a failure.
        command.process_group(0);
    }
    let mut child = Guarded(command.spawn().with_context(|| format!("start {program}"))?);
    let out = child.0.stdout.take().context("no pipe for the output")?;
    let errors = child.0.stderr.take().context("no pipe for the errors")?;
    let (from, _) = lines_of(out)?;
    let (words, _) = lines_of(errors)?;
    let mut heard = Heard {
        lines: Vec::new(),
        begun: false,
        done: false,
        end: End::Stopped,
        wall: Duration::ZERO,
        tail: Vec::new(),
    };
    let limit = limits.result;
    let mut deadline = Instant::now() + limits.boot;
    loop {
        if stop.load(Ordering::Acquire) {
            return Ok(heard);
        }
        if Instant::now() > deadline {
            heard.end = End::Hung;
            heard.wall = start.elapsed();
            return Ok(heard);
        }
        match from.recv_timeout(TICK) {
            Ok(text) => {
                if let Some(line) = Line::parse(&text) {
                    each(&line);
                    heard.lines.push(line);
                    deadline = Instant::now() + limit;
                } else if text.starts_with(BEGIN) {
                    heard.begun = true;
                    deadline = Instant::now() + limit;
                } else if text.starts_with(END) {
                    heard.done = true;
                    deadline = Instant::now() + limit;
                } else if !text.is_empty() {
                    heard.tail.push(text);
                }
                let surplus = heard.tail.len().saturating_sub(TAIL);
                heard.tail.drain(..surplus);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // The output is closed; the process ends, or is ended at the limit.
    loop {
        if let Some(status) = child.0.try_wait().with_context(|| format!("wait for {program}"))? {
            heard.end = End::Exit(status);
            break;
        }
        if Instant::now() > deadline {
            heard.end = End::Hung;
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    heard.wall = start.elapsed();
    let said: Vec<String> = words.try_iter().filter(|l| !l.is_empty()).collect();
    heard.tail.extend(said.into_iter().rev().take(TAIL / 2).rev());
    Ok(heard)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut c = Command::new("sh");
        c.args(["-c", script]);
        c
    }

    fn within(limit: Duration) -> Limits {
        Limits { boot: limit, result: limit }
    }

    fn heard(script: &str, limit: Duration) -> Heard {
        run(sh(script), within(limit), &AtomicBool::new(false), &mut |_| {}).unwrap()
    }

    #[test]
    fn results_and_marks_are_heard() {
        let h = heard(
            "echo hello; echo BENCH-BEGIN; echo BENCH a 1.0 x 0000000000000001; echo oops >&2; echo BENCH-END 0",
            Duration::from_secs(60),
        );
        assert!(h.begun && h.done && matches!(h.end, End::Exit(s) if s.success()));
        assert_eq!(h.lines.len(), 1);
        assert_eq!(h.tail.first().map(String::as_str), Some("hello"));
    }

    #[test]
    fn a_hang_ends_at_the_limit_and_keeps_what_came() {
        let start = Instant::now();
        let h = heard(
            "echo BENCH-BEGIN; echo BENCH a 1.0 x 0000000000000001; exec sleep 600",
            Duration::from_millis(300),
        );
        assert_eq!((h.end, h.lines.len(), h.done), (End::Hung, 1, false));
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_wish_to_stop_is_obeyed() {
        let h =
            run(sh("exec sleep 600"), within(Duration::from_secs(600)), &AtomicBool::new(true), &mut |_| {})
                .unwrap();
        assert_eq!(h.end, End::Stopped);
    }

    #[test]
    fn what_does_not_start_is_named() {
        let e = run(
            Command::new("/no/such/qemu"),
            within(Duration::from_secs(1)),
            &AtomicBool::new(false),
            &mut |_| {},
        )
        .unwrap_err();
        assert!(e.to_string().contains("/no/such/qemu"), "{e}");
    }
}

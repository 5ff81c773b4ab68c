//! A `lyrebird` process under test: its output is collected while input is fed, through pipes or a terminal.

// Each test binary uses its own part of this.
#![allow(dead_code, reason = "shared by several test binaries")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The command.
pub fn lyrebird() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_lyrebird"));
    c.stdin(Stdio::null());
    c
}

/// Runs it to its end: exit code, standard output, standard error.
pub fn run(args: &[&str]) -> (i32, String, String) {
    let out = lyrebird().args(args).output().expect("start lyrebird");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// What a process has said so far, and whether that is all it will say.
#[derive(Default)]
struct Said {
    text: String,
    ended: bool,
}

type Heard = Arc<(Mutex<Said>, Condvar)>;

/// The end of a console's output, for messages: enough lines to see what the guest was at.
fn last_lines(text: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A process that one talks with.
pub struct Session {
    /// The process.
    pub child: Child,
    to: Box<dyn Write>,
    heard: Heard,
    /// Everything before has been seen by `expect`.
    at: usize,
}

impl Session {
    /// Talks with `child` through the two ends given.
    pub fn new(child: Child, to: impl Write + 'static, mut from: impl Read + Send + 'static) -> Session {
        let heard = Heard::default();
        let ear = heard.clone();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buf) {
                ear.0.lock().unwrap().text.push_str(&String::from_utf8_lossy(&buf[..n]));
                ear.1.notify_all();
            }
            ear.0.lock().unwrap().ended = true;
            ear.1.notify_all();
        });
        Session { child, to: Box::new(to), heard, at: 0 }
    }

    /// Through pipes; standard error is inherited.
    pub fn piped(mut command: Command) -> Session {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start lyrebird");
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Session::new(child, to, from)
    }

    /// Sends text.
    pub fn send(&mut self, text: &str) {
        if let Err(e) = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()) {
            self.give_up(&format!("cannot send {text:?}: {e}"));
        }
    }

    /// Ends the process and the test; the message has the last lines that the process said.
    fn give_up(&mut self, why: &str) -> ! {
        drop(self.child.kill());
        // Not in the panic's message: the listener would find the lock poisoned.
        let lines = last_lines(&self.heard.0.lock().unwrap().text);
        panic!("{why}; the last lines:\n{lines}");
    }

    /// Waits until `text` comes, after what was expected before, and returns what came up to and with it.
    pub fn expect(&mut self, text: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        let mut heard = self.heard.0.lock().unwrap();
        let why = loop {
            if let Some(n) = heard.text[self.at..].find(text) {
                let end = self.at + n + text.len();
                let came = heard.text[self.at..end].to_string();
                self.at = end;
                return came;
            }
            if heard.ended {
                break format!("the output ended before {text:?}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break format!("no {text:?} within {limit:?}");
            }
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        };
        drop(heard);
        self.give_up(&why)
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.give_up(&format!("still running after {limit:?}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that fails must not leave a machine running.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A pseudo terminal: the master's and the terminal's end.
#[cfg(target_os = "linux")]
pub fn terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
    grantpt(&master).expect("grantpt");
    unlockpt(&master).expect("unlockpt");
    let name = ptsname(&master, Vec::new()).expect("ptsname").into_string().expect("name");
    let end = File::options().read(true).write(true).open(name).expect("open the terminal");
    (File::from(master), end)
}

/// Makes an AArch64 ELF executable for the `virt` board whose only segment holds `code`, at the start of RAM.
pub fn elf(code: &[u32]) -> Vec<u8> {
    const RAM: u64 = 0x4000_0000;
    const HEADERS: u64 = 64 + 56;
    let mut f = Vec::new();
    let half = |f: &mut Vec<u8>, v: u16| f.extend(v.to_le_bytes());
    let word = |f: &mut Vec<u8>, v: u32| f.extend(v.to_le_bytes());
    let long = |f: &mut Vec<u8>, v: u64| f.extend(v.to_le_bytes());
    // ELF header: 64-bit, little-endian, ET_EXEC, EM_AARCH64.
    f.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    half(&mut f, 2);
    half(&mut f, 183);
    word(&mut f, 1);
    for v in [RAM + 0x8_0000, 64, 0] {
        long(&mut f, v);
    }
    word(&mut f, 0);
    for v in [64, 56, 1, 64, 0, 0] {
        half(&mut f, v);
    }
    // PT_LOAD, readable and executable.
    word(&mut f, 1);
    word(&mut f, 5);
    let size = code.len() as u64 * 4;
    for v in [HEADERS, RAM + 0x8_0000, RAM + 0x8_0000, size, size, 8] {
        long(&mut f, v);
    }
    for &insn in code {
        word(&mut f, insn);
    }
    f
}

//! The host's end of the serial port: standard input and output or a file, and the Ctrl-A escape.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lyrebird_machine::{CharBackend, Outcome, Power};

/// Output that waits for a slow reader; beyond, the guest waits.
const OUTPUT_LIMIT: usize = 1 << 20;
/// Piped input that waits for the guest; beyond, the pipe's other end waits.
const INPUT_LIMIT: usize = 1 << 16;

/// What the user asked for with Ctrl-A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ctrl-A x: quit.
    Quit,
    /// Ctrl-A h or ?: help.
    Help,
    /// Ctrl-A p: press the power key.
    PowerKey,
}

/// The text for Ctrl-A h.
pub const HELP: &str = "\n\
    Ctrl-A x       quit\n\
    Ctrl-A p       press the machine's power key\n\
    Ctrl-A h       this help\n\
    Ctrl-A Ctrl-A  send Ctrl-A to the guest\n";

const CTRL_A: u8 = 1;

/// Separates what is for the guest from what is for Lyrebird.
#[derive(Debug, Default)]
pub struct Escape {
    armed: bool,
}

impl Escape {
    /// Feeds one typed byte: what goes to the guest, and what the user asked for.
    pub fn feed(&mut self, byte: u8) -> (Option<u8>, Option<Command>) {
        if !self.armed {
            self.armed = byte == CTRL_A;
            return (if self.armed { None } else { Some(byte) }, None);
        }
        self.armed = false;
        match byte {
            CTRL_A | b'a' | b'A' => (Some(CTRL_A), None),
            b'x' | b'X' => (None, Some(Command::Quit)),
            b'h' | b'H' | b'?' => (None, Some(Command::Help)),
            b'p' | b'P' => (None, Some(Command::PowerKey)),
            _ => (None, None),
        }
    }
}

/// What the guest has sent and nobody has taken yet.
#[derive(Debug, Default)]
struct Output {
    pending: Vec<u8>,
    /// The writer thread has bytes in hand.
    writing: bool,
    /// The last byte sent.
    last: Option<u8>,
    /// Why nothing can be delivered any more.
    error: Option<io::Error>,
}

/// A serial line between the guest and a host stream. A thread of its own writes, so that a slow terminal costs
/// the vCPU nothing until [`OUTPUT_LIMIT`] bytes wait.
#[derive(Default)]
pub struct Console {
    output: Mutex<Output>,
    output_changed: Condvar,
    input: Mutex<VecDeque<u8>>,
    input_taken: Condvar,
    /// What ends a wait of the guest, and the machine when output fails.
    power: OnceLock<Arc<Power>>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    /// A line whose output goes to `sink`.
    pub fn start(sink: impl Write + Send + 'static) -> Result<Arc<Console>> {
        let console = Arc::new(Console::default());
        let writer = console.clone();
        std::thread::Builder::new()
            .name(String::from("serial"))
            .spawn(move || writer.write_out(sink))
            .context("start the output thread")?;
        Ok(console)
    }

    /// Connects the machine's switch.
    pub fn attach(&self, power: Arc<Power>) {
        // Only the machine's owner calls this, once.
        drop(self.power.set(power));
    }

    fn stopping(&self) -> bool {
        self.power.get().is_some_and(|p| p.outcome().is_some_and(|o| o != Outcome::Reset))
    }

    fn write_out(&self, mut sink: impl Write) {
        let mut bytes = Vec::new();
        let mut output = lock(&self.output);
        loop {
            if output.pending.is_empty() {
                output = self.output_changed.wait(output).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            std::mem::swap(&mut bytes, &mut output.pending);
            output.writing = true;
            drop(output);
            let done = write_all(&mut sink, &bytes);
            bytes.clear();
            output = lock(&self.output);
            output.writing = false;
            self.output_changed.notify_all();
            if let Err(e) = done {
                output.error = Some(e);
                output.pending.clear();
                drop(output);
                if let Some(power) = self.power.get() {
                    power.request(Outcome::Quit);
                }
                return;
            }
        }
    }

    /// Waits until everything is written, at most until `deadline`. Returns why it could not be, and whether the
    /// output ended within a line.
    pub fn drain(&self, deadline: Option<Instant>) -> (Option<io::Error>, bool) {
        let mut output = lock(&self.output);
        while output.error.is_none() && (output.writing || !output.pending.is_empty()) {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|l| l.is_zero()) {
                break;
            }
            let wait = left.unwrap_or(Duration::from_secs(1));
            output = self.output_changed.wait_timeout(output, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        (output.error.take(), output.last.is_some_and(|b| b != b'\n'))
    }

    /// Queues input for the guest. With `wait`, only when there is room; otherwise always: a user who pastes must
    /// be able to quit.
    fn queue(&self, bytes: &[u8], wait: bool) {
        let mut input = lock(&self.input);
        while wait && input.len() >= INPUT_LIMIT && !self.stopping() {
            let second = Duration::from_secs(1);
            input = self.input_taken.wait_timeout(input, second).unwrap_or_else(PoisonError::into_inner).0;
        }
        input.extend(bytes);
    }
}

/// `write_all` and `flush` for a stream that another process may have made non-blocking.
fn write_all(sink: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    let try_again = |e: io::Error| match e.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => {
            std::thread::sleep(Duration::from_millis(5));
            Ok(())
        }
        _ => Err(e),
    };
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) => try_again(e)?,
        }
    }
    loop {
        match sink.flush() {
            Ok(()) => return Ok(()),
            Err(e) => try_again(e)?,
        }
    }
}

impl CharBackend for Console {
    fn write(&self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let mut output = lock(&self.output);
        while output.pending.len() >= OUTPUT_LIMIT && output.error.is_none() {
            if self.stopping() {
                return;
            }
            let tick = Duration::from_millis(100);
            output = self.output_changed.wait_timeout(output, tick).unwrap_or_else(PoisonError::into_inner).0;
        }
        if output.error.is_some() {
            return;
        }
        output.last = Some(*last);
        output.pending.extend_from_slice(bytes);
        self.output_changed.notify_all();
    }

    fn read(&self, buf: &mut [u8]) -> usize {
        let mut input = lock(&self.input);
        let n = buf.len().min(input.len());
        for (to, from) in buf.iter_mut().zip(input.drain(..n)) {
            *to = from;
        }
        self.input_taken.notify_all();
        n
    }
}

/// Where input comes from and what is done with it.
pub struct Pump {
    /// Interpret Ctrl-A.
    pub escape: bool,
    /// What the guest gets when input ends.
    pub at_end: &'static [u8],
    /// Tells the serial port that input waits.
    pub poll: Box<dyn Fn() + Send>,
    /// Carries out what the user asked for.
    pub command: Box<dyn Fn(Command) + Send>,
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").field("escape", &self.escape).finish_non_exhaustive()
    }
}

impl Pump {
    /// Brings `source` to the guest, on a thread of its own, until it ends.
    pub fn start(self, console: Arc<Console>, source: impl Read + Send + 'static) -> Result<()> {
        std::thread::Builder::new()
            .name(String::from("input"))
            .spawn(move || self.run(&console, source))
            .context("start the input thread")?;
        Ok(())
    }

    fn run(self, console: &Console, mut source: impl Read) {
        let mut escape = Escape::default();
        let mut buf = [0u8; 4096];
        loop {
            let n = match source.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Err(_) => break,
            };
            if !self.escape {
                // Piped input is the guest's, byte for byte.
                console.queue(&buf[..n], true);
                (self.poll)();
                continue;
            }
            for &byte in &buf[..n] {
                let (for_guest, for_us) = escape.feed(byte);
                if let Some(b) = for_guest {
                    console.queue(&[b], false);
                }
                if let Some(c) = for_us {
                    (self.command)(c);
                }
            }
            (self.poll)();
        }
        if !self.at_end.is_empty() {
            console.queue(self.at_end, true);
            (self.poll)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(bytes: &[u8]) -> (Vec<u8>, Vec<Command>) {
        let mut e = Escape::default();
        let (mut guest, mut commands) = (Vec::new(), Vec::new());
        for b in bytes {
            let (g, c) = e.feed(*b);
            guest.extend(g);
            commands.extend(c);
        }
        (guest, commands)
    }

    #[test]
    fn escape_sequences() {
        assert_eq!(feed(b"ls\r"), (b"ls\r".to_vec(), vec![]));
        assert_eq!(feed(b"a\x01xb"), (b"ab".to_vec(), vec![Command::Quit]));
        assert_eq!(feed(b"\x01\x01\x01h"), (vec![1], vec![Command::Help]));
        assert_eq!(feed(b"\x01zx\x01p"), (b"x".to_vec(), vec![Command::PowerKey]));
    }

    /// A sink that takes `room` bytes and then fails.
    struct Small(Arc<Mutex<Vec<u8>>>, usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut got = lock(&self.0);
            let n = bytes.len().min(self.1 - got.len());
            got.extend_from_slice(&bytes[..n]);
            if n > 0 { Ok(n) } else { Err(io::ErrorKind::StorageFull.into()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn output_is_complete_and_in_order() {
        let got = Arc::new(Mutex::new(Vec::new()));
        let console = Console::start(Small(got.clone(), 1 << 20)).unwrap();
        let mut want = Vec::new();
        for n in 0..5000u32 {
            let line = format!("{n}\n").into_bytes();
            console.write(&line);
            want.extend(line);
        }
        console.write(b"$ ");
        want.extend(b"$ ");
        let (error, within_line) = console.drain(None);
        assert!(error.is_none() && within_line);
        assert!(*lock(&got) == want);
    }

    #[test]
    fn output_that_fails_stops_the_machine() {
        let power = Arc::new(Power::new(Vec::new()));
        let console = Console::start(Small(Arc::default(), 3)).unwrap();
        console.attach(power.clone());
        console.write(b"abcdef");
        assert_eq!(power.wait(None), Some(Outcome::Quit));
        let (error, _) = console.drain(None);
        assert_eq!(error.map(|e| e.kind()), Some(io::ErrorKind::StorageFull));
        // Nobody waits for what cannot be written.
        for _ in 0..3 {
            console.write(&[0; OUTPUT_LIMIT]);
        }
    }

    #[test]
    fn piped_input_reaches_a_slow_guest_whole() {
        let console = Console::start(io::sink()).unwrap();
        let data: Vec<u8> = (0..3 * INPUT_LIMIT).map(|n| (n % 251) as u8).collect();
        let pump = Pump { escape: false, at_end: b"end", poll: Box::new(|| ()), command: Box::new(|_| ()) };
        pump.start(console.clone(), io::Cursor::new(data.clone())).unwrap();
        let (mut got, mut buf) = (Vec::new(), [0; 16]);
        while !got.ends_with(b"end") {
            match console.read(&mut buf) {
                0 => std::thread::yield_now(),
                n => got.extend_from_slice(&buf[..n]),
            }
            assert!(lock(&console.input).len() < INPUT_LIMIT + 4096 + 1);
        }
        assert!(got == [&data[..], b"end"].concat());
    }
}

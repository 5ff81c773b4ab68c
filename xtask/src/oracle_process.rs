//! A child process that answers tests: records in, records out.

use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Result, bail};

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<Sender<Vec<u8>>>,
    writer: Option<JoinHandle<std::io::Result<()>>>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// What the system says to the command.
    pub fn start(command: &mut Command) -> std::io::Result<Process> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        let (input, tests) = channel::<Vec<u8>>();
        // A thread of its own: both pipes may be full.
        let writer = std::thread::spawn(move || tests.iter().try_for_each(|t| stdin.write_all(&t)));
        let output = BufReader::with_capacity(1 << 20, stdout);
        Ok(Process { child, input: Some(input), writer: Some(writer), output })
    }

    /// Sends tests, which it works at meanwhile.
    pub fn ask(&self, tests: Vec<u8>) {
        if let Some(input) = &self.input {
            // A dead child shows when its answer is read.
            let _ = input.send(tests);
        }
    }

    /// Reads the answer to the next test, which was `what`.
    pub fn answer(&mut self, answer: &mut [u8], what: impl FnOnce() -> String) -> Result<()> {
        if let Err(e) = self.output.read_exact(answer) {
            let status = self.child.wait();
            bail!("the oracle died ({e}, {status:?}) on {}", what());
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has answered everything, or nobody is interested any more. The end of its input would end it too, but for
        // answers in the way.
        let _ = self.child.kill();
        drop(self.input.take());
        if let Some(w) = self.writer.take() {
            let _ = w.join();
        }
        let _ = self.child.wait();
    }
}

//! Where a serial port's bytes go, and where they come from.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Mutex;

use crate::lock;

/// The host's side of a serial port.
///
/// Called from vCPU threads with no chip's register lock held, but possibly the chip's input lock: it must not
/// block and must not call back into the chip. Whoever brings input calls the chip's `receive` or `poll` with no
/// lock held that `read` or `write` take.
pub trait CharBackend: Send + Sync + Debug {
    /// The guest sent these bytes. What cannot be delivered is buffered or lost, by the back end's choice.
    fn write(&self, bytes: &[u8]);

    /// Fills the front of `buf` with input that waits and returns how much that was; 0 when there is none.
    /// Called when the guest made room. A back end that only pushes (`receive`) keeps the default.
    fn read(&self, buf: &mut [u8]) -> usize {
        let _ = buf;
        0
    }
}

/// A back end in memory: collects what the guest sends and feeds it what was queued.
#[derive(Debug, Default)]
pub struct MemoryChar {
    sink: Mutex<Vec<u8>>,
    input: Mutex<VecDeque<u8>>,
}

impl MemoryChar {
    /// Empty in both directions.
    pub fn new() -> MemoryChar {
        MemoryChar::default()
    }

    /// Queues input. The port takes it when the guest makes room, or when it is told to poll.
    pub fn feed(&self, bytes: &[u8]) {
        lock(&self.input).extend(bytes);
    }

    /// What the guest has sent so far.
    pub fn output(&self) -> Vec<u8> {
        lock(&self.sink).clone()
    }
}

impl CharBackend for MemoryChar {
    fn write(&self, bytes: &[u8]) {
        lock(&self.sink).extend_from_slice(bytes);
    }

    fn read(&self, buf: &mut [u8]) -> usize {
        let mut input = lock(&self.input);
        let n = buf.len().min(input.len());
        for (to, from) in buf.iter_mut().zip(input.drain(..n)) {
            *to = from;
        }
        n
    }
}

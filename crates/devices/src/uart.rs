//! What serial ports have in common: registers behind a lock, a line to the host, an interrupt.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chardev::CharBackend;
use crate::irq::IrqPin;
use crate::lifecycle::{Snapshot, SnapshotError};
use crate::lock;

/// Characters that are fetched from the back end at once.
const CHUNK: usize = 16;

/// What arrives on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Char(u8),
    Break,
}

/// The registers of a serial port.
pub(crate) trait Registers: Default + fmt::Debug + Serialize + DeserializeOwned {
    /// The chip's snapshot tag.
    const KIND: &'static str;
    /// Its version.
    const VERSION: u32;

    /// Whether the line is cut and the transmitter feeds the receiver.
    fn loopback(&self) -> bool;

    /// How many characters fit into the receiver.
    fn depth(&self) -> usize;

    /// How many are in it.
    fn waiting(&self) -> usize;

    /// Takes in what arrives at the guest time `now`, in ns.
    fn put(&mut self, what: Arrival, now: u64);

    /// Level of the interrupt.
    fn interrupt(&self) -> bool;

    /// How many characters the line may deliver now.
    fn room(&self) -> usize {
        if self.loopback() { 0 } else { self.depth().saturating_sub(self.waiting()) }
    }
}

/// A serial port's registers between the guest and a [`CharBackend`].
///
/// Lock order: `input` → `state` → interrupt line. The back end's `write` is called with no lock held, its `read`
/// with `input` only.
#[derive(Debug)]
pub(crate) struct Line<R> {
    state: Mutex<R>,
    /// Held while characters are brought in, so that those who do cannot overtake each other or take the same
    /// room twice.
    input: Mutex<()>,
    irq: IrqPin,
    backend: Arc<dyn CharBackend>,
}

impl<R: Registers> Line<R> {
    pub(crate) fn new(irq: IrqPin, backend: Arc<dyn CharBackend>) -> Line<R> {
        Line { state: Mutex::default(), input: Mutex::new(()), irq, backend }
    }

    /// Looks at the registers without touching them.
    pub(crate) fn peek<T>(&self, f: impl FnOnce(&R) -> T) -> T {
        f(&lock(&self.state))
    }

    /// Runs `f` on the registers; then fetches input, if it made room.
    pub(crate) fn with<T>(&self, now: u64, f: impl FnOnce(&mut R) -> T) -> T {
        let mut state = lock(&self.state);
        let before = state.room();
        let result = f(&mut state);
        self.irq.set(state.interrupt());
        let more_room = state.room() > before;
        drop(state);
        if more_room {
            self.poll(now);
        }
        result
    }

    /// Sends a character to the host.
    pub(crate) fn send(&self, c: u8) {
        self.backend.write(&[c]);
    }

    /// Characters arrive. Takes as many as fit and returns how many that were.
    pub(crate) fn receive(&self, bytes: &[u8], now: u64) -> usize {
        let _input = lock(&self.input);
        self.put(bytes, now)
    }

    /// A break condition arrives. Lost in loopback.
    pub(crate) fn receive_break(&self, now: u64) {
        let _input = lock(&self.input);
        let mut state = lock(&self.state);
        if !state.loopback() {
            state.put(Arrival::Break, now);
            self.irq.set(state.interrupt());
        }
    }

    /// Fetches what the back end has waiting, as far as it fits.
    pub(crate) fn poll(&self, now: u64) {
        let _input = lock(&self.input);
        let mut buf = [0; CHUNK];
        loop {
            let room = lock(&self.state).room().min(CHUNK);
            let n = if room > 0 { self.backend.read(&mut buf[..room]).min(room) } else { 0 };
            if n == 0 {
                return;
            }
            self.put(&buf[..n], now);
        }
    }

    /// With the input lock held.
    fn put(&self, bytes: &[u8], now: u64) -> usize {
        let mut state = lock(&self.state);
        let n = bytes.len().min(state.room());
        for &c in &bytes[..n] {
            state.put(Arrival::Char(c), now);
        }
        self.irq.set(state.interrupt());
        n
    }

    /// The state after reset.
    pub(crate) fn reset(&self) {
        *lock(&self.state) = R::default();
        self.irq.deassert();
    }

    pub(crate) fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(R::KIND, R::VERSION, &*lock(&self.state))
    }

    pub(crate) fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new: R = snapshot.decode(R::KIND, R::VERSION)?;
        if new.waiting() > new.depth() {
            return Err(SnapshotError::mismatch(R::KIND, "has more characters than the FIFO holds"));
        }
        let mut state = lock(&self.state);
        *state = new;
        self.irq.set(state.interrupt());
        Ok(())
    }
}

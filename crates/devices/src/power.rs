//! What chips ask of the machine as a whole: to be reset, to be switched off.

/// A guest's request that ends or interrupts the run of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerRequest {
    /// Switch off.
    PowerOff,
    /// Reset CPUs and chips.
    Reset,
    /// Sleep in a state that keeps memory (ACPI S1 to S3), whose `SLP_TYP` is given, until something wakes it.
    Sleep(u8),
    /// End the emulator with this exit status.
    Exit(u32),
}

/// Who carries out a [`PowerRequest`]. Called from vCPU threads, possibly with the asking chip's lock held: it
/// takes note, and does not call back into a chip.
pub trait PowerSink: Send + Sync {
    /// A chip's guest asks for this.
    fn request(&self, what: PowerRequest);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::lock;

    /// Writes down what is asked.
    #[derive(Debug, Default)]
    pub(crate) struct Requests(Mutex<Vec<PowerRequest>>);

    impl Requests {
        pub(crate) fn new() -> Arc<Requests> {
            Arc::default()
        }

        /// What was asked since the last call.
        pub(crate) fn take(&self) -> Vec<PowerRequest> {
            std::mem::take(&mut lock(&self.0))
        }
    }

    impl PowerSink for Requests {
        fn request(&self, what: PowerRequest) {
            lock(&self.0).push(what);
        }
    }
}

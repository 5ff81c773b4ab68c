//! [`Counters`]: what happened, for the closing report.

use std::collections::BTreeMap;

/// Counts of rare events of one vCPU.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Instructions retired.
    pub retired: u64,
    /// Exceptions by vector.
    pub exceptions: [u64; 32],
    /// External interrupts taken.
    pub interrupts: u64,
    /// Software interrupts (INT n).
    pub software: u64,
    /// Triple faults.
    pub shutdowns: u64,
    /// Times the CPU went to sleep (HLT, MWAIT).
    pub sleeps: u64,
    /// Instructions alone because they wrote to a page with translated code.
    pub code_writes: u64,
    /// Instructions without semantics that were executed, by `iced-x86` code name.
    pub unimplemented: BTreeMap<String, u64>,
    /// Unknown model-specific registers accessed.
    pub unknown_msrs: BTreeMap<u32, u64>,
    /// Architecture features that a guest used and that are not there, by name.
    pub gaps: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// All zero.
    pub fn new() -> Counters {
        Counters {
            retired: 0,
            exceptions: [0; 32],
            interrupts: 0,
            software: 0,
            shutdowns: 0,
            sleeps: 0,
            code_writes: 0,
            unimplemented: BTreeMap::new(),
            unknown_msrs: BTreeMap::new(),
            gaps: BTreeMap::new(),
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Counters::new()
    }
}

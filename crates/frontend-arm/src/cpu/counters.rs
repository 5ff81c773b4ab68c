//! [`Counters`]: what happened, for the closing report.

use std::collections::BTreeMap;

/// Counts of rare events of one vCPU.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Instructions retired.
    pub retired: u64,
    /// Synchronous exceptions by exception class (`ESR_ELx.EC`).
    pub sync: [u64; 64],
    /// IRQs taken.
    pub irq: u64,
    /// FIQs taken.
    pub fiq: u64,
    /// SErrors taken.
    pub serror: u64,
    /// Illegal exception returns.
    pub illegal_returns: u64,
    /// Times the CPU went to sleep (WFI).
    pub sleeps: u64,
    /// Encodings with a table row but no semantics that were executed, by row name.
    pub unimplemented: BTreeMap<&'static str, u64>,
    /// Unallocated instruction words executed; at most [`Counters::WORDS`] different ones are told apart.
    pub unallocated: BTreeMap<u32, u64>,
    /// Unknown system registers and instructions accessed, by encoding (`S3_0_C15_C2_0`).
    pub unknown_sysregs: BTreeMap<String, u64>,
    /// Architecture features that a guest switched on and that are not there, by name.
    pub gaps: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// How many different unallocated words are told apart.
    pub const WORDS: usize = 256;

    /// All zero.
    pub fn new() -> Counters {
        Counters {
            retired: 0,
            sync: [0; 64],
            irq: 0,
            fiq: 0,
            serror: 0,
            illegal_returns: 0,
            sleeps: 0,
            unimplemented: BTreeMap::new(),
            unallocated: BTreeMap::new(),
            unknown_sysregs: BTreeMap::new(),
            gaps: BTreeMap::new(),
        }
    }

    /// Counts one execution of an unallocated word.
    pub fn count_unallocated(&mut self, word: u32) {
        if self.unallocated.len() < Counters::WORDS || self.unallocated.contains_key(&word) {
            *self.unallocated.entry(word).or_insert(0) += 1;
        }
    }

    /// Counts the use of something that is not implemented.
    pub fn gap(&mut self, name: &'static str) {
        *self.gaps.entry(name).or_insert(0) += 1;
    }
}

impl Default for Counters {
    fn default() -> Self {
        Counters::new()
    }
}

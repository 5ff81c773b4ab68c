//! Counters for the exit report.

/// What the engine counted.
#[derive(Clone, Debug, Default)]
pub struct EngineStats {
    /// Guest instructions retired, all tiers.
    pub retired: u64,
    /// Of them in compiled regions.
    pub t1_retired: u64,
    /// Blocks decoded.
    pub blocks: u64,
    /// Guest instructions in them.
    pub decoded: u64,
    /// Blocks dropped because their bytes were written to.
    pub blocks_dropped: u64,
    /// Whole-cache drops of decoded blocks.
    pub t0_flushes: u64,
    /// Regions compiled.
    pub regions: u64,
    /// Guest instructions in them.
    pub region_insns: u64,
    /// Host bytes of them.
    pub region_bytes: u64,
    /// Regions compiled a second time, well, since they were entered often.
    pub regions_promoted: u64,
    /// Regions dropped (bytes written to, or evicted).
    pub regions_dropped: u64,
    /// Regions that came back from the compiler too late: their code had changed.
    pub regions_stale: u64,
    /// Regions the compiler failed on; they stay in T0.
    pub regions_failed: u64,
    /// Nanoseconds of processor time spent on compiling, on whichever thread.
    pub compile_ns: u64,
    /// Guest faults taken (all exceptions that an instruction raised).
    pub faults: u64,
    /// Returns to the dispatcher.
    pub exits: u64,
    /// Entries of regions compared by verify mode.
    pub verified: u64,
    /// Guest instructions compared by it.
    pub verified_insns: u64,
}

//! [`MachineStats`]: the report that `--stats` prints after a run.

use std::fmt;
use std::time::Duration;

use lyrebird_frontend_arm::ArmCpu;
use lyrebird_frontend_arm::cpu::counters::Counters;
use lyrebird_jit::EngineStats;
use lyrebird_softmmu::mmu::MmuStats;

use crate::host;

/// What happened during a run, resets included.
#[derive(Clone, Debug, Default)]
pub struct MachineStats {
    /// Wall time.
    pub wall: Duration,
    /// Resets by the guest.
    pub resets: u64,
    /// Events of the CPUs.
    pub cpu: Counters,
    /// Events of the engine.
    pub engine: EngineStats,
    /// Events of address translation.
    pub mmu: MmuStats,
    /// Bytes of guest RAM.
    pub guest_ram: u64,
    /// The most memory that the process had resident, guest RAM included, in bytes; `None` where the host does
    /// not tell.
    pub peak_memory: Option<u64>,
    /// How much of guest RAM is resident at the end, in bytes; `None` where the host does not tell.
    pub resident_ram: Option<u64>,
}

/// Adds up the fields of two structures.
macro_rules! sum {
    ($into:expr, $from:expr; $($field:ident)*) => { $( $into.$field += $from.$field; )* };
}

impl MachineStats {
    /// Adds what one CPU and its engine counted.
    pub(crate) fn add(&mut self, cpu: &ArmCpu, engine: &EngineStats) {
        sum!(self.engine, engine; retired t1_retired blocks decoded blocks_dropped t0_flushes regions region_insns
            region_bytes regions_dropped regions_stale regions_failed compile_ns faults exits verified verified_insns);
        let (c, from) = (&mut self.cpu, &cpu.counters);
        sum!(c, from; retired irq fiq serror illegal_returns sleeps);
        for (n, from) in c.sync.iter_mut().zip(&from.sync) {
            *n += from;
        }
        merge(&mut c.unimplemented, &from.unimplemented);
        merge(&mut c.unallocated, &from.unallocated);
        merge(&mut c.unknown_sysregs, &from.unknown_sysregs);
        merge(&mut c.gaps, &from.gaps);
        sum!(self.mmu, cpu.mmu.stats(); misses walks flushes_all flushes_va flushes_asid context_switches
            context_misses mmio_reads mmio_writes code_writes);
    }

    /// Ends the account.
    pub(crate) fn finish(&mut self, wall: Duration, guest_ram: u64, host_ram: Option<*const u8>) {
        self.wall = wall;
        self.guest_ram = guest_ram;
        self.peak_memory = host::peak_memory();
        self.resident_ram =
            host_ram.and_then(|p| host::resident(p.addr()..p.addr().saturating_add(guest_ram as usize)));
    }

    /// Millions of guest instructions per second of wall time.
    pub fn mips(&self) -> f64 {
        let seconds = self.wall.as_secs_f64();
        if seconds > 0.0 { self.engine.retired as f64 / seconds / 1e6 } else { 0.0 }
    }
}

fn merge<K: Ord + Clone>(
    into: &mut std::collections::BTreeMap<K, u64>,
    from: &std::collections::BTreeMap<K, u64>,
) {
    for (key, n) in from {
        *into.entry(key.clone()).or_insert(0) += n;
    }
}

/// Names of the exception classes a guest at EL0 and EL1 can raise (Arm ARM D17.2.37, `ESR_ELx.EC`).
fn class_name(ec: usize) -> &'static str {
    match ec {
        0x00 => "unknown or undefined",
        0x01 => "WFI/WFE trap",
        0x07 => "FP/SIMD access",
        0x0d => "branch target",
        0x0e => "illegal execution state",
        0x15 => "SVC",
        0x16 => "HVC",
        0x17 => "SMC",
        0x18 => "MSR/MRS/system trap",
        0x1c => "pointer authentication",
        0x20 => "instruction abort, lower EL",
        0x21 => "instruction abort, same EL",
        0x22 => "PC alignment",
        0x24 => "data abort, lower EL",
        0x25 => "data abort, same EL",
        0x26 => "SP alignment",
        0x2c => "FP exception",
        0x2f => "SError",
        0x30 | 0x31 => "breakpoint",
        0x32 | 0x33 => "software step",
        0x34 | 0x35 => "watchpoint",
        0x3c => "BRK",
        _ => "other",
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

impl fmt::Display for MachineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (e, m, c) = (&self.engine, &self.mmu, &self.cpu);
        let mut line = |name: &str, text: String| writeln!(f, "{name:<24}{text}");
        line("instructions", format!("{} in {:.2} s", e.retired, self.wall.as_secs_f64()))?;
        line("guest MIPS", format!("{:.1}", self.mips()))?;
        let t0 = e.retired.saturating_sub(e.t1_retired);
        line(
            "tier share",
            format!("t0 {:.2} %, t1 {:.2} %", percent(t0, e.retired), percent(e.t1_retired, e.retired)),
        )?;
        line(
            "blocks (t0)",
            format!(
                "{} of {} instructions, {} dropped, {} full drops",
                e.blocks, e.decoded, e.blocks_dropped, e.t0_flushes
            ),
        )?;
        line(
            "regions (t1)",
            format!(
                "{} of {} instructions, {} host bytes, {} dropped, {} stale, {} failed",
                e.regions,
                e.region_insns,
                e.region_bytes,
                e.regions_dropped,
                e.regions_stale,
                e.regions_failed
            ),
        )?;
        line("compile time", format!("{:.3} s", e.compile_ns as f64 / 1e9))?;
        if e.verified > 0 {
            line("regions verified", format!("{} times, {} instructions", e.verified, e.verified_insns))?;
        }
        line("dispatcher entries", e.exits.to_string())?;
        line("TLB misses", format!("{}, {} table walks", m.misses, m.walks))?;
        line(
            "TLB flushes",
            format!("{} all, {} by address, {} by ASID", m.flushes_all, m.flushes_va, m.flushes_asid),
        )?;
        line("context switches", format!("{}, {} to a new one", m.context_switches, m.context_misses))?;
        line("device accesses", format!("{} reads, {} writes", m.mmio_reads, m.mmio_writes))?;
        line("stores to code pages", m.code_writes.to_string())?;
        line(
            "interrupts taken",
            format!("{} IRQ, {} FIQ, {} SError; {} sleeps", c.irq, c.fiq, c.serror, c.sleeps),
        )?;
        for (ec, n) in c.sync.iter().enumerate().filter(|(_, n)| **n > 0) {
            line(&format!("exception class {ec:#04x}"), format!("{n} {}", class_name(ec)))?;
        }
        if c.illegal_returns > 0 {
            line("illegal returns", c.illegal_returns.to_string())?;
        }
        for (name, n) in &c.unimplemented {
            line("unimplemented", format!("{name}, {n} times"))?;
        }
        for (word, n) in &c.unallocated {
            line("unallocated", format!("{word:#010x}, {n} times"))?;
        }
        for (name, n) in &c.unknown_sysregs {
            line("unknown register", format!("{name}, {n} times"))?;
        }
        for (name, n) in &c.gaps {
            line("not implemented", format!("{name}, {n} times"))?;
        }
        if self.resets > 0 {
            line("resets", self.resets.to_string())?;
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        match (self.peak_memory, self.resident_ram) {
            (Some(peak), Some(ram)) => line(
                "peak memory",
                format!(
                    "{:.1} MiB: {:.1} of {:.0} MiB guest RAM in use, {:.1} MiB for everything else",
                    mib(peak),
                    mib(ram),
                    mib(self.guest_ram),
                    mib(peak.saturating_sub(ram))
                ),
            ),
            _ => line("guest RAM", format!("{:.0} MiB", mib(self.guest_ram))),
        }
    }
}

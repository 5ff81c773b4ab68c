//! [`MachineStats`]: the report that `--stats` prints after a run.

mod arm;
pub(crate) mod dump;
mod profile;
mod x86;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use lyrebird_isa::Cpu;
use lyrebird_jit::engine::{Jump, NoRegion};
use lyrebird_jit::{Engine, EngineStats};
use lyrebird_softmmu::MmuConfig;
use lyrebird_softmmu::mmu::MmuStats;

use crate::host;

pub(crate) use profile::Sampler;
pub use profile::{Hot, Profile};

/// What happened during a run, resets included.
#[derive(Clone, Debug, Default)]
pub struct MachineStats {
    /// Wall time.
    pub wall: Duration,
    /// Resets by the guest.
    pub resets: u64,
    /// What ended CPUs for good: triple faults. The newest, at most 16.
    pub last_words: Vec<String>,
    /// Where the CPU was at the end.
    pub place: String,
    /// Events of the CPUs.
    pub cpu: CpuStats,
    /// Events of the engine.
    pub engine: EngineStats,
    /// Regions that were not compiled, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Events of address translation.
    pub mmu: MmuStats,
    /// Where time went, if that was asked for.
    pub profile: Option<Profile>,
    /// Compiled regions, if they were asked for.
    pub dumps: Vec<String>,
    /// Why there are none.
    pub no_dump: Option<NoRegion>,
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
use sum;

/// Events of the CPUs of a machine, by architecture.
#[derive(Clone, Debug, Default)]
#[allow(clippy::large_enum_variant, reason = "there is one in a run")]
pub enum CpuStats {
    /// Nothing has run.
    #[default]
    None,
    /// ARM.
    Arm(lyrebird_frontend_arm::cpu::counters::Counters),
    /// x86.
    X86(lyrebird_frontend_x86::cpu::counters::Counters),
}

impl CpuStats {
    /// Times a CPU went to sleep until an interrupt.
    pub fn sleeps(&self) -> u64 {
        match self {
            CpuStats::None => 0,
            CpuStats::Arm(c) => c.sleeps,
            CpuStats::X86(c) => c.sleeps,
        }
    }
}

/// A CPU that keeps counters.
pub(crate) trait Account: Cpu {
    /// Events of address translation.
    fn mmu(&self) -> MmuStats;
    /// Sets how it keeps translations.
    fn configure_mmu(&mut self, config: &MmuConfig);
    /// Adds its events to those of other CPUs of the machine.
    fn count(&self, into: &mut CpuStats);
    /// Where it is: program counter and privilege, as a debugger of the architecture shows them.
    fn place(&self) -> String;
    /// Why it came to an end, if it was for a fault that no guest survives.
    fn last_words(&self) -> Option<String> {
        None
    }
}

/// Writes a line of the report: a name, and what there is to say.
type Line<'a, 'f> = &'a mut dyn FnMut(&str, String) -> fmt::Result;

impl MachineStats {
    /// Adds what one CPU and its engine counted.
    pub(crate) fn add<C: Account>(&mut self, cpu: &C, engine: &Engine<C>) {
        for (why, n) in engine.failures() {
            *self.failures.entry(String::from(why)).or_default() += n;
        }
        let engine = &engine.stats();
        sum!(self.engine, engine; retired t1_retired blocks decoded blocks_dropped t0_flushes regions region_insns
            region_bytes regions_promoted regions_dropped regions_stale regions_failed compile_ns faults exits verified verified_insns);
        let from = cpu.mmu();
        sum!(self.mmu, from; misses walks flushes_all flushes_va flushes_asid context_switches
            context_misses mmio_reads mmio_writes code_writes refills inherited loose shadow_fills table_stores table_drops
            untracked spaces_evicted tracked space_switches);
        cpu.count(&mut self.cpu);
        self.place = cpu.place();
    }

    /// Keeps what a CPU's last words were, and how it came there.
    pub(crate) fn ended(&mut self, words: &str, jumps: &[Jump]) {
        const MOST: usize = 16;
        let mut text = format!(
            "{words}\n  the last branches, exceptions and interrupts, newest first, in linear addresses; of compiled code\n  \
             only where it was left for the interpreter:"
        );
        for j in jumps {
            let compiled = if j.compiled { " (compiled)" } else { "" };
            text += &format!("\n    {:#x} -> {:#x}{compiled}", j.from, j.to);
        }
        if jumps.is_empty() {
            text += "\n    none";
        }
        // A guest that resets for it comes the same way again.
        if self.last_words.last() == Some(&text) {
            return;
        }
        if self.last_words.len() == MOST {
            self.last_words.remove(0);
        }
        self.last_words.push(text);
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

fn merge<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, n) in from {
        *into.entry(key.clone()).or_insert(0) += n;
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

impl fmt::Display for MachineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (e, m) = (&self.engine, &self.mmu);
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
                "{} of {} instructions, {} host bytes, {} compiled twice, {} dropped, {} stale, {} failed",
                e.regions,
                e.region_insns,
                e.region_bytes,
                e.regions_promoted,
                e.regions_dropped,
                e.regions_stale,
                e.regions_failed
            ),
        )?;
        for (why, n) in &self.failures {
            line("region not compiled", format!("{why}, {n} times"))?;
        }
        line("compile time", format!("{:.3} s", e.compile_ns as f64 / 1e9))?;
        if let Some(p) = &self.profile {
            p.report(&mut line)?;
        }
        if e.verified > 0 {
            line("regions verified", format!("{} times, {} instructions", e.verified, e.verified_insns))?;
        }
        line("dispatcher entries", e.exits.to_string())?;
        line(
            "TLB misses",
            format!("{}, {} table walks, {} refills from shadow tables", m.misses, m.walks, m.refills),
        )?;
        let per = |n: u64| n as f64 / m.space_switches.max(1) as f64;
        line(
            "address spaces",
            format!(
                "{} switches, {:.1} walks and {:.1} refills per switch",
                m.space_switches,
                per(m.walks),
                per(m.refills)
            ),
        )?;
        if m.shadow_fills > 0 {
            line(
                "shadow tables",
                format!(
                    "{} fills, {} not kept, {} stores to tables dropped {} entries, {} pages tracked, {} given up, \
                     {} address spaces given up",
                    m.shadow_fills,
                    m.loose,
                    m.table_stores,
                    m.table_drops,
                    m.tracked,
                    m.untracked,
                    m.spaces_evicted
                ),
            )?;
        }
        line(
            "TLB flushes",
            format!("{} all, {} by address, {} by ASID", m.flushes_all, m.flushes_va, m.flushes_asid),
        )?;
        line("context switches", format!("{}, {} to a new one", m.context_switches, m.context_misses))?;
        line("device accesses", format!("{} reads, {} writes", m.mmio_reads, m.mmio_writes))?;
        line("stores to code pages", m.code_writes.to_string())?;
        match &self.cpu {
            CpuStats::None => {}
            CpuStats::Arm(c) => arm::report(c, &mut line)?,
            CpuStats::X86(c) => x86::report(c, &mut line)?,
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

//! What x86 CPUs count.

use std::fmt;

use lyrebird_frontend_x86::X86Cpu;
use lyrebird_frontend_x86::cpu::counters::Counters;
use lyrebird_frontend_x86::exception::name;
use lyrebird_frontend_x86::regs::Seg;
use lyrebird_softmmu::MmuConfig;
use lyrebird_softmmu::mmu::MmuStats;

use super::{Account, CpuStats, Line, merge, sum};

impl Account for X86Cpu {
    fn mmu(&self) -> MmuStats {
        self.mmu.stats()
    }

    fn configure_mmu(&mut self, config: &MmuConfig) {
        X86Cpu::configure_mmu(self, config);
    }

    fn count(&self, into: &mut CpuStats) {
        let from = &self.counters;
        let CpuStats::X86(c) = into else {
            *into = CpuStats::X86(from.clone());
            return;
        };
        sum!(c, from; retired interrupts software shutdowns sleeps code_writes);
        for (n, from) in c.exceptions.iter_mut().zip(&from.exceptions) {
            *n += from;
        }
        merge(&mut c.unimplemented, &from.unimplemented);
        merge(&mut c.unknown_msrs, &from.unknown_msrs);
        merge(&mut c.gaps, &from.gaps);
    }

    fn place(&self) -> String {
        let cs = self.segs[Seg::Cs as usize].selector;
        format!("CS:RIP {cs:04x}:{:x}, CPL {}", self.rip(), self.cpl)
    }

    fn last_words(&self) -> Option<String> {
        self.shutdown.as_ref().map(ToString::to_string)
    }
}

/// Writes the lines of the report.
pub(super) fn report(c: &Counters, line: Line<'_, '_>) -> fmt::Result {
    line(
        "interrupts taken",
        format!("{} external, {} by INT; {} sleeps", c.interrupts, c.software, c.sleeps),
    )?;
    line("stores to own code", c.code_writes.to_string())?;
    for (vector, n) in c.exceptions.iter().enumerate().filter(|(_, n)| **n > 0) {
        line(&format!("exception {vector}"), format!("{n} {}", name(vector)))?;
    }
    if c.shutdowns > 0 {
        line("triple faults", c.shutdowns.to_string())?;
    }
    for (name, n) in &c.unimplemented {
        line("unimplemented", format!("{name}, {n} times"))?;
    }
    for (msr, n) in &c.unknown_msrs {
        line("unknown MSR", format!("{msr:#x}, {n} times"))?;
    }
    for (name, n) in &c.gaps {
        line("not implemented", format!("{name}, {n} times"))?;
    }
    Ok(())
}

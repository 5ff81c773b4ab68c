//! What ARM CPUs count.

use std::fmt;

use lyrebird_frontend_arm::ArmCpu;
use lyrebird_frontend_arm::cpu::counters::Counters;
use lyrebird_softmmu::MmuConfig;
use lyrebird_softmmu::mmu::MmuStats;

use super::{Account, CpuStats, Line, merge, sum};

impl Account for ArmCpu {
    fn mmu(&self) -> MmuStats {
        self.mmu.stats()
    }

    fn configure_mmu(&mut self, config: &MmuConfig) {
        ArmCpu::configure_mmu(self, config);
    }

    fn count(&self, into: &mut CpuStats) {
        let from = &self.counters;
        let CpuStats::Arm(c) = into else {
            *into = CpuStats::Arm(from.clone());
            return;
        };
        sum!(c, from; retired irq fiq serror illegal_returns sleeps);
        for (n, from) in c.sync.iter_mut().zip(&from.sync) {
            *n += from;
        }
        merge(&mut c.unimplemented, &from.unimplemented);
        merge(&mut c.unallocated, &from.unallocated);
        merge(&mut c.unknown_sysregs, &from.unknown_sysregs);
        merge(&mut c.gaps, &from.gaps);
    }

    fn place(&self) -> String {
        format!("PC {:#x}, EL{}", self.core.pc, self.pstate.el)
    }
}

/// Writes the lines of the report.
pub(super) fn report(c: &Counters, line: Line<'_, '_>) -> fmt::Result {
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
    Ok(())
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

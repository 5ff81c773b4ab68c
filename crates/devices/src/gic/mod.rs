//! Arm Generic Interrupt Controllers: [`GicV2`] (IHI 0048B) and [`GicV3`] (IHI 0069) over one state machine.
//!
//! [`state`] holds what each interrupt is (enabled, pending, active, …) in bitmaps of 32 and picks the best one
//! for a CPU; [`cpu`] decides whether that one preempts what is running. Both versions share them and differ in
//! their registers, in how SPIs are routed, and in SGIs.
//!
//! Lock order: the controller's lock is taken below any device's, and held while it drives
//! [`CpuLines`]. It calls into nothing else.

pub mod cpu;
pub mod state;
mod v2;
mod v3;

pub use v2::{GicV2, GicV2Cpu, GicV2Dist};
pub use v3::{GicV3, GicV3Dist, GicV3Redist, IccReg};

use std::sync::Arc;

use lyrebird_isa::lines::{CpuLines, FIQ, IRQ};

/// What `IAR` reads when nothing is to be taken.
pub const SPURIOUS: u32 = 1023;

/// How `virt` of QEMU is made: 32 private interrupts and 256 SPIs.
pub const VIRT_INTERRUPTS: usize = 288;

/// A board asks for an interrupt controller, or a pin of one, that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GicError {
    /// Not a multiple of 32 within what the version allows.
    #[error("{0} interrupts: must be a multiple of 32, from 32 to 992")]
    Interrupts(usize),
    /// GICv2 serves 1 to 8 CPUs, GICv3 here 1 to 512.
    #[error("{found} CPUs on an interrupt controller for 1 to {max}")]
    Cpus {
        /// How many were asked for.
        found: usize,
        /// The most there can be.
        max: usize,
    },
    /// There is no such SPI.
    #[error("no SPI {0} on this interrupt controller")]
    NoSpi(u32),
    /// There is no such CPU, or the INTID is not from 16 to 31.
    #[error("no private interrupt {intid} for CPU {cpu}")]
    NoPpi {
        /// Index of the CPU.
        cpu: usize,
        /// The interrupt's INTID.
        intid: u32,
    },
}

impl GicError {
    fn check(interrupts: usize, cpus: usize, max: usize) -> Result<(), GicError> {
        if !(32..=992).contains(&interrupts) || !interrupts.is_multiple_of(32) {
            return Err(GicError::Interrupts(interrupts));
        }
        if cpus == 0 || cpus > max {
            return Err(GicError::Cpus { found: cpus, max });
        }
        Ok(())
    }
}

/// Input numbers of a controller as an [`IrqSink`](crate::IrqSink): SPIs by INTID, then the private inputs CPU
/// by CPU.
const PRIVATE_INPUTS: u32 = 1024;

/// Number of the input for SPI `n` (INTID `32 + n`) of a controller with `interrupts` INTIDs.
fn spi_input(interrupts: usize, n: u32) -> Result<u32, GicError> {
    let limit = interrupts as u32 - 32;
    if n < limit { Ok(n + 32) } else { Err(GicError::NoSpi(n)) }
}

/// Number of the input for the private interrupt `intid` of `cpu`.
fn ppi_input(cpus: usize, cpu: usize, intid: u32) -> Result<u32, GicError> {
    if cpu < cpus && (16..32).contains(&intid) {
        Ok(PRIVATE_INPUTS + cpu as u32 * 32 + intid)
    } else {
        Err(GicError::NoPpi { cpu, intid })
    }
}

/// The IRQ and FIQ wires to the CPUs, and what they were last driven to.
#[derive(Debug)]
struct Outputs {
    lines: Vec<Arc<CpuLines>>,
    driven: Vec<u32>,
}

impl Outputs {
    fn new(lines: Vec<Arc<CpuLines>>) -> Outputs {
        let driven = vec![0; lines.len()];
        Outputs { lines, driven }
    }

    /// Drives the lines of `cpu` to `level` (of [`IRQ`] and [`FIQ`]).
    #[inline]
    fn drive(&mut self, cpu: usize, level: u32) {
        let changed = self.driven[cpu] ^ level;
        if changed == 0 {
            return;
        }
        self.driven[cpu] = level;
        for line in [IRQ, FIQ] {
            if changed & line != 0 {
                self.lines[cpu].set(line, level & line != 0);
            }
        }
    }
}

#[cfg(test)]
mod tests;

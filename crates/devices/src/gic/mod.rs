//! Arm Generic Interrupt Controllers: [`GicV2`] (IHI 0048B) and [`GicV3`] (IHI 0069) over one state machine.
//!
//! [`state`] holds what each interrupt is (enabled, pending, active, …) in bitmaps of 32 and picks the best one
//! for a CPU; [`cpu`] decides whether that one preempts what is running. Both versions share them and differ in
//! their registers, in how SPIs are routed, and in SGIs.
//!
//! Lock order: the controller's lock is taken below any device's, and held while it drives
//! [`CpuLines`](lyrebird_isa::lines::CpuLines). It calls into nothing else.

pub mod cpu;
pub mod state;
mod v2;
mod v3;
mod wires;

pub use v2::{GicV2, GicV2Cpu, GicV2Dist};
pub use v3::{GicV3, GicV3Dist, GicV3Redist, IccReg};

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

#[cfg(test)]
mod tests;

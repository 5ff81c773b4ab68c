//! Boards: wiring only. Chips, CPU and engine are described in their own crates; here they are connected.
//!
//! * [`virt`] is the ARM `virt` board.
//! * [`loader`] takes kernels and initial RAM disks apart, [`fdt`] makes and amends device trees.
//! * [`psci`] is the firmware that the guest calls.

pub mod fdt;
pub mod loader;
pub mod psci;
pub mod virt;

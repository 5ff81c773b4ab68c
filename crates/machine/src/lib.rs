//! Boards: wiring only. Chips, CPU and engine are described in their own crates; here they are connected.
//!
//! * [`virt`] is the ARM `virt` board: [`VirtMachine::new`], [`VirtMachine::load`], [`VirtMachine::run`].
//! * [`pc`] is what a PC tells its guest about itself: ACPI, SMBIOS, the memory map.
//! * [`loader`] takes kernels and initial RAM disks apart, [`fdt`] makes and amends device trees.
//! * [`psci`] is the firmware that the guest calls, [`power`] how a run ends, [`stats`] the report after it.

mod clock;
mod error;
pub mod fdt;
mod host;
pub mod loader;
pub mod pc;
pub mod power;
pub mod psci;
mod run;
pub mod stats;
pub mod virt;

pub use clock::Clock;
pub use error::MachineError;
pub use power::{Outcome, Power};
pub use run::RunOptions;
pub use stats::MachineStats;
pub use virt::{BootFiles, GicVersion, PowerKey, VirtConfig, VirtMachine};

// What a user of a machine chooses or provides, from the crates below.
pub use lyrebird_devices::CharBackend;
pub use lyrebird_frontend_arm::cpu::model::{CpuModel, MODELS};
pub use lyrebird_jit::{EngineConfig, Tier};

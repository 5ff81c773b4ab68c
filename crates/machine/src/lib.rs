//! Boards: wiring only. Chips, CPU and engine are described in their own crates; here they are connected.
//!
//! * [`virt`] is the ARM `virt` board: [`VirtMachine::new`], [`VirtMachine::load`], [`VirtMachine::run`].
//! * [`pc`] is the PC: [`PcMachine`] with the same three.
//! * [`loader`] takes kernels and initial RAM disks apart, [`fdt`] makes and amends device trees.
//! * [`psci`] is the firmware that the guest calls, [`power`] how a run ends, [`stats`] the report after it.

mod clock;
#[cfg(all(test, target_arch = "x86_64"))]
mod emitted;
mod error;
pub mod fdt;
mod host;
pub mod loader;
mod memory;
pub mod pc;
mod piece;
pub mod power;
pub mod psci;
mod run;
pub mod stats;
pub mod virt;

pub use clock::Clock;
pub use error::MachineError;
pub use pc::{PcConfig, PcFiles, PcMachine, PcSerial, PowerButton};
pub use power::{Outcome, Power};
pub use run::RunOptions;
pub use stats::MachineStats;
pub use virt::{BootFiles, GicVersion, PowerKey, VirtConfig, VirtMachine};

// What a user of a machine chooses or provides, from the crates below.
pub use lyrebird_devices::CharBackend;
pub use lyrebird_frontend_arm::cpu::model::{CpuModel, MODELS};
pub use lyrebird_frontend_x86::CpuModel as X86Model;
pub use lyrebird_jit::engine::{NoRegion, Which};
pub use lyrebird_jit::{EngineConfig, Tier};
pub use lyrebird_softmmu::{MmuConfig, MmuMode};

//! The ARM front end: A64 decode table, instruction semantics, and the CPU behind them (system registers,
//! exceptions, translation regimes).
//!
//! `a64/table/` has one row per encoding, `a64/sem/` the meaning of each, grouped as in the Arm ARM, chapter C4.
//! `cpu/` is the vCPU, `sys/` its system registers and instructions, `exception` how exceptions are taken.

pub mod a64;
pub mod cpu;
pub mod exception;
pub mod platform;
pub mod sys;
#[cfg(test)]
pub(crate) mod testing;

pub use cpu::ArmCpu;
pub use cpu::model::CpuModel;
pub use platform::Platform;

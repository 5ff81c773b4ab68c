//! The engine: guest code from its first execution (T0, a decoded-block interpreter) to its hot loops (T1, regions
//! compiled by Cranelift). It knows no ISA: everything is generic over [`lyrebird_isa::Cpu`].
//!
//! [`Engine`] belongs to one vCPU and runs on its thread. [`t0`] holds decoded blocks and their handlers, [`t1`] the
//! region compiler, its thread and the code arena.

pub mod config;
pub mod engine;
mod large;
pub mod stats;
pub mod t0;
pub mod t1;

pub use config::{EngineConfig, Tier};
pub use engine::Engine;
pub use stats::EngineStats;

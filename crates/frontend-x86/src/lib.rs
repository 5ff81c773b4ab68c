//! The x86 front end: decoding by `iced-x86`, instruction semantics, and the CPU behind them (segments, control
//! registers, exceptions, paging).
//!
//! `decode/` picks the meaning of each instruction, `sem/` states it, grouped as in the Intel SDM, Vol. 1, chapter 5.
//! `cpu/` is the vCPU, `sys/` its system programming (SDM Vol. 3): descriptors, gates, tasks, control and
//! model-specific registers.

pub mod cpu;
pub mod decode;
pub mod exception;
pub mod operand;
pub mod platform;
pub mod regs;
pub mod sem;
pub mod sys;
#[cfg(test)]
pub(crate) mod testing;

pub use cpu::X86Cpu;
pub use cpu::model::CpuModel;
pub use platform::Platform;

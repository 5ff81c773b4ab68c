//! System programming (SDM Vol. 3): segments and descriptors, gates and interrupts, tasks, control, debug and
//! model-specific registers, paging.

pub(crate) mod access;
pub mod control;
mod cpuid;
pub mod debug;
mod descriptor;
pub(crate) mod far;
pub mod gate;
pub mod io;
pub mod msr;
pub mod paging;
mod returns;
pub mod segment;
mod syscall;
mod tables;
mod task;

pub(crate) use access::canonical;

#[cfg(test)]
mod tests;

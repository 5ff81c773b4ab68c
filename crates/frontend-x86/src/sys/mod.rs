//! System programming (SDM Vol. 3): segments and descriptors, gates and interrupts, tasks, control, debug and
//! model-specific registers, paging.

pub mod control;
pub mod debug;
pub mod gate;
pub mod io;
pub mod msr;
pub mod paging;
pub mod segment;

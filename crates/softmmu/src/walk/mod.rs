//! Translation-table walkers: pure functions, one file per format.
//!
//! A stage-2 walker of VMSAv8-64 belongs beside [`vmsa64`], EPT and NPT beside the formats of [`x86`]: stage 1
//! then reads its tables, and hands its output address, through it.

pub mod path;
pub mod vmsa64;
pub mod x86;

//! The contract of Lyrebird: what a guest architecture is, and how the meaning of one instruction is written.
//!
//! * [`emit::Emit`] is the builder that instruction semantics are generic over. [`interp::Interp`] executes,
//!   [`scan::Scan`] collects what an instruction touches, and the engine's CLIF emitter compiles.
//! * [`cpu::Cpu`] is what the engine needs from a guest CPU: decode, mode bits, slow memory paths, faults.
//! * [`state::Core`] is the one `repr(C)` structure that compiled code reads and writes.
//!
//! This crate depends on nothing of ours and knows no architecture.

pub mod activity;
pub mod cpu;
pub mod emit;
pub mod flags;
pub mod float;
pub mod helper;
pub mod host;
pub mod interp;
pub mod lines;
pub mod logged;
pub mod mem;
pub mod ops;
pub mod scan;
pub mod state;
pub mod vector;

pub use activity::{Activity, Work};
pub use cpu::{Cpu, GuestFault, Sem, Term, Visitor};
pub use emit::{Emit, JumpKind};
pub use flags::{Cond, FlagOp};
pub use float::{FBin, FCc, FUn, FlagStyle, Float, Part, Rounding, Sound};
pub use helper::{Effects, Helper, HelperFn};
pub use mem::{MemOp, Order, Size};
pub use ops::{Bin, Cc, Lane, Rmw, Un, VBin, Width};
pub use state::{Core, Reg, TlbEntry, V128};
pub use vector::{VPair, VShift, VUn};

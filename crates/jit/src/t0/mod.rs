//! T0: the decoded-block interpreter.
//!
//! A block is an array of [`Op`]s and a [`Trailer`] behind the last. Each handler executes one instruction and jumps
//! to the next one's handler; a terminator finds its successor in the trailer. The instruction budget travels as an
//! argument. Where the compiler does not turn that last call into a jump (unoptimised builds), handlers return the
//! next operation to a loop instead.

pub mod block;
pub mod cache;
pub mod handler;
pub mod memory;
pub mod op;

pub use block::{Block, BlockId};
pub use cache::BlockCache;
pub use op::{Exit, Op, Trailer, execute};

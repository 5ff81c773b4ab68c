//! Operations of the FPU in double extended precision (SDM Vol. 1, chapter 8).
//!
//! An instruction makes an [`Env`] of the control word, runs its operation, and asks [`Env::blocked`] (a
//! load, [`Env::load_blocked`]; a store, [`Env::store_blocked`]) whether its destination and the stack stay
//! as they were. [`Env::retire`] gives the new status word. Registers, tags and the stack are the caller's,
//! stack faults included.

mod arith;
mod atan;
mod bcd;
mod compare;
mod constants;
mod convert;
mod env;
mod f80;
mod fast;
mod log;
mod nan;
mod num;
mod real;
mod remainder;
mod round;
mod scale;
mod trig;

pub use arith::{add, div, mul, sqrt, sub};
pub use atan::atan2;
pub use bcd::{from_bcd, to_bcd};
pub use compare::{compare, examine};
pub use constants::Constant;
pub use convert::{extend, from_int, load, round_int, store, to_int};
pub use env::Env;
pub use f80::F80;
pub use log::{exp2_minus_1, y_log2, y_log2_plus_1};
pub use remainder::{Remainder, remainder};
pub use scale::{extract, scale};
pub use trig::{cos, sin, sin_cos, tan};

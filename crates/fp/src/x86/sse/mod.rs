//! Operations of SSE, F16C, AVX and FMA on one element (SDM Vol. 1, chapter 11).
//!
//! A packed instruction runs its elements through one [`Env`], then asks [`Env::retire`] whether it faults.

mod arith;
mod compare;
mod convert;
mod env;
mod estimate;
mod fma;
mod nan;
mod num;
mod round;

pub(super) use compare::outcome;
pub(super) use round::cut;

pub use arith::{add, div, max, min, mul, sqrt, sub};
pub use compare::{cmp, compare};
pub use convert::{convert, from_int, round_int, to_int};
pub use env::Env;
pub use estimate::{rcp, rsqrt};
pub use fma::{Fma, fma};

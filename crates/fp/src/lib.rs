//! Software floating point, exact to the bit and to the exception flag, as a guest CPU defines it.
//!
//! Operations work on raw bit patterns of a [`Format`] ([`F16`], [`F32`], [`F64`]) under a run-time
//! [`Policy`] (rounding mode, flush-to-zero, NaN rules) and accumulate exceptions in [`Flags`]; both live in
//! an [`Env`]. Names and rules follow the pseudocode of the Arm ARM (`shared/functions/float`); what differs
//! between architectures is a field of the policy. x86 has operations of its own, in [`x86`].
//!
//! Where the result of the host's own arithmetic is provably the same, it is used (see [`mod@format`]).

pub mod format;
pub mod x86;

mod add;
mod compare;
mod convert;
mod div;
mod env;
mod estimate;
mod fma;
mod int;
mod minmax;
mod mul;
mod nan;
mod num;
mod round;
mod round_int;
mod sqrt;

pub use add::{add, sub};
pub use compare::{Ordering, compare, eq, ge, gt};
pub use convert::convert;
pub use div::div;
pub use env::{Env, Flags, NanRule, Policy, Round};
pub use estimate::{recip_estimate, recip_exponent, rsqrt_estimate, u32_recip_estimate, u32_rsqrt_estimate};
pub use fma::{fma, recip_step, rsqrt_step};
pub use format::{F16, F32, F64, Format};
pub use int::{IntType, from_fixed, to_fixed};
pub use minmax::{max, max_num, min, min_num};
pub use mul::{mul, mulx};
pub use round_int::round_int;
pub use sqrt::sqrt;

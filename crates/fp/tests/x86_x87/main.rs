//! The FPU against the host CPU: results, exceptions and condition codes, in every rounding mode and
//! precision, masked and unmasked.
#![cfg(target_arch = "x86_64")]

mod arithmetic;
#[path = "../common/mod.rs"]
mod common;
mod host;
mod transcendental;

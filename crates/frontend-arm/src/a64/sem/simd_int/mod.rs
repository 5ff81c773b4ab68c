//! Advanced SIMD integer arithmetic (Arm ARM C4.1.95): three same, three different, two-register
//! miscellaneous, across lanes, by element; vector and scalar.
//!
//! Additions, comparisons, minima and logic are written inline in `Emit` terms ([`inline`]); the rest works
//! lane by lane in helpers, generic over the lane type.

pub mod across;
pub mod inline;
pub mod lanewise;
pub mod long;
pub mod misc;
pub mod narrow;
pub mod packed;
pub mod pairwise;
pub mod three_same;

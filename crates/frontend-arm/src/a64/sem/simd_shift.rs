//! Semantics of the group `SimdShift`.

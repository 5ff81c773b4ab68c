//! Semantics of the group `SimdFp`.

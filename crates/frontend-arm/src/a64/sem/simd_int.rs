//! Semantics of the group `SimdInt`.

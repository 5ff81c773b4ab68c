//! Semantics of the group `SimdCopy`.

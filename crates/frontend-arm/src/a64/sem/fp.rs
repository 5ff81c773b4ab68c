//! Semantics of the group `Fp`.

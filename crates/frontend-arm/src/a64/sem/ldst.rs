//! Semantics of the group `Ldst`.

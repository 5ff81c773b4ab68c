//! Semantics of the group `System`.

//! Semantics of the group `Branch`.

//! Semantics of the group `LdstSimd`.

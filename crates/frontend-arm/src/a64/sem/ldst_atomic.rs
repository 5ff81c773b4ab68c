//! Semantics of the group `LdstAtomic`.

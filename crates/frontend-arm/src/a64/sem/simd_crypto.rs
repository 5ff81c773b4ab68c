//! Semantics of the group `SimdCrypto`.

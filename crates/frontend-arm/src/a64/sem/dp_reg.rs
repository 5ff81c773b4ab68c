//! Semantics of the group `DpReg`.

//! The A64 instruction set: table → decode → semantics → disassembly.

pub mod decode;
pub mod regs;
pub mod sem;
pub mod table;
pub mod word;

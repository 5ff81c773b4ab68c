//! T1: regions of hot blocks, compiled by Cranelift.
//!
//! [`region::form_region`] picks the blocks, [`compiler::Compiler`] turns them into host code through the
//! [`emit::ClifEmitter`] instance of [`lyrebird_isa::Emit`], [`arena::Arena`] holds the code and
//! [`thread::CompileThread`] does all that beside the vCPU.

pub mod arena;
pub(crate) mod chain;
pub mod compiler;
pub mod dump;
pub mod emit;
mod flow;
mod function;
pub(crate) mod host;
pub mod region;
pub mod slow;
pub mod thread;

pub use arena::{Arena, ArenaError, Code};
pub use chain::of_link;
pub use compiler::{CompileError, CompiledRegion, Compiler, CompilerConfig, Failure, HostFeatures, LinkSite};
pub use dump::Dump;
pub use region::{
    BlockSource, BlockView, CodePage, Limits, RegionBlock, RegionExit, RegionRequest, form_region,
};
pub use slow::SlowPaths;
pub use thread::CompileThread;

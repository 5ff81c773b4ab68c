//! [`Compiler`]: from a [`RegionRequest`] to code in the [`Arena`].

use std::marker::PhantomData;
use std::sync::Arc;

use lyrebird_isa::Cpu;

use super::arena::{Arena, ArenaError, Code};
use super::region::RegionRequest;
use super::slow::SlowPaths;

/// What a compiler is made with.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// Out-of-line memory accesses.
    pub slow: SlowPaths,
    /// Run Cranelift's verifier on every function (about 1.7 times the compile time).
    pub verify_clif: bool,
}

impl CompilerConfig {
    /// The slow paths of `C`; the CLIF verifier in debug builds.
    pub fn of<C: Cpu>() -> CompilerConfig {
        CompilerConfig { slow: SlowPaths::of::<C>(), verify_clif: cfg!(debug_assertions) }
    }
}

/// Why a region was not compiled. Its code stays with T0.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// No room for the code: evict and ask again.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The region's first instruction is one that T0 has to execute, or its bytes end before it.
    #[error("region {0:#x} begins with an instruction for T0")]
    Empty(u64),
    /// An instruction breaks the rules of `Emit`.
    #[error("instruction at {pc:#x}: {what}")]
    Semantics {
        /// Address of the instruction.
        pc: u64,
        /// What it did.
        what: &'static str,
    },
    /// Cranelift refused the function.
    #[error("Cranelift: {0}")]
    Cranelift(String),
    /// Cranelift panicked.
    #[error("Cranelift panicked: {0}")]
    Panic(String),
    /// The request was dropped in favour of hotter ones, or at shutdown.
    #[error("dropped from the queue")]
    Dropped,
}

/// A failed request, with what a report needs.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: CompileError,
    /// The request, with its guest bytes.
    pub request: RegionRequest,
    /// The CLIF as far as it was built.
    pub clif: Option<String>,
}

/// A compiled region.
#[derive(Debug)]
pub struct CompiledRegion {
    /// [`RegionRequest::id`].
    pub id: u64,
    /// The code. Call it through [`Code::as_region`]; keep it alive while a vCPU may be in it.
    pub code: Code,
    /// Guest instructions compiled, duplicates removed.
    pub guest_insns: u32,
    /// Time spent, in nanoseconds.
    pub nanos: u64,
    /// CLIF and host disassembly, where asked for.
    pub dump: Option<String>,
}

/// Compiles regions of the guest CPU `C`.
#[derive(Debug)]
pub struct Compiler<C> {
    arena: Arc<Arena>,
    cpu: PhantomData<fn() -> C>,
}

impl<C: Cpu> Compiler<C> {
    /// A compiler for the host, with its code in `arena`.
    pub fn new(arena: Arc<Arena>, config: CompilerConfig) -> Result<Compiler<C>, CompileError> {
        let _ = config;
        Ok(Compiler { arena, cpu: PhantomData })
    }

    /// The arena.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Compiles a region on the calling thread.
    pub fn compile(&mut self, request: RegionRequest) -> Result<CompiledRegion, Box<Failure>> {
        let error = CompileError::Cranelift("no code generator yet".into());
        Err(Box::new(Failure { error, request, clif: None }))
    }
}

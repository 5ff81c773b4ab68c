//! [`Compiler`]: from a [`RegionRequest`] to code in the [`Arena`].

use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::ExternalName;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use lyrebird_isa::Cpu;

use super::arena::{Arena, ArenaError, Code};
use super::dump::{Dump, mark_cold};
use super::emit::Slow;
use super::flow::Region;
use super::function::{
    Host, STUB, TRAMPOLINE, build_chain, build_region, build_thunk, build_trampoline, stub,
};
use super::region::RegionRequest;
use super::slow::SlowPaths;
use crate::t0::handler::enter_region;

/// Instructions of the host beyond its architecture's first version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFeatures {
    /// All that the host has.
    Detected,
    /// Those of a Cranelift preset, whatever the host has: for code that is looked at, and the same everywhere.
    Preset(&'static str),
}

/// What a compiler is made with.
#[derive(Clone, Debug)]
pub struct CompilerConfig {
    /// Out-of-line memory accesses.
    pub slow: SlowPaths,
    /// Let a region enter another one directly, through the jump cache.
    pub chain: bool,
    /// Keep account of regions and helpers in [`lyrebird_isa::Core::activity`].
    pub account: bool,
    /// What the code may use of the host's processor.
    pub features: HostFeatures,
    /// Run Cranelift's verifier on every function (about 1.7 times the compile time).
    pub verify_clif: bool,
}

impl CompilerConfig {
    /// The slow paths of `C`; the CLIF verifier in debug builds.
    pub fn of<C: Cpu>() -> CompilerConfig {
        CompilerConfig {
            slow: SlowPaths::of::<C>(),
            chain: true,
            account: false,
            features: HostFeatures::Detected,
            verify_clif: cfg!(debug_assertions),
        }
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
    /// For people, where asked for.
    pub dump: Option<Box<Dump>>,
}

/// Compiles regions of the guest CPU `C`.
pub struct Compiler<C> {
    isa: OwnedTargetIsa,
    host: Host,
    context: Context,
    builder: FunctionBuilderContext,
    arena: Arc<Arena>,
    /// Thunks by [`Slow`], then the trampoline and the chain function.
    thunks: Arc<Vec<Code>>,
    cpu: PhantomData<fn() -> C>,
}

impl<C> std::fmt::Debug for Compiler<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").field("isa", &self.isa.name()).field("arena", &self.arena).finish()
    }
}

/// The host as Cranelift knows it.
fn host_isa(features: HostFeatures, verify_clif: bool) -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    for (name, value) in [
        // `speed` costs 40 to 70 % more, gains nothing on such code, and merges guest loads.
        ("opt_level", "none"),
        ("regalloc_algorithm", "backtracking"),
        ("enable_verifier", if verify_clif { "true" } else { "false" }),
        ("enable_probestack", "false"),
        ("unwind_info", "false"),
        ("is_pic", "false"),
        // Tail calls rely on them on x86-64.
        ("preserve_frame_pointers", "true"),
    ] {
        flags.set(name, value).map_err(|e| format!("setting {name}: {e}"))?;
    }
    let isa = match features {
        HostFeatures::Detected => cranelift_native::builder()?,
        HostFeatures::Preset(preset) => {
            let mut isa = cranelift_native::builder_with_options(false)?;
            isa.enable(preset).map_err(|e| format!("preset {preset}: {e}"))?;
            isa
        }
    };
    isa.finish(settings::Flags::new(flags)).map_err(|e| e.to_string())
}

impl<C: Cpu> Compiler<C> {
    /// A compiler for the host, with its code in `arena`.
    pub fn new(arena: Arc<Arena>, config: CompilerConfig) -> Result<Compiler<C>, CompileError> {
        let isa = host_isa(config.features, config.verify_clif).map_err(CompileError::Cranelift)?;
        let host = Host {
            call_conv: isa.default_call_conv(),
            tso: cfg!(target_arch = "x86_64"),
            enter_handler: config.chain.then_some(enter_region::<C> as *const () as u64),
            account: config.account,
            sys: config.slow.sys.map(|f| f as *const () as u64),
            frontend: isa.frontend_config(),
        };
        let mut compiler = Compiler {
            isa,
            host,
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
            arena,
            thunks: Arc::default(),
            cpu: PhantomData,
        };
        let mut thunks = Vec::new();
        for slow in Slow::ALL {
            compiler.context.clear();
            build_thunk(&mut compiler.context.func, &mut compiler.builder, host, slow, &config.slow);
            thunks.push(compiler.emit(|_| [])?);
        }
        compiler.context.clear();
        build_trampoline(&mut compiler.context.func, &mut compiler.builder, host);
        thunks.push(compiler.emit(|_| [])?);
        compiler.context.clear();
        build_chain::<C>(&mut compiler.context.func, &mut compiler.builder, host);
        thunks.push(compiler.emit(|_| [])?);
        compiler.thunks = Arc::new(thunks);
        Ok(compiler)
    }

    /// The arena.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Compiles a region on the calling thread.
    pub fn compile(&mut self, request: RegionRequest) -> Result<CompiledRegion, Box<Failure>> {
        let start = Instant::now();
        // A panic leaves the contexts in an unknown state; they are replaced before they are used again.
        let done = panic::catch_unwind(AssertUnwindSafe(|| self.try_compile(&request)));
        let error = match done {
            Ok(Ok((code, guest_insns, dump))) => {
                let nanos = start.elapsed().as_nanos() as u64;
                return Ok(CompiledRegion { id: request.id, code, guest_insns, nanos, dump });
            }
            Ok(Err(e)) => e,
            Err(payload) => {
                let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
                    (Some(s), _) => (*s).to_owned(),
                    (_, Some(s)) => s.clone(),
                    _ => String::from("no message"),
                };
                CompileError::Panic(text)
            }
        };
        let clif = match &error {
            CompileError::Arena(_) | CompileError::Empty(_) => None,
            _ => Some(self.context.func.display().to_string()),
        };
        self.context = Context::new();
        self.builder = FunctionBuilderContext::new();
        Err(Box::new(Failure { error, request, clif }))
    }

    fn try_compile(
        &mut self,
        request: &RegionRequest,
    ) -> Result<(Code, u32, Option<Box<Dump>>), CompileError> {
        let head = request.blocks.first().map_or(0, |b| b.pc);
        let region = Region::new::<C>(request).ok_or(CompileError::Empty(head))?;
        self.context.clear();
        build_region::<C>(&mut self.context.func, &mut self.builder, self.host, &region, request)?;
        self.context.set_disasm(request.dump);
        if request.dump {
            mark_cold(&mut self.context.func);
        }
        let trampoline = self.thunks[TRAMPOLINE].entry() as u64;
        let mut code = self.emit(|at| stub(at, trampoline))?;
        code.keep(Arc::clone(&self.thunks));
        let dump = request.dump.then(|| {
            let dump = Dump::of::<C>(&self.context, &region, request, STUB);
            Box::new(Dump { host: code.bytes().to_vec(), base: code.entry() as u64, ..dump })
        });
        Ok((code, region.insns() as u32, dump))
    }

    /// Compiles the function in the context and installs it behind what `front` makes of its address.
    fn emit<const N: usize>(&mut self, front: impl FnOnce(u64) -> [u8; N]) -> Result<Code, CompileError> {
        let mut control = ControlPlane::default();
        self.context
            .compile(&*self.isa, &mut control)
            .map_err(|e| CompileError::Cranelift(format!("{:?}", e.inner)))?;
        let Some(compiled) = self.context.compiled_code() else {
            return Err(CompileError::Cranelift(String::from("no code")));
        };
        let mut calls = Vec::new();
        for r in compiled.buffer.relocs() {
            let target = match (&r.target, r.kind) {
                (FinalizedRelocTarget::ExternalName(ExternalName::User(name)), Reloc::X86CallPCRel4) => {
                    let name = &self.context.func.params.user_named_funcs()[*name];
                    self.thunks.get(name.index as usize)
                }
                _ => None,
            };
            match target {
                Some(code) => calls.push((r.offset as usize, code.entry() as u64, r.addend)),
                None => return Err(CompileError::Cranelift(format!("relocation {r:?} is not supported"))),
            }
        }
        let mut image = vec![0; N];
        image.extend_from_slice(compiled.code_buffer());
        let code = self.arena.install_with(&image, |bytes, at| {
            bytes[..N].copy_from_slice(&front(at));
            for &(offset, target, addend) in &calls {
                let offset = offset + N;
                // The arena is far smaller than the reach of a 32-bit displacement.
                let rel = target.wrapping_add(addend as u64).wrapping_sub(at + offset as u64);
                bytes[offset..offset + 4].copy_from_slice(&(rel as u32).to_le_bytes());
            }
        })?;
        Ok(code)
    }
}

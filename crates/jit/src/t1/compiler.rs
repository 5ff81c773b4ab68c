//! [`Compiler`]: from a [`RegionRequest`] to code in the [`Arena`].

use std::marker::PhantomData;
use std::mem::offset_of;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::ExternalName;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use lyrebird_isa::state::{PAGE_MASK, TlbEntry, tlb_index};
use lyrebird_isa::{Core, Cpu};

use super::arena::{Arena, ArenaError, Code, displacement};
use super::chain::{self, COUNTS, ENTER, FETCH, FUNCTIONS, JUMPS, LINK, LINKS, OUT};
use super::dump::{Dump, is_quiet, mark_cold};
use super::emit::Slow;
use super::flow::Region;
use super::function::{Host, build_aside, build_region, build_thunk};
use super::host::{self, Check, GUARD, LEAD, Moved, RECHECK, ShapeError};
use super::region::{CodePage, RegionExit, RegionRequest};
use super::slow::SlowPaths;

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
    /// Let regions enter one another.
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
    /// Cranelift's code has a form that [`Compiler`] does not know.
    #[error("code from Cranelift: {0}")]
    Shape(#[from] ShapeError),
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
    /// Guest address at which it is entered.
    pub pc: u64,
    /// The code. Call it through [`Code::as_region`], with the address of its first instruction in
    /// [`lyrebird_isa::Core::pc`]; keep it alive while a vCPU may be in it.
    pub code: Code,
    /// Address where other compiled code enters it.
    pub body: u64,
    /// The same for code on other pages; goes to [`Compiler::out`] where the head's page is not mapped as it was.
    pub checked: u64,
    /// Where it leaves to.
    pub links: Vec<LinkSite>,
    /// Guest instructions compiled, duplicates removed.
    pub guest_insns: u32,
    /// Processor time spent, in nanoseconds.
    pub nanos: u64,
    /// For people, where asked for.
    pub dump: Option<Box<Dump>>,
}

/// An exit of a region to a known address.
#[derive(Clone, Copy, Debug)]
pub struct LinkSite {
    /// Guest address.
    pub pc: u64,
    /// Where in the code the displacement of its jump is, for [`Code::patch`].
    pub site: usize,
    /// Where in the code it leads at first: back to the engine.
    pub stub: usize,
}

/// Compiles regions of the guest CPU `C`.
pub struct Compiler<C> {
    isa: OwnedTargetIsa,
    host: Host,
    context: Context,
    builder: FunctionBuilderContext,
    arena: Arc<Arena>,
    /// What all regions need.
    thunks: Arc<Vec<Code>>,
    /// Where thunks are called and functions jumped to: by [`Slow`], then by the numbers in `chain`.
    entries: Vec<u64>,
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
        // More than half of the time of a compilation is its. What `single_pass` makes is so much slower and larger that
        // even processes that are started and soon gone lose by it.
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
            if preset == "x86-64-v3" {
                // It implies that, but leaves it out, and FMA is then no instruction.
                isa.enable("has_avx").map_err(|e| e.to_string())?;
            }
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
            chain: config.chain,
            account: config.account,
            look: config.slow.look as *const () as u64,
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
            entries: Vec::new(),
            cpu: PhantomData,
        };
        let mut thunks = Vec::new();
        for slow in Slow::ALL {
            compiler.context.clear();
            build_thunk(&mut compiler.context.func, &mut compiler.builder, host, slow, &config.slow);
            thunks.push(compiler.emit()?);
        }
        let (budget, pc) = (offset_of!(Core, budget) as u32, offset_of!(Core, pc) as u32);
        let why = |exit: RegionExit| host::exit_at(exit as u32, budget, pc);
        for piece in [host::enter(budget), host::exit(), why(RegionExit::Next), why(RegionExit::Fetch)] {
            thunks.push(compiler.arena.install(&piece)?);
        }
        compiler.entries = thunks.iter().map(|c| c.entry() as u64).collect();
        let (exit, fault) = (compiler.function(chain::EXIT)?, offset_of!(Core, fault) as u32);
        for slow in 0..Slow::ALL.len() {
            let thunk = compiler.function(slow)?;
            let guard = compiler.arena.install_with(&[0; GUARD], |bytes, at| {
                bytes.copy_from_slice(&host::guard(at, thunk, fault, exit, RegionExit::Fault as u32));
            })?;
            compiler.entries[slow] = guard.entry() as u64;
            thunks.push(guard);
        }
        let out = compiler.out();
        for number in [LINK, chain::RAISE, chain::PROBE] {
            compiler.context.clear();
            let (func, builder) = (&mut compiler.context.func, &mut compiler.builder);
            match number {
                LINK => chain::build_link(func, builder, host, out),
                chain::RAISE => chain::build_raise(func, builder, host),
                _ => chain::build_probe(func, builder, host),
            }
            let built = compiler.emit_stripped(None)?;
            compiler.entries.push(built.body);
            thunks.push(built.code);
        }
        compiler.context.clear();
        build_aside(&mut compiler.context.func, &mut compiler.builder, host);
        let aside = compiler.emit()?;
        compiler.entries.push(aside.entry() as u64);
        thunks.push(aside);
        debug_assert_eq!(compiler.entries.len(), chain::ASIDE + 1);
        compiler.thunks = Arc::new(thunks);
        Ok(compiler)
    }

    /// Where compiled code goes on for a block that is not: back to T0.
    pub fn out(&self) -> u64 {
        self.entries.get(OUT).copied().unwrap_or(0)
    }

    /// The arena.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Compiles a region on the calling thread.
    pub fn compile(&mut self, request: RegionRequest) -> Result<CompiledRegion, Box<Failure>> {
        let clock = host::ThreadClock::start();
        // A panic leaves the contexts in an unknown state; they are replaced before they are used again.
        let done = panic::catch_unwind(AssertUnwindSafe(|| self.try_compile(&request)));
        let error = match done {
            Ok(Ok((region, dump, guest_insns))) => {
                return Ok(CompiledRegion {
                    id: request.id,
                    pc: request.blocks.first().map_or(0, |b| b.pc),
                    code: region.code,
                    body: region.body,
                    checked: region.checked,
                    links: region.links,
                    guest_insns,
                    nanos: clock.elapsed().as_nanos() as u64,
                    dump,
                });
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
    ) -> Result<(Stripped, Option<Box<Dump>>, u32), CompileError> {
        let head = request.blocks.first().map_or(0, |b| b.pc);
        let region = Region::new::<C>(request).ok_or(CompileError::Empty(head))?;
        self.context.clear();
        let links =
            build_region::<C>(&mut self.context.func, &mut self.builder, self.host, &region, request)?;
        self.context.set_disasm(request.dump);
        if request.dump {
            mark_cold(&mut self.context.func);
        }
        let page = request.pages.iter().find(|p| p.va == head & PAGE_MASK).copied();
        let count = request.quick.as_ref().map_or(0, |n| n.as_ptr() as u64);
        let mut code = self.emit_stripped(Some(Around { pc: head, page, id: request.id, links, count }))?;
        code.code.keep(Arc::clone(&self.thunks));
        if let Some(n) = &request.quick {
            code.code.keep_count(Arc::clone(n));
        }
        let dump = request.dump.then(|| {
            let dump = Dump::of::<C>(&self.context, &region, request, &code.moved);
            Box::new(Dump { host: code.code.bytes(), base: code.code.entry() as u64, ..dump })
        });
        Ok((code, dump, region.insns() as u32))
    }

    /// Compiles the function in the context, which counts at an address: the machine code and its calls.
    fn compile_context(&mut self, count: u64) -> Result<(Vec<u8>, Vec<Call>), CompileError> {
        let mut control = ControlPlane::default();
        self.context
            .compile(&*self.isa, &mut control)
            .map_err(|e| CompileError::Cranelift(format!("{:?}", e.inner)))?;
        let Some(compiled) = self.context.compiled_code() else {
            return Err(CompileError::Cranelift(String::from("no code")));
        };
        let mut image = compiled.code_buffer().to_vec();
        for s in compiled.buffer.get_srclocs_sorted().iter().filter(|s| is_quiet(s.loc)) {
            host::silence(&mut image[s.start as usize..s.end as usize])?;
        }
        let mut calls = Vec::new();
        for r in compiled.buffer.relocs() {
            let site = r.offset as usize;
            let name = match &r.target {
                FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                    let name = &self.context.func.params.user_named_funcs()[*name];
                    Some((name.namespace, name.index as usize))
                }
                _ => None,
            };
            match (name, r.kind) {
                (Some(to), Reloc::X86CallPCRel4) if r.addend == -4 => calls.push(Call { site, to }),
                (Some((COUNTS, _)), Reloc::Abs8) if r.addend == 0 => {
                    image[site..site + 8].copy_from_slice(&count.to_le_bytes());
                }
                _ => return Err(CompileError::Cranelift(format!("relocation {r:?} is not supported"))),
            }
        }
        Ok((image, calls))
    }

    /// Where a function is by its number.
    fn function(&self, number: usize) -> Result<u64, CompileError> {
        let entry = self.entries.get(number).copied();
        entry.ok_or_else(|| {
            CompileError::Cranelift(format!("calls function {number}, which there is not yet"))
        })
    }

    /// Compiles the function in the context and installs it, as one that makes its own frame.
    fn emit(&mut self) -> Result<Code, CompileError> {
        let (image, calls) = self.compile_context(0)?;
        let mut targets = Vec::with_capacity(calls.len());
        for c in &calls {
            targets.push((c.site, self.function(c.to.1)?));
        }
        Ok(self.arena.install_with(&image, |bytes, at| displace(bytes, at, &targets))?)
    }

    /// Compiles the function in the context and installs it as one that runs on the common frame. A region gets the front
    /// by which it is entered, and what its links lead to at first.
    fn emit_stripped(&mut self, region: Option<Around>) -> Result<Stripped, CompileError> {
        let (mut image, calls) = self.compile_context(region.as_ref().map_or(0, |r| r.count))?;
        let ahead = if region.is_some() { LEAD } else { 0 };
        let (plain, mut tail): (Vec<Call>, Vec<Call>) =
            calls.into_iter().partition(|c| c.site == 0 || image[c.site - 1] != JMP);
        let mut sites: Vec<usize> = tail.iter().map(|c| c.site).collect();
        let dead = host::strip(&mut image, &mut sites)?;
        for (c, site) in tail.iter_mut().zip(&sites) {
            c.site = *site;
        }
        sites.extend(plain.iter().map(|c| c.site));
        let (mut image, moved) = host::squeeze(&image, dead, ahead, &sites).ok_or(ShapeError::Code)?;
        let end = image.len();
        if tail.iter().any(|c| c.to.0 == JUMPS) {
            image.extend(host::jump());
        }
        let mut links = Vec::new();
        let mut targets = Vec::new();
        for c in plain.iter().chain(&tail) {
            let site = moved.to(c.site);
            match c.to {
                (FUNCTIONS, n) => targets.push((site, To::Address(self.function(n)?))),
                (LINKS, n) => {
                    let Some((id, pc)) = region.as_ref().and_then(|r| Some((r.id, *r.links.get(n)?))) else {
                        return Err(CompileError::Cranelift(format!("follows link {n}, which there is not")));
                    };
                    let stub = image.len();
                    image.extend(host::link_stub(pc, chain::link_name(id, n)));
                    links.push((n, LinkSite { pc, site, stub }));
                    targets.push((site, To::Offset(stub)));
                    targets.push((image.len() - 4, To::Address(self.function(LINK)?)));
                }
                _ => targets.push((site, To::Offset(end))),
            }
        }
        // A link is known by its number.
        links.sort_by_key(|(n, _)| *n);
        let links: Vec<LinkSite> = links.into_iter().map(|(_, l)| l).collect();
        let check = region.map(|r| check(r.pc, r.page));
        let ends = if check.is_some() { (self.function(ENTER)?, self.function(FETCH)?) } else { (0, 0) };
        let behind = image.len();
        if check.is_some() {
            image.resize(behind + RECHECK, 0);
        }
        let code = self.arena.install_with(&image, |bytes, at| {
            let targets: Vec<(usize, u64)> = targets
                .iter()
                .map(|(site, to)| match to {
                    To::Address(a) => (*site, *a),
                    To::Offset(o) => (*site, at + *o as u64),
                })
                .collect();
            displace(bytes, at, &targets);
            if let Some(check) = &check {
                let (body, recheck) = (at + LEAD as u64, at + behind as u64);
                bytes[..LEAD].copy_from_slice(&host::front(at, ends.0, recheck, check));
                bytes[behind..].copy_from_slice(&host::recheck(recheck, body, ends.1, check));
            }
        })?;
        let body = code.entry() as u64 + ahead as u64;
        Ok(Stripped { code, body, checked: body - host::CHECKED as u64, links, moved })
    }
}

/// Opcode of a jump with a 32-bit displacement.
const JMP: u8 = 0xe9;

/// A call or jump in machine code: where its displacement is, and namespace and number of where it leads.
struct Call {
    site: usize,
    to: (u32, usize),
}

/// What belongs to a region besides its function.
struct Around {
    /// Address of its head.
    pc: u64,
    /// Where the page of its head was.
    page: Option<CodePage>,
    /// Its number.
    id: u64,
    /// Where its links lead.
    links: Vec<u64>,
    /// Address of what it counts in, if it does.
    count: u64,
}

/// Where a call leads.
enum To {
    Address(u64),
    /// From the start of its own image.
    Offset(usize),
}

/// A function on the common frame.
struct Stripped {
    code: Code,
    body: u64,
    checked: u64,
    links: Vec<LinkSite>,
    /// Where what Cranelift made is in it.
    moved: Moved,
}

/// Writes displacements into code that will execute at `at`.
fn displace(bytes: &mut [u8], at: u64, targets: &[(usize, u64)]) {
    for &(site, to) in targets {
        bytes[site..site + 4].copy_from_slice(&displacement(at + site as u64, to).to_le_bytes());
    }
}

/// What the checked entry of a region compares, given its head and where the page of that was.
fn check(pc: u64, page: Option<CodePage>) -> Check {
    // Without a page, one that the TLB never has.
    let CodePage { va, host } = page.unwrap_or(CodePage { va: 1, host: 1 });
    let entry = tlb_index(va) * size_of::<TlbEntry>();
    Check {
        ctx: offset_of!(Core, code_ctx) as u32,
        tlb: offset_of!(Core, tlb) as u32,
        exec: (entry + offset_of!(TlbEntry, exec)) as u32,
        addend_at: (entry + offset_of!(TlbEntry, addend)) as u32,
        pc,
        page: va,
        addend: host.wrapping_sub(va),
    }
}

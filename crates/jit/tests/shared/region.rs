//! One region at a time, compiled and run at once: T1 as the differential tests of both front ends drive it.

use lyrebird_isa::Cpu;
use lyrebird_jit::t1::{
    Arena, CompileError, Compiler, CompilerConfig, RegionBlock, RegionExit, RegionRequest,
};

/// A compiler without the engine around it.
pub struct Regions<C: Cpu> {
    compiler: Compiler<C>,
    /// Nanoseconds spent compiling.
    pub nanos: u64,
}

impl<C: Cpu> Regions<C> {
    /// A compiler for this host, whose regions do not go on to each other.
    pub fn new() -> Regions<C> {
        let arena = Arena::new(64 << 20).expect("64 MiB for code");
        let config = CompilerConfig { chain: false, ..CompilerConfig::of::<C>() };
        Regions { compiler: Compiler::new(arena, config).expect("a compiler for this host"), nanos: 0 }
    }

    /// Runs `blocks`, the first of which stands at the PC. Err without a reason where T1 leaves everything to T0, with
    /// one where it fails.
    pub fn run(&mut self, cpu: &mut C, blocks: Vec<RegionBlock>) -> Result<RegionExit, Option<String>> {
        let request = RegionRequest {
            id: 0,
            mode: cpu.mode(),
            blocks,
            pages: Vec::new(),
            dump: false,
            verify: false,
            quick: None,
        };
        let region = match self.compiler.compile(request) {
            Ok(r) => r,
            Err(f) => {
                return match f.error {
                    CompileError::Empty(_) => Err(None),
                    e => Err(Some(format!("{e}\n{}", f.clif.unwrap_or_default()))),
                };
            }
        };
        self.nanos += region.nanos;
        cpu.core_mut().budget = 1 << 20;
        cpu.enter_guest();
        // SAFETY: compiled for `C`, whose first field is its core; the code lives until the end of this function.
        let code = unsafe { region.code.as_region()((&raw mut *cpu).cast()) };
        cpu.leave_guest();
        RegionExit::from_code(code).ok_or_else(|| Some(format!("exit code {code}")))
    }
}

//! T1 against the interpreter and against the definitions in `isa::ops`, and verify mode, which does the like.

mod control;
mod cost;
mod guest;
mod ops;
mod random;
mod verify;

use guest::{Insn, LEN, TestCpu};
use lyrebird_isa::state::{JumpEntry, jump_index};
use lyrebird_jit::t0::Op;
use lyrebird_jit::t0::handler::{RegionEntry, enter_region};
use lyrebird_jit::t1::{
    Arena, CompiledRegion, Compiler, CompilerConfig, RegionBlock, RegionExit, RegionRequest,
};

/// Address of the first instruction of a test program.
pub(crate) const CODE: u64 = 0xffff_8000_1000_0400;

pub(crate) fn compiler() -> Compiler<TestCpu> {
    let arena = Arena::new(64 << 20).expect("memory for code");
    let mut config = CompilerConfig::of::<TestCpu>();
    config.verify_clif = true;
    Compiler::new(arena, config).expect("a compiler for this host")
}

/// The region of `blocks`, given as positions and lengths in `program`.
pub(crate) fn request(program: &[Insn], blocks: &[(usize, usize)]) -> RegionRequest {
    let blocks = blocks
        .iter()
        .map(|&(at, n)| RegionBlock {
            pc: address(at),
            bytes: program[at..at + n].iter().flat_map(|i| i.bytes()).collect(),
            targets: Vec::new(),
        })
        .collect();
    RegionRequest { id: 1, mode: 0, blocks, pages: Vec::new(), dump: false, verify: false, quick: None }
}

pub(crate) fn address(at: usize) -> u64 {
    CODE + (at * LEN) as u64
}

/// Runs a region.
pub(crate) fn run(r: &CompiledRegion, cpu: &mut TestCpu) -> RegionExit {
    cpu.core.pc = r.pc;
    let f = r.code.as_region();
    // SAFETY: the region was compiled for `TestCpu`, whose first field is its core, and the code is alive.
    let code = unsafe { f((cpu as *mut TestCpu).cast()) };
    RegionExit::from_code(code).expect("an exit code")
}

/// A region in the form in which the jump cache leads to it.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) region: CompiledRegion,
    op: Box<Op<TestCpu>>,
    _entry: Box<RegionEntry>,
}

impl Entered {
    pub(crate) fn new(region: CompiledRegion) -> Entered {
        let entry = Box::new(RegionEntry::new(region.code.as_region(), 0, 0));
        let op = Box::new(Op { handler: enter_region::<TestCpu>, payload: [&raw const *entry as u64, 0] });
        Entered { region, op, _entry: entry }
    }

    /// Makes the jump cache of `cpu` lead from `pc` to the region.
    pub(crate) fn enter_at(&self, pc: u64, cpu: &mut TestCpu) {
        cpu.jump[jump_index(pc)] = JumpEntry {
            va: pc,
            ctx: cpu.core.code_ctx,
            op: (&raw const *self.op).cast(),
            code: self.region.body,
        };
    }
}

/// Compiles straight-line code.
pub(crate) fn straight(compiler: &mut Compiler<TestCpu>, program: &[Insn]) -> CompiledRegion {
    match compiler.compile(request(program, &[(0, program.len())])) {
        Ok(r) => r,
        Err(f) => panic!("{}\n{:#?}\n{}", f.error, program, f.clif.unwrap_or_default()),
    }
}

/// A small generator of test data.
#[derive(Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

//! What compilation costs; run by hand in a release build:
//! `cargo test --release -p lyrebird-jit --test t1 cost -- --ignored --nocapture`.

use std::time::Instant;

use lyrebird_isa::Cond;
use lyrebird_jit::t1::{Arena, Compiler, CompilerConfig};

use crate::guest::{Insn, MEM, TestCpu, group};
use crate::{Rng, request, run};

/// A mix like compiled kernels have: per block a few arithmetic instructions, two memory accesses, a comparison and
/// a branch to one of the next blocks; the last one loops.
fn region(rng: &mut Rng, blocks: usize) -> (Vec<Insn>, Vec<(usize, usize)>) {
    let mut program = Vec::new();
    let mut places = Vec::new();
    for b in 0..blocks {
        let at = program.len();
        let mut r = |n| rng.below(n) as u8;
        program.push(Insn {
            group: group::LOAD,
            sub: 3,
            d: r(12),
            n: 20,
            imm: 8 * r(16) as i16,
            ..Insn::default()
        });
        program.push(Insn { group: group::BIN, sub: 0, d: r(12), n: r(12), m: r(12), x: 3, imm: 0 });
        program.push(Insn { group: group::BIN, sub: r(8) + 7, d: r(12), n: r(12), m: r(12), x: 2, imm: 0 });
        program.push(Insn {
            group: group::STORE,
            sub: 2,
            d: r(12),
            n: 21,
            imm: 8 * r(16) as i16,
            ..Insn::default()
        });
        program.push(Insn { group: group::FLAGS, sub: 0, d: 31, n: r(12), m: r(12), x: 2, imm: 0 });
        let ahead = 6 * (1 + r(3) as i16) + 1;
        let imm = if b + 1 == blocks { -(6 * blocks as i16) + 1 } else { ahead };
        program.push(Insn { group: group::BCOND, sub: Cond::Ne as u8, imm, ..Insn::default() });
        places.push((at, 6));
    }
    (program, places)
}

/// Nanoseconds that this thread has run.
fn on_cpu() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

#[test]
#[ignore = "a measurement"]
fn cost_of_compilation() {
    let arena = Arena::new(64 << 20).expect("memory for code");
    let mut config = CompilerConfig::of::<TestCpu>();
    config.verify_clif = false;
    let start = Instant::now();
    let mut c: Compiler<TestCpu> = Compiler::new(arena, config).expect("a compiler for this host");
    println!("thunks: {:?}", start.elapsed());
    for blocks in [1, 3, 10, 20, 40] {
        let mut rng = Rng(7);
        let (mut best, mut insns, mut bytes) = (0, 0, 0);
        for _ in 0..30 {
            let (program, places) = region(&mut rng, blocks);
            let mut least = u64::MAX;
            for _ in 0..8 {
                let start = on_cpu();
                let r = c.compile(request(&program, &places)).expect("compiles");
                least = least.min(on_cpu() - start);
                bytes += r.code.bytes().len() as u64;
                insns += r.guest_insns as u64;
            }
            best += least;
        }
        let per = insns / 8;
        println!(
            "{blocks:3} blocks: {:5.1} us/region {:5.2} us/insn {:5.1} bytes/insn",
            best as f64 / 30e3,
            best as f64 / 1e3 / per as f64,
            bytes as f64 / insns as f64
        );
    }
    // How it runs.
    let (program, places) = region(&mut Rng(7), 10);
    let r = c.compile(request(&program, &places)).expect("compiles");
    let mut cpu = TestCpu::new();
    let start = on_cpu();
    let mut retired = 0;
    while retired < 300_000_000 {
        cpu.core.regs[20] = MEM + 64;
        cpu.core.regs[21] = MEM + 1024;
        cpu.core.regs[..12].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        cpu.core.budget = 100_000;
        run(&r, &mut cpu);
        retired += 100_000 - cpu.core.budget;
    }
    println!("{:.3} ns/insn", (on_cpu() - start) as f64 / retired as f64);
    if let Ok(path) = std::env::var("DUMP") {
        let mut q = request(&program, &places);
        q.dump = true;
        let r = c.compile(q).expect("compiles");
        std::fs::write(path, r.dump.unwrap_or_default().to_string()).expect("written");
    }
}

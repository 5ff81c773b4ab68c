//! Verify mode on the test guest.

use lyrebird_isa::state::PAGE_SIZE;
use lyrebird_jit::engine::{Divergence, Engine};
use lyrebird_jit::{EngineConfig, EngineStats};

use super::guest::{Insn, LEN, MEM, TestCpu, group};

/// Runs a program from its first instruction, in guest memory, for some slices.
fn verify(program: &[Insn]) -> (Result<(), Box<Divergence>>, TestCpu, EngineStats) {
    let mut cpu = TestCpu::new();
    let at = 3 * PAGE_SIZE as usize;
    for (i, insn) in program.iter().enumerate() {
        cpu.mem[at + i * LEN..][..LEN].copy_from_slice(&insn.bytes());
    }
    cpu.core.pc = MEM + at as u64;
    cpu.core.regs[2] = MEM;
    cpu.slices = 3;
    let config = EngineConfig { verify: true, hot_threshold: 10, ..EngineConfig::default() };
    let mut engine = Engine::new(config);
    let end = engine.run(&mut cpu);
    (end, cpu, engine.stats())
}

/// Counts in r0 and in memory, reads the counter to r1.
fn endless_loop(counter: u8) -> [Insn; 6] {
    [
        Insn { group: group::COUNTER, sub: counter, d: 1, ..Insn::default() },
        Insn { group: group::BIN_IMM, d: 0, n: 0, m: 1, x: 3, ..Insn::default() },
        Insn { group: group::LOAD, sub: 3, d: 3, n: 2, imm: 8, ..Insn::default() },
        Insn { group: group::BIN_IMM, d: 3, n: 3, m: 1, x: 3, ..Insn::default() },
        Insn { group: group::STORE, sub: 3, d: 3, n: 2, imm: 8, ..Insn::default() },
        Insn { group: group::JUMP, imm: -5, ..Insn::default() },
    ]
}

#[test]
fn what_changes_by_itself_is_read_once() {
    let (end, cpu, stats) = verify(&endless_loop(1));
    end.expect("no difference");
    // The last time round may have ended behind the first instruction, or before the fifth.
    let at = (cpu.core.pc - MEM - 3 * PAGE_SIZE) / LEN as u64;
    assert_eq!(cpu.core.regs[0], cpu.ticks - u64::from(at == 1));
    assert_eq!(cpu.mem[8..16], (cpu.ticks - u64::from((1..5).contains(&at))).to_le_bytes());
    assert!(stats.verified_insns > stats.retired / 2, "{stats:?}");
}

#[test]
fn a_difference_is_found_and_shown() {
    let (end, _, stats) = verify(&endless_loop(0));
    let report = end.expect_err("the helper lies").report;
    assert_eq!(stats.verified, 1);
    for text in ["  r1 ", "block 0xffff800040003000:", "group: 24", "function u0:0"] {
        assert!(report.contains(text), "no {text} in {report}");
    }
}

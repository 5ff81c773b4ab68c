//! Directed programs: loops, faults in the middle, exits, budgets, page crossings, and what the compiler refuses.

use lyrebird_isa::state::{JumpEntry, PAGE_SIZE, jump_index};
use lyrebird_isa::{Cond, FlagOp};
use lyrebird_jit::t1::{
    CompileError, CompileThread, CompiledRegion, Compiler, RegionExit, RegionRequest, of_link,
};

use crate::guest::{Insn, LEN, MEM, TestCpu, group};
use crate::{Entered, address, compiler, request, run};

fn compile(c: &mut Compiler<TestCpu>, program: &[Insn], blocks: &[(usize, usize)]) -> CompiledRegion {
    match c.compile(request(program, blocks)) {
        Ok(r) => r,
        Err(f) => panic!("{}\n{}", f.error, f.clif.unwrap_or_default()),
    }
}

const W64: u8 = 3;

fn add(d: u8, n: u8, m: u8) -> Insn {
    Insn { group: group::BIN, sub: 0, d, n, m, x: W64, imm: 0 }
}

fn subs(d: u8, n: u8, m: u8) -> Insn {
    Insn { group: group::FLAGS, sub: 0, d, n, m, x: W64, imm: 0 }
}

fn bcond(c: Cond, imm: i16) -> Insn {
    Insn { group: group::BCOND, sub: c as u8, imm, ..Insn::default() }
}

fn load(d: u8, n: u8, imm: i16) -> Insn {
    Insn { group: group::LOAD, sub: 3, d, n, imm, ..Insn::default() }
}

fn store(d: u8, n: u8, imm: i16) -> Insn {
    Insn { group: group::STORE, sub: 3, d, n, imm, ..Insn::default() }
}

/// x0 += x1; x1 -= x2; loop while x1 != 0.
fn sum_loop() -> [Insn; 3] {
    [add(0, 0, 1), subs(1, 1, 2), bcond(Cond::Ne, -2)]
}

#[test]
fn a_loop_runs_inside_and_leaves_exact_state() {
    let mut cpu = TestCpu::new();
    let r = compile(&mut compiler(), &sum_loop(), &[(0, 3)]);
    cpu.core.regs[1] = 1000;
    cpu.core.regs[2] = 1;
    cpu.core.budget = 10_000;
    assert_eq!(run(&r, &mut cpu), RegionExit::Next);
    assert_eq!(cpu.core.regs[..3], [500_500, 0, 1]);
    assert_eq!(cpu.core.pc, address(3));
    assert_eq!(cpu.core.budget, 10_000 - 3000);
    assert_eq!((cpu.core.flag_op, cpu.core.flag_a, cpu.core.flag_b), (FlagOp::Sub as u64, 1, 1));
}

#[test]
fn the_budget_ends_a_loop_at_its_back_edge() {
    let mut cpu = TestCpu::new();
    let r = compile(&mut compiler(), &sum_loop(), &[(0, 3)]);
    cpu.core.regs[1] = u64::MAX;
    cpu.core.regs[2] = 1;
    cpu.core.budget = 100;
    assert_eq!(run(&r, &mut cpu), RegionExit::Budget);
    assert_eq!(cpu.core.pc, address(0));
    assert_eq!(cpu.core.budget, 100 - 34 * 3);
    assert_eq!(cpu.core.regs[1], u64::MAX - 34);
    // And it can be resumed.
    cpu.core.budget = 4;
    assert_eq!(run(&r, &mut cpu), RegionExit::Budget);
    assert_eq!((cpu.core.regs[1], cpu.core.budget), (u64::MAX - 36, -2));
}

#[test]
fn a_fault_in_the_middle_shows_the_state_before_its_instruction() {
    let program = [subs(3, 0, 1), add(4, 0, 1), load(5, 6, 0), add(4, 4, 4), add(5, 5, 5)];
    let mut cpu = TestCpu::new();
    let r = compile(&mut compiler(), &program, &[(0, 5)]);
    cpu.core.regs[..7].copy_from_slice(&[10, 3, 0, 0, 0, 55, MEM + 4 * PAGE_SIZE]);
    cpu.core.budget = 50;
    assert_eq!(run(&r, &mut cpu), RegionExit::Fault);
    assert_eq!(cpu.core.fault, 1);
    assert_eq!(cpu.core.pc, address(2));
    assert_eq!(cpu.core.budget, 48);
    assert_eq!(cpu.core.regs[3..7], [7, 13, 55, MEM + 4 * PAGE_SIZE]);
    assert_eq!((cpu.core.flag_op, cpu.core.flag_a, cpu.core.flag_b), (FlagOp::Sub as u64, 10, 3));
    assert_eq!(cpu.log, [(MEM + 4 * PAGE_SIZE, address(2), 48)]);
}

#[test]
fn a_fault_in_a_helper_shows_its_instruction() {
    let call = Insn { group: group::CALL, sub: 2, d: 5, n: 2, m: 3, x: 0, imm: 4 };
    let mut cpu = TestCpu::new();
    let r = compile(&mut compiler(), &[add(0, 0, 1), call, add(0, 0, 5)], &[(0, 3)]);
    cpu.core.regs[..6].copy_from_slice(&[1, 2, 15, 0, 9, 5]);
    cpu.core.budget = 50;
    assert_eq!(run(&r, &mut cpu), RegionExit::Fault);
    assert_eq!((cpu.core.fault, cpu.core.pc, cpu.core.budget), (7, address(1), 49));
    assert_eq!(cpu.core.regs[..6], [3, 2, 15, 0, 9, 5]);
}

#[test]
fn accesses_hit_the_tlb_and_crossings_do_not() {
    let program = [load(1, 0, 0), store(1, 0, 64)];
    let mut cpu = TestCpu::new();
    for (i, b) in cpu.mem.iter_mut().enumerate() {
        *b = i as u8 ^ (i >> 8) as u8;
    }
    let r = compile(&mut compiler(), &program, &[(0, 2)]);
    let word = |m: &[u8], at: usize| u64::from_le_bytes(m[at..at + 8].try_into().expect("8 bytes"));
    for offset in [0, 3, PAGE_SIZE - 8, PAGE_SIZE - 7, PAGE_SIZE - 1, PAGE_SIZE, 2 * PAGE_SIZE - 72] {
        cpu.core.regs[0] = MEM + offset;
        cpu.log.clear();
        let want = word(&cpu.mem, offset as usize);
        run(&r, &mut cpu);
        assert_eq!(cpu.core.regs[1], want, "{offset:#x}");
        assert_eq!(word(&cpu.mem, offset as usize + 64), want, "{offset:#x}");
        let crosses = offset % PAGE_SIZE > PAGE_SIZE - 8;
        assert_eq!(cpu.log.len(), crosses as usize, "{offset:#x}");
    }
}

#[test]
fn accesses_near_one_another_share_what_the_tlb_says_of_their_page() {
    let offsets = [0i16, 8, -8, 24, -24, 0];
    let mut program: Vec<Insn> = offsets.iter().enumerate().map(|(i, o)| load(1 + i as u8, 0, *o)).collect();
    program.extend([store(8, 0, 8), load(9, 0, 8), store(8, 0, -16)]);
    let places: Vec<i64> = offsets.iter().map(|o| *o as i64).chain([8, 8, -16]).collect();
    let mut cpu = TestCpu::new();
    for (i, b) in cpu.mem.iter_mut().enumerate() {
        *b = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
    }
    let r = compile(&mut compiler(), &program, &[(0, program.len())]);
    for back in 0..64 {
        let at = PAGE_SIZE - 32 + back;
        let before = cpu.mem.clone();
        cpu.core.regs[0] = MEM + at;
        cpu.core.regs[8] = 0x0123_4567_89ab_cdef ^ back;
        cpu.log.clear();
        run(&r, &mut cpu);
        let word = |m: &[u8], o: i64| {
            let at = at.wrapping_add_signed(o) as usize;
            u64::from_le_bytes(m[at..at + 8].try_into().expect("8 bytes"))
        };
        for (i, o) in offsets.iter().enumerate() {
            assert_eq!(cpu.core.regs[1 + i], word(&before, *o as i64), "{at:#x} {o}");
        }
        assert_eq!(word(&cpu.mem, 8), cpu.core.regs[8], "{at:#x}");
        assert_eq!(cpu.core.regs[9], cpu.core.regs[8], "{at:#x}");
        assert_eq!(word(&cpu.mem, -16), cpu.core.regs[8], "{at:#x}");
        let slow = places.iter().filter(|o| {
            let first = at.wrapping_add_signed(**o);
            first / PAGE_SIZE != (first + 7) / PAGE_SIZE
        });
        assert_eq!(cpu.log.len(), slow.count(), "{at:#x} {:x?}", cpu.log);
    }
}

#[test]
fn required_alignment_goes_slow_and_faults() {
    let aligned = Insn { x: 1, ..load(1, 0, 0) };
    let pair = Insn { group: group::LOAD_PAIR, sub: 3, d: 1, n: 0, m: 2, x: 1, imm: 0 };
    let mut cpu = TestCpu::new();
    let mut c = compiler();
    for i in [aligned, pair] {
        let r = compile(&mut c, &[i], &[(0, 1)]);
        for (va, faults) in [(MEM, 0), (MEM + 8, 0), (MEM + 4, 2), (MEM + PAGE_SIZE - 8, 0)] {
            cpu.core.regs[0] = va;
            cpu.core.fault = 0;
            run(&r, &mut cpu);
            assert_eq!(cpu.core.fault, faults, "{i:?} {va:#x}");
        }
    }
}

#[test]
fn regions_enter_one_another_by_links_and_the_jump_cache() {
    // x0 += x1, then to the other region; that one x2 += x1, and back by a computed branch.
    let jump = |imm| Insn { group: group::JUMP, imm, ..Insn::default() };
    let back = Insn { group: group::JUMP_REG, n: 5, ..Insn::default() };
    let program = [add(0, 0, 1), jump(1), add(2, 2, 1), back];
    let mut c = compiler();
    let a = Entered::new(compile(&mut c, &program, &[(0, 2)]));
    let b = Entered::new(compile(&mut c, &program, &[(2, 2)]));
    let mut cpu = TestCpu::new();
    cpu.core.regs[1] = 1;
    cpu.core.regs[5] = address(0);
    let go = |cpu: &mut TestCpu, exit| {
        cpu.core.regs[0] = 0;
        cpu.core.regs[2] = 0;
        cpu.core.budget = 98;
        assert_eq!(run(&a.region, cpu), exit);
        (cpu.core.regs[0], cpu.core.regs[2], cpu.core.budget, cpu.core.pc)
    };
    assert_eq!(go(&mut cpu, RegionExit::Next), (1, 0, 96, address(2)), "nothing in the cache");
    b.enter_at(address(2), &mut cpu);
    assert_eq!(go(&mut cpu, RegionExit::Link), (1, 0, 96, address(2)), "a link can be made");
    let link = a.region.links[0];
    assert_eq!((of_link(cpu.core.link), link.pc), ((1, 0), address(2)));
    a.region.code.patch(link.site, b.region.body);
    assert_eq!(go(&mut cpu, RegionExit::Next), (1, 1, 94, address(0)), "one hop");
    a.enter_at(address(0), &mut cpu);
    assert_eq!(go(&mut cpu, RegionExit::Budget), (25, 24, 0, address(2)), "until the budget is used up");
    cpu.core.code_ctx = 1 | 7 << 16;
    assert_eq!(
        go(&mut cpu, RegionExit::Budget),
        (25, 24, 0, address(2)),
        "another process: the code looks itself"
    );
    cpu.core.code_ctx = 2;
    assert_eq!(go(&mut cpu, RegionExit::Next), (1, 1, 94, address(0)), "another mode");
    a.enter_at(address(0), &mut cpu);
    cpu.jump[jump_index(address(0))].va += 4;
    assert_eq!(go(&mut cpu, RegionExit::Next), (1, 1, 94, address(0)), "another address");
    a.region.code.patch(link.site, a.region.code.entry() as u64 + link.stub as u64);
    cpu.jump.fill(JumpEntry::EMPTY);
    assert_eq!(go(&mut cpu, RegionExit::Next), (1, 0, 96, address(2)), "the link is gone");
    a.region.code.patch(link.site, b.region.body);
    cpu.core.regs[5] = 0;
    cpu.core.code_ctx = 0;
    assert_eq!(go(&mut cpu, RegionExit::Next), (1, 1, 94, 0), "an empty entry matches no address and mode");
    cpu.core.regs[5] = address(0);
    a.region.code.patch(link.site, b.region.checked);
    assert_eq!(go(&mut cpu, RegionExit::Fetch), (1, 0, 96, address(2)), "the page is not mapped as it was");
}

#[test]
fn a_computed_branch_stays_inside_where_it_leads_to_a_known_block() {
    // x0 += x1, then to where x5 says.
    let back = Insn { group: group::JUMP_REG, n: 5, ..Insn::default() };
    let program = [add(0, 0, 1), back];
    let mut c = compiler();
    let mut r = request(&program, &[(0, 2)]);
    r.blocks[0].targets = vec![address(0)];
    let region = c.compile(r).expect("compiles");
    let mut cpu = TestCpu::new();
    cpu.core.regs[1] = 1;
    cpu.core.regs[5] = address(0);
    cpu.core.budget = 50;
    assert_eq!(run(&region, &mut cpu), RegionExit::Budget);
    assert_eq!((cpu.core.regs[0], cpu.core.budget, cpu.core.pc), (25, 0, address(0)));
    cpu.core.regs[5] = address(1);
    cpu.core.budget = 50;
    assert_eq!(run(&region, &mut cpu), RegionExit::Next);
    assert_eq!((cpu.core.regs[0], cpu.core.budget, cpu.core.pc), (26, 48, address(1)));
}

#[test]
fn behind_a_synchronising_instruction_the_cpu_is_looked_at_if_it_wants_to_be() {
    let sync = Insn { group: group::SYNC, ..Insn::default() };
    let program = [add(1, 1, 1), sync, add(2, 2, 2)];
    let mut cpu = TestCpu::new();
    let mut c = compiler();
    let r = compile(&mut c, &program, &[(0, 2)]);
    cpu.core.regs[1] = 4;
    cpu.core.budget = 9;
    // The test CPU does while x0 is odd.
    assert_eq!(run(&r, &mut cpu), RegionExit::Sync);
    assert_eq!((cpu.core.pc, cpu.core.budget), (address(2), 7));
    assert_eq!(cpu.core.regs[..2], [1, 8]);
    assert_eq!(run(&r, &mut cpu), RegionExit::Next);
    assert_eq!((cpu.core.pc, cpu.core.budget), (address(2), 5));
    assert_eq!(cpu.core.regs[..2], [2, 16]);

    // Verify mode leaves it to T0.
    let r = c.compile(RegionRequest { verify: true, ..request(&program, &[(0, 2)]) }).expect("compiles");
    assert_eq!(run(&r, &mut cpu), RegionExit::Interp);
    assert_eq!((cpu.core.pc, cpu.core.budget), (address(1), 4));
    assert_eq!(cpu.core.regs[..2], [2, 32]);
    let r = RegionRequest { verify: true, ..request(&program, &[(1, 1)]) };
    let f = c.compile(r).expect_err("nothing to compile");
    assert!(matches!(f.error, CompileError::Empty(pc) if pc == address(1)), "{}", f.error);
}

#[test]
fn overlapping_blocks_are_cut() {
    // Blocks 0..4 and 2..4 share their tail.
    let program = [add(0, 0, 1), add(0, 0, 1), add(0, 0, 1), bcond(Cond::Eq, -1)];
    let r = compile(&mut compiler(), &program, &[(0, 4), (2, 2)]);
    assert_eq!(r.guest_insns, 4);
    let mut cpu = TestCpu::new();
    cpu.core.regs[1] = 1;
    cpu.core.budget = 10;
    cpu.core.set_nzcv(lyrebird_isa::flags::Z);
    assert_eq!(run(&r, &mut cpu), RegionExit::Budget);
    assert_eq!((cpu.core.regs[0], cpu.core.pc), (6, address(2)));
    assert_eq!(cpu.core.budget, 0);
}

#[test]
fn writing_before_a_fault_is_refused() {
    let rogue = Insn { group: group::ROGUE, d: 1, n: 0, ..Insn::default() };
    let f = compiler().compile(request(&[add(0, 0, 0), rogue], &[(0, 2)])).expect_err("a broken rule");
    assert!(matches!(f.error, CompileError::Semantics { pc, .. } if pc == address(1)), "{}", f.error);
    assert_eq!(f.request.blocks[0].bytes.len(), 2 * LEN);
}

#[test]
fn every_access_is_seen_under_verify() {
    let mut cpu = TestCpu::new();
    let mut q = request(&[load(1, 0, 0), store(1, 0, 8)], &[(0, 2)]);
    q.verify = true;
    q.dump = true;
    let r = compiler().compile(q).expect("compiles");
    cpu.core.regs[0] = MEM;
    cpu.core.budget = 7;
    run(&r, &mut cpu);
    assert_eq!(cpu.log, [(MEM, address(0), 7), (MEM + 8, address(1), 6)]);
    let dump = r.dump.expect("asked for").to_string();
    assert!(dump.contains("Insn") && dump.contains("function u0:0"), "{dump}");
}

#[test]
fn the_thread_answers_every_request() {
    let thread = CompileThread::spawn(compiler()).expect("a thread");
    for id in 0..20 {
        let mut q = request(&sum_loop(), &[(0, 3)]);
        q.id = id;
        thread.request(q);
    }
    let mut ids: Vec<u64> =
        (0..20).map(|_| thread.wait().expect("an answer").expect("compiles").id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    assert!(thread.poll().is_none());
}

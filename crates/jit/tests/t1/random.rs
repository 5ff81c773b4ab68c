//! Random programs: regions against the interpreter, all guest state compared at every exit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use lyrebird_isa::state::PAGE_SIZE;
use lyrebird_jit::t1::{
    BlockSource, BlockView, CompileError, Compiler, Limits, RegionExit, RegionRequest, form_region, of_link,
};

use crate::guest::{Insn, LEN, MEM, TestCpu, VALUES, group};
use crate::{CODE, Entered, Rng, address, compiler, run};

/// Blocks start anywhere, as a guest may jump anywhere.
struct Program {
    insns: Vec<Insn>,
    bytes: Vec<u8>,
    heat: Vec<u64>,
}

impl Program {
    fn new(insns: Vec<Insn>, rng: &mut Rng) -> Program {
        let bytes = insns.iter().flat_map(|i| i.bytes()).collect();
        let heat = insns.iter().map(|_| 1 + rng.below(100)).collect();
        Program { insns, bytes, heat }
    }

    fn index(&self, pc: u64) -> Option<usize> {
        let o = pc.wrapping_sub(CODE);
        let i = (o / LEN as u64) as usize;
        (o.is_multiple_of(LEN as u64) && i < self.insns.len()).then_some(i)
    }
}

impl BlockSource for Program {
    fn block(&self, pc: u64) -> Option<BlockView<'_>> {
        let at = self.index(pc)?;
        let mut n = 0;
        while at + n < self.insns.len() && n < 16 {
            n += 1;
            if self.insns[at + n - 1].group >= group::BCOND {
                break;
            }
        }
        let last = self.insns[at + n - 1];
        let next = address(at + n);
        let target = address(at + n - 1).wrapping_add((last.imm as i64 * LEN as i64) as u64);
        let succ = match last.group {
            group::BCOND | group::CBZ => [Some(target), Some(next)],
            group::JUMP => [Some(target), None],
            // Where it may have led before.
            group::JUMP_REG => [Some(address(at * 7 % self.insns.len())), None],
            group::SYNC => [None, None],
            _ => [Some(next), None],
        };
        let bytes = &self.bytes[at * LEN..(at + n) * LEN];
        Some(BlockView {
            bytes,
            insns: n as u32,
            heat: self.heat[at],
            succ,
            after: None,
            returns: false,
            entered: false,
        })
    }
}

/// Registers 0 to 15 are data, 16 to 23 point into memory, 24 to 27 into the program.
fn random_insn(rng: &mut Rng, at: usize, len: usize) -> Insn {
    let d = if rng.below(40) == 0 { 31 } else { rng.below(16) as u8 };
    let mut any = || if rng.below(10) == 0 { 31 } else { rng.below(20) as u8 };
    let (n, m) = (any(), any());
    let base = 16 + rng.below(8) as u8;
    let x = rng.next() as u8;
    let sub = rng.next() as u8;
    let i = Insn { group: 0, sub, d, n, m, x, imm: 0 };
    let jump = (rng.below(len as u64) as i64 - at as i64) as i16;
    let near = (rng.below(64) as i16) - 16;
    match rng.below(100) {
        0..12 => Insn { group: group::BIN, ..i },
        12..20 => Insn { group: group::BIN_IMM, imm: sub as i16, sub: x, ..i },
        20..23 => Insn { group: group::UN, ..i },
        23..26 => Insn { group: group::MOVI, imm: near, ..i },
        26..36 => Insn { group: group::FLAGS, sub: sub % 3, x: 2 + x % 2, ..i },
        36..39 => Insn { group: group::CCMP, x: 2 + x % 2, imm: near, ..i },
        39..43 => Insn { group: group::CSEL, ..i },
        43 => Insn { group: group::GET_NZCV, ..i },
        44 => Insn { group: group::SET_NZCV, ..i },
        45..53 => Insn { group: group::LOAD, sub: sub % 4, n: base, imm: near & !1, ..i },
        53 => Insn { group: group::LOAD, sub: sub % 4, n: base, imm: near | 1, x: x & !1, ..i },
        54..61 => Insn { group: group::STORE, sub: sub % 4, n: base, imm: near, ..i },
        61..63 => Insn { group: group::LOAD_PAIR, sub: 2 + sub % 2, n: base, m: m % 16, imm: near, ..i },
        63..65 => Insn { group: group::STORE_PAIR, sub: 2 + sub % 2, n: base, imm: near, ..i },
        65..67 => Insn { group: group::VLOAD, sub: sub % 5, n: base, d: d % 16, imm: near, ..i },
        67..69 => Insn { group: group::VSTORE, sub: sub % 5, n: base, d: d % 16, imm: near, ..i },
        69..72 => Insn { group: group::VBIN, d: d % 16, n: n % 16, m: m % 16, ..i },
        72..74 => Insn { group: group::VMOVE, d: d % 16, n: n % 16, m: m % 16, ..i },
        74 => Insn { group: group::RMW, n: base, ..i },
        75 => Insn { group: group::CAS, n: base, ..i },
        76..79 => Insn { group: group::CALL, imm: (sub % 16) as i16, ..i },
        79 => Insn { group: group::EXTEND, ..i },
        80 => Insn { group: group::COMPARE, ..i },
        81 => Insn { group: group::FENCE, ..i },
        82..90 => Insn { group: group::BCOND, imm: jump, ..i },
        90..94 => Insn { group: group::CBZ, imm: jump, ..i },
        94..96 => Insn { group: group::JUMP, imm: jump, ..i },
        96 => Insn { group: group::JUMP_REG, n: 24 + n % 4, ..i },
        97 => Insn { group: group::SYNC, ..i },
        _ => Insn { group: group::FLAGS, sub: 0, d: 31, x: 2 + x % 2, ..i },
    }
}

fn random_state(rng: &mut Rng, cpu: &mut TestCpu, len: usize) {
    for b in cpu.mem.iter_mut() {
        *b = rng.next() as u8;
    }
    for r in 0..16 {
        cpu.core.regs[r] = match rng.below(3) {
            0 => VALUES[rng.below(VALUES.len() as u64) as usize],
            1 => rng.below(64),
            _ => rng.next(),
        };
    }
    for r in 16..24 {
        let page = rng.below(4);
        let offset = match rng.below(4) {
            0 => PAGE_SIZE - 1 - rng.below(40),
            1 => 16 * rng.below(PAGE_SIZE / 16),
            _ => 64 + rng.below(PAGE_SIZE - 128),
        };
        cpu.core.regs[r] = MEM + page * PAGE_SIZE + offset;
    }
    for r in 24..28 {
        cpu.core.regs[r] = address(rng.below(len as u64) as usize);
    }
    for v in &mut cpu.core.vregs {
        v.0 = [rng.next(), rng.next()];
    }
    cpu.core.set_nzcv(rng.next());
    cpu.core.budget = 400;
}

/// Totals over a run, to show that it exercises what it is for.
#[derive(Debug, Default)]
struct Seen {
    executed: u64,
    faults: u64,
    budgets: u64,
    links: u64,
    interps: u64,
    syncs: u64,
    nexts: u64,
    slow: u64,
    regions: u64,
    insns: u64,
    nanos: u64,
    bytes: u64,
}

/// Whether compiled code leaves an instruction to T0.
fn for_t0(i: Insn, verify: bool) -> bool {
    verify && (i.group == group::SYNC || i.group == group::CALL && i.sub % 3 == 2)
}

fn check(seed: u64, compiler: &mut Compiler<TestCpu>, seen: &mut Seen) {
    let mut rng = Rng(seed);
    let len = 10 + rng.below(60) as usize;
    let insns: Vec<Insn> = (0..len).map(|at| random_insn(&mut rng, at, len)).collect();
    let program = Program::new(insns, &mut rng);
    let verify = rng.below(4) == 0;
    let chain = rng.below(2) == 0;
    let insns = 1 + rng.below(120) as u32;
    let quickly = rng.below(2) == 0;
    let limits = Limits { insns, hard_insns: 2 * insns, calls: !quickly, ..Limits::default() };
    let mut regions: HashMap<u64, Option<Entered>> = HashMap::new();
    for _ in 0..3 {
        let mut cpu = TestCpu::new();
        random_state(&mut rng, &mut cpu, len);
        cpu.core.pc = address(rng.below(len as u64) as usize);
        let mut twin = cpu.twin();
        while let Some(at) = program.index(cpu.core.pc) {
            let pc = cpu.core.pc;
            if cpu.core.budget <= 0 {
                break;
            }
            let region = regions.entry(pc).or_insert_with(|| {
                let blocks = form_region(pc, &program, &limits);
                let quick = quickly.then(Arc::default);
                let (id, pages) = (at as u64, Vec::new());
                let request = RegionRequest { id, mode: 0, blocks, pages, dump: false, verify, quick };
                match compiler.compile(request) {
                    Ok(r) => {
                        seen.regions += 1;
                        seen.insns += r.guest_insns as u64;
                        seen.nanos += r.nanos;
                        seen.bytes += r.code.bytes().len() as u64;
                        Some(Entered::new(r))
                    }
                    Err(f) if matches!(f.error, CompileError::Empty(_)) => None,
                    Err(f) => panic!("seed {seed}: {}\n{}", f.error, f.clif.unwrap_or_default()),
                }
            });
            let what = format!("seed {seed} region {at} verify {verify} chain {chain} quick {quickly}");
            let Some(region) = region else {
                assert!(for_t0(program.insns[at], verify), "{what}");
                let done = cpu.step(program.insns[at]);
                assert_eq!(done, twin.step(program.insns[at]));
                if !done {
                    break;
                }
                continue;
            };
            let before = cpu.core.budget;
            if chain {
                region.enter_at(pc, &mut cpu);
            }
            let exit = run(&region.region, &mut cpu);
            let retired = before - cpu.core.budget;
            assert!(
                retired > 0 || matches!(exit, RegionExit::Fault | RegionExit::Link),
                "no progress: {what}"
            );
            for _ in 0..retired {
                let i = program.index(twin.core.pc).map(|i| program.insns[i]);
                assert!(i.is_some_and(|i| twin.step(i)), "{exit:?} after {retired}: {what}");
            }
            if exit == RegionExit::Fault {
                let i = program.index(twin.core.pc).map(|i| program.insns[i]);
                assert!(i.is_some_and(|i| !twin.step(i)), "the interpreter does not fault: {what}");
            }
            if verify {
                // The interpreter does not log what hits the TLB.
                assert!(cpu.log.len() >= twin.log.len());
                cpu.log.clear();
                twin.log.clear();
            }
            cpu.assert_same(&twin, &what);
            seen.executed += retired as u64;
            match exit {
                RegionExit::Next => seen.nexts += 1,
                RegionExit::Link => {
                    seen.links += 1;
                    let (from, number) = of_link(cpu.core.link);
                    let to = program.index(cpu.core.pc).and_then(|i| regions.get(&address(i)));
                    let to = to.and_then(Option::as_ref).expect("a region in the jump cache").region.body;
                    let from = &regions[&address(from as usize)].as_ref().expect("it was left").region;
                    from.code.patch(from.links[number].site, to);
                }
                RegionExit::Fetch => panic!("there is but one page: {what}"),
                RegionExit::Interp => {
                    seen.interps += 1;
                    let i = program.index(cpu.core.pc).expect("inside the program");
                    assert!(for_t0(program.insns[i], verify), "{what}");
                }
                RegionExit::Sync => seen.syncs += 1,
                RegionExit::Fault => {
                    seen.faults += 1;
                    break;
                }
                RegionExit::Budget => {
                    seen.budgets += 1;
                    assert!(cpu.core.budget <= 0, "{what}");
                }
            }
        }
        seen.slow += cpu.log.len() as u64;
    }
}

fn campaign(seeds: std::ops::Range<u64>) {
    let start = Instant::now();
    let mut compiler = compiler();
    let mut seen = Seen::default();
    for seed in seeds {
        check(seed, &mut compiler, &mut seen);
    }
    println!("{seen:?} in {:?}", start.elapsed());
    for (n, what) in [
        (seen.faults, "faults"),
        (seen.budgets, "budget exits"),
        (seen.interps, "exits to T0"),
        (seen.syncs, "exits to look at the CPU"),
        (seen.nexts, "exits to another region"),
        (seen.slow, "slow accesses"),
    ] {
        assert!(n > 10, "hardly any {what}");
    }
    assert!(seen.links > 0, "no links");
}

#[test]
fn random_programs_agree_with_the_interpreter() {
    campaign(0..150);
}

/// Run by hand after changes to the emitter: `cargo test -p lyrebird-jit --test t1 -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn many_random_programs_agree_with_the_interpreter() {
    campaign(1000..4_000);
}

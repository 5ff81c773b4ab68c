//! Advanced SIMD instructions against vectors recorded from `qemu-aarch64-static -cpu max`.
//!
//! A line of `golden/*.txt` is an instruction word, a case number, and all that the instruction changed, or
//! `udf`. The state before it follows from word and number ([`Before::new`]): vector registers with random
//! contents and extreme lanes, general registers 0 to 27 with addresses (even; not near the end of a page, as
//! the test has nothing behind the inline TLB), small offsets and random
//! values, and 128 KiB of random memory.

use std::fmt::Write;

use lyrebird_frontend_arm::cpu::Mode;
use lyrebird_frontend_arm::platform::BarePlatform;
use lyrebird_frontend_arm::{ArmCpu, CpuModel};
use lyrebird_isa::interp::Interp;
use lyrebird_isa::state::{PAGE_SIZE, TLB_ENTRIES, TlbEntry, tlb_index};
use lyrebird_isa::{Cpu, Reg, Sem, V128, Visitor};
use lyrebird_softmmu::PhysMem;

const MEM: u64 = 0x4000_0000;
const LEN: usize = 0x20000;
/// Where the instruction stands; PC-relative loads reach the memory below.
const PC: u64 = MEM + LEN as u64 + 0x100;
const SP: u64 = MEM + 0xc800;

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// The extremes of a lane.
fn special(bits: u32, i: u64) -> u64 {
    let (ones, top) = (u64::MAX >> (64 - bits), 1u64 << (bits - 1));
    [0, 1, top - 1, top, top + 1, ones, ones - 1, top >> 1][i as usize & 7]
}

/// The state before an instruction.
struct Before {
    v: [[u64; 2]; 32],
    x: [u64; 28],
}

impl Before {
    fn new(word: u32, case: u32) -> Before {
        let mut rng = Rng((word as u64) << 8 | case as u64);
        let mut v = [[0; 2]; 32];
        for v in &mut v {
            match rng.next() & 7 {
                0 | 1 => *v = [rng.next(), rng.next()],
                style @ 2..=5 => {
                    let bits = 8 << (style - 2);
                    let mut pick = rng.next();
                    for half in v {
                        for at in (0..64).step_by(bits as usize) {
                            *half |= special(bits, pick) << at;
                            pick = pick.rotate_right(3);
                        }
                    }
                }
                6 => {
                    for half in v {
                        let bytes = rng.next().to_le_bytes();
                        *half = u64::from_le_bytes(bytes.map(|b| (b & 0x7f).wrapping_sub(64)));
                    }
                }
                _ => *v = [rng.next(), rng.next()].map(|h| h & 0x3f3f_3f3f_3f3f_3f3f),
            }
        }
        let mut x = [0; 28];
        for (r, x) in x.iter_mut().enumerate() {
            let q = rng.next();
            *x = match r & 3 {
                0 | 2 => MEM + 0x8400 + (q & 0x3000) + (q >> 16) % 0x7c0,
                1 => (q % 129).wrapping_sub(64),
                _ => q,
            };
        }
        Before { v, x }
    }
}

struct Run<'a>(&'a mut ArmCpu);

impl Visitor<ArmCpu> for Run<'_> {
    type Out = bool;
    fn visit<S: Sem<ArmCpu>>(self, s: S) -> bool {
        assert!(size_of::<S>() <= 16, "{} is too large", std::any::type_name::<S>());
        s.sem(&mut Interp::new(self.0)).is_ok()
    }
}

struct Bench {
    cpu: ArmCpu,
    before: Vec<u8>,
    mem: Box<[u8]>,
    tlb: Vec<TlbEntry>,
}

impl Bench {
    fn new() -> Bench {
        let mut rng = Rng(0);
        let before: Vec<u8> = (0..LEN / 8).flat_map(|_| rng.next().to_le_bytes()).collect();
        let mem = before.clone().into_boxed_slice();
        // The vectors' memory is reached through a TLB laid by hand; the physical one only has to exist.
        let phys = PhysMem::builder().ram(0, PAGE_SIZE).build().unwrap();
        let mut cpu = ArmCpu::new(CpuModel::max(), 0, Box::new(BarePlatform::new()), phys);
        // Write-back to SP is executed in the CPU's own mode: FP does not trap in it.
        cpu.sys.cpacr = 3 << 20;
        cpu.set_pstate(cpu.pstate);
        Bench { cpu, before, mem, tlb: vec![TlbEntry::EMPTY; TLB_ENTRIES] }
    }

    /// Executes one instruction; the rest of a golden line.
    fn run(&mut self, word: u32, case: u32) -> String {
        let before = Before::new(word, case);
        let addend = (self.mem.as_mut_ptr() as u64).wrapping_sub(MEM);
        for page in (MEM..MEM + LEN as u64).step_by(PAGE_SIZE as usize) {
            self.tlb[tlb_index(page)] = TlbEntry { read: page, write: page, exec: page, addend };
        }
        let core = self.cpu.core_mut();
        core.tlb = self.tlb.as_mut_ptr();
        core.fault = 0;
        core.vregs = before.v.map(V128);
        core.regs[..28].copy_from_slice(&before.x);
        core.set_reg(Reg(31), SP);
        self.cpu.set_fpsr(0);
        self.cpu.set_fpcr(0);
        let mode = Mode(0xffff_ffff_ffff << 16);
        let bytes = word.to_le_bytes();
        if !ArmCpu::decode(&bytes, PC, mode.0, Run(&mut self.cpu)).0 {
            return String::from(" udf");
        }
        self.changes(&before)
    }

    fn changes(&mut self, before: &Before) -> String {
        let core = self.cpu.core();
        let mut s = String::new();
        for (r, (old, new)) in before.v.iter().zip(&core.vregs).enumerate() {
            if *old != new.0 {
                write!(s, " v{r}={:032x}", new.to_u128()).unwrap();
            }
        }
        for (r, old) in before.x.iter().enumerate() {
            let new = core.reg(Reg(r as u8));
            if *old != new {
                write!(s, " x{r}={new:x}").unwrap();
            }
        }
        if core.reg(Reg(31)) != SP {
            write!(s, " sp={:x}", core.reg(Reg(31))).unwrap();
        }
        if self.cpu.fp.fpsr != 0 {
            write!(s, " fpsr={:x}", self.cpu.fp.fpsr).unwrap();
        }
        if *self.mem != *self.before {
            for (i, (new, old)) in self.mem.chunks_exact(8).zip(self.before.chunks_exact(8)).enumerate() {
                if new != old {
                    let new = u64::from_le_bytes(new.try_into().unwrap());
                    write!(s, " m{:x}={new:x}", MEM + 8 * i as u64).unwrap();
                }
            }
            self.mem.copy_from_slice(&self.before);
        }
        s
    }
}

/// Compares every line; at most one difference per disassembled row is shown.
fn check(text: &str) {
    let mut bench = Bench::new();
    let (mut wrong, mut seen, mut lines) = (0, std::collections::HashSet::new(), 0);
    for line in text.lines() {
        let (word, rest) = line.split_at(8);
        let word = u32::from_str_radix(word, 16).unwrap();
        let (case, expected) = rest[1..].split_at(rest[1..].find(' ').unwrap_or(rest.len() - 1));
        let got = bench.run(word, case.parse().unwrap());
        lines += 1;
        if got != expected {
            wrong += 1;
            let name = ArmCpu::disassemble(&word.to_le_bytes(), PC);
            if seen.insert(name.split(';').nth(1).and_then(|n| n.split_whitespace().next()).map(String::from))
            {
                println!("{name}\n  case {case}\n  expected{expected}\n  got     {got}");
            }
        }
    }
    assert!(lines > 100, "only {lines} vectors");
    assert_eq!(wrong, 0, "of {lines} vectors, {} rows", seen.len());
}

#[test]
fn loads_and_stores() {
    check(include_str!("golden/ldst_simd.txt"));
}

#[test]
fn copies_and_permutes() {
    check(include_str!("golden/simd_copy.txt"));
}

#[test]
fn integer() {
    check(include_str!("golden/simd_int.txt"));
}

#[test]
fn shifts() {
    check(include_str!("golden/simd_shift.txt"));
}

#[test]
fn crypto() {
    check(include_str!("golden/simd_crypto.txt"));
}

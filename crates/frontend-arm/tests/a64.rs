//! Runs the text tests in `tests/a64`. One line is one test:
//!
//! ```text
//! word … ; assembly ; … | state before | state after
//! 31000420 ; adds w0, w1, #1 | x1=0x7fffffff | x0=0x80000000 nzcv=NV
//! ```
//!
//! The words are executed one after the other at EL0 from [`CODE`]. State is `x<n>`, `sp`, `pc`, `nzcv` (the
//! letters of the flags that are set, `-` for none) and memory as `[address]=bytes`. Whatever the third column
//! does not name must be as before. Instead of a state it may say `undef` or `align`: the exception that ends
//! the test, with nothing else changed.
//!
//! Expectations come from the Arm ARM, and every line was checked against `qemu-aarch64-static`.

use std::fmt::Write;
use std::path::Path;

use lyrebird_frontend_arm::a64::regs;
use lyrebird_frontend_arm::cpu::pstate::Pstate;
use lyrebird_frontend_arm::platform::BarePlatform;
use lyrebird_frontend_arm::{ArmCpu, CpuModel};
use lyrebird_isa::state::TAG_NONE;
use lyrebird_isa::{Reg, Size};
use lyrebird_softmmu::PhysMem;

const RAM: u64 = 0x4000_0000;
const RAM_LEN: u64 = 16 << 20;
/// The part of memory that is compared.
const DATA_LEN: usize = 0x3000;
const CODE: u64 = RAM + 0x8_0000;
/// Level 1 translation table.
const TABLE: u64 = RAM + 0x10_0000;

/// What a test sees of the machine.
#[derive(Clone, PartialEq, Eq)]
struct State {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    nzcv: u64,
    data: Vec<u8>,
}

impl State {
    fn new() -> State {
        // Registers that a test does not name are told apart, and no valid addresses.
        let x = std::array::from_fn(|n| 0xdead_0000_0000_0000 + n as u64 * 0x0101_0101);
        State { x, sp: RAM + 0x2f00, pc: CODE, nzcv: 0, data: vec![0; DATA_LEN] }
    }

    /// Applies the assignments of one column.
    fn assign(&mut self, column: &str) {
        for part in column.split_whitespace() {
            let (key, value) = part.split_once('=').expect("an assignment");
            if let Some(address) = key.strip_prefix('[') {
                let at = (number(address.trim_end_matches(']')) - RAM) as usize;
                let bytes = value.as_bytes().chunks(2);
                let bytes = bytes.map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 16).unwrap());
                for (to, byte) in self.data[at..].iter_mut().zip(bytes) {
                    *to = byte;
                }
            } else if key == "nzcv" {
                let bit = |c| "VCZN".find(c).map_or(0, |n| 1 << (28 + n));
                self.nzcv = value.chars().map(bit).sum();
            } else if key == "sp" {
                self.sp = number(value);
            } else if key == "pc" {
                self.pc = number(value);
            } else {
                let n: usize = key.strip_prefix('x').expect("a register").parse().expect("its number");
                self.x[n] = number(value);
            }
        }
    }

    fn load(&self, cpu: &mut ArmCpu) {
        cpu.core.regs[..31].copy_from_slice(&self.x);
        cpu.core.set_reg(regs::SP, self.sp);
        cpu.core.set_nzcv(self.nzcv);
        cpu.core.pc = self.pc;
        cpu.mmu.phys().write_bytes(RAM, &self.data).expect("RAM");
    }

    fn save(cpu: &ArmCpu) -> State {
        let mut s = State::new();
        s.x.copy_from_slice(&cpu.core.regs[..31]);
        (s.sp, s.pc, s.nzcv) = (cpu.core.reg(regs::SP), cpu.core.pc, cpu.core.nzcv());
        cpu.mmu.phys().read_bytes(RAM, &mut s.data).expect("RAM");
        s
    }

    /// Where two states differ, readably; empty if they do not.
    fn diff(&self, want: &State) -> String {
        let mut out = String::new();
        let mut item = |name: String, got: u64, want: u64| {
            if got != want {
                write!(out, " {name}={got:#x}, not {want:#x};").expect("a string");
            }
        };
        for n in 0..31 {
            item(format!("x{n}"), self.x[n], want.x[n]);
        }
        item(String::from("sp"), self.sp, want.sp);
        item(String::from("pc"), self.pc, want.pc);
        item(String::from("nzcv"), self.nzcv, want.nzcv);
        let bytes = self.data.iter().zip(&want.data).enumerate();
        for (n, (&got, &want)) in bytes.filter(|(_, (got, want))| got != want) {
            item(format!("[{:#x}]", RAM + n as u64), got as u64, want as u64);
        }
        out
    }
}

fn number(s: &str) -> u64 {
    let digits = s.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).expect("hexadecimal"),
        None => digits.parse().expect("decimal"),
    }
}

/// A CPU with RAM mapped flat as Normal memory, so that unaligned accesses are allowed.
fn cpu() -> ArmCpu {
    let mem = PhysMem::builder().ram(RAM, RAM_LEN).build().expect("16 MiB");
    // Block of 1 GiB: AF, inner shareable, read and write from EL0 too, attribute 0.
    mem.write(TABLE + 8, Size::B8, RAM | 1 << 10 | 3 << 8 | 1 << 6 | 1).expect("RAM");
    let mut cpu = ArmCpu::new(CpuModel::max(), 0, Box::new(BarePlatform::new()), mem);
    let mut msr = |word: u32, v: u64| {
        cpu.core.set_reg(Reg(0), v);
        assert!(cpu.execute(word), "MSR {word:#010x}");
    };
    msr(0xd518_a200, 0xff); // MAIR_EL1: attribute 0 is Normal, write-back
    msr(0xd518_2040, 25 | 1 << 23 | 2 << 32); // TCR_EL1: 39-bit lower range, 4 KiB granule
    msr(0xd518_2000, TABLE); // TTBR0_EL1
    msr(0xd518_1000, 1); // SCTLR_EL1.M
    cpu
}

/// What went wrong with one line, or nothing.
fn run(cpu: &mut ArmCpu, line: &str) -> Result<(), String> {
    let mut columns = line.split('|').map(str::trim);
    let (Some(code), Some(before), Some(after)) = (columns.next(), columns.next(), columns.next()) else {
        return Err(String::from("three columns are needed"));
    };
    let words = code.split(';').next().unwrap_or("").split_whitespace();
    let words: Vec<u32> = words.map(|w| u32::from_str_radix(w, 16).expect("an instruction word")).collect();

    let mut start = State::new();
    start.assign(before);
    cpu.set_pstate(Pstate { el: 0, sp_sel: false, ..cpu.pstate });
    cpu.core.excl_addr = TAG_NONE;
    start.load(cpu);
    for (n, &w) in words.iter().enumerate() {
        cpu.mmu.phys().write(CODE + 4 * n as u64, Size::B4, w as u64).expect("RAM");
    }
    let done = words.iter().all(|&w| cpu.execute(w));
    let got = State::save(cpu);

    let mut want = start.clone();
    let exception = match after {
        "undef" => Some(0),
        "align" => Some(0x24 << 26 | 0x21),
        _ => None,
    };
    if let Some(esr) = exception {
        if done {
            return Err(String::from("no exception"));
        }
        // EC and DFSC; the handler's PC and stack pointer are not the test's business.
        let seen = cpu.core.reg(regs::ESR_EL1) & (0x3f << 26 | 0x3f);
        if seen != esr {
            return Err(format!("ESR_EL1 has {seen:#x} of {esr:#x}"));
        }
        (want.pc, want.sp, want.nzcv) = (got.pc, got.sp, got.nzcv);
    } else {
        if !done {
            return Err(format!("exception, ESR_EL1={:#x}", cpu.core.reg(regs::ESR_EL1)));
        }
        want.pc = CODE + 4 * words.len() as u64;
        want.assign(after);
    }
    let diff = got.diff(&want);
    if diff.is_empty() { Ok(()) } else { Err(diff) }
}

fn file(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/a64").join(name);
    let text = std::fs::read_to_string(&path).expect("the test file");
    let mut cpu = cpu();
    let mut failures = String::new();
    let mut count = 0;
    for (n, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        count += 1;
        if let Err(why) = run(&mut cpu, line) {
            writeln!(failures, "{name}:{}: {line}\n    {why}", n + 1).expect("a string");
        }
    }
    assert!(count > 0, "{name} holds no test");
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn data_processing_immediate() {
    file("dp_imm.txt");
}

#[test]
fn data_processing_register() {
    file("dp_reg.txt");
}

#[test]
fn branches() {
    file("branch.txt");
}

#[test]
fn loads_and_stores() {
    file("ldst.txt");
}

#[test]
fn exclusives_and_atomics() {
    file("ldst_atomic.txt");
}

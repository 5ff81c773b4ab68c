//! Control and model-specific registers, CPUID, fast system calls, ports.

use crate::exception::vector::{GP, PF, UD};
use crate::regs::{R11, RAX, RBX, RCX, RDX, RSP, Seg, rflags};
use crate::sys::control::{cr0, cr4, efer};
use crate::testing::{CODE, DATA, Machine, STACK, TABLES, TSS, sel};

const MOV_CR0_RAX: &[u8] = &[0x0f, 0x22, 0xc0];
const MOV_CR3_RAX: &[u8] = &[0x0f, 0x22, 0xd8];
const MOV_CR4_RAX: &[u8] = &[0x0f, 0x22, 0xe0];
const WRMSR: &[u8] = &[0x0f, 0x30];
const RDMSR: &[u8] = &[0x0f, 0x32];

fn wrmsr(m: &mut Machine, n: u64, v: u64) {
    m.set(RCX, n);
    m.set(RAX, v & 0xffff_ffff);
    m.set(RDX, v >> 32);
}

#[test]
fn from_real_mode_to_long_mode_and_back() {
    let mut m = Machine::long();
    // The tables stay; the CPU starts anew.
    let (gdt, idt) = (m.cpu.gdtr, m.cpu.idtr);
    let mem = m.mem.clone();
    m = Machine { cpu: Machine::real().cpu, mem };
    m.cpu = crate::X86Cpu::new(
        crate::CpuModel::ALL[1].clone(),
        Box::new(crate::platform::BarePlatform::default()),
        m.mem.clone(),
    );
    m.cpu.set_segment(Seg::Cs, crate::sys::segment::Segment::REAL_CODE, 0);
    m.cpu.core.pc = 0x8000;
    (m.cpu.gdtr, m.cpu.idtr) = (gdt, idt);
    // mov eax, cr0; or al, 1; mov cr0, eax; jmp 0x60:0x9000
    m.ok(&[0x0f, 0x20, 0xc0]);
    m.ok(&[0x0c, 1]);
    m.ok(MOV_CR0_RAX);
    assert!(m.cpu.mode.protected() && m.cpu.mode.code_bits() == 16);
    m.level(0, sel::CODE32, sel::DATA0);
    m.cpu.core.pc = 0x9000;
    m.set(RAX, cr4::PAE);
    m.ok(MOV_CR4_RAX);
    m.set(RAX, TABLES);
    m.ok(MOV_CR3_RAX);
    wrmsr(&mut m, 0xc000_0080, efer::LME | efer::NXE);
    m.ok(WRMSR);
    m.set(RAX, m.cpu.control.cr0 | cr0::PG);
    m.ok(MOV_CR0_RAX);
    assert_eq!(m.cpu.control.efer, efer::LME | efer::LMA | efer::NXE);
    assert_eq!(m.cpu.mode.code_bits(), 32, "compatibility mode");
    m.set(RSP, STACK);
    // LME cannot change while paging is on; PAE cannot be cleared.
    wrmsr(&mut m, 0xc000_0080, efer::NXE);
    m.fails(WRMSR, GP, 0);
    m.set(RAX, 0);
    m.fails(MOV_CR4_RAX, GP, 0);
    m.set(RAX, m.cpu.control.cr0 & !cr0::PG);
    m.ok(MOV_CR0_RAX);
    assert_eq!(m.cpu.control.efer, efer::LME | efer::NXE);
}

#[test]
fn a_null_ss_makes_no_other_mode_of_64_bit_code() {
    let mut m = Machine::long();
    let before = m.cpu.mode;
    assert!(m.cpu.segs[Seg::Ss as usize].big(), "the machine begins with a data segment");
    // mov ss, ax, as an interrupt out of user mode leaves it
    m.set(RAX, 0);
    m.ok(&[0x8e, 0xd0]);
    assert!(!m.cpu.segs[Seg::Ss as usize].big());
    assert_eq!(m.cpu.mode, before, "blocks would be decoded once for each");
}

#[test]
fn cr0_checks() {
    let mut m = Machine::protected();
    for v in [cr0::PG, cr0::PE | cr0::NW] {
        m.set(RAX, v);
        m.fails(MOV_CR0_RAX, GP, 0);
    }
    // Long mode needs PAE.
    wrmsr(&mut m, 0xc000_0080, efer::LME);
    m.ok(WRMSR);
    m.set(RAX, cr0::PE | cr0::PG);
    m.fails(MOV_CR0_RAX, GP, 0);
    m.user();
    m.fails(MOV_CR0_RAX, GP, 0);
    // SMSW is for everyone, LMSW cannot clear PE.
    m.ok(&[0x0f, 0x01, 0xe0]);
    assert_eq!(m.reg(RAX), m.cpu.control.cr0);
    m.level(0, sel::CODE0, sel::DATA0);
    m.set(RAX, 8);
    m.ok(&[0x0f, 0x01, 0xf0]);
    assert_eq!(m.cpu.control.cr0 & 15, cr0::PE | cr0::TS);
    m.ok(&[0x0f, 0x06]);
    assert_eq!(m.cpu.control.cr0 & 15, cr0::PE);
    let mut m = Machine::long();
    m.set(RAX, 1 << 32 | m.cpu.control.cr0);
    m.fails(MOV_CR0_RAX, GP, 0);
    m.set(RAX, cr0::PE);
    m.fails(MOV_CR0_RAX, GP, 0);
    m.faults(&[0x0f, 0x22, 0xc8], UD);
}

#[test]
fn pae_loads_its_table_when_cr3_is_written() {
    let mut m = Machine::protected();
    m.set(RAX, cr4::PAE);
    m.ok(MOV_CR4_RAX);
    m.poke(DATA, 0x7_2000 | 1);
    m.poke(DATA + 8, 0);
    m.poke(DATA + 16, 0);
    m.poke(DATA + 24, 0);
    for i in 0..8 {
        m.poke(0x7_2000 + 8 * i, i << 21 | 0x87);
    }
    m.set(RAX, DATA);
    m.ok(MOV_CR3_RAX);
    m.set(RAX, m.cpu.control.cr0 | cr0::PG);
    m.ok(MOV_CR0_RAX);
    m.poke(DATA + 0x1000, 0x7_2000 | 1 | 1 << 1);
    m.set(RAX, DATA + 0x1000);
    m.fails(MOV_CR3_RAX, GP, 0);
    assert_eq!(m.cpu.control.cr3, DATA);
    m.ok(&[0x8b, 0x05, 0, 0, 2, 0]);
}

#[test]
fn tlb_follows_cr3_invlpg_and_global_pages() {
    let mut m = Machine::long();
    m.set(RAX, m.cpu.control.cr4 | cr4::PGE);
    m.ok(MOV_CR4_RAX);
    // A page at 64 MiB of RAM at 2 MiB, through the next entry of the directory.
    let pde = TABLES + 0x2000 + 8 * 32;
    m.poke(pde, 0x20_0000 | 0x87);
    m.poke(0x20_0000, 1);
    m.poke(0x40_0000, 2);
    m.set(RBX, 64 << 20);
    let load = &[0x48, 0x8b, 0x03];
    m.ok(load);
    m.poke(pde, 0x40_0000 | 0x87);
    m.ok(load);
    assert_eq!(m.reg(RAX), 1, "cached");
    m.ok(&[0x0f, 0x01, 0x3b]);
    m.ok(load);
    assert_eq!(m.reg(RAX), 2, "INVLPG");
    m.poke(pde, 0x20_0000 | 0x87 | 0x100);
    m.set(RAX, TABLES);
    m.ok(MOV_CR3_RAX);
    m.ok(load);
    assert_eq!(m.reg(RAX), 1, "CR3");
    m.poke(pde, 0x40_0000 | 0x87);
    m.set(RAX, TABLES);
    m.ok(MOV_CR3_RAX);
    m.ok(load);
    assert_eq!(m.reg(RAX), 1, "global");
    m.set(RAX, m.cpu.control.cr4 & !cr4::PGE);
    m.ok(MOV_CR4_RAX);
    m.ok(load);
    assert_eq!(m.reg(RAX), 2, "CR4.PGE");
}

#[test]
fn pcid_rules() {
    let mut m = Machine::long();
    m.cpu.control.cr3 = TABLES | 1;
    m.set(RAX, m.cpu.control.cr4 | cr4::PCIDE);
    m.fails(MOV_CR4_RAX, GP, 0);
    m.cpu.control.cr3 = TABLES;
    m.ok(MOV_CR4_RAX);
    m.set(RAX, TABLES | 5 | 1 << 63);
    m.ok(MOV_CR3_RAX);
    assert_eq!(m.cpu.control.cr3, TABLES | 5);
    m.set(RAX, 1 << 62 | TABLES);
    m.fails(MOV_CR3_RAX, GP, 0);
    // INVPCID: type 4 does not exist; reserved bits of the descriptor.
    m.set(RBX, DATA);
    m.set(RAX, 4);
    m.fails(&[0x66, 0x0f, 0x38, 0x82, 0x03], GP, 0);
    m.set(RAX, 1);
    m.ok(&[0x66, 0x0f, 0x38, 0x82, 0x03]);
    m.poke(DATA, 0x1000);
    m.fails(&[0x66, 0x0f, 0x38, 0x82, 0x03], GP, 0);
}

#[test]
fn smap_and_stac() {
    let mut m = Machine::long();
    m.set(RBX, DATA);
    // Code stays executable: SMAP is about data. Its handler needs none of the user's pages.
    m.poke(TABLES + 0x3000, 0);
    m.cpu.control.cr4 |= cr4::SMAP;
    m.cpu.paging_changed().expect("no PDPTEs");
    m.cpu.flush_tlb();
    m.ok(&[0x0f, 0x01, 0xcb]);
    m.ok(&[0x48, 0x8b, 0x03]);
    m.ok(&[0x0f, 0x01, 0xca]);
    // Stacks and tables are on user pages here, so that the fault cannot be delivered.
    assert!(!m.step(&[0x48, 0x8b, 0x03]));
    let s = m.cpu.shutdown.clone().expect("triple fault");
    assert_eq!((s.chain[0].vector, s.chain[0].error, s.chain[0].cr2), (PF, Some(1), Some(DATA)));
}

#[test]
fn model_specific_registers() {
    let mut m = Machine::long();
    wrmsr(&mut m, 0xc000_0100, 0x7fff_1234_5678);
    m.ok(WRMSR);
    assert_eq!(m.cpu.base(Seg::Fs), 0x7fff_1234_5678);
    wrmsr(&mut m, 0xc000_0102, 0xffff_8000_0000_1000);
    m.ok(WRMSR);
    m.ok(&[0x0f, 0x01, 0xf8]);
    assert_eq!(m.cpu.base(Seg::Gs), 0xffff_8000_0000_1000);
    for (n, v) in
        [(0xc000_0101, 1 << 47), (0xc000_0082, 1 << 63), (0x277, 2), (0xc000_0080, 1 << 9), (0xfe, 0)]
    {
        wrmsr(&mut m, n, v);
        m.fails(WRMSR, GP, 0);
    }
    m.set(RCX, 0x1234_5678);
    m.fails(RDMSR, GP, 0);
    assert_eq!(m.cpu.counters.unknown_msrs[&0x1234_5678], 1);
    m.set(RCX, 0x277);
    m.ok(RDMSR);
    assert_eq!((m.reg(RAX), m.reg(RDX)), (0x0007_0406, 0x0007_0406));
    // The counter, and what it is ahead of its source.
    wrmsr(&mut m, 0x10, 1 << 40);
    m.ok(WRMSR);
    m.ok(&[0x0f, 0x31]);
    assert_eq!(m.reg(RDX) << 32 | m.reg(RAX), 1 << 40);
    m.set(RCX, 0x3b);
    m.ok(RDMSR);
    assert_eq!(m.reg(RDX), 1 << 8);
    m.user();
    m.fails(RDMSR, GP, 0);
    m.ok(&[0x0f, 0x31]);
    m.cpu.control.cr4 |= cr4::TSD;
    m.fails(&[0x0f, 0x31], GP, 0);
    m.faults(&[0xf3, 0x48, 0x0f, 0xae, 0xc0], UD);
    m.cpu.control.cr4 |= cr4::FSGSBASE;
    m.set(RAX, 0x7fff_1234_5678);
    m.ok(&[0xf3, 0x48, 0x0f, 0xae, 0xd0]);
    m.set(RAX, 0);
    m.ok(&[0xf3, 0x48, 0x0f, 0xae, 0xc0]);
    assert_eq!(m.reg(RAX), 0x7fff_1234_5678);
    m.set(RAX, 1 << 47);
    m.fails(&[0xf3, 0x48, 0x0f, 0xae, 0xd0], GP, 0);
}

#[test]
fn cpuid_tells_the_model() {
    let mut m = Machine::long();
    let leaf = |m: &mut Machine, a: u64, c: u64| {
        m.set(RAX, a);
        m.set(RCX, c);
        m.ok(&[0x0f, 0xa2]);
        [m.reg(RAX), m.reg(RBX), m.reg(RCX), m.reg(RDX)].map(|v| v as u32)
    };
    let v = leaf(&mut m, 0, 0);
    let text: Vec<u8> = [v[1], v[3], v[2]].iter().flat_map(|w| w.to_le_bytes()).collect();
    assert_eq!((v[0], text.as_slice()), (13, b"GenuineIntel".as_slice()));
    assert_eq!(leaf(&mut m, 1, 0)[2] >> 26 & 7, 0b101, "XSAVE, OSXSAVE clear, AVX");
    m.cpu.control.cr4 |= cr4::OSXSAVE;
    assert_eq!(leaf(&mut m, 1, 0)[2] >> 26 & 7, 0b111);
    assert_eq!(leaf(&mut m, 0xd, 0), [7, 576, 832, 0]);
    assert_eq!(leaf(&mut m, 0x8000_0001, 0)[3] >> 29 & 1, 1, "LM");
    assert_eq!(leaf(&mut m, 0x4000_0000, 0), leaf(&mut m, 0xd, 0), "no hypervisor: the highest basic leaf");
    assert_eq!(leaf(&mut m, 0x8000_0008, 0)[0], 48 << 8 | 40);
    // XCR0: AVX needs SSE, x87 is always on.
    m.set(RDX, 0);
    for (v, good) in [(7, true), (5, false), (6, false), (15, false)] {
        m.set(RCX, 0);
        m.set(RDX, 0);
        m.set(RAX, v);
        if good { m.ok(&[0x0f, 0x01, 0xd1]) } else { m.fails(&[0x0f, 0x01, 0xd1], GP, 0) }
    }
    m.set(RAX, 0);
    m.ok(&[0x0f, 0x01, 0xd0]);
    assert_eq!(m.reg(RAX), 7);
    // Machine check, monitor and virtual machines are not there.
    m.faults(&[0x0f, 0x01, 0xc8], UD);
    m.faults(&[0x0f, 0x01, 0xc1], UD);
}

#[test]
fn fast_system_calls() {
    let mut m = Machine::long();
    m.cpu.msr.star = 0x0018_0008_0000_0000;
    m.cpu.msr.lstar = 0x1_8000;
    m.cpu.msr.fmask = rflags::IF | rflags::DF;
    m.user();
    m.cpu.set_rflags(rflags::IF | rflags::DF | rflags::CF);
    m.ok(&[0x0f, 0x05]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl), (0x1_8000, 0));
    assert_eq!((m.reg(RCX), m.reg(R11)), (CODE + 2, rflags::IF | rflags::DF | rflags::CF | 2));
    assert_eq!(m.cpu.rflags(), rflags::CF | 2);
    assert_eq!((m.cpu.segs[1].selector, m.cpu.segs[2].selector), (8, 0x10));
    m.ok(&[0x48, 0x0f, 0x07]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl), (CODE + 2, 3));
    assert_eq!((m.cpu.segs[1].selector, m.cpu.segs[2].selector), (0x2b, 0x23));
    assert_eq!(m.cpu.rflags(), rflags::IF | rflags::DF | rflags::CF | 2);
    m.fails(&[0x48, 0x0f, 0x07], GP, 0);
    m.level(0, sel::CODE0, sel::DATA0);
    m.set(RCX, 1 << 47);
    m.fails(&[0x48, 0x0f, 0x07], GP, 0);
    m.cpu.control.efer &= !efer::SCE;
    m.faults(&[0x0f, 0x05], UD);

    let mut m = Machine::protected();
    m.user();
    m.fails(&[0x0f, 0x34], GP, 0);
    m.cpu.msr.sysenter = [8, STACK, 0x1_8000];
    m.ok(&[0x0f, 0x34]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (0x1_8000, 0, STACK));
    m.set(RCX, 0x1234);
    m.set(RDX, CODE);
    m.ok(&[0x0f, 0x35]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (CODE, 3, 0x1234));
    assert_eq!((m.cpu.segs[1].selector, m.cpu.segs[2].selector), (0x1b, 0x23));
    m.set(RSP, STACK);
    m.fails(&[0x0f, 0x35], GP, 0);
}

#[test]
fn ports_and_the_bitmap() {
    let mut m = Machine::protected();
    m.set(RDX, 0x3f8);
    m.ok(&[0xec]);
    assert_eq!(m.reg(RAX) & 0xff, 0xff);
    m.user();
    for at in (TSS + 0x68..TSS + 0x2068).step_by(8) {
        m.poke(at, u64::MAX);
    }
    m.fails(&[0xec], GP, 0);
    // One bit clear: a byte may be read, a word not.
    m.poke(TSS + 0x68 + 0x3f8 / 8, !1);
    m.ok(&[0xec]);
    m.fails(&[0x66, 0xed], GP, 0);
    m.cpu.set_rflags(rflags::IOPL);
    m.ok(&[0x66, 0xed]);
    m.cpu.set_rflags(0);
    m.cpu.tr.0.limit = 0x68 + 0x7f;
    m.fails(&[0xec], GP, 0);
    m.level(0, sel::CODE0, sel::DATA0);
    m.ok(&[0xe6, 0x80]);
}

#[test]
fn random_numbers_repeat_with_their_seed() {
    let mut m = Machine::long();
    m.cpu.seed_random(42);
    m.ok(&[0x48, 0x0f, 0xc7, 0xf0]);
    let first = m.reg(RAX);
    assert_eq!(m.cpu.rflags() & rflags::ARITHMETIC, rflags::CF);
    m.ok(&[0x48, 0x0f, 0xc7, 0xf8]);
    assert_ne!(m.reg(RAX), first);
    m.cpu.seed_random(42);
    m.ok(&[0x0f, 0xc7, 0xf0]);
    assert_eq!(m.reg(RAX), first & 0xffff_ffff);
}

#[test]
fn halting_waits_for_an_interrupt() {
    let mut m = Machine::long();
    m.ok(&[0xfb]);
    m.ok(&[0xf4]);
    assert!(m.cpu.halted);
    m.user();
    m.cpu.halted = false;
    m.fails(&[0xf4], GP, 0);
}

#[test]
fn reset_starts_anew() {
    let mut m = Machine::long();
    m.user();
    m.set(RAX, 5);
    m.cpu.reset();
    assert_eq!((m.cpu.core.pc, m.cpu.base(Seg::Cs), m.reg(RAX)), (0xffff_fff0, 0xffff_0000, 0));
    assert_eq!((m.cpu.mode.code_bits(), m.cpu.mode.protected(), m.cpu.rflags()), (16, false, 2));
    assert_eq!((m.cpu.rip(), m.cpu.control.cr0), (0xfff0, 0x6000_0010));
}

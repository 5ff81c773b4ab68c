//! Delivery of exceptions and interrupts, and returns from them.

use crate::exception::vector::{AC, BP, DB, DF, GP, NP, PF, SS, TS, UD};
use crate::regs::{self, R11, RAX, RBX, RCX, RSP, Seg, rflags};
use crate::sys::segment::{Segment, Table, attr};
use crate::testing::{
    CODE, DATA, GDT, HANDLERS, IDT, IST1, KERNEL_STACK, Machine, STACK, TABLES, TSS, descriptor, gate, sel,
};

const INT_80: &[u8] = &[0xcd, 0x80];
const INT3: &[u8] = &[0xcc];
const UD2: &[u8] = &[0x0f, 0x0b];

#[test]
fn real_mode_uses_the_vector_table() {
    let mut m = Machine::real();
    m.cpu.idtr = Table { base: 0, limit: 0x3ff };
    m.poke(0x80 * 4, 0x1234_5678);
    m.cpu.set_rflags(rflags::IF | rflags::CF);
    let pc = m.cpu.core.pc;
    m.ok(INT_80);
    assert_eq!(m.cpu.core.pc, 0x1_2340 + 0x5678);
    assert_eq!(m.peek(0xeffa) & 0xffff_ffff_ffff, 0x0203_0000_0000 | (pc + 2));
    assert_eq!(m.cpu.rflags() & (rflags::IF | rflags::CF), rflags::CF);
    m.ok(&[0xcf]);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (pc + 2, 0xf000));
    assert_ne!(m.cpu.rflags() & rflags::IF, 0);
    // No error code in real mode.
    m.poke(UD as u64 * 4, 0x0000_4321);
    m.step(UD2);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (0x4321, 0xf000 - 6));
}

#[test]
fn protected_mode_same_level() {
    let mut m = Machine::protected();
    m.cpu.set_rflags(rflags::IF | rflags::NT);
    m.ok(INT_80);
    assert_eq!(m.cpu.core.pc, HANDLERS + 0x800);
    assert_eq!(m.reg(RSP), STACK - 12);
    assert_eq!(m.peek(STACK - 12), (CODE + 2) | (sel::CODE0 as u64) << 32);
    assert_eq!(m.peek32(STACK - 4) as u64, rflags::FIXED | rflags::IF | rflags::NT);
    assert_eq!(m.cpu.rflags() & (rflags::IF | rflags::NT), 0);
    m.ok(&[0xcf]);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (CODE + 2, STACK));
    // Faults have RF set in the image; #UD has no error code.
    m.step(UD2);
    assert_eq!(m.cpu.core.pc, HANDLERS + 16 * UD as u64);
    assert_eq!(m.peek32(STACK - 12) as u64, CODE + 2);
    assert_ne!(m.peek32(STACK - 4) as u64 & rflags::RF, 0);
}

#[test]
fn protected_mode_from_level_3() {
    let mut m = Machine::protected();
    m.user();
    m.cpu.set_rflags(rflags::IF);
    m.ok(INT3);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl), (HANDLERS + 16 * BP as u64, 0));
    assert_eq!(m.reg(RSP), KERNEL_STACK - 20);
    assert_eq!(m.peek(KERNEL_STACK - 20), (CODE + 1) | (sel::CODE3 as u64) << 32);
    assert_eq!(m.peek(KERNEL_STACK - 8), STACK | (sel::DATA3 as u64) << 32);
    assert_eq!(m.cpu.segs[Seg::Ss as usize].selector, sel::DATA0);
    m.ok(&[0xcf]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (CODE + 1, 3, STACK));
    // Gates have levels: a software interrupt may not use this one, an exception may.
    m.poke(IDT + 8 * 0x80, gate(sel::CODE0, HANDLERS, attr::P | 14));
    m.fails(INT_80, GP, 0x80 << 3 | 2);
    m.poke(IDT + 8 * 0x80, gate(sel::CODE0, HANDLERS, 3 << 5 | 14));
    m.fails(INT_80, NP, 0x80 << 3 | 2);
    m.poke(IDT + 8 * 0x80, gate(0, HANDLERS, attr::P | 3 << 5 | 14));
    m.fails(INT_80, GP, 0);
    m.poke(IDT + 8 * 0x80, gate(sel::DATA0, HANDLERS, attr::P | 3 << 5 | 14));
    m.fails(INT_80, GP, sel::DATA0 as u32);
    // An inner stack that will not do.
    m.poke(IDT + 8 * 0x80, gate(sel::CODE32, HANDLERS, attr::P | 3 << 5 | 14));
    m.poke(IDT + 8 * TS as u64, descriptor(0, 0, 0));
    m.poke(TSS + 4, KERNEL_STACK | (sel::DATA3 as u64) << 32);
    m.cpu.idtr.limit = 0x80 * 8 + 7;
    assert!(!m.step(INT_80));
    let s = m.cpu.shutdown.clone().expect("every delivery fails");
    assert_eq!(s.chain[0].vector, TS);
    assert_eq!(s.chain[0].error, Some(0x20));
    // #TS has no gate: a double fault, which meets the same stack.
    assert_eq!(s.chain.last().expect("some").vector, TS, "{s}");
}

#[test]
fn trap_gates_leave_interrupts_on_and_16_bit_gates_push_words() {
    let mut m = Machine::protected();
    m.cpu.set_rflags(rflags::IF);
    m.poke(IDT + 8 * 0x80, gate(sel::CODE0, 0x4567_8000, attr::P | 7));
    m.ok(INT_80);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (0x8000, STACK - 6));
    assert_ne!(m.cpu.rflags() & rflags::IF, 0);
    m.ok(&[0x66, 0xcf]);
    assert_eq!(m.cpu.core.pc, (CODE + 2) & 0xffff);
}

#[test]
fn long_mode_frames() {
    let mut m = Machine::long();
    m.set(RSP, STACK - 8);
    m.ok(INT_80);
    assert_eq!(m.cpu.core.pc, HANDLERS + 0x800);
    // Aligned to 16, then five quadwords.
    assert_eq!(m.reg(RSP), STACK - 16 - 40);
    assert_eq!(m.peek(STACK - 16 - 40), CODE + 2);
    assert_eq!(m.peek(STACK - 16 - 16), STACK - 8);
    m.ok(&[0x48, 0xcf]);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (CODE + 2, STACK - 8));

    m.user();
    m.set(RSP, STACK);
    m.ok(INT_80);
    assert_eq!((m.reg(RSP), m.cpu.cpl), (KERNEL_STACK - 40, 0));
    assert_eq!(m.cpu.segs[Seg::Ss as usize].selector, 0, "null stack segment");
    assert_eq!(m.peek(KERNEL_STACK - 32), sel::LONG3 as u64);
    assert_eq!(m.peek(KERNEL_STACK - 8), sel::DATA3 as u64);
    m.ok(&[0x48, 0xcf]);
    assert_eq!((m.cpu.cpl, m.reg(RSP), m.cpu.core.pc), (3, STACK, CODE + 2));
    assert_eq!(m.cpu.segs[Seg::Ss as usize].selector, sel::DATA3);
    // To compatibility mode and back.
    m.level(0, sel::CODE0, sel::DATA0);
    for (i, v) in [0x1_0000, sel::CODE3 as u64, 2, 0x1_2345_6789, sel::DATA3 as u64].into_iter().enumerate() {
        m.poke(STACK - 40 + 8 * i as u64, v);
    }
    m.set(RSP, STACK - 40);
    m.ok(&[0x48, 0xcf]);
    assert_eq!((m.cpu.mode.code_bits(), m.cpu.cpl, m.reg(RSP)), (32, 3, 0x2345_6789));
    m.ok(INT_80);
    assert_eq!((m.cpu.mode.code_bits(), m.reg(RSP)), (64, KERNEL_STACK - 40));
}

#[test]
fn interrupt_stack_table() {
    let mut m = Machine::long();
    m.poke(IDT + 16 * 0x80, gate(sel::CODE0, HANDLERS + 0x800, attr::P | 14) | 1 << 32);
    m.ok(INT_80);
    assert_eq!(m.reg(RSP), IST1 - 40);
    m.poke(TSS + 36, 0x1234_5678_9abc_def0);
    m.fails(INT_80, SS, 0);
    m.poke(IDT + 16 * 0x80, gate(sel::CODE32, HANDLERS, attr::P | 14));
    m.fails(INT_80, GP, sel::CODE32 as u32);
    m.poke(IDT + 16 * 0x80, gate(sel::CODE0, HANDLERS, attr::P | 14));
    m.poke(IDT + 16 * 0x80 + 8, 0x8000);
    m.fails(INT_80, GP, 0);
}

#[test]
fn page_faults_set_cr2_and_double_faults() {
    let mut m = Machine::long();
    m.set(RBX, 0x4000_0000);
    m.fails(&[0x48, 0x8b, 0x03], PF, 0);
    assert_eq!(m.cpu.control.cr2, 0x4000_0000);
    m.user();
    m.fails(&[0x48, 0x89, 0x03], PF, 6);
    // Not canonical.
    m.set(RBX, 1 << 47);
    m.fails(&[0x48, 0x89, 0x03], GP, 0);
    // The page fault's gate is not present: that is contributory, a double fault.
    m.level(0, sel::CODE0, sel::DATA0);
    m.set(RBX, 0x4000_0000);
    m.poke(IDT + 16 * PF as u64, 0);
    m.fails(&[0x48, 0x8b, 0x03], DF, 0);
    // #UD is benign: its failure is handled as #GP with EXT.
    m.poke(IDT + 16 * UD as u64, 0);
    m.fails(UD2, GP, (UD as u32) << 3 | 3);
    assert_eq!(m.cpu.shutdown, None);
    m.poke(IDT + 16 * DF as u64, 0);
    m.cpu.core.pc = CODE;
    assert!(!m.step(&[0x48, 0x8b, 0x03]));
    let s = m.cpu.shutdown.clone().expect("triple fault");
    assert_eq!(s.chain.iter().map(|f| f.vector).collect::<Vec<_>>(), [PF, GP, GP]);
    assert_eq!((s.cs, s.rip), (sel::CODE0, CODE));
    assert_eq!(m.cpu.counters.shutdowns, 1);
    let _ = TABLES;
}

#[test]
fn iret_checks() {
    let mut m = Machine::protected();
    let frame = |m: &mut Machine, rip: u64, cs: u16| {
        m.poke(STACK - 20, rip | (cs as u64) << 32);
        m.poke(STACK - 12, 2 | STACK << 32);
        m.poke(STACK - 4, sel::DATA3 as u64);
        m.set(RSP, STACK - 20);
    };
    const IRET: &[u8] = &[0xcf];
    let mut check = |rip: u64, cs: u16, vector: u8, error: u32| {
        frame(&mut m, rip, cs);
        m.cpu.core.set_reg(RSP, STACK - 20);
        // The handler's frame goes elsewhere.
        let sp = m.reg(RSP);
        m.fails(IRET, vector, error);
        assert_eq!(m.reg(RSP), sp);
    };
    check(CODE, 0, GP, 0);
    check(CODE, 0x100, GP, 0x100);
    check(CODE, sel::DATA0, GP, sel::DATA0 as u32);
    check(CODE, sel::CODE0 | 3, GP, sel::CODE0 as u32);
    // SS of another level than CS.
    let mut m = Machine::protected();
    frame(&mut m, CODE, sel::CODE3);
    m.poke(STACK - 4, sel::DATA0 as u64);
    m.fails(IRET, GP, sel::DATA0 as u32);
    frame(&mut m, CODE, sel::CODE3);
    m.poke(STACK - 4, 0);
    m.fails(IRET, GP, 0);
    // A data segment of level 0 does not survive the way out.
    frame(&mut m, CODE, sel::CODE3);
    m.ok(IRET);
    assert_eq!(m.cpu.segs[Seg::Ds as usize], Segment::NULL);
    // Back from level 3 to level 0 is not possible.
    frame(&mut m, CODE, sel::CODE0);
    m.cpu.set_segment(Seg::Ds, m.cpu.segs[Seg::Ss as usize], 0);
    m.fails(IRET, GP, sel::CODE0 as u32);
}

#[test]
fn v8086_and_back() {
    let mut m = Machine::protected();
    let words = [0x100, 0x2000, rflags::VM | 2, 0xfff0, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000];
    for (i, v) in words.iter().enumerate() {
        m.mem.write(STACK - 36 + 4 * i as u64, lyrebird_isa::Size::B4, *v).expect("RAM");
    }
    m.set(RSP, STACK - 36);
    m.ok(&[0xcf]);
    assert!(m.cpu.mode.v8086() && m.cpu.cpl == 3);
    assert_eq!(m.cpu.core.pc, 0x2_0100);
    assert_eq!(m.cpu.base(Seg::Gs), 0x7_0000);
    // IOPL is below 3.
    m.fails(&[0xcd, 0x21], GP, 0);
    m.fails(&[0xfa], GP, 0);
    m.fails(&[0x9c], GP, 0);
    m.ok(INT3);
    assert_eq!((m.cpu.cpl, m.cpu.mode.v8086(), m.reg(RSP)), (0, false, KERNEL_STACK - 36));
    assert_eq!(m.peek(KERNEL_STACK - 36), 0x101 | 0x2000 << 32);
    assert_eq!(m.peek32(KERNEL_STACK - 4), 0x7000);
    assert_eq!(m.cpu.segs[Seg::Gs as usize], Segment::NULL);
    m.ok(&[0xcf]);
    assert_eq!(m.cpu.core.pc, 0x2_0101);
    // With VME and a clear bit in the redirection bitmap INT goes to the table at 0.
    m.cpu.control.cr4 |= crate::sys::control::cr4::VME;
    m.mem.write(TSS + 0x66, lyrebird_isa::Size::B2, 0x88).expect("RAM");
    m.mem.write(0x21 * 4, lyrebird_isa::Size::B4, 0x0300_0010).expect("RAM");
    m.ok(&[0xfb]);
    assert_ne!(m.cpu.rflags() & rflags::VIF, 0);
    m.ok(&[0xcd, 0x21]);
    assert_eq!(m.cpu.core.pc, 0x3010);
    assert_eq!(m.cpu.rflags() & rflags::VIF, 0);
    assert_eq!(m.peek(0x3_fff0 - 6) >> 32 & 0x3200, 0x3200, "IF and IOPL 3 in the image");
    m.ok(&[0xcf]);
    assert_eq!(m.cpu.core.pc, 0x2_0104);
    assert_ne!(m.cpu.rflags() & rflags::VIF, 0);
}

#[test]
fn flags_that_may_change() {
    let mut m = Machine::protected();
    m.user();
    m.poke(STACK - 4, 0xffff_ffff);
    m.set(RSP, STACK - 4);
    m.ok(&[0x9d]);
    let f = m.cpu.rflags();
    assert_eq!(f & (rflags::IF | rflags::IOPL | rflags::VM | rflags::VIF | rflags::RF), 0);
    assert_eq!(
        f & (rflags::ID | rflags::AC | rflags::DF | rflags::TF),
        rflags::ID | rflags::AC | rflags::DF | rflags::TF
    );
    m.cpu.set_rflags(0);
    m.fails(&[0xfa], GP, 0);
    m.level(0, sel::CODE0, sel::DATA0);
    m.ok(&[0xfb]);
    assert!(m.cpu.shadow);
    m.ok(&[0x9c]);
    assert_eq!(m.peek32(STACK - 4) as u64, rflags::IF | 2);
    m.ok(&[0xfa]);
    assert_eq!(m.cpu.rflags(), 2);
}

#[test]
fn single_step_and_breakpoints() {
    let mut m = Machine::protected();
    m.cpu.set_rflags(rflags::TF);
    m.step(&[0xb8, 1, 0, 0, 0]);
    assert_eq!((m.cpu.core.pc, m.reg(RAX)), (HANDLERS + 16 * DB as u64, 1));
    assert_eq!(m.cpu.dr[6], 0xffff_4ff0);
    assert_eq!(m.peek32(STACK - 12) as u64, CODE + 5);
    assert_ne!(m.peek32(STACK - 4) as u64 & rflags::TF, 0);
    assert_eq!(m.cpu.rflags() & rflags::TF, 0);

    let mut m = Machine::protected();
    m.set(RAX, CODE);
    m.ok(&[0x0f, 0x23, 0xc0]);
    m.set(RAX, 1);
    m.ok(&[0x0f, 0x23, 0xf8]);
    m.cpu.core.pc = CODE;
    m.faults(&[0x90], DB);
    assert_eq!(m.cpu.dr[6], 0xffff_0ff1);
    m.cpu.set_rflags(rflags::RF);
    m.ok(&[0x40]);
    assert_eq!(m.cpu.rflags() & rflags::RF, 0);
    // A watched doubleword; the trap comes behind the store.
    m.cpu.dr[0] = DATA;
    m.cpu.dr[7] = 0x000d_0401;
    m.cpu.context_changed();
    m.set(RBX, DATA);
    m.ok(&[0x8b, 0x03]);
    assert_ne!(m.cpu.core.pc / 16, HANDLERS / 16 + DB as u64, "reads do not count");
    m.step(&[0x88, 0x43, 0x03]);
    assert_eq!(m.cpu.core.pc, HANDLERS + 16 * DB as u64);
    let _ = (GDT, RCX);
}

const DB_HANDLER: u64 = HANDLERS + 16 * DB as u64;

#[test]
fn status_of_debug_exceptions_adds_up() {
    // BS stays until software clears it, the breakpoint bits are those of the last #DB.
    let mut m = Machine::protected();
    m.cpu.dr[6] = 0xffff_4ff2;
    m.cpu.dr[2] = CODE;
    m.cpu.dr[7] = 0x420;
    m.cpu.context_changed();
    m.faults(&[0x90], DB);
    assert_eq!(m.cpu.dr[6], 0xffff_4ff4);
}

#[test]
fn a_single_step_ends_hlt() {
    let mut m = Machine::protected();
    m.cpu.set_rflags(rflags::TF | rflags::IF);
    m.step(&[0xf4]);
    assert_eq!((m.cpu.core.pc, m.peek32(STACK - 12) as u64), (DB_HANDLER, CODE + 1));
    assert!(!m.cpu.halted);
}

#[test]
fn mov_to_ss_holds_a_breakpoint_back() {
    // A watched word, read by mov ss, [ebx]; what follows is done before the trap.
    for (next, rip) in [(&[0x90][..], CODE + 3), (&[0xf1], CODE + 3)] {
        let mut m = Machine::protected();
        m.poke(DATA, sel::DATA0.into());
        m.set(RBX, DATA);
        m.cpu.dr[0] = DATA;
        m.cpu.dr[7] = 0x0007_0401;
        m.cpu.context_changed();
        m.step(&[0x8e, 0x13]);
        assert_eq!((m.cpu.core.pc, m.cpu.dr[6]), (CODE + 2, 0xffff_0ff0));
        m.step(next);
        assert_eq!((m.cpu.core.pc, m.cpu.dr[6]), (DB_HANDLER, 0xffff_0ff1));
        assert_eq!((m.peek32(STACK - 12) as u64, m.reg(RSP)), (rip, STACK - 12), "once");
    }
    // A breakpoint at the next instruction is not hit.
    let mut m = Machine::protected();
    m.set(RAX, sel::DATA0.into());
    m.cpu.dr[0] = CODE + 2;
    m.cpu.dr[7] = 0x401;
    m.cpu.context_changed();
    m.ok(&[0x8e, 0xd0]);
    m.ok(&[0x90]);
    m.cpu.core.pc = CODE + 2;
    m.faults(&[0x90], DB);
}

#[test]
fn debugctl_makes_tf_trap_branches() {
    let mut m = Machine::protected();
    assert_eq!(m.cpu.write_msr(0x1d9, 2), Some(true));
    m.cpu.set_rflags(rflags::TF);
    m.step(&[0x90]);
    assert_eq!(m.cpu.core.pc, CODE + 1, "no branch");
    m.step(&[0x74, 0x10]);
    assert_eq!(m.cpu.core.pc, CODE + 3, "a branch not taken");
    m.step(&[0x75, 0x10]);
    assert_eq!((m.cpu.core.pc, m.peek32(STACK - 12) as u64), (DB_HANDLER, CODE + 3 + 2 + 0x10));
    assert_eq!((m.cpu.dr[6], m.cpu.read_msr(0x1d9)), (0xffff_4ff0, Some(0)), "#DB clears BTF");
}

#[test]
fn sysret_traps_before_the_first_instruction() {
    let mut m = Machine::long();
    m.cpu.msr.star = 0x0018_0008_0000_0000;
    m.set(RCX, DATA);
    m.set(R11, rflags::TF | rflags::FIXED);
    m.step(&[0x48, 0x0f, 0x07]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl), (DB_HANDLER, 0));
    assert_eq!((m.peek(KERNEL_STACK - 40), m.cpu.dr[6]), (DATA, 0xffff_4ff0));
}

#[test]
fn alignment_checks() {
    let mut m = Machine::protected();
    m.cpu.control.cr0 |= crate::sys::control::cr0::AM;
    m.user();
    m.set(RBX, DATA + 1);
    m.ok(&[0x8b, 0x03]);
    m.cpu.set_rflags(rflags::AC);
    m.fails(&[0x8b, 0x03], AC, 0);
    m.ok(&[0x8a, 0x03]);
    m.fails(&[0x66, 0x8b, 0x03], AC, 0);
    m.set(RBX, DATA + 4);
    m.ok(&[0x8b, 0x03]);
    // Not below level 3.
    m.level(0, sel::CODE0, sel::DATA0);
    m.set(RBX, DATA + 1);
    m.ok(&[0x8b, 0x03]);
}

#[test]
fn stack_addresses_that_are_not_canonical() {
    let mut m = Machine::long();
    // The handlers of #SS and #GP have a stack of their own.
    for v in [SS, GP] {
        m.poke(IDT + 16 * v as u64, gate(sel::CODE0, HANDLERS + 16 * v as u64, attr::P | 14) | 1 << 32);
    }
    m.set(RSP, 1 << 47);
    m.fails(&[0x5b], SS, 0);
    m.fails(&[0x48, 0x8b, 0x04, 0x24], SS, 0);
    m.set(RBX, 1 << 47);
    m.fails(&[0x48, 0x8b, 0x03], GP, 0);
    m.set(regs::RBP, 1 << 47);
    m.fails(&[0x48, 0x89, 0x45, 0x00], SS, 0);
}

#[test]
fn sti_lets_one_instruction_through() {
    let mut m = Machine::protected();
    m.cpu.platform = Box::new(crate::platform::BarePlatform {
        lines: m.cpu.lines.clone(),
        vectors: vec![0x40],
        ..Default::default()
    });
    m.cpu.lines.set(lyrebird_isa::lines::IRQ, true);
    m.mem.write(CODE + 1, lyrebird_isa::Size::B1, 0x90).expect("RAM");
    m.step(&[0xfb]);
    assert_eq!(m.cpu.core.pc, HANDLERS + 16 * 0x40);
    assert_eq!(m.peek32(STACK - 12) as u64, CODE + 2, "behind NOP");
    // STI, CLI: nothing gets through.
    let mut m = Machine::protected();
    m.cpu.lines.set(lyrebird_isa::lines::IRQ, true);
    m.mem.write(CODE + 1, lyrebird_isa::Size::B1, 0xfa).expect("RAM");
    m.step(&[0xfb]);
    assert_eq!(m.cpu.core.pc, CODE + 2);
}

#[test]
fn nmi_is_blocked_until_iret() {
    let mut m = Machine::protected();
    m.cpu.lines.set(lyrebird_isa::lines::SERROR, true);
    lyrebird_isa::Cpu::poll(&mut m.cpu, 0);
    assert_eq!(m.cpu.core.pc, HANDLERS + 32);
    assert!(m.cpu.nmi_blocked);
    m.ok(&[0xcf]);
    assert!(!m.cpu.nmi_blocked);
}

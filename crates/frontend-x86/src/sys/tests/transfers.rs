//! Far transfers, call gates, task switches.

use crate::exception::vector::{DB, GP, NP, TS};
use crate::regs::{RAX, RBX, RSP, Seg, rflags};
use crate::sys::control::cr0;
use crate::sys::segment::attr;
use crate::testing::{
    CODE, CODE_ATTR, DATA, GDT, HANDLERS, IDT, KERNEL_STACK, Machine, STACK, TSS, descriptor, gate, sel,
};

/// JMP FAR [EBX], CALL FAR [EBX].
const JMP: &[u8] = &[0xff, 0x2b];
const CALL: &[u8] = &[0xff, 0x1b];
const RETF: &[u8] = &[0xcb];
/// A second TSS.
const TSS2: u64 = 0x8000;

fn target(m: &mut Machine, selector: u16, offset: u64) {
    m.poke(DATA, offset | (selector as u64) << 32);
    m.set(RBX, DATA);
}

#[test]
fn real_mode() {
    let mut m = Machine::real();
    m.ok(&[0x9a, 0x34, 0x12, 0x00, 0x20]);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (0x2_1234, 0xf000 - 4));
    assert_eq!(m.peek32(0xf000 - 4), CODE as u32 & 0xffff | 5);
    m.ok(&[0xca, 2, 0]);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (5, 0xf002));
    m.ok(&[0xea, 0x00, 0x01, 0x00, 0x30]);
    assert_eq!((m.cpu.core.pc, m.cpu.segs[Seg::Cs as usize].selector), (0x3_0100, 0x3000));
}

#[test]
fn code_segments() {
    let mut m = Machine::protected();
    target(&mut m, sel::CODE32, 0x1_2000);
    m.ok(CALL);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (0x1_2000, STACK - 8));
    assert_eq!(m.peek(STACK - 8), (CODE + 2) | (sel::CODE0 as u64) << 32);
    m.ok(RETF);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (CODE + 2, STACK));
    for (selector, vector, error) in
        [(0, GP, 0), (0x100, GP, 0x100), (sel::DATA0, GP, 0x10), (sel::CODE3, GP, 0x18)]
    {
        target(&mut m, selector, 0);
        m.fails(JMP, vector, error);
    }
    let code =
        |m: &Machine, a: u16| m.poke(GDT + sel::SPARE as u64, descriptor(0, 0xfff, a & !attr::G | attr::DB));
    code(&m, CODE_ATTR & !attr::P);
    target(&mut m, sel::SPARE, 0);
    m.fails(JMP, NP, sel::SPARE as u32);
    code(&m, CODE_ATTR);
    target(&mut m, sel::SPARE, 0x1000);
    m.fails(CALL, GP, 0);
    // Conforming code keeps the level, whatever the RPL.
    code(&m, CODE_ATTR | attr::DC);
    m.user();
    target(&mut m, sel::SPARE | 3, 0x800);
    m.ok(JMP);
    assert_eq!((m.cpu.cpl, m.cpu.segs[Seg::Cs as usize].selector), (3, sel::SPARE | 3));
}

#[test]
fn call_gate_copies_parameters() {
    let mut m = Machine::protected();
    m.poke(GDT + sel::SPARE as u64, gate(sel::CODE0, 0x1_2000, attr::P | 3 << 5 | 12) | 2 << 32);
    m.user();
    target(&mut m, sel::SPARE, 0xffff_ffff);
    m.set(RSP, STACK - 8);
    m.poke(STACK - 8, 0x2222_2222_1111_1111);
    m.ok(CALL);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (0x1_2000, 0, KERNEL_STACK - 24));
    assert_eq!(m.peek(KERNEL_STACK - 24), (CODE + 2) | (sel::CODE3 as u64) << 32);
    assert_eq!(m.peek(KERNEL_STACK - 16), 0x2222_2222_1111_1111);
    assert_eq!(m.peek(KERNEL_STACK - 8), (STACK - 8) | (sel::DATA3 as u64) << 32);
    m.ok(&[0xca, 8, 0]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (CODE + 2, 3, STACK));
    // JMP through a gate cannot change the level; the gate's own level counts.
    m.fails(JMP, GP, sel::CODE0 as u32);
    m.poke(GDT + sel::SPARE as u64, gate(sel::CODE0, 0x1_2000, attr::P | 12));
    m.fails(CALL, GP, sel::SPARE as u32);
    m.poke(GDT + sel::SPARE as u64, gate(sel::CODE0, 0x1_2000, 3 << 5 | 12));
    m.fails(CALL, NP, sel::SPARE as u32);
}

#[test]
fn call_gate_of_long_mode() {
    let mut m = Machine::long();
    m.poke(GDT + sel::SPARE as u64, gate(sel::CODE0, 0x1_2000, attr::P | 3 << 5 | 12));
    m.poke(GDT + sel::SPARE as u64 + 8, 0);
    m.user();
    target(&mut m, sel::SPARE, 0);
    m.ok(CALL);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (0x1_2000, 0, KERNEL_STACK - 32));
    assert_eq!(m.peek(KERNEL_STACK - 32), CODE + 2);
    assert_eq!(m.cpu.segs[Seg::Ss as usize].selector, 0);
    m.ok(&[0x48, 0xcb]);
    assert_eq!((m.cpu.core.pc, m.cpu.cpl, m.reg(RSP)), (CODE + 2, 3, STACK));
    m.poke(GDT + sel::SPARE as u64 + 8, 0x8000);
    m.fails(CALL, GP, 0);
    m.poke(GDT + sel::SPARE as u64 + 8, 1 << 40);
    m.fails(CALL, GP, sel::SPARE as u32);
    // There are no task switches.
    target(&mut m, sel::TSS, 0);
    m.fails(JMP, GP, sel::TSS as u32);
}

fn second_task(m: &Machine) {
    m.poke(GDT + sel::SPARE as u64, descriptor(TSS2 as u32, 0x67, attr::P | 9));
    let fields = [
        (0x20, 0x1_4000),
        (0x24, rflags::CF | 2),
        (0x28, 0xaaaa_0001),
        (0x38, 0x6_8000),
        (0x48, sel::DATA0 as u64),
        (0x4c, sel::CODE0 as u64),
        (0x50, sel::DATA0 as u64),
        (0x54, sel::DATA0 as u64),
        (0x58, 0),
        (0x5c, 0),
        (0x60, 0),
        (0x64, 0x68_0000),
    ];
    for (at, v) in fields {
        m.mem.write(TSS2 + at, lyrebird_isa::Size::B4, v).expect("RAM");
    }
}

fn busy(m: &Machine, s: u16) -> bool {
    m.peek(GDT + s as u64) >> 41 & 1 != 0
}

#[test]
fn task_switch_by_call_and_back() {
    let mut m = Machine::protected();
    second_task(&m);
    target(&mut m, sel::SPARE, 0);
    m.set(RAX, 0x1234);
    m.ok(CALL);
    assert_eq!((m.cpu.core.pc, m.reg(RAX), m.reg(RSP)), (0x1_4000, 0xaaaa_0001, 0x6_8000));
    assert_eq!(m.cpu.rflags() & (rflags::NT | rflags::CF), rflags::NT | rflags::CF);
    assert_ne!(m.cpu.control.cr0 & cr0::TS, 0);
    assert_eq!(m.peek(TSS2) as u16, sel::TSS, "link");
    assert_eq!(m.peek32(TSS + 0x20) as u64, CODE + 2);
    assert_eq!(m.peek32(TSS + 0x28), 0x1234);
    assert_eq!((busy(&m, sel::TSS), busy(&m, sel::SPARE), m.cpu.tr.0.selector), (true, true, sel::SPARE));
    // A busy task cannot be called again.
    target(&mut m, sel::TSS, 0);
    m.fails(CALL, GP, sel::TSS as u32);
    m.ok(&[0xcf]);
    assert_eq!((m.cpu.core.pc, m.reg(RAX)), (CODE + 2, 0x1234));
    assert_eq!((busy(&m, sel::TSS), busy(&m, sel::SPARE), m.cpu.tr.0.selector), (true, false, sel::TSS));
    assert_eq!(m.cpu.rflags() & rflags::NT, 0);
    assert_eq!(m.peek32(TSS2 + 0x20), 0x1_4001, "behind IRET");
    // JMP leaves the old task free.
    target(&mut m, sel::SPARE, 0);
    m.ok(JMP);
    assert_eq!((busy(&m, sel::TSS), busy(&m, sel::SPARE)), (false, true));
    assert_eq!(m.cpu.rflags() & rflags::NT, 0);
}

#[test]
fn task_gates_and_their_error_codes() {
    let mut m = Machine::protected();
    second_task(&m);
    // A general-protection fault is a task of its own: its error code goes to that task's stack.
    m.poke(IDT + 8 * GP as u64, gate(sel::SPARE, 0, attr::P | 5));
    m.set(RAX, 0x103);
    m.step(&[0x8e, 0xd8]);
    assert_eq!((m.cpu.core.pc, m.reg(RSP)), (0x1_4000, 0x6_8000 - 4));
    assert_eq!(m.peek32(0x6_8000 - 4), 0x100);
    assert_eq!(m.peek32(TSS + 0x20) as u64, CODE);
    assert_ne!(m.peek32(TSS + 0x24) as u64 & rflags::RF, 0);
}

#[test]
fn a_new_task_faults_in_itself() {
    let mut m = Machine::protected();
    second_task(&m);
    m.mem.write(TSS2 + 0x50, lyrebird_isa::Size::B4, sel::CODE0 as u64).expect("RAM");
    m.poke(IDT + 8 * TS as u64, gate(sel::CODE0, HANDLERS + 16 * TS as u64, attr::P | 14));
    target(&mut m, sel::SPARE, 0);
    m.step(JMP);
    // SS is still unusable: the handler has no stack, and that is the end.
    assert_eq!(m.cpu.tr.0.selector, sel::SPARE);
    let s = m.cpu.shutdown.clone().expect("triple fault");
    assert_eq!((s.chain[0].vector, s.chain[0].error), (TS, Some(sel::CODE0 as u32)));
    // A TSS too short is found out before the switch.
    let mut m = Machine::protected();
    second_task(&m);
    m.poke(GDT + sel::SPARE as u64, descriptor(TSS2 as u32, 0x66, attr::P | 9));
    target(&mut m, sel::SPARE, 0);
    m.fails(JMP, TS, sel::SPARE as u32);
    // The trap flag of a TSS.
    second_task(&m);
    m.mem.write(TSS2 + 0x64, lyrebird_isa::Size::B4, 0x68_0001).expect("RAM");
    m.step(JMP);
    assert_eq!(m.cpu.core.pc, HANDLERS + 16 * DB as u64);
    assert_eq!(m.cpu.dr[6] >> 15 & 1, 1);
}

/// The second TSS as one of the 80286's (SDM Vol. 3, figure 7-10).
fn narrow_task(m: &Machine, limit: u32) {
    m.poke(GDT + sel::SPARE as u64, descriptor(TSS2 as u32, limit, attr::P | 1));
    let fields = [
        (0x02, 0x5800),
        (0x04, sel::DATA0),
        (0x0e, 0x4000),
        (0x10, rflags::CF as u16 | 2),
        (0x12, 0x1111),
        (0x1a, 0x5000),
        (0x22, sel::DATA0),
        (0x24, sel::CODE0),
        (0x26, sel::DATA0),
        (0x28, sel::DATA0),
        (0x2a, 0),
        (0x2c, 0xcccc),
    ];
    for (at, v) in fields {
        m.mem.write(TSS2 + at, lyrebird_isa::Size::B2, v.into()).expect("RAM");
    }
}

#[test]
fn tasks_of_16_bits() {
    let mut m = Machine::protected();
    narrow_task(&m, 0x2a);
    target(&mut m, sel::SPARE, 0);
    m.fails(JMP, TS, sel::SPARE as u32);
    narrow_task(&m, 0x2b);
    m.set(RAX, 0x1234_5678);
    m.ok(CALL);
    assert_eq!((m.cpu.core.pc, m.reg(RAX) as u16, m.reg(RSP) as u16), (0x4000, 0x1111, 0x5000));
    assert_eq!(m.cpu.rflags() & (rflags::NT | rflags::CF), rflags::NT | rflags::CF);
    for seg in [Seg::Fs, Seg::Gs] {
        assert_eq!(m.cpu.segs[seg as usize].selector, 0);
    }
    assert_eq!((m.peek(TSS2) as u16, m.peek32(TSS + 0x28)), (sel::TSS, 0x1234_5678));
    // Its state is saved in words, and no more of them than it has.
    m.set(RAX, 0xffff_2222);
    m.ok(&[0xcf]);
    assert_eq!((m.cpu.core.pc, m.reg(RAX)), (CODE + 2, 0x1234_5678));
    assert_eq!((m.peek32(TSS2 + 0x0e) as u16, m.peek32(TSS2 + 0x12) as u16), (0x4001, 0x2222));
    assert_eq!((m.peek32(TSS2 + 0x14) as u16, m.peek32(TSS2 + 0x2c) as u16), (0, 0xcccc));
    assert_eq!((busy(&m, sel::SPARE), m.peek(GDT + sel::SPARE as u64) >> 40 & 15), (false, 1));
}

#[test]
fn stacks_and_ports_of_a_16_bit_task() {
    let mut m = Machine::protected();
    narrow_task(&m, 0x2b);
    m.cpu.load_task(sel::SPARE).expect("a TSS");
    assert_eq!(m.peek(GDT + sel::SPARE as u64) >> 40 & 15, 3, "busy");
    m.user();
    // There is no I/O bitmap, and the stack of level 0 is in the TSS's first words.
    assert!(!m.step(&[0xec]));
    assert_eq!((m.taken(), m.reg(RSP)), ((GP.into(), 0), 0x5800 - 24));
    // SS:SP of level 0 end beyond the limit.
    narrow_task(&m, 4);
    m.cpu.load_task(sel::SPARE).expect("a TSS");
    m.user();
    m.step(&[0xec]);
    let s = m.cpu.shutdown.clone().expect("triple fault");
    assert_eq!((s.chain[1].vector, s.chain[1].error), (TS, Some(sel::SPARE as u32 | 1)));
    // No task of IA-32e mode.
    let mut m = Machine::long();
    narrow_task(&m, 0x2b);
    m.set(RAX, sel::SPARE.into());
    m.fails(&[0x0f, 0x00, 0xd8], GP, sel::SPARE as u32);
}

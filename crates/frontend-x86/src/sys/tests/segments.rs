//! Segment registers and descriptor tables.

use crate::exception::vector::{GP, NP, SS, UD};
use crate::regs::{RAX, RBX, RCX, RSP, Seg, rflags};
use crate::sys::segment::attr;
use crate::testing::{CODE_ATTR, DATA, DATA_ATTR, GDT, Machine, descriptor, sel};

const MOV_DS_AX: &[u8] = &[0x8e, 0xd8];
const MOV_SS_AX: &[u8] = &[0x8e, 0xd0];

fn spare(m: &Machine, a: u16) {
    m.poke(GDT + sel::SPARE as u64, descriptor(0x1234_5000, 0xf_ffff, a));
}

#[test]
fn data_segments_are_checked_in_protected_mode() {
    let mut m = Machine::protected();
    spare(&m, DATA_ATTR & !attr::ACCESSED);
    m.set(RAX, sel::SPARE as u64);
    m.ok(MOV_DS_AX);
    assert_eq!(m.cpu.base(Seg::Ds), 0x1234_5000);
    assert_eq!(m.peek(GDT + sel::SPARE as u64) >> 40 & 1, 1, "accessed");
    assert!(!m.cpu.mode.flat(Seg::Ds) && !m.cpu.mode.checked(Seg::Ds));
    // The low bits of the error code are the table, not the RPL.
    m.set(RAX, 0x103);
    m.fails(MOV_DS_AX, GP, 0x100);
    m.set(RAX, 0x0f7);
    m.fails(MOV_DS_AX, GP, 0x0f4);
    m.set(RAX, sel::SPARE as u64 | 3);
    m.fails(MOV_DS_AX, GP, sel::SPARE as u32);
    spare(&m, DATA_ATTR & !attr::P);
    m.set(RAX, sel::SPARE as u64);
    m.fails(MOV_DS_AX, NP, sel::SPARE as u32);
    // Execute-only code cannot be read; conforming code can, from every level.
    spare(&m, CODE_ATTR & !attr::RW);
    m.fails(MOV_DS_AX, GP, sel::SPARE as u32);
    spare(&m, CODE_ATTR | attr::DC);
    m.user();
    m.set(RAX, sel::SPARE as u64 | 3);
    m.ok(MOV_DS_AX);
    spare(&m, DATA_ATTR);
    m.fails(MOV_DS_AX, GP, sel::SPARE as u32);
    // A null selector may be loaded, but not used.
    m.set(RAX, 3);
    m.ok(MOV_DS_AX);
    m.fails(&[0xa1, 0, 0, 0, 0], GP, 0);
    // System descriptors are none of data.
    m.set(RAX, sel::TSS as u64 | 3);
    m.fails(MOV_DS_AX, GP, sel::TSS as u32);
}

#[test]
fn stack_segments_are_checked() {
    let mut m = Machine::protected();
    m.set(RAX, 0);
    m.fails(MOV_SS_AX, GP, 0);
    m.set(RAX, sel::DATA3 as u64);
    m.fails(MOV_SS_AX, GP, 0x20);
    m.set(RAX, sel::CODE0 as u64);
    m.fails(MOV_SS_AX, GP, 8);
    spare(&m, DATA_ATTR & !attr::P);
    m.set(RAX, sel::SPARE as u64);
    m.fails(MOV_SS_AX, SS, sel::SPARE as u32);
    spare(&m, DATA_ATTR & !attr::DB);
    m.ok(MOV_SS_AX);
    assert!(m.cpu.shadow);
    assert_eq!(m.cpu.mode.stack_bits(), 16);
    // MOV CS is undefined.
    m.set(RAX, sel::DATA0 as u64);
    m.ok(MOV_SS_AX);
    m.faults(&[0x8e, 0xc8], UD);
}

#[test]
fn long_mode_takes_a_null_stack_below_level_3() {
    let mut m = Machine::long();
    m.set(RAX, 0);
    m.ok(MOV_SS_AX);
    m.set(RAX, 3);
    m.fails(MOV_SS_AX, GP, 0);
    m.user();
    m.fails(MOV_SS_AX, GP, 0);
}

#[test]
fn real_mode_keeps_limits() {
    let mut m = Machine::real();
    m.set(RAX, 0x1234);
    m.ok(MOV_DS_AX);
    assert_eq!((m.cpu.base(Seg::Ds), m.cpu.segs[Seg::Ds as usize].limit), (0x1_2340, 0xffff));
    m.cpu.segs[Seg::Ds as usize].limit = u32::MAX;
    m.ok(MOV_DS_AX);
    assert_eq!(m.cpu.segs[Seg::Ds as usize].limit, u32::MAX, "unreal mode");
}

#[test]
fn push_pop_and_far_pointers() {
    let mut m = Machine::protected();
    m.set(RSP, DATA + 0x100);
    m.ok(&[0x1e]);
    assert_eq!((m.reg(RSP), m.peek32(DATA + 0xfc)), (DATA + 0xfc, sel::DATA0 as u32));
    m.ok(&[0x07]);
    assert_eq!((m.reg(RSP), m.cpu.segs[0].selector), (DATA + 0x100, sel::DATA0));
    m.poke(DATA, 0x0010_8765_4321);
    m.set(RBX, DATA);
    m.ok(&[0xc4, 0x03]);
    assert_eq!((m.reg(RAX), m.cpu.segs[0].selector), (0x8765_4321, sel::DATA0));
    m.poke(DATA, 0x0103_8765_4321);
    m.set(RAX, 7);
    m.fails(&[0xc4, 0x03], GP, 0x100);
    assert_eq!(m.reg(RAX), 7);
}

#[test]
fn descriptor_table_registers() {
    let mut m = Machine::protected();
    m.poke(DATA, 0x8765_4321_0fff);
    m.set(RBX, DATA);
    m.ok(&[0x0f, 0x01, 0x1b]);
    assert_eq!((m.cpu.idtr.base, m.cpu.idtr.limit), (0x8765_4321, 0xfff));
    m.ok(&[0x66, 0x0f, 0x01, 0x1b]);
    assert_eq!(m.cpu.idtr.base, 0x65_4321, "24 bits of base");
    m.ok(&[0x0f, 0x01, 0x03]);
    assert_eq!(m.peek(DATA) & 0xffff_ffff_ffff, GDT << 16 | 0xff);
    let mut m = Machine::long();
    m.set(RBX, DATA);
    m.poke(DATA, 0x1000_0000_0000);
    m.poke(DATA + 8, 0x8000);
    m.fails(&[0x0f, 0x01, 0x1b], GP, 0);
    m.user();
    m.poke(DATA, 0x1000_0fff);
    m.poke(DATA + 8, 0);
    m.fails(&[0x0f, 0x01, 0x1b], GP, 0);
    m.ok(&[0x0f, 0x01, 0x03]);
    m.cpu.control.cr4 |= crate::sys::control::cr4::UMIP;
    m.fails(&[0x0f, 0x01, 0x03], GP, 0);
    m.fails(&[0x0f, 0x00, 0xc0], GP, 0);
    m.fails(&[0x0f, 0x01, 0xe0], GP, 0);
}

#[test]
fn task_register_and_ldt() {
    const LTR_AX: &[u8] = &[0x0f, 0x00, 0xd8];
    const LLDT_AX: &[u8] = &[0x0f, 0x00, 0xd0];
    let mut m = Machine::protected();
    m.set(RAX, sel::TSS as u64);
    m.fails(LTR_AX, GP, sel::TSS as u32);
    m.set(RAX, 0);
    m.fails(LTR_AX, GP, 0);
    m.poke(GDT + sel::SPARE as u64, descriptor(0x5000, 0x67, attr::P | 9));
    m.set(RAX, sel::SPARE as u64);
    m.ok(LTR_AX);
    assert_eq!(m.peek(GDT + sel::SPARE as u64) >> 40 & 15, 11, "busy");
    assert_eq!((m.cpu.tr.1, m.cpu.tr.0.selector), (0x5000, sel::SPARE));
    m.fails(LLDT_AX, GP, sel::SPARE as u32);
    m.poke(GDT + sel::SPARE as u64, descriptor(0x6000, 0xf, 2));
    m.fails(LLDT_AX, NP, sel::SPARE as u32);
    m.poke(GDT + sel::SPARE as u64, descriptor(0x6000, 0xf, attr::P | 2));
    m.ok(LLDT_AX);
    m.poke(0x6008, descriptor(0x7000, 0xf_ffff, DATA_ATTR));
    m.set(RAX, 0xc);
    m.ok(MOV_DS_AX);
    assert_eq!(m.cpu.base(Seg::Ds), 0x7000);
    m.set(RAX, 0x14);
    m.fails(MOV_DS_AX, GP, 0x14);
    // 16-byte descriptors.
    let mut m = Machine::long();
    m.poke(GDT + sel::SPARE as u64, descriptor(0x5000, 0x67, attr::P | 9));
    m.poke(GDT + sel::SPARE as u64 + 8, 0xffff_8000);
    m.set(RAX, sel::SPARE as u64);
    m.ok(LTR_AX);
    assert_eq!(m.cpu.tr.1, 0xffff_8000_0000_5000);
}

#[test]
fn inspecting_selectors() {
    let mut m = Machine::protected();
    let zf = |m: &Machine| m.cpu.rflags() & rflags::ZF != 0;
    m.set(RCX, sel::DATA0 as u64);
    m.set(RAX, 0xdead_beef);
    m.ok(&[0x0f, 0x02, 0xc1]);
    assert_eq!((zf(&m), m.reg(RAX)), (true, 0x00c0_9300));
    m.ok(&[0x0f, 0x03, 0xc1]);
    assert_eq!((zf(&m), m.reg(RAX)), (true, 0xffff_ffff));
    m.ok(&[0x0f, 0x00, 0xe9]);
    assert!(zf(&m), "VERW");
    m.set(RCX, sel::CODE0 as u64);
    m.ok(&[0x0f, 0x00, 0xe9]);
    assert!(!zf(&m), "code is not writable");
    m.ok(&[0x0f, 0x00, 0xe1]);
    assert!(zf(&m), "VERR");
    m.user();
    m.set(RAX, 5);
    m.ok(&[0x0f, 0x02, 0xc1]);
    assert_eq!((zf(&m), m.reg(RAX)), (false, 5));
    m.set(RCX, 0x7000);
    m.ok(&[0x0f, 0x00, 0xe1]);
    assert!(!zf(&m), "no such descriptor is no exception");
    // ARPL raises to the source's RPL.
    m.set(RAX, 0x11);
    m.set(RCX, 3);
    m.ok(&[0x63, 0xc8]);
    assert_eq!((zf(&m), m.reg(RAX)), (true, 0x13));
    m.ok(&[0x63, 0xc8]);
    assert!(!zf(&m));
}

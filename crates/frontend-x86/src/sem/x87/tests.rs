//! What the host CPU does not show: pending exceptions, pointers, images.

use crate::exception::vector::{MF, NM};
use crate::regs::{RAX, RBX};
use crate::sys::control::cr0;
use crate::testing::{DATA, Machine, sel};

const FLD1: &[u8] = &[0xd9, 0xe8];
const FLDZ: &[u8] = &[0xd9, 0xee];
const FDIVP: &[u8] = &[0xde, 0xf9];
const FNOP: &[u8] = &[0xd9, 0xd0];
const FLDCW: &[u8] = &[0xd9, 0x2b];
const FNSTENV: &[u8] = &[0xd9, 0x33];
const WAIT: &[u8] = &[0x9b];

fn machine(mut m: Machine) -> Machine {
    m.cpu.control.cr0 |= cr0::NE | cr0::MP;
    m.cpu.context_changed();
    m.set(RBX, DATA);
    m
}

#[test]
fn unmasked_exceptions_wait_for_the_next_instruction() {
    let mut m = machine(Machine::long());
    m.poke(DATA, 0x37f & !4);
    m.ok(FLDCW);
    for i in [FLD1, FLDZ, FDIVP] {
        m.ok(i);
    }
    // The stack is as it was, and the status says why.
    m.ok(&[0xdf, 0xe0]);
    assert_eq!(m.reg(RAX) & 0xffff, 0xb084);
    for i in [FNOP, WAIT, FLD1, FLDCW, &[0x0f, 0xfc, 0xc1]] {
        m.faults(i, MF);
    }
    // FNSTENV does not wait, and masks all; what it stored unmasks again.
    m.ok(FNSTENV);
    m.ok(FNOP);
    m.ok(FLDCW);
    m.faults(FNOP, MF);
    // fnclex.
    m.ok(&[0xdb, 0xe2]);
    m.ok(FNOP);
}

#[test]
fn a_remainder_that_faults_is_not_incomplete() {
    for fprem in [[0xd9, 0xf8], [0xd9, 0xf5]] {
        let mut m = machine(Machine::long());
        m.poke(DATA, 0x37f & !1);
        // 1 by 0, after FXAM has set C2.
        for i in [FLDCW, FLDZ, FLD1, &[0xd9, 0xe5], &fprem, &[0xdf, 0xe0]] {
            m.ok(i);
        }
        assert_eq!(m.reg(RAX) & 0xffff, 0xb081);
    }
}

#[test]
fn modes_take_instructions_away() {
    let mut m = machine(Machine::long());
    for (bits, wait) in [(cr0::TS, true), (cr0::EM, false)] {
        m.cpu.control.cr0 = m.cpu.control.cr0 & !(cr0::TS | cr0::EM) | bits;
        m.cpu.context_changed();
        for i in [FLD1, FNOP, &[0xdb, 0xe3], FNSTENV] {
            m.faults(i, NM);
        }
        if wait { m.faults(WAIT, NM) } else { m.ok(WAIT) }
    }
    m.cpu.control.cr0 = m.cpu.control.cr0 & !cr0::MP | cr0::TS;
    m.cpu.context_changed();
    m.ok(WAIT);
}

#[test]
fn environment_in_protected_mode() {
    let mut m = machine(Machine::protected());
    m.poke(DATA + 0x40, 0x4000_0000_0000_0000);
    m.ok(FLDZ);
    let fip = m.cpu.core.pc as u32;
    // fadd qword [rbx+0x40]; fld1; fxam keeps nothing back.
    m.ok(&[0xdc, 0x43, 0x40]);
    m.ok(FNSTENV);
    let words: Vec<u32> = (0..7).map(|i| m.peek32(DATA + 4 * i)).collect();
    let fcs = 0x443 << 16 | sel::CODE0 as u32;
    let fds = 0xffff_0000 | sel::DATA0 as u32;
    let at = DATA as u32 + 0x40;
    assert_eq!(words, [0xffff_037f, 0xffff_3800, 0xffff_3fff, fip, fcs, at, fds]);
    // Operand size 16: seven words.
    m.ok(&[0x66, 0xd9, 0x33]);
    assert_eq!(m.peek(DATA), (fip as u64) << 48 | 0x3fff_3800_037f);
    assert_eq!(m.peek(DATA + 8) & 0xffff_ffff, (at as u64 & 0xffff) << 16 | sel::CODE0 as u64);
}

#[test]
fn environment_in_real_mode() {
    let mut m = machine(Machine::real());
    m.cpu.core.pc = 0x1230;
    m.ok(FLD1);
    let fip = m.cpu.core.pc - 2;
    // fnstenv [di].
    m.set(crate::regs::RDI, 0x6000);
    m.ok(&[0xd9, 0x35]);
    assert_eq!(m.peek(0x6000), fip << 48 | 0x3fff_3800_037f);
    assert_eq!(m.peek(0x6008) & 0xffff, 0x1e8, "the opcode beside the upper bits of the address");
}

#[test]
fn fnsave_and_frstor() {
    let mut m = machine(Machine::long());
    for i in [FLD1, FLDZ, &[0xd9, 0xeb], FLDZ, &[0xd9, 0xe0]] {
        m.ok(i);
    }
    let before = m.cpu.x87;
    m.ok(&[0xdd, 0x33]);
    assert_eq!(m.peek32(DATA + 8), 0xffff_11ff, "of eight, two zeros and two valid");
    assert_eq!(m.peek(DATA + 36) & 0xffff, 0x8000, "-0.0 is the first");
    let f = m.cpu.x87;
    assert_eq!((f.cw, f.sw, f.tw, f.fop), (0x37f, 0, 0xffff, 0));
    m.cpu.x87.regs = [(0, 0); 8];
    m.ok(&[0xdd, 0x23]);
    let f = m.cpu.x87;
    assert_eq!((f.regs, f.cw, f.sw, f.tw), (before.regs, before.cw, before.sw, before.tw));
    assert_eq!((f.fop, f.fip.0), (before.fop, before.fip.0));
}

#[test]
fn addresses_keep_their_registers() {
    // The packed form of memory operands: base, index, scale, displacement, segment.
    let mut m = machine(Machine::long());
    m.set(RAX, 0x10);
    m.set(RBX, DATA - 0x1000);
    m.poke(DATA + 0x80, 2.5f64.to_bits());
    // fld qword [rbx+rax*8+0x1000].
    m.ok(&[0xdd, 0x84, 0xc3, 0, 0x10, 0, 0]);
    // fstp qword [rip+disp].
    let next = m.cpu.core.pc + 6;
    let disp = (DATA.wrapping_sub(next) as u32).to_le_bytes();
    m.ok(&[0xdd, 0x1d, disp[0], disp[1], disp[2], disp[3]]);
    assert_eq!(f64::from_bits(m.peek(DATA)), 2.5);
    // fld dword gs:[r9], with an address above 2^32 that wraps.
    m.cpu.core.set_reg(crate::regs::base(crate::regs::Seg::Gs), DATA);
    m.cpu.core.regs[9] = 0x100;
    m.poke(DATA + 0x100, 1.5f32.to_bits() as u64);
    m.ok(&[0x65, 0x41, 0xd9, 0x01]);
    assert_eq!(m.cpu.x87.st(0).sig, 0xc000_0000_0000_0000);
    assert_eq!(m.cpu.x87.fdp.0, 0x100);
}

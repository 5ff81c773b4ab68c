//! Where code ends: CS's limit, canonical addresses, 15 bytes.

use lyrebird_isa::Cpu;

use crate::exception::vector::{GP, UD};
use crate::regs::{RAX, RBX, RCX, RSP, Seg};
use crate::testing::{CODE, DATA, Machine, STACK};

/// The instruction pointer and stack pointer of code of the same level whose exception with error code has just been
/// delivered.
fn frame(m: &Machine, long: bool) -> (u64, u64) {
    let sp = m.reg(RSP);
    if long { (m.peek(sp + 8), m.peek(sp + 32)) } else { (u64::from(m.peek32(sp + 4)), sp + 16) }
}

#[test]
fn no_instruction_has_more_than_15_bytes() {
    for mut m in [Machine::protected(), Machine::long()] {
        let prefixes = |n: usize, rest: &[u8]| [&vec![0x66; n][..], rest].concat();
        m.ok(&prefixes(14, &[0x90]));
        m.fails(&prefixes(15, &[0x90]), GP, 0);
        m.faults(&prefixes(13, &[0x0f, 0x0b]), UD);
        m.fails(&prefixes(13, &[0x81, 0xc0, 0, 0]), GP, 0);
        m.fails(&[0xf0; 16], GP, 0);
        // A short one that is none, with prefixes behind it.
        m.faults(&[&[0x0f, 0xff, 0xc0][..], &[0x66; 15]].concat(), UD);
        m.faults(&[0x0f, 0xff, 0xc0], UD);
    }
}

fn limited(limit: u64) -> Machine {
    let mut m = Machine::protected();
    m.cpu.segs[Seg::Cs as usize].limit = limit as u32;
    m.cpu.context_changed();
    m
}

#[test]
fn near_branches_beyond_the_limit_fault_where_they_stand() {
    let branches: [&[u8]; 7] = [
        &[0xeb, 0x20],             // jmp
        &[0x0f, 0x83, 0, 1, 0, 0], // jnc
        &[0xe8, 0, 1, 0, 0],       // call
        &[0xe2, 0x20],             // loop
        &[0xff, 0xe0],             // jmp eax
        &[0xff, 0x13],             // call [ebx]
        &[0xc3],                   // ret
    ];
    for code in branches {
        let mut m = limited(CODE + 0x1f);
        m.set(RAX, CODE + 0x20);
        m.set(RBX, DATA);
        m.set(RCX, 5);
        m.poke(DATA, CODE + 0x20);
        m.poke(STACK, CODE + 0x20);
        assert!(!m.step(code), "{code:02x?}");
        assert_eq!((m.taken(), frame(&m, false)), ((GP.into(), 0), (CODE, STACK)), "{code:02x?}");
        assert_eq!(m.reg(RCX), 5, "{code:02x?}");
        // The last byte of the segment may be gone to.
        let mut m = limited(CODE + 0x1f);
        m.set(RAX, CODE + 0x1f);
        m.ok(&[0xff, 0xe0]);
        assert_eq!(m.cpu.core.pc, CODE + 0x1f);
    }
}

#[test]
fn real_mode_s_segments_end_at_64_kib() {
    // 32-bit near branches of 16-bit code.
    for code in [&[0x66, 0xe9, 0, 0, 1, 0][..], &[0x66, 0xff, 0xe0], &[0x66, 0xc3]] {
        let mut m = Machine::real();
        m.cpu.core.pc = 0x6000;
        m.set(RAX, 0x1_0000);
        m.poke(0xf000, 0x1_0000);
        m.poke(GP as u64 * 4, 0x0000_7000);
        assert!(!m.step(code), "{code:02x?}");
        assert_eq!((m.cpu.core.pc, m.reg(RSP), m.peek(0xf000 - 6) as u16), (0x7000, 0xf000 - 6, 0x6000));
        m.cpu.core.pc = 0x6000;
        m.set(RAX, 0xfff0);
        m.ok(&[0x66, 0xff, 0xe0]);
        assert_eq!(m.cpu.core.pc, 0xfff0);
    }
}

#[test]
fn code_ends_with_its_segment() {
    let mut m = limited(CODE + 0x11);
    m.cpu.core.pc = CODE + 0x10;
    m.ok(&[0x90]);
    m.ok(&[0x90]);
    assert!(!m.step(&[0x90]));
    assert_eq!((m.taken(), frame(&m, false).0), ((GP.into(), 0), CODE + 0x12));
    // An instruction that the limit cuts off.
    let mut m = limited(CODE + 0x11);
    m.cpu.core.pc = CODE + 0x10;
    assert!(!m.step(&[0xb8, 1, 0, 0, 0]));
    assert_eq!((m.taken(), frame(&m, false).0), ((GP.into(), 0), CODE + 0x10));
    // The same in the next page.
    let mut m = limited(CODE + 0x1001);
    m.cpu.core.pc = CODE + 0xfff;
    assert!(!m.step(&[0xb8, 1, 0, 0, 0]));
    assert_eq!((m.taken(), frame(&m, false).0), ((GP.into(), 0), CODE + 0xfff));
}

#[test]
fn only_the_page_that_the_segment_ends_in_is_looked_at_instruction_by_instruction() {
    let mut m = limited(CODE + 0x1010);
    for (at, careful) in [(CODE, false), (CODE + 0x1000, true), (CODE + 0xfff, false), (CODE + 0x1010, true)]
    {
        assert!(m.cpu.fetch(at).is_some());
        assert_eq!(m.cpu.mode.careful(), careful, "{at:#x}");
    }
    let mut m = limited(CODE + 0xfff);
    assert!(m.cpu.fetch(CODE).is_some() && !m.cpu.mode.careful());
    let mut m = Machine::real();
    assert!(m.cpu.fetch(0xff00).is_some() && !m.cpu.mode.careful());
}

#[test]
fn branches_to_what_is_not_canonical_fault_where_they_stand() {
    const FAR: u64 = 0x8000_0000_0000;
    let branches: [&[u8]; 4] = [
        &[0xff, 0xe0], // jmp rax
        &[0xff, 0xd0], // call rax
        &[0xff, 0x13], // call [rbx]
        &[0xc3],       // ret
    ];
    for code in branches {
        let mut m = Machine::long();
        m.set(RAX, FAR);
        m.set(RBX, DATA);
        m.poke(DATA, FAR);
        m.poke(STACK, FAR);
        assert!(!m.step(code), "{code:02x?}");
        assert_eq!((m.taken(), frame(&m, true)), ((GP.into(), 0), (CODE, STACK)), "{code:02x?}");
        for good in [FAR - 1, FAR.wrapping_neg()] {
            let mut m = Machine::long();
            for to in [DATA, STACK] {
                m.poke(to, good);
            }
            m.set(RAX, good);
            m.set(RBX, DATA);
            m.ok(code);
            assert_eq!(m.cpu.core.pc, good);
        }
    }
}

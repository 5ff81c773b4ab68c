//! Each helper against the one for all cases, from the same states.

use lyrebird_isa::host::Status;

use super::super::register;
use super::*;
use crate::exception::Recorded;
use crate::regs::Seg;
use crate::sys::control::cr0;
use crate::sys::segment::Segment;
use crate::testing::{DATA, DATA_ATTR, Machine};

/// A small generator (splitmix64), so that failures repeat.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    /// A register: small numbers for the most part.
    fn register(&mut self) -> (u64, u16) {
        let r = self.next();
        let sig = if r & 1 == 0 { self.next() << 11 } else { self.next() };
        match r >> 8 & 31 {
            0 => (0, (r >> 48) as u16 & 0x8000),
            1 => (sig, r as u16),
            2 => (sig, 0x7fff),
            3 => (sig, 0),
            _ => (sig | F80::J, (0x3fff + (r >> 16 & 31) as u16) | (r >> 48) as u16 & 0x8000),
        }
    }

    /// A memory operand of any kind.
    fn operand(&mut self) -> u64 {
        let r = self.next();
        match r & 7 {
            0 => r >> 8,
            1 => (r >> 8 & 0xffff) as i16 as u64,
            2..4 => u64::from((1.5f32 * (r >> 40) as f32).to_bits()),
            _ => (0.3 * (r >> 40) as f64).to_bits(),
        }
    }

    fn x87(&mut self) -> X87 {
        let mut x = X87::new();
        x.regs = [(); 8].map(|()| self.register());
        x.sw = self.next() as u16;
        if !self.one_in(16) {
            x.sw &= !0x3f;
        }
        x.tw = match self.next() & 7 {
            0 => self.next() as u16,
            n => !0 << (2 * n),
        };
        // So many registers from ST(0) on are not empty.
        x.tw = x.tw.rotate_left(2 * u32::from(x.top()));
        x.set_cw(match self.next() & 7 {
            0..3 => 0x37f,
            3..5 => 0x27f,
            5 => 0x07f,
            _ => self.next() as u16,
        });
        x
    }
}

/// What an instruction may change.
type After = (X87, [u64; lyrebird_isa::state::REGS], u64, (u64, Option<Recorded>, bool), Vec<u64>);

fn run(m: &mut Machine, before: (X87, bool), pa: u64, run: impl FnOnce(&mut X86Cpu)) -> After {
    let words = || (0..4).map(move |i| (pa & !7) + 8 * i);
    let memory: Vec<u64> = words().map(|a| m.peek(a)).collect();
    let regs = m.cpu.core.regs;
    (m.cpu.x87, m.cpu.ferr) = before;
    m.cpu.core.set_nzcv(0);
    let mut host = Status::default();
    host.enter(0);
    run(&mut m.cpu);
    // Where guest code runs, they are the flags of its SSE.
    assert_eq!(host.raised(), 0, "flags in the host's MXCSR");
    host.leave();
    let fault = (std::mem::take(&mut m.cpu.core.fault), m.cpu.recorded.take(), m.cpu.ferr);
    let after = words().map(|a| m.peek(a)).collect();
    let flags = m.cpu.core.nzcv() | m.cpu.core.aux_flags();
    let r = (m.cpu.x87, m.cpu.core.regs, flags, fault, after);
    m.cpu.core.regs = regs;
    words().zip(memory).for_each(|(a, v)| m.poke(a, v));
    r
}

fn compare_in(mut m: Machine, seed: u64) {
    let mut g = Rng(seed);
    m.cpu.control.cr0 |= cr0::NE;
    let attr = DATA_ATTR;
    m.cpu.put_segment(Seg::Fs, Segment { selector: 0x10, attr, limit: u32::MAX }, 0x100);
    m.cpu.put_segment(Seg::Gs, Segment { selector: 0x10, attr, limit: 0x10_0000 }, 0);
    m.cpu.context_changed();
    for _ in 0..100_000 {
        let fop = Fop(g.next() as u16 & 0x7ff);
        let undefined = matches!((fop.op(), fop.reg()), (1, 1) | (3, 4 | 6) | (5, 5));
        if if fop.is_register() { !register::exists(fop) } else { undefined } {
            continue;
        }
        let before = (g.x87(), g.one_in(32));
        let (seg, pc) = (Seg::from_bits(g.next() as u32), m.cpu.core.pc);
        // On one page, across the end of it, nowhere.
        let offset = match g.next() & 31 {
            0 => DATA + 0x1000 - 1 - (g.next() & 15),
            1 => 0x2000_0000,
            _ => DATA + (g.next() & 0x7ff),
        };
        let base = if matches!(seg, Seg::Fs) { 0x100 } else { 0 };
        let pa = if offset >= 16 << 20 { DATA } else { offset + base };
        m.poke(pa, g.operand());
        if g.one_in(4) {
            m.poke(pa + 8, g.next());
        }
        let what = u64::from(fop.0) | (seg as u64) << 16;
        let [got, want] = [true, false].map(|fast| {
            run(&mut m, before, pa, |cpu| {
                let _ = match (fop.is_register(), fast) {
                    (true, true) => for_registers(fop)(cpu, fop.0.into(), pc, 0),
                    (true, _) => on_registers(cpu, fop.0.into(), pc, 0),
                    (_, true) => for_memory(fop)(cpu, what, offset, pc),
                    _ => on_memory(cpu, what, offset, pc),
                };
            })
        });
        assert_eq!(got, want, "{fop:x?} {seg:?}:{offset:x} {before:x?}");
    }
}

#[test]
fn helpers_do_what_the_one_for_all_cases_does() {
    compare_in(Machine::long(), 1);
    compare_in(Machine::protected(), 2);
    let mut user = Machine::long();
    user.user();
    compare_in(user, 3);
}

#[test]
fn memory_is_reached_at_once() {
    let mut m = Machine::long();
    m.poke(DATA, 2.5f64.to_bits());
    let (what, pc) = (0x500 | (Seg::Ds as u64) << 16, m.cpu.core.pc);
    assert_eq!(m.cpu.fetch(DATA, Size::B8), None, "nobody has been there");
    for_memory(Fop(0x500))(&mut m.cpu, what, DATA, pc);
    assert_eq!(m.cpu.fetch(DATA, Size::B8), Some(2.5f64.to_bits()));
}

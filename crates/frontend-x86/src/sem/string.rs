//! MOVS, CMPS, SCAS, LODS, STOS, INS, OUTS, with and without REP (SDM Vol. 1, 7.3.9).
//!
//! A repeated instruction works on runs inside pages where it may, keeps RCX, RSI and RDI up to date as it goes, and
//! returns to the dispatcher now and then, so that interrupts come through: then it is executed again.

mod run;

use iced_x86::Mnemonic;
use lyrebird_isa::{Emit, FlagOp, Helper, Sem, Size, Term, Visitor};
use lyrebird_softmmu::AccessKind;

use super::Decoded;
use crate::X86Cpu;
use crate::decode::{self, Insn};
use crate::exception::Outcome;
use crate::operand::{size, w, width};
use crate::regs::{FLAGS, RAX, RCX, RDI, RDX, RSI, Seg, rflags};

/// Elements that one execution of a repeated instruction handles at most, one at a time.
const SLICE: u64 = 4096;
/// The same where whole pages are copied.
const BULK: u64 = 1 << 20;

/// Which instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Movs,
    Cmps,
    Scas,
    Lods,
    Stos,
    Ins,
    Outs,
}

const KINDS: [Kind; 7] = [Kind::Movs, Kind::Cmps, Kind::Scas, Kind::Lods, Kind::Stos, Kind::Ins, Kind::Outs];

/// What a string instruction does, as its helper gets it.
#[derive(Clone, Copy, Debug)]
struct What {
    kind: Kind,
    /// Width number of an element.
    w: u8,
    /// Address size in bytes: 2, 4, 8.
    address: u8,
    /// The source's segment.
    seg: Seg,
    /// 0: once; 1: REP or REPE; 2: REPNE.
    rep: u8,
}

impl What {
    const fn pack(self) -> u64 {
        self.kind as u64
            | (self.w as u64) << 8
            | (self.address as u64) << 16
            | (self.seg as u64) << 24
            | (self.rep as u64) << 32
    }

    fn unpack(v: u64) -> What {
        What {
            kind: KINDS[(v & 7) as usize % KINDS.len()],
            w: (v >> 8 & 3) as u8,
            address: (v >> 16 & 15) as u8,
            seg: Seg::from_bits((v >> 24) as u32),
            rep: (v >> 32 & 3) as u8,
        }
    }

    /// Address bits.
    fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.address as u32)
    }

    /// A register moved by `by`, in the bits that addresses have.
    fn moved(self, old: u64, by: u64) -> u64 {
        let v = old.wrapping_add(by);
        match self.address {
            2 => old & !0xffff | v & 0xffff,
            4 => v & 0xffff_ffff,
            _ => v,
        }
    }

    const fn reads_source(self) -> bool {
        matches!(self.kind, Kind::Movs | Kind::Cmps | Kind::Lods | Kind::Outs)
    }

    const fn uses_destination(self) -> bool {
        matches!(self.kind, Kind::Movs | Kind::Cmps | Kind::Scas | Kind::Stos | Kind::Ins)
    }
}

impl X86Cpu {
    fn string_load(&mut self, seg: Seg, offset: u64, s: Size) -> Outcome<u64> {
        let va = self.segmented(seg, offset, s.bytes(), false)?;
        self.load_at(va, s, false)
    }

    /// One element. False where the store would hit translated code: the instruction is begun again alone.
    fn string_element(&mut self, what: What) -> Outcome<bool> {
        let s = size(what.w);
        let n = s.bytes();
        let (si, di) = (self.core.reg(RSI) & what.mask(), self.core.reg(RDI) & what.mask());
        let destination = |cpu: &mut X86Cpu| -> Outcome<u64> { cpu.segmented(Seg::Es, di, n, true) };
        match what.kind {
            Kind::Movs | Kind::Stos | Kind::Ins => {
                let v = match what.kind {
                    Kind::Movs => self.string_load(what.seg, si, s)?,
                    Kind::Stos => self.core.reg(RAX),
                    _ => {
                        // The destination is checked before the port is read.
                        let va = destination(self)?;
                        self.mmu.check(&mut self.core, &self.paging, va, n, AccessKind::Write, false)?;
                        if self.must_be_alone(va, n) {
                            return Ok(false);
                        }
                        self.port_in(self.core.reg(RDX) as u16, s)?
                    }
                };
                let va = destination(self)?;
                if !self.store_watched(va, s, v)? {
                    return Ok(false);
                }
            }
            Kind::Lods => {
                let v = self.string_load(what.seg, si, s)?;
                self.set_accumulator(what, v);
            }
            Kind::Cmps | Kind::Scas => {
                // Processors read the operand at ES:DI first, which shows where both fault.
                let b = self.string_load(Seg::Es, di, s)?;
                let a = match what.kind {
                    Kind::Cmps => self.string_load(what.seg, si, s)?,
                    _ => self.core.reg(RAX),
                };
                self.set_compared(what, a, b);
            }
            Kind::Outs => {
                let v = self.string_load(what.seg, si, s)?;
                self.port_out(self.core.reg(RDX) as u16, s, v)?;
            }
        }
        self.string_advance(what, 1);
        Ok(true)
    }

    /// What LODS loads.
    fn set_accumulator(&mut self, what: What, v: u64) {
        let old = self.core.reg(RAX);
        let w = width(what.w);
        let v = if what.w >= w::D { w.zext(v) } else { old & !w.mask() | v };
        self.core.set_reg(RAX, v);
    }

    /// The flags of CMPS and SCAS.
    fn set_compared(&mut self, what: What, a: u64, b: u64) {
        let w = width(what.w);
        let up = 64 - w.bits();
        self.core.flag_op = lyrebird_isa::flags::pack_op(FlagOp::Sub, w);
        self.core.flag_a = a << up;
        self.core.flag_b = b << up;
    }

    /// Moves the index registers by a number of elements.
    fn string_advance(&mut self, what: What, elements: u64) {
        let by = elements * size(what.w).bytes();
        let by = if self.core.reg(FLAGS) & rflags::DF != 0 { by.wrapping_neg() } else { by };
        if what.reads_source() {
            let v = what.moved(self.core.reg(RSI), by);
            self.core.set_reg(RSI, v);
        }
        if what.uses_destination() {
            let v = what.moved(self.core.reg(RDI), by);
            self.core.set_reg(RDI, v);
        }
    }

    /// Executes a string instruction; whether it is done.
    fn string(&mut self, what: What) -> Outcome<bool> {
        if matches!(what.kind, Kind::Ins | Kind::Outs) {
            // Before memory is looked at, and even where there is nothing to repeat.
            self.io_allowed(self.core.reg(RDX) as u16, size(what.w))?;
        }
        if what.rep == 0 {
            return self.string_element(what);
        }
        let (mut single, mut bulk) = (0, 0);
        // Traps come between iterations (SDM Vol. 3, 17.3.1.1 and 17.3.2).
        let careful = self.mode.careful();
        loop {
            let count = self.core.reg(RCX) & what.mask();
            if count == 0 {
                return Ok(true);
            }
            if single >= SLICE || bulk >= BULK {
                return Ok(false);
            }
            let done = if careful { 0 } else { self.string_run(what, count) };
            bulk += done;
            if done == 0 {
                if !self.string_element(what)? {
                    return Ok(false);
                }
                single += 1;
                self.core.set_reg(RCX, what.moved(self.core.reg(RCX), u64::MAX));
            }
            if matches!(what.kind, Kind::Cmps | Kind::Scas) {
                let equal = self.core.nzcv() & lyrebird_isa::flags::Z != 0;
                if equal != (what.rep == 1) {
                    return Ok(true);
                }
            }
            if careful {
                return Ok(self.core.reg(RCX) & what.mask() == 0);
            }
        }
    }
}

extern "C" fn string_once(cpu: &mut X86Cpu, what: u64, _: u64, _: u64) -> u64 {
    let r = cpu.string(What::unpack(what));
    cpu.settle(r);
    0
}

extern "C" fn string_repeated(cpu: &mut X86Cpu, what: u64, pc: u64, next: u64) -> u64 {
    let r = cpu.string(What::unpack(what));
    let done = cpu.settle(r);
    cpu.unfinished = !done;
    cpu.core.pc = if done { next } else { pc };
    0
}

/// Without REP.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    what: u64,
}

impl Sem<X86Cpu> for Once {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (what, zero) = (e.imm(self.what), e.imm(0));
        e.call(Helper::cpu("string", string_once), [what, zero, zero])?;
        Ok(())
    }
}

/// With REP, REPE or REPNE. `what` and the length in bits 63 to 56.
#[derive(Clone, Copy, Debug)]
pub struct Repeated {
    what: u64,
    pc: u64,
}

impl Sem<X86Cpu> for Repeated {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (what, pc) = (e.imm(self.what), e.imm(self.pc));
        let next = e.imm(self.pc.wrapping_add(self.what >> 56));
        e.call(Helper::cpu("rep_string", string_repeated), [what, pc, next])?;
        e.sync_pc();
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    if !x.i.is_string_instruction() {
        return Err(v);
    }
    use Mnemonic as M;
    let (kind, w) = match x.mnemonic() {
        M::Movsb => (Kind::Movs, w::B),
        M::Movsw => (Kind::Movs, w::W),
        M::Movsd => (Kind::Movs, w::D),
        M::Movsq => (Kind::Movs, w::Q),
        M::Cmpsb => (Kind::Cmps, w::B),
        M::Cmpsw => (Kind::Cmps, w::W),
        M::Cmpsd => (Kind::Cmps, w::D),
        M::Cmpsq => (Kind::Cmps, w::Q),
        M::Scasb => (Kind::Scas, w::B),
        M::Scasw => (Kind::Scas, w::W),
        M::Scasd => (Kind::Scas, w::D),
        M::Scasq => (Kind::Scas, w::Q),
        M::Lodsb => (Kind::Lods, w::B),
        M::Lodsw => (Kind::Lods, w::W),
        M::Lodsd => (Kind::Lods, w::D),
        M::Lodsq => (Kind::Lods, w::Q),
        M::Stosb => (Kind::Stos, w::B),
        M::Stosw => (Kind::Stos, w::W),
        M::Stosd => (Kind::Stos, w::D),
        M::Stosq => (Kind::Stos, w::Q),
        M::Insb => (Kind::Ins, w::B),
        M::Insw => (Kind::Ins, w::W),
        M::Insd => (Kind::Ins, w::D),
        M::Outsb => (Kind::Outs, w::B),
        M::Outsw => (Kind::Outs, w::W),
        M::Outsd => (Kind::Outs, w::D),
        _ => return Err(v),
    };
    use iced_x86::OpKind as O;
    let address = (0..x.i.op_count())
        .find_map(|n| match x.i.op_kind(n) {
            O::MemorySegSI | O::MemoryESDI => Some(2),
            O::MemorySegESI | O::MemoryESEDI => Some(4),
            O::MemorySegRSI | O::MemoryESRDI => Some(8),
            _ => None,
        })
        .unwrap_or(8);
    let rep = if x.i.has_repne_prefix() && matches!(kind, Kind::Cmps | Kind::Scas) {
        2
    } else {
        (x.i.has_rep_prefix() || x.i.has_repne_prefix()) as u8
    };
    let seg = decode::seg(x.i.memory_segment());
    let what = What { kind, w, address, seg, rep }.pack();
    Ok(if rep == 0 {
        v.visit(Once { what })
    } else {
        v.visit(Repeated { what: what | (x.i.len() as u64) << 56, pc: x.pc })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, Machine};

    /// xorshift64*
    struct Rng(u64);

    impl Rng {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
        }

        fn below(&mut self, n: u64) -> u64 {
            self.next() % n
        }

        fn of<T: Copy>(&mut self, from: &[T]) -> T {
            from[self.below(from.len() as u64) as usize]
        }
    }

    const BYTES: u64 = 0x4000;

    fn state(m: &Machine) -> (Vec<u64>, Vec<u64>) {
        let regs = [RAX, RCX, RSI, RDI].map(|r| m.reg(r));
        let flags = [m.cpu.core.nzcv(), m.cpu.core.aux_flags()];
        ([&regs[..], &flags].concat(), (0..BYTES / 8).map(|i| m.peek(DATA + 8 * i)).collect())
    }

    /// Runs do what the elements one by one do: across pages, up and down, where operands overlap.
    #[test]
    fn runs_are_their_elements() {
        let (mut long, mut rng) = (0, Rng(1));
        for round in 0..1000u64 {
            let kinds = [Kind::Movs, Kind::Movs, Kind::Cmps, Kind::Scas, Kind::Lods, Kind::Stos];
            let kind = rng.of(&kinds);
            let compares = matches!(kind, Kind::Cmps | Kind::Scas);
            let (w, address, rep) = (rng.below(4) as u8, rng.of(&[4, 8]), 1 + rng.below(2) as u8);
            let rep = if compares { rep } else { 1 };
            let what = What { kind, w, address, seg: Seg::Ds, rep };
            let down = rng.of(&[0, rflags::DF]);
            let most = rng.of(&[20, 600, 3000]);
            let room = BYTES / 2;
            let count = rng.below(most).min(room / 2 / size(what.w).bytes() - 8);
            let si = DATA + room / 2 + rng.below(room);
            let di =
                if rng.below(3) == 0 { si + rng.below(40) - 20 } else { DATA + room / 2 + rng.below(room) };
            // What is compared differs seldom.
            let (rare, fill) = (1 + rng.below(2000), rng.of(&[0, 0x0101_0101_0101_0101]));
            let memory: Vec<u64> =
                (0..BYTES / 8).map(|_| if rng.below(rare) == 0 { rng.next() } else { fill }).collect();
            let machine = || {
                let mut m = Machine::long();
                memory.iter().zip(0..).for_each(|(v, i)| m.poke(DATA + 8 * i, *v));
                for (r, v) in [(RAX, fill), (RCX, count), (RSI, si), (RDI, di)] {
                    m.set(r, v);
                }
                let flags = m.reg(FLAGS) & !rflags::DF | down;
                m.set(FLAGS, flags);
                m
            };
            let (mut runs, mut elements) = (machine(), machine());
            while !runs.cpu.string(what).expect("nothing faults") {}
            let cpu = &mut elements.cpu;
            while cpu.core.reg(RCX) != 0 {
                assert!(cpu.string_element(what).expect("nothing faults"));
                cpu.core.set_reg(RCX, cpu.core.reg(RCX) - 1);
                let equal = cpu.core.nzcv() & lyrebird_isa::flags::Z != 0;
                if compares && equal != (what.rep == 1) {
                    break;
                }
            }
            assert!(
                state(&runs) == state(&elements),
                "{round}: {what:?}, {count} at {si:#x}, {di:#x}, {down:#x}"
            );
            long += u64::from(count - runs.reg(RCX) > 100);
        }
        assert!(long > 150, "{long} went on for long");
    }
}

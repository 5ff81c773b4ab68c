//! MOVS, CMPS, SCAS, LODS, STOS, INS, OUTS, with and without REP (SDM Vol. 1, 7.3.9).
//!
//! A repeated instruction works on whole pages where it may, keeps RCX, RSI and RDI up to date as it goes, and
//! returns to the dispatcher now and then, so that interrupts come through: then it is executed again.

use iced_x86::Mnemonic;
use lyrebird_isa::state::PAGE_SIZE;
use lyrebird_isa::{Emit, FlagOp, Helper, Sem, Size, Term, Visitor};
use lyrebird_softmmu::{AccessKind, Touches};

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
                let old = self.core.reg(RAX);
                let w = width(what.w);
                let v = if what.w >= w::D { w.zext(v) } else { old & !w.mask() | v };
                self.core.set_reg(RAX, v);
            }
            Kind::Cmps | Kind::Scas => {
                // Processors read the operand at ES:DI first, which shows where both fault.
                let b = self.string_load(Seg::Es, di, s)?;
                let a = match what.kind {
                    Kind::Cmps => self.string_load(what.seg, si, s)?,
                    _ => self.core.reg(RAX),
                };
                let w = width(what.w);
                let up = 64 - w.bits();
                self.core.flag_op = lyrebird_isa::flags::pack_op(FlagOp::Sub, w);
                self.core.flag_a = a << up;
                self.core.flag_b = b << up;
            }
            Kind::Outs => {
                let v = self.string_load(what.seg, si, s)?;
                self.port_out(self.core.reg(RDX) as u16, s, v)?;
            }
        }
        let by = if self.core.reg(FLAGS) & rflags::DF != 0 { n.wrapping_neg() } else { n };
        if what.reads_source() {
            let v = what.moved(self.core.reg(RSI), by);
            self.core.set_reg(RSI, v);
        }
        if what.uses_destination() {
            let v = what.moved(self.core.reg(RDI), by);
            self.core.set_reg(RDI, v);
        }
        Ok(true)
    }

    /// As many elements as lie in one page each of source and destination, going up, by the host's means. None if
    /// that is not possible here.
    fn string_bulk(&mut self, what: What, count: u64) -> Outcome<u64> {
        if !matches!(what.kind, Kind::Movs | Kind::Stos) || self.core.reg(FLAGS) & rflags::DF != 0 {
            return Ok(0);
        }
        let s = size(what.w);
        let n = s.bytes();
        let (si, di) = (self.core.reg(RSI) & what.mask(), self.core.reg(RDI) & what.mask());
        let to = self.segmented(Seg::Es, di, n, true)?;
        let left = |va: u64| PAGE_SIZE - va % PAGE_SIZE;
        // Offsets do not wrap inside the piece either.
        let mut bytes =
            left(to).min(count.saturating_mul(n)).min(what.mask().wrapping_sub(di).saturating_add(1));
        let from = if what.kind == Kind::Movs {
            let from = self.segmented(what.seg, si, n, false)?;
            bytes = bytes.min(left(from)).min(what.mask().wrapping_sub(si).saturating_add(1));
            from
        } else {
            to
        };
        bytes -= bytes % n;
        if bytes < 64 {
            return Ok(0);
        }
        // Limits hold for the last element as well.
        let last = bytes - n;
        self.segmented(Seg::Es, di + last, n, true)?;
        if what.kind == Kind::Movs {
            self.segmented(what.seg, si + last, n, false)?;
        }
        let overlaps = what.kind == Kind::Movs && to.wrapping_sub(from) < bytes;
        if overlaps {
            return Ok(0);
        }
        let source = match what.kind {
            Kind::Movs => {
                match self.mmu.host_ptr(&mut self.core, &self.paging, from, AccessKind::Read, false)? {
                    Some(p) => p,
                    None => return Ok(0),
                }
            }
            _ => std::ptr::null_mut(),
        };
        if self.meets(to, bytes) != Touches::default() {
            // Element by element, alone.
            return Ok(0);
        }
        let Some(target) = self.mmu.host_ptr(&mut self.core, &self.paging, to, AccessKind::Write, false)?
        else {
            return Ok(0);
        };
        // SAFETY: `host_ptr` vouches for both pages up to their ends, and `bytes` reaches beyond neither. Guest RAM is
        // shared; the pieces may be the same memory under two addresses, which `copy` allows.
        unsafe {
            if what.kind == Kind::Movs {
                std::ptr::copy(source, target, bytes as usize);
            } else {
                fill(target, self.core.reg(RAX), n as usize, bytes as usize);
            }
        }
        if what.kind == Kind::Movs {
            let v = what.moved(self.core.reg(RSI), bytes);
            self.core.set_reg(RSI, v);
        }
        let v = what.moved(self.core.reg(RDI), bytes);
        self.core.set_reg(RDI, v);
        Ok(bytes / n)
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
            let mut done = if careful { 0 } else { self.string_bulk(what, count)? };
            if done == 0 {
                if !self.string_element(what)? {
                    return Ok(false);
                }
                done = 1;
                single += 1;
            } else {
                bulk += done;
            }
            let rcx = what.moved(self.core.reg(RCX), done.wrapping_neg());
            self.core.set_reg(RCX, rcx);
            if matches!(what.kind, Kind::Cmps | Kind::Scas) {
                let equal = self.core.nzcv() & lyrebird_isa::flags::Z != 0;
                if equal != (what.rep == 1) {
                    return Ok(true);
                }
            }
            if careful {
                return Ok(rcx & what.mask() == 0);
            }
        }
    }
}

/// Fills memory with the low `n` bytes of `v`.
///
/// # Safety
/// `p` is writable for `bytes` bytes, a multiple of `n`.
unsafe fn fill(p: *mut u8, v: u64, n: usize, bytes: usize) {
    let v = v.to_le_bytes();
    if v[..n].iter().all(|b| *b == v[0]) {
        // SAFETY: by contract.
        return unsafe { std::ptr::write_bytes(p, v[0], bytes) };
    }
    for at in (0..bytes).step_by(n) {
        // SAFETY: by contract; `n` is at most 8.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p.add(at), n) };
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

//! Instructions that are all in a helper and have a memory operand of any size.

use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_isa::{Emit, Helper, Sem, Size, Term};
use lyrebird_softmmu::AccessKind;

use super::media::{image, masked};
use super::system::segment;
use crate::X86Cpu;
use crate::exception::Outcome;
use crate::operand::Mem;
use crate::regs::Seg;

/// What the helper gets.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The memory operand's offset in its segment.
    pub offset: u64,
    /// The segment.
    pub seg: Seg,
    /// The register operands beside the memory operand.
    pub reg: u8,
    /// Another one.
    pub reg2: u8,
    /// The function's own.
    pub how: u16,
}

type Function = fn(&mut X86Cpu, At) -> Outcome<()>;

/// The functions by [`ByHelper::f`].
const FUNCTIONS: [Function; 12] = [
    masked::store_bytes,
    masked::masked_load,
    masked::masked_store,
    masked::gather,
    masked::store_halves,
    image::ldmxcsr,
    image::stmxcsr,
    image::fxsave,
    image::fxrstor,
    image::xsave,
    image::xrstor,
    segment::arpl,
];

/// Numbers of functions.
#[allow(missing_docs, reason = "the names are the functions'")]
pub mod function {
    pub const STORE_BYTES: u8 = 0;
    pub const MASKED_LOAD: u8 = 1;
    pub const MASKED_STORE: u8 = 2;
    pub const GATHER: u8 = 3;
    pub const STORE_HALVES: u8 = 4;
    pub const LDMXCSR: u8 = 5;
    pub const STMXCSR: u8 = 6;
    pub const FXSAVE: u8 = 7;
    pub const FXRSTOR: u8 = 8;
    pub const XSAVE: u8 = 9;
    pub const XRSTOR: u8 = 10;
    pub const ARPL: u8 = 11;
}

extern "C" fn by_helper(cpu: &mut X86Cpu, what: u64, offset: u64, _: u64) -> u64 {
    let [f, seg, reg, reg2, lo, hi, ..] = what.to_le_bytes();
    let seg = Seg::from_bits(seg as u32);
    let at = At { offset, seg, reg, reg2, how: u16::from_le_bytes([lo, hi]) };
    let r = FUNCTIONS[f as usize % FUNCTIONS.len()](cpu, at);
    cpu.settle(r);
    0
}

/// An instruction that is all in one of the functions. `SYNC`: it may change the mode.
#[derive(Clone, Copy, Debug)]
pub struct ByHelper<const SYNC: bool> {
    /// The memory operand, and registers.
    pub m: Mem,
    /// Number of the function.
    pub f: u8,
    /// The function's own.
    pub how: u16,
}

impl<const SYNC: bool> Sem<X86Cpu> for ByHelper<SYNC> {
    const TERM: Term = if SYNC { Term::Sync } else { Term::None };

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let [lo, hi] = self.how.to_le_bytes();
        let seg = self.m.seg_bits() & 7;
        let what = u64::from_le_bytes([self.f, seg, self.m.reg.0, self.m.reg2.0, lo, hi, 0, 0]);
        let (what, offset, zero) = (e.imm(what), self.m.offset(e), e.imm(0));
        e.call(Helper::cpu("by_helper", by_helper), [what, offset, zero])?;
        if SYNC {
            e.sync_next();
        }
        Ok(())
    }
}

/// The next bytes of a longer access.
enum Piece {
    /// So many, which lie here on the host.
    Mapped(*mut u8, usize),
    /// What one access takes.
    Access(Size),
}

impl X86Cpu {
    /// The first of `n` bytes at `va`.
    fn piece(&mut self, va: u64, n: usize, kind: AccessKind) -> Outcome<Piece> {
        let n = n.min((PAGE_SIZE - (va & !PAGE_MASK)) as usize);
        Ok(match self.mmu.run(&mut self.core, &self.paging, (va, n as u64), kind, false)? {
            Some(p) => Piece::Mapped(p, n),
            None => Piece::Access(Size::from_log2(n.ilog2().min(3))),
        })
    }

    /// Loads any number of bytes.
    pub(super) fn get_bytes(&mut self, va: u64, to: &mut [u8]) -> Outcome<()> {
        let (mut at, mut rest) = (self.wrap(va), to);
        while !rest.is_empty() {
            let n = match self.piece(at, rest.len(), AccessKind::Read)? {
                Piece::Mapped(p, n) => {
                    // SAFETY: `Mmu::run` vouches for so many bytes, which are the guest's and not the CPU's; `rest` has
                    // at least as many.
                    unsafe { p.copy_to_nonoverlapping(rest.as_mut_ptr(), n) };
                    n
                }
                Piece::Access(size) => {
                    let n = size.bytes() as usize;
                    let v = self.load_at(at, size, false)?;
                    rest[..n].copy_from_slice(&v.to_le_bytes()[..n]);
                    n
                }
            };
            (rest, at) = (&mut rest[n..], self.behind(at, n));
        }
        Ok(())
    }

    /// Stores any number of bytes, all or none. False where that would hit translated code: the instruction is then
    /// begun again alone.
    pub(super) fn put(&mut self, va: u64, bytes: &[u8]) -> Outcome<bool> {
        let (va, n) = (self.wrap(va), bytes.len() as u64);
        let touches = self.mmu.check(&mut self.core, &self.paging, va, n, AccessKind::Write, false)?;
        if touches.code && !self.alone {
            self.begin_alone(touches);
            return Ok(false);
        }
        let (mut at, mut rest) = (va, bytes);
        while !rest.is_empty() {
            let n = match self.piece(at, rest.len(), AccessKind::Write)? {
                Piece::Mapped(p, n) => {
                    // SAFETY: as in `get_bytes`.
                    unsafe { p.copy_from_nonoverlapping(rest.as_ptr(), n) };
                    n
                }
                Piece::Access(size) => {
                    let n = size.bytes() as usize;
                    let v = rest[..n].iter().rev().fold(0, |v, &b| v << 8 | b as u64);
                    self.store_at(at, size, v, false)?;
                    n
                }
            };
            (rest, at) = (&rest[n..], self.behind(at, n));
        }
        Ok(true)
    }

    /// The address behind `n` bytes.
    fn behind(&self, va: u64, n: usize) -> u64 {
        self.wrap(va.wrapping_add(n as u64))
    }
}

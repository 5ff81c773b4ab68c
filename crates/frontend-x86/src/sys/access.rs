//! Memory accesses of system programming: implicit ones to descriptor tables and task-state segments, and the pushes
//! and pops of far transfers, interrupts and returns.

use lyrebird_isa::{MemOp, Rmw, Size};
use lyrebird_softmmu::AccessKind;

use super::segment::Segment;
use crate::X86Cpu;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::{self, Seg};

impl X86Cpu {
    fn system(size: Size, implicit: bool) -> MemOp {
        let m = MemOp::new(size);
        if implicit { m.unpriv() } else { m }
    }

    /// Loads with supervisor privilege, whatever CPL is (SDM Vol. 3, 4.6).
    pub(crate) fn load_implicit(&mut self, va: u64, size: Size) -> Outcome<u64> {
        self.load_at(va, size, true)
    }

    /// Stores with supervisor privilege.
    pub(crate) fn store_implicit(&mut self, va: u64, size: Size, v: u64) -> Outcome<()> {
        self.store_at(va, size, v, true)
    }

    /// Loads with the current privilege, or as an implicit access.
    pub(crate) fn load_at(&mut self, va: u64, size: Size, implicit: bool) -> Outcome<u64> {
        let va = self.wrap(va);
        Ok(self.mmu.load(&mut self.core, &self.paging, va, X86Cpu::system(size, implicit))?)
    }

    /// Stores with the current privilege, or as an implicit access. Translated code in the way is reported to the
    /// engine, as every caller ends its block.
    pub(crate) fn store_at(&mut self, va: u64, size: Size, v: u64, implicit: bool) -> Outcome<()> {
        let va = self.wrap(va);
        Ok(self.mmu.store(&mut self.core, &self.paging, va, X86Cpu::system(size, implicit), v)?)
    }

    /// Stores with the current privilege for an instruction that does not end its block. False where that would hit
    /// translated code: the instruction is then begun again alone.
    pub(crate) fn store_watched(&mut self, va: u64, size: Size, v: u64) -> Outcome<bool> {
        if self.mmu.store_inline(&self.core, self.wrap(va), X86Cpu::system(size, false), v) {
            return Ok(true);
        }
        if self.must_be_alone(va, size.bytes()) {
            return Ok(false);
        }
        self.store_at(va, size, v, false)?;
        Ok(true)
    }

    /// Sets bits of a byte of a descriptor, atomically.
    pub(crate) fn set_bits_implicit(&mut self, va: u64, bits: u8) -> Outcome<()> {
        let (va, m) = (self.wrap(va), X86Cpu::system(Size::B1, true));
        self.mmu.rmw(&mut self.core, &self.paging, Rmw::Set, va, m, bits as u64)?;
        Ok(())
    }

    /// Clears bits of a byte of a descriptor, atomically.
    pub(crate) fn clear_bits_implicit(&mut self, va: u64, bits: u8) -> Outcome<()> {
        let (va, m) = (self.wrap(va), X86Cpu::system(Size::B1, true));
        self.mmu.rmw(&mut self.core, &self.paging, Rmw::Clr, va, m, bits as u64)?;
        Ok(())
    }

    /// Whether an implicit access to `len` bytes would be allowed, as an exception if not.
    pub(crate) fn check_implicit(&mut self, va: u64, len: u64, write: bool) -> Outcome<()> {
        let kind = if write { AccessKind::Write } else { AccessKind::Read };
        let va = self.wrap(va);
        self.mmu.check(&mut self.core, &self.paging, va, len, kind, true)?;
        Ok(())
    }

    /// Linear addresses have 32 bits outside IA-32e mode.
    pub(crate) fn wrap(&self, va: u64) -> u64 {
        if self.control.long_mode() { va } else { va & 0xffff_ffff }
    }
}

/// Whether an address is canonical (SDM Vol. 1, 3.3.7.1): 48 bits, sign-extended.
pub(crate) const fn canonical(va: u64) -> bool {
    (va << 16) as i64 >> 16 == va as i64
}

/// A stack that is being pushed to or popped from; the CPU's own changes when that is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    /// SS.
    pub seg: Segment,
    /// Its base.
    pub base: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Width of stack addresses in bits: 16, 32 or 64.
    pub bits: u32,
    /// Error code of #SS.
    pub error: u32,
    /// Accesses are a supervisor's whatever CPL is: the stack is that of a level not yet entered.
    pub implicit: bool,
}

impl Stack {
    /// A stack for another level.
    pub fn new(seg: Segment, base: u64, sp: u64, error: u32) -> Stack {
        Stack { seg, base, sp, bits: if seg.big() { 32 } else { 16 }, error, implicit: true }
    }

    /// A stack in 64-bit mode.
    pub fn long(sp: u64, implicit: bool) -> Stack {
        Stack { seg: Segment::NULL, base: 0, sp, bits: 64, error: 0, implicit }
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    fn linear(&self, bytes: u64) -> Outcome<u64> {
        let fault = Fault::with(vector::SS, self.error);
        if self.bits == 64 {
            let last = self.sp.wrapping_add(bytes - 1);
            return if canonical(self.sp) && canonical(last) { Ok(self.sp) } else { Err(fault) };
        }
        let offset = self.sp & self.mask();
        if !self.seg.holds(offset, bytes) {
            return Err(fault);
        }
        Ok(self.base.wrapping_add(offset) & 0xffff_ffff)
    }

    /// The same stack with the stack pointer moved.
    pub fn moved(&self, by: i64) -> Stack {
        Stack { sp: self.sp.wrapping_add(by as u64), ..*self }
    }

    /// Pushes.
    pub fn push(&mut self, cpu: &mut X86Cpu, size: Size, v: u64) -> Outcome<()> {
        let to = self.moved(-(size.bytes() as i64));
        let va = to.linear(size.bytes())?;
        cpu.store_at(va, size, v, self.implicit)?;
        *self = to;
        Ok(())
    }

    /// What is on top.
    pub fn peek(&self, cpu: &mut X86Cpu, size: Size) -> Outcome<u64> {
        let va = self.linear(size.bytes())?;
        cpu.load_at(va, size, self.implicit)
    }

    /// Pops.
    pub fn pop(&mut self, cpu: &mut X86Cpu, size: Size) -> Outcome<u64> {
        let v = self.peek(cpu, size)?;
        self.sp = self.sp.wrapping_add(size.bytes());
        Ok(v)
    }

    /// The exception that a store on top would raise.
    pub fn check_write(&self, cpu: &mut X86Cpu, size: Size) -> Outcome<()> {
        let va = self.linear(size.bytes())?;
        cpu.mmu.check(&mut cpu.core, &cpu.paging, va, size.bytes(), AccessKind::Write, self.implicit)?;
        Ok(())
    }
}

impl X86Cpu {
    /// The current stack.
    pub(crate) fn stack(&self) -> Stack {
        Stack {
            seg: self.segs[Seg::Ss as usize],
            base: self.base(Seg::Ss),
            sp: self.core.reg(regs::RSP),
            bits: self.mode.stack_bits(),
            error: 0,
            implicit: false,
        }
    }

    /// Takes over the stack pointer, as wide as the stack is.
    pub(crate) fn set_sp(&mut self, s: &Stack) {
        let old = self.core.reg(regs::RSP);
        let v = match s.bits {
            64 => s.sp,
            32 => s.sp & 0xffff_ffff,
            _ => old & !0xffff | s.sp & 0xffff,
        };
        self.core.set_reg(regs::RSP, v);
    }
}

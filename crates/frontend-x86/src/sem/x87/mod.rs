//! The x87 FPU (SDM Vol. 1, 5.2 and chapter 8).
//!
//! Every instruction is one helper call: state outside [`lyrebird_isa::Core`] is touched. The helper gets the 11 bits
//! of the opcode that FOP holds, which say everything about the instruction but its operand size, and the address
//! of the instruction for FIP. What is common has helpers of its own (`fast.rs`).

mod arith;
mod fast;
mod memory;
mod register;
mod state;
#[cfg(test)]
mod tests;

use lyrebird_isa::{Emit, Helper, Sem, Visitor};

use super::memory::At;
use super::{Decoded, undefined};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Fault, Outcome, Recorded, vector};
use crate::operand::Mem;
use crate::regs::Seg;
use crate::sys::control::cr0;
pub use state::sw;

/// The 11 bits of an opcode: the low three of its first byte, and its ModR/M byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fop(pub u16);

impl Fop {
    /// The first byte's low bits.
    pub const fn op(self) -> u8 {
        (self.0 >> 8 & 7) as u8
    }

    /// The ModR/M byte.
    pub const fn modrm(self) -> u8 {
        self.0 as u8
    }

    /// Bits 5 to 3 of the ModR/M byte.
    pub const fn reg(self) -> u8 {
        self.modrm() >> 3 & 7
    }

    /// The stack register of register forms.
    pub const fn i(self) -> u8 {
        self.modrm() & 7
    }

    /// Register form, without memory operand.
    pub const fn is_register(self) -> bool {
        self.modrm() >= 0xc0
    }

    /// Whether a pending exception is taken before the instruction (SDM Vol. 1, 8.6).
    const fn waits(self) -> bool {
        match (self.op(), self.is_register()) {
            (1, false) | (5, false) => self.reg() < 6,
            (3, true) => self.reg() != 4,
            (7, true) => self.reg() != 4 || self.i() != 0,
            _ => true,
        }
    }

    /// Whether FOP and the pointers stay as they are.
    const fn is_control(self) -> bool {
        match (self.op(), self.is_register()) {
            (1, false) => self.reg() >= 4,
            (5, false) => self.reg() == 4 || self.reg() >= 6,
            (3, true) => self.reg() == 4,
            (7, true) => self.reg() == 4,
            _ => false,
        }
    }
}

impl X86Cpu {
    /// Takes the pending x87 exception, if there is one: #MF, or without CR0.NE the board's business. False where an
    /// exception was recorded.
    pub(super) fn x87_ready(&mut self) -> bool {
        if self.x87.sw & sw::ES == 0 {
            if std::mem::take(&mut self.ferr) {
                self.platform.fpu_error_gone();
            }
            return true;
        }
        if self.control.cr0 & cr0::NE != 0 {
            self.raise(Fault::plain(vector::MF));
            return false;
        }
        self.ferr = true;
        if self.platform.fpu_error() {
            return true;
        }
        self.record(Recorded::Frozen);
        false
    }

    /// Remembers the instruction in FOP, FIP and FDP, unless it is one that leaves them alone.
    fn record_x87(&mut self, fop: Fop, pc: u64, data: Option<At>) {
        if !fop.is_control() {
            self.remember_x87(fop, pc, data);
        }
    }

    #[inline(always)]
    fn remember_x87(&mut self, fop: Fop, pc: u64, data: Option<At>) {
        let selector = |cpu: &X86Cpu, s: Seg| cpu.segs[s as usize].selector;
        self.x87.fop = fop.0;
        self.x87.fip = (self.rip_of(pc), selector(self, Seg::Cs));
        if let Some(at) = data {
            self.x87.fdp = (at.offset, selector(self, at.seg));
        }
    }

    fn execute_x87(&mut self, fop: Fop, pc: u64, data: Option<At>) -> Outcome<()> {
        if fop.waits() && !self.x87_ready() {
            return Ok(());
        }
        match data {
            Some(at) => memory::execute(self, fop, pc, at),
            None => {
                self.record_x87(fop, pc, None);
                register::execute(self, fop);
                Ok(())
            }
        }
    }
}

// Not in the helpers that end in a jump to it, which then need no frame.
#[inline(never)]
extern "C" fn on_registers(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    let r = cpu.execute_x87(Fop(fop as u16), pc, None);
    cpu.settle(r);
    0
}

/// The memory operand: FOP in bits 10 to 0, the segment in 18 to 16, in bit 24 whether the operand size is 16 bits.
#[inline(always)]
fn data_operand(what: u64, offset: u64) -> At {
    let seg = Seg::from_bits((what >> 16 & 7) as u32);
    At { offset, seg, reg: 0, reg2: 0, how: (what >> 24 & 1) as u16 }
}

#[inline(never)]
extern "C" fn on_memory(cpu: &mut X86Cpu, what: u64, offset: u64, pc: u64) -> u64 {
    let at = data_operand(what, offset);
    let r = cpu.execute_x87(Fop(what as u16), pc, Some(at));
    cpu.settle(r);
    0
}

/// A register form.
#[derive(Clone, Copy, Debug)]
struct OnRegisters {
    pc: u64,
    fop: Fop,
}

impl Sem<X86Cpu> for OnRegisters {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.fop.0 as u64), e.imm(self.pc), e.imm(0)];
        e.call(Helper::cpu("x87", fast::for_registers(self.fop)), args)?;
        Ok(())
    }
}

/// A form with a memory operand. Addresses have 48 bits.
#[derive(Clone, Copy, Debug)]
struct OnMemory {
    /// Displacement of the operand in bits 63 to 16, FOP in 15 to 5, base register in 4 to 0.
    a: u64,
    /// Address of the instruction in bits 63 to 16; operand size (1: 16 bits) in bit 15; the rest of
    /// [`Mem::parts`]: index register in bits 14 to 10, 9 to 0 what is above it.
    b: u64,
}

impl OnMemory {
    fn new(m: Mem, fop: Fop, pc: u64, small: bool) -> OnMemory {
        let parts = m.parts() as u64;
        let (base, index, rest) = (parts & 31, parts >> 6 & 31, parts >> 12);
        OnMemory {
            a: (m.disp() as u64) << 16 | (fop.0 as u64) << 5 | base,
            b: pc << 16 | (small as u64) << 15 | index << 10 | rest,
        }
    }

    /// No register is 62, of which five bits are 30.
    #[inline(always)]
    fn register(v: u64) -> u64 {
        if v == 30 { 62 } else { v }
    }

    #[inline(always)]
    fn mem(self) -> Mem {
        let base = OnMemory::register(self.a & 31);
        let index = OnMemory::register(self.b >> 10 & 31);
        let parts = base | index << 6 | (self.b & 0x3ff) << 12;
        Mem::from_parts(parts as u32, self.a as i64 >> 16)
    }
}

impl Sem<X86Cpu> for OnMemory {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = self.mem();
        let (fop, small) = (self.a >> 5 & 0x7ff, self.b >> 15 & 1);
        let what = e.imm(fop | (m.seg_bits() as u64 & 7) << 16 | small << 24);
        let offset = m.offset(e);
        let pc = e.imm((self.b as i64 >> 16) as u64);
        e.call(Helper::cpu("x87", fast::for_memory(Fop(fop as u16))), [what, offset, pc])?;
        Ok(())
    }
}

/// WAIT.
#[derive(Clone, Copy, Debug)]
struct Wait;

extern "C" fn wait(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    const BOTH: u64 = cr0::TS | cr0::MP;
    if cpu.control.cr0 & BOTH == BOTH {
        cpu.raise(Fault::plain(vector::NM));
    } else {
        cpu.x87_ready();
    }
    0
}

impl Sem<X86Cpu> for Wait {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let zero = e.imm(0);
        e.call(Helper::cpu("wait", wait), [zero; 3])?;
        Ok(())
    }
}

/// The opcode of an x87 instruction.
fn opcode(x: &Insn<'_>) -> Option<Fop> {
    let prefix = |b: u8| {
        matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
            || x.mode.code64() && b & 0xf0 == 0x40
    };
    let at = x.bytes.iter().position(|&b| !prefix(b))?;
    let (&op, &modrm) = (x.bytes.get(at)?, x.bytes.get(at + 1)?);
    (op & 0xf8 == 0xd8).then_some(Fop((op as u16 & 7) << 8 | modrm as u16))
}

/// Picks the `Sem` of an instruction of these files.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    if x.mnemonic() == iced_x86::Mnemonic::Wait {
        return Ok(v.visit(Wait));
    }
    let Some(fop) = opcode(x) else { return Err(v) };
    if x.lock() || !x.mode.has(Feature::Fpu) {
        return Ok(v.visit(undefined::Raise { vector: vector::UD }));
    }
    let (op, reg) = (fop.op(), fop.reg());
    let since = if fop.is_register() {
        if !register::exists(fop) {
            return Err(v);
        }
        // FCMOVcc, FCOMI and its like.
        let p6 = matches!(op, 2 | 3) && reg < 4 || matches!((op, reg), (3 | 7, 5 | 6));
        p6.then_some(Feature::Cmov)
    } else {
        if matches!((op, reg), (1, 1) | (3, 4 | 6) | (5, 5)) {
            return Err(v);
        }
        // FISTTP.
        (matches!(op, 3 | 5 | 7) && reg == 1).then_some(Feature::Sse3)
    };
    if since.is_some_and(|f| !x.mode.has(f)) {
        return Ok(v.visit(undefined::Raise { vector: vector::UD }));
    }
    if x.mode.x87_trapped() {
        return Ok(v.visit(undefined::Raise { vector: vector::NM }));
    }
    Ok(if fop.is_register() {
        v.visit(OnRegisters { pc: x.pc, fop })
    } else {
        let small = matches!(x.i.memory_size().size(), 14 | 94);
        v.visit(OnMemory::new(x.mem(), fop, x.pc, small))
    })
}

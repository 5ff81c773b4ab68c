//! [`Insn`]: a decoded instruction with the mode it was decoded in, and its operands in our form.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use lyrebird_isa::Width;

use crate::cpu::Mode;
use crate::operand::{self, Gpr, Mem, w};
use crate::regs::Seg;

/// A decoded instruction.
#[derive(Debug)]
pub struct Insn<'a> {
    /// As `iced-x86` decoded it.
    pub i: &'a Instruction,
    /// The mode.
    pub mode: Mode,
    /// Linear address.
    pub pc: u64,
    /// Its bytes, and some behind it.
    pub bytes: &'a [u8],
}

impl<'a> Insn<'a> {
    /// The instruction `i` at the linear address `pc`, decoded from `bytes`.
    pub fn new(i: &'a Instruction, mode: Mode, pc: u64, bytes: &'a [u8]) -> Insn<'a> {
        Insn { i, mode, pc, bytes }
    }

    /// Its mnemonic.
    pub fn mnemonic(&self) -> Mnemonic {
        self.i.mnemonic()
    }

    /// The linear address behind it.
    pub fn next(&self) -> u64 {
        self.linear(self.i.next_ip())
    }

    /// The linear address of a direct near branch's target.
    pub fn target(&self) -> u64 {
        self.linear(self.i.near_branch_target())
    }

    /// The linear address of an offset in the code segment.
    pub fn linear(&self, rip: u64) -> u64 {
        self.mode.wrap(self.mode.cs_base().wrapping_add(rip))
    }

    /// Whether operand `n` is a general register.
    pub fn is_gpr(&self, n: u32) -> bool {
        self.i.op_kind(n) == OpKind::Register && self.i.op_register(n).is_gpr()
    }

    /// Whether operand `n` is in memory.
    pub fn is_mem(&self, n: u32) -> bool {
        self.i.op_kind(n) == OpKind::Memory
    }

    /// Whether operand `n` is an immediate.
    pub fn is_imm(&self, n: u32) -> bool {
        use OpKind::*;
        matches!(
            self.i.op_kind(n),
            Immediate8
                | Immediate16
                | Immediate32
                | Immediate64
                | Immediate8to16
                | Immediate8to32
                | Immediate8to64
                | Immediate32to64
        )
    }

    /// Immediate operand `n`, sign-extended where the instruction does.
    pub fn imm(&self, n: u32) -> u64 {
        self.i.immediate(n)
    }

    /// General register operand `n`.
    pub fn gpr(&self, n: u32) -> Gpr {
        gpr(self.i.op_register(n))
    }

    /// Number of the vector (or mask, segment, control, debug) register that is operand `n`.
    pub fn number(&self, n: u32) -> u8 {
        self.i.op_register(n).number() as u8
    }

    /// Width number ([`w`]) of the general register that is operand `n`.
    pub fn reg_width(&self, n: u32) -> u8 {
        width_of(self.i.op_register(n))
    }

    /// Width number of operand `n`, a general register or memory.
    pub fn width(&self, n: u32) -> u8 {
        if self.i.op_kind(n) == OpKind::Register { self.reg_width(n) } else { self.mem_width() }
    }

    /// Width number of the memory operand; 64 bits for larger ones.
    pub fn mem_width(&self) -> u8 {
        match self.i.memory_size().size() {
            1 => w::B,
            2 => w::W,
            4 => w::D,
            _ => w::Q,
        }
    }

    /// The memory operand.
    pub fn mem(&self) -> Mem {
        let i = self.i;
        let reg = |r: Register| (r != Register::None && !is_ip(r)).then(|| r.number() as u8);
        // An absolute address without registers is as wide as the displacement says.
        let address = match (i.memory_base(), i.memory_index()) {
            (Register::None, Register::None) => match i.memory_displ_size() {
                8 => Width::W64,
                4 if self.mode.code64() => Width::W64,
                4 => Width::W32,
                _ => Width::W16,
            },
            (Register::None, r) | (r, _) => match r.size() {
                8 => Width::W64,
                4 => Width::W32,
                _ => Width::W16,
            },
        };
        // Of a RIP-relative operand `iced-x86` gives the target.
        let disp = i.memory_displacement64() as i64;
        let scale = i.memory_index_scale().trailing_zeros() as u8;
        let m = Mem::new(reg(i.memory_base()), reg(i.memory_index()), scale, disp, address);
        self.in_segment(m, seg(i.memory_segment()))
    }

    /// Operand `n`: memory, or a general register as [`Mem::reg2`].
    pub fn operand(&self, n: u32) -> Mem {
        if self.is_mem(n) { self.mem() } else { Mem::NONE.with2(self.gpr(n)) }
    }

    /// A memory operand put into a segment.
    pub fn in_segment(&self, m: Mem, s: Seg) -> Mem {
        m.segment(s, self.mode.flat(s), self.mode.checked(s), self.mode.code64())
    }

    /// A segment as accesses without a memory operand have it ([`operand::linear`]).
    pub fn seg_bits(&self, s: Seg) -> u8 {
        operand::seg_bits(s, self.mode.flat(s), self.mode.checked(s), self.mode.code64())
    }

    /// Width number of what it pushes or pops: as far as the stack pointer moves.
    pub fn stack_width(&self) -> u8 {
        match self.i.stack_pointer_increment().unsigned_abs() {
            2 => w::W,
            4 => w::D,
            _ => w::Q,
        }
    }

    /// Whether it has a LOCK prefix.
    pub fn lock(&self) -> bool {
        self.i.has_lock_prefix()
    }
}

fn is_ip(r: Register) -> bool {
    matches!(r, Register::RIP | Register::EIP)
}

/// A general register as `Sem`s have it.
pub fn gpr(r: Register) -> Gpr {
    match r {
        Register::AH => Gpr::high(0),
        Register::CH => Gpr::high(1),
        Register::DH => Gpr::high(2),
        Register::BH => Gpr::high(3),
        r => Gpr(r.full_register().number() as u8),
    }
}

/// Width number of a general register.
pub fn width_of(r: Register) -> u8 {
    match r.size() {
        1 => w::B,
        2 => w::W,
        4 => w::D,
        _ => w::Q,
    }
}

/// The segment register.
pub fn seg(r: Register) -> Seg {
    match r {
        Register::ES => Seg::Es,
        Register::CS => Seg::Cs,
        Register::SS => Seg::Ss,
        Register::FS => Seg::Fs,
        Register::GS => Seg::Gs,
        _ => Seg::Ds,
    }
}

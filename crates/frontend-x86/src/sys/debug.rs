//! Debug registers and exceptions: single-stepping and breakpoints (SDM Vol. 3, chapter 17).

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use lyrebird_softmmu::AccessKind;

use super::access::canonical;
use super::control::{cr0, cr4};
use super::gate::Event;
use super::msr::index::DEBUGCTL;
use crate::X86Cpu;
use crate::decode::seg;
use crate::exception::{Fault, Outcome, vector};
use crate::regs::{self, Seg, rflags};

/// Bits of DR6.
pub(crate) mod dr6 {
    /// Always 1.
    pub const FIXED: u64 = 0xffff_0ff0;
    /// Debug registers were accessed.
    pub const BD: u64 = 1 << 13;
    /// Single step.
    pub const BS: u64 = 1 << 14;
    /// Task switch.
    pub const BT: u64 = 1 << 15;
    /// The breakpoints that were hit.
    pub const HITS: u64 = 15;
}

/// Bits of IA32_DEBUGCTL.
mod debugctl {
    /// Last branches are recorded.
    pub const LBR: u64 = 1 << 0;
    /// TF traps branches that are taken, not every instruction.
    pub const BTF: u64 = 1 << 1;
}

/// DR7.GD: accesses to debug registers raise #DB.
const GD: u64 = 1 << 13;
/// Bit 10 of DR7, always 1.
const DR7_FIXED: u64 = 1 << 10;
/// Bits of DR7 that can be set.
const DR7_KNOWN: u64 = 0xffff_23ff;

/// What a breakpoint waits for: DR7's R/W field.
mod wait {
    pub const EXEC: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const IO: u64 = 2;
    pub const ACCESS: u64 = 3;
}

impl X86Cpu {
    /// The number that a debug register's encoding stands for: 4 and 5 are 6 and 7 unless CR4.DE is set.
    fn debug_number(&self, n: u8) -> Outcome<usize> {
        match n {
            4 | 5 if self.control.cr4 & cr4::DE != 0 => Err(Fault::UD),
            4 | 5 => Ok(n as usize + 2),
            0..=7 => Ok(n as usize),
            _ => Err(Fault::UD),
        }
    }

    /// The checks that MOV to and from debug registers share.
    fn debug_access(&mut self, n: u8) -> Outcome<usize> {
        let n = self.debug_number(n)?;
        self.privileged()?;
        if self.dr[7] & GD != 0 {
            self.note_debug(dr6::BD);
            self.dr[7] &= !GD;
            return Err(Fault::plain(vector::DB));
        }
        Ok(n)
    }

    /// MOV from a debug register.
    pub(crate) fn read_debug(&mut self, n: u8) -> Outcome<u64> {
        let n = self.debug_access(n)?;
        Ok(self.dr[n])
    }

    /// MOV to a debug register.
    pub(crate) fn write_debug(&mut self, n: u8, v: u64) -> Outcome<()> {
        let n = self.debug_access(n)?;
        if n >= 6 && v >> 32 != 0 {
            return Err(Fault::gp(0));
        }
        self.dr[n] = match n {
            6 => v & 0xe00f | dr6::FIXED,
            7 => v & DR7_KNOWN | DR7_FIXED,
            _ => v,
        };
        self.context_changed();
        Ok(())
    }

    fn debugctl(&self) -> u64 {
        self.msr.plain.get(&DEBUGCTL).copied().unwrap_or(0)
    }

    /// Notes in DR6 why #DB is raised. Of what is there already, only the breakpoints go (SDM Vol. 3, 17.2.3). #DB also
    /// ends the recording and the trapping of branches (17.4.1).
    pub(crate) fn note_debug(&mut self, why: u64) {
        self.dr[6] = self.dr[6] & !dr6::HITS | why;
        if let Some(v) = self.msr.plain.get_mut(&DEBUGCTL) {
            *v &= !(debugctl::LBR | debugctl::BTF);
        }
    }

    /// Raises #DB behind an instruction that completed, before the one at [`lyrebird_isa::Core::pc`].
    pub(crate) fn debug_trap(&mut self, why: u64) {
        self.note_debug(why);
        let trap = Event { vector: vector::DB, error: None, soft: false, rf: false };
        self.counters.exceptions[vector::DB as usize] += 1;
        if let Err(f) = self.deliver(trap, self.rip()) {
            self.deliver_fault(f);
        }
    }

    /// The breakpoints, enabled or not, that an access of a kind to `bytes` bytes at `va` hits, as DR6 has them; and
    /// whether an enabled one is among them.
    fn hits(&self, kind: impl Fn(u64) -> bool, va: u64, bytes: u64) -> (u64, bool) {
        let (mut bits, mut enabled) = (0, false);
        for i in 0..4 {
            let field = self.dr[7] >> (16 + 4 * i);
            if !kind(field & 3) {
                continue;
            }
            let len = match field >> 2 & 3 {
                0 => 1,
                1 => 2,
                2 => 8,
                _ => 4,
            };
            let at = self.dr[i] & !(len - 1);
            if va < at.wrapping_add(len) && at < va.wrapping_add(bytes) {
                bits |= 1 << i;
                enabled |= self.dr[7] >> (2 * i) & 3 != 0;
            }
        }
        (bits, enabled)
    }

    /// The breakpoints that the data accesses of an instruction will hit, as DR6 has them.
    fn data_hits(&self, i: &Instruction) -> u64 {
        let mut all = 0;
        if matches!(i.mnemonic(), Mnemonic::In | Mnemonic::Out) && self.control.cr4 & cr4::DE != 0 {
            let port = if i.op_kind(0) == OpKind::Immediate8 || i.op_kind(1) == OpKind::Immediate8 {
                i.immediate8() as u64
            } else {
                self.core.reg(regs::RDX) & 0xffff
            };
            let r = if i.mnemonic() == Mnemonic::In { i.op_register(0) } else { i.op_register(1) };
            let (bits, on) = self.hits(|k| k == wait::IO, port, r.size() as u64);
            all |= if on { bits } else { 0 };
        }
        let mut factory = InstructionInfoFactory::new();
        for m in factory.info(i).used_memory() {
            let writes = matches!(
                m.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            let touches = writes || matches!(m.access(), OpAccess::Read | OpAccess::CondRead);
            if !touches {
                continue;
            }
            let Some(va) = m.virtual_address(0, |r, _, _| self.address_part(r)) else { continue };
            let va = self.mode.wrap(va);
            let size = m.memory_size().size().max(1) as u64;
            let kind = |k: u64| k == wait::ACCESS || (writes && k == wait::WRITE);
            let (bits, on) = self.hits(kind, va, size);
            all |= if on { bits } else { 0 };
        }
        all
    }

    /// The instruction in `bytes`, at `pc`.
    fn decoded(&self, bytes: &[u8], pc: u64) -> Instruction {
        Decoder::with_ip(self.mode.code_bits(), bytes, self.rip_of(pc), DecoderOptions::NONE).decode()
    }

    /// Whether the instruction at the PC accesses an address on the stack that is not canonical.
    pub(crate) fn strays_on_stack(&mut self) -> bool {
        let Some((bytes, n)) = self.fetch_bytes() else { return false };
        let i = self.decoded(&bytes[..n], self.core.pc);
        let mut factory = InstructionInfoFactory::new();
        factory.info(&i).used_memory().iter().filter(|m| m.segment() == Register::SS).any(|m| {
            let last = m.memory_size().size().max(1) as u64 - 1;
            m.virtual_address(0, |r, _, _| self.address_part(r))
                .is_some_and(|va| !canonical(va) || !canonical(va.wrapping_add(last)))
        })
    }

    /// Whether an instruction of level 3 accesses memory at an address that is no multiple of the operand's size
    /// (SDM Vol. 3, table 6-7). A page fault comes first.
    fn misaligned(&mut self, i: &Instruction) -> bool {
        let mut factory = InstructionInfoFactory::new();
        factory.info(i).used_memory().iter().any(|m| {
            let size = m.memory_size().size() as u64;
            let Some(va) = m.virtual_address(0, |r, _, _| self.address_part(r)) else { return false };
            let va = self.mode.wrap(va);
            let odd = matches!(size, 2 | 4 | 8) && !va.is_multiple_of(size);
            let read = AccessKind::Read;
            odd && self.mmu.check(&mut self.core, &self.paging, va, size, read, false).is_ok()
        })
    }

    /// A register of an address, or a segment's base.
    fn address_part(&self, r: Register) -> Option<u64> {
        if r.is_segment_register() {
            let s = seg(r);
            let based = !self.mode.code64() || matches!(s, Seg::Fs | Seg::Gs);
            return Some(if based { self.base(s) } else { 0 });
        }
        if !r.is_gpr() {
            return None;
        }
        let v = self.core.regs[r.full_register().number() & 15];
        Some(if r.size() == 8 { v } else { v & (u64::MAX >> (64 - 8 * r.size())) })
    }
}

/// Executes one instruction with the checks of the careful mode around it; whether it completed.
pub(crate) fn execute(cpu: &mut X86Cpu, bytes: &[u8]) -> bool {
    use Mnemonic::{Int, Int1, Int3, Into, Sysret, Sysretq};
    let pc = cpu.core.pc;
    let flags = cpu.core.reg(regs::FLAGS);
    let breakpoints = cpu.dr[7] & 0xff != 0;
    let held = cpu.held.take();
    // None is hit right behind a MOV to SS (SDM Vol. 3, 6.8.3).
    if breakpoints && flags & rflags::RF == 0 && held.is_none() {
        let (bits, on) = cpu.hits(|k| k == wait::EXEC, pc, 1);
        if on {
            cpu.note_debug(bits);
            cpu.deliver_fault(Fault::plain(vector::DB));
            return false;
        }
    }
    let aligned = cpu.cpl == 3 && flags & rflags::AC != 0 && cpu.control.cr0 & cr0::AM != 0;
    let i = cpu.decoded(bytes, pc);
    if aligned && cpu.misaligned(&i) {
        cpu.deliver_fault(Fault::with(vector::AC, 0));
        return false;
    }
    let mut why = if breakpoints { cpu.data_hits(&i) } else { 0 };
    let m = i.mnemonic();
    match held {
        // One exception tells both.
        Some(hits @ 1..) if m == Int1 => cpu.note_debug(hits),
        _ => why |= held.unwrap_or(0),
    }
    let trap_branches = cpu.debugctl() & debugctl::BTF != 0;
    cpu.shadow = false;
    // It is alone as it is: a store to translated code need not stop it.
    cpu.alone = true;
    let done = cpu.execute(bytes);
    cpu.alone = false;
    if !done {
        return false;
    }
    // IRET sets RF for the instruction that it returns to (SDM Vol. 3, 17.3.1.1).
    if flags & rflags::RF != 0 && !matches!(m, Mnemonic::Iret | Mnemonic::Iretd | Mnemonic::Iretq) {
        let flags = cpu.core.reg(regs::FLAGS) & !rflags::RF;
        cpu.core.set_reg(regs::FLAGS, flags);
    }
    // What goes through a gate clears TF before it would count, and SYSRET looks at the new one itself.
    let gate = matches!(m, Int | Int3 | Into | Int1 | Mnemonic::Syscall | Sysret | Sysretq);
    let behind = pc.wrapping_add(i.len() as u64);
    let branched = i.flow_control() != FlowControl::Next && cpu.core.pc != behind;
    if cpu.shadow && m != Mnemonic::Sti {
        // A MOV to SS drops the trap, and holds breakpoints back until the next instruction.
        cpu.held = Some(std::mem::take(&mut why));
    } else if flags & rflags::TF != 0 && !gate && (branched || !trap_branches) {
        why |= dr6::BS;
    }
    if why != 0 {
        cpu.debug_trap(why);
    }
    true
}

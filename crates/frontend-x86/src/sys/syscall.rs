//! Fast system calls: SYSCALL, SYSRET, SYSENTER, SYSEXIT (SDM Vol. 3, 5.8.7 and 5.8.8).

use super::access::canonical;
use super::control::efer;
use super::debug::dr6;
use super::segment::{Segment, attr};
use crate::X86Cpu;
use crate::exception::{Fault, Outcome};
use crate::regs::{self, R11, RCX, RDX, RSP, Seg, rflags};

/// Flags that SYSRET takes from R11.
const SYSRET_FLAGS: u64 = 0x3c_7fd7;

/// A flat code segment: 64-bit, or 32-bit.
const fn flat_code(selector: u16, dpl: u8, long: bool) -> Segment {
    let size = if long { attr::L } else { attr::DB };
    let kind = attr::CODE | attr::RW | attr::ACCESSED;
    Segment { selector, attr: attr::P | attr::S | kind | (dpl as u16) << 5 | attr::G | size, limit: u32::MAX }
}

/// A flat stack segment.
const fn flat_stack(selector: u16, dpl: u8) -> Segment {
    let kind = attr::RW | attr::ACCESSED | attr::DB | attr::G;
    Segment { selector, attr: attr::P | attr::S | kind | (dpl as u16) << 5, limit: u32::MAX }
}

impl X86Cpu {
    /// Enters a level with flat segments.
    fn enter_flat(&mut self, cs: u16, ss: u16, cpl: u8, long: bool, rip: u64) {
        self.cpl = cpl;
        self.put_segment(Seg::Cs, flat_code(cs, cpl, long), 0);
        self.put_segment(Seg::Ss, flat_stack(ss, cpl), 0);
        self.context_changed();
        self.core.pc = self.pc_of(rip);
    }

    /// SYSCALL, with the linear address behind it. In 64-bit code only, as Intel's.
    pub(crate) fn syscall(&mut self, next: u64) -> Outcome<()> {
        if !self.mode.code64() || self.control.efer & efer::SCE == 0 {
            return Err(Fault::UD);
        }
        let flags = self.rflags();
        self.core.set_reg(RCX, next);
        self.core.set_reg(R11, flags & !rflags::RF);
        let new = flags & !self.msr.fmask & !rflags::RF;
        self.put_arithmetic(new);
        self.core.set_reg(regs::FLAGS, new & !rflags::ARITHMETIC | rflags::FIXED);
        let cs = (self.msr.star >> 32) as u16 & !3;
        self.enter_flat(cs, cs.wrapping_add(8), 0, true, self.msr.lstar);
        Ok(())
    }

    /// SYSRET to 64-bit code (`wide`) or compatibility mode.
    pub(crate) fn sysret(&mut self, wide: bool) -> Outcome<()> {
        if !self.mode.code64() || self.control.efer & efer::SCE == 0 {
            return Err(Fault::UD);
        }
        self.privileged()?;
        let rip = self.core.reg(RCX);
        if wide && !canonical(rip) {
            return Err(Fault::gp(0));
        }
        let image = self.core.reg(R11) & SYSRET_FLAGS;
        self.put_arithmetic(image);
        let rf = if self.dr[7] & 0xff == 0 { rflags::RF } else { 0 };
        self.core.set_reg(regs::FLAGS, image & !rflags::ARITHMETIC & !rf | rflags::FIXED);
        let base = (self.msr.star >> 48) as u16;
        let cs = base.wrapping_add(if wide { 16 } else { 0 }) | 3;
        let rip = if wide { rip } else { rip & 0xffff_ffff };
        self.enter_flat(cs, base.wrapping_add(8) | 3, 3, wide, rip);
        if image & rflags::TF != 0 {
            // Unlike IRET it traps at once, before an instruction of level 3.
            self.debug_trap(dr6::BS);
        }
        Ok(())
    }

    /// SYSENTER.
    pub(crate) fn sysenter(&mut self) -> Outcome<()> {
        let [cs, sp, ip] = self.msr.sysenter;
        let cs = cs as u16;
        if !self.mode.protected() || cs & !3 == 0 {
            return Err(Fault::gp(0));
        }
        let long = self.control.long_mode();
        let mask = if long { u64::MAX } else { 0xffff_ffff };
        let flags = self.core.reg(regs::FLAGS) & !(rflags::VM | rflags::IF | rflags::RF);
        self.core.set_reg(regs::FLAGS, flags);
        self.core.set_reg(RSP, sp & mask);
        let cs = cs & !3;
        self.enter_flat(cs, cs.wrapping_add(8), 0, long, ip & mask);
        Ok(())
    }

    /// SYSEXIT to 64-bit code (`wide`) or 32-bit code.
    pub(crate) fn sysexit(&mut self, wide: bool) -> Outcome<()> {
        let cs = self.msr.sysenter[0] as u16;
        if !self.mode.protected() || cs & !3 == 0 {
            return Err(Fault::gp(0));
        }
        self.privileged()?;
        let (sp, ip) = (self.core.reg(RCX), self.core.reg(RDX));
        if wide && !(canonical(sp) && canonical(ip)) {
            return Err(Fault::gp(0));
        }
        let mask = if wide { u64::MAX } else { 0xffff_ffff };
        self.core.set_reg(RSP, sp & mask);
        let cs = cs.wrapping_add(if wide { 32 } else { 16 }) | 3;
        self.enter_flat(cs, cs.wrapping_add(8), 3, wide, ip & mask);
        Ok(())
    }
}

//! I/O ports (SDM Vol. 1, chapter 19).

use lyrebird_isa::Size;

use super::returns::iopl;
use crate::X86Cpu;
use crate::exception::{Fault, Outcome};
use crate::regs;

impl X86Cpu {
    /// #GP(0) unless IOPL or the task's I/O bitmap allows an access of `size` at `port`.
    pub(crate) fn io_allowed(&mut self, port: u16, size: Size) -> Outcome<()> {
        if !self.mode.protected() {
            return Ok(());
        }
        if !self.mode.v8086() && self.cpl <= iopl(self.core.reg(regs::FLAGS)) {
            return Ok(());
        }
        let (tr, base) = self.tr;
        // A 16-bit TSS has no bitmap.
        if tr.attr & 8 == 0 || tr.limit < 0x67 {
            return Err(Fault::gp(0));
        }
        let map = self.load_implicit(base.wrapping_add(0x66), Size::B2)?;
        let at = map + (port as u64 >> 3);
        // Two bytes are looked at always (SDM Vol. 1, 19.5.2).
        if at + 1 > tr.limit as u64 {
            return Err(Fault::gp(0));
        }
        let bits = self.load_implicit(base.wrapping_add(at), Size::B2)? >> (port & 7);
        if bits & ((1 << size.bytes()) - 1) == 0 { Ok(()) } else { Err(Fault::gp(0)) }
    }

    /// IN.
    pub(crate) fn port_in(&mut self, port: u16, size: Size) -> Outcome<u64> {
        self.io_allowed(port, size)?;
        Ok(self.platform.port_in(port, size) as u64 & size.width().mask())
    }

    /// OUT.
    pub(crate) fn port_out(&mut self, port: u16, size: Size, v: u64) -> Outcome<()> {
        self.io_allowed(port, size)?;
        self.platform.port_out(port, size, (v & size.width().mask()) as u32);
        self.follow_a20()
    }
}

//! I/O ports (SDM Vol. 1, chapter 19).

use lyrebird_isa::{Size, Work};

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
        let at = self.io_map()? + (port as u64 >> 3);
        // Two bytes are looked at always (SDM Vol. 1, 19.5.2).
        let bits = self.load_map(at, Size::B2)? >> (port & 7);
        if bits & ((1 << size.bytes()) - 1) == 0 { Ok(()) } else { Err(Fault::gp(0)) }
    }

    /// The offset of the I/O bitmap in the TSS, below which is the interrupt redirection bitmap (SDM Vol. 3, 8.2.1).
    /// A 16-bit TSS has neither: #GP(0).
    pub(crate) fn io_map(&mut self) -> Outcome<u64> {
        let (tr, base) = self.tr;
        if tr.attr & 8 == 0 || tr.limit < 0x67 {
            return Err(Fault::gp(0));
        }
        self.load_implicit(base.wrapping_add(0x66), Size::B2)
    }

    /// Bits of either bitmap from an offset in the TSS. #GP(0) beyond its limit.
    pub(crate) fn load_map(&mut self, at: u64, size: Size) -> Outcome<u64> {
        let (tr, base) = self.tr;
        if at.saturating_add(size.bytes() - 1) > tr.limit as u64 {
            return Err(Fault::gp(0));
        }
        self.load_implicit(base.wrapping_add(at), size)
    }

    /// IN.
    pub(crate) fn port_in(&mut self, port: u16, size: Size) -> Outcome<u64> {
        self.io_allowed(port, size)?;
        let v = self.core.activity.during(Work::Device, || self.platform.port_in(port, size));
        Ok(v as u64 & size.width().mask())
    }

    /// OUT.
    pub(crate) fn port_out(&mut self, port: u16, size: Size, v: u64) -> Outcome<()> {
        self.io_allowed(port, size)?;
        let v = (v & size.width().mask()) as u32;
        self.core.activity.during(Work::Device, || self.platform.port_out(port, size, v));
        self.follow_a20()
    }
}

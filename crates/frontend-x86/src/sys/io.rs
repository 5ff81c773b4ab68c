//! I/O ports and who may use them (SDM Vol. 1, 19.5).

use lyrebird_isa::{MemOp, Size};

use crate::X86Cpu;
use crate::exception::{Fault, Outcome};
use crate::regs::{self, rflags};

/// Offset of the I/O map base in a 32-bit or 64-bit TSS.
const MAP_BASE: u64 = 102;

impl X86Cpu {
    /// #GP unless the port may be accessed: by IOPL, or by the bitmap of the TSS.
    pub(crate) fn io_allowed(&mut self, port: u16, s: Size) -> Outcome<()> {
        let iopl = (self.core.reg(regs::FLAGS) & rflags::IOPL) >> 12;
        if !self.mode.protected() || (!self.mode.v8086() && u64::from(self.cpl) <= iopl) {
            return Ok(());
        }
        let (tss, base) = self.tr;
        let wide = matches!(tss.attr & 15, 9 | 11);
        if !wide || tss.limit < 103 {
            return Err(Fault::gp(0));
        }
        let m = MemOp::new(Size::B2).unpriv();
        let map = self.mmu.load(&mut self.core, &self.paging, base.wrapping_add(MAP_BASE), m)?;
        let at = map + u64::from(port / 8);
        // Two bytes are always read (SDM Vol. 1, 19.5.2).
        if at + 1 > u64::from(tss.limit) {
            return Err(Fault::gp(0));
        }
        let bits = self.mmu.load(&mut self.core, &self.paging, base.wrapping_add(at), m)?;
        if bits >> (port % 8) & ((1 << s.bytes()) - 1) != 0 {
            return Err(Fault::gp(0));
        }
        Ok(())
    }
}

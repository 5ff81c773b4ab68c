//! Entering a kernel without firmware: the states that boot protocols ask for.

use lyrebird_isa::Reg;

use super::X86Cpu;
use crate::exception::Outcome;
use crate::regs::{self, Seg, rflags};
use crate::sys::control::{cr0, cr4, efer};
use crate::sys::segment::{Segment, Table, attr};

/// What a kernel finds in the CPU at its entry point.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Address of the first instruction.
    pub ip: u64,
    /// The page tables' root, for 64-bit code. Without, code is 32-bit and there is no paging.
    pub cr3: Option<u64>,
    /// Where the GDT is, which holds the descriptors that the segment registers are loaded with here.
    pub gdt: Table,
    /// Selector of the flat code segment.
    pub code: u16,
    /// Selector of the flat data segment, in all other segment registers.
    pub data: u16,
    /// Selector of a busy 32-bit TSS at 0, 104 bytes long.
    pub task: u16,
    /// General registers that are not 0.
    pub regs: Vec<(Reg, u64)>,
}

impl X86Cpu {
    /// Puts the CPU, which has just been reset, to the entry point of a kernel: protected mode or 64-bit mode with
    /// flat segments, interrupts disabled.
    ///
    /// # Errors
    /// Page tables that the CPU would refuse to load.
    pub fn start_at(&mut self, entry: &Entry) -> Outcome<()> {
        let long = entry.cr3.is_some();
        let c = &mut self.control;
        c.cr0 = cr0::PE | cr0::ET;
        if let Some(root) = entry.cr3 {
            c.cr0 |= cr0::PG;
            c.cr4 = cr4::PAE;
            c.efer = efer::LME | efer::LMA;
            c.cr3 = root;
        }
        const FLAT: u16 = attr::P | attr::S | attr::RW | attr::ACCESSED | attr::G;
        let code = attr::CODE | FLAT | if long { attr::L } else { attr::DB };
        self.segs[Seg::Cs as usize] = Segment { selector: entry.code, attr: code, limit: u32::MAX };
        for seg in Seg::ALL {
            self.core.set_reg(regs::base(seg), 0);
            if seg != Seg::Cs {
                self.segs[seg as usize] =
                    Segment { selector: entry.data, attr: FLAT | attr::DB, limit: u32::MAX };
            }
        }
        self.gdtr = entry.gdt;
        self.idtr = Table { base: 0, limit: 0 };
        self.ldtr = (Segment::NULL, 0);
        // Type 11, busy 32-bit TSS.
        self.tr = (Segment { selector: entry.task, attr: attr::P | 11, limit: 0x67 }, 0);
        for n in 0..16 {
            self.core.set_reg(Reg(n), 0);
        }
        for (reg, value) in &entry.regs {
            self.core.set_reg(*reg, *value);
        }
        self.set_rflags(rflags::FIXED);
        self.core.pc = entry.ip;
        self.paging_changed()
    }
}

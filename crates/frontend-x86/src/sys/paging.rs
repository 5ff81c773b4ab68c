//! Paging as the CPU's registers say (SDM Vol. 3, chapter 4); the walkers are `softmmu`'s.

use lyrebird_softmmu::{AccessKind, MemType, PhysMem, Regime, Translation};

/// Why a translation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFault {
    /// #PF.
    Page {
        /// The linear address, for CR2.
        va: u64,
        /// Error code.
        error: u32,
    },
    /// The address is not canonical: #GP, or #SS on the stack.
    NonCanonical,
}

/// Paging in its current state.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    /// Accesses are a user's.
    pub user: bool,
    /// EFLAGS.AC.
    pub ac: bool,
}

impl Paging {
    /// No paging: physical addresses are linear ones.
    pub const OFF: Paging = Paging { user: false, ac: false };

    /// The number of the address space.
    pub fn asid(&self) -> u16 {
        0
    }

    /// The class of the TLB context: what else than the address space permissions depend on.
    pub fn class(&self, cpl: u8, _flags: u64) -> u8 {
        (cpl == 3) as u8
    }
}

impl Regime for Paging {
    type Fault = PageFault;

    fn translate(
        &self,
        _phys: &PhysMem,
        va: u64,
        _kind: AccessKind,
        _unpriv: bool,
    ) -> Result<Translation, PageFault> {
        Ok(Translation {
            pa: va & 0xffff_ffff,
            page_bits: 12,
            read: true,
            write: true,
            exec: true,
            mem: MemType::Normal,
            global: true,
        })
    }
}

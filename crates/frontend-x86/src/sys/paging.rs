//! Paging as the CPU's registers say (SDM Vol. 3, chapter 4); the walkers are `softmmu`'s.

use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::walk::x86::pae::Pdptes;
use lyrebird_softmmu::walk::x86::{Access, Control, Privilege, four_level, pae, rights_of, two_level};
use lyrebird_softmmu::{
    AccessKind, ClassMask, MemType, MmuConfig, PhysMem, Regime, Rights, SpaceDesc, Translation,
};

use super::access::canonical;
use super::control::{cr0, cr4, efer};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::exception::{Fault, Outcome};
use crate::regs::{self, rflags};

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

/// The paging modes (SDM Vol. 3, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Off,
    TwoLevel,
    Pae(Pdptes),
    FourLevel,
}

/// Paging in its current state.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    format: Format,
    control: Control,
    cr3: u64,
    pcid: u16,
    space: u16,
    /// CPL is 3.
    pub(crate) user: bool,
    /// EFLAGS.AC.
    pub(crate) ac: bool,
    /// Physical address bits that get through: bit 20 may be masked.
    wires: u64,
}

/// Classes of TLB contexts.
mod class {
    pub const SUPERVISOR: u8 = 0;
    pub const USER: u8 = 1;
    /// Supervisor with EFLAGS.AC overriding SMAP.
    pub const OVERRIDE: u8 = 2;
}

/// All of them.
pub(crate) const CLASSES: ClassMask =
    ClassMask::of(class::SUPERVISOR).with(class::USER).with(class::OVERRIDE);

impl Paging {
    /// No paging: physical addresses are linear ones.
    pub const OFF: Paging = Paging {
        format: Format::Off,
        control: Control {
            wp: false,
            pse: false,
            pge: false,
            smep: false,
            smap: false,
            nxe: false,
            max_phy_addr: 40,
            pat: true,
            gib_pages: false,
        },
        cr3: 0,
        pcid: 0,
        space: 0,
        user: false,
        ac: false,
        wires: u64::MAX,
    };

    /// The PCID, 0 without.
    pub fn pcid(&self) -> u16 {
        self.pcid
    }

    /// What stands for the address space in contexts of the MMU.
    pub(crate) fn space_id(&self) -> u16 {
        self.space
    }

    /// The address space for shadow tables. None is kept while an address line is masked.
    fn space(&self) -> Option<SpaceDesc> {
        let c = &self.control;
        let desc = match &self.format {
            Format::Off => return None,
            Format::TwoLevel => two_level::space(c, self.cr3),
            Format::Pae(p) => pae::space(c, p),
            Format::FourLevel => four_level::space(c, self.cr3),
        };
        (self.wires == u64::MAX).then_some(desc)
    }

    /// With whose privilege an access is made.
    fn privilege(&self, implicit: bool) -> Privilege {
        if implicit {
            Privilege::Implicit
        } else if self.user {
            Privilege::User
        } else {
            Privilege::Supervisor { ac: self.ac }
        }
    }

    /// The class of the TLB context of explicit accesses.
    pub fn class(&self, cpl: u8, flags: u64) -> u8 {
        if cpl == 3 {
            class::USER
        } else if self.control.smap && flags & rflags::AC != 0 {
            class::OVERRIDE
        } else {
            class::SUPERVISOR
        }
    }

    /// The class of implicit supervisor accesses.
    pub const fn implicit_class(&self) -> u8 {
        class::SUPERVISOR
    }
}

impl Regime for Paging {
    type Fault = PageFault;

    const OPEN_BUS: bool = true;
    const ATOMICS_ANYWHERE: bool = true;

    fn rights(&self, flags: u16, implicit: bool) -> Rights {
        rights_of(&self.control, self.privilege(implicit), flags)
    }

    fn walk(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        implicit: bool,
        path: &mut Path,
    ) -> Result<Translation, PageFault> {
        path.clear();
        let access = Access { kind, privilege: self.privilege(implicit) };
        let c = &self.control;
        let r = match &self.format {
            Format::Off => Ok(Translation {
                pa: va & 0xffff_ffff,
                page_bits: 12,
                read: true,
                write: true,
                exec: true,
                mem: MemType::Normal,
                global: true,
            }),
            Format::TwoLevel => two_level::translate(phys, c, self.cr3, va & 0xffff_ffff, access, path),
            Format::Pae(p) => pae::translate(phys, c, p, va & 0xffff_ffff, access, path),
            Format::FourLevel => {
                if !canonical(va) {
                    return Err(PageFault::NonCanonical);
                }
                four_level::translate(phys, c, self.cr3, va, access, path)
            }
        };
        match r {
            Ok(t) => Ok(Translation { pa: t.pa & self.wires, ..t }),
            Err(f) => Err(PageFault::Page { va, error: f.code }),
        }
    }

    fn next_page(&self, va: u64) -> u64 {
        let next = (va & !0xfff).wrapping_add(0x1000);
        if self.format == Format::FourLevel { next } else { next & 0xffff_ffff }
    }
}

impl X86Cpu {
    /// Follows a change of CR0, CR3, CR4, EFER or A20, made by an instruction or by a loader. In PAE paging the PDPTEs are loaded, #GP if one has a reserved
    /// bit set (SDM Vol. 3, 4.4.1). TLB contents are the caller's concern.
    pub fn paging_changed(&mut self) -> Outcome<()> {
        let c = &self.control;
        let control = Control {
            wp: c.cr0 & cr0::WP != 0,
            pse: c.cr4 & cr4::PSE != 0,
            pge: c.cr4 & cr4::PGE != 0,
            smep: c.cr4 & cr4::SMEP != 0,
            smap: c.cr4 & cr4::SMAP != 0,
            nxe: c.efer & efer::NXE != 0,
            max_phy_addr: self.model.phys_bits,
            pat: self.model.has(Feature::Pat),
            gib_pages: self.model.has(Feature::Page1gb),
        };
        let format = if c.cr0 & cr0::PG == 0 {
            Format::Off
        } else if c.efer & efer::LMA != 0 {
            Format::FourLevel
        } else if c.cr4 & cr4::PAE != 0 {
            let p = Pdptes::load(&**self.mmu.phys(), &control, c.cr3);
            Format::Pae(p.map_err(|_| Fault::gp(0))?)
        } else {
            Format::TwoLevel
        };
        self.paging = Paging {
            format,
            control,
            cr3: c.cr3,
            pcid: if c.cr4 & cr4::PCIDE != 0 { c.cr3 as u16 & 0xfff } else { 0 },
            space: 0,
            user: self.cpl == 3,
            ac: self.core.reg(regs::FLAGS) & rflags::AC != 0,
            wires: if self.platform.a20_masked() { !(1 << 20) } else { u64::MAX },
        };
        self.enter_space();
        Ok(())
    }

    fn enter_space(&mut self) {
        let (space, pcid) = (self.paging.space(), self.paging.pcid);
        self.paging.space = self.mmu.enter(&mut self.core, space.as_ref(), pcid);
        self.context_changed();
    }

    /// Sets how translations are kept.
    pub fn configure_mmu(&mut self, config: &MmuConfig) {
        self.mmu.configure(&mut self.core, config);
        self.enter_space();
    }

    /// Follows the A20 gate, which what was just written to a port may have moved.
    pub(crate) fn follow_a20(&mut self) -> Outcome<()> {
        let masked = self.paging.wires != u64::MAX;
        if self.platform.a20_masked() != masked {
            self.paging_changed()?;
            self.flush_tlb();
        }
        Ok(())
    }

    /// Drops every translation.
    pub(crate) fn flush_tlb(&mut self) {
        self.mmu.flush_all(&mut self.core, CLASSES);
    }
}

//! Control registers (SDM Vol. 3, 2.5) and the extended feature enable register.

use lyrebird_isa::Size;

use super::access::canonical;
use super::paging::CLASSES;
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::exception::{Fault, Outcome};
use crate::regs::Seg;

/// Bits of CR0.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod cr0 {
    pub const PE: u64 = 1 << 0;
    pub const MP: u64 = 1 << 1;
    pub const EM: u64 = 1 << 2;
    pub const TS: u64 = 1 << 3;
    pub const ET: u64 = 1 << 4;
    pub const NE: u64 = 1 << 5;
    pub const WP: u64 = 1 << 16;
    pub const AM: u64 = 1 << 18;
    pub const NW: u64 = 1 << 29;
    pub const CD: u64 = 1 << 30;
    pub const PG: u64 = 1 << 31;
}

/// Bits of CR4.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod cr4 {
    pub const VME: u64 = 1 << 0;
    pub const PVI: u64 = 1 << 1;
    pub const TSD: u64 = 1 << 2;
    pub const DE: u64 = 1 << 3;
    pub const PSE: u64 = 1 << 4;
    pub const PAE: u64 = 1 << 5;
    pub const MCE: u64 = 1 << 6;
    pub const PGE: u64 = 1 << 7;
    pub const PCE: u64 = 1 << 8;
    pub const OSFXSR: u64 = 1 << 9;
    pub const OSXMMEXCPT: u64 = 1 << 10;
    pub const UMIP: u64 = 1 << 11;
    pub const FSGSBASE: u64 = 1 << 16;
    pub const PCIDE: u64 = 1 << 17;
    pub const OSXSAVE: u64 = 1 << 18;
    pub const SMEP: u64 = 1 << 20;
    pub const SMAP: u64 = 1 << 21;
}

/// Bits of IA32_EFER.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod efer {
    pub const SCE: u64 = 1 << 0;
    pub const LME: u64 = 1 << 8;
    pub const LMA: u64 = 1 << 10;
    pub const NXE: u64 = 1 << 11;
}

/// Bits of XCR0.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod xcr0 {
    pub const X87: u64 = 1 << 0;
    pub const SSE: u64 = 1 << 1;
    pub const AVX: u64 = 1 << 2;
}

/// The control registers.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// CR0.
    pub cr0: u64,
    /// CR2: the linear address of the last page fault.
    pub cr2: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// IA32_EFER.
    pub efer: u64,
    /// XCR0.
    pub xcr0: u64,
}

impl Control {
    /// After RESET.
    pub const fn reset() -> Control {
        Control { cr0: cr0::CD | cr0::NW | cr0::ET, cr2: 0, cr3: 0, cr4: 0, efer: 0, xcr0: xcr0::X87 }
    }

    /// IA-32e mode is active, in 64-bit or compatibility submode.
    pub const fn long_mode(&self) -> bool {
        self.efer & efer::LMA != 0
    }
}

impl X86Cpu {
    /// MOV from CR0, CR2, CR3, CR4 or CR8.
    pub(crate) fn read_control(&mut self, n: u8) -> Outcome<u64> {
        self.privileged()?;
        Ok(match n {
            0 => self.control.cr0,
            2 => self.control.cr2,
            3 => self.control.cr3,
            4 => self.control.cr4,
            8 => self.platform.cr8(),
            _ => return Err(Fault::UD),
        })
    }

    /// MOV to them (SDM Vol. 2, MOV to control registers).
    pub(crate) fn write_control(&mut self, n: u8, v: u64) -> Outcome<()> {
        self.privileged()?;
        match n {
            0 => self.write_cr0(v),
            2 => {
                self.control.cr2 = v;
                Ok(())
            }
            3 => self.write_cr3(v),
            4 => self.write_cr4(v),
            8 if v > 15 => Err(Fault::gp(0)),
            8 => {
                self.platform.set_cr8(v);
                Ok(())
            }
            _ => Err(Fault::UD),
        }
    }

    /// Makes a new set of control registers count, or raises #GP and keeps the old.
    fn control_changed(&mut self, new: Control) -> Outcome<()> {
        let old = std::mem::replace(&mut self.control, new);
        self.paging_changed().inspect_err(|_| self.control = old)
    }

    /// CR0, with the checks of SDM Vol. 3, 2.5, 4.1.2 and 9.8.5.
    pub(crate) fn write_cr0(&mut self, v: u64) -> Outcome<()> {
        const KNOWN: u64 =
            cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
        let bad = Err(Fault::gp(0));
        if v >> 32 != 0 {
            return bad;
        }
        let on = |bit: u64| v & bit != 0;
        if (on(cr0::PG) && !on(cr0::PE)) || (on(cr0::NW) && !on(cr0::CD)) {
            return bad;
        }
        let mut new = Control { cr0: v & KNOWN | cr0::ET, ..self.control };
        let changed = self.control.cr0 ^ new.cr0;
        let code64 = self.segs[Seg::Cs as usize].long();
        if changed & cr0::PG != 0 {
            if on(cr0::PG) && new.efer & efer::LME != 0 {
                if new.cr4 & cr4::PAE == 0 || code64 {
                    return bad;
                }
                new.efer |= efer::LMA;
            } else if !on(cr0::PG) {
                if new.cr4 & cr4::PCIDE != 0 || self.mode.code64() {
                    return bad;
                }
                new.efer &= !efer::LMA;
            }
        }
        if changed & (cr0::PG | cr0::PE | cr0::WP | cr0::CD | cr0::NW) != 0 {
            self.control_changed(new)?;
            if changed & (cr0::PG | cr0::PE | cr0::WP) != 0 {
                self.flush_tlb();
            }
        } else {
            self.control = new;
            self.context_changed();
        }
        Ok(())
    }

    fn write_cr3(&mut self, v: u64) -> Outcome<()> {
        const KEEP: u64 = 1 << 63;
        let pcids = self.control.cr4 & cr4::PCIDE != 0;
        let (value, keep) = if pcids { (v & !KEEP, v & KEEP != 0) } else { (v, false) };
        if self.control.long_mode() && value >> self.model.phys_bits != 0 {
            return Err(Fault::gp(0));
        }
        self.control_changed(Control { cr3: value, ..self.control })?;
        if !keep {
            let asid = self.paging.pcid();
            self.mmu.flush_asid(&mut self.core, asid, CLASSES);
        }
        Ok(())
    }

    /// The bits of CR4 that the model has.
    fn cr4_known(&self) -> u64 {
        use Feature::*;
        let bit = |f: Feature, b: u64| if self.model.has(f) { b } else { 0 };
        bit(Vme, cr4::VME | cr4::PVI)
            | bit(Tsc, cr4::TSD)
            | bit(De, cr4::DE)
            | bit(Pse, cr4::PSE)
            | bit(Pae, cr4::PAE)
            | bit(Mce, cr4::MCE)
            | bit(Pge, cr4::PGE)
            | bit(Msr, cr4::PCE)
            | bit(Fxsr, cr4::OSFXSR)
            | bit(Sse, cr4::OSXMMEXCPT)
            | bit(Umip, cr4::UMIP)
            | bit(Fsgsbase, cr4::FSGSBASE)
            | bit(Pcid, cr4::PCIDE)
            | bit(Xsave, cr4::OSXSAVE)
            | bit(Smep, cr4::SMEP)
            | bit(Smap, cr4::SMAP)
    }

    fn write_cr4(&mut self, v: u64) -> Outcome<()> {
        let long = self.control.long_mode();
        let old = self.control.cr4;
        let changed = old ^ v;
        let pcids = changed & v & cr4::PCIDE != 0 && (!long || self.control.cr3 & 0xfff != 0);
        if v & !self.cr4_known() != 0 || (long && v & cr4::PAE == 0) || pcids {
            return Err(Fault::gp(0));
        }
        const PAGING: u64 = cr4::PSE | cr4::PAE | cr4::PGE | cr4::PCIDE | cr4::SMEP | cr4::SMAP;
        let new = Control { cr4: v, ..self.control };
        if changed & PAGING != 0 {
            self.control_changed(new)?;
            self.flush_tlb();
        } else {
            self.control = new;
            self.context_changed();
        }
        Ok(())
    }

    /// LMSW: the low four bits of CR0, of which PE cannot be cleared.
    pub(crate) fn lmsw(&mut self, v: u16) -> Outcome<()> {
        self.privileged()?;
        let pe = self.control.cr0 & cr0::PE;
        self.write_cr0(self.control.cr0 & !15 | v as u64 & 15 | pe)
    }

    /// CLTS.
    pub(crate) fn clts(&mut self) -> Outcome<()> {
        self.privileged()?;
        self.control.cr0 &= !cr0::TS;
        self.context_changed();
        Ok(())
    }

    /// INVLPG. An address that is not canonical has no translation.
    pub(crate) fn invlpg(&mut self, va: u64) -> Outcome<()> {
        self.privileged()?;
        let asid = self.paging.pcid();
        self.mmu.flush_va(&mut self.core, va, Some(asid), CLASSES);
        Ok(())
    }

    /// INVPCID with a descriptor at linear address `va` (SDM Vol. 2, INVPCID).
    pub(crate) fn invpcid(&mut self, kind: u64, va: u64) -> Outcome<()> {
        self.privileged()?;
        let low = self.load_at(va, Size::B8, false)?;
        let address = self.load_at(va.wrapping_add(8), Size::B8, false)?;
        let pcid = low as u16;
        let pcids = self.control.cr4 & cr4::PCIDE != 0;
        if low >> 12 != 0
            || kind > 3
            || (kind < 2 && pcid != 0 && !pcids)
            || (kind == 0 && !canonical(address))
        {
            return Err(Fault::gp(0));
        }
        let core = &mut self.core;
        match kind {
            0 => self.mmu.flush_va(core, address, Some(pcid), CLASSES),
            1 => self.mmu.flush_asid(core, pcid, CLASSES),
            2 => self.mmu.flush_all(core, CLASSES),
            _ => self.mmu.flush_private(core, CLASSES),
        }
        Ok(())
    }

    /// XSETBV.
    pub(crate) fn xsetbv(&mut self, n: u32, v: u64) -> Outcome<()> {
        if self.control.cr4 & cr4::OSXSAVE == 0 {
            return Err(Fault::UD);
        }
        self.privileged()?;
        let known = xcr0::X87 | xcr0::SSE | if self.model.has(Feature::Avx) { xcr0::AVX } else { 0 };
        let avx_alone = v & (xcr0::AVX | xcr0::SSE) == xcr0::AVX;
        if n != 0 || v & xcr0::X87 == 0 || v & !known != 0 || avx_alone {
            return Err(Fault::gp(0));
        }
        self.control.xcr0 = v;
        self.context_changed();
        Ok(())
    }

    /// XGETBV. Register 1 is what XSAVEOPT would save: all that is enabled.
    pub(crate) fn xgetbv(&mut self, n: u32) -> Outcome<u64> {
        if self.control.cr4 & cr4::OSXSAVE == 0 {
            return Err(Fault::UD);
        }
        if n == 0 { Ok(self.control.xcr0) } else { Err(Fault::gp(0)) }
    }

    /// HLT.
    pub(crate) fn halt(&mut self) -> Outcome<()> {
        self.privileged()?;
        self.halted = true;
        self.shadow = false;
        Ok(())
    }
}

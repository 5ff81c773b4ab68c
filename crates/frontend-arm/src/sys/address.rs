//! Translation regimes: from TCR, TTBR, MAIR, SCTLR and PSTATE to translations, contexts and fault codes.

use lyrebird_softmmu::walk::path::Path;
use lyrebird_softmmu::walk::vmsa64::{self, Access, Granule, Half, Params, WalkFault, WalkFaultKind, Walked};
use lyrebird_softmmu::{
    AccessKind, ClassMask, ContextKey, MemError, MemFault, MemType, MmuConfig, PhysMem, Regime, Rights,
    SpaceDesc, Translation,
};

use super::{sctlr, tcr};
use crate::ArmCpu;
use crate::exception::{ISS_WNR, Recorded, ec};

/// DFSC and IFSC of an alignment fault.
pub const ALIGNMENT: u32 = 0b10_0001;
/// DFSC and IFSC of a synchronous External abort that is not on a table walk.
pub const EXTERNAL: u32 = 0b01_0000;

/// DFSC and IFSC of a failed walk (Arm ARM D17.2, ESR_ELx, ISS of aborts).
pub fn fault_status(f: WalkFault) -> u32 {
    let level = f.level as u32 & 3;
    match f.kind {
        WalkFaultKind::AddressSize => level,
        WalkFaultKind::Translation => 0b00_0100 | level,
        WalkFaultKind::AccessFlag => 0b00_1000 | level,
        WalkFaultKind::Permission => 0b00_1100 | level,
        WalkFaultKind::External => 0b01_0100 | level,
    }
}

/// Context classes: what changes permissions or mappings without TLB maintenance.
mod class {
    /// EL1 without PAN.
    pub const EL1: u8 = 0;
    /// EL1 with PAN.
    pub const EL1_PAN: u8 = 1;
    /// EL0, and unprivileged accesses from EL1.
    pub const EL0: u8 = 2;
    /// Stage 1 off.
    pub const OFF: u8 = 3;
    /// Added where SCTLR_ELx.A checks the alignment of all accesses.
    pub const ALIGN: u8 = 4;
    /// Added for EL2; twice for EL3.
    pub const HIGHER: u8 = 8;
}

/// Classes of the EL1&0 regime.
pub const EL10_CLASSES: ClassMask = ClassMask(0xff);

/// A stage 1 regime as the current state sets it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regime1 {
    /// Tables and their format.
    pub params: Params,
    /// SCTLR_ELx.M.
    pub on: bool,
    /// SCTLR_ELx.A: every access must be aligned.
    pub align: bool,
    /// Accesses are EL0's.
    pub el0: bool,
    /// PSTATE.PAN, where it applies.
    pub pan: bool,
    /// Implemented physical address bits.
    pub pa_bits: u8,
}

impl Regime1 {
    /// Nothing set up yet.
    pub(crate) const OFF: Regime1 = {
        let half = Half { ttbr: 0, tsz: 0, granule: Granule::K4, tbi: false, epd: false };
        Regime1 {
            params: Params { lower: half, upper: Some(half), ps: 0, mair: 0, wxn: false },
            on: false,
            align: false,
            el0: false,
            pan: false,
            pa_bits: 48,
        }
    };

    /// Walks, or maps flat where stage 1 is off.
    ///
    /// # Errors
    /// The fault of the walk.
    pub fn lookup(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
    ) -> Result<Walked, WalkFault> {
        self.lookup_path(phys, va, kind, unpriv, &mut Path::default())
    }

    fn lookup_path(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        path: &mut Path,
    ) -> Result<Walked, WalkFault> {
        path.clear();
        if !self.on {
            return self.flat(va);
        }
        let el0 = self.el0 || unpriv;
        let access = Access { kind, el0, pan: self.pan && !el0 };
        vmsa64::walk_path(&self.params, va, access, |pa| phys.read_word(pa).ok(), path)
    }

    /// Where all accesses must be aligned, memory is treated as Device: its accesses go the slow way, which checks.
    fn memory(&self, mem: MemType) -> MemType {
        if self.align { MemType::Device } else { mem }
    }

    /// The address space for shadow tables. The upper half begins with the same tables at EL0 and EL1.
    fn space(&self, el: u8) -> Option<SpaceDesc> {
        self.on.then(|| self.params.space(el.max(1)))
    }

    /// Stage 1 off: data is Device-nGnRnE, everything is executable, and the address must be one that the core
    /// can put out (Arm ARM D8.2.10).
    fn flat(&self, va: u64) -> Result<Walked, WalkFault> {
        let half = match &self.params.upper {
            Some(h) if va & 1 << 55 != 0 => h,
            _ => &self.params.lower,
        };
        let pa = if half.tbi { va & ((1 << 56) - 1) } else { va };
        if pa >> self.pa_bits != 0 {
            return Err(WalkFault { kind: WalkFaultKind::AddressSize, level: 0 });
        }
        Ok(Walked {
            pa,
            page_bits: 12,
            level: 0,
            read: true,
            write: true,
            exec: true,
            global: true,
            attr: 0,
            sh: 0b10,
            mem: MemType::Device,
        })
    }
}

impl Regime1 {
    /// The address that a branch to `va` goes to: without its tag where the top byte is ignored
    /// (AArch64.BranchAddr).
    pub fn branch_address(&self, va: u64) -> u64 {
        match &self.params.upper {
            Some(h) if va & 1 << 55 != 0 => {
                if h.tbi {
                    va | 0xff << 56
                } else {
                    va
                }
            }
            _ if self.params.lower.tbi => va & !(0xff << 56),
            _ => va,
        }
    }
}

impl Regime for Regime1 {
    type Fault = WalkFault;

    fn walk(
        &self,
        phys: &PhysMem,
        va: u64,
        kind: AccessKind,
        unpriv: bool,
        path: &mut Path,
    ) -> Result<Translation, WalkFault> {
        let w = self.lookup_path(phys, va, kind, unpriv, path)?;
        Ok(Translation {
            pa: w.pa,
            page_bits: w.page_bits,
            read: w.read,
            write: w.write,
            exec: w.exec,
            mem: self.memory(w.mem),
            global: w.global,
        })
    }

    fn rights(&self, flags: u16, unpriv: bool) -> Rights {
        let el0 = self.el0 || unpriv;
        let r = vmsa64::rights(&self.params, flags, el0, self.pan && !el0);
        Rights { mem: self.memory(r.mem), ..r }
    }
}

impl ArmCpu {
    /// The regime that accesses from `el` use, with the privilege of the current state.
    pub(crate) fn regime_of(&self, el: u8) -> Regime1 {
        let x = (el & 3).max(1) as usize;
        let t = self.sys.tcr[x];
        let c = self.sys.sctlr[x];
        let el10 = x == 1;
        let lower = Half {
            ttbr: self.sys.ttbr0[x],
            tsz: (t & 63) as u8,
            granule: Granule::from_tg0(t >> 14),
            tbi: t & if el10 { tcr::TBI0 } else { 1 << 20 } != 0,
            epd: el10 && t & 1 << 7 != 0,
        };
        let upper = el10.then(|| Half {
            ttbr: self.sys.ttbr1,
            tsz: (t >> 16 & 63) as u8,
            granule: Granule::from_tg1(t >> 30),
            tbi: t & tcr::TBI1 != 0,
            epd: t & 1 << 23 != 0,
        });
        let ps = (if el10 { t >> 32 } else { t >> 16 }) & 7;
        Regime1 {
            params: Params {
                lower,
                upper,
                // Not more than the core implements.
                ps: (ps as u8).min(self.model.pa_range() as u8),
                mair: self.sys.mair[x],
                wxn: c & sctlr::WXN != 0,
            },
            on: c & sctlr::M != 0,
            align: c & sctlr::A != 0,
            el0: el == 0,
            pan: el == 1 && self.pstate.pan,
            pa_bits: self.model.pa_bits,
        }
    }

    /// The current ASID (TCR_EL1.A1 and AS).
    fn asid(&self) -> u16 {
        let t = self.sys.tcr[1];
        let ttbr = if t & tcr::A1 != 0 { self.sys.ttbr1 } else { self.sys.ttbr0[1] };
        self.asid_in_use((ttbr >> 48) as u16)
    }

    /// An ASID with the bits that TCR_EL1.AS leaves.
    pub(crate) fn asid_in_use(&self, asid: u16) -> u16 {
        if self.sys.tcr[1] & tcr::AS != 0 { asid } else { asid & 0xff }
    }

    /// TTBR, TCR, MAIR or SCTLR changed.
    pub(crate) fn tables_changed(&mut self) {
        let el = self.pstate.el;
        self.regime = self.regime_of(el);
        let space = self.regime.space(el);
        let asid = if el < 2 && self.regime.on { self.asid() } else { 0 };
        self.space = self.mmu.enter(&mut self.core, space.as_ref(), asid);
        self.context_changed();
    }

    /// Sets how translations are kept.
    pub fn configure_mmu(&mut self, config: &MmuConfig) {
        self.mmu.configure(&mut self.core, config);
        self.tables_changed();
    }

    /// Brings mode bits and the MMU's context up to date after a change of PSTATE or of what the mode shows.
    pub(crate) fn context_changed(&mut self) {
        let el = self.pstate.el;
        let r = &mut self.regime;
        r.el0 = el == 0;
        r.pan = el == 1 && self.pstate.pan;
        self.update_mode();
        let r = &self.regime;
        let align = if r.align { class::ALIGN } else { 0 };
        let asid = self.space;
        let key = |c: u8| ContextKey { asid, class: c + align };
        let (cur, unpriv) = match el {
            _ if !r.on => {
                let k = ContextKey { asid, class: class::OFF + class::HIGHER * el.saturating_sub(1) };
                (k, k)
            }
            0 => (key(class::EL0), key(class::EL0)),
            1 => (key(if r.pan { class::EL1_PAN } else { class::EL1 }), key(class::EL0)),
            _ => {
                let k = key(class::HIGHER * (el - 1));
                (k, k)
            }
        };
        self.mmu.switch(&mut self.core, cur, unpriv, self.mode as u16);
    }

    /// Records a data abort with fault status `dfsc`; `iss` are further bits of the syndrome.
    pub(crate) fn data_abort(&mut self, va: u64, dfsc: u32, iss: u32) {
        self.raise(Recorded { ec: ec::DATA_ABORT, iss: dfsc | iss, far: Some(va), after: false });
    }

    /// Records the abort for a failed access.
    #[cold]
    pub(crate) fn memory_fault(&mut self, e: MemError<WalkFault>) {
        let status = match e.fault {
            MemFault::Translation(f) => fault_status(f),
            MemFault::Alignment => ALIGNMENT,
            MemFault::External { .. } => EXTERNAL,
        };
        match e.kind {
            AccessKind::Exec => {
                self.raise(Recorded { ec: ec::INSN_ABORT, iss: status, far: Some(e.va), after: false });
            }
            AccessKind::Read => self.data_abort(e.va, status, 0),
            AccessKind::Write => self.data_abort(e.va, status, ISS_WNR),
        }
    }
}

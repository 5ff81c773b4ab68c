//! System instructions: cache maintenance, address translation, TLB maintenance (Arm ARM C5.3 to C5.5).
//!
//! Guest memory is coherent with everything that reads it, and stores to translated code are noticed, so that
//! cache maintenance has nothing to do but fault where the architecture says so.

use lyrebird_softmmu::{AccessKind, MemError};

use super::address::{self, Regime1};
use super::id::ZVA_BYTES;
use super::{SysReg, Write, sctlr};
use crate::ArmCpu;
use crate::a64::table::Feature;
use crate::exception::ISS_CM;

/// A cache operation by set and way, or on everything: nothing to do.
const fn whole(name: &'static str, enc: [u16; 5]) -> SysReg {
    SysReg::new(name, enc).set(1, Write::Nop)
}

/// A cache operation by address that EL0 may use where SCTLR_EL1.UCI allows.
const fn line(name: &'static str, enc: [u16; 5]) -> SysReg {
    SysReg::new(name, enc).set(0, Write::MayFault(|c, va| c.cache_op(va, AccessKind::Read))).el0(uci)
}

fn uci(c: &ArmCpu, _: bool) -> bool {
    c.sys.sctlr[1] & sctlr::UCI != 0
}

/// An address translation operation.
const fn at(name: &'static str, op: [u16; 3], f: fn(&mut ArmCpu, u64)) -> SysReg {
    SysReg::new(name, [1, op[0], 7, op[1], op[2]]).set(1, Write::MayFault(f))
}

/// A TLB operation of the EL1&0 regime: local (CRm 7) or inner shareable (CRm 3).
const fn tlbi(name: &'static str, crm: u16, op2: u16, f: fn(&mut ArmCpu, u64)) -> SysReg {
    SysReg::new(name, [1, 0, 8, crm, op2]).set(1, Write::MayFault(f)).sync()
}

/// A TLB operation of a higher level.
const fn tlbi_high(name: &'static str, el: u8, op1: u16, crm: u16, op2: u16) -> SysReg {
    SysReg::new(name, [1, op1, 8, crm, op2]).set(el, Write::MayFault(|c, _| c.flush_tlb())).sync()
}

pub(super) static ROWS: &[SysReg] = &[
    whole("IC IALLUIS", [1, 0, 7, 1, 0]),
    whole("IC IALLU", [1, 0, 7, 5, 0]),
    line("IC IVAU", [1, 3, 7, 5, 1]),
    // Invalidation may lose data, and so needs write permission (Arm ARM D8.14.5).
    SysReg::new("DC IVAC", [1, 0, 7, 6, 1])
        .set(1, Write::MayFault(|c, va| c.cache_op(va, AccessKind::Write))),
    whole("DC ISW", [1, 0, 7, 6, 2]),
    whole("DC CSW", [1, 0, 7, 10, 2]),
    whole("DC CISW", [1, 0, 7, 14, 2]),
    SysReg::new("DC ZVA", [1, 3, 7, 4, 1])
        .set(0, Write::MayFault(|c, va| c.zero_block(va)))
        .el0(|c, _| c.sys.sctlr[1] & sctlr::DZE != 0),
    line("DC CVAC", [1, 3, 7, 10, 1]),
    line("DC CVAU", [1, 3, 7, 11, 1]),
    line("DC CVAP", [1, 3, 7, 12, 1]).when(Feature::Dpb),
    line("DC CIVAC", [1, 3, 7, 14, 1]),
    at("AT S1E1R", [0, 8, 0], |c, va| c.address_translate(va, AccessKind::Read, false, false)),
    at("AT S1E1W", [0, 8, 1], |c, va| c.address_translate(va, AccessKind::Write, false, false)),
    at("AT S1E0R", [0, 8, 2], |c, va| c.address_translate(va, AccessKind::Read, true, false)),
    at("AT S1E0W", [0, 8, 3], |c, va| c.address_translate(va, AccessKind::Write, true, false)),
    at("AT S1E1RP", [0, 9, 0], |c, va| c.address_translate(va, AccessKind::Read, false, true))
        .when(Feature::Pan),
    at("AT S1E1WP", [0, 9, 1], |c, va| c.address_translate(va, AccessKind::Write, false, true))
        .when(Feature::Pan),
    tlbi("TLBI VMALLE1IS", 3, 0, |c, _| c.flush_tlb()),
    tlbi("TLBI VAE1IS", 3, 1, |c, v| c.tlbi_va(v, Some((v >> 48) as u16))),
    tlbi("TLBI ASIDE1IS", 3, 2, |c, v| c.tlbi_asid((v >> 48) as u16)),
    tlbi("TLBI VAAE1IS", 3, 3, |c, v| c.tlbi_va(v, None)),
    tlbi("TLBI VALE1IS", 3, 5, |c, v| c.tlbi_va(v, Some((v >> 48) as u16))),
    tlbi("TLBI VAALE1IS", 3, 7, |c, v| c.tlbi_va(v, None)),
    tlbi("TLBI VMALLE1", 7, 0, |c, _| c.flush_tlb()),
    tlbi("TLBI VAE1", 7, 1, |c, v| c.tlbi_va(v, Some((v >> 48) as u16))),
    tlbi("TLBI ASIDE1", 7, 2, |c, v| c.tlbi_asid((v >> 48) as u16)),
    tlbi("TLBI VAAE1", 7, 3, |c, v| c.tlbi_va(v, None)),
    tlbi("TLBI VALE1", 7, 5, |c, v| c.tlbi_va(v, Some((v >> 48) as u16))),
    tlbi("TLBI VAALE1", 7, 7, |c, v| c.tlbi_va(v, None)),
    tlbi_high("TLBI IPAS2E1IS", 2, 4, 0, 1),
    tlbi_high("TLBI IPAS2LE1IS", 2, 4, 0, 5),
    tlbi_high("TLBI ALLE2IS", 2, 4, 3, 0),
    tlbi_high("TLBI VAE2IS", 2, 4, 3, 1),
    tlbi_high("TLBI ALLE1IS", 2, 4, 3, 4),
    tlbi_high("TLBI VALE2IS", 2, 4, 3, 5),
    tlbi_high("TLBI VMALLS12E1IS", 2, 4, 3, 6),
    tlbi_high("TLBI IPAS2E1", 2, 4, 4, 1),
    tlbi_high("TLBI IPAS2LE1", 2, 4, 4, 5),
    tlbi_high("TLBI ALLE2", 2, 4, 7, 0),
    tlbi_high("TLBI VAE2", 2, 4, 7, 1),
    tlbi_high("TLBI ALLE1", 2, 4, 7, 4),
    tlbi_high("TLBI VALE2", 2, 4, 7, 5),
    tlbi_high("TLBI VMALLS12E1", 2, 4, 7, 6),
    tlbi_high("TLBI ALLE3IS", 3, 6, 3, 0),
    tlbi_high("TLBI VAE3IS", 3, 6, 3, 1),
    tlbi_high("TLBI VALE3IS", 3, 6, 3, 5),
    tlbi_high("TLBI ALLE3", 3, 6, 7, 0),
    tlbi_high("TLBI VAE3", 3, 6, 7, 1),
    tlbi_high("TLBI VALE3", 3, 6, 7, 5),
];

impl ArmCpu {
    /// Cache maintenance by address: the faults of an access of `kind`, reported as a write by a cache
    /// maintenance instruction (ISS.CM and WnR). PAN does not apply (Arm ARM D8.4.13).
    fn cache_op(&mut self, va: u64, kind: AccessKind) {
        let r = Regime1 { pan: false, ..self.regime };
        if let Err(f) = r.lookup(self.mmu.phys(), va, kind, false) {
            // Above EL0 cleaning needs no permission.
            let permission = f.kind == lyrebird_softmmu::walk::vmsa64::WalkFaultKind::Permission;
            if permission && self.pstate.el > 0 && kind == AccessKind::Read {
                return;
            }
            self.data_abort(va, address::fault_status(f), ISS_CM | crate::exception::ISS_WNR);
        }
    }

    /// DC ZVA: zeroes the naturally aligned block around `va`. An alignment fault on Device memory, but not
    /// where SCTLR_ELx.A merely checks alignment.
    fn zero_block(&mut self, va: u64) {
        let at = va & !(ZVA_BYTES - 1);
        if let Some(p) = self.inline_write(at) {
            // SAFETY: the TLB entry vouches for the whole page, and an aligned block does not leave it.
            unsafe { p.write_bytes(0, ZVA_BYTES as usize) };
            return;
        }
        let t = match self.mmu.probe(&mut self.core, &self.regime, at, AccessKind::Write, false) {
            Ok(t) => t,
            Err(e) => return self.memory_fault(MemError { va, ..e }),
        };
        let device = lyrebird_softmmu::MemType::Device;
        let checked = self.regime.align
            && self
                .regime
                .lookup(self.mmu.phys(), at, AccessKind::Write, false)
                .is_ok_and(|w| w.mem != device);
        if t.mem == device && !checked {
            return self.data_abort(va, address::ALIGNMENT, crate::exception::ISS_WNR);
        }
        let m = lyrebird_isa::MemOp::new(lyrebird_isa::Size::B16);
        let zero = lyrebird_isa::V128::default();
        for i in 0..ZVA_BYTES / 16 {
            if let Err(e) = self.mmu.store128(&mut self.core, &self.regime, at + 16 * i, m, zero) {
                return self.memory_fault(MemError { va, ..e });
            }
        }
    }

    /// AT: walks as an access with the given privilege would, and describes the outcome in PAR_EL1. Only an
    /// External abort on the walk is taken as an exception. `with_pan`: PSTATE.PAN counts.
    fn address_translate(&mut self, va: u64, kind: AccessKind, el0: bool, with_pan: bool) {
        let r = Regime1 { el0, pan: with_pan && self.pstate.pan, ..self.regime_of(1) };
        match r.lookup(self.mmu.phys(), va, kind, false) {
            Ok(w) => {
                // PAR_EL1 with F 0: ATTR, PA, NS, SH; bit 11 is RES1.
                self.sys.par =
                    (w.attr as u64) << 56 | w.pa & 0x0000_ffff_ffff_f000 | 1 << 11 | (w.sh as u64) << 7;
            }
            Err(f) => {
                let fst = address::fault_status(f);
                if f.kind == lyrebird_softmmu::walk::vmsa64::WalkFaultKind::External {
                    return self.data_abort(va, fst, ISS_CM);
                }
                self.sys.par = 1 | (fst as u64) << 1 | 1 << 11;
            }
        }
    }

    /// Drops every cached translation of the EL1&0 regime.
    pub(crate) fn flush_tlb(&mut self) {
        self.mmu.flush_all(&mut self.core, address::EL10_CLASSES);
    }

    /// TLBI by address: bits 43 to 0 of the operand are bits 55 to 12 of the address.
    fn tlbi_va(&mut self, operand: u64, asid: Option<u16>) {
        let va = ((operand << 20) as i64 >> 8) as u64;
        let asid = asid.map(|a| self.asid_in_use(a));
        self.mmu.flush_va(&mut self.core, va, asid, address::EL10_CLASSES);
    }

    /// TLBI by ASID.
    fn tlbi_asid(&mut self, asid: u16) {
        let asid = self.asid_in_use(asid);
        self.mmu.flush_asid(&mut self.core, asid, address::EL10_CLASSES);
    }
}

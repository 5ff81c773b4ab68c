//! [`SysRegs`]: the storage behind the table, and the bits that code looks at.

use crate::CpuModel;
use crate::a64::table::Feature;

/// Bits of SCTLR_ELx (Arm ARM D17.2, SCTLR_EL1).
pub mod sctlr {
    /// MMU enable.
    pub const M: u64 = 1 << 0;
    /// Alignment check of all accesses.
    pub const A: u64 = 1 << 1;
    /// Data cacheability.
    pub const C: u64 = 1 << 2;
    /// SP alignment check.
    pub const SA: u64 = 1 << 3;
    /// SP alignment check at EL0.
    pub const SA0: u64 = 1 << 4;
    /// EL0 may use DAIF.
    pub const UMA: u64 = 1 << 9;
    /// Instruction cacheability.
    pub const I: u64 = 1 << 12;
    /// EL0 may use DC ZVA.
    pub const DZE: u64 = 1 << 14;
    /// EL0 may read CTR_EL0.
    pub const UCT: u64 = 1 << 15;
    /// EL0 may use WFI without a trap.
    pub const NTWI: u64 = 1 << 16;
    /// EL0 may use WFE without a trap.
    pub const NTWE: u64 = 1 << 18;
    /// Writable implies execute-never.
    pub const WXN: u64 = 1 << 19;
    /// PSTATE.PAN is left alone on an exception to EL1.
    pub const SPAN: u64 = 1 << 23;
    /// EL0 may use cache maintenance by address.
    pub const UCI: u64 = 1 << 26;
    /// PSTATE.SSBS on an exception to this level.
    pub const DSSBS: u64 = 1 << 44;
    /// RES1 without AArch32 and the extensions that give the bits a meaning: LSMAOE, nTLSMD, EIS, TSCXT, EOS,
    /// SED, ITD.
    pub const RES1: u64 = 1 << 29 | 1 << 28 | 1 << 22 | 1 << 20 | 1 << 11 | 1 << 8 | 1 << 7;
    /// Writable on every model. Big-endian data is not there, so E0E and EE are RES0.
    pub const RW: u64 = M | A | C | SA | SA0 | UMA | I | DZE | UCT | NTWI | NTWE | WXN | UCI;
}

/// Fields of TCR_EL1 (Arm ARM D17.2, TCR_EL1).
pub mod tcr {
    /// The ASID is TTBR1_EL1's.
    pub const A1: u64 = 1 << 22;
    /// 16-bit ASIDs.
    pub const AS: u64 = 1 << 36;
    /// Top byte ignored in the lower range.
    pub const TBI0: u64 = 1 << 37;
    /// Top byte ignored in the upper range.
    pub const TBI1: u64 = 1 << 38;
    /// Bits without an extension we lack: all up to TBI1 but 6 and 35.
    pub const RW: u64 = ((1 << 39) - 1) & !(1 << 6) & !(1 << 35);
}

/// Bits of MDSCR_EL1 (Arm ARM D17.3, MDSCR_EL1).
pub mod mdscr {
    /// Software step enable.
    pub const SS: u64 = 1 << 0;
    /// EL0 access to the debug communication channel traps.
    pub const TDCC: u64 = 1 << 12;
    /// Debug exceptions from the level that takes them.
    pub const KDE: u64 = 1 << 13;
    /// Breakpoints and watchpoints enable.
    pub const MDE: u64 = 1 << 15;
    /// Writable bits: SS, TDCC, KDE, HDE, MDE.
    pub const RW: u64 = 0xf001;
}

/// Number of hardware breakpoints and of watchpoints: the least that the architecture allows.
pub const BREAKPOINTS: usize = 2;

/// System registers that are not kept in [`lyrebird_isa::Core::regs`]. Arrays are indexed by exception level.
#[derive(Clone, Debug)]
pub struct SysRegs {
    /// SCTLR_ELx.
    pub sctlr: [u64; 4],
    /// VBAR_ELx.
    pub vbar: [u64; 4],
    /// TCR_ELx.
    pub tcr: [u64; 4],
    /// TTBR0_ELx.
    pub ttbr0: [u64; 4],
    /// TTBR1_EL1.
    pub ttbr1: u64,
    /// MAIR_ELx.
    pub mair: [u64; 4],
    /// AMAIR_EL1.
    pub amair: u64,
    /// ACTLR_EL1.
    pub actlr: u64,
    /// CPACR_EL1.
    pub cpacr: u64,
    /// AFSR0_EL1 and AFSR1_EL1.
    pub afsr: [u64; 2],
    /// CONTEXTIDR_EL1.
    pub contextidr: u64,
    /// PAR_EL1.
    pub par: u64,
    /// CSSELR_EL1.
    pub csselr: u64,
    /// RVBAR_ELx: where the core starts after reset.
    pub rvbar: u64,
    /// MPIDR_EL1.
    pub mpidr: u64,
    /// CNTKCTL_EL1.
    pub cntkctl: u64,
    /// CNTFRQ_EL0, Hz. Firmware's to set; nothing in the timers depends on it.
    pub cntfrq: u64,
    /// MDSCR_EL1, without the DCC flags.
    pub mdscr: u64,
    /// MDCCINT_EL1.
    pub mdccint: u64,
    /// OS lock (OSLSR_EL1.OSLK): debug exceptions other than BRK are disabled.
    pub os_lock: bool,
    /// OSDLR_EL1.
    pub osdlr: u64,
    /// OSECCR_EL1.
    pub oseccr: u64,
    /// DBGPRCR_EL1.
    pub dbgprcr: u64,
    /// DBGCLAIM tags.
    pub dbgclaim: u64,
    /// The DCC holds a word for a debugger that never comes (MDCCSR_EL0.TXfull).
    pub dcc_full: bool,
    /// `DBGBVR<n>_EL1`.
    pub dbgbvr: [u64; BREAKPOINTS],
    /// `DBGBCR<n>_EL1`.
    pub dbgbcr: [u64; BREAKPOINTS],
    /// `DBGWVR<n>_EL1`.
    pub dbgwvr: [u64; BREAKPOINTS],
    /// `DBGWCR<n>_EL1`.
    pub dbgwcr: [u64; BREAKPOINTS],
}

impl SysRegs {
    /// Reset values. What the architecture leaves UNKNOWN is 0.
    pub fn new(model: &CpuModel, mpidr: u64, cntfrq: u64) -> SysRegs {
        SysRegs {
            sctlr: [sctlr::RES1 | SysRegs::sctlr_res1(model); 4],
            vbar: [0; 4],
            tcr: [0; 4],
            ttbr0: [0; 4],
            ttbr1: 0,
            mair: [0; 4],
            amair: 0,
            actlr: 0,
            cpacr: 0,
            afsr: [0; 2],
            contextidr: 0,
            par: 0,
            csselr: 0,
            rvbar: 0,
            // Bit 31 is RES1.
            mpidr: mpidr | 1 << 31,
            cntkctl: 0,
            cntfrq,
            mdscr: 0,
            mdccint: 0,
            os_lock: true,
            osdlr: 0,
            oseccr: 0,
            dbgprcr: 0,
            dbgclaim: 0,
            dcc_full: false,
            dbgbvr: [0; BREAKPOINTS],
            dbgbcr: [0; BREAKPOINTS],
            dbgwvr: [0; BREAKPOINTS],
            dbgwcr: [0; BREAKPOINTS],
        }
    }

    /// Bits of SCTLR_EL1 that are RES1 because the model lacks the extension.
    fn sctlr_res1(model: &CpuModel) -> u64 {
        if model.has(Feature::Pan) { 0 } else { sctlr::SPAN }
    }

    /// The value that a write of `v` to SCTLR_EL1 leaves.
    pub fn sctlr_value(model: &CpuModel, v: u64) -> u64 {
        let mut rw = sctlr::RW;
        if model.has(Feature::Pan) {
            rw |= sctlr::SPAN;
        }
        if model.has(Feature::Ssbs) {
            rw |= sctlr::DSSBS;
        }
        v & rw | sctlr::RES1 | SysRegs::sctlr_res1(model)
    }
}

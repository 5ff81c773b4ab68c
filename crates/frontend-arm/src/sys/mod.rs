//! System registers and system instructions.

use crate::cpu::model::CpuModel;

/// Bits of SCTLR_ELx (Arm ARM D17.2.118).
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
    /// Data accesses at EL0 are big-endian.
    pub const E0E: u64 = 1 << 24;
    /// Data accesses and table walks are big-endian.
    pub const EE: u64 = 1 << 25;
    /// EL0 may use cache maintenance by address.
    pub const UCI: u64 = 1 << 26;
    /// PSTATE.SSBS on an exception to this level.
    pub const DSSBS: u64 = 1 << 44;
    /// RES1 bits of SCTLR_EL1 on a core without FEAT_ExS and FEAT_LSMAOC: 29, 28, 22, 20, 11.
    pub const RES1: u64 = 1 << 29 | 1 << 28 | 1 << 22 | 1 << 20 | 1 << 11;
}

/// System registers that are not kept in [`lyrebird_isa::Core::regs`]. Arrays are indexed by exception level.
#[derive(Clone, Debug)]
pub struct SysRegs {
    /// SCTLR_ELx.
    pub sctlr: [u64; 4],
    /// VBAR_ELx.
    pub vbar: [u64; 4],
    /// CPACR_EL1.
    pub cpacr: u64,
    /// MDSCR_EL1.
    pub mdscr: u64,
}

impl SysRegs {
    /// Reset values.
    pub fn new(_model: &CpuModel) -> SysRegs {
        SysRegs { sctlr: [sctlr::RES1; 4], vbar: [0; 4], cpacr: 0, mdscr: 0 }
    }
}

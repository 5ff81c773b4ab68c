//! [`Pstate`]: the process state outside the register file.

/// Bits of SPSR_ELx for AArch64 (Arm ARM C5.2.18).
pub mod spsr {
    /// D, A, I, F.
    pub const DAIF: u64 = 0xf << 6;
    /// BTYPE.
    pub const BTYPE: u64 = 3 << 10;
    /// SSBS.
    pub const SSBS: u64 = 1 << 12;
    /// Illegal Execution state.
    pub const IL: u64 = 1 << 20;
    /// Software step.
    pub const SS: u64 = 1 << 21;
    /// Privileged Access Never.
    pub const PAN: u64 = 1 << 22;
    /// User Access Override.
    pub const UAO: u64 = 1 << 23;
    /// Data Independent Timing.
    pub const DIT: u64 = 1 << 24;
}

/// Bits of PSTATE.DAIF and of `MRS Xt, DAIF`.
pub mod daif {
    /// Debug exceptions masked.
    pub const D: u64 = 1 << 9;
    /// SError masked.
    pub const A: u64 = 1 << 8;
    /// IRQ masked.
    pub const I: u64 = 1 << 7;
    /// FIQ masked.
    pub const F: u64 = 1 << 6;
}

/// PSTATE without N, Z, C, V (kept lazily in [`lyrebird_isa::Core`]) and D, A, I, F (in
/// [`crate::a64::regs::DAIF`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pstate {
    /// Current exception level.
    pub el: u8,
    /// SP_ELx of the current level is in use; false for SP_EL0. False at EL0.
    pub sp_sel: bool,
    /// Privileged Access Never.
    pub pan: bool,
    /// User Access Override.
    pub uao: bool,
    /// Data Independent Timing.
    pub dit: bool,
    /// Speculative Store Bypass Safe.
    pub ssbs: bool,
    /// Branch type, 2 bits; always 0 while FEAT_BTI is absent.
    pub btype: u8,
    /// Illegal Execution state.
    pub il: bool,
    /// Software step: the next instruction may execute before the step exception.
    pub ss: bool,
}

impl Pstate {
    /// Index of the stack pointer in use among SP_EL0 to SP_EL3.
    pub fn sp_bank(self) -> u8 {
        if self.sp_sel { self.el } else { 0 }
    }

    /// These fields in the layout of SPSR_ELx.
    pub fn to_spsr(self) -> u64 {
        self.sp_sel as u64
            | (self.el as u64) << 2
            | (self.btype as u64) << 10
            | (self.ssbs as u64) << 12
            | (self.il as u64) << 20
            | (self.ss as u64) << 21
            | (self.pan as u64) << 22
            | (self.uao as u64) << 23
            | (self.dit as u64) << 24
    }
}

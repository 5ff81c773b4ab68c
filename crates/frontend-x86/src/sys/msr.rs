//! Model-specific registers.

use crate::cpu::model::CpuModel;

/// The registers that are only values; others live where they act.
#[derive(Clone, Debug, Default)]
pub struct Msrs {
    /// IA32_STAR.
    pub star: u64,
    /// IA32_LSTAR.
    pub lstar: u64,
    /// IA32_CSTAR.
    pub cstar: u64,
    /// IA32_FMASK.
    pub fmask: u64,
    /// IA32_KERNEL_GS_BASE.
    pub kernel_gs_base: u64,
    /// IA32_SYSENTER_CS, _ESP, _EIP.
    pub sysenter: [u64; 3],
    /// IA32_TSC_AUX.
    pub tsc_aux: u64,
    /// What the guest's TSC is ahead of the platform's.
    pub tsc_offset: u64,
}

impl Msrs {
    /// After RESET.
    pub fn reset(_model: &CpuModel) -> Msrs {
        Msrs::default()
    }
}

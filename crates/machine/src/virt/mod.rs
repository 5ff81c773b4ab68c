//! The `virt` board: the ARM machine of that name as Linux, U-Boot and EDK2 know it.

pub mod map;

/// Which interrupt controller the board has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GicVersion {
    /// GICv2: memory-mapped CPU interface, at most 8 CPUs.
    #[default]
    V2,
    /// GICv3: redistributors and CPU interface in system registers.
    V3,
}

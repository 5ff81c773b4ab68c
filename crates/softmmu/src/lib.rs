//! The memory side of a machine: the physical address space, guest RAM, the software TLB of a vCPU, and the
//! page-table walkers.
//!
//! * [`phys::PhysMem`] is shared by all vCPUs and devices: RAM, ROM, MMIO, and which pages hold translated code.
//! * [`mmu::Mmu`] belongs to one vCPU: the inline TLB tables that [`lyrebird_isa::Core`] points at, the slow
//!   paths behind them, and TLB maintenance. It knows no architecture: the front end gives it a
//!   [`mmu::Regime`].
//! * [`shadow`] holds the shadow page tables that translations come from when the inline TLB misses.
//! * [`walk`] holds the translation-table formats as pure functions, one file each.

mod access;
mod host;
pub mod maint;
pub mod mmu;
pub mod phys;
mod run;
pub mod shadow;
mod tlb;
pub mod walk;

pub use maint::ClassMask;
pub use mmu::{
    AccessKind, CodeFetch, MODE_BITS, MemError, MemFault, MemType, Mmu, MmuStats, Regime, Rights, Translation,
};
pub use phys::{BusError, MmioDevice, Page, PhysMem, PhysMemBuilder, PhysMemError};
pub use run::Touches;
pub use shadow::{MmuConfig, MmuMode, Root, SpaceDesc};
pub use tlb::ContextKey;

//! What each index of [`lyrebird_isa::Core::regs`] is on ARM.
//!
//! System registers that kernels read at every turn live here too, so that `MRS` of them is a register move.

use lyrebird_isa::Reg;
use lyrebird_isa::state::{REG_SINK, REG_ZERO};

/// The stack pointer in use (banked copies are in [`sp_el`]).
pub const SP: Reg = Reg(31);
/// SP_EL0 while it is not the stack pointer in use; SP_EL1 to SP_EL3 follow.
pub const SP_EL0: Reg = Reg(32);
/// TPIDR_EL0.
pub const TPIDR_EL0: Reg = Reg(36);
/// TPIDRRO_EL0.
pub const TPIDRRO_EL0: Reg = Reg(37);
/// TPIDR_EL1.
pub const TPIDR_EL1: Reg = Reg(38);
/// TPIDR_EL2.
pub const TPIDR_EL2: Reg = Reg(39);
/// TPIDR_EL3.
pub const TPIDR_EL3: Reg = Reg(40);
/// PSTATE.{D,A,I,F} in bits 9 to 6, as `MRS Xt, DAIF` shows them.
pub const DAIF: Reg = Reg(41);
/// ELR_EL1; ELR_EL2 and ELR_EL3 follow.
pub const ELR_EL1: Reg = Reg(42);
/// SPSR_EL1; SPSR_EL2 and SPSR_EL3 follow.
pub const SPSR_EL1: Reg = Reg(45);
/// ESR_EL1; ESR_EL2 and ESR_EL3 follow.
pub const ESR_EL1: Reg = Reg(48);
/// FAR_EL1; FAR_EL2 and FAR_EL3 follow.
pub const FAR_EL1: Reg = Reg(51);
/// Scratch for multi-part instructions.
pub const TMP0: Reg = Reg(60);

/// The banked stack pointer of exception level `el`.
pub const fn sp_el(el: u8) -> Reg {
    Reg(SP_EL0.0 + (el & 3))
}

/// The register of exception level `el` (1 to 3) in a group that starts with EL1's, such as [`ELR_EL1`].
pub const fn banked(el1: Reg, el: u8) -> Reg {
    Reg(el1.0 + (el & 3).saturating_sub(1))
}

/// Source register `n`, 31 meaning XZR.
#[inline(always)]
pub const fn x_src(n: u32) -> Reg {
    if n & 31 == 31 { REG_ZERO } else { Reg((n & 31) as u8) }
}

/// Destination register `n`, 31 meaning XZR.
#[inline(always)]
pub const fn x_dst(n: u32) -> Reg {
    if n & 31 == 31 { REG_SINK } else { Reg((n & 31) as u8) }
}

/// Register `n`, 31 meaning SP.
#[inline(always)]
pub const fn x_sp(n: u32) -> Reg {
    Reg((n & 31) as u8)
}

//! What each index of [`lyrebird_isa::Core::regs`] and `vregs` means on x86.

use lyrebird_isa::Reg;

/// RAX, EAX, AX, AL. The sixteen general registers have their hardware numbers.
pub const RAX: Reg = Reg(0);
/// RCX.
pub const RCX: Reg = Reg(1);
/// RDX.
pub const RDX: Reg = Reg(2);
/// RBX.
pub const RBX: Reg = Reg(3);
/// RSP.
pub const RSP: Reg = Reg(4);
/// RBP.
pub const RBP: Reg = Reg(5);
/// RSI.
pub const RSI: Reg = Reg(6);
/// RDI.
pub const RDI: Reg = Reg(7);
/// R11, which SYSCALL loads with RFLAGS.
pub const R11: Reg = Reg(11);

/// Base address of a segment register, by [`Seg`]: 16 to 21.
pub const fn base(seg: Seg) -> Reg {
    Reg(16 + seg as u8)
}

/// RFLAGS without the six arithmetic flags, which the engine keeps lazily; bit 1 is set.
pub const FLAGS: Reg = Reg(22);

/// A segment register, with the number it has in instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Seg {
    /// ES.
    Es = 0,
    /// CS.
    Cs,
    /// SS.
    Ss,
    /// DS.
    Ds,
    /// FS.
    Fs,
    /// GS.
    Gs,
}

impl Seg {
    /// All six.
    pub const ALL: [Seg; 6] = [Seg::Es, Seg::Cs, Seg::Ss, Seg::Ds, Seg::Fs, Seg::Gs];

    /// The segment register numbered `n`, modulo 8; GS for the two numbers that none has.
    #[inline(always)]
    pub const fn from_bits(n: u32) -> Seg {
        match n & 7 {
            0 => Seg::Es,
            1 => Seg::Cs,
            2 => Seg::Ss,
            3 => Seg::Ds,
            4 => Seg::Fs,
            _ => Seg::Gs,
        }
    }
}

/// Bits of RFLAGS (SDM Vol. 1, 3.4.3).
pub mod rflags {
    /// Carry.
    pub const CF: u64 = 1 << 0;
    /// Always 1.
    pub const FIXED: u64 = 1 << 1;
    /// Even parity of the result's low byte.
    pub const PF: u64 = 1 << 2;
    /// Carry out of bit 3.
    pub const AF: u64 = 1 << 4;
    /// Zero.
    pub const ZF: u64 = 1 << 6;
    /// Sign.
    pub const SF: u64 = 1 << 7;
    /// Trap after every instruction.
    pub const TF: u64 = 1 << 8;
    /// Maskable interrupts enabled.
    pub const IF: u64 = 1 << 9;
    /// String instructions go down.
    pub const DF: u64 = 1 << 10;
    /// Overflow.
    pub const OF: u64 = 1 << 11;
    /// I/O privilege level, two bits.
    pub const IOPL: u64 = 3 << 12;
    /// Nested task.
    pub const NT: u64 = 1 << 14;
    /// Instruction breakpoints are ignored once.
    pub const RF: u64 = 1 << 16;
    /// Virtual-8086 mode.
    pub const VM: u64 = 1 << 17;
    /// Alignment check; with SMAP, access to user pages allowed.
    pub const AC: u64 = 1 << 18;
    /// Virtual interrupt flag.
    pub const VIF: u64 = 1 << 19;
    /// Virtual interrupt pending.
    pub const VIP: u64 = 1 << 20;
    /// CPUID exists.
    pub const ID: u64 = 1 << 21;
    /// The six flags that arithmetic sets.
    pub const ARITHMETIC: u64 = CF | PF | AF | ZF | SF | OF;
}

/// RFLAGS from a raw flag word of the engine and what [`FLAGS`] holds.
pub fn join_flags(raw: u64, rest: u64) -> u64 {
    use lyrebird_isa::flags::{A, C, N, P_BYTE, V, Z, parity};
    let bit = |on: bool, f: u64| if on { f } else { 0 };
    rest | bit(raw & C == 0, rflags::CF)
        | bit(parity(raw & P_BYTE) != 0, rflags::PF)
        | bit(raw & A != 0, rflags::AF)
        | bit(raw & Z != 0, rflags::ZF)
        | bit(raw & N != 0, rflags::SF)
        | bit(raw & V != 0, rflags::OF)
}

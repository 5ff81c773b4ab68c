//! The JIT-visible state: everything compiled code and interpreter handlers reach with a constant offset.
//!
//! Offsets are taken with `core::mem::offset_of!` and nowhere written as numbers.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::activity::Activity;

/// Index of a register in [`Core::regs`]. What each index means is the front end's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reg(pub u8);

/// How many registers a guest may keep in [`Core::regs`] (a mask of them fits a `u64`).
pub const REGS: usize = 64;

/// Reads as 0; never written (A64 XZR as a source).
pub const REG_ZERO: Reg = Reg(62);
/// Written freely; never read (A64 XZR as a destination).
pub const REG_SINK: Reg = Reg(63);

/// A 128-bit vector register, low half first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct V128(pub [u64; 2]);

impl V128 {
    /// As an integer.
    #[inline(always)]
    pub const fn to_u128(self) -> u128 {
        self.0[0] as u128 | (self.0[1] as u128) << 64
    }

    /// From an integer.
    #[inline(always)]
    pub const fn from_u128(v: u128) -> V128 {
        V128([v as u64, (v >> 64) as u64])
    }

    /// As bytes, least significant first.
    #[inline(always)]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.to_u128().to_le_bytes()
    }

    /// From bytes, least significant first.
    #[inline(always)]
    pub const fn from_bytes(b: [u8; 16]) -> V128 {
        V128::from_u128(u128::from_le_bytes(b))
    }
}

/// log2 of the number of entries of an inline TLB table: 128 MiB of pages next to each other.
pub const TLB_BITS: u32 = 15;
/// Entries of an inline TLB table.
pub const TLB_ENTRIES: usize = 1 << TLB_BITS;
/// log2 of the TLB's page size. Larger guest pages enter as 4 KiB pieces.
pub const PAGE_BITS: u32 = 12;
/// The TLB's page size in bytes.
pub const PAGE_SIZE: u64 = 1 << PAGE_BITS;
/// Mask of the page number in an address.
pub const PAGE_MASK: u64 = !(PAGE_SIZE - 1);
/// A tag that no page-aligned address equals.
pub const TAG_NONE: u64 = u64::MAX;

/// An inline TLB entry. A tag is the guest virtual page address, or [`TAG_NONE`] where that kind of access
/// has to take the slow path (no translation, no permission, MMIO, device memory, code page on a write).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct TlbEntry {
    /// Tag for loads.
    pub read: u64,
    /// Tag for stores and atomic accesses; only there with that for loads, and absent where the page holds translated code,
    /// so that stores to it are noticed.
    pub write: u64,
    /// Tag for instruction fetch.
    pub exec: u64,
    /// Host address minus guest virtual address, wrapping.
    pub addend: u64,
}

impl TlbEntry {
    /// An entry that matches nothing.
    pub const EMPTY: TlbEntry = TlbEntry { read: TAG_NONE, write: TAG_NONE, exec: TAG_NONE, addend: 0 };
}

/// Index of the entry for a virtual address.
#[inline(always)]
pub const fn tlb_index(va: u64) -> usize {
    ((va >> PAGE_BITS) as usize) & (TLB_ENTRIES - 1)
}

/// log2 of the number of entries of the jump cache. A kernel that starts programs returns to thousands of places, and an
/// entry serves one.
pub const JUMP_BITS: u32 = 16;
/// Entries of the jump cache.
pub const JUMP_ENTRIES: usize = 1 << JUMP_BITS;

/// The bit of a code address that tells the upper half of the address space, where kernels are, from the lower one.
pub const UPPER_HALF: u64 = 1 << 63;

/// Bits of [`Core::code_ctx`] that stand for the mapping of one half of the address space: the lower half's begin at bit
/// 16, the upper half's above them; the mode is below.
pub const CODE_HALF_BITS: u32 = 24;

/// Bits of [`Core::code_ctx`] that are the mode.
pub const CODE_MODE: u64 = 0xffff;

/// Bits of [`Core::code_ctx`] on which a block found at `va` depends. Two contexts that agree in these bits map
/// the page of `va` to the same code in the same mode.
#[inline(always)]
pub const fn code_ctx_mask(va: u64) -> u64 {
    let half = (1 << CODE_HALF_BITS) - 1;
    half << code_half(va) | CODE_MODE
}

/// First bit in [`Core::code_ctx`] of the half that `va` is in.
const fn code_half(va: u64) -> u32 {
    if va & UPPER_HALF != 0 { 16 + CODE_HALF_BITS } else { 16 }
}

/// The number in [`Core::code_ctx`] that stands for the mapping of the half of the addresses that `va` is in.
#[inline(always)]
pub const fn code_number(ctx: u64, va: u64) -> u32 {
    (ctx >> code_half(va)) as u32 & ((1 << CODE_HALF_BITS) - 1)
}

/// Where an indirect branch finds its target: matches when `va` and `ctx` do.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct JumpEntry {
    /// Guest virtual address.
    pub va: u64,
    /// [`Core::code_ctx`] for which `va` was looked up. There is no mode all of whose bits are set.
    pub ctx: u64,
    /// First decoded operation of the block (the engine's business).
    pub op: *const (),
    /// Where compiled code goes on (the engine's business).
    pub code: u64,
}

impl JumpEntry {
    /// An entry that matches nothing.
    pub const EMPTY: JumpEntry = JumpEntry { va: 0, ctx: CODE_MODE, op: std::ptr::null(), code: 0 };
}

/// How far an address is shifted right for the two parts that make up its jump-cache index. Guest instructions are
/// mostly 4 bytes apart; the upper bits keep modules at equal offsets apart.
pub const JUMP_SHIFTS: [u32; 2] = [2, 14];

/// Index of the jump-cache entry for a virtual address.
#[inline(always)]
pub const fn jump_index(va: u64) -> usize {
    ((va >> JUMP_SHIFTS[0]) ^ (va >> JUMP_SHIFTS[1])) as usize & (JUMP_ENTRIES - 1)
}

/// Entries of [`Core::trail`].
pub const TRAIL: usize = 1024;

/// Index of the trail entry of what left so much budget.
#[inline(always)]
pub const fn trail_index(budget: i64) -> usize {
    budget as usize & (TRAIL - 1)
}

/// Shared flag by which other threads ask a vCPU to leave guest code soon.
pub type ExitRequest = Arc<AtomicU32>;

/// The state that every guest has and that compiled code touches. First field of every guest CPU.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Core {
    // What nearly all compiled code names comes first: up to 127 bytes on, an offset takes one byte of an x86 instruction
    // and four behind that. Eight registers are among it.
    /// [`crate::FlagOp`] and width ([`crate::flags::pack_op`]).
    pub flag_op: u64,
    /// First operand of the flags.
    pub flag_a: u64,
    /// Second operand of the flags.
    pub flag_b: u64,
    /// Instructions left before guest code returns to the dispatcher.
    pub budget: i64,
    /// Program counter. Exact only outside blocks: inside, the engine derives it from the operation.
    pub pc: u64,
    /// Inline TLB of the current translation context ([`TLB_ENTRIES`] entries).
    pub tlb: *mut TlbEntry,
    /// Identifies the pair (virtual-to-physical mapping of code, mode bits). Never 0. Two equal values mean
    /// that an address found under one is good under the other.
    pub code_ctx: u64,
    /// Not 0 while a guest fault that a slow path or helper recorded waits to be taken.
    pub fault: u64,
    /// General registers by [`Reg`].
    pub regs: [u64; REGS],
    /// Inline TLB for unprivileged accesses of the current context.
    pub tlb_unpriv: *mut TlbEntry,
    /// The engine's jump cache ([`JUMP_ENTRIES`] entries).
    pub jump_cache: *mut JumpEntry,
    /// Engine scratch: why guest code returned.
    pub exit: u64,
    /// Engine scratch: by which link compiled code was left.
    pub link: u64,
    /// Local exclusive monitor: address, or [`TAG_NONE`] while open.
    pub excl_addr: u64,
    /// Local exclusive monitor: the values loaded.
    pub excl_val: [u64; 2],
    /// Engine scratch: arguments and results of out-of-line memory accesses of compiled code.
    pub scratch: [V128; 4],
    /// Engine scratch: what verify mode's memory accesses find their log by.
    pub engine: *mut (),
    /// Vector registers.
    pub vregs: [V128; 32],
    /// Engine scratch: what ran last, at the index of the budget that it left ([`trail_index`]). Ones for nothing.
    pub trail: [u32; TRAIL],
    /// What the vCPU's thread is doing.
    pub activity: Activity,
}

// SAFETY: the raw pointers point into tables owned by the CPU and engine that own this `Core`, and move with
// them; nothing thread-local is behind them.
unsafe impl Send for Core {}

impl Core {
    /// All registers zero, no TLB attached.
    pub fn new() -> Core {
        Core {
            regs: [0; REGS],
            pc: 0,
            flag_op: 0,
            flag_a: 0,
            flag_b: 0,
            budget: 0,
            tlb: std::ptr::null_mut(),
            tlb_unpriv: std::ptr::null_mut(),
            jump_cache: std::ptr::null_mut(),
            code_ctx: 1,
            fault: 0,
            exit: 0,
            link: 0,
            excl_addr: TAG_NONE,
            excl_val: [0; 2],
            scratch: [V128::default(); 4],
            engine: std::ptr::null_mut(),
            vregs: [V128::default(); 32],
            trail: [u32::MAX; TRAIL],
            activity: Activity::default(),
        }
    }

    /// The value of a register.
    #[inline(always)]
    pub fn reg(&self, r: Reg) -> u64 {
        self.regs[(r.0 as usize) & (REGS - 1)]
    }

    /// Sets a register.
    #[inline(always)]
    pub fn set_reg(&mut self, r: Reg, v: u64) {
        self.regs[(r.0 as usize) & (REGS - 1)] = v;
    }

    /// The flags as a raw word: N, Z, C, V in bits 31 to 28.
    pub fn nzcv(&self) -> u64 {
        crate::flags::materialise(self.flag_op, self.flag_a, self.flag_b)
    }

    /// x86's AF and the byte whose parity is PF, as in a raw word.
    pub fn aux_flags(&self) -> u64 {
        crate::flags::materialise_aux(self.flag_op, self.flag_a, self.flag_b)
    }

    /// Sets the flags from a raw word.
    pub fn set_nzcv(&mut self, v: u64) {
        self.flag_op = crate::FlagOp::Raw as u64;
        self.flag_a = v & crate::flags::RAW;
        self.flag_b = 0;
    }
}

impl Default for Core {
    fn default() -> Self {
        Core::new()
    }
}

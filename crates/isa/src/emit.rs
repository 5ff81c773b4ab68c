//! [`Emit`]: the builder that instruction semantics are generic over.

use crate::cpu::Cpu;
use crate::flags::{Cond, FlagOp};
use crate::float::{FBin, FCc, FUn, FlagStyle, Float, Part, Sound};
use crate::helper::Helper;
use crate::mem::MemOp;
use crate::ops::{Bin, Cc, Lane, Rmw, Un, VBin, Width};
use crate::state::Reg;
use crate::vector::{Bytes, VPair, VShift, VUn};

/// What a computed branch is, for return prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JumpKind {
    /// Plain jump.
    Jump,
    /// Call.
    Call,
    /// Return.
    Ret,
}

/// A helper and its arguments, for where it is seldom called.
pub type Rare<E> = (Helper<<E as Emit>::Cpu>, [<E as Emit>::Val; 3]);

/// A builder of instruction semantics.
///
/// For an interpreter, `Val` is a number and calling a method executes; for a compiler, `Val` is an SSA value
/// and calling a method emits code; for a scan, `Val` is `()`. All operations are total. Values are 64 bits;
/// operations with a [`Width`] look at the low bits of their operands and zero-extend their result.
pub trait Emit: Sized {
    /// The guest CPU whose instructions are described.
    type Cpu: Cpu;
    /// A 64-bit value.
    type Val: Copy;
    /// A truth value.
    type Bool: Copy;
    /// A 128-bit vector.
    type Vec: Copy;
    /// What stops an instruction: a guest fault in an interpreter, nothing in a compiler.
    type Fault;

    /// A constant.
    fn imm(&mut self, v: u64) -> Self::Val;
    /// Reads a register. [`crate::state::REG_ZERO`] reads 0.
    fn reg(&mut self, r: Reg) -> Self::Val;
    /// Writes a register. Writes to [`crate::state::REG_SINK`] are lost.
    fn set_reg(&mut self, r: Reg, v: Self::Val);

    /// Two-operand arithmetic.
    fn bin(&mut self, op: Bin, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// One-operand arithmetic.
    fn un(&mut self, op: Un, w: Width, a: Self::Val) -> Self::Val;
    /// Zero-extends the low `from` bits.
    fn zext(&mut self, from: Width, a: Self::Val) -> Self::Val;
    /// Sign-extends the low `from` bits to 64 bits.
    fn sext(&mut self, from: Width, a: Self::Val) -> Self::Val;
    /// Compares.
    fn cmp(&mut self, cc: Cc, w: Width, a: Self::Val, b: Self::Val) -> Self::Bool;
    /// `a` where `c` holds, else `b`. Both are evaluated.
    fn select(&mut self, c: Self::Bool, a: Self::Val, b: Self::Val) -> Self::Val;
    /// 1 or 0.
    fn bool_val(&mut self, c: Self::Bool) -> Self::Val;

    /// Records the flags of `a op b`. For a logical result use [`FlagOp::Add`] with a zero second operand (N and Z
    /// from the result, C and V clear), in x86 [`FlagOp::Sub`] (CF, the complement of C, clear).
    fn set_flags(&mut self, op: FlagOp, w: Width, a: Self::Val, b: Self::Val);
    /// As [`Emit::set_flags`] where `c` holds; else the flags become the constant `nzcv` (bits 31 to 28).
    fn set_flags_if(&mut self, c: Self::Bool, op: FlagOp, w: Width, a: Self::Val, b: Self::Val, nzcv: u32);
    /// As [`Emit::set_flags`] where `same` does not hold; else the flags stay.
    fn set_flags_unless(&mut self, same: Self::Bool, op: FlagOp, w: Width, a: Self::Val, b: Self::Val);
    /// As [`Emit::set_flags`] with [`FlagOp::Result`], but that C stays: the result, and the carries without it.
    fn set_flags_but_c(&mut self, w: Width, r: Self::Val, carries: Self::Val) {
        self.set_flags_with_c(w, r, carries);
    }
    /// What [`Emit::set_flags_but_c`] does where it does not know better.
    fn set_flags_with_c(&mut self, w: Width, r: Self::Val, carries: Self::Val) {
        let c = self.cond(Cond::Cs);
        let c = self.bool_val(c);
        let carries = self.bin(Bin::Or, Width::W64, carries, c);
        self.set_flags(FlagOp::Result, w, r, carries);
    }
    /// Sets the flags from a raw word: N, Z, C, V in bits 31 to 28, in x86 also [`crate::flags::A`] and
    /// [`crate::flags::P_BYTE`]; other bits are ignored.
    fn set_nzcv(&mut self, v: Self::Val);
    /// N, Z, C and V as a raw word, other bits clear.
    fn nzcv(&mut self) -> Self::Val;
    /// The rest of a raw word ([`crate::flags::A`] and [`crate::flags::P_BYTE`]), other bits clear.
    fn aux_flags(&mut self) -> Self::Val;
    /// Whether a condition holds.
    fn cond(&mut self, c: Cond) -> Self::Bool;

    /// Loads up to 8 bytes, zero-extended.
    fn load(&mut self, m: MemOp, va: Self::Val) -> Result<Self::Val, Self::Fault>;
    /// Stores the low bytes of `v`.
    fn store(&mut self, m: MemOp, va: Self::Val, v: Self::Val) -> Result<(), Self::Fault>;
    /// Loads a pair of adjacent elements of `m.size` (4 or 8 bytes) each.
    fn load_pair(&mut self, m: MemOp, va: Self::Val) -> Result<(Self::Val, Self::Val), Self::Fault> {
        let lo = self.load(m, va)?;
        let n = self.imm(m.size.bytes());
        let va2 = self.bin(Bin::Add, Width::W64, va, n);
        let hi = self.load(m, va2)?;
        Ok((lo, hi))
    }
    /// Stores a pair of adjacent elements of `m.size` (4 or 8 bytes) each.
    fn store_pair(
        &mut self,
        m: MemOp,
        va: Self::Val,
        lo: Self::Val,
        hi: Self::Val,
    ) -> Result<(), Self::Fault> {
        self.store(m, va, lo)?;
        let n = self.imm(m.size.bytes());
        let va2 = self.bin(Bin::Add, Width::W64, va, n);
        self.store(m, va2, hi)
    }
    /// Loads `m.size` bytes into the low part of a vector, the rest zero.
    fn vload(&mut self, m: MemOp, va: Self::Val) -> Result<Self::Vec, Self::Fault>;
    /// Stores the low `m.size` bytes of a vector.
    fn vstore(&mut self, m: MemOp, va: Self::Val, v: Self::Vec) -> Result<(), Self::Fault>;
    /// Atomic read-modify-write of up to 8 bytes; the old value, zero-extended.
    fn rmw(&mut self, op: Rmw, m: MemOp, va: Self::Val, v: Self::Val) -> Result<Self::Val, Self::Fault>;
    /// Atomic compare-and-swap of up to 8 bytes; the old value, zero-extended.
    fn cas(
        &mut self,
        m: MemOp,
        va: Self::Val,
        expected: Self::Val,
        new: Self::Val,
    ) -> Result<Self::Val, Self::Fault>;
    /// Full memory barrier.
    fn fence(&mut self);

    /// Reads vector register `r`.
    fn vreg(&mut self, r: u8) -> Self::Vec;
    /// Writes vector register `r`, all 128 bits.
    fn set_vreg(&mut self, r: u8, v: Self::Vec);
    /// A vector from its halves.
    fn vec(&mut self, lo: Self::Val, hi: Self::Val) -> Self::Vec;
    /// Bits 63 to 0.
    fn vec_lo(&mut self, v: Self::Vec) -> Self::Val;
    /// Bits 127 to 64.
    fn vec_hi(&mut self, v: Self::Vec) -> Self::Val;
    /// Lane-wise operation on all 128 bits.
    fn vbin(&mut self, op: VBin, lane: Lane, a: Self::Vec, b: Self::Vec) -> Self::Vec;
    /// The low lane-width bits of `v` in every lane.
    fn vsplat(&mut self, lane: Lane, v: Self::Val) -> Self::Vec;

    /// `a` with its low lane replaced by that of `b`.
    fn vmerge(&mut self, lane: Lane, a: Self::Vec, b: Self::Vec) -> Self::Vec;
    /// Lane `index` of `v` in every lane.
    fn vdup(&mut self, lane: Lane, v: Self::Vec, index: u8) -> Self::Vec;

    /// Shift of all lanes by `n`, which is below their width.
    fn vshift(&mut self, op: VShift, lane: Lane, v: Self::Vec, n: u8) -> Self::Vec;
    /// Operation on one vector.
    fn vun(&mut self, op: VUn, lane: Lane, v: Self::Vec) -> Self::Vec;
    /// Operation on two vectors.
    fn vpair(&mut self, op: VPair, lane: Lane, a: Self::Vec, b: Self::Vec) -> Self::Vec;
    /// Permutation of the bytes of two vectors.
    fn vshuffle(&mut self, a: Self::Vec, b: Self::Vec, p: &Bytes) -> Self::Vec;
    /// Bytes of `table` at the indices in the low four bits of `index`'s bytes, zero where bit 7 is set.
    fn vlookup(&mut self, table: Self::Vec, index: Self::Vec) -> Self::Vec;
    /// The highest bits of the lanes, that of the lowest lane in bit 0.
    fn vhigh_bits(&mut self, lane: Lane, v: Self::Vec) -> Self::Val;
    /// Lane `index` of `v`, zero-extended.
    fn vextract(&mut self, lane: Lane, v: Self::Vec, index: u8) -> Self::Val;
    /// `v` with lane `index` replaced by the low bits of `x`.
    fn vinsert(&mut self, lane: Lane, v: Self::Vec, index: u8, x: Self::Val) -> Self::Vec;

    /// Two-operand arithmetic on the host's unit ([`crate::float`]).
    fn fbin(&mut self, op: FBin, f: Float, p: Part, a: Self::Vec, b: Self::Vec) -> Self::Vec;
    /// One-operand arithmetic on the host's unit.
    fn fun(&mut self, op: FUn, f: Float, p: Part, a: Self::Vec) -> Self::Vec;
    /// `a * b + c` with one rounding on the host's unit. Only where [`crate::host::has_fma`].
    fn fma(&mut self, f: Float, p: Part, a: Self::Vec, b: Self::Vec, c: Self::Vec) -> Self::Vec;
    /// Compares on the host's unit: all ones in the lanes where the relation holds.
    fn fcmp(&mut self, cc: FCc, f: Float, p: Part, a: Self::Vec, b: Self::Vec) -> Self::Vec;
    /// A signed integer converted on the host's unit, in the low lane; the rest is zero.
    fn ffrom_int(&mut self, f: Float, v: Self::Val) -> Self::Vec;
    /// The low lane, converted to a signed integer of `w` (32 or 64 bits) towards zero on the host's unit. Unspecified where
    /// not [`Emit::ffits`].
    fn ftruncate(&mut self, f: Float, w: Width, v: Self::Vec) -> Self::Val;
    /// Whether the low lane truncated is a signed integer of `w`, and not the least. Raises nothing.
    fn ffits(&mut self, f: Float, w: Width, v: Self::Vec) -> Self::Bool;
    /// Whether all lanes in `p` are sound. [`Sound::Normal`] may raise a denormal operand, [`Sound::Number`] nothing.
    fn fsound(&mut self, s: Sound, f: Float, p: Part, v: Self::Vec) -> Self::Bool;
    /// Sets the flags by a comparison of low lanes on the host's unit, to which only a signalling NaN is invalid. Where they
    /// are unordered, calls `unordered`, which has [`crate::Effects::Fp`] and raises what there is to raise.
    fn set_fflags(
        &mut self,
        style: FlagStyle,
        f: Float,
        a: Self::Vec,
        b: Self::Vec,
        unordered: Option<Rare<Self>>,
    ) -> Result<(), Self::Fault>;
    /// Writes `v` to vector register `r` where `ok` holds. Elsewhere calls a helper with [`crate::Effects::Fp`], which
    /// writes that vector register and no other.
    fn set_vreg_or(
        &mut self,
        ok: Self::Bool,
        r: u8,
        v: Self::Vec,
        h: Helper<Self::Cpu>,
        args: [Self::Val; 3],
    ) -> Result<(), Self::Fault>;
    /// `v` where `ok` holds, else what a helper with [`crate::Effects::Fp`] returns, which writes no vector register.
    fn val_or(
        &mut self,
        ok: Self::Bool,
        v: Self::Val,
        h: Helper<Self::Cpu>,
        args: [Self::Val; 3],
    ) -> Result<Self::Val, Self::Fault>;

    /// Calls a helper. What the helper's [`crate::Effects`] exclude stays in host registers.
    fn call(&mut self, h: Helper<Self::Cpu>, args: [Self::Val; 3]) -> Result<Self::Val, Self::Fault>;
    /// Goes on where `ok` holds. Elsewhere calls a helper, which records a guest fault.
    fn ensure(
        &mut self,
        ok: Self::Bool,
        h: Helper<Self::Cpu>,
        args: [Self::Val; 3],
    ) -> Result<(), Self::Fault>;

    /// Ends the block: to `taken` where `c` holds, else to the next instruction.
    fn branch(&mut self, c: Self::Bool, taken: u64);
    /// Ends the block: to `target`.
    fn jump(&mut self, target: u64, k: JumpKind);
    /// Ends the block: to a computed address.
    fn jump_reg(&mut self, target: Self::Val, k: JumpKind);
    /// Ends the block: on to the next instruction, after the engine has looked at the CPU again.
    fn sync_next(&mut self);
    /// Ends the block: on at [`crate::Core::pc`], which a helper has set.
    fn sync_pc(&mut self);

    /// `a + b` on 64 bits.
    #[inline(always)]
    fn add(&mut self, a: Self::Val, b: Self::Val) -> Self::Val {
        self.bin(Bin::Add, Width::W64, a, b)
    }
    /// `a + n` on 64 bits.
    #[inline(always)]
    fn add_imm(&mut self, a: Self::Val, n: u64) -> Self::Val {
        let n = self.imm(n);
        self.bin(Bin::Add, Width::W64, a, n)
    }
}

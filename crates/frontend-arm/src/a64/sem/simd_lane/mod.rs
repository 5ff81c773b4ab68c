//! What the Advanced SIMD groups share: lane access in `Emit` terms, and the calling convention of the
//! helpers that work on whole registers.

mod int;

use lyrebird_isa::{Bin, Emit, Helper, Lane, Sem, V128, Visitor, Width};

pub use int::Int;

use crate::ArmCpu;
use crate::a64::word::Word;

/// Runs `$e` with `$S` the constant log2 of the element length in bytes.
macro_rules! element {
    ($log2:expr => |$S:ident| $e:expr) => {
        $crate::a64::sem::constants!($log2, 0 1 2; 3 => |$S| $e)
    };
}
pub(crate) use element;

/// Lane `index` (of `1 << size` bytes) of `v`, zero-extended.
#[inline(always)]
pub fn extract<E: Emit>(e: &mut E, size: u8, v: E::Vec, index: u8) -> E::Val {
    let at = (index as u64) << (3 + size);
    let half = if at & 64 == 0 { e.vec_lo(v) } else { e.vec_hi(v) };
    if size == 3 {
        return half;
    }
    let n = e.imm(at & 63);
    let r = e.bin(Bin::Shr, Width::W64, half, n);
    e.zext(Lane::from_size(size as u32).width(), r)
}

/// `v` with lane `index` (of `1 << size` bytes) replaced by the low bits of `x`.
#[inline(always)]
pub fn insert<E: Emit>(e: &mut E, size: u8, v: E::Vec, index: u8, x: E::Val) -> E::Vec {
    let at = (index as u64) << (3 + size);
    let (lo, hi) = (e.vec_lo(v), e.vec_hi(v));
    let width = Lane::from_size(size as u32).width();
    let half = if at & 64 == 0 { lo } else { hi };
    let new = if size == 3 {
        x
    } else {
        let hole = e.imm(width.mask() << (at & 63));
        let rest = e.bin(Bin::Bic, Width::W64, half, hole);
        let x = e.zext(width, x);
        let n = e.imm(at & 63);
        let x = e.bin(Bin::Shl, Width::W64, x, n);
        e.bin(Bin::Or, Width::W64, rest, x)
    };
    if at & 64 == 0 { e.vec(new, hi) } else { e.vec(lo, new) }
}

/// `v`, its upper half cleared where `q` is false, as every 64-bit vector operation leaves it.
#[inline(always)]
pub fn half<E: Emit>(e: &mut E, q: bool, v: E::Vec) -> E::Vec {
    if q {
        return v;
    }
    let (lo, z) = (e.vec_lo(v), e.imm(0));
    e.vec(lo, z)
}

/// An instruction that a helper on whole registers performs.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    helper: &'static Helper<ArmCpu>,
    ops: u32,
    imm: u32,
}

impl Sem<ArmCpu> for Call {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (ops, imm, z) = (e.imm(self.ops as u64), e.imm(self.imm as u64), e.imm(0));
        e.call(*self.helper, [ops, imm, z])?;
        Ok(())
    }
}

/// Hands over a call of `helper` with the Rd, Rn and Rm of `w`; `len` bytes of the operands count.
pub fn call<V: Visitor<ArmCpu>>(
    v: V,
    helper: &'static Helper<ArmCpu>,
    w: Word,
    len: u32,
    imm: u32,
) -> V::Out {
    call_m(v, helper, w, w.m(), len, imm)
}

/// The same with another second source than Rm.
pub fn call_m<V: Visitor<ArmCpu>>(
    v: V,
    helper: &'static Helper<ArmCpu>,
    w: Word,
    m: u32,
    len: u32,
    imm: u32,
) -> V::Out {
    v.visit(Call { helper, ops: w.d() | w.n() << 8 | m << 16 | len << 24, imm })
}

/// The first argument of a vector helper: register numbers and operand length.
#[derive(Clone, Copy, Debug)]
pub struct Ops(pub u64);

impl Ops {
    /// Rd.
    #[inline(always)]
    pub fn d(self) -> usize {
        self.0 as usize & 31
    }
    /// Rn.
    #[inline(always)]
    pub fn n(self) -> usize {
        (self.0 >> 8) as usize & 31
    }
    /// Rm.
    #[inline(always)]
    pub fn m(self) -> usize {
        (self.0 >> 16) as usize & 31
    }
    /// Length of the operands in bytes, 1 to 16.
    #[inline(always)]
    pub fn bytes(self) -> u32 {
        (self.0 >> 24) as u32 & 31
    }
    /// Ones in the bytes that count.
    #[inline(always)]
    pub fn mask(self) -> u128 {
        u128::MAX >> ((128 - 8 * self.bytes()) & 127)
    }
    /// Whether all 16 bytes count (Q).
    #[inline(always)]
    pub fn q(self) -> bool {
        self.bytes() == 16
    }
}

/// The bytes of a vector register, lanes in little-endian order.
#[inline(always)]
pub fn get(cpu: &ArmCpu, r: usize) -> u128 {
    cpu.core.vregs[r & 31].to_u128()
}

/// Writes a vector register.
#[inline(always)]
pub fn set(cpu: &mut ArmCpu, r: usize, v: u128) {
    cpu.core.vregs[r & 31] = V128::from_u128(v);
}

/// Sets FPSR.QC where `saturated`.
#[inline(always)]
pub fn set_qc(cpu: &mut ArmCpu, saturated: bool) {
    cpu.fp.fpsr |= (saturated as u64) << 27;
}

/// The size field, bits 23 to 22.
pub const fn size(w: Word) -> u32 {
    w.bits(22, 2)
}

/// Operand length in bytes by Q, bit 30.
pub const fn len(w: Word) -> u32 {
    if w.bit(30) { 16 } else { 8 }
}

/// Sets of element sizes, by the value of the size field.
pub mod sizes {
    /// Bytes.
    pub const B: u8 = 1;
    /// Halfwords and words.
    pub const HS: u8 = 6;
    /// Bytes to words.
    pub const BHS: u8 = 7;
    /// Doublewords.
    pub const D: u8 = 8;
    /// All.
    pub const BHSD: u8 = 15;
}

/// Whether a vector instruction for element sizes `sizes` allows this size and Q: `1D` is reserved.
pub const fn vector_ok(w: Word, sizes: u8) -> bool {
    sizes >> size(w) & 1 != 0 && (size(w) != 3 || w.bit(30))
}

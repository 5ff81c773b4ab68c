//! PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM Vol. 2, 4.1).

use iced_x86::{EncodingKind, Mnemonic};
use lyrebird_isa::ops::{Bin, Width};
use lyrebird_isa::{Emit, Helper, MemOp, Sem, Size, V128, Visitor};

use super::lanes::make;
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem};
use crate::regs::{RAX, RCX, RDX};
use crate::sem::Decoded;

/// Bits of [`Compare::how`].
const EXPLICIT: u8 = 1;
const MASK: u8 = 2;
const LONG: u8 = 4;
const VEX: u8 = 8;

/// Whether elements are words, not bytes, and whether they are signed (SDM Vol. 2, 4.1.1).
const WORDS: u8 = 1;
const SIGNED: u8 = 2;

/// The elements of an operand, and which of them are valid: a C library's `strcspn` and its kin compare every string of
/// the guest with it.
#[derive(Clone, Copy)]
struct Elements<const BYTES: u32> {
    v: V128,
    /// Valid ones: the first so many.
    len: u32,
}

impl<const BYTES: u32> Elements<BYTES> {
    /// Elements of a vector.
    const N: u32 = 16 / BYTES;
    const ALL: u32 = (1 << Self::N) - 1;
    /// The least significant bit of each element in half a vector.
    const ONES: u64 = if BYTES == 1 { 0x0101_0101_0101_0101 } else { 0x0001_0001_0001_0001 };

    /// All valid up to the first that is 0, or up to a length.
    fn new(v: V128, len: Option<u64>) -> Self {
        let all = Self { v, len: Self::N };
        let zero = all.equal(0).trailing_zeros();
        let len = len.map_or(zero.min(Self::N), |n| n.min(u64::from(Self::N)) as u32);
        Self { v, len }
    }

    fn valid(self) -> u32 {
        (1 << self.len) - 1
    }

    fn at(self, i: u32) -> u16 {
        let bits = 8 * BYTES;
        let half = self.v.0[(i / (Self::N / 2)) as usize & 1] >> (i % (Self::N / 2) * bits);
        half as u16 & (u16::MAX >> (16 - bits))
    }

    /// The same as an ordered number.
    fn number(self, i: u32, signed: bool) -> i32 {
        match (signed, BYTES) {
            (true, 1) => i32::from(self.at(i) as i8),
            (true, _) => i32::from(self.at(i) as i16),
            _ => i32::from(self.at(i)),
        }
    }

    /// Bit `j`: element `j` is 0 in a vector.
    fn zeros(v: [u64; 2]) -> u32 {
        let top = Self::ONES << (8 * BYTES - 1);
        let half = |x: u64| {
            // The top bit of each element that has no other, then all of them side by side.
            let zero = !(((x & !top) + !top) | x | !top) >> (8 * BYTES - 1);
            match BYTES {
                1 => zero.wrapping_mul(0x0102_0408_1020_4080) >> 56,
                _ => zero.wrapping_mul(0x0001_0002_0004_0008) >> 48 & 0xf,
            }
        };
        (half(v[0]) | half(v[1]) << (Self::N / 2)) as u32
    }

    /// Bit `j`: element `j` is `e`, valid or not.
    fn equal(self, e: u16) -> u32 {
        let e = Self::ONES * u64::from(e);
        Self::zeros([self.v.0[0] ^ e, self.v.0[1] ^ e])
    }

    /// Bit `j`: element `j`, valid or not, is one of the valid ones of `a`.
    fn any(self, a: Self) -> u32 {
        if BYTES == 2 {
            return (0..a.len).fold(0, |r, i| r | self.equal(a.at(i)));
        }
        let (these, those) = (self.v.to_bytes(), a.v.to_bytes());
        let mut found = [0; 16];
        for e in &those[..a.len as usize] {
            for (f, x) in found.iter_mut().zip(&these) {
                *f |= if x == e { u8::MAX } else { 0 };
            }
        }
        Self::ALL & !Self::zeros(V128::from_bytes(found).0)
    }

    /// Bit `j`: what the aggregation says of element `j` of `self`, which is the second source (SDM Vol. 2, 4.1.3), with
    /// the polarity applied.
    fn aggregate(self, a: Self, imm: u8) -> u32 {
        let signed = imm & SIGNED != 0;
        let r = match imm >> 2 & 3 {
            // Equal any.
            0 => self.any(a) & self.valid(),
            // Ranges.
            1 => (0..self.len).fold(0, |r, j| {
                let v = self.number(j, signed);
                let inside = |i| a.number(2 * i, signed) <= v && v <= a.number(2 * i + 1, signed);
                r | u32::from((0..a.len / 2).any(inside)) << j
            }),
            // Equal each: two that are both invalid are.
            2 => {
                let same = Self::zeros([self.v.0[0] ^ a.v.0[0], self.v.0[1] ^ a.v.0[1]]);
                let (ours, theirs) = (self.valid(), a.valid());
                same & ours & theirs | !(ours | theirs) & Self::ALL
            }
            // Equal ordered: what is beyond the vector is.
            _ => (0..a.len).fold(Self::ALL, |r, i| {
                let beyond = Self::ALL & !(Self::ALL >> i);
                r & ((self.equal(a.at(i)) & self.valid()) >> i | beyond)
            }),
        };
        match imm >> 4 & 3 {
            1 => r ^ Self::ALL,
            3 => r ^ self.valid(),
            _ => r,
        }
    }
}

/// A length in a register: its magnitude.
fn explicit(v: u64, long: bool) -> u64 {
    let v = if long { v as i64 } else { v as i32 as i64 };
    v.unsigned_abs()
}

/// The comparison of two vectors, whose lengths are given or not: a mask goes to XMM0, an index is the result's low word.
/// The flags are in the high one.
fn compare<const BYTES: u32>(cpu: &mut X86Cpu, imm: u8, how: u8, v: [V128; 2], len: [Option<u64>; 2]) -> u64 {
    let a = Elements::<BYTES>::new(v[0], len[0]);
    let b = Elements::<BYTES>::new(v[1], len[1]);
    let r = b.aggregate(a, imm);
    let n = Elements::<BYTES>::N;
    let mut index = 0;
    if how & MASK != 0 {
        cpu.core.vregs[0] = match (imm >> 6 & 1, BYTES) {
            (0, _) => V128([r as u64, 0]),
            (_, 1) => make::<u8>(|i| if r >> i & 1 != 0 { !0 } else { 0 }),
            _ => make::<u16>(|i| if r >> i & 1 != 0 { !0 } else { 0 }),
        };
        if how & VEX != 0 {
            cpu.core.vregs[16] = V128::default();
        }
    } else {
        index = match r {
            0 => n,
            _ if imm & 0x40 != 0 => 31 - r.leading_zeros(),
            _ => r.trailing_zeros(),
        };
    }
    use lyrebird_isa::flags::{C, N, V, Z};
    let bit = |on: bool, f: u64| if on { f } else { 0 };
    // The low byte's odd parity is PF clear.
    let flags = bit(a.len < n, N) | bit(b.len < n, Z) | bit(r == 0, C) | bit(r & 1 != 0, V) | 1;
    flags << 32 | u64::from(index)
}

/// `what`: the immediate, `how`, and the registers of the sources; the second is in `lo` and `hi` if its number is 0xff.
fn compare_of(cpu: &mut X86Cpu, what: u64, lo: u64, hi: u64, len: [Option<u64>; 2]) -> u64 {
    let [imm, how, a, b, ..] = what.to_le_bytes();
    let second = if b == 0xff { V128([lo, hi]) } else { cpu.core.vregs[b as usize & 15] };
    let v = [cpu.core.vregs[a as usize & 15], second];
    if imm & WORDS != 0 { compare::<2>(cpu, imm, how, v, len) } else { compare::<1>(cpu, imm, how, v, len) }
}

extern "C" fn compare_implicit(cpu: &mut X86Cpu, what: u64, lo: u64, hi: u64) -> u64 {
    compare_of(cpu, what, lo, hi, [None; 2])
}

extern "C" fn compare_explicit(cpu: &mut X86Cpu, what: u64, lo: u64, hi: u64) -> u64 {
    let long = what.to_le_bytes()[1] & LONG != 0;
    let len = [RAX, RDX].map(|r| Some(explicit(cpu.core.reg(r), long)));
    compare_of(cpu, what, lo, hi, len)
}

/// Any of the four. `m` has the first source as register operand, and the second as the other where it is none in
/// memory.
#[derive(Clone, Copy, Debug)]
struct Compare<const MEM: bool> {
    m: Mem,
    imm: u8,
    how: u8,
}

impl<const MEM: bool> Sem<X86Cpu> for Compare<MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (mut lo, mut hi) = (e.imm(0), e.imm(0));
        let mut b = self.m.reg2.0;
        if MEM {
            b = 0xff;
            let va = self.m.linear(e, 16, false)?;
            let v = e.vload(MemOp::new(Size::B16), va)?;
            (lo, hi) = (e.vec_lo(v), e.vec_hi(v));
        }
        let what = u64::from_le_bytes([self.imm, self.how, self.m.reg.0, b, 0, 0, 0, 0]);
        let what = e.imm(what);
        let helper = if self.how & EXPLICIT != 0 {
            Helper::cpu("compare_strings_explicit", compare_explicit)
        } else {
            Helper::fp("compare_strings", compare_implicit)
        };
        let r = e.call(helper, [what, lo, hi])?;
        if self.how & MASK == 0 {
            let index = e.zext(Width::W32, r);
            e.set_reg(RCX, index);
        }
        let thirty_two = e.imm(32);
        let flags = e.bin(Bin::Shr, Width::W64, r, thirty_two);
        e.set_nzcv(flags);
        Ok(())
    }
}

fn how(m: Mnemonic) -> Option<u8> {
    use Mnemonic as M;
    Some(match m {
        M::Pcmpestri | M::Vpcmpestri => EXPLICIT,
        M::Pcmpestri64 | M::Vpcmpestri64 => EXPLICIT | LONG,
        M::Pcmpestrm | M::Vpcmpestrm => EXPLICIT | MASK,
        M::Pcmpestrm64 | M::Vpcmpestrm64 => EXPLICIT | MASK | LONG,
        M::Pcmpistri | M::Vpcmpistri => 0,
        M::Pcmpistrm | M::Vpcmpistrm => MASK,
        _ => return None,
    })
}

/// Whether a mnemonic is one of these.
pub(super) fn knows(m: Mnemonic) -> bool {
    how(m).is_some()
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let Some(mut how) = how(x.mnemonic()) else { return Err(v) };
    if x.i.encoding() == EncodingKind::VEX {
        how |= VEX;
    }
    let imm = x.i.immediate8();
    Ok(if x.is_mem(1) {
        v.visit(Compare::<true> { m: x.mem().with(Gpr(x.number(0))), imm, how })
    } else {
        let m = Mem::NONE.with(Gpr(x.number(0))).with2(Gpr(x.number(1)));
        v.visit(Compare::<false> { m, imm, how })
    })
}

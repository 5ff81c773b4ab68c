//! PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM Vol. 2, 4.1).

use iced_x86::{EncodingKind, Mnemonic};
use lyrebird_isa::{Emit, Helper, MemOp, Sem, Size, V128, Visitor};

use super::lanes::{Elem, make};
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

/// Elements as numbers, and how many there are.
fn elements(v: V128, imm: u8) -> ([i32; 16], usize) {
    let mut r = [0; 16];
    fn fill<T: Elem>(r: &mut [i32], v: V128, f: impl Fn(T) -> i32) -> usize {
        let l = T::get(v);
        for (r, &e) in r.iter_mut().zip(l.as_ref()) {
            *r = f(e);
        }
        l.as_ref().len()
    }
    let n = match imm & 3 {
        0 => fill::<u8>(&mut r, v, i32::from),
        1 => fill::<u16>(&mut r, v, i32::from),
        2 => fill::<i8>(&mut r, v, i32::from),
        _ => fill::<i16>(&mut r, v, i32::from),
    };
    (r, n)
}

/// The length in a register, saturated.
fn explicit(v: u64, long: bool, n: usize) -> usize {
    let v = if long { v as i64 } else { v as i32 as i64 };
    v.unsigned_abs().min(n as u64) as usize
}

/// Bit `j`: what the aggregation says of element `j` of `b` (SDM Vol. 2, 4.1.3), with the polarity applied.
fn aggregate(a: &[i32], b: &[i32], n: usize, imm: u8) -> u32 {
    let bit = |j: usize| -> bool {
        let inside = b.get(j);
        match imm >> 2 & 3 {
            0 => inside.is_some_and(|v| a.contains(v)),
            1 => inside.is_some_and(|v| a.chunks_exact(2).any(|r| r[0] <= *v && *v <= r[1])),
            2 => inside == a.get(j),
            _ => a.iter().take(n - j).enumerate().all(|(i, v)| b.get(j + i) == Some(v)),
        }
    };
    let r = (0..n).fold(0, |r, j| r | (bit(j) as u32) << j);
    match imm >> 4 & 3 {
        1 => r ^ ((1 << n) - 1),
        3 => r ^ ((1u32 << b.len()) - 1),
        _ => r,
    }
}

extern "C" fn compare(cpu: &mut X86Cpu, what: u64, lo: u64, hi: u64) -> u64 {
    let [imm, how, a, b, ..] = what.to_le_bytes();
    let second = if b == 0xff { V128([lo, hi]) } else { cpu.core.vregs[b as usize & 15] };
    let ((a, n), (b, _)) = (elements(cpu.core.vregs[a as usize & 15], imm), elements(second, imm));
    let long = how & LONG != 0;
    let (la, lb) = if how & EXPLICIT != 0 {
        (explicit(cpu.core.reg(RAX), long, n), explicit(cpu.core.reg(RDX), long, n))
    } else {
        let len = |v: &[i32]| v.iter().position(|&e| e == 0).unwrap_or(n);
        (len(&a[..n]), len(&b[..n]))
    };
    let r = aggregate(&a[..la], &b[..lb], n, imm);
    if how & MASK != 0 {
        cpu.core.vregs[0] = match (imm >> 6 & 1, imm & 1) {
            (0, _) => V128([r as u64, 0]),
            (_, 0) => make::<u8>(|i| if r >> i & 1 != 0 { !0 } else { 0 }),
            _ => make::<u16>(|i| if r >> i & 1 != 0 { !0 } else { 0 }),
        };
        if how & VEX != 0 {
            cpu.core.vregs[16] = V128::default();
        }
    } else {
        let at = match r {
            0 => n as u32,
            _ if imm & 0x40 != 0 => 31 - r.leading_zeros(),
            _ => r.trailing_zeros(),
        };
        cpu.core.set_reg(RCX, at as u64);
    }
    use lyrebird_isa::flags::{C, N, V, Z};
    let bit = |on: bool, f: u64| if on { f } else { 0 };
    // The low byte's odd parity is PF clear.
    let flags = bit(la < n, N) | bit(lb < n, Z) | bit(r == 0, C) | bit(r & 1 != 0, V) | 1;
    cpu.core.set_nzcv(flags);
    0
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
        e.call(Helper::cpu("compare_strings", compare), [what, lo, hi])?;
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

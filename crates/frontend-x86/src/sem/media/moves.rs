//! Moves between vector registers, memory and general registers, MMX's included.

use iced_x86::{EncodingKind, Mnemonic, OpKind};
use lyrebird_isa::ops::Lane;
use lyrebird_isa::{Emit, Helper, MemOp, Sem, Size, Visitor, Width};

use super::{
    FromGpr, FromMem, FromRegs, Op, ToMem, What, access, dest, flag, masked, op_of, place, place_of, strings,
};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, size, w};
use crate::sem::Decoded;

/// Set in `how`: the operand must be aligned.
const ALIGNED: u8 = 1;
/// Set in `how`: VEX-encoded.
const VEX: u8 = 2;
/// Set in `how`: 256 bits.
const WIDE: u8 = 4;

/// Clears the upper half of a YMM register.
#[inline(always)]
fn clear_upper<E: Emit<Cpu = X86Cpu>>(e: &mut E, d: u8) {
    let zero = e.imm(0);
    let zero = e.vsplat(Lane::D, zero);
    e.set_vreg(16 + d, zero);
}

/// The address of the lower half of 256 bits. Where both halves are to be aligned to 32 bytes, it is made one that
/// their access, which must be aligned to 16, refuses.
#[inline(always)]
fn lower<E: Emit<Cpu = X86Cpu>>(e: &mut E, va: E::Val, how: u8) -> E::Val {
    if how & ALIGNED == 0 {
        return va;
    }
    let four = e.imm(4);
    let odd = e.bin(lyrebird_isa::Bin::Shr, Width::W64, va, four);
    let one = e.imm(1);
    let odd = e.bin(lyrebird_isa::Bin::And, Width::W64, odd, one);
    e.bin(lyrebird_isa::Bin::Or, Width::W64, va, odd)
}

/// Memory (1 << LOG2 bytes) to vector register; the rest of its lower half is cleared.
#[derive(Clone, Copy, Debug)]
struct Load<const LOG2: u8> {
    m: Mem,
    how: u8,
}

impl<const LOG2: u8> Sem<X86Cpu> for Load<LOG2> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let d = self.m.reg.0;
        let va = self.m.linear(e, 1 << LOG2, false)?;
        let m = access(Size::from_log2(LOG2 as u32), self.how & ALIGNED != 0);
        if LOG2 == 5 {
            let va = lower(e, va, self.how);
            let lo = e.vload(m, va)?;
            let va = e.add_imm(va, 16);
            let hi = e.vload(m, va)?;
            e.set_vreg(d, lo);
            e.set_vreg(16 + d, hi);
            return Ok(());
        }
        let v = e.vload(m, va)?;
        e.set_vreg(d, v);
        if self.how & VEX != 0 {
            clear_upper(e, d);
        }
        Ok(())
    }
}

/// The low 1 << LOG2 bytes of a vector register to memory.
#[derive(Clone, Copy, Debug)]
struct Store<const LOG2: u8> {
    m: Mem,
    how: u8,
}

impl<const LOG2: u8> Sem<X86Cpu> for Store<LOG2> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let s = self.m.reg.0;
        let va = self.m.linear(e, 1 << LOG2, true)?;
        let m = access(Size::from_log2(LOG2 as u32), self.how & ALIGNED != 0);
        let v = e.vreg(s);
        if LOG2 == 5 {
            let va = lower(e, va, self.how);
            let hi = e.vreg(16 + s);
            e.vstore(m, va, v)?;
            let va = e.add_imm(va, 16);
            return e.vstore(m, va, hi);
        }
        e.vstore(m, va, v)
    }
}

/// Bits 127 to 64 to memory.
#[derive(Clone, Copy, Debug)]
struct StoreHigh {
    m: Mem,
}

impl Sem<X86Cpu> for StoreHigh {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, 8, true)?;
        let v = e.vreg(self.m.reg.0);
        let v = e.vec_hi(v);
        e.store(MemOp::new(Size::B8), va, v)
    }
}

/// Vector register to vector register; of MOVQ the lower half.
#[derive(Clone, Copy, Debug)]
struct Copy<const LOW: bool> {
    d: u8,
    s: u8,
    how: u8,
}

impl<const LOW: bool> Sem<X86Cpu> for Copy<LOW> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let mut v = e.vreg(self.s);
        if LOW {
            let (lo, zero) = (e.vec_lo(v), e.imm(0));
            v = e.vec(lo, zero);
        }
        e.set_vreg(self.d, v);
        if self.how & WIDE != 0 {
            let v = e.vreg(16 + self.s);
            e.set_vreg(16 + self.d, v);
        } else if self.how & VEX != 0 {
            clear_upper(e, self.d);
        }
        Ok(())
    }
}

/// MOVD, MOVQ from a general register.
#[derive(Clone, Copy, Debug)]
struct GprIn<const W: u8> {
    d: u8,
    s: Gpr,
    how: u8,
}

impl<const W: u8> Sem<X86Cpu> for GprIn<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.s.get::<W, E>(e);
        let zero = e.imm(0);
        let v = e.vec(v, zero);
        e.set_vreg(self.d, v);
        if self.how & VEX != 0 {
            clear_upper(e, self.d);
        }
        Ok(())
    }
}

/// MOVD, MOVQ to a general register.
#[derive(Clone, Copy, Debug)]
struct GprOut<const W: u8> {
    d: Gpr,
    s: u8,
}

impl<const W: u8> Sem<X86Cpu> for GprOut<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.s);
        let v = e.vec_lo(v);
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// MOVNTI.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreGpr<const W: u8> {
    m: Mem,
}

impl<const W: u8> StoreGpr<W> {
    pub(super) fn of(x: &Insn<'_>) -> Self {
        StoreGpr { m: x.mem().with(x.gpr(1)) }
    }
}

impl<const W: u8> Sem<X86Cpu> for StoreGpr<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.m.reg.raw::<W, E>(e);
        let va = self.m.linear(e, size(W).bytes(), true)?;
        e.store(MemOp::new(size(W)), va, v)
    }
}

/// EMMS.
#[derive(Clone, Copy, Debug)]
struct Emms;

extern "C" fn emms(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    if cpu.enter_mmx() {
        cpu.x87.tw = 0xffff;
    }
    0
}

impl Sem<X86Cpu> for Emms {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let zero = e.imm(0);
        e.call(Helper::cpu("emms", emms), [zero; 3])?;
        Ok(())
    }
}

/// VZEROUPPER, VZEROALL (`ALL`), on the first `n` registers.
#[derive(Clone, Copy, Debug)]
struct Zero<const ALL: bool> {
    n: u8,
}

extern "C" fn zero(cpu: &mut X86Cpu, n: u64, all: u64, _: u64) -> u64 {
    let n = n as usize & 31;
    cpu.core.vregs[16..][..n.min(16)].fill(Default::default());
    if all != 0 {
        cpu.core.vregs[..n.min(16)].fill(Default::default());
    }
    0
}

impl<const ALL: bool> Sem<X86Cpu> for Zero<ALL> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let args = [e.imm(self.n as u64), e.imm(ALL as u64), e.imm(0)];
        e.call(Helper::fp("vzero", zero), args)?;
        Ok(())
    }
}

/// Whether all of the register is moved; then, whether memory must be aligned.
fn full(m: Mnemonic) -> Option<bool> {
    use Mnemonic as M;
    match m {
        M::Movaps | M::Movapd | M::Movdqa | M::Movntps | M::Movntpd | M::Movntdq | M::Movntdqa => Some(true),
        M::Vmovaps | M::Vmovapd | M::Vmovdqa | M::Vmovntps | M::Vmovntpd | M::Vmovntdq | M::Vmovntdqa => {
            Some(true)
        }
        M::Movups | M::Movupd | M::Movdqu | M::Lddqu => Some(false),
        M::Vmovups | M::Vmovupd | M::Vmovdqu | M::Vlddqu => Some(false),
        _ => None,
    }
}

/// Whether a mnemonic without a row is one of these, or of the files that this one asks.
pub(super) fn knows(m: Mnemonic) -> bool {
    use Mnemonic as M;
    full(m).is_some()
        || matches!(m, M::Movd | M::Movq | M::Vmovd | M::Vmovq | M::Emms | M::Vzeroupper | M::Vzeroall)
        || strings::knows(m)
        || masked::knows(m)
}

/// MOVD and MOVQ of MMX registers.
fn mmx<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> V::Out {
    // Behind either row stands that of the lower 32 bits.
    let (part, value): (Op, Op) = (op_of(Mnemonic::Movdq2q), op_of(Mnemonic::Movntq));
    let r = |n: u32| place_of(x.i.op_register(n));
    let is_reg = |n: u32| x.i.op_kind(n) == OpKind::Register;
    let bytes = if x.is_mem(0) || x.is_mem(1) { x.i.memory_size().size() as u8 } else { 0 };
    let log2 = if bytes == 4 { 2 } else { 3 };
    let flags = flag::ANY | log2 << flag::SIZE;
    if x.is_mem(0) {
        v.visit(ToMem { m: x.mem().with(Gpr(r(1))), op: value, imm: 0, flags })
    } else if x.is_mem(1) {
        v.visit(FromMem::<{ dest::VECTOR }> {
            m: x.mem().with(Gpr(r(0))).with2(Gpr(r(0))),
            op: part,
            imm: 0,
            flags,
        })
    } else if x.is_gpr(1) {
        let op = part + (x.reg_width(1) == w::D) as Op;
        let w = What { d: r(0), a: r(0), b: place::VALUE, imm: 0, flags: flag::ANY, op };
        v.visit(FromGpr { w, s: x.gpr(1) })
    } else if x.is_gpr(0) {
        let op = value + (x.reg_width(0) == w::D) as Op;
        let w = What { d: x.gpr(0).0, a: r(1), b: r(1), imm: 0, flags: flag::ANY, op };
        v.visit(FromRegs::<{ dest::GPR }> { w })
    } else {
        debug_assert!(is_reg(0) && is_reg(1));
        let w = What { d: r(0), a: r(0), b: r(1), imm: 0, flags: flag::ANY, op: part };
        v.visit(FromRegs::<{ dest::VECTOR }> { w })
    }
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    use Mnemonic as M;
    let m = x.mnemonic();
    let i = x.i;
    let vex = i.encoding() == EncodingKind::VEX;
    let mut how = if vex { VEX } else { 0 };
    let number = |n: u32| x.number(n);
    if let Some(aligned) = full(m) {
        how |= if aligned { ALIGNED } else { 0 };
        let wide = (0..2).any(|n| i.op_kind(n) == OpKind::Register && i.op_register(n).is_ymm());
        return Ok(match (x.is_mem(0), x.is_mem(1)) {
            (true, _) if wide => v.visit(Store::<5> { m: x.mem().with(Gpr(number(1))), how }),
            (true, _) => v.visit(Store::<4> { m: x.mem().with(Gpr(number(1))), how }),
            (_, true) if wide => v.visit(Load::<5> { m: x.mem().with(Gpr(number(0))), how }),
            (_, true) => v.visit(Load::<4> { m: x.mem().with(Gpr(number(0))), how }),
            _ => {
                how |= if wide { WIDE } else { 0 };
                v.visit(Copy::<false> { d: number(0), s: number(1), how })
            }
        });
    }
    Ok(match m {
        M::Movd | M::Movq | M::Vmovd | M::Vmovq => {
            let mm = |n: u32| i.op_kind(n) == OpKind::Register && i.op_register(n).is_mm();
            if mm(0) || mm(1) {
                return Ok(mmx(x, v));
            }
            let four = x.i.memory_size().size() == 4;
            if x.is_mem(0) {
                let m = x.mem().with(Gpr(number(1)));
                if four { v.visit(Store::<2> { m, how }) } else { v.visit(Store::<3> { m, how }) }
            } else if x.is_mem(1) {
                let m = x.mem().with(Gpr(number(0)));
                if four { v.visit(Load::<2> { m, how }) } else { v.visit(Load::<3> { m, how }) }
            } else if x.is_gpr(0) {
                let (d, s) = (x.gpr(0), number(1));
                if x.reg_width(0) == w::D {
                    v.visit(GprOut::<{ w::D }> { d, s })
                } else {
                    v.visit(GprOut::<{ w::Q }> { d, s })
                }
            } else if x.is_gpr(1) {
                let (d, s) = (number(0), x.gpr(1));
                if x.reg_width(1) == w::D {
                    v.visit(GprIn::<{ w::D }> { d, s, how })
                } else {
                    v.visit(GprIn::<{ w::Q }> { d, s, how })
                }
            } else {
                v.visit(Copy::<true> { d: number(0), s: number(1), how })
            }
        }
        M::Movss | M::Vmovss if x.is_mem(0) => v.visit(Store::<2> { m: x.mem().with(Gpr(number(1))), how }),
        M::Movss | M::Vmovss if x.is_mem(1) => v.visit(Load::<2> { m: x.mem().with(Gpr(number(0))), how }),
        M::Movsd | M::Vmovsd if x.is_mem(0) => v.visit(Store::<3> { m: x.mem().with(Gpr(number(1))), how }),
        M::Movsd | M::Vmovsd if x.is_mem(1) => v.visit(Load::<3> { m: x.mem().with(Gpr(number(0))), how }),
        M::Movlps | M::Movlpd | M::Vmovlps | M::Vmovlpd if x.is_mem(0) => {
            v.visit(Store::<3> { m: x.mem().with(Gpr(number(1))), how })
        }
        M::Movhps | M::Movhpd | M::Vmovhps | M::Vmovhpd if x.is_mem(0) => {
            v.visit(StoreHigh { m: x.mem().with(Gpr(number(1))) })
        }
        M::Vextractf128 | M::Vextracti128 if x.is_mem(0) => {
            let half = number(1) + 16 * (i.immediate8() & 1);
            v.visit(Store::<4> { m: x.mem().with(Gpr(half)), how })
        }
        M::Vcvtps2ph if x.is_mem(0) => masked::halves_to_memory(x, v),
        M::Emms => v.visit(Emms),
        M::Vzeroupper => v.visit(Zero::<false> { n: if x.mode.code64() { 16 } else { 8 } }),
        M::Vzeroall => v.visit(Zero::<true> { n: if x.mode.code64() { 16 } else { 8 } }),
        m if strings::knows(m) => return strings::decode(x, v),
        m if masked::knows(m) => return masked::decode(x, v),
        _ => return Err(v),
    })
}

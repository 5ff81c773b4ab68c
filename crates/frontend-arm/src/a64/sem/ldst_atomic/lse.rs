//! FEAT_LSE: compare-and-swap, and the read-modify-write operations with their ST aliases.

use lyrebird_isa::{Emit, Helper, Order, Reg, Rmw, Sem, V128, Visitor};

use super::exclusive::{join, split};
use super::{aligned, order, sizes};
use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;

/// CAS of `1 << SIZE` bytes. The comparand is read as the destination's old value.
#[derive(Clone, Copy, Debug)]
pub struct Cas<const SIZE: u8> {
    expected: Reg,
    s: Reg,
    t: Reg,
    n: Reg,
    order: Order,
}

impl<const SIZE: u8> Sem<ArmCpu> for Cas<SIZE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = aligned(SIZE, self.order);
        let (va, expected, new) = (e.reg(self.n), e.reg(self.expected), e.reg(self.t));
        let expected = e.zext(m.size.width(), expected);
        let new = e.zext(m.size.width(), new);
        let old = e.cas(m, va, expected, new)?;
        e.set_reg(self.s, old);
        Ok(())
    }
}

/// Constructor for CAS.
pub fn cas<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (expected, s, t, n) = (w.rm(), regs::x_dst(w.m()), w.rt_src(), w.rn_sp());
    let order = order(w.bit(22), w.bit(15));
    sizes!(w => |SIZE| v.visit(Cas::<SIZE> { expected, s, t, n, order }))
}

/// CASP of two words: one doubleword.
#[derive(Clone, Copy, Debug)]
pub struct CaspW {
    s: u8,
    t: u8,
    n: Reg,
    order: Order,
}

impl Sem<ArmCpu> for CaspW {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (s, t) = (self.s as u32, self.t as u32);
        let va = e.reg(self.n);
        let (lo, hi) = (e.reg(regs::x_src(s)), e.reg(regs::x_src(s + 1)));
        let expected = join(e, lo, hi);
        let (lo, hi) = (e.reg(regs::x_src(t)), e.reg(regs::x_src(t + 1)));
        let new = join(e, lo, hi);
        let old = e.cas(aligned(3, self.order), va, expected, new)?;
        let (lo, hi) = split(e, old);
        e.set_reg(regs::x_dst(s), lo);
        e.set_reg(regs::x_dst(s + 1), hi);
        Ok(())
    }
}

/// CASP of two doublewords. The pairs do not fit a helper's arguments: it reads and writes them itself.
#[derive(Clone, Copy, Debug)]
pub struct CaspX {
    s: u8,
    t: u8,
    n: Reg,
    order: Order,
}

extern "C" fn casp_x(cpu: &mut ArmCpu, va: u64, pairs: u64, acquire_release: u64) -> u64 {
    let (s, t) = ((pairs & 31) as u32, (pairs >> 8 & 31) as u32);
    let pair = |cpu: &ArmCpu, r: u32| V128([cpu.core.reg(regs::x_src(r)), cpu.core.reg(regs::x_src(r + 1))]);
    let (expected, new) = (pair(cpu, s), pair(cpu, t));
    let m = aligned(4, order(acquire_release & 1 != 0, acquire_release & 2 != 0));
    let old = cpu.cas128(va, m, expected, new);
    if cpu.core.fault == 0 {
        cpu.core.set_reg(regs::x_dst(s), old.0[0]);
        cpu.core.set_reg(regs::x_dst(s + 1), old.0[1]);
    }
    0
}

impl Sem<ArmCpu> for CaspX {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = e.reg(self.n);
        let (pairs, order) = (e.imm(self.s as u64 | (self.t as u64) << 8), e.imm(self.order as u64));
        e.call(Helper::cpu("casp_x", casp_x), [va, pairs, order])?;
        Ok(())
    }
}

/// Constructor for CASP. Both pairs begin at an even register.
pub fn casp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (s, t, n) = (w.m() as u8, w.d() as u8, w.rn_sp());
    if (s | t) & 1 != 0 {
        return unallocated(w, pc, v);
    }
    let order = order(w.bit(22), w.bit(15));
    if w.bit(30) { v.visit(CaspX { s, t, n, order }) } else { v.visit(CaspW { s, t, n, order }) }
}

/// LDADD and its like, SWP, and with XZR as `t` STADD and its like. `OP` indexes [`Rmw::ALL`].
#[derive(Clone, Copy, Debug)]
pub struct Atomic<const SIZE: u8, const OP: u8> {
    s: Reg,
    t: Reg,
    n: Reg,
    order: Order,
}

impl<const SIZE: u8, const OP: u8> Sem<ArmCpu> for Atomic<SIZE, OP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = aligned(SIZE, self.order);
        let (va, v) = (e.reg(self.n), e.reg(self.s));
        let v = e.zext(m.size.width(), v);
        let old = e.rmw(Rmw::ALL[OP as usize], m, va, v)?;
        e.set_reg(self.t, old);
        Ok(())
    }
}

fn atomic<const OP: u8, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    let (s, t, n, order) = (w.rm(), w.rd(), w.rn_sp(), order(w.bit(23), w.bit(22)));
    sizes!(w => |SIZE| v.visit(Atomic::<SIZE, OP> { s, t, n, order }))
}

/// Constructor for SWP.
pub fn swp<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Swp as u8 }, V>(w, v)
}

/// Constructor for LDADD.
pub fn ldadd<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Add as u8 }, V>(w, v)
}

/// Constructor for LDCLR.
pub fn ldclr<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Clr as u8 }, V>(w, v)
}

/// Constructor for LDEOR.
pub fn ldeor<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Eor as u8 }, V>(w, v)
}

/// Constructor for LDSET.
pub fn ldset<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Set as u8 }, V>(w, v)
}

/// Constructor for LDSMAX.
pub fn ldsmax<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Smax as u8 }, V>(w, v)
}

/// Constructor for LDSMIN.
pub fn ldsmin<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Smin as u8 }, V>(w, v)
}

/// Constructor for LDUMAX.
pub fn ldumax<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Umax as u8 }, V>(w, v)
}

/// Constructor for LDUMIN.
pub fn ldumin<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    atomic::<{ Rmw::Umin as u8 }, V>(w, v)
}

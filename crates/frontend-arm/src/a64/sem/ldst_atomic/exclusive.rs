//! Load-exclusive and store-exclusive.
//!
//! The local monitor remembers the address and the value loaded ([`lyrebird_isa::Core::excl_addr`],
//! [`lyrebird_isa::Core::excl_val`]); a store-exclusive succeeds where the address is the same and memory still
//! holds that value, checked and stored in one host compare-and-swap. So another vCPU's store that leaves the
//! value as it was, or a change and back, goes unnoticed; QEMU has the same limit. Sizes that differ between
//! load and store are CONSTRAINED UNPREDICTABLE: values are compared, so a store narrower than what was loaded
//! fails unless the rest is 0.

use lyrebird_isa::state::TAG_NONE;
use lyrebird_isa::{Bin, Cpu, Emit, Helper, Reg, Sem, V128, Visitor, Width};

use super::{aligned, order, sizes};
use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::sem::flags;
use crate::a64::word::Word;

/// The bits of an address that the monitor remembers: not the tag, which is no part of the physical address that it
/// marks (Arm ARM B2.12.1). Without TBI an access with another top byte faults on its own.
const MARKED: u64 = u64::MAX >> 8;

/// Marks the local monitor with the address and the value or values loaded.
extern "C" fn monitor(cpu: &mut ArmCpu, va: u64, lo: u64, hi: u64) -> u64 {
    cpu.core.excl_addr = va & MARKED;
    cpu.core.excl_val = [lo, hi];
    0
}

/// The values loaded from `va` if the monitor is marked for it. Opens the monitor in any case.
fn take_monitor(cpu: &mut ArmCpu, va: u64) -> Option<[u64; 2]> {
    let hit = cpu.core.excl_addr == va & MARKED;
    cpu.core.excl_addr = TAG_NONE;
    hit.then_some(cpu.core.excl_val)
}

/// Store-exclusive of up to 8 bytes. Returns the status: 0 stored, 1 not.
extern "C" fn store_exclusive<const SIZE: u8, const RELEASE: bool>(
    cpu: &mut ArmCpu,
    va: u64,
    new: u64,
    _: u64,
) -> u64 {
    let Some([expected, _]) = take_monitor(cpu, va) else { return 1 };
    let m = aligned(SIZE, order(false, RELEASE));
    if m.size.width().zext(expected) != expected {
        return 1;
    }
    let old = cpu.cas(va, m, expected, m.size.width().zext(new));
    (old != expected) as u64
}

/// Store-exclusive of 16 bytes. Returns the status as [`store_exclusive`].
extern "C" fn store_exclusive_128<const RELEASE: bool>(cpu: &mut ArmCpu, va: u64, lo: u64, hi: u64) -> u64 {
    let Some(expected) = take_monitor(cpu, va) else { return 1 };
    let m = aligned(4, order(false, RELEASE));
    let old = cpu.cas128(va, m, V128(expected), V128([lo, hi]));
    (old != V128(expected)) as u64
}

/// LDXR, LDAXR of `1 << SIZE` bytes.
#[derive(Clone, Copy, Debug)]
pub struct LoadExclusive<const SIZE: u8, const ACQUIRE: bool> {
    t: Reg,
    n: Reg,
}

impl<const SIZE: u8, const ACQUIRE: bool> Sem<ArmCpu> for LoadExclusive<SIZE, ACQUIRE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (va, zero) = (e.reg(self.n), e.imm(0));
        let v = e.load(aligned(SIZE, order(ACQUIRE, false)), va)?;
        e.call(Helper::fp("monitor", monitor), [va, v, zero])?;
        e.set_reg(self.t, v);
        Ok(())
    }
}

/// Constructor for LDXR and LDAXR.
pub fn load<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (t, n) = (w.rd(), w.rn_sp());
    flags!(w.bit(15) => |ACQ| sizes!(w => |SIZE| v.visit(LoadExclusive::<SIZE, ACQ> { t, n })))
}

/// STXR, STLXR of `1 << SIZE` bytes. The status register is written last, also where it is Rt or Rn
/// (CONSTRAINED UNPREDICTABLE).
#[derive(Clone, Copy, Debug)]
pub struct StoreExclusive<const SIZE: u8, const RELEASE: bool> {
    s: Reg,
    t: Reg,
    n: Reg,
}

impl<const SIZE: u8, const RELEASE: bool> Sem<ArmCpu> for StoreExclusive<SIZE, RELEASE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (va, new, zero) = (e.reg(self.n), e.reg(self.t), e.imm(0));
        let helper = Helper::cpu("store_exclusive", store_exclusive::<SIZE, RELEASE>);
        let status = e.call(helper, [va, new, zero])?;
        e.set_reg(self.s, status);
        Ok(())
    }
}

/// Constructor for STXR and STLXR.
pub fn store<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (s, t, n) = (regs::x_dst(w.m()), w.rt_src(), w.rn_sp());
    flags!(w.bit(15) => |REL| sizes!(w => |SIZE| v.visit(StoreExclusive::<SIZE, REL> { s, t, n })))
}

/// LDXP, LDAXP. The pair is one access, aligned to its whole size.
#[derive(Clone, Copy, Debug)]
pub struct LoadExclusivePair<const SF: bool, const ACQUIRE: bool> {
    t: Reg,
    t2: Reg,
    n: Reg,
}

impl<const SF: bool, const ACQUIRE: bool> Sem<ArmCpu> for LoadExclusivePair<SF, ACQUIRE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = e.reg(self.n);
        if SF {
            // Single-copy atomic only once a store-exclusive succeeds, which compares both halves.
            let v = e.vload(aligned(4, order(ACQUIRE, false)), va)?;
            let (lo, hi) = (e.vec_lo(v), e.vec_hi(v));
            if ACQUIRE {
                e.fence();
            }
            e.call(Helper::fp("monitor", monitor), [va, lo, hi])?;
            e.set_reg(self.t, lo);
            e.set_reg(self.t2, hi);
        } else {
            let zero = e.imm(0);
            let v = e.load(aligned(3, order(ACQUIRE, false)), va)?;
            e.call(Helper::fp("monitor", monitor), [va, v, zero])?;
            let (lo, hi) = split(e, v);
            e.set_reg(self.t, lo);
            e.set_reg(self.t2, hi);
        }
        Ok(())
    }
}

/// Constructor for LDXP and LDAXP.
pub fn load_pair<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (t, t2, n) = (w.rd(), regs::x_dst(w.a()), w.rn_sp());
    flags!(w.bit(30), w.bit(15) => |SF, ACQ| v.visit(LoadExclusivePair::<SF, ACQ> { t, t2, n }))
}

/// STXP, STLXP.
#[derive(Clone, Copy, Debug)]
pub struct StoreExclusivePair<const SF: bool, const RELEASE: bool> {
    s: Reg,
    t: Reg,
    t2: Reg,
    n: Reg,
}

impl<const SF: bool, const RELEASE: bool> Sem<ArmCpu> for StoreExclusivePair<SF, RELEASE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (va, lo, hi) = (e.reg(self.n), e.reg(self.t), e.reg(self.t2));
        let status = if SF {
            e.call(Helper::cpu("store_exclusive_128", store_exclusive_128::<RELEASE>), [va, lo, hi])?
        } else {
            let (v, zero) = (join(e, lo, hi), e.imm(0));
            e.call(Helper::cpu("store_exclusive", store_exclusive::<3, RELEASE>), [va, v, zero])?
        };
        e.set_reg(self.s, status);
        Ok(())
    }
}

/// Constructor for STXP and STLXP.
pub fn store_pair<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (s, t, t2, n) = (regs::x_dst(w.m()), w.rt_src(), w.ra(), w.rn_sp());
    flags!(w.bit(30), w.bit(15) => |SF, REL| v.visit(StoreExclusivePair::<SF, REL> { s, t, t2, n }))
}

/// The low and the high word of a doubleword.
#[inline(always)]
pub(super) fn split<E: Emit<Cpu = ArmCpu>>(e: &mut E, v: E::Val) -> (E::Val, E::Val) {
    let n = e.imm(32);
    (e.zext(Width::W32, v), e.bin(Bin::Shr, Width::W64, v, n))
}

/// The doubleword of a low and a high word.
#[inline(always)]
pub(super) fn join<E: Emit<Cpu = ArmCpu>>(e: &mut E, lo: E::Val, hi: E::Val) -> E::Val {
    let n = e.imm(32);
    let lo = e.zext(Width::W32, lo);
    let hi = e.bin(Bin::Shl, Width::W64, hi, n);
    e.bin(Bin::Or, Width::W64, lo, hi)
}

#[cfg(test)]
mod tests {
    use crate::CpuModel;
    use crate::testing::{Machine, RAM};

    #[test]
    fn the_monitor_marks_memory_whatever_the_tag_of_the_address() {
        let mut m = Machine::new(CpuModel::max());
        // TCR_EL1.TBI0.
        m.msr("TCR_EL1", 1 << 37);
        m.poke(RAM, 5);
        m.cpu.core.regs[1] = 0xab << 56 | RAM;
        m.cpu.core.regs[3] = 7;
        m.cpu.core.regs[4] = RAM;
        assert!(m.run(0xc85f_7c20), "ldxr x0, [x1]");
        assert!(m.run(0xc802_7c83), "stxr w2, x3, [x4]");
        assert_eq!((m.cpu.core.regs[0], m.cpu.core.regs[2]), (5, 0));
    }
}

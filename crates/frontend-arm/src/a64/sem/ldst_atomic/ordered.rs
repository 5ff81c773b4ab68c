//! LDAR, STLR, LDLAR, STLLR, LDAPR, and LDAPUR, STLUR with their offset.

use lyrebird_isa::{Emit, Order, Reg, Sem, Visitor};

use super::aligned;
use crate::ArmCpu;
use crate::a64::sem::ldst::{access, kinds, transfer};
use crate::a64::sem::undefined::unallocated;
use crate::a64::word::Word;

/// A load-acquire or a store-release. That LDAR is ordered after an earlier STLR and LDAPR is not makes no
/// difference here: the store pays for it. Limited ordering regions are the whole of memory.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<const KIND: u8> {
    t: Reg,
    n: Reg,
    offset: i32,
}

impl<const KIND: u8> Sem<ArmCpu> for Ordered<KIND> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = aligned(KIND & 3, if KIND >> 2 == 0 { Order::Release } else { Order::Acquire });
        let base = e.reg(self.n);
        let va = e.add_imm(base, self.offset as i64 as u64);
        access::<KIND, E>(e, m, self.t, va)
    }
}

/// Constructor for LDAR, LDLAR and LDAPR.
pub fn load<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (t, n) = (w.rd(), w.rn_sp());
    match w.bits(30, 2) {
        0 => v.visit(Ordered::<4> { t, n, offset: 0 }),
        1 => v.visit(Ordered::<5> { t, n, offset: 0 }),
        2 => v.visit(Ordered::<6> { t, n, offset: 0 }),
        _ => v.visit(Ordered::<7> { t, n, offset: 0 }),
    }
}

/// Constructor for STLR and STLLR.
pub fn store<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let (t, n) = (w.rt_src(), w.rn_sp());
    match w.bits(30, 2) {
        0 => v.visit(Ordered::<0> { t, n, offset: 0 }),
        1 => v.visit(Ordered::<1> { t, n, offset: 0 }),
        2 => v.visit(Ordered::<2> { t, n, offset: 0 }),
        _ => v.visit(Ordered::<3> { t, n, offset: 0 }),
    }
}

/// Constructor for LDAPUR and STLUR.
pub fn unscaled<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let (t, n, offset) = (transfer(w), w.rn_sp(), w.sbits(12, 9) as i32);
    kinds!(w => |KIND| v.visit(Ordered::<KIND> { t, n, offset }), else unallocated(w, pc, v))
}

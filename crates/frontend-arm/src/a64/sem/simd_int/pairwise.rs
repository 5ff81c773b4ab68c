//! ADDP (scalar): C7.2.5. The vector forms are in [`super::packed`].

use lyrebird_isa::{Emit, Sem, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::half;
use crate::a64::word::Word;

/// ADDP (scalar): the two doublewords of Rn.
#[derive(Clone, Copy, Debug)]
pub struct AddpScalar {
    d: u8,
    n: u8,
}

impl Sem<ArmCpu> for AddpScalar {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = e.vreg(self.n);
        let (lo, hi) = (e.vec_lo(a), e.vec_hi(a));
        let sum = e.add(lo, hi);
        let r = e.vec(sum, sum);
        let r = half(e, false, r);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// Constructor of ADDP (scalar).
pub fn addp_scalar<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(AddpScalar { d: w.d() as u8, n: w.n() as u8 })
}

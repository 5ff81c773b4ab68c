//! LDP, LDNP, STP, STNP (SIMD&FP): C7.2.188, C7.2.189, C7.2.328, C7.2.329. The non-temporal hint is ignored.

use lyrebird_isa::{Emit, Reg, Sem, Visitor};

use super::access;
use crate::ArmCpu;
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// A pair of registers of `1 << S` bytes each. `PRE`: the offset counts for this access; `WB`: write-back.
#[derive(Clone, Copy, Debug)]
pub struct Pair<const S: u8, const LOAD: bool, const PRE: bool, const WB: bool> {
    t: u8,
    t2: u8,
    n: Reg,
    off: i16,
}

impl<const S: u8, const LOAD: bool, const PRE: bool, const WB: bool> Sem<ArmCpu> for Pair<S, LOAD, PRE, WB> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = access(S);
        let base = e.reg(self.n);
        let next = e.add_imm(base, self.off as i64 as u64);
        let va = if PRE { next } else { base };
        match (LOAD, S) {
            (true, 4) => {
                let lo = e.vload(m, va)?;
                let va2 = e.add_imm(va, 16);
                let hi = e.vload(m, va2)?;
                e.set_vreg(self.t, lo);
                e.set_vreg(self.t2, hi);
            }
            (true, _) => {
                let (lo, hi) = e.load_pair(m, va)?;
                let z = e.imm(0);
                let (lo, hi) = (e.vec(lo, z), e.vec(hi, z));
                e.set_vreg(self.t, lo);
                e.set_vreg(self.t2, hi);
            }
            (false, 4) => {
                let (lo, hi) = (e.vreg(self.t), e.vreg(self.t2));
                e.vstore(m, va, lo)?;
                let va2 = e.add_imm(va, 16);
                e.vstore(m, va2, hi)?;
            }
            (false, _) => {
                let (lo, hi) = (e.vreg(self.t), e.vreg(self.t2));
                let (lo, hi) = (e.vec_lo(lo), e.vec_lo(hi));
                e.store_pair(m, va, lo, hi)?;
            }
        }
        if WB {
            e.set_reg(self.n, next);
        }
        Ok(())
    }
}

/// Constructor for all rows: opc (31 to 30) is the size, bits 24 to 23 the addressing mode.
pub fn pair<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let opc = w.bits(30, 2);
    if opc == 3 {
        return undefined::unallocated(w, pc, v);
    }
    let (t, t2, n) = (w.d() as u8, w.a() as u8, w.rn_sp());
    let off = (w.sbits(15, 7) << (2 + opc)) as i16;
    // 00 is non-temporal (offset), 01 post-indexed, 10 offset, 11 pre-indexed.
    let (pre, wb) = (w.bits(23, 2) != 1, w.bit(23));
    flags!(w.bit(22), pre, wb => |LOAD, PRE, WB| match opc {
        0 => v.visit(Pair::<2, LOAD, PRE, WB> { t, t2, n, off }),
        1 => v.visit(Pair::<3, LOAD, PRE, WB> { t, t2, n, off }),
        _ => v.visit(Pair::<4, LOAD, PRE, WB> { t, t2, n, off }),
    })
}

//! SHL and USHR, which shift 64 bits at a time and clear what crossed a lane: C7.2.302, C7.2.388.

use lyrebird_isa::{Bin, Emit, Lane, Sem, Visitor, Width};

use super::{left, right, size};
use crate::ArmCpu;
use crate::a64::sem::{flags, undefined};
use crate::a64::word::Word;

/// Both halves shifted by `n`, which is below 64, then masked with `keep`.
#[derive(Clone, Copy, Debug)]
pub struct ShiftMask<const LEFT: bool, const Q: bool> {
    keep: u64,
    d: u8,
    n: u8,
    shift: u8,
}

impl<const LEFT: bool, const Q: bool> ShiftMask<LEFT, Q> {
    #[inline(always)]
    fn half<E: Emit>(&self, e: &mut E, v: E::Val) -> E::Val {
        let (n, keep) = (e.imm(self.shift as u64), e.imm(self.keep));
        let r = e.bin(if LEFT { Bin::Shl } else { Bin::Shr }, Width::W64, v, n);
        e.bin(Bin::And, Width::W64, r, keep)
    }
}

impl<const LEFT: bool, const Q: bool> Sem<ArmCpu> for ShiftMask<LEFT, Q> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.vreg(self.n);
        let lo = e.vec_lo(v);
        let lo = self.half(e, lo);
        let hi = if Q {
            let hi = e.vec_hi(v);
            self.half(e, hi)
        } else {
            e.imm(0)
        };
        let r = e.vec(lo, hi);
        e.set_vreg(self.d, r);
        Ok(())
    }
}

fn visit<const LEFT: bool, V: Visitor<ArmCpu>>(w: Word, size: u32, v: V) -> V::Out {
    let (d, n) = (w.d() as u8, w.n() as u8);
    let shift = if LEFT { left(w, size) } else { right(w, size) };
    let width = Lane::from_size(size).width();
    let (bits, ones) = (width.bits(), width.mask());
    // A right shift by the whole width leaves nothing; the mask says so.
    let lane = match (LEFT, shift < bits) {
        (true, _) => ones & ones << shift,
        (false, true) => ones >> shift,
        (false, false) => 0,
    };
    let (keep, shift) = (lane.wrapping_mul(u64::MAX / ones), (shift & 63) as u8);
    flags!(w.bit(30) => |Q| v.visit(ShiftMask::<LEFT, Q> { keep, d, n, shift }))
}

/// Constructor of the vector forms.
pub fn vector<const LEFT: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        Some(size) if size < 3 || w.bit(30) => visit::<LEFT, V>(w, size, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of the scalar forms, doublewords.
pub fn scalar<const LEFT: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        // Bit 30 is set in scalar encodings, but the upper half is cleared.
        Some(3) => visit::<LEFT, V>(Word(w.0 & !(1 << 30)), 3, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

//! EXT, ZIP, UZP, TRN, TBL, TBX: C7.2.43, C7.2.359 to C7.2.363, C7.2.391, C7.2.392, C7.2.403, C7.2.404.

use lyrebird_isa::{Helper, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_int::packed::{self, Op};
use crate::a64::sem::simd_lane::{Ops, call, get, set};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// Constructor of EXT.
pub fn ext<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match (w.bit(30), w.bits(11, 4)) {
        (false, 8..) => undefined::unallocated(w, pc, v),
        (_, index) => packed::bytes(Op::Ext, index, w, v),
    }
}

/// Constructor of ZIP1 and ZIP2; bit 14 is the part, as in the two that follow.
pub fn zip<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    packed::permute(Op::Zip(w.bits(14, 1) as u8), w, pc, v)
}

/// Constructor of UZP1 and UZP2.
pub fn uzp<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    packed::permute(Op::Uzp(w.bits(14, 1) as u8), w, pc, v)
}

/// Constructor of TRN1 and TRN2.
pub fn trn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    packed::permute(Op::Trn(w.bits(14, 1) as u8), w, pc, v)
}

/// Table lookup in `regs` registers from Rn on. Out of range gives 0, or with `KEEP` leaves the byte.
extern "C" fn lookup<const KEEP: bool>(cpu: &mut ArmCpu, ops: u64, regs: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let mut table = [0u8; 64];
    let regs = (regs as usize).clamp(1, 4);
    for (i, t) in table.chunks_exact_mut(16).enumerate().take(regs) {
        t.copy_from_slice(&get(cpu, ops.n() + i).to_le_bytes());
    }
    let index = get(cpu, ops.m()).to_le_bytes();
    let mut r = if KEEP { get(cpu, ops.d()).to_le_bytes() } else { [0; 16] };
    for (r, &i) in r.iter_mut().zip(&index) {
        if (i as usize) < 16 * regs {
            *r = table[i as usize & 63];
        }
    }
    set(cpu, ops.d(), u128::from_le_bytes(r) & ops.mask());
    0
}

/// Constructor of TBL.
pub fn tbl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    if w.bits(13, 2) == 0 {
        return packed::bytes(Op::Table, 0, w, v);
    }
    let helper = const { &Helper::fp("tbl", lookup::<false>) };
    call(v, helper, w, if w.bit(30) { 16 } else { 8 }, w.bits(13, 2) + 1)
}

/// Constructor of TBX.
pub fn tbx<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    let helper = const { &Helper::fp("tbx", lookup::<true>) };
    call(v, helper, w, if w.bit(30) { 16 } else { 8 }, w.bits(13, 2) + 1)
}

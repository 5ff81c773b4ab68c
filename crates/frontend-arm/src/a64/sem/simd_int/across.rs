//! Sums across lanes that are twice as wide: SADDLV, UADDLV (Arm ARM C4.1.95.22). What keeps the width is in
//! [`super::packed`].

use lyrebird_isa::{Helper, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Int, Ops, call, get, len, set, size};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

extern "C" fn add_long<T: Int>(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let a = get(cpu, ops.n()).to_le_bytes();
    let lanes = ops.bytes() as usize / T::BYTES;
    let mut r = [0; 16];
    let sum = (1..lanes).fold(T::get(&a, 0).wide(), |s, i| s.add(T::get(&a, i).wide()));
    sum.put(&mut r, 0);
    set(cpu, ops.d(), u128::from_le_bytes(r));
    0
}

/// Constructor. Words need Q: there is no pair of words to fold.
pub fn addlv<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let helper = match (w.bit(29), size(w), w.bit(30)) {
        (false, 0, _) => const { &Helper::fp("saddlv", add_long::<i8>) },
        (false, 1, _) => const { &Helper::fp("saddlv", add_long::<i16>) },
        (false, 2, true) => const { &Helper::fp("saddlv", add_long::<i32>) },
        (true, 0, _) => const { &Helper::fp("uaddlv", add_long::<u8>) },
        (true, 1, _) => const { &Helper::fp("uaddlv", add_long::<u16>) },
        (true, 2, true) => const { &Helper::fp("uaddlv", add_long::<u32>) },
        _ => return undefined::unallocated(w, pc, v),
    };
    call(v, helper, w, len(w), 0)
}

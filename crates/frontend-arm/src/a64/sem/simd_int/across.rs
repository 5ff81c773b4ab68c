//! Across lanes (Arm ARM C4.1.95.22): ADDV, SADDLV, UADDLV, xMAXV, xMINV.

use lyrebird_isa::{Helper, Visitor};

use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Int, Ops, call, get, len, set, size};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// What combines the lanes.
pub trait Fold: 'static {
    /// Name of the helper.
    const NAME: &'static str;
    /// Whether the result is twice as wide.
    const LONG: bool;
    /// Combines two lanes. Long sums combine wide lanes.
    fn op<T: Int>(a: T, b: T) -> T;
}

macro_rules! folds {
    ($($(#[$doc:meta])* $name:ident = $n:literal, $long:literal, |$a:ident, $b:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Fold for $name {
            const NAME: &'static str = $n;
            const LONG: bool = $long;
            #[inline(always)]
            fn op<T: Int>($a: T, $b: T) -> T {
                $body
            }
        }
    )* };
}

folds! {
    /// ADDV.
    Addv = "addv", false, |a, b| a.add(b);
    /// SADDLV, UADDLV.
    Addlv = "addlv", true, |a, b| a.add(b);
    /// SMAXV, UMAXV.
    Maxv = "maxv", false, |a, b| a.max(b);
    /// SMINV, UMINV.
    Minv = "minv", false, |a, b| a.min(b);
}

extern "C" fn across<O: Fold, T: Int>(cpu: &mut ArmCpu, ops: u64, _: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let a = get(cpu, ops.n()).to_le_bytes();
    let lanes = ops.bytes() as usize / T::BYTES;
    let mut r = [0; 16];
    if O::LONG {
        let sum = (1..lanes).fold(T::get(&a, 0).wide(), |s, i| O::op(s, T::get(&a, i).wide()));
        sum.put(&mut r, 0);
    } else {
        let all = (1..lanes).fold(T::get(&a, 0), |s, i| O::op(s, T::get(&a, i)));
        all.put(&mut r, 0);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r));
    0
}

/// Constructor. Words need Q: there is no pair of words to fold.
pub fn fold<O: Fold, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let helper = match (w.bit(29), size(w), w.bit(30)) {
        (false, 0, _) => const { &Helper::fp(O::NAME, across::<O, i8>) },
        (false, 1, _) => const { &Helper::fp(O::NAME, across::<O, i16>) },
        (false, 2, true) => const { &Helper::fp(O::NAME, across::<O, i32>) },
        (true, 0, _) => const { &Helper::fp(O::NAME, across::<O, u8>) },
        (true, 1, _) => const { &Helper::fp(O::NAME, across::<O, u16>) },
        (true, 2, true) => const { &Helper::fp(O::NAME, across::<O, u32>) },
        _ => return undefined::unallocated(w, pc, v),
    };
    call(v, helper, w, len(w), 0)
}

//! Shifts by helper: SSHR, SSRA, USRA, SRSHR, URSHR, SRSRA, URSRA, SRI, SLI, SQSHL, UQSHL, SQSHLU.

use lyrebird_isa::{Helper, Visitor};

use super::{left, right, size};
use crate::ArmCpu;
use crate::a64::sem::simd_int::three_same::{note, qshl, rounded};
use crate::a64::sem::simd_lane::{Int, Ops, call, get, len, set, set_qc, sizes};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// One lane of a shift.
pub trait ShiftOp: 'static {
    /// Name of the helper.
    const NAME: &'static str;
    /// Whether U, bit 29, makes the lanes unsigned.
    const BY_U: bool;
    /// Whether it shifts left.
    const LEFT: bool;
    /// Element sizes of the scalar form.
    const SCALAR: u8;
    /// The result from the old destination, the source and the amount. A source of 0 never sets `qc`.
    fn op<T: Int>(d: T, a: T, n: u32, qc: &mut bool) -> T;
}

macro_rules! shift_ops {
    ($($(#[$doc:meta])* $name:ident = $n:literal, by_u $by_u:literal, left $left:literal, scalar $scalar:ident,
        |$T:ident, $d:ident, $a:ident, $i:ident, $qc:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl ShiftOp for $name {
            const NAME: &'static str = $n;
            const BY_U: bool = $by_u;
            const LEFT: bool = $left;
            const SCALAR: u8 = sizes::$scalar;
            #[inline(always)]
            fn op<$T: Int>($d: $T, $a: $T, $i: u32, $qc: &mut bool) -> $T {
                let _ = ($d, &$qc);
                $body
            }
        }
    )* };
}

shift_ops! {
    /// SRSHR, URSHR.
    Rshr = "rshr", by_u true, left false, scalar D, |T, d, a, n, qc| T::of(rounded(a, n));
    /// SRSRA, URSRA.
    Rsra = "rsra", by_u true, left false, scalar D, |T, d, a, n, qc| d.add(T::of(rounded(a, n)));
    /// SRI: the bits that the shift vacates stay.
    Sri = "sri", by_u true, left false, scalar D, |T, d, a, n, qc| {
        let hole = T::of((u128::MAX >> (128 - T::BITS) >> n) as i128);
        T::of(d.i128() & !hole.i128() | a.shr_all(n).i128() & hole.i128())
    };
    /// SLI: the bits that the shift vacates stay.
    Sli = "sli", by_u true, left true, scalar D, |T, d, a, n, qc| {
        T::of(d.i128() & ((1 << n) - 1) | a.shl(n).i128())
    };
    /// SQSHL, UQSHL (immediate).
    Qshl = "qshl_imm", by_u true, left true, scalar BHSD, |T, d, a, n, qc| note(qshl(a, n), qc);
    /// SQSHLU: a signed source, saturated to the unsigned range.
    Qshlu = "sqshlu", by_u true, left true, scalar BHSD, |T, d, a, n, qc| note(T::sat(a.signed() << n), qc);
}

extern "C" fn shift<O: ShiftOp, T: Int>(cpu: &mut ArmCpu, ops: u64, n: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let n = (n as u32).min(T::BITS - O::LEFT as u32);
    let a = (get(cpu, ops.n()) & ops.mask()).to_le_bytes();
    let d = get(cpu, ops.d()).to_le_bytes();
    let (mut r, mut qc) = ([0; 16], false);
    for i in 0..16 / T::BYTES {
        O::op(T::get(&d, i), T::get(&a, i), n, &mut qc).put(&mut r, i);
    }
    set(cpu, ops.d(), u128::from_le_bytes(r) & ops.mask());
    set_qc(cpu, qc);
    0
}

fn helper<O: ShiftOp>(w: Word, size: u32) -> &'static Helper<ArmCpu> {
    match (O::BY_U && w.bit(29), size) {
        (false, 0) => const { &Helper::fp(O::NAME, shift::<O, i8>) },
        (false, 1) => const { &Helper::fp(O::NAME, shift::<O, i16>) },
        (false, 2) => const { &Helper::fp(O::NAME, shift::<O, i32>) },
        (false, _) => const { &Helper::fp(O::NAME, shift::<O, i64>) },
        (true, 0) => const { &Helper::fp(O::NAME, shift::<O, u8>) },
        (true, 1) => const { &Helper::fp(O::NAME, shift::<O, u16>) },
        (true, 2) => const { &Helper::fp(O::NAME, shift::<O, u32>) },
        (true, _) => const { &Helper::fp(O::NAME, shift::<O, u64>) },
    }
}

/// Constructor of vector forms.
pub fn vector<O: ShiftOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        Some(size) if size < 3 || w.bit(30) => {
            let n = if O::LEFT { left(w, size) } else { right(w, size) };
            call(v, helper::<O>(w, size), w, len(w), n)
        }
        _ => undefined::unallocated(w, pc, v),
    }
}

/// Constructor of scalar forms.
pub fn scalar<O: ShiftOp, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    match size(w) {
        Some(size) if O::SCALAR >> size & 1 != 0 => {
            let n = if O::LEFT { left(w, size) } else { right(w, size) };
            call(v, helper::<O>(w, size), w, 1 << size, n)
        }
        _ => undefined::unallocated(w, pc, v),
    }
}

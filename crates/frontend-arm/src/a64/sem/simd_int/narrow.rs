//! Narrowing: XTN, SQXTN, SQXTUN, UQXTN, the narrowing shifts, and ADDHN, SUBHN, RADDHN, RSUBHN. Without Q
//! the result is the low half and the upper is cleared; with Q it is the upper half and the low one stays.

use lyrebird_isa::{Helper, Visitor};

use super::packed::{self, Op};
use super::three_same::rounded;
use crate::ArmCpu;
use crate::a64::sem::simd_lane::{Int, Ops, call, get, set, set_qc, size};
use crate::a64::sem::undefined;
use crate::a64::word::Word;

/// Puts the low 64 bits of `r` where Q says.
#[inline(always)]
fn set_half(cpu: &mut ArmCpu, d: usize, upper: bool, r: u64) {
    let v = if upper { get(cpu, d) as u64 as u128 | (r as u128) << 64 } else { r as u128 };
    set(cpu, d, v);
}

/// Bits 7 to 0 of `imm` are the right shift, bit 8 rounds, bit 9 takes the upper half of Rd. `W` is the source
/// lane, `T` the result lane of half its width.
extern "C" fn narrow<W: Int, T: Int, const SAT: bool>(cpu: &mut ArmCpu, ops: u64, imm: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (n, round, upper) = (imm as u32 & 63, imm & 0x100 != 0, imm & 0x200 != 0);
    // For scalars the length is that of the result.
    let source = u128::MAX >> (128 - 16 * ops.bytes().min(8));
    let a = (get(cpu, ops.n()) & source).to_le_bytes();
    let (mut r, mut qc) = ([0; 16], false);
    for i in 0..16 / W::BYTES {
        let a = W::get(&a, i);
        if SAT {
            let x = if round && n > 0 { rounded(a, n) } else { a.shr(n).i128() };
            let (x, saturated) = T::sat(x);
            qc |= saturated;
            x.put(&mut r, i);
        } else {
            // The carry out of a rounded sum is above what is kept: n is at most the width of the result.
            let half = if round && n > 0 { W::of(1).shl(n - 1) } else { W::of(0) };
            T::of(a.add(half).shr(n).i128()).put(&mut r, i);
        }
    }
    let r = u128::from_le_bytes(r) as u64;
    set_half(cpu, ops.d(), upper, r);
    set_qc(cpu, qc);
    0
}

/// How values that do not fit are narrowed, and between which types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The upper bits are dropped.
    Truncate,
    /// Signed to signed, saturated.
    Signed,
    /// Unsigned to unsigned, saturated.
    Unsigned,
    /// Signed to unsigned, saturated.
    SignedToUnsigned,
}

/// The helper that narrows to lanes of `8 << size` bits.
pub fn helper(how: How, size: u32) -> Option<&'static Helper<ArmCpu>> {
    Some(match (how, size) {
        (How::Truncate, 0) => const { &Helper::fp("shrn", narrow::<u16, u8, false>) },
        (How::Truncate, 1) => const { &Helper::fp("shrn", narrow::<u32, u16, false>) },
        (How::Truncate, 2) => const { &Helper::fp("shrn", narrow::<u64, u32, false>) },
        (How::Signed, 0) => const { &Helper::fp("sqshrn", narrow::<i16, i8, true>) },
        (How::Signed, 1) => const { &Helper::fp("sqshrn", narrow::<i32, i16, true>) },
        (How::Signed, 2) => const { &Helper::fp("sqshrn", narrow::<i64, i32, true>) },
        (How::Unsigned, 0) => const { &Helper::fp("uqshrn", narrow::<u16, u8, true>) },
        (How::Unsigned, 1) => const { &Helper::fp("uqshrn", narrow::<u32, u16, true>) },
        (How::Unsigned, 2) => const { &Helper::fp("uqshrn", narrow::<u64, u32, true>) },
        (How::SignedToUnsigned, 0) => const { &Helper::fp("sqshrun", narrow::<i16, u8, true>) },
        (How::SignedToUnsigned, 1) => const { &Helper::fp("sqshrun", narrow::<i32, u16, true>) },
        (How::SignedToUnsigned, 2) => const { &Helper::fp("sqshrun", narrow::<i64, u32, true>) },
        _ => return None,
    })
}

fn extract<V: Visitor<ArmCpu>>(how: How, w: Word, pc: u64, v: V, scalar: bool) -> V::Out {
    let Some(helper) = helper(how, size(w)) else { return undefined::unallocated(w, pc, v) };
    if scalar { call(v, helper, w, 1 << size(w), 0) } else { call(v, helper, w, 8, w.bits(30, 1) << 9) }
}

/// Constructor of XTN.
pub fn xtn<V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    if size(w) == 3 { undefined::unallocated(w, pc, v) } else { packed::shift(Op::Shrn, size(w), 0, w, v) }
}

/// Constructor of SQXTN and UQXTN, by U.
pub fn qxtn<const SCALAR: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    extract(if w.bit(29) { How::Unsigned } else { How::Signed }, w, pc, v, SCALAR)
}

/// Constructor of SQXTUN.
pub fn sqxtun<const SCALAR: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    extract(How::SignedToUnsigned, w, pc, v, SCALAR)
}

/// ADDHN and its kin: bit 0 of `imm` takes the upper half of Rd, bit 1 rounds. `T` is the result lane.
extern "C" fn high_half<T: Int, const SUB: bool>(cpu: &mut ArmCpu, ops: u64, imm: u64, _: u64) -> u64 {
    let ops = Ops(ops);
    let (a, b) = (get(cpu, ops.n()).to_le_bytes(), get(cpu, ops.m()).to_le_bytes());
    let round = T::Wide::of((imm as i128 >> 1 & 1) << (T::BITS - 1));
    let mut r = [0; 16];
    for i in 0..8 / T::BYTES {
        let (a, b) = (T::Wide::get(&a, i), T::Wide::get(&b, i));
        let x = if SUB { a.sub(b) } else { a.add(b) };
        T::low(x.add(round).shr(T::BITS)).put(&mut r, i);
    }
    set_half(cpu, ops.d(), imm & 1 != 0, u128::from_le_bytes(r) as u64);
    0
}

/// Constructor of ADDHN and SUBHN; U rounds.
pub fn add_high<const SUB: bool, V: Visitor<ArmCpu>>(w: Word, pc: u64, v: V) -> V::Out {
    let helper = match size(w) {
        0 => const { &Helper::fp("addhn", high_half::<u8, SUB>) },
        1 => const { &Helper::fp("addhn", high_half::<u16, SUB>) },
        2 => const { &Helper::fp("addhn", high_half::<u32, SUB>) },
        _ => return undefined::unallocated(w, pc, v),
    };
    call(v, helper, w, 16, w.bits(30, 1) | w.bits(29, 1) << 1)
}

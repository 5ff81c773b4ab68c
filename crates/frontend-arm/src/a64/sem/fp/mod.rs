//! Scalar floating point (Arm ARM C4.1.96): arithmetic, comparison, conversion, moves.
//!
//! What computes is a helper over [`lyrebird_fp`] with FPCR and FPSR as its environment; what moves bits is
//! inline. Bit 22 of a word selects double precision.

pub mod call;
pub mod compare;
pub mod host;
pub mod int;
pub mod moves;
pub mod ops;

use lyrebird_fp::{F16, F32, F64};
use lyrebird_isa::Visitor;

use self::call::{FpCall, Operands, convert_helper, scalar_helper};
use self::host::{Convert, shape};
use self::ops::{Arg, FpOp, Rint, RintExact};
use crate::ArmCpu;
use crate::a64::sem::undefined;
use crate::a64::word::Word;
use crate::cpu::Mode;

/// `O` in the format that bit 22 selects.
fn scalar<V: Visitor<ArmCpu>, O: FpOp>(w: Word, p: Operands, mode: Mode, v: V) -> V::Out {
    match w.bit(22) {
        true => host::visit::<V, F64, O, { shape::LOW }>(scalar_helper::<F64, O>(), p, mode, v),
        false => host::visit::<V, F32, O, { shape::LOW }>(scalar_helper::<F32, O>(), p, mode, v),
    }
}

/// Data-processing (1 and 2 source).
pub fn data<V: Visitor<ArmCpu>, O: FpOp>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    scalar::<V, O>(w, Operands::new(w.d(), w.n(), w.m()), mode, v)
}

/// Data-processing (3 source).
pub fn data3<V: Visitor<ArmCpu>, O: FpOp>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    scalar::<V, O>(w, Operands::new(w.d(), w.n(), w.m()).addend(w.a()), mode, v)
}

/// FRINT*: bits 17 to 15 select the rounding.
pub fn frint<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0);
    match w.bits(15, 3) {
        r @ 0..=4 => scalar::<V, Rint>(w, p.arg(Arg(r as u16)), mode, v),
        6 => scalar::<V, RintExact>(w, p.arg(Arg::FPCR), mode, v),
        7 => scalar::<V, Rint>(w, p.arg(Arg::FPCR), mode, v),
        _ => undefined::unallocated(w, pc, v),
    }
}

/// FCVT: bits 23 to 22 are the source's format, 16 to 15 the destination's.
pub fn fcvt<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0);
    let helper = match (w.bits(22, 2), w.bits(15, 2)) {
        (0, 1) if mode.fp_host() => {
            return v.visit(Convert::<true>::new(convert_helper::<F32, F64, false>(), p));
        }
        (1, 0) if mode.fp_host() => {
            return v.visit(Convert::<false>::new(convert_helper::<F64, F32, false>(), p));
        }
        (0, 1) => convert_helper::<F32, F64, false>(),
        (0, 3) => convert_helper::<F32, F16, false>(),
        (1, 0) => convert_helper::<F64, F32, false>(),
        (1, 3) => convert_helper::<F64, F16, false>(),
        (3, 0) => convert_helper::<F16, F32, false>(),
        (3, 1) => convert_helper::<F16, F64, false>(),
        _ => return undefined::unallocated(w, pc, v),
    };
    v.visit(FpCall::new(helper, p))
}

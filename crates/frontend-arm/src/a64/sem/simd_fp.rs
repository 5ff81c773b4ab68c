//! Advanced SIMD floating point, vector and scalar forms (Arm ARM C4.1.95).
//!
//! Bit 22 (`sz`) selects double precision; a vector of one double is reserved.

use lyrebird_fp::{F16, F32, F64};
use lyrebird_isa::{Emit, Lane, Sem, VBin, Visitor};

use super::fp::call::{
    FpCall, Operands, convert_helper, lanes_helper, pairs_helper, reduce_helper, scalar_helper,
};
use super::fp::host::{self, ConvertLanes, shape};
use super::fp::ops::{Arg, FpOp, FromSigned, FromUnsigned, Rint, RintExact, ToSigned, ToUnsigned};
use super::{flags, undefined};
use crate::ArmCpu;
use crate::a64::word::Word;
use crate::cpu::Mode;

/// Number of lanes of a vector of bits 30 (`Q`) and 22 (`sz`); `None` where reserved.
fn lanes(w: Word) -> Option<u32> {
    match (w.bit(30), w.bit(22)) {
        (false, false) => Some(2),
        (true, false) => Some(4),
        (true, true) => Some(2),
        (false, true) => None,
    }
}

/// Vd, Vn and Vm, with Vd as the addend.
fn registers(w: Word) -> Operands {
    Operands::new(w.d(), w.n(), w.m()).addend(w.d())
}

/// `O` lane by lane, on as many lanes as the arrangement has.
fn vector<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, p: Operands, mode: Mode, v: V) -> V::Out {
    let Some(n) = lanes(w) else { return undefined::unallocated(w, pc, v) };
    let (p, s, d) = (p.lanes(n), lanes_helper::<F32, O>(), lanes_helper::<F64, O>());
    match (w.bit(22), w.bit(30)) {
        (true, _) => host::visit::<V, F64, O, { shape::ALL }>(d, p, mode, v),
        (false, true) => host::visit::<V, F32, O, { shape::ALL }>(s, p, mode, v),
        (false, false) => host::visit::<V, F32, O, { shape::HALF }>(s, p, mode, v),
    }
}

/// `O` on the lowest lane.
fn scalar<V: Visitor<ArmCpu>, O: FpOp>(w: Word, p: Operands, mode: Mode, v: V) -> V::Out {
    match w.bit(22) {
        true => host::visit::<V, F64, O, { shape::LOW }>(scalar_helper::<F64, O>(), p, mode, v),
        false => host::visit::<V, F32, O, { shape::LOW }>(scalar_helper::<F32, O>(), p, mode, v),
    }
}

/// Three registers of the same type.
pub fn same<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    vector::<V, O>(w, pc, registers(w), mode, v)
}

/// Three scalars of the same type.
pub fn same_scalar<V: Visitor<ArmCpu>, O: FpOp>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    scalar::<V, O>(w, registers(w), mode, v)
}

/// Pairwise on the concatenation of Vm and Vn.
pub fn pairs<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let Some(n) = lanes(w) else { return undefined::unallocated(w, pc, v) };
    let (p, s, d) = (registers(w).lanes(n), pairs_helper::<F32, O>(), pairs_helper::<F64, O>());
    match (w.bit(22), w.bit(30)) {
        (true, _) => host::visit_pairs::<V, F64, O, { shape::ALL }>(d, p, mode, v),
        (false, true) => host::visit_pairs::<V, F32, O, { shape::ALL }>(s, p, mode, v),
        (false, false) => host::visit_pairs::<V, F32, O, { shape::HALF }>(s, p, mode, v),
    }
}

/// Pairwise on the two elements of Vn.
pub fn pair_scalar<V: Visitor<ArmCpu>, O: FpOp>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0).lanes(2);
    match w.bit(22) {
        true => host::visit_pairs::<V, F64, O, { shape::PAIR }>(reduce_helper::<F64, O>(), p, mode, v),
        false => host::visit_pairs::<V, F32, O, { shape::PAIR }>(reduce_helper::<F32, O>(), p, mode, v),
    }
}

/// Across the four singles of Vn.
pub fn across<V: Visitor<ArmCpu>, O: FpOp>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0).lanes(4);
    host::visit_pairs::<V, F32, O, { shape::ACROSS }>(reduce_helper::<F32, O>(), p, mode, v)
}

/// Register and index of the element form: H:L and M:Rm for singles, H for doubles, where L is reserved.
fn by_element(w: Word) -> Option<Operands> {
    let (h, l) = (w.bits(11, 1), w.bits(21, 1));
    let index = match w.bit(22) {
        false => h << 1 | l,
        true if l == 0 => h,
        true => return None,
    };
    Some(registers(w).element(index))
}

/// Vector by element.
pub fn element<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    match by_element(w) {
        Some(p) => vector::<V, O>(w, pc, p, mode, v),
        None => undefined::unallocated(w, pc, v),
    }
}

/// Scalar by element.
pub fn element_scalar<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let Some(p) = by_element(w) else { return undefined::unallocated(w, pc, v) };
    match w.bit(22) {
        true => host::visit::<V, F64, O, { shape::LOW }>(lanes_helper::<F64, O>(), p, mode, v),
        false => host::visit::<V, F32, O, { shape::LOW }>(lanes_helper::<F32, O>(), p, mode, v),
    }
}

/// Two-register miscellaneous.
pub fn misc<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    vector::<V, O>(w, pc, Operands::new(w.d(), w.n(), 0), mode, v)
}

/// Two-register miscellaneous, scalar.
pub fn misc_scalar<V: Visitor<ArmCpu>, O: FpOp>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    scalar::<V, O>(w, Operands::new(w.d(), w.n(), 0), mode, v)
}

/// Rounding of FCVT* and FRINT* with U clear: bits 12 and 23.
fn rounding(w: Word) -> Arg {
    Arg((w.bits(12, 1) << 1 | w.bits(23, 1)) as u16)
}

/// FRINT* (vector).
pub fn frint<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0);
    match (w.bit(29), w.bit(12), w.bit(23)) {
        (false, ..) => vector::<V, Rint>(w, pc, p.arg(rounding(w)), mode, v),
        (true, false, _) => vector::<V, Rint>(w, pc, p.arg(Arg::AWAY), mode, v),
        (true, true, false) => vector::<V, RintExact>(w, pc, p.arg(Arg::FPCR), mode, v),
        (true, true, true) => vector::<V, Rint>(w, pc, p.arg(Arg::FPCR), mode, v),
    }
}

/// Vd and Vn of FCVT* to an integer, with the rounding that the opcode names.
fn conversion(w: Word) -> Operands {
    let arg = if w.bits(12, 3) == 4 { Arg::AWAY } else { rounding(w) };
    Operands::new(w.d(), w.n(), 0).arg(arg)
}

/// FCVT* to integers (vector); U selects unsigned.
pub fn to_int<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    match w.bit(29) {
        false => vector::<V, ToSigned>(w, pc, conversion(w), mode, v),
        true => vector::<V, ToUnsigned>(w, pc, conversion(w), mode, v),
    }
}

/// FCVT* to an integer (scalar).
pub fn to_int_scalar<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    match w.bit(29) {
        false => scalar::<V, ToSigned>(w, conversion(w), mode, v),
        true => scalar::<V, ToUnsigned>(w, conversion(w), mode, v),
    }
}

/// SCVTF and UCVTF (vector).
pub fn from_int<V: Visitor<ArmCpu>>(w: Word, pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0);
    match w.bit(29) {
        false => vector::<V, FromSigned>(w, pc, p, mode, v),
        true => vector::<V, FromUnsigned>(w, pc, p, mode, v),
    }
}

/// SCVTF and UCVTF (scalar).
pub fn from_int_scalar<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    let p = Operands::new(w.d(), w.n(), 0);
    match w.bit(29) {
        false => scalar::<V, FromSigned>(w, p, mode, v),
        true => scalar::<V, FromUnsigned>(w, p, mode, v),
    }
}

/// Format and operands of a fixed-point conversion: `immh:immb` is twice the element width less the number of
/// fraction bits.
fn fixed<V: Visitor<ArmCpu>, O: FpOp>(w: Word, pc: u64, is_scalar: bool, v: V) -> V::Out {
    let imm = w.bits(16, 7);
    let double = imm >= 64;
    if imm < 32 || double && !is_scalar && !w.bit(30) {
        return undefined::unallocated(w, pc, v);
    }
    let width = if double { 64 } else { 32 };
    let p = Operands::new(w.d(), w.n(), 0).arg(Arg::ZERO.fbits(2 * width - imm));
    let h = match (is_scalar, double) {
        (true, false) => scalar_helper::<F32, O>(),
        (true, true) => scalar_helper::<F64, O>(),
        (false, false) => lanes_helper::<F32, O>(),
        (false, true) => lanes_helper::<F64, O>(),
    };
    let lanes = if w.bit(30) { 128 / width } else { 64 / width };
    v.visit(FpCall::new(h, p.lanes(lanes)))
}

/// FCVTZS and FCVTZU (vector, fixed-point).
pub fn to_fixed<V: Visitor<ArmCpu>>(w: Word, pc: u64, _mode: Mode, v: V) -> V::Out {
    match w.bit(29) {
        false => fixed::<V, ToSigned>(w, pc, false, v),
        true => fixed::<V, ToUnsigned>(w, pc, false, v),
    }
}

/// FCVTZS and FCVTZU (scalar, fixed-point).
pub fn to_fixed_scalar<V: Visitor<ArmCpu>>(w: Word, pc: u64, _mode: Mode, v: V) -> V::Out {
    match w.bit(29) {
        false => fixed::<V, ToSigned>(w, pc, true, v),
        true => fixed::<V, ToUnsigned>(w, pc, true, v),
    }
}

/// SCVTF and UCVTF (vector, fixed-point).
pub fn from_fixed<V: Visitor<ArmCpu>>(w: Word, pc: u64, _mode: Mode, v: V) -> V::Out {
    match w.bit(29) {
        false => fixed::<V, FromSigned>(w, pc, false, v),
        true => fixed::<V, FromUnsigned>(w, pc, false, v),
    }
}

/// SCVTF and UCVTF (scalar, fixed-point).
pub fn from_fixed_scalar<V: Visitor<ArmCpu>>(w: Word, pc: u64, _mode: Mode, v: V) -> V::Out {
    match w.bit(29) {
        false => fixed::<V, FromSigned>(w, pc, true, v),
        true => fixed::<V, FromUnsigned>(w, pc, true, v),
    }
}

/// Vd and Vn of a conversion that widens or narrows: bit 30 selects the upper half of the narrow side.
fn halves(w: Word, lanes: u32) -> Operands {
    Operands::new(w.d(), w.n(), 0).lanes(lanes).element(w.bits(30, 1))
}

/// FCVTL, FCVTL2.
pub fn fcvtl<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    match w.bit(22) {
        true if mode.fp_host() => {
            let (h, p) = (convert_helper::<F32, F64, false>(), halves(w, 2));
            flags!(w.bit(30) => |UPPER| v.visit(ConvertLanes::<true, UPPER>::new(h, p)))
        }
        false => v.visit(FpCall::new(convert_helper::<F16, F32, false>(), halves(w, 4))),
        true => v.visit(FpCall::new(convert_helper::<F32, F64, false>(), halves(w, 2))),
    }
}

/// FCVTN, FCVTN2.
pub fn fcvtn<V: Visitor<ArmCpu>>(w: Word, _pc: u64, mode: Mode, v: V) -> V::Out {
    match w.bit(22) {
        true if mode.fp_host() => {
            let (h, p) = (convert_helper::<F64, F32, false>(), halves(w, 2));
            flags!(w.bit(30) => |UPPER| v.visit(ConvertLanes::<false, UPPER>::new(h, p)))
        }
        false => v.visit(FpCall::new(convert_helper::<F32, F16, false>(), halves(w, 4))),
        true => v.visit(FpCall::new(convert_helper::<F64, F32, false>(), halves(w, 2))),
    }
}

/// FCVTXN, FCVTXN2 (vector).
pub fn fcvtxn<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(FpCall::new(convert_helper::<F64, F32, true>(), halves(w, 2)))
}

/// FCVTXN (scalar).
pub fn fcvtxn_scalar<V: Visitor<ArmCpu>>(w: Word, _pc: u64, _mode: Mode, v: V) -> V::Out {
    v.visit(FpCall::new(convert_helper::<F64, F32, true>(), Operands::new(w.d(), w.n(), 0)))
}

/// FABS (`ABS`) and FNEG (vector): C7.2.45, C7.2.139. They touch the sign bits only.
#[derive(Clone, Copy, Debug)]
pub struct SignVector<const D: bool, const Q: bool, const ABS: bool> {
    d: u8,
    n: u8,
}

impl<const D: bool, const Q: bool, const ABS: bool> Sem<ArmCpu> for SignVector<D, Q, ABS> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let lane = if D { Lane::D } else { Lane::S };
        let sign = e.imm(1 << (lane.width().bits() - 1));
        let signs = e.vsplat(lane, sign);
        let a = e.vreg(self.n);
        let mut r = e.vbin(if ABS { VBin::Bic } else { VBin::Xor }, lane, a, signs);
        if !Q {
            let (lo, z) = (e.vec_lo(r), e.imm(0));
            r = e.vec(lo, z);
        }
        e.set_vreg(self.d, r);
        Ok(())
    }
}

/// FABS (vector).
pub fn fabs<V: Visitor<ArmCpu>>(w: Word, pc: u64, _mode: Mode, v: V) -> V::Out {
    sign::<V, true>(w, pc, v)
}

/// FNEG (vector).
pub fn fneg<V: Visitor<ArmCpu>>(w: Word, pc: u64, _mode: Mode, v: V) -> V::Out {
    sign::<V, false>(w, pc, v)
}

fn sign<V: Visitor<ArmCpu>, const ABS: bool>(w: Word, pc: u64, v: V) -> V::Out {
    if lanes(w).is_none() {
        return undefined::unallocated(w, pc, v);
    }
    let (d, n) = (w.d() as u8, w.n() as u8);
    flags!(w.bit(22), w.bit(30) => |D, Q| v.visit(SignVector::<D, Q, ABS> { d, n }))
}

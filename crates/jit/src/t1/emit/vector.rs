//! Vectors: `i8x16` values, seen as other lanes where an operation wants them.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use lyrebird_isa::ops::{Lane, VBin};
use lyrebird_isa::vector::{self, Bytes};
use lyrebird_isa::{Cpu, Float, VPair, VShift, VUn};

use super::ClifEmitter;
use super::fp::vector_type;

/// The CLIF type of a lane width.
fn vty(lane: Lane) -> Type {
    match lane {
        Lane::B => types::I8X16,
        Lane::H => types::I16X8,
        Lane::S => types::I32X4,
        Lane::D => types::I64X2,
    }
}

/// The order of lanes in casts.
pub(super) fn lanes() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    /// The same 128 bits as another type.
    pub(super) fn seen_as(&mut self, t: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == t {
            return v;
        }
        self.b.ins().bitcast(t, lanes(), v)
    }

    /// A scalar in the low half, the rest zero.
    pub(super) fn vector_from_low(&mut self, v: Value) -> Value {
        let v = self.b.ins().scalar_to_vector(types::I64X2, v);
        self.seen_as(types::I8X16, v)
    }

    pub(super) fn emit_vec(&mut self, lo: Value, hi: Value) -> Value {
        let v = self.b.ins().scalar_to_vector(types::I64X2, lo);
        let v = self.b.ins().insertlane(v, hi, 1u8);
        self.seen_as(types::I8X16, v)
    }

    pub(super) fn emit_half(&mut self, v: Value, half: u8) -> Value {
        let v = self.seen_as(types::I64X2, v);
        self.b.ins().extractlane(v, half)
    }

    pub(super) fn emit_splat(&mut self, lane: Lane, v: Value) -> Value {
        let v = self.low(lane.width(), v);
        let v = self.b.ins().splat(vty(lane), v);
        self.seen_as(types::I8X16, v)
    }

    /// `a` with its low lane replaced by that of `b`.
    pub(super) fn emit_vmerge(&mut self, lane: Lane, a: Value, b: Value) -> Value {
        // Floating-point lanes do not go through a general register.
        let f = match lane {
            Lane::S => Float::S,
            Lane::D => Float::D,
            Lane::B | Lane::H => {
                let (x, y) = (self.seen_as(vty(lane), a), self.seen_as(vty(lane), b));
                let y = self.b.ins().extractlane(y, 0);
                let r = self.b.ins().insertlane(x, y, 0);
                return self.seen_as(types::I8X16, r);
            }
        };
        let x = self.scalar_of(f, b);
        let a = self.seen_as(vector_type(f), a);
        let r = self.b.ins().insertlane(a, x, 0);
        self.seen_as(types::I8X16, r)
    }

    pub(super) fn emit_vdup(&mut self, lane: Lane, v: Value, index: u8) -> Value {
        self.emit_vshuffle(v, v, &vector::lanes(lane, |_| index))
    }

    pub(super) fn emit_vshuffle(&mut self, a: Value, b: Value, p: &Bytes) -> Value {
        let p = self.b.func.dfg.immediates.push(p.to_vec().into());
        self.b.ins().shuffle(a, b, p)
    }

    pub(super) fn emit_vlookup(&mut self, table: Value, index: Value) -> Value {
        self.b.ins().x86_pshufb(table, index)
    }

    pub(super) fn emit_vhigh_bits(&mut self, lane: Lane, v: Value) -> Value {
        let v = self.seen_as(vty(lane), v);
        let r = self.b.ins().vhigh_bits(types::I32, v);
        self.b.ins().uextend(types::I64, r)
    }

    pub(super) fn emit_vextract(&mut self, lane: Lane, v: Value, index: u8) -> Value {
        let v = self.seen_as(vty(lane), v);
        let r = self.b.ins().extractlane(v, index);
        if lane == Lane::D { r } else { self.b.ins().uextend(types::I64, r) }
    }

    pub(super) fn emit_vinsert(&mut self, lane: Lane, v: Value, index: u8, x: Value) -> Value {
        let v = self.seen_as(vty(lane), v);
        let x = self.low(lane.width(), x);
        let r = self.b.ins().insertlane(v, x, index);
        self.seen_as(types::I8X16, r)
    }

    pub(super) fn emit_vshift(&mut self, op: VShift, lane: Lane, v: Value, n: u8) -> Value {
        let v = self.seen_as(vty(lane), v);
        let n = self.iconst(types::I32, n.into());
        let r = match op {
            VShift::Shl => self.b.ins().ishl(v, n),
            VShift::Shr => self.b.ins().ushr(v, n),
            VShift::Sar => self.b.ins().sshr(v, n),
        };
        self.seen_as(types::I8X16, r)
    }

    pub(super) fn emit_vun(&mut self, op: VUn, lane: Lane, v: Value) -> Value {
        let v = self.seen_as(vty(lane), v);
        let r = match op {
            VUn::Abs => self.b.ins().iabs(v),
            VUn::Popcnt => self.b.ins().popcnt(v),
            VUn::WidenS => self.b.ins().swiden_low(v),
            VUn::WidenU => self.b.ins().uwiden_low(v),
        };
        self.seen_as(types::I8X16, r)
    }

    pub(super) fn emit_vpair(&mut self, op: VPair, lane: Lane, a: Value, b: Value) -> Value {
        let (x, y) = (self.seen_as(vty(lane), a), self.seen_as(vty(lane), b));
        let r = match op {
            VPair::Mul => self.b.ins().imul(x, y),
            VPair::MulLongS => {
                let (x, y) = (self.b.ins().swiden_low(x), self.b.ins().swiden_low(y));
                self.b.ins().imul(x, y)
            }
            VPair::MulLongU => {
                let (x, y) = (self.b.ins().uwiden_low(x), self.b.ins().uwiden_low(y));
                self.b.ins().imul(x, y)
            }
            VPair::MulHighS | VPair::MulHighU => {
                let s = op == VPair::MulHighS;
                let low = |e: &mut Self, v| if s { e.b.ins().swiden_low(v) } else { e.b.ins().uwiden_low(v) };
                let high =
                    |e: &mut Self, v| if s { e.b.ins().swiden_high(v) } else { e.b.ins().uwiden_high(v) };
                let (x0, y0, x1, y1) = (low(self, x), low(self, y), high(self, x), high(self, y));
                let (p0, p1) = (self.b.ins().imul(x0, y0), self.b.ins().imul(x1, y1));
                let (p0, p1) = (self.seen_as(types::I8X16, p0), self.seen_as(types::I8X16, p1));
                return self.emit_vshuffle(p0, p1, &vector::lanes(lane, |i| 2 * i + 1));
            }
            VPair::DotS => {
                let (x0, y0) = (self.b.ins().swiden_low(x), self.b.ins().swiden_low(y));
                let (x1, y1) = (self.b.ins().swiden_high(x), self.b.ins().swiden_high(y));
                let (p0, p1) = (self.b.ins().imul(x0, y0), self.b.ins().imul(x1, y1));
                self.b.ins().iadd_pairwise(p0, p1)
            }
            VPair::AddSatS => self.b.ins().sadd_sat(x, y),
            VPair::AddSatU => self.b.ins().uadd_sat(x, y),
            VPair::SubSatS => self.b.ins().ssub_sat(x, y),
            VPair::SubSatU => self.b.ins().usub_sat(x, y),
            VPair::Avg => self.b.ins().avg_round(x, y),
            VPair::NarrowS => self.b.ins().snarrow(x, y),
            VPair::NarrowU => self.b.ins().unarrow(x, y),
        };
        self.seen_as(types::I8X16, r)
    }

    pub(super) fn emit_vbin(&mut self, op: VBin, lane: Lane, a: Value, b: Value) -> Value {
        let (x, y) = (self.seen_as(vty(lane), a), self.seen_as(vty(lane), b));
        let r = match op {
            VBin::And => self.b.ins().band(x, y),
            VBin::Or => self.b.ins().bor(x, y),
            VBin::Xor => self.b.ins().bxor(x, y),
            VBin::Bic => self.b.ins().band_not(x, y),
            VBin::Add => self.b.ins().iadd(x, y),
            VBin::Sub => self.b.ins().isub(x, y),
            VBin::CmpEq => self.b.ins().icmp(IntCC::Equal, x, y),
            VBin::CmpGt => self.b.ins().icmp(IntCC::SignedGreaterThan, x, y),
            VBin::CmpGe => self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, y),
            VBin::CmpHi => self.b.ins().icmp(IntCC::UnsignedGreaterThan, x, y),
            VBin::CmpHs => self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, x, y),
            VBin::Smax | VBin::Smin | VBin::Umax | VBin::Umin if lane == Lane::D => {
                // Not lowered for 64-bit lanes.
                let cc = match op {
                    VBin::Smax => IntCC::SignedGreaterThan,
                    VBin::Smin => IntCC::SignedLessThan,
                    VBin::Umax => IntCC::UnsignedGreaterThan,
                    _ => IntCC::UnsignedLessThan,
                };
                let left = self.b.ins().icmp(cc, x, y);
                self.b.ins().bitselect(left, x, y)
            }
            VBin::Smax => self.b.ins().smax(x, y),
            VBin::Smin => self.b.ins().smin(x, y),
            VBin::Umax => self.b.ins().umax(x, y),
            VBin::Umin => self.b.ins().umin(x, y),
        };
        self.seen_as(types::I8X16, r)
    }
}

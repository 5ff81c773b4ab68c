//! Vectors: `i8x16` values, seen as other lanes where an operation wants them.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use lyrebird_isa::ops::{Lane, VBin};
use lyrebird_isa::{Core, Cpu};

use super::ClifEmitter;

/// The CLIF type of a lane width.
fn vty(lane: Lane) -> Type {
    match lane {
        Lane::B => types::I8X16,
        Lane::H => types::I16X8,
        Lane::S => types::I32X4,
        Lane::D => types::I64X2,
    }
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    pub(super) fn vreg_offset(r: u8) -> i32 {
        (std::mem::offset_of!(Core, vregs) + 16 * (r & 31) as usize) as i32
    }

    /// The same 128 bits as another type.
    fn seen_as(&mut self, t: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == t {
            return v;
        }
        let lanes = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(t, lanes, v)
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

//! Floating point: the host's instructions, and the checks behind them.
//!
//! Cranelift's lowering of each operation here is one SSE or AVX instruction with the operands in their order, which
//! shows in the payload of a NaN and in no other way. It commutes additions and multiplications whose first operand is
//! a load that nothing else uses; operands here are never that, since vectors are loaded as `i8x16` and seen as
//! something else.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, InstructionData, Opcode, Type, Value, ValueDef, types};
use lyrebird_isa::ops::Width;
use lyrebird_isa::{Cpu, Emit, FBin, FCc, FUn, FlagStyle, Float, Helper, Part, Rounding, Sound};

use super::ClifEmitter;
use super::flags::Flags;
use crate::t1::dump::mark_quiet;
use crate::t1::flow::{VECTOR, VECTORS};

/// The CLIF type of a number.
pub(super) fn scalar_type(f: Float) -> Type {
    match f {
        Float::S => types::F32,
        Float::D => types::F64,
    }
}

/// The CLIF type of a vector of numbers.
pub(super) fn vector_type(f: Float) -> Type {
    match f {
        Float::S => types::F32X4,
        Float::D => types::F64X2,
    }
}

/// The CLIF type of the integers as wide as a number, alone and in a vector.
fn integer_types(f: Float) -> (Type, Type) {
    match f {
        Float::S => (types::I32, types::I32X4),
        Float::D => (types::I64, types::I64X2),
    }
}

/// Constants that a function has at its start once one of its instructions wants them: by format, the magnitude's bits
/// and the smallest normal number, alone and in all lanes.
pub(super) type Constants = [[Option<Value>; 4]; 2];

/// Index in [`Constants`].
#[derive(Clone, Copy)]
enum Constant {
    Magnitude,
    MinNormal,
    Magnitudes,
    MinNormals,
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    /// The low lane of a vector as a scalar.
    pub(super) fn scalar_of(&mut self, f: Float, v: Value) -> Value {
        if let Some(x) = self.made_of(v, scalar_type(f)) {
            return x;
        }
        let v = self.seen_as(vector_type(f), v);
        self.b.ins().extractlane(v, 0)
    }

    /// The scalar that is the low lane of `v`, if it was put there.
    fn made_of(&self, v: Value, t: Type) -> Option<Value> {
        let dfg = &self.b.func.dfg;
        let ValueDef::Result(inst, _) = dfg.value_def(v) else { return None };
        let x = match dfg.insts[inst] {
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } => {
                return self.made_of(arg, t);
            }
            InstructionData::Unary { opcode: Opcode::ScalarToVector, arg } => arg,
            InstructionData::TernaryImm8 { opcode: Opcode::Insertlane, imm: 0, args: [_, x] } => x,
            _ => return None,
        };
        (dfg.value_type(x) == t).then_some(x)
    }

    /// A vector of a scalar and zeros.
    pub(super) fn vector_of(&mut self, f: Float, x: Value) -> Value {
        let v = self.b.ins().scalar_to_vector(vector_type(f), x);
        self.seen_as(types::I8X16, v)
    }

    fn operand(&mut self, f: Float, p: Part, v: Value) -> Value {
        match p {
            Part::Low => self.scalar_of(f, v),
            Part::All => self.seen_as(vector_type(f), v),
        }
    }

    fn result(&mut self, f: Float, p: Part, r: Value) -> Value {
        self.raises = true;
        match p {
            Part::Low => self.vector_of(f, r),
            Part::All => self.seen_as(types::I8X16, r),
        }
    }

    /// The bits of a scalar, zero-extended.
    pub(super) fn float_bits(&mut self, f: Float, x: Value) -> Value {
        let (int, _) = integer_types(f);
        let v = self.b.ins().bitcast(int, super::vector::lanes(), x);
        if f == Float::S { self.b.ins().uextend(types::I64, v) } else { v }
    }

    pub(super) fn emit_fbin(&mut self, op: FBin, f: Float, p: Part, a: Value, b: Value) -> Value {
        let (x, y) = (self.operand(f, p, a), self.operand(f, p, b));
        let r = match op {
            FBin::Add => self.b.ins().fadd(x, y),
            FBin::Sub => self.b.ins().fsub(x, y),
            FBin::Mul => self.b.ins().fmul(x, y),
            FBin::Div => self.b.ins().fdiv(x, y),
            FBin::Min | FBin::Max => self.extreme(op == FBin::Min, f, p, x, y),
            // The scalar forms branch, and are quiet.
            FBin::Minimum if p == Part::Low => self.b.ins().fmin(x, y),
            FBin::Maximum if p == Part::Low => self.b.ins().fmax(x, y),
            FBin::Minimum | FBin::Maximum => {
                let t = vector_type(f);
                let [ordered, unordered] = [FloatCC::Ordered, FloatCC::Unordered].map(|cc| {
                    let mask = self.b.ins().fcmp(cc, x, y);
                    self.seen_as(t, mask)
                });
                // A quiet NaN must not get there; the second is what zeros come to.
                let (x, y) = (self.b.ins().band(x, ordered), self.b.ins().band(y, ordered));
                let least = op == FBin::Minimum;
                let (r, s) = (self.extreme(least, f, p, x, y), self.extreme(least, f, p, y, x));
                let r = if least { self.b.ins().bor(r, s) } else { self.b.ins().band(r, s) };
                self.b.ins().bor(r, unordered)
            }
        };
        self.result(f, p, r)
    }

    /// MINSD, MAXSD and their kin, by the patterns that Cranelift knows them by.
    fn extreme(&mut self, least: bool, f: Float, p: Part, x: Value, y: Value) -> Value {
        let (l, r) = if least { (x, y) } else { (y, x) };
        let first = self.b.ins().fcmp(FloatCC::LessThan, l, r);
        if p == Part::Low {
            return self.b.ins().select(first, x, y);
        }
        let first = self.seen_as(vector_type(f), first);
        self.b.ins().bitselect(first, x, y)
    }

    pub(super) fn emit_fun(&mut self, op: FUn, f: Float, p: Part, a: Value) -> Value {
        let r = match (op, f, p) {
            (FUn::Sqrt, ..) => {
                let x = self.operand(f, p, a);
                self.b.ins().sqrt(x)
            }
            (FUn::Neg | FUn::Abs, ..) => {
                let x = self.operand(f, p, a);
                if op == FUn::Neg { self.b.ins().fneg(x) } else { self.b.ins().fabs(x) }
            }
            (FUn::Round(to, exact), ..) => {
                let x = self.operand(f, p, a);
                let r = match to {
                    Rounding::Nearest => self.b.ins().nearest(x),
                    Rounding::Down => self.b.ins().floor(x),
                    Rounding::Up => self.b.ins().ceil(x),
                    Rounding::Zero => self.b.ins().trunc(x),
                };
                if !exact {
                    mark_quiet(self.b.func, r);
                }
                r
            }
            (FUn::ToInt32, ..) => return self.emit_to_int32(f, p, a),
            (FUn::Convert, _, Part::Low) => {
                let x = self.scalar_of(f.other(), a);
                if f == Float::D {
                    self.b.ins().fpromote(types::F64, x)
                } else {
                    self.b.ins().fdemote(types::F32, x)
                }
            }
            (FUn::Convert, Float::D, Part::All) => {
                let x = self.seen_as(types::F32X4, a);
                self.b.ins().fvpromote_low(x)
            }
            (FUn::Convert, Float::S, Part::All) => {
                let x = self.seen_as(types::F64X2, a);
                self.b.ins().fvdemote(x)
            }
            (FUn::FromInt32, _, Part::Low) => {
                let x = self.seen_as(types::I32X4, a);
                let x = self.b.ins().extractlane(x, 0);
                self.b.ins().fcvt_from_sint(scalar_type(f), x)
            }
            (FUn::FromInt32, Float::S, Part::All) => {
                let x = self.seen_as(types::I32X4, a);
                self.b.ins().fcvt_from_sint(types::F32X4, x)
            }
            (FUn::FromInt32, Float::D, Part::All) => {
                let x = self.seen_as(types::I32X4, a);
                let x = self.b.ins().swiden_low(x);
                self.b.ins().fcvt_from_sint(types::F64X2, x)
            }
        };
        self.result(f, p, r)
    }

    /// CVTTPS2DQ, CVTTPD2DQ.
    fn emit_to_int32(&mut self, f: Float, p: Part, v: Value) -> Value {
        let v = match p {
            Part::All => v,
            Part::Low => {
                let x = self.scalar_of(f, v);
                self.vector_of(f, x)
            }
        };
        let x = self.seen_as(vector_type(f), v);
        let r = match f {
            Float::S => self.b.ins().x86_cvtt2dq(types::I32X4, x),
            Float::D => {
                let r = self.b.ins().x86_cvtt2dq(types::I64X2, x);
                let zeros = self.b.func.dfg.constants.insert(vec![0; 16].into());
                let zeros = self.b.ins().vconst(types::I64X2, zeros);
                self.b.ins().snarrow(r, zeros)
            }
        };
        self.raises = true;
        self.seen_as(types::I8X16, r)
    }

    pub(super) fn emit_fma(&mut self, f: Float, p: Part, [a, b, c]: [Value; 3]) -> Value {
        let [x, y, z] = [a, b, c].map(|v| self.operand(f, p, v));
        let r = self.b.ins().fma(x, y, z);
        self.result(f, p, r)
    }

    pub(super) fn emit_fcmp(&mut self, cc: FCc, f: Float, p: Part, a: Value, b: Value) -> Value {
        let lanes = |e: &mut Self, v: Value| {
            // The other lanes must raise nothing.
            let v = if p == Part::Low {
                let x = e.scalar_of(f, v);
                e.vector_of(f, x)
            } else {
                v
            };
            e.seen_as(vector_type(f), v)
        };
        let (x, y) = (lanes(self, a), lanes(self, b));
        let cc = match cc {
            FCc::Eq => FloatCC::Equal,
            FCc::Lt => FloatCC::LessThan,
            FCc::Le => FloatCC::LessThanOrEqual,
            FCc::Un => FloatCC::Unordered,
            FCc::Ne => FloatCC::NotEqual,
            FCc::Nlt => FloatCC::UnorderedOrGreaterThanOrEqual,
            FCc::Nle => FloatCC::UnorderedOrGreaterThan,
            FCc::Or => FloatCC::Ordered,
        };
        let r = self.b.ins().fcmp(cc, x, y);
        self.raises = true;
        let r = self.seen_as(types::I8X16, r);
        if p == Part::All {
            return r;
        }
        let x = self.scalar_of(f, r);
        self.vector_of(f, x)
    }

    pub(super) fn emit_ffrom_int(&mut self, f: Float, v: Value) -> Value {
        let x = self.b.ins().fcvt_from_sint(scalar_type(f), v);
        self.raises = true;
        self.vector_of(f, x)
    }

    pub(super) fn emit_ftruncate(&mut self, f: Float, w: Width, v: Value) -> Value {
        let x = self.scalar_of(f, v);
        // One CVTTSD2SI, and more where its result is the least integer.
        if w == Width::W64 {
            return self.b.ins().fcvt_to_sint_sat(types::I64, x);
        }
        let r = self.b.ins().fcvt_to_sint_sat(types::I32, x);
        self.b.ins().uextend(types::I64, r)
    }

    pub(super) fn emit_ffits(&mut self, f: Float, w: Width, v: Value) -> Value {
        // A power of two has nothing but an exponent.
        let limit = match f {
            Float::S => (127 + w.bits() as u64 - 1) << 23,
            Float::D => (1023 + w.bits() as u64 - 1) << 52,
        };
        let x = self.scalar_of(f, v);
        let bits = self.float_bits(f, x);
        let (exp, limit) = (self.imm(f.infinity()), self.imm(limit));
        let exp = self.b.ins().band(bits, exp);
        self.b.ins().icmp(IntCC::UnsignedLessThan, exp, limit)
    }

    /// A constant that stands at the start of the function.
    fn constant(&mut self, f: Float, which: Constant) -> Value {
        if let Some(v) = self.floats[f as usize][which as usize] {
            return v;
        }
        let all = u64::MAX >> (65 - f.bits());
        let raw =
            if matches!(which, Constant::Magnitude | Constant::Magnitudes) { all } else { f.min_normal() };
        let (_, ints) = integer_types(f);
        let Some(entry) = self.b.func.layout.entry_block() else {
            self.fail("has no entry block");
            return self.env.core;
        };
        let mut cursor = FuncCursor::new(self.b.func).at_first_insertion_point(entry);
        let v = match (which, f) {
            (Constant::Magnitude | Constant::MinNormal, Float::S) => {
                cursor.ins().f32const(Ieee32::with_bits(raw as u32))
            }
            (Constant::Magnitude | Constant::MinNormal, Float::D) => {
                cursor.ins().f64const(Ieee64::with_bits(raw))
            }
            (Constant::Magnitudes | Constant::MinNormals, _) => {
                let (int, _) = integer_types(f);
                let x = cursor.ins().iconst(int, raw as i64);
                let v = cursor.ins().splat(ints, x);
                cursor.ins().bitcast(vector_type(f), super::vector::lanes(), v)
            }
        };
        self.floats[f as usize][which as usize] = Some(v);
        v
    }

    pub(super) fn emit_fsound(&mut self, s: Sound, f: Float, p: Part, v: Value) -> Value {
        match (s, p) {
            (Sound::Normal, Part::Low) => {
                let x = self.scalar_of(f, v);
                let (mask, least) =
                    (self.constant(f, Constant::Magnitude), self.constant(f, Constant::MinNormal));
                let x = self.b.ins().band(x, mask);
                self.b.ins().fcmp(FloatCC::OrderedNotEqual, x, least)
            }
            (Sound::Normal, Part::All) => {
                let x = self.seen_as(vector_type(f), v);
                let mask = self.constant(f, Constant::Magnitudes);
                let least = self.constant(f, Constant::MinNormals);
                let x = self.b.ins().band(x, mask);
                let nan = self.b.ins().fcmp(FloatCC::Unordered, x, x);
                let tiny = self.b.ins().fcmp(FloatCC::Equal, x, least);
                let bad = self.b.ins().bor(nan, tiny);
                self.none_set(bad)
            }
            (Sound::Number, Part::Low) => {
                // No comparison of numbers: it would find denormals.
                let x = self.scalar_of(f, v);
                let bits = self.float_bits(f, x);
                let (up, inf) = (self.imm(65 - f.bits() as u64), self.imm(f.infinity() << (65 - f.bits())));
                let magnitude = self.b.ins().ishl(bits, up);
                self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, magnitude, inf)
            }
            (Sound::Number, Part::All) => {
                let (int, ints) = integer_types(f);
                let mask = self.constant(f, Constant::Magnitudes);
                let mask = self.seen_as(ints, mask);
                let x = self.seen_as(ints, v);
                let x = self.b.ins().band(x, mask);
                let inf = self.iconst(int, f.infinity());
                let inf = self.b.ins().splat(ints, inf);
                let bad = self.b.ins().icmp(IntCC::SignedGreaterThan, x, inf);
                self.none_set(bad)
            }
        }
    }

    /// Whether a vector of masks has none set.
    fn none_set(&mut self, v: Value) -> Value {
        let bits = self.b.ins().vhigh_bits(types::I32, v);
        let zero = self.iconst(types::I32, 0);
        self.b.ins().icmp(IntCC::Equal, bits, zero)
    }

    pub(super) fn emit_set_fflags(
        &mut self,
        style: FlagStyle,
        f: Float,
        [a, b]: [Value; 2],
        unordered: Option<(Helper<C>, [Value; 3])>,
    ) {
        let (x, y) = (self.scalar_of(f, a), self.scalar_of(f, b));
        // Whatever becomes of the flags, the comparison has to be made: the branch does.
        let un = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        self.before_slow_path(VECTORS);
        let cold = self.b.create_block();
        let go_on = self.b.create_block();
        self.b.set_cold_block(cold);
        self.b.ins().brif(un, cold, &[], go_on, &[]);
        self.enter(cold);
        if let Some((h, args)) = unordered {
            self.call_aside(h, args);
        }
        self.b.ins().jump(go_on, &[]);
        self.enter(go_on);
        self.put_flags(Flags::Float { style, f, a: x, b: y });
    }

    pub(super) fn emit_set_vreg_or(&mut self, ok: Value, r: u8, v: Value, h: Helper<C>, args: [Value; 3]) {
        self.before_slow_path(VECTORS);
        let (cold, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(go_on, types::I8X16);
        self.b.set_cold_block(cold);
        self.b.ins().brif(ok, go_on, &[BlockArg::from(v)], cold, &[]);
        self.enter(cold);
        self.call_aside(h, args);
        let made = self.load_reg(VECTOR + (r & 31) as usize);
        self.b.ins().jump(go_on, &[BlockArg::from(made)]);
        self.enter(go_on);
        let v = self.b.block_params(go_on)[0];
        // The branch has made use of the result.
        self.raises = false;
        self.set_vreg(r, v);
    }

    pub(super) fn emit_val_or(&mut self, ok: Value, v: Value, h: Helper<C>, args: [Value; 3]) -> Value {
        self.before_slow_path(VECTORS);
        let (cold, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(go_on, types::I64);
        self.b.set_cold_block(cold);
        self.b.ins().brif(ok, go_on, &[BlockArg::from(v)], cold, &[]);
        self.enter(cold);
        let r = self.call_aside(h, args);
        self.b.ins().jump(go_on, &[BlockArg::from(r)]);
        self.enter(go_on);
        self.b.block_params(go_on)[0]
    }
}

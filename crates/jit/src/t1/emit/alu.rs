//! Scalar arithmetic. CLIF division traps and 8- and 16-bit bit counts are not lowered everywhere: both are made total
//! or widened here.

use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{InstBuilder, InstructionData, Opcode, Type, Value, ValueDef, types};
use lyrebird_isa::ops::{Bin, Cc, Un, Width};
use lyrebird_isa::{Cpu, Emit};
use rustc_hash::FxHashMap;

use super::ClifEmitter;

/// The CLIF type of a width.
pub(super) fn ty(w: Width) -> Type {
    match w {
        Width::W8 => types::I8,
        Width::W16 => types::I16,
        Width::W32 => types::I32,
        Width::W64 => types::I64,
    }
}

/// The CLIF condition of a comparison.
fn intcc(cc: Cc) -> IntCC {
    match cc {
        Cc::Eq => IntCC::Equal,
        Cc::Ne => IntCC::NotEqual,
        Cc::Ult => IntCC::UnsignedLessThan,
        Cc::Ule => IntCC::UnsignedLessThanOrEqual,
        Cc::Slt => IntCC::SignedLessThan,
        Cc::Sle => IntCC::SignedLessThanOrEqual,
    }
}

/// What a guest block has computed so far on its straight path, by operation, width and operands, constants by value:
/// guests compute the same address for the load and the store of an element.
pub(super) type Made = FxHashMap<Computation, Value>;

/// See [`Made`].
type Computation = (Bin, Width, Result<u64, Value>, Result<u64, Value>);

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    /// The low bits of `v` as a value of their own width.
    pub(super) fn low(&mut self, w: Width, v: Value) -> Value {
        if w == Width::W64 {
            return v;
        }
        if let Some(c) = self.as_const(v) {
            return self.iconst(ty(w), c);
        }
        if let Some(x) = self.extended(v)
            && self.b.func.dfg.value_type(x) == ty(w)
        {
            return x;
        }
        self.b.ins().ireduce(ty(w), v)
    }

    /// A value with the same low bits as `v`, of which the rest does not count: without the extension of what was cut.
    pub(super) fn uncut(&self, w: Width, v: Value) -> Value {
        let dfg = &self.b.func.dfg;
        let Some(x) = self.extended(v) else { return v };
        let ValueDef::Result(inst, _) = dfg.value_def(x) else { return v };
        match dfg.insts[inst] {
            InstructionData::Unary { opcode: Opcode::Ireduce, arg }
                if dfg.value_type(x).bits() >= w.bits() && dfg.value_type(arg) == types::I64 =>
            {
                arg
            }
            _ => v,
        }
    }

    /// A narrow value, zero-extended to 64 bits.
    pub(super) fn widen(&mut self, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == types::I64 { v } else { self.b.ins().uextend(types::I64, v) }
    }

    pub(super) fn emit_zext(&mut self, from: Width, a: Value) -> Value {
        if from == Width::W64 {
            return a;
        }
        if let Some(c) = self.as_const(a) {
            return self.imm(from.zext(c));
        }
        if let Some(x) = self.extended(a)
            && self.b.func.dfg.value_type(x).bits() <= from.bits()
        {
            return a;
        }
        if self.loaded.get(&a).is_some_and(|bits| *bits <= from.bits()) {
            return a;
        }
        // Twice the same register is then twice the same value, as where it is tested.
        let mask = u64::MAX >> (64 - from.bits());
        self.once((Bin::And, Width::W64, Err(a), Ok(mask)), |e| {
            let n = e.low(from, a);
            e.widen(n)
        })
    }

    /// What the block has computed already on its straight path, or what `make` does.
    fn once(&mut self, key: Computation, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.straight
            && let Some(&v) = self.made.get(&key)
        {
            return v;
        }
        let v = make(self);
        if self.straight {
            self.made.insert(key, v);
        }
        v
    }

    pub(super) fn emit_sext(&mut self, from: Width, a: Value) -> Value {
        if from == Width::W64 {
            return a;
        }
        if let Some(c) = self.as_const(a) {
            return self.imm(from.sext(c));
        }
        let n = self.low(from, a);
        self.b.ins().sextend(types::I64, n)
    }

    /// The opposite of a truth value.
    pub(super) fn not(&mut self, c: Value) -> Value {
        if let ValueDef::Result(inst, _) = self.b.func.dfg.value_def(c)
            && let InstructionData::IntCompare { cond, args: [x, y], .. } = self.b.func.dfg.insts[inst]
        {
            return self.b.ins().icmp(cond.complement(), x, y);
        }
        let one = self.iconst(types::I8, 1);
        self.b.ins().bxor(c, one)
    }

    pub(super) fn emit_cmp(&mut self, cc: Cc, w: Width, a: Value, b: Value) -> Value {
        let (a, b) = (self.low(w, a), self.low(w, b));
        self.b.ins().icmp(intcc(cc), a, b)
    }

    pub(super) fn emit_bin(&mut self, op: Bin, w: Width, a: Value, b: Value) -> Value {
        if a == b {
            // TEST with itself, XOR of a register with itself to clear it.
            match op {
                Bin::And | Bin::Or => return self.emit_zext(w, a),
                Bin::Xor | Bin::Sub | Bin::Bic => return self.imm(0),
                _ => {}
            }
        }
        match (self.as_const(a), self.as_const(b)) {
            (Some(x), Some(y)) => return self.imm(op.eval(w, x, y)),
            (_, Some(0)) if w == Width::W64 && keeps_left(op) => return a,
            (Some(0), _) if w == Width::W64 && matches!(op, Bin::Add | Bin::Or | Bin::Xor) => return b,
            (_, Some(y)) if w == Width::W64 && op == Bin::Add => {
                // One addition of a constant, which then fits an addressing mode.
                if let Some((x, z)) = self.as_sum(a) {
                    let sum = self.imm(y.wrapping_add(z));
                    return self.b.ins().iadd(x, sum);
                }
            }
            _ => {}
        }
        match op {
            Bin::Umulh | Bin::Smulh => {
                let r = match op {
                    Bin::Umulh => self.b.ins().umulhi(a, b),
                    _ => self.b.ins().smulhi(a, b),
                };
                return self.emit_zext(w, r);
            }
            Bin::Udiv => return self.udiv(w, a, b),
            Bin::Sdiv => return self.sdiv(w, a, b),
            _ => {}
        }
        self.once((op, w, self.operand_key(a), self.operand_key(b)), |e| {
            let (x, y) = (e.low(w, a), e.low(w, b));
            let i = e.b.ins();
            let r = match op {
                Bin::Add => i.iadd(x, y),
                Bin::Sub => i.isub(x, y),
                Bin::Mul => i.imul(x, y),
                Bin::And => i.band(x, y),
                Bin::Or => i.bor(x, y),
                Bin::Xor => i.bxor(x, y),
                Bin::Bic => i.band_not(x, y),
                // CLIF takes shift amounts modulo the width.
                Bin::Shl => i.ishl(x, y),
                Bin::Shr => i.ushr(x, y),
                Bin::Sar => i.sshr(x, y),
                Bin::Ror => i.rotr(x, y),
                Bin::Umulh | Bin::Smulh | Bin::Udiv | Bin::Sdiv => unreachable!("returned above"),
            };
            e.widen(r)
        })
    }

    /// An operand such that equal ones are the same.
    fn operand_key(&self, v: Value) -> Result<u64, Value> {
        self.as_const(v).ok_or(v)
    }

    /// Operands at a width that divides without surprises: narrower ones are extended to 32 bits.
    fn division_type(w: Width) -> Type {
        if w == Width::W64 { types::I64 } else { types::I32 }
    }

    fn udiv(&mut self, w: Width, a: Value, b: Value) -> Value {
        let t = Self::division_type(w);
        let (a, b) = (self.emit_zext(w, a), self.emit_zext(w, b));
        let dw = if t == types::I64 { Width::W64 } else { Width::W32 };
        let (a, b) = (self.low(dw, a), self.low(dw, b));
        let (zero, one) = (self.iconst(t, 0), self.iconst(t, 1));
        let by_zero = self.b.ins().icmp(IntCC::Equal, b, zero);
        let safe = self.b.ins().select(by_zero, one, b);
        let q = self.b.ins().udiv(a, safe);
        let r = self.b.ins().select(by_zero, zero, q);
        self.widen(r)
    }

    fn sdiv(&mut self, w: Width, a: Value, b: Value) -> Value {
        let t = Self::division_type(w);
        let dw = if t == types::I64 { Width::W64 } else { Width::W32 };
        let (a, b) = if w == Width::W64 || w == Width::W32 {
            (a, b)
        } else {
            (self.emit_sext(w, a), self.emit_sext(w, b))
        };
        let (a, b) = (self.low(dw, a), self.low(dw, b));
        let (zero, one) = (self.iconst(t, 0), self.iconst(t, 1));
        let minus_one = self.iconst(t, u64::MAX);
        let by_zero = self.b.ins().icmp(IntCC::Equal, b, zero);
        // MIN / -1 overflows; MIN / 1 is the result wanted. For any other dividend, a / -1 is -a.
        let neg = self.b.ins().icmp(IntCC::Equal, b, minus_one);
        let avoid = self.b.ins().bor(by_zero, neg);
        let safe = self.b.ins().select(avoid, one, b);
        let q = self.b.ins().sdiv(a, safe);
        let minus = self.b.ins().ineg(q);
        let q = self.b.ins().select(neg, minus, q);
        let r = self.b.ins().select(by_zero, zero, q);
        let r = self.widen(r);
        self.emit_zext(w, r)
    }

    pub(super) fn emit_un(&mut self, op: Un, w: Width, a: Value) -> Value {
        if let Some(c) = self.as_const(a) {
            return self.imm(op.eval(w, c));
        }
        if matches!(op, Un::Not | Un::Neg) {
            let x = self.low(w, a);
            let r = match op {
                Un::Not => self.b.ins().bnot(x),
                _ => self.b.ins().ineg(x),
            };
            return self.widen(r);
        }
        let bits = w.bits() as i64;
        // 8 and 16 bits: as 32 bits, then put right.
        let wide = if w == Width::W64 { Width::W64 } else { Width::W32 };
        let spare = wide.bits() as i64 - bits;
        let z = self.emit_zext(w, a);
        let x = self.low(wide, z);
        let r = match op {
            Un::Clz => {
                let n = self.b.ins().clz(x);
                if spare == 0 {
                    n
                } else {
                    let s = self.iconst(ty(wide), spare as u64);
                    self.b.ins().isub(n, s)
                }
            }
            Un::Ctz => {
                let x = if spare == 0 {
                    x
                } else {
                    let stop = self.iconst(ty(wide), 1 << bits);
                    self.b.ins().bor(x, stop)
                };
                self.b.ins().ctz(x)
            }
            Un::Popcnt => self.b.ins().popcnt(x),
            Un::Rbit | Un::Bswap => {
                let r = match op {
                    Un::Rbit => self.b.ins().bitrev(x),
                    _ => self.b.ins().bswap(x),
                };
                if spare == 0 {
                    r
                } else {
                    let s = self.iconst(ty(wide), spare as u64);
                    self.b.ins().ushr(r, s)
                }
            }
            Un::Not | Un::Neg => unreachable!("returned above"),
        };
        self.widen(r)
    }
}

/// Whether `a op 0` is `a`.
fn keeps_left(op: Bin) -> bool {
    matches!(
        op,
        Bin::Add | Bin::Sub | Bin::Or | Bin::Xor | Bin::Bic | Bin::Shl | Bin::Shr | Bin::Sar | Bin::Ror
    )
}

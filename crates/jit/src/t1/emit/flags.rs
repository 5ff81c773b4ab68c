//! Condition flags: symbolic inside a block, in [`Core`] where somebody may look.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use lyrebird_isa::flags::{
    A, A_CARRY, C as CARRY, N, OP_SHIFT, P_BYTE, V, V_CARRY, Z, materialise, materialise_aux, pack_op,
    pack_relation,
};
use lyrebird_isa::ops::{Bin, Width};
use lyrebird_isa::{Cond, Core, Cpu, Emit, FlagOp, FlagStyle, Float};

use super::ClifEmitter;
use crate::t1::flow::FLAGS;

const FLAG_OP: i32 = offset_of!(Core, flag_op) as i32;
const FLAG_A: i32 = offset_of!(Core, flag_a) as i32;
const FLAG_B: i32 = offset_of!(Core, flag_b) as i32;

/// What is known of the flags.
#[derive(Clone, Copy, Debug)]
pub(in crate::t1) enum Flags {
    /// In `Core`, whatever they are.
    InCore,
    /// Of `a op b`.
    Lazy { op: FlagOp, w: Width, a: Value, b: Value },
    /// Of `a op b` where `c`, else a constant.
    Choice { c: Value, op: FlagOp, w: Width, a: Value, b: Value, nzcv: u32 },
    /// Of a result and its carries, but for C, which is that of the flags in `Core`, whatever they are.
    ButC { w: Width, r: Value, carries: Value },
    /// A raw word, other bits clear.
    Raw(Value),
    /// Of a comparison of two floating-point scalars.
    Float { style: FlagStyle, f: Float, a: Value, b: Value },
    /// What `Core` would hold, but for the operands, which are not shifted up.
    Handed { op: Value, a: Value, b: Value },
}

/// Whether a condition holds for flags in `Core`; has the signature of helpers.
extern "C" fn holds_in_core(op: u64, a: u64, b: u64, cond: u64) -> u64 {
    Cond::from_bits(cond as u32).eval(op, a, b) as u64
}

/// C of the flags in `Core`, as [`FlagOp::Result`] has it; has the signature of helpers.
extern "C" fn c_in_core(core: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: compiled code passes the core it runs on.
    let core = unsafe { &*(core as *const Core) };
    Cond::Cs.eval(core.flag_op, core.flag_a, core.flag_b) as u64
}

/// What the raw word has besides N, Z, C and V, of flags in `Core`; has the signature of helpers.
extern "C" fn aux_in_core(op: u64, a: u64, b: u64, _: u64) -> u64 {
    materialise_aux(op, a, b)
}

/// The raw word of flags in `Core`; has the signature of helpers.
extern "C" fn raw_in_core(op: u64, a: u64, b: u64, _: u64) -> u64 {
    materialise(op, a, b)
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    pub(super) fn put_flags(&mut self, f: Flags) {
        self.flags = f;
        self.flags_dirty = true;
        self.aged &= !FLAGS;
        self.wrote = true;
    }

    /// Sets the flags by a result and its carries without C, which stays.
    pub(super) fn put_flags_but_c(&mut self, w: Width, r: Value, carries: Value) {
        // INC and DEC leave C alone, and mostly nobody asks for it before it is set. To find it takes a call where the
        // flags are not known.
        if matches!(self.flags, Flags::InCore | Flags::ButC { .. }) {
            let r = self.uncut(w, r);
            return self.put_flags(Flags::ButC { w, r, carries });
        }
        self.set_flags_with_c(w, r, carries);
    }

    /// The flags with C. Where they are stored, those in `Core` have the same C before and after.
    fn with_c(&mut self, w: Width, r: Value, carries: Value) -> Flags {
        let c = self.call_thunk(c_in_core as *const () as u64);
        let b = self.emit_bin(Bin::Or, Width::W64, carries, c);
        Flags::Lazy { op: FlagOp::Result, w, a: r, b }
    }

    /// Makes all of the flags known that can be without asking `Core`, but for those that are there.
    fn settle_c(&mut self) {
        if let Flags::ButC { w, r, carries } = self.flags {
            self.flags = self.with_c(w, r, carries);
        }
    }

    /// What is known, and whether `Core` does not know it.
    pub(in crate::t1) fn flag_state(&self) -> (Flags, bool) {
        (self.flags, self.flags_dirty)
    }

    pub(in crate::t1) fn set_flag_state(&mut self, (flags, dirty): (Flags, bool)) {
        self.flags = flags;
        self.flags_dirty = dirty;
    }

    /// Stores the flags if `Core` does not know them. Does not note that it now does.
    pub(super) fn store_flags(&mut self) {
        if !self.flags_dirty || matches!(self.flags, Flags::InCore) {
            return;
        }
        let [op, a, b] = self.words(true);
        self.store_core(op, FLAG_OP);
        self.store_core(a, FLAG_A);
        self.store_core(b, FLAG_B);
    }

    /// An operand as `Core` keeps it: narrow ones shifted to the top.
    fn flag_operand(&mut self, w: Width, v: Value) -> Value {
        let s = self.imm(64 - w.bits() as u64);
        self.emit_bin(Bin::Shl, Width::W64, v, s)
    }

    /// An operand as `Core` keeps it, for an operation that is not known here.
    fn shift_up(&mut self, op: Value, v: Value) -> Value {
        // Shifts look at the low six bits of the count alone.
        let n = self.b.ins().ushr_imm_u(op, i64::from(OP_SHIFT));
        self.b.ins().ishl(v, n)
    }

    /// The three words, with the operands as `Core` keeps them or not `shifted` up.
    pub(super) fn words(&mut self, shifted: bool) -> [Value; 3] {
        let up = |e: &mut Self, w, v| if shifted { e.flag_operand(w, v) } else { v };
        self.settle_c();
        match self.flags {
            Flags::InCore => {
                let [op, a, b] = [FLAG_OP, FLAG_A, FLAG_B].map(|offset| self.load_core(types::I64, offset));
                if shifted {
                    return [op, a, b];
                }
                let n = self.b.ins().ushr_imm_u(op, i64::from(OP_SHIFT));
                [op, self.b.ins().ushr(a, n), self.b.ins().ushr(b, n)]
            }
            Flags::Lazy { op, w, a, b } => [self.imm(pack_op(op, w)), up(self, w, a), up(self, w, b)],
            Flags::Choice { c, op, w, a, b, nzcv } => {
                let (op, raw) = (self.imm(pack_op(op, w)), self.imm(FlagOp::Raw as u64));
                let (a, b) = (up(self, w, a), up(self, w, b));
                let (word, zero) = (self.imm(nzcv as u64 & 0xf000_0000), self.imm(0));
                [self.select(c, op, raw), self.select(c, a, word), self.select(c, b, zero)]
            }
            Flags::ButC { .. } => {
                self.fail("does not know its flags");
                [self.imm(0); 3]
            }
            Flags::Raw(v) => [self.imm(FlagOp::Raw as u64), v, self.imm(0)],
            Flags::Float { style, f, a, b } => {
                [self.imm(pack_relation(f, style)), self.float_bits(f, a), self.float_bits(f, b)]
            }
            Flags::Handed { op, a, b } if shifted => [op, self.shift_up(op, a), self.shift_up(op, b)],
            Flags::Handed { op, a, b } => [op, a, b],
        }
    }

    /// Makes the flags variables.
    pub(in crate::t1) fn declare_flags(&mut self) {
        self.flag_vars = Some(std::array::from_fn(|_| self.b.declare_var(types::I64)));
    }

    /// Gives the flags to a block that wants them as values.
    pub(in crate::t1) fn hand_flags_over(&mut self) {
        let words = self.words(false);
        for (var, v) in self.flag_vars.into_iter().flatten().zip(words) {
            self.b.def_var(var, v);
        }
    }

    /// What was given to this block.
    pub(super) fn flags_handed_over(&mut self) -> Flags {
        match self.flag_vars {
            Some(vars) => {
                let [op, a, b] = vars.map(|v| self.b.use_var(v));
                Flags::Handed { op, a, b }
            }
            None => {
                self.fail("wants flags as values that its region does not have");
                Flags::InCore
            }
        }
    }

    /// Whether `c` holds, as an 8-bit truth value.
    pub(super) fn holds(&mut self, c: Cond) -> Value {
        if matches!(c, Cond::Al | Cond::Nv) {
            return self.iconst(types::I8, 1);
        }
        if matches!(c, Cond::Cs | Cond::Cc | Cond::Hi | Cond::Ls) {
            self.settle_c();
        }
        match self.flags {
            Flags::ButC { w, r, carries } => {
                let x = self.low(w, r);
                self.holds_result(c, x, carries)
            }
            Flags::InCore | Flags::Handed { .. } => {
                let r = self.ask_core(holds_in_core, c as u64);
                let zero = self.imm(0);
                self.b.ins().icmp(IntCC::NotEqual, r, zero)
            }
            Flags::Lazy { op, w, a, b } => self.holds_lazy(c, op, w, a, b),
            Flags::Choice { c: chosen, op, w, a, b, nzcv } => {
                let x = self.holds_lazy(c, op, w, a, b);
                if c.eval_raw(nzcv as u64) {
                    let not = self.not(chosen);
                    self.b.ins().bor(not, x)
                } else {
                    self.b.ins().band(chosen, x)
                }
            }
            Flags::Raw(v) => self.holds_raw(c, v),
            Flags::Float { style, a, b, .. } => self.holds_float(c, style, a, b),
        }
    }

    /// A condition as one comparison: what the flag words in `FlagStyle::word` add up to.
    fn holds_float(&mut self, c: Cond, style: FlagStyle, a: Value, b: Value) -> Value {
        let cc = match (style, c) {
            (FlagStyle::Arm, Cond::Eq) => FloatCC::Equal,
            (FlagStyle::Arm, Cond::Ne) => FloatCC::NotEqual,
            (FlagStyle::Arm, Cond::Cs | Cond::Pl) => FloatCC::UnorderedOrGreaterThanOrEqual,
            (FlagStyle::Arm, Cond::Cc | Cond::Mi) => FloatCC::LessThan,
            (FlagStyle::Arm, Cond::Vs) => FloatCC::Unordered,
            (FlagStyle::Arm, Cond::Vc) => FloatCC::Ordered,
            (FlagStyle::Arm, Cond::Hi) => FloatCC::UnorderedOrGreaterThan,
            (FlagStyle::Arm, Cond::Ls) => FloatCC::LessThanOrEqual,
            (FlagStyle::Arm, Cond::Ge) => FloatCC::GreaterThanOrEqual,
            (FlagStyle::Arm, Cond::Lt) => FloatCC::UnorderedOrLessThan,
            (FlagStyle::Arm, Cond::Gt) => FloatCC::GreaterThan,
            (FlagStyle::Arm, Cond::Le) => FloatCC::UnorderedOrLessThanOrEqual,
            (FlagStyle::X86, Cond::Eq | Cond::Le) => FloatCC::UnorderedOrEqual,
            (FlagStyle::X86, Cond::Ne | Cond::Gt) => FloatCC::OrderedNotEqual,
            (FlagStyle::X86, Cond::Cs) => FloatCC::GreaterThanOrEqual,
            (FlagStyle::X86, Cond::Cc) => FloatCC::UnorderedOrLessThan,
            (FlagStyle::X86, Cond::Hi) => FloatCC::GreaterThan,
            (FlagStyle::X86, Cond::Ls) => FloatCC::UnorderedOrLessThanOrEqual,
            // N and V are clear.
            (FlagStyle::X86, Cond::Mi | Cond::Vs | Cond::Lt) => return self.iconst(types::I8, 0),
            (FlagStyle::X86, Cond::Pl | Cond::Vc | Cond::Ge) | (_, Cond::Al | Cond::Nv) => {
                return self.iconst(types::I8, 1);
            }
        };
        self.b.ins().fcmp(cc, a, b)
    }

    fn ask_core(&mut self, f: extern "C" fn(u64, u64, u64, u64) -> u64, last: u64) -> Value {
        let [op, a, b] = self.words(true);
        let last = self.imm(last);
        self.call_host(f as *const () as u64, [op, a, b, last])
    }

    fn holds_lazy(&mut self, c: Cond, op: FlagOp, w: Width, a: Value, b: Value) -> Value {
        let zero_b = self.as_const(b).is_some_and(|b| w.zext(b) == 0);
        let (x, y) = (self.low(w, a), self.low(w, b));
        match op {
            FlagOp::Sub => self.holds_sub(c, x, y),
            FlagOp::Add if zero_b => self.holds_logic(c, x),
            FlagOp::Add => self.holds_add(c, x, y),
            FlagOp::AddX86 => {
                let holds = |e: &mut Self, c| e.holds_add(c, x, y);
                match c {
                    Cond::Cs => holds(self, Cond::Cc),
                    Cond::Cc => holds(self, Cond::Cs),
                    Cond::Hi | Cond::Ls => {
                        let carry = holds(self, Cond::Cs);
                        let z = holds(self, Cond::Eq);
                        let ls = self.b.ins().bor(carry, z);
                        if c == Cond::Ls { ls } else { self.not(ls) }
                    }
                    _ => holds(self, c),
                }
            }
            FlagOp::Result => self.holds_result(c, x, b),
            FlagOp::Raw | FlagOp::Float => {
                // `a` holds the word, moved like any operand of its width. Comparisons are no `Lazy`.
                let v = self.flag_operand(w, a);
                self.holds_raw(c, v)
            }
        }
    }

    /// Of the result `x` and its carries.
    fn holds_result(&mut self, c: Cond, x: Value, b: Value) -> Value {
        let zero = self.zero_like(x);
        let bit = |e: &mut Self, n: u32, set: bool| match e.as_const(b) {
            Some(b) => e.iconst(types::I8, u64::from((b >> n & 1 != 0) == set)),
            None => {
                let (m, zero) = (e.imm(1 << n), e.imm(0));
                let v = e.b.ins().band(b, m);
                e.b.ins().icmp(if set { IntCC::NotEqual } else { IntCC::Equal }, v, zero)
            }
        };
        match c {
            Cond::Eq | Cond::Ne => {
                let cc = if c == Cond::Eq { IntCC::Equal } else { IntCC::NotEqual };
                self.b.ins().icmp(cc, x, zero)
            }
            Cond::Mi | Cond::Pl => self.b.ins().icmp(negative_or_not(c), x, zero),
            Cond::Cs | Cond::Cc => bit(self, 0, c == Cond::Cs),
            Cond::Vs | Cond::Vc => bit(self, V_CARRY, c == Cond::Vs),
            Cond::Hi | Cond::Gt => {
                let (other, ne) = if c == Cond::Hi { (Cond::Cs, Cond::Ne) } else { (Cond::Ge, Cond::Ne) };
                let (other, ne) = (self.holds_result(other, x, b), self.holds_result(ne, x, b));
                self.b.ins().band(other, ne)
            }
            Cond::Ls | Cond::Le => {
                let other = if c == Cond::Ls { Cond::Cc } else { Cond::Lt };
                let (other, eq) = (self.holds_result(other, x, b), self.holds_result(Cond::Eq, x, b));
                self.b.ins().bor(other, eq)
            }
            Cond::Ge | Cond::Lt => {
                let n = self.holds_result(Cond::Mi, x, b);
                let v = bit(self, V_CARRY, c == Cond::Lt);
                self.b.ins().bxor(n, v)
            }
            Cond::Al | Cond::Nv => self.iconst(types::I8, 1),
        }
    }

    fn zero_like(&mut self, x: Value) -> Value {
        let t = self.b.func.dfg.value_type(x);
        self.iconst(t, 0)
    }

    fn holds_sub(&mut self, c: Cond, x: Value, y: Value) -> Value {
        let cc = match c {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Cs => IntCC::UnsignedGreaterThanOrEqual,
            Cond::Cc => IntCC::UnsignedLessThan,
            Cond::Hi => IntCC::UnsignedGreaterThan,
            Cond::Ls => IntCC::UnsignedLessThanOrEqual,
            Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Lt => IntCC::SignedLessThan,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Le => IntCC::SignedLessThanOrEqual,
            Cond::Mi | Cond::Pl | Cond::Vs | Cond::Vc | Cond::Al | Cond::Nv => {
                let zero = self.zero_like(x);
                let r = self.b.ins().isub(x, y);
                let v = if matches!(c, Cond::Mi | Cond::Pl) {
                    r
                } else {
                    let d = self.b.ins().bxor(x, y);
                    let e = self.b.ins().bxor(x, r);
                    self.b.ins().band(d, e)
                };
                let cc = negative_or_not(c);
                return self.b.ins().icmp(cc, v, zero);
            }
        };
        self.b.ins().icmp(cc, x, y)
    }

    /// After `x + 0`: C and V are clear.
    fn holds_logic(&mut self, c: Cond, x: Value) -> Value {
        let cc = match c {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Mi | Cond::Lt => IntCC::SignedLessThan,
            Cond::Pl | Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Le => IntCC::SignedLessThanOrEqual,
            Cond::Cs | Cond::Vs | Cond::Hi => return self.iconst(types::I8, 0),
            Cond::Cc | Cond::Vc | Cond::Ls | Cond::Al | Cond::Nv => return self.iconst(types::I8, 1),
        };
        let zero = self.zero_like(x);
        self.b.ins().icmp(cc, x, zero)
    }

    fn holds_add(&mut self, c: Cond, x: Value, y: Value) -> Value {
        let zero = self.zero_like(x);
        let r = self.b.ins().iadd(x, y);
        // The sign bit of V, and of N exclusive-or V.
        let overflow = |e: &mut Self| {
            let d = e.b.ins().bxor(x, r);
            let f = e.b.ins().bxor(y, r);
            e.b.ins().band(d, f)
        };
        match c {
            Cond::Eq => self.b.ins().icmp(IntCC::Equal, r, zero),
            Cond::Ne => self.b.ins().icmp(IntCC::NotEqual, r, zero),
            Cond::Cs => self.b.ins().icmp(IntCC::UnsignedLessThan, r, x),
            Cond::Cc => self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, r, x),
            Cond::Hi => {
                let carry = self.b.ins().icmp(IntCC::UnsignedLessThan, r, x);
                let nz = self.b.ins().icmp(IntCC::NotEqual, r, zero);
                self.b.ins().band(carry, nz)
            }
            Cond::Ls => {
                let carry = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, r, x);
                let z = self.b.ins().icmp(IntCC::Equal, r, zero);
                self.b.ins().bor(carry, z)
            }
            Cond::Mi | Cond::Pl => self.b.ins().icmp(negative_or_not(c), r, zero),
            Cond::Vs | Cond::Vc => {
                let v = overflow(self);
                self.b.ins().icmp(negative_or_not(c), v, zero)
            }
            Cond::Ge | Cond::Lt | Cond::Gt | Cond::Le => {
                let v = overflow(self);
                let less = self.b.ins().bxor(v, r);
                match c {
                    Cond::Ge => self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, less, zero),
                    Cond::Lt => self.b.ins().icmp(IntCC::SignedLessThan, less, zero),
                    Cond::Gt => {
                        let ge = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, less, zero);
                        let nz = self.b.ins().icmp(IntCC::NotEqual, r, zero);
                        self.b.ins().band(ge, nz)
                    }
                    _ => {
                        let lt = self.b.ins().icmp(IntCC::SignedLessThan, less, zero);
                        let z = self.b.ins().icmp(IntCC::Equal, r, zero);
                        self.b.ins().bor(lt, z)
                    }
                }
            }
            Cond::Al | Cond::Nv => self.iconst(types::I8, 1),
        }
    }

    fn holds_raw(&mut self, c: Cond, v: Value) -> Value {
        let bit = |e: &mut Self, mask: u64, set: bool| {
            let m = e.imm(mask);
            let zero = e.imm(0);
            let x = e.b.ins().band(v, m);
            e.b.ins().icmp(if set { IntCC::NotEqual } else { IntCC::Equal }, x, zero)
        };
        // N exclusive-or V, moved to the place of V.
        let differ = |e: &mut Self, set: bool| {
            let three = e.imm(3);
            let n = e.b.ins().ushr(v, three);
            let x = e.b.ins().bxor(n, v);
            let m = e.imm(V);
            let zero = e.imm(0);
            let x = e.b.ins().band(x, m);
            e.b.ins().icmp(if set { IntCC::NotEqual } else { IntCC::Equal }, x, zero)
        };
        match c {
            Cond::Eq => bit(self, Z, true),
            Cond::Ne => bit(self, Z, false),
            Cond::Cs => bit(self, CARRY, true),
            Cond::Cc => bit(self, CARRY, false),
            Cond::Mi => bit(self, N, true),
            Cond::Pl => bit(self, N, false),
            Cond::Vs => bit(self, V, true),
            Cond::Vc => bit(self, V, false),
            Cond::Hi | Cond::Ls => {
                let m = self.imm(CARRY | Z);
                let only_c = self.imm(CARRY);
                let x = self.b.ins().band(v, m);
                let cc = if c == Cond::Hi { IntCC::Equal } else { IntCC::NotEqual };
                self.b.ins().icmp(cc, x, only_c)
            }
            Cond::Ge => differ(self, false),
            Cond::Lt => differ(self, true),
            Cond::Gt => {
                let ge = differ(self, false);
                let nz = bit(self, Z, false);
                self.b.ins().band(ge, nz)
            }
            Cond::Le => {
                let lt = differ(self, true);
                let z = bit(self, Z, true);
                self.b.ins().bor(lt, z)
            }
            Cond::Al | Cond::Nv => self.iconst(types::I8, 1),
        }
    }

    /// The flags as a raw word.
    pub(super) fn raw_flags(&mut self) -> Value {
        self.settle_c();
        match self.flags {
            Flags::ButC { r, .. } => r,
            Flags::InCore | Flags::Handed { .. } => self.ask_core(raw_in_core, 0),
            Flags::Raw(v) => {
                let m = self.imm(0xf000_0000);
                self.emit_bin(Bin::And, Width::W64, v, m)
            }
            Flags::Lazy { op: FlagOp::Raw, w, a, .. } => {
                let v = self.flag_operand(w, a);
                let m = self.imm(0xf000_0000);
                self.b.ins().band(v, m)
            }
            Flags::Lazy { op, w, a, b } => self.raw_lazy(op, w, a, b),
            Flags::Choice { c, op, w, a, b, nzcv } => {
                let x = self.raw_lazy(op, w, a, b);
                let k = self.imm(nzcv as u64 & 0xf000_0000);
                self.select(c, x, k)
            }
            Flags::Float { style, a, b, .. } => self.raw_of(|e, c| e.holds_float(c, style, a, b)),
        }
    }

    /// The rest of the raw word.
    pub(super) fn raw_aux(&mut self) -> Value {
        match self.flags {
            Flags::ButC { w, r, carries } => self.aux_lazy(FlagOp::Result, w, r, carries),
            Flags::InCore | Flags::Handed { .. } => self.ask_core(aux_in_core, 0),
            Flags::Raw(v) => self.aux_bits(v),
            Flags::Lazy { op, w, a, b } => self.aux_lazy(op, w, a, b),
            Flags::Choice { c, op, w, a, b, .. } => {
                let x = self.aux_lazy(op, w, a, b);
                let zero = self.imm(0);
                self.select(c, x, zero)
            }
            Flags::Float { style: FlagStyle::Arm, .. } => self.imm(0),
            Flags::Float { style: FlagStyle::X86, a, b, .. } => {
                let ordered = self.b.ins().fcmp(FloatCC::Ordered, a, b);
                self.bool_val(ordered)
            }
        }
    }

    fn aux_bits(&mut self, v: Value) -> Value {
        let m = self.imm(A | P_BYTE);
        self.emit_bin(Bin::And, Width::W64, v, m)
    }

    fn aux_lazy(&mut self, op: FlagOp, w: Width, a: Value, b: Value) -> Value {
        let bin = match op {
            FlagOp::Result => {
                let (carry, up, byte) = (
                    self.imm(1 << A_CARRY),
                    self.imm((A.trailing_zeros() - A_CARRY).into()),
                    self.imm(P_BYTE),
                );
                let x = self.emit_bin(Bin::And, Width::W64, b, carry);
                let x = self.emit_bin(Bin::Shl, Width::W64, x, up);
                let p = self.emit_bin(Bin::And, Width::W64, a, byte);
                return self.emit_bin(Bin::Or, Width::W64, x, p);
            }
            FlagOp::Raw | FlagOp::Float => {
                let v = self.flag_operand(w, a);
                return self.aux_bits(v);
            }
            FlagOp::Sub => Bin::Sub,
            FlagOp::Add | FlagOp::AddX86 => Bin::Add,
        };
        let r = self.emit_bin(bin, Width::W64, a, b);
        let x = self.emit_bin(Bin::Xor, Width::W64, a, b);
        let x = self.emit_bin(Bin::Xor, Width::W64, x, r);
        // Bit 4 to the place of AF.
        let up = self.imm(A.trailing_zeros() as u64 - 4);
        let x = self.emit_bin(Bin::Shl, Width::W64, x, up);
        let m = self.imm(A);
        let x = self.emit_bin(Bin::And, Width::W64, x, m);
        let m = self.imm(P_BYTE);
        let p = self.emit_bin(Bin::And, Width::W64, r, m);
        self.emit_bin(Bin::Or, Width::W64, x, p)
    }

    fn raw_lazy(&mut self, op: FlagOp, w: Width, a: Value, b: Value) -> Value {
        self.raw_of(|e, cond| e.holds_lazy(cond, op, w, a, b))
    }

    /// N, Z, C and V of flags by what conditions hold.
    fn raw_of(&mut self, holds: impl Fn(&mut Self, Cond) -> Value) -> Value {
        let mut word = self.imm(0);
        for (cond, shift) in [(Cond::Mi, 31), (Cond::Eq, 30), (Cond::Cs, 29), (Cond::Vs, 28)] {
            let bit = holds(self, cond);
            let bit = self.bool_val(bit);
            let s = self.imm(shift);
            let bit = self.b.ins().ishl(bit, s);
            word = self.emit_bin(Bin::Or, Width::W64, word, bit);
        }
        word
    }
}

/// For a condition on one sign bit: whether it is set or clear.
fn negative_or_not(c: Cond) -> IntCC {
    if matches!(c, Cond::Mi | Cond::Vs) { IntCC::SignedLessThan } else { IntCC::SignedGreaterThanOrEqual }
}

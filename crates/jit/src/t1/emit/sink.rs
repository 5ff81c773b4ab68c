//! What only a cold path wants is computed there.
//!
//! The carries of a shift, or the flags a rotation leaves, are computed where it stands, and mostly nobody asks for them
//! but the slow path of a load behind it. A copy of the computation in the cold block leaves the other without a use,
//! and Cranelift lowers nothing that has none.

use cranelift_codegen::ir::{DataFlowGraph, InstBuilderBase, InstructionData, Opcode, Value, ValueDef};
use lyrebird_isa::Cpu;
use rustc_hash::FxHashMap;

use super::ClifEmitter;
use super::flags::Flags;
use crate::t1::flow::{FLAGS, Set};

/// Operations copied for one value at most; what takes more stays where it is.
const MOST: usize = 24;

/// Whether an operation may be made a second time elsewhere, and is short.
fn copied(op: Opcode) -> bool {
    matches!(
        op,
        Opcode::Iconst
            | Opcode::Iadd
            | Opcode::Isub
            | Opcode::Band
            | Opcode::Bor
            | Opcode::Bxor
            | Opcode::Bnot
            | Opcode::Ishl
            | Opcode::Ushr
            | Opcode::Sshr
            | Opcode::Icmp
            | Opcode::Select
            | Opcode::Uextend
            | Opcode::Sextend
            | Opcode::Ireduce
    )
}

/// The operation that makes `v`, if it is one to copy.
fn operation(dfg: &DataFlowGraph, v: Value) -> Option<InstructionData> {
    let ValueDef::Result(inst, _) = dfg.value_def(v) else { return None };
    let data = dfg.insts[inst];
    copied(data.opcode()).then_some(data)
}

/// The operands of an operation to copy.
fn operands(data: &mut InstructionData) -> &mut [Value] {
    match data {
        InstructionData::Binary { args, .. } | InstructionData::IntCompare { args, .. } => args,
        InstructionData::Unary { arg, .. } => std::slice::from_mut(arg),
        InstructionData::Ternary { args, .. } => args,
        _ => &mut [],
    }
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    /// Before something that may fault or look on a slow path, which is going to [`Self::store_aside`].
    pub(super) fn before_slow_path(&mut self, shows: Set) {
        if !self.loops {
            self.bring_up_to_date(shows & self.aged);
            self.aged |= shows & (self.dirty | if self.flags_dirty { FLAGS } else { 0 });
        }
    }

    /// On a slow path: brings `Core` up to date, without effect on what is known where the path ends.
    pub(super) fn store_aside(&mut self, shows: Set) {
        self.store_regs(self.dirty & shows);
        if shows & FLAGS != 0 && self.flags_dirty {
            let straight = std::mem::replace(&mut self.straight, false);
            let flags = self.flags;
            self.flags = self.sunk_flags();
            self.store_flags();
            self.flags = flags;
            self.straight = straight;
        }
    }

    /// The flags as they are, their operands or word computed anew here if that takes more than one operation.
    fn sunk_flags(&mut self) -> Flags {
        match self.flags {
            Flags::Lazy { op, w, a, b } => Flags::Lazy { op, w, a: self.sunk(a), b: self.sunk(b) },
            Flags::Raw(v) => Flags::Raw(self.sunk(v)),
            Flags::ButC { w, r, carries } => Flags::ButC { w, r: self.sunk(r), carries: self.sunk(carries) },
            known => known,
        }
    }

    /// A copy of what computes `v`, down to the guest's registers, or `v`.
    fn sunk(&mut self, v: Value) -> Value {
        let mut order = Vec::new();
        if !self.collect(v, &mut order) || order.len() < 2 {
            return v;
        }
        let mut copies: FxHashMap<Value, Value> = FxHashMap::default();
        for (old, mut data) in order {
            for x in operands(&mut data) {
                *x = copies.get(x).copied().unwrap_or(*x);
            }
            // What is compared decides the type of a comparison.
            let typed = match data {
                InstructionData::IntCompare { args: [x, _], .. } => x,
                _ => old,
            };
            let ty = self.b.func.dfg.value_type(typed);
            let (inst, dfg) = self.b.ins().build(data, ty);
            copies.insert(old, dfg.first_result(inst));
        }
        copies.get(&v).copied().unwrap_or(v)
    }

    /// Collects what computes `v`, operands first. False where that is too much.
    fn collect(&self, v: Value, order: &mut Vec<(Value, InstructionData)>) -> bool {
        if order.iter().any(|(old, _)| *old == v) || self.val.contains(&Some(v)) {
            return true;
        }
        let Some(mut data) = operation(&self.b.func.dfg, v) else { return true };
        let args: Vec<Value> = operands(&mut data).to_vec();
        if !args.into_iter().all(|x| self.collect(x, order)) || order.len() >= MOST {
            return false;
        }
        order.push((v, data));
        true
    }
}

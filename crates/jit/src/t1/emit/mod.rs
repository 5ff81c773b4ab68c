//! [`ClifEmitter`]: the instance of [`Emit`] that compiles.
//!
//! Guest registers are SSA values inside a region and are stored to [`Core`] where somebody may look: before every
//! access or helper that may fault, and at exits. Flags stay symbolic inside a block.

mod alu;
mod call;
mod control;
mod flags;
mod fp;
mod mem;
mod sink;
mod vector;

use std::convert::Infallible;
use std::marker::PhantomData;
use std::mem::offset_of;

use cranelift_codegen::ir::{
    Block, FuncRef, InstBuilder, InstructionData, MemFlagsData, Opcode, SigRef, Type, Value, ValueDef, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use lyrebird_isa::flags::pack_op;
use lyrebird_isa::ops::Width;
use lyrebird_isa::state::{REG_SINK, REG_ZERO, REGS, Reg};
use lyrebird_isa::vector::Bytes;
use lyrebird_isa::{
    Bin, Cc, Cond, Core, Cpu, Emit, FBin, FCc, FUn, FlagOp, FlagStyle, Float, Helper, JumpKind, Lane, MemOp,
    Part, Rmw, Sound, Un, VBin, VPair, VShift, VUn,
};
use rustc_hash::FxHashMap;

use crate::t1::flow::{self, ALL_REGS, FLAGS, Set, VECTOR};
pub(super) use control::Layout;
use flags::Flags;

/// Out-of-line accesses, in the order in which a region's function imports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Slow {
    Load,
    Store,
    LoadPair,
    StorePair,
    Load128,
    Store128,
    Rmw,
    Cas,
}

impl Slow {
    /// All of them, in the order of their discriminants.
    pub(super) const ALL: [Slow; 8] = [
        Slow::Load,
        Slow::Store,
        Slow::LoadPair,
        Slow::StorePair,
        Slow::Load128,
        Slow::Store128,
        Slow::Rmw,
        Slow::Cas,
    ];
}

/// What the instruction word of an out-of-line access carries besides the [`MemOp`]: where an operation and the number
/// of instructions retired in the block stand.
pub(super) const RMW_SHIFT: u32 = 20;
/// See [`RMW_SHIFT`].
pub(super) const RETIRED_SHIFT: u32 = 24;
/// Bits of the word that are the [`MemOp`].
pub(super) const MEMOP_MASK: u64 = (1 << RMW_SHIFT) - 1;

/// Offset in bytes of a word of [`Core::scratch`]: address, instruction word, two words of data (16-byte aligned).
pub(super) const SCRATCH_VA: i32 = offset_of!(Core, scratch) as i32;
/// See [`SCRATCH_VA`].
pub(super) const SCRATCH_WORD: i32 = SCRATCH_VA + 8;
/// See [`SCRATCH_VA`].
pub(super) const SCRATCH_DATA: i32 = SCRATCH_VA + 16;

/// Accesses to [`Core`] and the TLB tables.
pub(super) fn trusted() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// How a compiled block goes on; set by its last instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goes {
    Next,
    Branch(Value),
    Jump,
    Indirect(Value),
    /// To the next instruction, once the CPU has been looked at if it must be.
    SyncNext,
    /// The same, where a helper has set the program counter.
    SyncPc,
}

/// What a function has once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Env {
    /// Pointer to [`Core`].
    pub core: Value,
    /// The inline TLB table, loaded at entry: it changes only where a region is left.
    pub tlb: Option<Value>,
    /// Signature of helpers.
    pub helper_sig: SigRef,
    /// Imported thunks by [`Slow`].
    pub slow: [FuncRef; 8],
    /// Imported thunk of helpers that are seldom called.
    pub aside: FuncRef,
    /// Returns its parameter.
    pub ret: Block,
    /// Goes on at its first parameter with its second as budget.
    pub next: Block,
    /// Returns [`super::RegionExit::Fault`]; everything is in `Core`.
    pub fault: Block,
    /// Where account is kept ([`Core::activity`]), if it is.
    pub account: Option<Value>,
    /// All accesses go out of line.
    pub verify: bool,
    /// The region is compiled quickly, which is little code, and counts.
    pub quick: bool,
    /// What is called instead of helpers with [`lyrebird_isa::Effects::Sys`].
    pub sys: Option<u64>,
    /// Address of [`crate::t1::SlowPaths::look`].
    pub look: u64,
    /// The host keeps loads and stores in order, but for a load passing an earlier store.
    pub tso: bool,
    /// Exits to known addresses are links.
    pub chain: bool,
}

/// Compiles the instructions of one region.
#[expect(missing_debug_implementations, reason = "`FunctionBuilder` has none")]
pub struct ClifEmitter<'a, 'f, C: Cpu> {
    pub(super) b: &'a mut FunctionBuilder<'f>,
    pub(super) env: Env,
    pub(super) vars: [Option<Variable>; ALL_REGS],
    /// Budget at the start of the guest block.
    pub(super) budget: Value,
    /// The block is part of a loop.
    loops: bool,
    /// Values of registers that are known.
    val: [Option<Value>; ALL_REGS],
    /// Registers whose value only `Core` knows.
    stale: Set,
    /// Registers whose value `Core` may not know.
    dirty: Set,
    /// What was so when somebody might look last, and has not been written since: see [`flow::Block::pass`].
    aged: Set,
    flags: Flags,
    flags_dirty: bool,
    /// The flags where they are handed over: operation, operands.
    flag_vars: Option<[Variable; 3]>,
    /// Values of this block that may be used again, and whether what is emitted is on its straight path.
    made: alu::Made,
    straight: bool,
    /// Values loaded from guest memory, with the number of bits above which they are zero.
    loaded: FxHashMap<Value, u32>,
    /// The last look into the TLB in this block.
    looked_up: Option<mem::Lookup>,
    /// What it said there.
    page: Option<mem::Page>,
    /// What this instruction has loaded in order to change it.
    updated: Option<mem::Update>,
    /// Floating-point constants at the start of the function.
    floats: fp::Constants,
    /// The instruction at hand.
    pc: u64,
    /// Instructions of the block before it.
    retired: u32,
    /// It has written a register or the flags.
    wrote: bool,
    /// It computes on the host's floating-point unit, which may raise exceptions even if nobody wants the result.
    raises: bool,
    pub(super) goes: Goes,
    /// Addresses that the region leaves to, and the blocks in which it does, which take the budget.
    pub(super) links: Vec<(u64, Block)>,
    pub(super) error: Option<(u64, &'static str)>,
    cpu: PhantomData<fn() -> C>,
}

impl<'a, 'f, C: Cpu> ClifEmitter<'a, 'f, C> {
    pub(super) fn new(b: &'a mut FunctionBuilder<'f>, env: Env, budget: Value) -> Self {
        ClifEmitter {
            b,
            env,
            vars: [None; ALL_REGS],
            budget,
            loops: false,
            val: [None; ALL_REGS],
            stale: 0,
            dirty: 0,
            aged: 0,
            flags: Flags::InCore,
            flags_dirty: false,
            flag_vars: None,
            made: alu::Made::default(),
            straight: false,
            loaded: FxHashMap::default(),
            looked_up: None,
            page: None,
            updated: None,
            floats: Default::default(),
            pc: 0,
            retired: 0,
            wrote: false,
            raises: false,
            goes: Goes::Next,
            links: Vec::new(),
            error: None,
            cpu: PhantomData,
        }
    }

    /// Before each instruction.
    pub(super) fn begin_insn(&mut self, pc: u64, retired: u32) {
        self.pc = pc;
        self.retired = retired;
        self.wrote = false;
        self.raises = false;
        self.updated = None;
        self.goes = Goes::Next;
    }

    fn fail(&mut self, what: &'static str) {
        self.error.get_or_insert((self.pc, what));
    }

    fn iconst(&mut self, ty: Type, v: u64) -> Value {
        let mask = if ty == types::I64 { u64::MAX } else { (1 << ty.bits()) - 1 };
        self.b.ins().iconst(ty, (v & mask) as i64)
    }

    /// The value of a constant, zero-extended.
    fn as_const(&self, v: Value) -> Option<u64> {
        let ValueDef::Result(inst, _) = self.b.func.dfg.value_def(v) else { return None };
        match self.b.func.dfg.insts[inst] {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits() as u64),
            _ => None,
        }
    }

    /// What `v` zero-extends, if it does.
    fn extended(&self, v: Value) -> Option<Value> {
        let ValueDef::Result(inst, _) = self.b.func.dfg.value_def(v) else { return None };
        match self.b.func.dfg.insts[inst] {
            InstructionData::Unary { opcode: Opcode::Uextend, arg } => Some(arg),
            _ => None,
        }
    }

    /// The parts of `x + constant`.
    fn as_sum(&self, v: Value) -> Option<(Value, u64)> {
        let ValueDef::Result(inst, _) = self.b.func.dfg.value_def(v) else { return None };
        match self.b.func.dfg.insts[inst] {
            InstructionData::Binary { opcode: Opcode::Iadd, args: [x, c] } => Some((x, self.as_const(c)?)),
            _ => None,
        }
    }

    fn load_core(&mut self, ty: Type, offset: i32) -> Value {
        self.b.ins().load(ty, trusted(), self.env.core, offset)
    }

    fn store_core(&mut self, v: Value, offset: i32) {
        self.b.ins().store(trusted(), v, self.env.core, offset);
    }

    /// The type of a register by its number in a [`Set`], and where it is in `Core`.
    fn place(r: usize) -> (Type, i32) {
        match r.checked_sub(VECTOR) {
            Some(v) => (types::I8X16, (offset_of!(Core, vregs) + 16 * v) as i32),
            None => (types::I64, (offset_of!(Core, regs) + 8 * r) as i32),
        }
    }

    /// Makes a register a variable.
    pub(super) fn declare(&mut self, r: usize) -> Variable {
        let var = self.b.declare_var(Self::place(r).0);
        self.vars[r] = Some(var);
        var
    }

    /// Loads a register from `Core`.
    pub(super) fn load_reg(&mut self, r: usize) -> Value {
        let (ty, offset) = Self::place(r);
        self.load_core(ty, offset)
    }

    fn read_reg(&mut self, i: usize) -> Value {
        if let Some(v) = self.val[i] {
            return v;
        }
        if self.stale & 1 << i == 0 {
            self.fail("reads a register that its scan does not name");
        }
        let v = self.load_reg(i);
        self.stale &= !(1 << i);
        self.val[i] = Some(v);
        v
    }

    fn write_reg(&mut self, i: usize, v: Value) {
        self.val[i] = Some(v);
        self.stale &= !(1 << i);
        self.dirty |= 1 << i;
        self.aged &= !(1 << i);
        self.wrote = true;
    }

    /// Stores the registers in `set`.
    fn store_regs(&mut self, set: Set) {
        for i in flow::members(set) {
            match self.val[i] {
                Some(v) => self.store_core(v, Self::place(i).1),
                None => self.fail("dirties a register that its scan does not name"),
            }
        }
    }

    /// Before something that may fault.
    fn check_order(&mut self) {
        if self.wrote {
            self.fail("writes a register or flags before its last fallible operation");
        }
    }

    /// Brings `Core` up to date, which then is known.
    fn bring_up_to_date(&mut self, shows: Set) {
        self.store_regs(self.dirty & shows);
        self.dirty &= !shows;
        if shows & FLAGS != 0 {
            self.store_flags();
            self.flags_dirty = false;
        }
    }

    /// Brings `Core` up to date before something that may fault or look.
    fn sync(&mut self) {
        self.check_order();
        self.bring_up_to_date(!0);
    }
}

impl<C: Cpu> Emit for ClifEmitter<'_, '_, C> {
    type Cpu = C;
    type Val = Value;
    type Bool = Value;
    type Vec = Value;
    type Fault = Infallible;

    fn imm(&mut self, v: u64) -> Value {
        self.iconst(types::I64, v)
    }
    fn reg(&mut self, r: Reg) -> Value {
        if r == REG_ZERO {
            return self.iconst(types::I64, 0);
        }
        self.read_reg(r.0 as usize & (REGS - 1))
    }
    fn set_reg(&mut self, r: Reg, v: Value) {
        if r != REG_SINK {
            self.write_reg(r.0 as usize & (REGS - 1), v);
        }
    }
    fn bin(&mut self, op: Bin, w: Width, a: Value, b: Value) -> Value {
        self.emit_bin(op, w, a, b)
    }
    fn un(&mut self, op: Un, w: Width, a: Value) -> Value {
        self.emit_un(op, w, a)
    }
    fn zext(&mut self, from: Width, a: Value) -> Value {
        self.emit_zext(from, a)
    }
    fn sext(&mut self, from: Width, a: Value) -> Value {
        self.emit_sext(from, a)
    }
    fn cmp(&mut self, cc: Cc, w: Width, a: Value, b: Value) -> Value {
        self.emit_cmp(cc, w, a, b)
    }
    fn select(&mut self, c: Value, a: Value, b: Value) -> Value {
        match (self.as_const(a), self.as_const(b)) {
            (Some(1), Some(0)) => self.bool_val(c),
            (Some(0), Some(1)) => {
                let not = self.not(c);
                self.bool_val(not)
            }
            _ => self.b.ins().select(c, a, b),
        }
    }
    fn bool_val(&mut self, c: Value) -> Value {
        self.b.ins().uextend(types::I64, c)
    }
    fn set_flags(&mut self, op: FlagOp, w: Width, a: Value, b: Value) {
        let (a, b) = (self.uncut(w, a), self.uncut(w, b));
        self.put_flags(Flags::Lazy { op, w, a, b });
    }
    fn set_flags_if(&mut self, c: Value, op: FlagOp, w: Width, a: Value, b: Value, nzcv: u32) {
        let (a, b) = (self.uncut(w, a), self.uncut(w, b));
        self.put_flags(Flags::Choice { c, op, w, a, b, nzcv });
    }
    fn set_flags_unless(&mut self, same: Value, op: FlagOp, w: Width, a: Value, b: Value) {
        let old = self.words(false);
        let op = self.imm(pack_op(op, w));
        let [op, a, b] = std::array::from_fn(|i| self.b.ins().select(same, old[i], [op, a, b][i]));
        self.put_flags(Flags::Handed { op, a, b });
    }
    fn set_flags_but_c(&mut self, w: Width, r: Value, carries: Value) {
        self.put_flags_but_c(w, r, carries);
    }
    fn set_nzcv(&mut self, v: Value) {
        let mask = self.imm(lyrebird_isa::flags::RAW);
        let v = self.emit_bin(Bin::And, Width::W64, v, mask);
        self.put_flags(Flags::Raw(v));
    }
    fn nzcv(&mut self) -> Value {
        self.raw_flags()
    }
    fn aux_flags(&mut self) -> Value {
        self.raw_aux()
    }
    fn cond(&mut self, c: Cond) -> Value {
        self.holds(c)
    }
    fn load(&mut self, m: MemOp, va: Value) -> Result<Value, Infallible> {
        Ok(self.emit_load(m, va))
    }
    fn store(&mut self, m: MemOp, va: Value, v: Value) -> Result<(), Infallible> {
        self.emit_store(m, va, v);
        Ok(())
    }
    fn load_pair(&mut self, m: MemOp, va: Value) -> Result<(Value, Value), Infallible> {
        Ok(self.emit_load_pair(m, va))
    }
    fn store_pair(&mut self, m: MemOp, va: Value, lo: Value, hi: Value) -> Result<(), Infallible> {
        self.emit_store_pair(m, va, lo, hi);
        Ok(())
    }
    fn vload(&mut self, m: MemOp, va: Value) -> Result<Value, Infallible> {
        Ok(self.emit_vload(m, va))
    }
    fn vstore(&mut self, m: MemOp, va: Value, v: Value) -> Result<(), Infallible> {
        self.emit_vstore(m, va, v);
        Ok(())
    }
    fn rmw(&mut self, op: Rmw, m: MemOp, va: Value, v: Value) -> Result<Value, Infallible> {
        Ok(self.emit_rmw(op, m, va, v))
    }
    fn cas(&mut self, m: MemOp, va: Value, expected: Value, new: Value) -> Result<Value, Infallible> {
        Ok(self.emit_cas(m, va, expected, new))
    }
    fn fence(&mut self) {
        self.b.ins().fence();
    }
    fn vreg(&mut self, r: u8) -> Value {
        self.read_reg(VECTOR + (r & 31) as usize)
    }
    fn set_vreg(&mut self, r: u8, v: Value) {
        let i = VECTOR + (r & 31) as usize;
        self.write_reg(i, v);
        if self.raises {
            // A value without use is not computed at all.
            self.store_regs(1 << i);
            self.dirty &= !(1 << i);
        }
    }
    fn vec(&mut self, lo: Value, hi: Value) -> Value {
        self.emit_vec(lo, hi)
    }
    fn vec_lo(&mut self, v: Value) -> Value {
        self.emit_half(v, 0)
    }
    fn vec_hi(&mut self, v: Value) -> Value {
        self.emit_half(v, 1)
    }
    fn vbin(&mut self, op: VBin, lane: Lane, a: Value, b: Value) -> Value {
        self.emit_vbin(op, lane, a, b)
    }
    fn vsplat(&mut self, lane: Lane, v: Value) -> Value {
        self.emit_splat(lane, v)
    }
    fn vmerge(&mut self, lane: Lane, a: Value, b: Value) -> Value {
        self.emit_vmerge(lane, a, b)
    }
    fn vdup(&mut self, lane: Lane, v: Value, index: u8) -> Value {
        self.emit_vdup(lane, v, index)
    }
    fn vshift(&mut self, op: VShift, lane: Lane, v: Value, n: u8) -> Value {
        self.emit_vshift(op, lane, v, n)
    }
    fn vun(&mut self, op: VUn, lane: Lane, v: Value) -> Value {
        self.emit_vun(op, lane, v)
    }
    fn vpair(&mut self, op: VPair, lane: Lane, a: Value, b: Value) -> Value {
        self.emit_vpair(op, lane, a, b)
    }
    fn vshuffle(&mut self, a: Value, b: Value, p: &Bytes) -> Value {
        self.emit_vshuffle(a, b, p)
    }
    fn vlookup(&mut self, table: Value, index: Value) -> Value {
        self.emit_vlookup(table, index)
    }
    fn vhigh_bits(&mut self, lane: Lane, v: Value) -> Value {
        self.emit_vhigh_bits(lane, v)
    }
    fn vextract(&mut self, lane: Lane, v: Value, index: u8) -> Value {
        self.emit_vextract(lane, v, index)
    }
    fn vinsert(&mut self, lane: Lane, v: Value, index: u8, x: Value) -> Value {
        self.emit_vinsert(lane, v, index, x)
    }
    fn fbin(&mut self, op: FBin, f: Float, p: Part, a: Value, b: Value) -> Value {
        self.emit_fbin(op, f, p, a, b)
    }
    fn fun(&mut self, op: FUn, f: Float, p: Part, a: Value) -> Value {
        self.emit_fun(op, f, p, a)
    }
    fn fma(&mut self, f: Float, p: Part, a: Value, b: Value, c: Value) -> Value {
        self.emit_fma(f, p, [a, b, c])
    }
    fn fcmp(&mut self, cc: FCc, f: Float, p: Part, a: Value, b: Value) -> Value {
        self.emit_fcmp(cc, f, p, a, b)
    }
    fn ffrom_int(&mut self, f: Float, v: Value) -> Value {
        self.emit_ffrom_int(f, v)
    }
    fn ftruncate(&mut self, f: Float, w: Width, v: Value) -> Value {
        self.emit_ftruncate(f, w, v)
    }
    fn ffits(&mut self, f: Float, w: Width, v: Value) -> Value {
        self.emit_ffits(f, w, v)
    }
    fn fsound(&mut self, s: Sound, f: Float, p: Part, v: Value) -> Value {
        self.emit_fsound(s, f, p, v)
    }
    fn set_fflags(
        &mut self,
        style: FlagStyle,
        f: Float,
        a: Value,
        b: Value,
        unordered: Option<(Helper<C>, [Value; 3])>,
    ) -> Result<(), Infallible> {
        self.emit_set_fflags(style, f, [a, b], unordered);
        Ok(())
    }
    fn set_vreg_or(
        &mut self,
        ok: Value,
        r: u8,
        v: Value,
        h: Helper<C>,
        args: [Value; 3],
    ) -> Result<(), Infallible> {
        self.emit_set_vreg_or(ok, r, v, h, args);
        Ok(())
    }
    fn val_or(&mut self, ok: Value, v: Value, h: Helper<C>, args: [Value; 3]) -> Result<Value, Infallible> {
        Ok(self.emit_val_or(ok, v, h, args))
    }
    fn call(&mut self, h: Helper<C>, args: [Value; 3]) -> Result<Value, Infallible> {
        Ok(self.emit_call(h, args))
    }
    fn ensure(&mut self, ok: Value, h: Helper<C>, args: [Value; 3]) -> Result<(), Infallible> {
        self.emit_ensure(ok, h, args);
        Ok(())
    }
    fn branch(&mut self, c: Value, _taken: u64) {
        self.goes = Goes::Branch(c);
    }
    fn jump(&mut self, _target: u64, _k: JumpKind) {
        self.goes = Goes::Jump;
    }
    fn jump_reg(&mut self, target: Value, _k: JumpKind) {
        self.goes = Goes::Indirect(target);
    }
    fn sync_next(&mut self) {
        self.goes = Goes::SyncNext;
    }
    fn sync_pc(&mut self) {
        self.goes = Goes::SyncPc;
    }
}

//! Guest memory: the inline TLB check, and the thunks behind it.
//!
//! The access stands in a block of its own behind the check, so that nothing can merge or drop it.

use std::mem::offset_of;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AtomicRmwOp, Block, BlockArg, Inst, InstBuilder, InstructionData, MemFlagsData, Type, Value, types,
};
use lyrebird_isa::mem::{MemOp, Order, Size};
use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK, TLB_ENTRIES, TlbEntry};
use lyrebird_isa::{Core, Cpu, Emit, Float, Rmw};

use super::fp::scalar_type;
use super::{ClifEmitter, RETIRED_SHIFT, RMW_SHIFT, SCRATCH_DATA, SCRATCH_VA, SCRATCH_WORD, Slow, trusted};

/// log2 of the size of a TLB entry.
const ENTRY_BITS: u32 = size_of::<TlbEntry>().trailing_zeros();

/// Offset in bytes of the addend in a TLB entry.
const ADDEND: i32 = offset_of!(TlbEntry, addend) as i32;

/// That of the tag for loads or stores.
fn tag_at(write: bool) -> i32 {
    (if write { offset_of!(TlbEntry, write) } else { offset_of!(TlbEntry, read) }) as i32
}

/// Accesses to guest memory: any alignment, and the TLB entry vouches for the page.
fn guest() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Where the TLB was looked into last, for the next access to the same place: loads and stores have tags of their own, but
/// one entry.
#[derive(Clone, Copy)]
pub(super) struct Lookup {
    /// The address, as a value and what is added to it, and what else decides the values below.
    key: (Value, u64, u64, u64, bool),
    /// Address of the entry.
    entry: Value,
    /// What its tag has to be.
    page: Value,
}

/// How far accesses may be apart, in bytes, whose addresses differ by a constant so that one looks whether it is on the page
/// of the other: so little that it mostly is. Pages with the same TLB entry are further apart.
const NEAR: u64 = 512;

/// What the TLB said of the last access, for the next one at an address that differs by a constant: mostly it is on the same
/// page.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// The address of the access for which the entry was looked for: a value and what is added to it.
    base: Value,
    anchor: u64,
    /// Address of the entry, and which tag of it counts.
    entry: Value,
    write: bool,
    /// What is in it, where the TLB has matched.
    tag: Value,
    addend: Value,
    /// Behind the slow path it may be anything else: where both paths go on, and their jumps to there.
    merge: Block,
    cold: Inst,
    fast: Option<Inst>,
}

/// A load that a store to the same place follows.
#[derive(Clone, Copy)]
pub(super) struct Update {
    va: Value,
    /// Host address for the store; 0 where it has to go out of line.
    at: Value,
}

/// What an access does once the TLB has matched.
struct Fast {
    /// Host address.
    at: Value,
    /// The block to continue in.
    merge: Block,
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    /// Emits the check for an access to `bytes` bytes at `va`, and the call of a thunk with `data` in a cold block, whose
    /// results of type `results` go to the merge block. On return the builder stands in the block where the TLB has
    /// matched. `Err`: there is no fast path, and these are the results of the thunk.
    fn access(
        &mut self,
        access: (Slow, MemOp, Value, u64),
        data: &[Value],
        results: &[Type],
    ) -> Result<Fast, Vec<Value>> {
        self.access_with(0, access, data, results)
    }

    /// The same with an operation for the thunk. Where the load of an update is out of line, it yields 0 besides.
    fn access_with(
        &mut self,
        op: u64,
        (slow, m, va, bytes): (Slow, MemOp, Value, u64),
        data: &[Value],
        results: &[Type],
    ) -> Result<Fast, Vec<Value>> {
        self.check_order();
        let last = self.page.take();
        if self.env.verify {
            self.sync();
            return Err(self.out_of_line(slow, m, op, va, data, results));
        }
        self.before_slow_path(!0);
        // What may be stored to inline may be loaded from as well.
        let atomic = matches!(slow, Slow::Rmw | Slow::Cas);
        let write = m.update || atomic || matches!(slow, Slow::Store | Slow::StorePair | Slow::Store128);
        // Atomics that are not aligned are nothing that the host has.
        let aligned = if atomic { MemOp { align: m.size, ..m }.aligned() } else { m };
        // A second look is more code, which is worth it where code is hot.
        let plain = !aligned.aligned && !m.unpriv && !self.env.quick;
        let (base, offset) = self.as_sum(va).unwrap_or((va, 0));
        let known = last.filter(|p| plain && p.base == base);
        let known = known.and_then(|p| Some((p, self.near(p, va, offset, bytes)?)));
        let (anchor, entry, page) = match known {
            Some((p, page)) => (p.anchor, p.entry, page),
            None => {
                let l = self.look_up(aligned, va, bytes);
                (offset, l.entry, l.page)
            }
        };
        let [tag, addend] = match known {
            Some((p, _)) if p.write == write => self.join(p),
            // The other tag is in the same entry.
            _ => [tag_at(write), ADDEND].map(|at| self.b.ins().load(types::I64, trusted(), entry, at)),
        };
        let hit = self.b.ins().icmp(IntCC::Equal, page, tag);

        let fast = self.b.create_block();
        let cold = self.b.create_block();
        let merge = self.b.create_block();
        for &t in results {
            self.b.append_block_param(merge, t);
        }
        self.b.set_cold_block(cold);
        let there = if known.is_some() {
            // It may have an entry of its own.
            let other = self.b.create_block();
            self.b.set_cold_block(other);
            let there = self.b.append_block_param(fast, types::I64);
            self.b.ins().brif(hit, fast, &[BlockArg::from(addend)], other, &[]);
            self.enter(other);
            let (looked_up, straight) = (self.looked_up.take(), std::mem::replace(&mut self.straight, false));
            let Lookup { entry, page, .. } = self.look_up(aligned, va, bytes);
            (self.looked_up, self.straight) = (looked_up, straight);
            let [tag, addend] =
                [tag_at(write), ADDEND].map(|at| self.b.ins().load(types::I64, trusted(), entry, at));
            let hit = self.b.ins().icmp(IntCC::Equal, page, tag);
            self.b.ins().brif(hit, fast, &[BlockArg::from(addend)], cold, &[]);
            there
        } else {
            self.b.ins().brif(hit, fast, &[], cold, &[]);
            addend
        };

        self.enter(cold);
        let out = self.out_of_line_aside(slow, m, op, va, data, results);
        let mut out: Vec<BlockArg> = out.into_iter().map(BlockArg::from).collect();
        if m.update {
            self.b.append_block_param(merge, types::I64);
            out.push(BlockArg::from(self.imm(0)));
        }
        let cold = self.b.ins().jump(merge, &out);
        self.page =
            plain.then_some(Page { base, anchor, entry, write, tag, addend, merge, cold, fast: None });

        self.enter(fast);
        let at = self.b.ins().iadd(va, there);
        Ok(Fast { at, merge })
    }

    /// What an access has to compare with the tag of `p` to be on its page as a whole, if that can be told by one byte: all
    /// that is between that and the anchor is on it then.
    fn near(&mut self, p: Page, va: Value, offset: u64, bytes: u64) -> Option<Value> {
        let (up, down) = (offset.wrapping_sub(p.anchor), p.anchor.wrapping_sub(offset));
        let byte = if up < NEAR {
            self.add_imm(va, bytes - 1)
        } else if down < NEAR && bytes - 1 <= down {
            va
        } else {
            return None;
        };
        let keep = self.imm(PAGE_MASK);
        Some(self.b.ins().band(byte, keep))
    }

    /// Tag and addend of an entry behind the access that found it: what the slow path has left there, where it was taken.
    fn join(&mut self, p: Page) -> [Value; 2] {
        let Some(fast) = p.fast else {
            self.fail("accesses memory in the middle of an access");
            return [p.tag, p.addend];
        };
        let mut cursor = FuncCursor::new(self.b.func).at_inst(p.cold);
        let left = [tag_at(p.write), ADDEND].map(|at| cursor.ins().load(types::I64, trusted(), p.entry, at));
        for (jump, values) in [(fast, [p.tag, p.addend]), (p.cold, left)] {
            let dfg = &mut self.b.func.dfg;
            for v in values {
                if let InstructionData::Jump { destination, .. } = &mut dfg.insts[jump] {
                    destination.append_argument(v, &mut dfg.value_lists);
                }
            }
        }
        [0, 1].map(|_| self.b.func.dfg.append_block_param(p.merge, types::I64))
    }

    /// The check for the store that ends an update: what the load has found still holds, as nothing has been in between.
    fn access_again(&mut self, u: Update, m: MemOp, v: Value) -> Fast {
        self.check_order();
        self.page = None;
        let [fast, cold, merge] = std::array::from_fn(|_| self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.ins().brif(u.at, fast, &[], cold, &[]);
        self.enter(cold);
        self.out_of_line_aside(Slow::Store, m, 0, u.va, &[v], &[]);
        self.b.ins().jump(merge, &[]);
        self.enter(fast);
        Fast { at: u.at, merge }
    }

    /// Computes where the TLB has an entry for an access, and its tag.
    fn look_up(&mut self, m: MemOp, va: Value, bytes: u64) -> Lookup {
        // The page of the last byte must match: an access into the next page never does. Where alignment is required,
        // the low bits of the address stay in, and an unaligned one never matches a tag; its last element decides.
        let align = m.align.bytes();
        let (beyond, keep) =
            if m.aligned { (bytes - align, PAGE_MASK | (align - 1)) } else { (bytes - 1, PAGE_MASK) };
        let (base, offset) = self.as_sum(va).unwrap_or((va, 0));
        let key = (base, offset, beyond, keep, m.unpriv);
        if let Some(l) = self.looked_up
            && l.key == key
        {
            return l;
        }
        let table = match self.env.tlb {
            Some(t) if !m.unpriv => t,
            _ => {
                let offset = if m.unpriv { offset_of!(Core, tlb_unpriv) } else { offset_of!(Core, tlb) };
                self.load_core(types::I64, offset as i32)
            }
        };
        let shift = self.imm((PAGE_BITS - ENTRY_BITS) as u64);
        let index = self.b.ins().ushr(va, shift);
        let mask = self.imm(((TLB_ENTRIES - 1) << ENTRY_BITS) as u64);
        let index = self.b.ins().band(index, mask);
        let entry = self.b.ins().iadd(table, index);
        let last = self.add_imm(va, beyond);
        let keep = self.imm(keep);
        let page = self.b.ins().band(last, keep);
        let l = Lookup { key, entry, page };
        self.looked_up = Some(l);
        l
    }

    /// Continues behind the access.
    fn merge(&mut self, f: &Fast, results: &[Value]) -> Vec<Value> {
        let args: Vec<BlockArg> = results.iter().copied().map(BlockArg::from).collect();
        let jump = self.b.ins().jump(f.merge, &args);
        if let Some(p) = self.page.as_mut().filter(|p| p.merge == f.merge) {
            p.fast = Some(jump);
        }
        self.enter(f.merge);
        self.b.block_params(f.merge).to_vec()
    }

    /// Starts to fill a block all of whose predecessors exist.
    pub(super) fn enter(&mut self, block: Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }

    /// Calls a thunk with the exact state of the instruction in `Core`, `data` in the data words of the scratch area.
    /// Yields what it finds there; where the guest has faulted it does not come back.
    fn out_of_line(
        &mut self,
        slow: Slow,
        m: MemOp,
        op: u64,
        va: Value,
        data: &[Value],
        results: &[Type],
    ) -> Vec<Value> {
        self.store_core(va, SCRATCH_VA);
        let word = m.pack() | op << RMW_SHIFT | (self.retired as u64) << RETIRED_SHIFT;
        let word = self.iconst(types::I32, word);
        self.store_core(word, SCRATCH_WORD);
        let mut at = SCRATCH_DATA;
        for &v in data {
            self.store_core(v, at);
            at += 8;
        }
        self.store_pc_and_budget();
        let (f, core) = (self.env.slow[slow as usize], self.env.core);
        self.b.ins().call(f, &[core]);
        let mut at = SCRATCH_DATA;
        let mut out = Vec::with_capacity(results.len());
        for &t in results {
            out.push(self.load_core(t, at));
            at += 8;
        }
        out
    }

    /// The same on a slow path: what is on the way to `Core` goes there only if somebody looks.
    fn out_of_line_aside(
        &mut self,
        slow: Slow,
        m: MemOp,
        op: u64,
        va: Value,
        data: &[Value],
        results: &[Type],
    ) -> Vec<Value> {
        let flags = self.flag_state();
        self.store_aside(!0);
        let out = self.out_of_line(slow, m, op, va, data, results);
        self.set_flag_state(flags);
        out
    }

    fn after_load(&mut self, o: Order) {
        if !self.env.tso && matches!(o, Order::Acquire | Order::AcqRel) {
            self.b.ins().fence();
        }
    }

    fn before_store(&mut self, o: Order) {
        if !self.env.tso && matches!(o, Order::Release | Order::AcqRel) {
            self.b.ins().fence();
        }
    }

    fn after_store(&mut self, o: Order) {
        // A store-release is not reordered with a later load-acquire (RCsc, Arm ARM B2.3.11).
        if matches!(o, Order::Release | Order::AcqRel) {
            self.b.ins().fence();
        }
    }

    /// Loads an element of at most 8 bytes from host memory, zero-extended.
    fn read(&mut self, size: Size, at: Value, offset: u64) -> Value {
        let o = offset as i32;
        let i = self.b.ins();
        match size {
            Size::B1 => i.uload8(types::I64, guest(), at, o),
            Size::B2 => i.uload16(types::I64, guest(), at, o),
            Size::B4 => i.uload32(guest(), at, o),
            Size::B8 | Size::B16 => i.load(types::I64, guest(), at, o),
        }
    }

    /// Stores the low bytes of a value to host memory.
    fn write(&mut self, size: Size, at: Value, offset: u64, v: Value) {
        let o = offset as i32;
        let i = self.b.ins();
        match size {
            Size::B1 => i.istore8(guest(), v, at, o),
            Size::B2 => i.istore16(guest(), v, at, o),
            Size::B4 => i.istore32(guest(), v, at, o),
            Size::B8 | Size::B16 => i.store(guest(), v, at, o),
        };
    }

    pub(super) fn emit_load(&mut self, m: MemOp, va: Value) -> Value {
        let out = match self.access((Slow::Load, m, va, m.size.bytes()), &[], &[types::I64]) {
            Ok(f) => {
                let v = self.read(m.size, f.at, 0);
                if m.update {
                    let out = self.merge(&f, &[v, f.at]);
                    self.updated = Some(Update { va, at: out[1] });
                    out
                } else {
                    self.merge(&f, &[v])
                }
            }
            Err(out) => out,
        };
        self.after_load(m.order);
        if m.size.bytes() < 8 {
            self.loaded.insert(out[0], 8 * m.size.bytes() as u32);
        }
        out[0]
    }

    pub(super) fn emit_store(&mut self, m: MemOp, va: Value, v: Value) {
        self.before_store(m.order);
        let stored = match self.updated.take() {
            Some(u) if u.va == va => Ok(self.access_again(u, m, v)),
            _ => self.access((Slow::Store, m, va, m.size.bytes()), &[v], &[]),
        };
        if let Ok(f) = stored {
            self.write(m.size, f.at, 0, v);
            self.merge(&f, &[]);
        }
        self.after_store(m.order);
    }

    pub(super) fn emit_load_pair(&mut self, m: MemOp, va: Value) -> (Value, Value) {
        let n = m.size.bytes();
        let out = match self.access((Slow::LoadPair, m, va, 2 * n), &[], &[types::I64, types::I64]) {
            Ok(f) => {
                let lo = self.read(m.size, f.at, 0);
                let hi = self.read(m.size, f.at, n);
                self.merge(&f, &[lo, hi])
            }
            Err(out) => out,
        };
        self.after_load(m.order);
        (out[0], out[1])
    }

    pub(super) fn emit_store_pair(&mut self, m: MemOp, va: Value, lo: Value, hi: Value) {
        let n = m.size.bytes();
        self.before_store(m.order);
        if let Ok(f) = self.access((Slow::StorePair, m, va, 2 * n), &[lo, hi], &[]) {
            self.write(m.size, f.at, 0, lo);
            self.write(m.size, f.at, n, hi);
            self.merge(&f, &[]);
        }
        self.after_store(m.order);
    }

    /// A number to the low lane, without a way through a general register.
    fn emit_load_float(&mut self, f: Float, m: MemOp, va: Value) -> Value {
        let t = scalar_type(f);
        let out = match self.access((Slow::Load, m, va, m.size.bytes()), &[], &[t]) {
            Ok(f) => {
                let v = self.b.ins().load(t, guest(), f.at, 0);
                self.merge(&f, &[v])
            }
            Err(out) => out,
        };
        self.after_load(m.order);
        self.vector_of(f, out[0])
    }

    pub(super) fn emit_vload(&mut self, m: MemOp, va: Value) -> Value {
        match m.size {
            Size::B16 => {}
            Size::B8 => return self.emit_load_float(Float::D, m, va),
            Size::B4 => return self.emit_load_float(Float::S, m, va),
            _ => {
                let v = self.emit_load(m, va);
                return self.vector_from_low(v);
            }
        }
        let out = match self.access((Slow::Load128, m, va, 16), &[], &[types::I8X16]) {
            Ok(f) => {
                let v = self.b.ins().load(types::I8X16, guest(), f.at, 0);
                self.merge(&f, &[v])
            }
            Err(out) => out,
        };
        self.after_load(m.order);
        out[0]
    }

    pub(super) fn emit_vstore(&mut self, m: MemOp, va: Value, v: Value) {
        if m.size == Size::B8 {
            let x = self.scalar_of(Float::D, v);
            self.before_store(m.order);
            if let Ok(f) = self.access((Slow::Store, m, va, 8), &[x], &[]) {
                self.b.ins().store(guest(), x, f.at, 0);
                self.merge(&f, &[]);
            }
            return self.after_store(m.order);
        }
        if m.size != Size::B16 {
            let low = self.emit_half(v, 0);
            return self.emit_store(m, va, low);
        }
        self.before_store(m.order);
        if let Ok(f) = self.access((Slow::Store128, m, va, 16), &[v], &[]) {
            self.b.ins().store(guest(), v, f.at, 0);
            self.merge(&f, &[]);
        }
        self.after_store(m.order);
    }

    pub(super) fn emit_rmw(&mut self, op: Rmw, m: MemOp, va: Value, v: Value) -> Value {
        let access = (Slow::Rmw, m, va, m.size.bytes());
        match self.access_with(op as u64, access, &[v], &[types::I64]) {
            Ok(f) => {
                let v = if op == Rmw::Clr { self.b.ins().bnot(v) } else { v };
                let (ty, v) = self.element(m.size, v);
                let op = match op {
                    Rmw::Swp => AtomicRmwOp::Xchg,
                    Rmw::Add => AtomicRmwOp::Add,
                    Rmw::Clr => AtomicRmwOp::And,
                    Rmw::Eor => AtomicRmwOp::Xor,
                    Rmw::Set => AtomicRmwOp::Or,
                    Rmw::Smax => AtomicRmwOp::Smax,
                    Rmw::Smin => AtomicRmwOp::Smin,
                    Rmw::Umax => AtomicRmwOp::Umax,
                    Rmw::Umin => AtomicRmwOp::Umin,
                };
                let old = self.b.ins().atomic_rmw(ty, guest(), op, f.at, v);
                self.merge_element(&f, old)
            }
            Err(out) => out[0],
        }
    }

    pub(super) fn emit_cas(&mut self, m: MemOp, va: Value, expected: Value, new: Value) -> Value {
        match self.access((Slow::Cas, m, va, m.size.bytes()), &[expected, new], &[types::I64]) {
            Ok(f) => {
                let (_, expected) = self.element(m.size, expected);
                let (_, new) = self.element(m.size, new);
                let old = self.b.ins().atomic_cas(guest(), f.at, expected, new);
                self.merge_element(&f, old)
            }
            Err(out) => out[0],
        }
    }

    /// The type of an element of at most 8 bytes, and a value of that type.
    fn element(&mut self, size: Size, v: Value) -> (Type, Value) {
        let ty = match size {
            Size::B1 => types::I8,
            Size::B2 => types::I16,
            Size::B4 => types::I32,
            Size::B8 | Size::B16 => return (types::I64, v),
        };
        (ty, self.b.ins().ireduce(ty, v))
    }

    /// Continues behind an access with an element, zero-extended.
    fn merge_element(&mut self, f: &Fast, v: Value) -> Value {
        let wide = self.b.func.dfg.value_type(v) == types::I64;
        let v = if wide { v } else { self.b.ins().uextend(types::I64, v) };
        self.merge(f, &[v])[0]
    }
}

//! Block starts, block ends and exits.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};
use cranelift_frontend::Variable;
use lyrebird_isa::state::{PAGE_MASK, TlbEntry, tlb_index};
use lyrebird_isa::{Core, Cpu, Emit};

use super::flags::Flags;
use super::{ClifEmitter, Goes, trusted};
use crate::t1::chain;
use crate::t1::flow::{self, ALL_REGS, End, FLAGS, REGISTERS};
use crate::t1::region::{CodePage, RegionExit};

const PC: i32 = offset_of!(Core, pc) as i32;

/// Where the blocks of the region are, for edges between them.
pub(in crate::t1) struct Layout<'r> {
    pub region: &'r flow::Region,
    /// Where its pages were.
    pub pages: &'r [CodePage],
    /// CLIF block of each guest block.
    pub heads: Vec<Block>,
    /// Budget left at the start of each guest block.
    pub budget: Variable,
}

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    pub(super) const BUDGET: i32 = offset_of!(Core, budget) as i32;

    /// Stores the address of the instruction, and the budget as it was at the start of the block.
    pub(super) fn store_pc_and_budget(&mut self) {
        self.store_pc(self.pc);
        self.store_core(self.budget, Self::BUDGET);
    }

    /// Stores an address to [`Core::pc`].
    fn store_pc(&mut self, pc: u64) {
        let pc = self.imm(pc);
        self.store_core(pc, PC);
    }

    /// Counts, where the region does.
    pub(in crate::t1) fn count(&mut self) {
        if !self.env.quick {
            return;
        }
        let at = chain::count(self.b);
        let n = self.b.ins().load(types::I32, trusted(), at, 0);
        let one = self.iconst(types::I32, 1);
        let n = self.b.ins().iadd(n, one);
        self.b.ins().store(trusted(), n, at, 0);
    }

    /// Enters a guest block: `flags` is what its one predecessor knew of them.
    pub(in crate::t1) fn begin_block(
        &mut self,
        b: &flow::Block,
        budget: Variable,
        flags: Option<(Flags, bool)>,
    ) {
        self.loops = b.loops;
        self.looked_up = None;
        self.page = None;
        self.made.clear();
        self.straight = true;
        self.val = [None; ALL_REGS];
        self.stale = b.live_in & REGISTERS & !b.ssa_in;
        self.dirty = b.dirty_in & REGISTERS;
        self.aged = 0;
        let flags = match flags {
            Some(state) => state,
            None if b.flags_in => (self.flags_handed_over(), true),
            None => (Flags::InCore, false),
        };
        self.set_flag_state(flags);
        self.budget = self.b.use_var(budget);
        for i in flow::members(b.ssa_in) {
            if let Some(var) = self.vars[i] {
                self.val[i] = Some(self.b.use_var(var));
            }
        }
    }

    /// Leaves guest block `i` by all its edges.
    pub(in crate::t1) fn end_block(&mut self, i: usize, layout: &Layout<'_>) {
        let b = &layout.region.blocks[i];
        self.straight = false;
        let n = self.imm(b.insns.len() as u64);
        self.budget = self.b.ins().isub(self.budget, n);
        self.b.def_var(layout.budget, self.budget);
        for r in flow::members(b.ssa_out) {
            let v = match self.val[r] {
                Some(v) => v,
                None => {
                    let v = self.load_reg(r);
                    self.val[r] = Some(v);
                    v
                }
            };
            if let Some(var) = self.vars[r] {
                self.b.def_var(var, v);
            }
        }
        if b.succ.iter().any(|&(_, to)| to.is_some_and(|j| layout.region.blocks[j].flags_in)) {
            self.hand_flags_over();
        }
        let flags = if self.flags_dirty { FLAGS } else { 0 };
        for j in b.succ.iter().filter_map(|&(_, to)| to) {
            let next = &layout.region.blocks[j];
            let handed = if next.inherits == Some(i) { FLAGS } else { 0 };
            if (self.dirty | flags) & !(next.dirty_in | handed) != 0 {
                self.fail("leaves what its scan says it has stored");
            }
        }
        match (b.end, self.goes) {
            (End::Interp, _) => {
                self.store_pc(b.end_pc);
                self.exit(RegionExit::Interp);
            }
            (End::Flow(_), Goes::Indirect(target)) => {
                for &(pc, to) in &b.succ {
                    if to.is_none() {
                        continue;
                    }
                    let expected = self.imm(pc);
                    let here = self.b.ins().icmp(IntCC::Equal, target, expected);
                    let (own, other) = (self.b.create_block(), self.b.create_block());
                    self.b.ins().brif(here, own, &[], other, &[]);
                    self.enter(own);
                    self.edge(i, (pc, to), layout);
                    self.enter(other);
                }
                self.exit_to(target);
            }
            (End::Flow(_), Goes::Branch(c)) if b.succ.len() == 2 => {
                let taken = self.edge_block(i, b.succ[0], layout);
                let not = self.edge_block(i, b.succ[1], layout);
                self.b.ins().brif(c, taken.0, &[], not.0, &[]);
                for (k, (block, own)) in [taken, not].into_iter().enumerate() {
                    if own {
                        self.enter(block);
                        self.edge(i, b.succ[k], layout);
                    }
                }
            }
            (End::Flow(_), Goes::SyncNext) => {
                let pc = self.imm(b.end_pc);
                self.store_core(pc, PC);
                self.exit_by_sync();
            }
            (End::Flow(_), Goes::SyncPc) => self.exit_by_sync(),
            (End::Flow(_), Goes::Next | Goes::Jump) if b.succ.len() == 1 => self.edge(i, b.succ[0], layout),
            _ => {
                self.fail("ends its block in another way than its scan says");
                self.exit(RegionExit::Next);
            }
        }
    }

    /// The CLIF block to branch to for an edge, and whether it is one of the edge's own that is still to be filled.
    fn edge_block(&mut self, i: usize, (_, to): (u64, Option<usize>), layout: &Layout<'_>) -> (Block, bool) {
        if let Some(j) = to
            && j > i
            && !layout.region.changes_page(i, j)
        {
            return (layout.heads[j], false);
        }
        let block = self.b.create_block();
        if to.is_none() {
            self.b.set_cold_block(block);
        }
        (block, true)
    }

    /// Goes on only if the page of `pc` is mapped for execution where the region was compiled from.
    fn check_page(&mut self, pc: u64, pages: &[CodePage]) {
        let Some(page) = pages.iter().find(|p| p.va == pc & PAGE_MASK) else {
            return self.fail("goes to a page that its request does not name");
        };
        let table = match self.env.tlb {
            Some(t) => t,
            None => self.load_core(types::I64, offset_of!(Core, tlb) as i32),
        };
        let entry = tlb_index(page.va) * size_of::<TlbEntry>();
        let (out, test, go_on) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(out);
        let compare = |b: &mut Self, field: usize, with: u64, good: Block| {
            let v = b.b.ins().load(types::I64, trusted(), table, (entry + field) as i32);
            let with = b.imm(with);
            let same = b.b.ins().icmp(IntCC::Equal, v, with);
            b.b.ins().brif(same, good, &[], out, &[]);
        };
        compare(self, offset_of!(TlbEntry, exec), page.va, test);
        self.enter(test);
        compare(self, offset_of!(TlbEntry, addend), page.host.wrapping_sub(page.va), go_on);
        self.enter(out);
        let flags = self.flag_state();
        let dirty = self.dirty;
        self.store_pc(pc);
        self.exit(RegionExit::Fetch);
        self.dirty = dirty;
        self.set_flag_state(flags);
        self.enter(go_on);
    }

    /// Follows an edge.
    fn edge(&mut self, i: usize, (pc, to): (u64, Option<usize>), layout: &Layout<'_>) {
        let flags = self.flag_state();
        match to {
            None => self.exit_by_link(pc),
            Some(j) => {
                if layout.region.changes_page(i, j) {
                    self.check_page(pc, layout.pages);
                }
                let head = layout.heads[j];
                if j > i {
                    self.b.ins().jump(head, &[]);
                } else {
                    self.count();
                    let out = self.b.create_block();
                    self.b.set_cold_block(out);
                    let zero = self.imm(0);
                    let left = self.b.ins().icmp(IntCC::SignedGreaterThan, self.budget, zero);
                    self.b.ins().brif(left, head, &[], out, &[]);
                    self.enter(out);
                    self.store_pc(pc);
                    self.exit(RegionExit::Budget);
                }
            }
        }
        self.set_flag_state(flags);
    }

    /// Brings `Core` up to date and goes on at an address outside the region.
    fn exit_to(&mut self, pc: Value) {
        self.store_aside(!0);
        let (next, budget) = (self.env.next, self.budget);
        self.b.ins().jump(next, &[BlockArg::from(pc), BlockArg::from(budget)]);
    }

    /// Brings `Core` up to date and goes on at [`Core::pc`], through the dispatcher if the CPU wants to be looked at.
    /// Nothing of what the region has learnt at entry holds any more: mode and mapping may be others.
    fn exit_by_sync(&mut self) {
        self.store_aside(!0);
        self.store_core(self.budget, Self::BUDGET);
        let nothing = self.imm(0);
        let look = self.call_host(self.env.look, [self.env.core, nothing, nothing, nothing]);
        let why = self.imm(RegionExit::Sync as u64);
        let go_on = self.b.create_block();
        self.b.ins().brif(look, self.env.ret, &[BlockArg::from(why)], go_on, &[]);
        self.enter(go_on);
        let pc = self.load_core(types::I64, PC);
        let (next, budget) = (self.env.next, self.budget);
        self.b.ins().jump(next, &[BlockArg::from(pc), BlockArg::from(budget)]);
    }

    /// Brings `Core` up to date and goes on at a known address outside the region.
    fn exit_by_link(&mut self, pc: u64) {
        if !self.env.chain || self.links.len() == chain::MAX_LINKS {
            let pc = self.imm(pc);
            return self.exit_to(pc);
        }
        self.store_aside(!0);
        let block = match self.links.iter().find(|(to, _)| *to == pc) {
            Some((_, block)) => *block,
            None => {
                let block = self.b.create_block();
                self.b.append_block_param(block, types::I64);
                self.links.push((pc, block));
                block
            }
        };
        self.b.ins().jump(block, &[BlockArg::from(self.budget)]);
    }

    /// Fills the blocks of the links.
    pub(in crate::t1) fn finish_links(&mut self) {
        for (number, (_, block)) in self.links.clone().into_iter().enumerate() {
            self.enter(block);
            let budget = self.b.block_params(block)[0];
            chain::follow(self.b, self.env.core, budget, number);
        }
    }

    /// Brings `Core` up to date, but for the program counter, and returns.
    fn exit(&mut self, why: RegionExit) {
        self.store_aside(!0);
        self.store_core(self.budget, Self::BUDGET);
        let code: Value = self.imm(why as u64);
        let ret = self.env.ret;
        self.b.ins().jump(ret, &[BlockArg::from(code)]);
    }
}

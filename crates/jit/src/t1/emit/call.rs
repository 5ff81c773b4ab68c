//! Calls of helpers and of host functions with their signature.

use std::mem::offset_of;

use cranelift_codegen::ir::{InstBuilder, Value, types};
use lyrebird_isa::{Activity, Core, Cpu, Effects, Emit, Helper, Work};

use super::flags::Flags;
use super::{ClifEmitter, SCRATCH_DATA, SCRATCH_VA, SCRATCH_WORD, trusted};
use crate::t1::chain;
use crate::t1::flow::{ALL_REGS, REGISTERS, VECTOR, VECTORS};

const PC: i32 = offset_of!(Core, pc) as i32;
const FAULT: i32 = offset_of!(Core, fault) as i32;

impl<C: Cpu> ClifEmitter<'_, '_, C> {
    /// Calls a host function of four words.
    pub(super) fn call_host(&mut self, f: u64, args: [Value; 4]) -> Value {
        let f = self.imm(f);
        self.account(Work::Helper);
        let call = self.b.ins().call_indirect(self.env.helper_sig, f, &args);
        let r = self.b.inst_results(call)[0];
        self.account(Work::T1);
        r
    }

    /// Notes what is done from here on, where account is kept.
    fn account(&mut self, w: Work) {
        if let Some(cell) = self.env.account {
            let w = self.b.ins().iconst(types::I8, w as i64);
            self.b.ins().store(trusted(), w, cell, Activity::WORK as i32);
        }
    }

    pub(super) fn emit_call(&mut self, h: Helper<C>, [a0, a1, a2]: [Value; 3]) -> Value {
        let f = match self.env.sys {
            Some(f) if h.effects == Effects::Sys => f,
            _ => h.f as *const () as u64,
        };
        let args = [self.env.core, a0, a1, a2];
        if h.effects != Effects::Pure {
            self.page = None;
        }
        match h.effects {
            Effects::Pure | Effects::Sys => return self.call_host(f, args),
            Effects::Fp => {
                self.bring_up_to_date(VECTORS);
                let r = self.call_host(f, args);
                self.val[VECTOR..].fill(None);
                self.stale |= VECTORS;
                return r;
            }
            Effects::Cpu => {}
        }
        self.sync();
        let r = self.call_host(f, args);
        self.val = [None; ALL_REGS];
        self.stale = REGISTERS;
        self.flags = Flags::InCore;
        let fault = self.load_core(types::I64, FAULT);
        let cold = self.b.create_block();
        let go_on = self.b.create_block();
        self.b.set_cold_block(cold);
        self.b.ins().brif(fault, cold, &[], go_on, &[]);
        self.enter(cold);
        self.fault_here();
        self.enter(go_on);
        r
    }

    /// Calls a helper with [`Effects::Fp`] in a cold block, behind which the registers stand where they stood.
    pub(super) fn call_aside(&mut self, h: Helper<C>, [a0, a1, a2]: [Value; 3]) -> Value {
        self.store_aside(VECTORS);
        for (v, offset) in [(a2, SCRATCH_WORD), (a0, SCRATCH_DATA), (a1, SCRATCH_DATA + 8)] {
            self.store_core(v, offset);
        }
        self.account(Work::Helper);
        let r = self.call_thunk(h.f as *const () as u64);
        self.account(Work::T1);
        r
    }

    /// Calls a host function of the core and what is in the scratch area, behind which the registers stand where they stood.
    pub(super) fn call_thunk(&mut self, f: u64) -> Value {
        let f = self.imm(f);
        self.store_core(f, SCRATCH_VA);
        let core = self.env.core;
        self.b.ins().call(self.env.aside, &[core]);
        self.load_core(types::I64, SCRATCH_DATA)
    }

    pub(super) fn emit_ensure(&mut self, ok: Value, h: Helper<C>, [a0, a1, a2]: [Value; 3]) {
        self.check_order();
        self.before_slow_path(!0);
        let cold = self.b.create_block();
        let go_on = self.b.create_block();
        self.b.set_cold_block(cold);
        self.b.ins().brif(ok, go_on, &[], cold, &[]);
        self.enter(cold);
        let flags = self.flag_state();
        self.store_aside(!0);
        if self.env.verify {
            // T0 has recorded the fault.
            let one = self.imm(1);
            self.store_core(one, FAULT);
            self.fault_here();
        } else {
            self.store_pc_and_rest();
            let f = self.imm(h.f as *const () as u64);
            chain::raise(self.b, &[self.env.core, f, a0, a1, a2]);
        }
        self.set_flag_state(flags);
        self.enter(go_on);
    }

    /// Leaves with the fault of this instruction, which a helper has recorded.
    fn fault_here(&mut self) {
        // A helper may have changed the program counter before it found the fault.
        self.store_pc_and_rest();
        self.b.ins().jump(self.env.fault, &[]);
    }

    /// Stores the address of the instruction, and the budget as it is in front of it.
    fn store_pc_and_rest(&mut self) {
        let pc = self.imm(self.pc);
        self.store_core(pc, PC);
        let retired = self.imm(self.retired as u64);
        let left = self.b.ins().isub(self.budget, retired);
        self.store_core(left, Self::BUDGET);
    }
}

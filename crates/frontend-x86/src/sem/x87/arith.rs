//! What register and memory forms have in common: arithmetic, comparison, pushing.

use lyrebird_fp::Ordering;
use lyrebird_fp::x86::x87::{self, Env, F80};

use super::sw;
use crate::cpu::X87;

/// The operation that bits 5 to 3 of the ModR/M byte name: 0 FADD, 1 FMUL, 4 FSUB, 5 FSUBR, 6 FDIV, 7 FDIVR.
#[inline(always)]
pub fn compute(env: &mut Env, op: u8, a: F80, b: F80) -> F80 {
    match op {
        0 => x87::add(env, a, b),
        1 => x87::mul(env, a, b),
        4 => x87::sub(env, a, b),
        5 => x87::sub(env, b, a),
        6 => x87::div(env, a, b),
        _ => x87::div(env, b, a),
    }
}

/// C0, C2 and C3 of a comparison (SDM Vol. 1, table 8-6).
#[inline(always)]
pub fn codes(o: Ordering) -> u16 {
    match o {
        Ordering::Greater => 0,
        Ordering::Less => sw::C0,
        Ordering::Equal => sw::C3,
        Ordering::Unordered => sw::CODES,
    }
}

impl X87 {
    /// Writes a result to ST(i), unless the exceptions forbid it. Whether it was written.
    pub fn finish(&mut self, env: &Env, i: u8, r: F80) -> bool {
        self.retire(env);
        if !env.blocked() {
            self.set_st(i, r);
        }
        !env.blocked()
    }

    /// As [`X87::finish`] for a missing source: a stack fault, and the indefinite as result.
    pub fn finish_empty(&mut self, i: u8) -> bool {
        let masked = self.stack_fault(false);
        if masked {
            self.set_st(i, F80::INDEFINITE);
        }
        masked
    }

    /// Compares ST(0) with a value. Whether the instruction goes on to pop.
    pub fn compare(&mut self, mut env: Env, b: F80, signalling: bool) -> bool {
        let o = x87::compare(&mut env, self.st(0), b, signalling);
        self.retire(&env);
        // Also where the exception is unmasked: then it does not pop.
        self.set_codes(codes(o));
        !env.blocked()
    }

    /// The same where one is missing.
    pub fn compare_empty(&mut self) -> bool {
        self.set_codes(sw::CODES);
        self.stack_fault(false)
    }

    /// Whether there is room for another register; if not, the stack fault is dealt with.
    pub fn has_room(&mut self) -> bool {
        let room = self.is_empty(7);
        if !room && self.stack_fault(true) {
            self.push(F80::INDEFINITE);
        }
        room
    }

    /// Pushes a value that raises nothing.
    pub fn push_checked(&mut self, v: F80) {
        if self.has_room() {
            self.sw &= !sw::C1;
            self.push(v);
        }
    }
}

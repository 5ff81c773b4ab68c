//! Forms without a memory operand.

use lyrebird_fp::x86::x87::{self, Constant, Env, F80};

use super::{Fop, arith, sw};
use crate::X86Cpu;
use crate::cpu::X87;
use crate::regs::{RAX, rflags};
use crate::sem::media::comparison_flags;

/// Whether there is such an instruction, aliases included.
pub fn exists(fop: Fop) -> bool {
    let (reg, i) = (fop.reg(), fop.i());
    match fop.op() {
        1 => match reg {
            2 => i == 0,
            4 => matches!(i, 0 | 1 | 4 | 5),
            5 => i < 7,
            _ => true,
        },
        2 => reg < 4 || reg == 5 && i == 1,
        3 => reg < 4 || reg == 4 && i < 5 || matches!(reg, 5 | 6),
        5 => reg < 6,
        6 => reg != 3 || i == 1,
        7 => reg < 4 || reg == 4 && i == 0 || matches!(reg, 5 | 6),
        _ => true,
    }
}

/// Executes it.
pub fn execute(cpu: &mut X86Cpu, fop: Fop) {
    let (reg, i) = (fop.reg(), fop.i());
    let f = &mut cpu.x87;
    match (fop.op(), reg) {
        // FCOM, FCOMP, and what else means them.
        (0 | 4, 2) => drop(compare(f, i, true)),
        (0 | 4, 3) | (6, 2) => pop_if(f, |f| compare(f, i, true)),
        (0, _) => drop(arithmetic(f, reg, i, 0)),
        (4, _) => drop(arithmetic(f, reg, i, i)),
        // FCOMPP, FUCOMPP.
        (6, 3) => pop_twice_if(f, |f| compare(f, 1, true)),
        (2, 5) => pop_twice_if(f, |f| compare(f, 1, false)),
        (6, _) => pop_if(f, |f| arithmetic(f, reg, i, i)),
        (1, 0) => load(f, i),
        (1 | 5 | 7, 1) => exchange(f, i),
        (1, 2) => {}
        // FSTPNCE.
        (1, 3) if f.is_empty(0) => {
            f.sw &= !sw::C1;
            f.turn(1);
        }
        (1, 3) | (5, 3) | (7, 2 | 3) => pop_if(f, |f| store(f, i)),
        (5, 2) => drop(store(f, i)),
        (1, 4) => sign_and_class(f, i),
        (1, 5) => constant(f, i),
        (1, 6) => transcendental(f, i),
        (1, _) => more(f, i),
        (2 | 3, 0..=3) => conditional_move(cpu, fop),
        (3, 4) => control(f, i),
        // FUCOMI, FCOMI.
        (3, 5) => drop(compare_flags(cpu, i, false)),
        (3, _) => drop(compare_flags(cpu, i, true)),
        (5 | 7, 0) => {
            f.sw &= !sw::C1;
            f.free(i);
            if fop.op() == 7 {
                f.pop();
            }
        }
        (5, 4) => drop(compare(f, i, false)),
        (5, _) => pop_if(f, |f| compare(f, i, false)),
        // FNSTSW AX.
        (7, 4) => {
            let v = cpu.core.reg(RAX) & !0xffff | f.sw as u64;
            cpu.core.set_reg(RAX, v);
        }
        // FUCOMIP, FCOMIP.
        (7, r) if compare_flags(cpu, i, r == 6) => cpu.x87.pop(),
        _ => {}
    }
}

fn pop_if(f: &mut X87, done: impl FnOnce(&mut X87) -> bool) {
    if done(f) {
        f.pop();
    }
}

fn pop_twice_if(f: &mut X87, done: impl FnOnce(&mut X87) -> bool) {
    if done(f) {
        f.pop();
        f.pop();
    }
}

/// ST(0) op ST(i), to ST(to).
fn arithmetic(f: &mut X87, op: u8, i: u8, to: u8) -> bool {
    if f.is_empty(0) || f.is_empty(i) {
        return f.finish_empty(to);
    }
    let mut env = Env::new(f.cw);
    let r = arith::compute(&mut env, op, f.st(0), f.st(i));
    f.finish(&env, to, r)
}

fn compare(f: &mut X87, i: u8, signalling: bool) -> bool {
    if f.is_empty(0) || f.is_empty(i) {
        return f.compare_empty();
    }
    let (env, b) = (Env::new(f.cw), f.st(i));
    f.compare(env, b, signalling)
}

fn compare_flags(cpu: &mut X86Cpu, i: u8, signalling: bool) -> bool {
    use lyrebird_fp::Ordering;
    let f = &mut cpu.x87;
    let (o, done) = if f.is_empty(0) || f.is_empty(i) {
        (Ordering::Unordered, f.stack_fault(false))
    } else {
        let mut env = Env::new(f.cw);
        let o = x87::compare(&mut env, f.st(0), f.st(i), signalling);
        // Unlike FCOM, C1 stays.
        let c1 = f.sw & sw::C1;
        f.retire(&env);
        f.sw |= c1;
        (o, !env.blocked())
    };
    cpu.core.set_nzcv(comparison_flags(o));
    done
}

/// FLD ST(i).
fn load(f: &mut X87, i: u8) {
    if f.is_empty(i) {
        if f.stack_fault(false) {
            f.push(F80::INDEFINITE);
        }
        return;
    }
    let v = f.st(i);
    f.push_checked(v);
}

/// FST ST(i).
fn store(f: &mut X87, i: u8) -> bool {
    if f.is_empty(0) {
        return f.finish_empty(i);
    }
    let v = f.st(0);
    f.sw &= !sw::C1;
    f.set_st(i, v);
    true
}

fn exchange(f: &mut X87, i: u8) {
    if f.is_empty(0) || f.is_empty(i) {
        if !f.stack_fault(false) {
            return;
        }
        for n in [0, i] {
            if f.is_empty(n) {
                f.set_st(n, F80::INDEFINITE);
            }
        }
    } else {
        f.sw &= !sw::C1;
    }
    let (a, b) = (f.st(0), f.st(i));
    f.set_st(0, b);
    f.set_st(i, a);
}

/// FCMOVcc: the condition is that of CMOVcc with the same number.
fn conditional_move(cpu: &mut X86Cpu, fop: Fop) {
    let flags = cpu.rflags();
    let holds = match fop.reg() {
        0 => flags & rflags::CF != 0,
        1 => flags & rflags::ZF != 0,
        2 => flags & (rflags::CF | rflags::ZF) != 0,
        _ => flags & rflags::PF != 0,
    } != (fop.op() == 3);
    let f = &mut cpu.x87;
    if f.is_empty(0) || f.is_empty(fop.i()) {
        // Whether the condition holds or not.
        if f.stack_fault(false) {
            f.set_st(0, F80::INDEFINITE);
        }
        return;
    }
    if holds {
        let v = f.st(fop.i());
        f.set_st(0, v);
    }
}

/// FNCLEX, FNINIT; of the 8087 and 287, what does nothing since.
fn control(f: &mut X87, i: u8) {
    match i {
        2 => f.sw &= 0x7f00,
        3 => *f = X87 { regs: f.regs, ..X87::new() },
        _ => {}
    }
}

/// FCHS, FABS, FTST, FXAM.
fn sign_and_class(f: &mut X87, i: u8) {
    let v = f.st(0);
    match i {
        5 => {
            let codes = if f.is_empty(0) {
                sw::C3 | sw::C0 | if v.sign() { sw::C1 } else { 0 }
            } else {
                x87::examine(v)
            };
            f.set_codes(codes);
            f.sw = f.sw & !sw::C1 | codes & sw::C1;
        }
        4 if f.is_empty(0) => drop(f.compare_empty()),
        4 => {
            let env = Env::new(f.cw);
            f.compare(env, F80::zero(false), true);
        }
        _ if f.is_empty(0) => drop(f.finish_empty(0)),
        _ => {
            f.sw &= !sw::C1;
            f.set_st(0, if i == 0 { v.neg() } else { v.abs() });
        }
    }
}

/// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ.
fn constant(f: &mut X87, i: u8) {
    let c = [
        Constant::One,
        Constant::Log2Ten,
        Constant::Log2E,
        Constant::Pi,
        Constant::Log10Two,
        Constant::LnTwo,
        Constant::Zero,
        Constant::Zero,
    ][usize::from(i & 7)];
    let v = c.value(Env::new(f.cw).round);
    f.push_checked(v);
}

/// An operation on ST(0).
fn unary(f: &mut X87, op: fn(&mut Env, F80) -> F80) {
    if f.is_empty(0) {
        f.finish_empty(0);
        return;
    }
    let mut env = Env::new(f.cw);
    let r = op(&mut env, f.st(0));
    f.finish(&env, 0, r);
}

/// An operation on ST(0) and ST(1), whose result replaces ST(1) and is popped to.
fn binary_pop(f: &mut X87, op: fn(&mut Env, F80, F80) -> F80) {
    let done = if f.is_empty(0) || f.is_empty(1) {
        f.finish_empty(1)
    } else {
        let mut env = Env::new(f.cw);
        let r = op(&mut env, f.st(0), f.st(1));
        f.finish(&env, 1, r)
    };
    if done {
        f.pop();
    }
}

/// A result, and a second one that is pushed (FXTRACT, FSINCOS, FPTAN). None: out of range, C2.
fn split(f: &mut X87, op: fn(&mut Env, F80) -> Option<(F80, F80)>) {
    if f.is_empty(0) || !f.is_empty(7) {
        let overflow = !f.is_empty(0);
        if f.stack_fault(overflow) {
            f.set_st(0, F80::INDEFINITE);
            f.push(F80::INDEFINITE);
        }
        return;
    }
    let mut env = Env::new(f.cw);
    let r = op(&mut env, f.st(0));
    f.retire(&env);
    match r {
        None => f.sw |= sw::C2,
        Some((a, b)) if !env.blocked() => {
            f.set_st(0, a);
            f.push(b);
        }
        _ => {}
    }
}

/// FSIN, FCOS.
fn angle(f: &mut X87, op: fn(&mut Env, F80) -> Option<F80>) {
    f.sw &= !sw::C2;
    if f.is_empty(0) {
        f.finish_empty(0);
        return;
    }
    let mut env = Env::new(f.cw);
    match op(&mut env, f.st(0)) {
        None => {
            f.retire(&env);
            f.sw |= sw::C2;
        }
        Some(r) => drop(f.finish(&env, 0, r)),
    }
}

/// FPREM, FPREM1.
fn remainder(f: &mut X87, nearest: bool) {
    // Also where an unmasked exception leaves the rest as it was.
    f.sw &= !sw::C2;
    if f.is_empty(0) || f.is_empty(1) {
        f.finish_empty(0);
        return;
    }
    let mut env = Env::new(f.cw);
    let r = x87::remainder(&mut env, f.st(0), f.st(1), nearest);
    if f.finish(&env, 0, r.value) {
        // A NaN has no quotient.
        let nan = r.value.exp() == F80::EXP_MAX && r.value.sig != F80::J;
        f.set_codes(if nan { f.sw & (sw::C0 | sw::C3) } else { r.codes });
        f.sw = f.sw & !sw::C1 | r.codes & sw::C1;
    }
}

/// D9 F0 to D9 F7.
fn transcendental(f: &mut X87, i: u8) {
    match i {
        0 => unary(f, x87::exp2_minus_1),
        1 => binary_pop(f, x87::y_log2),
        2 => {
            f.sw &= !sw::C2;
            split(f, x87::tan);
        }
        3 => binary_pop(f, |env, x, y| x87::atan2(env, y, x)),
        4 => split(f, |env, v| Some(x87::extract(env, v))),
        5 => remainder(f, true),
        _ => {
            f.sw &= !sw::C1;
            f.turn(if i == 6 { -1 } else { 1 });
        }
    }
}

/// D9 F8 to D9 FF.
fn more(f: &mut X87, i: u8) {
    match i {
        0 => remainder(f, false),
        1 => binary_pop(f, x87::y_log2_plus_1),
        2 => unary(f, x87::sqrt),
        3 => {
            f.sw &= !sw::C2;
            split(f, x87::sin_cos);
        }
        4 => unary(f, x87::round_int),
        5 => {
            if f.is_empty(0) || f.is_empty(1) {
                f.finish_empty(0);
                return;
            }
            let mut env = Env::new(f.cw);
            let r = x87::scale(&mut env, f.st(0), f.st(1));
            f.finish(&env, 0, r);
        }
        6 => angle(f, x87::sin),
        _ => angle(f, x87::cos),
    }
}

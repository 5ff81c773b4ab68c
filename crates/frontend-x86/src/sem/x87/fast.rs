//! What most x87 instructions find: no exception is pending, the operands are there and raise nothing that is unmasked and
//! blocks, memory is in the TLB. Each has a helper here that does this case at once; whatever else it finds, it has changed
//! nothing and leaves the instruction to the one for all cases ([`super::on_registers`], [`super::on_memory`]).

use lyrebird_fp::x86::x87::{self, Constant, Env, F80};
use lyrebird_fp::{F32, F64, Ordering, Round};
use lyrebird_isa::state::{PAGE_MASK, PAGE_SIZE};
use lyrebird_isa::{HelperFn, MemOp, Size};

use super::arith::{codes, compute};
use super::{Fop, data_operand, on_memory, on_registers, sw};
use crate::X86Cpu;
use crate::cpu::X87;
use crate::regs::RAX;
use crate::sem::media::comparison_flags;
use crate::sem::memory::At;

type Function = HelperFn<X86Cpu>;

// What a memory operand is.
const SINGLE: u8 = 0;
const DOUBLE: u8 = 1;
const INT16: u8 = 2;
const INT32: u8 = 3;
const INT64: u8 = 4;

const fn size(kind: u8) -> Size {
    match kind {
        INT16 => Size::B2,
        SINGLE | INT32 => Size::B4,
        _ => Size::B8,
    }
}

/// The helper of a register form.
pub fn for_registers(fop: Fop) -> Function {
    REGISTERS[at(fop.op(), fop.reg())]
}

/// The helper of a memory form.
pub fn for_memory(fop: Fop) -> Function {
    MEMORY[at(fop.op(), fop.reg())]
}

/// Index in the tables: the low bits of the first byte, and bits 5 to 3 of the ModR/M byte.
const fn at(op: u8, reg: u8) -> usize {
    ((op & 7) << 3 | reg & 7) as usize
}

/// Enters the forms of FADD, FMUL, FSUB, FSUBR, FDIV and FDIVR.
macro_rules! arithmetic {
    ($table:ident $op:literal $f:ident $($p:tt)*) => {
        $table[at($op, 0)] = $f::<0, $($p)*>;
        $table[at($op, 1)] = $f::<1, $($p)*>;
        $table[at($op, 4)] = $f::<4, $($p)*>;
        $table[at($op, 5)] = $f::<5, $($p)*>;
        $table[at($op, 6)] = $f::<6, $($p)*>;
        $table[at($op, 7)] = $f::<7, $($p)*>;
    };
}

static REGISTERS: [Function; 64] = {
    let mut t: [Function; 64] = [on_registers; 64];
    arithmetic!(t 0 arithmetic false, false);
    arithmetic!(t 4 arithmetic true, false);
    arithmetic!(t 6 arithmetic true, true);
    // FCOM, FCOMP, FCOMPP, FUCOM, FUCOMP, FUCOMPP.
    t[at(0, 2)] = compare::<true, 0>;
    t[at(0, 3)] = compare::<true, 1>;
    t[at(6, 3)] = compare::<true, 2>;
    t[at(5, 4)] = compare::<false, 0>;
    t[at(5, 5)] = compare::<false, 1>;
    t[at(2, 5)] = compare::<false, 2>;
    // FUCOMI, FCOMI, FUCOMIP, FCOMIP.
    t[at(3, 5)] = compare_flags::<false, false>;
    t[at(3, 6)] = compare_flags::<true, false>;
    t[at(7, 5)] = compare_flags::<false, true>;
    t[at(7, 6)] = compare_flags::<true, true>;
    t[at(1, 0)] = load_register;
    t[at(1, 1)] = exchange;
    t[at(5, 2)] = store_register::<false>;
    t[at(5, 3)] = store_register::<true>;
    t[at(1, 4)] = sign;
    t[at(1, 5)] = constant;
    t[at(1, 7)] = square_root;
    t[at(7, 4)] = status;
    t
};

static MEMORY: [Function; 64] = {
    let mut t: [Function; 64] = [on_memory; 64];
    arithmetic!(t 0 arithmetic_memory SINGLE);
    arithmetic!(t 2 arithmetic_memory INT32);
    arithmetic!(t 4 arithmetic_memory DOUBLE);
    arithmetic!(t 6 arithmetic_memory INT16);
    // FCOM, FCOMP, FICOM, FICOMP.
    t[at(0, 2)] = compare_memory::<SINGLE, false>;
    t[at(0, 3)] = compare_memory::<SINGLE, true>;
    t[at(2, 2)] = compare_memory::<INT32, false>;
    t[at(2, 3)] = compare_memory::<INT32, true>;
    t[at(4, 2)] = compare_memory::<DOUBLE, false>;
    t[at(4, 3)] = compare_memory::<DOUBLE, true>;
    t[at(6, 2)] = compare_memory::<INT16, false>;
    t[at(6, 3)] = compare_memory::<INT16, true>;
    // FLD, FILD.
    t[at(1, 0)] = load::<SINGLE>;
    t[at(5, 0)] = load::<DOUBLE>;
    t[at(3, 0)] = load::<INT32>;
    t[at(7, 0)] = load::<INT16>;
    t[at(7, 5)] = load::<INT64>;
    t[at(3, 5)] = load_extended;
    // FST, FSTP, FIST, FISTP.
    t[at(1, 2)] = store::<SINGLE, false, false>;
    t[at(1, 3)] = store::<SINGLE, true, false>;
    t[at(5, 2)] = store::<DOUBLE, false, false>;
    t[at(5, 3)] = store::<DOUBLE, true, false>;
    t[at(3, 2)] = store::<INT32, false, false>;
    t[at(3, 3)] = store::<INT32, true, false>;
    t[at(7, 2)] = store::<INT16, false, false>;
    t[at(7, 3)] = store::<INT16, true, false>;
    t[at(7, 7)] = store::<INT64, true, false>;
    t[at(3, 7)] = store_extended;
    // FISTTP.
    t[at(3, 1)] = store::<INT32, true, true>;
    t[at(7, 1)] = store::<INT16, true, true>;
    t[at(5, 1)] = store::<INT64, true, true>;
    t[at(1, 5)] = load_control;
    t[at(1, 7)] = store_word::<true>;
    t[at(5, 7)] = store_word::<false>;
    t
};

impl X87 {
    /// ST(i), if it is not empty.
    #[inline(always)]
    fn full(&self, i: u8) -> Option<F80> {
        (!self.is_empty(i)).then(|| self.st(i))
    }
}

impl X86Cpu {
    /// The FPU, if no exception is pending.
    #[inline(always)]
    fn idle(&mut self) -> Option<&mut X87> {
        (self.x87.sw & sw::ES == 0 && !self.ferr).then_some(&mut self.x87)
    }

    /// The linear address of an operand whose segment needs no checks.
    #[inline(always)]
    fn unchecked(&self, at: At) -> Option<u64> {
        match (self.mode.checked(at.seg), self.mode.flat(at.seg)) {
            (true, _) => None,
            (_, true) => Some(at.offset),
            _ => Some(self.mode.wrap(self.base(at.seg).wrapping_add(at.offset))),
        }
    }

    /// The same of ten bytes on one page, of which all or none are in the TLB.
    #[inline(always)]
    fn unchecked_extended(&self, at: At) -> Option<u64> {
        self.unchecked(at).filter(|va| va & !PAGE_MASK <= PAGE_SIZE - 10)
    }

    #[inline(always)]
    fn fetch(&self, va: u64, size: Size) -> Option<u64> {
        self.mmu.load_inline(&self.core, va, MemOp::new(size))
    }

    /// `None` where nothing was stored.
    #[inline(always)]
    fn keep(&self, va: u64, size: Size, v: u64) -> Option<()> {
        self.mmu.store_inline(&self.core, va, MemOp::new(size), v).then_some(())
    }
}

/// Ends a helper: `None` leaves the instruction to the one for all cases.
#[inline(always)]
fn registers(cpu: &mut X86Cpu, fop: u64, pc: u64, done: impl FnOnce(&mut X86Cpu, Fop) -> Option<()>) -> u64 {
    let f = Fop(fop as u16);
    if done(cpu, f).is_none() {
        return on_registers(cpu, fop, pc, 0);
    }
    cpu.remember_x87(f, pc, None);
    0
}

#[inline(always)]
fn memory(
    cpu: &mut X86Cpu,
    (what, offset, pc): (u64, u64, u64),
    done: impl FnOnce(&mut X86Cpu, At) -> Option<()>,
) -> u64 {
    let at = data_operand(what, offset);
    if done(cpu, at).is_none() {
        return on_memory(cpu, what, offset, pc);
    }
    cpu.remember_x87(Fop(what as u16), pc, Some(at));
    0
}

/// ST(0) op ST(i).
extern "C" fn arithmetic<const OP: u8, const BACK: bool, const POP: bool>(
    cpu: &mut X86Cpu,
    fop: u64,
    pc: u64,
    _: u64,
) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let mut env = Env::new(f.cw);
        let r = compute(&mut env, OP, f.full(0)?, f.full(fop.i())?);
        put(f, &env, if BACK { fop.i() } else { 0 }, r)?;
        if POP {
            f.pop();
        }
        Some(())
    })
}

/// Writes a result.
#[inline(always)]
fn put(f: &mut X87, env: &Env, i: u8, r: F80) -> Option<()> {
    if env.blocked() {
        return None;
    }
    f.retire(env);
    f.set_st(i, r);
    Some(())
}

extern "C" fn square_root(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        if fop.i() != 2 {
            return None;
        }
        let mut env = Env::new(f.cw);
        let r = x87::sqrt(&mut env, f.full(0)?);
        put(f, &env, 0, r)
    })
}

/// Compares ST(0) with `b`.
#[inline(always)]
fn order(f: &mut X87, mut env: Env, b: F80, signalling: bool) -> Option<Ordering> {
    let o = x87::compare(&mut env, f.full(0)?, b, signalling);
    if !env.raised.is_empty() {
        return None;
    }
    Some(o)
}

/// Compares ST(0) with `b` and sets the condition codes.
#[inline(always)]
fn compare_with(f: &mut X87, env: Env, b: F80, signalling: bool) -> Option<()> {
    let o = order(f, env, b, signalling)?;
    f.sw &= !sw::C1;
    f.set_codes(codes(o));
    Some(())
}

extern "C" fn compare<const SIGNALLING: bool, const POPS: u8>(
    cpu: &mut X86Cpu,
    fop: u64,
    pc: u64,
    _: u64,
) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let b = f.full(if POPS == 2 { 1 } else { fop.i() })?;
        compare_with(f, Env::new(f.cw), b, SIGNALLING)?;
        for _ in 0..POPS {
            f.pop();
        }
        Some(())
    })
}

extern "C" fn compare_flags<const SIGNALLING: bool, const POP: bool>(
    cpu: &mut X86Cpu,
    fop: u64,
    pc: u64,
    _: u64,
) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let b = f.full(fop.i())?;
        // Unlike with FCOM, C1 stays.
        let o = order(f, Env::new(f.cw), b, SIGNALLING)?;
        if POP {
            f.pop();
        }
        cpu.core.set_nzcv(comparison_flags(o));
        Some(())
    })
}

/// Pushes what raises nothing, if there is room.
#[inline(always)]
fn push(f: &mut X87, v: F80) -> Option<()> {
    if !f.is_empty(7) {
        return None;
    }
    f.sw &= !sw::C1;
    f.push(v);
    Some(())
}

/// FLD ST(i).
extern "C" fn load_register(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let v = f.full(fop.i())?;
        push(f, v)
    })
}

/// FXCH.
extern "C" fn exchange(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let (a, b) = (f.full(0)?, f.full(fop.i())?);
        f.sw &= !sw::C1;
        f.set_st(0, b);
        f.set_st(fop.i(), a);
        Some(())
    })
}

/// FST, FSTP to a register.
extern "C" fn store_register<const POP: bool>(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let v = f.full(0)?;
        f.sw &= !sw::C1;
        f.set_st(fop.i(), v);
        if POP {
            f.pop();
        }
        Some(())
    })
}

/// FCHS, FABS.
extern "C" fn sign(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let v = f.full(0)?;
        let v = match fop.i() {
            0 => v.neg(),
            1 => v.abs(),
            _ => return None,
        };
        f.sw &= !sw::C1;
        f.set_st(0, v);
        Some(())
    })
}

/// FLD1, FLDZ.
extern "C" fn constant(cpu: &mut X86Cpu, fop: u64, pc: u64, _: u64) -> u64 {
    registers(cpu, fop, pc, |cpu, fop| {
        let f = cpu.idle()?;
        let c = match fop.i() {
            0 => Constant::One,
            6 => Constant::Zero,
            _ => return None,
        };
        push(f, c.value(Round::NearestEven))
    })
}

/// FNSTSW AX.
extern "C" fn status(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    let v = cpu.core.reg(RAX) & !0xffff | cpu.x87.sw as u64;
    cpu.core.set_reg(RAX, v);
    0
}

/// The value of a memory operand that is neither denormal nor, to be loaded, a signalling NaN. One of arithmetic may be.
#[inline(always)]
fn value(env: &mut Env, kind: u8, v: u64, loaded: bool) -> Option<F80> {
    let r = match (kind, loaded) {
        (SINGLE, true) => x87::load::<F32>(env, v as u32),
        (SINGLE, _) => x87::extend::<F32>(env, v as u32),
        (DOUBLE, true) => x87::load::<F64>(env, v),
        (DOUBLE, _) => x87::extend::<F64>(env, v),
        (INT16, _) => x87::from_int(v as i16 as i64),
        (INT32, _) => x87::from_int(v as i32 as i64),
        _ => x87::from_int(v as i64),
    };
    env.raised.is_empty().then_some(r)
}

extern "C" fn arithmetic_memory<const OP: u8, const KIND: u8>(
    cpu: &mut X86Cpu,
    what: u64,
    offset: u64,
    pc: u64,
) -> u64 {
    memory(cpu, (what, offset, pc), |cpu, at| {
        let v = cpu.fetch(cpu.unchecked(at)?, size(KIND))?;
        let f = cpu.idle()?;
        let mut env = Env::new(f.cw);
        let b = value(&mut env, KIND, v, false)?;
        let r = compute(&mut env, OP, f.full(0)?, b);
        put(f, &env, 0, r)
    })
}

extern "C" fn compare_memory<const KIND: u8, const POP: bool>(
    cpu: &mut X86Cpu,
    what: u64,
    offset: u64,
    pc: u64,
) -> u64 {
    memory(cpu, (what, offset, pc), |cpu, at| {
        let v = cpu.fetch(cpu.unchecked(at)?, size(KIND))?;
        let f = cpu.idle()?;
        let mut env = Env::new(f.cw);
        let b = value(&mut env, KIND, v, false)?;
        compare_with(f, env, b, true)?;
        if POP {
            f.pop();
        }
        Some(())
    })
}

/// FLD, FILD.
extern "C" fn load<const KIND: u8>(cpu: &mut X86Cpu, what: u64, offset: u64, pc: u64) -> u64 {
    memory(cpu, (what, offset, pc), |cpu, at| {
        let v = cpu.fetch(cpu.unchecked(at)?, size(KIND))?;
        let f = cpu.idle()?;
        let v = value(&mut Env::new(f.cw), KIND, v, true)?;
        push(f, v)
    })
}

/// FLD of an extended number.
extern "C" fn load_extended(cpu: &mut X86Cpu, what: u64, offset: u64, pc: u64) -> u64 {
    memory(cpu, (what, offset, pc), |cpu, at| {
        let va = cpu.unchecked_extended(at)?;
        let (sig, se) = (cpu.fetch(va, Size::B8)?, cpu.fetch(va + 8, Size::B2)?);
        push(cpu.idle()?, F80 { se: se as u16, sig })
    })
}

/// FSTP of an extended number.
extern "C" fn store_extended(cpu: &mut X86Cpu, what: u64, offset: u64, pc: u64) -> u64 {
    memory(cpu, (what, offset, pc), |cpu, at| {
        let v = cpu.idle()?.full(0)?;
        let va = cpu.unchecked_extended(at)?;
        cpu.keep(va, Size::B8, v.sig)?;
        cpu.keep(va + 8, Size::B2, v.se.into())?;
        cpu.x87.sw &= !sw::C1;
        cpu.x87.pop();
        Some(())
    })
}

/// FST, FSTP, FIST, FISTP, FISTTP (`CUT`).
extern "C" fn store<const KIND: u8, const POP: bool, const CUT: bool>(
    cpu: &mut X86Cpu,
    what: u64,
    offset: u64,
    pc: u64,
) -> u64 {
    memory(cpu, (what, offset, pc), |cpu, at| {
        let f = cpu.idle()?;
        let v = f.full(0)?;
        let mut env = Env::new(f.cw);
        let bits = 8 * size(KIND).bytes() as u32;
        let v = match KIND {
            SINGLE => x87::store::<F32>(&mut env, v).into(),
            DOUBLE => x87::store::<F64>(&mut env, v),
            _ => {
                let round = if CUT { Round::Zero } else { env.round };
                x87::to_int(&mut env, v, bits, round)
            }
        };
        if env.store_blocked() {
            return None;
        }
        cpu.keep(cpu.unchecked(at)?, size(KIND), v)?;
        cpu.x87.retire(&env);
        if POP {
            cpu.x87.pop();
        }
        Some(())
    })
}

/// FLDCW.
extern "C" fn load_control(cpu: &mut X86Cpu, what: u64, offset: u64, pc: u64) -> u64 {
    let at = data_operand(what, offset);
    let v = cpu.unchecked(at).and_then(|va| cpu.fetch(va, Size::B2));
    match (v, cpu.idle()) {
        (Some(v), Some(f)) => f.set_cw(v as u16),
        _ => return on_memory(cpu, what, offset, pc),
    }
    0
}

/// FNSTCW (`CONTROL`), FNSTSW, which do not wait.
extern "C" fn store_word<const CONTROL: bool>(cpu: &mut X86Cpu, what: u64, offset: u64, pc: u64) -> u64 {
    let at = data_operand(what, offset);
    let v = if CONTROL { cpu.x87.cw } else { cpu.x87.sw };
    match cpu.unchecked(at).and_then(|va| cpu.keep(va, Size::B2, v.into())) {
        Some(()) => 0,
        None => on_memory(cpu, what, offset, pc),
    }
}

#[cfg(test)]
mod tests;

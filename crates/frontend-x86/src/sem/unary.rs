//! INC, DEC, NEG, NOT (SDM Vol. 1, 5.1.2, 5.1.4).

use iced_x86::Mnemonic;
use lyrebird_isa::{Bin, Emit, FlagOp, MemOp, Rmw, Sem, Un, Visitor, Width};

use super::{Decoded, consts, flags, widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, size, width};

mod op {
    pub const INC: u8 = 0;
    pub const DEC: u8 = 1;
    pub const NEG: u8 = 2;
    pub const NOT: u8 = 3;
}

#[inline(always)]
fn result<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Val) -> E::Val {
    let w = width(W);
    let one = e.imm(1);
    match OP {
        op::INC => e.bin(Bin::Add, w, a, one),
        op::DEC => e.bin(Bin::Sub, w, a, one),
        op::NEG => e.un(Un::Neg, w, a),
        _ => e.un(Un::Not, w, a),
    }
}

#[inline(always)]
fn set_flags<const OP: u8, const W: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Val, r: E::Val) {
    let w = width(W);
    match OP {
        op::NEG => {
            let zero = e.imm(0);
            e.set_flags(FlagOp::Sub, w, zero, a);
        }
        op::INC | op::DEC => {
            // The sign went from 0 to 1, or from 1 to 0.
            let (up, down) = if OP == op::INC { (r, a) } else { (a, r) };
            let of = e.bin(Bin::Bic, Width::W64, up, down);
            let of = flags::bit(e, of, w.bits() - 1);
            let x = e.bin(Bin::Xor, Width::W64, a, r);
            let af = flags::bit(e, x, 4);
            let carries = flags::carries_but_cf(e, of, af);
            e.set_flags_but_c(w, r, carries);
        }
        _ => {}
    }
}

/// On a register.
#[derive(Clone, Copy, Debug)]
pub struct R<const OP: u8, const W: u8> {
    d: Gpr,
}

impl<const OP: u8, const W: u8> Sem<X86Cpu> for R<OP, W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let a = self.d.raw::<W, E>(e);
        let r = result::<OP, W, E>(e, a);
        set_flags::<OP, W, E>(e, a, r);
        self.d.set::<W, E>(e, r);
        Ok(())
    }
}

/// On memory.
#[derive(Clone, Copy, Debug)]
pub struct M<const OP: u8, const W: u8, const LOCK: bool> {
    m: Mem,
}

impl<const OP: u8, const W: u8, const LOCK: bool> Sem<X86Cpu> for M<OP, W, LOCK> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = MemOp::new(size(W));
        let va = self.m.linear(e, size(W).bytes(), true)?;
        if LOCK && OP != op::NEG {
            let (rmw, by) = match OP {
                op::INC => (Rmw::Add, 1),
                op::DEC => (Rmw::Add, width(W).mask()),
                _ => (Rmw::Eor, width(W).mask()),
            };
            let by = e.imm(by);
            let a = e.rmw(rmw, m, va, by)?;
            let r = result::<OP, W, E>(e, a);
            set_flags::<OP, W, E>(e, a, r);
            return Ok(());
        }
        let a = e.load(m.update(), va)?;
        let r = result::<OP, W, E>(e, a);
        e.store(m, va, r)?;
        set_flags::<OP, W, E>(e, a, r);
        Ok(())
    }
}

/// LOCK NEG: tried until nobody has been in between.
#[derive(Clone, Copy, Debug)]
pub struct LockNeg<const W: u8> {
    m: Mem,
}

extern "C" fn lock_neg<const W: u8>(cpu: &mut X86Cpu, va: u64, _: u64, _: u64) -> u64 {
    use lyrebird_isa::Cpu;
    let m = MemOp::new(size(W));
    let mut old = cpu.load_slow(va, m);
    while cpu.core.fault == 0 {
        let seen = cpu.cas(va, m, old, width(W).zext(old.wrapping_neg()));
        if seen == old {
            break;
        }
        old = seen;
    }
    old
}

impl<const W: u8> Sem<X86Cpu> for LockNeg<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, size(W).bytes(), true)?;
        let zero = e.imm(0);
        let a = e.call(lyrebird_isa::Helper::cpu("lock_neg", lock_neg::<W>), [va, zero, zero])?;
        e.set_flags(FlagOp::Sub, width(W), zero, a);
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let op = match x.mnemonic() {
        Mnemonic::Inc => op::INC,
        Mnemonic::Dec => op::DEC,
        Mnemonic::Neg => op::NEG,
        Mnemonic::Not => op::NOT,
        _ => return Err(v),
    };
    Ok(widths!(x.width(0) => |W| {
        if x.is_mem(0) && x.lock() && op == op::NEG {
            return Ok(v.visit(LockNeg::<W> { m: x.mem() }));
        }
        consts!(op, [0 1 2] 3 => |OP| match (x.is_mem(0), x.lock()) {
            (false, _) => v.visit(R::<OP, W> { d: x.gpr(0) }),
            (true, false) => v.visit(M::<OP, W, false> { m: x.mem() }),
            (true, true) => v.visit(M::<OP, W, true> { m: x.mem() }),
        })
    }))
}

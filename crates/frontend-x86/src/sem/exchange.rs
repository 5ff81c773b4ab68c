//! XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B (SDM Vol. 1, 5.1.1).

use iced_x86::Mnemonic;
use lyrebird_isa::{Bin, Cc, Emit, FlagOp, Helper, MemOp, Rmw, Sem, Size, V128, Visitor};

use super::{Decoded, widths};
use crate::X86Cpu;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, size, width};
use crate::regs::{RAX, RBX, RCX, RDX};

/// XCHG of two registers.
#[derive(Clone, Copy, Debug)]
pub struct XchgRr<const W: u8> {
    a: Gpr,
    b: Gpr,
}

impl<const W: u8> Sem<X86Cpu> for XchgRr<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (self.a.get::<W, E>(e), self.b.get::<W, E>(e));
        self.a.set::<W, E>(e, b);
        self.b.set::<W, E>(e, a);
        Ok(())
    }
}

/// XCHG with memory: always locked (SDM Vol. 2, XCHG).
#[derive(Clone, Copy, Debug)]
pub struct XchgMem<const W: u8> {
    m: Mem,
}

impl<const W: u8> Sem<X86Cpu> for XchgMem<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, size(W).bytes(), true)?;
        let new = self.m.reg.get::<W, E>(e);
        let old = e.rmw(Rmw::Swp, MemOp::new(size(W)), va, new)?;
        self.m.reg.set::<W, E>(e, old);
        Ok(())
    }
}

/// XADD.
#[derive(Clone, Copy, Debug)]
pub struct Xadd<const W: u8, const MEM: bool, const LOCK: bool> {
    m: Mem,
}

impl<const W: u8, const MEM: bool, const LOCK: bool> Sem<X86Cpu> for Xadd<W, MEM, LOCK> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let b = self.m.reg.get::<W, E>(e);
        let m = MemOp::new(size(W));
        let a = if MEM {
            let va = self.m.linear(e, size(W).bytes(), true)?;
            if LOCK {
                e.rmw(Rmw::Add, m, va, b)?
            } else {
                let a = e.load(m.update(), va)?;
                let r = e.bin(Bin::Add, width(W), a, b);
                e.store(m, va, r)?;
                a
            }
        } else {
            self.m.reg2.get::<W, E>(e)
        };
        e.set_flags(FlagOp::AddX86, width(W), a, b);
        let r = e.bin(Bin::Add, width(W), a, b);
        self.m.reg.set::<W, E>(e, a);
        if !MEM {
            self.m.reg2.set::<W, E>(e, r);
        }
        Ok(())
    }
}

/// CMPXCHG. Memory is written in any case (SDM Vol. 2, CMPXCHG).
#[derive(Clone, Copy, Debug)]
pub struct Cmpxchg<const W: u8, const MEM: bool, const LOCK: bool> {
    m: Mem,
}

impl<const W: u8, const MEM: bool, const LOCK: bool> Sem<X86Cpu> for Cmpxchg<W, MEM, LOCK> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let accumulator = Gpr(RAX.0);
        let (a, new) = (accumulator.get::<W, E>(e), self.m.reg.get::<W, E>(e));
        let m = MemOp::new(size(W));
        let old = if !MEM {
            self.m.reg2.get::<W, E>(e)
        } else {
            let va = self.m.linear(e, size(W).bytes(), true)?;
            if LOCK {
                e.cas(m, va, a, new)?
            } else {
                let old = e.load(m.update(), va)?;
                let same = e.cmp(Cc::Eq, width(W), a, old);
                let v = e.select(same, new, old);
                e.store(m, va, v)?;
                old
            }
        };
        e.set_flags(FlagOp::Sub, width(W), a, old);
        let same = e.cmp(Cc::Eq, width(W), a, old);
        if !MEM {
            // A destination that stays keeps its upper half too.
            let d = self.m.reg2;
            let before = e.reg(d.reg());
            d.set::<W, E>(e, new);
            let after = e.reg(d.reg());
            let v = e.select(same, after, before);
            e.set_reg(d.reg(), v);
        }
        // RAX is written only where they differ: a 32-bit one then loses its upper half.
        let whole = e.reg(RAX);
        accumulator.set::<W, E>(e, old);
        let written = e.reg(RAX);
        let rax = e.select(same, whole, written);
        e.set_reg(RAX, rax);
        Ok(())
    }
}

/// CMPXCHG8B and CMPXCHG16B: whether the operand at `va` was EDX:EAX, in ZF.
extern "C" fn exchange_pair(cpu: &mut X86Cpu, va: u64, wide: u64, _: u64) -> u64 {
    use lyrebird_isa::Cpu;
    let [a, b, c, d] = [RAX, RBX, RCX, RDX].map(|r| cpu.core.reg(r));
    let same = if wide != 0 {
        if va & 15 != 0 {
            // Not naturally aligned: #GP (SDM Vol. 2, CMPXCHG16B).
            cpu.raise_gp(0);
            return 0;
        }
        if cpu.must_be_alone(va, 16) {
            return 0;
        }
        let (expected, new) = (V128([a, d]), V128([b, c]));
        let r = cpu.mmu.cas128(&mut cpu.core, &cpu.paging, va, MemOp::new(Size::B16), expected, new);
        let old = cpu.completed(r);
        if cpu.core.fault != 0 {
            return 0;
        }
        if old != expected {
            cpu.core.set_reg(RAX, old.0[0]);
            cpu.core.set_reg(RDX, old.0[1]);
        }
        old == expected
    } else {
        let pair = |lo: u64, hi: u64| lo & 0xffff_ffff | hi << 32;
        let expected = pair(a, d);
        let old = cpu.cas(va, MemOp::new(Size::B8), expected, pair(b, c));
        if cpu.core.fault != 0 {
            return 0;
        }
        if old != expected {
            cpu.core.set_reg(RAX, old & 0xffff_ffff);
            cpu.core.set_reg(RDX, old >> 32);
        }
        old == expected
    };
    use lyrebird_isa::flags::Z;
    let word = cpu.core.nzcv() & !Z | cpu.core.aux_flags() | if same { Z } else { 0 };
    cpu.core.set_nzcv(word);
    0
}

/// CMPXCHG8B, CMPXCHG16B.
#[derive(Clone, Copy, Debug)]
pub struct CmpxchgPair {
    m: Mem,
    wide: bool,
}

impl Sem<X86Cpu> for CmpxchgPair {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, if self.wide { 16 } else { 8 }, true)?;
        let (wide, zero) = (e.imm(self.wide as u64), e.imm(0));
        e.call(Helper::cpu("exchange_pair", exchange_pair), [va, wide, zero])?;
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let operand = || x.operand(0).with(x.gpr(1));
    Ok(match x.mnemonic() {
        Mnemonic::Xchg => widths!(x.width(0) => |W| {
            if x.is_mem(0) {
                v.visit(XchgMem::<W> { m: x.mem().with(x.gpr(1)) })
            } else if x.is_mem(1) {
                v.visit(XchgMem::<W> { m: x.mem().with(x.gpr(0)) })
            } else {
                v.visit(XchgRr::<W> { a: x.gpr(0), b: x.gpr(1) })
            }
        }),
        Mnemonic::Xadd => widths!(x.width(0) => |W| match (x.is_mem(0), x.lock()) {
            (false, _) => v.visit(Xadd::<W, false, false> { m: operand() }),
            (true, false) => v.visit(Xadd::<W, true, false> { m: operand() }),
            (true, true) => v.visit(Xadd::<W, true, true> { m: operand() }),
        }),
        Mnemonic::Cmpxchg => widths!(x.width(0) => |W| match (x.is_mem(0), x.lock()) {
            (false, _) => v.visit(Cmpxchg::<W, false, false> { m: operand() }),
            (true, false) => v.visit(Cmpxchg::<W, true, false> { m: operand() }),
            (true, true) => v.visit(Cmpxchg::<W, true, true> { m: operand() }),
        }),
        Mnemonic::Cmpxchg8b => v.visit(CmpxchgPair { m: x.mem(), wide: false }),
        Mnemonic::Cmpxchg16b => v.visit(CmpxchgPair { m: x.mem(), wide: true }),
        _ => return Err(v),
    })
}

//! What is rare: BCD, flags by instruction, PUSHA, POPA, ENTER, XLAT, and instructions that do nothing here: NOPs,
//! fences, prefetches, cache line flushes.

use iced_x86::{Code, Mnemonic};
use lyrebird_isa::{Bin, Emit, Helper, HelperFn, MemOp, Sem, Size, Term, Visitor, Width};

use super::{Decoded, flags};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Fault, Outcome, vector};
use crate::operand::{Gpr, Mem, size, w};
use crate::regs::{FLAGS, RAX, RBP, RBX, RSP, rflags};
use crate::sys::access::Stack;

/// An instruction that is all in a helper, which gets `arg`. `STORES`: it ends its block, since it may have changed
/// the code behind it.
#[derive(Clone, Copy, Debug)]
pub struct Rare<const STORES: bool> {
    f: HelperFn<X86Cpu>,
    arg: u64,
}

impl<const STORES: bool> Sem<X86Cpu> for Rare<STORES> {
    const TERM: Term = if STORES { Term::Sync } else { Term::None };

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (arg, zero) = (e.imm(self.arg), e.imm(0));
        e.call(Helper::cpu("rare", self.f), [arg, zero, zero])?;
        if STORES {
            e.sync_next();
        }
        Ok(())
    }
}

/// Nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nop;

impl Sem<X86Cpu> for Nop {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, _e: &mut E) -> Result<(), E::Fault> {
        Ok(())
    }
}

/// MFENCE, LFENCE, SFENCE.
#[derive(Clone, Copy, Debug)]
pub struct Fence;

impl Sem<X86Cpu> for Fence {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        e.fence();
        Ok(())
    }
}

/// CLFLUSH and its like: no cache is modelled, but the access is checked as a load (SDM Vol. 2, CLFLUSH).
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    m: Mem,
}

impl Sem<X86Cpu> for Flush {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let va = self.m.linear(e, 1, false)?;
        e.load(MemOp::new(Size::B1), va)?;
        Ok(())
    }
}

/// CLC, STC (`CF` 0, 1), CMC (2).
#[derive(Clone, Copy, Debug)]
pub struct Carry<const CF: u8>;

impl<const CF: u8> Sem<X86Cpu> for Carry<CF> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let cf = if CF == 2 {
            let (old, one) = (flags::cf(e), e.imm(1));
            e.bin(Bin::Xor, Width::W64, old, one)
        } else {
            e.imm(CF as u64)
        };
        flags::set_cf(e, cf);
        Ok(())
    }
}

/// CLD, STD.
#[derive(Clone, Copy, Debug)]
pub struct Direction<const DOWN: bool>;

impl<const DOWN: bool> Sem<X86Cpu> for Direction<DOWN> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = e.reg(FLAGS);
        let df = e.imm(rflags::DF);
        let v = e.bin(if DOWN { Bin::Or } else { Bin::Bic }, Width::W64, v, df);
        e.set_reg(FLAGS, v);
        Ok(())
    }
}

/// XLAT: AL from the byte at RBX + AL.
#[derive(Clone, Copy, Debug)]
pub struct Xlat {
    m: Mem,
}

impl Sem<X86Cpu> for Xlat {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let al = Gpr(RAX.0).get::<{ w::B }, E>(e);
        let va = self.m.linear_at(e, al, 1, false)?;
        let v = e.load(MemOp::new(Size::B1), va)?;
        Gpr(RAX.0).set::<{ w::B }, E>(e, v);
        Ok(())
    }
}

const LAHF_FLAGS: u64 = rflags::SF | rflags::ZF | rflags::AF | rflags::PF | rflags::CF;

extern "C" fn lahf(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    let ah = cpu.rflags() & LAHF_FLAGS | rflags::FIXED;
    let rax = cpu.core.reg(RAX) & !0xff00 | ah << 8;
    cpu.core.set_reg(RAX, rax);
    0
}

extern "C" fn sahf(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    let ah = cpu.core.reg(RAX) >> 8;
    let v = cpu.rflags() & !LAHF_FLAGS | ah & LAHF_FLAGS;
    cpu.set_rflags(v);
    0
}

/// SALC: AL from CF, undocumented and in every processor outside 64-bit mode.
extern "C" fn salc(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    let al = if cpu.rflags() & rflags::CF != 0 { 0xff } else { 0 };
    let rax = cpu.core.reg(RAX) & !0xff | al;
    cpu.core.set_reg(RAX, rax);
    0
}

/// The arithmetic flags of an 8-bit result, CF and AF as given, OF as it is.
fn bcd_flags(cpu: &mut X86Cpu, al: u8, cf: bool, af: bool) {
    let bit = |on: bool, f: u64| if on { f } else { 0 };
    let v = cpu.rflags() & !(rflags::ARITHMETIC & !rflags::OF)
        | bit(cf, rflags::CF)
        | bit(af, rflags::AF)
        | bit(al == 0, rflags::ZF)
        | bit(al & 0x80 != 0, rflags::SF)
        | bit(al.count_ones() & 1 == 0, rflags::PF);
    cpu.set_rflags(v);
}

/// DAA, DAS (`subtract`; SDM Vol. 2, DAA).
extern "C" fn decimal_adjust(cpu: &mut X86Cpu, subtract: u64, _: u64, _: u64) -> u64 {
    let (rax, f) = (cpu.core.reg(RAX), cpu.rflags());
    let old = rax as u8;
    let old_cf = f & rflags::CF != 0;
    let (mut al, mut cf) = (old, false);
    let by = |al: u8, n: u8| if subtract != 0 { al.overflowing_sub(n) } else { al.overflowing_add(n) };
    let af = old & 15 > 9 || f & rflags::AF != 0;
    if af {
        let (r, out) = by(al, 6);
        al = r;
        cf = old_cf || out;
    }
    if old > 0x99 || old_cf {
        al = by(al, 0x60).0;
        cf = true;
    }
    cpu.core.set_reg(RAX, rax & !0xff | al as u64);
    bcd_flags(cpu, al, cf, af);
    0
}

/// AAA, AAS (`subtract`; SDM Vol. 2, AAA).
extern "C" fn ascii_adjust(cpu: &mut X86Cpu, subtract: u64, _: u64, _: u64) -> u64 {
    let (rax, f) = (cpu.core.reg(RAX), cpu.rflags());
    let mut ax = rax as u16;
    let adjust = ax & 15 > 9 || f & rflags::AF != 0;
    if adjust {
        ax = if subtract != 0 { ax.wrapping_sub(0x106) } else { ax.wrapping_add(0x106) };
    }
    ax &= 0xff0f;
    cpu.core.set_reg(RAX, rax & !0xffff | ax as u64);
    bcd_flags(cpu, ax as u8, adjust, adjust);
    0
}

/// AAM: AL in base `base` to AH and AL.
extern "C" fn aam(cpu: &mut X86Cpu, base: u64, _: u64, _: u64) -> u64 {
    let rax = cpu.core.reg(RAX);
    let (al, base) = (rax as u8, base as u8);
    let Some(high) = al.checked_div(base) else {
        cpu.raise(Fault::plain(vector::DE));
        return 0;
    };
    let low = al % base;
    cpu.core.set_reg(RAX, rax & !0xffff | (high as u64) << 8 | low as u64);
    bcd_flags(cpu, low, false, false);
    0
}

/// AAD: the inverse.
extern "C" fn aad(cpu: &mut X86Cpu, base: u64, _: u64, _: u64) -> u64 {
    let rax = cpu.core.reg(RAX);
    let al = (rax as u8).wrapping_add(((rax >> 8) as u8).wrapping_mul(base as u8));
    cpu.core.set_reg(RAX, rax & !0xffff | al as u64);
    bcd_flags(cpu, al, false, false);
    0
}

impl X86Cpu {
    fn pusha(&mut self, s: Size) -> Outcome<()> {
        let mut stack = self.stack();
        for i in 0..8 {
            let v = self.core.regs[i];
            stack.push(self, s, v)?;
        }
        self.set_sp(&stack);
        Ok(())
    }

    fn popa(&mut self, s: Size) -> Outcome<()> {
        let mut stack = self.stack();
        let mut v = [0; 8];
        for v in v.iter_mut().rev() {
            *v = stack.pop(self, s)?;
        }
        // What is popped for SP is thrown away.
        let sp = self.core.reg(RSP);
        for (i, v) in v.iter().enumerate() {
            let old = self.core.regs[i];
            self.core.regs[i] = if s == Size::B2 { old & !0xffff | v } else { *v };
        }
        self.core.set_reg(RSP, sp);
        self.set_sp(&stack);
        Ok(())
    }

    /// ENTER (SDM Vol. 2, ENTER).
    fn enter(&mut self, s: Size, room: u64, level: u64) -> Outcome<()> {
        let bp = self.core.reg(RBP);
        let mut stack = self.stack();
        let outer = Stack { sp: bp, ..stack };
        stack.push(self, s, bp)?;
        let frame = stack.sp;
        for i in 1..level {
            let v = outer.moved(-((s.bytes() * i) as i64)).peek(self, s)?;
            stack.push(self, s, v)?;
        }
        if level > 0 {
            stack.push(self, s, frame)?;
        }
        // The top of the new frame must be writable; what was stored below RBP stays.
        let top = stack.moved(-(room as i64));
        top.check_write(self, s)?;
        let new_bp = match s {
            Size::B2 => bp & !0xffff | frame & 0xffff,
            Size::B4 => frame & 0xffff_ffff,
            _ => frame,
        };
        self.core.set_reg(RBP, new_bp);
        self.set_sp(&top);
        Ok(())
    }
}

extern "C" fn pusha(cpu: &mut X86Cpu, w: u64, _: u64, _: u64) -> u64 {
    let r = cpu.pusha(size(w as u8));
    cpu.settle(r);
    0
}

extern "C" fn popa(cpu: &mut X86Cpu, w: u64, _: u64, _: u64) -> u64 {
    let r = cpu.popa(size(w as u8));
    cpu.settle(r);
    0
}

extern "C" fn enter(cpu: &mut X86Cpu, what: u64, _: u64, _: u64) -> u64 {
    let r = cpu.enter(size(what as u8 & 3), what >> 16, what >> 8 & 31);
    cpu.settle(r);
    0
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let rare = |v: V, f: HelperFn<X86Cpu>, arg: u64| v.visit(Rare::<false> { f, arg });
    let stores = |v: V, f: HelperFn<X86Cpu>, arg: u64| v.visit(Rare::<true> { f, arg });
    Ok(match x.mnemonic() {
        Mnemonic::Nop | Mnemonic::Reservednop => v.visit(Nop),
        Mnemonic::Endbr64 | Mnemonic::Endbr32 | Mnemonic::Rdsspd | Mnemonic::Rdsspq => v.visit(Nop),
        Mnemonic::Prefetcht0
        | Mnemonic::Prefetcht1
        | Mnemonic::Prefetcht2
        | Mnemonic::Prefetchnta
        | Mnemonic::Prefetchw
        | Mnemonic::Prefetchwt1
        | Mnemonic::Prefetch => v.visit(Nop),
        Mnemonic::Mfence | Mnemonic::Lfence | Mnemonic::Sfence => v.visit(Fence),
        Mnemonic::Clflush if x.mode.has(Feature::Clfsh) => v.visit(Flush { m: x.mem() }),
        Mnemonic::Clflushopt if x.mode.has(Feature::Clflushopt) => v.visit(Flush { m: x.mem() }),
        Mnemonic::Clc => v.visit(Carry::<0>),
        Mnemonic::Stc => v.visit(Carry::<1>),
        Mnemonic::Cmc => v.visit(Carry::<2>),
        Mnemonic::Cld => v.visit(Direction::<false>),
        Mnemonic::Std => v.visit(Direction::<true>),
        Mnemonic::Xlatb => {
            let address = match x.i.memory_base().size() {
                8 => Width::W64,
                4 => Width::W32,
                _ => Width::W16,
            };
            let m = Mem::new(Some(RBX.0), None, 0, 0, address);
            let m = x.in_segment(m, crate::decode::seg(x.i.memory_segment()));
            v.visit(Xlat { m })
        }
        Mnemonic::Lahf => rare(v, lahf, 0),
        Mnemonic::Sahf => rare(v, sahf, 0),
        Mnemonic::Salc => rare(v, salc, 0),
        Mnemonic::Daa => rare(v, decimal_adjust, 0),
        Mnemonic::Das => rare(v, decimal_adjust, 1),
        Mnemonic::Aaa => rare(v, ascii_adjust, 0),
        Mnemonic::Aas => rare(v, ascii_adjust, 1),
        Mnemonic::Aam => rare(v, aam, x.imm(0)),
        Mnemonic::Aad => rare(v, aad, x.imm(0)),
        Mnemonic::Pusha => stores(v, pusha, w::W as u64),
        Mnemonic::Pushad => stores(v, pusha, w::D as u64),
        Mnemonic::Popa => rare(v, popa, w::W as u64),
        Mnemonic::Popad => rare(v, popa, w::D as u64),
        Mnemonic::Enter => {
            let w = match x.i.code() {
                Code::Enterw_imm16_imm8 => w::W,
                Code::Enterd_imm16_imm8 => w::D,
                _ => w::Q,
            };
            let arg = w as u64 | (x.i.immediate8_2nd() as u64 & 31) << 8 | (x.i.immediate16() as u64) << 16;
            stores(v, enter, arg)
        }
        _ => return Err(v),
    })
}

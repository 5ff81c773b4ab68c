//! BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT, BSWAP, MOVBE, CRC32 (SDM Vol. 1, 5.1.6 and 5.1.16).

use iced_x86::Mnemonic;
use lyrebird_isa::flags::{C, Z};
use lyrebird_isa::{Bin, Cc, Emit, FlagOp, Helper, MemOp, Rmw, Sem, Un, Visitor, Width};

use super::{Decoded, consts, flags, wide_widths, widths};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::operand::{Gpr, Mem, size, w, width};

mod op {
    pub const BT: u8 = 0;
    pub const BTS: u8 = 1;
    pub const BTR: u8 = 2;
    pub const BTC: u8 = 3;
}

/// The operand with the bit set, cleared or complemented.
#[inline(always)]
fn changed<const OP: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E, a: E::Val, mask: E::Val) -> E::Val {
    let how = match OP {
        op::BTS => Bin::Or,
        op::BTR => Bin::Bic,
        _ => Bin::Xor,
    };
    e.bin(how, Width::W64, a, mask)
}

/// Bit test of a register, or of memory by an immediate: the bit number is taken modulo the width.
#[derive(Clone, Copy, Debug)]
pub struct Test<const OP: u8, const W: u8, const MEM: bool> {
    /// Base `reg2` or memory; bit number in `reg`, or `n`.
    m: Mem,
    n: u8,
    /// Bits 0: the number is `n`; 1: LOCK; 2: the number selects beyond the operand.
    how: u8,
}

impl<const OP: u8, const W: u8, const MEM: bool> Sem<X86Cpu> for Test<OP, W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (q, bits) = (Width::W64, width(W).bits());
        let bytes = size(W).bytes();
        let number = if self.how & 1 != 0 { e.imm(self.n as u64) } else { self.m.reg.get::<W, E>(e) };
        let low = e.imm(bits as u64 - 1);
        let inside = e.bin(Bin::And, q, number, low);
        let one = e.imm(1);
        let mask = e.bin(Bin::Shl, q, one, inside);
        let m = MemOp::new(size(W));
        let (va, a) = if MEM {
            let at = if self.how & 4 != 0 {
                // A signed bit string offset (SDM Vol. 2, BT).
                let signed = e.sext(width(W), number);
                let n = e.imm(bits.trailing_zeros() as u64);
                let units = e.bin(Bin::Sar, q, signed, n);
                let n = e.imm(bytes.trailing_zeros() as u64);
                e.bin(Bin::Shl, q, units, n)
            } else {
                e.imm(0)
            };
            let va = self.m.linear_at(e, at, bytes, OP != op::BT)?;
            if self.how & 2 != 0 {
                let (rmw, by) = match OP {
                    op::BTS => (Rmw::Set, mask),
                    op::BTR => (Rmw::Clr, mask),
                    _ => (Rmw::Eor, mask),
                };
                (va, e.rmw(rmw, m, va, by)?)
            } else {
                (va, e.load(if OP == op::BT { m } else { m.update() }, va)?)
            }
        } else {
            (e.imm(0), self.m.reg2.get::<W, E>(e))
        };
        let cf = e.bin(Bin::Shr, q, a, inside);
        let cf = e.bin(Bin::And, q, cf, one);
        let r = changed::<OP, E>(e, a, mask);
        if MEM && OP != op::BT && self.how & 2 == 0 {
            e.store(m, va, r)?;
        }
        flags::set_cf(e, cf);
        if !MEM && OP != op::BT {
            self.m.reg2.set::<W, E>(e, r);
        }
        Ok(())
    }
}

/// What [`Count`] counts.
mod count {
    pub const BSF: u8 = 0;
    pub const BSR: u8 = 1;
    pub const TZCNT: u8 = 2;
    pub const LZCNT: u8 = 3;
    pub const POPCNT: u8 = 4;
}

/// BSF, BSR, TZCNT, LZCNT, POPCNT.
#[derive(Clone, Copy, Debug)]
pub struct Count<const OP: u8, const W: u8, const MEM: bool> {
    m: Mem,
}

impl<const OP: u8, const W: u8, const MEM: bool> Sem<X86Cpu> for Count<OP, W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (q, width) = (Width::W64, width(W));
        let a = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let zero = e.imm(0);
        let none = e.cmp(Cc::Eq, q, a, zero);
        let un = match OP {
            count::BSF | count::TZCNT => Un::Ctz,
            count::POPCNT => Un::Popcnt,
            _ => Un::Clz,
        };
        let mut r = e.un(un, width, a);
        match OP {
            count::BSF | count::BSR => {
                if OP == count::BSR {
                    let top = e.imm(width.bits() as u64 - 1);
                    r = e.bin(Bin::Sub, q, top, r);
                }
                // ZF from the source; the rest is undefined. The destination stays where the source is 0, all 64
                // bits of it.
                let d = self.m.reg;
                let old = e.reg(d.reg());
                d.set::<W, E>(e, r);
                let new = e.reg(d.reg());
                let v = e.select(none, old, new);
                e.set_reg(d.reg(), v);
                e.set_flags(FlagOp::Sub, width, a, zero);
                return Ok(());
            }
            count::POPCNT => {
                // All clear but ZF: C is the complement of CF, and PF's byte has one bit.
                let (if_zero, if_not) = (e.imm(Z | C | 1), e.imm(C | 1));
                let word = e.select(none, if_zero, if_not);
                e.set_nzcv(word);
            }
            _ => {
                let cf = e.bool_val(none);
                flags::set(e, width, r, cf, zero, zero);
            }
        }
        self.m.reg.set::<W, E>(e, r);
        Ok(())
    }
}

/// BSWAP. At 16 bits the result is undefined: 0, as processors give.
#[derive(Clone, Copy, Debug)]
pub struct Bswap<const W: u8> {
    d: Gpr,
}

impl<const W: u8> Sem<X86Cpu> for Bswap<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.d.get::<W, E>(e);
        let v = if W == w::W { e.imm(0) } else { e.un(Un::Bswap, width(W), v) };
        self.d.set::<W, E>(e, v);
        Ok(())
    }
}

/// MOVBE.
#[derive(Clone, Copy, Debug)]
pub struct Movbe<const W: u8, const STORE: bool> {
    m: Mem,
}

impl<const W: u8, const STORE: bool> Sem<X86Cpu> for Movbe<W, STORE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        if STORE {
            let v = self.m.reg.get::<W, E>(e);
            let v = e.un(Un::Bswap, width(W), v);
            return self.m.store::<W, E>(e, v);
        }
        let v = self.m.load::<W, E>(e)?;
        let v = e.un(Un::Bswap, width(W), v);
        self.m.reg.set::<W, E>(e, v);
        Ok(())
    }
}

/// CRC-32C of `bytes` bytes of `v` (SDM Vol. 2, CRC32).
extern "C" fn crc32c(_: &mut X86Cpu, crc: u64, v: u64, bytes: u64) -> u64 {
    let mut crc = crc as u32;
    for i in 0..bytes {
        crc ^= (v >> (8 * i)) as u32 & 0xff;
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 };
        }
    }
    crc as u64
}

/// CRC32.
#[derive(Clone, Copy, Debug)]
pub struct Crc32<const W: u8, const MEM: bool> {
    m: Mem,
}

impl<const W: u8, const MEM: bool> Sem<X86Cpu> for Crc32<W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = if MEM { self.m.load::<W, E>(e)? } else { self.m.reg2.get::<W, E>(e) };
        let crc = e.reg(self.m.reg.reg());
        let bytes = e.imm(size(W).bytes());
        let r = e.call(Helper::pure("crc32c", crc32c), [crc, v, bytes])?;
        e.set_reg(self.m.reg.reg(), r);
        Ok(())
    }
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let source = || x.operand(1).with(x.gpr(0));
    let test = match x.mnemonic() {
        Mnemonic::Bt => Some(op::BT),
        Mnemonic::Bts => Some(op::BTS),
        Mnemonic::Btr => Some(op::BTR),
        Mnemonic::Btc => Some(op::BTC),
        _ => None,
    };
    if let Some(op) = test {
        let imm = x.is_imm(1);
        let m = if imm { x.operand(0) } else { x.operand(0).with(x.gpr(1)) };
        let n = if imm { x.imm(1) as u8 } else { 0 };
        let how = imm as u8 | (x.lock() as u8) << 1 | ((x.is_mem(0) && !imm) as u8) << 2;
        return Ok(consts!(op, [0 1 2] 3 => |OP| wide_widths!(x.width(0) => |W| {
            if x.is_mem(0) {
                v.visit(Test::<OP, W, true> { m, n, how })
            } else {
                v.visit(Test::<OP, W, false> { m, n, how })
            }
        })));
    }
    let counted = match x.mnemonic() {
        Mnemonic::Bsf => Some(count::BSF),
        Mnemonic::Bsr => Some(count::BSR),
        // Without the extension F3 means nothing, and these are BSF and BSR.
        Mnemonic::Tzcnt => Some(if x.mode.has(Feature::Bmi1) { count::TZCNT } else { count::BSF }),
        Mnemonic::Lzcnt => Some(if x.mode.has(Feature::Lzcnt) { count::LZCNT } else { count::BSR }),
        Mnemonic::Popcnt if x.mode.has(Feature::Popcnt) => Some(count::POPCNT),
        _ => None,
    };
    if let Some(op) = counted {
        return Ok(consts!(op, [0 1 2 3] 4 => |OP| wide_widths!(x.reg_width(0) => |W| {
            if x.is_mem(1) {
                v.visit(Count::<OP, W, true> { m: source() })
            } else {
                v.visit(Count::<OP, W, false> { m: source() })
            }
        })));
    }
    Ok(match x.mnemonic() {
        Mnemonic::Bswap => wide_widths!(x.reg_width(0) => |W| v.visit(Bswap::<W> { d: x.gpr(0) })),
        Mnemonic::Movbe if x.mode.has(Feature::Movbe) => wide_widths!(x.mem_width() => |W| {
            if x.is_mem(0) {
                v.visit(Movbe::<W, true> { m: x.mem().with(x.gpr(1)) })
            } else {
                v.visit(Movbe::<W, false> { m: x.mem().with(x.gpr(0)) })
            }
        }),
        Mnemonic::Crc32 if x.mode.has(Feature::Sse42) => widths!(x.width(1) => |W| {
            if x.is_mem(1) {
                v.visit(Crc32::<W, true> { m: source() })
            } else {
                v.visit(Crc32::<W, false> { m: source() })
            }
        }),
        _ => return Err(v),
    })
}

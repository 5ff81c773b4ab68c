//! The six arithmetic flags (SDM Vol. 1, 3.4.3.1) where no lazy form fits.

use lyrebird_isa::flags::{A_CARRY, C, V, V_CARRY};
use lyrebird_isa::{Bin, Cc, Cond, Emit, FlagOp, Width};

use crate::X86Cpu;

/// The condition with the number that Jcc, SETcc and CMOVcc have in their opcode's low four bits, but for P and NP
/// (10 and 11). C of the engine is the complement of CF.
pub const fn cond(cc: u8) -> Cond {
    match cc & 15 {
        0 => Cond::Vs,
        1 => Cond::Vc,
        2 => Cond::Cc,
        3 => Cond::Cs,
        4 => Cond::Eq,
        5 => Cond::Ne,
        6 => Cond::Ls,
        7 => Cond::Hi,
        8 => Cond::Mi,
        9 => Cond::Pl,
        12 => Cond::Lt,
        13 => Cond::Ge,
        14 => Cond::Le,
        _ => Cond::Gt,
    }
}

/// Whether condition `CC` holds.
#[inline(always)]
pub fn holds<const CC: u8, E: Emit<Cpu = X86Cpu>>(e: &mut E) -> E::Bool {
    if CC & 14 != 10 {
        return e.cond(cond(CC));
    }
    let p = pf(e);
    let zero = e.imm(0);
    e.cmp(if CC == 10 { Cc::Ne } else { Cc::Eq }, Width::W64, p, zero)
}

/// CF, 0 or 1.
#[inline(always)]
pub fn cf<E: Emit<Cpu = X86Cpu>>(e: &mut E) -> E::Val {
    let c = e.cond(Cond::Cc);
    e.bool_val(c)
}

/// PF, 0 or 1.
#[inline(always)]
pub fn pf<E: Emit<Cpu = X86Cpu>>(e: &mut E) -> E::Val {
    let aux = e.aux_flags();
    let ones = e.un(lyrebird_isa::Un::Popcnt, Width::W8, aux);
    let one = e.imm(1);
    let odd = e.bin(Bin::And, Width::W64, ones, one);
    e.bin(Bin::Xor, Width::W64, odd, one)
}

/// What [`FlagOp::Result`] has beside the result: CF, OF and AF, 0 or 1 each.
#[inline(always)]
pub fn carries<E: Emit<Cpu = X86Cpu>>(e: &mut E, cf: E::Val, of: E::Val, af: E::Val) -> E::Val {
    // C is the complement of CF.
    let one = e.imm(1);
    let c = e.bin(Bin::Xor, Width::W64, cf, one);
    let others = carries_but_cf(e, of, af);
    e.bin(Bin::Or, Width::W64, c, others)
}

/// The same without CF.
#[inline(always)]
pub fn carries_but_cf<E: Emit<Cpu = X86Cpu>>(e: &mut E, of: E::Val, af: E::Val) -> E::Val {
    let [of, af] = [(of, V_CARRY), (af, A_CARRY)].map(|(bit, to)| {
        let to = e.imm(to.into());
        e.bin(Bin::Shl, Width::W64, bit, to)
    });
    e.bin(Bin::Or, Width::W64, of, af)
}

/// Sets ZF, SF and PF by the result `r` at a width, CF, OF and AF as given, 0 or 1 each.
#[inline(always)]
pub fn set<E: Emit<Cpu = X86Cpu>>(e: &mut E, w: Width, r: E::Val, cf: E::Val, of: E::Val, af: E::Val) {
    let b = carries(e, cf, of, af);
    e.set_flags(FlagOp::Result, w, r, b);
}

/// The whole raw flag word as it is.
#[inline(always)]
pub fn current<E: Emit<Cpu = X86Cpu>>(e: &mut E) -> E::Val {
    let (a, b) = (e.nzcv(), e.aux_flags());
    e.bin(Bin::Or, Width::W64, a, b)
}

/// Bit `n` of a value, as 0 or 1.
#[inline(always)]
pub fn bit<E: Emit<Cpu = X86Cpu>>(e: &mut E, v: E::Val, n: u32) -> E::Val {
    let n = e.imm(n as u64);
    let v = e.bin(Bin::Shr, Width::W64, v, n);
    let one = e.imm(1);
    e.bin(Bin::And, Width::W64, v, one)
}

/// Sets CF to 0 or 1 and leaves the other flags.
#[inline(always)]
pub fn set_cf<E: Emit<Cpu = X86Cpu>>(e: &mut E, cf: E::Val) {
    let old = current(e);
    let c = e.imm(C);
    let old = e.bin(Bin::Or, Width::W64, old, c);
    let to = e.imm(C.trailing_zeros() as u64);
    let cf = e.bin(Bin::Shl, Width::W64, cf, to);
    let word = e.bin(Bin::Xor, Width::W64, old, cf);
    e.set_nzcv(word);
}

/// Sets CF and OF to 0 or 1 and leaves the other flags.
#[inline(always)]
pub fn set_cf_of<E: Emit<Cpu = X86Cpu>>(e: &mut E, old: E::Val, cf: E::Val, of: E::Val) -> E::Val {
    let keep = e.imm(!(C | V));
    let old = e.bin(Bin::And, Width::W64, old, keep);
    let one = e.imm(1);
    let c = e.bin(Bin::Xor, Width::W64, cf, one);
    let (to_c, to_v) = (e.imm(C.trailing_zeros() as u64), e.imm(V.trailing_zeros() as u64));
    let c = e.bin(Bin::Shl, Width::W64, c, to_c);
    let v = e.bin(Bin::Shl, Width::W64, of, to_v);
    let word = e.bin(Bin::Or, Width::W64, old, c);
    e.bin(Bin::Or, Width::W64, word, v)
}

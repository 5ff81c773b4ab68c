//! Data processing, register (Arm ARM C4.1.95), and the flag manipulations of FEAT_FlagM.

pub mod add_sub;
pub mod carry;
pub mod cond;
pub mod crc32;
pub mod data1;
pub mod data2;
pub mod data3;
pub mod flagm;
pub mod logical;

use lyrebird_isa::{Bin, Emit, Reg, Width};

use crate::ArmCpu;
use crate::a64::word::Word;

/// Second operand taken as it is: its own form, for it is by far the most frequent.
const PLAIN: u8 = 0;
const LSL: u8 = 1;
const LSR: u8 = 2;
const ASR: u8 = 3;
const ROR: u8 = 4;

/// The second operand of a shifted-register form.
#[inline(always)]
fn shifted<const SF: bool, const SHIFT: u8, E: Emit<Cpu = ArmCpu>>(e: &mut E, m: Reg, amount: u8) -> E::Val {
    let v = e.reg(m);
    let op = match SHIFT {
        LSL => Bin::Shl,
        LSR => Bin::Shr,
        ASR => Bin::Sar,
        ROR => Bin::Ror,
        _ => return v,
    };
    let n = e.imm(amount as u64);
    e.bin(op, Width::sf(SF), v, n)
}

/// Shift kind and amount of a shifted-register form; none where a 32-bit form shifts by 32 or more.
fn shift_field(w: Word) -> Option<(u8, u8)> {
    let amount = w.bits(10, 6) as u8;
    if !w.sf() && amount >= 32 {
        None
    } else if amount == 0 {
        Some((PLAIN, 0))
    } else {
        Some((LSL + w.bits(22, 2) as u8, amount))
    }
}

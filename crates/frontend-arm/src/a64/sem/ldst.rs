//! Loads and stores of general registers (Arm ARM C4.1.94).

pub mod pair;
pub mod reg;

use lyrebird_isa::{Emit, MemOp, Reg, Size, Width};

use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::word::Word;

/// The kind of a single-register access, as `opc:size`. `opc` is 0 for a store, 1 for a load that zero-extends,
/// 2 for one that sign-extends to 64 bits, 3 to 32 bits.
pub(super) const fn kind(w: Word) -> u8 {
    (w.bits(22, 2) << 2 | w.bits(30, 2)) as u8
}

/// Rt of an access of kind `kind`: a source for stores, a destination for loads.
pub(super) const fn transfer(w: Word) -> Reg {
    if w.bits(22, 2) == 0 { w.rt_src() } else { regs::x_dst(w.d()) }
}

/// The access that a kind makes.
#[inline(always)]
pub(super) const fn mem_op<const KIND: u8>() -> MemOp {
    MemOp::new(Size::from_log2((KIND & 3) as u32))
}

/// Loads `t` from `va`, or stores it there.
#[inline(always)]
pub(super) fn access<const KIND: u8, E: Emit<Cpu = ArmCpu>>(
    e: &mut E,
    m: MemOp,
    t: Reg,
    va: E::Val,
) -> Result<(), E::Fault> {
    if KIND >> 2 == 0 {
        let v = e.reg(t);
        return e.store(m, va, v);
    }
    let mut v = e.load(m, va)?;
    if KIND >> 2 >= 2 {
        v = e.sext(m.size.width(), v);
    }
    if KIND >> 2 == 3 {
        v = e.zext(Width::W32, v);
    }
    e.set_reg(t, v);
    Ok(())
}

/// Turns the kind of an access into a const generic: `kinds!(w => |KIND| expr, else other)`. `other` is for
/// the combinations of size and `opc` that no load or store has.
macro_rules! kinds {
    ($w:expr => |$K:ident| $e:expr, else $other:expr) => {
        $crate::a64::sem::ldst::kinds!(@ $w, $K, $e, $other, 0 1 2 3 4 5 6 7 8 9 10 12 13)
    };
    (@ $w:expr, $K:ident, $e:expr, $other:expr, $($n:literal)*) => {
        match $crate::a64::sem::ldst::kind($w) {
            $($n => { const $K: u8 = $n; $e })*
            _ => $other,
        }
    };
}
pub(super) use kinds;

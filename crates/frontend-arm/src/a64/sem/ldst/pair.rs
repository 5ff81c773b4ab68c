//! Loads and stores of register pairs: LDP, LDPSW, STP and the non-temporal LDNP, STNP, whose hint is ignored.
//!
//! CONSTRAINED UNPREDICTABLE overlaps end as in QEMU: of two equal destinations the first element wins, and a
//! base that is written back wins over both.

use lyrebird_isa::{Emit, MemOp, Reg, Sem, Size, Visitor, Width};

use crate::ArmCpu;
use crate::a64::regs;
use crate::a64::sem::flags;
use crate::a64::word::Word;

const OFFSET: u8 = 0;
const POST: u8 = 1;
const PRE: u8 = 2;

/// STP, STNP.
#[derive(Clone, Copy, Debug)]
pub struct StorePair<const SF: bool, const MODE: u8> {
    t: Reg,
    t2: Reg,
    n: Reg,
    offset: i16,
}

impl<const SF: bool, const MODE: u8> Sem<ArmCpu> for StorePair<SF, MODE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = MemOp::new(if SF { Size::B8 } else { Size::B4 });
        let base = e.reg(self.n);
        let moved = e.add_imm(base, self.offset as i64 as u64);
        let (lo, hi) = (e.reg(self.t), e.reg(self.t2));
        e.store_pair(m, if MODE == POST { base } else { moved }, lo, hi)?;
        if MODE != OFFSET {
            e.set_reg(self.n, moved);
        }
        Ok(())
    }
}

/// LDP, LDNP, and with `SIGNED` LDPSW.
#[derive(Clone, Copy, Debug)]
pub struct LoadPair<const SF: bool, const SIGNED: bool, const MODE: u8> {
    t: Reg,
    t2: Reg,
    n: Reg,
    offset: i16,
}

impl<const SF: bool, const SIGNED: bool, const MODE: u8> Sem<ArmCpu> for LoadPair<SF, SIGNED, MODE> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let m = MemOp::new(if SF { Size::B8 } else { Size::B4 });
        let base = e.reg(self.n);
        let moved = e.add_imm(base, self.offset as i64 as u64);
        let (mut lo, mut hi) = e.load_pair(m, if MODE == POST { base } else { moved })?;
        if SIGNED {
            lo = e.sext(Width::W32, lo);
            hi = e.sext(Width::W32, hi);
        }
        e.set_reg(self.t2, hi);
        e.set_reg(self.t, lo);
        if MODE != OFFSET {
            e.set_reg(self.n, moved);
        }
        Ok(())
    }
}

fn pair<const MODE: u8, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    let (sf, signed, n) = (w.bit(31), w.bit(30), w.rn_sp());
    let offset = (w.sbits(15, 7) << if sf { 3 } else { 2 }) as i16;
    if w.bit(22) {
        let (t, t2) = (w.rd(), regs::x_dst(w.a()));
        if signed {
            return v.visit(LoadPair::<false, true, MODE> { t, t2, n, offset });
        }
        return flags!(sf => |SF| v.visit(LoadPair::<SF, false, MODE> { t, t2, n, offset }));
    }
    let (t, t2) = (w.rt_src(), w.ra());
    flags!(sf => |SF| v.visit(StorePair::<SF, MODE> { t, t2, n, offset }))
}

/// Constructor for the forms with an offset.
pub fn offset<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    pair::<OFFSET, V>(w, v)
}

/// Constructor for the post-indexed forms.
pub fn post<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    pair::<POST, V>(w, v)
}

/// Constructor for the pre-indexed forms.
pub fn pre<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    pair::<PRE, V>(w, v)
}

//! Data processing (2 source): division and shifts by a register.

use lyrebird_isa::{Bin, Emit, Reg, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::word::Word;

const UDIV: u8 = 0;
const SDIV: u8 = 1;
const LSLV: u8 = 2;
const LSRV: u8 = 3;
const ASRV: u8 = 4;
const RORV: u8 = 5;

/// UDIV, SDIV (0 for a zero divisor, MIN for MIN / -1), LSLV, LSRV, ASRV, RORV (amount modulo the width).
/// These are the total operations of [`Bin`] as they stand.
#[derive(Clone, Copy, Debug)]
pub struct Data2<const SF: bool, const OP: u8> {
    d: Reg,
    n: Reg,
    m: Reg,
}

impl<const SF: bool, const OP: u8> Sem<ArmCpu> for Data2<SF, OP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (a, b) = (e.reg(self.n), e.reg(self.m));
        let op = match OP {
            UDIV => Bin::Udiv,
            SDIV => Bin::Sdiv,
            LSLV => Bin::Shl,
            LSRV => Bin::Shr,
            ASRV => Bin::Sar,
            _ => Bin::Ror,
        };
        let r = e.bin(op, Width::sf(SF), a, b);
        e.set_reg(self.d, r);
        Ok(())
    }
}

fn data2<const OP: u8, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    let (d, n, m) = (w.rd(), w.rn(), w.rm());
    flags!(w.sf() => |SF| v.visit(Data2::<SF, OP> { d, n, m }))
}

/// Constructor for UDIV.
pub fn udiv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data2::<UDIV, V>(w, v)
}

/// Constructor for SDIV.
pub fn sdiv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data2::<SDIV, V>(w, v)
}

/// Constructor for LSLV.
pub fn lslv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data2::<LSLV, V>(w, v)
}

/// Constructor for LSRV.
pub fn lsrv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data2::<LSRV, V>(w, v)
}

/// Constructor for ASRV.
pub fn asrv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data2::<ASRV, V>(w, v)
}

/// Constructor for RORV.
pub fn rorv<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data2::<RORV, V>(w, v)
}

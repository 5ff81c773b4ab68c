//! Data processing (1 source): bit and byte reversal, counting.

use lyrebird_isa::{Bin, Emit, Reg, Sem, Un, Visitor, Width};

use crate::ArmCpu;
use crate::a64::sem::flags;
use crate::a64::word::Word;

const RBIT: u8 = 0;
const REV: u8 = 1;
const REV16: u8 = 2;
const REV32: u8 = 3;
const CLZ: u8 = 4;
const CLS: u8 = 5;

/// RBIT, REV, REV16, REV32, CLZ, CLS.
#[derive(Clone, Copy, Debug)]
pub struct Data1<const SF: bool, const OP: u8> {
    d: Reg,
    n: Reg,
}

impl<const SF: bool, const OP: u8> Sem<ArmCpu> for Data1<SF, OP> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let w = Width::sf(SF);
        let a = e.reg(self.n);
        let r = match OP {
            RBIT => e.un(Un::Rbit, w, a),
            REV => e.un(Un::Bswap, w, a),
            REV16 => {
                let (eight, even) = (e.imm(8), e.imm(0x00ff_00ff_00ff_00ff));
                let hi = e.bin(Bin::Shr, w, a, eight);
                let hi = e.bin(Bin::And, w, hi, even);
                let lo = e.bin(Bin::And, w, a, even);
                let lo = e.bin(Bin::Shl, w, lo, eight);
                e.bin(Bin::Or, w, hi, lo)
            }
            REV32 => {
                let half = e.imm(32);
                let swapped = e.un(Un::Bswap, w, a);
                e.bin(Bin::Ror, w, swapped, half)
            }
            CLZ => e.un(Un::Clz, w, a),
            _ => {
                // Bit i of the difference: bits i and i + 1 differ. Its top bit is always clear, which is the
                // sign bit itself that the count leaves out.
                let one = e.imm(1);
                let s = e.bin(Bin::Sar, w, a, one);
                let diff = e.bin(Bin::Xor, w, a, s);
                let n = e.un(Un::Clz, w, diff);
                e.bin(Bin::Sub, w, n, one)
            }
        };
        e.set_reg(self.d, r);
        Ok(())
    }
}

fn data1<const OP: u8, V: Visitor<ArmCpu>>(w: Word, v: V) -> V::Out {
    let (d, n) = (w.rd(), w.rn());
    flags!(w.sf() => |SF| v.visit(Data1::<SF, OP> { d, n }))
}

/// Constructor for RBIT.
pub fn rbit<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data1::<RBIT, V>(w, v)
}

/// Constructor for REV.
pub fn rev<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data1::<REV, V>(w, v)
}

/// Constructor for REV16.
pub fn rev16<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data1::<REV16, V>(w, v)
}

/// Constructor for REV32, which exists with 64 bits only.
pub fn rev32<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Data1::<true, REV32> { d: w.rd(), n: w.rn() })
}

/// Constructor for CLZ.
pub fn clz<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data1::<CLZ, V>(w, v)
}

/// Constructor for CLS.
pub fn cls<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    data1::<CLS, V>(w, v)
}

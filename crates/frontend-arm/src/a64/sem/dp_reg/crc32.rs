//! CRC32 (ISO 3309 polynomial) and CRC32C (Castagnoli), FEAT_CRC32.

use lyrebird_isa::{Emit, Helper, Reg, Sem, Visitor, Width};

use crate::ArmCpu;
use crate::a64::word::Word;

/// 0x04C11DB7, bit-reversed.
const POLY_CRC32: u32 = 0xedb8_8320;
/// 0x1EDC6F41, bit-reversed.
const POLY_CRC32C: u32 = 0x82f6_3b78;

const fn table(poly: u32) -> [u32; 256] {
    let mut t = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { poly } else { 0 };
            bit += 1;
        }
        t[i] = crc;
        i += 1;
    }
    t
}

static CRC32: [u32; 256] = table(POLY_CRC32);
static CRC32C: [u32; 256] = table(POLY_CRC32C);

fn update(table: &[u32; 256], acc: u32, data: u64, bytes: u64) -> u64 {
    let mut crc = acc;
    for byte in data.to_le_bytes().into_iter().take(bytes as usize) {
        crc = crc >> 8 ^ table[((crc ^ byte as u32) & 0xff) as usize];
    }
    crc as u64
}

extern "C" fn crc32_bytes(_: &mut ArmCpu, acc: u64, data: u64, bytes: u64) -> u64 {
    update(&CRC32, acc as u32, data, bytes)
}

extern "C" fn crc32c_bytes(_: &mut ArmCpu, acc: u64, data: u64, bytes: u64) -> u64 {
    update(&CRC32C, acc as u32, data, bytes)
}

/// CRC32B to CRC32X and CRC32CB to CRC32CX.
#[derive(Clone, Copy, Debug)]
pub struct Crc<const CASTAGNOLI: bool> {
    d: Reg,
    n: Reg,
    m: Reg,
    bytes: u8,
}

impl<const CASTAGNOLI: bool> Sem<ArmCpu> for Crc<CASTAGNOLI> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = ArmCpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (acc, data, bytes) = (e.reg(self.n), e.reg(self.m), e.imm(self.bytes as u64));
        let helper = if CASTAGNOLI {
            Helper::pure("crc32c", crc32c_bytes)
        } else {
            Helper::pure("crc32", crc32_bytes)
        };
        let r = e.call(helper, [acc, data, bytes])?;
        let r = e.zext(Width::W32, r);
        e.set_reg(self.d, r);
        Ok(())
    }
}

/// Constructor for CRC32B, CRC32H, CRC32W, CRC32X.
pub fn crc32<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Crc::<false> { d: w.rd(), n: w.rn(), m: w.rm(), bytes: 1 << w.bits(10, 2) })
}

/// Constructor for CRC32CB, CRC32CH, CRC32CW, CRC32CX.
pub fn crc32c<V: Visitor<ArmCpu>>(w: Word, _pc: u64, v: V) -> V::Out {
    v.visit(Crc::<true> { d: w.rd(), n: w.rn(), m: w.rm(), bytes: 1 << w.bits(10, 2) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue: the CRC of "123456789", inverted before and after.
    #[test]
    fn check_values() {
        let crc = |t| {
            let a = update(t, u32::MAX, u64::from_le_bytes(*b"12345678"), 8) as u32;
            !(update(t, a, b'9' as u64, 1) as u32)
        };
        assert_eq!(crc(&CRC32), 0xcbf4_3926);
        assert_eq!(crc(&CRC32C), 0xe306_9283);
    }
}

//! The bitmask immediates of the logical instructions.

use lyrebird_isa::Width;

/// `DecodeBitMasks` (Arm ARM, shared pseudocode) for a logical immediate: the value that `N:immr:imms` stands for at width
/// `w` (32 or 64 bits), or none where the encoding is reserved.
///
/// An element of 2, 4, … 64 bits holds a run of ones, rotated right by `immr`, and is repeated to fill the
/// register. The element size is where the first 0 stands in `N:NOT(imms)` seen as a prefix code.
pub fn decode(w: Width, n: bool, immr: u32, imms: u32) -> Option<u64> {
    let code = (n as u32) << 6 | !imms & 0x3f;
    let log2 = code.checked_ilog2()?;
    if log2 == 0 || (1 << log2) > w.bits() {
        return None;
    }
    let size = 1u32 << log2;
    let levels = size - 1;
    let (ones, rotate) = ((imms & levels) + 1, immr & levels);
    if ones == size {
        return None;
    }
    let element = (1u64 << ones) - 1;
    let mask = u64::MAX >> (64 - size);
    let rotated = if rotate == 0 { element } else { (element >> rotate | element << (size - rotate)) & mask };
    // Multiplying by ...0001_0001 repeats the element.
    Some(w.zext(rotated.wrapping_mul(u64::MAX / mask)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all(w: Width) -> HashSet<u64> {
        let mut seen = HashSet::new();
        for n in [false, true] {
            for immr in 0..64 {
                for imms in 0..64 {
                    seen.extend(decode(w, n, immr, imms));
                }
            }
        }
        seen
    }

    /// What a bitmask immediate is, said without its encoding: a value of some period of 2 to 64 bits, whose
    /// one period is a rotated run of ones, neither empty nor full.
    fn is_bitmask(v: u64) -> bool {
        v != 0 && v != u64::MAX && (v ^ v.rotate_right(1)).count_ones() == 128 / period(v)
    }

    fn period(v: u64) -> u32 {
        (1..=6).map(|n| 1 << n).find(|&p| v.rotate_right(p) == v).unwrap_or(64)
    }

    #[test]
    fn all_5334_immediates_of_64_bits_decode() {
        // Sum of e * (e - 1) over the element sizes e = 2, 4, 8, 16, 32, 64.
        let seen = all(Width::W64);
        assert_eq!(seen.len(), 5334);
        assert!(seen.iter().all(|&v| is_bitmask(v)));
    }

    #[test]
    fn all_1302_immediates_of_32_bits_decode() {
        let seen = all(Width::W32);
        assert_eq!(seen.len(), 1302);
        assert!(seen.iter().all(|&v| v >> 32 == 0 && is_bitmask(v | v << 32)));
    }

    #[test]
    fn known_encodings() {
        assert_eq!(decode(Width::W64, false, 0, 0b111100), Some(0x5555_5555_5555_5555));
        assert_eq!(decode(Width::W64, true, 1, 0), Some(1 << 63));
        assert_eq!(decode(Width::W32, false, 28, 0b000111), Some(0xff0));
        assert_eq!(decode(Width::W32, true, 0, 0), None, "64-bit element in a 32-bit register");
        assert_eq!(decode(Width::W64, false, 0, 0b111110), None, "reserved element size");
        assert_eq!(decode(Width::W64, false, 0, 0b011111), None, "all ones");
    }
}

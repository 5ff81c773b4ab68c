//! The translation leaves that entries were made from.

use lyrebird_isa::state::PAGE_BITS;

/// The part of a virtual address that TLB maintenance looks at: a tag in the top byte is not compared, so that
/// every tagged alias goes with its page.
#[inline]
pub(super) fn untagged(va: u64) -> u64 {
    va & ((1 << 56) - 1)
}

/// Bloom filter over translation leaves, and which leaf sizes are in it. Never forgets one it was told of.
#[derive(Debug)]
pub(super) struct Leaves {
    sizes: u64,
    bits: [u64; 32],
}

impl Leaves {
    pub(super) const EMPTY: Leaves = Leaves { sizes: 0, bits: [0; 32] };

    fn hashes(va: u64, leaf_bits: u32) -> [usize; 2] {
        let h = ((untagged(va) >> leaf_bits) << 6 | u64::from(leaf_bits)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [(h >> 53) as usize, (h >> 42) as usize & 2047]
    }

    pub(super) fn insert(&mut self, va: u64, leaf_bits: u32) {
        self.sizes |= 1 << leaf_bits;
        for h in Leaves::hashes(va, leaf_bits) {
            if let Some(w) = self.bits.get_mut(h / 64) {
                *w |= 1 << (h % 64);
            }
        }
    }

    fn may_contain(&self, va: u64, leaf_bits: u32) -> bool {
        Leaves::hashes(va, leaf_bits)
            .iter()
            .all(|&h| self.bits.get(h / 64).is_some_and(|w| w & 1 << (h % 64) != 0))
    }

    /// Sizes above the TLB's page of leaves around `va` that may be in the filter, as log2.
    pub(super) fn large(&self, va: u64) -> impl Iterator<Item = u32> + '_ {
        let mut left = self.sizes & !(1 << PAGE_BITS);
        std::iter::from_fn(move || {
            let b = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (b < 64).then_some(b)
        })
        .filter(move |&b| self.may_contain(va, b))
    }

    pub(super) fn any(&self, va: u64) -> bool {
        self.sizes & 1 << PAGE_BITS != 0 && self.may_contain(va, PAGE_BITS) || self.large(va).next().is_some()
    }

    pub(super) fn clear(&mut self) {
        if self.sizes != 0 {
            *self = Leaves::EMPTY;
        }
    }
}

//! What a walk went through, for those who keep its outcome as long as the tables stay as they are.

use lyrebird_isa::Size;

/// The most levels that a format has.
pub const MAX_STEPS: usize = 5;

/// One translation-table entry that a walk read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Physical address of the entry.
    pub at: u64,
    /// Its number in its table: the index that the address gives.
    pub index: u64,
    /// log2 of the number of entries that the table has.
    pub bits: u8,
    /// log2 of the bytes of address space that the entry stands for.
    pub shift: u8,
    /// log2 of the size of the entry in bytes.
    pub size: u8,
    /// What the entry lets through, in bits of the format's own; those of all steps ANDed are what holds for the page.
    /// At most 12 bits.
    pub flags: u16,
}

/// The entries that a successful walk went through, from the root to the leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    steps: [Step; MAX_STEPS],
    len: usize,
}

impl Path {
    /// Without steps.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a step; beyond [`MAX_STEPS`] none.
    #[inline]
    pub fn push(&mut self, at: u64, index: u64, (bits, shift, size): (u32, u32, Size), flags: u16) {
        if let Some(s) = self.steps.get_mut(self.len) {
            *s = Step { at, index, bits: bits as u8, shift: shift as u8, size: size as u8, flags };
            self.len += 1;
        }
    }

    /// The steps. None where a walk was not written down.
    #[inline]
    pub fn steps(&self) -> &[Step] {
        self.steps.get(..self.len).unwrap_or(&[])
    }
}

//! Address spaces: what a front end says of the tables that its registers name.

use lyrebird_isa::Size;

/// Where walks of one range of addresses begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// Physical address of the table.
    pub table: u64,
    /// log2 of the number of its entries.
    pub bits: u8,
    /// log2 of the bytes of address space that an entry stands for.
    pub shift: u8,
    /// Size of an entry.
    pub size: Size,
    /// Bits of an address that are translated.
    pub low: u64,
    /// Bits of an address that are not looked at: a tag.
    pub ignored: u64,
    /// What the other bits must be; and the tag, in the canonical form of an address.
    pub top: u64,
}

impl Root {
    /// The canonical form of an address that belongs to the range.
    #[inline]
    pub(crate) fn canonical(&self, va: u64) -> Option<u64> {
        ((va ^ self.top) & !(self.low | self.ignored) == 0).then_some(va & self.low | self.top)
    }
}

/// An address space: everything that decides what its tables mean, and where they begin. Two equal ones are one, whatever
/// their ASIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceDesc {
    /// Control bits that change the meaning of table entries, in the front end's own order.
    pub meaning: [u64; 2],
    /// Which root an address has: the number made of the bits of this mask above this bit.
    pub split: (u8, u8),
    /// The roots.
    pub roots: [Option<Root>; 4],
}

impl SpaceDesc {
    #[inline]
    pub(crate) fn which(&self, va: u64) -> usize {
        ((va >> self.split.0) as u8 & self.split.1 & 3) as usize
    }

    pub(crate) fn hash(&self) -> u64 {
        let mix = |h: u64, v: u64| (h ^ v).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let roots = self.roots.iter().flatten();
        let h = self.meaning.iter().copied().fold(self.split.0.into(), mix);
        roots.fold(h, |h, r| mix(h, r.table ^ r.low << 1 ^ u64::from(r.shift)))
    }
}

/// How an [`crate::Mmu`] keeps translations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MmuMode {
    /// Every change of the address space empties the TLB. For comparison.
    Flush,
    /// TLB contexts by ASID; what misses them is walked for.
    Walk,
    /// Shadow page tables behind the TLB; the guest's tables are write-tracked.
    #[default]
    Shadow,
}

/// Settings of an [`crate::Mmu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmuConfig {
    /// How translations are kept.
    pub mode: MmuMode,
    /// Address spaces that are shadowed at a time, at least 2.
    pub spaces: usize,
    /// Entries of all shadow tables together, 8 bytes each; at least 64 Ki.
    pub entries: usize,
}

impl Default for MmuConfig {
    fn default() -> MmuConfig {
        MmuConfig { mode: MmuMode::default(), spaces: 512, entries: 2 << 20 }
    }
}

impl MmuConfig {
    /// The default limits, with a mode.
    pub fn of(mode: MmuMode) -> MmuConfig {
        MmuConfig { mode, ..MmuConfig::default() }
    }
}

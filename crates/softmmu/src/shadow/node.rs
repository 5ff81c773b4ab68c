//! The shadow of one table, and its entries.

use lyrebird_isa::state::{PAGE_BITS, PAGE_MASK};

use crate::walk::path::Step;

/// A shadow entry: empty, another shadow table, or a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u64);

const TABLE: u64 = 1 << 62;
const LEAF: u64 = 2 << 62;
const KIND: u64 = 3 << 62;
const PAGE_BITS_SHIFT: u32 = 56;
/// Code was fetched through the entry.
const FETCHED: u64 = 1 << 52;
const FRAME: u64 = ((1 << 52) - 1) & PAGE_MASK;
/// What the entry lets through ([`Step::flags`]).
pub(super) const FLAGS: u16 = 0xfff;

/// What an entry is.
pub(super) enum Kind {
    Empty,
    /// Number of a node.
    Table(u32),
    Leaf,
}

impl Slot {
    pub(super) const EMPTY: Slot = Slot(0);

    pub(super) fn table(node: u32, flags: u16) -> Slot {
        Slot(TABLE | u64::from(node) << PAGE_BITS | u64::from(flags & FLAGS))
    }

    pub(super) fn leaf(pa: u64, page_bits: u8, flags: u16) -> Slot {
        Slot(LEAF | u64::from(page_bits & 63) << PAGE_BITS_SHIFT | pa & FRAME | u64::from(flags & FLAGS))
    }

    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        match self.0 & KIND {
            TABLE => Kind::Table((self.0 >> PAGE_BITS) as u32),
            LEAF => Kind::Leaf,
            _ => Kind::Empty,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub(super) fn flags(self) -> u16 {
        self.0 as u16 & FLAGS
    }

    #[inline(always)]
    pub(super) fn frame(self) -> u64 {
        self.0 & FRAME
    }

    #[inline(always)]
    pub(super) fn page_bits(self) -> u8 {
        (self.0 >> PAGE_BITS_SHIFT) as u8 & 63
    }

    pub(super) fn fetched(self) -> bool {
        self.0 & FETCHED != 0 && matches!(self.kind(), Kind::Leaf)
    }

    pub(super) fn with_fetched(self) -> Slot {
        Slot(self.0 | FETCHED)
    }

    /// Whether what was made from this entry holds as well when `new` takes its place: it leads to the same place and
    /// lets the same or more through.
    pub(super) fn grows_into(self, new: Slot) -> bool {
        (self.0 ^ new.0) & !(FETCHED | u64::from(FLAGS)) == 0 && self.flags() & !new.flags() == 0
    }
}

/// What a node is the shadow of. The same table under another address, or read in another way, has another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeKey {
    /// Physical address of the table.
    pub(super) table: u64,
    /// First address that it translates.
    pub(super) base: u64,
    /// Number of the meaning of its entries.
    pub(super) meaning: u32,
    /// log2 of the bytes of address space that an entry stands for.
    pub(super) shift: u8,
    /// log2 of the number of entries.
    pub(super) bits: u8,
    /// log2 of the size of an entry.
    pub(super) size: u8,
}

impl NodeKey {
    /// Of the table that a step of a walk of `va` read.
    pub(super) fn of(step: &Step, va: u64, meaning: u32) -> NodeKey {
        let span = u32::from(step.shift) + u32::from(step.bits);
        NodeKey {
            table: step.at.wrapping_sub(step.index << step.size),
            base: if span < 64 { va & u64::MAX << span } else { 0 },
            meaning,
            shift: step.shift,
            bits: step.bits,
            size: step.size,
        }
    }

    /// Bytes of the table.
    pub(super) fn bytes(&self) -> u64 {
        1 << (self.bits + self.size)
    }

    /// The address that an entry stands for.
    pub(super) fn address(&self, index: usize) -> u64 {
        self.base | (index as u64) << self.shift
    }
}

/// From where a node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// An entry of a node.
    Entry(u32, u16),
    /// A root of an address space.
    Root(u16, u8),
}

/// The shadow of one table of the guest's.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: NodeKey,
    pub(super) slots: Box<[Slot]>,
    /// Entries that are not empty.
    pub(super) live: u32,
    /// All that leads here. Without, the node goes.
    pub(super) links: Vec<Link>,
    /// Code was fetched through it, or through what is below.
    pub(super) fetched: bool,
}

impl Node {
    pub(super) fn new(key: NodeKey) -> Node {
        Node {
            key,
            slots: vec![Slot::EMPTY; 1 << key.bits].into_boxed_slice(),
            live: 0,
            links: Vec::new(),
            fetched: false,
        }
    }

    #[inline(always)]
    pub(super) fn index(&self, va: u64) -> usize {
        (va >> self.key.shift) as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    pub(super) fn slot(&self, va: u64) -> Slot {
        self.slots.get(self.index(va)).copied().unwrap_or(Slot::EMPTY)
    }

    /// The entries that `len` bytes written at `pa` hit.
    pub(super) fn hit(&self, pa: u64, len: u64) -> std::ops::Range<usize> {
        let (table, end) = (self.key.table, self.key.table + self.key.bytes());
        let (lo, hi) = (pa.max(table), pa.saturating_add(len).min(end));
        if lo >= hi {
            return 0..0;
        }
        ((lo - table) >> self.key.size) as usize..((hi - 1 - table) >> self.key.size) as usize + 1
    }
}

//! Register maps: a chip declares its window once, and access widths are handled here, for all chips.
//!
//! Chips have 32-bit registers. An access of any width and alignment is cut into words; a register that cares
//! which bytes were written looks at [`Word::lanes`].

use std::sync::atomic::{AtomicU64, Ordering};

use lyrebird_isa::Size;

/// One stretch of a register window.
#[derive(Clone, Copy, Debug)]
pub struct Span<R> {
    id: Option<R>,
    bytes: u64,
}

/// The register `id`, or an array of its words, `bytes` long.
pub const fn reg<R>(id: R, bytes: u64) -> Span<R> {
    Span { id: Some(id), bytes }
}

/// Nothing for `bytes`: reads as zero, ignores writes, and is counted.
pub const fn reserved<R>(bytes: u64) -> Span<R> {
    Span { id: None, bytes }
}

/// The layout of a register window, in address order without gaps.
#[derive(Debug)]
pub struct RegMap<R, const N: usize> {
    spans: [Span<R>; N],
    start: [u64; N],
    size: u64,
}

/// A (part of a) word that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word; bytes that are not written are zero.
    pub value: u32,
    /// Ones in the bytes that are written.
    pub lanes: u32,
}

impl Word {
    /// `old` with the written bytes replaced.
    pub const fn merge(self, old: u32) -> u32 {
        (old & !self.lanes) | self.value
    }

    /// The written bytes with their index in the word.
    pub fn bytes(self) -> impl Iterator<Item = (usize, u8)> {
        let written = (0..4).filter(move |i| self.lanes >> (i * 8) & 0xff != 0);
        written.map(move |i| (i, (self.value >> (i * 8)) as u8))
    }
}

impl<R: Copy, const N: usize> RegMap<R, N> {
    /// A window of `size` bytes.
    ///
    /// # Panics
    /// When the spans do not sum up to `size`, or one is empty or not made of words. Maps are constants, so this
    /// is an error of the build.
    pub const fn new(size: u64, spans: [Span<R>; N]) -> RegMap<R, N> {
        let mut start = [0; N];
        let mut at = 0;
        let mut i = 0;
        while i < N {
            assert!(spans[i].bytes != 0 && spans[i].bytes.is_multiple_of(4), "a span is not made of words");
            start[i] = at;
            at += spans[i].bytes;
            i += 1;
        }
        assert!(at == size, "the spans do not sum up to the window");
        RegMap { spans, start, size }
    }

    /// Size of the window in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The register at `offset` and the index of the word within it.
    #[inline]
    pub fn find(&self, offset: u64) -> Option<(R, usize)> {
        if offset >= self.size {
            return None;
        }
        let i = self.start.partition_point(|&s| s <= offset) - 1;
        let id = self.spans[i].id?;
        Some((id, ((offset - self.start[i]) / 4) as usize))
    }

    /// Reads `size` bytes (16-byte accesses read the low 8) by calling `f(register, word index)` per word.
    #[inline]
    pub fn read(&self, stray: &Stray, offset: u64, size: Size, mut f: impl FnMut(R, usize) -> u32) -> u64 {
        let mut result = 0;
        for_each_word(offset, size, |at, lane, bytes, done| {
            let word = match self.find(at) {
                Some((id, index)) => f(id, index),
                None => stray.note(at),
            };
            result |= (u64::from(word) >> (lane * 8) & mask(bytes)) << (done * 8);
        });
        result
    }

    /// Writes `size` bytes of `value` by calling `f(register, word index, word)` per word.
    #[inline]
    pub fn write(
        &self,
        stray: &Stray,
        offset: u64,
        size: Size,
        value: u64,
        mut f: impl FnMut(R, usize, Word),
    ) {
        for_each_word(offset, size, |at, lane, bytes, done| {
            let lanes = mask(bytes) << (lane * 8);
            let value = (value >> (done * 8)) << (lane * 8) & lanes;
            let word = Word { value: value as u32, lanes: lanes as u32 };
            match self.find(at) {
                Some((id, index)) => f(id, index, word),
                None => {
                    stray.note(at);
                }
            }
        });
    }
}

/// A mask of `bytes` (1 to 4) bytes.
const fn mask(bytes: u64) -> u64 {
    (1 << (bytes * 8)) - 1
}

/// Calls `f(word offset, first byte in it, bytes of it, bytes done before)` for each word that is touched.
#[inline(always)]
fn for_each_word(offset: u64, size: Size, mut f: impl FnMut(u64, u64, u64, u64)) {
    let len = size.bytes().min(8);
    let mut done = 0;
    while done < len {
        let at = offset.wrapping_add(done);
        let lane = at & 3;
        let bytes = (4 - lane).min(len - done);
        f(at & !3, lane, bytes, done);
        done += bytes;
    }
}

/// Counts accesses to what a chip does not have: a guest's driver wants more than is there, or something else.
#[derive(Debug, Default)]
pub struct Stray {
    count: AtomicU64,
    last: AtomicU64,
}

impl Stray {
    /// None yet.
    pub const fn new() -> Stray {
        Stray { count: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// Counts one at `offset`; returns the zero that the guest reads.
    #[cold]
    pub fn note(&self, offset: u64) -> u32 {
        self.last.store(offset, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        0
    }

    /// How many words of reserved space were accessed.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Offset of the last one; meaningless while there was none.
    pub fn last_offset(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum R {
        A,
        B,
    }

    const MAP: RegMap<R, 3> = RegMap::new(0x20, [reg(R::A, 4), reserved(12), reg(R::B, 16)]);

    #[test]
    fn finds_registers_and_words_in_arrays() {
        assert_eq!(MAP.find(0), Some((R::A, 0)));
        assert_eq!(MAP.find(4), None);
        assert_eq!(MAP.find(0x10), Some((R::B, 0)));
        assert_eq!(MAP.find(0x1c), Some((R::B, 3)));
        assert_eq!(MAP.find(0x20), None);
        assert_eq!(MAP.find(u64::MAX), None);
    }

    #[test]
    fn cuts_accesses_into_words() {
        let stray = Stray::new();
        let word = |_, i: usize| 0x0302_0100 + 0x0404_0404 * i as u32;
        let read = |at, size| MAP.read(&stray, at, size, word);
        assert_eq!(read(0x10, Size::B4), 0x0302_0100);
        assert_eq!(read(0x13, Size::B1), 3);
        assert_eq!(read(0x12, Size::B2), 0x0302);
        assert_eq!(read(0x14, Size::B8), 0x0b0a_0908_0706_0504);
        assert_eq!(read(0x12, Size::B4), 0x0504_0302);
        assert_eq!(stray.count(), 0);
        assert_eq!(read(0x1c, Size::B8), 0x0f0e_0d0c);
        assert_eq!((stray.count(), stray.last_offset()), (1, 0x20));
    }

    #[test]
    fn writes_carry_their_lanes() {
        let stray = Stray::new();
        let mut got = Vec::new();
        MAP.write(&stray, 0x11, Size::B2, 0xffff_beef, |r, i, w| got.push((r, i, w)));
        MAP.write(&stray, 0x13, Size::B4, 0x4433_2211, |r, i, w| got.push((r, i, w)));
        assert_eq!(
            got,
            [
                (R::B, 0, Word { value: 0x00be_ef00, lanes: 0x00ff_ff00 }),
                (R::B, 0, Word { value: 0x1100_0000, lanes: 0xff00_0000 }),
                (R::B, 1, Word { value: 0x0044_3322, lanes: 0x00ff_ffff }),
            ]
        );
        assert_eq!(got[0].2.merge(0x1111_1111), 0x11be_ef11);
        assert_eq!(got[0].2.bytes().collect::<Vec<_>>(), [(1, 0xef), (2, 0xbe)]);
    }
}

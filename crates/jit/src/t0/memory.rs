//! [`OpMemory`]: where the operations of decoded blocks are.

use std::ptr::NonNull;

use crate::large::LargeMemory;

/// Bytes that are taken from the host at a time.
const CHUNK: usize = 8 << 20;

/// Pieces start at multiples of this many bytes: lines of the host's caches.
const LINE: usize = 64;

/// Memory for operations and trailers, close together and in large pages: code that is seldom executed waits for little
/// else than for its operations to come from memory.
#[derive(Debug, Default)]
pub struct OpMemory {
    chunks: Vec<LargeMemory>,
    /// What is left of the last chunk.
    rest: Option<(NonNull<u8>, usize)>,
    /// Pieces given back, by their length in lines.
    free: Vec<Vec<NonNull<u8>>>,
}

// SAFETY: it owns the memory behind its pointers.
unsafe impl Send for OpMemory {}

/// A piece of an [`OpMemory`], valid until it is given back or its memory is dropped.
#[derive(Debug)]
pub struct Piece {
    at: NonNull<u8>,
    lines: usize,
}

// SAFETY: nobody else reaches the memory behind it.
unsafe impl Send for Piece {}

impl Piece {
    /// Its first byte; aligned to 64.
    pub fn base(&self) -> *mut u8 {
        self.at.as_ptr()
    }
}

impl OpMemory {
    /// A piece of at least `bytes` bytes, at most those of a chunk, with anything in it.
    pub fn take(&mut self, bytes: usize) -> Piece {
        let lines = bytes.div_ceil(LINE);
        assert!(lines * LINE <= CHUNK, "a piece is part of a chunk");
        if let Some(at) = self.free.get_mut(lines).and_then(Vec::pop) {
            return Piece { at, lines };
        }
        let (at, left) = match self.rest {
            Some(rest) if rest.1 >= lines * LINE => rest,
            _ => (self.chunk(), CHUNK),
        };
        // SAFETY: that much is left of the chunk.
        let rest = unsafe { at.add(lines * LINE) };
        self.rest = Some((rest, left - lines * LINE));
        Piece { at, lines }
    }

    /// Takes a piece back.
    pub fn give_back(&mut self, piece: Piece) {
        if self.free.len() <= piece.lines {
            self.free.resize_with(piece.lines + 1, Vec::new);
        }
        self.free[piece.lines].push(piece.at);
    }

    fn chunk(&mut self) -> NonNull<u8> {
        let chunk = LargeMemory::new(CHUNK);
        let at = chunk.base();
        self.chunks.push(chunk);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_apart_and_come_again() {
        let mut m = OpMemory::default();
        let pieces: Vec<Piece> = (1..2000).map(|n| m.take(n)).collect();
        let mut at: Vec<(usize, usize)> = pieces.iter().map(|p| (p.base().addr(), p.lines * LINE)).collect();
        at.sort_unstable();
        assert!(at.iter().all(|(a, _)| a % LINE == 0));
        assert!(at.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0));
        for p in pieces {
            m.give_back(p);
        }
        let again = m.take(500).base().addr();
        assert!(at.contains(&(again, 512)));
        let many = CHUNK / 1024 + 1;
        for _ in 0..many {
            m.take(1024);
        }
        assert!(m.chunks.len() >= 2);
    }
}

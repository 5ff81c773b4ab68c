//! A bit per interrupt vector: IRR, ISR and TMR (SDM Vol. 3, 10.8.4).

use serde::{Deserialize, Serialize};

/// A set of interrupt vectors, laid out as the eight 32-bit registers that show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vectors([u32; 8]);

impl Vectors {
    pub fn get(&self, vector: u8) -> bool {
        self.0[usize::from(vector / 32)] >> (vector % 32) & 1 != 0
    }

    pub fn set(&mut self, vector: u8, on: bool) {
        let bit = 1 << (vector % 32);
        let word = &mut self.0[usize::from(vector / 32)];
        *word = if on { *word | bit } else { *word & !bit };
    }

    /// The vector of the highest priority.
    pub fn highest(&self) -> Option<u8> {
        let (i, word) = self.0.iter().enumerate().rev().find(|(_, w)| **w != 0)?;
        Some(i as u8 * 32 + word.ilog2() as u8)
    }

    /// The register with vectors `32 * i` to `32 * i + 31`; `i` above 7 is none.
    pub fn word(&self, i: u32) -> u32 {
        self.0.get(i as usize).copied().unwrap_or(0)
    }

    /// Vectors 0 to 15 are the processor's own and never in the set.
    pub fn sanitize(&mut self) {
        self.0[0] &= 0xffff_0000;
    }
}

//! The way by which guest code came to where it is, for reports of how a guest ended.
//!
//! Whatever ends a block writes the block's number to [`lyrebird_isa::Core::trail`], at the index of the budget that is
//! left then: one store, without a position to be kept. Since a block's length is known, the number tells where the one
//! before it wrote. Compiled code writes nothing while it runs; where it was entered and left is known.

use lyrebird_isa::Cpu;
use lyrebird_isa::state::{TRAIL, trail_index};

use super::Engine;
use crate::t0::BlockId;

/// Control went to another place than the next instruction: a branch, an exception or an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Address of the instruction it came from; of compiled code, where that was left.
    pub from: u64,
    /// Where it went.
    pub to: u64,
    /// It came out of compiled code.
    pub compiled: bool,
}

/// An entry of the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A block was executed to its end.
    Block(BlockId),
    /// A block was left in front of an instruction of it, by number, which faulted.
    Inside(BlockId, usize),
    /// The region that is entered at a block.
    Region(BlockId),
    /// A fault in no place that has a number.
    Fault,
}

impl Mark {
    const KIND: u32 = 30;
    const INDEX: u32 = 24;

    /// In the form of an entry: a block is its number.
    pub fn pack(self) -> u32 {
        let number = |id: BlockId| id.0 & ((1 << Mark::INDEX) - 1);
        match self {
            Mark::Block(id) => number(id),
            Mark::Inside(id, i) => 1 << Mark::KIND | (i as u32 & 63) << Mark::INDEX | number(id),
            Mark::Region(head) => 2 << Mark::KIND | number(head),
            Mark::Fault => u32::MAX,
        }
    }

    fn unpack(v: u32) -> Mark {
        let id = BlockId(v & ((1 << Mark::INDEX) - 1));
        match v >> Mark::KIND {
            0 => Mark::Block(id),
            1 => Mark::Inside(id, (v >> Mark::INDEX & 63) as usize),
            2 => Mark::Region(id),
            _ => Mark::Fault,
        }
    }
}

impl<C: Cpu> Engine<C> {
    /// The last jumps before the present program counter, at most so many, newest first. They end where a block was
    /// dropped, or [`TRAIL`] instructions back.
    pub fn last_jumps(&self, cpu: &C, most: usize) -> Vec<Jump> {
        let core = cpu.core();
        let (mut jumps, mut to, mut left) = (Vec::new(), core.pc, core.budget);
        let oldest = left.saturating_add(TRAIL as i64);
        while jumps.len() < most && left < oldest {
            let mark = Mark::unpack(core.trail[trail_index(left)]);
            let (Mark::Block(id) | Mark::Inside(id, _) | Mark::Region(id)) = mark else {
                left += 1;
                continue;
            };
            let Some(block) = self.cache.get(id) else { break };
            let at = |i: usize| block.offsets.get(i).map_or(to, |o| block.key.pc.wrapping_add(u64::from(*o)));
            let (from, next, before) = match mark {
                Mark::Inside(_, i) => (at(i), to, left + i as i64 + 1),
                Mark::Region(head) => {
                    let Some((entered, from)) = self.regions.at(head).map(|r| r.last()) else { break };
                    (from, from, entered)
                }
                _ => {
                    let n = block.len();
                    (at(n - 1), block.key.pc.wrapping_add(block.byte_len()), left + n as i64)
                }
            };
            if to != from && to != next {
                jumps.push(Jump { from, to, compiled: matches!(mark, Mark::Region(_)) });
            }
            if before <= left {
                break;
            }
            (to, left) = (block.key.pc, before);
        }
        jumps
    }
}

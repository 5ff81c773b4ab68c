//! A CPU interface's view of priorities: mask, binary points, running priority.

use serde::{Deserialize, Serialize};

use super::state::Candidate;

/// Running priority when no interrupt is active.
pub const IDLE_PRIORITY: u8 = 0xff;

/// What decides whether a pending interrupt preempts the CPU. Index 0 or 1 is the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuInterface {
    /// Priority mask (`PMR`): only what is below it is signalled.
    pub pmr: u8,
    /// Binary points. Group 1's is biased by one: its smallest value is one higher (IHI 0048B, 3.3.3).
    pub bpr: [u8; 2],
    /// Active priorities, one bit per group priority; bit 0 of word 0 is the most urgent.
    pub apr: [[u32; 4]; 2],
    /// Group enables of the CPU interface, a bit per group.
    pub groups: u32,
    /// `CTLR.CBPR`: group 1 uses group 0's binary point.
    pub cbpr: bool,
    /// `CTLR.EOImode`: a write to `EOIR` only drops the priority; `DIR` deactivates.
    pub eoi_mode: bool,
    /// Bits of group priority implemented, 5 to 7.
    preemption_bits: u8,
}

impl CpuInterface {
    /// The state after reset, with 2 to the `preemption_bits` (5 to 7) levels of preemption.
    pub fn new(preemption_bits: u8) -> CpuInterface {
        let min = 7 - preemption_bits;
        CpuInterface {
            pmr: 0,
            bpr: [min, min + 1],
            apr: [[0; 4]; 2],
            groups: 0,
            cbpr: false,
            eoi_mode: false,
            preemption_bits,
        }
    }

    /// How many words of active priorities there are.
    pub fn aprs(&self) -> usize {
        1 << (self.preemption_bits - 5)
    }

    /// Sets a group's binary point; values below the smallest set the smallest.
    pub fn set_bpr(&mut self, group: usize, value: u8) {
        self.bpr[group] = value.clamp(7 - self.preemption_bits + group as u8, 7);
    }

    /// Clears the subpriority from a priority of the group: binary point n leaves bits 7 to n + 1.
    fn group_priority(&self, priority: u8, group: usize) -> u8 {
        let bpr = if group == 1 && !self.cbpr { self.bpr[1] - 1 } else { self.bpr[0] };
        (u32::from(priority) & u32::MAX << (bpr + 1)) as u8
    }

    fn highest_active(&self) -> Option<u32> {
        (0..4).find_map(|i| {
            let word = self.apr[0][i] | self.apr[1][i];
            (word != 0).then(|| i as u32 * 32 + word.trailing_zeros())
        })
    }

    /// Group priority of the most urgent active interrupt, [`IDLE_PRIORITY`] if there is none.
    pub fn running_priority(&self) -> u8 {
        self.highest_active().map_or(IDLE_PRIORITY, |bit| (bit << (8 - self.preemption_bits)) as u8)
    }

    /// Group of the most urgent active interrupt; group 0 where both are equally urgent.
    pub fn running_group(&self) -> Option<usize> {
        let bit = self.highest_active()?;
        Some(usize::from(self.apr[0][bit as usize / 32] >> (bit % 32) & 1 == 0))
    }

    /// Whether the interrupt is to be signalled: it passes the mask, and its group priority is more urgent
    /// than the running one's (subpriorities do not preempt).
    pub fn can_preempt(&self, c: &Candidate) -> bool {
        if c.priority >= self.pmr {
            return false;
        }
        match self.running_priority() {
            IDLE_PRIORITY => true,
            running => self.group_priority(c.priority, c.group) < self.group_priority(running, c.group),
        }
    }

    /// The interrupt is taken: its group priority becomes active.
    pub fn activate(&mut self, c: &Candidate) {
        let bit = self.group_priority(c.priority, c.group) >> (8 - self.preemption_bits);
        self.apr[c.group][bit as usize / 32] |= 1 << (bit % 32);
    }

    /// Priority drop: the most urgent active priority of the group ends.
    pub fn drop_priority(&mut self, group: usize) {
        if let Some(word) = self.apr[group].iter_mut().find(|w| **w != 0) {
            *word &= *word - 1;
        }
    }

    /// Whether a decoded state is one that this interface could be in.
    pub fn is_sound(&self, like: &CpuInterface) -> bool {
        let min = 7 - like.preemption_bits;
        self.preemption_bits == like.preemption_bits
            && (min..8).contains(&self.bpr[0])
            && (min + 1..8).contains(&self.bpr[1])
            && self.apr.iter().all(|a| a[like.aprs()..].iter().all(|&w| w == 0))
    }
}

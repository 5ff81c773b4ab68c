//! What each interrupt is, in bitmaps, and which one a CPU should see.

use serde::{Deserialize, Serialize};

use crate::regmap::Word;

/// The registers with one bit per interrupt, common to both versions' distributors and to redistributors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitReg {
    /// `IGROUPR`.
    Group,
    /// `ISENABLER`.
    SetEnable,
    /// `ICENABLER`.
    ClearEnable,
    /// `ISPENDR`.
    SetPending,
    /// `ICPENDR`.
    ClearPending,
    /// `ISACTIVER`.
    SetActive,
    /// `ICACTIVER`.
    ClearActive,
}

/// 32 interrupts. Bit and index n belong to INTID `32 * bank + n`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bank {
    /// Forwarding enabled (`ISENABLER`).
    pub enabled: u32,
    /// Latched pending: an edge, or a write to `ISPENDR`.
    pub latch: u32,
    /// Taken and not yet deactivated.
    pub active: u32,
    /// Level of the input.
    pub level: u32,
    /// Edge-triggered (`ICFGR`) rather than level-sensitive.
    pub edge: u32,
    /// Group 1 rather than group 0 (`IGROUPR`).
    pub group: u32,
    /// Priorities; lower is more urgent.
    pub priority: [u8; 32],
}

impl Bank {
    /// Which are pending: the latch, and level-sensitive inputs while they are high (IHI 0048B, 4.1.4).
    #[inline]
    pub fn pending(&self) -> u32 {
        self.latch | (self.level & !self.edge)
    }

    /// An input changed or not; a rising edge is latched where the interrupt is edge-triggered.
    pub fn set_level(&mut self, n: u32, high: bool) {
        let bit = 1 << n;
        if high {
            self.latch |= bit & self.edge & !self.level;
            self.level |= bit;
        } else {
            self.level &= !bit;
        }
    }

    /// Pending to active, or to active and pending if a level-sensitive input is still high.
    fn activate(&mut self, n: u32) {
        self.latch &= !(1 << n);
        self.active |= 1 << n;
    }

    /// Reads a bit register.
    pub fn read_bits(&self, reg: BitReg) -> u32 {
        match reg {
            BitReg::Group => self.group,
            BitReg::SetEnable | BitReg::ClearEnable => self.enabled,
            BitReg::SetPending | BitReg::ClearPending => self.pending(),
            BitReg::SetActive | BitReg::ClearActive => self.active,
        }
    }

    /// Writes a bit register.
    pub fn write_bits(&mut self, reg: BitReg, word: Word) {
        match reg {
            BitReg::Group => self.group = word.merge(self.group),
            BitReg::SetEnable => self.enabled |= word.value,
            BitReg::ClearEnable => self.enabled &= !word.value,
            BitReg::SetPending => self.latch |= word.value,
            BitReg::ClearPending => self.latch &= !word.value,
            BitReg::SetActive => self.active |= word.value,
            BitReg::ClearActive => self.active &= !word.value,
        }
    }

    /// The four priorities in word `index` of `IPRIORITYR`, from 0 to 7.
    pub fn priority_word(&self, index: usize) -> u32 {
        (0..4).fold(0, |w, i| w | u32::from(self.priority[index * 4 + i]) << (i * 8))
    }

    /// Writes priorities; only the bits in `implemented` stick.
    pub fn write_priority(&mut self, index: usize, word: Word, implemented: u8) {
        for (i, byte) in word.bytes() {
            self.priority[index * 4 + i] = byte & implemented;
        }
    }

    /// Word `half` (0 or 1) of `ICFGR`: two bits per interrupt, the upper one for edge-triggered.
    pub fn config_word(&self, half: usize) -> u32 {
        (0..16).fold(0, |w, i| w | (self.edge >> (half * 16 + i) & 1) << (2 * i + 1))
    }

    /// Writes a word of `ICFGR`.
    pub fn write_config(&mut self, half: usize, word: Word) {
        let word = word.merge(self.config_word(half));
        let edge = (0..16).fold(0, |e, i| e | (word >> (2 * i + 1) & 1) << i);
        self.edge = self.edge & !(0xffff << (half * 16)) | edge << (half * 16);
    }
}

/// The interrupt a CPU should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its INTID.
    pub intid: u32,
    /// Its priority.
    pub priority: u8,
    /// Its group, 0 or 1.
    pub group: usize,
}

/// All interrupts of a controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupts {
    /// SGIs and PPIs, per CPU.
    pub private: Vec<Bank>,
    /// SPIs; the first bank has INTIDs 32 to 63.
    pub shared: Vec<Bank>,
    /// `routes[cpu][bank]`: the SPIs that `cpu` may take.
    pub routes: Vec<Vec<u32>>,
}

impl Interrupts {
    /// `interrupts` INTIDs (a multiple of 32) for `cpus` CPUs; SGIs are edge-triggered, all SPIs go to CPU 0.
    pub fn new(interrupts: usize, cpus: usize) -> Interrupts {
        let banks = interrupts / 32 - 1;
        let private = Bank { edge: 0xffff, ..Bank::default() };
        let mut routes = vec![vec![0; banks]; cpus];
        routes[0].fill(u32::MAX);
        Interrupts { private: vec![private; cpus], shared: vec![Bank::default(); banks], routes }
    }

    /// Number of INTIDs.
    pub fn count(&self) -> usize {
        (self.shared.len() + 1) * 32
    }

    /// Number of CPUs.
    pub fn cpus(&self) -> usize {
        self.private.len()
    }

    /// The bank that word `index` of a one-bit-per-interrupt register shows to `cpu`.
    pub fn bank(&self, cpu: usize, index: usize) -> Option<&Bank> {
        match index {
            0 => self.private.get(cpu),
            i => self.shared.get(i - 1),
        }
    }

    /// As [`Interrupts::bank`].
    pub fn bank_mut(&mut self, cpu: usize, index: usize) -> Option<&mut Bank> {
        match index {
            0 => self.private.get_mut(cpu),
            i => self.shared.get_mut(i - 1),
        }
    }

    /// The bank of SPIs in word `index` of a one-bit-per-interrupt register; the first word's are private.
    pub fn shared_mut(&mut self, index: usize) -> Option<&mut Bank> {
        self.shared.get_mut(index.wrapping_sub(1))
    }

    /// The most urgent interrupt that is enabled, pending, not active, routed to `cpu` and in one of the
    /// `groups` (a bit mask); among equals the one with the lowest INTID.
    pub fn best(&self, cpu: usize, groups: u32) -> Option<Candidate> {
        let in_group0 = if groups & 1 != 0 { u32::MAX } else { 0 };
        let in_group1 = if groups & 2 != 0 { u32::MAX } else { 0 };
        let mut best: Option<Candidate> = None;
        let mut consider = |bank: &Bank, routed: u32, base: u32| {
            let ready = bank.enabled & bank.pending() & !bank.active & routed;
            let mut ready = ready & (bank.group & in_group1 | !bank.group & in_group0);
            while ready != 0 {
                let n = ready.trailing_zeros();
                ready &= ready - 1;
                let priority = bank.priority[n as usize];
                if best.is_none_or(|b| priority < b.priority) {
                    best =
                        Some(Candidate { intid: base + n, priority, group: (bank.group >> n & 1) as usize });
                }
            }
        };
        if groups & 3 == 0 {
            return None;
        }
        consider(&self.private[cpu], u32::MAX, 0);
        for ((bank, &routed), base) in self.shared.iter().zip(&self.routes[cpu]).zip((32..).step_by(32)) {
            consider(bank, routed, base);
        }
        best
    }

    /// `cpu` takes the interrupt.
    pub fn activate(&mut self, cpu: usize, intid: u32) {
        if let Some(bank) = self.bank_mut(cpu, intid as usize / 32) {
            bank.activate(intid % 32);
        }
    }

    /// `cpu` is done with it. Deactivating what is not active, or does not exist, does nothing.
    pub fn deactivate(&mut self, cpu: usize, intid: u32) {
        if let Some(bank) = self.bank_mut(cpu, intid as usize / 32) {
            bank.active &= !(1 << (intid % 32));
        }
    }

    /// Sends an SPI, counted from the first, to the CPUs that `to` says.
    pub(super) fn route(&mut self, spi: usize, to: impl Fn(usize) -> bool) {
        let bit = 1 << (spi % 32);
        for (cpu, route) in self.routes.iter_mut().enumerate() {
            if to(cpu) {
                route[spi / 32] |= bit;
            } else {
                route[spi / 32] &= !bit;
            }
        }
    }

    /// Input levels are not state of the chip: a reset keeps them.
    pub fn keep_levels(&mut self, old: &Interrupts) {
        let pairs = self.private.iter_mut().zip(&old.private).chain(self.shared.iter_mut().zip(&old.shared));
        for (new, old) in pairs {
            new.level = old.level;
        }
    }

    /// Whether `other` is of a controller with the same configuration, and whole.
    pub fn same_shape(&self, other: &Interrupts) -> bool {
        let routes = |i: &Interrupts| i.routes.iter().map(Vec::len).collect::<Vec<_>>();
        self.private.len() == other.private.len()
            && self.shared.len() == other.shared.len()
            && routes(self) == routes(other)
    }
}

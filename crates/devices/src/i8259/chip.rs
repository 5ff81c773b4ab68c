//! One 8259A: `ICW1` to `ICW4`, `OCW1` to `OCW3`, and who is served first.

use serde::{Deserialize, Serialize};

const ICW1_IC4: u8 = 1 << 0;
const ICW1_SNGL: u8 = 1 << 1;
const ICW1_ADI: u8 = 1 << 2;
const ICW1_LTIM: u8 = 1 << 3;
/// Tells `ICW1` from `OCW2` and `OCW3`.
const ICW1_MARK: u8 = 1 << 4;

const ICW4_UPM: u8 = 1 << 0;
const ICW4_AEOI: u8 = 1 << 1;
const ICW4_SFNM: u8 = 1 << 4;

/// Tells `OCW3` from `OCW2`.
const OCW3_MARK: u8 = 1 << 3;
const OCW3_RIS: u8 = 1 << 0;
const OCW3_RR: u8 = 1 << 1;
const OCW3_P: u8 = 1 << 2;
const OCW3_SMM: u8 = 1 << 5;
const OCW3_ESMM: u8 = 1 << 6;

/// The word that a write with A0 high is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Icw2,
    Icw3,
    Icw4,
    #[default]
    Ocw1,
}

/// The registers of an 8259A. A bit per level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    /// Levels of the inputs.
    lines: u8,
    irr: u8,
    isr: u8,
    imr: u8,
    /// Level-triggered inputs.
    elcr: u8,
    icw1: u8,
    icw2: u8,
    icw3: u8,
    icw4: u8,
    expect: Expect,
    /// The level with the lowest priority; the next one has the highest.
    lowest: u8,
    /// A read with A0 low shows `ISR` rather than `IRR`.
    read_isr: bool,
    /// The next read is a poll.
    poll: bool,
    special_mask: bool,
    rotate_in_aeoi: bool,
}

impl Default for Chip {
    /// Nothing is defined before `ICW1`; here no input is masked, as after it.
    fn default() -> Self {
        Chip {
            lines: 0,
            irr: 0,
            isr: 0,
            imr: 0,
            elcr: 0,
            icw1: 0,
            icw2: 0,
            icw3: 0,
            icw4: 0,
            expect: Expect::Ocw1,
            lowest: 7,
            read_isr: false,
            poll: false,
            special_mask: false,
            rotate_in_aeoi: false,
        }
    }
}

impl Chip {
    /// A chip after reset, with its inputs as they are.
    pub(super) fn after_reset(&self) -> Chip {
        Chip { lines: self.lines, ..Chip::default() }
    }

    /// Makes what comes from a snapshot possible.
    pub(super) fn sanitize(&mut self, elcr_mask: u8) {
        self.elcr &= elcr_mask;
        self.lowest &= 7;
    }

    /// Inputs whose level counts.
    fn level_triggered(&self) -> u8 {
        if self.icw1 & ICW1_LTIM != 0 { 0xff } else { self.elcr }
    }

    /// Drives an input.
    pub(super) fn set_line(&mut self, level: u8, high: bool) {
        let bit = 1 << level;
        let rises = high && self.lines & bit == 0;
        self.lines = if high { self.lines | bit } else { self.lines & !bit };
        if rises {
            self.irr |= bit;
        } else if !high {
            self.irr &= !(bit & self.level_triggered());
        }
    }

    /// Edge/level control register.
    pub(super) fn elcr(&self) -> u8 {
        self.elcr
    }

    /// Writes the edge/level control register.
    pub(super) fn set_elcr(&mut self, value: u8) {
        self.elcr = value;
        let level = self.level_triggered();
        self.irr = self.irr & !level | self.lines & level;
    }

    /// 0 for the highest priority.
    fn rank(&self, level: u8) -> u8 {
        level.wrapping_sub(self.lowest).wrapping_sub(1) & 7
    }

    fn best(&self, levels: u8) -> Option<u8> {
        (0..8).filter(|n| levels >> n & 1 != 0).min_by_key(|&n| self.rank(n))
    }

    /// `ISR`.
    pub(super) fn in_service(&self) -> u8 {
        self.isr
    }

    /// In-service levels that keep others out. In special mask mode a masked level does not.
    fn inhibiting(&self) -> u8 {
        if self.special_mask { self.isr & !self.imr } else { self.isr }
    }

    /// The level that the output requests an interrupt for, if it does.
    pub(super) fn pending(&self) -> Option<u8> {
        let level = self.best(self.irr & !self.imr)?;
        match self.best(self.inhibiting()) {
            // In the special fully nested mode, a slave that is being served may interrupt again.
            Some(served) if served == level => {
                (self.icw4 & ICW4_SFNM != 0 && self.has_slave(level)).then_some(level)
            }
            Some(served) => (self.rank(level) < self.rank(served)).then_some(level),
            None => Some(level),
        }
    }

    /// Whether a slave is on input `level`, by `ICW3` of a master.
    pub(super) fn has_slave(&self, level: u8) -> bool {
        self.icw1 & ICW1_SNGL == 0 && self.icw3 >> level & 1 != 0
    }

    /// The input of the master that a slave believes to be on, by its `ICW3`.
    pub(super) fn slave_id(&self) -> u8 {
        self.icw3 & 7
    }

    /// `INTA` for `level`.
    pub(super) fn acknowledge(&mut self, level: u8) {
        let bit = 1 << level;
        self.irr &= !(bit & !self.level_triggered());
        if self.icw4 & ICW4_AEOI == 0 {
            self.isr |= bit;
        } else if self.rotate_in_aeoi {
            self.lowest = level;
        }
    }

    /// What is put on the bus in the second `INTA` cycle: the vector in 8086 mode, the low byte of the address of
    /// the service routine in MCS-80/85 mode.
    pub(super) fn vector(&self, level: u8) -> u8 {
        if self.icw4 & ICW4_UPM != 0 {
            self.icw2 & 0xf8 | level
        } else if self.icw1 & ICW1_ADI != 0 {
            self.icw1 & 0xe0 | level << 2
        } else {
            self.icw1 & 0xc0 | level << 3
        }
    }

    /// Reads with A0 low or high.
    pub(super) fn read(&mut self, a0: bool) -> u8 {
        if std::mem::take(&mut self.poll) {
            let Some(level) = self.pending() else { return 0 };
            self.acknowledge(level);
            return 0x80 | level;
        }
        match (a0, self.read_isr) {
            (true, _) => self.imr,
            (false, true) => self.isr,
            (false, false) => self.irr,
        }
    }

    /// Writes with A0 low or high.
    pub(super) fn write(&mut self, a0: bool, value: u8) {
        if !a0 {
            if value & ICW1_MARK != 0 {
                self.icw1(value);
            } else if value & OCW3_MARK != 0 {
                self.ocw3(value);
            } else {
                self.ocw2(value);
            }
            return;
        }
        let icw4 = if self.icw1 & ICW1_IC4 != 0 { Expect::Icw4 } else { Expect::Ocw1 };
        match self.expect {
            Expect::Ocw1 => self.imr = value,
            Expect::Icw2 => {
                self.icw2 = value;
                self.expect = if self.icw1 & ICW1_SNGL != 0 { icw4 } else { Expect::Icw3 };
            }
            Expect::Icw3 => {
                self.icw3 = value;
                self.expect = icw4;
            }
            Expect::Icw4 => {
                self.icw4 = value;
                self.expect = Expect::Ocw1;
            }
        }
    }

    /// Starts the initialization: edges are forgotten, `IMR` is cleared, level 7 has the lowest priority, the
    /// special mask mode ends, the slave's address is 7, `IRR` is read, and without `IC4` all of `ICW4` is 0.
    fn icw1(&mut self, value: u8) {
        let Chip { lines, elcr, .. } = *self;
        *self = Chip { lines, elcr, icw1: value, icw3: 7, expect: Expect::Icw2, ..Chip::default() };
        self.irr = lines & self.level_triggered();
    }

    /// Ends and rotations.
    fn ocw2(&mut self, value: u8) {
        let level = value & 7;
        let (rotate, specific, eoi) = (value & 0x80 != 0, value & 0x40 != 0, value & 0x20 != 0);
        match (specific, eoi) {
            (false, true) => {
                // In special mask mode a masked level is not ended by a non-specific EOI.
                if let Some(served) = self.best(self.inhibiting()) {
                    self.isr &= !(1 << served);
                    if rotate {
                        self.lowest = served;
                    }
                }
            }
            (true, true) => {
                self.isr &= !(1 << level);
                if rotate {
                    self.lowest = level;
                }
            }
            (true, false) if rotate => self.lowest = level,
            // No operation.
            (true, false) => {}
            (false, false) => self.rotate_in_aeoi = rotate,
        }
    }

    fn ocw3(&mut self, value: u8) {
        if value & OCW3_ESMM != 0 {
            self.special_mask = value & OCW3_SMM != 0;
        }
        if value & OCW3_P != 0 {
            self.poll = true;
        } else if value & OCW3_RR != 0 {
            self.read_isr = value & OCW3_RIS != 0;
        }
    }
}

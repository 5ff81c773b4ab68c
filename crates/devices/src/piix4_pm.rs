//! Power management of the PIIX4 (Intel 290562, chapter 7; ACPI 6.5, 4.8): fixed events, the way to sleep and
//! off, the PM timer, general-purpose events and the SMI command port.
//!
//! There is no system management mode: commands other than those that switch ACPI on and off are counted.

use std::fmt;
use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;
use serde::{Deserialize, Serialize};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::power::{PowerRequest, PowerSink};
use crate::regmap::Stray;
use crate::time::{TimeSource, ns_to_ticks, ticks_to_ns};

/// Frequency of the PM timer in Hz.
pub const FREQUENCY: u64 = 3_579_545;

/// `PM1_STS` and `PM1_EN`.
const TMR: u16 = 1 << 0;
const BM: u16 = 1 << 4;
const GBL: u16 = 1 << 5;
const PWRBTN: u16 = 1 << 8;
const SLPBTN: u16 = 1 << 9;
const RTC: u16 = 1 << 10;
const WAK: u16 = 1 << 15;
const STATUS: u16 = TMR | BM | GBL | PWRBTN | SLPBTN | RTC | WAK;
const ENABLE: u16 = TMR | GBL | PWRBTN | SLPBTN | RTC;

/// `PM1_CNT`.
const SCI_EN: u16 = 1 << 0;
const BM_RLD: u16 = 1 << 1;
const SLP_TYP: u16 = 7 << 10;
const SLP_EN: u16 = 1 << 13;

/// Width of the PM timer, as `TMR_VAL_EXT` in the FADT tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerWidth {
    /// As on a PIIX4. The carry is due every 2.3 seconds.
    Bits24,
    /// The carry is due every ten minutes.
    Bits32,
}

/// The registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piix4PmState {
    status: u16,
    enable: u16,
    control: u16,
    gpe_status: u16,
    gpe_enable: u16,
    /// Levels of the general-purpose inputs.
    gpe_inputs: u16,
    apmc: u8,
    apms: u8,
    /// Half periods of the timer's top bit that have been accounted for.
    carries: u64,
}

impl Piix4PmState {
    /// Level of the system control interrupt.
    fn sci(&self) -> bool {
        let event = self.status & self.enable & ENABLE != 0 || self.gpe_status & self.gpe_enable != 0;
        self.control & SCI_EN != 0 && event
    }

    fn read(&self, reg: u16, timer: u32) -> u8 {
        let half = |v: u16| v.to_le_bytes()[usize::from(reg & 1)];
        match reg {
            0 | 1 => half(self.status),
            2 | 3 => half(self.enable),
            4 | 5 => half(self.control),
            8..=11 => timer.to_le_bytes()[usize::from(reg - 8)],
            0x40 | 0x41 => half(self.gpe_status),
            0x42 | 0x43 => half(self.gpe_enable),
            0x44 => self.apmc,
            0x45 => self.apms,
            _ => 0,
        }
    }

    /// Writes a byte. Returns the sleep type if the guest goes to sleep.
    fn write(&mut self, reg: u16, value: u8) -> Option<u8> {
        let shift = (reg & 1) * 8;
        let wide = u16::from(value) << shift;
        let merge = |old: u16| old & !(0xff << shift) | wide;
        match reg {
            // Status bits are cleared by writing ones.
            0 | 1 => self.status &= !wide,
            2 | 3 => self.enable = merge(self.enable) & ENABLE,
            4 | 5 => {
                let new = merge(self.control);
                // GBL_RLS and SLP_EN read as zero. SCI_EN is changed by the SMI handler, which is not there.
                self.control = new & (BM_RLD | SLP_TYP) | self.control & SCI_EN;
                if new & SLP_EN != 0 {
                    return Some((new >> 10 & 7) as u8);
                }
            }
            0x40 | 0x41 => {
                // A level that is still there sets its bit again.
                self.gpe_status = self.gpe_status & !wide | self.gpe_inputs;
            }
            0x42 | 0x43 => self.gpe_enable = merge(self.gpe_enable),
            0x44 => {
                self.apmc = value;
                match value {
                    Piix4Pm::ACPI_ENABLE => self.control |= SCI_EN,
                    Piix4Pm::ACPI_DISABLE => self.control &= !SCI_EN,
                    _ => {}
                }
            }
            0x45 => self.apms = value,
            _ => {}
        }
        None
    }
}

/// The power management function.
///
/// Registers 0x00 to 0x3f are the block at `PMBASE`: `PM1_STS` 0, `PM1_EN` 2, `PM1_CNT` 4, `PM_TMR` 8. The
/// general-purpose event block follows as 0x40 to 0x43 (`GPE0_STS`, `GPE0_EN`, 16 bits each), then the SMI
/// command and status ports 0xb2 and 0xb3 as 0x44 and 0x45: three windows, wherever the board has them.
///
/// The timer's interrupt follows the time only when someone looks: [`Piix4Pm::update`] is due at
/// [`Piix4Pm::next_event`].
pub struct Piix4Pm {
    state: Mutex<Piix4PmState>,
    sci: IrqPin,
    width: TimerWidth,
    power: Arc<dyn PowerSink>,
    clock: Arc<dyn TimeSource>,
    stray: Stray,
}

impl Piix4Pm {
    const KIND: &str = "piix4-pm";
    const VERSION: u32 = 1;

    /// Length of the block at `PMBASE`.
    pub const PM_REGS: std::ops::Range<u16> = 0..0x40;
    /// The general-purpose event block.
    pub const GPE_REGS: std::ops::Range<u16> = 0x40..0x44;
    /// SMI command and status.
    pub const SMI_REGS: std::ops::Range<u16> = 0x44..0x46;

    /// `ACPI_ENABLE` of the FADT.
    pub const ACPI_ENABLE: u8 = 0xf1;
    /// `ACPI_DISABLE` of the FADT.
    pub const ACPI_DISABLE: u8 = 0xf0;

    /// `SLP_TYP` of S5, soft off.
    pub const SLP_TYP_S5: u8 = 0;
    /// `SLP_TYP` of S3, suspend to RAM.
    pub const SLP_TYP_S3: u8 = 1;
    /// `SLP_TYP` of S4, suspend to disk: off for the machine.
    pub const SLP_TYP_S4: u8 = 2;

    /// Power management after reset: ACPI is off. `sci` is the system control interrupt, a level.
    pub fn new(
        sci: IrqPin,
        width: TimerWidth,
        power: Arc<dyn PowerSink>,
        clock: Arc<dyn TimeSource>,
    ) -> Piix4Pm {
        Piix4Pm { state: Mutex::default(), sci, width, power, clock, stray: Stray::new() }
    }

    fn ticks(&self) -> u64 {
        ns_to_ticks(self.clock.now(), FREQUENCY)
    }

    /// Ticks between two changes of the timer's top bit.
    fn half(&self) -> u64 {
        match self.width {
            TimerWidth::Bits24 => 1 << 23,
            TimerWidth::Bits32 => 1 << 31,
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Piix4PmState) -> T) -> T {
        let mut state = lock(&self.state);
        // TMR_STS is set whenever the top bit changes, either way (ACPI 4.8.3.1.1).
        let carries = self.ticks() / self.half();
        if carries != state.carries {
            state.carries = carries;
            state.status |= TMR;
        }
        let result = f(&mut state);
        self.sci.set(state.sci());
        result
    }

    /// Brings the interrupt up to date with the time.
    pub fn update(&self) {
        self.with(|_| ());
    }

    /// The guest time in nanoseconds of the timer's next carry, if the guest wants an interrupt for it.
    pub fn next_event(&self) -> Option<u64> {
        let state = lock(&self.state);
        let wanted = state.control & SCI_EN != 0 && state.enable & TMR != 0 && state.status & TMR == 0;
        wanted.then(|| ticks_to_ns((state.carries + 1) * self.half(), FREQUENCY))
    }

    /// The user presses the power button. What it means is the guest's business.
    pub fn press_power_button(&self) {
        self.with(|state| state.status |= PWRBTN);
    }

    /// The user presses the sleep button.
    pub fn press_sleep_button(&self) {
        self.with(|state| state.status |= SLPBTN);
    }

    /// The clock's alarm went off (`RTC_STS`).
    pub fn rtc_alarm(&self) {
        self.with(|state| state.status |= RTC);
    }

    /// The machine wakes from sleep (`WAK_STS`).
    pub fn wake(&self) {
        self.with(|state| state.status |= WAK);
    }

    /// Drives the general-purpose event `n`, 0 to 15 (others do not exist). While it is high its status bit cannot
    /// be cleared.
    pub fn set_gpe(&self, n: u32, high: bool) {
        let bit = 1u16.checked_shl(n).unwrap_or(0);
        self.with(|state| {
            state.gpe_inputs = if high { state.gpe_inputs | bit } else { state.gpe_inputs & !bit };
            state.gpe_status |= state.gpe_inputs;
        });
    }

    /// Switches ACPI on without the SMI command, for machines whose FADT has none (`SCI_EN`). A reset switches it
    /// off again.
    pub fn enable_acpi(&self) {
        self.with(|state| state.control |= SCI_EN);
    }

    /// SMI commands that no handler answers, by command.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl fmt::Debug for Piix4Pm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piix4Pm").field("state", &self.state).field("sci", &self.sci).finish_non_exhaustive()
    }
}

impl PortDevice for Piix4Pm {
    fn name(&self) -> &str {
        Piix4Pm::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        self.read_wide(reg, Size::B1) as u8
    }

    fn write(&self, reg: u16, value: u8) {
        self.write_wide(reg, Size::B1, value.into());
    }

    /// The timer is read as a whole.
    fn read_wide(&self, reg: u16, size: Size) -> u32 {
        self.with(|state| {
            let timer = (self.ticks() & (2 * self.half() - 1)) as u32;
            let bytes = size.bytes().min(4) as u16;
            (0..bytes).fold(0, |v, i| v | u32::from(state.read(reg + i, timer)) << (i * 8))
        })
    }

    fn write_wide(&self, reg: u16, size: Size, value: u32) {
        let sleep = self.with(|state| {
            let mut sleep = None;
            for i in 0..size.bytes().min(4) as u16 {
                sleep = state.write(reg + i, (value >> (i * 8)) as u8).or(sleep);
            }
            sleep
        });
        let command = value as u8;
        if reg == Piix4Pm::SMI_REGS.start && !matches!(command, Piix4Pm::ACPI_ENABLE | Piix4Pm::ACPI_DISABLE)
        {
            self.stray.note(command.into());
        }
        match sleep {
            None => {}
            Some(Piix4Pm::SLP_TYP_S5 | Piix4Pm::SLP_TYP_S4) => self.power.request(PowerRequest::PowerOff),
            Some(typ) => self.power.request(PowerRequest::Sleep(typ)),
        }
    }
}

impl Device for Piix4Pm {
    fn kind(&self) -> &'static str {
        Piix4Pm::KIND
    }

    fn reset(&self) {
        let mut state = lock(&self.state);
        let Piix4PmState { gpe_inputs, carries, .. } = *state;
        *state = Piix4PmState { gpe_inputs, carries, gpe_status: gpe_inputs, ..Piix4PmState::default() };
        self.sci.deassert();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(Piix4Pm::KIND, Piix4Pm::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let mut new: Piix4PmState = snapshot.decode(Piix4Pm::KIND, Piix4Pm::VERSION)?;
        new.status &= STATUS;
        new.enable &= ENABLE;
        new.control &= SCI_EN | BM_RLD | SLP_TYP;
        // No time is later than 64 bits of nanoseconds.
        new.carries = new.carries.min(ns_to_ticks(u64::MAX, FREQUENCY) / self.half());
        let mut state = lock(&self.state);
        *state = new;
        self.sci.set(state.sci());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irq::tests::{Recorder, recorded};
    use crate::power::tests::Requests;
    use crate::time::tests::TestClock;

    struct Pm {
        chip: Piix4Pm,
        clock: Arc<TestClock>,
        power: Arc<Requests>,
        sink: Arc<Recorder>,
    }

    impl Pm {
        fn new(width: TimerWidth) -> Pm {
            let (clock, power) = (TestClock::new(), Requests::new());
            let (sink, pin) = recorded();
            Pm { chip: Piix4Pm::new(pin, width, power.clone(), clock.clone()), clock, power, sink }
        }

        fn acpi() -> Pm {
            let p = Pm::new(TimerWidth::Bits24);
            p.chip.write(0x44, 0xf1);
            p
        }

        fn get(&self, reg: u16) -> u32 {
            self.chip.read_wide(reg, Size::B2)
        }

        fn set(&self, reg: u16, value: u32) {
            self.chip.write_wide(reg, Size::B2, value);
        }

        fn levels(&self) -> Vec<bool> {
            lock(&self.sink.0).iter().map(|c| c.1).collect()
        }
    }

    #[test]
    fn acpi_is_switched_on_by_the_smi_command() {
        let p = Pm::new(TimerWidth::Bits24);
        assert_eq!(p.get(4), 0);
        p.set(4, 1);
        assert_eq!(p.get(4), 0, "not by writing the bit");
        p.chip.write(0x44, 0xf1);
        assert_eq!((p.get(4), p.chip.read(0x44)), (1, 0xf1));
        p.chip.write(0x44, 0xf0);
        assert_eq!(p.get(4), 0);
        assert_eq!(p.chip.stray().count(), 0);
        p.chip.write(0x44, 0x42);
        p.chip.write(0x45, 0x17);
        assert_eq!((p.chip.stray().count(), p.chip.stray().last_offset()), (1, 0x42));
        assert_eq!(p.get(0x44), 0x1742);
    }

    #[test]
    fn sleep_types() {
        let p = Pm::acpi();
        p.set(4, 1 | 5 << 10);
        assert!(p.power.take().is_empty(), "SLP_EN decides");
        assert_eq!(p.get(4), 0x1401);
        p.set(4, 1 << 13);
        assert_eq!(p.power.take(), [PowerRequest::PowerOff]);
        p.set(4, 1 << 13 | 1 << 10);
        assert_eq!(p.power.take(), [PowerRequest::Sleep(1)]);
        assert_eq!(p.get(4), 0x0401, "SLP_EN reads as zero");
        p.chip.write(5, 0x28);
        assert_eq!(p.power.take(), [PowerRequest::PowerOff], "S4, by a byte");
    }

    #[test]
    fn the_buttons_raise_the_sci() {
        let p = Pm::acpi();
        p.chip.press_power_button();
        assert_eq!((p.get(0), p.levels()), (0x100, vec![]));
        p.set(2, 0x300);
        p.chip.press_sleep_button();
        assert_eq!(p.get(0), 0x300);
        p.set(0, 0x100);
        assert_eq!((p.get(0), p.levels()), (0x200, vec![true]));
        p.chip.write(1, 0x02);
        assert_eq!((p.get(0), p.levels()), (0, vec![true, false]));
        p.set(2, 0xffff);
        assert_eq!(p.get(2), 0x0721);
        p.chip.rtc_alarm();
        p.chip.wake();
        assert_eq!(p.get(0), 0x8400);
        p.chip.write(0x44, 0xf0);
        assert_eq!(p.levels(), [true, false, true, false], "no SCI without ACPI");
    }

    #[test]
    fn the_timer_counts_at_3_58_mhz() {
        let p = Pm::acpi();
        p.clock.set(1_000_000_000);
        assert_eq!(p.chip.read_wide(8, Size::B4), 3_579_545);
        p.chip.write_wide(8, Size::B4, 0);
        assert_eq!(p.chip.read_wide(8, Size::B4), 3_579_545, "read-only");
        assert_eq!(p.chip.read(9), (3_579_545u32 >> 8) as u8);
        p.clock.set(5_000_000_000);
        assert_eq!(p.chip.read_wide(8, Size::B4), 5 * 3_579_545 - (1 << 24));
        let p = Pm::new(TimerWidth::Bits32);
        p.clock.set(5_000_000_000);
        assert_eq!(p.chip.read_wide(8, Size::B4), 5 * 3_579_545);
        p.clock.set(1_200_000_000_000);
        assert_eq!(p.chip.read_wide(8, Size::B4), (1200 * 3_579_545u64 % (1 << 32)) as u32);
    }

    #[test]
    fn the_carry_raises_the_sci() {
        let p = Pm::acpi();
        assert_eq!(p.chip.next_event(), None);
        p.set(2, 1);
        let half = ticks_to_ns(1 << 23, FREQUENCY);
        assert_eq!(p.chip.next_event(), Some(half));
        p.clock.set(half - 1);
        p.chip.update();
        assert!(p.levels().is_empty());
        p.clock.set(half);
        p.chip.update();
        assert_eq!((p.levels(), p.get(0)), (vec![true], 1));
        assert_eq!(p.chip.next_event(), None, "until it is cleared");
        p.set(0, 1);
        assert_eq!(p.chip.next_event(), Some(ticks_to_ns(1 << 24, FREQUENCY)), "the way down counts as well");
        assert_eq!(p.levels(), [true, false]);
    }

    #[test]
    fn general_purpose_events_are_levels() {
        let p = Pm::acpi();
        p.set(0x42, 0x0002);
        p.chip.set_gpe(1, true);
        p.set(0x40, 0xffff);
        assert_eq!((p.get(0x40), p.levels()), (2, vec![true]), "still high");
        p.chip.set_gpe(1, false);
        assert_eq!(p.levels(), [true]);
        p.set(0x40, 2);
        assert_eq!((p.get(0x40), p.levels()), (0, vec![true, false]));
        p.chip.set_gpe(16, true);
        assert_eq!(p.get(0x40), 0);
    }

    #[test]
    fn saves_restores_and_resets() {
        let p = Pm::acpi();
        p.set(2, 0x100);
        p.chip.press_power_button();
        let saved = p.chip.save().expect("saved");
        p.chip.reset();
        assert_eq!([0, 2, 4].map(|r| p.get(r)), [0; 3]);
        assert_eq!(p.chip.restore(&saved), Ok(()));
        assert_eq!([0, 2, 4].map(|r| p.get(r)), [0x100, 0x100, 1]);
        assert_eq!(p.levels(), [true, false, true]);
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let p = Pm::acpi();
        for reg in 0..0x50 {
            for size in [Size::B1, Size::B2, Size::B4] {
                p.chip.read_wide(reg, size);
                p.chip.write_wide(reg, size, u32::MAX);
                p.clock.set(u64::from(reg) * 10_000_000_000);
            }
        }
        p.clock.set(u64::MAX);
        p.chip.update();
        p.chip.next_event();
    }
}

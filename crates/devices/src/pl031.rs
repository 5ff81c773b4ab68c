//! PrimeCell real-time clock PL031 (Arm DDI 0224), on the host's wall clock. The registers are `vm-superio`'s;
//! added here is what it leaves out: the alarm interrupt.

use std::sync::Mutex;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;
use serde::{Deserialize, Serialize};
use vm_superio::Rtc;
use vm_superio::rtc_pl031::{NoEvents, RtcState};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::{RegMap, Stray, reg, reserved};

/// Offsets of `RTCDR`, the counter in seconds.
const RTCDR: u16 = 0x00;

#[derive(Clone, Copy, Debug)]
enum Reg {
    /// `RTCDR` to `RTCICR`.
    Rtc,
    Id,
}

const MAP: RegMap<Reg, 3> =
    RegMap::new(Pl031::SIZE, [reg(Reg::Rtc, 0x20), reserved(0xfc0), reg(Reg::Id, 0x20)]);

/// What a snapshot keeps: the clock goes on with the host's.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    lr: u32,
    offset: i64,
    mr: u32,
    imsc: u32,
    ris: u32,
}

#[derive(Debug)]
struct Clock {
    rtc: Rtc<NoEvents>,
    /// The counter when the alarm was last looked at.
    seen: u32,
}

impl Clock {
    fn new(state: &RtcState) -> Clock {
        let mut clock = Clock { rtc: Rtc::from_state(state, NoEvents), seen: 0 };
        clock.seen = clock.read(RTCDR);
        clock
    }

    fn read(&mut self, offset: u16) -> u32 {
        let mut data = [0; 4];
        self.rtc.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    /// Raises the interrupt if the counter has passed the match register (3.3.2), and returns its level.
    fn update(&mut self) -> bool {
        let now = self.read(RTCDR);
        let state = self.rtc.state();
        let to_match = state.mr.wrapping_sub(self.seen);
        let passed = now.wrapping_sub(self.seen);
        // The host's clock may be set back; that passes nothing.
        if to_match != 0 && to_match <= passed && passed < 1 << 31 {
            self.rtc = Rtc::from_state(&RtcState { ris: 1, ..state }, NoEvents);
        }
        self.seen = now;
        let state = self.rtc.state();
        state.ris & state.imsc & 1 != 0
    }
}

/// A PL031 that shows the host's time.
#[derive(Debug)]
pub struct Pl031 {
    clock: Mutex<Clock>,
    irq: IrqPin,
    stray: Stray,
}

impl Pl031 {
    const KIND: &str = "pl031";
    const VERSION: u32 = 1;

    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1000;

    /// A clock set to the host's, in seconds since 1970 UTC.
    pub fn new(irq: IrqPin) -> Pl031 {
        let clock = Mutex::new(Clock::new(&RtcState::default()));
        Pl031 { clock, irq, stray: Stray::new() }
    }

    /// Looks whether the alarm is due. To be called about once a second where alarms matter; register accesses
    /// do it as well.
    pub fn update(&self) {
        let mut clock = lock(&self.clock);
        let level = clock.update();
        self.irq.set(level);
    }

    /// Accesses to registers that do not exist.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl MmioDevice for Pl031 {
    fn name(&self) -> &str {
        Pl031::KIND
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        let mut clock = lock(&self.clock);
        self.irq.set(clock.update());
        MAP.read(&self.stray, offset, size, |reg, i| match reg {
            // ICR is write-only.
            Reg::Rtc if i == 7 => 0,
            Reg::Rtc => clock.read(i as u16 * 4),
            Reg::Id => clock.read(0xfe0 + i as u16 * 4),
        })
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut clock = lock(&self.clock);
        clock.update();
        MAP.write(&self.stray, offset, size, value, |reg, i, word| {
            // Only MR, LR, CR, IMSC and ICR can be written.
            if matches!(reg, Reg::Rtc) && matches!(i, 1..=4 | 7) {
                clock.rtc.write(i as u16 * 4, &word.value.to_le_bytes());
                // Setting the clock is not passing the alarm.
                clock.seen = clock.read(RTCDR);
            }
        });
        let level = clock.update();
        self.irq.set(level);
    }
}

impl Device for Pl031 {
    fn kind(&self) -> &'static str {
        Pl031::KIND
    }

    fn reset(&self) {
        *lock(&self.clock) = Clock::new(&RtcState::default());
        self.irq.deassert();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        let RtcState { lr, offset, mr, imsc, ris } = lock(&self.clock).rtc.state();
        Snapshot::encode(Pl031::KIND, Pl031::VERSION, &Saved { lr, offset, mr, imsc, ris })
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let Saved { lr, offset, mr, imsc, ris } = snapshot.decode(Pl031::KIND, Pl031::VERSION)?;
        let mut clock = lock(&self.clock);
        *clock = Clock::new(&RtcState { lr, offset, mr, imsc, ris });
        let level = clock.update();
        self.irq.set(level);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::irq::tests::recorded;

    fn rtc() -> Pl031 {
        Pl031::new(IrqPin::disconnected())
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
    }

    #[test]
    fn shows_and_sets_the_time() {
        let rtc = rtc();
        assert!(rtc.read(0, Size::B4).abs_diff(now()) <= 1);
        rtc.write(8, Size::B4, 1_000_000);
        assert!(rtc.read(0, Size::B4).abs_diff(1_000_000) <= 1);
        rtc.reset();
        assert!(rtc.read(0, Size::B4).abs_diff(now()) <= 1);
    }

    #[test]
    fn identifies_as_pl031() {
        let rtc = rtc();
        let id: Vec<u64> = (0..8).map(|i| rtc.read(0xfe0 + i * 4, Size::B4)).collect();
        assert_eq!(id, [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
        assert_eq!(rtc.read(0xfe0, Size::B1), 0x31);
    }

    #[test]
    fn the_alarm_fires_once_passed() {
        let (sink, pin) = recorded();
        let rtc = Pl031::new(pin);
        rtc.write(0x10, Size::B4, 1);
        let time = rtc.read(0, Size::B4);
        rtc.write(4, Size::B4, time + 100);
        assert_eq!(rtc.read(0x14, Size::B4), 0);
        // 101 seconds pass: as if the alarm had been looked at that long ago.
        {
            let mut clock = lock(&rtc.clock);
            let state = clock.rtc.state();
            clock.rtc = Rtc::from_state(&RtcState { offset: state.offset + 101, ..state }, NoEvents);
        }
        rtc.update();
        assert_eq!(rtc.read(0x18, Size::B4), 1);
        assert_eq!(*lock(&sink.0), [(1, true)]);
        rtc.write(0x1c, Size::B4, 1);
        assert_eq!(rtc.read(0x14, Size::B4), 0);
        assert_eq!(*lock(&sink.0), [(1, true), (1, false)]);
    }

    #[test]
    fn nothing_that_a_guest_does_panics() {
        let rtc = rtc();
        for offset in 0..0x1010 {
            for size in [Size::B1, Size::B2, Size::B4, Size::B8, Size::B16] {
                rtc.write(offset, size, u64::MAX);
                rtc.read(offset, size);
            }
        }
        assert!(rtc.stray().count() > 0);
        rtc.write(8, Size::B4, 0);
        assert!(rtc.read(0, Size::B4) <= 1);
    }
}

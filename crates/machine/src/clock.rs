//! Guest time: the system counter that all timers of a machine compare with.

use std::time::{Duration, Instant};

use lyrebird_devices::TimeSource;

/// Nanoseconds per tick.
const TICK_NS: u64 = 1_000_000_000 / Clock::FREQUENCY;

/// A counter that follows the host's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock(HostTime);

impl Clock {
    /// Ticks per second, as QEMU's boards have it: a tick is 16 ns.
    pub const FREQUENCY: u64 = 62_500_000;

    /// A counter that stands at 0 now.
    pub fn new() -> Clock {
        Clock(HostTime::new())
    }

    /// The count.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.now() / TICK_NS
    }

    /// How long `ticks` take.
    pub fn duration(ticks: u64) -> Duration {
        Duration::from_nanos(ticks.saturating_mul(TICK_NS))
    }
}

/// Guest time in nanoseconds, which follows the host's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostTime(Instant);

impl HostTime {
    /// A clock that stands at 0 now.
    pub fn new() -> HostTime {
        HostTime(Instant::now())
    }
}

impl TimeSource for HostTime {
    #[inline]
    fn now(&self) -> u64 {
        let t = self.0.elapsed();
        // 2^64 ns are 584 years.
        t.as_secs() * 1_000_000_000 + u64::from(t.subsec_nanos())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

const _: () = assert!(TICK_NS * Clock::FREQUENCY == 1_000_000_000, "a tick is a whole number of nanoseconds");

//! Guest time for chips whose registers are read through a bus, which passes no time.

/// The machine's clock. The state machines take the time as an argument; only the outer layer of a chip asks.
pub trait TimeSource: Send + Sync {
    /// Nanoseconds of guest time. Never goes back, except when a machine is restored.
    fn now(&self) -> u64;
}

/// `ticks` at `hz` Hz (1 to 2^32 or so) in nanoseconds, rounded up: by then they have passed.
pub fn ticks_to_ns(ticks: u64, hz: u64) -> u64 {
    let ns = (u128::from(ticks) * NS_PER_S).div_ceil(u128::from(hz.max(1)));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// Whole ticks at `hz` Hz that pass in `ns` nanoseconds, modulo 2^64.
pub fn ns_to_ticks(ns: u64, hz: u64) -> u64 {
    (u128::from(ns) * u128::from(hz) / NS_PER_S) as u64
}

const NS_PER_S: u128 = 1_000_000_000;

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that a test sets.
    #[derive(Debug, Default)]
    pub(crate) struct TestClock(AtomicU64);

    impl TestClock {
        pub(crate) fn new() -> Arc<TestClock> {
            Arc::default()
        }

        pub(crate) fn set(&self, ns: u64) {
            self.0.store(ns, Ordering::Relaxed);
        }
    }

    impl TimeSource for TestClock {
        fn now(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_set_clock_stands() {
        let clock = TestClock::new();
        clock.set(5);
        assert_eq!((clock.now(), clock.now()), (5, 5));
    }

    #[test]
    fn the_rounded_time_is_the_first_at_which_the_ticks_have_passed() {
        for hz in [1, 3, 3_579_545, 14_318_180, 999_999_999, 1_000_000_000, 2_300_000_000] {
            for ticks in [0, 1, 2, 1000, 12345, 0xffff_ffff] {
                let ns = ticks_to_ns(ticks, hz);
                assert!(ns_to_ticks(ns, hz) >= ticks, "{ticks} at {hz} Hz");
                assert!(ns == 0 || ns_to_ticks(ns - 1, hz) < ticks || ticks == 0, "{ticks} at {hz} Hz");
            }
        }
        assert_eq!(ticks_to_ns(u64::MAX, 1), u64::MAX);
    }
}

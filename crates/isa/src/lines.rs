//! The wires that lead into a vCPU from other threads: interrupt lines, and the request to stop.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Bit of the IRQ line in [`CpuLines::level`].
pub const IRQ: u32 = 1 << 0;
/// Bit of the FIQ line.
pub const FIQ: u32 = 1 << 1;
/// Bit of the SError (x86: NMI) line.
pub const SERROR: u32 = 1 << 2;
/// Someone wants the vCPU to return to its owner: power-off, reset, timeout, debugger.
pub const STOP: u32 = 1 << 31;

/// Level-sensitive inputs of one vCPU. Shared between the vCPU's thread and the devices.
#[derive(Debug, Default)]
pub struct CpuLines {
    level: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
}

impl CpuLines {
    /// All lines low.
    pub fn new() -> CpuLines {
        CpuLines::default()
    }

    /// Current level of all lines as a bit mask.
    #[inline]
    pub fn level(&self) -> u32 {
        self.level.load(Ordering::Acquire)
    }

    /// Drives the lines in `mask` high or low; wakes a waiting vCPU when one goes high.
    pub fn set(&self, mask: u32, high: bool) {
        if high {
            let old = self.level.fetch_or(mask, Ordering::AcqRel);
            if old & mask != mask {
                let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
                self.changed.notify_all();
            }
        } else {
            self.level.fetch_and(!mask, Ordering::AcqRel);
        }
    }

    /// Wakes a waiting vCPU without changing a line (its timer may have been reprogrammed).
    pub fn kick(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
    }

    /// Waits as an idle vCPU does: until a line is high, a kick, or `deadline` from now, and not for long at once.
    pub fn idle(&self, deadline: Option<Duration>) {
        const LONGEST: Duration = Duration::from_millis(100);
        self.wait(deadline.map_or(LONGEST, |t| t.min(LONGEST)));
    }

    /// Waits until a line is high, a kick, or `timeout`. Spurious returns are allowed.
    pub fn wait(&self, timeout: Duration) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.level() == 0 {
            drop(self.changed.wait_timeout(guard, timeout));
        }
    }
}

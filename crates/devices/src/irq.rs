//! Interrupt wires: [`IrqPin`] is the end a device drives, [`IrqSink`] the controller at the other.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::lock;

/// An interrupt controller's inputs, numbered by the controller itself.
///
/// Lock order: [`IrqSink::set_line`] is called with the driving device's and the line's locks held. It may lock
/// the controller and the CPU lines, never a device or a pin.
pub trait IrqSink: Send + Sync {
    /// The input `line` changed to `high`. Called once per change.
    fn set_line(&self, line: u32, high: bool);
}

/// A wire: how many pins hold it high. Devices that share an interrupt are wired-OR.
struct Line {
    sink: Weak<dyn IrqSink>,
    number: u32,
    high: Mutex<usize>,
}

/// A device's end of an interrupt wire: level-sensitive, low when made, released when dropped.
///
/// It holds the controller weakly, so chips and controllers may be dropped in any order.
pub struct IrqPin {
    line: Option<Arc<Line>>,
    asserted: AtomicBool,
}

impl IrqPin {
    /// A pin on input `number` of `sink`. For a second device on the same input use [`IrqPin::share`].
    pub fn new(sink: Weak<dyn IrqSink>, number: u32) -> IrqPin {
        let line = Line { sink, number, high: Mutex::new(0) };
        IrqPin { line: Some(Arc::new(line)), asserted: AtomicBool::new(false) }
    }

    /// A pin that leads nowhere.
    pub fn disconnected() -> IrqPin {
        IrqPin { line: None, asserted: AtomicBool::new(false) }
    }

    /// Another pin on the same wire, low: the wire is high while any of its pins is.
    pub fn share(&self) -> IrqPin {
        IrqPin { line: self.line.clone(), asserted: AtomicBool::new(false) }
    }

    /// Whether this pin drives its wire high.
    pub fn is_asserted(&self) -> bool {
        self.asserted.load(Ordering::Acquire)
    }

    /// Drives the wire high or lets it go. No-op when it is so already.
    #[inline]
    pub fn set(&self, high: bool) {
        if self.asserted.load(Ordering::Acquire) != high {
            self.change(high);
        }
    }

    fn change(&self, high: bool) {
        let Some(line) = &self.line else {
            self.asserted.store(high, Ordering::Release);
            return;
        };
        // The sink is called under the line's lock: two devices on one wire must not overtake each other.
        let mut count = lock(&line.high);
        if self.asserted.swap(high, Ordering::AcqRel) == high {
            return;
        }
        let before = *count > 0;
        *count = if high { *count + 1 } else { count.saturating_sub(1) };
        let after = *count > 0;
        if before != after
            && let Some(sink) = line.sink.upgrade()
        {
            sink.set_line(line.number, after);
        }
    }

    /// Drives the wire high.
    pub fn assert(&self) {
        self.set(true);
    }

    /// Lets the wire go.
    pub fn deassert(&self) {
        self.set(false);
    }

    /// High and low again: one edge.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

impl Drop for IrqPin {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl fmt::Debug for IrqPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqPin")
            .field("line", &self.line.as_ref().map(|l| l.number))
            .field("asserted", &self.is_asserted())
            .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Records every change it is told of.
    #[derive(Default)]
    pub(crate) struct Recorder(pub Mutex<Vec<(u32, bool)>>);

    impl IrqSink for Recorder {
        fn set_line(&self, line: u32, high: bool) {
            lock(&self.0).push((line, high));
        }
    }

    /// A pin on input 1 of a recorder.
    pub(crate) fn recorded() -> (Arc<Recorder>, IrqPin) {
        let sink = Arc::new(Recorder::default());
        let dynamic: Arc<dyn IrqSink> = sink.clone();
        let pin = IrqPin::new(Arc::downgrade(&dynamic), 1);
        (sink, pin)
    }

    #[test]
    fn only_changes_reach_the_sink() {
        let (sink, pin) = recorded();
        pin.assert();
        pin.assert();
        pin.deassert();
        pin.deassert();
        pin.pulse();
        assert_eq!(*lock(&sink.0), [(1, true), (1, false), (1, true), (1, false)]);
    }

    #[test]
    fn a_shared_line_is_high_while_any_pin_is() {
        let (sink, a) = recorded();
        let b = a.share();
        a.assert();
        b.assert();
        a.deassert();
        assert_eq!(*lock(&sink.0), [(1, true)]);
        drop(b);
        assert_eq!(*lock(&sink.0), [(1, true), (1, false)]);
    }

    #[test]
    fn the_controller_may_go_first() {
        let (sink, pin) = recorded();
        drop(sink);
        pin.pulse();
        IrqPin::disconnected().pulse();
    }
}

//! The user's terminal: raw while a guest has it, and always given back.

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::message::note;

/// Whether the terminal is raw now. The terminal is the process's, and so is this; panics and signals, which
/// have no argument to find it by, have to know.
static RAW: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is raw now, so that a new line needs a carriage return too.
pub fn is_raw() -> bool {
    RAW.load(Ordering::Acquire)
}

/// The terminal in raw mode; given back when dropped.
#[derive(Debug)]
pub struct RawTerminal(());

impl RawTerminal {
    /// Makes the terminal raw, if standard input is one.
    pub fn enter() -> Result<Option<RawTerminal>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        crossterm::terminal::enable_raw_mode().context("switch the terminal to raw mode")?;
        RAW.store(true, Ordering::Release);
        Ok(Some(RawTerminal(())))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back; harmless when it is not raw.
pub fn restore() {
    if RAW.swap(false, Ordering::AcqRel) {
        // Nothing to be done about a terminal that is gone.
        drop(crossterm::terminal::disable_raw_mode());
    }
}

/// Says in one line where Lyrebird is wrong. The terminal is given back by [`RawTerminal`] as the stack unwinds,
/// not here: a panic may also be caught and the guest go on.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        // The region compiler catches what Cranelift cannot do, and counts it.
        if info.location().is_some_and(|l| l.file().contains("cranelift")) {
            return;
        }
        let text = panic_text(info);
        // The runtime's words when it is going to abort, and nothing unwinds.
        if text.contains("cannot unwind") || text.contains("in a destructor") {
            restore();
        }
        let at = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        note(&format!("internal error{at}: {text}; please report this"));
    }));
}

fn panic_text(info: &PanicHookInfo<'_>) -> String {
    info.payload_as_str().unwrap_or("no message").lines().collect::<Vec<_>>().join(" ")
}

/// Deadly signals while a machine runs.
#[cfg(unix)]
pub mod signals {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::time::Duration;

    use anyhow::{Context, Result};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::{Handle, Signals};
    use signal_hook::low_level::emulate_default_handler;

    /// How long a machine may take to stop before the signal ends the process regardless.
    const GRACE: Duration = Duration::from_secs(2);

    /// Watches for signals until dropped.
    #[derive(Debug)]
    pub struct Watch {
        handle: Handle,
        seen: Arc<AtomicI32>,
    }

    impl Watch {
        /// Calls `stop` when a deadly signal comes.
        pub fn start(stop: impl Fn() + Send + 'static) -> Result<Watch> {
            let mut signals =
                Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).context("watch for signals")?;
            let (handle, seen) = (signals.handle(), Arc::new(AtomicI32::new(0)));
            let flag = seen.clone();
            std::thread::Builder::new()
                .name(String::from("signals"))
                .spawn(move || {
                    let Some(signal) = signals.forever().next() else { return };
                    flag.store(signal, Ordering::Release);
                    stop();
                    std::thread::sleep(GRACE);
                    super::restore();
                    drop(emulate_default_handler(signal));
                })
                .context("start the signal thread")?;
            Ok(Watch { handle, seen })
        }

        /// If a signal came, ends the process as that signal would have.
        pub fn obey(&self) {
            let signal = self.seen.load(Ordering::Acquire);
            if signal != 0 {
                super::restore();
                drop(emulate_default_handler(signal));
            }
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            self.handle.close();
        }
    }
}

/// Deadly signals while a machine runs: the host has none.
#[cfg(not(unix))]
pub mod signals {
    /// Nothing to watch for.
    #[derive(Debug)]
    pub struct Watch;

    impl Watch {
        /// Never calls `stop`.
        pub fn start(_stop: impl Fn() + Send + 'static) -> anyhow::Result<Watch> {
            Ok(Watch)
        }

        /// No signal came.
        pub fn obey(&self) {}
    }
}

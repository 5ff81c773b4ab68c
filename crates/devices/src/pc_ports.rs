//! The small ports of a PC: system control port A (0x92), reset control (0xcf9), the debug console (0xe9), the
//! debug exit and the POST code (0x80).

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use lyrebird_isa::Size;

use crate::chardev::CharBackend;
use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::power::{PowerRequest, PowerSink};

/// System control port A, 0x92, one register: bit 0 resets the machine when it is set, bit 1 is the fast A20 gate.
///
/// `a20` is wired-OR with the keyboard controller's: address line 20 works while either of them drives it high.
pub struct Port92 {
    value: Mutex<u8>,
    a20: IrqPin,
    power: Arc<dyn PowerSink>,
}

impl Port92 {
    const KIND: &str = "port92";
    const VERSION: u32 = 1;
    const RESET: u8 = 1 << 0;
    const A20: u8 = 1 << 1;

    /// The port after reset, A20 not driven.
    pub fn new(a20: IrqPin, power: Arc<dyn PowerSink>) -> Port92 {
        Port92 { value: Mutex::new(0), a20, power }
    }

    fn set(&self, value: u8) -> bool {
        let mut old = lock(&self.value);
        let reset = value & !*old & Port92::RESET != 0;
        *old = value;
        self.a20.set(value & Port92::A20 != 0);
        reset
    }
}

impl fmt::Debug for Port92 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port92").field("value", &self.value).field("a20", &self.a20).finish_non_exhaustive()
    }
}

impl PortDevice for Port92 {
    fn name(&self) -> &str {
        Port92::KIND
    }

    fn read(&self, _: u16) -> u8 {
        *lock(&self.value)
    }

    fn write(&self, _: u16, value: u8) {
        if self.set(value) {
            self.power.request(PowerRequest::Reset);
        }
    }
}

impl Device for Port92 {
    fn kind(&self) -> &'static str {
        Port92::KIND
    }

    fn reset(&self) {
        self.set(0);
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(Port92::KIND, Port92::VERSION, &*lock(&self.value))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.set(snapshot.decode(Port92::KIND, Port92::VERSION)?);
        Ok(())
    }
}

/// Reset control register of the PIIX, 0xcf9, one register (Intel 290562, 2.3.5): `RCPU` (bit 2) resets when it
/// is set, hard if `SRST` (bit 1) is set as well. Both reset the whole machine here.
pub struct ResetControl {
    value: Mutex<u8>,
    power: Arc<dyn PowerSink>,
}

impl ResetControl {
    const KIND: &str = "reset-control";
    const VERSION: u32 = 1;
    const SRST: u8 = 1 << 1;
    const RCPU: u8 = 1 << 2;

    /// The register after reset.
    pub fn new(power: Arc<dyn PowerSink>) -> ResetControl {
        ResetControl { value: Mutex::new(0), power }
    }
}

impl fmt::Debug for ResetControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResetControl").field("value", &self.value).finish_non_exhaustive()
    }
}

impl PortDevice for ResetControl {
    fn name(&self) -> &str {
        ResetControl::KIND
    }

    fn read(&self, _: u16) -> u8 {
        *lock(&self.value)
    }

    fn write(&self, _: u16, value: u8) {
        let mut old = lock(&self.value);
        let reset = value & !*old & ResetControl::RCPU != 0;
        *old = value & (ResetControl::SRST | ResetControl::RCPU);
        drop(old);
        if reset {
            self.power.request(PowerRequest::Reset);
        }
    }
}

impl Device for ResetControl {
    fn kind(&self) -> &'static str {
        ResetControl::KIND
    }

    fn reset(&self) {
        *lock(&self.value) = 0;
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(ResetControl::KIND, ResetControl::VERSION, &*lock(&self.value))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        *lock(&self.value) = snapshot.decode(ResetControl::KIND, ResetControl::VERSION)?;
        Ok(())
    }
}

/// The debug console, 0xe9, one register: what is written goes to the back end, and a read gives 0xe9, by which
/// guests know that it is there.
#[derive(Debug)]
pub struct DebugConsole {
    backend: Arc<dyn CharBackend>,
}

impl DebugConsole {
    /// What a read gives.
    pub const READBACK: u8 = 0xe9;

    /// A console on `backend`.
    pub fn new(backend: Arc<dyn CharBackend>) -> DebugConsole {
        DebugConsole { backend }
    }
}

impl PortDevice for DebugConsole {
    fn name(&self) -> &str {
        "debug-console"
    }

    fn read(&self, _: u16) -> u8 {
        DebugConsole::READBACK
    }

    fn write(&self, _: u16, value: u8) {
        self.backend.write(&[value]);
    }
}

/// `isa-debug-exit`, registers 0 to 3: a write of `v`, of any width, ends the emulator with status `v << 1 | 1`.
/// Reads give 0.
pub struct DebugExit {
    power: Arc<dyn PowerSink>,
}

impl DebugExit {
    /// Number of byte registers.
    pub const REGS: u16 = 4;

    /// An exit that is carried out by `power`.
    pub fn new(power: Arc<dyn PowerSink>) -> DebugExit {
        DebugExit { power }
    }
}

impl fmt::Debug for DebugExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DebugExit")
    }
}

impl PortDevice for DebugExit {
    fn name(&self) -> &str {
        "isa-debug-exit"
    }

    fn read(&self, _: u16) -> u8 {
        0
    }

    fn write(&self, reg: u16, value: u8) {
        self.write_wide(reg, Size::B1, value.into());
    }

    fn write_wide(&self, _: u16, _: Size, value: u32) {
        self.power.request(PowerRequest::Exit(value << 1 | 1));
    }
}

/// The POST code, 0x80, one register: keeps what was written last.
#[derive(Debug, Default)]
pub struct PostCode {
    code: AtomicU8,
}

impl PostCode {
    const KIND: &str = "post-code";
    const VERSION: u32 = 1;

    /// Code 0.
    pub fn new() -> PostCode {
        PostCode::default()
    }

    /// The last code.
    pub fn code(&self) -> u8 {
        self.code.load(Ordering::Relaxed)
    }
}

impl PortDevice for PostCode {
    fn name(&self) -> &str {
        PostCode::KIND
    }

    fn read(&self, _: u16) -> u8 {
        self.code()
    }

    fn write(&self, _: u16, value: u8) {
        self.code.store(value, Ordering::Relaxed);
    }
}

impl Device for PostCode {
    fn kind(&self) -> &'static str {
        PostCode::KIND
    }

    fn reset(&self) {
        self.code.store(0, Ordering::Relaxed);
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(PostCode::KIND, PostCode::VERSION, &self.code())
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.code.store(snapshot.decode(PostCode::KIND, PostCode::VERSION)?, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chardev::MemoryChar;
    use crate::irq::tests::recorded;
    use crate::port::PortBus;
    use crate::power::tests::Requests;

    #[test]
    fn port_92_gates_a20_and_resets() {
        let (sink, pin) = recorded();
        let power = Requests::new();
        let p = Port92::new(pin, power.clone());
        assert_eq!(p.read(0), 0);
        p.write(0, 2);
        assert_eq!((p.read(0), lock(&sink.0).clone()), (2, vec![(1, true)]));
        let saved = p.save().expect("saved");
        p.write(0, 3);
        p.write(0, 3);
        assert_eq!(power.take(), [PowerRequest::Reset], "when it is set");
        p.reset();
        assert_eq!(*lock(&sink.0), [(1, true), (1, false)]);
        assert_eq!(p.restore(&saved), Ok(()));
        assert_eq!((p.read(0), lock(&sink.0).len()), (2, 3));
    }

    #[test]
    fn reset_control_resets_on_the_rise_of_rcpu() {
        let power = Requests::new();
        let p = ResetControl::new(power.clone());
        p.write(0, 0xfb);
        assert_eq!(p.read(0), 2);
        assert!(power.take().is_empty());
        p.write(0, 6);
        p.write(0, 6);
        assert_eq!(power.take(), [PowerRequest::Reset]);
        p.reset();
        assert_eq!(p.read(0), 0);
        p.write(0, 4);
        assert_eq!(power.take(), [PowerRequest::Reset]);
    }

    #[test]
    fn the_debug_ports() {
        let (power, host) = (Requests::new(), Arc::new(MemoryChar::new()));
        let post = Arc::new(PostCode::new());
        let bus = PortBus::new();
        bus.map(0xe9, 0..1, Arc::new(DebugConsole::new(host.clone()))).expect("mapped");
        bus.map(0xf4, 0..DebugExit::REGS, Arc::new(DebugExit::new(power.clone()))).expect("mapped");
        bus.map(0x80, 0..1, post.clone()).expect("mapped");
        bus.write(0xe9, Size::B1, u32::from(b'x'));
        assert_eq!((bus.read(0xe9, Size::B1), host.output()), (0xe9, b"x".to_vec()));
        bus.write(0xf4, Size::B1, 0x10);
        bus.write(0xf4, Size::B4, 0x1_0000);
        bus.write(0xf4, Size::B4, u32::MAX);
        let codes = [0x21, 0x2_0001, u32::MAX].map(PowerRequest::Exit);
        assert_eq!(power.take(), codes);
        bus.write(0x80, Size::B1, 0x55);
        assert_eq!((post.code(), bus.read(0x80, Size::B1)), (0x55, 0x55));
    }
}

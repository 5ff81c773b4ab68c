//! 16550A UART (National Semiconductor PC16550D), the serial port of a PC.
//!
//! Transmission takes no time: the transmitter is always empty. Reception honours the FIFO; what does not fit
//! stays with the back end, so host input is never overrun. The character timeout takes the time it would on a
//! line of the programmed speed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chardev::CharBackend;
use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::port::PortDevice;
use crate::time::TimeSource;
use crate::uart::{Arrival, Line, Registers};

/// Frequency of the baud rate generator's input in Hz; a divisor of 1 makes 115200 baud of it.
const CLOCK: u64 = 1_843_200;

/// Characters in either FIFO.
const FIFO_DEPTH: usize = 16;

const IER_ERBFI: u8 = 1 << 0;
const IER_ETBEI: u8 = 1 << 1;
const IER_ELSI: u8 = 1 << 2;
const IER_EDSSI: u8 = 1 << 3;

const IIR_NONE: u8 = 0x01;
const IIR_MODEM: u8 = 0x00;
const IIR_THRE: u8 = 0x02;
const IIR_DATA: u8 = 0x04;
const IIR_LINE: u8 = 0x06;
const IIR_TIMEOUT: u8 = 0x0c;
/// FIFOs enabled.
const IIR_FIFO: u8 = 0xc0;

const FCR_ENABLE: u8 = 1 << 0;
const FCR_CLEAR_RX: u8 = 1 << 1;
/// Enable, DMA mode and trigger level: what is kept.
const FCR_KEPT: u8 = 0xc9;

const LCR_WLS: u8 = 3;
const LCR_STB: u8 = 1 << 2;
const LCR_PEN: u8 = 1 << 3;
const LCR_BREAK: u8 = 1 << 6;
const LCR_DLAB: u8 = 1 << 7;

const MCR_DTR: u8 = 1 << 0;
const MCR_RTS: u8 = 1 << 1;
const MCR_OUT1: u8 = 1 << 2;
const MCR_OUT2: u8 = 1 << 3;
const MCR_LOOP: u8 = 1 << 4;

const LSR_DR: u8 = 1 << 0;
const LSR_OE: u8 = 1 << 1;
const LSR_BI: u8 = 1 << 4;
const LSR_THRE: u8 = 1 << 5;
const LSR_TEMT: u8 = 1 << 6;
/// An error is in the receive FIFO.
const LSR_FIFO_ERROR: u8 = 1 << 7;

const MSR_TERI: u8 = 1 << 2;
const MSR_CTS: u8 = 1 << 4;
const MSR_DSR: u8 = 1 << 5;
const MSR_RI: u8 = 1 << 6;
const MSR_DCD: u8 = 1 << 7;
/// Modem inputs: someone is connected and ready.
const CONNECTED: u8 = MSR_CTS | MSR_DSR | MSR_DCD;

/// A character with what `LSR` says when it is at the head of the FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Char {
    data: u8,
    errors: u8,
}

/// The registers of a 16550A.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ns16550State {
    rx: VecDeque<Char>,
    /// The line status as far as it does not follow from `rx`: errors until they are read.
    errors: u8,
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    divisor: u16,
    /// Changes of the modem inputs since `MSR` was read.
    deltas: u8,
    /// The transmitter became empty and nobody has taken note.
    thre: bool,
    /// Guest time of the last character that was received or read.
    last: u64,
    /// The FIFO has been left alone for too long.
    timeout: bool,
}

impl Ns16550State {
    fn fifo_enabled(&self) -> bool {
        self.fcr & FCR_ENABLE != 0
    }

    /// Characters in the FIFO that raise the interrupt.
    fn trigger(&self) -> usize {
        match (self.fifo_enabled(), self.fcr >> 6) {
            (false, _) | (true, 0) => 1,
            (true, 1) => 4,
            (true, 2) => 8,
            (true, _) => 14,
        }
    }

    /// Length of four characters on the line, in ns.
    fn timeout_ns(&self) -> u64 {
        let bit = |on: u8, bits: u64| if self.lcr & on != 0 { bits } else { 0 };
        let bits = 1 + 5 + u64::from(self.lcr & LCR_WLS) + 1 + bit(LCR_STB, 1) + bit(LCR_PEN, 1);
        // No divisor counts as the smallest.
        let divisor = u64::from(self.divisor.max(1));
        4 * bits * divisor * 16 * 1_000_000_000 / CLOCK
    }

    /// When the character timeout is due, if characters wait for it.
    fn deadline(&self) -> Option<u64> {
        let waits = self.fifo_enabled() && !self.rx.is_empty() && !self.timeout;
        waits.then(|| self.last.saturating_add(self.timeout_ns()))
    }

    fn update(&mut self, now: u64) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.timeout = true;
        }
    }

    fn line_status(&self) -> u8 {
        let ready = if self.rx.is_empty() { 0 } else { LSR_DR };
        let queued = self.fifo_enabled() && self.rx.iter().any(|c| c.errors != 0);
        let fifo =
            if queued || self.fifo_enabled() && self.errors & !LSR_OE != 0 { LSR_FIFO_ERROR } else { 0 };
        self.errors | ready | fifo | LSR_THRE | LSR_TEMT
    }

    fn modem_inputs(&self) -> u8 {
        if !self.loopback() {
            return CONNECTED;
        }
        let wires = [(MCR_DTR, MSR_DSR), (MCR_RTS, MSR_CTS), (MCR_OUT1, MSR_RI), (MCR_OUT2, MSR_DCD)];
        wires.iter().filter(|(out, _)| self.mcr & out != 0).fold(0, |msr, (_, input)| msr | input)
    }

    /// `IIR` without the FIFO bits: the first of the interrupts that are pending.
    fn interrupt_id(&self) -> u8 {
        let on = |enable: u8| self.ier & enable != 0;
        if on(IER_ELSI) && self.errors != 0 {
            IIR_LINE
        } else if on(IER_ERBFI) && self.rx.len() >= self.trigger() {
            IIR_DATA
        } else if on(IER_ERBFI) && self.timeout {
            IIR_TIMEOUT
        } else if on(IER_ETBEI) && self.thre {
            IIR_THRE
        } else if on(IER_EDSSI) && self.deltas != 0 {
            IIR_MODEM
        } else {
            IIR_NONE
        }
    }

    /// The errors of a character show in `LSR` when it comes to the head of the FIFO.
    fn reveal(&mut self) {
        if let Some(c) = self.rx.front_mut() {
            self.errors |= std::mem::take(&mut c.errors);
        }
    }

    /// Reads `RBR`.
    fn take(&mut self, now: u64) -> u8 {
        self.last = now;
        self.timeout = false;
        let c = self.rx.pop_front();
        self.reveal();
        c.map_or(0, |c| c.data)
    }

    fn clear_rx(&mut self) {
        self.rx.clear();
        self.timeout = false;
    }

    fn dlab(&self) -> bool {
        self.lcr & LCR_DLAB != 0
    }

    fn read(&mut self, reg: u16, now: u64) -> u8 {
        match reg {
            0 if self.dlab() => self.divisor as u8,
            1 if self.dlab() => (self.divisor >> 8) as u8,
            0 => self.take(now),
            1 => self.ier,
            2 => {
                let id = self.interrupt_id();
                if id == IIR_THRE {
                    self.thre = false;
                }
                id | if self.fifo_enabled() { IIR_FIFO } else { 0 }
            }
            3 => self.lcr,
            4 => self.mcr,
            5 => {
                let status = self.line_status();
                self.errors = 0;
                status
            }
            6 => self.modem_inputs() | std::mem::take(&mut self.deltas),
            7 => self.scr,
            _ => 0xff,
        }
    }

    /// Returns the character to transmit, if any.
    fn write(&mut self, reg: u16, value: u8, now: u64) -> Option<u8> {
        match reg {
            0 if self.dlab() => self.divisor = self.divisor & 0xff00 | u16::from(value),
            1 if self.dlab() => self.divisor = self.divisor & 0xff | u16::from(value) << 8,
            0 => {
                // Empty again at once.
                self.thre = true;
                if !self.loopback() {
                    return Some(value);
                }
                self.put(Arrival::Char(value), now);
            }
            1 => {
                let rising = value & !self.ier;
                self.ier = value & 0x0f;
                if rising & IER_ETBEI != 0 {
                    self.thre = true;
                }
            }
            2 => {
                // "When changing from FIFO mode to 16450 mode and vice versa, data is cleared." Bit 0 must be set
                // for the others to be programmed.
                if (self.fcr ^ value) & FCR_ENABLE != 0 || value & (FCR_CLEAR_RX | FCR_ENABLE) == 3 {
                    self.clear_rx();
                }
                self.fcr = if value & FCR_ENABLE != 0 { value & FCR_KEPT } else { 0 };
            }
            3 => {
                let rising = value & !self.lcr;
                self.lcr = value;
                if rising & LCR_BREAK != 0 && self.loopback() {
                    self.put(Arrival::Break, now);
                }
            }
            4 => {
                let before = self.modem_inputs();
                self.mcr = value & 0x1f;
                self.modem_changed(before);
            }
            7 => self.scr = value,
            // Writing LSR is for factory tests.
            _ => {}
        }
        None
    }

    /// Notes which modem inputs differ from what they were. Of the ring indicator only its end is.
    fn modem_changed(&mut self, before: u8) {
        let now = self.modem_inputs();
        let changed = (before ^ now) >> 4;
        self.deltas |= changed & !MSR_TERI;
        if before & !now & MSR_RI != 0 {
            self.deltas |= MSR_TERI;
        }
    }
}

impl Registers for Ns16550State {
    const KIND: &'static str = "ns16550";
    const VERSION: u32 = 1;

    fn loopback(&self) -> bool {
        self.mcr & MCR_LOOP != 0
    }

    fn depth(&self) -> usize {
        if self.fifo_enabled() { FIFO_DEPTH } else { 1 }
    }

    fn waiting(&self) -> usize {
        self.rx.len()
    }

    fn put(&mut self, what: Arrival, now: u64) {
        if self.rx.len() >= self.depth() {
            self.errors |= LSR_OE;
            if self.fifo_enabled() {
                return;
            }
            // Without FIFO the new character destroys the old one.
            self.rx.clear();
        }
        self.rx.push_back(match what {
            Arrival::Char(data) => Char { data, errors: 0 },
            Arrival::Break => Char { data: 0, errors: LSR_BI },
        });
        self.last = now;
        self.timeout = false;
        self.reveal();
    }

    fn interrupt(&self) -> bool {
        self.interrupt_id() != IIR_NONE
    }
}

/// A 16550A between the guest and a [`CharBackend`]. Registers 0 to 7 are those of the datasheet.
///
/// Its `INTRPT` is not gated by `OUT2`, as it is on most cards: guests that forget the bit work as in QEMU.
///
/// The timeout follows the time only when someone looks: [`Ns16550::update`] is due at [`Ns16550::next_event`].
pub struct Ns16550 {
    line: Line<Ns16550State>,
    clock: Arc<dyn TimeSource>,
}

impl Ns16550 {
    /// Number of byte registers.
    pub const REGS: u16 = 8;

    /// A port after reset. `irq` is `INTRPT`.
    pub fn new(irq: IrqPin, backend: Arc<dyn CharBackend>, clock: Arc<dyn TimeSource>) -> Ns16550 {
        Ns16550 { line: Line::new(irq, backend), clock }
    }

    /// Whether [`Ns16550::receive`] would take a character now.
    pub fn can_receive(&self) -> bool {
        self.line.peek(Registers::room) > 0
    }

    /// Characters arrive on the line. Takes as many as fit and returns how many that were.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        self.line.receive(bytes, self.clock.now())
    }

    /// A break condition arrives on the line. Lost in loopback.
    pub fn receive_break(&self) {
        self.line.receive_break(self.clock.now());
    }

    /// Fetches what the back end has waiting, as far as it fits. The back end's owner calls this when new input
    /// came in; the guest's accesses do the rest.
    pub fn poll(&self) {
        self.line.poll(self.clock.now());
    }

    /// Brings the interrupt up to date with the time.
    pub fn update(&self) {
        self.with(|_, _| ());
    }

    /// The guest time in nanoseconds at which a character timeout interrupt is due.
    pub fn next_event(&self) -> Option<u64> {
        self.line.peek(|state| {
            let matters = state.ier & IER_ERBFI != 0 && state.rx.len() < state.trigger();
            state.deadline().filter(|_| matters)
        })
    }

    /// Runs `f` on the state at the present time.
    fn with<T>(&self, f: impl FnOnce(&mut Ns16550State, u64) -> T) -> T {
        let now = self.clock.now();
        self.line.with(now, |state| {
            state.update(now);
            f(state, now)
        })
    }
}

impl fmt::Debug for Ns16550 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ns16550").field("line", &self.line).finish_non_exhaustive()
    }
}

impl PortDevice for Ns16550 {
    fn name(&self) -> &str {
        Ns16550State::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        self.with(|state, now| state.read(reg, now))
    }

    fn write(&self, reg: u16, value: u8) {
        if let Some(c) = self.with(|state, now| state.write(reg, value, now)) {
            self.line.send(c);
        }
    }
}

impl Device for Ns16550 {
    fn kind(&self) -> &'static str {
        Ns16550State::KIND
    }

    /// Master reset. The divisor and the scratch register are not affected by it, but here all is as after
    /// power-on.
    fn reset(&self) {
        self.line.reset();
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        self.line.save()
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        self.line.restore(snapshot)
    }
}

#[cfg(test)]
#[path = "ns16550_tests.rs"]
mod tests;

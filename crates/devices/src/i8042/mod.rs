//! 8042 keyboard controller of an AT and PS/2 (IBM PS/2 hardware interface technical reference, "Keyboard and
//! auxiliary device controller"), with an AT keyboard and a PS/2 mouse behind it.
//!
//! Nothing takes time here: bytes are there as soon as the buffer is free, and the input buffer is always empty.

mod keyboard;
mod mouse;
mod scancodes;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::port::PortDevice;
use crate::power::{PowerRequest, PowerSink};
use crate::regmap::Stray;

pub use keyboard::Keyboard;
pub use mouse::Mouse;

/// Output buffer full.
const STATUS_OBF: u8 = 1 << 0;
/// System flag: the self test has passed.
const STATUS_SYS: u8 = 1 << 2;
/// The last byte was written to the command port.
const STATUS_CMD: u8 = 1 << 3;
/// The keyboard is not locked.
const STATUS_UNLOCKED: u8 = 1 << 4;
/// The output buffer is the auxiliary device's.
const STATUS_AUX: u8 = 1 << 5;

/// Controller command byte, the first of the controller's RAM.
const CTR_KBD_INT: u8 = 1 << 0;
const CTR_AUX_INT: u8 = 1 << 1;
const CTR_SYS: u8 = 1 << 2;
const CTR_KBD_DISABLE: u8 = 1 << 4;
const CTR_AUX_DISABLE: u8 = 1 << 5;
const CTR_XLATE: u8 = 1 << 6;

/// Output port.
const OUT_NO_RESET: u8 = 1 << 0;
const OUT_A20: u8 = 1 << 1;
const OUT_IRQ1: u8 = 1 << 4;
const OUT_IRQ12: u8 = 1 << 5;

/// Replies of the controller that wait for the output buffer at most.
const REPLIES: usize = 16;

/// Whose byte is in the output buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    Keyboard,
    Aux,
}

/// The controller and what is attached to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct I8042State {
    keyboard: Keyboard,
    mouse: Mouse,
    /// The output buffer.
    output: Option<(u8, Source)>,
    /// The controller's own bytes, which go before those of the devices.
    replies: VecDeque<(u8, Source)>,
    ram: [u8; 32],
    /// Output port, without the interrupts.
    outport: u8,
    /// The command that waits for a byte at the data port.
    command: Option<u8>,
    /// See [`STATUS_CMD`].
    commanded: bool,
    /// The translation has swallowed the prefix of a break code.
    broken: bool,
}

impl Default for I8042State {
    /// As firmware leaves it: interrupts of the keyboard, translation, no mouse yet. A20 is on.
    fn default() -> Self {
        let mut ram = [0; 32];
        ram[0] = CTR_KBD_INT | CTR_SYS | CTR_AUX_DISABLE | CTR_XLATE;
        I8042State {
            keyboard: Keyboard::default(),
            mouse: Mouse::default(),
            output: None,
            replies: VecDeque::new(),
            ram,
            outport: OUT_NO_RESET | OUT_A20,
            command: None,
            commanded: true,
            broken: false,
        }
    }
}

/// A command that the chip does not carry out itself.
enum Effect {
    None,
    Reset,
    Unknown,
}

impl I8042State {
    fn ctr(&self) -> u8 {
        self.ram[0]
    }

    /// Fills the output buffer if it is empty.
    fn fill(&mut self) {
        if self.output.is_none() {
            self.output = self.replies.pop_front();
        }
        while self.output.is_none() && self.ctr() & CTR_KBD_DISABLE == 0 {
            let Some(byte) = self.keyboard.take() else { break };
            if self.ctr() & CTR_XLATE == 0 {
                self.output = Some((byte, Source::Keyboard));
            } else if byte == scancodes::BREAK {
                self.broken = true;
            } else {
                let bit = if std::mem::take(&mut self.broken) { 0x80 } else { 0 };
                self.output = Some((scancodes::translate(byte) | bit, Source::Keyboard));
            }
        }
        if self.output.is_none() && self.ctr() & CTR_AUX_DISABLE == 0 {
            self.output = self.mouse.take().map(|byte| (byte, Source::Aux));
        }
    }

    fn reply(&mut self, byte: u8, source: Source) {
        if self.replies.len() < REPLIES {
            self.replies.push_back((byte, source));
        }
    }

    /// Levels of the interrupts of keyboard and auxiliary device.
    fn interrupts(&self) -> (bool, bool) {
        let on = |source: Source, enable: u8| {
            self.output.is_some_and(|(_, s)| s == source) && self.ctr() & enable != 0
        };
        (on(Source::Keyboard, CTR_KBD_INT), on(Source::Aux, CTR_AUX_INT))
    }

    fn status(&self) -> u8 {
        let buffer = match self.output {
            None => 0,
            Some((_, Source::Keyboard)) => STATUS_OBF,
            Some((_, Source::Aux)) => STATUS_OBF | STATUS_AUX,
        };
        let system = if self.ctr() & CTR_SYS != 0 { STATUS_SYS } else { 0 };
        let command = if self.commanded { STATUS_CMD } else { 0 };
        buffer | system | command | STATUS_UNLOCKED
    }

    /// A byte at the command port.
    fn command(&mut self, command: u8) -> Effect {
        self.commanded = true;
        self.command = None;
        let mut reply = |byte| self.reply(byte, Source::Keyboard);
        match command {
            0x20..=0x3f => {
                let byte = self.ram[usize::from(command & 0x1f)];
                self.reply(byte, Source::Keyboard);
            }
            0x60..=0x7f | 0xd1..=0xd4 => self.command = Some(command),
            // No password is installed.
            0xa4 => reply(0xf1),
            0xa7 => self.ram[0] |= CTR_AUX_DISABLE,
            0xa8 => self.ram[0] &= !CTR_AUX_DISABLE,
            // The lines of the auxiliary device are in order.
            0xa9 => reply(0x00),
            0xaa => {
                reply(0x55);
                self.ram[0] |= CTR_SYS;
            }
            0xab => reply(0x00),
            0xad => self.ram[0] |= CTR_KBD_DISABLE,
            0xae => self.ram[0] &= !CTR_KBD_DISABLE,
            // Input port: not locked.
            0xc0 => reply(0x80),
            0xd0 => {
                let (kbd, aux) = self.interrupts();
                let irqs = if kbd { OUT_IRQ1 } else { 0 } | if aux { OUT_IRQ12 } else { 0 };
                self.reply(self.outport | irqs, Source::Keyboard);
            }
            // Not IBM's, but common: A20 by a command alone.
            0xdd => self.outport &= !OUT_A20,
            0xdf => self.outport |= OUT_A20,
            // Test inputs: both clocks low.
            0xe0 => reply(0x00),
            // Pulses the low bits of the output port for which the command has a zero; bit 0 is the reset line.
            0xf0..=0xff => {
                if command & OUT_NO_RESET == 0 {
                    return Effect::Reset;
                }
            }
            _ => return Effect::Unknown,
        }
        Effect::None
    }

    /// A byte at the data port: a command's argument, or for the keyboard.
    fn data(&mut self, byte: u8) -> Effect {
        self.commanded = false;
        match self.command.take() {
            None => {
                self.ram[0] &= !CTR_KBD_DISABLE;
                self.keyboard.receive(byte);
            }
            Some(0xd1) => {
                self.outport = byte & !(OUT_IRQ1 | OUT_IRQ12) | OUT_NO_RESET;
                if byte & OUT_NO_RESET == 0 {
                    return Effect::Reset;
                }
            }
            Some(0xd2) => self.reply(byte, Source::Keyboard),
            Some(0xd3) => self.reply(byte, Source::Aux),
            Some(0xd4) => {
                self.ram[0] &= !CTR_AUX_DISABLE;
                self.mouse.receive(byte);
            }
            Some(command) => self.ram[usize::from(command & 0x1f)] = byte,
        }
        Effect::None
    }
}

/// The controller. Registers: 0 is data (port 0x60), 1 command and status (0x64).
///
/// The `a20` pin is driven high from the start; it is wired-OR with [`Port92`](crate::Port92)'s.
pub struct I8042 {
    state: Mutex<I8042State>,
    irq1: IrqPin,
    irq12: IrqPin,
    a20: IrqPin,
    power: Arc<dyn PowerSink>,
    stray: Stray,
}

impl I8042 {
    const KIND: &str = "i8042";
    const VERSION: u32 = 1;

    /// Number of byte registers.
    pub const REGS: u16 = 2;

    /// A controller as firmware leaves it. `irq1` is the keyboard's interrupt, `irq12` the mouse's.
    pub fn new(irq1: IrqPin, irq12: IrqPin, a20: IrqPin, power: Arc<dyn PowerSink>) -> I8042 {
        a20.assert();
        I8042 { state: Mutex::default(), irq1, irq12, a20, power, stray: Stray::new() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut I8042State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = f(&mut state);
        if state.output.is_none() {
            // Each byte is an edge, even if the next one is there already.
            self.irq1.deassert();
            self.irq12.deassert();
        }
        state.fill();
        let (kbd, aux) = state.interrupts();
        self.irq1.set(kbd);
        self.irq12.set(aux);
        self.a20.set(state.outport & OUT_A20 != 0);
        result
    }

    /// A key goes down (also when it repeats) or up. It is named by its make code in scan code set 1, with the
    /// prefix 0xe0 as the upper byte: 0x1e is A, 0xe04d the right arrow; Pause is 0xe11d, Print Screen 0xe037.
    /// Other numbers are no keys, and ignored.
    pub fn key(&self, key: u16, pressed: bool) {
        self.with(|state| state.keyboard.key(key, pressed));
    }

    /// The mouse moves by counts to the right (`dx`), up (`dy`), and of the wheel towards the user (`dz`).
    /// `buttons` are those that are down now: left, right, middle, fourth, fifth from bit 0 on.
    pub fn mouse(&self, dx: i32, dy: i32, dz: i32, buttons: u8) {
        self.with(|state| state.mouse.event(dx, dy, dz, buttons));
    }

    /// The keyboard's lights: scroll lock, num lock, caps lock from bit 0 on.
    pub fn leds(&self) -> u8 {
        lock(&self.state).keyboard.leds()
    }

    /// Controller commands that do not exist, by command.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl fmt::Debug for I8042 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I8042")
            .field("state", &self.state)
            .field("irq1", &self.irq1)
            .field("irq12", &self.irq12)
            .field("a20", &self.a20)
            .finish_non_exhaustive()
    }
}

impl PortDevice for I8042 {
    fn name(&self) -> &str {
        I8042::KIND
    }

    fn read(&self, reg: u16) -> u8 {
        match reg {
            // An empty buffer shows what was in it; nobody relies on that.
            0 => self.with(|state| state.output.take()).map_or(0, |(byte, _)| byte),
            1 => lock(&self.state).status(),
            _ => 0xff,
        }
    }

    fn write(&self, reg: u16, value: u8) {
        let effect = match reg {
            0 => self.with(|state| state.data(value)),
            1 => self.with(|state| state.command(value)),
            _ => Effect::None,
        };
        match effect {
            Effect::None => {}
            Effect::Reset => self.power.request(PowerRequest::Reset),
            Effect::Unknown => {
                self.stray.note(value.into());
            }
        }
    }
}

impl Device for I8042 {
    fn kind(&self) -> &'static str {
        I8042::KIND
    }

    fn reset(&self) {
        self.with(|state| *state = I8042State::default());
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(I8042::KIND, I8042::VERSION, &*lock(&self.state))
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new: I8042State = snapshot.decode(I8042::KIND, I8042::VERSION)?;
        if !new.keyboard.is_valid() || !new.mouse.is_valid() || new.replies.len() > REPLIES {
            return Err(SnapshotError::mismatch(I8042::KIND, "has more bytes than its buffers hold"));
        }
        self.with(|state| *state = new);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The AT keyboard (IBM PS/2 keyboard technical reference): commands, and a buffer of scan codes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::scancodes::bytes;

pub(super) const ACK: u8 = 0xfa;
pub(super) const RESEND: u8 = 0xfe;
/// Basic assurance test passed.
pub(super) const BAT_OK: u8 = 0xaa;
/// Sent in place of codes that did not fit.
const OVERRUN: u8 = 0x00;

/// Bytes of scan codes that the keyboard keeps.
const BUFFER: usize = 17;

/// Replies of one command at most, on top of the buffer.
const REPLIES: usize = 16;

/// A keyboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyboard {
    queue: VecDeque<u8>,
    /// The command that waits for its argument.
    command: Option<u8>,
    scanning: bool,
    /// Scan code set, 1 or 2.
    set: u8,
    /// Scroll lock, num lock, caps lock: bits 0 to 2.
    leds: u8,
    last: u8,
}

impl Default for Keyboard {
    fn default() -> Self {
        Keyboard { queue: VecDeque::new(), command: None, scanning: true, set: 2, leds: 0, last: 0 }
    }
}

impl Keyboard {
    pub(super) fn is_valid(&self) -> bool {
        self.queue.len() <= BUFFER + REPLIES && matches!(self.set, 1 | 2)
    }

    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = self.queue.pop_front()?;
        self.last = byte;
        Some(byte)
    }

    pub(super) fn leds(&self) -> u8 {
        self.leds
    }

    /// A key goes down or up.
    pub(super) fn key(&mut self, key: u16, pressed: bool) {
        let bytes = bytes(key, pressed, self.set);
        if !self.scanning || bytes.is_empty() {
            return;
        }
        if self.queue.len() + bytes.len() < BUFFER {
            self.queue.extend(bytes);
        } else if self.queue.len() < BUFFER && self.queue.back() != Some(&OVERRUN) {
            self.queue.push_back(OVERRUN);
        }
    }

    fn reply(&mut self, bytes: &[u8]) {
        if self.queue.len() + bytes.len() <= BUFFER + REPLIES {
            self.queue.extend(bytes);
        }
    }

    fn defaults(&mut self) {
        self.queue.clear();
        self.set = 2;
    }

    /// The controller sends a byte.
    pub(super) fn receive(&mut self, byte: u8) {
        match self.command.take() {
            // What cannot be an argument is a new command.
            Some(command) if byte < 0x80 => self.argument(command, byte),
            _ => self.command(byte),
        }
    }

    fn argument(&mut self, command: u8, byte: u8) {
        match (command, byte) {
            (0xed, leds) => {
                self.leds = leds & 7;
                self.reply(&[ACK]);
            }
            (0xf0, 0) => {
                let set = self.set;
                self.reply(&[ACK, set]);
            }
            (0xf0, 1 | 2) => {
                self.set = byte;
                self.reply(&[ACK]);
            }
            // Set 3 is not there; nor is any above.
            (0xf0, _) => self.reply(&[RESEND]),
            // Rate and delay: the host repeats keys.
            _ => self.reply(&[ACK]),
        }
    }

    fn command(&mut self, byte: u8) {
        match byte {
            0xed | 0xf0 | 0xf3 => {
                self.command = Some(byte);
                self.reply(&[ACK]);
            }
            0xee => self.reply(&[0xee]),
            0xf2 => self.reply(&[ACK, 0xab, 0x83]),
            0xf4 => {
                self.queue.clear();
                self.scanning = true;
                self.reply(&[ACK]);
            }
            0xf5 | 0xf6 => {
                self.defaults();
                self.scanning = byte == 0xf6;
                self.reply(&[ACK]);
            }
            // How keys behave in set 3.
            0xf7..=0xfa => self.reply(&[ACK]),
            0xfe => {
                let last = self.last;
                self.reply(&[last]);
            }
            0xff => {
                self.defaults();
                self.scanning = true;
                self.leds = 0;
                self.reply(&[ACK, BAT_OK]);
            }
            _ => self.reply(&[RESEND]),
        }
    }
}

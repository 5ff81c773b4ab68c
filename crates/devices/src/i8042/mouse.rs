//! The PS/2 mouse (IBM PS/2 hardware interface technical reference), with the wheel and the five buttons that
//! drivers switch on by setting sample rates in a certain order.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::keyboard::{ACK, BAT_OK, RESEND};

/// Bytes that wait for the controller at most; movement is added up while they do.
const BUFFER: usize = 16;

/// Replies on top of that.
const REPLIES: usize = 16;

/// Status byte.
const STATUS_REMOTE: u8 = 1 << 6;
const STATUS_ENABLED: u8 = 1 << 5;
const STATUS_SCALING: u8 = 1 << 4;

/// What has moved since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Motion {
    dx: i32,
    /// Upwards.
    dy: i32,
    /// Towards the user.
    dz: i32,
}

/// A mouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mouse {
    queue: VecDeque<u8>,
    command: Option<u8>,
    /// Scaling 2:1.
    scaling: bool,
    resolution: u8,
    rate: u8,
    /// The rates set before, latest last.
    rates: [u8; 2],
    /// Reports movement by itself.
    enabled: bool,
    /// Reports only when asked.
    remote: bool,
    /// Echoes what it is sent.
    wrap: bool,
    /// 0 plain, 3 with wheel, 4 with wheel and five buttons.
    id: u8,
    /// Left, right, middle, fourth, fifth: bits 0 to 4.
    buttons: u8,
    motion: Motion,
    /// Something has changed since the last report.
    changed: bool,
    last: u8,
}

impl Default for Mouse {
    fn default() -> Self {
        Mouse {
            queue: VecDeque::new(),
            command: None,
            scaling: false,
            resolution: 2,
            rate: 100,
            rates: [0; 2],
            enabled: false,
            remote: false,
            wrap: false,
            id: 0,
            buttons: 0,
            motion: Motion::default(),
            changed: false,
            last: 0,
        }
    }
}

impl Mouse {
    pub(super) fn is_valid(&self) -> bool {
        self.queue.len() <= BUFFER + REPLIES
    }

    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = self.queue.pop_front()?;
        self.last = byte;
        self.stream();
        Some(byte)
    }

    /// The mouse moves (right, up, wheel towards the user), and its buttons are as given.
    pub(super) fn event(&mut self, dx: i32, dy: i32, dz: i32, buttons: u8) {
        self.changed |= (dx, dy, dz) != (0, 0, 0) || buttons & 0x1f != self.buttons;
        let m = &mut self.motion;
        m.dx = m.dx.saturating_add(dx);
        m.dy = m.dy.saturating_add(dy);
        m.dz = m.dz.saturating_add(dz);
        self.buttons = buttons & 0x1f;
        self.stream();
    }

    /// Sends reports by itself while there is something to say, and room.
    fn stream(&mut self) {
        while self.changed && self.enabled && !self.remote && !self.wrap && self.queue.len() + 4 <= BUFFER {
            self.report(self.scaling);
        }
    }

    /// Sends a report of what has happened since the last one, as much as fits into it.
    fn report(&mut self, scaling: bool) {
        let m = &mut self.motion;
        let dx = m.dx.clamp(-255, 255);
        let dy = m.dy.clamp(-255, 255);
        // Four bits of wheel where two are for buttons.
        let dz = if self.id == 4 { m.dz.clamp(-8, 7) } else { m.dz.clamp(-128, 127) };
        let dz = if self.id == 0 { m.dz } else { dz };
        *m = Motion { dx: m.dx - dx, dy: m.dy - dy, dz: m.dz - dz };
        self.changed = self.motion != Motion::default();
        let scale = |d: i32| if scaling { scaled(d) } else { d };
        let (dx, dy) = (scale(dx), scale(dy));
        let signs = u8::from(dx < 0) << 4 | u8::from(dy < 0) << 5;
        let flags = self.buttons & 7 | 1 << 3 | signs;
        self.queue.extend([flags, dx as u8, dy as u8]);
        match self.id {
            0 => {}
            4 => self.queue.push_back(dz as u8 & 0xf | (self.buttons & 0x18) << 1),
            _ => self.queue.push_back(dz as u8),
        }
    }

    fn reply(&mut self, bytes: &[u8]) {
        if self.queue.len() + bytes.len() <= BUFFER + REPLIES {
            self.queue.extend(bytes);
        }
    }

    fn defaults(&mut self) {
        let Mouse { buttons, id, rates, last, .. } = *self;
        *self = Mouse { buttons, id, rates, last, ..Mouse::default() };
    }

    /// The controller sends a byte.
    pub(super) fn receive(&mut self, byte: u8) {
        if self.wrap && !matches!(byte, 0xec | 0xff) {
            self.reply(&[byte]);
            return;
        }
        match self.command.take() {
            Some(command) => self.argument(command, byte),
            None => self.command(byte),
        }
        self.stream();
    }

    fn argument(&mut self, command: u8, byte: u8) {
        match (command, byte) {
            (0xe8, 0..=3) => self.resolution = byte,
            (0xe8, _) => return self.reply(&[RESEND]),
            (_, 10 | 20 | 40 | 60 | 80 | 100 | 200) => {
                let [_, before] = self.rates;
                self.id = match (self.id, self.rates, byte) {
                    (_, [200, 100], 80) => 3,
                    (3 | 4, [200, 200], 80) => 4,
                    (id, ..) => id,
                };
                self.rates = [before, byte];
                self.rate = byte;
            }
            _ => return self.reply(&[RESEND]),
        }
        self.reply(&[ACK]);
    }

    /// A command. It ends what was being sent.
    fn command(&mut self, byte: u8) {
        self.queue.clear();
        match byte {
            0xe6 | 0xe7 => {
                self.scaling = byte == 0xe7;
                self.reply(&[ACK]);
            }
            0xe8 | 0xf3 => {
                self.command = Some(byte);
                self.reply(&[ACK]);
            }
            0xe9 => {
                let flag = |on: bool, bit: u8| if on { bit } else { 0 };
                // Left is bit 2 here, right bit 0, middle bit 1.
                let buttons = (self.buttons & 1) << 2 | self.buttons >> 1 & 3;
                let status = flag(self.remote, STATUS_REMOTE)
                    | flag(self.enabled, STATUS_ENABLED)
                    | flag(self.scaling, STATUS_SCALING)
                    | buttons;
                let (resolution, rate) = (self.resolution, self.rate);
                self.reply(&[ACK, status, resolution, rate]);
            }
            0xea | 0xf0 => {
                self.remote = byte == 0xf0;
                self.reply(&[ACK]);
            }
            0xeb => {
                self.reply(&[ACK]);
                self.report(false);
            }
            0xec | 0xee => {
                self.wrap = byte == 0xee;
                self.reply(&[ACK]);
            }
            0xf2 => {
                let id = self.id;
                self.reply(&[ACK, id]);
            }
            0xf4 | 0xf5 => {
                self.enabled = byte == 0xf4;
                self.motion = Motion::default();
                self.changed = false;
                self.reply(&[ACK]);
            }
            0xf6 => {
                self.defaults();
                self.reply(&[ACK]);
            }
            0xfe => {
                let last = self.last;
                self.reply(&[last]);
            }
            0xff => {
                self.id = 0;
                self.rates = [0; 2];
                self.defaults();
                self.reply(&[ACK, BAT_OK, 0x00]);
            }
            _ => self.reply(&[RESEND]),
        }
    }
}

/// Scaling 2:1, which only applies to movement that is reported in stream mode.
fn scaled(d: i32) -> i32 {
    let n = match d.abs() {
        0 => 0,
        1 | 2 => 1,
        3 => 3,
        4 => 6,
        5 => 9,
        n => 2 * n,
    };
    n.min(255) * d.signum()
}

//! PrimeCell UART PL011 (Arm DDI 0183), the serial port of Arm boards.
//!
//! Transmission takes no time: the transmit FIFO is always empty. Reception honours the FIFO; what does not fit
//! stays with the back end, so host input is never overrun.

use std::collections::VecDeque;
use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::phys::MmioDevice;
use serde::{Deserialize, Serialize};

use crate::chardev::CharBackend;
use crate::irq::IrqPin;
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::regmap::{RegMap, Stray, Word, reg, reserved};
use crate::uart::{Arrival, Line, Registers};

#[derive(Clone, Copy, Debug)]
enum Reg {
    Dr,
    Rsr,
    Fr,
    Ilpr,
    Ibrd,
    Fbrd,
    LcrH,
    Cr,
    Ifls,
    Imsc,
    Ris,
    Mis,
    Icr,
    Dmacr,
    Id,
}

const MAP: RegMap<Reg, 18> = RegMap::new(
    Pl011::SIZE,
    [
        reg(Reg::Dr, 4),
        reg(Reg::Rsr, 4),
        reserved(0x10),
        reg(Reg::Fr, 4),
        reserved(4),
        reg(Reg::Ilpr, 4),
        reg(Reg::Ibrd, 4),
        reg(Reg::Fbrd, 4),
        reg(Reg::LcrH, 4),
        reg(Reg::Cr, 4),
        reg(Reg::Ifls, 4),
        reg(Reg::Imsc, 4),
        reg(Reg::Ris, 4),
        reg(Reg::Mis, 4),
        reg(Reg::Icr, 4),
        reg(Reg::Dmacr, 4),
        reserved(0xf94),
        reg(Reg::Id, 0x20),
    ],
);

/// `UARTPeriphID0` to `UARTPCellID3`: Arm, part 0x011, revision r1p3, whose FIFOs are 16 deep.
const ID: [u8; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Characters in the receive FIFO when it is enabled.
const FIFO_DEPTH: usize = 16;

/// Bits of a received character above its data (3.3.1).
const DR_BE: u16 = 1 << 10;
const DR_OE: u16 = 1 << 11;

const RSR_OE: u8 = 1 << 3;

const FR_CTS: u32 = 1 << 0;
const FR_DSR: u32 = 1 << 1;
const FR_DCD: u32 = 1 << 2;
const FR_RXFE: u32 = 1 << 4;
const FR_RXFF: u32 = 1 << 6;
const FR_TXFE: u32 = 1 << 7;
const FR_RI: u32 = 1 << 8;

const LCR_BRK: u32 = 1 << 0;
const LCR_FEN: u32 = 1 << 4;

const CR_LBE: u32 = 1 << 7;
const CR_DTR: u32 = 1 << 10;
const CR_RTS: u32 = 1 << 11;
const CR_OUT1: u32 = 1 << 12;
const CR_OUT2: u32 = 1 << 13;

/// Interrupt bits of `IMSC`, `RIS`, `MIS` and `ICR`.
mod int {
    pub const RI: u32 = 1 << 0;
    pub const CTS: u32 = 1 << 1;
    pub const DCD: u32 = 1 << 2;
    pub const DSR: u32 = 1 << 3;
    pub const RX: u32 = 1 << 4;
    pub const TX: u32 = 1 << 5;
    pub const RT: u32 = 1 << 6;
    pub const BE: u32 = 1 << 9;
    pub const OE: u32 = 1 << 10;
    pub const ALL: u32 = 0x7ff;
}

/// The registers of a PL011.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pl011State {
    /// Received characters with their error bits, as `UARTDR` shows them.
    rx: VecDeque<u16>,
    /// A character was lost and none has been received since.
    overrun: bool,
    rsr: u8,
    ilpr: u8,
    ibrd: u16,
    fbrd: u8,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    ris: u32,
    dmacr: u32,
}

impl Default for Pl011State {
    /// The state after reset (3.2).
    fn default() -> Self {
        Pl011State {
            rx: VecDeque::with_capacity(FIFO_DEPTH),
            overrun: false,
            rsr: 0,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: 0x300,
            ifls: 0x12,
            imsc: 0,
            ris: 0,
            dmacr: 0,
        }
    }
}

impl Pl011State {
    fn fifo_enabled(&self) -> bool {
        self.lcr_h & LCR_FEN != 0
    }

    /// Reads `UARTDR`: the oldest character, its errors copied to `UARTRSR`.
    fn take(&mut self) -> u32 {
        let Some(mut c) = self.rx.pop_front() else { return 0 };
        if self.overrun {
            c |= DR_OE;
        }
        self.rsr = self.rsr & RSR_OE | (c >> 8) as u8;
        if self.rx.is_empty() {
            self.ris &= !(int::RX | int::RT);
        }
        u32::from(c)
    }

    /// Modem status as `UARTFR` shows it: nothing is connected, except in loopback our own outputs (3.3.8).
    fn modem(&self) -> u32 {
        if !self.loopback() {
            return 0;
        }
        let wires = [(CR_RTS, FR_CTS), (CR_DTR, FR_DSR), (CR_OUT1, FR_DCD), (CR_OUT2, FR_RI)];
        wires.iter().filter(|(out, _)| self.cr & out != 0).fold(0, |fr, (_, input)| fr | input)
    }

    fn read(&mut self, reg: Reg, i: usize) -> u32 {
        match reg {
            Reg::Dr => self.take(),
            Reg::Rsr => u32::from(self.rsr),
            Reg::Fr => {
                let empty = if self.rx.is_empty() { FR_RXFE } else { 0 };
                let full = if self.rx.len() >= self.depth() { FR_RXFF } else { 0 };
                self.modem() | FR_TXFE | empty | full
            }
            Reg::Ilpr => u32::from(self.ilpr),
            Reg::Ibrd => u32::from(self.ibrd),
            Reg::Fbrd => u32::from(self.fbrd),
            Reg::LcrH => self.lcr_h,
            Reg::Cr => self.cr,
            Reg::Ifls => self.ifls,
            Reg::Imsc => self.imsc,
            Reg::Ris => self.ris,
            Reg::Mis => self.ris & self.imsc,
            Reg::Dmacr => self.dmacr,
            Reg::Id => u32::from(ID[i]),
            // Write-only.
            Reg::Icr => 0,
        }
    }

    /// Returns the character to transmit, if any.
    fn write(&mut self, reg: Reg, word: Word) -> Option<u8> {
        match reg {
            // Sent even while CR.UARTEN is clear, as QEMU does: early consoles count on a boot loader there.
            Reg::Dr if word.lanes & 0xff != 0 => {
                let c = word.value as u8;
                // The transmit FIFO passes its trigger level on the way to empty.
                self.ris |= int::TX;
                if !self.loopback() {
                    return Some(c);
                }
                self.put(Arrival::Char(c), 0);
            }
            // UARTECR: any write clears all errors.
            Reg::Rsr => self.rsr = 0,
            Reg::Ilpr => self.ilpr = word.merge(self.ilpr.into()) as u8,
            Reg::Ibrd => self.ibrd = word.merge(self.ibrd.into()) as u16,
            Reg::Fbrd => self.fbrd = word.merge(self.fbrd.into()) as u8 & 0x3f,
            Reg::LcrH => {
                let new = word.merge(self.lcr_h) & 0xff;
                let changed = self.lcr_h ^ new;
                self.lcr_h = new;
                if changed & LCR_FEN != 0 {
                    self.rx.clear();
                    self.ris &= !(int::RX | int::RT);
                }
                if changed & new & LCR_BRK != 0 && self.loopback() {
                    self.put(Arrival::Break, 0);
                }
            }
            Reg::Cr => {
                let before = self.modem();
                self.cr = word.merge(self.cr) & 0xff87;
                let changed = before ^ self.modem();
                let inputs = [(FR_RI, int::RI), (FR_CTS, int::CTS), (FR_DCD, int::DCD), (FR_DSR, int::DSR)];
                for (flag, interrupt) in inputs {
                    if changed & flag != 0 {
                        self.ris |= interrupt;
                    }
                }
            }
            Reg::Ifls => self.ifls = word.merge(self.ifls) & 0x3f,
            Reg::Imsc => self.imsc = word.merge(self.imsc) & int::ALL,
            Reg::Icr => self.ris &= !word.value,
            // There is no DMA controller that would answer the requests.
            Reg::Dmacr => self.dmacr = word.merge(self.dmacr) & 7,
            Reg::Dr | Reg::Fr | Reg::Ris | Reg::Mis | Reg::Id => {}
        }
        None
    }
}

impl Registers for Pl011State {
    const KIND: &'static str = "pl011";
    const VERSION: u32 = 1;

    fn loopback(&self) -> bool {
        self.cr & CR_LBE != 0
    }

    fn depth(&self) -> usize {
        if self.fifo_enabled() { FIFO_DEPTH } else { 1 }
    }

    fn waiting(&self) -> usize {
        self.rx.len()
    }

    /// The receive interrupt is raised from the first character on, whatever `UARTIFLS` says, as QEMU does:
    /// guests that never enable the timeout interrupt rely on it. With FIFOs the timeout interrupt is raised as
    /// well, as if the 32 bit periods of silence after the character (2.8.2) were over at once.
    fn put(&mut self, what: Arrival, _now: u64) {
        if self.rx.len() >= self.depth() {
            self.overrun = true;
            self.rsr |= RSR_OE;
            self.ris |= int::OE;
            return;
        }
        self.overrun = false;
        let c = match what {
            Arrival::Char(c) => u16::from(c),
            Arrival::Break => DR_BE,
        };
        self.rx.push_back(c);
        self.ris |= int::RX;
        if self.fifo_enabled() {
            self.ris |= int::RT;
        }
        if what == Arrival::Break {
            self.ris |= int::BE;
        }
    }

    /// Level of the combined interrupt `UARTINTR`.
    fn interrupt(&self) -> bool {
        self.ris & self.imsc != 0
    }
}

/// A PL011 between the guest and a [`CharBackend`].
///
/// Nothing in it depends on the time.
#[derive(Debug)]
pub struct Pl011 {
    line: Line<Pl011State>,
    stray: Stray,
}

impl Pl011 {
    /// Size of the register window in bytes.
    pub const SIZE: u64 = 0x1000;

    /// A port after reset. `irq` is the combined interrupt.
    pub fn new(irq: IrqPin, backend: Arc<dyn CharBackend>) -> Pl011 {
        Pl011 { line: Line::new(irq, backend), stray: Stray::new() }
    }

    /// Whether [`Pl011::receive`] would take a character now.
    pub fn can_receive(&self) -> bool {
        self.line.peek(Registers::room) > 0
    }

    /// Characters arrive on the line. Takes as many as fit and returns how many that were.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        self.line.receive(bytes, 0)
    }

    /// A break condition arrives on the line. Lost in loopback.
    pub fn receive_break(&self) {
        self.line.receive_break(0);
    }

    /// Fetches what the back end has waiting, as far as it fits. The back end's owner calls this when new input
    /// came in; the guest's reads do the rest.
    pub fn poll(&self) {
        self.line.poll(0);
    }

    /// Accesses to registers that do not exist.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl MmioDevice for Pl011 {
    fn name(&self) -> &str {
        Pl011State::KIND
    }

    fn read(&self, offset: u64, size: Size) -> u64 {
        self.line.with(0, |state| MAP.read(&self.stray, offset, size, |reg, i| state.read(reg, i)))
    }

    fn write(&self, offset: u64, size: Size, value: u64) {
        let mut sent = None;
        self.line.with(0, |state| {
            MAP.write(&self.stray, offset, size, value, |reg, _, word| {
                sent = state.write(reg, word).or(sent);
            });
        });
        if let Some(c) = sent {
            self.line.send(c);
        }
    }
}

impl Device for Pl011 {
    fn kind(&self) -> &'static str {
        Pl011State::KIND
    }

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
#[path = "pl011_tests.rs"]
mod tests;

//! What goes into a controller and what comes out of it.

use std::sync::Arc;

use lyrebird_isa::lines::{CpuLines, FIQ, IRQ};

use super::GicError;
use super::state::Interrupts;

/// Input numbers of a controller as an [`IrqSink`](crate::IrqSink): SPIs by INTID, then the private inputs CPU
/// by CPU.
const PRIVATE_INPUTS: u32 = 1024;

/// Number of the input for SPI `n` (INTID `32 + n`) of a controller with `interrupts` INTIDs.
pub(super) fn spi_input(interrupts: usize, n: u32) -> Result<u32, GicError> {
    let limit = interrupts as u32 - 32;
    if n < limit { Ok(n + 32) } else { Err(GicError::NoSpi(n)) }
}

/// Number of the input for the private interrupt `intid` of `cpu`.
pub(super) fn ppi_input(cpus: usize, cpu: usize, intid: u32) -> Result<u32, GicError> {
    if cpu < cpus && (16..32).contains(&intid) {
        Ok(PRIVATE_INPUTS + cpu as u32 * 32 + intid)
    } else {
        Err(GicError::NoPpi { cpu, intid })
    }
}

/// The IRQ and FIQ wires to the CPUs, and what they were last driven to.
#[derive(Debug)]
struct Outputs {
    lines: Vec<Arc<CpuLines>>,
    driven: Vec<u32>,
}

impl Outputs {
    fn new(lines: Vec<Arc<CpuLines>>) -> Outputs {
        let driven = vec![0; lines.len()];
        Outputs { lines, driven }
    }

    /// Drives the lines of `cpu` to `level` (of [`IRQ`] and [`FIQ`]).
    #[inline]
    fn drive(&mut self, cpu: usize, level: u32) {
        let changed = self.driven[cpu] ^ level;
        if changed == 0 {
            return;
        }
        self.driven[cpu] = level;
        for line in [IRQ, FIQ] {
            if changed & line != 0 {
                self.lines[cpu].set(line, level & line != 0);
            }
        }
    }
}

/// The registers of a controller.
pub(super) trait Registers {
    fn irqs(&self) -> &Interrupts;

    fn irqs_mut(&mut self) -> &mut Interrupts;

    /// The level of the IRQ and FIQ outputs to a CPU.
    fn output(&self, cpu: usize) -> u32;
}

/// A controller's registers with its outputs.
#[derive(Debug)]
pub(super) struct Wired<R> {
    pub state: R,
    outputs: Outputs,
}

impl<R: Registers> Wired<R> {
    pub(super) fn new(state: R, lines: Vec<Arc<CpuLines>>) -> Wired<R> {
        Wired { state, outputs: Outputs::new(lines) }
    }

    /// Brings the outputs to one CPU up to date with the registers.
    pub(super) fn update(&mut self, cpu: usize) {
        let level = self.state.output(cpu);
        self.outputs.drive(cpu, level);
    }

    /// Brings all outputs up to date.
    pub(super) fn update_all(&mut self) {
        for cpu in 0..self.outputs.lines.len() {
            self.update(cpu);
        }
    }

    /// An input changes, by its number as an [`IrqSink`](crate::IrqSink).
    pub(super) fn set_input(&mut self, line: u32, high: bool) {
        let (private, word) = (line >= PRIVATE_INPUTS, line as usize / 32);
        let (cpu, index) = if private { (word - PRIVATE_INPUTS as usize / 32, 0) } else { (0, word) };
        let Some(bank) = self.state.irqs_mut().bank_mut(cpu, index).filter(|_| private || index > 0) else {
            return;
        };
        bank.set_level(line % 32, high);
        if private {
            return self.update(cpu);
        }
        for cpu in 0..self.outputs.lines.len() {
            if self.state.irqs().routes[cpu][index - 1] & 1 << (line % 32) != 0 {
                self.update(cpu);
            }
        }
    }

    /// Takes over a state after reset, with the inputs as they are.
    pub(super) fn reset(&mut self, mut new: R) {
        new.irqs_mut().keep_levels(self.state.irqs());
        self.replace(new);
    }

    /// Takes over a state from elsewhere.
    pub(super) fn replace(&mut self, new: R) {
        self.state = new;
        self.update_all();
    }
}

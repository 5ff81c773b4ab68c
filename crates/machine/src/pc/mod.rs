//! The `pc` board: an i440FX and PIIX machine on QEMU's layout, so that stock kernels and firmware find what they
//! expect. Kernels are loaded without firmware, and what it would tell them is made here; or firmware is started as a
//! CPU does after reset.
//!
//! ```text
//! 8259 pair · 8254 · MC146818 · local APIC and IO-APIC · HPET · ACPI power management · 16550 twice · 8042
//! PCI host bridge · fw_cfg · debug console · isa-debug-exit
//! ```

mod acpi;
mod bda;
mod boot;
mod chips;
mod cpu;
pub mod e820;
mod firmware;
pub mod map;
mod smbios;
mod told;

use std::sync::Arc;

use lyrebird_devices::{CharBackend, Piix4Pm};
use lyrebird_frontend_x86::X86Cpu;
use lyrebird_frontend_x86::cpu::model::{CpuModel, Feature};
use lyrebird_isa::lines::CpuLines;
use lyrebird_softmmu::phys::PhysMem;

use boot::Boot;
pub use boot::PcFiles;
use chips::{Chips, Surroundings};
use cpu::{Shared, VcpuBoard};
use e820::Ram;

use crate::clock::HostTime;
use crate::error::MachineError;
use crate::memory;
use crate::power::{Outcome, Power};
use crate::run::{self, Board, Chore, RunOptions};
use crate::stats::MachineStats;

/// What is to be added to `bytes` so that they sum up to zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b))
}

/// What may be chosen about the board.
#[derive(Clone, Debug)]
pub struct PcConfig {
    /// Bytes of RAM, a multiple of 1 MiB.
    pub memory: u64,
    /// What the CPU is.
    pub cpu: CpuModel,
    /// Image of the ROM that ends at 4 GiB, which is started instead of a kernel.
    pub firmware: Option<Vec<u8>>,
}

impl Default for PcConfig {
    fn default() -> Self {
        let [cpu, ..] = CpuModel::ALL;
        PcConfig { memory: 1 << 30, cpu, firmware: None }
    }
}

impl PcConfig {
    /// Checks the size of RAM against the board's map, the CPU and the host.
    pub fn check(&self) -> Result<(), MachineError> {
        let top = 1u64 << self.cpu.phys_bits;
        let max = if top <= map::HIGH_BASE { map::LOW_MAX - (1 << 20) } else { top - map::HIGH_BASE };
        if let Some(image) = &self.firmware {
            firmware::check(image)?;
        }
        memory::check(self.memory, max)
    }
}

/// A `pc` board with its chips, ready to be loaded and run.
#[derive(Debug)]
pub struct PcMachine {
    config: PcConfig,
    shared: Arc<Shared>,
    boot: Option<Boot>,
}

impl PcMachine {
    /// Builds the board. The first serial port's characters go to and come from `serial`.
    ///
    /// # Errors
    /// RAM of a size that the board, the CPU or the host cannot have.
    pub fn new(config: PcConfig, serial: Arc<dyn CharBackend>) -> Result<PcMachine, MachineError> {
        config.check()?;
        let lines = Arc::new(CpuLines::new());
        let power = Arc::new(Power::new(vec![lines.clone()]));
        let ram = Ram::split(config.memory);
        // The VGA window is a hole.
        let mut bus = PhysMem::builder().ram(0, map::LOW_END).ram(map::HIGH_DOS, ram.low - map::HIGH_DOS);
        if ram.high > 0 {
            bus = bus.ram(map::HIGH_BASE, ram.high);
        }
        if let Some(image) = &config.firmware {
            bus = bus.rom(firmware::base(image), image);
        }
        let (chips, bus) = Chips::new(
            Surroundings {
                lines: lines.clone(),
                clock: Arc::new(HostTime::new()),
                power: power.clone(),
                serial,
                apic: config.cpu.has(Feature::Apic),
                pa_bits: config.cpu.phys_bits.into(),
            },
            bus,
        )?;
        let phys = bus.build()?;
        chips.attach(&phys, told::items(ram)?)?;
        let shared = Arc::new(Shared { phys, chips, power, lines });
        Ok(PcMachine { config, shared, boot: None })
    }

    /// The first serial port, for whoever brings characters for it.
    pub fn serial(&self) -> PcSerial {
        PcSerial(self.shared.clone())
    }

    /// The switch by which other threads end a run.
    pub fn power(&self) -> &Arc<Power> {
        &self.shared.power
    }

    /// The physical address space.
    pub fn phys(&self) -> &Arc<PhysMem> {
        &self.shared.phys
    }

    /// The power button. A guest with ACPI powers off when it is pressed.
    pub fn power_button(&self) -> PowerButton {
        PowerButton(self.shared.chips.pm.clone())
    }

    /// Takes the files apart and decides where they go. Memory is written by [`PcMachine::reset`]. A board with
    /// firmware has no use for files.
    pub fn load(&mut self, files: PcFiles) -> Result<(), MachineError> {
        self.boot = Some(match &self.config.firmware {
            Some(image) => Boot::firmware(image),
            None => Boot::new(files, &self.config)?,
        });
        self.shared.power.clear();
        self.reset()
    }

    /// Power-on: chips to their reset state, what was loaded back into memory.
    pub fn reset(&mut self) -> Result<(), MachineError> {
        let boot = self.boot.as_ref().ok_or(MachineError::NothingLoaded)?;
        self.shared.chips.reset(Ram::split(self.config.memory));
        if self.config.firmware.is_none() {
            self.shared.chips.set_up();
        }
        boot.write(&self.shared.phys)
    }

    /// Runs what was loaded until the guest, the user or the clock ends it.
    ///
    /// # Errors
    /// Nothing was loaded, the host gives no thread, or verify mode found the tiers to disagree.
    pub fn run(&mut self, options: &RunOptions) -> Result<(Outcome, MachineStats), MachineError> {
        run::run(self, options)
    }
}

impl Board for PcMachine {
    type Cpu = X86Cpu;

    fn power(&self) -> &Arc<Power> {
        &self.shared.power
    }
    fn phys(&self) -> &Arc<PhysMem> {
        &self.shared.phys
    }
    fn ram_base(&self) -> u64 {
        0
    }
    fn chore(&self) -> Chore {
        // All clocks have a deadline of their own.
        Box::new(|| ())
    }
    fn boot_cpu(&self) -> Result<X86Cpu, MachineError> {
        let boot = self.boot.as_ref().ok_or(MachineError::NothingLoaded)?;
        let board = VcpuBoard::new(self.shared.clone());
        let mut cpu = X86Cpu::new(self.config.cpu.clone(), Box::new(board), self.shared.phys.clone());
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(MachineError::Entropy)?;
        cpu.seed_random(u64::from_le_bytes(seed));
        if let Some(entry) = boot.entry() {
            memory_types(&mut cpu);
            cpu.start_at(entry).map_err(|_| MachineError::NothingLoaded)?;
        }
        Ok(cpu)
    }
    fn is_off(&self) -> bool {
        false
    }
    fn reset(&mut self) -> Result<(), MachineError> {
        PcMachine::reset(self)
    }
}

/// Sets the memory type ranges as firmware does, since kernels take a CPU without for one whose page attributes are
/// not to be trusted: write-back, but for VGA, the BIOS and the PCI hole (SDM Vol. 3, 11.11).
fn memory_types(cpu: &mut X86Cpu) {
    const WRITE_BACK: u64 = 0x0606_0606_0606_0606;
    const WRITE_PROTECTED: u64 = 0x0505_0505_0505_0505;
    const HOLE: u64 = 0xc000_0000;
    /// Bit 11 of a mask: the range counts. Bits 11 and 10 of the default type: ranges and fixed ranges count.
    const VALID: u64 = 1 << 11;
    const FIXED: u64 = 1 << 10;
    if !cpu.model.has(Feature::Mtrr) {
        return;
    }
    let mask = (1u64 << cpu.model.phys_bits) - (map::HIGH_BASE - HOLE);
    let mut ranges =
        vec![(0x250, WRITE_BACK), (0x258, WRITE_BACK), (0x259, 0), (0x200, HOLE), (0x201, mask | VALID)];
    ranges.extend((0x268..=0x26f).map(|n| (n, WRITE_PROTECTED)));
    ranges.push((0x2ff, 6 | VALID | FIXED));
    for (msr, value) in ranges {
        let set = cpu.write_msr(msr, value);
        debug_assert_eq!(set, Some(true), "MSR {msr:#x}");
    }
}

/// The first serial port of a board.
#[derive(Clone, Debug)]
pub struct PcSerial(Arc<Shared>);

impl PcSerial {
    /// Fetches what the back end has waiting, as far as it fits.
    pub fn poll(&self) {
        self.0.chips.com[0].poll();
        // A timeout may have to be waited for.
        self.0.chips.touched.set();
        self.0.lines.kick();
    }
}

/// The power button of a board, for whoever presses it while the machine runs.
#[derive(Clone, Debug)]
pub struct PowerButton(Arc<Piix4Pm>);

impl PowerButton {
    /// Presses it.
    pub fn press(&self) {
        self.0.press_power_button();
    }
}

#[cfg(test)]
mod tests;

//! The `virt` board: the ARM machine of that name as Linux, U-Boot and EDK2 know it.
//!
//! ```text
//! GICv2 or GICv3 · generic timer · PL011 console · PL031 clock · PL061 with the power key
//! 32 empty virtio-mmio slots · PSCI firmware · RAM from 1 GiB on
//! ```

mod boot;
mod cpu;
mod gic;
pub mod map;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lyrebird_devices::{CharBackend, Device, EmptyVirtioMmio, GenericTimer, IrqPin, Pl011, Pl031, Pl061};
use lyrebird_frontend_arm::{ArmCpu, CpuModel};
use lyrebird_isa::lines::CpuLines;
use lyrebird_softmmu::phys::PhysMem;

use boot::Boot;
pub use boot::BootFiles;
use cpu::{Shared, VcpuBoard, VcpuWires};
use gic::Gic;

use crate::clock::Clock;
use crate::error::MachineError;
use crate::fdt::{self, Seeds};
use crate::loader::RamRange;
use crate::memory;
use crate::power::{Outcome, Power};
use crate::psci::Topology;
use crate::run::{self, Board, Chore, RunOptions};
use crate::stats::MachineStats;

/// Which interrupt controller the board has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GicVersion {
    /// GICv2: memory-mapped CPU interface, at most 8 CPUs.
    #[default]
    V2,
    /// GICv3: redistributors and CPU interface in system registers.
    V3,
}

/// What may be chosen about the board.
#[derive(Clone, Debug)]
pub struct VirtConfig {
    /// Bytes of RAM, a multiple of 1 MiB.
    pub memory: u64,
    /// Interrupt controller.
    pub gic: GicVersion,
    /// What the CPU is.
    pub cpu: CpuModel,
    /// Random numbers for the guest; `None` asks the host.
    pub seeds: Option<Seeds>,
}

impl Default for VirtConfig {
    fn default() -> Self {
        VirtConfig { memory: 1 << 30, gic: GicVersion::V2, cpu: CpuModel::max(), seeds: None }
    }
}

impl VirtConfig {
    /// Checks the sizes against the board's map and the host.
    pub fn check(&self) -> Result<RamRange, MachineError> {
        // A core with 32 physical address bits reaches less than the board's map.
        let top = map::RAM_LIMIT.min(1 << self.cpu.pa_bits);
        memory::check(self.memory, top - map::RAM_BASE)?;
        Ok(RamRange { base: map::RAM_BASE, size: self.memory })
    }

    fn seeds(&self) -> Result<Seeds, MachineError> {
        if let Some(seeds) = self.seeds {
            return Ok(seeds);
        }
        let mut kaslr = [0; 8];
        let mut rng = [0; 32];
        getrandom::fill(&mut kaslr).map_err(MachineError::Entropy)?;
        getrandom::fill(&mut rng).map_err(MachineError::Entropy)?;
        Ok(Seeds { kaslr: u64::from_le_bytes(kaslr), rng })
    }
}

/// A `virt` board with its chips, ready to be loaded and run.
#[derive(Debug)]
pub struct VirtMachine {
    config: VirtConfig,
    ram: RamRange,
    shared: Arc<Shared>,
    uart: Arc<Pl011>,
    rtc: Arc<Pl031>,
    gpio: Arc<Pl061>,
    boot: Option<Boot>,
}

impl VirtMachine {
    /// Builds the board. The console's characters go to and come from `serial`.
    ///
    /// # Errors
    /// RAM of a size that the board, the CPU or the host cannot have.
    pub fn new(config: VirtConfig, serial: Arc<dyn CharBackend>) -> Result<VirtMachine, MachineError> {
        let ram = config.check()?;
        // One CPU for now. Affinities are consecutive in Aff0 as long as there are at most 8.
        let wires: Vec<(u64, Arc<CpuLines>)> = (0..1).map(|n| (n, Arc::new(CpuLines::new()))).collect();
        let gic = Gic::new(config.gic, &wires)?;

        let uart = Arc::new(Pl011::new(gic.spi(map::SPI_UART)?, serial));
        let rtc = Arc::new(Pl031::new(gic.spi(map::SPI_RTC)?));
        let gpio = Arc::new(Pl061::new(gic.spi(map::SPI_GPIO)?));
        let mut bus = PhysMem::builder()
            .ram(ram.base, ram.size)
            .mmio(map::UART.base, map::UART.size, uart.clone())
            .mmio(map::RTC.base, map::RTC.size, rtc.clone())
            .mmio(map::GPIO.base, map::GPIO.size, gpio.clone());
        for n in 0..u64::from(map::VIRTIO_COUNT) {
            let base = map::VIRTIO.base + n * map::VIRTIO_STRIDE;
            bus = bus.mmio(base, map::VIRTIO_STRIDE, Arc::new(EmptyVirtioMmio::new()));
        }
        let phys = gic.attach(bus).build()?;

        let mut cpus = Vec::new();
        let power = Arc::new(Power::new(wires.iter().map(|(_, lines)| lines.clone()).collect()));
        for (n, (affinity, lines)) in wires.into_iter().enumerate() {
            let timer = GenericTimer::new(
                Clock::FREQUENCY,
                [
                    gic.ppi(n, map::PPI_TIMER_PHYS)?,
                    gic.ppi(n, map::PPI_TIMER_VIRT)?,
                    gic.ppi(n, map::PPI_TIMER_HYP)?,
                    // EL2's virtual timer comes with Armv8.1 VHE.
                    IrqPin::disconnected(),
                    gic.ppi(n, map::PPI_TIMER_SEC)?,
                ],
            );
            cpus.push(VcpuWires { affinity, lines, timer, on: AtomicBool::new(n == 0) });
        }
        let shared = Arc::new(Shared { phys, gic, clock: Clock::new(), power, cpus });
        Ok(VirtMachine { config, ram, shared, uart, rtc, gpio, boot: None })
    }

    /// The console, for whoever pushes characters into it.
    pub fn serial(&self) -> &Arc<Pl011> {
        &self.uart
    }

    /// The switch by which other threads end a run.
    pub fn power(&self) -> &Arc<Power> {
        &self.shared.power
    }

    /// The physical address space.
    pub fn phys(&self) -> &Arc<PhysMem> {
        &self.shared.phys
    }

    /// The power key. Linux with a daemon that listens for it powers off when it is pressed.
    pub fn power_key(&self) -> PowerKey {
        PowerKey(self.gpio.clone())
    }

    /// The board's device tree as the guest would get it, had it nothing else to load. With `given`, that tree
    /// with this board's memory and the command line written into it.
    pub fn device_tree(
        config: &VirtConfig,
        given: Option<&[u8]>,
        chosen: &fdt::Chosen<'_>,
    ) -> Result<Vec<u8>, MachineError> {
        let ram = config.check()?;
        match given {
            Some(bytes) => {
                let mut tree = fdt::Tree::parse(bytes)?;
                fdt::amend(&mut tree, ram, chosen);
                Ok(tree.write()?)
            }
            None => {
                let board = fdt::Board {
                    ram,
                    cpus: &[0],
                    cpu_compatible: cpu_compatible(&config.cpu),
                    gic: config.gic,
                };
                Ok(fdt::build(&board, chosen)?)
            }
        }
    }

    /// Takes the files apart, decides where they go, and makes the device tree. Memory is written by
    /// [`VirtMachine::reset`].
    pub fn load(&mut self, files: BootFiles) -> Result<(), MachineError> {
        let seeds = self.config.seeds()?;
        self.boot = Some(Boot::new(files, self.ram, seeds, &self.config)?);
        self.shared.power.clear();
        self.reset()
    }

    /// The device tree that the guest gets.
    pub fn dtb(&self) -> Option<&[u8]> {
        self.boot.as_ref().map(Boot::dtb)
    }

    /// Power-on: chips to their reset state, what was loaded back into memory.
    pub fn reset(&mut self) -> Result<(), MachineError> {
        let boot = self.boot.as_ref().ok_or(MachineError::NothingLoaded)?;
        let gic = self.shared.gic.device();
        let devices: [&dyn Device; 4] = [&*self.uart, &*self.rtc, &*self.gpio, gic];
        for device in devices {
            device.reset();
        }
        for (n, cpu) in self.shared.cpus.iter().enumerate() {
            cpu.timer.reset();
            cpu.on.store(n == 0, std::sync::atomic::Ordering::Release);
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

impl Board for VirtMachine {
    type Cpu = ArmCpu;

    fn power(&self) -> &Arc<Power> {
        &self.shared.power
    }
    fn phys(&self) -> &Arc<PhysMem> {
        &self.shared.phys
    }
    fn ram_base(&self) -> u64 {
        map::RAM_BASE
    }
    fn chore(&self) -> Chore {
        let rtc = self.rtc.clone();
        Box::new(move || rtc.update())
    }
    fn boot_cpu(&self) -> Result<ArmCpu, MachineError> {
        let boot = self.boot.as_ref().ok_or(MachineError::NothingLoaded)?;
        let board = VcpuBoard::new(self.shared.clone(), 0);
        let affinity = self.shared.cpus.first().map_or(0, |c| c.affinity);
        let phys = self.shared.phys.clone();
        let mut cpu = ArmCpu::new(self.config.cpu, affinity, Box::new(board), phys);
        boot.enter(&mut cpu);
        Ok(cpu)
    }
    fn is_off(&self) -> bool {
        !self.shared.is_on(0)
    }
    fn reset(&mut self) -> Result<(), MachineError> {
        VirtMachine::reset(self)
    }
}

/// The power key of a board, for whoever presses it while the machine runs.
#[derive(Clone, Debug)]
pub struct PowerKey(Arc<Pl061>);

impl PowerKey {
    /// Presses (`true`) or releases the key.
    pub fn set(&self, pressed: bool) {
        self.0.set_input(map::GPIO_POWER_KEY, pressed);
    }
}

/// `compatible` of a core in the device tree.
fn cpu_compatible(model: &CpuModel) -> &'static str {
    match model.name {
        "cortex-a53" => "arm,cortex-a53",
        "cortex-a57" => "arm,cortex-a57",
        "cortex-a72" => "arm,cortex-a72",
        // The binding's name for a model that is no particular core.
        _ => "arm,armv8",
    }
}

#[cfg(test)]
mod tests;

//! GICv2 (Arm IHI 0048B) as QEMU's `virt` shows it: two groups, no Security Extensions.

mod cpu;
mod dist;

pub use cpu::GicV2Cpu;
pub use dist::GicV2Dist;

use std::sync::{Arc, Mutex, Weak};

use lyrebird_isa::lines::{CpuLines, FIQ, IRQ};
use serde::{Deserialize, Serialize};

use super::GicError;
use super::cpu::CpuInterface;
use super::state::Interrupts;
use super::wires::{Registers, Wired, ppi_input, spi_input};
use crate::irq::{IrqPin, IrqSink};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Stray;

/// Bits of group priority: 128 levels, as many as the architecture has.
const PREEMPTION_BITS: u8 = 7;

/// The registers of distributor and CPU interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GicV2State {
    irqs: Interrupts,
    /// `GICD_CTLR`: a bit per group.
    groups: u32,
    /// `GICD_ITARGETSR` of the SPIs: a bit per CPU.
    targets: Vec<u8>,
    /// Per target CPU and SGI, the CPUs that have it pending there.
    sgi_sources: Vec<[u8; 16]>,
    cpus: Vec<CpuInterface>,
    /// `GICC_CTLR` per CPU.
    cpu_ctlr: Vec<u32>,
}

impl GicV2State {
    fn new(interrupts: usize, cpus: usize) -> GicV2State {
        let mut irqs = Interrupts::new(interrupts, cpus);
        for bank in &mut irqs.private {
            // SGIs are always enabled (4.3.5, as permitted).
            bank.enabled = 0xffff;
        }
        let spis = interrupts - 32;
        let mut s = GicV2State {
            irqs,
            groups: 0,
            targets: vec![0; spis],
            sgi_sources: vec![[0; 16]; cpus],
            cpus: vec![CpuInterface::new(PREEMPTION_BITS); cpus],
            cpu_ctlr: vec![0; cpus],
        };
        // A uniprocessor has no target registers, and all SPIs go to the one CPU.
        for spi in 0..spis {
            s.set_target(spi, u8::from(cpus == 1));
        }
        s
    }

    fn set_target(&mut self, spi: usize, cpus: u8) {
        self.targets[spi] = cpus;
        self.irqs.route(spi, |cpu| cpus >> cpu & 1 != 0);
    }
}

impl Registers for GicV2State {
    fn irqs(&self) -> &Interrupts {
        &self.irqs
    }

    fn irqs_mut(&mut self) -> &mut Interrupts {
        &mut self.irqs
    }

    fn output(&self, cpu: usize) -> u32 {
        let interface = &self.cpus[cpu];
        match self.irqs.best(cpu, self.groups & interface.groups) {
            Some(c) if interface.can_preempt(&c) => {
                if c.group == 0 && self.cpu_ctlr[cpu] & cpu::CTLR_FIQ_EN != 0 { FIQ } else { IRQ }
            }
            _ => 0,
        }
    }
}

impl Wired<GicV2State> {
    /// After a change to one interrupt: an SPI may concern any CPU.
    fn update_for(&mut self, cpu: usize, intid: u32) {
        if intid < 32 { self.update(cpu) } else { self.update_all() }
    }
}

/// A GICv2 with up to 8 CPUs.
///
/// Several registers are banked by CPU, so each CPU gets its own [`GicV2::distributor`] and
/// [`GicV2::cpu_interface`] to map.
#[derive(Debug)]
pub struct GicV2 {
    inner: Mutex<Wired<GicV2State>>,
    stray: Stray,
    interrupts: usize,
    cpus: usize,
}

impl GicV2 {
    const KIND: &str = "gicv2";
    const VERSION: u32 = 1;

    /// A controller with `interrupts` INTIDs (a multiple of 32, the 32 private ones included) for the CPUs
    /// behind `lines`.
    pub fn new(interrupts: usize, lines: Vec<Arc<CpuLines>>) -> Result<Arc<GicV2>, GicError> {
        let cpus = lines.len();
        GicError::check(interrupts, cpus, 8)?;
        let inner = Wired::new(GicV2State::new(interrupts, cpus), lines);
        Ok(Arc::new(GicV2 { inner: Mutex::new(inner), stray: Stray::new(), interrupts, cpus }))
    }

    fn sink(self: &Arc<Self>) -> Weak<dyn IrqSink> {
        let sink: Arc<dyn IrqSink> = self.clone();
        Arc::downgrade(&sink)
    }

    /// The input of SPI `n` (INTID `32 + n`). Devices on the same SPI must share one pin.
    pub fn spi(self: &Arc<Self>, n: u32) -> Result<IrqPin, GicError> {
        Ok(IrqPin::new(self.sink(), spi_input(self.interrupts, n)?))
    }

    /// The input of a CPU's private interrupt, by INTID (16 to 31).
    pub fn ppi(self: &Arc<Self>, cpu: usize, intid: u32) -> Result<IrqPin, GicError> {
        Ok(IrqPin::new(self.sink(), ppi_input(self.cpus, cpu, intid)?))
    }

    /// The distributor as `cpu` sees it; [`GicV2Dist::SIZE`] bytes. CPUs beyond the last see CPU 0's.
    pub fn distributor(self: &Arc<Self>, cpu: usize) -> GicV2Dist {
        GicV2Dist::new(self.clone(), if cpu < self.cpus { cpu } else { 0 })
    }

    /// The CPU interface of `cpu`; [`GicV2Cpu::SIZE`] bytes. CPUs beyond the last see CPU 0's.
    pub fn cpu_interface(self: &Arc<Self>, cpu: usize) -> GicV2Cpu {
        GicV2Cpu::new(self.clone(), if cpu < self.cpus { cpu } else { 0 })
    }

    /// Accesses to registers that do not exist.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl IrqSink for GicV2 {
    fn set_line(&self, line: u32, high: bool) {
        lock(&self.inner).set_input(line, high);
    }
}

impl Device for GicV2 {
    fn kind(&self) -> &'static str {
        GicV2::KIND
    }

    fn reset(&self) {
        lock(&self.inner).reset(GicV2State::new(self.interrupts, self.cpus));
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(GicV2::KIND, GicV2::VERSION, &lock(&self.inner).state)
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new: GicV2State = snapshot.decode(GicV2::KIND, GicV2::VERSION)?;
        let like = GicV2State::new(self.interrupts, self.cpus);
        let fits = new.irqs.same_shape(&like.irqs)
            && new.targets.len() == like.targets.len()
            && new.sgi_sources.len() == self.cpus
            && new.cpus.len() == self.cpus
            && new.cpu_ctlr.len() == self.cpus
            && new.cpus.iter().all(|c| c.is_sound(&like.cpus[0]));
        if !fits {
            return Err(SnapshotError::mismatch(GicV2::KIND, "is of another configuration"));
        }
        lock(&self.inner).replace(new);
        Ok(())
    }
}

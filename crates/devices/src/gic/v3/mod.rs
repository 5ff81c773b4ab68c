//! GICv3 (Arm IHI 0069) as QEMU's `virt` shows it without EL3: affinity routing always on, one security state
//! (`GICD_CTLR.DS` = 1), 5 priority bits, no LPIs and no ITS.

mod dist;
mod icc;
mod redist;

pub use dist::GicV3Dist;
pub use icc::IccReg;
pub use redist::GicV3Redist;

use std::sync::{Arc, Mutex, Weak};

use lyrebird_isa::lines::{CpuLines, FIQ, IRQ};
use serde::{Deserialize, Serialize};

use super::GicError;
use super::cpu::CpuInterface;
use super::state::{Candidate, Interrupts};
use super::wires::{Registers, Wired, ppi_input, spi_input};
use crate::irq::{IrqPin, IrqSink};
use crate::lifecycle::{Device, Snapshot, SnapshotError};
use crate::lock;
use crate::regmap::Stray;

/// Bits of priority, all of them group priority.
const PRIORITY_BITS: u8 = 5;

/// The bits of a priority byte that are implemented; the rest is RAZ/WI (4.8).
const PRIORITY_MASK: u8 = 0xff << (8 - PRIORITY_BITS);

/// Implementer Arm, no product or revision.
const IIDR: u32 = 0x43b;

/// `PIDR4` to `CIDR3` of a frame with the given `PIDR0`: an Arm GICv3.
const fn id(pidr0: u8) -> [u8; 12] {
    [0x44, 0, 0, 0, pidr0, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1]
}

/// The registers of distributor, redistributors and CPU interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GicV3State {
    irqs: Interrupts,
    /// `GICD_CTLR`: a bit per group.
    groups: u32,
    /// `GICD_IROUTER` of the SPIs.
    irouter: Vec<u64>,
    /// Affinity per CPU, as in `MPIDR_EL1` with Aff3 in bits 31:24.
    affinity: Vec<u32>,
    /// `GICR_WAKER` per CPU.
    waker: Vec<u32>,
    cpus: Vec<CpuInterface>,
}

impl GicV3State {
    fn new(interrupts: usize, affinity: &[u32]) -> GicV3State {
        let cpus = affinity.len();
        let spis = interrupts - 32;
        let mut s = GicV3State {
            irqs: Interrupts::new(interrupts, cpus),
            groups: 0,
            irouter: vec![0; spis],
            affinity: affinity.to_vec(),
            waker: vec![redist::WAKER_ASLEEP; cpus],
            cpus: vec![CpuInterface::new(PRIORITY_BITS); cpus],
        };
        for spi in 0..spis {
            s.set_route(spi, 0);
        }
        s
    }

    /// `GICD_IROUTER` of an SPI: goes to the CPU of that affinity, or nowhere. 1-of-N routing is not
    /// implemented (`GICD_TYPER.No1N`), so Interrupt_Routing_Mode is RES0.
    fn set_route(&mut self, spi: usize, value: u64) {
        let value = value & 0xff_00ff_ffff;
        self.irouter[spi] = value;
        let wanted = (value >> 32 << 24 | value & 0xff_ffff) as u32;
        self.irqs.route(spi, |cpu| self.affinity[cpu] == wanted);
    }

    fn candidate(&self, cpu: usize) -> Option<Candidate> {
        self.irqs.best(cpu, self.groups & self.cpus[cpu].groups)
    }
}

impl Registers for GicV3State {
    fn irqs(&self) -> &Interrupts {
        &self.irqs
    }

    fn irqs_mut(&mut self) -> &mut Interrupts {
        &mut self.irqs
    }

    /// With one security state group 0 is FIQ, group 1 IRQ (4.6.2).
    fn output(&self, cpu: usize) -> u32 {
        match self.candidate(cpu) {
            Some(c) if self.cpus[cpu].can_preempt(&c) => [FIQ, IRQ][c.group],
            _ => 0,
        }
    }
}

/// A GICv3 with system-register CPU interfaces.
#[derive(Debug)]
pub struct GicV3 {
    inner: Mutex<Wired<GicV3State>>,
    stray: Stray,
    interrupts: usize,
    affinity: Vec<u32>,
}

impl GicV3 {
    const KIND: &str = "gicv3";
    const VERSION: u32 = 1;

    /// A controller with `interrupts` INTIDs (a multiple of 32, the 32 private ones included) for the CPUs in
    /// `cpus`: each with its affinity (`MPIDR_EL1`'s Aff2:Aff1:Aff0, Aff3 in bits 31:24) and its lines.
    pub fn new(interrupts: usize, cpus: Vec<(u32, Arc<CpuLines>)>) -> Result<Arc<GicV3>, GicError> {
        GicError::check(interrupts, cpus.len(), 512)?;
        let (affinity, lines): (Vec<_>, Vec<_>) = cpus.into_iter().unzip();
        let inner = Wired::new(GicV3State::new(interrupts, &affinity), lines);
        Ok(Arc::new(GicV3 { inner: Mutex::new(inner), stray: Stray::new(), interrupts, affinity }))
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
        Ok(IrqPin::new(self.sink(), ppi_input(self.affinity.len(), cpu, intid)?))
    }

    /// The distributor; [`GicV3Dist::SIZE`] bytes.
    pub fn distributor(self: &Arc<Self>) -> GicV3Dist {
        GicV3Dist::new(self.clone())
    }

    /// The redistributors of all CPUs, one after the other; [`GicV3Redist::SIZE`] bytes each.
    pub fn redistributors(self: &Arc<Self>) -> GicV3Redist {
        GicV3Redist::new(self.clone())
    }

    /// Number of CPUs.
    pub fn cpus(&self) -> usize {
        self.affinity.len()
    }

    /// Accesses to registers that do not exist.
    pub fn stray(&self) -> &Stray {
        &self.stray
    }
}

impl IrqSink for GicV3 {
    fn set_line(&self, line: u32, high: bool) {
        lock(&self.inner).set_input(line, high);
    }
}

impl Device for GicV3 {
    fn kind(&self) -> &'static str {
        GicV3::KIND
    }

    fn reset(&self) {
        lock(&self.inner).reset(GicV3State::new(self.interrupts, &self.affinity));
    }

    fn save(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::encode(GicV3::KIND, GicV3::VERSION, &lock(&self.inner).state)
    }

    fn restore(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let new: GicV3State = snapshot.decode(GicV3::KIND, GicV3::VERSION)?;
        let like = GicV3State::new(self.interrupts, &self.affinity);
        let fits = new.irqs.same_shape(&like.irqs)
            && new.irouter.len() == like.irouter.len()
            && new.affinity == like.affinity
            && new.waker.len() == like.waker.len()
            && new.cpus.len() == like.cpus.len()
            && new.cpus.iter().all(|c| c.is_sound(&like.cpus[0]));
        if !fits {
            return Err(SnapshotError::mismatch(GicV3::KIND, "is of another configuration"));
        }
        lock(&self.inner).replace(new);
        Ok(())
    }
}

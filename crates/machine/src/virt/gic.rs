//! Either interrupt controller behind one face.

use std::sync::Arc;

use lyrebird_devices::gic::{self, GicError, VIRT_INTERRUPTS};
use lyrebird_devices::{Device, GicV2, GicV3, IrqPin};
use lyrebird_frontend_arm::platform::IccReg;
use lyrebird_isa::lines::CpuLines;
use lyrebird_softmmu::phys::PhysMemBuilder;

use super::{GicVersion, map};

/// The board's interrupt controller.
#[derive(Clone, Debug)]
pub(super) enum Gic {
    V2(Arc<GicV2>),
    V3(Arc<GicV3>),
}

impl Gic {
    /// A controller for CPUs with these affinities and lines.
    pub fn new(version: GicVersion, cpus: &[(u64, Arc<CpuLines>)]) -> Result<Gic, GicError> {
        Ok(match version {
            GicVersion::V2 => {
                Gic::V2(GicV2::new(VIRT_INTERRUPTS, cpus.iter().map(|(_, l)| l.clone()).collect())?)
            }
            GicVersion::V3 => {
                // The controller packs Aff3 below Aff2.
                let packed = |mpidr: u64| (mpidr & 0xff_ffff | mpidr >> 8 & 0xff00_0000) as u32;
                let cpus = cpus.iter().map(|(a, l)| (packed(*a), l.clone())).collect();
                Gic::V3(GicV3::new(VIRT_INTERRUPTS, cpus)?)
            }
        })
    }

    /// Maps its registers.
    pub fn attach(&self, bus: PhysMemBuilder) -> PhysMemBuilder {
        let (dist, cpu, redist) = (map::GIC_DIST, map::GIC_CPU, map::GIC_REDIST);
        match self {
            // One CPU: the registers banked per CPU are CPU 0's.
            Gic::V2(g) => bus.mmio(dist.base, dist.size, Arc::new(g.distributor(0))).mmio(
                cpu.base,
                cpu.size,
                Arc::new(g.cpu_interface(0)),
            ),
            Gic::V3(g) => {
                let size = g.cpus() as u64 * gic::GicV3Redist::SIZE;
                bus.mmio(dist.base, dist.size, Arc::new(g.distributor())).mmio(
                    redist.base,
                    size.min(redist.size),
                    Arc::new(g.redistributors()),
                )
            }
        }
    }

    /// The input of SPI `n`.
    pub fn spi(&self, n: u32) -> Result<IrqPin, GicError> {
        match self {
            Gic::V2(g) => g.spi(n),
            Gic::V3(g) => g.spi(n),
        }
    }

    /// The input of a private interrupt, by INTID.
    pub fn ppi(&self, cpu: usize, intid: u32) -> Result<IrqPin, GicError> {
        match self {
            Gic::V2(g) => g.ppi(cpu, intid),
            Gic::V3(g) => g.ppi(cpu, intid),
        }
    }

    /// Whether the CPU interface is in system registers.
    pub fn has_sysregs(&self) -> bool {
        matches!(self, Gic::V3(_))
    }

    /// Reads a CPU interface register; 0 where there is none.
    pub fn icc_read(&self, cpu: usize, reg: IccReg) -> u64 {
        match self {
            Gic::V2(_) => 0,
            Gic::V3(g) => g.icc_read(cpu, chip_reg(reg)),
        }
    }

    /// Writes a CPU interface register; ignored where there is none.
    pub fn icc_write(&self, cpu: usize, reg: IccReg, value: u64) {
        match self {
            Gic::V2(_) => {}
            Gic::V3(g) => g.icc_write(cpu, chip_reg(reg), value),
        }
    }

    /// The controller's lifecycle.
    pub fn device(&self) -> &dyn Device {
        match self {
            Gic::V2(g) => &**g,
            Gic::V3(g) => &**g,
        }
    }
}

/// The chip's name of a register.
fn chip_reg(r: IccReg) -> gic::IccReg {
    use gic::IccReg as Chip;
    match r {
        IccReg::Pmr => Chip::Pmr,
        IccReg::Iar0 => Chip::Iar0,
        IccReg::Iar1 => Chip::Iar1,
        IccReg::Eoir0 => Chip::Eoir0,
        IccReg::Eoir1 => Chip::Eoir1,
        IccReg::Hppir0 => Chip::Hppir0,
        IccReg::Hppir1 => Chip::Hppir1,
        IccReg::Bpr0 => Chip::Bpr0,
        IccReg::Bpr1 => Chip::Bpr1,
        IccReg::Ap0r(n) => Chip::Ap0r(n),
        IccReg::Ap1r(n) => Chip::Ap1r(n),
        IccReg::Dir => Chip::Dir,
        IccReg::Rpr => Chip::Rpr,
        IccReg::Sgi1r => Chip::Sgi1r,
        IccReg::Asgi1r => Chip::Asgi1r,
        IccReg::Sgi0r => Chip::Sgi0r,
        IccReg::Ctlr => Chip::Ctlr,
        IccReg::Sre => Chip::Sre,
        IccReg::Igrpen0 => Chip::Igrpen0,
        IccReg::Igrpen1 => Chip::Igrpen1,
    }
}

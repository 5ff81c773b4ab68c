//! Why a machine cannot be built or started.

use std::fmt;

use thiserror::Error;

use crate::loader::LoadError;

/// A size as `--memory` takes it: `1G`, `1536M`, `5000K`, or bytes.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// A machine cannot be built or started as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MachineError {
    /// `--memory 0`.
    #[error("memory: 0 bytes is no machine; give at least {min_mib}M")]
    MemoryZero {
        /// Least RAM in MiB.
        min_mib: u64,
    },
    /// Not a multiple of the allocation unit.
    #[error("memory: {} is not a multiple of {unit_mib}M; round it up", Size(*bytes))]
    MemoryUnaligned {
        /// Bytes asked for.
        bytes: u64,
        /// Unit in MiB.
        unit_mib: u64,
    },
    /// Less than any guest could use.
    #[error("memory: {} is too little; give at least {min_mib}M", Size(*bytes))]
    MemoryTooSmall {
        /// Bytes asked for.
        bytes: u64,
        /// Least RAM in MiB.
        min_mib: u64,
    },
    /// Does not fit the board's memory map.
    #[error(
        "memory: {} is more than the board's memory map holds; give at most {}",
        Size(*bytes),
        Size(max_mib << 20)
    )]
    MemoryTooLarge {
        /// Bytes asked for.
        bytes: u64,
        /// Most RAM in MiB.
        max_mib: u64,
    },
    /// More than the host has.
    #[error("memory: {} is more than the host's {}; give less", Size(*bytes), Size(host >> 20 << 20))]
    MemoryBeyondHost {
        /// Bytes asked for.
        bytes: u64,
        /// Physical memory of the host in bytes.
        host: u64,
    },
    /// The host refuses the memory, or the board's map is contradictory.
    #[error("memory: {0}")]
    Memory(#[from] lyrebird_softmmu::phys::PhysMemError),
    /// Two chips want the same I/O ports.
    #[error("I/O ports: {0}")]
    Ports(#[from] lyrebird_devices::port::PortMapError),
    /// Two pieces of information for firmware want the same place.
    #[error("fw_cfg: {0}")]
    FwCfg(#[from] lyrebird_devices::fw_cfg::FwCfgError),
    /// An interrupt controller that cannot be.
    #[error("interrupt controller: {0}")]
    Gic(#[from] lyrebird_devices::gic::GicError),
    /// A file that cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The device tree cannot be written.
    #[error("device tree: {0}; the command line or the tree given has something a device tree cannot hold")]
    Fdt(#[from] vm_fdt::Error),
    /// The host gives no random numbers.
    #[error("the host gives no random numbers: {0}")]
    Entropy(getrandom::Error),
    /// What was loaded is no longer accepted by guest memory; cannot happen with a correct placement.
    #[error("loading: {0}")]
    Bus(#[from] lyrebird_softmmu::phys::BusError),
    /// Verify mode found a difference.
    #[error("verify: T0 and T1 disagree\n{0}")]
    Diverged(#[from] Box<lyrebird_jit::engine::Divergence>),
    /// Nothing was loaded.
    #[error("nothing to run: load a kernel first")]
    NothingLoaded,
    /// The host gives no thread.
    #[error("the host gives no thread for the {name}: {source}")]
    Thread {
        /// What the thread is for.
        name: &'static str,
        /// The host's reason.
        source: std::io::Error,
    },
}

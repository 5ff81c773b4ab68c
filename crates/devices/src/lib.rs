//! Chips as plain state machines. A chip knows its registers and its pins, but neither its address, its board
//! nor the CPU: a board makes it with [`IrqPin`]s and maps it as an [`MmioDevice`](lyrebird_softmmu::phys::MmioDevice).
//!
//! Every chip comes in two layers: a state struct without locks (`…State`: pure, comparable, serialisable) and
//! an outer type that adds a mutex, its pins and [`Device`].
//!
//! Lock order, outermost first: device → interrupt line ([`irq`]) → interrupt controller →
//! [`CpuLines`](lyrebird_isa::lines::CpuLines). A pin is driven with the device's lock held, so that two threads
//! cannot leave a line at a stale level; an interrupt controller therefore never calls into a device, and
//! character back ends are called with no chip lock held.

pub mod chardev;
pub mod ferr;
pub mod fw_cfg;
pub mod gic;
pub mod hpet;
pub mod i8042;
pub mod i8237;
pub mod i8254;
pub mod i8259;
pub mod ioapic;
pub mod irq;
pub mod lapic;
pub mod lifecycle;
pub mod mc146818;
pub mod ns16550;
pub mod pc_ports;
pub mod pci;
pub mod piix4_pm;
pub mod pl011;
pub mod pl031;
pub mod pl061;
pub mod port;
pub mod power;
pub mod regmap;
pub mod time;
pub mod timer;
mod uart;
pub mod virtio_mmio;

pub use chardev::{CharBackend, MemoryChar};
pub use ferr::CoprocessorError;
pub use fw_cfg::{FwCfg, FwCfgItems};
pub use gic::{GicV2, GicV3};
pub use hpet::Hpet;
pub use i8042::I8042;
pub use i8237::I8237;
pub use i8254::I8254;
pub use i8259::I8259;
pub use ioapic::IoApic;
pub use irq::{IrqPin, IrqSink};
pub use lapic::{ApicBus, LocalApic};
pub use lifecycle::{Device, Snapshot, SnapshotError};
pub use mc146818::Mc146818;
pub use ns16550::Ns16550;
pub use pc_ports::{DebugConsole, DebugExit, Port92, PostCode, ResetControl};
pub use pci::{PciBus, PciFunction};
pub use piix4_pm::Piix4Pm;
pub use pl011::Pl011;
pub use pl031::Pl031;
pub use pl061::Pl061;
pub use port::{PortBus, PortDevice};
pub use power::{PowerRequest, PowerSink};
pub use time::TimeSource;
pub use timer::GenericTimer;
pub use virtio_mmio::EmptyVirtioMmio;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a chip's state. A panic of another thread while it held the lock must not take this one down as well.
fn lock<T: ?Sized>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

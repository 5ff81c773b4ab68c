//! The flattened device tree of the `virt` board, with the nodes that QEMU's board of that name has: kernels and
//! firmware find their devices in it.

mod tree;

use std::ops::Range;

use vm_fdt::FdtWriter;

use crate::loader::RamRange;
use crate::virt::GicVersion;
use crate::virt::map;

pub use tree::{Node, Tree};

const PHANDLE_CLOCK: u32 = 0x8000;
const PHANDLE_GIC: u32 = 0x8002;
const PHANDLE_GPIO: u32 = 0x8004;
/// CPU `n` has this plus `n`.
const PHANDLE_CPU: u32 = 0x9000;

/// First cell of an interrupt specifier: shared peripheral interrupt (arm,gic.yaml).
const SPI: u32 = 0;
/// First cell of an interrupt specifier: private peripheral interrupt.
const PPI: u32 = 1;
const EDGE_RISING: u32 = 1;
const LEVEL_HIGH: u32 = 4;
/// `KEY_POWER` of Linux' input event codes.
const KEY_POWER: u32 = 116;

/// Random numbers given to the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeds {
    /// `/chosen/kaslr-seed`; 0 leaves the kernel where it is.
    pub kaslr: u64,
    /// `/chosen/rng-seed`.
    pub rng: [u8; 32],
}

/// What the kernel is told in `/chosen`.
#[derive(Clone, Debug, Default)]
pub struct Chosen<'a> {
    /// Kernel command line; `None` keeps what a given tree says.
    pub bootargs: Option<&'a str>,
    /// Physical extent of the initial RAM disk.
    pub initrd: Option<Range<u64>>,
    /// Random numbers.
    pub seeds: Seeds,
}

/// The variable parts of the board.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    /// Guest RAM.
    pub ram: RamRange,
    /// `MPIDR_EL1` affinity fields per CPU.
    pub cpus: &'a [u64],
    /// `compatible` of the CPUs.
    pub cpu_compatible: &'a str,
    /// Interrupt controller.
    pub gic: GicVersion,
}

/// Makes the board's device tree.
pub fn build(board: &Board<'_>, chosen: &Chosen<'_>) -> Result<Vec<u8>, vm_fdt::Error> {
    let mut w = FdtWriter::new()?;
    let f = &mut w;
    let root = f.begin_node("")?;
    f.property_u32("interrupt-parent", PHANDLE_GIC)?;
    f.property_string("model", "linux,dummy-virt")?;
    f.property_u32("#size-cells", 2)?;
    f.property_u32("#address-cells", 2)?;
    f.property_string("compatible", "linux,dummy-virt")?;

    let node = f.begin_node("psci")?;
    compatible(f, &["arm,psci-1.0", "arm,psci-0.2", "arm,psci"])?;
    f.property_string("method", "hvc")?;
    // PSCI 0.1 had no fixed function numbers; these are the ones of 0.2.
    f.property_u32("cpu_suspend", 0xc400_0001)?;
    f.property_u32("cpu_off", 0x8400_0002)?;
    f.property_u32("cpu_on", 0xc400_0003)?;
    f.property_u32("migrate", 0xc400_0005)?;
    f.end_node(node)?;

    let node = f.begin_node(&format!("memory@{:x}", board.ram.base))?;
    f.property_string("device_type", "memory")?;
    f.property_array_u64("reg", &[board.ram.base, board.ram.size])?;
    f.end_node(node)?;

    cpus(f, board)?;

    let node = f.begin_node("timer")?;
    compatible(f, &["arm,armv8-timer", "arm,armv7-timer"])?;
    f.property_null("always-on")?;
    let ppi = |intid: u32| [PPI, intid - 16, board.ppi_flags()];
    let ppis = [map::PPI_TIMER_SEC, map::PPI_TIMER_PHYS, map::PPI_TIMER_VIRT, map::PPI_TIMER_HYP].map(ppi);
    f.property_array_u32("interrupts", ppis.as_flattened())?;
    f.end_node(node)?;

    let node = f.begin_node("apb-pclk")?;
    f.property_string("compatible", "fixed-clock")?;
    f.property_u32("#clock-cells", 0)?;
    f.property_u32("clock-frequency", 24_000_000)?;
    f.property_string("clock-output-names", "clk24mhz")?;
    f.property_phandle(PHANDLE_CLOCK)?;
    f.end_node(node)?;

    gic(f, board.gic)?;

    let node = primecell(f, "pl011", map::UART, map::SPI_UART, "arm,pl011")?;
    f.property_array_u32("clocks", &[PHANDLE_CLOCK, PHANDLE_CLOCK])?;
    strings(f, "clock-names", &["uartclk", "apb_pclk"])?;
    f.end_node(node)?;

    let node = primecell(f, "pl031", map::RTC, map::SPI_RTC, "arm,pl031")?;
    f.property_u32("clocks", PHANDLE_CLOCK)?;
    f.property_string("clock-names", "apb_pclk")?;
    f.end_node(node)?;

    let node = primecell(f, "pl061", map::GPIO, map::SPI_GPIO, "arm,pl061")?;
    f.property_u32("clocks", PHANDLE_CLOCK)?;
    f.property_string("clock-names", "apb_pclk")?;
    f.property_u32("#gpio-cells", 2)?;
    f.property_null("gpio-controller")?;
    f.property_phandle(PHANDLE_GPIO)?;
    f.end_node(node)?;

    let node = f.begin_node("gpio-keys")?;
    f.property_string("compatible", "gpio-keys")?;
    let key = f.begin_node("poweroff")?;
    f.property_string("label", "GPIO Key Poweroff")?;
    f.property_u32("linux,code", KEY_POWER)?;
    f.property_array_u32("gpios", &[PHANDLE_GPIO, map::GPIO_POWER_KEY, 0])?;
    f.end_node(key)?;
    f.end_node(node)?;

    for n in 0..map::VIRTIO_COUNT {
        let base = map::VIRTIO.base + map::VIRTIO_STRIDE * u64::from(n);
        let node = f.begin_node(&format!("virtio_mmio@{base:x}"))?;
        f.property_string("compatible", "virtio,mmio")?;
        f.property_array_u64("reg", &[base, map::VIRTIO_STRIDE])?;
        f.property_array_u32("interrupts", &[SPI, map::SPI_VIRTIO + n, EDGE_RISING])?;
        f.property_null("dma-coherent")?;
        f.end_node(node)?;
    }

    let uart = format!("/pl011@{:x}", map::UART.base);
    let node = f.begin_node("aliases")?;
    f.property_string("serial0", &uart)?;
    f.end_node(node)?;

    let node = f.begin_node("chosen")?;
    f.property_string("stdout-path", &uart)?;
    f.property_string("bootargs", chosen.bootargs.unwrap_or_default())?;
    if let Some(initrd) = &chosen.initrd {
        f.property_u64("linux,initrd-start", initrd.start)?;
        f.property_u64("linux,initrd-end", initrd.end)?;
    }
    f.property_u64("kaslr-seed", chosen.seeds.kaslr)?;
    f.property("rng-seed", &chosen.seeds.rng)?;
    f.end_node(node)?;

    f.end_node(root)?;
    w.finish()
}

/// Writes what only this run knows into a tree that the user gave: memory size, command line, initial RAM disk.
pub fn amend(tree: &mut Tree, ram: RamRange, chosen: &Chosen<'_>) {
    let cells = |name: &str, default: usize| {
        let v = tree.root.prop(name).and_then(|v| v.first_chunk().copied()).map(u32::from_be_bytes);
        v.map_or(default, |v| (v as usize).clamp(1, 2))
    };
    let (address, size) = (cells("#address-cells", 2), cells("#size-cells", 1));
    let is_memory = |n: &Node| n.prop("device_type") == Some(b"memory\0");
    tree.root.children.retain(|n| !is_memory(n));
    let memory = tree.root.child_mut(&format!("memory@{:x}", ram.base));
    memory.set("device_type", b"memory\0");
    let mut reg = Vec::new();
    for (value, cells) in [(ram.base, address), (ram.size, size)] {
        reg.extend_from_slice(&value.to_be_bytes()[8 - 4 * cells..]);
    }
    memory.set("reg", &reg);

    let node = tree.root.child_mut("chosen");
    if let Some(bootargs) = chosen.bootargs {
        let mut bytes = bootargs.as_bytes().to_vec();
        bytes.push(0);
        node.set("bootargs", &bytes);
    }
    for name in ["linux,initrd-start", "linux,initrd-end"] {
        node.remove(name);
    }
    if let Some(initrd) = &chosen.initrd {
        node.set("linux,initrd-start", &initrd.start.to_be_bytes());
        node.set("linux,initrd-end", &initrd.end.to_be_bytes());
    }
    node.set("kaslr-seed", &chosen.seeds.kaslr.to_be_bytes());
    node.set("rng-seed", &chosen.seeds.rng);
}

impl Board<'_> {
    /// Third cell of a PPI's specifier. GICv2 has a CPU mask in bits 15 to 8; GICv3's binding leaves them 0.
    fn ppi_flags(&self) -> u32 {
        match self.gic {
            GicVersion::V2 => ((1 << self.cpus.len().min(8)) - 1) << 8 | LEVEL_HIGH,
            GicVersion::V3 => LEVEL_HIGH,
        }
    }
}

fn strings(f: &mut FdtWriter, name: &str, values: &[&str]) -> Result<(), vm_fdt::Error> {
    f.property_string_list(name, values.iter().map(|s| String::from(*s)).collect())
}

fn compatible(f: &mut FdtWriter, values: &[&str]) -> Result<(), vm_fdt::Error> {
    strings(f, "compatible", values)
}

fn primecell(
    f: &mut FdtWriter,
    name: &str,
    window: map::Window,
    spi: u32,
    model: &str,
) -> Result<vm_fdt::FdtWriterNode, vm_fdt::Error> {
    let node = f.begin_node(&format!("{name}@{:x}", window.base))?;
    compatible(f, &[model, "arm,primecell"])?;
    f.property_array_u64("reg", &[window.base, window.size])?;
    f.property_array_u32("interrupts", &[SPI, spi, LEVEL_HIGH])?;
    Ok(node)
}

fn cpus(f: &mut FdtWriter, board: &Board<'_>) -> Result<(), vm_fdt::Error> {
    let node = f.begin_node("cpus")?;
    f.property_u32("#address-cells", 1)?;
    f.property_u32("#size-cells", 0)?;
    let cpu_map = f.begin_node("cpu-map")?;
    let socket = f.begin_node("socket0")?;
    let cluster = f.begin_node("cluster0")?;
    for n in 0..board.cpus.len() as u32 {
        let core = f.begin_node(&format!("core{n}"))?;
        f.property_u32("cpu", PHANDLE_CPU + n)?;
        f.end_node(core)?;
    }
    f.end_node(cluster)?;
    f.end_node(socket)?;
    f.end_node(cpu_map)?;
    for (n, mpidr) in (0..).zip(board.cpus) {
        let cpu = f.begin_node(&format!("cpu@{mpidr:x}"))?;
        f.property_string("device_type", "cpu")?;
        f.property_string("compatible", board.cpu_compatible)?;
        // Aff3 does not fit one cell, and no CPU here has one.
        f.property_u32("reg", *mpidr as u32)?;
        f.property_string("enable-method", "psci")?;
        f.property_phandle(PHANDLE_CPU + n)?;
        f.end_node(cpu)?;
    }
    f.end_node(node)
}

fn gic(f: &mut FdtWriter, version: GicVersion) -> Result<(), vm_fdt::Error> {
    let node = f.begin_node(&format!("intc@{:x}", map::GIC_DIST.base))?;
    let second = match version {
        GicVersion::V2 => {
            f.property_string("compatible", "arm,cortex-a15-gic")?;
            map::GIC_CPU
        }
        GicVersion::V3 => {
            f.property_string("compatible", "arm,gic-v3")?;
            f.property_u32("#redistributor-regions", 1)?;
            map::GIC_REDIST
        }
    };
    f.property_array_u64("reg", &[map::GIC_DIST.base, map::GIC_DIST.size, second.base, second.size])?;
    f.property_u32("#interrupt-cells", 3)?;
    f.property_null("interrupt-controller")?;
    f.property_u32("#address-cells", 2)?;
    f.property_u32("#size-cells", 2)?;
    f.property_null("ranges")?;
    f.property_phandle(PHANDLE_GIC)?;
    f.end_node(node)
}

#[cfg(test)]
mod tests;

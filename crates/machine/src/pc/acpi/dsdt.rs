//! Differentiated system description table: the devices that cannot be found otherwise, how PCI interrupts are
//! routed, and how to switch off.

use acpi_tables::Aml;
use acpi_tables::AmlSink;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Arg, CreateDWordField, Device, EISAName, Else, Equal, Field,
    FieldAccessType, FieldEntry, FieldLockRule, FieldUpdateRule, IO, If, Memory32Fixed, Method, Name,
    OpRegion, OpRegionSpace, Or, PackageBuilder, Path, ResourceTemplate, Return, Scope, Store, ZERO,
};

use super::{Board, PCI_IRQS, bytes, sdt};

/// The table.
pub(super) fn build(board: &Board) -> Vec<u8> {
    let mut dsdt = sdt(*b"DSDT", 2);
    let mut bus = Vec::new();
    for part in [pci(board), links(board), cpus(board)] {
        bus.extend(part);
    }
    if let Some((address, _)) = board.hpet {
        bus.extend(hpet(address));
    }
    dsdt.append_slice(&bytes(&Scope::new("\\_SB_".into(), vec![&Raw(bus)])));
    dsdt.append_slice(&sleep());
    dsdt.as_slice().to_vec()
}

/// AML that is encoded already.
struct Raw(Vec<u8>);

impl Aml for Raw {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

/// ISA interrupts without flags: the MADT has them (6.4.2.1).
struct Irq(u8);

impl Aml for Irq {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x22);
        sink.word(1 << (self.0 & 15));
    }
}

/// Interrupts of which one is used: consumed, level-triggered, active high, shared (6.4.3.6).
struct PciIrqs<'a>(&'a [u8]);

impl Aml for PciIrqs<'_> {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.byte(0x89);
        sink.word(2 + 4 * self.0.len() as u16);
        sink.byte(0b1001);
        sink.byte(self.0.len() as u8);
        for irq in self.0 {
            sink.dword(u32::from(*irq));
        }
    }
}

fn path(name: &str) -> Path {
    Path::new(name)
}

fn name(name: &str, value: &dyn Aml) -> Name {
    Name::new(path(name), value)
}

/// A device with a PnP ID, a number and its resources.
fn device(device: &str, id: &str, uid: u8, resources: Vec<&dyn Aml>) -> Vec<u8> {
    let id = name("_HID", &EISAName::new(id));
    let uid = name("_UID", &uid);
    let resources = name("_CRS", &ResourceTemplate::new(resources));
    bytes(&Device::new(path(device), vec![&id, &uid, &resources]))
}

fn ports(first: u16, count: u8) -> IO {
    IO::new(first, first, 1, count)
}

/// The PCI root with its routing table, and the ISA bridge.
fn pci(board: &Board) -> Vec<u8> {
    let memory = |range: &std::ops::RangeInclusive<u32>| {
        AddressSpace::new_memory(
            AddressSpaceCacheable::NotCacheable,
            true,
            *range.start(),
            *range.end(),
            None,
        )
    };
    let buses = AddressSpace::new_bus_number(0u16, 0xff);
    let config = ports(0xcf8, 8);
    let (low, high) = (AddressSpace::new_io(0u16, 0xcf7, None), AddressSpace::new_io(0xd00u16, 0xffff, None));
    let (vga, window) = (memory(&(0xa_0000..=0xb_ffff)), memory(&board.pci_memory));
    let wide = board.pci_memory_high.as_ref().map(|range| {
        let cacheable = AddressSpaceCacheable::Cacheable;
        AddressSpace::new_memory(cacheable, true, *range.start(), *range.end(), None)
    });
    let mut resources: Vec<&dyn Aml> = vec![&buses, &config, &low, &high, &vga, &window];
    if let Some(wide) = &wide {
        resources.push(wide);
    }
    let mut body = Vec::new();
    for part in [
        name("_HID", &EISAName::new("PNP0A03")),
        name("_UID", &ZERO),
        name("_CRS", &ResourceTemplate::new(resources)),
        name("_PRT", &routing()),
    ] {
        part.to_aml_bytes(&mut body);
    }
    body.extend(isa(board));
    bytes(&Device::new(path("PCI0"), vec![&Raw(body)]))
}

/// Which link each interrupt pin of each slot is wired to; see `Piix3::pirq`.
fn routing() -> PackageBuilder {
    let mut table = PackageBuilder::new();
    for slot in 0..32u8 {
        for pin in 0..4u8 {
            let mut entry = PackageBuilder::new();
            entry.add_element(&(u32::from(slot) << 16 | 0xffff));
            entry.add_element(&pin);
            // The power management function's interrupt is the SCI.
            let link = if (slot, pin) == (1, 0) { 'S' } else { link(slot.wrapping_sub(1).wrapping_add(pin)) };
            entry.add_element(&Raw(bytes(&path(&format!("\\_SB_.LNK{link}")))));
            entry.add_element(&ZERO);
            table.add_element(&entry);
        }
    }
    table
}

fn link(pirq: u8) -> char {
    char::from(b'A' + (pirq & 3))
}

/// The ISA bridge with its route control registers and the devices behind it.
fn isa(board: &Board) -> Vec<u8> {
    let mut body = bytes(&name("_ADR", &0x0001_0000u32));
    OpRegion::new(path("P40C"), OpRegionSpace::PCIConfig, &0x60u8, &4u8).to_aml_bytes(&mut body);
    let routes = (b'0'..b'4').map(|n| FieldEntry::Named([b'P', b'R', b'Q', n], 8)).collect();
    let (any, lock, rule) = (FieldAccessType::Byte, FieldLockRule::NoLock, FieldUpdateRule::Preserve);
    Field::new(path("P40C"), any, lock, rule, routes).to_aml_bytes(&mut body);

    body.extend(device("PIC_", "PNP0000", 0, vec![&ports(0x20, 2), &ports(0xa0, 2), &Irq(2)]));
    body.extend(device("TMR_", "PNP0100", 0, vec![&ports(0x40, 4), &Irq(0)]));
    body.extend(device("SPKR", "PNP0800", 0, vec![&ports(0x61, 1)]));
    body.extend(device("RTC_", "PNP0B00", 0, vec![&IO::new(0x70, 0x70, 1, 2), &Irq(8)]));
    body.extend(device("KBD_", "PNP0303", 0, vec![&ports(0x60, 1), &ports(0x64, 1), &Irq(1)]));
    body.extend(device("MOU_", "PNP0F13", 0, vec![&Irq(12)]));
    for (n, serial) in (1u8..=4).zip(&board.serial) {
        let (ports, irq) = (ports(serial.port, 8), Irq(serial.irq));
        body.extend(device(&format!("COM{n}"), "PNP0501", n, vec![&ports, &irq]));
    }
    // Ports of the board itself, which no device may be put at.
    let (pm, gpe, smi) = (ports(board.pm, 64), ports(board.gpe, 4), ports(board.smi_command.0, 2));
    body.extend(device("MBRD", "PNP0C02", 0, vec![&pm, &gpe, &smi, &ports(0x92, 1)]));
    bytes(&Device::new(path("ISA_"), vec![&Raw(body)]))
}

/// Offset of the interrupt's number in [`PciIrqs`].
const IRQ_NUMBER: u8 = 5;

/// The four interrupt links, and the one that is fixed to the SCI (6.2.13).
fn links(board: &Board) -> Vec<u8> {
    let mut all = Vec::new();
    for n in 0..4u8 {
        // The route control register: 0x80 while not routed, else the ISA interrupt.
        let route = path(&format!("\\_SB_.PCI0.ISA_.PRQ{n}"));
        let (field, buffer) = (path("PRRI"), path("PRR0"));
        let disabled = And::new(&ZERO, &route, &0x80u8);
        let body = [
            bytes(&name("_HID", &EISAName::new("PNP0C0F"))),
            bytes(&name("_UID", &n)),
            bytes(&name("_PRS", &ResourceTemplate::new(vec![&PciIrqs(&PCI_IRQS)]))),
            // Present, and enabled if it is routed.
            method(
                "_STA",
                0,
                &[&If::new(&disabled, vec![&Return::new(&0x09u8)]), &Else::new(vec![&Return::new(&0x0bu8)])],
            ),
            method("_DIS", 0, &[&Or::new(&route, &route, &0x80u8)]),
            method(
                "_CRS",
                0,
                &[
                    &name("PRR0", &ResourceTemplate::new(vec![&PciIrqs(&[0])])),
                    &CreateDWordField::new(&field, &buffer, &IRQ_NUMBER),
                    &If::new(&Equal::new(&disabled, &ZERO), vec![&Store::new(&field, &route)]),
                    &Return::new(&buffer),
                ],
            ),
            method(
                "_SRS",
                1,
                &[&CreateDWordField::new(&field, &Arg(0), &IRQ_NUMBER), &Store::new(&route, &field)],
            ),
        ];
        let device = path(&format!("LNK{}", link(n)));
        all.extend(bytes(&Device::new(device, vec![&Raw(body.concat())])));
    }
    all.extend(sci_link(board.sci));
    all
}

/// A method. Those that create names must not run twice at a time, so none does.
fn method(method: &str, args: u8, body: &[&dyn Aml]) -> Vec<u8> {
    bytes(&Method::new(path(method), args, true, body.to_vec()))
}

/// The link of the SCI: there is nothing to choose.
fn sci_link(sci: u8) -> Vec<u8> {
    let irqs = [sci];
    let irqs = PciIrqs(&irqs);
    let fixed = ResourceTemplate::new(vec![&irqs]);
    let body = [
        bytes(&name("_HID", &EISAName::new("PNP0C0F"))),
        bytes(&name("_UID", &4u8)),
        bytes(&name("_PRS", &fixed)),
        bytes(&name("_CRS", &fixed)),
        bytes(&name("_STA", &0x0bu8)),
        method("_DIS", 0, &[]),
        method("_SRS", 1, &[]),
    ];
    bytes(&Device::new(path("LNKS"), vec![&Raw(body.concat())]))
}

fn hpet(address: u32) -> Vec<u8> {
    device("HPET", "PNP0103", 0, vec![&Memory32Fixed::new(true, address, 0x400)])
}

/// Processors, by the numbers that the MADT has for them (8.4).
fn cpus(board: &Board) -> Vec<u8> {
    let mut all = Vec::new();
    for cpu in 0..board.cpus {
        let id = name("_HID", &"ACPI0007");
        let uid = name("_UID", &cpu);
        Device::new(path(&format!("C{cpu:03X}")), vec![&id, &uid]).to_aml_bytes(&mut all);
    }
    all
}

/// S5, soft off: `SLP_TYP` is 0 on this chip set (7.4.2).
fn sleep() -> Vec<u8> {
    let mut values = PackageBuilder::new();
    for _ in 0..4 {
        values.add_element(&ZERO);
    }
    bytes(&name("\\_S5_", &values))
}

//! ACPI tables (ACPI specification 6.5) of an i440FX machine on QEMU's layout: RSDP, RSDT and XSDT, FADT, FACS,
//! MADT, HPET, and the DSDT.

mod dsdt;

use std::ops::RangeInclusive;

use acpi_tables::Aml;
use acpi_tables::facs::FACS;
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::sdt::Sdt;

use super::checksum;
use crate::piece::Piece;

const OEM_ID: [u8; 6] = *b"LYREBD";
const OEM_TABLE: [u8; 8] = *b"LYREBIRD";
const OEM_REVISION: u32 = 1;

/// ISA interrupts that a PCI interrupt can be routed to: level-triggered, active high on this chip set.
pub const PCI_IRQS: [u8; 3] = [5, 10, 11];

/// A serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial {
    /// First of its 8 ports.
    pub port: u16,
    /// ISA interrupt.
    pub irq: u8,
}

/// What the tables describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Number of processors, 1 to 255, with APIC IDs from 0 on.
    pub cpus: u8,
    /// Where local APICs have their registers.
    pub local_apic: u32,
    /// Where the IO-APIC has its registers; its inputs are GSI 0 to 23.
    pub io_apic: u32,
    /// The HPET's registers, and the low half of its capabilities.
    pub hpet: Option<(u32, u32)>,
    /// First of the 64 power management ports.
    pub pm: u16,
    /// First of the 4 ports of general-purpose events.
    pub gpe: u16,
    /// The SMI command port, with the commands that switch ACPI on and off.
    pub smi_command: (u16, u8, u8),
    /// ISA interrupt of power management, level-triggered and active high.
    pub sci: u8,
    /// The power management timer has 32 rather than 24 bits.
    pub wide_timer: bool,
    /// There is a VGA adapter.
    pub vga: bool,
    /// Memory addresses below 4 GiB for PCI devices.
    pub pci_memory: RangeInclusive<u32>,
    /// Memory addresses above 4 GiB for PCI devices.
    pub pci_memory_high: Option<RangeInclusive<u64>>,
    /// Serial ports, at most 4.
    pub serial: Vec<Serial>,
}

impl Board {
    /// QEMU's layout, with `cpus` processors and `low_ram` bytes of RAM below 4 GiB.
    pub fn pc(cpus: u8, low_ram: u32) -> Board {
        Board {
            cpus,
            local_apic: 0xfee0_0000,
            io_apic: 0xfec0_0000,
            hpet: Some((0xfed0_0000, 0x8086_a201)),
            pm: 0x600,
            gpe: 0xafe0,
            smi_command: (0xb2, 0xf1, 0xf0),
            sci: 9,
            wide_timer: false,
            vga: false,
            pci_memory: low_ram..=0xfebf_ffff,
            pci_memory_high: None,
            serial: vec![Serial { port: 0x3f8, irq: 4 }, Serial { port: 0x2f8, irq: 3 }],
        }
    }
}

/// Room that the tables need at most, for whoever reserves it.
pub const TABLES_SIZE: u64 = 0x1_0000;

/// Builds the tables for `tables_at` on (a multiple of 64 below 4 GiB, with [`TABLES_SIZE`] bytes of memory that
/// the guest leaves alone), and the RSDP for `rsdp_at` (a multiple of 16 in 0xe0000 to 0xfffff, where kernels
/// search for it).
pub fn build(board: &Board, tables_at: u32, rsdp_at: u32) -> [Piece; 2] {
    let mut tables = Tables { base: tables_at, bytes: Vec::new() };
    let facs = tables.add(64, &bytes(&FACS::new()));
    let dsdt = tables.add(16, &dsdt::build(board));
    let fadt = tables.add(16, &fadt(board, facs, dsdt));
    let mut listed = vec![fadt, tables.add(16, &madt(board))];
    if let Some((address, capabilities)) = board.hpet {
        listed.push(tables.add(16, &hpet(address, capabilities)));
    }
    let mut rsdt = sdt(*b"RSDT", 1);
    let mut xsdt = sdt(*b"XSDT", 1);
    for table in listed {
        rsdt.append_slice(&table.to_le_bytes());
        xsdt.append_slice(&u64::from(table).to_le_bytes());
    }
    let rsdt = tables.add(16, rsdt.as_slice());
    let xsdt = tables.add(16, xsdt.as_slice());
    [Piece::new(tables_at.into(), tables.bytes), Piece::new(rsdp_at.into(), rsdp(rsdt, xsdt))]
}

/// Tables one behind the other.
struct Tables {
    base: u32,
    bytes: Vec<u8>,
}

impl Tables {
    /// Appends a table; returns its address.
    fn add(&mut self, align: usize, table: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        let at = self.base.wrapping_add(self.bytes.len() as u32);
        self.bytes.extend(table);
        at
    }
}

fn bytes(aml: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    aml.to_aml_bytes(&mut bytes);
    bytes
}

fn sdt(signature: [u8; 4], revision: u8) -> Sdt {
    Sdt::new(signature, 36, revision, OEM_ID, OEM_TABLE, OEM_REVISION)
}

/// Root system description pointer (5.2.5.3), with the RSDT for kernels that know ACPI 1.0 only.
fn rsdp(rsdt: u32, xsdt: u32) -> Vec<u8> {
    let mut rsdp = b"RSD PTR \0".to_vec();
    rsdp.extend(OEM_ID);
    rsdp.push(2);
    rsdp.extend(rsdt.to_le_bytes());
    rsdp[8] = checksum(&rsdp);
    rsdp.extend(36u32.to_le_bytes());
    rsdp.extend(u64::from(xsdt).to_le_bytes());
    rsdp.extend([0; 4]);
    rsdp[32] = checksum(&rsdp);
    rsdp
}

/// Fixed ACPI description table (5.2.9).
fn fadt(board: &Board, facs: u32, dsdt: u32) -> Vec<u8> {
    let mut fadt = FADTBuilder::new(OEM_ID, OEM_TABLE, OEM_REVISION).firmware_ctrl_32(facs).dsdt_32(dsdt);
    fadt.sci_int = u16::from(board.sci).into();
    let (port, enable, disable) = board.smi_command;
    fadt.smi_cmd = u32::from(port).into();
    fadt.acpi_enable = enable;
    fadt.acpi_disable = disable;
    let pm = u32::from(board.pm);
    fadt.pm1a_evt_blk = pm.into();
    fadt.pm1_evt_len = 4;
    fadt.pm1a_cnt_blk = (pm + 4).into();
    fadt.pm1_cnt_len = 2;
    fadt.pm_tmr_blk = (pm + 8).into();
    fadt.pm_tmr_len = 4;
    fadt = fadt.gpe_info(board.gpe.into(), 0, 4, 0, 0);
    // Larger than 100 and 1000 microseconds: there is no C2 and no C3.
    fadt.p_lvl2_lat = 0xfff.into();
    fadt.p_lvl3_lat = 0xfff.into();
    // Where the clock keeps the century.
    fadt.century = 0x32;
    // Devices on ISA and a keyboard controller; without VGA, that it is not to be looked for.
    fadt.iapc_boot_arch = if board.vga { 0b011 } else { 0b111 }.into();
    // 0xcf9: full reset.
    fadt.reset_reg = GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, 0xcf9);
    fadt.reset_value = 0x06;
    // Power and sleep button are fixed hardware: their flags are 0.
    fadt = fadt.flag(Flags::Wbinvd).flag(Flags::ProcC1).flag(Flags::ResetRegSup).flag(Flags::RtcS4);
    if board.wide_timer {
        fadt = fadt.flag(Flags::TmrValExt);
    }
    bytes(&fadt.finalize())
}

/// Flags of an interrupt: active high, level-triggered (5.2.12.5).
const ACTIVE_HIGH_LEVEL: u16 = 0b1101;

/// Multiple APIC description table (5.2.12).
fn madt(board: &Board) -> Vec<u8> {
    let mut madt = sdt(*b"APIC", 3);
    madt.append_slice(&board.local_apic.to_le_bytes());
    // There is an 8259 pair as well.
    madt.append_slice(&1u32.to_le_bytes());
    for cpu in 0..board.cpus {
        madt.append_slice(&[0, 8, cpu, cpu, 1, 0, 0, 0]);
    }
    let mut io_apic = vec![1, 12, 0, 0];
    io_apic.extend(board.io_apic.to_le_bytes());
    io_apic.extend(0u32.to_le_bytes());
    madt.append_slice(&io_apic);
    let mut source = |irq: u8, gsi: u32, flags: u16| {
        let mut entry = vec![2, 10, 0, irq];
        entry.extend(gsi.to_le_bytes());
        entry.extend(flags.to_le_bytes());
        madt.append_slice(&entry);
    };
    // The 8254 is at input 2, where the 8259's cascade would be.
    source(0, 2, 0);
    let mut levels = vec![board.sci];
    levels.extend(PCI_IRQS);
    levels.sort_unstable();
    levels.dedup();
    for irq in levels {
        source(irq, irq.into(), ACTIVE_HIGH_LEVEL);
    }
    // LINT1 of all processors is NMI.
    madt.append_slice(&[4, 6, 0xff, 0, 0, 1]);
    madt.as_slice().to_vec()
}

/// The HPET's table (IA-PC HPET specification 1.0a, 3.2.4).
fn hpet(address: u32, capabilities: u32) -> Vec<u8> {
    let mut hpet = sdt(*b"HPET", 1);
    hpet.append_slice(&capabilities.to_le_bytes());
    hpet.append_slice(&bytes(&GAS::new(
        AddressSpace::SystemMemory,
        64,
        0,
        AccessSize::Undefined,
        address.into(),
    )));
    // Number 0; at least 100 ticks between periodic interrupts; no page protection.
    hpet.append_slice(&[0, 100, 0, 0]);
    hpet.as_slice().to_vec()
}

#[cfg(test)]
mod tests;

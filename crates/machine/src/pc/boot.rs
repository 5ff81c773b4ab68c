//! What is in memory and registers when the guest's first instruction executes, as if firmware and a boot loader had
//! been there.

use std::ops::Range;

use lyrebird_frontend_x86::cpu::entry::Entry;
use lyrebird_frontend_x86::cpu::model::Feature;
use lyrebird_frontend_x86::regs;
use lyrebird_frontend_x86::sys::segment::Table;
use lyrebird_softmmu::phys::PhysMem;

use super::e820::{self, Kind, Ram};
use super::{PcConfig, acpi, bda, firmware, smbios};
use crate::error::MachineError;
use crate::loader::x86::{BOOT_MAGIC, BootParams, PcKernel, parse_pc_kernel};
use crate::loader::{LoadError, Part, Segment, initrd};
use crate::piece::Piece;

/// What a kernel is loaded to begins behind the real-mode vectors and the BIOS data area, and ends before our own
/// structures or begins at 1 MiB.
const LOAD_MIN: u64 = 0x1000;
/// Segment descriptors: unused, unused, code, data, task.
const GDT: u64 = 0x7_0000;
const CODE: u16 = 0x10;
const DATA: u16 = 0x18;
const TASK: u16 = 0x20;
/// Page tables that map the first 4 GiB to themselves.
const PAGE_TABLES: u64 = 0x7_1000;
/// The boot protocol's structure: zero page, start info, multiboot information.
const INFO: u64 = 0x7_8000;
/// Command line, and the room for it.
const CMDLINE: u64 = 0x8_0000;
const CMDLINE_ROOM: u64 = 0x1_0000;
/// ACPI's RSDP and the SMBIOS tables, where kernels search for them.
const RSDP: u32 = 0xf_0000;
const SMBIOS: u32 = 0xf_0100;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 0x1000;

/// The files a PC is started from.
#[derive(Clone, Debug, Default)]
pub struct PcFiles {
    /// Linux bzImage, multiboot kernel, or ELF executable with a PVH entry point.
    pub kernel: Vec<u8>,
    /// Initial RAM disk, or the only module of a multiboot kernel.
    pub initrd: Option<Vec<u8>>,
    /// Kernel command line.
    pub cmdline: String,
}

/// What a reset puts into memory and the CPU. Kept as long as the machine, since the guest may reset it.
#[derive(Debug)]
pub(super) struct Boot {
    pieces: Vec<Piece>,
    entry: Option<Entry>,
}

impl Boot {
    pub fn new(files: PcFiles, config: &PcConfig) -> Result<Boot, MachineError> {
        let PcFiles { kernel, initrd, cmdline } = files;
        let ram = Ram::split(config.memory);
        let kernel = parse_pc_kernel(&kernel, config.memory)?;
        if let (Some(bytes), PcKernel::Linux(_)) = (&initrd, &kernel) {
            initrd::check(bytes)?;
        }
        // At the top of low RAM, as firmware has them.
        let tables = ram.low - acpi::TABLES_SIZE..ram.low;
        let map = e820::map(ram, &[(tables.clone(), Kind::Acpi)]);
        let e820 = e820::to_bytes(&map);
        let mut pieces = Vec::new();
        let board = acpi::Board::pc(1, ram.low as u32);
        pieces.extend(acpi::build(&board, tables.start as u32, RSDP));
        pieces.extend(bda::build());
        let hardware = smbios::Board { cpus: 1, cpu: config.cpu.name, memory: config.memory, uuid: [0; 16] };
        pieces.push(smbios::build(&hardware, SMBIOS));

        let room = Room { high: tables.start };
        if kernel.long() && !config.cpu.has(Feature::Lm) {
            let advice = "choose --cpu x86-64-v2, or give a 32-bit kernel";
            return Err(LoadError::Width { cpu: config.cpu.name, advice }.into());
        }
        // The 64-bit boot protocol alone begins in that mode.
        let long = matches!(&kernel, PcKernel::Linux(k) if k.long);
        pieces.push(Piece::new(GDT, gdt(long)));
        let mut entry = Entry {
            ip: 0,
            cr3: None,
            gdt: Table { base: GDT, limit: 5 * 8 - 1 },
            code: CODE,
            data: DATA,
            task: TASK,
            regs: Vec::new(),
        };
        match &kernel {
            PcKernel::Linux(k) => {
                let needs = k.needs();
                room.check(Part::Kernel, &needs)?;
                let top = (k.initrd_max.saturating_add(1)).min(tables.start);
                let disk = initrd.map(|data| room.disk(data, needs.end, top, &mut pieces)).transpose()?;
                command_line(cmdline.into_bytes(), k.cmdline_size, &mut pieces)?;
                let params =
                    BootParams { cmdline: CMDLINE as u32, initrd: disk, rsdp: RSDP.into(), e820: &e820 };
                pieces.push(Piece::new(INFO, k.zero_page(&params)));
                pieces.push(Piece::new(k.load_address(), k.data[k.code.clone()].to_vec()));
                entry.ip = k.load_address();
                entry.regs = vec![(regs::RSI, INFO)];
                if long {
                    entry.ip += 0x200;
                    entry.cr3 = Some(PAGE_TABLES);
                    pieces.push(Piece::new(PAGE_TABLES, identity()));
                }
            }
            PcKernel::Multiboot(k) => {
                let end = room.load(&k.segments, &mut pieces)?;
                let disk = initrd.map(|data| room.module(data, end, &mut pieces)).transpose()?;
                // The first word is the kernel's name by convention.
                command_line(format!("kernel {cmdline}").into(), CMDLINE_ROOM - 1, &mut pieces)?;
                pieces.push(Piece::new(INFO, multiboot_info(&map, ram, disk)));
                entry.ip = k.entry;
                entry.regs = vec![(regs::RAX, BOOT_MAGIC.into()), (regs::RBX, INFO)];
            }
            PcKernel::Pvh(k) => {
                let end = room.load(&k.segments, &mut pieces)?;
                let disk = initrd.map(|data| room.disk(data, end, tables.start, &mut pieces)).transpose()?;
                command_line(cmdline.into_bytes(), CMDLINE_ROOM - 1, &mut pieces)?;
                pieces.push(Piece::new(INFO, start_info(&map, disk)));
                entry.ip = k.entry;
                entry.regs = vec![(regs::RBX, INFO)];
            }
        }
        Ok(Boot { pieces, entry: Some(entry) })
    }

    /// A firmware image: the CPU begins at the reset vector, which goes on in the copy below 1 MiB.
    pub fn firmware(image: &[u8]) -> Boot {
        let (address, copy) = firmware::below_1mib(image);
        Boot { pieces: vec![Piece::new(address, copy.to_vec())], entry: None }
    }

    /// Writes everything to memory.
    pub fn write(&self, phys: &PhysMem) -> Result<(), MachineError> {
        for piece in &self.pieces {
            piece.write(phys)?;
        }
        Ok(())
    }

    /// What the CPU finds; None if it is left as it is after reset.
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }
}

/// RAM below 4 GiB that may be loaded to: some conventional memory, and what is between 1 MiB and `high`.
struct Room {
    high: u64,
}

impl Room {
    fn holds(&self, range: &Range<u64>) -> bool {
        let below = range.start >= LOAD_MIN && range.end <= GDT;
        below || range.start >= MIB && range.end <= self.high
    }

    fn no_room(&self, part: Part, range: &Range<u64>) -> LoadError {
        let size = range.end - range.start;
        let mib_needed = (range.end + acpi::TABLES_SIZE).div_ceil(MIB);
        LoadError::NoRoom { part, size, addr: range.start, ram_base: MIB, ram_end: self.high, mib_needed }
    }

    fn check(&self, part: Part, range: &Range<u64>) -> Result<(), LoadError> {
        if self.holds(range) { Ok(()) } else { Err(self.no_room(part, range)) }
    }

    /// Loads an executable; returns the first address behind it.
    fn load(&self, segments: &[Segment], pieces: &mut Vec<Piece>) -> Result<u64, LoadError> {
        let mut end = MIB;
        for s in segments {
            let range = s.addr..s.addr.saturating_add(s.memory_size);
            if !self.holds(&range) {
                if range.start >= MIB && range.start < self.high {
                    return Err(self.no_room(Part::Kernel, &range));
                }
                return Err(LoadError::OutsideRam {
                    part: Part::Kernel,
                    index: s.index,
                    size: s.memory_size,
                    addr: s.addr,
                    ram_base: MIB,
                    ram_end: self.high,
                    advice: "link it for addresses in RAM from 1 MiB on",
                });
            }
            end = end.max(range.end);
            let zeros = s.memory_size - s.data.len() as u64;
            pieces.push(Piece { addr: s.addr, data: s.data.clone(), zeros });
        }
        Ok(end)
    }

    /// Places an initial RAM disk as high as possible.
    fn disk(
        &self,
        data: Vec<u8>,
        bottom: u64,
        top: u64,
        pieces: &mut Vec<Piece>,
    ) -> Result<Range<u64>, LoadError> {
        let size = data.len() as u64;
        let start = top.saturating_sub(size) & !(PAGE - 1);
        if start < bottom {
            return Err(self.no_room(Part::Initrd, &(bottom..bottom + size)));
        }
        pieces.push(Piece::new(start, data));
        Ok(start..start + size)
    }

    /// Places a module right behind the kernel.
    fn module(&self, data: Vec<u8>, bottom: u64, pieces: &mut Vec<Piece>) -> Result<Range<u64>, LoadError> {
        let start = bottom.next_multiple_of(PAGE);
        let range = start..start + data.len() as u64;
        self.check(Part::Initrd, &range)?;
        pieces.push(Piece::new(start, data));
        Ok(range)
    }
}

/// Adds the command line, of which the kernel takes `max` bytes, and a zero behind it.
fn command_line(mut text: Vec<u8>, max: u64, pieces: &mut Vec<Piece>) -> Result<(), LoadError> {
    let (have, max) = (text.len() as u64, max.min(CMDLINE_ROOM - 1));
    if have > max {
        return Err(LoadError::CommandLine { have, max });
    }
    text.push(0);
    pieces.push(Piece::new(CMDLINE, text));
    Ok(())
}

/// Flat segments, and a busy TSS at 0.
fn gdt(long: bool) -> Vec<u8> {
    // G and D/B, or G and L; P, S and type; a limit of 4 GiB.
    let code: u64 = if long { 0x00af_9b00_0000_ffff } else { 0x00cf_9b00_0000_ffff };
    [0, 0, code, 0x00cf_9300_0000_ffff, 0x0000_8b00_0000_0067]
        .iter()
        .flat_map(|d: &u64| d.to_le_bytes())
        .collect()
}

/// Page tables from [`PAGE_TABLES`] on: a PML4, a page directory pointer table, and four page directories with 2 MiB
/// pages.
fn identity() -> Vec<u8> {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 1 << 7;
    let table = |n: u64| (PAGE_TABLES + n * PAGE) | PRESENT_WRITABLE;
    let mut entries = vec![0u64; 6 * 512];
    entries[0] = table(1);
    for n in 0..4 {
        entries[512 + n] = table(2 + n as u64);
    }
    for (n, entry) in entries[1024..].iter_mut().enumerate() {
        *entry = (n as u64) << 21 | LARGE | PRESENT_WRITABLE;
    }
    entries.iter().flat_map(|e| e.to_le_bytes()).collect()
}

/// Writes little-endian fields into a structure of zeros.
struct Fields(Vec<u8>);

impl Fields {
    fn u32(&mut self, at: usize, v: u32) {
        self.0[at..at + 4].copy_from_slice(&v.to_le_bytes());
    }
    fn u64(&mut self, at: usize, v: u64) {
        self.0[at..at + 8].copy_from_slice(&v.to_le_bytes());
    }
}

/// Multiboot information (Multiboot Specification, 3.3), then the module and the memory map.
fn multiboot_info(map: &[e820::Entry], ram: Ram, module: Option<Range<u64>>) -> Vec<u8> {
    const SIZE: usize = 128;
    const MODULE: usize = SIZE;
    const MAP: usize = MODULE + 16;
    const ENTRY: usize = 24;
    const NAME: &[u8] = b"Lyrebird\0";
    let name = MAP + map.len() * ENTRY;
    let at = |offset: usize| INFO as u32 + offset as u32;
    let mut f = Fields(vec![0; name]);
    // Memory, command line, modules, memory map, name of the loader.
    f.u32(0, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
    f.u32(4, (e820::EBDA >> 10) as u32);
    f.u32(8, ((ram.low - MIB) >> 10) as u32);
    f.u32(16, CMDLINE as u32);
    if let Some(m) = module {
        f.u32(20, 1);
        f.u32(24, at(MODULE));
        f.u32(MODULE, m.start as u32);
        f.u32(MODULE + 4, m.end as u32);
        f.u32(MODULE + 8, at(name + NAME.len() - 1));
    }
    f.u32(44, (map.len() * ENTRY) as u32);
    f.u32(48, at(MAP));
    f.u32(64, at(name));
    for (n, e) in map.iter().enumerate() {
        let entry = MAP + n * ENTRY;
        // The size does not count itself.
        f.u32(entry, ENTRY as u32 - 4);
        f.u64(entry + 4, e.base);
        f.u64(entry + 12, e.size);
        f.u32(entry + 20, e.kind as u32);
    }
    f.0.extend(NAME);
    f.0
}

/// `hvm_start_info`, version 1 (Xen, public/arch-x86/hvm/start_info.h), then the module and the memory map.
fn start_info(map: &[e820::Entry], module: Option<Range<u64>>) -> Vec<u8> {
    const MODULE: usize = 64;
    const MAP: usize = MODULE + 32;
    const ENTRY: usize = 24;
    let at = |offset: usize| INFO + offset as u64;
    let mut f = Fields(vec![0; MAP + map.len() * ENTRY]);
    f.u32(0, 0x336e_c578);
    f.u32(4, 1);
    if let Some(m) = module {
        f.u32(12, 1);
        f.u64(16, at(MODULE));
        f.u64(MODULE, m.start);
        f.u64(MODULE + 8, m.end - m.start);
    }
    f.u64(24, CMDLINE);
    f.u64(32, RSDP.into());
    f.u64(40, at(MAP));
    f.u32(48, map.len() as u32);
    for (n, e) in map.iter().enumerate() {
        let entry = MAP + n * ENTRY;
        f.u64(entry, e.base);
        f.u64(entry + 8, e.size);
        f.u32(entry + 16, e.kind as u32);
    }
    f.0
}

//! ELF executables for PCs, of 32 and 64 bits, and the entry point for PVH in their notes (Xen,
//! docs/misc/pvh.pandoc).

use object::elf::{
    EM_386, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader32, FileHeader64, PT_INTERP, PT_LOAD, PT_NOTE,
};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, read::elf::NoteIterator};

use crate::loader::elf::Segment;
use crate::loader::error::{LoadError, Part, le, le16};
use crate::loader::foreign::elf_machine;

/// `XEN_ELFNOTE_PHYS32_ENTRY`.
const PHYS32_ENTRY: u32 = 18;

/// A kernel that can be entered as PVH asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PvhImage {
    /// Physical address of the first instruction, in 32-bit protected mode.
    pub entry: u64,
    /// What to load.
    pub segments: Vec<Segment>,
    /// The code is 64-bit: it will want long mode.
    pub long: bool,
}

/// What is of interest in an executable.
pub(super) struct Executable {
    /// Physical address of the entry point in the header.
    pub entry: u64,
    /// What to load.
    pub segments: Vec<Segment>,
    /// The entry point in Xen's note.
    phys32: Option<u64>,
    /// The machine is x86-64.
    long: bool,
}

fn malformed(what: &'static str, offset: u64, problem: impl Into<String>) -> LoadError {
    LoadError::Malformed { part: Part::Kernel, what, offset, problem: problem.into() }
}

impl Executable {
    /// Checks the headers and copies the loadable segments.
    pub fn parse(bytes: &[u8]) -> Result<Executable, LoadError> {
        let foreign = |found: String, advice| LoadError::Foreign { part: Part::Kernel, found, advice };
        let machine = le16(bytes, 18).unwrap_or(0);
        let (class, order) = (bytes.get(4).copied(), bytes.get(5).copied());
        if bytes.len() >= 20 && (order != Some(1) || (machine != EM_386.0 && machine != EM_X86_64.0)) {
            let machine = if order == Some(2) { machine.swap_bytes() } else { machine };
            let advice = match machine {
                m if m == EM_AARCH64.0 => {
                    "use --machine virt for arm64 kernels, or give a bzImage, or a multiboot or PVH ELF executable"
                }
                _ => "the pc board runs x86: give a bzImage, or a multiboot or PVH ELF executable",
            };
            return Err(foreign(format!("an ELF file for {}", elf_machine(machine)), advice));
        }
        match class {
            Some(1) => parse::<FileHeader32<LittleEndian>>(bytes),
            _ => parse::<FileHeader64<LittleEndian>>(bytes),
        }
    }
}

fn parse<H: FileHeader<Endian = LittleEndian>>(bytes: &[u8]) -> Result<Executable, LoadError> {
    let e = LittleEndian;
    let have = bytes.len() as u64;
    let truncated = |what, need| LoadError::Truncated { part: Part::Kernel, what, need, have };
    let header_size = size_of::<H>() as u64;
    if have < header_size {
        return Err(truncated("the ELF header", header_size));
    }
    let header = H::parse(bytes).map_err(|err| malformed("the ELF header", 0, err.to_string()))?;
    let kind = header.e_type(e);
    if kind != ET_EXEC && kind != ET_DYN {
        return Err(LoadError::Foreign {
            part: Part::Kernel,
            found: format!("an ELF file of type {} (object file or core dump)", kind.0),
            advice: "link it into an executable first",
        });
    }
    let table = header.e_phoff(e).into();
    let table_end = u64::from(header.e_phnum(e)) * size_of::<H::ProgramHeader>() as u64;
    if table_end.saturating_add(table) > have {
        return Err(truncated("the ELF program header table", table_end.saturating_add(table)));
    }
    let headers = header
        .program_headers(e, bytes)
        .map_err(|err| malformed("the ELF program header table", table, err.to_string()))?;
    let virtual_entry: u64 = header.e_entry(e).into();
    let long = header.e_machine(e) == EM_X86_64;
    let mut out = Executable { entry: virtual_entry, segments: Vec::new(), phys32: None, long };
    for (index, ph) in headers.iter().enumerate() {
        let (file, memory): (u64, u64) = (ph.p_filesz(e).into(), ph.p_memsz(e).into());
        let offset: u64 = ph.p_offset(e).into();
        let end = offset.saturating_add(file);
        let kind = ph.p_type(e);
        if kind == PT_INTERP {
            return Err(LoadError::Foreign {
                part: Part::Kernel,
                found: String::from("a dynamically linked user-space program"),
                advice: "give a kernel (statically linked, no operating system)",
            });
        }
        if kind == PT_NOTE
            && let Ok(Some(notes)) = ph.notes(e, bytes)
        {
            out.phys32 = out.phys32.or(phys32_entry::<H>(notes));
        }
        if kind != PT_LOAD || memory == 0 {
            continue;
        }
        let data = ph.data(e, bytes).map_err(|()| truncated("a segment of the ELF file", end))?;
        if memory < data.len() as u64 {
            let at = table + index as u64 * size_of_val(ph) as u64;
            return Err(malformed("an ELF program header", at, "memory size below file size"));
        }
        let (physical, linked): (u64, u64) = (ph.p_paddr(e).into(), ph.p_vaddr(e).into());
        // The entry point is a virtual address; there is no paging when it is entered.
        let into = virtual_entry.wrapping_sub(linked);
        if into < memory {
            out.entry = physical.wrapping_add(into);
        }
        out.segments.push(Segment { index, addr: physical, data: data.to_vec(), memory_size: memory });
    }
    if out.segments.is_empty() {
        return Err(malformed("the ELF program header table", table, "nothing to load"));
    }
    Ok(out)
}

/// Looks for Xen's note. Its value is 4 or 8 bytes.
fn phys32_entry<H: FileHeader<Endian = LittleEndian>>(mut notes: NoteIterator<'_, H>) -> Option<u64> {
    while let Ok(Some(note)) = notes.next() {
        if note.name() == b"Xen" && note.n_type(LittleEndian).0 == PHYS32_ENTRY {
            return le::<4>(note.desc(), 0).map(|b| u32::from_le_bytes(b).into());
        }
    }
    None
}

impl PvhImage {
    /// Checks the headers and copies the loadable segments.
    pub(super) fn parse(bytes: &[u8]) -> Result<PvhImage, LoadError> {
        let elf = Executable::parse(bytes)?;
        let Some(entry) = elf.phys32 else {
            return Err(LoadError::Foreign {
                part: Part::Kernel,
                found: String::from("an x86 ELF file with neither a multiboot header nor a PVH entry point"),
                advice: "give a bzImage, a multiboot kernel, or a vmlinux built with CONFIG_PVH",
            });
        };
        if !elf.segments.iter().any(|s| entry.wrapping_sub(s.addr) < s.memory_size) {
            return Err(malformed("the PVH entry point", 0, format!("{entry:#x} is in no segment")));
        }
        Ok(PvhImage { entry, segments: elf.segments, long: elf.long })
    }
}

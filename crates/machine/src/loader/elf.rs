//! Bare-metal ELF executables.

use object::LittleEndian;
use object::elf::{
    ELFCLASS32, ELFDATA2MSB, EM_386, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_INTERP,
    PT_LOAD, ProgramHeader64,
};
use object::read::elf::{FileHeader, ProgramHeader};

use super::error::{LoadError, Part, le16};
use super::foreign::elf_machine;

/// A piece of memory as the executable wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of its program header.
    pub index: usize,
    /// Physical address.
    pub addr: u64,
    /// What is loaded there.
    pub data: Vec<u8>,
    /// Bytes in memory; what exceeds `data` is zero.
    pub memory_size: u64,
}

/// A statically linked AArch64 executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfImage {
    /// Physical address of the first instruction.
    pub entry: u64,
    /// What to load, in the order of the file.
    pub segments: Vec<Segment>,
}

/// Whether the magic number is there.
pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

fn malformed(what: &'static str, offset: u64, problem: impl Into<String>) -> LoadError {
    LoadError::Malformed { part: Part::Kernel, what, offset, problem: problem.into() }
}

fn foreign(found: String, advice: &'static str) -> LoadError {
    LoadError::Foreign { part: Part::Kernel, found, advice }
}

impl ElfImage {
    /// Checks the headers and copies the loadable segments.
    pub(super) fn parse(bytes: &[u8]) -> Result<ElfImage, LoadError> {
        let have = bytes.len() as u64;
        let truncated = |what, need| LoadError::Truncated { part: Part::Kernel, what, need, have };
        let machine = le16(bytes, 18).unwrap_or(0);
        let advice = match machine {
            m if m == EM_386.0 || m == EM_X86_64.0 => {
                "use --machine pc for x86 kernels, or give a 64-bit AArch64 executable"
            }
            _ => "give a 64-bit AArch64 executable",
        };
        if let (Some(&class), Some(&data)) = (bytes.get(4), bytes.get(5)) {
            if data == ELFDATA2MSB.0 {
                return Err(foreign(
                    format!("a big-endian ELF file for {}", elf_machine(machine.swap_bytes())),
                    "give a little-endian AArch64 executable",
                ));
            }
            if class == ELFCLASS32.0 && bytes.len() >= 20 {
                return Err(foreign(format!("a 32-bit ELF file for {}", elf_machine(machine)), advice));
            }
        }
        let header_size = size_of::<FileHeader64<LittleEndian>>() as u64;
        if have < header_size {
            return Err(truncated("the ELF header", header_size));
        }
        let header = FileHeader64::<LittleEndian>::parse(bytes)
            .map_err(|e| malformed("the ELF header", 0, e.to_string()))?;
        let e = LittleEndian;
        if machine != EM_AARCH64.0 {
            return Err(foreign(format!("an ELF file for {}", elf_machine(machine)), advice));
        }
        let kind = header.e_type(e);
        if kind != ET_EXEC && kind != ET_DYN {
            return Err(foreign(
                format!("an AArch64 ELF file of type {} (object file or core dump)", kind.0),
                "link it into an executable first",
            ));
        }
        let table_end = header.e_phoff(e).saturating_add(
            u64::from(header.e_phnum.get(e)) * size_of::<ProgramHeader64<LittleEndian>>() as u64,
        );
        if table_end > have {
            return Err(truncated("the ELF program header table", table_end));
        }
        let headers = header
            .program_headers(e, bytes)
            .map_err(|err| malformed("the ELF program header table", header.e_phoff(e), err.to_string()))?;
        let mut segments = Vec::new();
        let mut entry = header.e_entry(e);
        let virtual_entry = entry;
        for (index, ph) in headers.iter().enumerate() {
            if ph.p_type(e) == PT_INTERP {
                return Err(foreign(
                    String::from("a dynamically linked user-space program"),
                    "give a bare-metal executable (statically linked, no operating system)",
                ));
            }
            if ph.p_type(e) != PT_LOAD || ph.p_memsz(e) == 0 {
                continue;
            }
            let end = ph.p_offset(e).saturating_add(ph.p_filesz(e));
            let data = ph.data(e, bytes).map_err(|()| truncated("a segment of the ELF file", end))?;
            if ph.p_memsz(e) < data.len() as u64 {
                let at = header.e_phoff(e) + index as u64 * size_of_val(ph) as u64;
                return Err(malformed("an ELF program header", at, "memory size below file size"));
            }
            // The entry point is a virtual address; the MMU is off when it is entered.
            let offset = virtual_entry.wrapping_sub(ph.p_vaddr(e));
            if offset < ph.p_memsz(e) {
                entry = ph.p_paddr(e).wrapping_add(offset);
            }
            segments.push(Segment {
                index,
                addr: ph.p_paddr(e),
                data: data.to_vec(),
                memory_size: ph.p_memsz(e),
            });
        }
        if segments.is_empty() {
            return Err(malformed("the ELF program header table", header.e_phoff(e), "nothing to load"));
        }
        let in_segment = |s: &Segment| entry.wrapping_sub(s.addr) < s.memory_size;
        if !segments.iter().any(in_segment) || entry & 3 != 0 {
            return Err(malformed("the entry point of the ELF header", 24, format!("{entry:#x} is no code")));
        }
        Ok(ElfImage { entry, segments })
    }

    /// Lowest and highest (exclusive) physical address used.
    pub fn extent(&self) -> (u64, u64) {
        let low = self.segments.iter().map(|s| s.addr).min().unwrap_or(0);
        let high = self.segments.iter().map(|s| s.addr.saturating_add(s.memory_size)).max().unwrap_or(0);
        (low, high)
    }
}

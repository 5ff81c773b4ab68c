//! The Linux arm64 `Image`: Documentation/arch/arm64/booting.rst, "Call the kernel image".

use std::borrow::Cow;

use super::error::{LoadError, Part, le16, le32, le64};

/// Size of the header in bytes.
const HEADER: usize = 64;
/// Offset of the magic number.
const MAGIC_OFFSET: usize = 56;
/// "ARM\x64", little endian.
const MAGIC: &[u8; 4] = b"ARM\x64";
/// `IMAGE_FILE_MACHINE_ARM64` of the PE specification.
const PE_MACHINE_ARM64: u16 = 0xaa64;

/// Page size that a kernel was built for (flags, bits 1 to 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// Not stated.
    Unspecified,
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

/// A Linux arm64 `Image`, uncompressed.
#[derive(Clone, Debug)]
pub struct LinuxImage<'a> {
    /// The bytes to be copied to memory.
    pub data: Cow<'a, [u8]>,
    /// Offset from a 2 MiB aligned base at which the image must be placed.
    pub text_offset: u64,
    /// Bytes it occupies in memory, BSS included; at least the file's size.
    pub memory_size: u64,
    /// Page size it was built for.
    pub page_size: PageSize,
    /// Has a PE header, as UEFI wants it.
    pub efi_stub: bool,
}

/// Whether the magic number is there.
pub(super) fn is_image(bytes: &[u8]) -> bool {
    bytes.get(MAGIC_OFFSET..MAGIC_OFFSET + 4) == Some(MAGIC)
}

impl<'a> LinuxImage<'a> {
    /// Checks the header. The kernel is entered at its first byte.
    pub(super) fn parse(data: Cow<'a, [u8]>) -> Result<LinuxImage<'a>, LoadError> {
        let have = data.len() as u64;
        let truncated = LoadError::Truncated {
            part: Part::Kernel,
            what: "the arm64 Image header",
            need: HEADER as u64,
            have,
        };
        if data.len() < HEADER {
            return Err(truncated);
        }
        let (Some(text_offset), Some(image_size), Some(flags), Some(pe_offset)) =
            (le64(&data, 8), le64(&data, 16), le64(&data, 24), le32(&data, 60))
        else {
            return Err(truncated);
        };
        if image_size != 0 && flags & 1 != 0 {
            return Err(LoadError::Foreign {
                part: Part::Kernel,
                found: String::from("a big-endian arm64 Linux Image"),
                advice: "give one built with CONFIG_CPU_LITTLE_ENDIAN",
            });
        }
        // Before v3.17, image_size was 0 and the byte order of text_offset was not fixed: assume 0x80000.
        let text_offset = if image_size == 0 { 0x8_0000 } else { text_offset };
        if text_offset >= 1 << 21 || text_offset & 0xfff != 0 {
            return Err(LoadError::Malformed {
                part: Part::Kernel,
                what: "text_offset of the arm64 Image header",
                offset: 8,
                problem: format!("{text_offset:#x} is not a page-aligned offset below 2 MiB"),
            });
        }
        let efi_stub = data.starts_with(b"MZ") && pe_offset != 0;
        if efi_stub {
            check_pe(&data, pe_offset as usize)?;
        }
        let page_size = match flags >> 1 & 3 {
            1 => PageSize::K4,
            2 => PageSize::K16,
            3 => PageSize::K64,
            _ => PageSize::Unspecified,
        };
        Ok(LinuxImage { text_offset, memory_size: image_size.max(have), page_size, efi_stub, data })
    }
}

/// The PE header is for UEFI, but it is the one place that tells how long the file should be.
fn check_pe(data: &[u8], pe: usize) -> Result<(), LoadError> {
    let have = data.len() as u64;
    let truncated = |what, need| LoadError::Truncated { part: Part::Kernel, what, need, have };
    let header_end = pe.saturating_add(24);
    let (Some(machine), Some(sections), Some(optional_size)) = (
        le16(data, pe.saturating_add(4)),
        le16(data, pe.saturating_add(6)),
        le16(data, pe.saturating_add(20)),
    ) else {
        return Err(truncated("the PE header", header_end as u64));
    };
    if !data[pe..].starts_with(b"PE\0\0") {
        return Err(LoadError::Malformed {
            part: Part::Kernel,
            what: "the PE header",
            offset: pe as u64,
            problem: String::from("no PE signature"),
        });
    }
    if machine != PE_MACHINE_ARM64 {
        return Err(LoadError::Foreign {
            part: Part::Kernel,
            found: format!("an EFI executable for {}", super::foreign::pe_machine(machine)),
            advice: "give an arm64 kernel",
        });
    }
    let table = header_end.saturating_add(usize::from(optional_size));
    for n in 0..usize::from(sections) {
        let section = table.saturating_add(n * 40);
        let (Some(size), Some(offset)) =
            (le32(data, section.saturating_add(16)), le32(data, section.saturating_add(20)))
        else {
            return Err(truncated("the PE section table", section.saturating_add(40) as u64));
        };
        let need = u64::from(size) + u64::from(offset);
        if need > have {
            return Err(truncated("a section of the kernel", need));
        }
    }
    Ok(())
}

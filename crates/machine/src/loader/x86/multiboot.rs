//! Multiboot, version 1 (Multiboot Specification 0.6.96).

use super::elf::Executable;
use crate::loader::elf::{Segment, is_elf};
use crate::loader::error::{LoadError, Part, le32};

/// The header's magic number, and the register's at entry.
const HEADER_MAGIC: u32 = 0x1bad_b002;
/// What EAX holds at the entry point.
pub const BOOT_MAGIC: u32 = 0x2bad_b002;
/// The header lies within this many bytes from the start.
const SEARCH: usize = 8192;
/// Flags that must be understood are below this bit.
const REQUIRED: u32 = 0xffff;
/// Modules on page boundaries, memory information.
const UNDERSTOOD: u32 = 1 << 0 | 1 << 1;
/// The header says where to load.
const ADDRESSES: u32 = 1 << 16;

/// A multiboot kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultibootImage {
    /// Physical address of the first instruction, in 32-bit protected mode.
    pub entry: u64,
    /// What to load.
    pub segments: Vec<Segment>,
}

/// Offset of the header, if there is one.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let end = bytes.len().min(SEARCH);
    (0..end.saturating_sub(11)).step_by(4).find(|&at| {
        let word = |n: usize| le32(bytes, at + 4 * n).unwrap_or(0);
        word(0) == HEADER_MAGIC && word(0).wrapping_add(word(1)).wrapping_add(word(2)) == 0
    })
}

impl MultibootImage {
    /// Checks the header, which is at offset `at`, and copies what is to be loaded.
    pub(super) fn parse(bytes: &[u8], at: usize) -> Result<MultibootImage, LoadError> {
        let word = |n: usize| {
            le32(bytes, at + 4 * n).map(u64::from).ok_or(LoadError::Truncated {
                part: Part::Kernel,
                what: "the multiboot header",
                need: (at + 4 * (n + 1)) as u64,
                have: bytes.len() as u64,
            })
        };
        let flags = word(1)? as u32;
        let unknown = flags & REQUIRED & !UNDERSTOOD;
        if unknown != 0 {
            let what = if unknown == 1 << 2 { " (a video mode)" } else { "" };
            return Err(LoadError::Unsupported {
                part: Part::Kernel,
                what: format!("the multiboot header at {at:#x} demands flags {unknown:#x}{what}"),
                advice: "only page alignment (1) and memory information (2) are known",
            });
        }
        if flags & ADDRESSES == 0 {
            if !is_elf(bytes) {
                return Err(LoadError::Malformed {
                    part: Part::Kernel,
                    what: "the multiboot header",
                    offset: at as u64,
                    problem: String::from("no load addresses (flag 0x10000), and the file is not ELF"),
                });
            }
            if bytes.get(4) != Some(&1) {
                return Err(LoadError::Foreign {
                    part: Part::Kernel,
                    found: String::from("a 64-bit ELF file with a multiboot header"),
                    advice: "multiboot is 32-bit: convert it (objcopy -O elf32-i386)",
                });
            }
            let elf = Executable::parse(bytes)?;
            return Ok(MultibootImage { entry: elf.entry, segments: elf.segments });
        }
        let (header, load, load_end, bss_end, entry) = (word(3)?, word(4)?, word(5)?, word(6)?, word(7)?);
        let bad = |problem: String| LoadError::Malformed {
            part: Part::Kernel,
            what: "the multiboot header's load addresses",
            offset: at as u64 + 12,
            problem,
        };
        let start = (header.checked_sub(load))
            .and_then(|below| (at as u64).checked_sub(below))
            .ok_or_else(|| bad(format!("{load:#x} is before the file's start")))?;
        let rest = bytes.len() as u64 - start;
        let size = match load_end {
            0 => rest,
            end => end.checked_sub(load).ok_or_else(|| bad(format!("{end:#x} is below {load:#x}")))?,
        };
        if size > rest {
            return Err(LoadError::Truncated {
                part: Part::Kernel,
                what: "what the multiboot header loads",
                need: start + size,
                have: bytes.len() as u64,
            });
        }
        let data = bytes[start as usize..(start + size) as usize].to_vec();
        let memory_size = match bss_end {
            0 => size,
            end => end.saturating_sub(load).max(size),
        };
        if entry.wrapping_sub(load) >= memory_size {
            return Err(bad(format!("the entry point {entry:#x} is not loaded")));
        }
        Ok(MultibootImage { entry, segments: vec![Segment { index: 0, addr: load, data, memory_size }] })
    }
}

//! Linux `bzImage` (Documentation/arch/x86/boot.rst).

use std::borrow::Cow;
use std::ops::Range;

use crate::loader::error::{LoadError, Part, le16, le32, le64};

/// The setup header's place in the file and in the zero page.
const HEADER: usize = 0x1f1;
/// Protocol 2.10, Linux 2.6.31: says where the kernel wants to be and how much memory it needs to begin.
const OLDEST: u16 = 0x020a;
/// Protocol that has `xloadflags`.
const HAS_XLOADFLAGS: u16 = 0x020c;
/// Sectors of setup code where the header says 0.
const SETUP_SECTORS: u64 = 4;
const SECTOR: u64 = 512;
const LOADED_HIGH: u8 = 1 << 0;
const CAN_USE_HEAP: u8 = 1 << 7;
const XLF_KERNEL_64: u16 = 1 << 0;
/// Where the protected-mode code goes.
const LOAD_ADDRESS: u64 = 0x10_0000;

/// A Linux kernel for PCs.
#[derive(Clone, Debug)]
pub struct BzImage<'a> {
    /// The file.
    pub data: Cow<'a, [u8]>,
    /// Boot protocol: major version in the upper byte.
    pub version: u16,
    /// The protected-mode code's place in the file.
    pub code: Range<usize>,
    /// The kernel is 64-bit, and has an entry point for 64-bit mode.
    pub long: bool,
    /// Can run from anywhere.
    pub relocatable: bool,
    /// Alignment that it wants then, in bytes.
    pub alignment: u64,
    /// Where it would like to be.
    pub preferred: u64,
    /// Bytes that it needs from there on before it looks at the memory map.
    pub init_size: u64,
    /// Last address that the initial RAM disk may have.
    pub initrd_max: u64,
    /// Longest command line in bytes.
    pub cmdline_size: u64,
}

/// Where a loader put things, for the zero page.
#[derive(Clone, Debug, Default)]
pub struct BootParams<'a> {
    /// Address of the command line.
    pub cmdline: u32,
    /// The initial RAM disk.
    pub initrd: Option<Range<u64>>,
    /// Address of ACPI's RSDP.
    pub rsdp: u64,
    /// The memory map, 20 bytes per entry.
    pub e820: &'a [u8],
}

/// Whether the magic numbers are there.
pub(super) fn is_bzimage(bytes: &[u8]) -> bool {
    le16(bytes, 0x1fe) == Some(0xaa55) && bytes.get(0x202..0x206) == Some(b"HdrS")
}

impl<'a> BzImage<'a> {
    /// Checks the setup header.
    pub(super) fn parse(data: Cow<'a, [u8]>) -> Result<BzImage<'a>, LoadError> {
        let have = data.len() as u64;
        let truncated = |what, need| LoadError::Truncated { part: Part::Kernel, what, need, have };
        let header_end = 0x268;
        let version = le16(&data, 0x206).ok_or_else(|| truncated("the setup header", header_end))?;
        if version < OLDEST {
            return Err(LoadError::OldProtocol { major: (version >> 8) as u8, minor: version as u8 });
        }
        let (Some(b), Some(_)) = (data.get(..0x260), le32(&data, 0x260)) else {
            return Err(truncated("the setup header", header_end));
        };
        if b[0x211] & LOADED_HIGH == 0 {
            return Err(LoadError::Foreign {
                part: Part::Kernel,
                found: String::from("a zImage, which loads below 1 MiB"),
                advice: "build a bzImage (make bzImage)",
            });
        }
        let sectors = match b[HEADER] {
            0 => SETUP_SECTORS,
            n => n.into(),
        };
        let start = (sectors + 1) * SECTOR;
        let paragraphs = u64::from(le32(&data, 0x1f4).unwrap_or(0));
        let end = start + paragraphs * 16;
        // The last paragraph need not be whole.
        if have + 15 < end || have <= start {
            return Err(truncated("the kernel behind its setup code", end));
        }
        let word = |at| le32(&data, at).map_or(0, u64::from);
        let xloadflags = if version >= HAS_XLOADFLAGS { le16(&data, 0x236).unwrap_or(0) } else { 0 };
        let alignment = word(0x230);
        if !alignment.is_power_of_two() {
            return Err(LoadError::Malformed {
                part: Part::Kernel,
                what: "the kernel's alignment",
                offset: 0x230,
                problem: format!("{alignment:#x} is no power of two"),
            });
        }
        Ok(BzImage {
            version,
            code: start as usize..end.min(have) as usize,
            long: xloadflags & XLF_KERNEL_64 != 0,
            relocatable: b[0x234] != 0,
            alignment,
            preferred: le64(&data, 0x258).unwrap_or(0),
            init_size: word(0x260),
            initrd_max: word(0x22c),
            cmdline_size: word(0x238),
            data,
        })
    }

    /// Address at which the code is loaded, which is its 32-bit entry point.
    pub fn load_address(&self) -> u64 {
        LOAD_ADDRESS
    }

    /// Memory that the kernel uses before it looks at the memory map.
    pub fn needs(&self) -> Range<u64> {
        // Loaded below where it was linked for, it moves itself up (arch/x86/boot/compressed/head_64.S).
        let start = LOAD_ADDRESS.next_multiple_of(self.alignment).max(self.preferred);
        LOAD_ADDRESS..start.saturating_add(self.init_size).max(LOAD_ADDRESS + self.code.len() as u64)
    }

    /// The zero page: 4096 bytes.
    pub fn zero_page(&self, p: &BootParams<'_>) -> Vec<u8> {
        let mut page = vec![0; 4096];
        // "The end of setup header can be calculated as 0x0202 + byte value at offset 0x0201."
        let end = 0x202 + usize::from(self.data.get(0x201).copied().unwrap_or(0));
        if let Some(header) = self.data.get(HEADER..end) {
            page[HEADER..end].copy_from_slice(header);
        }
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x1fa, &0xffffu16.to_le_bytes()); // vid_mode: normal
        put(0x210, &[0xff]); // type_of_loader: without a number
        put(0x211, &[self.data[0x211] | CAN_USE_HEAP]);
        put(0x214, &(LOAD_ADDRESS as u32).to_le_bytes());
        put(0x224, &0xde00u16.to_le_bytes()); // heap_end_ptr
        put(0x228, &p.cmdline.to_le_bytes());
        if let Some(initrd) = &p.initrd {
            let size = initrd.end - initrd.start;
            put(0x218, &(initrd.start as u32).to_le_bytes());
            put(0x21c, &(size as u32).to_le_bytes());
        }
        put(0x70, &p.rsdp.to_le_bytes());
        const E820_MAX: usize = 128;
        let entries = (p.e820.len() / 20).min(E820_MAX);
        put(0x1e8, &[entries as u8]);
        put(0x2d0, &p.e820[..entries * 20]);
        page
    }
}

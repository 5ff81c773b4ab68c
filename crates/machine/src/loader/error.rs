//! What can be wrong with the files a machine is started from.

use std::fmt;

use thiserror::Error;

/// Which file an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `--kernel`.
    Kernel,
    /// `--initrd`.
    Initrd,
    /// `--dtb`.
    Dtb,
    /// `--firmware`.
    Firmware,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Kernel => "kernel",
            Part::Initrd => "initrd",
            Part::Dtb => "device tree",
            Part::Firmware => "firmware",
        })
    }
}

/// A file that cannot be loaded: which, where, and what to do, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Nothing in it.
    #[error("{0}: the file is empty; give a complete one")]
    Empty(Part),

    /// Ends before its own headers say that it does.
    #[error(
        "{part}: truncated: {what} needs {need} bytes, there are {have}; copy or download the file again"
    )]
    Truncated {
        /// Which file.
        part: Part,
        /// The structure that is cut off.
        what: &'static str,
        /// Bytes up to the end of that structure.
        need: u64,
        /// Bytes present.
        have: u64,
    },

    /// A well-known format, but for another machine or another loader.
    #[error("{part}: this is {found}; {advice}")]
    Foreign {
        /// Which file.
        part: Part,
        /// What it was recognised as.
        found: String,
        /// What to do about it.
        advice: &'static str,
    },

    /// No known format.
    #[error("{part}: unknown format (starts with {start:02x?}); expected {expected}")]
    Unknown {
        /// Which file.
        part: Part,
        /// The first bytes.
        start: Vec<u8>,
        /// What was expected.
        expected: &'static str,
    },

    /// A field of a recognised format makes no sense.
    #[error(
        "{part}: {what} at offset {offset:#x}: {problem}; the file is damaged or not what it claims to be"
    )]
    Malformed {
        /// Which file.
        part: Part,
        /// The structure.
        what: &'static str,
        /// Where it is, in bytes from the start (of the decompressed contents, if compressed).
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },

    /// Compressed data that does not decompress.
    #[error("{part}: {format} data is damaged: {problem}; copy or download the file again")]
    Decompress {
        /// Which file.
        part: Part,
        /// Name of the compression.
        format: &'static str,
        /// What the decompressor says.
        problem: String,
    },

    /// A Linux kernel for PCs that is older than what can be loaded.
    #[error(
        "kernel: boot protocol {major}.{minor:02} is too old; give a kernel with 2.10 or later (Linux 2.6.31)"
    )]
    OldProtocol {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },

    /// A kernel for another width than the CPU's.
    #[error("kernel: this is a 64-bit kernel, and the CPU {cpu} is 32-bit; {advice}")]
    Width {
        /// Name of the CPU model.
        cpu: &'static str,
        /// What to do about it.
        advice: &'static str,
    },

    /// A known format demands what is not there.
    #[error("{part}: {what}; {advice}")]
    Unsupported {
        /// Which file.
        part: Part,
        /// What is demanded, and where.
        what: String,
        /// What to do about it.
        advice: &'static str,
    },

    /// No image of a ROM that ends at 4 GiB.
    #[error("firmware: {have} bytes; an image has whole pages of 4 KiB, from 64 KiB to 16 MiB")]
    FirmwareSize {
        /// Bytes of the image.
        have: u64,
    },

    /// The command line does not fit.
    #[error("append: the command line has {have} bytes, the kernel takes {max}; shorten it")]
    CommandLine {
        /// Bytes given.
        have: u64,
        /// Most bytes.
        max: u64,
    },

    /// Decompresses to more than guest RAM.
    #[error("{part}: decompresses to more than the {limit} bytes of guest RAM; raise --memory")]
    TooBig {
        /// Which file.
        part: Part,
        /// Bytes of guest RAM.
        limit: u64,
    },

    /// Does not fit where it has to go.
    #[error(
        "{part}: {size} bytes at {addr:#x} do not fit guest RAM {ram_base:#x}..{ram_end:#x}; \
         raise --memory to at least {mib_needed}M"
    )]
    NoRoom {
        /// Which file.
        part: Part,
        /// Bytes it takes in memory.
        size: u64,
        /// Guest physical address at which it would start.
        addr: u64,
        /// First byte of guest RAM.
        ram_base: u64,
        /// First byte after guest RAM.
        ram_end: u64,
        /// RAM size in MiB with which it would fit.
        mib_needed: u64,
    },

    /// Linked for addresses that are no RAM.
    #[error(
        "{part}: segment {index} wants {size} bytes at {addr:#x}, outside guest RAM {ram_base:#x}..{ram_end:#x}; {advice}"
    )]
    OutsideRam {
        /// Which file.
        part: Part,
        /// Number of the program header.
        index: usize,
        /// Bytes in memory.
        size: u64,
        /// Physical address of the segment.
        addr: u64,
        /// First byte of guest RAM.
        ram_base: u64,
        /// First byte after guest RAM.
        ram_end: u64,
        /// What to do about it.
        advice: &'static str,
    },
}

/// Reads a little-endian integer at `offset`, if the bytes are there.
pub(crate) fn le<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// Reads a little-endian 32-bit integer at `offset`.
pub(crate) fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    le(bytes, offset).map(u32::from_le_bytes)
}

/// Reads a little-endian 64-bit integer at `offset`.
pub(crate) fn le64(bytes: &[u8], offset: usize) -> Option<u64> {
    le(bytes, offset).map(u64::from_le_bytes)
}

/// Reads a little-endian 16-bit integer at `offset`.
pub(crate) fn le16(bytes: &[u8], offset: usize) -> Option<u16> {
    le(bytes, offset).map(u16::from_le_bytes)
}

//! Checks on an initial RAM disk. The guest kernel unpacks it; a damaged one would end in a panic that does not
//! name the file, so what can be told beforehand is told.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::error::{LoadError, Part, le16, le32};
use super::start;

/// Compressions that Linux unpacks but that are passed on unchecked (lib/decompress.c).
const COMPRESSED: &[&[u8]] = &[
    b"BZh",
    b"\x5d\x00\x00",
    b"\xfd7zXZ\0",
    b"\x89LZO\0\r\n\x1a\n",
    b"\x02\x21\x4c\x18",
    b"\x28\xb5\x2f\xfd",
];

/// Size of a newc header (Documentation/driver-api/early-userspace/buffer-format.rst).
const NEWC_HEADER: usize = 110;

/// Checks that `bytes` looks like something that Linux takes as an initial RAM disk, and is complete as far as
/// that can be seen: a sequence of newc cpio archives, plain or gzipped, is walked to its end.
pub fn check(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Empty(Part::Initrd));
    }
    let mut at = 0;
    loop {
        while bytes.get(at) == Some(&0) {
            at += 1;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return if bytes.iter().any(|&b| b != 0) { Ok(()) } else { Err(unknown(bytes)) };
        }
        if rest.starts_with(b"070701") || rest.starts_with(b"070702") {
            at = newc(bytes, at)?;
        } else if rest.starts_with(&[0x1f, 0x8b]) {
            at += gzip(rest)?;
        } else if COMPRESSED.iter().any(|magic| rest.starts_with(magic)) || at == 0 && is_disk_image(bytes) {
            return Ok(());
        } else if at == 0 {
            return Err(unknown(bytes));
        } else {
            return Err(LoadError::Malformed {
                part: Part::Initrd,
                what: "data after the cpio archive",
                offset: at as u64,
                problem: format!("{:02x?} starts neither a cpio archive nor compressed data", start(rest)),
            });
        }
    }
}

/// File systems that `init/do_mounts_rd.c` recognises.
fn is_disk_image(b: &[u8]) -> bool {
    b.starts_with(b"hsqs")
        || b.starts_with(b"-rom1fs-")
        || le32(b, 0) == Some(0x28cd_3d45)
        || le32(b, 512) == Some(0x28cd_3d45)
        || le16(b, 1024 + 56) == Some(0xef53)
        || matches!(le16(b, 1024 + 16), Some(0x137f | 0x138f))
}

fn unknown(b: &[u8]) -> LoadError {
    let foreign =
        |found: &str, advice| LoadError::Foreign { part: Part::Initrd, found: found.into(), advice };
    if b.get(56..60) == Some(b"ARM\x64") || b.starts_with(b"MZ") {
        return foreign("a kernel", "give it as --kernel, and a cpio archive as --initrd");
    }
    if b.starts_with(b"\x7fELF") {
        return foreign("an ELF file", "put it into a cpio archive (cpio -H newc)");
    }
    if b.starts_with(b"070707") || b.starts_with(b"\xc7\x71") {
        return foreign("an old-format cpio archive", "make it with cpio -H newc");
    }
    if b.starts_with(b"\xd0\x0d\xfe\xed") {
        return foreign("a device tree", "give it as --dtb");
    }
    LoadError::Unknown {
        part: Part::Initrd,
        start: start(b),
        expected: "a newc cpio archive, plain or compressed, or a RAM disk image",
    }
}

/// Walks the archive that starts at `at`; returns the offset after its trailer.
fn newc(bytes: &[u8], mut at: usize) -> Result<usize, LoadError> {
    let have = bytes.len() as u64;
    let truncated =
        |what, need: usize| LoadError::Truncated { part: Part::Initrd, what, need: need as u64, have };
    loop {
        let Some(header) = bytes.get(at..at + NEWC_HEADER) else {
            return Err(truncated("a cpio header", at + NEWC_HEADER));
        };
        let damaged = |problem: &str| LoadError::Malformed {
            part: Part::Initrd,
            what: "a cpio header",
            offset: at as u64,
            problem: String::from(problem),
        };
        if !header.starts_with(b"07070") {
            return Err(damaged("no newc magic"));
        }
        let field = |n: usize| {
            std::str::from_utf8(&header[6 + 8 * n..14 + 8 * n])
                .ok()
                .and_then(|s| usize::from_str_radix(s, 16).ok())
                .ok_or_else(|| damaged("a field is not a hexadecimal number"))
        };
        let (size, name_size) = (field(6)?, field(11)?);
        let name_end = at + NEWC_HEADER + name_size;
        let Some(name) = bytes.get(at + NEWC_HEADER..name_end) else {
            return Err(truncated("a cpio file name", name_end));
        };
        let data = name_end.next_multiple_of(4);
        let end = data + size;
        if end > bytes.len() && size != 0 {
            return Err(truncated("a file in the cpio archive", end));
        }
        at = end.next_multiple_of(4);
        if name == b"TRAILER!!!\0" {
            return Ok(at.min(bytes.len()));
        }
        if at >= bytes.len() {
            return Err(truncated("the cpio trailer", at + NEWC_HEADER));
        }
    }
}

/// Decompresses one gzip member to nowhere; returns its compressed length.
fn gzip(bytes: &[u8]) -> Result<usize, LoadError> {
    let mut decoder = GzDecoder::new(bytes);
    let mut buffer = [0; 64 * 1024];
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(bytes.len() - decoder.into_inner().len()),
            Ok(_) => {}
            Err(e) => {
                return Err(LoadError::Decompress {
                    part: Part::Initrd,
                    format: "gzip",
                    problem: e.to_string(),
                });
            }
        }
    }
}

//! Wrappers around a kernel: plain gzip (`Image.gz`) and EFI zboot (`vmlinuz.efi`).

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::error::{LoadError, Part, le, le32};

const GZIP: &[u8] = &[0x1f, 0x8b];
/// Size of the zboot header up to and including the name of the compression
/// (drivers/firmware/efi/libstub/zboot-header.S).
const ZBOOT_HEADER: usize = 56;

/// Strips the wrappers, if there are any.
pub(super) fn unwrap(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, LoadError> {
    if bytes.starts_with(b"MZ") && bytes.get(4..8) == Some(b"zimg") {
        return zboot(bytes, limit).map(Cow::Owned);
    }
    if bytes.starts_with(GZIP) {
        let inner = gunzip(bytes, limit)?;
        // Distributions gzip their zboot images only by accident, but it costs one comparison.
        return match inner.get(4..8) {
            Some(b"zimg") if inner.starts_with(b"MZ") => zboot(&inner, limit).map(Cow::Owned),
            _ => Ok(Cow::Owned(inner)),
        };
    }
    Ok(Cow::Borrowed(bytes))
}

fn zboot(bytes: &[u8], limit: u64) -> Result<Vec<u8>, LoadError> {
    let have = bytes.len() as u64;
    let (Some(offset), Some(size), Some(name)) = (le32(bytes, 8), le32(bytes, 12), le::<32>(bytes, 24))
    else {
        return Err(LoadError::Truncated {
            part: Part::Kernel,
            what: "the EFI zboot header",
            need: ZBOOT_HEADER as u64,
            have,
        });
    };
    let end = u64::from(offset) + u64::from(size);
    let Some(payload) = bytes.get(offset as usize..end as usize) else {
        return Err(LoadError::Truncated {
            part: Part::Kernel,
            what: "the EFI zboot payload",
            need: end,
            have,
        });
    };
    let name = name.split(|&b| b == 0).next().unwrap_or_default();
    match name {
        b"gzip" => gunzip(payload, limit),
        b"zstd" => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(payload)
                .map_err(|e| damaged("zstd", e.to_string()))?;
            bounded(decoder, "zstd", limit)
        }
        _ => Err(LoadError::Foreign {
            part: Part::Kernel,
            found: format!("an EFI zboot image compressed with {}", String::from_utf8_lossy(name)),
            advice: "only gzip and zstd are supported: unpack the payload or give the plain Image",
        }),
    }
}

fn gunzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, LoadError> {
    bounded(MultiGzDecoder::new(bytes), "gzip", limit)
}

fn bounded(reader: impl Read, format: &'static str, limit: u64) -> Result<Vec<u8>, LoadError> {
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out).map_err(|e| damaged(format, e.to_string()))?;
    if out.len() as u64 > limit {
        return Err(LoadError::TooBig { part: Part::Kernel, limit });
    }
    Ok(out)
}

fn damaged(format: &'static str, problem: String) -> LoadError {
    LoadError::Decompress { part: Part::Kernel, format, problem }
}

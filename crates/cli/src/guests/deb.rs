//! Takes files out of a Debian package (`ar` archive with a compressed `data.tar`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::initramfs::{self, Content};

/// The first regular file in the package whose path (without the leading `./`) satisfies `wanted`, with that path.
pub fn extract(deb: &Path, wanted: impl Fn(&str) -> bool) -> Result<(String, Vec<u8>)> {
    let mut found = None;
    walk(deb, &wanted, &mut |file| {
        if let Content::Bytes(bytes) = file.content {
            found = Some((file.path, bytes));
        }
        found.is_none()
    })?;
    found.with_context(|| format!("{}: the wanted file is not in it", deb.display()))
}

/// All files and symbolic links in the package whose path (without the leading `./`) satisfies `wanted`.
pub fn unpack(deb: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<initramfs::File>> {
    let mut files = Vec::new();
    walk(deb, &wanted, &mut |file| {
        files.push(file);
        true
    })?;
    Ok(files)
}

/// Tells `each` of what satisfies `wanted`, until it says that it has enough.
fn walk(
    deb: &Path,
    wanted: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(initramfs::File) -> bool,
) -> Result<()> {
    let file = File::open(deb).with_context(|| format!("open {}", deb.display()))?;
    let mut archive = ar::Archive::new(file);
    while let Some(entry) = archive.next_entry() {
        let entry = entry.with_context(|| format!("{}: not a Debian package", deb.display()))?;
        let name = String::from_utf8_lossy(entry.header().identifier()).into_owned();
        let data: Box<dyn Read + '_> = match name.trim_end_matches('/') {
            "data.tar" => Box::new(entry),
            "data.tar.gz" => Box::new(flate2::read::GzDecoder::new(entry)),
            "data.tar.xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(entry)),
            n if n.starts_with("data.tar") => bail!("{}: compression of {n} is not supported", deb.display()),
            _ => continue,
        };
        let mut tar = tar::Archive::new(data);
        for member in tar.entries().with_context(|| format!("{}: read {name}", deb.display()))? {
            let mut member = member.with_context(|| format!("{}: read {name}", deb.display()))?;
            let kind = member.header().entry_type();
            let path = String::from_utf8_lossy(&member.path_bytes()).trim_start_matches("./").to_string();
            if !(kind.is_file() || kind.is_symlink()) || !wanted(&path) {
                continue;
            }
            let named = || format!("{}: read {path}", deb.display());
            let content = if kind.is_file() {
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).with_context(named)?;
                Content::Bytes(bytes)
            } else {
                let to = member.link_name_bytes().with_context(named)?;
                Content::Link(String::from_utf8_lossy(&to).into_owned())
            };
            let mode = member.header().mode().with_context(named)? & 0o777;
            if !each(initramfs::File { path, mode, content }) {
                return Ok(());
            }
        }
        return Ok(());
    }
    bail!("{}: has no data.tar", deb.display())
}

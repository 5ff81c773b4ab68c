//! Takes single files out of a Debian package (`ar` archive with a compressed `data.tar`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The first regular file in the package whose path (without the leading `./`) satisfies `wanted`, with that path.
pub fn extract(deb: &Path, wanted: impl Fn(&str) -> bool) -> Result<(String, Vec<u8>)> {
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
            if !member.header().entry_type().is_file() {
                continue;
            }
            let path = String::from_utf8_lossy(&member.path_bytes()).trim_start_matches("./").to_string();
            if wanted(&path) {
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).with_context(|| format!("{}: read {path}", deb.display()))?;
                return Ok((path, bytes));
            }
        }
        bail!("{}: the wanted file is not in {name}", deb.display());
    }
    bail!("{}: has no data.tar", deb.display())
}

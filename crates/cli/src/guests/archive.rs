//! A Debian archive's index: from a package name to a file, its size and its SHA-256.

use anyhow::{Context, Result, bail};

/// One stanza of a `Packages` file, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Path below the archive's root.
    pub filename: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// The Depends field, unparsed.
    pub depends: String,
}

/// A parsed `Packages` file.
#[derive(Clone, Debug, Default)]
pub struct Index {
    packages: Vec<Package>,
}

impl Index {
    /// Parses the text of a `Packages` file.
    pub fn parse(text: &str) -> Result<Index> {
        let mut packages = Vec::new();
        for (n, stanza) in text.split("\n\n").enumerate().filter(|(_, s)| !s.trim().is_empty()) {
            let field = |key: &str| {
                stanza.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
            };
            let need =
                |key: &str| field(key).with_context(|| format!("stanza {n} of the index has no {key}"));
            let name = need("Package")?.to_string();
            let sha256 = need("SHA256")?.to_ascii_lowercase();
            if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                bail!("package {name}: SHA256 in the index is not 64 hexadecimal digits");
            }
            packages.push(Package {
                version: need("Version")?.to_string(),
                filename: need("Filename")?.to_string(),
                size: need("Size")?.parse().with_context(|| format!("package {name}: Size in the index"))?,
                sha256,
                depends: field("Depends").unwrap_or_default().to_string(),
                name,
            });
        }
        Ok(Index { packages })
    }

    /// The package called `name`; of several versions the last one listed.
    pub fn find(&self, name: &str) -> Option<&Package> {
        self.packages.iter().rev().find(|p| p.name == name)
    }

    /// The kernel image that meta package `meta` depends on (`linux-image-…` with a version in its name).
    pub fn kernel_of(&self, meta: &str) -> Result<&Package> {
        let m = self.find(meta).with_context(|| format!("the archive has no package {meta}"))?;
        let image = m
            .depends
            .split([',', '|'])
            .filter_map(|d| d.split_whitespace().next())
            .find(|d| d.starts_with("linux-image-"))
            .with_context(|| format!("{meta} {} depends on no kernel image", m.version))?;
        self.find(image).with_context(|| format!("{meta} wants {image}, which the archive does not list"))
    }
}

/// The SHA-256 and size of `path` in the text of a `Release` or `InRelease` file.
pub fn release_entry(release: &str, path: &str) -> Option<(String, u64)> {
    let mut inside = false;
    for line in release.lines() {
        if !line.starts_with(' ') {
            inside = line.trim_end() == "SHA256:";
        } else if inside {
            let mut f = line.split_whitespace();
            if let (Some(sum), Some(size), Some(p)) = (f.next(), f.next(), f.next())
                && p == path
            {
                return Some((sum.to_ascii_lowercase(), size.parse().ok()?));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn resolves_a_meta_package() {
        let text = format!(
            "Package: linux-image-cloud-arm64\nVersion: 6.1.2-1\nDepends: linux-image-6.1.0-2-cloud-arm64 (= 6.1.2-1)\n\
             Filename: pool/a.deb\nSize: 10\nSHA256: {SUM}\n\nPackage: linux-image-6.1.0-2-cloud-arm64\n\
             Version: 6.1.2-1\nDepends: kmod, initramfs-tools | linux-initramfs-tool\nFilename: pool/b.deb\nSize: 20\n\
             Description: x\n  folded line\nSHA256: {SUM}\n"
        );
        let index = Index::parse(&text).unwrap();
        let k = index.kernel_of("linux-image-cloud-arm64").unwrap();
        assert_eq!((k.filename.as_str(), k.size), ("pool/b.deb", 20));
        assert!(index.kernel_of("linux-image-6.1.0-2-cloud-arm64").is_err());
        assert!(index.kernel_of("nothing").is_err());
    }

    #[test]
    fn bad_stanzas_are_named() {
        let e = Index::parse("Package: a\nVersion: 1\nFilename: f\nSize: x\nSHA256: 00\n").unwrap_err();
        assert!(e.to_string().contains("package a"), "{e}");
        let e = Index::parse("Version: 1\n").unwrap_err();
        assert!(e.to_string().contains("no Package"), "{e}");
    }

    #[test]
    fn release_lists_sums_by_section() {
        let text = format!("MD5Sum:\n 00 5 main/x\nSHA256:\n {SUM}     77 main/x\nSHA512:\n 11 9 main/x\n");
        assert_eq!(release_entry(&text, "main/x"), Some((SUM.to_string(), 77)));
        assert_eq!(release_entry(&text, "main/y"), None);
    }
}

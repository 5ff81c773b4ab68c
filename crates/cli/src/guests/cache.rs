//! The user's cache directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where guests are kept: `dir` if the user named one, else the platform's cache directory.
pub fn root(dir: Option<&Path>) -> Result<PathBuf> {
    if let Some(d) = dir {
        return Ok(d.to_path_buf());
    }
    let dirs = directories::ProjectDirs::from("", "", "lyrebird")
        .context("this user has no home directory; name a place with --cache DIR")?;
    Ok(dirs.cache_dir().to_path_buf())
}

/// A guest's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Directory of the guest.
    pub dir: PathBuf,
    /// Kernel image.
    pub kernel: PathBuf,
    /// Initramfs.
    pub initrd: PathBuf,
    /// Text: package names and versions.
    pub versions: PathBuf,
}

/// The directory of all suites of guest `name` below the cache `root`.
pub fn home(root: &Path, name: &str) -> PathBuf {
    root.join("guests").join(name)
}

/// The files of guest `name` from `suite` below the cache `root`.
pub fn files(root: &Path, name: &str, suite: &str) -> Files {
    let dir = home(root, name).join(suite);
    Files {
        kernel: dir.join("vmlinuz"),
        initrd: dir.join("initrd.gz"),
        versions: dir.join("versions.txt"),
        dir,
    }
}

impl Files {
    /// Whether all are there.
    pub fn complete(&self) -> bool {
        self.kernel.is_file() && self.initrd.is_file() && self.versions.is_file()
    }
}

/// Writes a file so that it never exists half under its name.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    // Two of us may do this at once.
    let tmp = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&tmp, bytes).with_context(|| format!("write {}", tmp.display()))?;
    std::fs::rename(&tmp, path).with_context(|| format!("rename to {}", path.display()))
}

//! An initramfs (`newc` cpio, gzip) of BusyBox, one script, and what is put beside them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The script that the kernel starts: mounts what tools expect, then gives a shell on the console.
///
/// The prompt is `$PWD`, not `\w`: for that, BusyBox of Debian 12 does not see that /root is home.
pub const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /tmp /run /sbin /usr/bin /usr/sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
/bin/busybox --install -s /bin
hostname lyrebird
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=${TERM:-vt100} PS1='lyrebird:$PWD# '
cd /root
echo
echo "Lyrebird: BusyBox shell. 'poweroff -f' ends the machine."
while true; do setsid cttyhack sh; done
"#;

/// Where BusyBox is in the image.
const BUSYBOX: &str = "bin/busybox";
/// How the line of [`recipe`] begins.
pub const RECIPE: &str = "initramfs";
/// Bytes of a record before its name.
const HEADER: usize = 110;

/// What a path of the image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file.
    Bytes(Vec<u8>),
    /// A symbolic link to this.
    Link(String),
}

/// A file to put into the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path below the root.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub content: Content,
}

impl File {
    /// Writes it below a directory of this host.
    pub fn write_below(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.path);
        let named = || format!("write {}", path.display());
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("create directory {}", dir.display()))?;
        }
        match &self.content {
            Content::Bytes(bytes) => {
                std::fs::write(&path, bytes).with_context(named)?;
                #[cfg(unix)]
                {
                    use std::os::unix::fs::PermissionsExt;
                    let mode = std::fs::Permissions::from_mode(self.mode);
                    std::fs::set_permissions(&path, mode).with_context(named)?;
                }
                Ok(())
            }
            #[cfg(unix)]
            Content::Link(to) => std::os::unix::fs::symlink(to, &path).with_context(named),
            #[cfg(not(unix))]
            Content::Link(_) => Ok(()),
        }
    }
}

/// Writes `newc` records.
#[derive(Debug, Default)]
struct Cpio {
    out: Vec<u8>,
    inode: u32,
}

impl Cpio {
    fn entry(&mut self, name: &str, mode: u32, rdev: (u32, u32), data: &[u8]) {
        self.inode += 1;
        let (major, minor) = rdev;
        let fields =
            [self.inode, mode, 0, 0, 1, 0, data.len() as u32, 0, 0, major, minor, name.len() as u32 + 1, 0];
        self.out.extend_from_slice(b"070701");
        for f in fields {
            self.out.extend_from_slice(format!("{f:08x}").as_bytes());
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        self.pad();
        self.out.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.out.len().is_multiple_of(4) {
            self.out.push(0);
        }
    }
}

/// The directories of every image.
const DIRECTORIES: [&str; 6] = ["bin", "dev", "etc", "proc", "sys", "root"];

fn archive(busybox: &[u8], init: &str, more: &[File]) -> Vec<u8> {
    let mut c = Cpio::default();
    for dir in DIRECTORIES {
        c.entry(dir, 0o040755, (0, 0), &[]);
    }
    // In order, so that a directory comes before what is in it.
    let parents: BTreeSet<&str> =
        more.iter().flat_map(|f| f.path.match_indices('/').map(|(at, _)| &f.path[..at])).collect();
    for dir in parents.into_iter().filter(|d| !DIRECTORIES.contains(d)) {
        c.entry(dir, 0o040755, (0, 0), &[]);
    }
    for file in more {
        match &file.content {
            Content::Bytes(bytes) => c.entry(&file.path, 0o100000 | file.mode, (0, 0), bytes),
            Content::Link(to) => c.entry(&file.path, 0o120777, (0, 0), to.as_bytes()),
        }
    }
    // The kernel opens /dev/console for init before anything is mounted.
    c.entry("dev/console", 0o020600, (5, 1), &[]);
    c.entry("dev/null", 0o020666, (1, 3), &[]);
    c.entry(BUSYBOX, 0o100755, (0, 0), busybox);
    c.entry("bin/sh", 0o120777, (0, 0), b"busybox");
    c.entry("etc/passwd", 0o100644, (0, 0), b"root::0:0:root:/root:/bin/sh\n");
    c.entry("etc/group", 0o100644, (0, 0), b"root:x:0:\n");
    c.entry("init", 0o100755, (0, 0), init.as_bytes());
    c.entry("TRAILER!!!", 0, (0, 0), &[]);
    c.out
}

/// The gzip-compressed image, with `init` as the first program and `more` beside BusyBox.
pub fn build(busybox: &[u8], init: &str, more: &[File]) -> Result<Vec<u8>> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(&archive(busybox, init, more)).context("compress the initramfs")?;
    gz.finish().context("compress the initramfs")
}

/// A line that changes with whatever [`build`] adds to BusyBox.
pub fn recipe() -> String {
    let sum = Sha256::digest(archive(b"", INIT, &[]));
    let word: String = sum.iter().take(4).map(|b| format!("{b:02x}")).collect();
    format!("{RECIPE} {word}")
}

/// BusyBox in an image that [`build`] of some version made.
pub fn busybox_of(image: &[u8]) -> Result<Vec<u8>> {
    let mut raw = Vec::new();
    GzDecoder::new(image).read_to_end(&mut raw).context("unpack the initramfs")?;
    let found = files(&raw).find(|(name, _)| *name == BUSYBOX.as_bytes());
    Ok(found.context("no BusyBox in the initramfs")?.1.to_vec())
}

/// Names and contents of an archive, as far as it is whole.
fn files(raw: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 0usize;
    std::iter::from_fn(move || {
        let field = |i: usize| {
            let digits = raw.get(at + 6 + 8 * i..at + 14 + 8 * i)?;
            usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (size, name_len) = (field(6)?, field(11)?);
        let name = raw.get(at + HEADER..(at + HEADER + name_len).checked_sub(1)?)?;
        let data = (at + HEADER + name_len).next_multiple_of(4);
        let contents = raw.get(data..data + size)?;
        at = (data + size).next_multiple_of(4);
        Some((name, contents))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_has_aligned_records() {
        let more = [
            File { path: "usr/lib/x/a.so".into(), mode: 0o644, content: Content::Bytes(b"abc".to_vec()) },
            File { path: "bin/a".into(), mode: 0o777, content: Content::Link("../usr/lib/x/a.so".into()) },
        ];
        let raw = archive(b"ELF!!", "#!/bin/sh\n", &more);
        let mut at = 0;
        for (name, contents) in files(&raw) {
            assert_eq!(&raw[at..at + 6], b"070701");
            at = (at + HEADER + name.len() + 1).next_multiple_of(4) + contents.len().next_multiple_of(4);
        }
        assert_eq!(at, raw.len());
        let names: Vec<&[u8]> = files(&raw).map(|(name, _)| name).collect();
        assert!(names.contains(&&b"init"[..]) && names.contains(&&b"dev/console"[..]));
        let at = |name: &str| names.iter().position(|n| *n == name.as_bytes()).unwrap();
        assert!(at("usr") < at("usr/lib") && at("usr/lib/x") < at("usr/lib/x/a.so"));
        assert_eq!(names.iter().filter(|n| **n == b"bin").count(), 1);
        assert_eq!(names.last(), Some(&&b"TRAILER!!!"[..]));
    }

    #[test]
    fn busybox_can_be_taken_out_again() {
        let image = build(b"ELF!!", "#!/bin/sh\n", &[]).unwrap();
        assert_eq!(busybox_of(&image).unwrap(), b"ELF!!");
        assert!(busybox_of(b"no gzip").is_err());
        let mut gz = GzEncoder::new(Vec::new(), Compression::default());
        gz.write_all(&archive(b"ELF!!", "", &[])[..HEADER]).unwrap();
        assert!(busybox_of(&gz.finish().unwrap()).is_err());
    }
}

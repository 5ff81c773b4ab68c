//! An initramfs (`newc` cpio, gzip) of BusyBox and one script.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The script that the kernel starts: mounts what tools expect, then gives a shell on the console.
pub const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /tmp /run /sbin /usr/bin /usr/sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
/bin/busybox --install -s /bin
hostname lyrebird
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=${TERM:-vt100} PS1='lyrebird:\w# '
cd /root
echo
echo "Lyrebird: BusyBox shell. 'poweroff -f' ends the machine."
while true; do setsid cttyhack sh; done
"#;

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

/// The gzip-compressed image, with `init` as the first program.
pub fn build(busybox: &[u8], init: &str) -> Result<Vec<u8>> {
    let mut c = Cpio::default();
    for dir in ["bin", "dev", "etc", "proc", "sys", "root"] {
        c.entry(dir, 0o040755, (0, 0), &[]);
    }
    // The kernel opens /dev/console for init before anything is mounted.
    c.entry("dev/console", 0o020600, (5, 1), &[]);
    c.entry("dev/null", 0o020666, (1, 3), &[]);
    c.entry("bin/busybox", 0o100755, (0, 0), busybox);
    c.entry("bin/sh", 0o120777, (0, 0), b"busybox");
    c.entry("etc/passwd", 0o100644, (0, 0), b"root::0:0:root:/root:/bin/sh\n");
    c.entry("etc/group", 0o100644, (0, 0), b"root:x:0:\n");
    c.entry("init", 0o100755, (0, 0), init.as_bytes());
    c.entry("TRAILER!!!", 0, (0, 0), &[]);
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(&c.out).context("compress the initramfs")?;
    gz.finish().context("compress the initramfs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn image_has_aligned_records() {
        let gz = build(b"ELF!!", "#!/bin/sh\n").unwrap();
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(&gz[..]).read_to_end(&mut raw).unwrap();
        let (mut at, mut names) = (0, Vec::new());
        while at + 110 <= raw.len() {
            assert_eq!(&raw[at..at + 6], b"070701");
            let field = |i: usize| {
                let s = std::str::from_utf8(&raw[at + 6 + 8 * i..at + 14 + 8 * i]).unwrap();
                u32::from_str_radix(s, 16).unwrap() as usize
            };
            let (size, name_len) = (field(6), field(11));
            let name = String::from_utf8_lossy(&raw[at + 110..at + 110 + name_len - 1]).into_owned();
            let data = (at + 110 + name_len).next_multiple_of(4);
            at = (data + size).next_multiple_of(4);
            let last = name == "TRAILER!!!";
            names.push(name);
            if last {
                break;
            }
        }
        assert_eq!(at, raw.len());
        assert!(names.contains(&"init".to_string()) && names.contains(&"dev/console".to_string()));
    }
}

//! What the guest boots, and the same files for the bare host.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::line::{BEGIN, END};
use super::suite::{Kind, SUITE, Workload};
use crate::guests::debian::{self, Source};
use crate::guests::initramfs::{self, Content, File};
use crate::guests::{Guest, deb};

/// The benchmark of `test-roms/bench` for a Debian architecture.
pub fn program(arch: &str) -> Option<&'static [u8]> {
    match arch {
        "amd64" => Some(include_bytes!("../../../../test-roms/prebuilt/bench-amd64.elf")),
        "arm64" => Some(include_bytes!("../../../../test-roms/prebuilt/bench-arm64.elf")),
        _ => None,
    }
}

/// Where the benchmark is below the root.
const PROGRAM: &str = "bin/lyrebench";
const BUSYBOX: &str = "bin/busybox";

/// What came from Debian packages.
#[derive(Debug, Default)]
pub struct Packages {
    /// Their files.
    pub files: Vec<File>,
    /// Names and versions.
    pub versions: Vec<String>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
}

/// Fetches what the workloads need. What cannot be had is told, and the rest goes on.
pub fn packages(guest: &Guest, source: &Source, workloads: &[&Workload]) -> Packages {
    let mut all = Packages::default();
    let mut names: Vec<&str> = Vec::new();
    for w in workloads {
        for package in w.kind.packages() {
            if !names.contains(package) {
                names.push(package);
            }
        }
    }
    if names.is_empty() {
        return all;
    }
    let fetched = debian::packages(guest, source, &names).and_then(|packages| {
        for (package, path) in packages {
            all.files.extend(deb::unpack(&path, |p| place(p).is_some())?.into_iter().filter_map(placed));
            all.versions.push(format!("{} {}", package.name, package.version));
        }
        Ok(())
    });
    if let Err(e) = fetched {
        all.files.clear();
        all.missing.push(format!("programs of Debian packages are left out: {e:#}"));
    }
    all
}

/// Where a package's file goes: programs and the libraries they need side by side, whatever the suite's tree is.
fn place(path: &str) -> Option<String> {
    // The 7-Zip of Debian 12 is one program of another name.
    const PROGRAMS: [(&str, &str); 3] =
        [("usr/bin/xz", "xz"), ("usr/lib/7zip/7zr", "7zr"), ("usr/bin/7zz", "7zr")];
    const LIBRARIES: [&str; 7] =
        ["libc.so", "libm.so", "libdl.so", "libpthread.so", "libstdc++.so", "libgcc_s.so", "liblzma.so"];
    let name = path.rsplit('/').next()?;
    let library = (path.starts_with("lib") || path.starts_with("usr/lib")) && !path.contains("/gconv/");
    if let Some((_, program)) = PROGRAMS.iter().find(|(from, _)| *from == path) {
        return Some(format!("opt/{program}"));
    }
    if library && LIBRARIES.iter().any(|l| name.starts_with(l)) {
        return Some(format!("opt/{name}"));
    }
    (library && name.starts_with("ld-linux")).then(|| String::from("opt/ld.so"))
}

/// The same for a whole file. Links to other directories stand for what is there anyway.
fn placed(file: File) -> Option<File> {
    let path = place(&file.path)?;
    match &file.content {
        Content::Link(to) if to.contains('/') => None,
        _ => Some(File { path, ..file }),
    }
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Program and arguments of a workload; `root` is where the image's files are.
fn words(workload: &Workload, seconds: &str, root: &str) -> Vec<String> {
    let below = |words: &[&str]| words.iter().map(|w| w.replace("{root}", root)).collect::<Vec<_>>();
    let mut words = vec![format!("{root}/{PROGRAM}")];
    match workload.kind {
        Kind::Script { command, .. } => return below(command),
        Kind::Program { count, command, .. } => {
            let unit = workload.unit.trim_end_matches("/s");
            words.extend(["--time", workload.name, unit, &count.to_string()].map(String::from));
            words.extend(below(command));
        }
        Kind::Kernel | Kind::Boot => words.extend(["--seconds", seconds, workload.name].map(String::from)),
    }
    words
}

/// The script that the kernel starts: runs what `bench=` on its command line names, then powers off.
fn init() -> String {
    let mut text = format!(
        "#!/bin/busybox sh\n\
         /bin/busybox mount -t proc proc /proc\n\
         /bin/busybox mount -t sysfs sysfs /sys\n\
         /bin/busybox mount -t devtmpfs dev /dev 2>/dev/null\n\
         /bin/busybox mkdir -p /tmp\n\
         echo 3 >/proc/sys/kernel/printk\n\
         echo {BEGIN}\n\
         IFS=,\n\
         for name in $bench; do\n\
         case $name in\n"
    );
    // Writing to a string does not fail.
    for w in SUITE.iter().filter(|w| !matches!(w.kind, Kind::Kernel | Kind::Boot)) {
        let words: Vec<String> = words(w, "", "").iter().map(|a| quoted(a)).collect();
        let _ = writeln!(text, "{}) {} ;;", w.name, words.join(" "));
    }
    let _ = write!(
        text,
        "*) /{PROGRAM} --seconds ${{seconds:-1}} $name ;;\nesac\ndone\necho {END}\n/{BUSYBOX} poweroff -f\n"
    );
    text
}

/// Seconds as the program reads them.
pub fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// A directory of our own in the temporary one.
fn fresh_directory() -> Result<PathBuf> {
    let mut result = Err(anyhow!("no name is free"));
    for n in 0..100 {
        let dir = std::env::temp_dir().join(format!("lyrebird-bench-{}-{n}", std::process::id()));
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => {
                result = Err(e.into());
                break;
            }
        }
    }
    result.with_context(|| format!("create a directory in {}", std::env::temp_dir().display()))
}

/// The files on disk; removed when dropped.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    /// Kernel image.
    pub kernel: PathBuf,
    /// Initramfs with what needs no packages, and so boots sooner.
    small: PathBuf,
    /// Initramfs with everything.
    large: PathBuf,
}

impl Files {
    /// Writes them: kernel and initramfs for emulators, and the programs for the bare host.
    pub fn write(kernel: &[u8], busybox: &[u8], program: &[u8], more: &[File]) -> Result<Files> {
        let dir = fresh_directory()?;
        let files = Files {
            kernel: dir.join("vmlinuz"),
            small: dir.join("small.gz"),
            large: dir.join("large.gz"),
            dir,
        };
        let executable = |path: &str, bytes: &[u8]| {
            let content = Content::Bytes(bytes.to_vec());
            File { path: String::from(path), mode: 0o755, content }
        };
        let mut all = vec![executable(PROGRAM, program)];
        let write = |path: &Path, bytes: &[u8]| {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir).with_context(|| format!("create directory {}", dir.display()))?;
            }
            fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
        };
        write(&files.kernel, kernel)?;
        write(&files.small, &initramfs::build(busybox, &init(), &all)?)?;
        all.extend(more.iter().cloned());
        write(&files.large, &initramfs::build(busybox, &init(), &all)?)?;
        all.push(executable(BUSYBOX, busybox));
        for file in &all {
            file.write_below(&files.root())?;
        }
        Ok(files)
    }

    /// The directory in which the image's files are for the bare host.
    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The initramfs in which these workloads are.
    pub fn initrd(&self, workloads: &[&Workload]) -> &Path {
        if workloads.iter().any(|w| !w.kind.packages().is_empty()) { &self.large } else { &self.small }
    }

    /// A workload on the bare host.
    pub fn native(&self, workload: &Workload, time: Duration) -> Command {
        let words = words(workload, &seconds(time), &self.root().to_string_lossy());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left in the temporary directory hurts nobody.
        drop(fs::remove_dir_all(&self.dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::suite::named;

    #[test]
    fn words_reach_the_shell_whole() {
        assert_eq!(quoted("it's"), "'it'\\''s'");
        let text = init();
        assert!(
            text.contains(
                "shell) '/bin/lyrebench' '--time' 'shell' 'iterations' '60000' '/bin/busybox' 'sh'"
            ),
            "{text}"
        );
        assert!(text.ends_with("poweroff -f\n"), "{text}");
    }

    #[test]
    fn the_bare_host_has_its_own_root() {
        let spawn = words(named("spawn").unwrap(), "1", "/tmp/x");
        assert_eq!((spawn[0].as_str(), spawn[5].as_str()), ("/tmp/x/bin/lyrebench", "/tmp/x/bin/busybox"));
        assert!(spawn[8].contains("/tmp/x/bin/busybox true"), "{spawn:?}");
        let core = words(named("core").unwrap(), "0.50", "/x");
        assert_eq!(core, ["/x/bin/lyrebench", "--seconds", "0.50", "core"]);
        assert_eq!(words(named("7zip").unwrap(), "1", "/x")[0], "/x/bin/busybox");
    }

    #[test]
    fn files_are_there_and_go_away() {
        let files = Files::write(b"kernel", b"busybox", b"program", &[]).unwrap();
        assert_eq!(fs::read(&files.kernel).unwrap(), b"kernel");
        assert_eq!(fs::read(files.root().join(BUSYBOX)).unwrap(), b"busybox");
        let dir = files.dir.clone();
        drop(files);
        assert!(!dir.exists());
    }

    #[test]
    fn files_of_packages_lie_side_by_side() {
        for (path, to) in [
            ("usr/lib/x86_64-linux-gnu/liblzma.so.5.8.1", Some("opt/liblzma.so.5.8.1")),
            ("lib/aarch64-linux-gnu/libc.so.6", Some("opt/libc.so.6")),
            ("lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", Some("opt/ld.so")),
            ("usr/lib/7zip/7zr", Some("opt/7zr")),
            ("usr/bin/7zz", Some("opt/7zr")),
            ("usr/lib/7zip/7z.so", None),
            ("usr/share/man/man1/xz.1.gz", None),
            ("usr/lib/x86_64-linux-gnu/gconv/libc.so", None),
        ] {
            assert_eq!(place(path).as_deref(), to, "{path}");
        }
        let link = |to: &str| {
            let path = String::from("lib64/ld-linux-x86-64.so.2");
            placed(File { path, mode: 0o777, content: Content::Link(to.into()) })
        };
        assert_eq!(link("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), None);
        assert!(link("ld-2.36.so").is_some());
    }
}

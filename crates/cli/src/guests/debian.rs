//! Builds a guest from a Debian archive, or from local files.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::archive::{Index, Package, release_entry};
use super::cache::{self, Files, write_whole};
use super::fetch::{Expect, fetch, is_whole};
use super::{Guest, deb, initramfs};
use crate::message::note;

/// Where packages come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Archive root, without a slash at the end.
    pub mirror: String,
    /// Suite (`stable`, `bookworm`, …).
    pub suite: String,
    /// Directory for guests instead of the user's cache directory.
    pub cache: Option<PathBuf>,
    /// A kernel package or image on this machine instead of the archive's.
    pub kernel: Option<PathBuf>,
    /// A `busybox-static` package or binary on this machine instead of the archive's.
    pub busybox: Option<PathBuf>,
}

impl Source {
    fn index(&self, root: &Path, arch: &str) -> Result<Index> {
        let dir = root.join("index").join(&self.suite);
        let release_path = dir.join("InRelease");
        let base = format!("{}/dists/{}", self.mirror, self.suite);
        fetch(&format!("{base}/InRelease"), &release_path, "index", &Expect { size: None, sha256: None })?;
        let release = std::fs::read_to_string(&release_path)
            .with_context(|| format!("read {}", release_path.display()))?;
        let name = format!("main/binary-{arch}/Packages.xz");
        let (sum, size) = release_entry(&release, &name).with_context(|| {
            format!("{base}/InRelease lists no {name}: wrong mirror, suite or architecture")
        })?;
        let path = dir.join(format!("Packages-{arch}.xz"));
        let expect = Expect { size: Some(size), sha256: Some(sum) };
        if !is_whole(&path, &expect) {
            fetch(&format!("{base}/{name}"), &path, &format!("{arch} package list"), &expect)?;
        }
        let file = std::fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let mut text = String::new();
        liblzma::read::XzDecoder::new_multi_decoder(file)
            .read_to_string(&mut text)
            .with_context(|| format!("unpack {}", path.display()))?;
        Index::parse(&text)
    }

    fn package(&self, root: &Path, p: &Package) -> Result<PathBuf> {
        let name = p.filename.rsplit('/').next().unwrap_or(&p.name);
        let path = root.join("packages").join(name);
        let expect = Expect { size: Some(p.size), sha256: Some(p.sha256.clone()) };
        if !is_whole(&path, &expect) {
            fetch(&format!("{}/{}", self.mirror, p.filename), &path, &p.name, &expect)?;
        }
        Ok(path)
    }
}

fn from_file(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
    /// More than any kernel or program; a device may have no end.
    const LIMIT: u64 = 1 << 30;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|f| f.take(LIMIT + 1).read_to_end(&mut bytes))
        .with_context(|| format!("read {}", path.display()))?;
    if bytes.len() as u64 > LIMIT {
        bail!("{}: more than 1 GiB; give a package or the file from it", path.display());
    }
    if bytes.starts_with(b"!<arch>\n") { Ok(deb::extract(path, wanted)?.1) } else { Ok(bytes) }
}

fn is_kernel(path: &str) -> bool {
    path.starts_with("boot/vmlinuz-")
}

fn is_busybox(path: &str) -> bool {
    path == "bin/busybox" || path == "usr/bin/busybox"
}

/// A guest's files in memory.
#[derive(Debug)]
pub struct Ready {
    /// Kernel image.
    pub kernel: Vec<u8>,
    /// Initramfs.
    pub initrd: Vec<u8>,
    /// Where they come from, a line each.
    pub versions: String,
}

fn local(what: &str, file: &Path) -> String {
    format!("{what} from {}", file.display())
}

fn initrd_of(guest: &Guest, busybox: &[u8], whose: &str) -> Result<Vec<u8>> {
    let arch = guest.arch;
    if !busybox.starts_with(b"\x7fELF") {
        bail!(
            "{whose} is not an ELF program; give the package busybox-static for {arch} or the program in it"
        );
    }
    // e_machine.
    if busybox.get(18..20) != Some(&[guest.elf_machine, 0]) {
        bail!("{whose} is a program for another processor; give the package busybox-static for {arch}");
    }
    initramfs::build(busybox, initramfs::INIT, &[])
}

impl Ready {
    fn load(files: &Files) -> Result<Ready> {
        let read = |p: &Path| std::fs::read(p).with_context(|| format!("read {}", p.display()));
        Ok(Ready {
            kernel: read(&files.kernel)?,
            initrd: read(&files.initrd)?,
            versions: String::from_utf8_lossy(&read(&files.versions)?).into_owned(),
        })
    }
}

/// Makes the initramfs of a guest in the cache anew if an older Lyrebird made it.
pub fn refresh(guest: &Guest, files: &Files) -> Result<()> {
    if !files.complete() {
        return Ok(());
    }
    let kept = Ready::load(files)?;
    let recipe = initramfs::recipe();
    if kept.versions.lines().any(|l| l == recipe) {
        return Ok(());
    }
    let busybox = initramfs::busybox_of(&kept.initrd)
        .with_context(|| format!("{}: fetch the guest anew", files.initrd.display()))?;
    write_whole(&files.initrd, &initrd_of(guest, &busybox, "its busybox")?)?;
    let packages = kept.versions.lines().filter(|l| !l.starts_with(initramfs::RECIPE));
    let versions: String = packages.chain([recipe.as_str()]).map(|l| format!("{l}\n")).collect();
    write_whole(&files.versions, versions.as_bytes())
}

/// The files that `source` gives in place of the archive's, if it does.
fn local_kernel(source: &Source) -> Result<Option<Vec<u8>>> {
    source.kernel.as_deref().map(|f| from_file(f, is_kernel)).transpose()
}

fn local_initrd(guest: &Guest, source: &Source) -> Result<Option<Vec<u8>>> {
    let Some(file) = source.busybox.as_deref() else { return Ok(None) };
    Ok(Some(initrd_of(guest, &from_file(file, is_busybox)?, &file.display().to_string())?))
}

/// A guest to boot: local files where given, the rest from the cache, fetched first if it is not there.
pub fn ready(guest: &Guest, source: &Source) -> Result<Ready> {
    let (kernel, initrd) = (local_kernel(source)?, local_initrd(guest, source)?);
    let mut versions = Vec::new();
    versions.extend(source.kernel.as_deref().map(|f| local("kernel", f)));
    versions.extend(source.busybox.as_deref().map(|f| local("busybox", f)));
    let (kernel, initrd) = match (kernel, initrd) {
        (Some(kernel), Some(initrd)) => (kernel, initrd),
        (kernel, initrd) => {
            let root = cache::root(source.cache.as_deref())?;
            let files = cache::files(&root, guest.name, &source.suite);
            if !files.complete() {
                fetch_guest(guest, &Source { kernel: None, busybox: None, ..source.clone() })?;
            }
            refresh(guest, &files)?;
            let kept = Ready::load(&files)?;
            versions.extend(kept.versions.lines().map(String::from));
            (kernel.unwrap_or(kept.kernel), initrd.unwrap_or(kept.initrd))
        }
    };
    Ok(Ready { kernel, initrd, versions: versions.join("\n") })
}

/// Packages of a guest's suite, fetched into the cache where they are not there.
pub fn packages(guest: &Guest, source: &Source, names: &[&str]) -> Result<Vec<(Package, PathBuf)>> {
    let root = cache::root(source.cache.as_deref())?;
    let index = source.index(&root, guest.arch)?;
    names
        .iter()
        .map(|name| {
            let found = index.find(name).with_context(|| format!("the archive has no package {name}"))?;
            Ok((found.clone(), source.package(&root, found)?))
        })
        .collect()
}

/// Fetches a guest into the cache, or brings it up to date there; local files take the place of the archive's.
pub fn fetch_guest(guest: &Guest, source: &Source) -> Result<Files> {
    let root = cache::root(source.cache.as_deref())?;
    let out = cache::files(&root, guest.name, &source.suite);
    // What cannot be mended is fetched.
    drop(refresh(guest, &out));
    std::fs::create_dir_all(&out.dir).with_context(|| format!("create directory {}", out.dir.display()))?;
    let (kernel, initrd) = (local_kernel(source)?, local_initrd(guest, source)?);
    let index = match (&kernel, &initrd) {
        (Some(_), Some(_)) => Index::default(),
        _ => source.index(&root, guest.arch)?,
    };
    let wanted =
        |local: bool, find: &dyn Fn() -> Result<Package>| if local { Ok(None) } else { find().map(Some) };
    let of_suite = || format!("suite {} for {}", source.suite, guest.arch);
    let kernel_package =
        wanted(kernel.is_some(), &|| index.kernel_of(guest.kernel).cloned()).with_context(of_suite)?;
    let busybox_package = wanted(initrd.is_some(), &|| {
        index.find("busybox-static").cloned().context("the archive has no package busybox-static")
    })
    .with_context(of_suite)?;

    let name = |p: &Option<Package>, what: &str, file: &Option<PathBuf>| match (p, file) {
        (Some(p), _) => format!("{} {}\n", p.name, p.version),
        (None, file) => local(what, file.as_deref().unwrap_or(Path::new("a file"))) + "\n",
    };
    let versions = name(&kernel_package, "kernel", &source.kernel)
        + &name(&busybox_package, "busybox", &source.busybox)
        + &initramfs::recipe()
        + "\n";
    let fetched_only = kernel_package.is_some() && busybox_package.is_some();
    if fetched_only && out.complete() && std::fs::read_to_string(&out.versions).is_ok_and(|v| v == versions) {
        note(&format!("{} is up to date", guest.name));
        return Ok(out);
    }

    let mut packages = Vec::new();
    let mut unpack = |p: &Option<Package>, wanted: fn(&str) -> bool| {
        let p = p.as_ref().context("no package")?;
        let path = source.package(&root, p)?;
        let bytes = deb::extract(&path, wanted)?.1;
        packages.push(path);
        anyhow::Ok(bytes)
    };
    let kernel = match kernel {
        Some(bytes) => bytes,
        None => unpack(&kernel_package, is_kernel)?,
    };
    let initrd = match initrd {
        Some(bytes) => bytes,
        None => initrd_of(guest, &unpack(&busybox_package, is_busybox)?, "busybox of the archive")?,
    };
    // The list of versions says that the guest is complete: away first, written last.
    drop(std::fs::remove_file(&out.versions));
    write_whole(&out.kernel, &kernel)?;
    write_whole(&out.initrd, &initrd)?;
    write_whole(&out.versions, versions.as_bytes())?;
    for path in packages {
        // Its contents are kept; a leftover is only waste.
        drop(std::fs::remove_file(path));
    }
    Ok(out)
}

//! `cargo xtask roms`: builds the bare-metal test ROMs, and the programs for Linux guests, compares them with the
//! committed ones, runs them under QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

const GCC: &str = "aarch64-linux-gnu-gcc";
const LD: &str = "aarch64-linux-gnu-ld";
const QEMU: &str = "qemu-system-aarch64";
const X86_GCC: &str = "x86_64-linux-gnu-gcc";
const X86_LD: &str = "x86_64-linux-gnu-ld";
const X86_OBJCOPY: &str = "x86_64-linux-gnu-objcopy";
const X86_QEMU: &str = "qemu-system-x86_64";
/// For programs, by the bits of their code.
const X86_USER: [(u32, &str); 2] = [(32, "qemu-i386-static"), (64, "qemu-x86_64-static")];
/// The directory of what all ROMs share.
const LIB: &str = "lib";
/// The directory of what needs input and has no fixed output.
const INTERACTIVE: &str = "monitor";
/// What the real-mode monitor has from elsewhere: it is entered on its own.
const X86_MONITOR: &[&str] = &["lib/lib.c", "../src/monitor/line.c"];

/// The directories of x86 sources, and the widths of code each is built for.
const X86: &[(&str, &[u32])] = &[
    ("apic", &[32, 64]),
    ("exceptions", &[32, 64]),
    ("fpu", &[32, 64]),
    ("hostile", &[64]),
    ("modes", &[32]),
    ("monitor", &[16]),
    ("paging", &[32, 64]),
    ("smc", &[32, 64]),
    ("strings", &[32, 64]),
    ("tasks", &[32]),
];

/// The directories of programs for x86 Linux guests, each built for both widths.
const LINUX: &[&str] = &["simd"];

/// The directory of the benchmark, a program for Linux that is built for each architecture.
const BENCH: &str = "bench";

/// No paths, no build identity, no libraries: the same sources and tools make the same bytes.
const FLAGS: &[&str] = &[
    "-std=gnu11",
    "-O2",
    "-ffreestanding",
    "-fno-pic",
    "-fno-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-ffunction-sections",
    "-fdata-sections",
    // The loops of memset and memcpy are not calls of themselves.
    "-fno-tree-loop-distribute-patterns",
    "-ffile-prefix-map=.=rom",
    "-frandom-seed=rom",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-z,norelro",
    "-Wl,-z,max-page-size=4096",
];
/// Of what is run and not looked into.
const IMAGE_FLAGS: &[&str] = &["-s", "-Wl,--gc-sections"];
const BARE_FLAGS: &[&str] = &["-mgeneral-regs-only"];
const SCRIPT: &str = "-Wl,-T,lib/rom.ld";
const ARM_FLAGS: &[&str] = &["-march=armv8-a", "-mstrict-align", "-mcmodel=small", "-Imonitor", SCRIPT];
const X86_FLAGS: &[&str] = &["-fcf-protection=none", "-Ilib", "-Wl,--no-warn-rwx-segments"];
const LINUX_FLAGS: &[&str] = &["-fcf-protection=none"];
/// For any machine of the architecture; products and sums are rounded one by one, so that all agree to the bit.
const BENCH_FLAGS: &[&str] = &["-ffp-contract=off"];
/// Of the code whose host instructions are counted (`crates/machine/src/emitted.rs`): named functions.
const CORPUS_FLAGS: &[&str] = &[
    "-fcf-protection=none",
    "-falign-functions=64",
    "-Wl,-Ttext=0x10000",
    "-Wl,--defsym=out=0x1000000",
    "-Wl,-e,0",
    "-Wl,--discard-all",
];
const X86_16_FLAGS: &[&str] =
    &["-m16", "-march=i386", "-mpreferred-stack-boundary=2", "-Imonitor", "-Wl,-T,monitor/rom.ld"];
const X86_32_FLAGS: &[&str] = &["-m32", "-march=i686", "-mpreferred-stack-boundary=2", SCRIPT];
const X86_64_FLAGS: &[&str] = &["-m64", "-mno-red-zone", "-mcmodel=small", SCRIPT];

const USAGE: &str = "usage: cargo xtask roms [--check | --qemu] [NAME]...
  (nothing)  build into test-roms/prebuilt
  --check    build elsewhere and compare with test-roms/prebuilt byte by byte
  --qemu     run test-roms/prebuilt under qemu-system-aarch64 and -x86_64, programs for Linux under QEMU's user mode,
             compare with test-roms/expected";

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Build,
    Check,
    Qemu,
}

/// What a ROM is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Arm,
    /// x86, the `pc` board: bits of its code.
    X86(u32),
    /// A user program of x86 Linux: bits of its code.
    Linux(u32),
    /// A user program of Linux for any architecture, by Debian's name of it.
    Bench(&'static str),
    /// Code that is only compiled, with its sources.
    Corpus(&'static str, &'static [&'static str]),
}

/// Guest code to count host instructions of, by guest.
const CORPUS: &[(&str, Target)] = &[
    ("corpus-a64", Target::Corpus(GCC, &["corpus/a64.S", "corpus/real.c"])),
    ("corpus-x86-64", Target::Corpus(X86_GCC, &["corpus/x86-64.S", "corpus/real.c"])),
];

/// A ROM.
#[derive(Clone)]
struct Rom {
    /// Its image's name, without extension.
    name: String,
    /// The directory of its sources.
    dir: String,
    target: Target,
}

impl Rom {
    /// The directory below `test-roms` that its sources and their library are in.
    fn src(&self) -> &'static str {
        match self.target {
            Target::Arm => "src",
            Target::X86(_) => "x86",
            Target::Linux(_) => "linux",
            Target::Bench(_) | Target::Corpus(..) => ".",
        }
    }
}

/// Runs the command with the arguments after `roms`.
pub fn main(args: &[String]) -> Result<()> {
    let mut mode = Mode::Build;
    let mut names = Vec::new();
    for arg in args {
        match arg.as_str() {
            "--check" => mode = Mode::Check,
            "--qemu" => mode = Mode::Qemu,
            a if a.starts_with('-') => bail!("roms: unknown option {a}\n{USAGE}"),
            a => names.push(String::from(a)),
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("test-roms");
    let all = all(&root.join("src"))?;
    if let Some(n) = names.iter().find(|n| all.iter().all(|r| r.name != **n)) {
        let all: Vec<&str> = all.iter().map(|r| r.name.as_str()).collect();
        bail!("roms: no ROM {n}; there are {}", all.join(", "));
    }
    let wanted = |r: &Rom| names.is_empty() || names.contains(&r.name);
    let roms: Vec<Rom> = all.into_iter().filter(wanted).collect();
    match mode {
        Mode::Build => {
            let prebuilt = root.join("prebuilt");
            for rom in &roms {
                let elf = prebuilt.join(format!("{}.elf", rom.name));
                build(&root, rom, &elf)?;
                println!("{}: {} bytes", rom.name, fs::metadata(&elf)?.len());
            }
            fs::write(prebuilt.join("TOOLCHAIN"), toolchain()?)?;
            Ok(())
        }
        Mode::Check => check(&root, &roms),
        Mode::Qemu => qemu(&root, &roms),
    }
}

/// The ROMs: the directories beside the library, and those for x86.
fn all(src: &Path) -> Result<Vec<Rom>> {
    let mut roms = Vec::new();
    for entry in fs::read_dir(src).with_context(|| format!("reading {}", src.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && name != LIB {
            roms.push(Rom { dir: name.clone(), name, target: Target::Arm });
        }
    }
    roms.sort_by(|a, b| a.name.cmp(&b.name));
    let mut more = |kind: &str, dir: &str, bits: u32, target| {
        let width = if bits == 64 { "-64" } else { "" };
        roms.push(Rom { name: format!("{kind}-{dir}{width}"), dir: String::from(dir), target });
    };
    for (dir, widths) in X86 {
        for &bits in *widths {
            more("x86", dir, bits, Target::X86(bits));
        }
    }
    for dir in LINUX {
        for bits in [32, 64] {
            more("linux", dir, bits, Target::Linux(bits));
        }
    }
    for arch in ["amd64", "arm64"] {
        roms.push(Rom {
            name: format!("{BENCH}-{arch}"),
            dir: String::from(BENCH),
            target: Target::Bench(arch),
        });
    }
    for &(name, target) in CORPUS {
        roms.push(Rom { name: String::from(name), dir: String::from("corpus"), target });
    }
    Ok(roms)
}

/// C and assembly files of a directory, as paths relative to `src`, in a fixed order.
fn sources(src: &Path, dir: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(src.join(dir))? {
        let name = PathBuf::from(entry?.file_name());
        if name.extension().is_some_and(|e| e == "c" || e == "S") {
            files.push(Path::new(dir).join(name));
        }
    }
    files.sort();
    Ok(files)
}

fn build(root: &Path, rom: &Rom, elf: &Path) -> Result<()> {
    let src = root.join(rom.src());
    let (gcc, package) = match rom.target {
        Target::Arm | Target::Bench("arm64") => (GCC, "gcc-aarch64-linux-gnu"),
        Target::X86(_) | Target::Linux(_) | Target::Bench(_) => {
            (X86_GCC, "gcc, elsewhere gcc-x86-64-linux-gnu")
        }
        Target::Corpus(gcc, _) => (gcc, "gcc-aarch64-linux-gnu, gcc-x86-64-linux-gnu"),
    };
    let more: [&[&str]; 3] = match rom.target {
        Target::Arm => [BARE_FLAGS, ARM_FLAGS, &[]],
        Target::X86(16) => [BARE_FLAGS, X86_FLAGS, X86_16_FLAGS],
        Target::X86(64) => [BARE_FLAGS, X86_FLAGS, X86_64_FLAGS],
        Target::X86(_) => [BARE_FLAGS, X86_FLAGS, X86_32_FLAGS],
        Target::Linux(64) => [LINUX_FLAGS, &["-m64"], &[]],
        Target::Linux(_) => [LINUX_FLAGS, &["-m32", "-march=i686"], &[]],
        Target::Bench("arm64") => [BENCH_FLAGS, &["-march=armv8-a"], &[]],
        Target::Bench(_) => [BENCH_FLAGS, LINUX_FLAGS, &["-march=x86-64"]],
        Target::Corpus(X86_GCC, _) => [CORPUS_FLAGS, &[], &[]],
        // The same without what is for x86.
        Target::Corpus(..) => [&CORPUS_FLAGS[1..], &[], &[]],
    };
    let lib = match rom.target {
        Target::X86(16) => X86_MONITOR.iter().map(PathBuf::from).collect(),
        _ if src.join(LIB).is_dir() => sources(&src, LIB)?,
        _ => Vec::new(),
    };
    let mut command = Command::new(gcc);
    // Relative names only, so that no path can end up in the image.
    command.current_dir(&src).args(FLAGS).args(more.concat()).arg("-o").arg(elf);
    match rom.target {
        Target::Corpus(_, sources) => command.args(sources),
        _ => command.args(IMAGE_FLAGS).args(lib).args(sources(&src, &rom.dir)?),
    };
    let status = command.status().with_context(|| format!("running {gcc} (Debian package {package})"))?;
    ensure!(status.success(), "roms: {} does not build", rom.name);
    if rom.target == Target::X86(64) {
        // Multiboot is for 32-bit ELF files, whatever is in them.
        let status = Command::new(X86_OBJCOPY).args(["-O", "elf32-i386"]).arg(elf).status();
        let status = status.with_context(|| format!("running {X86_OBJCOPY}"))?;
        ensure!(status.success(), "roms: {} cannot be made a 32-bit file", rom.name);
    }
    Ok(())
}

/// First lines of the tools' version reports.
fn toolchain() -> Result<String> {
    let mut text = String::new();
    for tool in [GCC, LD, X86_GCC, X86_LD] {
        let out = Command::new(tool)
            .arg("--version")
            .output()
            .with_context(|| format!("running {tool} (Debian packages gcc-aarch64-linux-gnu, gcc)"))?;
        text += String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default();
        text.push('\n');
    }
    Ok(text)
}

fn check(root: &Path, roms: &[Rom]) -> Result<()> {
    let recorded =
        fs::read_to_string(root.join("prebuilt/TOOLCHAIN")).context("reading prebuilt/TOOLCHAIN")?;
    let here = toolchain()?;
    if recorded != here {
        print!("roms: the committed images come from other tools.\nrecorded:\n{recorded}here:\n{here}");
    }
    let dir = std::env::temp_dir().join(format!("lyrebird-roms-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = compare(root, roms, &dir);
    // What is left in the temporary directory hurts nobody.
    let _ = fs::remove_dir_all(&dir);
    let different = result?;
    ensure!(
        different.is_empty(),
        "roms: {} differ from test-roms/prebuilt; {}",
        different.join(", "),
        if recorded == here {
            "run `cargo xtask roms` and commit the result"
        } else {
            "the tools do as well (above), so this says nothing about the sources"
        }
    );
    println!("roms: {} images are what their sources give", roms.len());
    Ok(())
}

fn compare(root: &Path, roms: &[Rom], dir: &Path) -> Result<Vec<String>> {
    let mut different = Vec::new();
    for rom in roms {
        let file = format!("{}.elf", rom.name);
        build(root, rom, &dir.join(&file))?;
        let committed = root.join("prebuilt").join(&file);
        let old = fs::read(&committed).with_context(|| format!("reading {}", committed.display()))?;
        if fs::read(dir.join(&file))? != old {
            different.push(rom.name.clone());
        }
    }
    Ok(different)
}

fn qemu(root: &Path, roms: &[Rom]) -> Result<()> {
    let mut wrong = 0;
    for rom in roms.iter().filter(|r| r.dir != INTERACTIVE) {
        let (program, machines) = match rom.target {
            Target::Arm => (QEMU, gics(&rom.name).iter().map(|g| format!("virt,gic-version={g}")).collect()),
            Target::X86(_) => (X86_QEMU, vec![String::from("pc,accel=tcg")]),
            Target::Linux(bits) => {
                let user = X86_USER.iter().find(|(b, _)| *b == bits).map_or("", |(_, program)| program);
                (user, vec![String::from("user mode")])
            }
            // What the benchmark prints is different each time; it checks itself.
            Target::Bench(_) | Target::Corpus(..) => continue,
        };
        let file = root.join("expected").join(format!("{}.txt", rom.name));
        let expected = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        for machine in machines {
            let mut command = Command::new("timeout");
            command.args(["120", program, "-cpu", "max"]);
            if !matches!(rom.target, Target::Linux(_)) {
                command.args(["-M", &machine, "-display", "none", "-serial", "stdio", "-monitor", "none"]);
                command.args(["-no-reboot", "-kernel"]);
            }
            let out = command
                .arg(root.join("prebuilt").join(format!("{}.elf", rom.name)))
                .stdin(Stdio::null())
                .output()
                .with_context(|| {
                    format!("running {program} (Debian packages qemu-system-arm, -x86, qemu-user-static)")
                })?;
            let text = String::from_utf8_lossy(&out.stdout).replace('\r', "");
            let same = match rom.target {
                Target::Linux(_) => text == expected,
                _ => agrees(&text, &expected),
            };
            println!("{}, {machine}: {}", rom.name, if same { "as expected" } else { "DIFFERENT" });
            if !same {
                wrong += 1;
                print!("{text}");
            }
        }
    }
    ensure!(wrong == 0, "roms: {wrong} runs under QEMU differ from test-roms/expected");
    Ok(())
}

/// Whether an output is the expected one, but for what QEMU skips because it does not do it.
fn agrees(got: &str, expected: &str) -> bool {
    let strip = |line: &str| -> String {
        match line.strip_prefix("SKIP ").and_then(|l| l.split_once(": ")) {
            Some((name, _)) => format!("PASS {name}"),
            None => String::from(line),
        }
    };
    // The totals are the last line; without a FAIL line they follow from the others.
    let body = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(strip).collect();
        lines.pop();
        lines
    };
    !got.contains("FAIL ") && got.contains(" 0 failed") && body(got) == body(expected)
}

/// The interrupt controllers a ROM is meant for.
fn gics(name: &str) -> &'static [u8] {
    match name {
        "gicv2" => &[2],
        "gicv3" => &[3],
        _ => &[2, 3],
    }
}

//! `cargo xtask roms`: builds the bare-metal test ROMs, compares them with the committed ones, runs them under QEMU.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

const GCC: &str = "aarch64-linux-gnu-gcc";
const LD: &str = "aarch64-linux-gnu-ld";
const QEMU: &str = "qemu-system-aarch64";
/// The directory of what all ROMs share.
const LIB: &str = "lib";
/// Needs input; its output is not fixed.
const INTERACTIVE: &str = "monitor";

/// No paths, no build identity, no libraries: the same sources and tools make the same bytes.
const FLAGS: &[&str] = &[
    "-std=gnu11",
    "-O2",
    "-march=armv8-a",
    "-mgeneral-regs-only",
    "-mstrict-align",
    "-mcmodel=small",
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
    "-s",
    "-Wl,--build-id=none",
    "-Wl,--gc-sections",
    "-Wl,-z,noexecstack",
    "-Wl,-z,norelro",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-T,lib/rom.ld",
];

const USAGE: &str = "usage: cargo xtask roms [--check | --qemu] [NAME]...
  (nothing)  build into test-roms/prebuilt
  --check    build elsewhere and compare with test-roms/prebuilt byte by byte
  --qemu     run test-roms/prebuilt under qemu-system-aarch64, compare with test-roms/expected";

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Build,
    Check,
    Qemu,
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
    if let Some(n) = names.iter().find(|n| !all.contains(n)) {
        bail!("roms: no ROM {n}; there are {}", all.join(", "));
    }
    let names = if names.is_empty() { all } else { names };
    match mode {
        Mode::Build => {
            let prebuilt = root.join("prebuilt");
            for name in &names {
                let elf = prebuilt.join(format!("{name}.elf"));
                build(&root.join("src"), name, &elf)?;
                println!("{name}: {} bytes", fs::metadata(&elf)?.len());
            }
            fs::write(prebuilt.join("TOOLCHAIN"), toolchain()?)?;
            Ok(())
        }
        Mode::Check => check(&root, &names),
        Mode::Qemu => qemu(&root, &names),
    }
}

/// The ROMs: the directories beside the library.
fn all(src: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(src).with_context(|| format!("reading {}", src.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && name != LIB {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
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

fn build(src: &Path, name: &str, elf: &Path) -> Result<()> {
    let mut command = Command::new(GCC);
    // Relative names only, so that no path can end up in the image.
    command.current_dir(src).args(FLAGS).arg("-o").arg(elf);
    command.args(sources(src, LIB)?).args(sources(src, name)?);
    let status =
        command.status().with_context(|| format!("running {GCC} (Debian package gcc-aarch64-linux-gnu)"))?;
    ensure!(status.success(), "roms: {name} does not build");
    Ok(())
}

/// First lines of the tools' version reports.
fn toolchain() -> Result<String> {
    let mut text = String::new();
    for tool in [GCC, LD] {
        let out = Command::new(tool)
            .arg("--version")
            .output()
            .with_context(|| format!("running {tool} (Debian package gcc-aarch64-linux-gnu)"))?;
        text += String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default();
        text.push('\n');
    }
    Ok(text)
}

fn check(root: &Path, names: &[String]) -> Result<()> {
    let recorded =
        fs::read_to_string(root.join("prebuilt/TOOLCHAIN")).context("reading prebuilt/TOOLCHAIN")?;
    let here = toolchain()?;
    if recorded != here {
        print!("roms: the committed images come from other tools.\nrecorded:\n{recorded}here:\n{here}");
    }
    let dir = std::env::temp_dir().join(format!("lyrebird-roms-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let result = compare(root, names, &dir);
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
    println!("roms: {} images are what their sources give", names.len());
    Ok(())
}

fn compare(root: &Path, names: &[String], dir: &Path) -> Result<Vec<String>> {
    let mut different = Vec::new();
    for name in names {
        let file = format!("{name}.elf");
        build(&root.join("src"), name, &dir.join(&file))?;
        let committed = root.join("prebuilt").join(&file);
        let old = fs::read(&committed).with_context(|| format!("reading {}", committed.display()))?;
        if fs::read(dir.join(&file))? != old {
            different.push(name.clone());
        }
    }
    Ok(different)
}

fn qemu(root: &Path, names: &[String]) -> Result<()> {
    let mut wrong = 0;
    for name in names.iter().filter(|n| *n != INTERACTIVE) {
        let file = root.join("expected").join(format!("{name}.txt"));
        let expected = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        for gic in gics(name) {
            let out = Command::new("timeout")
                .args(["120", QEMU, "-M", &format!("virt,gic-version={gic}"), "-cpu", "max"])
                .args(["-nographic", "-no-reboot", "-kernel"])
                .arg(root.join("prebuilt").join(format!("{name}.elf")))
                .stdin(Stdio::null())
                .output()
                .with_context(|| format!("running {QEMU} (Debian package qemu-system-arm)"))?;
            let text = String::from_utf8_lossy(&out.stdout).replace('\r', "");
            let same = agrees(&text, &expected);
            println!("{name}, GICv{gic}: {}", if same { "as expected" } else { "DIFFERENT" });
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

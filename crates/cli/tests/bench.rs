//! `lyrebird bench` from outside, with contestants that behave and misbehave as told.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{elf, lyrebird};
use tempfile::TempDir;

/// PSCI SYSTEM_OFF: `mov w0, #8; movk w0, #0x8400, lsl #16; hvc #0`.
const OFF: [u32; 3] = [0x5280_0100, 0x72b0_8000, 0xd400_0002];

/// A value of its own for each workload, the right result.
const GOOD: &str = "case $n in core) v=50;; *) v=8;; esac; echo BENCH $n $v x 00000000000000aa";

/// A directory with a guest's files and programs that pose as emulators.
struct Stage {
    dir: TempDir,
}

impl Stage {
    /// With a `qemu-system-aarch64` and a `lyrebird` that run these commands for each workload `$n`.
    fn new(qemu: &str, lyrebird: &str) -> Stage {
        let stage = Stage { dir: TempDir::new().unwrap() };
        fs::write(stage.path("kernel"), elf(&OFF)).unwrap();
        // All of a BusyBox that matters here is whom it is for.
        let mut busybox = vec![0; 64];
        busybox[..4].copy_from_slice(b"\x7fELF");
        busybox[18] = 183;
        fs::write(stage.path("busybox"), busybox).unwrap();
        fs::create_dir(stage.path("bin")).unwrap();
        for (name, each) in [("qemu-system-aarch64", qemu), ("lyrebird", lyrebird)] {
            let script = format!(
                "#!/bin/sh\n\
                 [ \"$1\" = --version ] && {{ echo 'QEMU emulator version 0.1 (posing)'; exit 0; }}\n\
                 for a; do case $a in *bench=*) names=${{a#*bench=}}; names=${{names%% *}};; esac; done\n\
                 echo 'Linux version 0'\necho BENCH-BEGIN\nIFS=,\n\
                 for n in $names; do unset IFS\n{each}\ndone\necho BENCH-END\n"
            );
            let path = stage.path(&format!("bin/{name}"));
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command, which takes both that pose, and writes `out.md`, `out.json` and `out.html`.
    fn command(&self, args: &[&str]) -> Command {
        let mut c = lyrebird();
        c.args(["bench", "--guest", "debian-arm64", "--against", "qemu", "--tier", "auto"]);
        for option in ["kernel", "busybox"] {
            c.arg(format!("--{option}")).arg(self.path(option));
        }
        c.arg("--program").arg(self.path("bin/lyrebird"));
        for (option, name) in [("--markdown", "out.md"), ("--json", "out.json"), ("--html", "out.html")] {
            c.arg(option).arg(self.path(name));
        }
        c.args(args).env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        c
    }

    /// Exit code, standard output, standard error.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let out = self.command(args).output().unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
    }
}

#[test]
fn a_table_is_made_of_all_runs() {
    let own = GOOD.replace("50", "125");
    let stage = Stage::new(GOOD, &own);
    let (code, out, err) = stage.run(&["--only", "core,shell", "--runs", "3"]);
    assert_eq!(code, 0, "{err}");
    let row = out.lines().find(|l| l.starts_with("core ")).unwrap_or_else(|| panic!("{out}"));
    assert!(row.contains("50.0") && row.contains("125") && row.contains("2.50×"), "{out}");
    assert!(out.contains("QEMU emulator version 0.1 (posing)"), "{out}");
    assert_eq!(stage.read("out.json").matches("[50, 50, 50]").count(), 1, "{}", stage.read("out.json"));
    assert!(stage.read("out.md").contains("| shell | iterations/s | 8.00 ±0% | 8.00 ±0% | **1.00×** |"));
    assert!(stage.read("out.html").contains("<svg"));
    assert!(err.contains("run 3 of 3") && err.contains("out.html"), "{err}");
}

#[test]
fn a_wrong_result_is_no_time() {
    let wrong = format!("{GOOD} $([ $n = core ] && echo wrong)");
    let stage = Stage::new(GOOD, &wrong);
    let (code, out, err) = stage.run(&["--only", "core,list", "--runs", "1"]);
    assert_eq!(code, 1, "{out}");
    assert!(err.contains("Lyrebird auto, core: wrong result 00000000000000aa"), "{err}");
    let row = |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap().to_string();
    assert!(row("core").contains("failed") && !row("list").contains("failed"), "{out}");
}

#[test]
fn results_that_differ_are_told() {
    let other = GOOD.replace("aa", "ab");
    let stage = Stage::new(GOOD, &other);
    let (code, _, err) = stage.run(&["--only", "shell", "--runs", "1"]);
    assert_eq!(code, 1);
    assert!(err.contains("shell: result 00000000000000ab differs from 00000000000000aa"), "{err}");
}

#[test]
fn who_hangs_or_dies_loses_only_that() {
    let bad = format!("case $n in list) exec sleep 600;; crc) exit 7;; esac; {GOOD}");
    let stage = Stage::new(&bad, GOOD);
    let start = Instant::now();
    let (code, out, err) = stage.run(&["--only", "core,list,state,crc,sort", "--runs", "1", "--limit", "2"]);
    assert!(start.elapsed() < Duration::from_secs(300));
    // It is not Lyrebird that fails.
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("QEMU TCG, list: hung, ended after") && err.contains("QEMU TCG, crc: ended with"),
        "{err}"
    );
    assert_eq!(out.matches("failed").count(), 2, "{out}");
    for name in ["core", "state", "sort"] {
        let row = out.lines().find(|l| l.starts_with(name)).unwrap();
        assert!(row.contains("1.00×"), "{row}");
    }
}

#[test]
fn a_guest_that_does_not_boot_is_told() {
    let stage = Stage::new(GOOD, GOOD);
    let mut c = stage.command(&["--only", "core", "--runs", "2"]);
    // The real one, with a kernel that powers off at once.
    fs::remove_file(stage.path("bin/lyrebird")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lyrebird"), stage.path("bin/lyrebird")).unwrap();
    let out = c.output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{err}");
    // Once: it is not waited for in the second run.
    let told = "Lyrebird auto: the guest did not start its programs: ended with exit status: 0";
    assert_eq!(err.matches(told).count(), 1, "{err}");
    assert!(stage.read("out.json").contains("[50, 50]"));
}

#[test]
fn a_missing_qemu_is_named() {
    let stage = Stage::new(GOOD, GOOD);
    fs::remove_file(stage.path("bin/qemu-system-aarch64")).unwrap();
    let mut c = stage.command(&["--only", "core", "--runs", "1"]);
    let out = c.env("PATH", stage.path("bin")).output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{err}");
    let told = "QEMU TCG is left out: qemu-system-aarch64 is not installed (Debian package qemu-system-arm)";
    assert!(err.contains(told) && stage.read("out.md").contains(told), "{err}");
}

#[test]
fn ctrl_c_loses_nothing() {
    let slow = format!("[ $n = list ] && exec sleep 600; {GOOD}");
    let stage = Stage::new(&slow, GOOD);
    let mut c = stage.command(&["--only", "core,list,boot"]);
    let tmp = stage.path("tmp");
    fs::create_dir(&tmp).unwrap();
    let mut child = c.env("TMPDIR", &tmp).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|l| l.unwrap().contains("run 1 of 5")));
    // The first workload comes at once, the second never.
    std::thread::sleep(Duration::from_secs(3));
    // Its last words are nobody's.
    std::thread::spawn(move || said.count());
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(stage.read("out.json").contains("\"samples\": [50]"), "{}", stage.read("out.json"));
    assert!(stage.read("out.md").contains("stopped by the user in run 1 of 5"));
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "what it had written for itself is gone");
}

#[test]
fn bad_input_is_refused() {
    for (args, words) in [
        (&["--only", "spec"][..], &["\"spec\"", "linpack200"][..]),
        (&["--guest", "debian-i386"], &["debian-i386", "amd64 and arm64"]),
        (&["--guest", "plan9"], &["no guest \"plan9\"", "debian-amd64"]),
        (&["--json", "/no/such/dir/f"], &["/no/such/dir/f"]),
    ] {
        let out = lyrebird().arg("bench").args(args).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {err}");
        assert!(words.iter().all(|w| err.contains(w)), "{args:?}: {err}");
        assert_eq!(err.trim_end().lines().count(), 1, "{err}");
    }
    for args in [["--runs", "0"], ["--seconds", "0"], ["--against", "bochs"], ["--tier", "t9"]] {
        let out = lyrebird().arg("bench").args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}");
    }
}

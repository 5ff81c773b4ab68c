//! Boots unmodified Debian kernels and talks with the shell. Takes minutes and, the first time, the network; runs
//! with `cargo xtask boot-test`.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Session, lyrebird};

/// Time to the first prompt, and for `dd` and `md5sum`.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(120);
const PROMPT: &str = "lyrebird:~# ";

/// The command, with what `LYREBIRD_BOOT_ARGS` adds, for example `--tier t0`; `None`, with the reason told, when
/// boots are not asked for.
fn boot(guest: &str, gic: &str) -> Option<Command> {
    if std::env::var_os("LYREBIRD_BOOT_TEST").is_none() {
        eprintln!("skipped: boots {guest} only as `cargo xtask boot-test` (minutes, and the network once)");
        return None;
    }
    let mut c = lyrebird();
    c.args(["run", guest, "--gic", gic, "--no-reboot", "--stats", "--timeout", "1800"]);
    if let Ok(more) = std::env::var("LYREBIRD_BOOT_ARGS") {
        c.args(more.split_whitespace());
    }
    Some(c)
}

/// Types a command and returns what it says.
fn ask(s: &mut Session, command: &str, limit: Duration) -> String {
    s.send(&format!("{command}\r"));
    // The shell repeats what is typed.
    s.expect("\n", SHORT);
    let answer = s.expect(PROMPT, limit);
    answer.trim_end_matches(PROMPT).replace('\r', "")
}

fn talk(guest: &str, gic: &str) {
    let Some(command) = boot(guest, gic) else { return };
    let mut s = Session::piped(command);
    let log = s.expect(PROMPT, LONG);
    assert!(log.contains("Booting Linux on physical CPU"), "{log}");
    assert_eq!(log.contains("GICv3: "), gic == "3", "{log}");

    let uname = ask(&mut s, "uname -a", SHORT);
    assert!(uname.starts_with("Linux ") && uname.contains(" aarch64 "), "{uname}");
    let cpu = ask(&mut s, "cat /proc/cpuinfo", SHORT);
    for word in ["processor\t: 0\n", "Features\t: fp asimd", "CPU architecture: 8\n"] {
        assert!(cpu.contains(word), "no {word:?} in {cpu}");
    }
    let ls = ask(&mut s, "ls -l /", SHORT);
    for name in ["bin", "dev", "init", "proc", "root", "sys", "tmp"] {
        assert!(ls.lines().any(|l| l.ends_with(&format!(" {name}"))), "no {name} in {ls}");
    }

    // The clock of the board is the host's.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let date: u64 = ask(&mut s, "date +%s", SHORT).trim().parse().expect("seconds");
    assert!(date.abs_diff(now) < 120, "{date} is not {now}");
    assert!(ask(&mut s, "date", SHORT).contains("20"));

    let dd = ask(&mut s, "dd if=/dev/zero of=/tmp/f bs=1M count=16", LONG);
    assert!(dd.contains("16+0 records out"), "{dd}");
    assert_eq!(ask(&mut s, "md5sum /tmp/f", LONG), "2c7ab85a893283e98c931e9511add182  /tmp/f\n");
    // A pipe and forks.
    assert_eq!(ask(&mut s, "seq 1 1000 | sha256sum | cut -c1-8", SHORT), "67d4ff71\n");

    s.send("poweroff -f\r");
    assert_eq!(s.wait(SHORT).code(), Some(0));
}

#[test]
fn debian_cloud_kernel_with_gicv2() {
    talk("debian-arm64", "2");
}

#[test]
fn debian_cloud_kernel_with_gicv3() {
    talk("debian-arm64", "3");
}

#[test]
fn debian_full_kernel_with_gicv2() {
    talk("debian-arm64-full", "2");
}

#[test]
fn debian_full_kernel_with_gicv3() {
    talk("debian-arm64-full", "3");
}

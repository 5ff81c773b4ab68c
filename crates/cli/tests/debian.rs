//! Boots unmodified Debian kernels and talks with the shell. Takes minutes and, the first time, the network; runs
//! with `cargo xtask boot-test`.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Session, lyrebird};

/// Time for what takes a while: the boot, `dd`, `md5sum`.
const LONG: Duration = Duration::from_secs(600);
/// Time for anything else, on a busy machine.
const SHORT: Duration = Duration::from_secs(120);
const PROMPT: &str = "lyrebird:~# ";

/// The command, with what `LYREBIRD_BOOT_ARGS` adds, for example `--tier t0`; `None`, with the reason told, when
/// boots are not asked for.
fn boot(guest: &str, args: &[&str]) -> Option<Command> {
    if std::env::var_os("LYREBIRD_BOOT_TEST").is_none() {
        eprintln!("skipped: boots {guest} only as `cargo xtask boot-test` (minutes, and the network once)");
        return None;
    }
    let mut c = lyrebird();
    c.args(["run", guest, "--no-reboot", "--stats", "--timeout", "1800"]).args(args);
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

/// Types a command and expects an answer that contains all of `words`.
fn check(s: &mut Session, command: &str, words: &[&str]) -> String {
    let answer = ask(s, command, LONG);
    for word in words {
        assert!(answer.contains(word), "{command}: no {word:?} in the answer:\n{answer}");
    }
    answer
}

/// Boots an arm64 guest and talks with it.
fn arm(guest: &str, gic: &str) {
    let Some(command) = boot(guest, &["--gic", gic]) else { return };
    let mut s = Session::piped(command);
    let log = s.expect(PROMPT, LONG);
    assert!(log.contains("Booting Linux on physical CPU"), "{log}");
    assert_eq!(log.contains("GICv3: "), gic == "3", "{log}");
    let cpuinfo = ["processor\t: 0\n", "Features\t: fp asimd", "CPU architecture: 8\n"];
    talk(&mut s, "aarch64", &cpuinfo);
    off(&mut s);
}

/// Boots a PC and talks with it.
fn pc(guest: &str, cpu: &str, machine: &str, flags: &[&str]) {
    let Some(command) = boot(guest, &["--cpu", cpu]) else { return };
    let mut s = Session::piped(command);
    let log = s.expect(PROMPT, LONG);
    assert!(log.contains("BIOS-provided physical RAM map"), "{log}");
    talk(&mut s, machine, &["processor\t: 0\n"]);
    let answer = ask(&mut s, "grep -m1 flags /proc/cpuinfo", SHORT);
    for flag in flags {
        assert!(answer.split_whitespace().any(|f| f == *flag), "no {flag} in {answer}");
    }
    off(&mut s);
}

/// Powers the guest off.
fn off(s: &mut Session) {
    s.send("poweroff -f\r");
    assert_eq!(s.wait(SHORT).code(), Some(0));
}

/// Asks a guest that is at its prompt for everything that a shell should be able to do.
fn talk(s: &mut Session, machine: &str, cpuinfo: &[&str]) {
    // What the kernel says from now on, it says to its log: answers stay whole.
    ask(s, "dmesg -n 1", SHORT);

    check(s, "uname -a", &["Linux ", &format!(" {machine} ")]);
    check(s, "cat /proc/cpuinfo", cpuinfo);
    let ls = ask(s, "ls -l /", SHORT);
    for name in ["bin", "dev", "init", "proc", "root", "sys", "tmp"] {
        assert!(ls.lines().any(|l| l.ends_with(&format!(" {name}"))), "no {name} in {ls}");
    }

    // The clock of the board is the host's.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let date = ask(s, "date +%s", SHORT);
    let date: u64 = date.trim().parse().unwrap_or_else(|e| panic!("date +%s: {e}: {date:?}"));
    assert!(date.abs_diff(now) < 120, "{date} is not {now}");
    check(s, "date", &["UTC 20"]);

    check(s, "dd if=/dev/zero of=/tmp/f bs=1M count=16", &["16+0 records out\n"]);
    check(s, "stat -c %s /tmp/f", &["16777216\n"]);
    check(s, "md5sum /tmp/f", &["2c7ab85a893283e98c931e9511add182  /tmp/f\n"]);
    // A pipe and forks; floating point.
    check(s, "seq 1 1000 | sha256sum | cut -c1-8", &["67d4ff71\n"]);
    let sum = r#"awk 'BEGIN {while (i < 1000) s += 1 / ++i; printf "%.9f\n", s}'"#;
    check(s, sum, &["7.485470861\n"]);
    // A signal: 128 + SIGTERM. The pause lets the child get as far as `sleep`; before, its shell may lose the signal.
    check(s, "sleep 30 & sleep 1; kill $!; wait $!; echo status $?", &["status 143\n"]);
    check(s, "md5sum /tmp/f > /tmp/a; gzip /tmp/f; gunzip /tmp/f.gz; md5sum -c /tmp/a", &["/tmp/f: OK"]);
}

#[test]
fn debian_cloud_kernel_with_gicv2() {
    arm("debian-arm64", "2");
}

#[test]
fn debian_cloud_kernel_with_gicv3() {
    arm("debian-arm64", "3");
}

#[test]
fn debian_full_kernel_with_gicv2() {
    arm("debian-arm64-full", "2");
}

#[test]
fn debian_full_kernel_with_gicv3() {
    arm("debian-arm64-full", "3");
}

#[test]
fn debian_cloud_kernel_on_a_pc() {
    pc(
        "debian-amd64",
        "x86-64-v2",
        "x86_64",
        &["lm", "nx", "sse4_2", "aes", "smap", "popcnt", "tsc_deadline_timer"],
    );
}

#[test]
fn debian_cloud_kernel_on_a_pc_with_avx2() {
    pc("debian-amd64", "x86-64-v3", "x86_64", &["avx2", "bmi2", "fma", "f16c", "xsave", "movbe"]);
}

#[test]
fn debian_full_kernel_on_a_pc() {
    pc("debian-amd64-full", "x86-64-v2", "x86_64", &["lm"]);
}

#[test]
#[ignore = "Debian 12's BusyBox shows another prompt; to be told apart"]
fn debian_pae_kernel_on_a_pc() {
    pc("debian-i386", "i686", "i686", &["pae", "fxsr", "cmov"]);
}

#[test]
#[ignore = "Debian 12's BusyBox shows another prompt; to be told apart"]
fn debian_kernel_without_pae_on_a_pc() {
    pc("debian-i386-full", "i686", "i686", &["pse", "cx8"]);
}

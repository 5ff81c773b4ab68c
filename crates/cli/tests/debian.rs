//! Boots unmodified Debian kernels and talks with the shell. Takes minutes and, the first time, the network; runs
//! with `cargo xtask boot-test`, what is ignored here too with `LYREBIRD_BOOT_TEST=1 cargo test … -- --ignored`.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Session, lyrebird};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Time for what takes a while: the boot, `dd`, `md5sum`.
const LONG: Duration = Duration::from_secs(600);
/// Time for a boot with `--verify`.
const VERIFIED: Duration = Duration::from_secs(1500);
/// Time for anything else, on a busy machine.
const SHORT: Duration = Duration::from_secs(120);
const PROMPT: &str = "lyrebird:/root# ";

/// What Linux calls the features of the x86 models in /proc/cpuinfo, by the first model that has them.
const X86_FLAGS: [(&str, &str); 3] = [
    ("i686", "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge cmov pse36 mmx fxsr"),
    (
        "x86-64-v2",
        // The Pentium II has PAT as well, but Linux leaves that of early P6 processors alone, for an erratum.
        "pat clflush sse sse2 pni ssse3 cx16 pcid sse4_1 sse4_2 x2apic popcnt tsc_deadline_timer aes pclmulqdq fsgsbase smep \
         erms invpcid smap umip syscall nx pdpe1gb rdtscp lm lahf_lm rdrand rdseed tsc_adjust sha_ni xsave xsaveopt",
    ),
    ("x86-64-v3", "fma movbe avx f16c bmi1 avx2 bmi2 abm adx clflushopt"),
];

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
fn pc(guest: &str, cpu: &str) {
    let Some(command) = boot(guest, &["--cpu", cpu]) else { return };
    let mut s = Session::piped(command);
    let log = s.expect(PROMPT, LONG);
    assert!(log.contains("BIOS-provided physical RAM map"), "{log}");
    let long = guest.starts_with("debian-amd64");
    talk(&mut s, if long { "x86_64" } else { "i686" }, &["processor\t: 0\n", "GenuineIntel", cpu]);
    if long || cpu == "i686" {
        flags(&mut s, cpu);
    }
    vectors(&mut s, if long { "linux-simd-64" } else { "linux-simd" }, cpu);
    off(&mut s);
}

/// The kernel names the features of the CPU model, and none that it has not.
fn flags(s: &mut Session, cpu: &str) {
    let answer = ask(s, "grep -m1 flags /proc/cpuinfo", SHORT);
    let said: Vec<&str> = answer.split_whitespace().collect();
    let mut there = true;
    for (model, flags) in X86_FLAGS {
        for flag in flags.split_whitespace() {
            assert_eq!(said.contains(&flag), there, "{flag} of {model} on {cpu}: {answer}");
        }
        there &= model != cpu;
    }
}

/// Runs the program that uses the vector extensions; what it prints on a real processor is in `test-roms/expected`.
fn vectors(s: &mut Session, name: &str, cpu: &str) {
    let roms = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-roms");
    let program = fs::read(roms.join(format!("prebuilt/{name}.elf"))).expect("the program");
    let expected = fs::read_to_string(roms.join(format!("expected/{name}.txt"))).expect("its output");
    send_program(s, &program);
    let answer = ask(s, "/tmp/program", LONG);
    if cpu == "x86-64-v3" {
        assert_eq!(answer, expected);
        return;
    }
    // Signal 4 is SIGILL.
    let sse2 = cpu != "i686";
    for (n, (got, want)) in answer.lines().zip(expected.lines()).enumerate() {
        let (test, _) = want.split_once(':').expect("a test's name");
        match test {
            "cpuid" => assert_eq!(got, if sse2 { "cpuid: sse2 osxsave no-xcr0.avx" } else { "cpuid:" }),
            "paddd" | "mulpd" if sse2 => assert_eq!(got, want),
            _ => assert_eq!(got, format!("{test}: signal 04"), "line {n}"),
        }
    }
    assert_eq!(answer.lines().count(), expected.lines().count(), "{answer}");
}

/// Types a program into the file /tmp/program.
fn send_program(s: &mut Session, program: &[u8]) {
    // The shell's line editor takes 1 KiB.
    const LINE: usize = 120;
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(program).expect("compress");
    let packed = gz.finish().expect("compress");
    ask(s, ": > /tmp/packed", SHORT);
    for bytes in packed.chunks(LINE) {
        let octal: String = bytes.iter().map(|b| format!("\\0{b:o}")).collect();
        ask(s, &format!("echo -ne '{octal}' >> /tmp/packed"), SHORT);
    }
    ask(s, "gunzip -c /tmp/packed > /tmp/program; chmod +x /tmp/program", SHORT);
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
    // What is typed stays on one line, so that the answer begins behind the first newline.
    ask(s, "stty columns 1000", SHORT);

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
    // A pipe and forks.
    check(s, "seq 1 1000 | sha256sum | cut -c1-8", &["67d4ff71\n"]);
    // The sums are coreutils' and gzip has to find something to do: 2 MB of digits.
    check(s, "seq 1 300000 > /tmp/s; md5sum < /tmp/s", &["daef482d6c698625ab13d987d14e8781  -\n"]);
    check(s, "gzip /tmp/s; gunzip -c /tmp/s.gz | md5sum", &["daef482d6c698625ab13d987d14e8781  -\n"]);
    check(s, "md5sum /tmp/f > /tmp/a; gzip /tmp/f; gunzip /tmp/f.gz; md5sum -c /tmp/a", &["/tmp/f: OK"]);
    floating_point(s);
    // A signal: 128 + SIGTERM. A child that has not got as far as `sleep` may lose it, so it is sent until it counts.
    let kill = "sleep 30 & while kill $! 2> /dev/null; do sleep 1; done; wait $!; echo status $?";
    check(s, kill, &["status 143\n"]);
}

/// BusyBox's awk has no mathematical functions; what it has is exact, or known to so many digits.
fn floating_point(s: &mut Session) {
    for (program, result) in [
        // Halves and so on: no rounding.
        ("for (i = 1; i <= 2000; i++) s += i * i / 64; printf \"%.6f\", s", "41697921.875000"),
        ("p = 1; for (i = 1; i <= 20; i++) p *= i; printf \"%.0f\", p", "2432902008176640000"),
        // Correctly rounded, overflow, underflow.
        ("printf \"%.17g %.17g\", 0.1 + 0.2, 1 / 3", "0.30000000000000004 0.33333333333333331"),
        ("printf \"%g %g %g\", 1e308 * 10, 5e-324 / 2, 5e-324", "inf 0 4.94066e-324"),
        // The square root of 2 and e.
        ("r = 1; for (i = 0; i < 8; i++) r = (r + 2 / r) / 2; printf \"%.13g\", r", "1.414213562373"),
        ("t = e = 1; for (i = 1; i < 30; i++) { t /= i; e += t }; printf \"%.13g\", e", "2.718281828459"),
        ("while (i < 1000) s += 1 / ++i; printf \"%.9f\", s", "7.485470861"),
        // A Mandelbrot set of 25 rows, the steps of its points added up.
        (
            "for (y = -12; y <= 12; y++) for (x = -24; x <= 8; x++) { a = b = 0; for (n = 0; n < 50 && a * a + b * b < 4; \
             n++) { t = a * a - b * b + x / 12; b = 2 * a * b + y / 12; a = t }; k += n }; printf k",
            "15133",
        ),
    ] {
        let answer = ask(s, &format!("awk 'BEGIN {{ {program} }}'; echo"), LONG);
        assert_eq!(answer, format!("{result}\n"), "{program}");
    }
}

/// Boots with the interpreter beside compiled code, and runs a little of everything; a difference is exit code 1.
fn verified(guest: &str, args: &[&str], program: Option<(&str, &str)>) {
    let Some(command) = boot(guest, &[&["--verify"], args].concat()) else { return };
    let mut s = Session::piped(command);
    s.expect(PROMPT, VERIFIED);
    ask(&mut s, "stty columns 1000; dmesg -n 1", LONG);
    check(&mut s, "seq 1 5000 | gzip | gunzip | md5sum", &["a5a208cd26b07cadade3450fe14d1d93  -\n"]);
    check(&mut s, "awk 'BEGIN { while (i < 1000) s += 1 / ++i; printf \"%.9f\\n\", s }'", &["7.485470861\n"]);
    if let Some((name, cpu)) = program {
        vectors(&mut s, name, cpu);
    }
    off(&mut s);
}

#[test]
fn debian_cloud_kernel_verified() {
    verified("debian-arm64", &[], None);
}

#[test]
fn debian_cloud_kernel_on_a_pc_verified() {
    verified("debian-amd64", &["--cpu", "x86-64-v3"], Some(("linux-simd-64", "x86-64-v3")));
}

#[test]
#[ignore = "seven billion instructions, five minutes"]
fn debian_pae_kernel_on_a_pc_verified() {
    verified("debian-i386", &["--cpu", "i686"], Some(("linux-simd", "i686")));
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
    pc("debian-amd64", "x86-64-v2");
}

#[test]
fn debian_cloud_kernel_on_a_pc_with_avx2() {
    pc("debian-amd64", "x86-64-v3");
}

#[test]
fn debian_full_kernel_on_a_pc() {
    pc("debian-amd64-full", "x86-64-v2");
}

#[test]
fn debian_pae_kernel_on_a_pc() {
    pc("debian-i386", "i686");
}

#[test]
fn debian_pae_kernel_on_a_pc_with_avx2() {
    pc("debian-i386", "x86-64-v3");
}

#[test]
fn debian_kernel_without_pae_on_a_pc() {
    pc("debian-i386-full", "i686");
}

//! The `lyrebird` command from outside: exit codes, messages, bad input, the serial console.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Session, elf, lyrebird, run};
use tempfile::TempDir;

/// `b .`
const SPIN: u32 = 0x1400_0000;
/// PSCI SYSTEM_OFF: `mov w0, #8; movk w0, #0x8400, lsl #16; hvc #0`.
const OFF: [u32; 3] = [0x5280_0100, 0x72b0_8000, 0xd400_0002];

/// Time for anything that should not take any, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_string()
}

/// Expects exit code 1 and one line on standard error that contains all of `words`.
fn refused(args: &[&str], words: &[&str]) {
    let (code, out, err) = run(args);
    assert_eq!(code, 1, "{args:?}: {err}");
    assert_eq!(out, "", "{args:?}");
    assert!(err.starts_with("lyrebird: ") && err.trim_end().lines().count() == 1, "{args:?}: {err}");
    for word in words {
        assert!(err.contains(word), "{args:?}: no {word:?} in {err}");
    }
    for bad in ["panicked", "backtrace", "\x1b"] {
        assert!(!err.contains(bad), "{args:?}: {bad:?} in {err}");
    }
}

#[test]
fn usage_errors_exit_2() {
    for args in [
        &["run"][..],
        &["walk"],
        &["run", "--kernel", "k", "--gic", "4"],
        &["run", "--kernel", "k", "--memory", "lots"],
        &["run", "--kernel", "k", "--memory", "-1G"],
        &["run", "--kernel", "k", "--cpu", "z80"],
        &["run", "--kernel", "k", "--machine", "q35"],
        &["run", "--kernel", "k", "--serial", "tcp:1"],
        &["run", "--kernel", "k", "--timeout", "soon"],
        &["run", "--kernel", "k", "--dtb", "a", "--dump-dtb", "b"],
        &["run", "debian-arm64", "--suite", "../../x"],
        &["guests", "eat"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.starts_with("error:") && err.contains("--help"), "{args:?}: {err}");
    }
    assert_eq!(run(&["--help"]).0, 0);
    assert_eq!(run(&["--version"]).0, 0);
}

#[test]
fn bad_files_are_named() {
    let dir = TempDir::new().unwrap();
    let good = write(&dir, "good", &elf(&OFF));
    refused(&["run", "--kernel", "/no/such/kernel"], &["kernel /no/such/kernel", "No such file"]);
    refused(&["run", "--kernel", dir.path().to_str().unwrap()], &["is a directory"]);
    refused(&["run", "--kernel", &write(&dir, "empty", b"")], &["kernel /", "empty: the file is empty"]);
    let whole = elf(&OFF);
    refused(&["run", "--kernel", &write(&dir, "cut", &whole[..whole.len() - 4])], &["cut", "truncated"]);
    refused(&["run", "--kernel", &write(&dir, "head", &whole[..40])], &["head", "truncated"]);
    let mut x86 = whole.clone();
    x86[18] = 62;
    refused(&["run", "--kernel", &write(&dir, "x86", &x86)], &["kernel", "x86", "--machine pc"]);
    refused(&["run", "--kernel", &write(&dir, "text", &[b'a'; 100])], &["kernel /", "text: unknown format"]);

    // Larger than guest memory; a hole on disk.
    let big = dir.path().join("big");
    fs::File::create(&big).unwrap().set_len(17 << 20).unwrap();
    let big = big.to_str().unwrap();
    refused(&["run", "--kernel", big, "--memory", "16M"], &["kernel", "17 MiB", "16 MiB", "--memory"]);
    refused(&["run", "--kernel", &good, "--initrd", big, "--memory", "16M"], &["initrd", "--memory"]);
    refused(&["run", "--kernel", &good, "--initrd", "/no/initrd"], &["initrd /no/initrd", "No such file"]);
    refused(&["run", "--kernel", &good, "--dtb", "/no/dtb"], &["device tree /no/dtb", "No such file"]);
    refused(&["run", "--kernel", &good, "--dtb", &good], &["device tree /", "good: unknown format"]);
    #[cfg(unix)]
    refused(&["run", "--kernel", "/dev/zero", "--memory", "16M"], &["kernel /dev/zero", "--memory"]);
    refused(&["run", "--kernel", &good, "--serial", "file:/no/dir/log"], &["/no/dir/log", "No such file"]);
}

#[test]
fn impossible_memory_is_refused() {
    let dir = TempDir::new().unwrap();
    let k = write(&dir, "k", &elf(&OFF));
    for (size, word) in [("0", "0 bytes"), ("1M", "too little"), ("5000K", "multiple"), ("1000T", "memory")] {
        refused(&["run", "--kernel", &k, "--memory", size], &["memory: ", word]);
    }
}

#[test]
fn power_off_exits_0_and_timeout_124() {
    let dir = TempDir::new().unwrap();
    let off = write(&dir, "off", &elf(&OFF));
    let spin = write(&dir, "spin", &elf(&[SPIN]));
    for tier in ["t0", "t1", "auto"] {
        for gic in ["2", "3"] {
            let (code, out, err) = run(&["run", "--kernel", &off, "--tier", tier, "--gic", gic]);
            assert_eq!((code, out.as_str()), (0, ""), "{err}");
            assert!(err.contains("powered off"), "{err}");
        }
        let start = Instant::now();
        let (code, _, err) = run(&["run", "--kernel", &spin, "--tier", tier, "--timeout", "0.5", "--stats"]);
        assert_eq!(code, 124, "{err}");
        assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(err.contains("--timeout") && err.contains("guest MIPS"), "{err}");
        assert!(err.contains("at PC 0x40") && err.contains(", EL1"), "{err}");
    }
    let (code, _, err) = run(&["run", "--kernel", &off, "--verify"]);
    assert_eq!(code, 0, "{err}");
}

/// A multiboot kernel of 32-bit code at 1 MiB.
fn multiboot(flags: u32, code: &[u8]) -> Vec<u8> {
    const MAGIC: u32 = 0x1bad_b002;
    let sum = 0u32.wrapping_sub(MAGIC).wrapping_sub(flags);
    let words = [MAGIC, flags, sum, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020];
    words.iter().flat_map(|w| w.to_le_bytes()).chain(code.iter().copied()).collect()
}

/// `mov dx, 0x3f8; mov al, 'K'; out dx, al; mov dx, 0x604; mov ax, 0x2000; out dx, ax; jmp .`
const PC_OFF: &[u8] = b"\x66\xba\xf8\x03\xb0K\xee\x66\xba\x04\x06\x66\xb8\x00\x20\x66\xef\xeb\xfe";

#[test]
fn a_pc_runs() {
    let dir = TempDir::new().unwrap();
    let pc = |args: &[&str]| run(&[&["run", "--machine", "pc", "--kernel"], args].concat());
    let off = write(&dir, "off", &multiboot(0x1_0000, PC_OFF));
    for model in ["x86-64-v2", "x86-64-v3", "i686", "486"] {
        let (code, out, err) = pc(&[&off, "--cpu", model]);
        assert_eq!((code, out.as_str()), (0, "K"), "{err}");
        assert!(err.contains(&format!("pc board, {model}")) && err.contains("powered off"), "{err}");
    }
    // mov al, 1; out 0xf4, al
    let exit = write(&dir, "exit", &multiboot(0x1_0000, b"\xb0\x01\xe6\xf4\xeb\xfe"));
    let (code, _, err) = pc(&[&exit]);
    assert_eq!(code, 3, "{err}");
    // ud2, without an IDT
    let fault = write(&dir, "fault", &multiboot(0x1_0000, b"\x0f\x0b"));
    let (code, _, err) = pc(&[&fault, "--no-reboot"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("triple fault at 0010:100020: #UD invalid opcode") && err.contains("reset"),
        "{err}"
    );
    // jmp to xor eax, eax; loop: dec ecx; jnz; call to ud2: the ways are told, newest first.
    let ways = b"\xeb\x02\x90\x90\xb9\x03\x00\x00\x00\x49\x75\xfd\xe8\x01\x00\x00\x00\x90\x0f\x0b";
    let ways = write(&dir, "ways", &multiboot(0x1_0000, ways));
    let (_, _, err) = pc(&[&ways, "--no-reboot", "--tier", "t0"]);
    let jumps: Vec<&str> = err.lines().filter(|l| l.contains(" -> ")).map(str::trim).collect();
    let want =
        ["0x10002c -> 0x100032", "0x10002a -> 0x100029", "0x10002a -> 0x100029", "0x100020 -> 0x100024"];
    assert_eq!(jumps, want, "{err}");
    let (code, _, err) = pc(&[&fault, "--timeout", "0.5"]);
    assert_eq!(code, 124, "it begins again and again: {err}");
    // hlt
    let halt = write(&dir, "halt", &multiboot(0x1_0000, b"\xf4"));
    let (code, _, err) = pc(&[&halt, "--timeout", "0.5"]);
    assert!(code == 124 && err.contains("at CS:RIP 0010:100021, CPL 0"), "{err}");
}

#[test]
fn bad_input_for_a_pc_is_named() {
    let dir = TempDir::new().unwrap();
    let pc = |args: &[&str], words: &[&str]| {
        refused(&[&["run", "--machine", "pc", "--kernel"], args].concat(), words);
    };
    let off = write(&dir, "off", &multiboot(0x1_0000, PC_OFF));
    pc(&[&off, "--cpu", "cortex-a53"], &["cortex-a53", "x86-64-v2"]);
    pc(&[&off, "--gic", "3"], &["--gic"]);
    pc(&[&off, "--dtb", &off], &["device tree"]);
    pc(&[&off, "--cpu", "486", "--memory", "4G"], &["memory: "]);
    pc(&[&write(&dir, "arm", &elf(&OFF))], &["arm: ", "AArch64", "--machine virt"]);
    pc(&[&off, "--dump-dtb", "/tmp/never"], &["device tree"]);
    pc(&["/no/kernel"], &["kernel /no/kernel", "No such file"]);
    pc(&[&off, "--initrd", "/no/initrd"], &["initrd /no/initrd", "No such file"]);
    pc(&[&off, "--memory", "64K"], &["memory: "]);
    pc(&[&off, "--memory", "4T"], &["memory: "]);
    pc(&[&write(&dir, "video", &multiboot(4, PC_OFF))], &["video: ", "flags 0x4"]);
    // A setup header, and a sector of code that says that it is 64-bit.
    let mut linux = vec![0; 1536];
    linux[0x1f1] = 1;
    linux[0x1f4] = 32;
    linux[0x1fe..0x208].copy_from_slice(b"\x55\xaa\xeb\x6aHdrS\x0f\x02");
    linux[0x211] = 1;
    linux[0x231] = 0x10;
    linux[0x236] = 1;
    let whole = write(&dir, "linux", &linux);
    pc(&[&whole, "--cpu", "i686"], &["64-bit", "i686", "--cpu x86-64-v2"]);
    refused(&["run", "--kernel", &whole], &["bzImage", "--machine pc"]);
    pc(&[&whole, "--append", "x"], &["append: ", "the kernel takes 0"]);
    pc(&[&write(&dir, "cut", &linux[..1024])], &["cut: truncated"]);
    linux[0x206] = 4;
    pc(&[&write(&dir, "old", &linux)], &["old: boot protocol 2.04 is too old"]);
    let bios = write(&dir, "bios", &[0xff; 5000]);
    refused(
        &["run", "--machine", "pc", "--firmware", &bios],
        &["firmware /", "bios: 5000 bytes; an image has"],
    );
    refused(&["run", "--firmware", &bios], &["--firmware is for --machine pc"]);
    refused(&["run", "--machine", "pc", "--firmware", "/no/bios"], &["firmware /no/bios", "No such file"]);
}

#[test]
fn what_belongs_to_the_other_board_is_refused_before_anything_is_fetched() {
    let nowhere = ["--mirror", "http://127.0.0.1:9/debian", "--cache", "/no/cache"];
    for (args, words) in [
        (&["debian-amd64", "--machine", "virt"][..], &["debian-amd64 is for --machine pc, not virt"][..]),
        (&["debian-arm64", "--machine", "pc"], &["debian-arm64 is for --machine virt, not pc"]),
        (&["debian-i386", "--gic", "2"], &["--gic is for --machine virt"]),
        (&["debian-amd64", "--cpu", "max"], &["--cpu max is no CPU of --machine pc", "x86-64-v2"]),
        (&["debian-arm64", "--cpu", "486"], &["--cpu 486 is no CPU of --machine virt", "cortex-a53"]),
        (&["debian-amd64", "--dtb", "tree"], &["the pc board has no device tree"]),
        (&["debian-amd64", "--dump-dtb", "tree"], &["the pc board has no device tree"]),
        (&["debian-i386", "--cpu", "i686", "--memory", "100G"], &["memory: "]),
    ] {
        refused(&[&["run"], args, &nowhere].concat(), words);
    }
    // For i386 the suite is another one, unless it is named.
    for (guest, more, suite) in [
        ("debian-i386", &[][..], "bookworm"),
        ("debian-i386", &["--suite", "stable"], "stable"),
        ("debian-amd64", &[], "stable"),
    ] {
        let args = [&["guests", "path", guest, "--cache", "/no/cache"], more].concat();
        refused(&args, &[&format!("{guest} of suite {suite} is not here")]);
    }
}

#[test]
fn device_tree_is_dumped() {
    let dir = TempDir::new().unwrap();
    let (a, b) = (dir.path().join("a.dtb"), dir.path().join("b.dtb"));
    let name = |p: &Path| p.to_str().unwrap().to_string();
    let (code, _, err) = run(&["run", "--dump-dtb", &name(&a), "--append", "hello=1", "--memory", "256M"]);
    assert_eq!(code, 0, "{err}");
    let tree = fs::read(&a).unwrap();
    assert_eq!(&tree[..4], b"\xd0\x0d\xfe\xed");
    let has = |tree: &[u8], text: &[u8]| tree.windows(text.len()).any(|w| w == text);
    assert!(has(&tree, b"hello=1\0") && has(&tree, b"arm,pl011\0") && has(&tree, b"arm,cortex-a15-gic\0"));
    // With a kernel too, and the result can be given back.
    let k = write(&dir, "k", &elf(&OFF));
    let (code, _, err) = run(&["run", "--kernel", &k, "--dump-dtb", &name(&b), "--gic", "3"]);
    assert_eq!(code, 0, "{err}");
    assert!(has(&fs::read(&b).unwrap(), b"arm,gic-v3\0"));
    let (code, _, err) = run(&["run", "--kernel", &k, "--dtb", &name(&b), "--gic", "3"]);
    assert_eq!(code, 0, "{err}");
    refused(&["run", "--dump-dtb", "/no/dir/x.dtb"], &["device tree /no/dir/x.dtb"]);
}

#[test]
fn guests_are_listed_and_unknown_names_answered() {
    let dir = TempDir::new().unwrap();
    let cache = dir.path().to_str().unwrap();
    let (code, out, _) = run(&["guests", "list", "--cache", cache]);
    assert_eq!(code, 0);
    assert!(out.contains("debian-arm64-full") && out.contains("not fetched"), "{out}");
    for args in [&["run", "debian-arm46"][..], &["guests", "path", "nix"], &["guests", "fetch", "nix"]] {
        refused(args, &["no guest", "debian-arm64, debian-arm64-full, debian-amd64"]);
    }
    refused(&["guests", "path", "debian-arm64", "--cache", cache], &["not here", "guests fetch"]);
    refused(&["guests", "remove", "debian-arm64", "--cache", cache], &["not here"]);
}

#[test]
fn guests_of_local_files_need_no_network() {
    let dir = TempDir::new().unwrap();
    let cache = dir.path().join("cache");
    let cache = cache.to_str().unwrap();
    let (kernel, busybox) = (write(&dir, "kernel", &elf(&OFF)), write(&dir, "busybox", &elf(&OFF)));
    // An address that answers nobody: whatever asks the network fails.
    let nowhere = ["--mirror", "http://127.0.0.1:9/debian", "--cache", cache];
    refused(&[&["run", "debian-arm64"][..], &nowhere].concat(), &["fetch http://127.0.0.1:9", "--busybox"]);
    let local = ["--kernel", &kernel, "--busybox", &busybox];
    let (code, _, err) = run(&[&["run", "debian-arm64"][..], &nowhere, &local].concat());
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(&[&["guests", "fetch", "debian-arm64"][..], &nowhere, &local].concat());
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = run(&["guests", "path", "debian-arm64", "--cache", cache]);
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().count() == 3 && out.lines().all(|l| Path::new(l).is_file()), "{out}");
    // The initramfs of an older Lyrebird is made anew from the BusyBox in it.
    let files: Vec<&str> = out.lines().collect();
    let (image, versions) = (fs::read(files[1]).unwrap(), fs::read_to_string(files[2]).unwrap());
    let packages: String = versions.lines().take(2).map(|l| format!("{l}\n")).collect();
    fs::write(files[2], &packages).unwrap();
    let path = ["guests", "path", "debian-arm64", "--cache", cache];
    assert_eq!(run(&path), (0, out.clone(), String::new()));
    assert_eq!(fs::read_to_string(files[2]).unwrap(), versions);
    assert_eq!(fs::read(files[1]).unwrap(), image);
    fs::write(files[2], &packages).unwrap();
    fs::write(files[1], b"no image").unwrap();
    refused(&path, &["initrd.gz", "fetch the guest anew"]);
    fs::write(files[1], &image).unwrap();
    // From the cache now.
    let (code, _, err) = run(&[&["run", "debian-arm64"][..], &nowhere].concat());
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(&["guests", "remove", "debian-arm64", "--cache", cache]);
    assert_eq!(code, 0, "{err}");
    refused(&["guests", "path", "debian-arm64", "--cache", cache], &["not here"]);
    let text = write(&dir, "text", b"no program");
    refused(
        &[&["run", "debian-arm64"][..], &nowhere, &["--kernel", &kernel, "--busybox", &text]].concat(),
        &["text", "not an ELF"],
    );
    let mut x86 = elf(&OFF);
    x86[18] = 62;
    let x86 = write(&dir, "x86", &x86);
    refused(
        &[&["run", "debian-arm64"][..], &nowhere, &["--kernel", &kernel, "--busybox", &x86]].concat(),
        &["x86", "another processor"],
    );
}

#[test]
fn the_monitor_answers_on_pipes() {
    let mut c = lyrebird();
    c.stderr(Stdio::null());
    let mut s = Session::piped(c);
    s.expect("lyrebird> ", LIMIT);
    s.send("el\r");
    s.expect("EL1", LIMIT);
    s.expect("lyrebird> ", LIMIT);
    s.send("off\r");
    assert_eq!(s.wait(LIMIT).code(), Some(0));
}

#[test]
fn the_real_mode_monitor_answers_on_pipes() {
    let mut c = lyrebird();
    c.args(["run", "--machine", "pc"]).stderr(Stdio::null());
    let mut s = Session::piped(c);
    let answers = [
        ("regs", "IDTR 00000000 limit 03ff"),
        ("info", "640 KiB, and 1047552 KiB from 1 MiB on"),
        ("write 60:4 beef", "0060:0004 = beef"),
        ("dump 600 8", "0060:0000  00 00 00 00 ef be 00 00"),
        ("out 80 5a", "lyrebird> "),
        ("in 80", "5a"),
        ("write 1 2 9", "width is 8, 16 or 32, not '9'"),
        ("test", "8 passed, 0 failed"),
        ("reset", "Lyrebird monitor"),
    ];
    for (command, answer) in answers {
        s.expect("lyrebird> ", LIMIT);
        s.send(&format!("{command}\r"));
        if answer != "lyrebird> " {
            s.expect(answer, LIMIT);
        }
    }
    s.expect("lyrebird> ", LIMIT);
    s.send("off\r");
    assert_eq!(s.wait(LIMIT).code(), Some(0));
}

#[test]
fn roms_run_by_name() {
    let (code, out, err) = run(&["roms"]);
    assert_eq!(code, 0, "{err}");
    for name in ["monitor", "x86-monitor", "x86-tasks", "timer"] {
        assert!(out.contains(&format!("  {name} ")), "{out}");
    }
    for (name, board) in [("x86-tasks", "pc board"), ("smc", "virt board")] {
        let (code, out, err) = run(&["run", "--rom", name]);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("passed, 0 failed") && err.contains(board), "{name}: {out}{err}");
    }
    refused(&["run", "--rom", "nope"], &["no ROM \"nope\"", "x86-tasks"]);
    refused(&["run", "--rom", "smc", "--machine", "pc"], &["smc is for --machine virt, not pc"]);
    let both = run(&["run", "--rom", "smc", "--kernel", "k"]);
    assert_eq!(both.0, 2, "{}", both.2);
}

#[test]
fn the_monitor_ends_with_its_input() {
    let (code, out, err) = run(&["--gic", "3"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("Lyrebird monitor") && out.contains("GICv3"), "{out}");
}

#[test]
fn serial_output_goes_to_a_file() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let (code, out, err) = run(&["--serial", &format!("file:{}", log.display()), "--timeout", "3"]);
    assert_eq!((code, out.as_str()), (124, ""), "{err}");
    assert!(fs::read_to_string(log).unwrap().contains("lyrebird> "));
}

#[cfg(target_os = "linux")]
#[test]
fn closed_and_full_outputs_end_the_machine() {
    let mut child =
        lyrebird().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{err}");
    assert!(err.contains("standard output") && !err.contains("panicked"), "{err}");

    let (code, _, err) = run(&["--serial", "file:/dev/full"]);
    assert_eq!(code, 1);
    assert!(err.contains("/dev/full") && err.contains("No space left"), "{err}");
}

#[cfg(target_os = "linux")]
mod terminal {
    use super::*;
    use std::fs::File;

    use common::terminal;
    use rustix::termios::{LocalModes, tcgetattr};

    /// A monitor on a terminal of its own; the second end of the terminal is for a look at its modes.
    fn start() -> (Session, File) {
        let (master, end) = terminal();
        let mut c = lyrebird();
        c.stdin(end.try_clone().unwrap()).stdout(end.try_clone().unwrap()).stderr(end.try_clone().unwrap());
        assert!(is_cooked(&end), "a new terminal is not raw");
        let child = c.spawn().unwrap();
        let mut s = Session::new(child, master.try_clone().unwrap(), master);
        s.expect("Ctrl-A x quits", LIMIT);
        s.expect("lyrebird> ", LIMIT);
        assert!(!is_cooked(&end), "raw while the guest has it");
        (s, end)
    }

    fn is_cooked(end: &File) -> bool {
        tcgetattr(end).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    #[test]
    fn keys_reach_the_guest_and_ctrl_a_reaches_us() {
        let (mut s, end) = start();
        // Ctrl-C is the guest's.
        s.send("nonsense\x03");
        s.send("\x15el\r");
        s.expect("EL1", LIMIT);
        s.send("\x01h");
        s.expect("Ctrl-A p       press the machine's power key\r\n", LIMIT);
        s.send("\x01x");
        s.expect("lyrebird: stopped", LIMIT);
        assert_eq!(s.wait(LIMIT).code(), Some(0));
        assert!(is_cooked(&end));
    }

    #[test]
    fn signals_give_the_terminal_back() {
        use rustix::process::{Pid, Signal, kill_process};
        use std::os::unix::process::ExitStatusExt;
        for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
            let (mut s, end) = start();
            kill_process(Pid::from_child(&s.child), signal).unwrap();
            let status = s.wait(LIMIT);
            assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
            assert!(is_cooked(&end), "{signal:?}");
        }
    }
}

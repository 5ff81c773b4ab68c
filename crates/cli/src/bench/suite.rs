//! What is measured.

use std::fmt::Write as _;

use anyhow::{Result, bail};

/// Which of two values is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Operations per second.
    More,
    /// Seconds.
    Less,
}

/// What kind of work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Integer code.
    Integer,
    /// Floating point.
    Float,
    /// Memory and vectors.
    Memory,
    /// What the guest's kernel does.
    System,
    /// Whole programs and the boot.
    Programs,
}

impl Group {
    /// All, in the order of the reports.
    pub const ALL: [Group; 5] = [Group::Integer, Group::Float, Group::Memory, Group::System, Group::Programs];

    /// For headings, and to choose it.
    pub fn name(self) -> &'static str {
        match self {
            Group::Integer => "integer",
            Group::Float => "float",
            Group::Memory => "memory",
            Group::System => "system",
            Group::Programs => "programs",
        }
    }
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel of `test-roms/bench`, which finds its own number of repetitions.
    Kernel,
    /// A program with a fixed number of operations, and its arguments; `{root}` is where the image's files are.
    Program {
        /// Operations.
        count: u32,
        /// What is started.
        command: &'static [&'static str],
        /// The Debian packages it is in, those of its libraries among them.
        packages: &'static [&'static str],
    },
    /// A program that prints its own line.
    Script {
        /// What is started.
        command: &'static [&'static str],
        /// The Debian packages it is in.
        packages: &'static [&'static str],
    },
    /// From the start of the emulator to its end, with a guest that only says that it is there.
    Boot,
}

impl Kind {
    /// The Debian packages that it needs.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Kind::Program { packages, .. } | Kind::Script { packages, .. } => packages,
            Kind::Kernel | Kind::Boot => &[],
        }
    }
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// What kind of work it is.
    pub group: Group,
    /// Of the value.
    pub unit: &'static str,
    /// Which values are better.
    pub better: Better,
    /// How it is run.
    pub kind: Kind,
    /// One line on what it does.
    pub about: &'static str,
}

const fn kernel(name: &'static str, group: Group, unit: &'static str, about: &'static str) -> Workload {
    Workload { name, group, unit, better: Better::More, kind: Kind::Kernel, about }
}

const fn program(
    name: &'static str,
    (count, unit): (u32, &'static str),
    command: &'static [&'static str],
    packages: &'static [&'static str],
    about: &'static str,
) -> Workload {
    let kind = Kind::Program { count, command, packages };
    Workload { name, group: Group::Programs, unit, better: Better::More, kind, about }
}

/// Rating, of compression and decompression together. 7-Zip checks what it unpacks, and so has no checksum for others.
const SEVEN_ZIP: &str = "b={root}/bin/busybox; \
    v=$({root}/opt/ld.so --library-path {root}/opt {root}/opt/7zr b 1 -mmt1 -md18 -mtime=0 | $b awk '/^Tot:/ { print $NF }'); \
    case $v in [1-9]*) $b echo BENCH 7zip $v MIPS 0000000000000000 ;; *) $b echo BENCH 7zip 0 MIPS 0000000000000000 wrong ;; esac";

/// All of them.
pub const SUITE: &[Workload] = &[
    kernel(
        "core",
        Group::Integer,
        "iterations/s",
        "list, matrix, state machine and CRC together, as CoreMark mixes them",
    ),
    kernel("list", Group::Integer, "iterations/s", "a linked list: search, reversal, merge sort"),
    kernel("matrix", Group::Integer, "iterations/s", "small matrices of 16-bit numbers"),
    kernel("state", Group::Integer, "iterations/s", "a scanner of numbers, character by character"),
    kernel("crc", Group::Integer, "iterations/s", "CRC-16, bit by bit"),
    kernel("sort", Group::Integer, "Mitems/s", "quicksort of random numbers"),
    kernel("sha256", Group::Integer, "MB/s", "SHA-256"),
    kernel("sieve", Group::Integer, "Mnumbers/s", "primes below 2^20"),
    kernel("interp", Group::Integer, "Msteps/s", "an interpreter around one indirect jump"),
    kernel("calls", Group::Integer, "Mcalls/s", "recursive calls and returns"),
    kernel("hash", Group::Integer, "Mlookups/s", "a hash table"),
    kernel("pack", Group::Integer, "MB/s", "LZ77 and a range coder: compression"),
    kernel("unpack", Group::Integer, "MB/s", "its decompression"),
    kernel("linpack200", Group::Float, "Mflop/s", "LU decomposition and solution of 200 equations"),
    kernel("linpack500", Group::Float, "Mflop/s", "the same of 500"),
    kernel("nbody", Group::Float, "Mmoves/s", "square roots and divisions in chains"),
    kernel("stream-copy", Group::Memory, "MB/s", "a = b, arrays of 16 MB"),
    kernel("stream-scale", Group::Memory, "MB/s", "a = 3 b"),
    kernel("stream-add", Group::Memory, "MB/s", "a = b + c"),
    kernel("stream-triad", Group::Memory, "MB/s", "a = b + 3 c"),
    kernel("alias", Group::Memory, "MB/s", "a copy between arrays 16 MiB apart, which share places in a TLB"),
    kernel("random", Group::Memory, "Mupdates/s", "updates of random words in 32 MiB"),
    kernel("blend", Group::Memory, "MB/s", "pixels, in integer vectors"),
    kernel("syscall", Group::System, "Kcalls/s", "getppid"),
    kernel("signal", Group::System, "Ksignals/s", "a handler installed, a signal sent and handled"),
    kernel("pipe", Group::System, "Ktrips/s", "a byte to another process and back"),
    kernel("context", Group::System, "Kswitches/s", "a ring of 8 processes that touch memory"),
    kernel("fork", Group::System, "forks/s", "fork, exit and wait"),
    kernel("exec", Group::System, "execs/s", "fork, exec and wait"),
    kernel("fault", Group::System, "Kpages/s", "pages mapped, touched, unmapped"),
    kernel("mmap", Group::System, "MB/s", "a file written through a mapping"),
    program(
        "shell",
        (60_000, "iterations/s"),
        &["{root}/bin/busybox", "sh", "-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo $i"],
        &[],
        "a loop of BusyBox' shell",
    ),
    program(
        "spawn",
        (150, "programs/s"),
        &[
            "{root}/bin/busybox",
            "sh",
            "-c",
            "i=0; while [ $i -lt 150 ]; do {root}/bin/busybox true; i=$((i+1)); done; echo $i",
        ],
        &[],
        "programs that a shell starts",
    ),
    program(
        "xz",
        (1, "files/s"),
        &[
            "{root}/opt/ld.so",
            "--library-path",
            "{root}/opt",
            "{root}/opt/xz",
            "-6",
            "-T1",
            "-c",
            "{root}/bin/busybox",
        ],
        &["xz-utils", "liblzma5", "libc6"],
        "xz -6 of BusyBox, 2 MB",
    ),
    Workload {
        name: "7zip",
        group: Group::Programs,
        unit: "MIPS",
        better: Better::More,
        kind: Kind::Script {
            command: &["{root}/bin/busybox", "sh", "-c", SEVEN_ZIP],
            packages: &["7zip", "libstdc++6", "libgcc-s1", "libc6"],
        },
        about: "7-Zip's benchmark, LZMA with a dictionary of 256 KiB: its rating",
    },
    Workload {
        name: "boot",
        group: Group::Programs,
        unit: "s",
        better: Better::Less,
        kind: Kind::Boot,
        about: "the guest's kernel to a program's output and power-off, wall time",
    },
];

/// The workload called `name`.
pub fn named(name: &str) -> Option<&'static Workload> {
    SUITE.iter().find(|w| w.name == name)
}

/// Those of these names and groups; all without any.
pub fn choose(names: &[String]) -> Result<Vec<&'static Workload>> {
    for name in names {
        if named(name).is_none() && !Group::ALL.iter().any(|g| g.name() == name) {
            let all: Vec<&str> =
                SUITE.iter().map(|w| w.name).chain(Group::ALL.iter().map(|g| g.name())).collect();
            bail!("--only {name:?} is neither workload nor group; there are {}", all.join(", "));
        }
    }
    let wanted = |w: &&Workload| names.is_empty() || names.iter().any(|n| n == w.name || n == w.group.name());
    Ok(SUITE.iter().filter(wanted).collect())
}

/// `lyrebird bench --list`.
pub fn list() -> String {
    let mut text = String::from("Workloads, for `lyrebird bench --only NAME,GROUP`:\n");
    for group in Group::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", group.name());
        for w in SUITE.iter().filter(|w| w.group == group) {
            let _ = writeln!(text, "  {:<14}{:<14}{}", w.name, w.unit, w.about);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_kernels_are_the_suite_s() {
        let mut in_source = Vec::new();
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../test-roms/bench")).unwrap()
        {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let rows = |l: &str| {
                let row = l.trim();
                let name = row.strip_prefix("{ \"")?.split_once('"').map(|(n, _)| n.to_string());
                name.filter(|n| !n.ends_with('-'))
            };
            in_source.extend(text.lines().filter_map(rows));
            let stream = |l: &str| {
                l.trim().strip_prefix("STREAM_ROW(")?.split_once(',').map(|(n, _)| format!("stream-{n}"))
            };
            in_source.extend(text.lines().filter_map(stream));
        }
        let mut in_suite: Vec<&str> =
            SUITE.iter().filter(|w| w.kind == Kind::Kernel).map(|w| w.name).collect();
        in_source.sort();
        in_suite.sort_unstable();
        assert_eq!(in_source, in_suite);
    }

    #[test]
    fn names_and_groups_choose() {
        let names = |list: &[&str]| {
            choose(&list.iter().map(ToString::to_string).collect::<Vec<_>>()).map(|c| c.len())
        };
        assert_eq!(names(&[]).unwrap(), SUITE.len());
        assert_eq!(names(&["float", "nbody", "boot"]).unwrap(), 4);
        let e = names(&["core", "spec2006"]).unwrap_err().to_string();
        assert!(e.contains("spec2006") && e.contains("linpack200"), "{e}");
    }

    #[test]
    fn no_two_have_one_name() {
        for (n, w) in SUITE.iter().enumerate() {
            assert!(SUITE[..n].iter().all(|o| o.name != w.name), "{}", w.name);
            // They become words of a kernel's command line.
            assert!(w.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{}", w.name);
        }
    }
}

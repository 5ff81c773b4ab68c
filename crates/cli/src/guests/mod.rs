//! `lyrebird guests`: ready-made guests, fetched from public archives and kept in the user's cache directory.

pub mod archive;
pub mod cache;
pub mod command;
pub mod deb;
pub mod debian;
pub mod fetch;
pub mod initramfs;

use anyhow::{Result, anyhow};

use crate::args::Board;

/// A guest that `lyrebird run NAME` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `lyrebird guests list`.
    pub about: &'static str,
    /// The board it runs on.
    pub board: Board,
    /// Debian architecture.
    pub arch: &'static str,
    /// `e_machine` of its programs: EM_AARCH64, EM_X86_64 or EM_386.
    pub elf_machine: u8,
    /// Suite of the archive to take it from, where the user names none.
    pub suite: &'static str,
    /// Kernel meta package.
    pub kernel: &'static str,
    /// Kernel command line.
    pub append: &'static str,
}

/// The suite that most guests come from.
const STABLE: &str = "stable";
/// Debian 12 is the last with kernels for i386.
const LAST_I386: &str = "bookworm";

/// All guests.
pub const GUESTS: &[Guest] = &[
    Guest {
        name: "debian-arm64",
        about: "Debian cloud kernel and BusyBox shell on the arm64 `virt` board",
        board: Board::Virt,
        arch: "arm64",
        elf_machine: 183,
        suite: STABLE,
        kernel: "linux-image-cloud-arm64",
        append: "console=ttyAMA0",
    },
    Guest {
        name: "debian-arm64-full",
        about: "Debian full kernel and BusyBox shell on the arm64 `virt` board",
        board: Board::Virt,
        arch: "arm64",
        elf_machine: 183,
        suite: STABLE,
        kernel: "linux-image-arm64",
        append: "console=ttyAMA0",
    },
    Guest {
        name: "debian-amd64",
        about: "Debian cloud kernel and BusyBox shell on the 64-bit `pc` board",
        board: Board::Pc,
        arch: "amd64",
        elf_machine: 62,
        suite: STABLE,
        kernel: "linux-image-cloud-amd64",
        append: "console=ttyS0",
    },
    Guest {
        name: "debian-amd64-full",
        about: "Debian full kernel and BusyBox shell on the 64-bit `pc` board",
        board: Board::Pc,
        arch: "amd64",
        elf_machine: 62,
        suite: STABLE,
        kernel: "linux-image-amd64",
        append: "console=ttyS0",
    },
    Guest {
        name: "debian-i386",
        about: "Debian 686-pae kernel and BusyBox shell on the 32-bit `pc` board",
        board: Board::Pc,
        arch: "i386",
        elf_machine: 3,
        suite: LAST_I386,
        kernel: "linux-image-686-pae",
        append: "console=ttyS0",
    },
    Guest {
        name: "debian-i386-full",
        about: "Debian 686 kernel without PAE and BusyBox shell on the 32-bit `pc` board",
        board: Board::Pc,
        arch: "i386",
        elf_machine: 3,
        suite: LAST_I386,
        kernel: "linux-image-686",
        append: "console=ttyS0",
    },
];

/// The guest called `name`.
pub fn named(name: &str) -> Result<&'static Guest> {
    GUESTS.iter().find(|g| g.name == name).ok_or_else(|| {
        let names: Vec<&str> = GUESTS.iter().map(|g| g.name).collect();
        let file = if std::path::Path::new(name).is_file() {
            format!("; to boot the file of that name: lyrebird run --kernel {name}")
        } else {
            String::new()
        };
        anyhow!("no guest {name:?}; there are {}{file}", names.join(", "))
    })
}

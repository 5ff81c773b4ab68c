//! The built-in ROMs, `test-roms/prebuilt`: the monitors, and tests of one board each, which say `PASS` or `FAIL` and power
//! off.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};

use crate::args::Board;

/// A bare-metal guest that is part of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rom {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `lyrebird roms`.
    pub about: &'static str,
    /// The board it runs on.
    pub board: Board,
    /// ELF file.
    pub image: &'static [u8],
}

macro_rules! roms {
    ($($board:ident $name:literal $about:literal)*) => {
        &[$(Rom {
            name: $name,
            about: $about,
            board: Board::$board,
            image: include_bytes!(concat!("../../../test-roms/prebuilt/", $name, ".elf")),
        }),*]
    };
}

/// All of them, each board's monitor first.
pub const ROMS: &[Rom] = roms! {
    Virt "monitor" "the monitor: look at the machine, test the CPU"
    Virt "exceptions" "exceptions, aborts, their syndromes"
    Virt "gicv2" "interrupt controller, for --gic 2"
    Virt "gicv3" "interrupt controller, for --gic 3"
    Virt "hostile" "code that changes, moves and does not fit; 4,000 address spaces"
    Virt "loops" "long computations with known results"
    Virt "memory" "alignment, ordering, atomics, exclusives"
    Virt "simdfp" "floating point and SIMD"
    Virt "smc" "self-modifying code"
    Virt "timer" "the generic timers"
    Virt "tlb" "translation and TLB maintenance"
    Pc "x86-monitor" "the monitor, in real mode"
    Pc "x86-modes" "real, unreal, protected and long mode; segments"
    Pc "x86-exceptions" "exceptions and error codes, in 32-bit code"
    Pc "x86-exceptions-64" "the same in 64-bit code"
    Pc "x86-tasks" "task switches, call gates, virtual-8086 mode"
    Pc "x86-paging" "paging of 2 and 3 levels"
    Pc "x86-paging-64" "paging of 4 levels"
    Pc "x86-smc" "self-modifying code, 32-bit"
    Pc "x86-smc-64" "the same in 64-bit code"
    Pc "x86-strings" "string instructions with faults in the middle, 32-bit"
    Pc "x86-strings-64" "the same in 64-bit code"
    Pc "x86-fpu" "x87 and SSE, 32-bit"
    Pc "x86-fpu-64" "the same in 64-bit code"
    Pc "x86-hostile-64" "code that changes, moves and does not fit; 4,000 address spaces, 64-bit"
    Pc "x86-apic" "interrupt controllers and timers, 32-bit"
    Pc "x86-apic-64" "the same in 64-bit code"
};

/// The monitor of a board.
pub fn monitor(board: Board) -> Result<&'static Rom> {
    named(match board {
        Board::Virt => "monitor",
        Board::Pc => "x86-monitor",
    })
}

/// The ROM called `name`.
pub fn named(name: &str) -> Result<&'static Rom> {
    ROMS.iter().find(|r| r.name == name).ok_or_else(|| {
        let names: Vec<&str> = ROMS.iter().map(|r| r.name).collect();
        anyhow!("no ROM {name:?}; there are {}", names.join(", "))
    })
}

/// `lyrebird roms`: the list.
pub fn list() -> String {
    let mut text = String::from("Built-in ROMs, for `lyrebird run --rom NAME`:\n");
    for r in ROMS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<20}{:<6}{}", r.name, r.board.name(), r.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prebuilt_image_has_a_name() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test-roms/prebuilt");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .filter_map(|e| e.unwrap().file_name().to_str()?.strip_suffix(".elf").map(String::from))
            // Programs for Linux and code that is only translated are no ROMs.
            .filter(|name| !["linux-", "bench-", "corpus-"].iter().any(|kind| name.starts_with(kind)))
            .collect();
        files.sort();
        let mut names: Vec<&str> = ROMS.iter().map(|r| r.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
        for board in [Board::Virt, Board::Pc] {
            assert_eq!(monitor(board).unwrap().board, board);
        }
        assert!(ROMS.iter().all(|r| r.name.starts_with("x86-") == (r.board == Board::Pc)));
    }
}

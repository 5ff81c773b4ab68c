//! The board's wiring: what answers where, and that interrupts arrive.

use std::time::{Duration, Instant};

use lyrebird_devices::MemoryChar;
use lyrebird_frontend_arm::platform::{CallOutcome, Conduit, IccReg, Platform, Timer, TimerReg};
use lyrebird_isa::Size;
use lyrebird_isa::lines::{IRQ, STOP};

use super::*;
use crate::power::Outcome;
use crate::run::Board;

const MIB: u64 = 1 << 20;

fn machine(gic: GicVersion) -> (VirtMachine, Arc<MemoryChar>) {
    let serial = Arc::new(MemoryChar::new());
    let config = VirtConfig { memory: 64 * MIB, gic, ..VirtConfig::default() };
    (VirtMachine::new(config, serial.clone()).expect("a machine"), serial)
}

fn refused(memory: u64) -> String {
    let config = VirtConfig { memory, ..VirtConfig::default() };
    match VirtMachine::new(config, Arc::new(MemoryChar::new())) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("{memory} bytes accepted"),
    }
}

#[test]
fn memory_sizes_that_cannot_be() {
    assert_eq!(refused(0), "memory: 0 bytes is no machine; give at least 4M");
    assert_eq!(refused(MIB), "memory: 1M is too little; give at least 4M");
    assert!(refused(64 * MIB + 4096).starts_with("memory: 65540K is not a multiple of 1M"));
    assert!(refused(!(MIB - 1)).contains("more than the board's memory map holds; give at most 254G"));
    assert!(refused(254 << 30).starts_with("memory: 254G is more than the host's "));
}

#[test]
fn chips_are_where_qemu_has_them() {
    for gic in [GicVersion::V2, GicVersion::V3] {
        let (m, serial) = machine(gic);
        let read = |pa| m.phys().read(pa, Size::B4).expect("something answers");
        // PrimeCell identification: part number in PeriphID0 and the low half of PeriphID1.
        let part = |base: u64| read(base + 0xfe0) & 0xff | (read(base + 0xfe4) & 0xf) << 8;
        assert_eq!(part(0x0900_0000), 0x011);
        assert_eq!(part(0x0901_0000), 0x031);
        assert_eq!(part(0x0903_0000), 0x061);
        assert_eq!(read(0x0a00_0000), 0x7472_6976, "\"virt\"");
        assert_eq!(read(0x0a00_3e00), 0x7472_6976);
        // GICD_TYPER: ITLinesNumber 8, that is 288 INTIDs.
        assert_eq!(read(0x0800_0004) & 0x1f, 8);
        assert!(m.phys().read(0x0000_0000, Size::B4).is_err(), "no flash");
        assert!(m.phys().read(0x0902_0000, Size::B4).is_err(), "no fw_cfg");
        assert!(m.phys().read(0x4400_0000, Size::B4).is_err(), "end of RAM");
        m.phys().write(0x0900_0000, Size::B4, u64::from(b'x')).expect("the UART");
        assert_eq!(serial.output(), b"x");
    }
}

/// The power key's path on a GICv2: PL061 pin 3, SPI 7, CPU 0's IRQ line.
#[test]
fn interrupts_reach_the_cpu() {
    let (m, _) = machine(GicVersion::V2);
    let write = |pa, v| m.phys().write(pa, Size::B4, v).expect("a register");
    let read = |pa| m.phys().read(pa, Size::B4).expect("a register");
    let spi = 32 + 7;
    write(0x0800_0000, 1); // GICD_CTLR
    write(0x0800_0100 + 4, 1 << (spi - 32)); // GICD_ISENABLER1
    m.phys().write(0x0800_0800 + spi, Size::B1, 1).expect("GICD_ITARGETSR");
    write(0x0801_0000, 1); // GICC_CTLR
    write(0x0801_0004, 0xff); // GICC_PMR
    write(0x0903_0000 + 0x404, 1 << 3); // GPIOIS: level
    write(0x0903_0000 + 0x40c, 1 << 3); // GPIOIEV: high
    write(0x0903_0000 + 0x410, 1 << 3); // GPIOIE
    let lines = &m.shared.cpus[0].lines;
    assert_eq!(lines.level() & IRQ, 0);
    m.power_key().set(true);
    assert_eq!(lines.level() & IRQ, IRQ);
    assert_eq!(read(0x0801_000c), spi, "GICC_IAR");
    m.power_key().set(false);
    write(0x0801_0010, spi);
    assert_eq!(lines.level() & IRQ, 0);
}

/// Each timer's PPI on a GICv3, as the generic timer's compare value is met.
#[test]
fn timers_have_their_ppis() {
    for (timer, intid) in [(Timer::Phys, 30), (Timer::Virt, 27), (Timer::Hyp, 26), (Timer::Sec, 29)] {
        let (m, _) = machine(GicVersion::V3);
        let mut board = VcpuBoard::new(m.shared.clone(), 0);
        let sgi_base = 0x080b_0000;
        m.phys().write(0x0800_0000, Size::B4, 1 << 4 | 3).expect("GICD_CTLR");
        m.phys().write(sgi_base + 0x80, Size::B4, u64::from(u32::MAX)).expect("GICR_IGROUPR0");
        m.phys().write(sgi_base + 0x100, Size::B4, 1 << intid).expect("GICR_ISENABLER0");
        board.icc_write(IccReg::Pmr, 0xff);
        board.icc_write(IccReg::Igrpen1, 1);
        let before = board.counter();
        board.timer_write(timer, TimerReg::Tval, (Clock::FREQUENCY / 100) as u32 as u64);
        board.timer_write(timer, TimerReg::Ctl, 1);
        assert!(board.next_deadline().is_some_and(|d| d <= Duration::from_millis(11)));
        let start = Instant::now();
        while board.lines().level() & IRQ == 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "{timer:?} never fired");
            board.idle();
            board.advance(0);
        }
        assert!(board.counter() - before >= Clock::FREQUENCY / 100);
        assert_eq!(board.icc_read(IccReg::Iar1), intid, "{timer:?}");
        assert_eq!(board.next_deadline(), None);
    }
}

#[test]
fn psci_by_either_conduit() {
    let (m, _) = machine(GicVersion::V2);
    let mut board = VcpuBoard::new(m.shared.clone(), 0);
    let mut call = |conduit, x0, x1, x2| {
        let mut x = [x0, x1, x2, 0, 4, 5, 6, 7];
        let outcome = board.call(conduit, 0, &mut x);
        assert_eq!(x[4..], [4, 5, 6, 7], "X4 and up are preserved");
        (outcome, x[0] as i64)
    };
    assert_eq!(call(Conduit::Hvc, 0x8400_0000, 0, 0), (CallOutcome::Done, 0x1_0001));
    assert_eq!(call(Conduit::Smc, 0x8400_0000, 0, 0), (CallOutcome::Done, 0x1_0001));
    assert_eq!(call(Conduit::Hvc, 0xc400_0003, 0, 0x4000_0000), (CallOutcome::Done, -4), "ALREADY_ON");
    assert_eq!(call(Conduit::Hvc, 0xc400_0003, 1, 0x4000_0000), (CallOutcome::Done, -2), "no such CPU");
    assert_eq!(call(Conduit::Hvc, 0xc400_0001, 0, 0), (CallOutcome::Wait, 0));
    assert_eq!(m.power().outcome(), None);
    call(Conduit::Hvc, 0x8400_0009, 0, 0);
    assert_eq!(m.power().outcome(), Some(Outcome::Reset));
    call(Conduit::Smc, 0x8400_0008, 0, 0);
    assert_eq!(m.power().outcome(), Some(Outcome::PowerOff));
    assert_ne!(m.shared.cpus[0].lines.level() & STOP, 0);
}

/// An executable of one segment: `code` at the start of RAM plus 512 KiB.
pub(crate) fn elf(code: &[u32]) -> Vec<u8> {
    let mut b = vec![0; 0x80];
    let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 183, 0, 1]);
    put(24, &0x4008_0000u64.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1]);
    put(64, &[1, 0, 0, 0, 7]);
    let size = 4 * code.len() as u64;
    for (n, v) in [0x80, 0x4008_0000, 0x4008_0000, size, size + 64, 8].into_iter().enumerate() {
        put(72 + 8 * n, &v.to_le_bytes());
    }
    b.extend(code.iter().flat_map(|w| w.to_le_bytes()));
    b
}

#[test]
fn loading_and_reloading() {
    let (mut m, _) = machine(GicVersion::V2);
    assert!(matches!(m.reset(), Err(MachineError::NothingLoaded)));
    let files = BootFiles {
        kernel: elf(&[0xd503_201f; 4]),
        cmdline: Some(String::from("hello")),
        ..BootFiles::default()
    };
    m.load(files).expect("loads");
    assert_eq!(m.phys().read(0x4008_000c, Size::B4), Ok(0xd503_201f));
    assert_eq!(m.phys().read(0x4000_0000, Size::B4), Ok(0xedfe_0dd0), "device tree below the program");
    for pa in [0x4000_0000, 0x4008_000c, 0x4008_0010] {
        m.phys().write(pa, Size::B4, 0x5555).expect("RAM");
    }
    m.phys().write(0x0900_0030, Size::B4, 0x101).expect("UARTCR");
    m.reset().expect("still loaded");
    assert_eq!(m.phys().read(0x4008_000c, Size::B4), Ok(0xd503_201f));
    assert_eq!(m.phys().read(0x4008_0010, Size::B4), Ok(0), "BSS");
    assert_eq!(m.phys().read(0x4000_0000, Size::B4), Ok(0xedfe_0dd0));
    assert_eq!(m.phys().read(0x0900_0030, Size::B4), Ok(0x300), "UARTCR after reset");
    let tree = fdt::Tree::parse(m.dtb().expect("a tree")).expect("readable");
    assert_eq!(tree.node("/chosen").and_then(|n| n.prop("bootargs")), Some(&b"hello\0"[..]));
    let cpu = m.boot_cpu().expect("a CPU");
    assert_eq!((cpu.core.pc, cpu.core.regs[0]), (0x4008_0000, 0x4000_0000));
}

#[test]
fn a_command_line_no_tree_can_hold() {
    let (mut m, _) = machine(GicVersion::V2);
    let files = BootFiles {
        kernel: elf(&[0xd503_201f]),
        cmdline: Some(String::from("nul\0inside")),
        ..BootFiles::default()
    };
    let e = m.load(files).expect_err("refused").to_string();
    assert!(e.starts_with("device tree: "), "{e}");
    let files = BootFiles { kernel: elf(&[0xd503_201f]), dtb: Some(vec![0; 64]), ..BootFiles::default() };
    let e = m.load(files).expect_err("refused").to_string();
    assert!(e.starts_with("device tree: unknown format"), "{e}");
}

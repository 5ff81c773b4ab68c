//! Whole machines that run a few instructions: sleeping, resets, power, the time limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lyrebird_devices::MemoryChar;
use lyrebird_jit::{EngineConfig, Tier};
use lyrebird_machine::{BootFiles, GicVersion, MachineStats, Outcome, RunOptions, VirtConfig, VirtMachine};

/// An AArch64 executable that is loaded and entered at 0x4008_0000.
fn elf(code: &[u32]) -> Vec<u8> {
    let mut b = vec![0; 0x80];
    let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 183, 0, 1]);
    put(24, &0x4008_0000u64.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1]);
    put(64, &[1, 0, 0, 0, 7]);
    let size = 4 * code.len() as u64;
    for (n, v) in [0x80, 0x4008_0000, 0x4008_0000, size, size, 8].into_iter().enumerate() {
        put(72 + 8 * n, &v.to_le_bytes());
    }
    b.extend(code.iter().flat_map(|w| w.to_le_bytes()));
    b
}

fn machine(code: &[u32]) -> (VirtMachine, Arc<MemoryChar>) {
    let serial = Arc::new(MemoryChar::new());
    let config = VirtConfig { memory: 32 << 20, gic: GicVersion::V2, ..VirtConfig::default() };
    let mut machine = VirtMachine::new(config, serial.clone()).expect("a machine");
    machine.load(BootFiles { kernel: elf(code), ..BootFiles::default() }).expect("loads");
    (machine, serial)
}

fn run(code: &[u32], options: &RunOptions) -> (Outcome, MachineStats, Vec<u8>) {
    let (mut machine, serial) = machine(code);
    let (outcome, stats) = machine.run(options).expect("runs");
    (outcome, stats, serial.output())
}

fn options(timeout: Duration) -> RunOptions {
    let engine = EngineConfig { tier: Tier::T0, ..EngineConfig::default() };
    RunOptions { engine, timeout: Some(timeout), ..RunOptions::default() }
}

const LONG: Duration = Duration::from_secs(60);

/// Switches the GICv2 and PPI 27 on, arms the virtual timer for 20 ms, sleeps, prints what it acknowledged.
const SLEEP: &[u32] = &[
    0xd2a1_0001, // mov  x1, #0x08000000
    0x5280_0022, // mov  w2, #1
    0xb900_0022, // str  w2, [x1]             GICD_CTLR
    0x52a1_0003, // mov  w3, #0x08000000
    0xb901_0023, // str  w3, [x1, #0x100]     GICD_ISENABLER0
    0xd2a1_0021, // mov  x1, #0x08010000
    0xb900_0022, // str  w2, [x1]             GICC_CTLR
    0x5280_1fe3, // mov  w3, #0xff
    0xb900_0423, // str  w3, [x1, #4]         GICC_PMR
    0xd29a_1204, // mov  x4, #0xd090
    0xf2a0_0264, // movk x4, #0x13, lsl #16
    0xd51b_e304, // msr  cntv_tval_el0, x4
    0xd51b_e322, // msr  cntv_ctl_el0, x2
    0xd503_207f, // wfi
    0xb940_0c25, // ldr  w5, [x1, #0xc]       GICC_IAR
    0x1100_98a5, // add  w5, w5, #38
    0xd2a1_2006, // mov  x6, #0x09000000
    0xb900_00c5, // str  w5, [x6]             UARTDR
    0x52b0_8000, // mov  w0, #0x84000000
    0x1100_2000, // add  w0, w0, #8
    0xd400_0002, // hvc  #0                   SYSTEM_OFF
    0x1400_0000, // b    .
];

#[test]
fn sleeping_until_a_timer_fires() {
    let start = Instant::now();
    let (outcome, stats, output) = run(SLEEP, &options(LONG));
    assert_eq!((outcome, output.as_slice()), (Outcome::PowerOff, &b"A"[..]));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(stats.cpu.sleeps() > 0, "it did not sleep");
    assert!(stats.mmu.misses > 0 && stats.mmu.mmio_writes > 0, "{:?}", stats.mmu);
    assert!(stats.engine.retired < 1000, "{} instructions: it span", stats.engine.retired);
    let text = stats.to_string();
    assert!(text.contains("instructions") && text.contains("t0 100.00 %"), "{text}");
}

/// Prints a dot, counts its starts in RAM, resets until the third, then powers off.
const RESETS: &[u32] = &[
    0xd2a8_2001, // mov  x1, #0x41000000
    0xb940_0022, // ldr  w2, [x1]
    0x1100_0442, // add  w2, w2, #1
    0xb900_0022, // str  w2, [x1]
    0xd2a1_2006, // mov  x6, #0x09000000
    0x5280_05c5, // mov  w5, #'.'
    0xb900_00c5, // str  w5, [x6]             UARTDR
    0x52b0_8000, // mov  w0, #0x84000000
    0x7100_0c5f, // cmp  w2, #3
    0x5280_0103, // mov  w3, #8               SYSTEM_OFF
    0x5280_0124, // mov  w4, #9               SYSTEM_RESET
    0x1a84_0063, // csel w3, w3, w4, eq
    0x0b03_0000, // add  w0, w0, w3
    0xd400_0003, // smc  #0
    0x1400_0000, // b    .
];

#[test]
fn resets() {
    let (outcome, stats, output) = run(RESETS, &options(LONG));
    assert_eq!((outcome, stats.resets, output.as_slice()), (Outcome::PowerOff, 2, &b"..."[..]));
    let (outcome, stats, output) = run(RESETS, &RunOptions { no_reboot: true, ..options(LONG) });
    assert_eq!((outcome, stats.resets, output.as_slice()), (Outcome::Reset, 0, &b"."[..]));
}

/// A guest that spins, one that sleeps for ever, one that switches its only CPU off: the time limit ends them.
#[test]
fn the_time_limit_ends_every_guest() {
    let spin: &[u32] = &[0x1400_0000];
    let sleep = &[0xd503_207f, 0x17ff_ffff];
    // mov w0, #0x84000000; add w0, w0, #2 (CPU_OFF); hvc #0; udf #0
    let off = &[0x52b0_8000, 0x1100_0800, 0xd400_0002, 0];
    for code in [spin, sleep, off] {
        let (outcome, stats, _) = run(code, &options(Duration::from_millis(200)));
        assert_eq!(outcome, Outcome::Timeout);
        assert!(stats.wall >= Duration::from_millis(200) && stats.wall < Duration::from_secs(30));
    }
}

#[test]
fn another_thread_ends_the_run() {
    let (mut machine, _) = machine(&[0xd503_207f, 0x17ff_ffff]);
    let power = machine.power().clone();
    let quitter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        power.request(Outcome::Quit);
    });
    let outcome = machine.run(&options(LONG)).map(|(outcome, _)| outcome).expect("runs");
    quitter.join().expect("no panic");
    assert_eq!(outcome, Outcome::Quit);
}

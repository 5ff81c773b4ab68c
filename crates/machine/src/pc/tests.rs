//! Small guests, entered by multiboot.

use std::time::Duration;

use lyrebird_devices::MemoryChar;
use lyrebird_jit::{EngineConfig, Tier};

use super::*;

/// A multiboot kernel of this 32-bit code, at 1 MiB.
pub(crate) fn kernel(code: &[u8]) -> Vec<u8> {
    const FLAGS: u32 = 1 << 16;
    const MAGIC: u32 = 0x1bad_b002;
    let words = [
        MAGIC,
        FLAGS,
        0u32.wrapping_sub(MAGIC).wrapping_sub(FLAGS),
        0x10_0000, // header_addr
        0x10_0000, // load_addr
        0,         // load_end_addr
        0,         // bss_end_addr
        0x10_0020, // entry_addr
    ];
    words.iter().flat_map(|w| w.to_le_bytes()).chain(code.iter().copied()).collect()
}

fn run(code: &[u8], model: &str, no_reboot: bool) -> (Outcome, MachineStats, String) {
    start(config(model), PcFiles { kernel: kernel(code), ..PcFiles::default() }, no_reboot)
}

fn config(model: &str) -> PcConfig {
    PcConfig { memory: 16 << 20, cpu: CpuModel::by_name(model).expect("a model"), firmware: None }
}

fn start(config: PcConfig, files: PcFiles, no_reboot: bool) -> (Outcome, MachineStats, String) {
    let serial = Arc::new(MemoryChar::new());
    let mut m = PcMachine::new(config, serial.clone()).expect("a machine");
    m.load(files).expect("loads");
    let options = RunOptions {
        engine: EngineConfig { tier: Tier::T0, ..EngineConfig::default() },
        timeout: Some(Duration::from_secs(60)),
        no_reboot,
        ..RunOptions::default()
    };
    let (outcome, stats) = m.run(&options).expect("runs");
    (outcome, stats, String::from_utf8_lossy(&serial.output()).into_owned())
}

#[test]
fn a_guest_talks_and_ends_the_emulator() {
    let code = [
        0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xb0, b'K', //             mov al, 'K'
        0xee, //                   out dx, al
        0x3d, 0x4b, 0xb0, 0xad, 0x2b, // cmp eax, 0x2badb04b
        0x75, 0xfe, //             jne .
        0xb0, 0x10, //             mov al, 0x10
        0xe6, 0xf4, //             out 0xf4, al
        0xeb, 0xfe, //             jmp .
    ];
    let (outcome, stats, output) = run(&code, "i686", false);
    assert_eq!((outcome, output.as_str()), (Outcome::Exit(0x21), "K"));
    assert_eq!(stats.resets, 0);
}

#[test]
fn a_guest_asks_fw_cfg_how_many_processors_there_are() {
    let code = [
        0x66, 0xba, 0x10, 0x05, //       mov dx, 0x510
        0x66, 0xb8, 0x05, 0x00, //       mov ax, 5           FW_CFG_NB_CPUS
        0x66, 0xef, //                   out dx, ax
        0x42, //                         inc edx
        0xec, //                         in al, dx
        0xe6, 0xf4, //                   out 0xf4, al
        0xeb, 0xfe, //                   jmp .
    ];
    assert_eq!(run(&code, "i686", false).0, Outcome::Exit(1 << 1 | 1));
}

#[test]
fn cpuid_hides_a_local_apic_that_is_switched_off() {
    let cpuid = [
        0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1
        0x0f, 0xa2, //                   cpuid
        0xc1, 0xea, 0x09, //             shr edx, 9
        0x88, 0xd0, //                   mov al, dl
        0x24, 0x01, //                   and al, 1
        0xe6, 0xf4, //                   out 0xf4, al
        0xeb, 0xfe, //                   jmp .
    ];
    let off = [
        0xb9, 0x1b, 0x00, 0x00, 0x00, // mov ecx, 0x1b       IA32_APIC_BASE
        0x0f, 0x32, //                   rdmsr
        0x0f, 0xba, 0xf0, 0x0b, //       btr eax, 11
        0x0f, 0x30, //                   wrmsr
    ];
    assert_eq!(run(&cpuid, "x86-64-v2", false).0, Outcome::Exit(1 << 1 | 1));
    assert_eq!(run(&[&off[..], &cpuid].concat(), "x86-64-v2", false).0, Outcome::Exit(1));
}

#[test]
fn multiboot_kernels_load_below_640_kib() {
    // The command line is read through EBX.
    let code = [
        0x8b, 0x43, 0x10, // mov eax, [ebx + 16]
        0x8a, 0x40, 0x07, // mov al, [eax + 7]               behind "kernel "
        0xe6, 0xf4, //       out 0xf4, al
        0xeb, 0xfe, //       jmp .
    ];
    let mut file = kernel(&code);
    for (at, address) in [(12, 0x8000u32), (16, 0x8000), (28, 0x8020)] {
        file[at..at + 4].copy_from_slice(&address.to_le_bytes());
    }
    let files = PcFiles { kernel: file, cmdline: String::from("Hello"), ..PcFiles::default() };
    assert_eq!(start(config("486"), files, false).0, Outcome::Exit(u32::from(b'H') << 1 | 1));
}

#[test]
fn firmware_starts_at_the_reset_vector() {
    let mut image = vec![0xff; 64 << 10];
    // At the reset vector, in the ROM: jmp 0xf000:0x0000, to the copy.
    image[0xfff0..0xfff5].copy_from_slice(&[0xea, 0x00, 0x00, 0x00, 0xf0]);
    let code = [
        0x2e, 0xc6, 0x06, 0x40, 0x00, 0x21, // mov byte [cs:0x40], 0x21
        0x2e, 0xa0, 0x40, 0x00, //             mov al, [cs:0x40]
        0xe6, 0xe9, //                         out 0xe9, al
        0xe6, 0xf4, //                         out 0xf4, al
        0xeb, 0xfe, //                         jmp .
    ];
    image[..code.len()].copy_from_slice(&code);
    for model in ["486", "x86-64-v2"] {
        let config = PcConfig { firmware: Some(image.clone()), ..config(model) };
        let (outcome, _, output) = start(config, PcFiles::default(), true);
        assert_eq!((outcome, output.as_str()), (Outcome::Exit(0x21 << 1 | 1), "!"), "{model}");
    }
    for size in [0, 4096, 65537, 17 << 20] {
        let config = PcConfig { firmware: Some(vec![0; size]), ..PcConfig::default() };
        assert!(config.check().is_err_and(|e| e.to_string().starts_with("firmware: ")), "{size}");
    }
}

#[test]
fn lowering_the_task_priority_lets_an_interrupt_in_at_once() {
    let mut image = vec![0x90; 0x100];
    let code = [
        &[0x0f, 0x01, 0x1d, 0xf0, 0x00, 0x10, 0x00][..], //             lidt [0x1000f0]
        &[0xc7, 0x05, 0x80, 0x00, 0xe0, 0xfe, 0xf0, 0x00, 0x00, 0x00], // mov dword [TPR], 0xf0
        &[0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe, 0x3e, 0x00, 0x04, 0x00], // mov dword [ICR], self, vector 0x3e
        &[0xfb],                                         //             sti
        &[0xc7, 0x05, 0x80, 0x00, 0xe0, 0xfe, 0x00, 0x00, 0x00, 0x00], // mov dword [TPR], 0
        &[0xb0, 0x01],                                   //             mov al, 1
        &[0xe6, 0xf4],                                   //             out 0xf4, al
    ]
    .concat();
    image[..code.len()].copy_from_slice(&code);
    // At 0x1000a0: mov al, 2; out 0xf4, al
    image[0x80..0x84].copy_from_slice(&[0xb0, 0x02, 0xe6, 0xf4]);
    // At 0x1000f0 limit and base of the IDT, whose last entry is the gate at 0x100100.
    image[0xd0..0xd6].copy_from_slice(&[0xf7, 0x01, 0x10, 0xff, 0x0f, 0x00]);
    image[0xe0..0xe8].copy_from_slice(&[0xa0, 0x00, 0x10, 0x00, 0x00, 0x8e, 0x10, 0x00]);
    assert_eq!(run(&image, "i686", false).0, Outcome::Exit(2 << 1 | 1));
}

#[test]
fn a_store_to_code_shows_at_the_next_call() {
    let code = [
        0xbc, 0x00, 0x00, 0x20, 0x00, //             mov esp, 0x200000
        0xe8, 0x12, 0x00, 0x00, 0x00, //             call f
        0xc6, 0x05, 0x3d, 0x00, 0x10, 0x00, 0x02, // mov byte [f + 1], 2
        0xe8, 0x06, 0x00, 0x00, 0x00, //             call f
        0xe6, 0xf4, //                               out 0xf4, al
        0xeb, 0xfe, //                               jmp .
        0x90, 0x90, //                               nop; nop
        0xb0, 0x01, //                            f: mov al, 1
        0xc3, //                                     ret
    ];
    assert_eq!(run(&code, "i686", false).0, Outcome::Exit(2 << 1 | 1));
}

#[test]
fn a_guest_finds_the_end_of_conventional_memory() {
    let code = [
        0x66, 0xa1, 0x13, 0x04, 0x00, 0x00, // mov ax, [0x413]   KiB
        0xc1, 0xe0, 0x06, //                   shl eax, 6        as a segment
        0x66, 0x3b, 0x05, 0x0e, 0x04, 0x00, 0x00, // cmp ax, [0x40e]   the extended BIOS data area
        0x0f, 0x94, 0xc0, //                   sete al
        0xe6, 0xf4, //                         out 0xf4, al
        0xeb, 0xfe, //                         jmp .
    ];
    assert_eq!(run(&code, "486", false).0, Outcome::Exit(3));
}

#[test]
fn a_guest_powers_off_by_acpi() {
    let code = [
        0x66, 0xba, 0x04, 0x06, //       mov dx, 0x604       PM1_CNT
        0x66, 0xb8, 0x00, 0x20, //       mov ax, 0x2000      SLP_EN, SLP_TYP of S5
        0x66, 0xef, //                   out dx, ax
        0xeb, 0xfe, //                   jmp .
    ];
    for model in ["x86-64-v2", "486"] {
        assert_eq!(run(&code, model, false).0, Outcome::PowerOff, "{model}");
    }
}

#[test]
fn a_guest_resets() {
    // A byte in the clock's RAM counts the starts: it keeps its battery.
    let count = [
        0xb0, 0x70, //             mov al, 0x70
        0xe6, 0x70, //             out 0x70, al
        0xe4, 0x71, //             in al, 0x71
        0xfe, 0xc0, //             inc al
        0xe6, 0x71, //             out 0x71, al
        0x3c, 0x03, //             cmp al, 3
        0x75, 0x0a, //             jne 1f
        0x66, 0xba, 0x04, 0x06, // mov dx, 0x604
        0x66, 0xb8, 0x00, 0x20, // mov ax, 0x2000
        0x66, 0xef, //             out dx, ax
    ];
    let by_port: &[u8] = &[0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe]; // mov dx, 0xcf9; mov al, 6; out dx, al
    let by_keyboard: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe]; // mov al, 0xfe; out 0x64, al
    let by_fault: &[u8] = &[0x0f, 0x0b]; // ud2, without an IDT
    for way in [by_port, by_keyboard, by_fault] {
        let code = [&count[..], way].concat();
        let (outcome, stats, _) = run(&code, "i686", false);
        assert_eq!((outcome, stats.resets), (Outcome::PowerOff, 2), "{way:x?}");
        assert_eq!(run(&code, "i686", true).0, Outcome::Reset, "{way:x?}");
    }
}

#[test]
fn memory_of_every_size_has_a_machine() {
    let serial: Arc<dyn CharBackend> = Arc::new(MemoryChar::new());
    for (memory, model) in [(4, "486"), (3583, "i686"), (3584, "i686"), (5120, "x86-64-v2")] {
        let cpu = CpuModel::by_name(model).expect("a model");
        let config = PcConfig { memory: memory << 20, cpu, firmware: None };
        let m = PcMachine::new(config.clone(), serial.clone()).expect("a machine");
        let ram = Ram::split(config.memory);
        assert!(m.phys().ram_ptr(ram.low - 1, 1).is_some() && m.phys().ram_ptr(ram.low, 1).is_none());
        assert_eq!(m.phys().ram_ptr(map::HIGH_BASE, 1).is_some(), ram.high > 0);
        assert!(m.phys().ram_ptr(0xb_8000, 1).is_none(), "the VGA window");
    }
    let cpu = CpuModel::by_name("486").expect("a model");
    let too_much = PcConfig { memory: 4 << 30, cpu, firmware: None };
    assert!(too_much.check().is_err());
}

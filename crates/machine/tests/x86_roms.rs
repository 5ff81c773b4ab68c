//! The bare-metal x86 test ROMs (`test-roms/x86`) on every tier.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lyrebird_devices::MemoryChar;
use lyrebird_jit::{EngineConfig, Tier};
use lyrebird_machine::pc::{PcConfig, PcFiles, PcMachine};
use lyrebird_machine::{Outcome, RunOptions};

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test-roms").join(path)
}

/// Runs a ROM on the tiers, and with both beside each other; reports all lines that are not the expected ones.
fn check(name: &str) {
    let expected =
        fs::read_to_string(file(&format!("expected/x86-{name}.txt"))).expect("its expected output");
    let kernel = fs::read(file(&format!("prebuilt/x86-{name}.elf"))).expect("a prebuilt ROM");
    let mut wrong = String::new();
    for (tier, verify) in [(Tier::T0, false), (Tier::T1, false), (Tier::Auto, false), (Tier::Auto, true)] {
        let serial = Arc::new(MemoryChar::new());
        // Less than the hot code of one of them takes; but not where all code is compiled, again and again.
        let crowded = name.starts_with("hostile") && tier != Tier::T1;
        let code_bytes = if crowded { 256 << 10 } else { EngineConfig::default().code_bytes };
        let config = PcConfig { memory: 128 << 20, ..PcConfig::default() };
        let mut machine = PcMachine::new(config, serial.clone()).expect("a machine");
        machine.load(PcFiles { kernel: kernel.clone(), ..PcFiles::default() }).expect("loads");
        let run = machine.run(&RunOptions {
            engine: EngineConfig { tier, verify, hot_threshold: 100, code_bytes, ..EngineConfig::default() },
            timeout: Some(Duration::from_secs(300)),
            no_reboot: true,
            ..RunOptions::default()
        });
        let output = String::from_utf8_lossy(&serial.output()).replace('\r', "");
        let outcome = match run {
            Ok((Outcome::PowerOff, _)) if output == expected => continue,
            Ok((outcome, _)) => format!("{outcome:?}"),
            Err(e) => e.to_string(),
        };
        wrong += &format!("\n{tier:?}, verify {verify}: {outcome}\n");
        for line in output.lines().filter(|l| !expected.lines().any(|e| e == *l)) {
            wrong += &format!("  got  {line}\n");
        }
        for line in expected.lines().filter(|l| !output.lines().any(|o| o == *l)) {
            wrong += &format!("  want {line}\n");
        }
    }
    assert!(wrong.is_empty(), "{name}:{wrong}");
}

macro_rules! roms {
    ($($test:ident $name:literal)*) => {
        $(#[test] fn $test() { check($name); })*
    };
}

roms! {
    apic "apic"
    apic_64 "apic-64"
    exceptions "exceptions"
    exceptions_64 "exceptions-64"
    fpu "fpu"
    fpu_64 "fpu-64"
    hostile_64 "hostile-64"
    modes "modes"
    paging "paging"
    paging_64 "paging-64"
    smc "smc"
    smc_64 "smc-64"
    strings "strings"
    strings_64 "strings-64"
    tasks "tasks"
}

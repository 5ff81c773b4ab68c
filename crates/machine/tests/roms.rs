//! The bare-metal test ROMs (`test-roms/`) on every tier and both interrupt controllers.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lyrebird_devices::MemoryChar;
use lyrebird_jit::{EngineConfig, Tier};
use lyrebird_machine::{BootFiles, GicVersion, Outcome, RunOptions, VirtConfig, VirtMachine};

use GicVersion::{V2, V3};

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../test-roms").join(path)
}

fn load(name: &str, gic: GicVersion, input: &[u8]) -> (VirtMachine, Arc<MemoryChar>) {
    let serial = Arc::new(MemoryChar::new());
    serial.feed(input);
    let config = VirtConfig { memory: 128 << 20, gic, ..VirtConfig::default() };
    let mut machine = VirtMachine::new(config, serial.clone()).expect("a machine");
    let kernel = fs::read(file(&format!("prebuilt/{name}.elf"))).expect("a prebuilt ROM");
    machine.load(BootFiles { kernel, ..BootFiles::default() }).expect("loads");
    (machine, serial)
}

fn options(engine: EngineConfig) -> RunOptions {
    RunOptions { engine, timeout: Some(Duration::from_secs(300)), ..RunOptions::default() }
}

fn engine(tier: Tier, verify: bool) -> EngineConfig {
    EngineConfig { tier, verify, hot_threshold: 100, ..EngineConfig::default() }
}

fn tiers() -> [(&'static str, EngineConfig); 3] {
    [("t0", engine(Tier::T0, false)), ("t1", engine(Tier::T1, false)), ("auto", engine(Tier::Auto, false))]
}

/// Both tiers beside each other.
fn verify() -> [(&'static str, EngineConfig); 1] {
    [("verify", engine(Tier::Auto, true))]
}

/// Runs a ROM on the engines and interrupt controllers; reports all lines that are not the expected ones.
fn check(name: &str, engines: &[(&str, EngineConfig)], gics: &[GicVersion]) {
    let expected = fs::read_to_string(file(&format!("expected/{name}.txt"))).expect("its expected output");
    let mut wrong = String::new();
    for (tier, engine) in engines {
        for &gic in gics {
            let (mut machine, serial) = load(name, gic, b"");
            let run = machine.run(&options(engine.clone()));
            let output = String::from_utf8_lossy(&serial.output()).replace('\r', "");
            match run {
                Ok((Outcome::PowerOff, _)) if output == expected => continue,
                Ok((outcome, stats)) => {
                    wrong += &format!("\n{tier}, {gic:?}: {outcome:?} after {:?}\n", stats.wall);
                }
                Err(e) => wrong += &format!("\n{tier}, {gic:?}: {e}\n"),
            }
            let (mut got, mut want) = (output.lines(), expected.lines());
            loop {
                match (got.next(), want.next()) {
                    (None, None) => break,
                    (g, w) if g != w => {
                        wrong += &format!("  got  {}\n  want {}\n", g.unwrap_or("-"), w.unwrap_or("-"));
                        if g.is_none() {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:{wrong}");
}

#[test]
fn exceptions() {
    check("exceptions", &tiers(), &[V2, V3]);
}

#[test]
fn timer() {
    check("timer", &tiers(), &[V2, V3]);
}

#[test]
fn gicv2() {
    check("gicv2", &tiers(), &[V2]);
}

#[test]
fn gicv3() {
    check("gicv3", &tiers(), &[V3]);
}

#[test]
fn smc() {
    check("smc", &tiers(), &[V2]);
}

#[test]
fn tlb() {
    check("tlb", &tiers(), &[V2]);
}

#[test]
fn memory() {
    check("memory", &tiers(), &[V2]);
}

#[test]
fn simdfp() {
    check("simdfp", &tiers(), &[V2]);
}

#[test]
fn loops() {
    check("loops", &tiers(), &[V2]);
}

#[test]
fn timer_verified() {
    check("timer", &verify(), &[V2, V3]);
}

#[test]
fn exceptions_verified() {
    check("exceptions", &verify(), &[V2]);
}

#[test]
fn gicv2_verified() {
    check("gicv2", &verify(), &[V2]);
}

#[test]
fn gicv3_verified() {
    check("gicv3", &verify(), &[V3]);
}

#[test]
fn simdfp_verified() {
    check("simdfp", &verify(), &[V2]);
}

#[test]
fn tlb_verified() {
    check("tlb", &verify(), &[V2]);
}

#[test]
fn smc_verified() {
    check("smc", &verify(), &[V2]);
}

#[test]
fn memory_verified() {
    check("memory", &verify(), &[V2]);
}

#[test]
fn loops_verified() {
    check("loops", &verify(), &[V2]);
}

/// With less room for compiled code than the ROM has hot code; but not where all code is compiled, again and again.
fn crowded(engines: &[(&'static str, EngineConfig)]) -> Vec<(&'static str, EngineConfig)> {
    let small = |e: &EngineConfig| if e.tier == Tier::T1 { e.code_bytes } else { 256 << 10 };
    engines.iter().map(|(name, e)| (*name, EngineConfig { code_bytes: small(e), ..e.clone() })).collect()
}

#[test]
fn hostile() {
    check("hostile", &crowded(&tiers()), &[V2]);
}

#[test]
fn hostile_verified() {
    check("hostile", &crowded(&verify()), &[V2]);
}

/// The monitor answers what is typed; a fault in `dump` is reported and survived.
#[test]
fn monitor() {
    for gic in [V2, V3] {
        let (mut machine, serial) = load("monitor", gic, b"tess\x7ft\rdump 9020000\rfoo\x15off\r");
        let (outcome, _) = machine.run(&options(EngineConfig::default())).expect("runs");
        let output = String::from_utf8_lossy(&serial.output()).replace('\r', "");
        assert_eq!(outcome, Outcome::PowerOff, "{output}");
        for text in ["14 passed, 0 failed", "external abort at 0000000009020000", "lyrebird> ", "power off"] {
            assert!(output.contains(text), "no \"{text}\" in\n{output}");
        }
    }
}

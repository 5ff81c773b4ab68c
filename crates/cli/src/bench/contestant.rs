//! What runs the suite.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::image::seconds;
use super::measure::Plan;
use super::session::{self, Limits};
use super::suite::Workload;
use super::table::Table;
use crate::args::{Against, Board, TierArg};
use crate::message;

/// How long KVM may take to boot the guest; some hosts offer a KVM in which kernels get stuck.
const PROBE: Duration = Duration::from_secs(30);

/// How long QEMU may take to boot.
const QEMU_BOOT: Duration = Duration::from_secs(60);

/// How a contestant runs programs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Runner {
    /// Without an emulator.
    Native,
    /// `qemu-system-*` with an accelerator and a CPU model.
    Qemu { program: String, accelerator: &'static str, cpu: String },
    /// This program, with a tier.
    Lyrebird { program: PathBuf, tier: TierArg, cpu: String },
}

/// One that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contestant {
    /// For reports.
    pub name: String,
    /// Version and CPU model.
    pub about: String,
    runner: Runner,
}

impl Contestant {
    /// Whether it is the bare host, which has nothing to boot.
    pub fn native(&self) -> bool {
        self.runner == Runner::Native
    }

    /// Whether it is Lyrebird, whose failures are ours.
    pub fn own(&self) -> bool {
        matches!(self.runner, Runner::Lyrebird { .. })
    }

    /// How often it may try to boot, and how long each time. QEMU 7.2 loses Debian's 6.12 for amd64 every other time,
    /// early: it ends, or hangs.
    pub fn tries(&self, limit: Duration) -> (u32, Duration) {
        if matches!(self.runner, Runner::Qemu { .. }) { (6, limit.min(QEMU_BOOT)) } else { (1, limit) }
    }

    /// The process that boots the guest and runs these workloads in it.
    pub fn command(&self, plan: &Plan<'_>, workloads: &[&Workload]) -> Option<Command> {
        let names: Vec<&str> = workloads.iter().map(|w| w.name).collect();
        let append = format!(
            "{} panic=-1 bench={} seconds={}",
            plan.guest.append,
            names.join(","),
            seconds(plan.args.seconds)
        );
        let board = plan.guest.board;
        let mut command = match &self.runner {
            Runner::Native => return None,
            Runner::Qemu { program, accelerator, cpu } => {
                let mut c = Command::new(program);
                c.args(["-accel", accelerator, "-M", board.name(), "-cpu", cpu, "-m", "1024"]);
                c.args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"]);
                if board == Board::Pc {
                    // No network and display, as here.
                    c.arg("-nodefaults");
                }
                c
            }
            Runner::Lyrebird { program, tier, cpu } => {
                let mut c = Command::new(program);
                c.args(["run", "--machine", board.name(), "--cpu", cpu, "--memory", "1G"]);
                c.args(["--tier", tier.name(), "--no-reboot"]);
                c
            }
        };
        // One dash or two is the same to QEMU.
        command.arg("--kernel").arg(&plan.files.kernel).arg("--initrd").arg(plan.files.initrd(workloads));
        command.arg("--append").arg(append);
        Some(command)
    }
}

/// The program that emulates a Debian architecture, and the Debian package it is in.
fn qemu(arch: &str) -> (&'static str, &'static str) {
    match arch {
        "arm64" => ("qemu-system-aarch64", "qemu-system-arm"),
        _ => ("qemu-system-x86_64", "qemu-system-x86"),
    }
}

/// Whether this host executes programs of a Debian architecture.
fn same_isa(arch: &str) -> bool {
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    cfg!(target_os = "linux") && own == arch
}

/// The first line of what `program --version` says.
fn version(program: &str) -> std::io::Result<String> {
    let out = Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_string())
}

/// Those that take part, the yardsticks first.
#[derive(Debug)]
pub struct Contestants(pub Vec<Contestant>);

impl Contestants {
    /// Finds out what there is; what was asked for and is not there is noted in the table.
    pub fn find(plan: &Plan<'_>, table: &mut Table) -> Result<Contestants> {
        let (args, arch) = (plan.args, plan.guest.arch);
        let asked = |what| args.against.contains(&what);
        let wanted = |what| args.against.is_empty() || asked(what);
        let mut all = Vec::new();
        let mut leave_out = |who: &str, why: String| {
            let text = format!("{who} is left out: {why}");
            message::note(&text);
            table.note(text);
        };
        if wanted(Against::Native) {
            if same_isa(arch) {
                let (name, about) = (String::from("native"), String::from("the bare host"));
                all.push(Contestant { name, about, runner: Runner::Native });
            } else {
                let host = std::env::consts::ARCH;
                leave_out("native", format!("this host is {host}, the guest's programs are {arch}"));
            }
        }
        let (program, package) = qemu(arch);
        let found = version(program);
        if wanted(Against::Kvm) {
            let found = match &found {
                Ok(_) => kvm(plan, program),
                Err(_) => Err(format!("{program} is not installed (Debian package {package})")),
            };
            match found {
                Ok(contestant) => all.push(contestant),
                Err(why) => leave_out("KVM", why),
            }
        }
        if wanted(Against::Qemu) {
            let usual = if arch == "arm64" { "cortex-a57" } else { "max,la57=off" };
            let cpu = args.qemu_cpu.clone().unwrap_or_else(|| String::from(usual));
            match found {
                Ok(version) => all.push(Contestant {
                    name: String::from("QEMU TCG"),
                    about: format!("{version}, -cpu {cpu}"),
                    runner: Runner::Qemu { program: String::from(program), accelerator: "tcg", cpu },
                }),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    leave_out("QEMU TCG", format!("{program} is not installed (Debian package {package})"));
                }
                Err(e) => leave_out("QEMU TCG", format!("{program}: {e}")),
            }
        }
        let usual = if arch == "arm64" { "cortex-a57" } else { "x86-64-v2" };
        let cpu = args.cpu.clone().unwrap_or_else(|| String::from(usual));
        let program = match &args.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("path of this program")?,
        };
        for (n, &tier) in args.tier.iter().enumerate() {
            if !args.tier[..n].contains(&tier) {
                all.push(Contestant {
                    name: format!("Lyrebird {}", tier.name()),
                    about: format!("{}, --tier {} --cpu {cpu}", env!("CARGO_PKG_VERSION"), tier.name()),
                    runner: Runner::Lyrebird { program: program.clone(), tier, cpu: cpu.clone() },
                });
            }
        }
        Ok(Contestants(all))
    }
}

/// KVM, if it really boots the guest; otherwise why not.
fn kvm(plan: &Plan<'_>, program: &str) -> Result<Contestant, String> {
    if !same_isa(plan.guest.arch) {
        return Err(String::from("the guest has another instruction set than this host"));
    }
    if !Path::new("/dev/kvm").exists() {
        return Err(String::from("this host has no /dev/kvm"));
    }
    let runner =
        Runner::Qemu { program: String::from(program), accelerator: "kvm", cpu: String::from("host") };
    let (name, about) = (String::from("KVM"), format!("{program} -accel kvm -cpu host"));
    let contestant = Contestant { name, about, runner };
    message::note("trying whether KVM boots the guest");
    let command = contestant.command(plan, &[]).ok_or("it cannot be started")?;
    match session::run(command, Limits { boot: PROBE, result: PROBE }, plan.stop, &mut |_| {}) {
        Ok(heard) if heard.done => Ok(contestant),
        Ok(heard) if heard.end == session::End::Hung => Err(format!(
            "/dev/kvm is there, but the guest does not come up in it within {} s",
            PROBE.as_secs()
        )),
        Ok(heard) => Err(format!("the guest does not boot in it: {}", heard.tail.join(" / "))),
        Err(e) => Err(message::chain(&e)),
    }
}

//! `lyrebird` and `lyrebird run`: from the command line to a machine that runs, and to an exit code.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use lyrebird_machine::fdt::{Chosen, Seeds};
use lyrebird_machine::{
    BootFiles, EngineConfig, MachineError, MachineStats, MmuConfig, MmuMode, Outcome, PcConfig, RunOptions,
    Tier, VirtConfig, VirtMachine, Which,
};

use crate::args::{Board, MachineArgs, MmuArg, RunArgs, Serial, TierArg};
use crate::console::{self, Console, Pump};
use crate::guests;
use crate::machine::{Config, Machine};
use crate::message::{self, note};
use crate::roms::{self, Rom};
use crate::terminal::{RawTerminal, signals};

/// Exit code: the guest powered off, or the user quit.
pub const SUCCESS: u8 = 0;
/// Exit code: bad input, or the host refuses something.
pub const FAILURE: u8 = 1;
/// Exit code: the time limit passed, as `timeout(1)` has it.
pub const TIMED_OUT: u8 = 124;

/// Stack of the vCPU's thread. The interpreter's handlers call each other in tail position; where the compiler
/// does not make jumps of that, the depth of a slice has to fit.
const VCPU_STACK: usize = 64 << 20;

/// How long output may take to drain when nobody waits for it any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What there is to boot.
struct Job {
    /// For the user.
    what: String,
    files: BootFiles,
    /// Where the files came from, by the name that errors call them.
    paths: Vec<(&'static str, PathBuf)>,
    /// What the guest reads when standard input, not being a terminal, ends.
    at_end: &'static [u8],
}

/// Boots the built-in monitor.
pub fn monitor(args: &MachineArgs) -> Result<u8> {
    let config = Config::new(args, Board::Virt)?;
    let monitor = roms::monitor(config.board())?;
    boot(args, config, rom_job(monitor))
}

/// A built-in ROM. Where the input of the monitors ends, they are told to power off.
fn rom_job(rom: &Rom) -> Job {
    let monitor = roms::monitor(rom.board).is_ok_and(|m| m == rom);
    Job {
        what: if monitor { String::from("the monitor") } else { String::from(rom.name) },
        files: BootFiles { kernel: rom.image.to_vec(), ..BootFiles::default() },
        paths: Vec::new(),
        // Ctrl-U discards a line that was begun.
        at_end: if monitor { b"\x15off\r" } else { b"" },
    }
}

/// `lyrebird run`.
pub fn run(args: &RunArgs) -> Result<u8> {
    let named = args.guest.as_deref().map(guests::named).transpose()?;
    let rom = args.rom.as_deref().map(roms::named).transpose()?;
    let meant = named.map(|g| (g.name, g.board)).or(rom.map(|r| (r.name, r.board)));
    let config = Config::new(&args.machine, meant.map_or(Board::Virt, |(_, board)| board))?;
    if let Some((name, board)) = meant
        && board != config.board()
    {
        bail!("{name} is for --machine {}, not {}", board.name(), config.board().name());
    }
    if config.board() == Board::Pc && (args.dtb.is_some() || args.dump_dtb.is_some()) {
        bail!("the pc board has no device tree: give --dtb and --dump-dtb with --machine virt");
    }
    if let Some(path) = &args.firmware {
        return firmware(&args.machine, config, path);
    }
    // Before anything is fetched.
    config.check()?;
    if let Some(rom) = rom {
        return boot(&args.machine, config, rom_job(rom));
    }
    if named.is_none() && args.kernel.is_none() && args.dump_dtb.is_none() {
        return monitor(&args.machine);
    }
    let memory = args.machine.memory;
    let dtb = args.dtb.as_deref().map(|p| read("device tree", p, memory)).transpose()?;
    let job = match (named, &args.kernel) {
        (Some(named), _) => guest(named, args, memory)?,
        (None, Some(path)) => Job {
            what: path.display().to_string(),
            files: BootFiles {
                kernel: read("kernel", path, memory)?,
                initrd: initrd(args, memory)?,
                // A tree that was given keeps its own command line.
                cmdline: args.append.clone().or_else(|| dtb.is_none().then(String::new)),
                dtb: None,
            },
            paths: vec![("kernel", path.clone())],
            at_end: b"",
        },
        // The command line demands a kernel for everything but this.
        (None, None) => {
            let Config::Virt(config) = &config else { bail!("nothing to boot; give --kernel FILE") };
            let chosen = Chosen { bootargs: args.append.as_deref(), initrd: None, seeds: Seeds::default() };
            return dump_dtb(args, &VirtMachine::device_tree(config, None, &chosen)?);
        }
    };
    let mut job = Job { files: BootFiles { dtb, ..job.files }, ..job };
    job.paths.extend(args.initrd.clone().map(|p| ("initrd", p)));
    job.paths.extend(args.dtb.clone().map(|p| ("device tree", p)));
    if let (Some(_), Config::Virt(config)) = (&args.dump_dtb, &config) {
        let console = Console::start(io::sink())?;
        // Reproducible: the same command line gives the same tree.
        let config = VirtConfig { seeds: Some(Seeds::default()), ..config.clone() };
        let mut machine = VirtMachine::new(config, console)?;
        machine.load(job.files).map_err(|e| cannot_boot(e, &job.what, &job.paths))?;
        return dump_dtb(args, machine.dtb().unwrap_or_default());
    }
    boot(&args.machine, config, job)
}

/// A PC that starts like one, from its reset vector.
fn firmware(args: &MachineArgs, config: Config, path: &Path) -> Result<u8> {
    let Config::Pc(config) = config else { bail!("--firmware is for --machine pc") };
    let config = Config::Pc(PcConfig { firmware: Some(read("firmware", path, args.memory)?), ..config });
    let (what, paths) = (path.display().to_string(), vec![("firmware", path.to_path_buf())]);
    config.check().map_err(|e| cannot_boot(e, &what, &paths))?;
    boot(args, config, Job { what, files: BootFiles::default(), paths, at_end: b"" })
}

fn dump_dtb(args: &RunArgs, dtb: &[u8]) -> Result<u8> {
    let Some(path) = &args.dump_dtb else { bail!("nothing to boot; give --kernel FILE or a guest's name") };
    std::fs::write(path, dtb).with_context(|| format!("device tree {}", path.display()))?;
    note(&format!("wrote the device tree, {} bytes, to {}", dtb.len(), path.display()));
    Ok(SUCCESS)
}

/// A ready-made guest, with what the command line says otherwise.
fn guest(guest: &guests::Guest, args: &RunArgs, memory: u64) -> Result<Job> {
    let ready = guests::debian::ready(guest, &args.source.source(guest, args.kernel.clone()))?;
    let cmdline = match &args.append {
        Some(more) => format!("{} {more}", guest.append),
        None => guest.append.to_string(),
    };
    Ok(Job {
        what: format!("{} ({})", guest.name, ready.versions.lines().next().unwrap_or_default()),
        files: BootFiles {
            kernel: ready.kernel,
            initrd: Some(initrd(args, memory)?.unwrap_or(ready.initrd)),
            cmdline: Some(cmdline),
            dtb: None,
        },
        paths: Vec::new(),
        at_end: b"",
    })
}

fn initrd(args: &RunArgs, memory: u64) -> Result<Option<Vec<u8>>> {
    args.initrd.as_deref().map(|p| read("initrd", p, memory)).transpose()
}

/// Reads a file that has to fit guest memory.
fn read(what: &str, path: &Path, memory: u64) -> Result<Vec<u8>> {
    let named = || format!("{what} {}", path.display());
    let file = File::open(path).with_context(named)?;
    let meta = file.metadata().with_context(named)?;
    if meta.is_dir() {
        bail!("{}: is a directory; give a file", named());
    }
    let room = message::size(memory);
    if meta.len() > memory {
        let size = message::size(meta.len());
        bail!("{}: {size} do not fit guest memory of {room}; raise --memory", named());
    }
    // A device or a pipe has no size, and may have no end.
    let mut bytes = Vec::new();
    file.take(memory + 1).read_to_end(&mut bytes).with_context(named)?;
    if bytes.len() as u64 > memory {
        bail!("{}: goes on after {room}, the guest's memory; raise --memory", named());
    }
    Ok(bytes)
}

/// A file that cannot be loaded, by its path where it has one: errors begin with what the file is for.
fn cannot_boot(error: MachineError, what: &str, paths: &[(&str, PathBuf)]) -> anyhow::Error {
    let text = error.to_string();
    for (part, path) in paths {
        if let Some(reason) = text.strip_prefix(part).and_then(|t| t.strip_prefix(": ")) {
            return anyhow!("{part} {}: {reason}", path.display());
        }
    }
    anyhow::Error::from(error).context(format!("cannot boot {what}"))
}

fn options(args: &MachineArgs) -> RunOptions {
    let tier = match args.tier {
        TierArg::T0 => Tier::T0,
        TierArg::T1 => Tier::T1,
        TierArg::Auto => Tier::Auto,
    };
    RunOptions {
        engine: EngineConfig {
            tier,
            verify: args.verify,
            code_bytes: args.code_cache as usize,
            ..EngineConfig::default()
        },
        mmu: MmuConfig::of(match args.mmu {
            MmuArg::Flush => MmuMode::Flush,
            MmuArg::Walk => MmuMode::Walk,
            MmuArg::Shadow => MmuMode::Shadow,
        }),
        timeout: args.timeout,
        no_reboot: args.no_reboot,
        // The hottest are found by it, too.
        profile: args.stats || matches!(args.dump_region, Some(Which::Hot(_))),
        dump: args.dump_region,
    }
}

/// Builds the machine, runs it, and says how it ended.
fn boot(args: &MachineArgs, config: Config, job: Job) -> Result<u8> {
    let (console, output) = match &args.serial {
        Serial::Stdio => (Console::start(io::stdout())?, String::from("standard output")),
        Serial::File(path) => {
            let name = format!("serial output {}", path.display());
            let file = File::create(path).with_context(|| name.clone())?;
            (Console::start(file)?, name)
        }
    };
    let board = config.describe();
    let mut machine = Machine::new(config, console.clone())?;
    console.attach(machine.power().clone());
    machine.load(job.files).map_err(|e| cannot_boot(e, &job.what, &job.paths))?;

    let power = machine.power().clone();
    let stop = power.clone();
    let signals = signals::Watch::start(move || stop.request(Outcome::Quit))?;
    let mut raw = None;
    if args.serial == Serial::Stdio {
        raw = RawTerminal::enter()?;
        let (poll, press) = (machine.poll_serial(), machine.press_power_key());
        let pump = Pump {
            escape: raw.is_some(),
            at_end: if raw.is_some() { b"" } else { job.at_end },
            poll,
            command: Box::new(move |c| match c {
                console::Command::Quit => power.request(Outcome::Quit),
                console::Command::Help => message::print(console::HELP),
                console::Command::PowerKey => press(),
            }),
        };
        pump.start(console.clone(), io::stdin())?;
    }
    note(&format!("booting {} on {board}", job.what));
    if raw.is_some() {
        note("Ctrl-A x quits, Ctrl-A h helps");
    }

    let ended = run_machine(machine, options(args));
    let patience = match &ended {
        Ok((Outcome::PowerOff | Outcome::Reset, _)) => None,
        _ => Some(Instant::now() + LAST_WORDS),
    };
    let (lost, within_line) = console.drain(patience);
    drop(raw);
    if within_line && args.serial == Serial::Stdio {
        // Our own words begin on a line of their own.
        message::print("\n");
    }
    let (outcome, stats) = ended?;
    for text in &stats.last_words {
        note(text);
    }
    note(&ending(outcome, &stats));
    if args.stats {
        message::print(&stats.to_string());
    }
    for text in &stats.dumps {
        message::print(text);
    }
    drop(io::stderr().flush());
    signals.obey();
    if let Some(e) = lost {
        return Err(e).with_context(|| format!("{output}: the machine was stopped"));
    }
    if let Some(why) = stats.no_dump {
        return Err(why).context("--dump-region");
    }
    match outcome {
        Outcome::PowerOff | Outcome::Reset | Outcome::Quit => Ok(SUCCESS),
        Outcome::Timeout => Ok(TIMED_OUT),
        // As QEMU has it: a guest cannot choose 0.
        Outcome::Exit(status) => Ok(status as u8),
        Outcome::Stopped => bail!("the engine stopped for no reason known; please report this"),
    }
}

/// Runs the machine on a thread with room for the interpreter.
fn run_machine(mut machine: Machine, options: RunOptions) -> Result<(Outcome, MachineStats)> {
    let vcpu = std::thread::Builder::new()
        .name(String::from("vcpu"))
        .stack_size(VCPU_STACK)
        .spawn(move || machine.run(&options))
        .context("start the vCPU thread")?;
    match vcpu.join() {
        Ok(result) => Ok(result?),
        // The panic hook has told what and where.
        Err(_) => bail!("the machine stopped at an internal error"),
    }
}

/// How a run ended, for the user.
fn ending(outcome: Outcome, stats: &MachineStats) -> String {
    let seconds = stats.wall.as_secs_f64();
    match outcome {
        Outcome::PowerOff => format!("the guest powered off after {seconds:.1} s"),
        Outcome::Reset => {
            format!("the guest reset the machine after {seconds:.1} s; --no-reboot ends it here")
        }
        Outcome::Timeout => format!("stopped by --timeout after {seconds:.1} s, at {}", stats.place),
        Outcome::Exit(status) => format!("the guest ended with status {status} after {seconds:.1} s"),
        Outcome::Quit => format!("stopped after {seconds:.1} s"),
        Outcome::Stopped => format!("stopped for no reason known after {seconds:.1} s"),
    }
}

//! The boards behind one face.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use lyrebird_machine::{
    BootFiles, CharBackend, CpuModel, GicVersion, MachineError, MachineStats, Outcome, PcConfig, PcFiles,
    PcMachine, Power, RunOptions, VirtConfig, VirtMachine, X86Model,
};

use crate::args::{Board, MachineArgs};
use crate::message;

/// How long the power key is held.
const PRESS: Duration = Duration::from_millis(100);

/// What may be chosen about a board.
#[derive(Clone, Debug)]
pub enum Config {
    /// ARM.
    Virt(VirtConfig),
    /// x86.
    Pc(PcConfig),
}

impl Config {
    /// What the command line says; `usual` is the board where it names none.
    pub fn new(args: &MachineArgs, usual: Board) -> Result<Config> {
        let board = args.machine.unwrap_or(usual);
        let models = board.models();
        let cpu = args.cpu.as_deref().or(models.first().copied()).unwrap_or_default();
        let unknown =
            || anyhow!("--cpu {cpu} is no CPU of --machine {}; it has {}", board.name(), models.join(", "));
        Ok(match board {
            Board::Virt => Config::Virt(VirtConfig {
                memory: args.memory,
                gic: if args.gic == Some(3) { GicVersion::V3 } else { GicVersion::V2 },
                cpu: CpuModel::by_name(cpu).ok_or_else(unknown)?,
                seeds: None,
            }),
            Board::Pc if args.gic.is_some() => bail!("--gic is for --machine virt; the pc board has APICs"),
            Board::Pc => Config::Pc(PcConfig {
                memory: args.memory,
                cpu: X86Model::by_name(cpu).ok_or_else(unknown)?,
                firmware: None,
            }),
        })
    }

    /// Which board it is.
    pub fn board(&self) -> Board {
        match self {
            Config::Virt(_) => Board::Virt,
            Config::Pc(_) => Board::Pc,
        }
    }

    /// Checks the sizes against the board's map and the host.
    pub fn check(&self) -> Result<(), MachineError> {
        match self {
            Config::Virt(c) => c.check().map(drop),
            Config::Pc(c) => c.check(),
        }
    }

    /// For the user.
    pub fn describe(&self) -> String {
        match self {
            Config::Virt(c) => {
                let gic = if c.gic == GicVersion::V3 { 3 } else { 2 };
                format!("virt board, {}, GICv{gic}, {}", c.cpu.name, message::size(c.memory))
            }
            Config::Pc(c) => format!("pc board, {}, {}", c.cpu.name, message::size(c.memory)),
        }
    }
}

/// A machine to run.
pub enum Machine {
    /// ARM.
    Virt(VirtMachine),
    /// x86.
    Pc(PcMachine),
}

impl Machine {
    /// Builds it, with its console on `serial`.
    pub fn new(config: Config, serial: Arc<dyn CharBackend>) -> Result<Machine, MachineError> {
        match config {
            Config::Virt(c) => VirtMachine::new(c, serial).map(Machine::Virt),
            Config::Pc(c) => PcMachine::new(c, serial).map(Machine::Pc),
        }
    }

    /// Loads what is to be booted.
    pub fn load(&mut self, files: BootFiles) -> Result<(), MachineError> {
        match self {
            Machine::Virt(m) => m.load(files),
            Machine::Pc(m) => {
                let BootFiles { kernel, initrd, cmdline, .. } = files;
                m.load(PcFiles { kernel, initrd, cmdline: cmdline.unwrap_or_default() })
            }
        }
    }

    /// The switch by which other threads end the run.
    pub fn power(&self) -> &Arc<Power> {
        match self {
            Machine::Virt(m) => m.power(),
            Machine::Pc(m) => m.power(),
        }
    }

    /// Tells the console's chip that characters wait.
    pub fn poll_serial(&self) -> Box<dyn Fn() + Send> {
        match self {
            Machine::Virt(m) => {
                let serial = m.serial().clone();
                Box::new(move || serial.poll())
            }
            Machine::Pc(m) => {
                let serial = m.serial();
                Box::new(move || serial.poll())
            }
        }
    }

    /// Presses the power key.
    pub fn press_power_key(&self) -> Box<dyn Fn() + Send> {
        match self {
            Machine::Virt(m) => {
                let key = m.power_key();
                Box::new(move || {
                    key.set(true);
                    std::thread::sleep(PRESS);
                    key.set(false);
                })
            }
            Machine::Pc(m) => {
                let button = m.power_button();
                Box::new(move || button.press())
            }
        }
    }

    /// Runs it.
    pub fn run(&mut self, options: &RunOptions) -> Result<(Outcome, MachineStats), MachineError> {
        match self {
            Machine::Virt(m) => m.run(options),
            Machine::Pc(m) => m.run(options),
        }
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use lyrebird_machine::{MODELS, Which, X86Model};

use crate::guests::Guest;
use crate::guests::debian::Source;

/// Runs a whole ARM or x86 machine in plain user space.
///
/// Without a command, boots the built-in monitor, on the `virt` board or the one of --machine. Exit codes: 0 when the
/// guest powers off or the user quits, 124 after --timeout, 1 for bad input and host errors, 2 for a wrong command line,
/// an odd one that a PC's guest writes to isa-debug-exit (port 0xf4).
#[derive(Debug, Parser)]
#[command(name = "lyrebird", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of the machine that runs the built-in monitor.
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot a machine: a ready-made guest by name, or your own kernel.
    Run(Box<RunArgs>),
    /// List, fetch and remove ready-made guests.
    Guests(GuestsArgs),
    /// List the built-in ROMs: the monitors, and tests of the machines.
    Roms,
    /// Measure a suite of programs inside a guest, beside QEMU, KVM and the bare host.
    Bench(Box<BenchArgs>),
}

/// `lyrebird run`.
#[derive(Debug, Args)]
#[command(
    override_usage = "lyrebird run <GUEST> [OPTIONS]\n       lyrebird run --kernel <FILE> [OPTIONS]\n       \
    lyrebird run --rom <NAME> [OPTIONS]\n       lyrebird run --machine <MACHINE> [OPTIONS]"
)]
pub struct RunArgs {
    /// Ready-made guest (`lyrebird guests` lists them). Without one, a kernel or a ROM, the built-in monitor is booted
    /// on the board of --machine.
    #[arg(required_unless_present_any = ["kernel", "firmware", "dump_dtb", "rom", "machine"])]
    pub guest: Option<String>,
    /// Built-in ROM (`lyrebird roms` lists them).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["guest", "kernel", "initrd", "append", "dtb", "dump_dtb"])]
    pub rom: Option<String>,
    /// Kernel. `virt`: a Linux arm64 Image (plain, gzip or EFI zboot) or an AArch64 ELF. `pc`: a Linux bzImage, a
    /// multiboot kernel or a PVH ELF. With a guest's name: instead of the archive's kernel, a Debian kernel package
    /// or an image.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Image of a PC's firmware, such as SeaBIOS, which starts instead of a kernel.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["guest", "kernel", "rom", "initrd", "append"])]
    pub firmware: Option<PathBuf>,
    /// Initial RAM disk; for a ready-made guest, instead of its own.
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Kernel command line; for a ready-made guest, added to its own.
    #[arg(long, value_name = "TEXT")]
    pub append: Option<String>,
    /// Device tree to use instead of the board's own.
    #[arg(long, value_name = "FILE", conflicts_with = "dump_dtb")]
    pub dtb: Option<PathBuf>,
    /// Write the board's device tree to a file and stop.
    #[arg(long, value_name = "FILE")]
    pub dump_dtb: Option<PathBuf>,
    /// Settings of the machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Where ready-made guests come from.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Settings of a machine.
#[derive(Clone, Debug, Args)]
pub struct MachineArgs {
    /// Board; `virt` if not given, or what the ready-made guest is for.
    #[arg(long, value_enum)]
    pub machine: Option<Board>,
    /// CPU model. `virt`: max (all that is implemented), cortex-a53, cortex-a57, cortex-a72. `pc`: x86-64-v2,
    /// x86-64-v3, i686, 486. The first of each is the default.
    #[arg(long, value_name = "MODEL", value_parser = PossibleValuesParser::new(all_models()))]
    pub cpu: Option<String>,
    /// Interrupt controller version of `virt`; 2 if not given.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(2..=3))]
    pub gic: Option<u8>,
    /// Guest memory, with suffix K, M, G or T.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_size)]
    pub memory: u64,
    /// Serial console: `stdio` or `file:PATH`.
    #[arg(long, value_name = "WHERE", default_value = "stdio", value_parser = parse_serial)]
    pub serial: Serial,
    /// Stop the machine after this many seconds, with exit code 124.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub timeout: Option<Duration>,
    /// Print counters when the machine ends, and where the time went.
    #[arg(long)]
    pub stats: bool,
    /// When the machine ends, print compiled regions of guest code: disassembly, CLIF and host code. Those with an
    /// instruction at an address (of the guest, hexadecimal), or the N hottest.
    #[arg(long, value_name = "ADDR|hot[:N]", value_parser = parse_region)]
    pub dump_region: Option<Which>,
    /// Room for compiled code; what does least work leaves when it is full.
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = parse_code_cache)]
    pub code_cache: u64,
    /// Which tiers execute guest code.
    #[arg(long, value_enum, default_value_t = TierArg::Auto)]
    pub tier: TierArg,
    /// How address translations are kept.
    #[arg(long, value_enum, default_value_t = MmuArg::Shadow)]
    pub mmu: MmuArg,
    /// Run the interpreter beside compiled code and stop at the first difference.
    #[arg(long)]
    pub verify: bool,
    /// End with exit code 0 when the guest resets, instead of starting again.
    #[arg(long)]
    pub no_reboot: bool,
}

/// Where ready-made guests come from.
#[derive(Clone, Debug, Args)]
pub struct SourceArgs {
    /// Debian archive.
    #[arg(long, value_name = "URL", default_value = "https://deb.debian.org/debian")]
    pub mirror: String,
    /// Which suite of it.
    #[command(flatten)]
    pub suite: SuiteArgs,
    /// A `busybox-static` package or binary on this machine, instead of the archive's.
    #[arg(long, value_name = "FILE")]
    pub busybox: Option<PathBuf>,
    /// Where they are kept.
    #[command(flatten)]
    pub cache: CacheArgs,
}

impl SourceArgs {
    /// For a guest, with a local kernel, if one was given.
    pub fn source(&self, guest: &Guest, kernel: Option<PathBuf>) -> Source {
        Source {
            mirror: self.mirror.trim_end_matches('/').to_string(),
            suite: self.suite.of(guest).to_string(),
            cache: self.cache.cache.clone(),
            kernel,
            busybox: self.busybox.clone(),
        }
    }
}

/// Which suite of the archive.
#[derive(Clone, Debug, Default, Args)]
pub struct SuiteArgs {
    /// Debian suite; if not given, `stable`, and `bookworm` for i386, the last with kernels for it.
    #[arg(long, value_name = "SUITE", value_parser = parse_suite)]
    pub suite: Option<String>,
}

impl SuiteArgs {
    /// The suite to take `guest` from.
    pub fn of<'a>(&'a self, guest: &Guest) -> &'a str {
        self.suite.as_deref().unwrap_or(guest.suite)
    }
}

/// Where ready-made guests are kept.
#[derive(Clone, Debug, Default, Args)]
pub struct CacheArgs {
    /// Directory for guests, instead of the user's cache directory.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// `lyrebird bench`.
///
/// Ctrl-C ends it; what was measured is still written. Exit code 1 if a program's result was wrong or Lyrebird did not
/// come to its end.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Ready-made guest (`lyrebird guests` lists them) of amd64 or arm64.
    #[arg(long, value_name = "GUEST", default_value = "debian-amd64")]
    pub guest: String,
    /// What to compare with: `qemu` (TCG) and `kvm`, by qemu-system-*, and `native`, the bare host where it has the
    /// guest's instruction set. If not given, what there is of them.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub against: Vec<Against>,
    /// Tiers of Lyrebird.
    #[arg(long, value_enum, value_name = "TIER", value_delimiter = ',', default_value = "t0,auto")]
    pub tier: Vec<TierArg>,
    /// Runs, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Workloads and groups of workloads to measure, of those that --list names; all without it.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,
    /// How long each program that can choose measures.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = parse_seconds)]
    pub seconds: Duration,
    /// After how long without a result a contestant is ended.
    #[arg(long, value_name = "SECONDS", default_value = "180", value_parser = parse_seconds)]
    pub limit: Duration,
    /// Lyrebird's CPU model; if not given, cortex-a57 or x86-64-v2.
    #[arg(long, value_name = "MODEL", value_parser = PossibleValuesParser::new(all_models()))]
    pub cpu: Option<String>,
    /// The `lyrebird` to measure, instead of this one.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// QEMU's CPU model for TCG; if not given, cortex-a57 or max,la57=off.
    #[arg(long, value_name = "MODEL")]
    pub qemu_cpu: Option<String>,
    /// Write the report as Markdown.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write all samples as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one HTML page with charts.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// List the workloads and stop.
    #[arg(long)]
    pub list: bool,
    /// A kernel package or image on this machine, instead of the guest's.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Where the guest and its programs come from.
    #[command(flatten)]
    pub source: SourceArgs,
}

/// What Lyrebird is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Against {
    /// QEMU's TCG.
    Qemu,
    /// KVM, by QEMU.
    Kvm,
    /// The bare host.
    Native,
}

/// `lyrebird guests`.
#[derive(Debug, Args)]
pub struct GuestsArgs {
    /// What to do; lists without it.
    #[command(subcommand)]
    pub action: Option<GuestsAction>,
}

/// What to do with guests.
#[derive(Debug, Subcommand)]
pub enum GuestsAction {
    /// List them and whether they are here.
    List(CacheArgs),
    /// Fetch one or bring it up to date, or build it anew from local files.
    Fetch {
        /// Guest.
        name: String,
        /// A kernel package or image on this machine, instead of the archive's.
        #[arg(long, value_name = "FILE")]
        kernel: Option<PathBuf>,
        /// Where the rest comes from.
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Remove one.
    Remove {
        /// Guest.
        name: String,
        /// Where it is.
        #[command(flatten)]
        cache: CacheArgs,
    },
    /// Print the paths of a fetched guest's files: kernel, initial RAM disk, versions.
    Path {
        /// Guest.
        name: String,
        /// Where it is.
        #[command(flatten)]
        cache: CacheArgs,
        /// Which of its suites.
        #[command(flatten)]
        suite: SuiteArgs,
    },
}

/// Boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// The ARM board of the same name as QEMU's.
    Virt,
    /// The PC that QEMU calls `pc`.
    Pc,
}

impl Board {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Board::Virt => "virt",
            Board::Pc => "pc",
        }
    }

    /// Names of its CPU models, the default first.
    pub fn models(self) -> Vec<&'static str> {
        match self {
            Board::Virt => MODELS.iter().map(|m| m.name).collect(),
            Board::Pc => X86Model::ALL.iter().map(|m| m.name).collect(),
        }
    }
}

fn all_models() -> Vec<&'static str> {
    [Board::Virt, Board::Pc].iter().flat_map(|b| b.models()).collect()
}

/// Tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TierArg {
    /// Interpreter only.
    T0,
    /// Compiled code wherever possible.
    T1,
    /// Interpreter for cold code, compiled code for hot.
    Auto,
}

impl TierArg {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TierArg::T0 => "t0",
            TierArg::T1 => "t1",
            TierArg::Auto => "auto",
        }
    }
}

/// Values of `--mmu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MmuArg {
    /// Not beyond a change of the address space.
    Flush,
    /// In TLBs by address space identifier.
    Walk,
    /// In shadow page tables as well, kept exact by write-tracking the guest's tables.
    Shadow,
}

/// Where the serial console goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serial {
    /// This terminal.
    Stdio,
    /// A file.
    File(PathBuf),
}

fn parse_serial(s: &str) -> Result<Serial, String> {
    match s.split_once(':') {
        None if s == "stdio" => Ok(Serial::Stdio),
        Some(("file", path)) if !path.is_empty() => Ok(Serial::File(path.into())),
        _ => Err("give `stdio` or `file:PATH`".into()),
    }
}

/// A suite becomes a part of URLs and of paths in the cache.
fn parse_suite(s: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
    if s.bytes().all(good) && s.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(s.into())
    } else {
        Err("give a suite's name, for example stable or bookworm".into())
    }
}

/// Parses seconds, fractions allowed.
fn parse_seconds(s: &str) -> Result<Duration, String> {
    const CENTURY: f64 = 3.2e9;
    match s.parse::<f64>() {
        Ok(n) if n > 0.0 && n < CENTURY => Ok(Duration::from_secs_f64(n)),
        _ => Err("give seconds, more than 0, for example 60 or 0.5".into()),
    }
}

/// Parses what `--dump-region` names.
fn parse_region(s: &str) -> Result<Which, String> {
    let hot = match s.split_once(':') {
        None if s == "hot" => Some(Ok(1)),
        Some(("hot", n)) => Some(n.parse()),
        _ => None,
    };
    match hot {
        Some(Ok(n @ 1..=1000)) => Ok(Which::Hot(n)),
        Some(_) => Err("give `hot:N` with N from 1 to 1000".into()),
        None => u64::from_str_radix(s.strip_prefix("0x").unwrap_or(s), 16)
            .map(Which::At)
            .map_err(|_| "give a hexadecimal address of the guest, `hot`, or `hot:N`".into()),
    }
}

/// Parses the size of the code cache.
fn parse_code_cache(s: &str) -> Result<u64, String> {
    // Beyond, 32-bit displacements within it do not reach.
    match parse_size(s)? {
        n @ 0x10000..=0x4000_0000 => Ok(n),
        _ => Err("give 64K to 1G".into()),
    }
}

/// Parses `1G`, `512M`, `65536`.
fn parse_size(s: &str) -> Result<u64, String> {
    let (digits, shift) = match s.char_indices().next_back() {
        Some((i, c)) if c.is_ascii_alphabetic() => match c.to_ascii_uppercase() {
            'K' => (&s[..i], 10),
            'M' => (&s[..i], 20),
            'G' => (&s[..i], 30),
            'T' => (&s[..i], 40),
            _ => return Err("the suffix is K, M, G or T".into()),
        },
        _ => (s, 0),
    };
    let n: u64 = digits.parse().map_err(|_| format!("`{s}` is not a size; give for example 512M or 2G"))?;
    n.checked_mul(1 << shift).ok_or_else(|| format!("{s} is more than any host has"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        assert_eq!(parse_size("64m"), Ok(64 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in ["nan", "inf", "-1", "0", "1e99", ""] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
        for bad in ["", "..", "a/b", "../x", "a b"] {
            assert!(parse_suite(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_code_cache("1M"), Ok(1 << 20));
        for bad in ["0", "60K", "2G", "x"] {
            assert!(parse_code_cache(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_region("hot"), Ok(Which::Hot(1)));
        assert_eq!(parse_region("hot:12"), Ok(Which::Hot(12)));
        assert_eq!(parse_region("ffff800010001000"), Ok(Which::At(0xffff_8000_1000_1000)));
        assert_eq!(parse_region("0x40"), Ok(Which::At(0x40)));
        for bad in ["", "hot:", "hot:0", "hot:x", "warm", "hot:9999", "-1", "1ffff800010001000"] {
            assert!(parse_region(bad).is_err(), "{bad}");
        }
        for bad in ["", "G", "1X", "-1", "99999999999G", "1.5G", "é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_issue_s_command_line_parses() {
        let line = "lyrebird run --machine virt --memory 1G --kernel K --initrd I --append console=ttyAMA0 --timeout 300 \
                    --stats --tier t1 --verify --gic 2 --serial file:out";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Some(Command::Run(r)) = cli.command else { panic!("run") };
        assert_eq!(
            (r.machine.gic, r.machine.timeout, r.machine.tier),
            (Some(2), Some(Duration::from_secs(300)), TierArg::T1)
        );
        assert_eq!(r.machine.serial, Serial::File("out".into()));
        assert!(Cli::try_parse_from(["lyrebird", "run"]).is_err());
        assert!(Cli::try_parse_from(["lyrebird", "run", "--kernel", "K", "--gic", "4"]).is_err());
    }
}

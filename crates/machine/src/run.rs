//! Running a machine: the vCPU loop, the time limit, resets, and the closing report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lyrebird_isa::Cpu;
use lyrebird_jit::engine::Which;
use lyrebird_jit::{Engine, EngineConfig};
use lyrebird_softmmu::MmuConfig;
use lyrebird_softmmu::phys::PhysMem;

use crate::error::MachineError;
use crate::power::{Outcome, Power};
use crate::stats::{Account, MachineStats, Sampler, dump};

/// How to run a machine.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Engine settings.
    pub engine: EngineConfig,
    /// How the CPUs keep translations.
    pub mmu: MmuConfig,
    /// Ends the run with [`Outcome::Timeout`].
    pub timeout: Option<Duration>,
    /// A reset by the guest ends the run with [`Outcome::Reset`] instead of starting anew.
    pub no_reboot: bool,
    /// Sample where time goes ([`MachineStats::profile`]).
    pub profile: bool,
    /// Compiled regions to describe at the end ([`MachineStats::dumps`]).
    pub dump: Option<Which>,
}

/// Jumps that the report of a triple fault lists.
const LAST_JUMPS: usize = 16;

/// What is done every now and then beside the vCPUs.
pub(crate) type Chore = Box<dyn Fn() + Send>;

/// A machine as the run loop sees it.
pub(crate) trait Board {
    /// Its CPUs.
    type Cpu: Cpu + Account;

    /// The switch by which other threads end a run.
    fn power(&self) -> &Arc<Power>;

    /// The physical address space.
    fn phys(&self) -> &Arc<PhysMem>;

    /// Physical address at which RAM begins.
    fn ram_base(&self) -> u64;

    /// Looks at clocks that count seconds.
    fn chore(&self) -> Chore;

    /// The CPU that begins, at the entry point of what was loaded.
    fn boot_cpu(&self) -> Result<Self::Cpu, MachineError>;

    /// Whether the CPU that began switched itself off.
    fn is_off(&self) -> bool;

    /// Power-on.
    fn reset(&mut self) -> Result<(), MachineError>;
}

/// Runs what was loaded until the guest, the user or the clock ends it.
///
/// # Errors
/// Nothing was loaded, the host gives no thread, or verify mode found the tiers to disagree.
pub(crate) fn run<B: Board>(
    board: &mut B,
    options: &RunOptions,
) -> Result<(Outcome, MachineStats), MachineError> {
    let start = Instant::now();
    let _watchdog = Watchdog::start(board.power(), board.chore(), options.timeout.map(|t| start + t))?;
    let mut stats = MachineStats::default();
    loop {
        let mut cpu = board.boot_cpu()?;
        cpu.configure_mmu(&options.mmu);
        let account = options.engine.account || options.profile;
        let mut engine = Engine::<B::Cpu>::new(EngineConfig { account, ..options.engine.clone() });
        let sampler = options.profile.then(|| Sampler::start(cpu.core().activity.clone())).transpose()?;
        let outcome = run_vcpu(board, &mut engine, &mut cpu)?;
        if let Some(sampler) = sampler {
            let mut profile = sampler.finish();
            profile.resolve(engine.compiled());
            stats.profile.get_or_insert_default().add(profile);
        }
        stats.add(&cpu, &engine);
        if let Some(words) = cpu.last_words() {
            stats.ended(&words, &engine.last_jumps(&cpu, LAST_JUMPS));
        }
        if outcome != Outcome::Reset || options.no_reboot {
            let ram = board.phys().ram_ptr(board.ram_base(), 1).map(<*mut u8>::cast_const);
            if let Some(which) = options.dump {
                match dump::dumps(&mut engine, which, stats.profile.as_ref()) {
                    Ok(texts) => stats.dumps = texts,
                    Err(why) => stats.no_dump = Some(why),
                }
            }
            stats.finish(start.elapsed(), board.phys().ram_bytes(), ram);
            return Ok((outcome, stats));
        }
        stats.resets += 1;
        board.reset()?;
        // If the user quit meanwhile, the line is still up and the next round ends at once.
        board.power().restart();
    }
}

fn run_vcpu<B: Board>(
    board: &B,
    engine: &mut Engine<B::Cpu>,
    cpu: &mut B::Cpu,
) -> Result<Outcome, MachineError> {
    engine.run(cpu)?;
    Ok(match board.power().outcome() {
        Some(outcome) => outcome,
        // It switched itself off. Nothing on the board can switch it on again.
        None if board.is_off() => board.power().wait(None).unwrap_or(Outcome::Stopped),
        None => Outcome::Stopped,
    })
}

/// The thread beside the vCPUs: ends the run when its time is up, and does the board's chore, such as looking at the
/// real-time clock's alarm.
struct Watchdog {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How often that is done: clocks count seconds.
const CHORE_PERIOD: Duration = Duration::from_millis(500);

impl Watchdog {
    fn start(power: &Arc<Power>, chore: Chore, deadline: Option<Instant>) -> Result<Watchdog, MachineError> {
        let done = Arc::new(AtomicBool::new(false));
        let (power, flag) = (power.clone(), done.clone());
        let watch = move || {
            while !flag.load(Ordering::Acquire) {
                if deadline.is_some_and(|d| Instant::now() >= d) {
                    power.request(Outcome::Timeout);
                    return;
                }
                let tick = Instant::now() + CHORE_PERIOD;
                std::thread::park_timeout(deadline.map_or(tick, |d| d.min(tick)) - Instant::now());
                chore();
            }
        };
        let thread = std::thread::Builder::new()
            .name(String::from("watchdog"))
            .spawn(watch)
            .map_err(|source| MachineError::Thread { name: "watchdog", source })?;
        Ok(Watchdog { done, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in it has been reported on its own; the run's result stands.
            let _ = thread.join();
        }
    }
}

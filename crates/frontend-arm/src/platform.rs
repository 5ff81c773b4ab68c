//! [`Platform`]: what a vCPU needs from the board around it.
//!
//! The board implements it once per vCPU. All calls come from the vCPU's own thread; what other threads want
//! goes through [`CpuLines`].

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use lyrebird_isa::lines::CpuLines;

/// One of the generic timers of a PE (Arm ARM D11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// EL1 physical timer, `CNTP_*_EL0`.
    Phys,
    /// EL1 virtual timer, `CNTV_*_EL0`.
    Virt,
    /// Non-secure EL2 physical timer, `CNTHP_*_EL2`.
    Hyp,
    /// Secure EL1 physical timer, `CNTPS_*_EL1`.
    Sec,
}

/// A register of a [`Timer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerReg {
    /// `CTL`: ENABLE bit 0, IMASK bit 1, ISTATUS bit 2 (read-only).
    Ctl,
    /// `CVAL`: 64-bit compare value in counter ticks.
    Cval,
    /// `TVAL`: signed 32-bit distance from the counter to `CVAL`. Reads are zero-extended.
    Tval,
}

/// A register of the GICv3 CPU interface (Arm IHI 0069, 12.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IccReg {
    /// `ICC_PMR_EL1`.
    Pmr,
    /// `ICC_IAR0_EL1`.
    Iar0,
    /// `ICC_IAR1_EL1`.
    Iar1,
    /// `ICC_EOIR0_EL1`.
    Eoir0,
    /// `ICC_EOIR1_EL1`.
    Eoir1,
    /// `ICC_HPPIR0_EL1`.
    Hppir0,
    /// `ICC_HPPIR1_EL1`.
    Hppir1,
    /// `ICC_BPR0_EL1`.
    Bpr0,
    /// `ICC_BPR1_EL1`.
    Bpr1,
    /// `ICC_AP0R<n>_EL1`, n from 0 to 3.
    Ap0r(u8),
    /// `ICC_AP1R<n>_EL1`, n from 0 to 3.
    Ap1r(u8),
    /// `ICC_DIR_EL1`.
    Dir,
    /// `ICC_RPR_EL1`.
    Rpr,
    /// `ICC_SGI1R_EL1`.
    Sgi1r,
    /// `ICC_ASGI1R_EL1`.
    Asgi1r,
    /// `ICC_SGI0R_EL1`.
    Sgi0r,
    /// `ICC_CTLR_EL1`.
    Ctlr,
    /// `ICC_SRE_EL1`.
    Sre,
    /// `ICC_IGRPEN0_EL1`.
    Igrpen0,
    /// `ICC_IGRPEN1_EL1`.
    Igrpen1,
}

/// The instruction by which a guest calls what would be a hypervisor or secure firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conduit {
    /// `HVC`.
    Hvc,
    /// `SMC`.
    Smc,
}

/// What became of a [`Platform::call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The board does not offer this conduit: the instruction is UNDEFINED.
    Undefined,
    /// Served; the results are in the registers. A stop or reset is announced by [`lyrebird_isa::lines::STOP`].
    Done,
    /// Served, and the vCPU waits for an interrupt as after `WFI` (PSCI `CPU_SUSPEND`).
    Wait,
}

/// The board around one vCPU: time, interrupt controller, firmware calls.
pub trait Platform: Send + Debug {
    /// The wires into this vCPU. IRQ and FIQ are the outputs of the interrupt controller.
    fn lines(&self) -> &Arc<CpuLines>;

    /// The system counter (`CNTPCT_EL0`) in ticks.
    fn counter(&mut self) -> u64;

    /// The system counter's frequency in Hz: the reset value of `CNTFRQ_EL0`.
    fn frequency(&self) -> u64;

    /// Reads a timer register. The virtual timer compares with the counter itself (`CNTVOFF_EL2` is 0).
    fn timer_read(&mut self, timer: Timer, reg: TimerReg) -> u64;

    /// Writes a timer register; the timer's interrupt line follows at once.
    fn timer_write(&mut self, timer: Timer, reg: TimerReg, value: u64);

    /// Whether the GIC has a system-register CPU interface (GICv3). Constant for the life of the vCPU;
    /// where false, the `ICC_*` registers are UNDEFINED and `ID_AA64PFR0_EL1.GIC` reads 0.
    fn gic_sysregs(&self) -> bool {
        false
    }

    /// Reads a CPU interface register; 0 for one that is write-only. Only called where
    /// [`Platform::gic_sysregs`] holds and the guest may read the register.
    fn icc_read(&mut self, reg: IccReg) -> u64 {
        let _ = reg;
        0
    }

    /// Writes a CPU interface register. Called under the same conditions as [`Platform::icc_read`].
    fn icc_write(&mut self, reg: IccReg, value: u64) {
        let _ = (reg, value);
    }

    /// `HVC #imm` or `SMC #imm` with X0 to X7 in `x`, which also takes the results (SMCCC).
    fn call(&mut self, conduit: Conduit, imm: u16, x: &mut [u64; 8]) -> CallOutcome {
        let _ = (conduit, imm, x);
        CallOutcome::Undefined
    }

    /// Called between slices after `retired` more instructions: lets time pass and brings the timer lines up
    /// to date.
    fn advance(&mut self, retired: u64);

    /// Time until a timer of this vCPU fires next, if one is armed.
    fn next_deadline(&mut self) -> Option<Duration>;

    /// Blocks while the vCPU is idle: until a line is high, a kick, or the next deadline. Spurious returns are
    /// allowed.
    fn idle(&mut self) {
        let deadline = self.next_deadline();
        self.lines().idle(deadline);
    }
}

/// A board with nothing on it: a counter that advances one tick per retired instruction, timers without
/// interrupt lines, no GIC, no firmware. For tests and for stepping code outside a machine.
#[derive(Debug)]
pub struct BarePlatform {
    /// The vCPU's wires.
    pub lines: Arc<CpuLines>,
    /// The counter.
    pub ticks: u64,
    /// CTL and CVAL of each timer.
    pub timers: [(u64, u64); 4],
    /// What [`Platform::gic_sysregs`] answers.
    pub gic: bool,
    /// The last value written to each `ICC` register, newest last.
    pub icc: Vec<(IccReg, u64)>,
    /// Conduit that answers calls: X0 becomes its bitwise complement.
    pub conduit: Option<Conduit>,
}

impl BarePlatform {
    /// A fresh one.
    pub fn new() -> BarePlatform {
        BarePlatform {
            lines: Arc::new(CpuLines::new()),
            ticks: 0,
            timers: [(0, 0); 4],
            gic: false,
            icc: Vec::new(),
            conduit: None,
        }
    }
}

impl Default for BarePlatform {
    fn default() -> Self {
        BarePlatform::new()
    }
}

impl Platform for BarePlatform {
    fn lines(&self) -> &Arc<CpuLines> {
        &self.lines
    }
    fn counter(&mut self) -> u64 {
        self.ticks
    }
    fn frequency(&self) -> u64 {
        62_500_000
    }
    fn timer_read(&mut self, timer: Timer, reg: TimerReg) -> u64 {
        let (ctl, cval) = self.timers[timer as usize];
        match reg {
            TimerReg::Ctl => ctl | ((ctl & 1 != 0 && self.ticks >= cval) as u64) << 2,
            TimerReg::Cval => cval,
            TimerReg::Tval => cval.wrapping_sub(self.ticks) as u32 as u64,
        }
    }
    fn timer_write(&mut self, timer: Timer, reg: TimerReg, value: u64) {
        let ticks = self.ticks;
        let t = &mut self.timers[timer as usize];
        match reg {
            TimerReg::Ctl => t.0 = value & 3,
            TimerReg::Cval => t.1 = value,
            TimerReg::Tval => t.1 = ticks.wrapping_add(value as i32 as u64),
        }
    }
    fn gic_sysregs(&self) -> bool {
        self.gic
    }
    fn icc_read(&mut self, reg: IccReg) -> u64 {
        self.icc.iter().rev().find(|(r, _)| *r == reg).map_or(0, |(_, v)| *v)
    }
    fn icc_write(&mut self, reg: IccReg, value: u64) {
        self.icc.push((reg, value));
    }
    fn call(&mut self, conduit: Conduit, _imm: u16, x: &mut [u64; 8]) -> CallOutcome {
        if self.conduit != Some(conduit) {
            return CallOutcome::Undefined;
        }
        x[0] = !x[0];
        CallOutcome::Done
    }
    fn advance(&mut self, retired: u64) {
        self.ticks = self.ticks.wrapping_add(retired);
    }
    fn next_deadline(&mut self) -> Option<Duration> {
        None
    }
}

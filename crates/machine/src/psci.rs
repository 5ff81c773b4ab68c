//! PSCI 1.1 (Arm DEN0022D) and the SMC calling convention's own functions (Arm DEN0028): what a guest asks its
//! firmware for by `HVC` or `SMC`. Pure: decides what a call means; the board carries it out.

use std::fmt;

/// A status code of PSCI (DEN0022D 5.2.2) or SMCCC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Success = 0,
    /// No such function, or not on this machine. Also SMCCC's answer to an unknown function.
    NotSupported = -1,
    /// An argument is out of range.
    InvalidParameters = -2,
    /// Refused.
    Denied = -3,
    /// The CPU runs already.
    AlreadyOn = -4,
    /// Not enough resources.
    InternalFailure = -6,
    /// The entry point is no address to start at.
    InvalidAddress = -9,
}

/// What a call asks the board to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to return this in X0.
    Return(u64),
    /// Return [`Status::Success`] in X0 once an interrupt is pending (`CPU_SUSPEND`).
    Suspend,
    /// This CPU stops and never returns from the call (`CPU_OFF`).
    CpuOff,
    /// Start CPU number `cpu` at EL1 with the MMU off, then return [`Status::Success`].
    CpuOn {
        /// Index of the CPU.
        cpu: usize,
        /// Physical address of its first instruction.
        entry: u64,
        /// Its X0.
        context: u64,
    },
    /// Power the machine off.
    SystemOff,
    /// Reset the machine.
    SystemReset,
}

impl From<Status> for Action {
    fn from(s: Status) -> Action {
        // Sign-extended: SMC32 callers look at W0, SMC64 callers at X0.
        Action::Return(s as i32 as i64 as u64)
    }
}

/// Function identifiers without bit 30, which distinguishes SMC64 from SMC32.
mod function {
    pub const SMCCC_VERSION: u32 = 0x8000_0000;
    pub const SMCCC_ARCH_FEATURES: u32 = 0x8000_0001;
    pub const PSCI_VERSION: u32 = 0x8400_0000;
    pub const CPU_SUSPEND: u32 = 0x8400_0001;
    pub const CPU_OFF: u32 = 0x8400_0002;
    pub const CPU_ON: u32 = 0x8400_0003;
    pub const AFFINITY_INFO: u32 = 0x8400_0004;
    pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
    pub const SYSTEM_OFF: u32 = 0x8400_0008;
    pub const SYSTEM_RESET: u32 = 0x8400_0009;
    pub const PSCI_FEATURES: u32 = 0x8400_000a;
    pub const SYSTEM_RESET2: u32 = 0x8400_0012;
}
use function::*;

/// Bit 30 of a function identifier: 64-bit calling convention.
const SMC64: u32 = 1 << 30;
/// PSCI 1.1.
const PSCI_VERSION_1_1: u64 = 0x1_0001;
/// SMCCC 1.1.
const SMCCC_VERSION_1_1: u64 = 0x1_0001;
/// `MIGRATE_INFO_TYPE`: no trusted OS, or one that needs no migration (DEN0022D 5.1.9).
const NO_MIGRATION: u64 = 2;
/// `AFFINITY_INFO` (DEN0022D 5.1.6).
const AFFINITY_ON: u64 = 0;
const AFFINITY_OFF: u64 = 1;
/// Affinity fields of a 64-bit `target_cpu`: bits 39 to 32 and 23 to 0, the rest must be zero.
const AFFINITY_MASK: u64 = 0xff_00ff_ffff;

/// The CPUs of the machine as PSCI sees them.
pub trait Topology {
    /// Index of the CPU with these affinity fields (`MPIDR_EL1` without its upper bits and flags).
    fn cpu(&self, affinity: u64) -> Option<usize>;
    /// Whether CPU number `cpu` runs.
    fn is_on(&self, cpu: usize) -> bool;
    /// Whether a CPU can be started at this physical address.
    fn is_entry(&self, address: u64) -> bool;
    /// Whether CPUs can be started at all.
    fn can_start(&self) -> bool {
        true
    }
}

/// Decides a call. `x` are X0 to X3 of the caller.
pub fn call(x: [u64; 4], topology: &impl Topology) -> Action {
    let id = x[0] as u32;
    let base = id & !SMC64;
    // An SMC32 caller's arguments are W1 to W3; the upper halves hold anything.
    let arg = |n: usize| if id & SMC64 != 0 { x[n] } else { x[n] & 0xffff_ffff };
    if !is_implemented(id) {
        return Status::NotSupported.into();
    }
    match base {
        SMCCC_VERSION => Action::Return(SMCCC_VERSION_1_1),
        SMCCC_ARCH_FEATURES => match arg(1) as u32 {
            SMCCC_VERSION | SMCCC_ARCH_FEATURES => Status::Success.into(),
            // No work-around calls: nothing here speculates.
            _ => Status::NotSupported.into(),
        },
        PSCI_VERSION => Action::Return(PSCI_VERSION_1_1),
        PSCI_FEATURES => {
            let asked = arg(1) as u32;
            // CPU_SUSPEND's feature bits 0: original power-state format, no OS-initiated mode.
            match asked == SMCCC_VERSION || (is_psci(asked) && is_implemented(asked)) {
                true => Status::Success.into(),
                false => Status::NotSupported.into(),
            }
        }
        // Any power state is entered as a standby state, which DEN0022D 5.4.1 allows.
        CPU_SUSPEND => Action::Suspend,
        CPU_OFF => Action::CpuOff,
        CPU_ON => {
            let Some(cpu) = target(topology, arg(1)) else { return Status::InvalidParameters.into() };
            if topology.is_on(cpu) {
                return Status::AlreadyOn.into();
            }
            if !topology.is_entry(arg(2)) {
                return Status::InvalidAddress.into();
            }
            if !topology.can_start() {
                return Status::InternalFailure.into();
            }
            Action::CpuOn { cpu, entry: arg(2), context: arg(3) }
        }
        AFFINITY_INFO => match (target(topology, arg(1)), arg(2)) {
            (Some(cpu), 0) if topology.is_on(cpu) => Action::Return(AFFINITY_ON),
            (Some(_), 0) => Action::Return(AFFINITY_OFF),
            // Since PSCI 1.0 only affinity level 0 has to be known.
            _ => Status::InvalidParameters.into(),
        },
        MIGRATE_INFO_TYPE => Action::Return(NO_MIGRATION),
        SYSTEM_OFF => Action::SystemOff,
        SYSTEM_RESET => Action::SystemReset,
        // Architectural resets: only SYSTEM_WARM_RESET (0); vendor resets have bit 31 set.
        SYSTEM_RESET2 if arg(1) as u32 == 0 => Action::SystemReset,
        SYSTEM_RESET2 => Status::InvalidParameters.into(),
        _ => Status::NotSupported.into(),
    }
}

fn target(topology: &impl Topology, affinity: u64) -> Option<usize> {
    if affinity & !AFFINITY_MASK != 0 { None } else { topology.cpu(affinity) }
}

/// Standard secure services, PSCI's range: owner 4, functions 0x00 to 0x1f.
fn is_psci(id: u32) -> bool {
    id & !SMC64 & !0x1f == 0x8400_0000
}

/// Whether the function exists with the identifier's calling convention.
fn is_implemented(id: u32) -> bool {
    match id & !SMC64 {
        CPU_SUSPEND | CPU_ON | AFFINITY_INFO | SYSTEM_RESET2 => true,
        SMCCC_VERSION | SMCCC_ARCH_FEATURES | PSCI_VERSION | CPU_OFF | MIGRATE_INFO_TYPE | SYSTEM_OFF
        | SYSTEM_RESET | PSCI_FEATURES => id & SMC64 == 0,
        _ => false,
    }
}

/// A call by name, for traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionId(pub u32);

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 & !SMC64 {
            SMCCC_VERSION => "SMCCC_VERSION",
            SMCCC_ARCH_FEATURES => "SMCCC_ARCH_FEATURES",
            PSCI_VERSION => "PSCI_VERSION",
            CPU_SUSPEND => "CPU_SUSPEND",
            CPU_OFF => "CPU_OFF",
            CPU_ON => "CPU_ON",
            AFFINITY_INFO => "AFFINITY_INFO",
            MIGRATE_INFO_TYPE => "MIGRATE_INFO_TYPE",
            SYSTEM_OFF => "SYSTEM_OFF",
            SYSTEM_RESET => "SYSTEM_RESET",
            PSCI_FEATURES => "PSCI_FEATURES",
            SYSTEM_RESET2 => "SYSTEM_RESET2",
            _ => return write!(f, "function {:#010x}", self.0),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPU 0 on, CPU 1 (affinity 0x100) off.
    struct Two;

    impl Topology for Two {
        fn cpu(&self, affinity: u64) -> Option<usize> {
            [0, 0x100].iter().position(|&a| a == affinity)
        }
        fn is_on(&self, cpu: usize) -> bool {
            cpu == 0
        }
        fn is_entry(&self, address: u64) -> bool {
            address < 0x8000_0000
        }
    }

    fn x0(action: Action) -> i64 {
        match action {
            Action::Return(v) => v as i64,
            other => panic!("{other:?} instead of a value"),
        }
    }

    #[test]
    fn versions_and_types() {
        assert_eq!(call([0x8400_0000, 0, 0, 0], &Two), Action::Return(0x1_0001));
        assert_eq!(call([0x8000_0000, 0, 0, 0], &Two), Action::Return(0x1_0001));
        assert_eq!(call([0x8400_0006, 0, 0, 0], &Two), Action::Return(2));
        // The upper half of X0 is no part of the function identifier.
        assert_eq!(call([0xdead_beef_8400_0000, 0, 0, 0], &Two), Action::Return(0x1_0001));
    }

    #[test]
    fn unknown_functions_are_not_supported() {
        // MIGRATE, a vendor call, PSCI_VERSION as SMC64, hypervisor and TRNG ranges, nonsense.
        for id in [0x8400_0005, 0xc200_ff00, 0xc400_0000, 0x8600_0000, 0x8400_0050, 0, 0xffff_ffff] {
            assert_eq!(x0(call([id, 0, 0, 0], &Two)), -1, "{id:#x}");
        }
    }

    #[test]
    fn features() {
        for (id, result) in [
            (0x8400_0000, 0),
            (0xc400_0003, 0),
            (0x8400_0003, 0),
            (0xc400_0012, 0),
            (0x8000_0000, 0),
            (0x8400_0005, -1),
            (0x8400_000e, -1),
            (0x8000_0001, -1),
        ] {
            assert_eq!(x0(call([0x8400_000a, id, 0, 0], &Two)), result, "{id:#x}");
        }
        assert_eq!(x0(call([0x8000_0001, 0x8000_0000, 0, 0], &Two)), 0);
        assert_eq!(x0(call([0x8000_0001, 0x8000_8000, 0, 0], &Two)), -1, "SMCCC_ARCH_WORKAROUND_1");
    }

    #[test]
    fn starting_cpus() {
        let on = |id, cpu, entry| call([id, cpu, entry, 7], &Two);
        assert_eq!(
            on(0xc400_0003, 0x100, 0x4000_0000),
            Action::CpuOn { cpu: 1, entry: 0x4000_0000, context: 7 }
        );
        assert_eq!(x0(on(0xc400_0003, 0, 0x4000_0000)), -4);
        assert_eq!(x0(on(0xc400_0003, 1, 0x4000_0000)), -2);
        assert_eq!(x0(on(0xc400_0003, 0x8000_0100, 0x4000_0000)), -2, "flags of MPIDR are no affinity");
        assert_eq!(x0(on(0xc400_0003, 0x100, 0x9000_0000)), -9);
        // SMC32: upper halves ignored.
        assert_eq!(
            on(0x8400_0003, 0xffff_ffff_0000_0100, 0xffff_ffff_4000_0000),
            Action::CpuOn { cpu: 1, entry: 0x4000_0000, context: 7 }
        );
        assert_eq!(x0(call([0xc400_0004, 0, 0, 0], &Two)), 0);
        assert_eq!(x0(call([0xc400_0004, 0x100, 0, 0], &Two)), 1);
        assert_eq!(x0(call([0xc400_0004, 0x100, 1, 0], &Two)), -2);
        assert_eq!(x0(call([0xc400_0004, 0x200, 0, 0], &Two)), -2);
    }

    #[test]
    fn power() {
        assert_eq!(call([0x8400_0008, 0, 0, 0], &Two), Action::SystemOff);
        assert_eq!(call([0x8400_0009, 0, 0, 0], &Two), Action::SystemReset);
        assert_eq!(call([0x8400_0012, 0, 0, 0], &Two), Action::SystemReset);
        assert_eq!(x0(call([0x8400_0012, 0x8000_0000, 0, 0], &Two)), -2);
        assert_eq!(call([0x8400_0002, 0, 0, 0], &Two), Action::CpuOff);
        assert_eq!(call([0xc400_0001, 0, 0, 0], &Two), Action::Suspend);
        assert_eq!(FunctionId(0x8400_0008).to_string(), "SYSTEM_OFF");
    }
}

//! Exceptions: how instructions raise them, and how they are delivered (SDM Vol. 3, chapter 6).

use lyrebird_softmmu::{AccessKind, MemError, MemFault};

use crate::X86Cpu;
use crate::sys::paging::PageFault;

/// Exception vectors (SDM Vol. 3, table 6-1).
pub mod vector {
    /// Divide error.
    pub const DE: u8 = 0;
    /// Debug.
    pub const DB: u8 = 1;
    /// Non-maskable interrupt.
    pub const NMI: u8 = 2;
    /// Breakpoint (INT3).
    pub const BP: u8 = 3;
    /// Overflow (INTO).
    pub const OF: u8 = 4;
    /// BOUND range exceeded.
    pub const BR: u8 = 5;
    /// Invalid opcode.
    pub const UD: u8 = 6;
    /// Device not available.
    pub const NM: u8 = 7;
    /// Double fault.
    pub const DF: u8 = 8;
    /// Invalid TSS.
    pub const TS: u8 = 10;
    /// Segment not present.
    pub const NP: u8 = 11;
    /// Stack fault.
    pub const SS: u8 = 12;
    /// General protection.
    pub const GP: u8 = 13;
    /// Page fault.
    pub const PF: u8 = 14;
    /// x87 floating-point error.
    pub const MF: u8 = 16;
    /// Alignment check.
    pub const AC: u8 = 17;
    /// Machine check.
    pub const MC: u8 = 18;
    /// SIMD floating-point exception.
    pub const XM: u8 = 19;
}

/// Name of an exception (SDM Vol. 3, table 6-1).
pub fn name(vector: usize) -> &'static str {
    match vector {
        0 => "#DE divide error",
        1 => "#DB debug",
        2 => "NMI",
        3 => "#BP breakpoint",
        4 => "#OF overflow",
        5 => "#BR bound range",
        6 => "#UD invalid opcode",
        7 => "#NM device not available",
        8 => "#DF double fault",
        10 => "#TS invalid TSS",
        11 => "#NP segment not present",
        12 => "#SS stack fault",
        13 => "#GP general protection",
        14 => "#PF page fault",
        16 => "#MF x87",
        17 => "#AC alignment check",
        18 => "#MC machine check",
        19 => "#XM SIMD floating point",
        _ => "reserved",
    }
}

/// An exception of a kind that restarts the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Vector.
    pub vector: u8,
    /// Error code, for the vectors that have one.
    pub error: Option<u32>,
    /// What goes to CR2 on delivery.
    pub cr2: Option<u64>,
}

/// What led to a triple fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// The exceptions, each raised by the delivery of the one before it.
    pub chain: Vec<Fault>,
    /// CS of the instruction that raised the first.
    pub cs: u16,
    /// Its RIP.
    pub rip: u64,
}

impl std::fmt::Display for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "triple fault at {:04x}:{:x}:", self.cs, self.rip)?;
        for x in &self.chain {
            write!(f, " {}", name(x.vector.into()))?;
            if let Some(e) = x.error {
                write!(f, " error {e:#x}")?;
            }
            if let Some(va) = x.cr2 {
                write!(f, " address {va:#x}")?;
            }
            f.write_str(";")?;
        }
        Ok(())
    }
}

/// What stopped an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// An exception.
    Fault(Fault),
    /// Its store would hit translated code or a device: it is to be executed alone.
    Alone,
    /// Its access to an address that is not canonical: #SS through SS, else #GP.
    NonCanonical,
    /// It waits for an interrupt, by which the board reports an x87 error (SDM Vol. 1, appendix D.2.1).
    Frozen,
    /// It completed and enabled interrupts, and one is pending. The PC goes on there.
    Interruptible(u64),
}

/// The result of system code that may raise an exception.
pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// An exception without error code.
    pub const fn plain(vector: u8) -> Fault {
        Fault { vector, error: None, cr2: None }
    }

    /// An exception with an error code.
    pub const fn with(vector: u8, error: u32) -> Fault {
        Fault { vector, error: Some(error), cr2: None }
    }

    /// #GP with an error code.
    pub const fn gp(error: u32) -> Fault {
        Fault::with(vector::GP, error)
    }

    /// #UD.
    pub const UD: Fault = Fault::plain(vector::UD);
}

impl From<PageFault> for Fault {
    fn from(f: PageFault) -> Fault {
        match f {
            PageFault::Page { va, error } => Fault { vector: vector::PF, error: Some(error), cr2: Some(va) },
            PageFault::NonCanonical => Fault::gp(0),
        }
    }
}

impl From<MemError<PageFault>> for Fault {
    fn from(e: MemError<PageFault>) -> Fault {
        match e.fault {
            MemFault::Translation(f) => f.into(),
            // Of instructions that ask for it (SDM Vol. 2, 2.4), whether EFLAGS.AC is set or not.
            MemFault::Alignment => Fault::gp(0),
            // Nothing on a PC's bus refuses an access.
            MemFault::External { .. } => Fault::gp(0),
        }
    }
}

impl X86Cpu {
    /// Records an exception of the current instruction. The first one counts.
    pub fn raise(&mut self, f: Fault) {
        self.record(Recorded::Fault(f));
    }

    /// Takes back the exception that was recorded and not yet delivered, for tests.
    pub fn take_pending(&mut self) -> Option<Fault> {
        match self.recorded.take() {
            Some(Recorded::Fault(f)) => Some(f),
            _ => None,
        }
    }

    /// Records #GP.
    pub(crate) fn raise_gp(&mut self, error: u32) {
        self.raise(Fault::gp(error));
    }

    /// The value, or its exception recorded and a default.
    pub(crate) fn settle<T: Default>(&mut self, r: Outcome<T>) -> T {
        r.unwrap_or_else(|f| {
            self.raise(f);
            T::default()
        })
    }

    /// Records the exception of a failed access.
    pub(crate) fn memory_fault(&mut self, e: MemError<PageFault>) {
        if e.fault == MemFault::Translation(PageFault::NonCanonical) && e.kind != AccessKind::Exec {
            return self.record(Recorded::NonCanonical);
        }
        self.raise(e.into());
    }

    /// Stops the current instruction. The first reason counts.
    pub(crate) fn record(&mut self, r: Recorded) {
        if self.core.fault == 0 {
            self.recorded = Some(r);
            self.core.fault = 1;
        }
    }

    /// Takes what was recorded for the instruction at the linear address `pc`.
    pub(crate) fn take(&mut self, r: Recorded, pc: u64) {
        match r {
            Recorded::Alone => self.step_alone(pc),
            Recorded::Frozen => {
                self.core.pc = pc;
                self.halted = true;
            }
            Recorded::Interruptible(next) => {
                self.core.pc = next;
                self.take_interrupts();
            }
            Recorded::NonCanonical => {
                self.core.pc = pc;
                let v = if self.strays_on_stack() { vector::SS } else { vector::GP };
                self.deliver_fault(Fault::with(v, 0));
            }
            Recorded::Fault(f) => {
                self.core.pc = pc;
                self.deliver_fault(f);
            }
        }
    }
}

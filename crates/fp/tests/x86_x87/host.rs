//! Running an instruction on the host's FPU. FNSAVE does not wait, so that an unmasked exception shows
//! without a fault.

use lyrebird_fp::x86::x87::F80;

/// What goes in and out of an instruction.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug)]
pub struct Io {
    /// ST(0) and ST(1).
    pub st: [[u8; 16]; 2],
    /// Memory operand: `[rdi + 32]`.
    pub mem: [u8; 16],
    pub cw: u16,
    pad: [u8; 14],
    /// The FNSAVE image: `[rdi + 64]`.
    image: [u8; 112],
}

fn slot(v: F80) -> [u8; 16] {
    let mut b = [0; 16];
    b[..10].copy_from_slice(&v.to_bytes());
    b
}

impl Io {
    pub fn new(cw: u16, a: F80, b: F80) -> Io {
        Io { st: [slot(a), slot(b)], mem: [0; 16], cw, pad: [0; 14], image: [0; 112] }
    }

    /// ST(0) and ST(1) before.
    pub fn operands(&self) -> [F80; 2] {
        self.st.map(|s| F80::from_bytes(s[..10].try_into().expect("ten bytes")))
    }

    pub fn sw(&self) -> u16 {
        u16::from_le_bytes([self.image[4], self.image[5]])
    }

    pub fn st(&self, i: usize) -> F80 {
        let at = 28 + 10 * i;
        F80::from_bytes(self.image[at..at + 10].try_into().expect("ten bytes"))
    }

    pub fn mem(&self) -> u64 {
        u64::from_le_bytes(self.mem[..8].try_into().expect("eight bytes"))
    }

    /// TOP after two loads is 6.
    pub fn popped(&self) -> i32 {
        (self.sw() >> 11 & 7) as i32 - 6
    }
}

/// Runs instructions with a and b in ST(0) and ST(1).
macro_rules! on_host {
    ($io:ident, $insn:expr) => {
        // SAFETY: all that changes is declared; FNSAVE initialises the FPU.
        unsafe {
            std::arch::asm!(
                "fninit",
                "fld tbyte ptr [rdi + 16]",
                "fld tbyte ptr [rdi]",
                "fnclex",
                "fldcw [rdi + 48]",
                $insn,
                "fnsave [rdi + 64]",
                in("rdi") &mut $io,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack),
            );
        }
    };
}
pub(crate) use on_host;

/// Condition codes C0, C2 and C3.
pub const CODES: u16 = 0x4500;

/// Where the manual leaves things open, vendors differ; `tests/x86_golden.rs` has Intel's answers for every
/// host.
pub fn is_intel() -> bool {
    let intel = std::arch::x86_64::__cpuid(0).ecx == u32::from_le_bytes(*b"ntel");
    if !intel {
        eprintln!("skipped: the host CPU is not Intel's");
    }
    intel
}

//! A tiny machine for tests: 16 MiB of RAM at 0, a bare platform, and single steps.

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::PhysMem;

use crate::platform::BarePlatform;
use crate::regs::{self, Seg};
use crate::sys::segment::Segment;
use crate::{CpuModel, X86Cpu};

/// Where tests put their code.
pub const CODE: u64 = 0x1_0000;
/// Where tests put their data.
pub const DATA: u64 = 0x2_0000;
/// Where tests' stacks start.
pub const STACK: u64 = 0x3_0000;

/// A CPU with memory.
#[derive(Debug)]
pub struct Machine {
    /// The CPU.
    pub cpu: X86Cpu,
    /// Its memory.
    pub mem: Arc<PhysMem>,
}

impl Machine {
    /// In real mode with all segments at 0.
    pub fn real() -> Machine {
        let mem = PhysMem::builder().ram(0, 16 << 20).build().expect("16 MiB");
        let mut cpu = X86Cpu::new(CpuModel::ALL[1].clone(), Box::new(BarePlatform::default()), mem.clone());
        for seg in Seg::ALL {
            let s = if seg == Seg::Cs { Segment::REAL_CODE } else { Segment::REAL_DATA };
            cpu.set_segment(seg, s, 0);
        }
        cpu.core.pc = CODE & 0xffff;
        cpu.core.set_reg(regs::RSP, 0xf000);
        Machine { cpu, mem }
    }

    /// Puts a value into physical memory.
    pub fn poke(&self, pa: u64, v: u64) {
        self.mem.write(pa, Size::B8, v).expect("RAM");
    }

    /// A value from physical memory.
    pub fn peek(&self, pa: u64) -> u64 {
        self.mem.read(pa, Size::B8).expect("RAM")
    }
}

//! A tiny machine for tests: 16 MiB of RAM at [`RAM`], a bare platform, and single steps.

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::PhysMem;

use crate::a64::regs;
use crate::cpu::pstate::Pstate;
use crate::platform::BarePlatform;
use crate::{ArmCpu, CpuModel, sys};

/// Base address of RAM.
pub const RAM: u64 = 0x4000_0000;
/// Where tests put their code.
pub const CODE: u64 = RAM + 0x1_0000;
/// Vector base.
pub const VECTORS: u64 = RAM + 0x8000;
/// Level 1 table of [`Machine::map`].
const L1: u64 = RAM + 0x10_0000;
const L2: u64 = L1 + 0x1000;
/// Level 3 table: 512 pages from [`VA`].
pub const L3: u64 = L1 + 0x2000;
/// First address that the level 3 table maps.
pub const VA: u64 = 0x20_0000;

/// A CPU with memory.
#[derive(Debug)]
pub struct Machine {
    /// The CPU.
    pub cpu: ArmCpu,
    /// Its memory.
    pub mem: Arc<PhysMem>,
}

impl Machine {
    /// At EL1h in the reset state with VBAR_EL1 at [`VECTORS`].
    pub fn new(model: CpuModel) -> Machine {
        Machine::on(model, BarePlatform::new())
    }

    /// The same on a given platform.
    pub fn on(model: CpuModel, platform: BarePlatform) -> Machine {
        let mem = PhysMem::builder().ram(RAM, 16 << 20).build().expect("16 MiB");
        let mut cpu = ArmCpu::new(model, 0, Box::new(platform), mem.clone());
        cpu.core.pc = CODE;
        cpu.sys.vbar[1] = VECTORS;
        Machine { cpu, mem }
    }

    /// Puts a word into physical memory.
    pub fn poke(&self, pa: u64, v: u64) {
        self.mem.write(pa, Size::B8, v).expect("RAM");
    }

    /// Moves to an exception level.
    pub fn at_el(&mut self, el: u8) -> &mut Machine {
        self.cpu.set_pstate(Pstate { el, sp_sel: el != 0, ..self.cpu.pstate });
        self
    }

    /// Executes one instruction word; whether it completed.
    pub fn run(&mut self, word: u32) -> bool {
        self.cpu.execute(word)
    }

    /// `MRS X0, <name>` if `read`, else `MSR <name>, X0`.
    pub fn access(name: &str, read: bool) -> u32 {
        let r = sys::all().find(|r| r.name == name).unwrap_or_else(|| panic!("{name}"));
        0xd500_0000 | (read as u32) << 21 | (r.enc.0 as u32) << 5
    }

    /// Reads a system register by instruction.
    pub fn mrs(&mut self, name: &str) -> u64 {
        assert!(self.run(Machine::access(name, true)), "MRS {name}");
        self.cpu.core.regs[0]
    }

    /// Writes a system register, or executes a system instruction.
    pub fn msr(&mut self, name: &str, v: u64) {
        self.cpu.core.regs[0] = v;
        assert!(self.run(Machine::access(name, false)), "MSR {name}");
    }

    /// The same at EL1 whatever the present level, which is kept.
    pub fn msr_at_el1(&mut self, name: &str, v: u64) {
        let before = self.cpu.pstate;
        self.at_el(1).msr(name, v);
        self.cpu.set_pstate(before);
    }

    /// ESR_EL1 split into EC, IL, ISS.
    pub fn esr(&self) -> (u8, bool, u32) {
        let v = self.cpu.core.reg(regs::ESR_EL1);
        ((v >> 26) as u8, v >> 25 & 1 != 0, v as u32 & 0x1ff_ffff)
    }

    /// FAR_EL1.
    pub fn far(&self) -> u64 {
        self.cpu.core.reg(regs::FAR_EL1)
    }

    /// Turns the MMU on: 4 KiB granule, 39-bit addresses, RAM mapped flat for EL1 by one block in the lower
    /// range, and 512 pages from [`VA`] by a table of their own. ASID 0, Normal memory in attribute 0, Device
    /// in attribute 1.
    pub fn map(&mut self) {
        self.poke(L1, L2 | 3);
        // The RAM block: AF, UXN; EL1 only.
        self.poke(L1 + 8, RAM | 1 | 1 << 10 | 1 << 54);
        self.poke(L2 + 8, L3 | 3);
        self.msr("MAIR_EL1", 0x04ff);
        self.msr("TCR_EL1", 25 | 1 << 23 | 2 << 32 | 1 << 36);
        self.msr("TTBR0_EL1", L1);
        self.msr("SCTLR_EL1", sys::sctlr::M | sys::sctlr::SPAN);
    }

    /// Writes the descriptor of page `n` from [`VA`]; no TLB maintenance.
    pub fn page(&self, n: u64, desc: u64) {
        self.poke(L3 + 8 * n, desc);
    }
}

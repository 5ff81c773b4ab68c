//! A tiny machine for tests: 16 MiB of RAM at 0, a bare platform, and single steps, in real, protected and long mode.

use std::sync::Arc;

use lyrebird_isa::Size;
use lyrebird_softmmu::PhysMem;

use crate::platform::BarePlatform;
use crate::regs::{self, Seg, rflags};
use crate::sys::control::{cr0, cr4, efer};
use crate::sys::segment::{Segment, Table, attr};
use crate::{CpuModel, X86Cpu};

/// Where tests put their code.
pub const CODE: u64 = 0x1_0000;
/// Where tests put their data.
pub const DATA: u64 = 0x2_0000;
/// Where tests' stacks start.
pub const STACK: u64 = 0x3_0000;
/// The GDT: see [`sel`].
pub const GDT: u64 = 0x1000;
/// The IDT: an interrupt gate of level 3 for every vector, to [`HANDLERS`].
pub const IDT: u64 = 0x2000;
/// The TSS.
pub const TSS: u64 = 0x3000;
/// Handlers of exceptions, 16 bytes each.
pub const HANDLERS: u64 = 0x4_0000;
/// The stack of level 0 in the TSS.
pub const KERNEL_STACK: u64 = 0x5_0000;
/// Interrupt stack 1 of a 64-bit TSS.
pub const IST1: u64 = 0x6_0000;
/// Page tables of long mode: all RAM at its own address, for everyone.
pub const TABLES: u64 = 0x7_0000;

/// Selectors of the GDT.
pub mod sel {
    /// Code of level 0: 32-bit, or 64-bit in long mode.
    pub const CODE0: u16 = 0x08;
    /// Data of level 0.
    pub const DATA0: u16 = 0x10;
    /// 32-bit code of level 3.
    pub const CODE3: u16 = 0x1b;
    /// Data of level 3.
    pub const DATA3: u16 = 0x23;
    /// 64-bit code of level 3.
    pub const LONG3: u16 = 0x2b;
    /// TSS, 16 bytes in long mode.
    pub const TSS: u16 = 0x30;
    /// Free for tests: one or two descriptors.
    pub const SPARE: u16 = 0x40;
    /// 32-bit code of level 0 in long mode too.
    pub const CODE32: u16 = 0x60;
}

/// A flat code or data descriptor, or a system descriptor, with bits 15 to 0 of [`Segment::attr`].
pub fn descriptor(base: u32, limit: u32, a: u16) -> u64 {
    let (base, limit) = (base as u64, limit as u64);
    limit & 0xffff
        | (limit & 0xf_0000) << 32
        | (base & 0xff_ffff) << 16
        | (base & 0xff00_0000) << 32
        | (a as u64) << 40
}

/// A gate's lower half: type and DPL as in [`Segment::attr`].
pub fn gate(selector: u16, offset: u64, a: u16) -> u64 {
    offset & 0xffff | (offset & 0xffff_0000) << 32 | (selector as u64) << 16 | (a as u64) << 40
}

/// Attributes of flat segments.
pub const CODE_ATTR: u16 = attr::P | attr::S | attr::CODE | attr::RW | attr::ACCESSED | attr::G;
/// The same of data.
pub const DATA_ATTR: u16 = attr::P | attr::S | attr::RW | attr::ACCESSED | attr::G | attr::DB;

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

    fn tables(&self, long: bool) {
        let main = if long { attr::L } else { attr::DB };
        let d3 = 3 << 5;
        let entries = [
            (sel::CODE0, CODE_ATTR | main),
            (sel::DATA0, DATA_ATTR),
            (sel::CODE3, CODE_ATTR | attr::DB | d3),
            (sel::DATA3, DATA_ATTR | d3),
            (sel::LONG3, CODE_ATTR | attr::L | d3),
            (sel::CODE32, CODE_ATTR | attr::DB),
        ];
        for (s, a) in entries {
            self.poke(GDT + (s & !7) as u64, descriptor(0, 0xf_ffff, a));
        }
        self.poke(GDT + sel::TSS as u64, descriptor(TSS as u32, 0x2067, attr::P | 9));
        for v in 0..256 {
            let g = gate(sel::CODE0, HANDLERS + 16 * v, attr::P | d3 | 14);
            if long {
                self.poke(IDT + 16 * v, g);
            } else {
                self.poke(IDT + 8 * v, g);
            }
        }
        if long {
            self.poke(TSS + 4, KERNEL_STACK);
            self.poke(TSS + 36, IST1);
        } else {
            self.poke(TSS + 4, KERNEL_STACK | (sel::DATA0 as u64) << 32);
        }
        self.mem.write(TSS + 0x66, Size::B2, 0x68).expect("RAM");
    }

    /// Tables in registers, and flat segments of level 0.
    fn begin(&mut self) {
        self.cpu.gdtr = Table { base: GDT, limit: 0xff };
        self.cpu.idtr = Table { base: IDT, limit: 0xfff };
        self.cpu.paging_changed().expect("no PDPTEs");
        self.cpu.flush_tlb();
        self.level(0, sel::CODE0, sel::DATA0);
        self.cpu.load_task(sel::TSS).expect("TSS");
        self.cpu.core.set_reg(regs::RSP, STACK);
        self.cpu.core.pc = CODE;
    }

    /// In 32-bit protected mode at level 0, without paging.
    pub fn protected() -> Machine {
        let mut m = Machine::real();
        m.tables(false);
        m.cpu.control.cr0 |= cr0::PE;
        m.begin();
        m
    }

    /// In 64-bit code at level 0.
    pub fn long() -> Machine {
        let mut m = Machine::real();
        m.tables(true);
        m.poke(TABLES, (TABLES + 0x1000) | 7);
        m.poke(TABLES + 0x1000, (TABLES + 0x2000) | 7);
        for i in 0..8 {
            m.poke(TABLES + 0x2000 + 8 * i, i << 21 | 0x87);
        }
        m.cpu.control.cr0 |= cr0::PE | cr0::PG;
        m.cpu.control.cr4 = cr4::PAE | cr4::OSFXSR;
        m.cpu.control.cr3 = TABLES;
        m.cpu.control.efer = efer::LME | efer::LMA | efer::SCE | efer::NXE;
        m.begin();
        m
    }

    /// Goes to a level with those segments.
    pub fn level(&mut self, cpl: u8, cs: u16, data: u16) {
        self.cpu.cpl = cpl;
        for (seg, s) in Seg::ALL.into_iter().map(|s| (s, if s == Seg::Cs { cs } else { data })) {
            let d = self.peek(GDT + (s & !7) as u64);
            let limit = if d >> 55 & 1 != 0 { u32::MAX } else { 0xffff };
            let a = (d >> 40) as u16 & 0xf0ff;
            self.cpu.put_segment(seg, Segment { selector: s, attr: a, limit }, 0);
        }
        self.cpu.context_changed();
        self.cpu.core.pc = CODE;
    }

    /// Goes to level 3: 32-bit code, or 64-bit code in long mode.
    pub fn user(&mut self) {
        let cs = if self.cpu.control.long_mode() { sel::LONG3 } else { sel::CODE3 };
        self.level(3, cs, sel::DATA3);
    }

    /// Puts a value into physical memory.
    pub fn poke(&self, pa: u64, v: u64) {
        self.mem.write(pa, Size::B8, v).expect("RAM");
    }

    /// A value from physical memory.
    pub fn peek(&self, pa: u64) -> u64 {
        self.mem.read(pa, Size::B8).expect("RAM")
    }

    /// The doubleword at an address.
    pub fn peek32(&self, pa: u64) -> u32 {
        self.peek(pa) as u32
    }

    /// A general register.
    pub fn reg(&self, r: lyrebird_isa::Reg) -> u64 {
        self.cpu.core.reg(r)
    }

    /// Sets a general register.
    pub fn set(&mut self, r: lyrebird_isa::Reg, v: u64) {
        self.cpu.core.set_reg(r, v);
    }

    /// Puts code at the PC and steps once, as the engine would; whether the instruction completed.
    pub fn step(&mut self, bytes: &[u8]) -> bool {
        for (i, b) in bytes.iter().enumerate() {
            self.mem.write(self.cpu.core.pc + i as u64, Size::B1, *b as u64).expect("RAM");
        }
        self.cpu.step()
    }

    /// Executes an instruction that has to complete.
    #[track_caller]
    pub fn ok(&mut self, bytes: &[u8]) {
        assert!(self.step(bytes), "{bytes:02x?} raised {:?}, CR2 {:#x}", self.taken(), self.cpu.control.cr2);
    }

    /// The vector whose handler is about to run, and the doubleword on top of the stack, which is the error code where
    /// there is one.
    pub fn taken(&self) -> (u64, u32) {
        let v = self.cpu.core.pc.wrapping_sub(HANDLERS) / 16;
        (v, self.peek32(self.cpu.core.reg(regs::RSP) & 0xff_ffff))
    }

    /// Executes an instruction that has to raise an exception with an error code, and goes back to before it.
    #[track_caller]
    pub fn fails(&mut self, bytes: &[u8], vector: u8, error: u32) {
        let (pc, cpl, segs) = (self.cpu.core.pc, self.cpu.cpl, self.cpu.segs);
        let (regs, flags) = (self.cpu.core.regs, self.cpu.rflags());
        assert!(!self.step(bytes), "{bytes:02x?} completed");
        let (v, e) = self.taken();
        assert_eq!((v, e), (vector as u64, error), "{bytes:02x?}: error {e:#x}");
        self.cpu.cpl = cpl;
        self.cpu.segs = segs;
        self.cpu.core.regs = regs;
        self.cpu.set_rflags(flags & !rflags::RF);
        self.cpu.context_changed();
        self.cpu.core.pc = pc;
    }

    /// The same for an exception without error code.
    #[track_caller]
    pub fn faults(&mut self, bytes: &[u8], vector: u8) {
        let (pc, cpl, segs) = (self.cpu.core.pc, self.cpu.cpl, self.cpu.segs);
        let (regs, flags) = (self.cpu.core.regs, self.cpu.rflags());
        assert!(!self.step(bytes), "{bytes:02x?} completed");
        assert_eq!(self.taken().0, vector as u64, "{bytes:02x?}");
        self.cpu.cpl = cpl;
        self.cpu.segs = segs;
        self.cpu.core.regs = regs;
        self.cpu.set_rflags(flags & !rflags::RF);
        self.cpu.context_changed();
        self.cpu.core.pc = pc;
    }
}

//! The tested vCPU: 64-bit or 32-bit user code with the window and the code page mapped, and the tiers to run it on.
//! A kernel of one instruction stops it at the first exception.

use std::sync::Arc;
use std::time::Duration;

use lyrebird_frontend_x86::cpu::X87;
use lyrebird_frontend_x86::platform::{BarePlatform, Platform};
use lyrebird_frontend_x86::regs::{Seg, rflags};
use lyrebird_frontend_x86::sys::control::{cr0, cr4, efer, xcr0};
use lyrebird_frontend_x86::sys::segment::{Segment, Table, attr};
use lyrebird_frontend_x86::{CpuModel, X86Cpu};
use lyrebird_isa::lines::{CpuLines, STOP};
use lyrebird_isa::{Cpu, Sem, Size, V128, Visitor};
use lyrebird_jit::t1::{RegionBlock, RegionExit};
use lyrebird_jit::{Engine, EngineConfig, Tier};
use lyrebird_softmmu::PhysMem;

use super::region::Regions;
use super::state::{After, BEFORE, CODE, CODE_BYTES, CODE_LEN, State, WINDOW, WINDOW_LEN, changes, window};

/// Page tables, physical.
const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
const PT: u64 = 0x4000;
/// Where linear addresses from 0x4010_0000 on lie in physical memory.
const RAM: u64 = 0x10_0000;
/// GDT and TSS, IDT, handlers, the stack of level 0: a page each, the user's to fault on.
const SYSTEM: u64 = CODE + 0x8_0000;
const TSS: u64 = SYSTEM + 0x800;
const IDT: u64 = SYSTEM + 0x1000;
const HANDLERS: u64 = SYSTEM + 0x2000;
const STACK: u64 = SYSTEM + 0x3000;
const STACK_TOP: u64 = STACK + 0x1000;

/// Selectors, as in Linux: code of level 0, data of level 0, code and data of level 3, the TSS, and what tells
/// programs which processor they are on.
const KERNEL32: u16 = 0x08;
const KERNEL: u16 = 0x10;
const KERNEL_DATA: u16 = 0x18;
const PROCESSOR: u16 = 0x7b;
const CODE32: u16 = 0x23;
const DATA: u16 = 0x2b;
const CODE64: u16 = 0x33;
const TASK: u16 = 0x40;

const fn physical(va: u64) -> u64 {
    va - CODE + RAM
}

/// A platform whose every port stops the vCPU.
#[derive(Debug)]
struct Stopper(BarePlatform);

impl Platform for Stopper {
    fn lines(&self) -> &Arc<CpuLines> {
        self.0.lines()
    }
    fn port_in(&mut self, port: u16, size: Size) -> u32 {
        self.0.port_in(port, size)
    }
    fn port_out(&mut self, _: u16, _: Size, _: u32) {
        self.0.lines.set(STOP, true);
    }
    fn acknowledge(&mut self) -> Option<u8> {
        self.0.acknowledge()
    }
    fn tsc(&mut self) -> u64 {
        self.0.tsc()
    }
    fn tsc_frequency(&self) -> u64 {
        self.0.tsc_frequency()
    }
    fn shutdown(&mut self) {
        self.0.shutdown();
    }
    fn advance(&mut self, retired: u64) {
        self.0.advance(retired);
    }
    fn next_deadline(&mut self) -> Option<Duration> {
        None
    }
}

/// Of a decoded instruction only its length is wanted.
struct Nothing;

impl Visitor<X86Cpu> for Nothing {
    type Out = ();
    fn visit<S: Sem<X86Cpu>>(self, _: S) {}
}

/// The vCPU with its tiers.
pub struct Guest {
    cpu: X86Cpu,
    mem: Arc<PhysMem>,
    engine: Engine<X86Cpu>,
    regions: Regions<X86Cpu>,
    pristine: Vec<u8>,
    bits: u32,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl Guest {
    /// A machine in user mode, in code of that many bits.
    pub fn new(bits: u32) -> Guest {
        let mem = PhysMem::builder().ram(0, 4 << 20).build().expect("4 MiB of memory");
        let model = CpuModel::by_name("x86-64-v3").expect("the model is there");
        let cpu = X86Cpu::new(model, Box::new(Stopper(BarePlatform::default())), mem.clone());
        let config = EngineConfig { tier: Tier::T0, slice: 256, ..EngineConfig::default() };
        let mut g = Guest {
            cpu,
            mem,
            engine: Engine::new(config),
            regions: Regions::new(),
            pristine: window(),
            bits,
        };
        g.map();
        g.kernel();
        let pristine = window();
        g.window_mut().copy_from_slice(&pristine);
        g.mem.write_bytes(physical(CODE), &[0xcc; CODE_LEN]).expect("RAM");
        g
    }

    /// The mode that user code is decoded in.
    #[allow(dead_code, reason = "used by the tests, which share this file")]
    pub fn mode(&self) -> u64 {
        self.cpu.mode()
    }

    /// Nanoseconds spent compiling.
    #[allow(dead_code, reason = "used by xtask, which shares this file")]
    pub fn compiling(&self) -> u64 {
        self.regions.nanos
    }

    fn poke(&self, pa: u64, v: u64) {
        self.mem.write(pa, Size::B8, v).expect("RAM");
    }

    fn map(&mut self) {
        // Present, writable, accessed, dirty, and of the user.
        const LEAF: u64 = 0x63;
        const USER: u64 = 1 << 2;
        const EXECUTE_DISABLE: u64 = 1 << 63;
        self.poke(PML4, PDPT | USER | 0x23);
        self.poke(PDPT + 8, PD | USER | 0x23);
        self.poke(PD, PT | USER | 0x23);
        let pages = |at: u64, len: usize, flags: u64| {
            for va in (at..at + len as u64).step_by(0x1000) {
                self.poke(PT + (va >> 12 & 511) * 8, physical(va) | flags);
            }
        };
        pages(CODE, CODE_LEN, LEAF | USER);
        pages(WINDOW, WINDOW_LEN, LEAF | USER | EXECUTE_DISABLE);
        pages(SYSTEM, 0x4000, LEAF);
        let c = &mut self.cpu.control;
        c.cr0 = cr0::PE | cr0::PG | cr0::NE | cr0::ET | cr0::WP | cr0::MP;
        c.cr4 = cr4::PAE | cr4::PSE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
        c.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
        c.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
        c.cr3 = PML4;
    }

    /// The tables, and handlers that write to the port of their vector's number.
    fn kernel(&mut self) {
        const ATTR: u16 = attr::P | attr::S | attr::RW | attr::ACCESSED | attr::G;
        // Flat, for what the descriptors' limits are worth in 64-bit code.
        let descriptor = |a: u16| 0xffff | 0xf << 48 | (a as u64) << 40;
        let user = ATTR | 3 << 5;
        for (s, a) in [
            (KERNEL32, ATTR | attr::CODE | attr::DB),
            (KERNEL, ATTR | attr::CODE | attr::L),
            (KERNEL_DATA, ATTR | attr::DB),
            (PROCESSOR, user & !(attr::RW | attr::G) | attr::DB),
            (CODE32, user | attr::CODE | attr::DB),
            (DATA, user | attr::DB),
            (CODE64, user | attr::CODE | attr::L),
        ] {
            self.poke(physical(SYSTEM) + (s & !7) as u64, descriptor(a));
        }
        self.poke(physical(TSS) + 4, STACK_TOP);
        // The I/O bitmap is beyond the limit.
        self.mem.write(physical(TSS) + 0x66, Size::B2, 0x68).expect("RAM");
        for v in 0..32u64 {
            let to = HANDLERS + 16 * v;
            // Present interrupt gates; those of #BP and #OF are for INT3, INTO and INT as well.
            let access = if v == 3 || v == 4 { 0xee } else { 0x8e };
            let gate = to & 0xffff | (to & 0xffff_0000) << 32 | (KERNEL as u64) << 16 | access << 40;
            self.poke(physical(IDT) + 16 * v, gate);
            // out v, al; jmp $
            self.poke(physical(to), 0xfeeb_00e6 | v << 8);
        }
        let cpu = &mut self.cpu;
        cpu.gdtr = Table { base: SYSTEM, limit: 0x7f };
        cpu.idtr = Table { base: IDT, limit: 32 * 16 - 1 };
        // Type 11, busy TSS.
        cpu.tr = (Segment { selector: TASK, attr: attr::P | 11, limit: 0x67 }, TSS);
        self.user();
        self.cpu.paging_changed().expect("4-level paging needs no PDPTEs");
    }

    /// Goes to user mode, where only those segments are loaded that code uses.
    fn user(&mut self) {
        let flat = attr::P | attr::S | attr::RW | attr::ACCESSED | attr::G | 3 << 5;
        let (selector, size) = if self.bits == 64 { (CODE64, attr::L) } else { (CODE32, attr::DB) };
        let code = Segment { selector, attr: flat | attr::CODE | size, limit: u32::MAX };
        let data = Segment { selector: DATA, attr: flat | attr::DB, limit: u32::MAX };
        self.cpu.cpl = 3;
        for seg in Seg::ALL {
            let s = match seg {
                Seg::Cs => code,
                Seg::Ss => data,
                Seg::Ds | Seg::Es if self.bits == 32 => data,
                _ => Segment::NULL,
            };
            self.cpu.set_segment(seg, s, 0);
        }
    }

    fn window_mut(&mut self) -> &mut [u8] {
        let p = self.mem.ram_ptr(physical(WINDOW), WINDOW_LEN as u64).expect("the window is RAM");
        // SAFETY: RAM that lives as long as `mem`; no vCPU runs while the slice is in use.
        unsafe { std::slice::from_raw_parts_mut(p, WINDOW_LEN) }
    }

    /// Puts the code into its page, INT3 around it.
    fn load(&mut self, code: &[u8]) {
        let mut bytes = [0xcc; CODE_BYTES];
        bytes[BEFORE..BEFORE + code.len()].copy_from_slice(code);
        // The last test may have stored there.
        self.mem.write_bytes(physical(CODE), &bytes).expect("RAM");
    }

    fn enter(&mut self, code: &[u8], s: &State) {
        self.load(code);
        self.user();
        let cpu = &mut self.cpu;
        cpu.core.regs[..16].copy_from_slice(&s.gpr);
        cpu.set_rflags(s.rflags);
        cpu.core.fault = 0;
        cpu.set_mxcsr(s.mxcsr());
        for i in 0..16 {
            cpu.core.vregs[i] = V128::from_u128(s.xmm(i));
            cpu.core.vregs[16 + i] = V128::from_u128(s.ymm_high[i]);
        }
        let (cw, sw, tags) = s.x87();
        let top = sw >> 11 & 7;
        let mut x = X87 { cw, sw, ..X87::new() };
        x.tw = 0;
        for i in 0..8u16 {
            let r = usize::from((top + i) & 7);
            let b = s.st(i.into());
            let m = u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
            x.regs[r] = (m, u16::from_le_bytes([b[8], b[9]]));
            if tags >> i & 1 == 0 {
                x.tw |= 3 << (2 * i);
            }
        }
        cpu.x87 = x;
        cpu.core.pc = CODE + BEFORE as u64;
    }

    /// The vector whose handler the PC is in.
    fn vector(&self) -> Option<u64> {
        let at = self.cpu.core.pc.wrapping_sub(HANDLERS);
        (at < 32 * 16).then_some(at / 16)
    }

    /// What the exception found, from its handler; the window is put back.
    fn leave(&mut self) -> After {
        let cpu = &self.cpu;
        let vector = self.vector();
        let vector = vector.unwrap_or_else(|| panic!("at {:#x}, {:?}", cpu.core.pc, cpu.shutdown));
        // Delivery to level 0 pushes an error code for some vectors (SDM Vol. 3, table 6-1), behind the five words
        // that it always pushes.
        let coded = matches!(vector, 8 | 10..=14 | 17);
        let frame = |i: u64| self.mem.read(physical(STACK_TOP) - 8 * i, Size::B8).expect("RAM");
        let mut s = State {
            rip: frame(5),
            rflags: frame(3) & !rflags::RF,
            vector,
            error: if coded { frame(6) } else { 0 },
            cr2: if vector == 14 { cpu.control.cr2 } else { 0 },
            ..State::default()
        };
        s.gpr.copy_from_slice(&cpu.core.regs[..16]);
        s.gpr[4] = frame(2);
        for i in 0..16 {
            s.set_xmm(i, cpu.core.vregs[i].to_u128());
            s.ymm_high[i] = cpu.core.vregs[16 + i].to_u128();
        }
        s.fx[24..28].copy_from_slice(&cpu.mxcsr.to_le_bytes());
        let x = &cpu.x87;
        s.fx[0..2].copy_from_slice(&x.cw.to_le_bytes());
        s.fx[2..4].copy_from_slice(&x.sw.to_le_bytes());
        for i in 0..8u16 {
            let (m, se) = x.regs[usize::from(((x.sw >> 11) + i) & 7)];
            s.fx[32 + 16 * usize::from(i)..][..8].copy_from_slice(&m.to_le_bytes());
            s.fx[40 + 16 * usize::from(i)..][..2].copy_from_slice(&se.to_le_bytes());
            s.fx[4] |= ((x.tw >> (2 * i) & 3 != 3) as u8) << i;
        }
        let pristine = std::mem::take(&mut self.pristine);
        let stores = changes(&pristine, self.window_mut());
        if !stores.is_empty() {
            self.window_mut().copy_from_slice(&pristine);
        }
        self.pristine = pristine;
        After { state: s, stores }
    }

    /// Runs on the engine's T0: decoded blocks, threaded handlers.
    pub fn t0(&mut self, code: &[u8], s: &State) -> After {
        self.enter(code, s);
        self.cpu.platform.lines().set(STOP, false);
        self.engine.run(&mut self.cpu).expect("not in verify mode");
        self.leave()
    }

    /// Runs compiled by T1; what T1 leaves to T0 is interpreted. Err without a reason where T1 leaves everything to T0,
    /// with one where it fails.
    pub fn t1(&mut self, code: &[u8], s: &State) -> Result<After, Option<String>> {
        self.enter(code, s);
        let pc = self.cpu.core.pc;
        // What is behind the one instruction is for it to load.
        let len = X86Cpu::decode(code, pc, self.cpu.mode(), Nothing).1;
        let block = RegionBlock { pc, bytes: code[..len].into(), targets: Vec::new() };
        let exit = self.regions.run(&mut self.cpu, vec![block])?;
        if exit == RegionExit::Fault {
            self.cpu.take_fault(self.cpu.core.pc);
        }
        // A repeated string instruction may come back to itself.
        for _ in 0..256 {
            if self.vector().is_some() {
                return Ok(self.leave());
            }
            self.cpu.step();
        }
        Err(Some(format!("exit {exit:?} at {:#x}, and no end", self.cpu.core.pc)))
    }
}

//! The tested vCPU: 64-bit or 32-bit user code with the window and the code page mapped, and the tiers to run it on.

use std::sync::Arc;

use lyrebird_frontend_x86::cpu::X87;
use lyrebird_frontend_x86::exception::Fault;
use lyrebird_frontend_x86::platform::BarePlatform;
use lyrebird_frontend_x86::regs::Seg;
use lyrebird_frontend_x86::sys::control::{cr0, cr4, efer, xcr0};
use lyrebird_frontend_x86::sys::segment::{Segment, attr};
use lyrebird_frontend_x86::{CpuModel, X86Cpu};
use lyrebird_isa::interp::{Interp, Next};
use lyrebird_isa::{Cpu, Sem, Size, V128, Visitor};
use lyrebird_jit::t1::{
    Arena, CompileError, Compiler, CompilerConfig, RegionBlock, RegionExit, RegionRequest,
};
use lyrebird_softmmu::PhysMem;

use super::native::{Answer, Question, changes};
use super::state::{BEFORE, CODE, CODE_LEN, State, WINDOW, WINDOW_LEN, window};

/// Where the window and the code page are in physical memory.
const RAM: u64 = 0x10_0000;
const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
const PT: u64 = 0x4000;

/// The vCPU with its tiers.
pub struct Guest {
    cpu: X86Cpu,
    mem: Arc<PhysMem>,
    compiler: Compiler<X86Cpu>,
    pristine: Vec<u8>,
    bits: u32,
    /// Nanoseconds spent compiling.
    pub compiling: u64,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

/// Executes as T0 does: first without slow paths, then with them.
struct Execute<'a>(&'a mut X86Cpu);

impl Visitor<X86Cpu> for Execute<'_> {
    type Out = Option<(Next, u64)>;

    fn visit<S: Sem<X86Cpu>>(self, s: S) -> Self::Out {
        let mut e = Interp::attempt(self.0);
        if s.sem(&mut e).is_ok() {
            return Some((e.next, e.target));
        }
        let mut e = Interp::new(self.0);
        s.sem(&mut e).ok().map(|()| (e.next, e.target))
    }
}

impl Guest {
    /// A machine in user mode, in code of that many bits.
    pub fn new(bits: u32) -> Guest {
        let mem = PhysMem::builder().ram(0, 4 << 20).build().expect("4 MiB of memory");
        let model = CpuModel::by_name("x86-64-v3").expect("the model is there");
        let cpu = X86Cpu::new(model, Box::new(BarePlatform::default()), mem.clone());
        let arena = Arena::new(64 << 20).expect("64 MiB for code");
        let config = CompilerConfig { chain: false, ..CompilerConfig::of::<X86Cpu>() };
        let compiler = Compiler::new(arena, config).expect("a compiler for this host");
        let mut g = Guest { cpu, mem, compiler, pristine: window(), bits, compiling: 0 };
        g.map();
        g
    }

    fn map(&mut self) {
        let poke = |pa: u64, v: u64| self.mem.write(pa, Size::B8, v).expect("RAM");
        // Present, writable, user, accessed, dirty.
        const LEAF: u64 = 0x67;
        poke(PML4, PDPT | 0x27);
        poke(PDPT + 8, PD | 0x27);
        poke(PD, PT | 0x27);
        for at in (0..CODE_LEN as u64).step_by(0x1000) {
            poke(PT + ((CODE + at) >> 12 & 511) * 8, (RAM + at) | LEAF);
        }
        for at in (0..WINDOW_LEN as u64).step_by(0x1000) {
            poke(PT + ((WINDOW + at) >> 12 & 511) * 8, (RAM + 0x8000 + at) | LEAF);
        }
        let cpu = &mut self.cpu;
        let c = &mut cpu.control;
        c.cr0 = cr0::PE | cr0::PG | cr0::NE | cr0::ET | cr0::WP | cr0::MP;
        c.cr4 = cr4::PAE | cr4::PSE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
        c.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
        c.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
        c.cr3 = PML4;
        cpu.cpl = 3;
        let user = attr::P | attr::S | attr::RW | attr::ACCESSED | 3 << 5;
        let size = if self.bits == 64 { attr::L } else { attr::DB };
        let code = Segment { selector: 0x33, attr: user | attr::CODE | size | attr::G, limit: u32::MAX };
        let data = Segment { selector: 0x2b, attr: user | attr::DB | attr::G, limit: u32::MAX };
        for seg in Seg::ALL {
            cpu.set_segment(seg, if seg == Seg::Cs { code } else { data }, 0);
        }
        cpu.paging_changed().expect("4-level paging needs no PDPTEs");
        let pristine = window();
        self.memory(RAM + 0x8000, WINDOW_LEN).copy_from_slice(&pristine);
    }

    fn memory(&mut self, pa: u64, len: usize) -> &mut [u8] {
        let p = self.mem.ram_ptr(pa, len as u64).expect("RAM");
        // SAFETY: RAM that lives as long as `mem`; no vCPU runs while the slice is in use.
        unsafe { std::slice::from_raw_parts_mut(p, len) }
    }

    fn enter(&mut self, q: &Question) {
        let s = &q.state;
        self.memory(RAM, CODE_LEN).fill(0xcc);
        let len = q.len as usize;
        self.memory(RAM + BEFORE as u64, len).copy_from_slice(&q.code[..len]);
        let cpu = &mut self.cpu;
        cpu.core.regs[..16].copy_from_slice(&s.gpr);
        cpu.set_rflags(s.rflags);
        cpu.core.fault = 0;
        let _ = cpu.take_pending();
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
        cpu.core.budget = 1 << 20;
    }

    fn leave(&mut self, fault: Option<Fault>, stores: bool) -> Answer {
        let cpu = &mut self.cpu;
        let mut s = State { rip: cpu.rip(), rflags: cpu.rflags(), vector: 3, ..State::default() };
        match fault {
            Some(f) => {
                s.vector = f.vector.into();
                s.error = f.error.unwrap_or(0).into();
                s.cr2 = f.cr2.unwrap_or(0);
            }
            // Behind the INT3 that comes next.
            None => s.rip += 1,
        }
        s.gpr.copy_from_slice(&cpu.core.regs[..16]);
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
        let memory = self.memory(RAM + 0x8000, WINDOW_LEN);
        let changed = changes(&pristine, memory);
        if !changed.is_empty() {
            memory.copy_from_slice(&pristine);
        }
        self.pristine = pristine;
        Answer { state: s, stores: if stores { changed } else { Vec::new() } }
    }

    /// Runs as T0 does.
    pub fn t0(&mut self, q: &Question) -> Answer {
        self.enter(q);
        let (pc, mode) = (self.cpu.core.pc, self.cpu.mode());
        // A repeated string instruction may come back to itself.
        for _ in 0..64 {
            let (went, len) = X86Cpu::decode(&q.code[..15], pc, mode, Execute(&mut self.cpu));
            let Some((next, target)) = went else {
                self.cpu.core.pc = pc;
                self.cpu.core.fault = 0;
                let fault = self.cpu.take_pending();
                return self.leave(fault, q.stores != 0);
            };
            match next {
                Next::Fall | Next::NotTaken | Next::SyncNext => self.cpu.core.pc = pc + len as u64,
                Next::Taken | Next::Indirect => self.cpu.core.pc = target,
                Next::SyncPc => {}
            }
            if self.cpu.core.pc != pc {
                break;
            }
        }
        self.leave(None, q.stores != 0)
    }

    /// Runs compiled by T1. Err without a reason where T1 leaves the instruction to T0, with one where it fails.
    pub fn t1(&mut self, q: &Question) -> Result<Answer, Option<String>> {
        self.enter(q);
        let pc = self.cpu.core.pc;
        let block = RegionBlock { pc, bytes: q.code[..q.len as usize].into() };
        let mode = self.cpu.mode();
        let request = RegionRequest { id: 0, mode, blocks: vec![block], dump: false, verify: false };
        let region = match self.compiler.compile(request) {
            Ok(r) => r,
            Err(f) => {
                return match f.error {
                    CompileError::Empty(_) => Err(None),
                    e => Err(Some(format!("{e}\n{}", f.clif.unwrap_or_default()))),
                };
            }
        };
        self.compiling += region.nanos;
        // SAFETY: compiled for `X86Cpu`, whose first field is its core; the code lives until the end of this function.
        let code = unsafe { region.code.as_region()((&raw mut self.cpu).cast()) };
        let fault = match RegionExit::from_code(code) {
            Some(RegionExit::Fault) => {
                self.cpu.core.fault = 0;
                self.cpu.take_pending()
            }
            Some(_) if self.cpu.core.pc == pc => return Err(None),
            Some(_) => None,
            None => return Err(Some(format!("exit code {code}"))),
        };
        Ok(self.leave(fault, q.stores != 0))
    }
}

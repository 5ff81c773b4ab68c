//! [`Mode`]: what of the CPU's state changes the meaning of instruction bytes.

use rustc_hash::FxHashMap;

use lyrebird_isa::float;
use lyrebird_isa::host::flag;
use lyrebird_softmmu::ContextKey;

use super::X86Cpu;
use super::model::{CpuModel, Feature};
use crate::regs::{self, Seg, rflags};
use crate::sys::control::{cr0, cr4, xcr0};

/// Mode bits; blocks are keyed by them. Bits 63 to 32 are CS's base where code is not 64-bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode(pub u64);

impl Mode {
    const STACK32: u64 = 1 << 2;
    const CPL3: u64 = 1 << 3;
    /// First of six bits, by segment: the segment's base is not known to be 0.
    const BASED: u32 = 4;
    /// First of six bits, by segment: accesses are checked.
    const CHECKED: u32 = 10;
    const X87_TRAPPED: u64 = 1 << 16;
    const SSE_UNDEFINED: u64 = 1 << 17;
    const TASK_SWITCHED: u64 = 1 << 18;
    const AVX: u64 = 1 << 19;
    /// An SSE exception may be taken.
    const SSE_UNMASKED: u64 = 1 << 20;
    /// Every instruction is checked on its own.
    const CAREFUL: u64 = 1 << 21;
    const PROTECTED: u64 = 1 << 22;
    const V8086: u64 = 1 << 23;
    const LONG: u64 = 1 << 24;
    const X87_UNDEFINED: u64 = 1 << 25;
    const MODEL: u32 = 26;
    const IO_PRIVILEGED: u64 = 1 << 28;
    /// CS's limit is below 4 GiB - 1.
    const LIMITED32: u64 = 1 << 29;
    /// CS's limit is below 64 KiB - 1.
    const LIMITED16: u64 = 1 << 30;
    /// SSE computes on the host's unit.
    const SSE_HOST: u64 = 1 << 31;

    /// Code size in bits: 16, 32 or 64.
    pub fn code_bits(self) -> u32 {
        16 << (self.0 & 3)
    }

    /// In 64-bit code.
    pub fn code64(self) -> bool {
        self.0 & 3 == 2
    }

    /// An instruction pointer, or a linear address, as wide as it is in the mode: 64 bits in 64-bit code, else 32.
    pub fn wrap(self, v: u64) -> u64 {
        if self.code64() { v } else { v & 0xffff_ffff }
    }

    /// Width of stack addresses in bits.
    pub fn stack_bits(self) -> u32 {
        if self.code64() {
            64
        } else if self.0 & Mode::STACK32 != 0 {
            32
        } else {
            16
        }
    }

    /// CPL is 3.
    pub fn user(self) -> bool {
        self.0 & Mode::CPL3 != 0
    }

    /// The segment's base is 0.
    pub fn flat(self, seg: Seg) -> bool {
        self.0 >> Mode::BASED >> seg as u32 & 1 == 0
    }

    /// Accesses through the segment are checked.
    pub fn checked(self, seg: Seg) -> bool {
        self.0 >> Mode::CHECKED >> seg as u32 & 1 != 0
    }

    /// x87 and MMX instructions raise #NM: CR0.EM (x87 only) or CR0.TS.
    pub fn x87_trapped(self) -> bool {
        self.0 & Mode::X87_TRAPPED != 0
    }

    /// MMX instructions raise #UD: CR0.EM.
    pub fn mmx_undefined(self) -> bool {
        self.0 & Mode::X87_UNDEFINED != 0
    }

    /// SSE instructions raise #UD: CR0.EM, or CR4.OSFXSR clear.
    pub fn sse_undefined(self) -> bool {
        self.0 & Mode::SSE_UNDEFINED != 0
    }

    /// CR0.TS: SSE and AVX instructions raise #NM.
    pub fn task_switched(self) -> bool {
        self.0 & Mode::TASK_SWITCHED != 0
    }

    /// AVX state is enabled by CR4.OSXSAVE and XCR0.
    pub fn avx(self) -> bool {
        self.0 & Mode::AVX != 0
    }

    /// MXCSR unmasks an exception.
    pub fn sse_unmasked(self) -> bool {
        self.0 & Mode::SSE_UNMASKED != 0
    }

    /// MXCSR's control bits are those of the host at rest: nearest, nothing flushed, all exceptions masked. What SSE
    /// computes is then the host's to compute.
    pub fn sse_host(self) -> bool {
        self.0 & Mode::SSE_HOST != 0
    }

    /// Something must be checked around every instruction: TF, breakpoints, alignment.
    pub fn careful(self) -> bool {
        self.0 & Mode::CAREFUL != 0
    }

    /// The same without the checks.
    pub(crate) fn plain(self) -> Mode {
        Mode(self.0 & !(Mode::CAREFUL | Mode::LIMITED32 | Mode::LIMITED16))
    }

    /// Near branches may lead beyond CS's limit; `narrow`: those that load 16 bits of EIP.
    pub(crate) fn limited(self, narrow: bool) -> bool {
        self.0 & if narrow { Mode::LIMITED16 } else { Mode::LIMITED32 } != 0
    }

    /// CR0.PE, virtual-8086 mode included.
    pub fn protected(self) -> bool {
        self.0 & Mode::PROTECTED != 0
    }

    /// EFLAGS.VM.
    pub fn v8086(self) -> bool {
        self.0 & Mode::V8086 != 0
    }

    /// CLI, STI, IN and OUT are allowed without a look at the TSS or virtual interrupt flags: real mode, or CPL not
    /// above IOPL. In virtual-8086 mode only CLI and STI are.
    pub fn io_privileged(self) -> bool {
        self.0 & Mode::IO_PRIVILEGED != 0
    }

    /// EFER.LMA, compatibility mode included.
    pub fn long(self) -> bool {
        self.0 & Mode::LONG != 0
    }

    /// The base of CS where code is not 64-bit.
    pub fn cs_base(self) -> u64 {
        if self.code64() { 0 } else { self.0 >> 32 }
    }

    /// Whether the CPU model has a feature.
    pub fn has(self, f: Feature) -> bool {
        CpuModel::ALL[(self.0 >> Mode::MODEL & 3) as usize].has(f)
    }
}

/// Small numbers for modes, which [`lyrebird_isa::Core::code_ctx`] has room for.
#[derive(Clone, Debug, Default)]
pub struct Modes {
    numbers: FxHashMap<(u64, u32), u16>,
    /// Those found last: a kernel and its programs come here with every system call.
    recent: [Option<((u64, u32), u16)>; Modes::RECENT],
}

impl Modes {
    const RECENT: usize = 4;

    /// The number of a mode with a limit; `None` where there is none left.
    fn number(&mut self, mode: u64, limit: u32) -> Option<u16> {
        let key = (mode, limit);
        let at = usize::from(mode & Mode::CPL3 != 0) | usize::from(mode & Mode::TASK_SWITCHED != 0) << 1;
        let recent = &mut self.recent[at % Modes::RECENT];
        if let Some((k, n)) = *recent
            && k == key
        {
            return Some(n);
        }
        let next = u16::try_from(self.numbers.len()).ok().filter(|n| *n < u16::MAX);
        let n = match self.numbers.get(&key) {
            Some(n) => *n,
            None => *self.numbers.entry(key).or_insert(next?),
        };
        *recent = Some((key, n));
        Some(n)
    }

    fn clear(&mut self) {
        *self = Modes::default();
    }
}

impl X86Cpu {
    /// Recomputes the mode, and points the TLB at the context of the current privilege.
    pub(crate) fn context_changed(&mut self) {
        let c = &self.control;
        let flags = self.core.reg(regs::FLAGS);
        let cs = &self.segs[Seg::Cs as usize];
        let long = c.long_mode();
        let bit = |on: bool, b: u64| if on { b } else { 0 };
        let vm = flags & rflags::VM != 0;
        let code = match () {
            () if long && cs.long() => 2,
            () if cs.big() => 1,
            () => 0,
        };
        let mut m = code
            // In 64-bit code the stack is 64 bits wide whatever SS is, and SS is null behind an interrupt that changed the
            // privilege: a kernel would else be decoded and compiled twice.
            | bit(code != 2 && self.segs[Seg::Ss as usize].big(), Mode::STACK32)
            | bit(self.cpl == 3, Mode::CPL3)
            | bit(c.cr0 & (cr0::EM | cr0::TS) != 0, Mode::X87_TRAPPED)
            | bit(c.cr0 & cr0::EM != 0, Mode::X87_UNDEFINED)
            | bit(c.cr0 & cr0::EM != 0 || c.cr4 & cr4::OSFXSR == 0, Mode::SSE_UNDEFINED)
            | bit(c.cr0 & cr0::TS != 0, Mode::TASK_SWITCHED)
            | bit(c.cr4 & cr4::OSXSAVE != 0 && c.xcr0 & xcr0::AVX != 0, Mode::AVX)
            | bit(!self.mxcsr & 0x1f80 != 0, Mode::SSE_UNMASKED)
            | bit(float::AVAILABLE && self.mxcsr & !flag::ALL == 0x1f80, Mode::SSE_HOST)
            | bit(self.needs_care(), Mode::CAREFUL)
            | bit(c.cr0 & cr0::PE != 0, Mode::PROTECTED)
            | bit(vm, Mode::V8086)
            | bit(long, Mode::LONG)
            | bit(c.cr0 & cr0::PE == 0 || u64::from(self.cpl) <= flags >> 12 & 3, Mode::IO_PRIVILEGED)
            | (self.model.id as u64) << Mode::MODEL;
        // In 64-bit code only FS and GS have bases, and none has a limit (SDM Vol. 3, 3.2.4).
        m |= (1 << Seg::Fs as u32 | 1 << Seg::Gs as u32) << Mode::BASED;
        if code != 2 {
            for seg in Seg::ALL {
                let (based, checked) = (self.base(seg) != 0, !self.segs[seg as usize].is_flat());
                m |= bit(based, 1 << Mode::BASED << seg as u32)
                    | bit(checked, 1 << Mode::CHECKED << seg as u32);
            }
        }
        // The limit is no part of the mode, but what leads from block to block holds for one limit.
        let mut limit = u32::MAX;
        if code != 2 {
            limit = cs.limit;
            m |= self.base(Seg::Cs) << 32
                | bit(limit < u32::MAX, Mode::LIMITED32)
                | bit(limit < 0xffff, Mode::LIMITED16);
        }
        self.mode = Mode(m);
        let id = self.modes.number(m, limit).unwrap_or_else(|| {
            // Every number is about to be used again for something else.
            self.modes.clear();
            self.mmu.renew_code(&mut self.core);
            self.modes.number(m, limit).unwrap_or(0)
        });
        let key = ContextKey { asid: self.paging.space_id(), class: self.paging.class(self.cpl, flags) };
        let implicit = ContextKey { class: self.paging.implicit_class(), ..key };
        self.paging.user = self.cpl == 3;
        self.paging.ac = flags & rflags::AC != 0;
        self.mmu.switch(&mut self.core, key, implicit, id);
    }
}

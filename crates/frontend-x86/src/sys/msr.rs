//! Model-specific registers (SDM Vol. 4, chapter 2), and what reads the time stamp counter.

use std::collections::BTreeMap;

use super::access::canonical;
use super::control::{Control, cr0, cr4, efer};
use crate::X86Cpu;
use crate::cpu::model::{CpuModel, Feature};
use crate::exception::{Fault, Outcome};
use crate::regs::{self, Seg};

/// Numbers of registers.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod index {
    pub const TSC: u32 = 0x10;
    pub const PLATFORM_ID: u32 = 0x17;
    pub const APIC_BASE: u32 = 0x1b;
    pub const EBL_CR_POWERON: u32 = 0x2a;
    pub const FEATURE_CONTROL: u32 = 0x3a;
    pub const TSC_ADJUST: u32 = 0x3b;
    pub const SPEC_CTRL: u32 = 0x48;
    pub const PRED_CMD: u32 = 0x49;
    pub const BIOS_UPDT_TRIG: u32 = 0x79;
    pub const BIOS_SIGN_ID: u32 = 0x8b;
    pub const PLATFORM_INFO: u32 = 0xce;
    pub const MTRRCAP: u32 = 0xfe;
    pub const ARCH_CAPABILITIES: u32 = 0x10a;
    pub const SYSENTER_CS: u32 = 0x174;
    pub const SYSENTER_ESP: u32 = 0x175;
    pub const SYSENTER_EIP: u32 = 0x176;
    pub const MCG_CAP: u32 = 0x179;
    pub const MCG_STATUS: u32 = 0x17a;
    pub const PERF_STATUS: u32 = 0x198;
    pub const PERF_CTL: u32 = 0x199;
    pub const THERM_INTERRUPT: u32 = 0x19b;
    pub const THERM_STATUS: u32 = 0x19c;
    pub const MISC_ENABLE: u32 = 0x1a0;
    pub const DEBUGCTL: u32 = 0x1d9;
    pub const MTRR_PHYSBASE0: u32 = 0x200;
    pub const MTRR_PHYSMASK7: u32 = 0x20f;
    pub const MTRR_FIX64K: u32 = 0x250;
    pub const MTRR_FIX16K_80000: u32 = 0x258;
    pub const MTRR_FIX16K_A0000: u32 = 0x259;
    pub const MTRR_FIX4K_C0000: u32 = 0x268;
    pub const MTRR_FIX4K_F8000: u32 = 0x26f;
    pub const PAT: u32 = 0x277;
    pub const MTRR_DEF_TYPE: u32 = 0x2ff;
    pub const TSC_DEADLINE: u32 = 0x6e0;
    pub const X2APIC_FIRST: u32 = 0x800;
    pub const X2APIC_LAST: u32 = 0x8ff;
    pub const EFER: u32 = 0xc000_0080;
    pub const STAR: u32 = 0xc000_0081;
    pub const LSTAR: u32 = 0xc000_0082;
    pub const CSTAR: u32 = 0xc000_0083;
    pub const FMASK: u32 = 0xc000_0084;
    pub const FS_BASE: u32 = 0xc000_0100;
    pub const GS_BASE: u32 = 0xc000_0101;
    pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
    pub const TSC_AUX: u32 = 0xc000_0103;
}

/// Microcode revision that IA32_BIOS_SIGN_ID shows: one without known errata of the models' signatures.
const MICROCODE: u64 = 0x28;
/// IA32_ARCH_CAPABILITIES: nothing is executed speculatively, so that no variant of that works here (SDM Vol. 4, table
/// 2-2): RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO,
/// PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
const ARCH_CAPABILITIES: u64 =
    1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 7 << 13 | 1 << 20 | 1 << 24 | 3 << 26 | 1 << 62;
/// IA32_MISC_ENABLE after RESET: fast strings; branch trace and precise sampling are not there.
const MISC_ENABLE: u64 = 1 | 1 << 11 | 1 << 12;
/// Eight variable-range registers, fixed ones, write combining.
const MTRRCAP: u64 = 0x508;

/// The registers that are only values; others live where they act.
#[derive(Clone, Debug, Default)]
pub struct Msrs {
    /// IA32_STAR.
    pub star: u64,
    /// IA32_LSTAR.
    pub lstar: u64,
    /// IA32_CSTAR.
    pub cstar: u64,
    /// IA32_FMASK.
    pub fmask: u64,
    /// IA32_KERNEL_GS_BASE.
    pub kernel_gs_base: u64,
    /// IA32_SYSENTER_CS, _ESP, _EIP.
    pub sysenter: [u64; 3],
    /// IA32_TSC_AUX.
    pub tsc_aux: u64,
    /// What the guest's TSC is ahead of the platform's; IA32_TSC_ADJUST.
    pub tsc_offset: u64,
    /// Those without effect, by number: PAT, memory type ranges and others.
    pub plain: BTreeMap<u32, u64>,
}

impl Msrs {
    /// After RESET.
    pub fn reset(model: &CpuModel) -> Msrs {
        use index::*;
        let mut plain = BTreeMap::from([(PLATFORM_ID, 0), (EBL_CR_POWERON, 0)]);
        if model.has(Feature::Pat) {
            plain.insert(PAT, 0x0007_0406_0007_0406);
        }
        if model.has(Feature::Mtrr) {
            let fixed = [MTRR_FIX64K, MTRR_FIX16K_80000, MTRR_FIX16K_A0000, MTRR_DEF_TYPE];
            let ranges = (MTRR_PHYSBASE0..=MTRR_PHYSMASK7).chain(MTRR_FIX4K_C0000..=MTRR_FIX4K_F8000);
            plain.extend(fixed.into_iter().chain(ranges).map(|n| (n, 0)));
        }
        if model.has(Feature::Mce) {
            plain.extend([(MCG_CAP, 0), (MCG_STATUS, 0)]);
        }
        if model.has(Feature::Cmov) {
            plain.insert(DEBUGCTL, 0);
        }
        if model.has(Feature::SpecCtrl) {
            plain.insert(SPEC_CTRL, 0);
        }
        if model.has(Feature::Lm) {
            plain.extend([PERF_STATUS, PERF_CTL, THERM_INTERRUPT, THERM_STATUS].map(|n| (n, 0)));
            plain.insert(MISC_ENABLE, self::MISC_ENABLE);
        }
        Msrs { plain, ..Msrs::default() }
    }

    /// A write of one of the registers without effect; false if the value is not allowed.
    fn set_plain(&mut self, n: u32, v: u64, phys_bits: u8) -> bool {
        use index::*;
        let memory_type = |t: u64| matches!(t, 0 | 1 | 4 | 5 | 6);
        let bytes = v.to_le_bytes().map(u64::from);
        let beyond = v >> phys_bits != 0;
        let good = match n {
            PAT => bytes.iter().all(|&t| memory_type(t) || t == 7),
            MTRR_DEF_TYPE => memory_type(v & 0xff) && v & !0xcff == 0,
            MTRR_PHYSBASE0..=MTRR_PHYSMASK7 if n & 1 == 0 => {
                memory_type(v & 0xff) && v & 0xf00 == 0 && !beyond
            }
            MTRR_PHYSBASE0..=MTRR_PHYSMASK7 => v & 0x7ff == 0 && !beyond,
            MTRR_FIX64K..=MTRR_FIX4K_F8000 => bytes.iter().all(|&t| memory_type(t)),
            MCG_CAP | PLATFORM_ID | PERF_STATUS => false,
            DEBUGCTL => v & !0xffc3 == 0,
            // IBRS, STIBP and BHI_DIS_S.
            SPEC_CTRL => v & !(3 | 1 << 10) == 0,
            _ => true,
        };
        if good {
            self.plain.insert(n, v);
        }
        good
    }
}

impl X86Cpu {
    /// The guest's time stamp counter.
    pub(crate) fn tsc(&mut self) -> u64 {
        self.platform.tsc().wrapping_add(self.msr.tsc_offset)
    }

    /// RDTSC and RDTSCP.
    pub(crate) fn rdtsc(&mut self) -> Outcome<u64> {
        if self.control.cr4 & cr4::TSD != 0 && self.cpl > 0 && self.control.cr0 & cr0::PE != 0 {
            return Err(Fault::gp(0));
        }
        Ok(self.tsc())
    }

    /// RDMSR.
    pub(crate) fn rdmsr(&mut self, n: u32) -> Outcome<u64> {
        self.privileged()?;
        self.read_msr(n).ok_or_else(|| self.unknown_msr(n))
    }

    /// WRMSR.
    pub(crate) fn wrmsr(&mut self, n: u32, v: u64) -> Outcome<()> {
        self.privileged()?;
        match self.write_msr(n, v) {
            Some(true) => Ok(()),
            Some(false) => Err(Fault::gp(0)),
            None => Err(self.unknown_msr(n)),
        }
    }

    fn unknown_msr(&mut self, n: u32) -> Fault {
        *self.counters.unknown_msrs.entry(n).or_insert(0) += 1;
        Fault::gp(0)
    }

    /// The value of a model-specific register; None where there is none of that number.
    pub fn read_msr(&mut self, n: u32) -> Option<u64> {
        use index::*;
        let has = |f: Feature| self.model.has(f);
        let (long, apic) = (has(Feature::Lm), has(Feature::Apic));
        Some(match n {
            TSC if has(Feature::Tsc) => self.tsc(),
            TSC_ADJUST if has(Feature::TscAdjust) => self.msr.tsc_offset,
            APIC_BASE if apic => self.platform.apic_msr(n)?,
            X2APIC_FIRST..=X2APIC_LAST if has(Feature::X2apic) => self.platform.apic_msr(n)?,
            TSC_DEADLINE if has(Feature::TscDeadline) => match self.platform.apic_msr(n)? {
                0 => 0,
                v => v.wrapping_add(self.msr.tsc_offset),
            },
            // Locked, without virtual machine extensions.
            FEATURE_CONTROL if long => 1,
            BIOS_SIGN_ID => MICROCODE << 32,
            PLATFORM_INFO if long => ((self.platform.tsc_frequency() / 100_000_000) & 0xff) << 8,
            ARCH_CAPABILITIES if has(Feature::ArchCapabilities) => self::ARCH_CAPABILITIES,
            MTRRCAP if has(Feature::Mtrr) => self::MTRRCAP,
            SYSENTER_CS..=SYSENTER_EIP if has(Feature::Sep) => self.msr.sysenter[(n - SYSENTER_CS) as usize],
            EFER if long || has(Feature::Nx) => self.control.efer,
            STAR if long => self.msr.star,
            LSTAR if long => self.msr.lstar,
            CSTAR if long => self.msr.cstar,
            FMASK if long => self.msr.fmask,
            FS_BASE if long => self.base(Seg::Fs),
            GS_BASE if long => self.base(Seg::Gs),
            KERNEL_GS_BASE if long => self.msr.kernel_gs_base,
            TSC_AUX if has(Feature::Rdtscp) => self.msr.tsc_aux,
            _ => *self.msr.plain.get(&n)?,
        })
    }

    /// Writes a model-specific register: whether the value is allowed, None where there is none of that number.
    pub fn write_msr(&mut self, n: u32, v: u64) -> Option<bool> {
        use index::*;
        let has = |f: Feature| self.model.has(f);
        let (long, apic) = (has(Feature::Lm), has(Feature::Apic));
        let address = |to: &mut u64| {
            if canonical(v) {
                *to = v;
            }
            canonical(v)
        };
        Some(match n {
            TSC if has(Feature::Tsc) => {
                self.msr.tsc_offset = v.wrapping_sub(self.platform.tsc());
                true
            }
            TSC_ADJUST if has(Feature::TscAdjust) => {
                self.msr.tsc_offset = v;
                true
            }
            APIC_BASE if apic => self.platform.set_apic_msr(n, v),
            X2APIC_FIRST..=X2APIC_LAST if has(Feature::X2apic) => self.platform.set_apic_msr(n, v),
            TSC_DEADLINE if has(Feature::TscDeadline) => {
                // The platform counts in its own time; 0 disarms. A deadline long gone must not become that.
                let at = if v == 0 { 0 } else { v.wrapping_sub(self.msr.tsc_offset).max(1) };
                self.platform.set_apic_msr(n, at)
            }
            FEATURE_CONTROL if long => false,
            BIOS_SIGN_ID | BIOS_UPDT_TRIG => true,
            PLATFORM_INFO if long => false,
            // There is no predictor to flush.
            PRED_CMD if has(Feature::SpecCtrl) => v & !1 == 0,
            ARCH_CAPABILITIES if has(Feature::ArchCapabilities) => false,
            MTRRCAP if has(Feature::Mtrr) => false,
            SYSENTER_CS if has(Feature::Sep) => {
                self.msr.sysenter[0] = v & 0xffff_ffff;
                true
            }
            SYSENTER_ESP | SYSENTER_EIP if has(Feature::Sep) => {
                address(&mut self.msr.sysenter[(n - SYSENTER_CS) as usize])
            }
            EFER if long || has(Feature::Nx) => self.write_efer(v),
            STAR if long => {
                self.msr.star = v;
                true
            }
            LSTAR if long => address(&mut self.msr.lstar),
            CSTAR if long => address(&mut self.msr.cstar),
            FMASK if long => {
                if v >> 32 == 0 {
                    self.msr.fmask = v;
                }
                v >> 32 == 0
            }
            FS_BASE if long => address(&mut self.core.regs[regs::base(Seg::Fs).0 as usize]),
            GS_BASE if long => address(&mut self.core.regs[regs::base(Seg::Gs).0 as usize]),
            KERNEL_GS_BASE if long => address(&mut self.msr.kernel_gs_base),
            TSC_AUX if has(Feature::Rdtscp) => {
                if v >> 32 == 0 {
                    self.msr.tsc_aux = v;
                }
                v >> 32 == 0
            }
            _ if self.msr.plain.contains_key(&n) => self.msr.set_plain(n, v, self.model.phys_bits),
            _ => return None,
        })
    }

    /// IA32_EFER: LMA follows LME and CR0.PG alone, and LME must not change while paging is on.
    fn write_efer(&mut self, v: u64) -> bool {
        let bit = |f: Feature, b: u64| if self.model.has(f) { b } else { 0 };
        let known = bit(Feature::Syscall, efer::SCE)
            | bit(Feature::Lm, efer::LME | efer::LMA)
            | bit(Feature::Nx, efer::NXE);
        let old = self.control.efer;
        let paging = self.control.cr0 & cr0::PG != 0;
        if v & !known != 0 || (paging && (old ^ v) & efer::LME != 0) {
            return false;
        }
        let efer = v & !efer::LMA | old & efer::LMA;
        let nx = (old ^ efer) & efer::NXE != 0;
        let before = self.control;
        self.control = Control { efer, ..before };
        if nx {
            if self.paging_changed().is_err() {
                self.control = before;
                return false;
            }
            self.flush_tlb();
        }
        true
    }

    /// WRMSR of FS_BASE, SWAPGS and so on, outside 64-bit code, would change what decoded code was told: bases of FS
    /// and GS never are told.
    pub(crate) fn swapgs(&mut self) -> Outcome<()> {
        self.privileged()?;
        let old = self.base(Seg::Gs);
        self.core.set_reg(regs::base(Seg::Gs), self.msr.kernel_gs_base);
        self.msr.kernel_gs_base = old;
        Ok(())
    }

    /// RDFSBASE and RDGSBASE.
    pub(crate) fn read_base(&mut self, seg: Seg) -> Outcome<u64> {
        if self.control.cr4 & cr4::FSGSBASE == 0 { Err(Fault::UD) } else { Ok(self.base(seg)) }
    }

    /// WRFSBASE and WRGSBASE.
    pub(crate) fn write_base(&mut self, seg: Seg, v: u64) -> Outcome<()> {
        if self.control.cr4 & cr4::FSGSBASE == 0 {
            return Err(Fault::UD);
        }
        if !canonical(v) {
            return Err(Fault::gp(0));
        }
        self.core.set_reg(regs::base(seg), v);
        Ok(())
    }

    /// RDPMC: there are no counters, so that every number is wrong.
    pub(crate) fn rdpmc(&mut self) -> Outcome<u64> {
        Err(Fault::gp(0))
    }

    /// Starts the sequence of RDRAND and RDSEED anew.
    pub fn seed_random(&mut self, seed: u64) {
        self.random = seed;
    }

    /// The next random number (SplitMix64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

//! [`CpuModel`]: which processor a vCPU is, and what it can do.

/// Instruction-set extensions and system features beyond the 80486, as CPUID tells them. Bits of
/// [`CpuModel::features`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are CPUID's")]
pub enum Feature {
    Fpu,
    Vme,
    De,
    Pse,
    Tsc,
    Msr,
    Pae,
    Mce,
    Cx8,
    Apic,
    Sep,
    Mtrr,
    Pge,
    Cmov,
    Pat,
    Pse36,
    Clfsh,
    Mmx,
    Fxsr,
    Sse,
    Sse2,
    Sse3,
    Pclmulqdq,
    Ssse3,
    Fma,
    Cx16,
    Pcid,
    Sse41,
    Sse42,
    X2apic,
    Movbe,
    Popcnt,
    TscDeadline,
    Aes,
    Xsave,
    Avx,
    F16c,
    Rdrand,
    Fsgsbase,
    Bmi1,
    Avx2,
    Smep,
    Bmi2,
    Erms,
    Invpcid,
    Rdseed,
    Adx,
    Smap,
    Clflushopt,
    Sha,
    Umip,
    Xsaveopt,
    Syscall,
    Nx,
    Page1gb,
    Rdtscp,
    Lm,
    Lahf64,
    Lzcnt,
    TscAdjust,
    Cpuid,
    SpecCtrl,
    ArchCapabilities,
}

/// A CPU model.
#[derive(Clone, Debug)]
pub struct CpuModel {
    /// Name on the command line.
    pub name: &'static str,
    /// Small number that [`crate::cpu::Mode`] carries, so that decoding knows the model's features.
    pub id: u8,
    /// Mask of [`Feature`]s.
    pub features: u64,
    /// Family, model and stepping as CPUID.01H:EAX gives them.
    pub signature: u32,
    /// Width of physical addresses in bits.
    pub phys_bits: u8,
}

const fn mask(list: &[Feature]) -> u64 {
    let (mut m, mut i) = (0, 0);
    while i < list.len() {
        m |= 1 << list[i] as u8;
        i += 1;
    }
    m
}

use Feature::*;

/// What a Pentium II had.
const I686: u64 = mask(&[
    Cpuid, Fpu, Vme, De, Pse, Tsc, Msr, Pae, Mce, Cx8, Apic, Sep, Mtrr, Pge, Cmov, Pat, Pse36, Mmx, Fxsr,
]);
/// x86-64-v2 and the system features of the processors that had it.
const V2: u64 = I686
    | mask(&[
        Clfsh,
        Sse,
        Sse2,
        Sse3,
        Ssse3,
        Cx16,
        Pcid,
        Sse41,
        Sse42,
        X2apic,
        Popcnt,
        TscDeadline,
        Aes,
        Pclmulqdq,
        Fsgsbase,
        Smep,
        Erms,
        Invpcid,
        Smap,
        Umip,
        Syscall,
        Nx,
        Page1gb,
        Rdtscp,
        Lm,
        Lahf64,
        Rdrand,
        Rdseed,
        TscAdjust,
        Sha,
        Xsave,
        Xsaveopt,
        SpecCtrl,
        ArchCapabilities,
    ]);
const V3: u64 = V2 | mask(&[Fma, Movbe, Avx, F16c, Bmi1, Avx2, Bmi2, Lzcnt, Adx, Clflushopt]);

impl CpuModel {
    /// Every model, by [`CpuModel::id`].
    pub const ALL: [CpuModel; 4] = [
        CpuModel { name: "x86-64-v2", id: 0, features: V2, signature: 0x000306a9, phys_bits: 40 },
        CpuModel { name: "x86-64-v3", id: 1, features: V3, signature: 0x000306c3, phys_bits: 40 },
        CpuModel { name: "i686", id: 2, features: I686, signature: 0x00000663, phys_bits: 36 },
        CpuModel {
            name: "486",
            id: 3,
            features: mask(&[Fpu, Cpuid, Vme]),
            signature: 0x00000480,
            phys_bits: 32,
        },
    ];

    /// The model with that name.
    pub fn by_name(name: &str) -> Option<CpuModel> {
        CpuModel::ALL.into_iter().find(|m| m.name == name)
    }

    /// Whether it has a feature.
    pub const fn has(&self, f: Feature) -> bool {
        self.features >> f as u8 & 1 != 0
    }
}

//! `iced-x86`'s names for instruction-set extensions beside ours and the host's.

use std::arch::is_x86_feature_detected as detected;

use iced_x86::CpuidFeature::{self, *};
use lyrebird_frontend_x86::CpuModel;
use lyrebird_frontend_x86::cpu::model::Feature;

/// Who has an extension.
#[derive(Clone, Copy)]
pub struct Extension {
    /// Its name in `iced-x86`.
    pub name: CpuidFeature,
    /// The feature that a CPU model needs for it; none where every model has it.
    pub ours: Option<Feature>,
    /// Whether this host's CPU, in 64-bit mode, has it.
    #[allow(dead_code, reason = "used by `cargo xtask difftest x86`, which shares this file")]
    pub host: fn() -> bool,
}

macro_rules! extensions {
    ($($name:ident $ours:expr, $($host:expr)?;)*) => {
        /// All that a CPU model of ours may have. Others are nobody's here.
        pub const EXTENSIONS: &[Extension] = &[$(Extension {
            name: $name,
            ours: $ours,
            host: || true $(&& $host)?,
        },)*];
    };
}

// Conditions only where x86-64 itself does not have the extension.
extensions! {
    INTEL8086 None,;
    INTEL8086_ONLY None,;
    INTEL186 None,;
    INTEL286 None,;
    INTEL386 None,;
    INTEL486 None,;
    FPU Some(Feature::Fpu),;
    FPU287 Some(Feature::Fpu),;
    FPU387 Some(Feature::Fpu),;
    CPUID Some(Feature::Cpuid),;
    CX8 Some(Feature::Cx8),;
    MSR Some(Feature::Msr),;
    TSC Some(Feature::Tsc),;
    RDPMC Some(Feature::Cmov),;
    CMOV Some(Feature::Cmov),;
    MULTIBYTENOP Some(Feature::Cmov),;
    SEP Some(Feature::Sep),;
    MMX Some(Feature::Mmx),;
    FXSR Some(Feature::Fxsr),;
    X64 Some(Feature::Lm),;
    SYSCALL Some(Feature::Syscall),;
    CLFSH Some(Feature::Clfsh),;
    SSE Some(Feature::Sse),;
    SSE2 Some(Feature::Sse2),;
    PAUSE Some(Feature::Sse2),;
    SSE3 Some(Feature::Sse3), detected!("sse3");
    SSSE3 Some(Feature::Ssse3), detected!("ssse3");
    SSE4_1 Some(Feature::Sse41), detected!("sse4.1");
    SSE4_2 Some(Feature::Sse42), detected!("sse4.2");
    POPCNT Some(Feature::Popcnt), detected!("popcnt");
    CMPXCHG16B Some(Feature::Cx16), detected!("cmpxchg16b");
    AES Some(Feature::Aes), detected!("aes");
    PCLMULQDQ Some(Feature::Pclmulqdq), detected!("pclmulqdq");
    SHA Some(Feature::Sha), detected!("sha");
    FSGSBASE Some(Feature::Fsgsbase),;
    INVPCID Some(Feature::Invpcid),;
    SMAP Some(Feature::Smap),;
    RDRAND Some(Feature::Rdrand), detected!("rdrand");
    RDSEED Some(Feature::Rdseed), detected!("rdseed");
    RDTSCP Some(Feature::Rdtscp),;
    XSAVE Some(Feature::Xsave), detected!("xsave");
    XSAVEOPT Some(Feature::Xsaveopt), detected!("xsaveopt");
    MOVBE Some(Feature::Movbe), detected!("movbe");
    LZCNT Some(Feature::Lzcnt), detected!("lzcnt");
    BMI1 Some(Feature::Bmi1), detected!("bmi1");
    BMI2 Some(Feature::Bmi2), detected!("bmi2");
    ADX Some(Feature::Adx), detected!("adx");
    CLFLUSHOPT Some(Feature::Clflushopt), clflushopt();
    F16C Some(Feature::F16c), detected!("f16c");
    FMA Some(Feature::Fma), detected!("fma");
    AVX Some(Feature::Avx), detected!("avx");
    AVX2 Some(Feature::Avx2), detected!("avx2");
}

/// What the standard library has no name for: CPUID.(07H,0):EBX bit 23.
fn clflushopt() -> bool {
    std::arch::x86_64::__cpuid(0).eax >= 7 && std::arch::x86_64::__cpuid_count(7, 0).ebx >> 23 & 1 != 0
}

/// The row of an extension.
pub fn extension(name: CpuidFeature) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|e| e.name == name)
}

/// Whether a CPU model has an extension.
#[allow(dead_code, reason = "used by `cargo xtask coverage`, which shares this file")]
pub fn has(model: &CpuModel, name: CpuidFeature) -> bool {
    extension(name).is_some_and(|e| e.ours.is_none_or(|f| model.has(f)))
}

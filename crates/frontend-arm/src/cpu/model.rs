//! [`CpuModel`]: what a core claims to be and to have.

use crate::a64::table::Feature;

/// Part number, features and cache identity of a core.
#[derive(Clone, Copy, Debug)]
pub struct CpuModel {
    /// Name on the command line.
    pub name: &'static str,
    /// MIDR_EL1.
    pub midr: u64,
    /// Bit `f` is set where `Feature` number `f` is present.
    pub features: u64,
    /// Implemented physical address bits: 32, 36, 40, 42, 44 or 48.
    pub pa_bits: u8,
    /// Highest implemented exception level.
    pub top_el: u8,
}

/// A mask of features.
const fn mask(features: &[Feature]) -> u64 {
    let (mut m, mut i) = (0, 0);
    while i < features.len() {
        m |= 1 << features[i] as u8;
        i += 1;
    }
    m
}

/// Armv8.0-A with the optional CRC32 and cryptographic instructions.
const V8_0: u64 =
    mask(&[Feature::Base, Feature::Crc32, Feature::Aes, Feature::Pmull, Feature::Sha1, Feature::Sha256]);

/// Everything that is implemented.
const MAX: u64 = V8_0
    | mask(&[
        Feature::Lse,
        Feature::Rdm,
        Feature::Pan,
        Feature::Lrcpc,
        Feature::Sb,
        Feature::Ssbs,
        Feature::FlagM,
        Feature::Dpb,
    ]);

/// The models, the default first.
pub const MODELS: &[CpuModel] = &[
    CpuModel { name: "max", midr: 0x000f_0510, features: MAX, pa_bits: 48, top_el: 1 },
    CpuModel { name: "cortex-a57", midr: 0x411f_d070, features: V8_0, pa_bits: 44, top_el: 1 },
    CpuModel { name: "cortex-a72", midr: 0x410f_d083, features: V8_0, pa_bits: 44, top_el: 1 },
];

impl CpuModel {
    /// The model with everything we implement.
    pub const fn max() -> CpuModel {
        MODELS[0]
    }

    /// The model of that name.
    pub fn by_name(name: &str) -> Option<CpuModel> {
        MODELS.iter().find(|m| m.name == name).copied()
    }

    /// Whether the model has a feature.
    pub const fn has(&self, f: Feature) -> bool {
        self.features >> f as u8 & 1 != 0
    }
}

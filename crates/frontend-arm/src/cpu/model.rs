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
    /// CTR_EL0.
    pub ctr: u64,
    /// ID_AA64PFR0_EL1.CSV2 and CSV3: no speculation past a permission check or another context's branches.
    pub csv: bool,
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
        Feature::Lrcpc2,
        Feature::Lor,
        Feature::Sb,
        Feature::Ssbs,
        Feature::FlagM,
        Feature::Dpb,
    ]);

/// CTR_EL0: 64-byte lines, 64-byte granules, PIPT instruction cache.
const CTR: u64 = 0x8444_c004;
/// CTR_EL0.IDC and DIC: stores to code are noticed without cache maintenance.
const CTR_COHERENT: u64 = CTR | 3 << 28;

/// The models, the default first.
pub const MODELS: &[CpuModel] = &[
    // Implementer 0 is reserved for software use.
    CpuModel {
        name: "max",
        midr: 0x000f_4c60,
        features: MAX,
        ctr: CTR_COHERENT,
        csv: true,
        pa_bits: 48,
        top_el: 1,
    },
    CpuModel {
        name: "cortex-a53",
        midr: 0x410f_d034,
        features: V8_0,
        ctr: CTR,
        csv: false,
        pa_bits: 40,
        top_el: 1,
    },
    CpuModel {
        name: "cortex-a57",
        midr: 0x411f_d070,
        features: V8_0,
        ctr: CTR,
        csv: false,
        pa_bits: 44,
        top_el: 1,
    },
    CpuModel {
        name: "cortex-a72",
        midr: 0x410f_d083,
        features: V8_0,
        ctr: CTR,
        csv: false,
        pa_bits: 44,
        top_el: 1,
    },
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

    /// ID_AA64MMFR0_EL1.PARange.
    pub const fn pa_range(&self) -> u64 {
        match self.pa_bits {
            0..=35 => 0,
            36..=39 => 1,
            40..=41 => 2,
            42..=43 => 3,
            44..=47 => 4,
            _ => 5,
        }
    }

    /// Whether the model has a feature.
    pub const fn has(&self, f: Feature) -> bool {
        self.features >> f as u8 & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::a64::table;

    /// A feature is advertised by `max` exactly if all encodings that it brings have semantics.
    #[test]
    fn max_has_what_is_implemented() {
        let mut complete: HashMap<Feature, bool> = HashMap::new();
        for r in table::all() {
            *complete.entry(r.feature).or_insert(true) &= r.implemented;
        }
        for (f, complete) in complete {
            // The base rows are counted in the coverage report.
            if f != Feature::Base {
                assert_eq!(CpuModel::max().has(f), complete, "{f:?}");
            }
        }
    }
}

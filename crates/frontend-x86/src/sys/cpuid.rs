//! CPUID (SDM Vol. 2, CPUID): exactly what the model implements.

use super::control::{cr4, xcr0};
use super::msr::index;
use crate::X86Cpu;
use crate::cpu::model::Feature::*;
use crate::cpu::model::{CpuModel, Feature};

/// EAX, EBX, ECX, EDX.
type Leaf = [u32; 4];

/// Bytes of an XSAVE area for the components in a mask of XCR0.
pub(crate) const fn xsave_size(components: u64) -> u32 {
    // The legacy region and the header; AVX state at 576 (SDM Vol. 1, 13.4.3).
    if components & xcr0::AVX != 0 { 832 } else { 576 }
}

/// The mask of those features that are there, by bit number.
fn bits(m: &CpuModel, list: &[(Feature, u32)]) -> u32 {
    list.iter().filter(|(f, _)| m.has(*f)).fold(0, |v, (_, n)| v | 1 << n)
}

/// The components of XCR0 that the model has.
fn components(m: &CpuModel) -> u64 {
    xcr0::X87 | xcr0::SSE | if m.has(Avx) { xcr0::AVX } else { 0 }
}

const LEAF1_ECX: &[(Feature, u32)] = &[
    (Sse3, 0),
    (Pclmulqdq, 1),
    (Ssse3, 9),
    (Fma, 12),
    (Cx16, 13),
    (Pcid, 17),
    (Sse41, 19),
    (Sse42, 20),
    (X2apic, 21),
    (Movbe, 22),
    (Popcnt, 23),
    (TscDeadline, 24),
    (Aes, 25),
    (Xsave, 26),
    (Avx, 28),
    (F16c, 29),
    (Rdrand, 30),
];

const LEAF1_EDX: &[(Feature, u32)] = &[
    (Fpu, 0),
    (Vme, 1),
    (De, 2),
    (Pse, 3),
    (Tsc, 4),
    (Msr, 5),
    (Pae, 6),
    (Mce, 7),
    (Cx8, 8),
    (Apic, 9),
    (Sep, 11),
    (Mtrr, 12),
    (Pge, 13),
    (Cmov, 15),
    (Pat, 16),
    (Pse36, 17),
    (Clfsh, 19),
    (Mmx, 23),
    (Fxsr, 24),
    (Sse, 25),
    (Sse2, 26),
];

const LEAF7_EBX: &[(Feature, u32)] = &[
    (Fsgsbase, 0),
    (TscAdjust, 1),
    (Bmi1, 3),
    (Avx2, 5),
    (Smep, 7),
    (Bmi2, 8),
    (Erms, 9),
    (Invpcid, 10),
    (Rdseed, 18),
    (Adx, 19),
    (Smap, 20),
    (Clflushopt, 23),
    (Sha, 29),
];

impl X86Cpu {
    /// What CPUID returns.
    pub(crate) fn cpuid(&mut self, leaf: u32, sub: u32) -> Leaf {
        let m = &self.model;
        let basic = match () {
            () if m.has(Xsave) => 0xd,
            () if m.has(Cmov) => 2,
            () => 1,
        };
        let extended = match () {
            () if m.has(Lm) => 0x8000_0008,
            () if m.has(Cmov) => 0x8000_0004,
            () => 0,
        };
        match leaf {
            0x8000_0000.. if leaf <= extended => self.extended(leaf, extended),
            n if n <= basic => self.basic(n, sub, basic),
            // Beyond either range: the data of the highest basic leaf.
            _ => self.basic(basic, sub, basic),
        }
    }

    /// Whether the local APIC is there and IA32_APIC_BASE does not switch it off (SDM Vol. 3, 10.4.3).
    fn has_apic(&mut self) -> bool {
        const ENABLED: u64 = 1 << 11;
        self.model.has(Apic) && self.platform.apic_msr(index::APIC_BASE).is_none_or(|v| v & ENABLED != 0)
    }

    fn basic(&mut self, leaf: u32, sub: u32, highest: u32) -> Leaf {
        let apic = leaf != 1 || self.has_apic();
        let m = &self.model;
        match leaf {
            // "GenuineIntel"
            0 => [highest, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
            1 => {
                let clflush = if m.has(Clfsh) { 8 << 8 } else { 0 };
                let osxsave = if self.control.cr4 & cr4::OSXSAVE != 0 { 1 << 27 } else { 0 };
                let ecx = bits(m, LEAF1_ECX) | osxsave;
                let off = if apic { 0 } else { bits(m, &[(Apic, 9)]) };
                [m.signature, clflush | 1 << 16, ecx, bits(m, LEAF1_EDX) & !off]
            }
            // See leaf 4 for caches; TLBs as an Ivy Bridge's, or caches and TLBs of a Pentium II.
            2 if m.has(Lm) => [0x7603_6301, 0x00f0_b5ff, 0, 0x00c3_0000],
            2 => [0x0302_0101, 0, 0, 0x0c04_0843],
            4 => cache(sub),
            // The APIC timer runs always.
            6 => [4, 0, 0, 0],
            7 => match sub {
                0 => [
                    2,
                    bits(m, LEAF7_EBX),
                    bits(m, &[(Umip, 2)]),
                    bits(m, &[(SpecCtrl, 26), (ArchCapabilities, 29)]),
                ],
                // BHI_CTRL and MCDT_NO: kernels that find IBRS_ALL alone clear a branch history that is not there, by a
                // loop of a hundred instructions at each system call.
                2 => [0, 0, 0, bits(m, &[(SpecCtrl, 4), (ArchCapabilities, 5)])],
                _ => [0; 4],
            },
            0xb => match sub {
                0 => [0, 1, 0x100, 0],
                1 => [0, 1, 0x201, 0],
                _ => [0, 0, sub & 0xff, 0],
            },
            0xd => match sub {
                0 => {
                    let all = components(m);
                    [all as u32, xsave_size(self.control.xcr0), xsave_size(all), 0]
                }
                1 => [bits(m, &[(Xsaveopt, 0)]), 0, 0, 0],
                2 if m.has(Avx) => [256, 576, 0, 0],
                _ => [0; 4],
            },
            _ => [0; 4],
        }
    }

    fn extended(&self, leaf: u32, highest: u32) -> Leaf {
        let m = &self.model;
        match leaf {
            0x8000_0000 => [highest, 0, 0, 0],
            0x8000_0001 => {
                let ecx = bits(m, &[(Lahf64, 0), (Lzcnt, 5)]);
                let mut edx = bits(m, &[(Nx, 20), (Page1gb, 26), (Rdtscp, 27), (Lm, 29)]);
                if self.mode.code64() {
                    edx |= bits(m, &[(Syscall, 11)]);
                }
                [0, 0, ecx, edx]
            }
            0x8000_0002..=0x8000_0004 => {
                let mut text = [0u8; 48];
                let name = format!("Lyrebird {} processor", m.name);
                let n = name.len().min(47);
                text[..n].copy_from_slice(&name.as_bytes()[..n]);
                let at = (leaf - 0x8000_0002) as usize * 16;
                let word = |i: usize| {
                    let b = &text[at + 4 * i..at + 4 * i + 4];
                    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
                };
                [word(0), word(1), word(2), word(3)]
            }
            // L2: 256 KiB, 8 ways, lines of 64 bytes.
            0x8000_0006 => [0, 0, 0x0100_6040, 0],
            // The time stamp counter is invariant.
            0x8000_0007 => [0, 0, 0, 1 << 8],
            0x8000_0008 => [m.phys_bits as u32 | if m.has(Lm) { 48 << 8 } else { 32 << 8 }, 0, 0, 0],
            _ => [0; 4],
        }
    }
}

/// Leaf 4: 32 KiB for data and instructions each, 256 KiB, 8 MiB; lines of 64 bytes.
fn cache(sub: u32) -> Leaf {
    let level = |kind: u32, level: u32, ways: u32, sets: u32| {
        [kind | level << 5 | 1 << 8, 63 | (ways - 1) << 22, sets - 1, 0]
    };
    match sub {
        0 => level(1, 1, 8, 64),
        1 => level(2, 1, 8, 64),
        2 => level(3, 2, 8, 512),
        3 => level(3, 3, 16, 8192),
        _ => [0; 4],
    }
}

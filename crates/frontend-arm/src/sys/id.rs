//! Identification registers (Arm ARM D17.2, ID_* and cache identification). They advertise exactly what is
//! implemented: every field comes from the model's feature mask.

use super::{Read, SysReg, Write, sctlr};
use crate::ArmCpu;
use crate::a64::table::Feature;

/// A read-only identification register of EL1.
const fn id(name: &'static str, enc: [u16; 5], f: fn(&mut ArmCpu) -> u64) -> SysReg {
    SysReg::new(name, enc).get(1, Read::Call(f))
}

pub(super) static ROWS: &[SysReg] = &[
    id("MIDR_EL1", [3, 0, 0, 0, 0], |c| c.model.midr),
    id("MPIDR_EL1", [3, 0, 0, 0, 5], |c| c.sys.mpidr),
    id("REVIDR_EL1", [3, 0, 0, 0, 6], |_| 0),
    id("ID_AA64PFR0_EL1", [3, 0, 0, 4, 0], |c| pfr0(c)),
    id("ID_AA64PFR1_EL1", [3, 0, 0, 4, 1], |c| field(c, Feature::Ssbs, 4, 2)),
    id("ID_AA64ZFR0_EL1", [3, 0, 0, 4, 4], |_| 0),
    id("ID_AA64SMFR0_EL1", [3, 0, 0, 4, 5], |_| 0),
    id("ID_AA64DFR0_EL1", [3, 0, 0, 5, 0], |_| dfr0()),
    id("ID_AA64DFR1_EL1", [3, 0, 0, 5, 1], |_| 0),
    id("ID_AA64AFR0_EL1", [3, 0, 0, 5, 4], |_| 0),
    id("ID_AA64AFR1_EL1", [3, 0, 0, 5, 5], |_| 0),
    id("ID_AA64ISAR0_EL1", [3, 0, 0, 6, 0], |c| isar0(c)),
    id("ID_AA64ISAR1_EL1", [3, 0, 0, 6, 1], |c| isar1(c)),
    id("ID_AA64ISAR2_EL1", [3, 0, 0, 6, 2], |_| 0),
    id("ID_AA64MMFR0_EL1", [3, 0, 0, 7, 0], |c| mmfr0(c)),
    id("ID_AA64MMFR1_EL1", [3, 0, 0, 7, 1], |c| {
        field(c, Feature::Pan, 20, 2) | field(c, Feature::Lor, 16, 1)
    }),
    id("ID_AA64MMFR2_EL1", [3, 0, 0, 7, 2], |c| field(c, Feature::Uao, 4, 1)),
    id("CCSIDR_EL1", [3, 1, 0, 0, 0], |c| ccsidr(c.sys.csselr)),
    id("CLIDR_EL1", [3, 1, 0, 0, 1], |_| CLIDR),
    id("AIDR_EL1", [3, 1, 0, 0, 7], |_| 0),
    SysReg::new("CSSELR_EL1", [3, 2, 0, 0, 0]).field(1, |s| &mut s.csselr, 0xf),
    SysReg::new("CTR_EL0", [3, 3, 0, 0, 1])
        .get(0, Read::Call(|c| c.model.ctr))
        .el0(|c, _| c.sys.sctlr[1] & sctlr::UCT != 0),
    SysReg::new("DCZID_EL0", [3, 3, 0, 0, 7]).get(0, Read::Call(dczid)),
    SysReg::new("RVBAR_EL1", [3, 0, 12, 0, 1])
        .get(1, Read::Call(|c| c.sys.rvbar))
        .exists(|c| c.model.top_el == 1),
    // AA64 is RAO/WI where no AArch32 exists; a request for a warm reset is not served.
    SysReg::new("RMR_EL1", [3, 0, 12, 0, 2])
        .get(1, Read::Call(|_| 1))
        .set(
            1,
            Write::Call(|c, v| {
                if v & 2 != 0 {
                    c.counters.gap("RMR_EL1.RR warm reset request");
                }
            }),
        )
        .exists(|c| c.model.top_el == 1),
];

/// `value << shift` where the model has the feature.
fn field(c: &ArmCpu, f: Feature, shift: u32, value: u64) -> u64 {
    if c.model.has(f) { value << shift } else { 0 }
}

fn pfr0(c: &ArmCpu) -> u64 {
    // EL0 and EL1 in AArch64 only; higher levels where the model has them.
    let levels =
        0x11 | if c.model.top_el >= 2 { 0x100 } else { 0 } | if c.model.top_el == 3 { 0x1000 } else { 0 };
    // FP and AdvSIMD: 0 is present, 1 with half precision.
    let fp16 = field(c, Feature::Fp16, 16, 1) | field(c, Feature::Fp16, 20, 1);
    let gic = (c.platform.gic_sysregs() as u64) << 24;
    let dit = field(c, Feature::Dit, 48, 1);
    // CSV2, CSV3: nothing here speculates past a permission check or a branch of another context.
    let csv = if c.model.csv { 1 << 56 | 1 << 60 } else { 0 };
    levels | fp16 | gic | dit | csv
}

/// Debug architecture v8.0; the least number of breakpoints and watchpoints; no PMU, no trace.
fn dfr0() -> u64 {
    let n = super::regs::BREAKPOINTS as u64 - 1;
    6 | n << 12 | n << 20
}

fn isar0(c: &ArmCpu) -> u64 {
    let aes = if c.model.has(Feature::Pmull) { 2 << 4 } else { field(c, Feature::Aes, 4, 1) };
    let sha2 = if c.model.has(Feature::Sha512) { 2 << 12 } else { field(c, Feature::Sha256, 12, 1) };
    aes | field(c, Feature::Sha1, 8, 1)
        | sha2
        | field(c, Feature::Crc32, 16, 1)
        | field(c, Feature::Lse, 20, 2)
        | field(c, Feature::Rdm, 28, 1)
        | field(c, Feature::Sha3, 32, 1)
        | field(c, Feature::Sm34, 36, 1)
        | field(c, Feature::Sm34, 40, 1)
        | field(c, Feature::DotProd, 44, 1)
        | field(c, Feature::Fhm, 48, 1)
        | field(c, Feature::FlagM, 52, 1)
}

fn isar1(c: &ArmCpu) -> u64 {
    let lrcpc = if c.model.has(Feature::Lrcpc2) { 2 << 20 } else { field(c, Feature::Lrcpc, 20, 1) };
    lrcpc
        | field(c, Feature::Dpb, 0, 1)
        | field(c, Feature::Jscvt, 12, 1)
        | field(c, Feature::Fcma, 16, 1)
        | field(c, Feature::Frintts, 32, 1)
        | field(c, Feature::Sb, 36, 1)
}

/// PARange, 16-bit ASIDs, all three granules (TGran16 is 1 where present, TGran4 and TGran64 are 0).
fn mmfr0(c: &ArmCpu) -> u64 {
    c.model.pa_range() | 2 << 4 | 1 << 20
}

/// Separate level 1 caches, a unified level 2; LoUIS 1, LoC 2, LoUU 1.
const CLIDR: u64 = 3 | 4 << 3 | 1 << 21 | 2 << 24 | 1 << 27;

/// CCSIDR_EL1 of the cache that CSSELR_EL1 selects, in the 32-bit format: 64-byte lines.
fn ccsidr(csselr: u64) -> u64 {
    let cache = |kib: u64, ways: u64| (kib * 1024 / (64 * ways) - 1) << 13 | (ways - 1) << 3 | 2;
    match csselr & 0xf {
        // Level 1 data, level 1 instruction, level 2 unified.
        0 => cache(32, 2),
        1 => cache(48, 3),
        2 => cache(2048, 16),
        _ => 0,
    }
}

/// Bytes that DC ZVA zeroes.
pub(super) const ZVA_BYTES: u64 = 64;

/// DC ZVA zeroes 64 bytes (log2 of words: 4); DZP where EL0 may not use it.
fn dczid(c: &mut ArmCpu) -> u64 {
    let prohibited = c.pstate.el == 0 && c.sys.sctlr[1] & sctlr::DZE == 0;
    4 | (prohibited as u64) << 4
}

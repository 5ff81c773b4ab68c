//! The table against the manual: encodings, privileges, traps; translation, its faults and its maintenance.

use std::collections::HashSet;

use lyrebird_isa::{Cpu, MemOp, Size};

use super::*;
use crate::CpuModel;
use crate::a64::regs;
use crate::platform::{BarePlatform, Conduit, IccReg};
use crate::testing::{CODE, L3, Machine, RAM, VA};

/// Page descriptor bits.
const PAGE: u64 = 3;
const AF: u64 = 1 << 10;
const USER: u64 = 1 << 6;
const RO: u64 = 1 << 7;
const NG: u64 = 1 << 11;
const UXN: u64 = 1 << 54;
const PXN: u64 = 1 << 53;
const DEVICE: u64 = 1 << 2;

fn max() -> Machine {
    Machine::new(CpuModel::max())
}

fn mapped() -> Machine {
    let mut m = max();
    m.map();
    m
}

fn load(m: &mut Machine, va: u64) -> Result<u64, (u8, u32, u64)> {
    let v = m.cpu.load_slow(va, MemOp::new(Size::B8));
    outcome(m, v)
}

fn store(m: &mut Machine, va: u64, v: u64) -> Result<(), (u8, u32, u64)> {
    m.cpu.store_slow(va, MemOp::new(Size::B8), v);
    outcome(m, 0).map(|_| ())
}

/// The value, or EC, ISS and FAR of the fault; back at the level where it happened.
fn outcome(m: &mut Machine, v: u64) -> Result<u64, (u8, u32, u64)> {
    if m.cpu.core.fault == 0 {
        return Ok(v);
    }
    let before = m.cpu.pstate;
    m.cpu.take_fault(CODE);
    m.cpu.set_pstate(before);
    let (ec, il, iss) = m.esr();
    assert!(il);
    Err((ec, iss, m.far()))
}

#[test]
fn encodings_are_unique_and_found() {
    let mut seen = HashSet::new();
    for r in all() {
        assert!(seen.insert(r.enc), "{} stands twice", r.name);
        let (id, found) = lookup(r.enc).expect(r.name);
        assert!(std::ptr::eq(by_id(id).expect(r.name), found));
        assert_eq!(found.name, r.name);
    }
}

/// Encodings from the Arm ARM's index of system registers, as an assembler prints them.
#[test]
fn encodings_are_the_manuals() {
    let cases = [
        ("SCTLR_EL1", 0xd518_1000),
        ("TTBR0_EL1", 0xd518_2000),
        ("TCR_EL1", 0xd518_2040),
        ("ESR_EL1", 0xd518_5200),
        ("FAR_EL1", 0xd518_6000),
        ("VBAR_EL1", 0xd518_c000),
        ("SP_EL0", 0xd518_4100),
        ("TPIDR_EL0", 0xd51b_d040),
        ("CNTV_CTL_EL0", 0xd51b_e320),
        ("ICC_PMR_EL1", 0xd518_4600),
        ("OSLAR_EL1", 0xd510_1080),
        ("DC ZVA", 0xd50b_7420),
        ("DC CIVAC", 0xd50b_7e20),
        ("IC IVAU", 0xd50b_7520),
        ("TLBI VAAE1IS", 0xd508_8360),
        ("AT S1E1R", 0xd508_7800),
    ];
    for (name, word) in cases {
        assert_eq!(Machine::access(name, false), word, "{name}");
    }
}

/// Every row of the A64 group, at both levels: completes, or which exception class.
#[test]
fn every_instruction_of_the_group() {
    use crate::a64::table::system::ROWS;
    const DONE: Option<u8> = None;
    const UNDEF: Option<u8> = Some(0);
    for r in ROWS {
        let (el1, el0) = match r.name {
            "UDF" | "HVC" | "SMC" | "HLT" | "DCPS1" | "DCPS2" | "DCPS3" | "DRPS" => (UNDEF, UNDEF),
            "SVC" => (Some(0x15), Some(0x15)),
            "BRK" => (Some(0x3c), Some(0x3c)),
            "ERET" | "MSR_SPSel" | "MSR_PAN" => (DONE, UNDEF),
            "WFI" | "WFE" => (DONE, Some(0x01)),
            "MSR_DAIFSet" | "MSR_DAIFClr" => (DONE, Some(0x18)),
            // All fields 0: no such register or instruction.
            "SYS" | "SYSL" | "MSR_reg" | "MRS" => (UNDEF, UNDEF),
            _ if !r.implemented => (UNDEF, UNDEF),
            _ => (DONE, DONE),
        };
        for (el, expect) in [(1, el1), (0, el0)] {
            let mut m = max();
            m.at_el(el);
            let done = m.run(r.value);
            assert_eq!((!done).then(|| m.esr().0), expect, "{} at EL{el}", r.name);
            if done && r.name != "ERET" {
                assert_eq!(m.cpu.core.pc, CODE + 4, "{}", r.name);
            }
        }
    }
}

/// The NOP space changes nothing but the PC.
#[test]
fn hints_do_nothing() {
    for crm_op2 in 0..128 {
        if matches!(crm_op2, 2..=5) {
            // WFE, WFI, SEV, SEVL.
            continue;
        }
        let mut m = max();
        for (i, x) in m.cpu.core.regs.iter_mut().take(31).enumerate() {
            *x = 0x0101_0101_0101_0101 * i as u64;
        }
        let before = m.cpu.core.regs;
        assert!(m.run(0xd503_201f | crm_op2 << 5), "hint #{crm_op2}");
        assert_eq!(m.cpu.core.regs, before, "hint #{crm_op2}");
    }
}

#[test]
fn psr_immediates() {
    let mut m = max();
    m.cpu.core.set_reg(regs::DAIF, 0);
    for (word, daif) in [(0xd503_47df, 0x1c0), (0xd503_45ff, 0x080), (0xd503_48df, 0x280), (0xd503_4fff, 0)] {
        assert!(m.run(word));
        assert_eq!(m.cpu.core.reg(regs::DAIF), daif, "{word:#x}");
    }
    assert!(m.run(0xd503_413f), "msr ssbs, #1");
    assert_eq!(m.mrs("SSBS"), 1 << 12);
    m.msr("SSBS", 0);
    assert_eq!(m.mrs("SSBS"), 0);
    assert!(m.run(0xd500_419f), "msr pan, #1");
    assert_eq!(m.mrs("PAN"), 1 << 22);
}

/// What EL0 may do with everything in the table, with every SCTLR, CNTKCTL and MDSCR bit that allows or traps.
#[test]
fn el0_access_matrix() {
    // Always allowed at EL0: (name, read, write).
    let free = [
        ("TPIDR_EL0", true, true),
        ("TPIDRRO_EL0", true, false),
        ("NZCV", true, true),
        ("FPCR", true, true),
        ("FPSR", true, true),
        ("SSBS", true, true),
        ("DCZID_EL0", true, false),
    ];
    // Allowed with an enable, else trapped with EC 0x18: (name, read, write).
    let trapped = [
        ("CTR_EL0", true, false),
        ("DAIF", true, true),
        ("CNTFRQ_EL0", true, false),
        ("CNTPCT_EL0", true, false),
        ("CNTVCT_EL0", true, false),
        ("CNTP_TVAL_EL0", true, true),
        ("CNTP_CTL_EL0", true, true),
        ("CNTP_CVAL_EL0", true, true),
        ("CNTV_TVAL_EL0", true, true),
        ("CNTV_CTL_EL0", true, true),
        ("CNTV_CVAL_EL0", true, true),
        ("IC IVAU", false, true),
        ("DC CVAC", false, true),
        ("DC CVAU", false, true),
        ("DC CVAP", false, true),
        ("DC CIVAC", false, true),
        ("DC ZVA", false, true),
        ("MDCCSR_EL0", true, false),
        ("DBGDTR_EL0", true, true),
        ("DBGDTRRX_EL0", true, true),
    ];
    for r in all() {
        for read in [false, true] {
            let is =
                |l: &[(&str, bool, bool)]| l.iter().any(|x| x.0 == r.name && if read { x.1 } else { x.2 });
            for enabled in [false, true] {
                let mut m = mapped();
                m.page(0, RAM | PAGE | AF | USER);
                m.msr("CPACR_EL1", 3 << 20);
                m.msr("CNTKCTL_EL1", if enabled { 0x303 } else { 0 });
                m.msr("MDSCR_EL1", if enabled { 0 } else { 1 << 12 });
                let on = sctlr::UMA | sctlr::UCT | sctlr::UCI | sctlr::DZE;
                m.msr("SCTLR_EL1", sctlr::M | if enabled { on } else { 0 });
                m.at_el(0);
                m.cpu.core.regs[0] = VA;
                let word = Machine::access(r.name, read);
                let done = m.run(word);
                let expect = if is(&free) || is(&trapped) && enabled {
                    None
                } else if is(&trapped) {
                    Some((0x18, true, r.enc.iss(0, read)))
                } else {
                    Some((0, true, 0))
                };
                assert_eq!((!done).then(|| m.esr()), expect, "{} read {read} enabled {enabled}", r.name);
            }
        }
    }
}

/// ISS of a trapped access, field by field: MRS X5, CNTVCT_EL0.
#[test]
fn trapped_access_syndrome() {
    let mut m = max();
    m.at_el(0);
    assert!(!m.run(0xd53b_e045));
    let iss = 3 << 20 | 2 << 17 | 3 << 14 | 14 << 10 | 5 << 5 | 1;
    assert_eq!(m.esr(), (0x18, true, iss));
    let mut m = max();
    m.at_el(0);
    assert!(!m.run(0xd50b_743f), "dc zva, xzr");
    assert_eq!(m.esr(), (0x18, true, 1 << 20 | 1 << 17 | 3 << 14 | 7 << 10 | 31 << 5 | 4 << 1));
    let mut m = max();
    m.at_el(0);
    assert!(!m.run(0xd503_4fdf), "msr daifset, #15");
    assert_eq!(m.esr(), (0x18, true, 6 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | 15 << 1));
}

#[test]
fn read_only_and_write_only_at_el1() {
    for (name, read, write) in [
        ("MIDR_EL1", true, false),
        ("ID_AA64PFR0_EL1", true, false),
        ("CurrentEL", true, false),
        ("ISR_EL1", true, false),
        ("OSLAR_EL1", false, true),
        ("OSLSR_EL1", true, false),
        ("CNTPCT_EL0", true, false),
        ("CNTVCT_EL0", true, false),
        ("TLBI VMALLE1", false, true),
        ("SP_EL1", false, false),
        ("VBAR_EL2", false, false),
        ("TLBI ALLE2", false, false),
        ("TLBI ALLE3", false, false),
    ] {
        for (read, ok) in [(true, read), (false, write)] {
            let mut m = max();
            assert_eq!(m.run(Machine::access(name, read)), ok, "{name} read {read}");
            if !ok {
                assert_eq!(m.esr(), (0, true, 0));
                assert!(m.cpu.counters.unknown_sysregs.is_empty(), "{name} is known");
            }
        }
    }
}

#[test]
fn unknown_registers_are_counted_and_reserved_ids_read_zero() {
    let mut m = max();
    assert!(!m.run(0xd53b_9c00), "mrs x0, PMCR_EL0");
    assert!(!m.run(0xd53b_9c00));
    assert_eq!(m.cpu.counters.unknown_sysregs.get("S3_3_C9_C12_0"), Some(&2));
    m.cpu.core.regs[0] = 7;
    assert!(m.run(0xd538_07e0), "mrs x0, S3_0_C0_C7_7");
    assert_eq!(m.cpu.core.regs[0], 0);
    assert!(!m.run(0xd518_07e0), "no writes there");
}

#[test]
fn gic_registers_follow_the_platform() {
    let mut m = max();
    assert_eq!(m.mrs("ID_AA64PFR0_EL1") >> 24 & 15, 0);
    assert!(!m.run(Machine::access("ICC_PMR_EL1", true)), "GICv2 has none");
    let mut m = Machine::on(CpuModel::max(), BarePlatform { gic: true, ..BarePlatform::new() });
    assert_eq!(m.mrs("ID_AA64PFR0_EL1") >> 24 & 15, 1);
    m.msr("ICC_PMR_EL1", 0xf0);
    assert_eq!(m.mrs("ICC_PMR_EL1"), 0xf0);
    m.msr("ICC_AP1R2_EL1", 5);
    assert_eq!(m.cpu.platform.icc_read(IccReg::Ap1r(2)), 5);
    assert!(!m.run(Machine::access("ICC_IAR1_EL1", false)), "read-only");
    assert!(!m.run(Machine::access("ICC_EOIR1_EL1", true)), "write-only");
}

#[test]
fn firmware_calls_go_to_the_platform() {
    for (conduit, word, other) in
        [(Conduit::Hvc, 0xd400_0002, 0xd400_0003), (Conduit::Smc, 0xd400_0003, 0xd400_0002)]
    {
        let mut m =
            Machine::on(CpuModel::max(), BarePlatform { conduit: Some(conduit), ..BarePlatform::new() });
        m.cpu.core.regs[0] = 0x55;
        assert!(m.run(word));
        assert_eq!(m.cpu.core.regs[0], !0x55);
        assert!(!m.run(other));
        m.at_el(0);
        assert!(!m.run(word), "UNDEFINED at EL0");
        assert_eq!(m.esr().0, 0);
    }
}

#[test]
fn masks_and_fixed_bits() {
    let mut m = max();
    m.msr("SCTLR_EL1", u64::MAX);
    // Without big-endian, AArch32, PAuth, BTI, MTE: those bits stay 0; RES1 bits stay 1.
    assert_eq!(m.mrs("SCTLR_EL1"), 0x1000_34dd_db9f);
    m.msr("SCTLR_EL1", 0);
    assert_eq!(m.mrs("SCTLR_EL1"), sctlr::RES1);
    m.msr("VBAR_EL1", u64::MAX);
    assert_eq!(m.mrs("VBAR_EL1"), !0x7ff);
    m.msr("CPACR_EL1", u64::MAX);
    assert_eq!(m.mrs("CPACR_EL1"), 3 << 20);
    m.msr("FPCR", u64::MAX);
    assert_eq!(m.mrs("FPCR"), 0x07c0_0000);
    m.msr("FPSR", u64::MAX);
    assert_eq!(m.mrs("FPSR"), 0x0800_009f);
    m.msr("CONTEXTIDR_EL1", u64::MAX);
    assert_eq!(m.mrs("CONTEXTIDR_EL1"), 0xffff_ffff);
    m.msr("DAIF", u64::MAX);
    assert_eq!(m.mrs("DAIF"), 0x3c0);
    m.msr("NZCV", u64::MAX);
    assert_eq!(m.mrs("NZCV"), 0xf000_0000);
    let mut m = Machine::new(CpuModel::by_name("cortex-a57").expect("a model"));
    m.msr("SCTLR_EL1", 0);
    assert_eq!(m.mrs("SCTLR_EL1"), sctlr::RES1 | sctlr::SPAN, "SPAN is RES1 without PAN");
    assert!(!m.run(Machine::access("PAN", true)), "no PAN");
    assert!(!m.run(0xd500_419f), "msr pan, #1");
}

#[test]
fn identification_follows_the_model() {
    let mut m = max();
    assert_eq!(m.mrs("ID_AA64ISAR0_EL1"), 0x0010_0000_1021_1120, "FlagM RDM LSE CRC32 SHA2 SHA1 PMULL");
    assert_eq!(m.mrs("ID_AA64PFR0_EL1"), 0x1100_0000_0000_0011);
    assert_eq!(m.mrs("ID_AA64PFR1_EL1"), 0x20);
    assert_eq!(m.mrs("ID_AA64MMFR0_EL1"), 0x10_0025);
    assert_eq!(m.mrs("ID_AA64MMFR1_EL1"), 0x21_0000);
    assert_eq!(m.mrs("ID_AA64ISAR1_EL1"), 0x10_0020_0001, "SB LRCPC2 DPB");
    let mut m = Machine::new(CpuModel::by_name("cortex-a57").expect("a model"));
    assert_eq!(m.mrs("ID_AA64ISAR0_EL1"), 0x1_1120);
    assert_eq!(m.mrs("ID_AA64ISAR1_EL1"), 0);
    assert_eq!(m.mrs("ID_AA64PFR0_EL1"), 0x11);
    assert_eq!(m.mrs("ID_AA64MMFR0_EL1"), 0x10_0024);
    assert_eq!(m.mrs("ID_AA64MMFR1_EL1"), 0);
    assert_eq!(m.mrs("MIDR_EL1"), 0x411f_d070);
    assert_eq!(m.mrs("ID_AA64DFR0_EL1"), 0x10_1006);
    // CCSIDR: 32 KiB, 2 ways, 64-byte lines; 48 KiB, 3 ways; 2 MiB, 16 ways (Cortex-A57 TRM 4.3.22).
    for (sel, sets, ways) in [(0, 256, 2), (1, 256, 3), (2, 2048, 16)] {
        m.msr("CSSELR_EL1", sel);
        let v = m.mrs("CCSIDR_EL1");
        assert_eq!((v >> 13 & 0x7fff, v >> 3 & 0x3ff, v & 7), (sets - 1, ways - 1, 2));
    }
}

#[test]
fn sp_el0_is_undefined_while_in_use() {
    let mut m = max();
    m.msr("SP_EL0", 0x1230);
    m.cpu.core.set_reg(regs::SP, 0x9990);
    assert!(m.run(0xd500_40bf), "msr spsel, #0");
    assert_eq!(m.cpu.core.reg(regs::SP), 0x1230);
    assert!(!m.run(Machine::access("SP_EL0", true)));
    assert_eq!(m.cpu.core.reg(regs::SP), 0x9990, "the handler runs on SP_EL1");
    assert_eq!(m.mrs("SP_EL0"), 0x1230);
    assert_eq!(m.mrs("SPSel"), 1);
    assert_eq!(m.mrs("CurrentEL"), 4);
}

#[test]
fn wait_traps_at_el0() {
    for (word, ti) in [(0xd503_207f, 0), (0xd503_205f, 1)] {
        let mut m = max();
        m.at_el(0);
        assert!(!m.run(word));
        assert_eq!(m.esr(), (0x01, true, 1 << 24 | 0xe << 20 | ti));
        let mut m = max();
        m.msr("SCTLR_EL1", sctlr::NTWI | sctlr::NTWE);
        m.at_el(0);
        assert!(m.run(word));
    }
}

#[test]
fn aborts_say_why_and_where() {
    // Data aborts at EL1 with the MMU on: EC 0x25; DFSC, WnR.
    let mut m = mapped();
    assert_eq!(load(&mut m, VA), Err((0x25, 0x07, VA)), "level 3 translation fault");
    assert_eq!(store(&mut m, VA + 8, 1), Err((0x25, 0x47, VA + 8)));
    m.page(0, RAM | PAGE);
    assert_eq!(load(&mut m, VA + 16), Err((0x25, 0x0b, VA + 16)), "access flag fault");
    m.page(0, RAM | PAGE | AF | RO);
    assert!(load(&mut m, VA).is_ok());
    assert_eq!(store(&mut m, VA, 1), Err((0x25, 0x4f, VA)), "permission fault");
    m.page(1, 1 << 46 | PAGE | AF);
    assert_eq!(
        load(&mut m, VA + 0x1000),
        Err((0x25, 0x03, VA + 0x1000)),
        "address size fault, IPS is 40 bits"
    );
    m.page(2, 0x10_0000 | PAGE | AF);
    assert_eq!(load(&mut m, VA + 0x2000), Err((0x25, 0x10, VA + 0x2000)), "external abort");
    m.page(3, RAM | PAGE | AF | DEVICE);
    assert_eq!(load(&mut m, VA + 0x3001), Err((0x25, 0x21, VA + 0x3001)), "alignment fault on Device");
    assert!(load(&mut m, VA + 0x3008).is_ok());
    assert_eq!(load(&mut m, 0x8000_0000), Err((0x25, 0x05, 0x8000_0000)), "level 1");
    assert_eq!(load(&mut m, 0x40_0000), Err((0x25, 0x06, 0x40_0000)), "level 2");
    assert_eq!(load(&mut m, 1 << 40), Err((0x25, 0x04, 1 << 40)), "beyond T0SZ: level 0");
    assert_eq!(load(&mut m, u64::MAX << 40), Err((0x25, 0x04, u64::MAX << 40)), "EPD1");
    m.page(0, RAM | PAGE | AF);
    m.msr("TLBI VMALLE1", 0);
    m.page(1, 0);
    assert_eq!(load(&mut m, VA + 0xffc), Err((0x25, 0x07, VA + 0x1000)), "FAR is where it failed");
    m.at_el(0);
    assert_eq!(load(&mut m, VA), Err((0x24, 0x0f, VA)), "EL0 has no access");
    // The flat RAM block holds the tables, for EL1 only.
    m.at_el(1).poke(L3 + 8, RAM | PAGE | AF | USER);
    m.at_el(0);
    assert!(store(&mut m, VA + 0x1000, 1).is_ok());
}

#[test]
fn walk_external_abort() {
    let mut m = mapped();
    m.poke(RAM + 0x10_0000 + 16, 0x7000_0000 | 3);
    assert_eq!(load(&mut m, 0x8000_0000), Err((0x25, 0x16, 0x8000_0000)), "on the level 2 table");
}

#[test]
fn instruction_aborts() {
    let mut m = mapped();
    let fetch = |m: &mut Machine, va| {
        assert!(m.cpu.fetch(va).is_none());
        outcome(m, 0)
    };
    assert_eq!(fetch(&mut m, VA), Err((0x21, 0x07, VA)));
    m.page(0, RAM | PAGE | AF | PXN);
    assert_eq!(fetch(&mut m, VA + 4), Err((0x21, 0x0f, VA + 4)));
    m.page(0, RAM | PAGE | AF | USER);
    assert_eq!(fetch(&mut m, VA), Err((0x21, 0x0f, VA)), "EL0 could write it");
    m.at_el(0);
    assert!(m.cpu.fetch(VA).is_some());
    m.msr_at_el1("TLBI VMALLE1", 0);
    m.page(0, RAM | PAGE | AF | USER | UXN);
    m.at_el(0);
    assert_eq!(fetch(&mut m, VA), Err((0x20, 0x0f, VA)));
}

#[test]
fn pan_and_unprivileged_accesses() {
    let mut m = mapped();
    m.page(0, RAM | PAGE | AF | USER);
    m.page(1, RAM | PAGE | AF);
    assert!(load(&mut m, VA).is_ok());
    m.msr("PAN", 1 << 22);
    assert_eq!(m.mrs("PAN"), 1 << 22);
    assert_eq!(load(&mut m, VA), Err((0x25, 0x0f, VA)));
    let unpriv = MemOp::new(Size::B8).unpriv();
    m.cpu.load_slow(VA, unpriv);
    assert_eq!(m.cpu.core.fault, 0, "LDTR is EL0's access");
    m.cpu.load_slow(VA + 0x1000, unpriv);
    assert_eq!(outcome(&mut m, 0), Err((0x25, 0x0f, VA + 0x1000)));
    assert!(m.run(0xd500_409f), "msr pan, #0");
    assert!(load(&mut m, VA).is_ok());
}

#[test]
fn mmu_off_is_flat_and_strict() {
    let mut m = max();
    assert!(load(&mut m, RAM).is_ok());
    assert_eq!(load(&mut m, RAM + 1), Err((0x25, 0x21, RAM + 1)), "data is Device");
    assert_eq!(load(&mut m, 1 << 48), Err((0x25, 0, 1 << 48)), "address size, level 0");
    assert!(m.cpu.fetch(RAM).is_some());
    m.msr("TCR_EL1", 1 << 37);
    assert!(load(&mut m, RAM | 0x55 << 56).is_ok(), "TBI holds with the MMU off");
}

#[test]
fn alignment_check_enable() {
    let mut m = mapped();
    m.page(0, RAM | PAGE | AF);
    assert!(load(&mut m, VA + 1).is_ok());
    m.msr("SCTLR_EL1", sctlr::M | sctlr::A | sctlr::SPAN);
    assert_eq!(load(&mut m, VA + 1), Err((0x25, 0x21, VA + 1)));
    assert!(load(&mut m, VA + 8).is_ok());
    m.msr("SCTLR_EL1", sctlr::M | sctlr::SPAN);
    assert!(load(&mut m, VA + 1).is_ok());
}

/// Each TLBI drops what it names, and nothing else: seen through a table that was changed without one.
#[test]
fn tlb_maintenance() {
    let (a, b) = (RAM + 0x20_0000, RAM + 0x20_1000);
    let operand = |asid: u64, va: u64| asid << 48 | va >> 12;
    // (instruction, operand, drops the private page of ASID 1, drops the global page).
    let cases = [
        ("TLBI VMALLE1", 0, true, true),
        ("TLBI VMALLE1IS", 0, true, true),
        ("TLBI VAE1", operand(1, VA), true, false),
        ("TLBI VAE1", operand(2, VA), false, false),
        ("TLBI VAE1IS", operand(2, VA + 0x1000), false, true),
        ("TLBI VALE1", operand(1, VA), true, false),
        ("TLBI VALE1IS", operand(1, VA), true, false),
        ("TLBI VAAE1", operand(9, VA), true, false),
        ("TLBI VAAE1IS", operand(0, VA + 0x1000), false, true),
        ("TLBI VAALE1", operand(9, VA), true, false),
        ("TLBI VAALE1IS", operand(9, VA), true, false),
        ("TLBI ASIDE1", operand(1, 0), true, false),
        ("TLBI ASIDE1IS", operand(1, 0), true, false),
        ("TLBI ASIDE1", operand(2, 0), false, false),
    ];
    for (name, op, private, global) in cases {
        let mut m = mapped();
        m.msr("TTBR0_EL1", 1 << 48 | (RAM + 0x10_0000));
        m.poke(a, 0xaaaa);
        m.poke(b, 0xbbbb);
        m.page(0, a | PAGE | AF | NG);
        m.page(1, a | PAGE | AF);
        assert_eq!((load(&mut m, VA), load(&mut m, VA + 0x1000)), (Ok(0xaaaa), Ok(0xaaaa)));
        m.page(0, b | PAGE | AF | NG);
        m.page(1, b | PAGE | AF);
        assert_eq!(load(&mut m, VA), Ok(0xaaaa), "{name}: cached until told");
        m.msr(name, op);
        let pick = |dropped| Ok(if dropped { 0xbbbb } else { 0xaaaa });
        assert_eq!(load(&mut m, VA), pick(private), "{name} {op:#x}");
        assert_eq!(load(&mut m, VA + 0x1000), pick(global), "{name} {op:#x}");
    }
}

#[test]
fn asids_keep_address_spaces_apart() {
    let (a, b) = (RAM + 0x20_0000, RAM + 0x20_1000);
    let mut m = mapped();
    m.poke(a, 1);
    m.poke(b, 2);
    let ttbr = |asid: u64| asid << 48 | (RAM + 0x10_0000);
    m.msr("TTBR0_EL1", ttbr(1));
    m.page(0, a | PAGE | AF | NG);
    assert_eq!(load(&mut m, VA), Ok(1));
    m.msr("TTBR0_EL1", ttbr(2));
    m.page(0, b | PAGE | AF | NG);
    assert_eq!(load(&mut m, VA), Ok(2));
    m.msr("TTBR0_EL1", ttbr(1));
    assert_eq!(load(&mut m, VA), Ok(1), "still cached under ASID 1");
    // TCR_EL1.AS clear: the upper half of the ASID does not count.
    m.msr("TCR_EL1", m.cpu.sys.tcr[1] & !(1 << 36));
    assert_eq!(load(&mut m, VA), Ok(2));
    m.msr("TTBR0_EL1", ttbr(0x301));
    m.page(0, a | PAGE | AF | NG);
    assert_eq!(load(&mut m, VA), Ok(2), "0x301 is 0x01");
}

#[test]
fn address_translation_fills_par() {
    let mut m = mapped();
    m.page(0, (RAM + 0x5000) | PAGE | AF | USER | RO | 3 << 8);
    m.page(1, (RAM + 0x6000) | PAGE | AF | DEVICE);
    let mut at = |name: &str, va: u64| {
        m.msr(name, va);
        m.mrs("PAR_EL1")
    };
    let ok = 0xff << 56 | (RAM + 0x5000) | 1 << 11 | 3 << 7;
    assert_eq!(at("AT S1E1R", VA + 0x123), ok);
    assert_eq!(at("AT S1E0R", VA), ok);
    assert_eq!(at("AT S1E1W", VA), 1 << 11 | 0x0f << 1 | 1, "permission fault, level 3");
    assert_eq!(at("AT S1E0W", VA), 1 << 11 | 0x0f << 1 | 1);
    assert_eq!(at("AT S1E1R", VA + 0x1000), 4 << 56 | (RAM + 0x6000) | 1 << 11 | 2 << 7, "Device-nGnRE");
    assert_eq!(at("AT S1E0R", VA + 0x1000), 1 << 11 | 0x0f << 1 | 1);
    assert_eq!(at("AT S1E1R", VA + 0x2000), 1 << 11 | 0x07 << 1 | 1, "translation fault, level 3");
    assert_eq!(at("AT S1E1RP", VA), ok);
    m.msr("PAN", 1 << 22);
    m.msr("AT S1E1R", VA);
    assert_eq!(m.mrs("PAR_EL1"), ok, "PAN does not count");
    m.msr("AT S1E1RP", VA);
    assert_eq!(m.mrs("PAR_EL1"), 1 << 11 | 0x0f << 1 | 1, "PAN counts");
    assert_eq!(m.cpu.core.fault, 0);
}

#[test]
fn cache_operations_fault_as_writes() {
    let cm = 1 << 8 | 1 << 6;
    for name in ["DC CVAC", "DC CVAU", "DC CIVAC", "IC IVAU", "DC CVAP", "DC IVAC"] {
        let mut m = mapped();
        m.cpu.core.regs[0] = VA + 0x14;
        assert!(!m.run(Machine::access(name, false)), "{name}");
        assert_eq!((m.esr(), m.far()), ((0x25, true, cm | 0x07), VA + 0x14), "{name}");
        m.page(0, RAM | PAGE | AF | RO);
        m.cpu.core.regs[0] = VA;
        let done = m.run(Machine::access(name, false));
        assert_eq!(done, name != "DC IVAC", "{name} on a read-only page");
    }
}

#[test]
fn zva_zeroes_one_block() {
    let mut m = mapped();
    let pa = RAM + 0x30_0000;
    m.page(0, pa | PAGE | AF);
    for i in 0..24 {
        m.poke(pa + 8 * i, u64::MAX);
    }
    // The first time by the slow path, then by the inline TLB.
    for _ in 0..2 {
        m.poke(pa + 64, u64::MAX);
        m.poke(pa + 120, u64::MAX);
        m.msr("DC ZVA", VA + 64 + 13);
    }
    for i in 0..24 {
        let v = m.mem.read(pa + 8 * i, Size::B8).expect("RAM");
        assert_eq!(v, if (8..16).contains(&i) { 0 } else { u64::MAX }, "{i}");
    }
    m.page(1, pa | PAGE | AF | DEVICE);
    m.cpu.core.regs[0] = VA + 0x1008;
    assert!(!m.run(Machine::access("DC ZVA", false)));
    assert_eq!((m.esr(), m.far()), ((0x25, true, 0x61), VA + 0x1008), "alignment fault on Device");
    m.page(2, pa | PAGE | AF | RO);
    m.cpu.core.regs[0] = VA + 0x2008;
    assert!(!m.run(Machine::access("DC ZVA", false)));
    assert_eq!((m.esr(), m.far()), ((0x25, true, 0x4f), VA + 0x2008));
    // SCTLR_EL1.A has nothing to check in an address that need not be aligned.
    let sctlr = m.mrs("SCTLR_EL1");
    m.msr("SCTLR_EL1", sctlr | sctlr::A);
    m.poke(pa + 64, u64::MAX);
    m.msr("DC ZVA", VA + 64 + 13);
    assert_eq!(m.mem.read(pa + 64, Size::B8), Ok(0));
    m.cpu.core.regs[0] = VA + 0x1008;
    assert!(!m.run(Machine::access("DC ZVA", false)), "still Device");
}

#[test]
fn alignment_is_checked_by_element() {
    let mut m = mapped();
    m.msr("CPACR_EL1", 3 << 20);
    m.page(0, (RAM + 0x30_0000) | PAGE | AF);
    m.page(1, (RAM + 0x30_1000) | PAGE | AF | DEVICE);
    // Word with base X1, and what its address must be a multiple of (Arm ARM, the Mem[] of each operation).
    let cases: [(&str, u32, u64); 16] = [
        ("ld1 {v0.16b, v1.16b}, [x1]", 0x4c40_a020, 1),
        ("ld1 {v0.4h}, [x1]", 0x0c40_7420, 2),
        ("st1 {v0.4s}, [x1]", 0x4c00_7820, 4),
        ("st1 {v0.2d-v3.2d}, [x1]", 0x4c00_2c20, 8),
        ("ld2 {v0.8h, v1.8h}, [x1]", 0x4c40_8420, 2),
        ("st2 {v0.8b, v1.8b}, [x1]", 0x0c00_8020, 1),
        ("st4 {v0.4s-v3.4s}, [x1]", 0x4c00_0820, 4),
        ("ld1 {v0.h}[1], [x1]", 0x0d40_4820, 2),
        ("ld3r {v0.2s-v2.2s}, [x1]", 0x0d40_e820, 4),
        ("ldr q0, [x1]", 0x3dc0_0020, 16),
        ("stp q0, q1, [x1]", 0xad00_0420, 16),
        ("ldp d0, d1, [x1]", 0x6d40_0420, 8),
        ("ldp w2, w3, [x1]", 0x2940_0c22, 4),
        ("stp x2, x3, [x1]", 0xa900_0c22, 8),
        ("ldaxp x2, x3, [x1]", 0xc87f_8c22, 16),
        ("casp w2, w3, w4, w5, [x1]", 0x0822_7c24, 8),
    ];
    let sctlr = m.mrs("SCTLR_EL1");
    for (a, page) in [(sctlr::A, VA), (0, VA + 0x1000)] {
        m.msr("SCTLR_EL1", sctlr | a);
        for (text, word, align) in cases {
            for offset in 0..32 {
                m.cpu.core.regs[1] = page + offset;
                assert_eq!(m.run(word), offset % align == 0, "{text} at {offset}, SCTLR_EL1.A {a}");
                if offset % align != 0 {
                    assert_eq!((m.esr().2 & 0x3f, m.far()), (0x21, page + offset), "{text} at {offset}");
                }
            }
        }
    }
}

#[test]
fn debug_communication_channel_has_no_reader() {
    let mut m = max();
    assert_eq!(m.mrs("MDCCSR_EL0"), 0);
    m.msr("DBGDTRRX_EL0", 0x41);
    assert_eq!(m.mrs("MDCCSR_EL0"), 1 << 29, "TXfull");
    assert_eq!(m.mrs("MDSCR_EL1"), 1 << 29);
}

#[test]
fn os_lock_starts_locked() {
    let mut m = max();
    assert_eq!(m.mrs("OSLSR_EL1"), 0b1010);
    m.msr("OSLAR_EL1", 0);
    assert_eq!(m.mrs("OSLSR_EL1"), 0b1000);
}

#[test]
fn timers_are_the_platforms() {
    let mut m = max();
    m.cpu.platform.advance(1000);
    assert_eq!(m.mrs("CNTVCT_EL0"), 1000);
    m.msr("CNTV_TVAL_EL0", 50);
    assert_eq!(m.mrs("CNTV_CVAL_EL0"), 1050);
    m.msr("CNTV_CTL_EL0", 1);
    m.cpu.platform.advance(50);
    assert_eq!(m.mrs("CNTV_CTL_EL0"), 5, "ENABLE, ISTATUS");
    assert_eq!(m.mrs("CNTFRQ_EL0"), 62_500_000);
    m.msr("CNTFRQ_EL0", 24_000_000);
    assert_eq!(m.mrs("CNTFRQ_EL0"), 24_000_000, "EL1 is the highest level");
}

//! What is not compared, and why. Every skipped row and word is counted and printed.

use lyrebird_frontend_arm::a64::table::{self, Feature, Group, Row};
use lyrebird_frontend_arm::a64::word::Word;
use lyrebird_frontend_arm::sys;

use crate::state::{After, CODE, Outcome};

/// Rows that are left out as a whole.
const ROWS: &[(&str, &str)] = &[
    ("SVC", "a system call to the oracle's host"),
    ("WFI", "waits for an interrupt, which user mode has not"),
    ("WFE", "gives up the time slice; the event register is not visible at EL0"),
];

/// Why a row is not tested at all.
pub fn row(r: &Row) -> Option<&'static str> {
    ROWS.iter().find(|(name, _)| *name == r.name).map(|(_, why)| *why)
}

/// System registers whose value is the model's own or changes with time, and system instructions that QEMU's user
/// mode treats in its own way.
const SYSTEM: &[(&str, &str)] = &[
    ("CTR_EL0", "cache geometry is the model's own"),
    ("DCZID_EL0", "the zeroing block is the model's own"),
    ("CNTPCT_EL0", "time"),
    ("CNTVCT_EL0", "time"),
    ("CNTFRQ_EL0", "the counter's frequency is the board's"),
    ("TPIDRRO_EL0", "not under a user program's control"),
    ("SSBS", "PSTATE.SSBS is absent from the oracle"),
    ("DC CVAP", "absent from user mode"),
    ("DC ZVA", "the size of the block is the model's own"),
    ("MDCCSR_EL0", "the debug communication channel is absent from user mode"),
    ("DBGDTR_EL0", "the debug communication channel is absent from user mode"),
    ("DBGDTRRX_EL0", "the debug communication channel is absent from user mode"),
];

/// Why a word of a tested row is left out.
pub fn word(r: &Row, w: Word) -> Option<&'static str> {
    if w.0 & 0x9ff8_fc00 == 0x0f00_fc00 && w.bit(29) {
        return Some("cmode 1111 with o2 and op: UNDEFINED, but QEMU's FP16 FMOV takes it");
    }
    if r.group != Group::System || w.0 >> 24 != 0xd5 {
        return None;
    }
    if matches!(r.name, "MRS" | "MSR_reg" | "SYS" | "SYSL") {
        let enc = sys::Enc::of(w);
        let [op0, op1, crn, _, _] = enc.fields();
        if r.name == "MRS" && (op0, op1, crn) == (3, 0, 0) {
            return Some("Linux emulates reads of the ID registers for user programs");
        }
        let Some(reg) = sys::all().find(|s| s.enc == enc) else {
            return Some(
                "not a system register of ours: registers of other extensions are the oracle's to have",
            );
        };
        return SYSTEM.iter().find(|(name, _)| *name == reg.name).map(|(_, why)| *why);
    }
    None
}

/// Whether a word may stand alone only, where its operand can be chosen: QEMU has bits of FPCR and FPSR that belong to
/// FP16 and AArch32.
pub fn in_sequence(r: &Row, w: Word) -> bool {
    let enc = w.bits(5, 16) as u16;
    r.name == "MSR_reg" && [sys::Enc::new(3, 3, 4, 4, 0).0, sys::Enc::new(3, 3, 4, 4, 1).0].contains(&enc)
}

/// Why a difference is the oracle's fault. `word`: the instruction at the PC where the test ended.
pub fn explained(word: u32, got: &After, want: &After) -> Option<&'static str> {
    let row = table::lookup(Word(word))?;
    let same_but_address = || After { outcome: want.outcome, ..got.clone() } == *want;
    match (got.outcome, want.outcome) {
        (Outcome::Abort(at), Outcome::Abort(clean)) | (Outcome::Alignment(at), Outcome::Alignment(clean))
            if at << 8 >> 8 == clean && same_but_address() =>
        {
            Some("the oracle reports fault addresses without their tag")
        }
        // The host has no address for what it cannot address itself.
        (Outcome::Abort(at), Outcome::Abort(0)) if at << 8 >> 55 != 0 && same_but_address() => {
            Some("the oracle's host has no fault address beyond 47 bits")
        }
        (Outcome::Abort(at), _) if at.wrapping_sub(CODE) < 0x1000 && want.outcome != got.outcome => {
            Some("the oracle's code page is writable, ours is not")
        }
        (Outcome::Abort(_), Outcome::End) if row.name == "SYS" => {
            Some("QEMU's cache maintenance does not access memory, and so does not fault")
        }
        (Outcome::Alignment(_), _) if row.feature == Feature::Lrcpc => {
            Some("QEMU 7.2 does not check the alignment of LDAPR, which needs it without FEAT_LSE2")
        }
        _ => None,
    }
}

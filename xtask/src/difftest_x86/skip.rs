//! What is not tested, and why. Every reason is counted and printed.

use iced_x86::{CodeSize, CpuidFeature, FlowControl, Instruction, Mnemonic, OpKind, Register};

use crate::features::{EXTENSIONS, extension};
use crate::state::{After, State};

/// Why an instruction is left out; None where it is tested.
pub fn why(i: &Instruction) -> Option<&'static str> {
    use Mnemonic as M;
    let thread = |r: Register| matches!(r, Register::FS | Register::GS);
    if i.op_count() > 0 && i.op_kind(0) == OpKind::Register && thread(i.op0_register())
        || matches!(i.mnemonic(), M::Lfs | M::Lgs | M::Rdfsbase | M::Rdgsbase | M::Wrfsbase | M::Wrgsbase)
        || thread(i.segment_prefix())
    {
        return Some("FS and GS are the oracle's own: text tests");
    }
    // It faults, and the host's CPU has set TOP to 0 by then, of which the manual says nothing (SDM Vol. 1, 9.5.1).
    let mmx = |n: u32| i.op_kind(n) == OpKind::Register && i.op_register(n).is_mm();
    if i.code_size() != CodeSize::Code64 && i.segment_prefix() == Register::CS && (0..i.op_count()).any(mmx) {
        return Some("an MMX instruction through CS, whose fault comes in the middle");
    }
    match i.flow_control() {
        FlowControl::Interrupt if i.mnemonic() == M::Int && i.immediate8() == 0x80 => {
            return Some("a system call");
        }
        FlowControl::XbeginXabortXend => return Some("of an extension that no CPU model has"),
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call
            if !i.is_jmp_far() && !i.is_call_far() =>
        {
            let by = i.near_branch_target().wrapping_sub(i.next_ip()) as i64;
            if !(16..=0x100).contains(&by) && !(-0x180..-32).contains(&by) {
                return Some("branch out of the code page");
            }
            if !intel() && i.op0_kind() == OpKind::NearBranch16 {
                return Some("a branch with operand size prefix, which this host's maker sees differently");
            }
        }
        _ => {}
    }
    match i.mnemonic() {
        M::Iret | M::Iretd | M::Iretq => return Some("sets TF as chance has it: text tests"),
        M::Lar | M::Lsl | M::Verr | M::Verw | M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw => {
            return Some("shows the host's own tables: text tests");
        }
        M::Cpuid | M::Xgetbv => return Some("the model's own: text tests"),
        M::Rdtsc | M::Rdtscp | M::Rdpmc | M::Rdrand | M::Rdseed => return Some("time or chance: text tests"),
        M::Syscall | M::Sysenter => return Some("a system call"),
        M::Fxrstor | M::Fxrstor64 | M::Xrstor | M::Xrstor64 => {
            return Some("loads reserved fields, which chance breaks: text tests");
        }
        M::Xsave | M::Xsave64 | M::Xsaveopt | M::Xsaveopt64 => {
            return Some(
                "which state is in its initial configuration is the processor's to know: text tests",
            );
        }
        M::Rcpps | M::Rcpss | M::Rsqrtps | M::Rsqrtss | M::Vrcpps | M::Vrcpss | M::Vrsqrtps | M::Vrsqrtss => {
            return Some("an approximation, each processor's own: tested in `fp`");
        }
        M::Fsin | M::Fcos | M::Fsincos | M::Fptan | M::Fpatan | M::F2xm1 | M::Fyl2x | M::Fyl2xp1 => {
            return Some("transcendental: the last bit is each processor's own; tested in `fp`");
        }
        _ => {}
    }
    // Hints to newer processors, to others no operation.
    use M::{Endbr32, Endbr64, Prefetch, Prefetchw, Prefetchwt1, Rdsspd, Rdsspq};
    if matches!(i.mnemonic(), Endbr32 | Endbr64 | Prefetch | Prefetchw | Prefetchwt1 | Rdsspd | Rdsspq) {
        return None;
    }
    for f in i.cpuid_features() {
        match extension(*f) {
            None => return Some("of an extension that no CPU model has"),
            Some(e) if !(e.host)() => return Some("of an extension that this host's CPU lacks"),
            _ => {}
        }
    }
    None
}

/// The extensions that our CPU models have and this host's CPU lacks: instructions of theirs are not tested.
pub fn lacking() -> Vec<CpuidFeature> {
    EXTENSIONS.iter().filter(|e| !(e.host)()).map(|e| e.name).collect()
}

/// Whether this host's CPU is Intel's, whose ways ours are where makers differ.
fn intel() -> bool {
    // "Genu"
    std::arch::x86_64::__cpuid(0).ebx == 0x756e_6547
}

/// Why the manual does not say what `i` does from this state, as far as that is known before.
pub fn undefined(i: &Instruction, s: &State) -> Option<&'static str> {
    if matches!(i.mnemonic(), Mnemonic::Shld | Mnemonic::Shrd) && i.op_register(1).size() == 2 {
        let n = if i.op_kind(2) == OpKind::Register { s.gpr[1] as u8 } else { i.immediate8() };
        if n & 31 > 16 {
            return Some("SHLD and SHRD of 16 bits by more: undefined (SDM Vol. 2)");
        }
    }
    None
}

/// Why a difference between our outcome and the host's is none of ours: the reason, and our outcome with what differs
/// for it taken from the host's.
pub fn explained(i: &Instruction, got: &After, want: &After) -> Option<(&'static str, After)> {
    use Mnemonic::{Call, Maskmovdqu, Maskmovq, Vmaskmovdqu};
    let (g, w) = (&got.state, &want.state);
    let masked = matches!(i.mnemonic(), Maskmovdqu | Maskmovq | Vmaskmovdqu);
    let cr2 = || After { state: State { cr2: w.cr2, ..*g }, ..got.clone() };
    Some(match (g.vector, w.vector) {
        (14, 14) if w.cr2 >> 47 != 0 => ("the host's kernel has pages of its own there", cr2()),
        (14, 14) if masked && g.cr2 & !31 == w.cr2 & !31 => {
            ("which bytes of a masked store fault first is not defined", cr2())
        }
        // SDM Vol. 2, MASKMOVQ.
        (3, 14) if masked => {
            ("whether a masked store of nothing faults is implementation dependent", want.clone())
        }
        (13, 13) if i.mnemonic() == Call => {
            let same = After { stores: want.stores.clone(), ..got.clone() };
            ("what a CALL that faults has stored below RSP is not defined", same)
        }
        _ => return None,
    })
}

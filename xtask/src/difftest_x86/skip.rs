//! What is not tested, and why. Every reason is counted and printed.

use iced_x86::{CpuidFeature, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// Why an instruction is left out; None where it is tested.
pub fn why(i: &Instruction) -> Option<&'static str> {
    use Mnemonic as M;
    if i.is_privileged() {
        return Some("privileged");
    }
    let segment = |r: Register| r.is_segment_register();
    if (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Register && segment(i.op_register(n))) {
        return Some("loads or shows segment registers, whose values are the host's");
    }
    if i.segment_prefix() != Register::None {
        return Some("segment prefix: FS and GS are the host's own");
    }
    match i.flow_control() {
        FlowControl::Interrupt => return Some("software interrupt"),
        FlowControl::IndirectCall | FlowControl::IndirectBranch
            if i.is_jmp_far_indirect() || i.is_call_far_indirect() =>
        {
            return Some("far transfer");
        }
        FlowControl::UnconditionalBranch | FlowControl::Call if i.is_jmp_far() || i.is_call_far() => {
            return Some("far transfer");
        }
        FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return => {
            return Some("goes anywhere: text tests");
        }
        FlowControl::XbeginXabortXend => return Some("transactional memory is not offered"),
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call => {
            let by = i.near_branch_target().wrapping_sub(i.next_ip()) as i64;
            if !(16..=0x100).contains(&by) && !(-0x180..-32).contains(&by) {
                return Some("branch out of the code page");
            }
        }
        _ => {}
    }
    match i.mnemonic() {
        M::Popf | M::Popfd | M::Popfq | M::Pushf | M::Pushfd | M::Pushfq => {
            return Some("the host's IF, IOPL and ID; AC and TF act on the oracle itself: text tests");
        }
        M::Lar | M::Lsl | M::Verr | M::Verw | M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw | M::Arpl => {
            return Some("shows the host's own tables");
        }
        M::Les | M::Lds | M::Lss | M::Lfs | M::Lgs => return Some("loads segment registers: text tests"),
        M::Cpuid | M::Xgetbv | M::Rdpid => return Some("the model's own"),
        M::Rdtsc | M::Rdtscp | M::Rdpmc | M::Rdrand | M::Rdseed => return Some("time or chance"),
        M::Syscall | M::Sysenter | M::Sysret | M::Sysexit => return Some("a system call"),
        M::Rdfsbase | M::Rdgsbase | M::Wrfsbase | M::Wrgsbase => {
            return Some("the host's own thread pointer");
        }
        M::In | M::Insb | M::Insw | M::Insd | M::Out | M::Outsb | M::Outsw | M::Outsd => {
            return Some("ports");
        }
        M::Fxsave
        | M::Fxsave64
        | M::Fxrstor
        | M::Fxrstor64
        | M::Fnsave
        | M::Fsave
        | M::Frstor
        | M::Fnstenv
        | M::Fstenv
        | M::Fldenv
        | M::Xsave
        | M::Xsave64
        | M::Xsaveopt
        | M::Xsaveopt64
        | M::Xrstor
        | M::Xrstor64 => {
            return Some(
                "images with the FPU's last pointers, or reserved fields that random data break: text tests",
            );
        }
        M::Pause | M::Monitor | M::Mwait | M::Umonitor | M::Umwait | M::Tpause | M::Monitorx | M::Mwaitx => {
            return Some("waits");
        }
        M::Bound => return Some("text tests"),
        M::Int1 | M::Int3 | M::Into => return Some("software interrupt"),
        // Approximations: each vendor's own.
        M::Rcpps | M::Rcpss | M::Rsqrtps | M::Rsqrtss | M::Vrcpps | M::Vrcpss | M::Vrsqrtps | M::Vrsqrtss => {
            return Some("an approximation, each processor's own");
        }
        M::Fsin | M::Fcos | M::Fsincos | M::Fptan | M::Fpatan | M::F2xm1 | M::Fyl2x | M::Fyl2xp1 => {
            return Some("transcendental: the last bit is each processor's own; tested in `fp`");
        }
        _ => {}
    }
    if i.is_string_instruction() && (i.has_lock_prefix()) {
        return Some("LOCK");
    }
    let known = i.cpuid_features().iter().all(|f| FEATURES.contains(f));
    if !known {
        return Some("of an extension that no CPU model has");
    }
    None
}

use CpuidFeature as F;

/// What x86-64-v3 and the extensions beside it consist of.
const FEATURES: &[CpuidFeature] = &[
    F::INTEL8086,
    F::INTEL8086_ONLY,
    F::INTEL186,
    F::INTEL286,
    F::INTEL386,
    F::INTEL486,
    F::X64,
    F::FPU,
    F::FPU287,
    F::FPU387,
    F::CMOV,
    F::CX8,
    F::CMPXCHG16B,
    F::MMX,
    F::SSE,
    F::SSE2,
    F::SSE3,
    F::SSSE3,
    F::SSE4_1,
    F::SSE4_2,
    F::POPCNT,
    F::AES,
    F::PCLMULQDQ,
    F::AVX,
    F::AVX2,
    F::FMA,
    F::F16C,
    F::BMI1,
    F::BMI2,
    F::LZCNT,
    F::ADX,
    F::MOVBE,
    F::SHA,
    F::MULTIBYTENOP,
    F::CLFSH,
    F::CLFLUSHOPT,
];

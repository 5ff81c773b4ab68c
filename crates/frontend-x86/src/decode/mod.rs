//! From bytes to meaning: `iced-x86` decodes, and the files of `sem/` pick a `Sem`.

mod insn;

use iced_x86::{Code, Decoder, DecoderError, DecoderOptions, Formatter, Instruction, IntelFormatter, OpKind};
use lyrebird_isa::Visitor;

use crate::X86Cpu;
use crate::cpu::Mode;
use crate::cpu::step::{LONGEST, Step};
use crate::sem;
use crate::sys::canonical;
pub use insn::{Insn, seg};

fn instruction(bytes: &[u8], pc: u64, mode: Mode) -> (Instruction, DecoderError) {
    let rip = mode.wrap(pc.wrapping_sub(mode.cs_base()));
    let mut d = Decoder::with_ip(mode.code_bits(), bytes, rip, DecoderOptions::NONE);
    let i = d.decode();
    (i, d.last_error())
}

/// Whether what does not decode is an instruction of more than [`LONGEST`] bytes. `iced-x86` tells no difference, but
/// stops for want of bytes where it gets fewer; so it is asked without the first byte, which is a prefix.
fn is_too_long(bytes: &[u8], pc: u64, mode: Mode) -> bool {
    bytes.get(1..LONGEST).is_some_and(|b| length(b, pc, mode).is_none())
}

/// Whether an instruction is a near branch that may lead out of the code segment, which is looked at when it is
/// executed. In 64-bit code that is an address that is not canonical, and computed branches look for themselves.
fn may_stray(i: &Instruction, mode: Mode) -> bool {
    use Code::{
        Call_rm16, Call_rm32, Jmp_rm16, Jmp_rm32, Retnd, Retnd_imm16, Retnw, Retnw_imm16, Xbegin_rel16,
        Xbegin_rel32,
    };
    match (i.op0_kind(), i.code()) {
        (_, Xbegin_rel16 | Xbegin_rel32) => false,
        (OpKind::NearBranch64, _) => !canonical(i.near_branch64()),
        // In real mode all of 64 KiB is inside.
        (OpKind::NearBranch32, _) if i.near_branch32() <= 0xffff => mode.limited(true),
        (OpKind::NearBranch16, _) | (_, Retnw | Retnw_imm16 | Jmp_rm16 | Call_rm16) => mode.limited(true),
        (OpKind::NearBranch32, _) | (_, Retnd | Retnd_imm16 | Jmp_rm32 | Call_rm32) => mode.limited(false),
        _ => false,
    }
}

/// The length in bytes of the instruction at the linear address `pc`; None where `bytes` ends before it does.
pub fn length(bytes: &[u8], pc: u64, mode: Mode) -> Option<usize> {
    let (i, error) = instruction(bytes, pc, mode);
    (error != DecoderError::NoMoreBytes).then(|| i.len())
}

/// Decodes the instruction at the linear address `pc` and hands its meaning to `v`. `bytes` end with the page or
/// after 15 bytes. Returns what `v` made of it and the length in bytes (in this page).
pub fn decode<V: Visitor<X86Cpu>>(bytes: &[u8], pc: u64, mode: Mode, v: V) -> (V::Out, usize) {
    let (i, error) = instruction(bytes, pc, mode);
    if error == DecoderError::NoMoreBytes {
        return (v.visit(Step { pc }), bytes.len().max(1));
    }
    let len = i.len().max(1);
    if mode.careful() || may_stray(&i, mode) {
        return (v.visit(Step { pc }), len);
    }
    if i.code() == Code::INVALID {
        if len == LONGEST && is_too_long(bytes, pc, mode) {
            return (v.visit(sem::undefined::TooLong), LONGEST);
        }
        return (v.visit(sem::undefined::Undefined { code: Code::INVALID as u16 }), len);
    }
    let x = Insn::new(&i, mode, pc, bytes);
    (sem::dispatch(&x, v), len)
}

/// Disassembly of the instruction at `pc`, as code of that many bits.
pub fn disassemble(bytes: &[u8], pc: u64, bits: u32) -> String {
    let mut d = Decoder::with_ip(bits, bytes, pc, DecoderOptions::NONE);
    let i = d.decode();
    let mut text = String::new();
    IntelFormatter::new().format(&i, &mut text);
    let n = i.len().clamp(1, bytes.len().max(1));
    let raw: Vec<String> = bytes.iter().take(n).map(|b| format!("{b:02x}")).collect();
    format!("{:<30} {text}", raw.join(" "))
}

//! From bytes to meaning: `iced-x86` decodes, and the files of `sem/` pick a `Sem`.

mod insn;

use iced_x86::{Code, Decoder, DecoderError, DecoderOptions, Formatter, Instruction, IntelFormatter};
use lyrebird_isa::Visitor;

use crate::X86Cpu;
use crate::cpu::Mode;
use crate::cpu::step::{LONGEST, Step};
use crate::sem;
pub use insn::{Insn, seg};

fn instruction(bytes: &[u8], pc: u64, mode: Mode) -> (Instruction, DecoderError) {
    let rip = pc.wrapping_sub(mode.cs_base());
    let rip = if mode.code64() { rip } else { rip & 0xffff_ffff };
    let mut d = Decoder::with_ip(mode.code_bits(), bytes, rip, DecoderOptions::NONE);
    let i = d.decode();
    (i, d.last_error())
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
        if bytes.len() < LONGEST {
            return (v.visit(Step { pc }), bytes.len().max(1));
        }
        return (v.visit(sem::undefined::TooLong), LONGEST);
    }
    let len = i.len().max(1);
    if mode.careful() {
        return (v.visit(Step { pc }), len);
    }
    if i.code() == Code::INVALID {
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

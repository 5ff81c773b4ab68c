//! The forms of instructions: codes of `iced-x86`, an encoding of each, and whether it is implemented.

use std::any::TypeId;
use std::collections::BTreeMap;

use iced_x86::{Code, Decoder, DecoderOptions};
use lyrebird_frontend_x86::X86Cpu;
use lyrebird_frontend_x86::sem::undefined::{Raise, Undefined};
use lyrebird_isa::{Cpu, Sem, Visitor};

/// Whether an instruction has a meaning other than an exception.
struct Implemented;

impl Visitor<X86Cpu> for Implemented {
    type Out = bool;

    fn visit<S: Sem<X86Cpu>>(self, _: S) -> bool {
        ![TypeId::of::<Undefined>(), TypeId::of::<Raise>()].contains(&TypeId::of::<S>())
    }
}

/// Whether the instruction in `bytes` has a meaning other than an exception in a mode ([`Cpu::mode`]).
pub fn implemented(bytes: &[u8], mode: u64) -> bool {
    X86Cpu::decode(bytes, 0x1000, mode, Implemented).0
}

/// Bytes behind ModRM in what [`encodings`] returns.
pub const FOLLOWING: usize = 8;

/// An encoding of each code that can be decoded as code of so many bits: every opcode with every ModRM byte, with and
/// without the prefixes that select among codes.
pub fn encodings(bits: u32) -> BTreeMap<Code, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut heads: Vec<Vec<u8>> = Vec::new();
    let maps: [&[u8]; 4] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]];
    let rex: &[&[u8]] = if bits == 64 { &[&[], &[0x48]] } else { &[&[]] };
    for address in [&[][..], &[0x67]] {
        for operand in [&[][..], &[0x66]] {
            for repeat in [&[][..], &[0xf2], &[0xf3]] {
                for rex in rex {
                    heads.extend(maps.map(|map| [address, operand, repeat, rex, map].concat()));
                }
            }
        }
    }
    // VEX with one source register, or none.
    for map in 1..=3 {
        for low in 0..16u8 {
            // W, vvvv, L and pp.
            heads.push(vec![0xc4, 0xe0 | map, (low & 8) << 4 | 0x78 | low & 7]);
        }
    }
    for head in heads {
        for opcode in 0..=255 {
            for modrm in 0..=255 {
                // The SIB byte: [eax + ecx], of which gathers need no register twice.
                let mut bytes = [&head[..], &[opcode, modrm, 0x08]].concat();
                bytes.resize(head.len() + 2 + FOLLOWING, 0);
                let i = Decoder::new(bits, &bytes, DecoderOptions::NONE).decode();
                if !i.is_invalid() {
                    found.entry(i.code()).or_insert(bytes);
                }
            }
        }
    }
    found
}

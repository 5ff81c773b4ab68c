//! Random instructions: prefixes, opcode and the rest by chance, kept where they decode to something that may be
//! tested, rare ones first, with registers chosen so that memory operands lie in the window.

use std::collections::BTreeMap;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpKind, Register,
};

use super::native::Question;
use super::skip;
use super::state::{BEFORE, CODE, MAX_CODE, Rng, State, WINDOW};

/// A test of one instruction.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What the oracle is asked.
    pub question: Question,
    /// The instruction.
    pub instruction: Instruction,
}

/// Makes tests.
pub struct Generator {
    rng: Rng,
    bits: u32,
    filter: Option<String>,
    factory: InstructionInfoFactory,
    /// Tests made of each form.
    pub made: BTreeMap<u16, u64>,
    /// Instructions left out, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    total: u64,
}

impl Generator {
    /// For code of that many bits; `filter` is part of the name of the forms wanted.
    pub fn new(seed: u64, bits: u32, filter: Option<String>) -> Generator {
        Generator {
            rng: Rng(seed),
            bits,
            filter: filter.map(|f| f.to_lowercase()),
            factory: InstructionInfoFactory::new(),
            made: BTreeMap::new(),
            skipped: BTreeMap::new(),
            total: 0,
        }
    }

    /// Bytes that may be an instruction.
    fn bytes(&mut self) -> [u8; 24] {
        let r = &mut self.rng;
        let mut b = [0u8; 24];
        let mut n = 0;
        let mut put = |v: u8| {
            b[n] = v;
            n += 1;
        };
        let map = r.pick(&[0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 4, 4, 4]);
        if map < 4 {
            for (p, one_in) in [(0x66, 3), (0xf2, 6), (0xf3, 6), (0x67, 24), (0xf0, 24)] {
                if r.one_in(one_in) {
                    put(p);
                }
            }
            if self.bits == 64 && r.one_in(2) {
                put(0x40 | r.below(16) as u8);
            }
            match map {
                1 => put(0x0f),
                2 => {
                    put(0x0f);
                    put(0x38);
                }
                3 => {
                    put(0x0f);
                    put(0x3a);
                }
                _ => {}
            }
        } else if r.one_in(3) {
            put(0xc5);
            put(r.next() as u8 | if self.bits == 32 { 0xc0 } else { 0 });
        } else {
            put(0xc4);
            let high = if self.bits == 32 { 0xe0 } else { (r.next() as u8) & 0xe0 };
            put(high | r.pick(&[1, 2, 2, 2, 3, 3]));
            put(r.next() as u8);
        }
        let rest = n;
        for v in &mut b[rest..] {
            *v = r.next() as u8;
        }
        b
    }

    /// The next test.
    pub fn next(&mut self) -> Unit {
        loop {
            let mut bytes = self.bytes();
            let ip = CODE + BEFORE as u64;
            let mut d = Decoder::with_ip(self.bits, &bytes, ip, DecoderOptions::NONE);
            let i = d.decode();
            if i.is_invalid() || i.len() > 15 {
                continue;
            }
            if let Some(f) = &self.filter
                && !format!("{:?}", i.code()).to_lowercase().contains(f.as_str())
            {
                continue;
            }
            if let Some(why) = skip::why(&i) {
                *self.skipped.entry(why).or_default() += 1;
                continue;
            }
            // Forms that have had more than their share wait.
            let made = self.made.get(&(i.code() as u16)).copied().unwrap_or(0);
            let share = 4 * self.total / (self.made.len() as u64 + 1) + 4;
            if made > share {
                continue;
            }
            let offsets = d.get_constant_offsets(&i);
            let mut state = State::random(&mut self.rng);
            if !self.place(&i, &mut bytes, &offsets, &mut state) {
                continue;
            }
            let mut d = Decoder::with_ip(self.bits, &bytes, ip, DecoderOptions::NONE);
            let i = d.decode();
            if self.bits == 32 {
                for r in &mut state.gpr {
                    *r &= 0xffff_ffff;
                }
            }
            let mut code = [0; MAX_CODE];
            let len = i.len();
            code[..len].copy_from_slice(&bytes[..len]);
            let question =
                Question { state, stores: self.stores(&i) as u32, bits: self.bits, len: len as u32, code };
            *self.made.entry(i.code() as u16).or_default() += 1;
            self.total += 1;
            return Unit { question, instruction: i };
        }
    }

    fn stores(&mut self, i: &Instruction) -> bool {
        // What it writes between its outermost words, `iced-x86` does not tell.
        if i.mnemonic() == iced_x86::Mnemonic::Enter {
            return true;
        }
        let info = self.factory.info(i);
        info.used_memory().iter().any(|m| {
            use iced_x86::OpAccess as A;
            matches!(m.access(), A::Write | A::ReadWrite | A::CondWrite | A::ReadCondWrite)
        })
    }

    /// Chooses registers, and the displacement where it can, so that what the instruction accesses lies in the window,
    /// mostly. False where that is not possible.
    fn place(
        &mut self,
        i: &Instruction,
        bytes: &mut [u8],
        offsets: &iced_x86::ConstantOffsets,
        s: &mut State,
    ) -> bool {
        let r = &mut self.rng;
        let aligned = |r: &mut Rng| {
            let at = WINDOW + 0x600 + r.below(0x1400);
            if r.one_in(4) { at } else { at & !31 }
        };
        if i.is_string_instruction() {
            s.gpr[1] = if i.has_rep_prefix() || i.has_repne_prefix() { r.below(40) } else { s.gpr[1] };
            for n in [6, 7] {
                s.gpr[n] = WINDOW + 0x800 + r.below(0x800);
            }
            return true;
        }
        if i.flow_control() != FlowControl::Next && (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory)
        {
            // A jump through memory goes wherever the window says.
            return false;
        }
        let has_mem = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
        if i.mnemonic() == iced_x86::Mnemonic::Xlatb {
            s.gpr[3] = WINDOW + 0x600;
            return true;
        }
        if !has_mem {
            return true;
        }
        let target = aligned(r);
        let (base, index) = (i.memory_base(), i.memory_index());
        if base.size() == 2 || index.size() == 2 || i.memory_displ_size() == 2 {
            // 16-bit addresses do not reach the window.
            return false;
        }
        let at = offsets.displacement_offset();
        let patch = |bytes: &mut [u8], v: u64| bytes[at..at + 4].copy_from_slice(&(v as u32).to_le_bytes());
        let vsib = index.is_vector_register();
        let mut sum = 0;
        if index != Register::None && !vsib {
            let n = index.number();
            if index.full_register() == base.full_register() {
                return false;
            }
            // The stack pointer is no index.
            s.gpr[n] = r.below(0x40);
            sum = s.gpr[n] << i.memory_index_scale().trailing_zeros();
        }
        if vsib {
            let n = index.number();
            let wide = format!("{:?}", i.code()).to_lowercase().contains("q_")
                || matches!(
                    i.mnemonic(),
                    iced_x86::Mnemonic::Vgatherqps
                        | iced_x86::Mnemonic::Vgatherqpd
                        | iced_x86::Mnemonic::Vpgatherqd
                        | iced_x86::Mnemonic::Vpgatherqq
                );
            let lanes = |r: &mut Rng| {
                let step = if wide { 64 } else { 32 };
                (0..128 / step).fold(0u128, |v, k| v | (r.below(0x60) as u128) << (k * step))
            };
            let (lo, hi) = (lanes(r), lanes(r));
            s.set_xmm(n, lo);
            s.ymm_high[n] = hi;
        }
        if base == Register::RIP || base == Register::EIP {
            let next = CODE + BEFORE as u64 + i.len() as u64;
            patch(bytes, target.wrapping_sub(next));
            return true;
        }
        if base == Register::None {
            if i.memory_displ_size() < 4 || i.memory_displ_size() == 8 && at + 8 > bytes.len() {
                return false;
            }
            patch(bytes, target.wrapping_sub(sum));
            if i.memory_displ_size() == 8 && offsets.displacement_size() == 8 {
                bytes[at + 4..at + 8].fill(0);
            }
            return true;
        }
        let disp = i.memory_displacement64();
        s.gpr[base.number()] = target.wrapping_sub(sum).wrapping_sub(disp);
        // A bit string's offset moves the address.
        use iced_x86::Mnemonic::{Bt, Btc, Btr, Bts};
        if matches!(i.mnemonic(), Bt | Bts | Btr | Btc) && i.op_kind(1) == OpKind::Register {
            let reg = i.op_register(1);
            if reg.full_register() == base.full_register() {
                return false;
            }
            if reg.full_register() != index.full_register() {
                s.gpr[reg.full_register().number()] = (r.below(0x2000) as i64 - 0x1000) as u64;
            }
        }
        true
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator").field("bits", &self.bits).finish_non_exhaustive()
    }
}

/// The name of a form.
pub fn name(code: u16) -> String {
    Code::try_from(code as usize).map_or_else(|_| String::from("?"), |c| format!("{c:?}"))
}

//! Random instructions: prefixes, opcode and the rest by chance, kept where they decode to something that may be
//! tested, rare ones first, with registers chosen so that memory operands lie in the window.

use std::collections::BTreeMap;

use iced_x86::{
    Code, ConstantOffsets, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpKind, Register,
};

use crate::forms::{FOLLOWING, encodings};
use crate::native::{MAX_CODE, Question};
use crate::skip;
use crate::state::{BEFORE, CODE, Rng, State, WINDOW};

/// Offset, behind the tested instruction, of what it pops or loads as a jump's target.
const LITERAL: usize = 32;
/// Where such jumps go, mostly: an INT3 in the code page.
const TARGET: u64 = CODE + 0x300;

/// A test of one instruction.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What the oracle is asked.
    pub question: Question,
    /// The instruction.
    pub instruction: Instruction,
    /// Seed of the state it was made from.
    pub seed: u32,
}

/// Whether the name of a form contains `part`, which is in lower case.
fn named(code: Code, part: &str) -> bool {
    format!("{code:?}").to_lowercase().contains(part)
}

/// Makes tests.
pub struct Generator {
    rng: Rng,
    bits: u32,
    filter: Option<String>,
    factory: InstructionInfoFactory,
    /// The first bytes of an instruction of each form, up to ModRM.
    forms: Vec<Vec<u8>>,
    /// Tests made of each form.
    pub made: BTreeMap<u16, u64>,
    /// Instructions left out, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    total: u64,
}

impl Generator {
    /// For code of that many bits; `filter` is part of the name of the forms wanted.
    pub fn new(seed: u64, bits: u32, filter: Option<String>) -> Generator {
        let filter = filter.map(|f| f.to_lowercase());
        Generator {
            rng: Rng(seed),
            bits,
            factory: InstructionInfoFactory::new(),
            forms: encodings(bits)
                .into_iter()
                .filter(|(code, _)| filter.as_ref().is_none_or(|f| named(*code, f)))
                .map(|(_, b)| b[..b.len() - FOLLOWING].to_vec())
                .collect(),
            filter,
            made: BTreeMap::new(),
            skipped: BTreeMap::new(),
            total: 0,
        }
    }

    /// Bytes that may be an instruction: mostly by chance, else of a form that chance may never find.
    fn bytes(&mut self) -> [u8; 24] {
        let r = &mut self.rng;
        let mut b = [0u8; 24];
        // Chance seldom comes by one form.
        let wanted = self.filter.is_some() && !r.one_in(8);
        if !self.forms.is_empty() && (wanted || r.one_in(8)) {
            b = std::array::from_fn(|_| r.next() as u8);
            let form = &self.forms[r.below(self.forms.len() as u64) as usize];
            // The last byte is ModRM.
            let fixed = form.len() - usize::from(wanted && r.one_in(2));
            b[..fixed].copy_from_slice(&form[..fixed]);
            return b;
        }
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
            if r.one_in(24) {
                put(r.pick(&[0x26, 0x2e, 0x36, 0x3e]));
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
            let mut i = d.decode();
            if i.is_invalid() || i.len() > 15 {
                continue;
            }
            let offsets = d.get_constant_offsets(&i);
            if i.op0_kind() == OpKind::NearBranch32 || i.op0_kind() == OpKind::NearBranch64 {
                self.shorten(&mut bytes, &offsets);
                d = Decoder::with_ip(self.bits, &bytes, ip, DecoderOptions::NONE);
                i = d.decode();
            }
            if let Some(f) = &self.filter
                && !named(i.code(), f)
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
            let seed = self.rng.next() as u32;
            let mut state = State::random(seed, self.bits);
            let mut code = [0xcc; MAX_CODE];
            let mut len = i.len();
            if let Some(literal) = self.transfer(&i, &mut state) {
                code[LITERAL..LITERAL + literal.len()].copy_from_slice(&literal);
                len = LITERAL + literal.len();
            }
            if !self.place(&i, &mut bytes, &offsets, &mut state, len > LITERAL) {
                continue;
            }
            if self.bits == 32 {
                state.gpr = state.gpr.map(|r| r & 0xffff_ffff);
            }
            code[..i.len()].copy_from_slice(&bytes[..i.len()]);
            // With its displacement as it is now.
            let i = Decoder::with_ip(self.bits, &code, ip, DecoderOptions::NONE).decode();
            let question =
                Question { state, stores: self.stores(&i) as u32, bits: self.bits, len: len as u32, code };
            *self.made.entry(i.code() as u16).or_default() += 1;
            self.total += 1;
            return Unit { question, instruction: i, seed };
        }
    }

    /// Keeps a branch of 32 bits in the code page.
    fn shorten(&mut self, bytes: &mut [u8; 24], offsets: &ConstantOffsets) {
        if offsets.immediate_size() == 4 {
            let by = 16 + self.rng.below(0xe0) as u32;
            let by = if self.rng.one_in(2) { by } else { (by + 32).wrapping_neg() };
            bytes[offsets.immediate_offset()..][..4].copy_from_slice(&by.to_le_bytes());
        }
    }

    /// Sees to it that what goes elsewhere, or pops flags, mostly finds something sensible to load: in a register, or in
    /// the code page, from where the bytes returned will be loaded.
    fn transfer(&mut self, i: &Instruction, s: &mut State) -> Option<Vec<u8>> {
        let r = &mut self.rng;
        let to = if r.one_in(4) { r.int(64) } else { TARGET + r.below(0x80) };
        let literal = CODE + (BEFORE + LITERAL) as u64;
        let popped = match i.mnemonic() {
            Mnemonic::Ret => to.to_le_bytes().to_vec(),
            // The code segments of user code, and others.
            Mnemonic::Retf => {
                let selector = r.pick(&[0x23u64, 0x33, 0x23, 0x33, 0x2b, 0x10, 0x20, 0]);
                let word = match i.code() {
                    Code::Retfw | Code::Retfw_imm16 => 2,
                    Code::Retfd | Code::Retfd_imm16 => 4,
                    _ => 8,
                };
                [to, selector].iter().flat_map(|v| v.to_le_bytes()[..word].to_vec()).collect()
            }
            // Neither TF nor AC, which act on the oracle, nor NT and ID, which would stay.
            Mnemonic::Popf | Mnemonic::Popfd | Mnemonic::Popfq => (r.next() & 0xed7).to_le_bytes().to_vec(),
            _ => match (i.flow_control(), i.op0_kind()) {
                (FlowControl::IndirectBranch | FlowControl::IndirectCall, OpKind::Register) => {
                    s.gpr[i.op0_register().number()] = to;
                    return None;
                }
                (FlowControl::IndirectBranch | FlowControl::IndirectCall, OpKind::Memory) => {
                    let mut bytes = to.to_le_bytes().to_vec();
                    if i.is_jmp_far_indirect() || i.is_call_far_indirect() {
                        let at = i.memory_size().size() - 2;
                        bytes.truncate(at);
                        bytes.resize(at, 0);
                        bytes.extend(r.pick(&[0x23u16, 0x33, 0x2b, 0x10, 0]).to_le_bytes());
                    }
                    return Some(bytes);
                }
                _ => return None,
            },
        };
        s.gpr[4] = literal;
        Some(popped)
    }

    fn stores(&mut self, i: &Instruction) -> bool {
        // What it writes between its outermost words, `iced-x86` does not tell.
        if i.mnemonic() == Mnemonic::Enter || i.flow_control() != FlowControl::Next {
            return true;
        }
        let info = self.factory.info(i);
        info.used_memory().iter().any(|m| {
            use iced_x86::OpAccess as A;
            matches!(m.access(), A::Write | A::ReadWrite | A::CondWrite | A::ReadCondWrite)
        })
    }

    /// Chooses registers, and the displacement where it can, so that what the instruction accesses lies in the window,
    /// mostly; or the literal, where there is one. False where that is not possible.
    fn place(
        &mut self,
        i: &Instruction,
        bytes: &mut [u8],
        offsets: &ConstantOffsets,
        s: &mut State,
        literal: bool,
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
        let has_mem = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
        if i.mnemonic() == Mnemonic::Xlatb {
            s.gpr[3] = WINDOW + 0x600;
            return true;
        }
        if !has_mem {
            return true;
        }
        let target = if literal { CODE + (BEFORE + LITERAL) as u64 } else { aligned(r) };
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
                    Mnemonic::Vgatherqps | Mnemonic::Vgatherqpd | Mnemonic::Vpgatherqd | Mnemonic::Vpgatherqq
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
        use Mnemonic::{Bt, Btc, Btr, Bts};
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

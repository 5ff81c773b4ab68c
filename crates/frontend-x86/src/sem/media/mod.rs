//! MMX, SSE to SSE4.2, AES, PCLMULQDQ, SHA, F16C, FMA, AVX and AVX2 (SDM Vol. 1, 5.4 to 5.16).
//!
//! Moves and the frequent integer operations are `Sem`s of their own (`moves`, `inline`). Everything else is a
//! row: mnemonics, and a function from source operands to the result. The `Sem`s in this file bring the operands to
//! one helper, which calls the function of the row once for each 128 bits, or once for all 256, and writes the result.
//!
//! Memory accesses and general registers that are written stay outside the helper, so that it has `Effects::Fp`:
//! it touches vector registers and MXCSR. Where MXCSR unmasks an exception, or MMX registers are concerned, it has
//! `Effects::Cpu`.

mod aes;
mod avx;
mod convert;
mod float;
mod fma;
mod host;
pub(super) mod image;
mod inline;
mod int;
mod lanes;
pub(super) mod masked;
mod moves;
mod packed;
mod sha;
mod shuffle;
mod strings;
#[cfg(test)]
mod tests;

use iced_x86::{CpuidFeature, EncodingKind, Mnemonic, OpKind, Register};
use lyrebird_fp::x86::sse::Env;
use lyrebird_isa::host::quiet;
use lyrebird_isa::{Emit, Helper, MemOp, Reg, Sem, Size, V128, Visitor};

use super::{Decoded, undefined};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Fault, vector};
use crate::operand::{Gpr, Mem};
use crate::sys::control::cr4;
pub(super) use float::flags as comparison_flags;

/// Operands of 128 bits: all of an instruction's, or one half of them.
#[derive(Clone, Copy, Debug)]
pub struct Half {
    /// First source: the destination's old value in the two-operand forms.
    pub a: V128,
    /// Second source, which may be memory; the only one of unary instructions.
    pub b: V128,
    /// Third source: the destination's old value, XMM0, or the register that an immediate names.
    pub c: V128,
    /// Lowest 64 bits of the second source's lower half: shift counts.
    pub low: u64,
    /// Immediate.
    pub imm: u8,
    /// Bytes of a register: 8 in MMX, else 16.
    pub bytes: usize,
    /// 1 for the upper half of 256 bits.
    pub half: u32,
}

/// Operands of 128 or 256 bits, lower halves first.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// As [`Half::a`].
    pub a: [V128; 2],
    /// As [`Half::b`].
    pub b: [V128; 2],
    /// As [`Half::c`].
    pub c: [V128; 2],
    /// Immediate.
    pub imm: u8,
    /// Bytes of a register: 8 in MMX, else 16, also where both halves count.
    pub bytes: usize,
    /// Both halves count.
    pub wide: bool,
}

/// What an instruction does with its operands.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Each 128 bits on their own.
    Half(fn(&Half) -> V128),
    /// The same in floating point.
    FpHalf(fn(&mut Env, &Half) -> V128),
    /// 128 or 256 bits.
    Whole(fn(&Whole) -> [V128; 2]),
    /// The same in floating point.
    FpWhole(fn(&mut Env, &Whole) -> [V128; 2]),
    /// To a general register or to memory.
    Value(fn(&Whole) -> u64),
    /// The same in floating point.
    FpValue(fn(&mut Env, &Whole) -> u64),
    /// A raw flag word.
    Flags(fn(&Whole) -> u64),
    /// The same in floating point.
    FpFlags(fn(&mut Env, &Whole) -> u64),
}

/// Instructions of one meaning.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Mnemonic in MMX and SSE; INVALID where there is none.
    pub legacy: Mnemonic,
    /// Mnemonic of the VEX-encoded form; INVALID where there is none.
    pub vex: Mnemonic,
    /// What is done.
    pub action: Action,
}

/// `rows! { Legacy Vex Action function; … }`.
macro_rules! rows {
    ($($legacy:ident $vex:ident $action:ident $f:expr;)*) => {
        &[$($crate::sem::media::Row {
            legacy: ::iced_x86::Mnemonic::$legacy,
            vex: ::iced_x86::Mnemonic::$vex,
            action: $crate::sem::media::Action::$action($f),
        }),*]
    };
}
use rows;

/// Number of a row: the table's in the upper byte.
type Op = u16;

const TABLES: [&[Row]; 8] =
    [int::ROWS, shuffle::ROWS, float::ROWS, convert::ROWS, fma::ROWS, avx::ROWS, aes::ROWS, sha::ROWS];

/// No row.
const NONE: Op = 0xffff;

/// Rows by mnemonic.
static INDEX: [Op; 2048] = {
    let mut index = [NONE; 2048];
    let mut t = 0;
    while t < TABLES.len() {
        let mut r = 0;
        while r < TABLES[t].len() {
            let row = &TABLES[t][r];
            let op = (t << 8 | r) as Op;
            if row.legacy as usize != Mnemonic::INVALID as usize {
                index[row.legacy as usize] = op;
            }
            if row.vex as usize != Mnemonic::INVALID as usize {
                index[row.vex as usize] = op;
            }
            r += 1;
        }
        t += 1;
    }
    index
};

fn op_of(m: Mnemonic) -> Op {
    INDEX.get(m as usize).copied().unwrap_or(NONE)
}

fn action(op: Op) -> Action {
    let (t, r) = (usize::from(op >> 8), usize::from(op & 0xff));
    TABLES[t][r].action
}

/// A register or operand number in [`What`]: XMM (or YMM) 0 to 15, or one of these.
mod place {
    /// First MMX register.
    pub const MM: u8 = 0x40;
    /// The value that the instruction loaded.
    pub const VALUE: u8 = 0x80;
    /// The value in `Core::scratch`, of 128 bits.
    pub const STASHED: u8 = 0x81;
}

/// Bits of [`What::flags`].
mod flag {
    /// 256 bits.
    pub const WIDE: u8 = 1 << 0;
    /// VEX-encoded: what is above the result is cleared.
    pub const VEX: u8 = 1 << 1;
    /// The helper may fault, or touches MMX registers.
    pub const ANY: u8 = 1 << 2;
    /// The third source is the register that the immediate names.
    pub const NAMED: u8 = 1 << 3;
    /// The memory operand must be aligned.
    pub const ALIGNED: u8 = 1 << 4;
    /// Lowest of three bits: log2 of the memory operand's size in bytes.
    pub const SIZE: u32 = 5;
}

/// What the helper is to do. One word of a `Sem`, and of the helper's arguments.
#[derive(Clone, Copy, Debug)]
struct What {
    d: u8,
    a: u8,
    b: u8,
    imm: u8,
    flags: u8,
    op: Op,
}

impl What {
    #[inline(always)]
    fn pack(self) -> u64 {
        self.d as u64
            | (self.a as u64) << 8
            | (self.b as u64) << 16
            | (self.imm as u64) << 24
            | (self.flags as u64) << 32
            | (self.op as u64) << 48
    }

    #[inline(always)]
    fn unpack(v: u64) -> What {
        let [d, a, b, imm, flags, _, lo, hi] = v.to_le_bytes();
        What { d, a, b, imm, flags, op: u16::from_le_bytes([lo, hi]) }
    }

    fn has(self, f: u8) -> bool {
        self.flags & f != 0
    }
}

/// Where the value of a `Sem` goes.
mod dest {
    /// A vector register: there is no value.
    pub const VECTOR: u8 = 0;
    /// A general register.
    pub const GPR: u8 = 1;
    /// The flags.
    pub const FLAGS: u8 = 2;
}

/// `Core::scratch` of the 128 bits below those that are a helper's arguments.
const STASH: usize = 3;

extern "C" fn stash(cpu: &mut X86Cpu, lo: u64, hi: u64, _: u64) -> u64 {
    cpu.core.scratch[STASH] = V128([lo, hi]);
    0
}

impl X86Cpu {
    /// The MMX state is entered: all registers valid, TOP 0 (SDM Vol. 1, 9.5.1). False if an x87 exception was
    /// pending, which is then raised.
    pub(super) fn enter_mmx(&mut self) -> bool {
        if !self.x87_ready() {
            return false;
        }
        self.x87.sw &= !(7 << 11);
        self.x87.tw = 0;
        true
    }

    fn place(&self, n: u8, value: [V128; 2]) -> [V128; 2] {
        match n {
            0..16 => [self.core.vregs[n as usize], self.core.vregs[16 + n as usize]],
            place::VALUE => value,
            place::STASHED => [self.core.scratch[STASH], V128::default()],
            _ => [V128([self.x87.regs[n as usize & 7].0, 0]), V128::default()],
        }
    }

    fn set_place(&mut self, w: What, r: [V128; 2]) {
        let d = w.d as usize;
        if d >= place::MM as usize {
            self.x87.regs[d & 7] = (r[0].0[0], 0xffff);
            return;
        }
        let d = d & 15;
        self.core.vregs[d] = r[0];
        if w.has(flag::WIDE) {
            self.core.vregs[16 + d] = r[1];
        } else if w.has(flag::VEX) {
            self.core.vregs[16 + d] = V128::default();
        }
    }

    /// Ends a floating-point instruction: MXCSR's flags. False where it faults, which is then recorded.
    fn retire_sse(&mut self, env: &Env) -> bool {
        let (mxcsr, fault) = env.retire(self.mxcsr);
        self.mxcsr = mxcsr;
        if fault {
            let handled = self.control.cr4 & cr4::OSXMMEXCPT != 0;
            self.raise(Fault::plain(if handled { vector::XM } else { vector::UD }));
        }
        !fault
    }
}

/// The helper: does what `what` says. `lo` and `hi` are the (upper half of the) value that was loaded.
extern "C" fn run(cpu: &mut X86Cpu, what: u64, lo: u64, hi: u64) -> u64 {
    let w = What::unpack(what);
    let mmx = (w.d | w.a | w.b) & place::MM != 0;
    if mmx && !cpu.enter_mmx() {
        return 0;
    }
    let value = if w.flags >> flag::SIZE == 5 {
        [cpu.core.scratch[STASH], V128([lo, hi])]
    } else {
        [V128([lo, hi]), V128::default()]
    };
    let x = Whole {
        a: cpu.place(w.a, value),
        b: cpu.place(w.b, value),
        c: cpu.place(if w.has(flag::NAMED) { w.imm & 15 } else { w.d & 15 }, value),
        imm: w.imm,
        bytes: if mmx { 8 } else { 16 },
        wide: w.has(flag::WIDE),
    };
    let half = |i: usize| Half {
        a: x.a[i],
        b: x.b[i],
        c: x.c[i],
        low: x.b[0].0[0],
        imm: x.imm,
        bytes: x.bytes,
        half: i as u32,
    };
    let mut env = Env::new(cpu.mxcsr);
    let r = match action(w.op) {
        Action::Half(f) => [f(&half(0)), if x.wide { f(&half(1)) } else { V128::default() }],
        Action::FpHalf(f) => quiet(|| {
            let lo = f(&mut env, &half(0));
            [lo, if x.wide { f(&mut env, &half(1)) } else { V128::default() }]
        }),
        Action::Whole(f) => f(&x),
        Action::FpWhole(f) => quiet(|| f(&mut env, &x)),
        Action::Value(f) | Action::Flags(f) => return f(&x),
        Action::FpValue(f) | Action::FpFlags(f) => {
            let v = quiet(|| f(&mut env, &x));
            cpu.retire_sse(&env);
            return v;
        }
    };
    if env.raised.is_empty() || cpu.retire_sse(&env) {
        cpu.set_place(w, r);
    }
    0
}

/// Calls the helper and puts its value where `DEST` says.
#[inline(always)]
fn finish<const DEST: u8, E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    w: What,
    lo: E::Val,
    hi: E::Val,
) -> Result<(), E::Fault> {
    let helper = if w.has(flag::ANY) { Helper::cpu("media", run) } else { Helper::fp("media", run) };
    let what = e.imm(w.pack());
    let v = e.call(helper, [what, lo, hi])?;
    match DEST {
        dest::GPR => e.set_reg(Reg(w.d & 15), v),
        dest::FLAGS => e.set_nzcv(v),
        _ => {}
    }
    Ok(())
}

/// All operands in registers. A second source of [`place::VALUE`] is the immediate.
#[derive(Clone, Copy, Debug)]
struct FromRegs<const DEST: u8> {
    w: What,
}

impl<const DEST: u8> Sem<X86Cpu> for FromRegs<DEST> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (lo, hi) = (e.imm(self.w.imm as u64), e.imm(0));
        finish::<DEST, E>(e, self.w, lo, hi)
    }
}

/// The second source is a general register.
#[derive(Clone, Copy, Debug)]
struct FromGpr {
    w: What,
    s: Gpr,
}

impl Sem<X86Cpu> for FromGpr {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (lo, hi) = (e.reg(self.s.reg()), e.imm(0));
        finish::<{ dest::VECTOR }, E>(e, self.w, lo, hi)
    }
}

/// The second source is in memory. Destination and first source are the memory operand's registers.
#[derive(Clone, Copy, Debug)]
struct FromMem<const DEST: u8> {
    m: Mem,
    op: Op,
    imm: u8,
    flags: u8,
}

extern "C" fn ready(cpu: &mut X86Cpu, _: u64, _: u64, _: u64) -> u64 {
    cpu.x87_ready();
    0
}

/// Takes a pending x87 exception before the memory operand of an MMX instruction is looked at.
#[inline(always)]
fn before_memory<E: Emit<Cpu = X86Cpu>>(e: &mut E, registers: u8) -> Result<(), E::Fault> {
    if registers & place::MM != 0 {
        let zero = e.imm(0);
        e.call(Helper::cpu("x87_ready", ready), [zero; 3])?;
    }
    Ok(())
}

/// The access of a vector in memory.
#[inline(always)]
fn access(size: Size, aligned: bool) -> MemOp {
    let m = MemOp::new(size);
    if aligned { m.aligned() } else { m }
}

impl<const DEST: u8> Sem<X86Cpu> for FromMem<DEST> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (d, a) = (self.m.reg.0, self.m.reg2.0);
        let w = What { d, a, b: place::VALUE, imm: self.imm, flags: self.flags, op: self.op };
        let log2 = (self.flags >> flag::SIZE) as u32;
        before_memory(e, d | a)?;
        let va = self.m.linear(e, 1 << log2, false)?;
        let m = access(Size::from_log2(log2), w.has(flag::ALIGNED));
        if log2 < 4 {
            let (lo, hi) = (e.load(m, va)?, e.imm(0));
            return finish::<DEST, E>(e, w, lo, hi);
        }
        let v = e.vload(m, va)?;
        let (mut lo, mut hi) = (e.vec_lo(v), e.vec_hi(v));
        if log2 == 5 {
            let va = e.add_imm(va, 16);
            let v = e.vload(m, va)?;
            let zero = e.imm(0);
            e.call(Helper::fp("stash", stash), [lo, hi, zero])?;
            (lo, hi) = (e.vec_lo(v), e.vec_hi(v));
        }
        finish::<DEST, E>(e, w, lo, hi)
    }
}

/// The result, a value of up to 64 bits, goes to memory. The second source is the memory operand's register.
#[derive(Clone, Copy, Debug)]
struct ToMem {
    m: Mem,
    op: Op,
    imm: u8,
    flags: u8,
}

impl Sem<X86Cpu> for ToMem {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let s = self.m.reg.0;
        let size = Size::from_log2((self.flags >> flag::SIZE) as u32);
        let w = What { d: 0, a: s, b: s, imm: self.imm, flags: self.flags, op: self.op };
        before_memory(e, s)?;
        let va = self.m.linear(e, size.bytes(), true)?;
        let helper = if w.has(flag::ANY) { Helper::cpu("media", run) } else { Helper::fp("media", run) };
        let (what, zero) = (e.imm(w.pack()), e.imm(0));
        let v = e.call(helper, [what, zero, zero])?;
        e.store(MemOp::new(size), va, v)
    }
}

/// A raw flag word with ZF, PF and CF as given, the others clear.
pub(super) fn flag_word(zf: bool, pf: bool, cf: bool) -> u64 {
    use lyrebird_isa::flags::{C, Z};
    (if zf { Z } else { 0 }) | (if cf { 0 } else { C }) | u64::from(!pf)
}

/// The exception that an instruction raises because of the mode, or because the CPU model does not have it.
/// Err where we do not.
pub(super) fn trapped(x: &Insn<'_>) -> Result<Option<u8>, ()> {
    use CpuidFeature as F;
    let mode = x.mode;
    let vex = x.i.encoding() == EncodingKind::VEX;
    let is_mmx = |r: Register| r.is_mm();
    let mut mmx = x.mnemonic() == Mnemonic::Emms;
    mmx |= (0..x.i.op_count()).any(|n| x.i.op_kind(n) == OpKind::Register && is_mmx(x.i.op_register(n)));
    for f in x.i.cpuid_features() {
        let f = match f {
            F::MMX => Feature::Mmx,
            F::SSE => Feature::Sse,
            F::SSE2 => Feature::Sse2,
            F::SSE3 => Feature::Sse3,
            F::SSSE3 => Feature::Ssse3,
            F::SSE4_1 => Feature::Sse41,
            F::SSE4_2 => Feature::Sse42,
            F::AES => Feature::Aes,
            F::PCLMULQDQ => Feature::Pclmulqdq,
            F::SHA => Feature::Sha,
            F::AVX => Feature::Avx,
            F::AVX2 => Feature::Avx2,
            F::FMA => Feature::Fma,
            F::F16C => Feature::F16c,
            _ => return Err(()),
        };
        if !mode.has(f) {
            return Ok(Some(vector::UD));
        }
    }
    let undefined = if vex {
        !mode.avx() || !mode.protected() || mode.v8086()
    } else if mmx && !(0..x.i.op_count()).any(|n| x.i.op_register(n).is_xmm()) {
        mode.mmx_undefined()
    } else {
        mode.sse_undefined()
    };
    Ok(match () {
        () if undefined || x.lock() => Some(vector::UD),
        () if mode.task_switched() => Some(vector::NM),
        () => None,
    })
}

/// A vector register operand.
fn place_of(r: Register) -> u8 {
    let n = r.number() as u8;
    if r.is_mm() { place::MM + n } else { n }
}

/// Picks the `Sem` of an instruction of these files.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    if x.i.is_string_instruction() {
        return Err(v);
    }
    let v = match image::decode(x, v) {
        Ok(out) => return Ok(out),
        Err(v) => v,
    };
    let op = op_of(x.mnemonic());
    if op == NONE && !moves::knows(x.mnemonic()) {
        return Err(v);
    }
    match trapped(x) {
        Ok(Some(vector)) => return Ok(v.visit(undefined::Raise { vector })),
        Ok(None) => {}
        Err(()) => return Err(v),
    }
    let v = match moves::decode(x, v) {
        Ok(out) => return Ok(out),
        Err(v) => v,
    };
    let v = match inline::decode(x, v) {
        Ok(out) => return Ok(out),
        Err(v) => v,
    };
    if op == NONE {
        return Err(v);
    }
    let v = match packed::decode(x, v) {
        Ok(out) => return Ok(out),
        Err(v) => v,
    };
    let v = match host::decode(x, op, v) {
        Ok(out) => return Ok(out),
        Err(v) => v,
    };
    let v = match fma::decode(x, op, v) {
        Ok(out) => return Ok(out),
        Err(v) => v,
    };
    Ok(row(x, op, v))
}

/// Whether the memory operand of a legacy instruction need not be aligned although it has 16 bytes.
fn unaligned(m: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(m, M::Pcmpestri | M::Pcmpestrm | M::Pcmpistri | M::Pcmpistrm | M::Pcmpestri64 | M::Pcmpestrm64)
}

/// An instruction that is a row.
fn row<V: Visitor<X86Cpu>>(x: &Insn<'_>, mut op: Op, v: V) -> V::Out {
    use Mnemonic as M;
    let i = x.i;
    let vex = i.encoding() == EncodingKind::VEX;
    let m = i.mnemonic();
    let mut n = (0..i.op_count()).filter(|&k| !x.is_imm(k)).count() as u32;
    let has_imm = n < i.op_count();
    let mut imm = if has_imm { i.immediate8() } else { 0 };
    let mut flags = 0;
    if vex {
        flags |= flag::VEX;
    }
    let register = |k: u32| i.op_kind(k) == OpKind::Register;
    if matches!(m, M::Pblendvb | M::Blendvps | M::Blendvpd | M::Sha256rnds2) {
        // The third source is XMM0, which `imm` names.
        n = 2;
        flags |= flag::NAMED;
    }
    if n == 4 {
        imm = i.op_register(3).number() as u8;
        flags |= flag::NAMED;
    }
    match m {
        M::Cmpps | M::Cmppd | M::Cmpss | M::Cmpsd => imm &= 7,
        // Of a source in memory there is one element.
        M::Insertps | M::Vinsertps if x.is_mem(n - 1) => imm &= 0x3f,
        M::Vpermilps | M::Vpermilpd if has_imm => op += 1,
        // The width of the integer.
        M::Cvtsi2ss | M::Cvtsi2sd | M::Vcvtsi2ss | M::Vcvtsi2sd => imm = (x.width(n - 1) == 3) as u8,
        M::Cvtss2si | M::Cvtsd2si | M::Cvttss2si | M::Cvttsd2si => imm = (x.reg_width(0) == 3) as u8,
        M::Vcvtss2si | M::Vcvtsd2si | M::Vcvttss2si | M::Vcvttsd2si => imm = (x.reg_width(0) == 3) as u8,
        _ => {}
    }
    let action = action(op);
    let mem = (0..n).find(|&k| x.is_mem(k));
    let wide = (0..n).any(|k| register(k) && i.op_register(k).is_ymm())
        || mem.is_some() && i.memory_size().size() == 32;
    if wide {
        flags |= flag::WIDE;
    }
    let mmx = (0..n).any(|k| register(k) && i.op_register(k).is_mm());
    let fp =
        matches!(action, Action::FpHalf(_) | Action::FpWhole(_) | Action::FpValue(_) | Action::FpFlags(_));
    if mmx || fp && x.mode.sse_unmasked() {
        flags |= flag::ANY;
    }
    if mem.is_some() {
        let size = i.memory_size().size().max(1).trailing_zeros() as u8;
        flags |= size << flag::SIZE;
        if size == 4 && !vex && !unaligned(m) {
            flags |= flag::ALIGNED;
        }
    }
    let number = |k: u32| if register(k) { place_of(i.op_register(k)) } else { 0 };
    if mem == Some(0) {
        return v.visit(ToMem { m: x.mem().with(Gpr(number(1))), op, imm, flags });
    }
    let d = number(0);
    let a = if n >= 3 { number(1) } else { d };
    let mut b = match n {
        0 | 1 => 0,
        2 => 1,
        _ => 2,
    };
    // Shifts by an immediate: the count is the second source.
    let counted = matches!(
        m,
        M::Psllw | M::Pslld | M::Psllq | M::Psrlw | M::Psrld | M::Psrlq | M::Psraw | M::Psrad | M::Pslldq
    ) || matches!(
        m,
        M::Vpsllw | M::Vpslld | M::Vpsllq | M::Vpsrlw | M::Vpsrld | M::Vpsrlq | M::Vpsraw | M::Vpsrad
    ) || matches!(m, M::Psrldq | M::Vpslldq | M::Vpsrldq);
    if counted && has_imm {
        let w = What { d, a: number(n - 1), b: place::VALUE, imm, flags, op };
        return v.visit(FromRegs::<{ dest::VECTOR }> { w });
    }
    if mem.is_some() {
        let m = x.mem().with(Gpr(d)).with2(Gpr(a));
        return match action {
            Action::Value(_) | Action::FpValue(_) => v.visit(FromMem::<{ dest::GPR }> { m, op, imm, flags }),
            Action::Flags(_) | Action::FpFlags(_) => {
                v.visit(FromMem::<{ dest::FLAGS }> { m, op, imm, flags })
            }
            _ => v.visit(FromMem::<{ dest::VECTOR }> { m, op, imm, flags }),
        };
    }
    if n > 0 && x.is_gpr(b) {
        let w = What { d, a, b: place::VALUE, imm, flags, op };
        return v.visit(FromGpr { w, s: x.gpr(b) });
    }
    b = u32::from(number(b));
    let w = What { d, a, b: b as u8, imm, flags, op };
    match action {
        Action::Value(_) | Action::FpValue(_) => v.visit(FromRegs::<{ dest::GPR }> { w }),
        Action::Flags(_) | Action::FpFlags(_) => v.visit(FromRegs::<{ dest::FLAGS }> { w }),
        _ => v.visit(FromRegs::<{ dest::VECTOR }> { w }),
    }
}

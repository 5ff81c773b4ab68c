//! Operands: register parts and memory addresses, in the few bytes that a `Sem` has for them.

use lyrebird_isa::state::REG_ZERO;
use lyrebird_isa::{Bin, Emit, Helper, MemOp, Reg, Size, Width};

use crate::X86Cpu;
use crate::regs::{self, Seg};

/// Width numbers as `Sem`s have them in const generics.
pub mod w {
    /// 8 bits.
    pub const B: u8 = 0;
    /// 16 bits.
    pub const W: u8 = 1;
    /// 32 bits.
    pub const D: u8 = 2;
    /// 64 bits.
    pub const Q: u8 = 3;
}

/// The width with that number.
#[inline(always)]
pub const fn width(w: u8) -> Width {
    match w {
        w::B => Width::W8,
        w::W => Width::W16,
        w::D => Width::W32,
        _ => Width::W64,
    }
}

/// The access size of the width with that number.
#[inline(always)]
pub const fn size(w: u8) -> Size {
    Size::from_log2(w as u32)
}

/// A general register, or in 8-bit instructions one of AH, CH, DH, BH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpr(pub u8);

impl Gpr {
    /// Set for bits 15 to 8 of one of the first four registers.
    const HIGH: u8 = 0x80;

    /// AH, CH, DH, BH for `n` from 0 to 3.
    pub const fn high(n: u8) -> Gpr {
        Gpr(n | Gpr::HIGH)
    }

    /// Whether it is AH, CH, DH or BH.
    #[inline(always)]
    pub const fn is_high(self) -> bool {
        self.0 & Gpr::HIGH != 0
    }

    /// The whole register.
    #[inline(always)]
    pub const fn reg(self) -> Reg {
        Reg(self.0 & 15)
    }

    /// Its value, zero-extended from the width `W`.
    #[inline(always)]
    pub fn get<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E) -> E::Val {
        let v = e.reg(self.reg());
        match W {
            w::B => {
                let v = if self.is_high() {
                    let eight = e.imm(8);
                    e.bin(Bin::Shr, Width::W64, v, eight)
                } else {
                    v
                };
                e.zext(Width::W8, v)
            }
            w::Q => v,
            _ => e.zext(width(W), v),
        }
    }

    /// Its value with unspecified bits above the width `W`: for operations that look at the low bits only.
    #[inline(always)]
    pub fn raw<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E) -> E::Val {
        if W == w::B { self.get::<W, E>(e) } else { e.reg(self.reg()) }
    }

    /// Writes the low bits of `v`: 32-bit results clear the upper half, narrower ones leave the rest (SDM Vol. 1,
    /// 3.4.1.1).
    #[inline(always)]
    pub fn set<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E, v: E::Val) {
        let r = self.reg();
        match W {
            w::Q => e.set_reg(r, v),
            w::D => {
                let v = e.zext(Width::W32, v);
                e.set_reg(r, v);
            }
            _ => {
                let (mut v, mut keep) = (e.zext(width(W), v), !width(W).mask());
                if W == w::B && self.is_high() {
                    let eight = e.imm(8);
                    v = e.bin(Bin::Shl, Width::W64, v, eight);
                    keep = !0xff00;
                }
                let old = e.reg(r);
                let keep = e.imm(keep);
                let old = e.bin(Bin::And, Width::W64, old, keep);
                let v = e.bin(Bin::Or, Width::W64, old, v);
                e.set_reg(r, v);
            }
        }
    }
}

/// A memory operand: base + index × scale + displacement in a segment. Twelve bytes, two of which are free for a
/// register operand each.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Mem {
    /// Base in bits 5 to 0, index in bits 13 to 8, displacement (signed) in bits 63 to 16.
    place: [u32; 2],
    /// Scale in bits 1 to 0; bits 3 to 2: 0 for 64-bit, 1 for 32-bit, 2 for 16-bit addresses.
    how: u8,
    /// Segment in bits 2 to 0, and the flags below.
    seg: u8,
    /// A register operand beside the memory operand.
    pub reg: Gpr,
    /// Another one.
    pub reg2: Gpr,
}

impl Mem {
    /// The segment's base is 0 and need not be added.
    const FLAT: u8 = 1 << 3;
    /// The access is checked against the segment's limit and type, and may raise #GP or #SS.
    const CHECKED: u8 = 1 << 4;
    /// Linear addresses have 32 bits.
    const LINEAR32: u8 = 1 << 5;

    /// No memory operand, for forms whose operand is a register: [`Mem::with`], [`Mem::with2`].
    pub const NONE: Mem = Mem {
        place: [(REG_ZERO.0 as u32) << 8 | REG_ZERO.0 as u32, 0],
        how: 0,
        seg: 0,
        reg: Gpr(0),
        reg2: Gpr(0),
    };

    /// An operand. `disp` is sign-extended from 48 bits. `address` is the address size.
    pub fn new(base: Option<u8>, index: Option<u8>, scale: u8, disp: i64, address: Width) -> Mem {
        let zero = REG_ZERO.0;
        let place = (disp as u64) << 16 | (index.unwrap_or(zero) as u64) << 8 | base.unwrap_or(zero) as u64;
        let a = match address {
            Width::W64 => 0,
            Width::W32 => 1,
            _ => 2,
        };
        Mem {
            place: [place as u32, (place >> 32) as u32],
            how: scale & 3 | a << 2,
            seg: 0,
            reg: Gpr(0),
            reg2: Gpr(0),
        }
    }

    /// All but the displacement and the register operands, in 22 bits, for a `Sem` that has no room for more.
    pub const fn parts(self) -> u32 {
        self.place[0] & 0x3f
            | (self.place[0] >> 8 & 0x3f) << 6
            | (self.how as u32) << 12
            | (self.seg as u32) << 16
    }

    /// The inverse of [`Mem::parts`], with a displacement.
    #[inline(always)]
    pub const fn from_parts(v: u32, disp: i64) -> Mem {
        let place = (disp as u64) << 16 | (v as u64 >> 6 & 0x3f) << 8 | v as u64 & 0x3f;
        Mem {
            place: [place as u32, (place >> 32) as u32],
            how: (v >> 12 & 15) as u8,
            seg: (v >> 16 & 0x3f) as u8,
            reg: Gpr(0),
            reg2: Gpr(0),
        }
    }

    /// The displacement.
    pub const fn disp(self) -> i64 {
        (self.place[0] as u64 | (self.place[1] as u64) << 32) as i64 >> 16
    }

    /// The same in a segment: `flat` where its base is 0, `checked` where limit and type are looked at.
    pub fn segment(self, seg: Seg, flat: bool, checked: bool, long: bool) -> Mem {
        let bit = |b: bool, m: u8| if b { m } else { 0 };
        let seg = seg as u8 | bit(flat, Mem::FLAT) | bit(checked, Mem::CHECKED) | bit(!long, Mem::LINEAR32);
        Mem { seg, ..self }
    }

    /// The same as an address that is not accessed: no limit counts.
    #[inline(always)]
    pub const fn unchecked(self) -> Mem {
        Mem { seg: self.seg & !Mem::CHECKED, ..self }
    }

    /// The same with a register operand.
    pub fn with(self, reg: Gpr) -> Mem {
        Mem { reg, ..self }
    }

    /// The same with a second register operand.
    pub fn with2(self, reg2: Gpr) -> Mem {
        Mem { reg2, ..self }
    }

    /// The offset in the segment: what LEA computes, before it is cut to the operand size.
    #[inline(always)]
    pub fn offset<E: Emit<Cpu = X86Cpu>>(self, e: &mut E) -> E::Val {
        let place = self.place[0] as u64 | (self.place[1] as u64) << 32;
        let base = e.reg(Reg(place as u8 & 63));
        let index = e.reg(Reg((place >> 8) as u8 & 63));
        let scale = e.imm(self.how as u64 & 3);
        let index = e.bin(Bin::Shl, Width::W64, index, scale);
        let sum = e.bin(Bin::Add, Width::W64, base, index);
        let sum = e.add_imm(sum, (place as i64 >> 16) as u64);
        match self.how >> 2 {
            0 => sum,
            1 => e.zext(Width::W32, sum),
            _ => e.zext(Width::W16, sum),
        }
    }

    /// The linear address of an access of `bytes` bytes.
    #[inline(always)]
    pub fn linear<E: Emit<Cpu = X86Cpu>>(
        self,
        e: &mut E,
        bytes: u64,
        write: bool,
    ) -> Result<E::Val, E::Fault> {
        let offset = self.offset(e);
        linear(e, self.seg, offset, bytes, write)
    }

    /// The linear address of the bytes `at` into the operand, for operands in several pieces and bit strings.
    #[inline(always)]
    pub fn linear_at<E: Emit<Cpu = X86Cpu>>(
        self,
        e: &mut E,
        at: E::Val,
        bytes: u64,
        write: bool,
    ) -> Result<E::Val, E::Fault> {
        let offset = self.offset(e);
        let offset = e.add(offset, at);
        let offset = match self.how >> 2 {
            0 => offset,
            1 => e.zext(Width::W32, offset),
            _ => e.zext(Width::W16, offset),
        };
        linear(e, self.seg, offset, bytes, write)
    }

    /// Loads an operand of width `W`, zero-extended.
    #[inline(always)]
    pub fn load<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E) -> Result<E::Val, E::Fault> {
        let va = self.linear(e, size(W).bytes(), false)?;
        e.load(MemOp::new(size(W)), va)
    }

    /// Stores the low bits of `v`.
    #[inline(always)]
    pub fn store<const W: u8, E: Emit<Cpu = X86Cpu>>(self, e: &mut E, v: E::Val) -> Result<(), E::Fault> {
        let va = self.linear(e, size(W).bytes(), true)?;
        e.store(MemOp::new(size(W)), va, v)
    }

    /// The segment and flags, for [`linear`].
    #[inline(always)]
    pub fn seg_bits(self) -> u8 {
        self.seg
    }
}

/// A segment and how it is addressed in the current mode, as instructions without a memory operand need it (the
/// stack, string instructions).
pub fn seg_bits(seg: Seg, flat: bool, checked: bool, long: bool) -> u8 {
    Mem::NONE.segment(seg, flat, checked, long).seg
}

/// The linear address of `offset` in a segment ([`seg_bits`]).
#[inline(always)]
pub fn linear<E: Emit<Cpu = X86Cpu>>(
    e: &mut E,
    seg: u8,
    offset: E::Val,
    bytes: u64,
    write: bool,
) -> Result<E::Val, E::Fault> {
    if seg & (Mem::FLAT | Mem::CHECKED) == Mem::FLAT {
        return Ok(offset);
    }
    let which = Seg::from_bits(seg as u32);
    if seg & Mem::CHECKED != 0 {
        let (what, zero) = (e.imm(which as u64 | bytes << 8 | (write as u64) << 16), e.imm(0));
        return e.call(Helper::cpu("segment_check", crate::sys::segment::check), [offset, what, zero]);
    }
    let base = e.reg(regs::base(which));
    let va = e.add(base, offset);
    Ok(if seg & Mem::LINEAR32 != 0 { e.zext(Width::W32, va) } else { va })
}

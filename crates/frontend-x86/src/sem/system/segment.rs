//! Segment registers and descriptor tables: MOV, PUSH and POP of segment registers, LDS and its like, LGDT to STR, LAR,
//! LSL, VERR, VERW, ARPL (SDM Vol. 1, 5.1.13 and 5.20).

use std::marker::PhantomData;

use iced_x86::{Code, Mnemonic, OpKind};
use lyrebird_isa::{Emit, MemOp, Reg, Sem, Size, Term, Visitor, Width};

use super::form::{Address, Dest, End, Op, Source, call};
use super::raise;
use crate::X86Cpu;
use crate::decode::Insn;
use crate::exception::{Outcome, vector};
use crate::operand::{Mem, size, w};
use crate::regs::{Seg, rflags};
use crate::sem::memory::{At, ByHelper, function};
use crate::sem::stack::Stack;
use crate::sem::{Decoded, wide_widths};
use lyrebird_isa::flags::Z;

/// Loads the segment register `b` with selector `a`; interrupts wait for the instruction behind one that loads SS.
#[derive(Clone, Copy, Debug)]
pub struct LoadSegment;

impl Op for LoadSegment {
    const NAME: &'static str = "load_segment";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let seg = Seg::from_bits(b as u32);
        cpu.load_segment(seg, a as u16)?;
        if seg == Seg::Ss && b >> 8 == 0 {
            cpu.shadow = true;
        }
        Ok(0)
    }
}

/// The selector in segment register `b`.
#[derive(Clone, Copy, Debug)]
pub struct Selector;

impl Op for Selector {
    const NAME: &'static str = "selector";

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        Ok(cpu.segs[Seg::from_bits(b as u32) as usize].selector as u64)
    }
}

/// PUSH of a segment register.
#[derive(Clone, Copy, Debug)]
pub struct Push<const W: u8> {
    seg: Seg,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Push<W> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let (zero, seg) = (e.imm(0), e.imm(self.seg as u64));
        let v = call::<Selector, E>(e, zero, seg)?;
        // Of the 32-bit operand, newer processors leave the upper half in memory as it was (SDM Vol. 2, PUSH).
        if W == w::D {
            return self.stack.push_part::<W, { w::W }, E>(e, v);
        }
        self.stack.push::<W, E>(e, v)
    }
}

/// POP of a segment register.
#[derive(Clone, Copy, Debug)]
pub struct Pop<const W: u8> {
    seg: Seg,
    stack: Stack,
}

impl<const W: u8> Sem<X86Cpu> for Pop<W> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let v = self.stack.peek::<W, E>(e, 0)?;
        let sp = self.stack.moved(e, size(W).bytes() as i64);
        let seg = e.imm(self.seg as u64);
        call::<LoadSegment, E>(e, v, seg)?;
        self.stack.set(e, sp);
        e.sync_next();
        Ok(())
    }
}

/// LDS, LES, LFS, LGS, LSS.
#[derive(Clone, Copy, Debug)]
pub struct LoadPointer<const W: u8> {
    m: Mem,
    seg: Seg,
}

impl<const W: u8> Sem<X86Cpu> for LoadPointer<W> {
    const TERM: Term = Term::Sync;

    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let offset = self.m.load::<W, E>(e)?;
        let n = e.imm(size(W).bytes());
        let va = self.m.linear_at(e, n, 2, false)?;
        let selector = e.load(MemOp::new(Size::B2), va)?;
        // LSS does not hold interrupts up.
        let seg = e.imm(self.seg as u64 | 1 << 8);
        call::<LoadSegment, E>(e, selector, seg)?;
        self.m.reg.set::<W, E>(e, offset);
        e.sync_next();
        Ok(())
    }
}

/// LGDT and LIDT (bit 0 of `b`), with a base of 8 bytes (bit 1) or of 24 bits (bit 2).
#[derive(Clone, Copy, Debug)]
pub struct LoadTable;

impl Op for LoadTable {
    const NAME: &'static str = "load_table";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        let size = if b & 2 != 0 { Size::B8 } else { Size::B4 };
        cpu.load_table(b & 1 != 0, a, size, if b & 4 != 0 { 0xff_ffff } else { u64::MAX })?;
        Ok(0)
    }
}

/// SGDT and SIDT.
#[derive(Clone, Copy, Debug)]
pub struct StoreTable;

impl Op for StoreTable {
    const NAME: &'static str = "store_table";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.store_table(b & 1 != 0, a, if b & 2 != 0 { Size::B8 } else { Size::B4 })?;
        Ok(0)
    }
}

/// LLDT, LTR (`b` 0, 1).
#[derive(Clone, Copy, Debug)]
pub struct LoadSystem;

impl Op for LoadSystem {
    const NAME: &'static str = "load_system_segment";
    const END: End = End::Next;

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        if b == 0 {
            cpu.load_ldt(a as u16)?
        } else {
            cpu.load_task(a as u16)?
        }
        Ok(0)
    }
}

/// SLDT, STR (`b` 0, 1).
#[derive(Clone, Copy, Debug)]
pub struct StoreSystem;

impl Op for StoreSystem {
    const NAME: &'static str = "store_system_segment";

    fn run(cpu: &mut X86Cpu, _: u64, b: u64) -> Outcome<u64> {
        cpu.system_selector(b != 0)
    }
}

/// What LAR, LSL, VERR, VERW and ARPL find out.
#[derive(Clone, Copy, Debug)]
pub struct Inspect;

/// Kinds of [`Inspect`].
mod kind {
    pub const LAR: u64 = 0;
    pub const LSL: u64 = 1;
    pub const VERR: u64 = 2;
    pub const VERW: u64 = 3;
}

/// What LAR and LSL return beside the value: ZF.
const FOUND: u64 = 1 << 32;

impl Op for Inspect {
    const NAME: &'static str = "inspect_selector";

    fn run(cpu: &mut X86Cpu, a: u64, b: u64) -> Outcome<u64> {
        cpu.segmented_mode()?;
        let selector = a as u16;
        let found = |v: Option<u64>| v.map_or(0, |v| v | FOUND);
        Ok(match b {
            kind::LAR => found(cpu.access_rights(selector)?),
            kind::LSL => found(cpu.segment_limit(selector)?),
            _ => {
                if cpu.verify(selector, b == kind::VERW)? {
                    FOUND
                } else {
                    0
                }
            }
        })
    }
}

/// Sets ZF to bit 32 of `found`, the other flags stay.
#[inline(always)]
fn set_zf<E: Emit<Cpu = X86Cpu>>(e: &mut E, found: E::Val) {
    use lyrebird_isa::Bin;
    let flags = crate::sem::flags::current(e);
    let keep = e.imm(!Z);
    let flags = e.bin(Bin::And, Width::W64, flags, keep);
    let n = e.imm(32 - Z.trailing_zeros() as u64);
    let z = e.bin(Bin::Shr, Width::W64, found, n);
    let mask = e.imm(Z);
    let z = e.bin(Bin::And, Width::W64, z, mask);
    let flags = e.bin(Bin::Or, Width::W64, flags, z);
    e.set_nzcv(flags);
}

/// LAR, LSL, VERR, VERW: `KIND` of [`Inspect`].
#[derive(Clone, Copy, Debug)]
pub struct Look<const KIND: u8, const W: u8, const MEM: bool> {
    m: Mem,
}

impl<const KIND: u8, const W: u8, const MEM: bool> Sem<X86Cpu> for Look<KIND, W, MEM> {
    #[inline(always)]
    fn sem<E: Emit<Cpu = X86Cpu>>(&self, e: &mut E) -> Result<(), E::Fault> {
        let selector = if MEM { self.m.load::<{ w::W }, E>(e)? } else { self.m.reg2.get::<{ w::W }, E>(e) };
        let k = e.imm(KIND as u64);
        let v = call::<Inspect, E>(e, selector, k)?;
        set_zf(e, v);
        if KIND < 2 {
            let (found, zero) = (e.imm(FOUND), e.imm(0));
            let found = e.bin(lyrebird_isa::Bin::And, Width::W64, v, found);
            let found = e.cmp(lyrebird_isa::Cc::Ne, Width::W64, found, zero);
            let v = e.zext(Width::W32, v);
            // What is not found leaves the register as it is.
            let old = self.m.reg.get::<{ w::Q }, E>(e);
            let new = match W {
                w::W => {
                    let mask = e.imm(!0xffff);
                    let high = e.bin(lyrebird_isa::Bin::And, Width::W64, old, mask);
                    let low = e.zext(Width::W16, v);
                    e.bin(lyrebird_isa::Bin::Or, Width::W64, high, low)
                }
                _ => v,
            };
            let v = e.select(found, new, old);
            self.m.reg.set::<{ w::Q }, E>(e, v);
        }
        Ok(())
    }
}

/// Whether ARPL exists in the mode: #UD if not.
#[derive(Clone, Copy, Debug)]
pub struct Segmented;

impl Op for Segmented {
    const NAME: &'static str = "segmented_mode";

    fn run(cpu: &mut X86Cpu, _: u64, _: u64) -> Outcome<u64> {
        cpu.segmented_mode().map(|()| 0)
    }
}

/// ARPL: raises the RPL of the destination, [`At::reg2`] or memory, to the source's. Processors write only what changes,
/// and find only then that they may not.
pub(in crate::sem) fn arpl(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    cpu.segmented_mode()?;
    let (d, register) = (Reg(at.reg2), at.how == REGISTER);
    let old = if register {
        cpu.core.reg(d)
    } else {
        let va = cpu.segmented(at.seg, at.offset, 2, false)?;
        cpu.load_at(va, Size::B2, false)?
    };
    let rpl = cpu.core.reg(Reg(at.reg)) & 3;
    let raises = old & 3 < rpl;
    if raises && register {
        cpu.core.set_reg(d, old & !3 | rpl);
    } else if raises {
        let va = cpu.segmented(at.seg, at.offset, 2, true)?;
        if !cpu.store_watched(va, Size::B2, old & !3 | rpl)? {
            return Ok(());
        }
    }
    let zf = if raises { rflags::ZF } else { 0 };
    cpu.put_arithmetic(cpu.rflags() & !rflags::ZF | zf);
    Ok(())
}

/// [`At::how`] of ARPL to a register.
const REGISTER: u16 = 1;

fn look<V: Visitor<X86Cpu>, const KIND: u8>(x: &Insn<'_>, v: V) -> V::Out {
    let n = if KIND < 2 { 1 } else { 0 };
    let mut m = x.operand(n);
    let mut width = w::W;
    if KIND < 2 {
        m = m.with(x.gpr(0));
        width = x.reg_width(0);
    }
    wide_widths!(width => |W| if x.is_mem(n) {
        v.visit(Look::<KIND, W, true> { m })
    } else {
        v.visit(Look::<KIND, W, false> { m })
    })
}

fn pointer<V: Visitor<X86Cpu>>(x: &Insn<'_>, seg: Seg, v: V) -> V::Out {
    wide_widths!(x.reg_width(0) => |W| v.visit(LoadPointer::<W> { m: x.mem().with(x.gpr(0)), seg }))
}

fn source<V: Visitor<X86Cpu>, O: Op>(x: &Insn<'_>, n: u32, b: u32, v: V) -> V::Out {
    let (m, op) = (x.operand(n), PhantomData::<O>);
    if x.is_mem(n) {
        v.visit(Source::<O, { w::W }, true> { m, b, op })
    } else {
        v.visit(Source::<O, { w::W }, false> { m, b, op })
    }
}

/// A 16-bit value to memory or a register of any width.
pub(super) fn dest<V: Visitor<X86Cpu>, O: Op>(x: &Insn<'_>, b: u32, v: V) -> V::Out {
    let (m, op) = (x.operand(0), PhantomData::<O>);
    if x.is_mem(0) {
        return v.visit(Dest::<O, { w::W }, true> { m, b, op });
    }
    wide_widths!(x.reg_width(0) => |W| v.visit(Dest::<O, W, false> { m, b, op }))
}

/// Picks the `Sem` of an instruction of this file.
pub fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    let segment = |n: u32| x.i.op_kind(n) == OpKind::Register && x.i.op_register(n).is_segment_register();
    let seg = |n: u32| Seg::from_bits(x.number(n) as u32);
    Ok(match x.mnemonic() {
        Mnemonic::Mov if segment(0) => {
            if x.number(0) == Seg::Cs as u8 || x.number(0) > 5 {
                return Ok(raise(vector::UD, v));
            }
            source::<V, LoadSegment>(x, 1, x.number(0) as u32, v)
        }
        Mnemonic::Mov if segment(1) => {
            if x.number(1) > 5 {
                return Ok(raise(vector::UD, v));
            }
            dest::<V, Selector>(x, x.number(1) as u32, v)
        }
        Mnemonic::Push if segment(0) => {
            wide_widths!(x.stack_width() => |W| v.visit(Push::<W> { seg: seg(0), stack: Stack::of(x) }))
        }
        Mnemonic::Pop if segment(0) => {
            wide_widths!(x.stack_width() => |W| v.visit(Pop::<W> { seg: seg(0), stack: Stack::of(x) }))
        }
        Mnemonic::Lds => pointer(x, Seg::Ds, v),
        Mnemonic::Les => pointer(x, Seg::Es, v),
        Mnemonic::Lfs => pointer(x, Seg::Fs, v),
        Mnemonic::Lgs => pointer(x, Seg::Gs, v),
        Mnemonic::Lss => pointer(x, Seg::Ss, v),
        Mnemonic::Lgdt | Mnemonic::Lidt => {
            let idt = (x.mnemonic() == Mnemonic::Lidt) as u32;
            let (m, op) = (x.mem(), PhantomData::<LoadTable>);
            match x.i.code() {
                Code::Lgdt_m1664 | Code::Lidt_m1664 => {
                    v.visit(Address::<LoadTable, 10, false> { m, b: idt | 2, op })
                }
                Code::Lgdt_m1632_16 | Code::Lidt_m1632_16 => {
                    v.visit(Address::<LoadTable, 6, false> { m, b: idt | 4, op })
                }
                _ => v.visit(Address::<LoadTable, 6, false> { m, b: idt, op }),
            }
        }
        Mnemonic::Sgdt | Mnemonic::Sidt => {
            let idt = (x.mnemonic() == Mnemonic::Sidt) as u32;
            let (m, op) = (x.mem(), PhantomData::<StoreTable>);
            match x.i.code() {
                Code::Sgdt_m1664 | Code::Sidt_m1664 => {
                    v.visit(Address::<StoreTable, 10, true> { m, b: idt | 2, op })
                }
                _ => v.visit(Address::<StoreTable, 6, true> { m, b: idt, op }),
            }
        }
        Mnemonic::Lldt => source::<V, LoadSystem>(x, 0, 0, v),
        Mnemonic::Ltr => source::<V, LoadSystem>(x, 0, 1, v),
        Mnemonic::Sldt => dest::<V, StoreSystem>(x, 0, v),
        Mnemonic::Str => dest::<V, StoreSystem>(x, 1, v),
        Mnemonic::Lar => look::<V, { kind::LAR as u8 }>(x, v),
        Mnemonic::Lsl => look::<V, { kind::LSL as u8 }>(x, v),
        Mnemonic::Verr => look::<V, { kind::VERR as u8 }>(x, v),
        Mnemonic::Verw => look::<V, { kind::VERW as u8 }>(x, v),
        Mnemonic::Arpl => {
            let how = if x.is_mem(0) { 0 } else { REGISTER };
            v.visit(ByHelper::<false> { m: x.operand(0).with(x.gpr(1)), f: function::ARPL, how })
        }
        _ => return Err(v),
    })
}

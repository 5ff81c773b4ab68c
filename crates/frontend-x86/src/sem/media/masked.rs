//! What accesses memory element by element, or stores more than one value: MASKMOV, VMASKMOV, gathers, VCVTPS2PH.

use iced_x86::{Mnemonic, OpKind, Register};
use lyrebird_fp::x86::sse::Env;
use lyrebird_isa::host::quiet;
use lyrebird_isa::{Size, V128, Visitor, Width};

use super::lanes::{lane, with};
use super::{convert, place, place_of};
use crate::X86Cpu;
use crate::decode::{self, Insn};
use crate::exception::Outcome;
use crate::operand::{Gpr, Mem};
use crate::regs::RDI;
use crate::sem::memory::{At, ByHelper, function};
use crate::sem::{Decoded, undefined};

/// Bits of [`ByHelper::how`] here.
const WIDE: u16 = 1;
/// Elements have 64 bits.
const QUAD: u16 = 4;
/// Indices have 64 bits.
const QUAD_INDEX: u16 = 8;
/// Lowest of two bits: log2 of the scale.
const SCALE: u16 = 4;
/// Lowest of four bits: number of a third register.
const THIRD: u16 = 8;
/// Offsets have 32 bits.
const ADDRESS32: u16 = 1 << 12;

impl X86Cpu {
    fn ymm(&self, n: u8) -> [V128; 2] {
        let n = n as usize & 15;
        [self.core.vregs[n], self.core.vregs[16 + n]]
    }

    fn set_ymm(&mut self, n: u8, v: [V128; 2]) {
        let n = n as usize & 15;
        (self.core.vregs[n], self.core.vregs[16 + n]) = (v[0], v[1]);
    }
}

/// Element `i` of 32 or 64 bits.
fn element(v: &[V128; 2], quad: bool, i: usize) -> u64 {
    if quad { lane(v[i / 2], i & 1) } else { lane::<u32>(v[i / 4], i & 3).into() }
}

fn set_element(v: &mut [V128; 2], quad: bool, i: usize, e: u64) {
    if quad {
        v[i / 2] = with::<u64>(v[i / 2], i & 1, e);
    } else {
        v[i / 4] = with::<u32>(v[i / 4], i & 3, e as u32);
    }
}

fn negative(v: u64, quad: bool) -> bool {
    v >> if quad { 63 } else { 31 } & 1 != 0
}

/// MASKMOVDQU, MASKMOVQ: the bytes whose mask is negative.
pub(in crate::sem) fn store_bytes(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let mmx = at.reg >= place::MM;
    let (v, mask, n) = if mmx {
        if !cpu.enter_mmx() {
            return Ok(());
        }
        let r = |n: u8| V128([cpu.x87.regs[n as usize & 7].0, 0]);
        (r(at.reg), r(at.reg2), 8)
    } else {
        (cpu.ymm(at.reg)[0], cpu.ymm(at.reg2)[0], 16)
    };
    let (v, mask) = (v.to_bytes(), mask.to_bytes());
    for i in (0..n).filter(|&i| mask[i] & 0x80 != 0) {
        let va = cpu.segmented(at.seg, at.offset.wrapping_add(i as u64), 1, true)?;
        if !cpu.put(va, &v[i..=i])? {
            break;
        }
    }
    Ok(())
}

/// VMASKMOV, VPMASKMOV from memory: elements whose mask is not negative are 0 and not accessed.
pub(in crate::sem) fn masked_load(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let quad = at.how & QUAD != 0;
    let mask = cpu.ymm(at.reg2);
    let mut r = [V128::default(); 2];
    let size = if quad { Size::B8 } else { Size::B4 };
    let n = if at.how & WIDE != 0 { 32 } else { 16 } / size.bytes();
    for i in (0..n as usize).filter(|&i| negative(element(&mask, quad, i), quad)) {
        let offset = at.offset.wrapping_add(i as u64 * size.bytes());
        let va = cpu.segmented(at.seg, offset, size.bytes(), false)?;
        let v = cpu.load_at(va, size, false)?;
        set_element(&mut r, quad, i, v);
    }
    cpu.set_ymm(at.reg, r);
    Ok(())
}

/// The same to memory: the other elements stay.
pub(in crate::sem) fn masked_store(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let quad = at.how & QUAD != 0;
    let (v, mask) = (cpu.ymm(at.reg), cpu.ymm(at.reg2));
    let size = if quad { 8 } else { 4 };
    let n = if at.how & WIDE != 0 { 32 } else { 16 } / size;
    let chosen = (0..n).filter(|&i| negative(element(&mask, quad, i), quad));
    // All before any: a store that faults leaves memory alone.
    let mut places = [None; 8];
    for i in chosen {
        let va = cpu.segmented(at.seg, at.offset.wrapping_add((i * size) as u64), size as u64, true)?;
        let write = lyrebird_softmmu::AccessKind::Write;
        cpu.mmu.check(&mut cpu.core, &cpu.paging, va, size as u64, write, false)?;
        places[i] = Some(va);
    }
    for (i, va) in places.into_iter().enumerate() {
        let Some(va) = va else { continue };
        if !cpu.put(va, &element(&v, quad, i).to_le_bytes()[..size])? {
            break;
        }
    }
    Ok(())
}

/// VGATHER, VPGATHER. What has been loaded before a fault stays loaded, and its mask cleared.
pub(in crate::sem) fn gather(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let (quad, quad_index) = (at.how & QUAD != 0, at.how & QUAD_INDEX != 0);
    let third = (at.how >> THIRD) as u8 & 15;
    let (index, mut mask, mut d) = (cpu.ymm(third), cpu.ymm(at.reg2), cpu.ymm(at.reg));
    // As many as both the indices and the elements of the wider kind are.
    let n = if at.how & WIDE != 0 { 4 } else { 2 } << u32::from(!quad && !quad_index);
    let mut result = Ok(());
    for i in 0..n {
        if negative(element(&mask, quad, i), quad) {
            let k = element(&index, quad_index, i);
            let k = if quad_index { k } else { k as i32 as u64 };
            let mut offset = at.offset.wrapping_add(k << (at.how >> SCALE & 3));
            if at.how & ADDRESS32 != 0 {
                offset &= 0xffff_ffff;
            }
            let size = if quad { Size::B8 } else { Size::B4 };
            let va = cpu.segmented(at.seg, offset, size.bytes(), false);
            match va.and_then(|va| cpu.load_at(va, size, false)) {
                Ok(v) => set_element(&mut d, quad, i, v),
                Err(f) => {
                    result = Err(f);
                    break;
                }
            }
        }
        set_element(&mut mask, quad, i, 0);
    }
    if result.is_ok() {
        mask = [V128::default(); 2];
        // Above the last element everything is cleared.
        let bytes = n * if quad { 8 } else { 4 };
        if bytes < 32 {
            d[1] = V128::default();
        }
        if bytes < 16 {
            d[0].0[1] = 0;
        }
    }
    cpu.set_ymm(at.reg, d);
    cpu.set_ymm(at.reg2, mask);
    result
}

/// VCVTPS2PH to memory.
pub(in crate::sem) fn store_halves(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let wide = at.how & WIDE != 0;
    let mut env = Env::new(cpu.mxcsr);
    let imm = (at.how >> THIRD) as u8;
    let v = quiet(|| convert::halves(&mut env, cpu.ymm(at.reg), imm, wide));
    let n = if wide { 16 } else { 8 };
    let va = cpu.segmented(at.seg, at.offset, n as u64, true)?;
    let old = cpu.mxcsr;
    if cpu.retire_sse(&env) {
        let new = std::mem::replace(&mut cpu.mxcsr, old);
        if cpu.put(va, &v.to_bytes()[..n])? {
            cpu.mxcsr = new;
        }
    }
    Ok(())
}

/// Whether a mnemonic is one of these.
pub(super) fn knows(m: Mnemonic) -> bool {
    use Mnemonic as M;
    kind(m).is_some()
        || matches!(
            m,
            M::Maskmovdqu | M::Maskmovq | M::Vmaskmovdqu | M::Vmaskmovps | M::Vmaskmovpd | M::Vpmaskmovd
        )
        || m == M::Vpmaskmovq
}

/// VCVTPS2PH to memory, which has a row for registers.
pub(super) fn halves_to_memory<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> V::Out {
    let wide = if x.i.op_register(1).is_ymm() { WIDE } else { 0 };
    let how = wide | (x.i.immediate8() as u16 & 7) << THIRD;
    v.visit(ByHelper::<false> { m: x.mem().with(Gpr(x.number(1))), f: function::STORE_HALVES, how })
}

/// Of a gather, the bits of `how` that its mnemonic says.
fn kind(m: Mnemonic) -> Option<u16> {
    use Mnemonic as M;
    Some(match m {
        M::Vgatherdps | M::Vpgatherdd => 0,
        M::Vgatherdpd | M::Vpgatherdq => QUAD,
        M::Vgatherqps | M::Vpgatherqd => QUAD_INDEX,
        M::Vgatherqpd | M::Vpgatherqq => QUAD | QUAD_INDEX,
        _ => return None,
    })
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    use Mnemonic as M;
    let i = x.i;
    let is_ymm = |n: u32| i.op_kind(n) == OpKind::Register && i.op_register(n).is_ymm();
    let wide = if (0..i.op_count()).any(is_ymm) || i.memory_index().is_ymm() { WIDE } else { 0 };
    let m = x.mnemonic();
    if let Some(how) = kind(m) {
        let (d, mask, index) = (i.op_register(0), i.op_register(2), i.memory_index());
        let numbers = [d, mask, index].map(|r| r.number() as u8);
        if numbers[0] == numbers[1] || numbers[0] == numbers[2] || numbers[1] == numbers[2] {
            return Ok(v.visit(undefined::Raise { vector: crate::exception::vector::UD }));
        }
        let base = i.memory_base();
        let address = if base.size() == 4 || base == Register::None && !x.mode.code64() {
            Width::W32
        } else {
            Width::W64
        };
        let base = (base != Register::None).then(|| base.number() as u8);
        let plain = Mem::new(base, None, 0, i.memory_displacement64() as i64, address);
        let plain = x.in_segment(plain, decode::seg(i.memory_segment()));
        let scale = i.memory_index_scale().trailing_zeros() as u16;
        let how = how
            | wide
            | scale << SCALE
            | (numbers[2] as u16) << THIRD
            | if address == Width::W32 { ADDRESS32 } else { 0 };
        return Ok(v.visit(ByHelper::<false> {
            m: plain.with(Gpr(numbers[0])).with2(Gpr(numbers[1])),
            f: function::GATHER,
            how,
        }));
    }
    let quad = if matches!(m, M::Vmaskmovpd | M::Vpmaskmovq) { QUAD } else { 0 };
    Ok(match m {
        M::Maskmovdqu | M::Maskmovq | M::Vmaskmovdqu => {
            let address = match i.op_kind(0) {
                OpKind::MemorySegRDI => Width::W64,
                OpKind::MemorySegEDI => Width::W32,
                _ => Width::W16,
            };
            let m = Mem::new(Some(RDI.0), None, 0, 0, address);
            let m = x.in_segment(m, decode::seg(i.memory_segment()));
            let m = m.with(Gpr(place_of(i.op_register(1)))).with2(Gpr(place_of(i.op_register(2))));
            v.visit(ByHelper::<false> { m, f: function::STORE_BYTES, how: 0 })
        }
        _ if x.is_mem(0) => {
            let m = x.mem().with(Gpr(x.number(2))).with2(Gpr(x.number(1)));
            v.visit(ByHelper::<false> { m, f: function::MASKED_STORE, how: quad | wide })
        }
        _ => {
            let m = x.mem().with(Gpr(x.number(0))).with2(Gpr(x.number(1)));
            v.visit(ByHelper::<false> { m, f: function::MASKED_LOAD, how: quad | wide })
        }
    })
}

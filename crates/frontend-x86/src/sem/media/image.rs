//! MXCSR, and images of the whole state: LDMXCSR, STMXCSR, FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR; and MOVNTI,
//! which has its file here because it is SSE2 without SSE state.

use iced_x86::{Code, EncodingKind, Mnemonic};
use lyrebird_isa::{Size, V128, Visitor};

use super::{moves, trapped};
use crate::X86Cpu;
use crate::cpu::model::Feature;
use crate::decode::Insn;
use crate::exception::{Fault, Outcome, vector};
use crate::operand::w;
use crate::regs::{RAX, RDX};
use crate::sem::memory::{At, ByHelper, function};
use crate::sem::{Decoded, undefined};
use crate::sys::control::{cr0, cr4, xcr0};

/// Bits of MXCSR that exist (MXCSR_MASK): DAZ is there.
const MXCSR_MASK: u32 = 0xffff;
/// Bits of [`At::how`]: the 64-bit form of the image, with whole pointers.
const LONG: u16 = 1;
/// All sixteen registers are there.
const SIXTEEN: u16 = 2;
/// XSAVEOPT.
const OPTIMISED: u16 = 4;

/// Bytes of the legacy region, of the x87 and MXCSR part of it, and where the header and the AVX state are.
const LEGACY: usize = 512;
const X87: usize = 160;
const AVX_AT: usize = 576;

/// LDMXCSR.
pub(in crate::sem) fn ldmxcsr(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let va = cpu.segmented(at.seg, at.offset, 4, false)?;
    let v = cpu.load_at(va, Size::B4, false)? as u32;
    cpu.load_mxcsr(v)
}

/// STMXCSR.
pub(in crate::sem) fn stmxcsr(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let va = cpu.segmented(at.seg, at.offset, 4, true)?;
    let v = cpu.mxcsr();
    cpu.put(va, &v.to_le_bytes())?;
    Ok(())
}

impl X86Cpu {
    fn load_mxcsr(&mut self, v: u32) -> Outcome<()> {
        if v & !MXCSR_MASK != 0 {
            return Err(Fault::gp(0));
        }
        self.set_mxcsr(v);
        Ok(())
    }

    /// XMM registers as bytes; `upper` for the upper halves of YMM.
    fn vector_bytes(&self, upper: bool, n: usize) -> Vec<u8> {
        let from = if upper { 16 } else { 0 };
        self.core.vregs[from..from + n].iter().flat_map(|v| v.to_bytes()).collect()
    }

    fn set_vector_bytes(&mut self, upper: bool, bytes: &[u8]) {
        let from = if upper { 16 } else { 0 };
        for (r, b) in self.core.vregs[from..].iter_mut().zip(bytes.chunks_exact(16)) {
            let mut a = [0; 16];
            a.copy_from_slice(b);
            *r = V128::from_bytes(a);
        }
    }
}

fn registers(at: At) -> usize {
    if at.how & SIXTEEN != 0 { 16 } else { 8 }
}

/// FXSAVE (SDM Vol. 1, 10.5.1).
pub(in crate::sem) fn fxsave(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let va = cpu.segmented(at.seg, at.offset, LEGACY as u64, true)?;
    if va & 15 != 0 {
        return Err(Fault::gp(0));
    }
    let mut image = cpu.x87.fx_image(at.how & LONG != 0).to_vec();
    image[24..28].copy_from_slice(&cpu.mxcsr().to_le_bytes());
    image[28..32].copy_from_slice(&MXCSR_MASK.to_le_bytes());
    image.extend(cpu.vector_bytes(false, registers(at)));
    cpu.put(va, &image)?;
    Ok(())
}

/// FXRSTOR.
pub(in crate::sem) fn fxrstor(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let va = cpu.segmented(at.seg, at.offset, LEGACY as u64, false)?;
    if va & 15 != 0 {
        return Err(Fault::gp(0));
    }
    let mut image = [0; LEGACY];
    cpu.get_bytes(va, &mut image)?;
    let mut x87 = [0; X87];
    x87.copy_from_slice(&image[..X87]);
    cpu.load_mxcsr(word(&image, 24))?;
    cpu.x87.set_fx_image(&x87, at.how & LONG != 0);
    cpu.set_vector_bytes(false, &image[X87..X87 + 16 * registers(at)]);
    Ok(())
}

fn word(image: &[u8], at: usize) -> u32 {
    image[at..at + 4].iter().rev().fold(0, |v, &b| v << 8 | b as u32)
}

fn quad(image: &[u8], at: usize) -> u64 {
    image[at..at + 8].iter().rev().fold(0, |v, &b| v << 8 | b as u64)
}

impl X86Cpu {
    /// The features that EDX:EAX and XCR0 have in common, with the checks of XSAVE and its kin (SDM Vol. 1, 13.7).
    fn requested(&self) -> Outcome<u64> {
        if self.control.cr4 & cr4::OSXSAVE == 0 {
            return Err(Fault::UD);
        }
        if self.control.cr0 & cr0::TS != 0 {
            return Err(Fault::plain(vector::NM));
        }
        let asked = self.core.reg(RDX) << 32 | self.core.reg(RAX) & 0xffff_ffff;
        Ok(asked & self.control.xcr0)
    }
}

/// XSAVE, XSAVEOPT (SDM Vol. 1, 13.7 and 13.9). Of the states, only AVX's is ever said to be initial.
pub(in crate::sem) fn xsave(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let asked = cpu.requested()?;
    let va = cpu.segmented(at.seg, at.offset, (AVX_AT + 256) as u64, true)?;
    if va & 63 != 0 {
        return Err(Fault::gp(0));
    }
    let n = registers(at);
    let upper = cpu.vector_bytes(true, n);
    let in_use = xcr0::X87 | xcr0::SSE | if upper.iter().any(|&b| b != 0) { xcr0::AVX } else { 0 };
    let old = cpu.load_at(va + LEGACY as u64, Size::B8, false)?;
    let header = old & !asked | asked & in_use;
    // Everything that will be written is checked before anything is.
    let write = lyrebird_softmmu::AccessKind::Write;
    let len = if asked & xcr0::AVX != 0 { AVX_AT + 256 } else { LEGACY + 8 };
    cpu.mmu.check(&mut cpu.core, &cpu.paging, va, len as u64, write, false)?;
    let image = cpu.x87.fx_image(at.how & LONG != 0);
    let mut pieces: Vec<(usize, Vec<u8>)> = vec![(LEGACY, header.to_le_bytes().to_vec())];
    if asked & xcr0::X87 != 0 {
        pieces.push((0, image[..24].to_vec()));
        pieces.push((32, image[32..].to_vec()));
    }
    if asked & (xcr0::SSE | xcr0::AVX) != 0 {
        let mxcsr = cpu.mxcsr() as u64 | (MXCSR_MASK as u64) << 32;
        pieces.push((24, mxcsr.to_le_bytes().to_vec()));
    }
    if asked & xcr0::SSE != 0 {
        pieces.push((X87, cpu.vector_bytes(false, n)));
    }
    if asked & xcr0::AVX != 0 && (at.how & OPTIMISED == 0 || in_use & xcr0::AVX != 0) {
        pieces.push((AVX_AT, upper));
    }
    for (offset, bytes) in pieces {
        if !cpu.put(va + offset as u64, &bytes)? {
            break;
        }
    }
    Ok(())
}

/// XRSTOR of the standard form (SDM Vol. 1, 13.8).
pub(in crate::sem) fn xrstor(cpu: &mut X86Cpu, at: At) -> Outcome<()> {
    let asked = cpu.requested()?;
    let va = cpu.segmented(at.seg, at.offset, (AVX_AT + 256) as u64, false)?;
    if va & 63 != 0 {
        return Err(Fault::gp(0));
    }
    let mut image = vec![0; AVX_AT];
    cpu.get_bytes(va, &mut image)?;
    let there = quad(&image, LEGACY);
    // XCOMP_BV: the compacted form does not exist here, and the rest of the header is reserved.
    let reserved = image[LEGACY + 8..LEGACY + 24].iter().any(|&b| b != 0);
    if there & !cpu.control.xcr0 != 0 || reserved {
        return Err(Fault::gp(0));
    }
    let n = registers(at);
    let mut upper = vec![0; 16 * n];
    if asked & there & xcr0::AVX != 0 {
        cpu.get_bytes(va + AVX_AT as u64, &mut upper)?;
    }
    if asked & (xcr0::SSE | xcr0::AVX) != 0 {
        cpu.load_mxcsr(word(&image, 24))?;
    }
    if asked & xcr0::X87 != 0 {
        let mut x87 = [0; X87];
        x87.copy_from_slice(&image[..X87]);
        if there & xcr0::X87 != 0 {
            cpu.x87.set_fx_image(&x87, at.how & LONG != 0);
        } else {
            cpu.x87 = crate::cpu::X87::new();
        }
    }
    if asked & xcr0::SSE != 0 {
        if there & xcr0::SSE == 0 {
            image[X87..X87 + 16 * n].fill(0);
        }
        cpu.set_vector_bytes(false, &image[X87..X87 + 16 * n]);
    }
    if asked & xcr0::AVX != 0 {
        cpu.set_vector_bytes(true, &upper);
    }
    Ok(())
}

/// Picks the `Sem` of an instruction of this file.
pub(super) fn decode<V: Visitor<X86Cpu>>(x: &Insn<'_>, v: V) -> Decoded<V> {
    use Mnemonic as M;
    let m = x.mnemonic();
    let ud = |v: V| Ok(v.visit(undefined::Raise { vector: vector::UD }));
    let sixteen = if x.mode.code64() { SIXTEEN } else { 0 };
    match m {
        M::Movnti => {
            if !x.mode.has(Feature::Sse2) || x.lock() {
                return ud(v);
            }
            Ok(if x.i.code() == Code::Movnti_m64_r64 {
                v.visit(moves::StoreGpr::<{ w::Q }>::of(x))
            } else {
                v.visit(moves::StoreGpr::<{ w::D }>::of(x))
            })
        }
        M::Ldmxcsr | M::Vldmxcsr | M::Stmxcsr | M::Vstmxcsr => {
            match trapped(x) {
                Ok(Some(vector)) => return Ok(v.visit(undefined::Raise { vector })),
                Ok(None) => {}
                Err(()) => return Err(v),
            }
            debug_assert!(x.i.encoding() == EncodingKind::VEX || x.mode.has(Feature::Sse));
            Ok(if matches!(m, M::Ldmxcsr | M::Vldmxcsr) {
                v.visit(ByHelper::<true> { m: x.mem(), f: function::LDMXCSR, how: 0 })
            } else {
                v.visit(ByHelper::<false> { m: x.mem(), f: function::STMXCSR, how: 0 })
            })
        }
        M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64 => {
            if !x.mode.has(Feature::Fxsr) || x.lock() {
                return ud(v);
            }
            if x.mode.x87_trapped() {
                return Ok(v.visit(undefined::Raise { vector: vector::NM }));
            }
            let how = sixteen | if matches!(m, M::Fxsave64 | M::Fxrstor64) { LONG } else { 0 };
            Ok(if matches!(m, M::Fxsave | M::Fxsave64) {
                v.visit(ByHelper::<false> { m: x.mem(), f: function::FXSAVE, how })
            } else {
                v.visit(ByHelper::<true> { m: x.mem(), f: function::FXRSTOR, how })
            })
        }
        M::Xsave | M::Xsave64 | M::Xsaveopt | M::Xsaveopt64 | M::Xrstor | M::Xrstor64 => {
            let optimised = matches!(m, M::Xsaveopt | M::Xsaveopt64);
            let feature = if optimised { Feature::Xsaveopt } else { Feature::Xsave };
            if !x.mode.has(feature) || x.lock() {
                return ud(v);
            }
            let long = matches!(m, M::Xsave64 | M::Xsaveopt64 | M::Xrstor64);
            let how = sixteen | if long { LONG } else { 0 } | if optimised { OPTIMISED } else { 0 };
            Ok(if matches!(m, M::Xrstor | M::Xrstor64) {
                v.visit(ByHelper::<true> { m: x.mem(), f: function::XRSTOR, how })
            } else {
                v.visit(ByHelper::<false> { m: x.mem(), f: function::XSAVE, how })
            })
        }
        _ => Err(v),
    }
}
